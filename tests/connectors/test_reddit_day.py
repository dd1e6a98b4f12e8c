"""A day on Reddit, followed as the protocol says: nobody unheard, nobody answered twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from connectors.channels.reddit import RedditConnector
from connectors.errors import AmbiguousWrite, RateLimited, Rejected, Unavailable
from connectors.post import Post, Reply, Sent
from tests.connectors.test_reddit import connector_on
from tests.networks.clock import HandClock
from tests.networks.faults import serve_in_thread
from tests.networks.reddit import Reddit
from tests.networks.reddit_day import RedditDay

ANSWER = "Sorry for that. Please look at kornblume.example/parcels, or write to us there."
LONG_AGO = datetime.min.replace(tzinfo=UTC)
PAUSE = timedelta(minutes=1)


@dataclass
class Follower:
    """The least that a caller must do: remember ids, wait when told, look before a second try."""

    connector: RedditConnector
    clock: HandClock
    cursor: str | None = None
    heard: dict[str, Post] = field(default_factory=dict)
    waiting: list[Reply] = field(default_factory=list)
    doubts: dict[str, tuple[datetime, Reply]] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    said: dict[str, Sent] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    for_people: set[str] = field(default_factory=set)
    blocked_until: datetime = LONG_AGO
    troubles: int = 0

    async def look(self) -> None:
        if self.clock.now < self.blocked_until:
            return
        try:
            page = await self.connector.fetch("mentions", self.cursor)
            for post in page.posts:
                if post.id not in self.heard:
                    self.heard[post.id] = post
                    self.waiting.append(Reply(key=post.key, target=post, text=ANSWER, created_at=self.clock.now))
            self.cursor = page.cursor
            await self.settle()
            while self.waiting:
                await self.speak(self.waiting[-1])
                self.waiting.pop()
        except RateLimited as error:
            self.troubles += 1
            self.blocked_until = error.until or self.clock.now + PAUSE
        except Unavailable:
            self.troubles += 1

    async def speak(self, reply: Reply) -> None:
        self.tries[reply.key] = self.tries.get(reply.key, 0) + 1
        try:
            self.said[reply.key] = await self.connector.send(reply)
        except Rejected:
            self.refused.add(reply.target.id)
        except AmbiguousWrite:
            self.troubles += 1
            if self.tries[reply.key] > 1:
                self.for_people.add(reply.target.id)
            else:
                self.doubts[reply.key] = (self.clock.now + self.connector.capabilities.settle_after, reply)

    async def settle(self) -> None:
        for key, (since, reply) in list(self.doubts.items()):
            if self.clock.now < since:
                continue
            found = await self.connector.find(reply)
            del self.doubts[key]
            if found is not None:
                self.said[key] = found
            else:
                self.waiting.insert(0, reply)


@pytest.fixture
def network() -> Iterator[Reddit]:
    network = Reddit(clock=HandClock())
    network.lag = timedelta(seconds=45)
    with serve_in_thread(network):
        yield network


@pytest.mark.slow
async def test_a_day_of_a_thousand_mentions_loses_nobody_and_answers_nobody_twice(network: Reddit) -> None:
    clock = network.clock
    assert isinstance(clock, HandClock)
    day = RedditDay(network, begins=clock.now)
    async with connector_on(network, clock, timeout_s=0.3) as connector:
        follower = Follower(connector=connector, clock=clock)
        while not day.is_over:
            clock.advance(minutes=2)
            day.play(clock.now)
            await follower.look()
        network.heal()
        for _ in range(15):
            clock.advance(minutes=2)
            await follower.look()
    network.release()
    assert len(day.addressed) == 1_000
    assert follower.troubles >= 20
    assert day.lost(list(follower.heard)) == []
    assert day.answered_twice() == []
    assert not follower.doubts
    answered = {entry.parent for entry in network.ledger}
    assert {key.removeprefix("reddit:") for key in follower.said} <= answered
    unanswered = set(follower.heard) - answered - follower.for_people
    assert unanswered == follower.refused
    assert all(network.things[name].deleted for name in follower.refused)
    assert all(len(entry.text) <= 10_000 for entry in network.ledger)
