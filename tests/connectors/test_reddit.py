"""Reddit through the real praw, against a fake Reddit on loopback."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from aiohttp import web
from praw.config import Config
from pydantic import ValidationError

from connectors.channels.reddit import RedditConnector, RedditSettings, connect
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.post import PostKind, Reply
from connectors.protocol import Connector
from tests.connectors.contract import ConnectorContract
from tests.networks.clock import HandClock
from tests.networks.faults import Fault, How, Trouble, serve_in_thread
from tests.networks.reddit import BRAND, CLIENT_ID, CLIENT_SECRET, PASSWORD, REFRESH_TOKEN, Reddit, Thing

CUSTOMER = "parcel_hunter_12"


def settings(network: Reddit, **more: Any) -> RedditSettings:
    given: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "username": BRAND,
        "password": PASSWORD,
        "user_agent": "linux:org.example.harken:v1 (by /u/kornblume)",
        "reddit_url": network.base_url or "http://127.0.0.1:9",
        "oauth_url": network.base_url or "http://127.0.0.1:9",
        **more,
    }
    return RedditSettings(**given)


def connector_on(network: Reddit, clock: HandClock, **more: Any) -> RedditConnector:
    return connect(name="reddit", settings=settings(network, **more), clock=clock)


class TestRedditContract(ConnectorContract[Reddit]):
    secrets = (CLIENT_SECRET, PASSWORD, "access-token-", CUSTOMER, BRAND)
    short_s = 2.0  # praw asks for a token, a profile and a thread first; 1 s is short on a slow machine

    def make_network(self, clock: HandClock) -> Reddit:
        return Reddit(clock=clock)

    def make_connector(self, network: Reddit, clock: HandClock, **settings: Any) -> Connector:
        return connector_on(network, clock, **settings)

    def thread(self, network: Reddit, at: datetime) -> Thing:
        return network.submit(author="someone_else", title="Parcels", at=at)

    def seed(self, network: Reddit, *, at: datetime, text: str) -> str:
        parent = self.thread(network, at)
        return network.comment(author=CUSTOMER, parent=parent, text=f"u/{BRAND} {text}", at=at).name

    def seed_thread(self, network: Reddit, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain = [network.submit(author=CUSTOMER, title="Help", text=texts[0], at=at)]
        for text in texts[1:]:
            chain.append(network.comment(author=CUSTOMER, parent=chain[-1], text=f"u/{BRAND} {text}", at=at))
        return [thing.name for thing in chain]

    def seed_own(self, network: Reddit, *, at: datetime, text: str) -> str:
        return network.comment(author=BRAND, parent=self.thread(network, at), text=text, at=at).name

    def seed_bad(self, network: Reddit, *, at: datetime) -> None:
        network.raw_inbox.append((at, {"kind": "t1", "data": {"name": "t1_bad0", "body": 17, "created_utc": "soon"}}))

    def edit(self, network: Reddit, post_id: str, text: str) -> None:
        network.edit(post_id, text)

    def delete(self, network: Reddit, post_id: str) -> None:
        network.delete(post_id)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network(clock: HandClock) -> Iterator[Reddit]:
    with serve_in_thread(Reddit(clock=clock)) as network:
        yield network


@pytest.fixture
async def connector(network: Reddit, clock: HandClock) -> AsyncIterator[RedditConnector]:
    async with connector_on(network, clock, subreddits=("kornblume",), queries=("kornblume parcel",)) as connector:
        yield connector


def mention(network: Reddit, text: str = "where is it?", *, at: datetime | None = None) -> Thing:
    parent = network.submit(author="someone_else", title="Parcels", at=at)
    return network.comment(author=CUSTOMER, parent=parent, text=f"u/{BRAND} {text}", at=at)


async def reply_to(
    connector: RedditConnector, thing: Thing, clock: HandClock, text: str = "It is on its way."
) -> Reply:
    post = (await connector.still_there([thing.name]))[thing.name]
    assert post is not None
    return Reply(key="k1", target=post, text=text, created_at=clock.now)


def asked(network: Reddit, path: str) -> int:
    return sum(seen.path.startswith(path) for seen in network.requests)


# Settings


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": None}, "refresh_token"),
        ({"subreddits": ("no spaces",)}, "no subreddit's name"),
        ({"oauth_url": "ftp://example.org"}, "oauth_url"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(Reddit(), **change)


def test_a_subreddit_may_be_written_with_its_r() -> None:
    assert settings(Reddit(), subreddits=("r/Kornblume", "/r/parcels")).subreddits == ("Kornblume", "parcels")


def test_secrets_do_not_show() -> None:
    shown = repr(settings(Reddit(), refresh_token=REFRESH_TOKEN))
    assert not any(secret in shown for secret in (CLIENT_SECRET, PASSWORD, REFRESH_TOKEN))


async def test_a_wording_for_reddit_keeps_its_markdown(network: Reddit, clock: HandClock) -> None:
    async with connector_on(network, clock) as connector:
        assert connector.capabilities.markdown


async def test_neither_a_praw_ini_nor_the_environment_has_a_say(
    network: Reddit, clock: HandClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = "http://127.0.0.1:9"
    (tmp_path / "praw.ini").write_text(f"[DEFAULT]\noauth_url={closed}\nreddit_url={closed}\nratelimit_seconds=600\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(Config, "CONFIG", None)
    for name in ("praw_refresh_token", "praw_site", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, closed)
    thing = mention(network)
    async with connector_on(network, clock) as connector:
        page = await connector.fetch("mentions", None)
    assert [post.id for post in page.posts] == [thing.name]


async def test_a_refresh_token_signs_in_too(network: Reddit, clock: HandClock) -> None:
    account = {"username": None, "password": None, "refresh_token": REFRESH_TOKEN}
    async with connector_on(network, clock, **account) as connector:
        assert (await connector.identity()).handle == BRAND


# Signing in and staying in


async def test_a_wrong_password_is_for_a_person(network: Reddit, clock: HandClock) -> None:
    async with connector_on(network, clock, password="wrong") as connector:
        with pytest.raises(AuthFailed, match="invalid_grant"):
            await connector.identity()


async def test_a_wrong_client_secret_is_for_a_person(network: Reddit, clock: HandClock) -> None:
    async with connector_on(network, clock, client_secret="wrong") as connector:
        with pytest.raises(AuthFailed, match="client_id"):
            await connector.identity()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=503, body=b"<html>"), Unavailable),
        (Fault(status=429, headers={"Retry-After": "30"}), RateLimited),
        (Fault(status=200, body=b"<html>"), Unavailable),
        (Fault(status=200, body=b'{"access_token": 1}'), Unavailable),
        (Fault(status=200, body=b"[]"), Unavailable),
        (Fault(how=How.RESET), Unavailable),
    ],
)
async def test_trouble_at_sign_in_never_makes_a_write_ambiguous(
    network: Reddit, clock: HandClock, fault: Fault, expected: type[ConnectorError]
) -> None:
    thing = mention(network)
    async with connector_on(network, clock) as connector:
        reply = await reply_to(connector, thing, clock)
    async with connector_on(network, clock) as connector:
        network.fail(fault, method="POST", path="/api/v1/access_token")
        with pytest.raises(expected):
            await connector.send(reply)
        assert network.writes_seen() == []
        await connector.send(reply)
    assert len(network.ledger) == 1


async def test_a_token_that_ran_out_is_renewed_at_once(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    network.expire_tokens()
    await connector.fetch("mentions", None)
    network.expire_tokens()
    started = time.monotonic()
    await connector.send(reply)
    assert time.monotonic() - started < 1, "praw's own renewal sleeps"
    assert len(network.ledger) == 1
    assert asked(network, "/api/v1/access_token") == 3


async def test_a_suspended_account_is_for_a_person(connector: RedditConnector, network: Reddit) -> None:
    network.suspended = True
    with pytest.raises(AuthFailed, match="suspended"):
        await connector.identity()


# Waiting


async def test_a_used_up_allowance_is_told_and_not_slept_through(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    mention(network)
    network.allowance = 1
    await connector.identity()
    started = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        await connector.fetch("mentions", None)
    assert caught.value.until == clock.now + timedelta(seconds=300)
    assert asked(network, "/message") == 0
    clock.advance(seconds=301)
    network.allowance = 500
    assert len((await connector.fetch("mentions", None)).posts) == 1
    assert time.monotonic() - started < 1, "prawcore paces requests by sleeping"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "90"}, 90),
        ({"Retry-After": "Mon, 02 Nov 2026 12:01:30 GMT"}, 90),
        ({"x-ratelimit-reset": "90.0", "x-ratelimit-remaining": "0"}, 90),
        ({"x-ratelimit-reset": "NaN"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "99999999999999999999"}, 86_400),
        ({}, None),
    ],
)
async def test_a_limit_is_read_however_it_is_told(
    connector: RedditConnector, network: Reddit, clock: HandClock, headers: dict[str, str], seconds: int | None
) -> None:
    network.fail(Fault(status=429, headers=headers, body=b"<html>"), path="/message")
    with pytest.raises(RateLimited) as caught:
        await connector.fetch("mentions", None)
    assert caught.value.until == (None if seconds is None else clock.now + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("message", "more", "seconds"),
    [
        ("Looks like you've been doing that a lot. Take a break for 9 minutes before trying again.", {}, 540),
        ("Take a break for 4 seconds before trying again.", {}, 4),
        ("Take a break for 9 minutes before trying again.", {"ratelimit": 559.5}, 559.5),
        ("you are doing that too much", {}, None),
    ],
)
async def test_a_break_asked_for_in_a_200_is_a_limit_and_nothing_is_said_twice(
    connector: RedditConnector,
    network: Reddit,
    clock: HandClock,
    message: str,
    more: dict[str, object],
    seconds: float | None,
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    network.fail(network.errors("RATELIMIT", message, "ratelimit", **more), path="/api/comment")
    started = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        await connector.send(reply)
    assert time.monotonic() - started < 1, "praw sleeps through short breaks and sends again"
    assert caught.value.until == (None if seconds is None else clock.now + timedelta(seconds=seconds))
    assert len(network.writes_seen()) == 1


# Answers that say no


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("DELETED_COMMENT", "deleted"),
        ("TOO_OLD", "archived"),
        ("THREAD_LOCKED", "locked"),
        ("SUBREDDIT_NOTALLOWED", "does not let"),
        ("NO_TEXT", "empty"),
        ("A_CODE_OF_TOMORROW", "A_CODE_OF_TOMORROW"),
    ],
)
async def test_a_refusal_in_a_200_is_for_good(
    connector: RedditConnector, network: Reddit, clock: HandClock, code: str, says: str
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    network.fail(network.errors(code, "words of Reddit's", "parent"), path="/api/comment")
    with pytest.raises(Rejected, match=says):
        await connector.send(reply)
    assert len(network.writes_seen()) == 1


async def test_reddit_itself_refuses_what_was_deleted_or_locked_meanwhile(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    gone, locked = mention(network), mention(network)
    replies = [await reply_to(connector, thing, clock) for thing in (gone, locked)]
    network.delete(gone.name)
    network.things[locked.link].locked = True
    for reply in replies:
        with pytest.raises(Rejected):
            await connector.send(reply)
    assert network.ledger == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=403, body=b'{"message": "Forbidden", "error": 403}'), Rejected),
        (Fault(status=403, headers={"www-authenticate": 'Bearer error="insufficient_scope"'}), AuthFailed),
        (Fault(status=400, body=b'{"fields": ["a", "b"], "reason": "BAD"}'), Rejected),
        (Fault(status=404), Rejected),
        (Fault(status=413), Rejected),
        (Fault(status=302, headers={"Location": "/login"}), AmbiguousWrite),
        (Fault(status=520), AmbiguousWrite),
        (Fault(status=204), AmbiguousWrite),
        (Fault(status=200, body=b""), AmbiguousWrite),
        (Fault(status=200, body=b'{"json": {"errors": [], "data": {"things": []}}}'), AmbiguousWrite),
        (Fault(status=200, body=b'{"json": {"errors": "what"}}'), AmbiguousWrite),
        (Fault(status=200, body=b'{"json": {"errors": [["USER_REQUIRED", "log in", null]]}}'), AuthFailed),
    ],
)
async def test_every_answer_to_a_write_has_one_meaning(
    connector: RedditConnector, network: Reddit, clock: HandClock, fault: Fault, expected: type[ConnectorError]
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    network.fail(fault, path="/api/comment")
    with pytest.raises(ConnectorError) as caught:
        await connector.send(reply)
    assert type(caught.value) is expected
    assert len(network.writes_seen()) == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=302, headers={"Location": "/subreddits/search?q=kornblume"}), Unavailable),
        (Fault(status=404), Unavailable),
        (Fault(status=403, body=b"<html>whoa there</html>"), AuthFailed),
        (Fault(status=403, body=b'{"reason": "private", "message": "Forbidden", "error": 403}'), Unavailable),
        (Fault(status=404, body=b'{"reason": "banned", "message": "Not Found", "error": 404}'), Unavailable),
        (Fault(status=408), Unavailable),
        (Fault(status=400, body=b'{"reason": 5}'), Unavailable),
        (Fault(status=204), Unavailable),
        (Fault(status=200, body=b""), Unavailable),
        (Fault(status=200, body=b'{"data": {"children": {}}}'), Unavailable),
        (Fault(status=200, body=b"[" * 200_000), Unavailable),
    ],
)
async def test_every_answer_to_a_read_has_one_meaning(
    connector: RedditConnector, network: Reddit, fault: Fault, expected: type[ConnectorError]
) -> None:
    network.fail(fault, path="/r/kornblume")
    started = time.monotonic()
    with pytest.raises(expected):
        await connector.fetch("subreddit:kornblume", None)
    assert asked(network, "/r/kornblume") == 1
    assert time.monotonic() - started < 1, "praw would try again"


async def test_an_answer_without_end_is_cut_off(
    connector: RedditConnector, network: Reddit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.channels.reddit.door.MAX_BYTES", 2_000)
    mention(network, "x" * 3_000)
    with pytest.raises(Unavailable):
        await connector.fetch("mentions", None)


async def test_an_answer_that_drips_is_given_up_in_time(network: Reddit, clock: HandClock) -> None:
    class Dripping(Reddit):
        async def _inbox(self, request: web.Request) -> Any:
            drip = web.StreamResponse(headers={"Content-Length": "1000"})
            await drip.prepare(request)
            with suppress(ConnectionError):
                for _ in range(1_000):
                    await drip.write(b" ")
                    await asyncio.sleep(0.02)
            return drip

    with serve_in_thread(Dripping(clock=clock)) as dripping:
        async with connector_on(dripping, clock, timeout_s=0.3) as connector:
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await connector.fetch("mentions", None)
            assert time.monotonic() - started < 2


# Listening


async def test_the_inbox_is_mentions_and_replies_to_us(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    ours = network.submit(author=BRAND, title="We are here", at=clock.now - timedelta(minutes=9))
    under_post = network.comment(author=CUSTOMER, parent=ours, text="and me?", at=clock.now - timedelta(minutes=8))
    our_answer = network.comment(author=BRAND, parent=under_post, text="You too", at=clock.now - timedelta(minutes=7))
    under_comment = network.comment(
        author=CUSTOMER, parent=our_answer, text="thanks", at=clock.now - timedelta(minutes=6)
    )
    named = mention(network, at=clock.now - timedelta(minutes=5))
    network.comment(author=CUSTOMER, parent=network.things[named.link], text="nobody's business")
    page = await connector.fetch("mentions", None)
    assert [post.id for post in page.posts] == [under_post.name, under_comment.name, named.name]
    assert all(post.addressed and post.kind is PostKind.REPLY for post in page.posts)
    assert [post.root_id for post in page.posts] == [ours.name, ours.name, named.link]


async def test_a_subreddit_is_its_posts_and_comments(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    first = network.submit(author=CUSTOMER, title="Late & wet", text="third *time*", at=clock.now - timedelta(hours=1))
    second = network.comment(author="neighbour_7", parent=first, text="same here", at=clock.now - timedelta(minutes=50))
    ours = network.comment(author=BRAND, parent=second, text="Sorry!", at=clock.now - timedelta(minutes=40))
    third = network.comment(author="neighbour_7", parent=ours, text="hm", at=clock.now - timedelta(minutes=30))
    network.submit(author=CUSTOMER, title="elsewhere", subreddit="gardening")
    page = await connector.fetch("subreddit:kornblume", None)
    assert [post.id for post in page.posts] == [first.name, second.name, ours.name, third.name]
    submission, comment, own, answer_to_us = page.posts
    assert (submission.kind, submission.title, submission.text) == (PostKind.POST, "Late & wet", "third *time*")
    assert (submission.root_id, submission.parent_id, submission.place) == (first.name, None, "r/kornblume")
    assert submission.url == f"https://www.reddit.com{first.permalink}"
    assert (comment.kind, comment.parent_id, comment.root_id) == (PostKind.REPLY, first.name, first.name)
    assert [post.addressed for post in page.posts] == [False, False, False, True]
    assert own.is_own
    assert answer_to_us.author.handle == "neighbour_7"


async def test_an_answer_under_our_own_submission_addresses_us(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    ours = network.submit(author=BRAND, title="News")
    network.comment(author=CUSTOMER, parent=ours, text="finally")
    page = await connector.fetch("subreddit:kornblume", None)
    assert [post.addressed for post in page.posts] == [False, True]


async def test_a_search_finds_posts_anywhere(connector: RedditConnector, network: Reddit) -> None:
    hit = network.submit(author=CUSTOMER, title="My Kornblume parcel", subreddit="gardening")
    network.submit(author=CUSTOMER, title="My parcel", subreddit="gardening")
    page = await connector.fetch("search:kornblume parcel", None)
    assert [post.id for post in page.posts] == [hit.name]
    assert not page.posts[0].addressed
    assert connector.streams() == ("mentions", "search:kornblume parcel", "subreddit:kornblume")


@pytest.mark.parametrize(("days", "span"), [(0, "day"), (3, "week"), (12, "month"), (200, "year"), (900, "all")])
async def test_a_search_reaches_as_far_back_as_its_cursor(
    connector: RedditConnector, network: Reddit, clock: HandClock, days: int, span: str
) -> None:
    cursor = (await connector.fetch("search:kornblume parcel", None)).cursor
    clock.advance(days=days - 1 if days else -0.9)
    await connector.fetch("search:kornblume parcel", cursor)
    assert network.requests[-1].query["t"] == span


@pytest.mark.parametrize(
    ("text", "addressed"),
    [
        (f"hey u/{BRAND}, look", True),
        (f"hey /u/{BRAND.upper()}", True),
        (r"hey u/Kornblume\_Help", True),
        (f"see https://www.reddit.com/u/{BRAND}", False),
        (f"u/{BRAND}_fans are odd", False),
        (f"u/{BRAND}-2 too", False),
        (BRAND, False),
    ],
)
async def test_only_our_whole_name_addresses_us(
    connector: RedditConnector, network: Reddit, text: str, addressed: bool
) -> None:
    network.submit(author=CUSTOMER, title="Hm", text=text)
    page = await connector.fetch("subreddit:kornblume", None)
    assert [post.addressed for post in page.posts] == [addressed]


async def test_what_was_deleted_is_reported_as_gone(connector: RedditConnector, network: Reddit) -> None:
    gone, removed, there = mention(network), mention(network), mention(network)
    network.delete(gone.name)
    network.remove(removed.name)
    page = await connector.fetch("mentions", None)
    assert [post.id for post in page.posts] == [there.name]
    assert sorted(page.deleted) == sorted([gone.name, removed.name])


async def test_an_edit_shows_with_its_time(connector: RedditConnector, network: Reddit, clock: HandClock) -> None:
    thing = network.submit(author=CUSTOMER, title="Hm", text="before")
    cursor = (await connector.fetch("subreddit:kornblume", None)).cursor
    clock.advance(minutes=1)
    network.edit(thing.name, "after")
    (post,) = (await connector.fetch("subreddit:kornblume", cursor)).posts
    assert (post.text, post.edited_at) == ("after", clock.now)


async def test_broken_items_are_set_aside_one_by_one(connector: RedditConnector, network: Reddit) -> None:
    thing = mention(network)
    broken = [
        b"17",
        b"null",
        b'{"kind": "t1"}',
        b'{"kind": "t1", "data": []}',
        b'{"kind": "t1", "data": {"name": "t1_A b"}}',
        b'{"kind": "t9", "data": {"name": "t9_abc"}}',
        b'{"kind": "t1", "data": {"name": "t1_a1", "created_utc": NaN}}',
        b'{"kind": "t1", "data": {"name": "t1_a2", "created_utc": 1e300}}',
        b'{"kind": "t1", "data": {"name": "t1_a3", "created_utc": ' + b"9" * 5_000 + b"}}",
        b'{"kind": "t1", "data": {"name": "t1_a4", "created_utc": true}}',
        b'{"kind": "t1", "data": {"name": "t1_a5", "created_utc": 1793620800, "author": 5, "body": "x"}}',
        b'{"kind": "t1", "data": {"name": "t1_a6", "created_utc": 1793620800, "author": "x", "body": 5}}',
    ]
    whole = b'{"kind": "t1", "data": {"name": "t1_b1", "created_utc": 1793620800, "author": "x", "subreddit": "s", '
    whole += b'"body": "a \\ud800 b \\u0000", "parent_id": "t1_b0"}}'
    message = b'{"kind": "t4", "data": {"name": "t4_m1", "body": "a private letter"}}'
    body = b'{"kind": "Listing", "data": {"children": [' + b", ".join([*broken, whole, message]) + b"]}}"
    network.fail(Fault(status=200, body=body, headers={"Content-Type": "application/json"}), path="/message/mentions")
    page = await connector.fetch("mentions", None)
    assert len(page.bad) == len(broken)
    assert all(item.reason for item in page.bad)
    assert [(post.id, post.text) for post in page.posts] == [("t1_b1", "a \ufffd b ")]
    assert thing.name in [post.id for post in (await connector.fetch("mentions", page.cursor)).posts]


@pytest.mark.parametrize(
    "cursor", ["", "17", "{}", '{"v": 2, "mark": 5}', '{"v": 1, "mark": "x"}', '{"v":1,"mark":1e99}']
)
async def test_a_cursor_that_is_not_ours_begins_again_from_the_lookback(
    connector: RedditConnector, network: Reddit, cursor: str
) -> None:
    thing = mention(network)
    assert [post.id for post in (await connector.fetch("mentions", cursor)).posts] == [thing.name]


async def test_a_post_from_the_future_does_not_push_the_cursor_ahead(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    odd = mention(network, at=clock.now)
    odd.created_at = clock.now + timedelta(days=400)
    cursor = (await connector.fetch("mentions", None)).cursor
    clock.advance(minutes=30)
    thing = mention(network)
    assert thing.name in [post.id for post in (await connector.fetch("mentions", cursor)).posts]


async def test_a_first_visit_reads_a_bounded_number_of_pages(network: Reddit, clock: HandClock) -> None:
    parent = network.submit(author="someone_else", title="Parcels")
    for number in range(40):
        network.comment(author=CUSTOMER, parent=parent, text=f"u/{BRAND} {number}")
    network.page_limit = 10
    async with connector_on(network, clock, max_first_pages=2) as connector:
        assert len((await connector.fetch("mentions", None)).posts) == 20


async def test_a_listing_that_ends_at_a_thousand_is_read_to_its_end_and_told(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    cursor = (await connector.fetch("mentions", None)).cursor
    clock.advance(hours=2)
    parent = network.submit(author="someone_else", title="Parcels")
    things = [
        network.comment(
            author=CUSTOMER, parent=parent, text=f"u/{BRAND} {number}", at=clock.now - timedelta(seconds=2_000 - number)
        )
        for number in range(1_200)
    ]
    with structlog.testing.capture_logs() as events:
        page = await connector.fetch("mentions", cursor)
    assert [post.id for post in page.posts] == [thing.name for thing in things[200:]]
    assert [event["event"] for event in events] == ["reddit.listing_ended"]


async def test_nothing_is_lost_when_a_page_ends_on_a_comment_that_is_deleted_meanwhile(
    network: Reddit, clock: HandClock
) -> None:
    """Reddit answers a page that should go on after a vanished item with nothing at all."""

    class Vanishing(Reddit):
        doomed: str | None = None

        def _page(self, request: web.Request, items: list[Any]) -> dict[str, Any]:
            if self.doomed and request.query.get("after") == self.doomed:
                items = [item for item in items if item["data"]["name"] != self.doomed]
            return super()._page(request, items)

    with serve_in_thread(Vanishing(clock=clock, page_limit=5)) as vanishing:
        async with connector_on(vanishing, clock) as connector:
            cursor = (await connector.fetch("mentions", None)).cursor
            clock.advance(hours=1)
            start = clock.now - timedelta(minutes=30)
            things = [mention(vanishing, at=start + timedelta(seconds=number)) for number in range(13)]
            vanishing.doomed = things[8].name  # the last of the newest five
            page = await connector.fetch("mentions", cursor)
    assert [post.id for post in page.posts] == [thing.name for thing in things]


# Threads and look-ups


async def test_a_thread_of_thirty_is_walked_to_its_root(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    chain = [network.submit(author=CUSTOMER, title="Long")]
    for number in range(30):
        chain.append(network.comment(author=f"person_{number}", parent=chain[-1], text=str(number)))
    post = (await connector.still_there([chain[-1].name]))[chain[-1].name]
    assert post is not None
    assert [above.id for above in await connector.thread(post)] == [thing.name for thing in chain[:-1]]


async def test_a_lookup_leaves_out_what_it_cannot_read(connector: RedditConnector, network: Reddit) -> None:
    """Unreadable is not gone."""
    thing = mention(network)
    children = [
        {"kind": "t1", "data": {"name": "t1_bad1", "author": "x", "body": "x", "created_utc": "soon"}},
        {"kind": "t1", "data": {"name": thing.name, "author": "[deleted]", "body": "[deleted]"}},
    ]
    body = orjson.dumps({"kind": "Listing", "data": {"children": children, "after": None}})
    network.fail(Fault(status=200, body=body), path="/api/info")
    state = await connector.still_there(["t1_bad1", thing.name, "t1_never", "no such id,t1_x"])
    assert state == {thing.name: None, "t1_never": None, "no such id,t1_x": None}


# Speaking


async def test_a_reply_is_found_once_reads_have_caught_up(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    reply = await reply_to(connector, mention(network), clock, text="On its way.\n\n  With love ")
    network.lag = timedelta(seconds=60)
    network.fail_writes(Trouble.ACCEPTED_THEN_500)
    with pytest.raises(AmbiguousWrite):
        await connector.send(reply)
    assert await connector.find(reply) is None
    clock.advance(seconds=61)
    found = await connector.find(reply)
    assert found is not None
    assert found.id == network.ledger[0].id


async def test_a_reply_is_found_behind_hundreds_of_later_ones(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    sent = await connector.send(reply)
    parent = network.submit(author="someone_else", title="Busy")
    for number in range(250):
        network.comment(author=BRAND, parent=parent, text=f"answer {number}", at=clock.advance(seconds=1))
    assert await connector.find(reply) == sent


async def test_a_failed_look_for_our_reply_is_not_a_no(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    network.fail(Fault(status=404), path="/user/")
    with pytest.raises(Unavailable):
        await connector.find(reply)


async def test_rules_of_the_place_forbid_a_reply(network: Reddit, clock: HandClock) -> None:
    open_one, locked, elsewhere = (network.submit(author=CUSTOMER, title="x", subreddit=s) for s in ("a1", "a1", "b2"))
    locked.locked = True
    async with connector_on(network, clock, reply_subreddits=("A1",)) as connector:
        posts = await connector.still_there([open_one.name, locked.name, elsewhere.name])
        reasons = [connector.may_reply(post) for post in posts.values() if post is not None]
    assert reasons[0] is None
    assert [refusal is not None and refusal.reason for refusal in reasons[1:]] == [
        "the thread is locked or archived",
        "r/b2 is not among the subreddits where we reply",
    ]


# The thread


async def test_a_cancelled_call_frees_the_thread_for_the_next(connector: RedditConnector, network: Reddit) -> None:
    thing = mention(network)
    await connector.identity()
    count = len(network.requests)
    network.fail_reads(Trouble.HANG, times=1)
    task = asyncio.create_task(connector.fetch("mentions", None))
    await network.arrived(count + 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(2):
        assert [post.id for post in (await connector.fetch("mentions", None)).posts] == [thing.name]


async def test_a_call_cancelled_before_its_turn_is_never_made(
    connector: RedditConnector, network: Reddit, clock: HandClock
) -> None:
    reply = await reply_to(connector, mention(network), clock)
    count = len(network.requests)
    network.fail_reads(Trouble.HANG, times=1)
    first = asyncio.create_task(connector.fetch("mentions", None))
    await network.arrived(count + 1)
    second = asyncio.create_task(connector.send(reply))
    await asyncio.sleep(0)
    for task in (second, first):
        task.cancel()
    await asyncio.wait([first, second])
    await connector.identity()
    await connector.still_there([reply.target.id])
    assert network.writes_seen() == []


async def test_leaving_waits_for_no_hanging_call_and_leaves_no_thread(network: Reddit, clock: HandClock) -> None:
    async with connector_on(network, clock) as connector:
        await connector.identity()
        count = len(network.requests)
        network.fail_reads(Trouble.HANG)
        task = asyncio.create_task(connector.fetch("mentions", None))
        await network.arrived(count + 1)
        (thread,) = [each for each in threading.enumerate() if each.name.startswith("reddit-reddit")]
        started = time.monotonic()
    assert time.monotonic() - started < 1
    with pytest.raises(Unavailable):
        await task
    await asyncio.to_thread(thread.join, 2)
    assert not thread.is_alive()


async def test_two_streams_at_once_sign_in_and_ask_who_we_are_once(connector: RedditConnector, network: Reddit) -> None:
    await asyncio.gather(*(connector.fetch(stream, None) for stream in connector.streams()))
    assert asked(network, "/api/v1/access_token") == 1
    assert asked(network, "/api/v1/me") == 1
