"""The promise of connectors/protocol.py, as tests that every channel inherits.

A channel's test gives its fake network and a few hooks; the laws are here. ``ListenerContract`` is for channels that
only listen, ``ConnectorContract`` for those that speak too. The network runs in a thread of its own, so that a
connector that blocks the event loop fails a test instead of hanging it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic

import pytest
import structlog

from connectors.errors import (
    AmbiguousWrite,
    AuthFailed,
    ConnectorError,
    Held,
    RateLimited,
    Rejected,
    Unavailable,
)
from connectors.post import Author, Post, Reply
from connectors.protocol import Connector, Cursor, Page, Replier, Retractor, SendClass
from tests.networks.clock import HandClock
from tests.networks.faults import AnyNetwork, Entry, Trouble, serve_in_thread

TEXT = "Where is my parcel? zebra-7781"
ANSWER = "It left our house today, sorry for the wait. otter-4410"
UNICODE_ANSWER = "Grüße, žluťoučký kůň 👩‍👩‍👧‍👦 مرحبا 東京 e\u0301"
CLIENT_TROUBLE = [
    (Trouble.HTML_503, Unavailable),
    (Trouble.WRONG_TYPE, Unavailable),
    (Trouble.TRUNCATED, Unavailable),
    (Trouble.CUT, Unavailable),
    (Trouble.OTHER_SHAPE, Unavailable),
    (Trouble.RESET, Unavailable),
    (Trouble.RATE_LIMITED_WITHOUT_RESET, RateLimited),
    (Trouble.UNAUTHORIZED, AuthFailed),
    (Trouble.FORBIDDEN, AuthFailed),
]
MAYBE_PUBLIC = [
    Trouble.ACCEPTED_THEN_TIMEOUT,
    Trouble.ACCEPTED_THEN_500,
    Trouble.ACCEPTED_THEN_RESET,
    Trouble.ACCEPTED_THEN_NONSENSE,
]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


async def walk(connector: Connector, stream: str, cursor: Cursor | None) -> tuple[list[Page], Cursor]:
    """Return every page from *cursor* until nothing more waits, and the last cursor."""
    pages: list[Page] = []
    for _ in range(100):
        page = await connector.fetch(stream, cursor)
        pages.append(page)
        cursor = page.cursor
        if not page.more:
            return pages, cursor
    raise AssertionError("the connector says for ever that more waits")


def ids(pages: Sequence[Page]) -> list[str]:
    return [post.id for page in pages for post in page.posts]


class ListenerContract(Generic[AnyNetwork]):
    """What listening promises.

    stream: where ``seed`` puts posts. page_limit: items in one answer of the fake. burst: posts that make a cursor walk
    over several pages. secrets: tokens and handles that must never be logged. short_s: the time-out in hanging tests.
    """

    stream: ClassVar[str] = "mentions"
    page_limit: ClassVar[int] = 10
    burst: ClassVar[int] = 25
    secrets: ClassVar[tuple[str, ...]] = ()
    short_s: ClassVar[float] = 1.0

    # Hooks

    def make_network(self, clock: HandClock) -> AnyNetwork:
        raise NotImplementedError

    def make_connector(self, network: AnyNetwork, clock: HandClock, **settings: Any) -> Connector:
        """Return a connector on *network*; *settings* override SourceSettings by name."""
        raise NotImplementedError

    def seed(self, network: AnyNetwork, *, at: datetime, text: str) -> str:
        """Let a customer address us in ``stream`` with *text* in the post; return its id. Call before or after *at*."""
        raise NotImplementedError

    def seed_thread(self, network: AnyNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        """Let customers talk, each post a reply to the one before, the last in ``stream``; return ids, root first."""
        raise NotImplementedError

    def seed_own(self, network: AnyNetwork, *, at: datetime, text: str) -> str:
        """Let our own account post *text*; return its id."""
        raise NotImplementedError

    def seed_bad(self, network: AnyNetwork, *, at: datetime) -> None:
        """Put an item nobody can read into ``stream``."""
        raise NotImplementedError

    def edit(self, network: AnyNetwork, post_id: str, text: str) -> None:
        raise NotImplementedError

    def delete(self, network: AnyNetwork, post_id: str) -> None:
        raise NotImplementedError

    # Fixtures

    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def network(self, clock: HandClock) -> Iterator[AnyNetwork]:
        network = self.make_network(clock)
        network.page_limit = self.page_limit
        with serve_in_thread(network):
            yield network

    @pytest.fixture
    async def connector(self, network: AnyNetwork, clock: HandClock) -> AsyncIterator[Connector]:
        async with self.make_connector(network, clock) as connector:
            yield connector

    @pytest.fixture
    async def hasty(self, network: AnyNetwork, clock: HandClock) -> AsyncIterator[Connector]:
        """A connector that gives up soon."""
        async with AsyncExitStack() as stack:
            connector = await stack.enter_async_context(self.make_connector(network, clock, timeout_s=self.short_s))
            stack.callback(network.release)
            yield connector

    async def post_of(self, connector: Connector, post_id: str) -> Post:
        post = (await connector.still_there([post_id]))[post_id]
        assert post is not None
        return post

    # The laws of listening

    async def test_entering_asks_the_network_nothing_and_closing_twice_is_harmless(
        self, network: AnyNetwork, clock: HandClock
    ) -> None:
        connector = self.make_connector(network, clock)
        async with connector:
            assert connector.streams()
        await connector.__aexit__(None, None, None)
        assert network.requests == []

    async def test_a_first_visit_is_bounded_by_the_lookback(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        self.seed(network, at=clock.now - minutes(60 * 48), text=TEXT)
        recent = self.seed(network, at=clock.now - minutes(60), text=TEXT)
        pages, _ = await walk(connector, self.stream, None)
        assert ids(pages) == [recent]

    async def test_a_post_arrives_as_a_person_reads_it(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        at = clock.now - minutes(5)
        post_id = self.seed(network, at=at, text="Ampersand & <b>tags</b> stay text, Grüße 👩‍👩‍👧‍👦")
        (post,) = (await connector.fetch(self.stream, None)).posts
        assert (post.id, post.channel) == (post_id, connector.channel)
        assert "Ampersand & <b>tags</b> stay text, Grüße 👩‍👩‍👧‍👦" in post.text
        assert abs(post.created_at - at) < timedelta(seconds=1)
        assert post.created_at.tzinfo is not None
        assert post.addressed
        assert not post.is_own
        assert isinstance(post.author, Author)
        assert post.author.id

    async def test_posts_come_oldest_first(self, connector: Connector, network: AnyNetwork, clock: HandClock) -> None:
        expected = [self.seed(network, at=clock.now - minutes(9 - age), text=f"{TEXT} {age}") for age in range(5)]
        page = await connector.fetch(self.stream, None)
        assert [post.id for post in page.posts] == expected

    async def test_same_cursor_same_page_until_there_is_news(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        self.seed(network, at=clock.now - minutes(30), text=TEXT)
        _, cursor = await walk(connector, self.stream, None)
        clock.advance(minutes=5)
        self.seed(network, at=clock.now - minutes(1), text=f"{TEXT} again")
        one = await connector.fetch(self.stream, cursor)
        two = await connector.fetch(self.stream, cursor)
        assert (one.posts, one.cursor, one.more) == (two.posts, two.cursor, two.more)
        assert one.posts

    async def test_a_cursor_resumes_without_loss_in_another_connector(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        before = self.seed(network, at=clock.now - minutes(30), text=TEXT)
        pages, cursor = await walk(connector, self.stream, None)
        assert before in ids(pages)
        clock.advance(minutes=40)
        after = [self.seed(network, at=clock.now - minutes(9 - n), text=f"{TEXT} {n}") for n in range(4)]
        async with self.make_connector(network, clock) as other:
            pages, _ = await walk(other, self.stream, cursor)
        assert [each for each in ids(pages) if each != before] == after

    async def test_an_empty_look_keeps_what_comes_later(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        _, cursor = await walk(connector, self.stream, None)
        clock.advance(minutes=3)
        _, cursor = await walk(connector, self.stream, cursor)
        clock.advance(minutes=3)
        post_id = self.seed(network, at=clock.now - minutes(1), text=TEXT)
        pages, _ = await walk(connector, self.stream, cursor)
        assert ids(pages) == [post_id]

    async def test_a_post_that_surfaces_ten_minutes_late_is_found(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        self.seed(network, at=clock.now, text=TEXT)
        _, cursor = await walk(connector, self.stream, None)
        late = self.seed(network, at=clock.now - minutes(10), text=f"{TEXT} late")
        clock.advance(minutes=1)
        pages, _ = await walk(connector, self.stream, cursor)
        assert late in ids(pages)

    async def test_a_burst_of_several_pages_is_walked_without_loss(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        first = self.seed(network, at=clock.now - minutes(1), text=TEXT)
        _, cursor = await walk(connector, self.stream, None)
        clock.advance(minutes=60)
        start = clock.now - minutes(20)
        burst = [self.seed(network, at=start + timedelta(seconds=4 * n), text=f"{TEXT} {n}") for n in range(self.burst)]
        network.requests.clear()
        pages, cursor = await walk(connector, self.stream, cursor)
        assert [each for each in ids(pages) if each != first] == burst
        assert len(network.requests) > 1, "the burst did not span pages: raise `burst`"
        for page in pages:
            assert [post.created_at for post in page.posts] == sorted(post.created_at for post in page.posts)
        clock.advance(minutes=60)
        last = self.seed(network, at=clock.now - minutes(1), text=f"{TEXT} last")
        pages, _ = await walk(connector, self.stream, cursor)
        assert last in ids(pages)

    async def test_a_bad_item_is_set_aside_and_its_page_mates_stay(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        one = self.seed(network, at=clock.now - minutes(3), text=f"{TEXT} 1")
        self.seed_bad(network, at=clock.now - minutes(2))
        two = self.seed(network, at=clock.now - minutes(1), text=f"{TEXT} 2")
        pages, _ = await walk(connector, self.stream, None)
        assert ids(pages) == [one, two]
        bad = [item for page in pages for item in page.bad]
        assert len(bad) == 1
        assert bad[0].reason
        assert 0 < len(bad[0].raw) <= 65_536

    async def test_a_rate_limit_says_until_when(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        until = clock.now + minutes(10)
        network.fail_reads(Trouble.RATE_LIMITED_WITH_RESET, until=until)
        with pytest.raises(RateLimited) as caught:
            await connector.fetch(self.stream, None)
        assert caught.value.until is not None
        assert caught.value.until.utcoffset() == timedelta(0)
        assert abs(caught.value.until - until) < timedelta(seconds=2)

    async def test_a_rate_limit_without_a_reset_says_so(self, connector: Connector, network: AnyNetwork) -> None:
        network.fail_reads(Trouble.RATE_LIMITED_WITHOUT_RESET)
        with pytest.raises(RateLimited) as caught:
            await connector.fetch(self.stream, None)
        assert caught.value.until is None

    @pytest.mark.parametrize(("trouble", "expected"), CLIENT_TROUBLE)
    async def test_trouble_becomes_one_of_our_errors_and_passes(
        self,
        connector: Connector,
        network: AnyNetwork,
        clock: HandClock,
        trouble: Trouble,
        expected: type[ConnectorError],
    ) -> None:
        post_id = self.seed(network, at=clock.now - minutes(1), text=TEXT)
        network.fail_reads(trouble)
        with pytest.raises(ConnectorError) as caught:
            await connector.fetch(self.stream, None)
        assert type(caught.value) is expected
        network.heal()
        assert ids([await connector.fetch(self.stream, None)]) == [post_id]

    @pytest.mark.parametrize(("trouble", "expected"), CLIENT_TROUBLE)
    async def test_every_question_fails_in_our_words(
        self,
        connector: Connector,
        network: AnyNetwork,
        clock: HandClock,
        trouble: Trouble,
        expected: type[ConnectorError],
    ) -> None:
        """Nonsense never reads as "gone": that would delete what we keep."""
        *_, leaf = self.seed_thread(network, at=clock.now - minutes(5), texts=[f"{TEXT} {n}" for n in range(3)])
        post = await self.post_of(connector, leaf)
        network.fail_reads(trouble)
        with pytest.raises(expected):
            await connector.still_there([leaf])
        if connector.capabilities.thread:
            with pytest.raises(expected):
                await connector.thread(post)
        if isinstance(connector, Replier):
            reply = Reply(key="k1", target=post, text=ANSWER, created_at=clock.now)
            with pytest.raises(expected):
                await connector.find(reply)

    async def test_a_hanging_network_is_unavailable_and_blocks_nobody(
        self, hasty: Connector, network: AnyNetwork
    ) -> None:
        network.fail_reads(Trouble.HANG)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(self.short_s / 50)
                ticks += 1

        ticker = asyncio.create_task(tick())
        try:
            with pytest.raises(Unavailable):
                await hasty.fetch(self.stream, None)
        finally:
            ticker.cancel()
        assert ticks >= 10

    async def test_a_refused_connection_is_unavailable(self, connector: Connector, network: AnyNetwork) -> None:
        await asyncio.to_thread(network.stop)
        with pytest.raises(Unavailable):
            await connector.fetch(self.stream, None)

    async def test_cancelling_stops_within_a_second(self, connector: Connector, network: AnyNetwork) -> None:
        network.fail_reads(Trouble.HANG)
        task = asyncio.create_task(connector.fetch(self.stream, None))
        await network.arrived()
        started = time.monotonic()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        try:
            assert task.cancelled()
            assert time.monotonic() - started < 1
        finally:
            network.release()

    async def test_still_there_shows_edits_and_deletions(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        kept, edited, gone = (self.seed(network, at=clock.now - minutes(9 - n), text=f"{TEXT} {n}") for n in range(3))
        before = await connector.still_there([kept, edited, gone])
        assert [post is not None for post in before.values()] == [True] * 3
        capabilities = connector.capabilities
        if capabilities.edits:
            self.edit(network, edited, "Found it, thanks")
        if capabilities.deletions:
            self.delete(network, gone)
        after = await connector.still_there([kept, edited, gone])
        assert set(after) == {kept, edited, gone}
        assert after[kept] == before[kept]
        if capabilities.deletions:
            assert after[gone] is None
        if capabilities.edits:
            old, new = before[edited], after[edited]
            assert old is not None
            assert new is not None
            assert "Found it, thanks" in new.text
            assert new.revision != old.revision

    async def test_still_there_asks_nothing_for_nothing(self, connector: Connector, network: AnyNetwork) -> None:
        assert dict(await connector.still_there([])) == {}
        assert network.requests == []

    async def test_a_thread_returns_its_parents_root_first(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        chain = self.seed_thread(network, at=clock.now - minutes(9), texts=[f"{TEXT} {n}" for n in range(4)])
        post = await self.post_of(connector, chain[-1])
        above = [post.id for post in await connector.thread(post)]
        assert above == (chain[:-1] if connector.capabilities.thread else [])

    async def test_a_thread_leaves_out_what_is_gone(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        root, middle, parent, leaf = self.seed_thread(
            network, at=clock.now - minutes(9), texts=[f"{TEXT} {n}" for n in range(4)]
        )
        post = await self.post_of(connector, leaf)
        if connector.capabilities.deletions:
            self.delete(network, middle)
            above = [post.id for post in await connector.thread(post)]
            assert middle not in above
            assert above == [each for each in (root, parent) if each in above]
            if connector.capabilities.thread:
                assert parent in above

    async def test_our_own_posts_are_told_apart(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        own = self.seed_own(network, at=clock.now - minutes(2), text="We are looking into it")
        theirs = self.seed(network, at=clock.now - minutes(1), text=TEXT)
        assert (await self.post_of(connector, own)).is_own
        assert not (await self.post_of(connector, theirs)).is_own
        for page in (await walk(connector, self.stream, None))[0]:
            assert all(post.is_own == (post.id == own) for post in page.posts)

    async def test_identity_is_asked_once(self, connector: Connector, network: AnyNetwork) -> None:
        one = await connector.identity()
        count = len(network.requests)
        assert await connector.identity() == one
        assert len(network.requests) == count
        assert one.channel == connector.channel
        assert one.id

    async def test_nothing_secret_is_logged(
        self,
        hasty: Connector,
        network: AnyNetwork,
        clock: HandClock,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """No token, handle or text at any level: not in events, not in the vendor's own debug log, not in errors."""
        caplog.set_level(logging.DEBUG)
        said: list[str] = []
        with structlog.testing.capture_logs() as events:
            post_id = self.seed(network, at=clock.now - minutes(1), text=TEXT)
            self.seed_bad(network, at=clock.now - minutes(1))
            await hasty.fetch(self.stream, None)
            post = await self.post_of(hasty, post_id)
            await hasty.thread(post)
            if isinstance(hasty, Replier):
                reply = Reply(key="k1", target=post, text=ANSWER, created_at=clock.now)
                await hasty.send(reply)
                await hasty.find(reply)
                for trouble in (Trouble.ACCEPTED_THEN_500, Trouble.REJECTED, Trouble.UNAUTHORIZED):
                    network.fail_writes(trouble)
                    with pytest.raises(ConnectorError) as caught:
                        await hasty.send(Reply(key="k2", target=post, text=f"{ANSWER} {trouble}", created_at=clock.now))
                    said.append(str(caught.value))
            for trouble in (*(trouble for trouble, _ in CLIENT_TROUBLE), Trouble.HANG):
                network.fail_reads(trouble)
                with pytest.raises(ConnectorError) as caught:
                    await hasty.fetch(self.stream, None)
                said.append(str(caught.value))
                network.release()
                network.heal()
        captured = capfd.readouterr()
        heard = "\n".join([*said, *map(str, events), caplog.text, captured.out, captured.err])
        assert all(said), "an error says nothing"
        for secret in (*self.secrets, "zebra-7781", "otter-4410"):
            assert secret not in heard


