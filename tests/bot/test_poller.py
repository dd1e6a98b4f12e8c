"""One source is polled alone, in time, and whatever is wrong with it stays its own trouble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from bot.poller import MAX_PAGES, Poller
from bot.store import posts, sources
from bot.store.engine import Store
from bot.stream.table import TableStream
from connectors.errors import AuthFailed, ConnectorError, RateLimited, Unavailable
from connectors.post import Post
from connectors.protocol import Cursor, Page
from connectors.settings import SourceSettings
from tests.bot.factories import NOON, make_post
from tests.bot.speaker import Speaker


@dataclass
class Feed(Speaker):
    """A network whose answers are listed: pages or errors, one a request; afterwards empty pages."""

    answers: list[Page | ConnectorError] = field(default_factory=list)
    asked: list[Cursor | None] = field(default_factory=list)
    gone: dict[str, Post | None] = field(default_factory=dict)

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        self.asked.append(cursor)
        answer = self.answers.pop(0) if self.answers else Page(posts=(), cursor=cursor or "0")
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    async def still_there(self, ids: Sequence[str]) -> dict[str, Post | None]:
        return {key: post for key, post in self.gone.items() if key in ids}


@dataclass
class Listening:
    """A poller on a real store with a clock that tests turn."""

    store: Store
    feed: Feed
    name: str = "x"
    holder: str = "me"
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.feed.name = self.name
        self.poller = Poller(
            store=self.store,
            stream=TableStream(self.store, clock=lambda: self.now, holder=self.holder),
            connector=self.feed,
            settings=SourceSettings(kind="x", poll_every_s=60, max_first_pages=3),
            holder=self.holder,
            clock=lambda: self.now,
        )

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    @property
    def health(self) -> sources.Health:
        found = self.store.read_now(sources.one, self.name)
        if found is None:
            raise LookupError(self.name)
        return found


@pytest.fixture
def listening(store: Store) -> Listening:
    store.write_now(sources.configure, {"x": ("x", "x"), "reddit": ("reddit", "reddit")})
    return Listening(store, Feed())


async def test_pages_are_read_until_there_are_no_more(listening: Listening) -> None:
    listening.store.write_now(
        posts.ingest, Page(posts=(), cursor="c0"), source="x", stream="mentions", now=NOON, cursor="c0"
    )
    listening.feed.answers = [
        Page(posts=[make_post(number)], cursor=f"c{number}", more=number < 5) for number in range(1, 6)
    ]
    await listening.poller.poll("mentions")
    assert listening.feed.asked == ["c0", "c1", "c2", "c3", "c4"]
    assert listening.store.read_now(posts.cursor, "x", "mentions") == "c5"
    assert listening.health.status == "ok"


async def test_a_first_visit_is_bounded(listening: Listening) -> None:
    listening.feed.answers = [Page(posts=[make_post(number)], cursor=f"c{number}", more=True) for number in range(9)]
    await listening.poller.poll("mentions")
    assert len(listening.feed.asked) == 3


async def test_a_network_that_always_has_more_cannot_hold_a_look_for_ever(listening: Listening) -> None:
    listening.store.write_now(
        posts.ingest, Page(posts=(), cursor="c"), source="x", stream="mentions", now=NOON, cursor="c"
    )
    listening.feed.answers = [Page(posts=(), cursor=f"c{number}", more=True) for number in range(MAX_PAGES + 10)]
    await listening.poller.poll("mentions")
    assert len(listening.feed.asked) == MAX_PAGES
    listening.feed.answers = [Page(posts=(), cursor=f"c{MAX_PAGES - 1}", more=True)] * 5
    await listening.poller.poll("mentions")
    assert len(listening.feed.asked) == MAX_PAGES + 1, "the same cursor again is no progress"


async def test_a_rate_limit_stops_only_that_source_and_outlives_a_restart(listening: Listening) -> None:
    listening.feed.answers = [RateLimited("slow down", until=NOON + timedelta(minutes=15))]
    await listening.poller.poll("mentions")
    assert listening.health.status == "limited"
    other = Listening(listening.store, Feed(), name="reddit")
    await other.poller.poll("mentions")
    assert len(other.feed.asked) == 1
    again = Listening(listening.store, Feed(), holder="me", now=NOON + timedelta(minutes=14, seconds=59))
    listening.store.write_now(sources.configure, {"x": ("x", "x"), "reddit": ("reddit", "reddit")})
    await again.poller.poll("mentions")
    assert again.feed.asked == [], "no request before the network allows one"
    again.wait(seconds=2)
    await again.poller.poll("mentions")
    assert len(again.feed.asked) == 1


async def test_trouble_is_said_once_and_so_is_its_end(listening: Listening) -> None:
    listening.feed.answers = [Unavailable("503")] * 4
    with capture_logs() as logs:
        for _ in range(6):
            await listening.poller.poll("mentions")
            listening.wait(hours=1)
    said = [entry["event"] for entry in logs if entry["event"].startswith("source.")]
    assert said == ["source.failing", "source.recovered"]
    assert listening.health.failures == 0


async def test_each_failure_doubles_the_pause(listening: Listening) -> None:
    listening.feed.answers = [Unavailable("503")] * 10
    pauses = []
    for _ in range(6):
        await listening.poller.poll("mentions")
        until = listening.health.blocked_until
        pauses.append((until - listening.now).total_seconds() if until else 0)
        listening.now = until or listening.now
        listening.wait(seconds=1)
    assert pauses == [60, 120, 240, 480, 900, 900]


async def test_refused_credentials_stop_the_source_until_a_restart(listening: Listening) -> None:
    listening.feed.answers = [AuthFailed("token")] * 9
    for _ in range(5):
        await listening.poller.poll("mentions")
        listening.wait(days=1)
    assert len(listening.feed.asked) == 2
    assert listening.health.status == "refused"
    listening.store.write_now(sources.configure, {"x": ("x", "x")})
    listening.feed.answers = []
    listening.wait(days=1)
    await listening.poller.poll("mentions")
    assert listening.health.status == "ok"


async def test_two_processes_do_not_poll_the_same_stream(listening: Listening) -> None:
    other = Listening(listening.store, Feed(), holder="somebody else")
    await listening.poller.poll("mentions")
    await other.poller.poll("mentions")
    assert other.feed.asked == []
    other.wait(minutes=10)
    await other.poller.poll("mentions")
    assert len(other.feed.asked) == 1, "a lease of the dead lapses"


async def test_kept_posts_are_looked_up_again_and_deletions_followed(listening: Listening) -> None:
    listening.feed.answers = [Page(posts=[make_post(1), make_post(2)], cursor="c")]
    await listening.poller.poll("mentions")
    listening.feed.gone = {"1": None, "2": make_post(2)}
    await listening.poller.recheck(older_than=timedelta(hours=20))
    listening.wait(hours=21)
    await listening.poller.recheck(older_than=timedelta(hours=20))
    kept = listening.store.read_now(posts.select_kept)
    assert [(each.post.id, each.deleted) for each in kept] == [("1", True), ("2", False)]


async def test_one_refusal_in_the_middle_of_an_outage_does_not_stop_the_source(listening: Listening) -> None:
    """Only refusals count as refusals: what an outage does to a proxy's answers is no lock of the account."""
    listening.feed.answers = [Unavailable("down"), Unavailable("down"), AuthFailed("401 from a proxy")]
    for _ in range(3):
        await listening.poller.poll("mentions")
        listening.wait(minutes=20)
    assert listening.health.status == "refused"
    await listening.poller.poll("mentions")
    assert listening.health.status == "ok"


async def test_a_limit_until_the_year_9999_is_no_limit_for_ever(listening: Listening) -> None:
    listening.feed.answers = [RateLimited("slow", until=NOON.replace(year=9999))]
    await listening.poller.poll("mentions")
    listening.wait(hours=25)
    await listening.poller.poll("mentions")
    assert listening.health.status == "ok"
