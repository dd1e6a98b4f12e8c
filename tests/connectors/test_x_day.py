"""The scripted day, lived through with the X connector alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest

from connectors.channels.x import XConnector
from connectors.errors import AmbiguousWrite, RateLimited, Unavailable
from connectors.post import Post, Reply
from tests.connectors.test_x import connect
from tests.networks.clock import NOON, HandClock
from tests.networks.faults import serve_in_thread
from tests.networks.x import XNetwork
from tests.networks.x_day import Day, plan_day

LENGTH = timedelta(hours=8)
Answer = TypeVar("Answer")


@pytest.fixture
def clock() -> HandClock:
    return HandClock(now=NOON)


@pytest.fixture
def network(clock: HandClock) -> Iterator[XNetwork]:
    with serve_in_thread(XNetwork(clock=clock, lag=timedelta(seconds=40), page_limit=50)) as network:
        yield network


class Desk:
    """What a poller and an outbox do around a connector, in its shortest form, on a hand clock."""

    def __init__(self, connector: XConnector, network: XNetwork, clock: HandClock) -> None:
        self.connector, self.network, self.clock = connector, network, clock
        self.heard: dict[str, Post] = {}

    async def patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer: wait when told to, try again when it failed."""
        while True:
            try:
                return await ask()
            except RateLimited as limit:
                pause = self.clock.now + timedelta(seconds=20)
                self.clock.now = max(self.clock.now + timedelta(seconds=1), limit.until or pause)
            except Unavailable:
                self.clock.advance(seconds=10)

    async def live(self, until: datetime) -> None:
        """Poll every minute and thank each one who is new."""
        cursor: str | None = None
        while self.clock.now < until:
            page = await self.patiently(partial(self.connector.fetch, "mentions", cursor))
            cursor = page.cursor
            fresh = [post for post in page.posts if post.id not in self.heard]
            self.heard |= {post.id: post for post in fresh}
            for post in fresh:
                text = f"Thank you, we are looking into {post.id}. 📦 "
                await self.say(Reply(key=post.id, target=post, text=text, created_at=self.clock.now))
            if not page.more:
                self.clock.advance(minutes=1)

    async def say(self, reply: Reply) -> None:
        """Say it; after a doubt look first, and say it again only when it is not there."""
        while True:
            try:
                await self.patiently(partial(self.connector.send, reply))
            except AmbiguousWrite:
                self.network.release()
                self.clock.now += self.connector.capabilities.settle_after
                if await self.patiently(partial(self.connector.find, reply)) is not None:
                    return
            else:
                return


@pytest.mark.slow
async def test_a_day_of_bursts_lateness_and_bad_weather_loses_nothing_and_says_nothing_twice(
    network: XNetwork, clock: HandClock
) -> None:
    day = Day(network, plan_day(start=NOON, length=LENGTH, write_every=20))
    async with connect(network, clock, timeout_s=0.5) as connector:
        desk = Desk(connector, network, clock)
        await desk.live(NOON + LENGTH + timedelta(minutes=30))
    verdict = day.verdict(desk.heard)
    assert verdict.is_clean, verdict
    assert len(network.ledger) == 1000
    assert set(day.met) == {*day.READ_TROUBLE, *day.WRITE_TROUBLE}


def test_a_verdict_names_what_went_wrong(network: XNetwork, clock: HandClock) -> None:
    day = Day(network, plan_day(start=NOON, length=LENGTH, count=3))
    first, second, third = day.ids
    for parent in (first, first, "17"):
        network.accept("/2/tweets", new_id="1", text="a" * 281 if parent == "17" else "a", parent=parent)
    verdict = day.verdict([first, second])
    assert not verdict.is_clean
    assert verdict.lost == [third]
    assert verdict.unanswered == sorted([second, third])
    assert verdict.said_twice == [first]
    assert verdict.said_to_nobody == ["17"]
    assert verdict.too_long == ["1"]
