"""kill -9 at any moment of a scripted day: nobody lost, nobody answered twice, no second ticket."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.bot.books import Books
from tests.bot.brand import make_tables, source_on
from tests.bot.lives import Life, Lifespan
from tests.networks import day as x_day
from tests.networks.clock import FastClock
from tests.networks.desks import FakeZendesk
from tests.networks.faults import serve_in_thread
from tests.networks.x import XNetwork

ROOT = Path(__file__).parents[2]
RATE = 60
KILLS = int(__import__("os").environ.get("K", 500))
POSTS = KILLS * 2


@pytest.fixture
def clock() -> FastClock:
    return FastClock(rate=RATE)


@pytest.fixture
def desk(clock: FastClock) -> Iterator[FakeZendesk]:
    with serve_in_thread(FakeZendesk(clock=clock)) as desk:
        yield desk


def live(folder: Path, lifespan: Lifespan, meanwhile: Callable[[], None]) -> list[Life]:
    """Live through *lifespan* in a process of its own; call *meanwhile* again and again. Return all lives."""
    plan = lifespan.write(folder / "lifespan.json")
    lives = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bot.lives", str(plan)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as nursery:
        for line in nursery.stdout or ():
            lives.append(Life(**json.loads(line)))
            meanwhile()
    assert nursery.returncode == 0, Path(lifespan.log).read_text(encoding="utf-8")[-4000:]
    return lives


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_five_hundred_kills_on_an_x_day(tmp_path: Path, clock: FastClock, desk: FakeZendesk) -> None:
    network = XNetwork(clock=clock, lag=timedelta(seconds=30))
    with serve_in_thread(network):
        length_s = KILLS * 0.2
        plan = x_day.plan_day(
            count=POSTS,
            start=clock() + timedelta(seconds=3 * RATE),
            length=timedelta(seconds=length_s * RATE),
            read_every=50,
            write_every=9,
            pause=timedelta(seconds=20),
        )
        day = x_day.Day(network, plan)
        settings = make_tables(tmp_path, sources={"x": source_on(network)}, desk=desk)
        lifespan = Lifespan(
            settings=settings,
            rate=RATE,
            start=clock.start.isoformat(),
            origin_s=clock.origin_s,
            posts=len(day.ids),
            log=str(tmp_path / "lives.log"),
            kills=KILLS,
        )
        began = time.monotonic()
        lives = live(tmp_path, lifespan, network.release)
    took_s = time.monotonic() - began
    (tmp_path / "lives.json").write_text(
        json.dumps([(l.lasted_s, l.code, l.sending, l.unknown, l.claimed, l.posts) for l in lives])
    )
    books = Books.read(tmp_path / "harken.db")
    print(
        f"{took_s:.0f} s",
        len(lives),
        "sending",
        sum(1 for l in lives if l.sending),
        "claimed",
        sum(1 for l in lives if l.claimed),
        books.outcomes(),
        books.states(),
    )
    assert not books.faults(planned=day.ids, said=network.ledger, opened=desk.ledger)
    assert [life.code for life in lives] == [-9] * KILLS + [0]
    assert sum(life.sending for life in lives) > KILLS / 20
