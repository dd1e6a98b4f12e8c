"""kill -9 at any moment of a scripted day: nobody lost, nobody answered twice, no second ticket."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.bot.books import Books
from tests.bot.brand import make_tables, source_on
from tests.bot.lives import GRACE_S, Life, Lifespan
from tests.networks import mastodon_day, x_day
from tests.networks.clock import FastClock
from tests.networks.day import Day
from tests.networks.desks import FakeZendesk
from tests.networks.faults import Network, Trouble, serve_in_thread
from tests.networks.mastodon import MastodonNetwork
from tests.networks.x import XNetwork

ROOT = Path(__file__).parents[2]
RATE = 60
WARM_LIVES = 6
"""So many lives pass before the day is planned: it is to be as long as the other lives on this machine."""


class SlowX(XNetwork):
    """X that takes a reply at once and says so a while later: a kill in between finds a reply half said."""

    delay_s = 0.08

    async def _create(self, request: web.Request) -> web.Response:
        taken = await super()._create(request)
        await asyncio.sleep(self.delay_s)
        return taken


PLACES: dict[str, tuple[Any, Any]] = {"x": (SlowX, x_day), "mastodon": (MastodonNetwork, mastodon_day)}


@pytest.fixture
def clock() -> FastClock:
    return FastClock(rate=RATE)


@pytest.fixture
def desk(clock: FastClock) -> Iterator[FakeZendesk]:
    with serve_in_thread(FakeZendesk(clock=clock)) as desk:
        yield desk


def live(
    folder: Path, clock: FastClock, tables: dict[str, Any], meanwhile: Callable[[], object], **span: Any
) -> list[Life]:
    """Live through the lives of ``Lifespan`` in a process of their own, calling *meanwhile* after each; return them."""
    log = folder / "lives.log"
    plan = Lifespan(
        settings=tables,
        log=str(log),
        rate=clock.rate,
        start=clock.start.isoformat(),
        origin_s=clock.origin_s,
        **span,
    ).write(folder / "lifespan.json")
    lives = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bot.lives", str(plan)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as nursery:
        for line in nursery.stdout or ():
            lives.append(Life(**json.loads(line)))
            meanwhile()
    assert nursery.returncode == 0, log.read_text(encoding="utf-8")[-4000:]
    return lives


def told(lives: list[Life], books: Books, began: float) -> str:
    """Return what happened, for people who run this to see."""
    killed = lives[:-1]
    return (
        f"{len(killed)} kills in {time.monotonic() - began:.0f} s: {sum(1 for each in killed if not each.was_ready)} "
        f"while starting, {sum(1 for each in killed if each.sending)} with {sum(each.sending for each in killed)} "
        f"replies half said, {sum(1 for each in killed if each.claimed)} with errands taken; "
        f"posts {dict(books.outcomes())}, replies {dict(books.states())}, tickets {len(books.tickets)}"
    )


def check(lives: list[Life], books: Books, *, kills: int, ids: list[str], network: Network, desk: Network) -> None:
    """Compare the books with what network and desk would swear."""
    faults = books.faults(planned=ids, said=network.ledger, opened=desk.ledger)
    assert not faults
    assert [life.code for life in lives] == [-9] * kills + [0]
    # A harness that kills only idle daemons would prove nothing.
    assert sum(1 for life in lives if life.sending) > kills / 25
    assert sum(1 for life in lives if life.claimed) > kills / 4
    assert books.outcomes()["answered"] > len(ids) / 3
    # A doubt that nobody can settle is rare; where reads lag it is not the rule.
    assert books.states()["person"] <= len(ids) / 50


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("channel", "kills"), [("x", 500), ("mastodon", 60)])
def test_nothing_is_lost_or_said_twice_however_often_it_is_killed(
    channel: str, kills: int, tmp_path: Path, clock: FastClock, desk: FakeZendesk
) -> None:
    make, script = PLACES[channel]
    network = make(clock=clock, lag=timedelta(seconds=30))
    ends: list[float] = []
    days: list[Day[Any, Any]] = []

    def after_each_life() -> None:
        network.release()
        ends.append(time.monotonic())
        if len(ends) == WARM_LIVES:
            life_s = (ends[-1] - ends[0]) / (WARM_LIVES - 1)
            plan = script.plan_day(
                count=2 * kills,
                start=clock(),
                length=timedelta(seconds=(kills - WARM_LIVES) * life_s * RATE),
                read_every=50,
                pause=timedelta(seconds=20),
            )
            days.append(script.Day(network, plan))

    with serve_in_thread(network):
        tables = make_tables(tmp_path, sources={channel: source_on(network)}, desk=desk)
        began = time.monotonic()
        lives = live(tmp_path, clock, tables, after_each_life, kills=kills, posts=2 * kills)
    (day,) = days
    books = Books.read(tmp_path / "harken.db")
    print(told(lives, books, began))
    check(lives, books, kills=kills, ids=day.ids, network=network, desk=desk)
    assert day.verdict(books.posts, answerable=()).is_clean


@pytest.mark.slow
def test_a_drain_with_sends_in_flight_ends_in_time_with_nothing_half_said(
    tmp_path: Path, clock: FastClock, desk: FakeZendesk
) -> None:
    """Two thirds of the replies hang after X took them; SIGTERM comes in the middle of them."""
    network = XNetwork(clock=clock)
    ids = [
        network.say(f"@larkparcel where is my parcel {number}? It was due yesterday", at=clock())
        for number in range(30)
    ]
    network.fail_writes(Trouble.ACCEPTED_THEN_TIMEOUT, times=20)
    with serve_in_thread(network):
        table = source_on(network, timeout_s=3.0)
        tables = make_tables(tmp_path, sources={"x": table}, desk=desk)
        (first,) = live(tmp_path, clock, tables, lambda: None, kills=0, posts=len(ids), drain_at_sending=True)
        assert (first.code, first.sending) == (0, 0)
        assert first.lasted_s < GRACE_S
        network.heal()
        (second,) = live(tmp_path, clock, tables, network.release, kills=0, posts=len(ids))
        assert second.code == 0
    books = Books.read(tmp_path / "harken.db")
    faults = books.faults(planned=ids, said=network.ledger, opened=desk.ledger)
    assert not faults
    assert books.outcomes() == {"answered": 30}
