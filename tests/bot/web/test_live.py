"""The stream: everything once, in order, from where one left off; closed to those who may no longer look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from sqlmodel import Session

from bot.store import events, feed, people
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import PostRow
from bot.web import live
from bot.web.live import BATCH
from bot.web.site import Site
from tests.bot.web.conftest import Visit, make_site
from tests.bot.web.world import Browser, Clock, Day, Options, add_author, add_post, add_user, signed_in


@dataclass
class Said:
    """One server-sent event."""

    event: str
    id: int | None
    data: object


class Reader:
    """Reads a stream as a browser does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, *skip: str) -> Said:
        """Return the next event that is none of *skip*. Raises EOFError when the stream ends."""
        while True:
            fields: dict[str, str] = {}
            while True:
                line = (await asyncio.wait_for(self.response.content.readline(), 20)).decode()
                if not line:
                    raise EOFError
                if line == "\n":
                    break
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
            if "event" in fields and fields["event"] not in skip:
                data = fields.get("data")
                return Said(
                    fields["event"], int(fields["id"]) if "id" in fields else None, json.loads(data) if data else None
                )


@asynccontextmanager
async def following(browser: Browser, path: str, *, last: int | None = None) -> AsyncIterator[Reader]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with browser.http.get(browser.base + path, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Reader(response)


def latest(store: Store) -> int:
    return store.read_now(events.latest_id)


def ids_of(said: list[Said]) -> list[int]:
    return [each.data["id"] for each in said if isinstance(each.data, dict)]


async def test_a_new_post_comes_as_the_very_row_of_the_page(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    async with following(agent, f"/feed/events?after={latest(sqlite_store)}") as reader:
        post = sqlite_store.write_now(lambda s: add_post(s, 9, author_id=add_author(s, "bo"), text="hello <b>"))
        said = await reader.next()
    assert said.event == "post"
    assert isinstance(said.data, dict)
    page = await (await agent.get("/")).text()
    assert said.data["html"].strip() in page
    assert said.data["id"] == post
    assert "hello &lt;b&gt;" in said.data["html"]
    assert agent.csrf not in said.data["html"]


async def test_who_was_away_misses_nothing_and_gets_nothing_twice(visit: Visit, sqlite_store: Store) -> None:
    viewer = await visit(Role.VIEWER)
    author = sqlite_store.write_now(add_author)
    many = BATCH + 120
    seen: list[int] = []
    last: int | None = None
    wanted: list[int] = []
    for part in range(3):
        start = part * 1000

        def fill(session: Session, start: int = start) -> list[int]:
            return [add_post(session, start + number, author_id=author) for number in range(many)]

        wanted += sqlite_store.write_now(fill)
        # Cut in the middle of a batch: the next stream goes on after the last whole event.
        async with following(viewer, "/feed/events?after=0", last=last) as reader:
            upto = len(wanted) if part == 2 else len(wanted) - 77
            while len(seen) < upto:
                said = await reader.next("mark")
                seen += ids_of([said])
                last = said.id
    assert seen == wanted


async def test_streams_that_run_while_others_write_see_all(visit: Visit, sqlite_store: Store) -> None:
    viewer = await visit(Role.VIEWER)
    author = sqlite_store.write_now(add_author)
    made: list[int] = []

    async def write() -> None:
        for number in range(60):
            made.append(await sqlite_store.write(add_post, number, author_id=author))

    async def read() -> list[int]:
        seen: set[int] = set()
        async with following(viewer, "/feed/events?after=0") as reader:
            while len(seen) < 60:
                seen.update(ids_of([await reader.next("mark")]))
        return sorted(seen)

    results = await asyncio.gather(write(), *(read() for _ in range(5)))
    assert all(result == sorted(made) for result in results[1:])


async def test_a_filter_holds_for_the_stream_too(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    async with following(agent, f"/feed/events?intent=praise&after={latest(sqlite_store)}") as reader:
        sqlite_store.write_now(lambda s: add_post(s, 9, author_id=add_author(s, "bo")))
        assert (await reader.next()).event == "gone"
        await agent.post(f"/posts/{day.post}/corrections", label="intent:praise")
        said = await reader.next()
        assert (said.event, ids_of([said])) == ("post", [day.post])
        await agent.post(f"/posts/{day.post}/corrections", label="intent:complaint")
        said = await reader.next()
        assert (said.event, ids_of([said])) == ("gone", [day.post])


async def test_a_deletion_reaches_open_feeds_without_the_words(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    def delete(session: Session) -> None:
        session.get_one(PostRow, day.post).deleted_at = clock()
        events.add(session, "post.deleted", now=clock(), post_id=day.post)

    viewer = await visit(Role.VIEWER)
    async with following(viewer, f"/feed/events?after={latest(sqlite_store)}") as reader:
        sqlite_store.write_now(delete)
        said = await reader.next()
    assert isinstance(said.data, dict)
    assert "where is my parcel" not in said.data["html"]


async def test_viewers_get_rows_without_buttons_in_the_same_moment(visit: Visit, day: Day, sqlite_store: Store) -> None:
    viewer, agent = await visit(Role.VIEWER), await visit(Role.AGENT)
    start = latest(sqlite_store)
    async with (
        following(viewer, f"/feed/events?after={start}") as one,
        following(agent, f"/feed/events?after={start}") as two,
    ):
        sqlite_store.write_now(lambda s: events.add(s, "post.edited", now=Clock()(), post_id=day.post))
        plain, full = (await one.next()).data, (await two.next()).data
    assert isinstance(plain, dict)
    assert isinstance(full, dict)
    assert "<button" not in plain["html"]
    assert "<button" in full["html"]


@pytest.mark.parametrize("how", ["signs out", "is disabled"])
async def test_an_open_feed_ends_when_its_person_is_out(
    how: str, visit: Visit, sqlite_store: Store, clock: Clock
) -> None:
    viewer = await visit(Role.VIEWER)
    async with following(viewer, "/feed/events?after=0") as reader:
        if how == "signs out":
            await viewer.post("/sign-out")
        else:
            sqlite_store.write_now(people.disable, email="viewer@example.org", now=clock())
        assert (await reader.next()).event == "signed-out"
        with pytest.raises(EOFError):
            await reader.next()


async def test_a_drain_tells_open_feeds_to_come_back(sqlite_store: Store, clock: Clock) -> None:
    site = make_site(sqlite_store, clock, Options())
    await site.start()
    user = add_user(sqlite_store, Role.VIEWER)
    token, _ = signed_in(sqlite_store, user, clock)
    async with aiohttp.ClientSession(cookies={"harken": token}) as http:
        browser = Browser(site, http)
        async with following(browser, "/feed/events?after=0") as reader:
            closing = asyncio.create_task(site.close())
            assert (await reader.next()).event == "bye"
            with pytest.raises(EOFError):
                await reader.next()
            await closing
    await site.close()


async def test_too_many_streams_are_turned_away(
    visit: Visit, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.web.feed.MOST_STREAMS", 2)
    viewer = await visit(Role.VIEWER)
    async with following(viewer, "/feed/events?after=0"), following(viewer, "/feed/events?after=0"):
        answer = await viewer.get("/feed/events?after=0")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")


async def test_a_quiet_stream_says_that_it_lives(visit: Visit, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    viewer = await visit(Role.VIEWER)
    async with following(viewer, "/feed/events?after=0") as reader:
        line = b""
        while line != b":\n":
            line = await asyncio.wait_for(reader.response.content.readline(), 10)


async def test_streams_in_step_ask_the_store_once(
    visit: Visit, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    real = feed.some

    def counted(*args: object, **more: object) -> object:
        nonlocal asked
        asked += 1
        return real(*args, **more)  # type: ignore[arg-type]

    viewer = await visit(Role.VIEWER)
    author = sqlite_store.write_now(add_author)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(following(viewer, "/feed/events?after=0")) for _ in range(10)]
        monkeypatch.setattr(feed, "some", counted)
        sqlite_store.write_now(add_post, 1, author_id=author)
        said = await asyncio.gather(*(reader.next() for reader in readers))
    assert {each.event for each in said} == {"post"}
    assert asked <= 3
