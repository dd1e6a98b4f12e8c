"""The whole daemon in this process, on a network of loopback: how it starts, what disturbs what, how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import structlog
from sqlmodel import Session, col, func, select

from bot.app import App
from bot.daemon import Daemon, Role
from bot.store import migrate, sources
from bot.store.engine import Store
from bot.store.tables import JobRow
from classifiers import registry
from tests.bot.books import Books
from tests.bot.brand import make_settings, source_on
from tests.networks.clock import system_clock
from tests.networks.faults import Network, Trouble, serve_in_thread
from tests.networks.mastodon import MastodonNetwork
from tests.networks.x import XNetwork

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the config name the engine of ``rules``."""
    monkeypatch.setitem(registry.BUILT_IN, "rules", "tests.bot.rules")


@pytest.fixture
def network() -> Iterator[XNetwork]:
    with serve_in_thread(XNetwork()) as network:
        yield network


@asynccontextmanager
async def running(app: App) -> AsyncIterator[Daemon]:
    """Run a daemon of *app* inside the block, and stop it after."""
    daemon = Daemon(app, [Role.POLL, Role.WORK])
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(daemon.run(on_ready=lambda port: loop.call_soon_threadsafe(ready.set)))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        yield daemon
    finally:
        waiting.cancel()
        daemon.stop()
        await task


async def came_true(network: AnyNetwork, fact: Callable[[AnyNetwork], bool], *, timeout_s: float = 10.0) -> bool:
    """Return whether *fact* came true in time, without holding the loop up."""
    return await asyncio.to_thread(network.wait_for, fact, timeout_s=timeout_s)


async def test_who_comes_after_a_killed_daemon_listens_at_once(tmp_path: Path, network: XNetwork) -> None:
    """A lease outlives its holder by a minute or three; on SQLite nobody else can be alive."""
    settings = make_settings(tmp_path, sources={"x": source_on(network)})
    store = Store(settings.store.url.get_secret_value())
    migrate.upgrade(store)
    lasts = timedelta(hours=1)
    store.write_now(sources.take_lease, "poll:x:mentions", holder="dead", now=system_clock(), lasts=lasts)
    store.close()
    network.say("@larkparcel where is my parcel? It was due yesterday", at=system_clock())
    async with running(App(settings)):
        assert await came_true(network, lambda network: len(network.ledger) == 1)


async def test_one_day_of_one_post_leaves_nothing_open(tmp_path: Path, network: XNetwork) -> None:
    said = network.say("@larkparcel where is my parcel? It was due yesterday", at=system_clock())
    app = App(make_settings(tmp_path, sources={"x": source_on(network)}))
    with structlog.testing.capture_logs() as logs:
        async with running(app):
            assert await came_true(network, lambda network: len(network.ledger) == 1)
    assert not Books.read(tmp_path / "harken.db").faults(planned=[said], said=network.ledger)
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []


async def test_a_network_that_hangs_does_not_hold_up_another(tmp_path: Path, network: XNetwork) -> None:
    with serve_in_thread(MastodonNetwork()) as other:
        network.fail_reads(Trouble.HANG)
        said = other.post("@lantern_books box 12 never came, and the tracking page is blank", at=system_clock())
        # The hanging one would give up only after the test has.
        tables = {"x": source_on(network, timeout_s=40.0), "mastodon": source_on(other)}
        async with running(App(make_settings(tmp_path, sources=tables))):
            assert await came_true(network, lambda network: len(network.requests) > 0)
            assert await came_true(other, lambda other: len(other.ledger) == 1)
    assert not Books.read(tmp_path / "harken.db").faults(planned=[said], said=other.ledger)


async def test_an_end_in_the_middle_of_triage_leaves_it_to_the_next_life(tmp_path: Path, network: XNetwork) -> None:
    said = [
        network.say(f"@larkparcel where is my parcel {number}? It was due yesterday", at=system_clock())
        for number in range(5)
    ]
    slow = {"engine": "rules", "delay_s": 60.0}
    app = App(make_settings(tmp_path, sources={"x": source_on(network)}, classifier=slow, work={"drain_s": 0.5}))
    began = time.monotonic()
    async with running(app) as daemon:
        while not await app.store.read(claimed):
            await asyncio.sleep(0.01)
        daemon.stop()
    assert time.monotonic() - began < 10
    assert Books.read(tmp_path / "harken.db").outcomes() == {"open": 5}
    async with running(App(make_settings(tmp_path, sources={"x": source_on(network)}))):
        assert await came_true(network, lambda network: len(network.ledger) == 5)
    assert not Books.read(tmp_path / "harken.db").faults(planned=said, said=network.ledger)


def claimed(session: Session) -> int:
    """Return how many errands somebody works on."""
    return session.exec(select(func.count()).select_from(JobRow).where(col(JobRow.claimed_until).is_not(None))).one()