class ConnectorContract(ListenerContract[AnyNetwork]):
    """What listening and speaking promise."""

    def entries(self, network: AnyNetwork) -> list[Entry]:
        """Return the ledger."""
        return list(network.ledger)

    def longest(self, connector: Connector, post: Post) -> int:
        """Return how many letters "a" fit into a reply to *post*."""
        length = connector.capabilities.length
        assert length is not None
        return length.limit - length.reserve

    def speaker(self, connector: Connector) -> Replier:
        assert isinstance(connector, Replier)
        return connector

    def retractor(self, connector: Connector) -> Retractor:
        assert isinstance(connector, Retractor)
        return connector

    async def reply_to_a_customer(
        self, connector: Connector, network: AnyNetwork, clock: HandClock, *, text: str = ANSWER
    ) -> Reply:
        post_id = self.seed(network, at=clock.now - minutes(5), text=TEXT)
        post = await self.post_of(connector, post_id)
        return Reply(key="0192d3c1-key-1", target=post, text=text, created_at=clock.now)

    async def test_a_channel_that_speaks_says_how_it_settles_doubt(self, connector: Connector) -> None:
        assert connector.capabilities.send_class is not SendClass.LISTEN_ONLY
        assert connector.capabilities.length is not None

    async def test_send_lands_exactly_once_with_one_request(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        sent = await self.speaker(connector).send(reply)
        (entry,) = self.entries(network)
        assert reply.text in entry.text
        assert entry.parent == reply.target.id
        assert sent.id == entry.id
        assert len(network.writes_seen()) == 1

    async def test_a_reply_arrives_letter_for_letter(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock, text=UNICODE_ANSWER)
        assert self.speaker(connector).overrun(reply.target, reply.text) == 0
        await self.speaker(connector).send(reply)
        assert UNICODE_ANSWER in self.entries(network)[0].text
        assert await self.speaker(connector).find(reply) is not None

    async def test_a_sent_reply_is_there_and_ours(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        sent = await self.speaker(connector).send(reply)
        post = await self.post_of(connector, sent.id)
        assert post.is_own
        assert post.parent_id == reply.target.id

    @pytest.mark.parametrize("trouble", MAYBE_PUBLIC)
    async def test_an_unknown_outcome_is_ambiguous_and_found_afterwards(
        self, hasty: Connector, network: AnyNetwork, clock: HandClock, trouble: Trouble
    ) -> None:
        """One request, one line in the ledger, AmbiguousWrite; then ``find`` sees it."""
        reply = await self.reply_to_a_customer(hasty, network, clock)
        network.fail_writes(trouble)
        with pytest.raises(AmbiguousWrite):
            await self.speaker(hasty).send(reply)
        network.heal()
        network.release()
        (entry,) = self.entries(network)
        assert len(network.writes_seen()) == 1
        found = await self.speaker(hasty).find(reply)
        assert found is not None
        assert found.id == entry.id

    @pytest.mark.parametrize("trouble", [Trouble.HTML_503, Trouble.RESET, Trouble.HANG])
    async def test_an_unknown_outcome_is_ambiguous_even_when_nothing_was_said(
        self, hasty: Connector, network: AnyNetwork, clock: HandClock, trouble: Trouble
    ) -> None:
        reply = await self.reply_to_a_customer(hasty, network, clock)
        network.fail_writes(trouble)
        with pytest.raises(AmbiguousWrite):
            await self.speaker(hasty).send(reply)
        network.heal()
        network.release()
        assert self.entries(network) == []
        assert len(network.writes_seen()) == 1
        assert await self.speaker(hasty).find(reply) is None

    async def test_find_returns_none_for_what_was_never_said(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        """Ours, under that parent, with that text: three near misses are none."""
        target, _ = self.seed_thread(network, at=clock.now - minutes(9), texts=[TEXT, ANSWER])
        elsewhere = self.seed(network, at=clock.now - minutes(8), text=TEXT)
        speaker = self.speaker(connector)
        here, there = [await self.post_of(connector, each) for each in (target, elsewhere)]
        await speaker.send(Reply(key="k1", target=there, text=ANSWER, created_at=clock.now))
        await speaker.send(Reply(key="k2", target=here, text=f"{ANSWER} more", created_at=clock.now))
        assert await speaker.find(Reply(key="k3", target=here, text=ANSWER, created_at=clock.now)) is None

    async def test_a_no_for_good_is_rejected(self, connector: Connector, network: AnyNetwork, clock: HandClock) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        network.fail_writes(Trouble.REJECTED)
        with pytest.raises(Rejected):
            await self.speaker(connector).send(reply)
        assert self.entries(network) == []
        assert len(network.writes_seen()) == 1

    async def test_refused_credentials_stop_a_write(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        network.fail_writes(Trouble.UNAUTHORIZED)
        with pytest.raises(AuthFailed):
            await self.speaker(connector).send(reply)
        assert self.entries(network) == []

    async def test_a_limited_write_waits_and_is_not_said(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        until = clock.now + minutes(3)
        network.fail_writes(Trouble.RATE_LIMITED_WITH_RESET, until=until)
        network.fail_writes(Trouble.RATE_LIMITED_WITHOUT_RESET)
        speaker = self.speaker(connector)
        with pytest.raises(RateLimited) as caught:
            await speaker.send(reply)
        assert caught.value.until is not None
        assert abs(caught.value.until - until) < timedelta(seconds=2)
        with pytest.raises(RateLimited) as caught:
            await speaker.send(reply)
        assert caught.value.until is None
        assert self.entries(network) == []
        await speaker.send(reply)
        assert len(self.entries(network)) == 1

    async def test_a_write_to_a_closed_door_was_surely_not_taken(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        await asyncio.to_thread(network.stop)
        with pytest.raises(Unavailable):
            await self.speaker(connector).send(reply)
        assert self.entries(network) == []

    async def test_a_hanging_write_blocks_nobody_and_can_be_cancelled(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        network.fail_writes(Trouble.HANG)
        task = asyncio.create_task(self.speaker(connector).send(reply))
        await asyncio.to_thread(network.wait_for, lambda network: len(network.writes_seen()) == 1)
        started = time.monotonic()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        try:
            assert task.cancelled()
            assert time.monotonic() - started < 1
        finally:
            network.release()

    async def test_the_gate_is_asked_once_and_lets_pass(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        seen: list[int] = []
        await self.speaker(connector).send(reply, gate=lambda: seen.append(len(network.writes_seen())))
        assert seen == [0], "the gate is asked before the network has seen a byte, and then not again"
        assert len(self.entries(network)) == 1

    async def test_what_the_gate_keeps_back_never_leaves(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        def closed() -> None:
            raise Held("a brake stands")

        reply = await self.reply_to_a_customer(connector, network, clock)
        with pytest.raises(Held):
            await self.speaker(connector).send(reply, gate=closed)
        assert network.writes_seen() == []
        await self.speaker(connector).send(reply)
        assert len(self.entries(network)) == 1, "the line is as good as before"

    async def test_the_gate_is_asked_when_it_is_this_ones_turn(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        """Behind a write that hangs another one waits, or goes beside it; either way it asks at its own first byte."""
        reply = await self.reply_to_a_customer(connector, network, clock)
        other = replace(reply, key="0192d3c1-key-2", text=f"{ANSWER} 2")
        is_closed = False

        def gate() -> None:
            if is_closed:
                raise Held("a brake stands")

        network.fail_writes(Trouble.HANG)
        first = asyncio.create_task(self.speaker(connector).send(reply, gate=gate))
        await asyncio.to_thread(network.wait_for, lambda network: len(network.writes_seen()) == 1)
        is_closed = True
        second = asyncio.create_task(self.speaker(connector).send(other, gate=gate))
        await asyncio.wait([second], timeout=0.3)
        network.release()
        done = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(each) for each in done] == [AmbiguousWrite, Held]
        assert len(network.writes_seen()) == 1

    async def test_what_we_said_can_be_taken_back_and_again_is_harmless(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        retractor = self.retractor(connector)
        reply = await self.reply_to_a_customer(connector, network, clock)
        sent = await self.speaker(connector).send(reply)
        before = len(network.writes_seen())
        await retractor.retract(sent.id)
        assert len(network.writes_seen()) == before + 1
        assert (await connector.still_there([sent.id]))[sent.id] is None
        await retractor.retract(sent.id)
        assert (await connector.still_there([reply.target.id]))[reply.target.id] is not None, "only ours went"

    async def test_what_others_said_stays(self, connector: Connector, network: AnyNetwork, clock: HandClock) -> None:
        retractor = self.retractor(connector)
        theirs = self.seed(network, at=clock.now - minutes(5), text=TEXT)
        with suppress(Rejected, AmbiguousWrite, AuthFailed):
            await retractor.retract(theirs)
        assert (await connector.still_there([theirs]))[theirs] is not None

    @pytest.mark.parametrize("trouble", MAYBE_PUBLIC)
    async def test_a_deletion_in_doubt_is_ambiguous_and_may_be_repeated(
        self, hasty: Connector, network: AnyNetwork, clock: HandClock, trouble: Trouble
    ) -> None:
        retractor = self.retractor(hasty)
        reply = await self.reply_to_a_customer(hasty, network, clock)
        sent = await self.speaker(hasty).send(reply)
        network.fail_writes(trouble)
        # Where no word of the answer is needed there is no doubt; after a reset a library may ask again by itself.
        if trouble in (Trouble.ACCEPTED_THEN_NONSENSE, Trouble.ACCEPTED_THEN_RESET):
            with suppress(AmbiguousWrite):
                await retractor.retract(sent.id)
        else:
            with pytest.raises(AmbiguousWrite):
                await retractor.retract(sent.id)
        network.heal()
        network.release()
        assert (await hasty.still_there([sent.id]))[sent.id] is None
        await retractor.retract(sent.id)

    async def test_a_limited_deletion_says_until_when(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        retractor = self.retractor(connector)
        reply = await self.reply_to_a_customer(connector, network, clock)
        sent = await self.speaker(connector).send(reply)
        until = clock.now + minutes(3)
        network.fail_writes(Trouble.RATE_LIMITED_WITH_RESET, until=until)
        with pytest.raises(RateLimited) as caught:
            await retractor.retract(sent.id)
        assert caught.value.until is not None
        assert abs(caught.value.until - until) < timedelta(seconds=2)
        assert (await connector.still_there([sent.id]))[sent.id] is not None

    async def test_length_is_counted_as_the_network_counts(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        speaker, room = self.speaker(connector), self.longest(connector, reply.target)
        assert speaker.overrun(reply.target, "a" * room) == 0
        assert speaker.overrun(reply.target, "a" * (room + 1)) == 1
        assert speaker.overrun(reply.target, "a" * (room + 50)) == 50
        assert speaker.overrun(reply.target, "") == 0
        emoji = [speaker.overrun(reply.target, "👩‍👩‍👧‍👦" * n) for n in (1, room // 11, room * 2)]
        assert emoji[0] == 0
        assert emoji == sorted(emoji)
        assert emoji[2] > 0

    async def test_a_customer_who_addressed_us_may_be_answered(
        self, connector: Connector, network: AnyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(connector, network, clock)
        assert self.speaker(connector).may_reply(reply.target) is None
