"""The scripted day on Mastodon, lived through with the connector alone: nobody unheard, nobody answered twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import pytest

from connectors.channels.mastodon import MastodonConnector
from connectors.errors import AmbiguousWrite, RateLimited, Unavailable
from connectors.post import Post, Reply
from tests.connectors.test_mastodon import Rig
from tests.networks.clock import NOON, HandClock
from tests.networks.faults import serve_in_thread
from tests.networks.mastodon import Idempotency, MastodonNetwork
from tests.networks.mastodon_day import Day, plan_day

LENGTH = timedelta(hours=8)
T = TypeVar("T")


@dataclass
class Caller:
    """The least that a caller must do: wait when told, look before a second try."""

    connector: MastodonConnector
    network: MastodonNetwork
    clock: HandClock

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer."""
        while True:
            try:
                return await question()
            except RateLimited as limit:
                self.clock.now = max(
                    self.clock.now + timedelta(seconds=1), limit.until or self.clock.now + timedelta(seconds=30)
                )
            except Unavailable:
                self.clock.advance(seconds=15)

    async def listen(self, until: timedelta) -> dict[str, Post]:
        heard: dict[str, Post] = {}
        cursor: str | None = None
        while self.clock.now < NOON + until:
            page = await self.ask(lambda cursor=cursor: self.connector.fetch("mentions", cursor))  # type: ignore[misc]
            cursor = page.cursor
            heard |= {post.id: post for post in page.posts}
            if not page.more:
                self.clock.advance(minutes=4)
        return heard

    async def say(self, reply: Reply) -> None:
        while True:
            try:
                await self.ask(lambda: self.connector.send(reply))
            except AmbiguousWrite:
                self.network.release()
                self.clock.now += self.connector.capabilities.settle_after
                if await self.ask(lambda: self.connector.find(reply)) is not None:
                    return
            else:
                return


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network(clock: HandClock) -> Iterator[MastodonNetwork]:
    with serve_in_thread(MastodonNetwork(clock=clock, lag=timedelta(seconds=40))) as network:
        yield network


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("idempotency", Idempotency)
async def test_a_day_of_bursts_lateness_and_bad_weather_loses_nothing_and_says_nothing_twice(
    network: MastodonNetwork, clock: HandClock, idempotency: Idempotency
) -> None:
    count = 1_000 if idempotency is Idempotency.HONEST else 200
    network.idempotency = idempotency
    day = Day(network, plan_day(start=NOON, length=LENGTH, count=count, write_every=9 if count < 1_000 else 30))
    async with Rig().make_connector(network, clock, timeout_s=0.5) as connector:
        caller = Caller(connector, network, clock)
        heard = await caller.listen(LENGTH + timedelta(minutes=30))
        for post in heard.values():
            text = f"Thank you, we are looking into it. 📦 See https://lantern.example/{'returns/' * 30}{post.id}"
            assert connector.overrun(post, text) == 0
            await caller.say(Reply(key=post.key, target=post, text=text, created_at=clock.now))
    verdict = day.verdict(heard)
    assert verdict.is_clean, verdict
    assert len(network.ledger) == count
    assert set(day.met) == {*day.READ_TROUBLE, *day.WRITE_TROUBLE}


def test_a_verdict_names_what_went_wrong(network: MastodonNetwork, clock: HandClock) -> None:
    day = Day(network, plan_day(start=NOON, length=LENGTH, count=3))
    first, second, third = day.ids
    own = [network.post("x", at=clock.now, by="lantern_books") for _ in range(3)]
    for new, parent in zip(own, (first, first, "17"), strict=True):
        network.accept("/", new_id=new, text="a" * 501 if parent == "17" else "a", parent=parent)
    verdict = day.verdict([first, second])
    assert not verdict.is_clean
    assert verdict.lost == [third]
    assert verdict.unanswered == sorted([second, third])
    assert verdict.said_twice == [first]
    assert verdict.said_to_nobody == ["17"]
    assert verdict.too_long == [own[2]]
    assert verdict.too_loud == sorted(own[:2])
