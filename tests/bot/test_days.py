"""A scripted day on each network, lived through by the whole daemon: nobody lost, nobody answered twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, func, select

from bot.app import App
from bot.daemon import Daemon, Role
from bot.store.tables import JobRow, PostRow
from classifiers import registry
from connectors.channels.x.settings import OAUTH1
from tests.bot.books import Books
from tests.bot.brand import make_settings, source_on
from tests.networks import mastodon_day, x_day
from tests.networks.clock import FastClock
from tests.networks.desks import FakeZendesk
from tests.networks.faults import Fault, Network, Seen, Trouble, serve_in_thread
from tests.networks.mastodon import MastodonNetwork
from tests.networks.reddit import Reddit
from tests.networks.reddit_day import RedditDay
from tests.networks.x import USER_TOKEN, XNetwork

RATE = 60
"""A minute of the day takes a second, so that a time-out of 30 seconds takes half of one."""

LENGTH = timedelta(minutes=20)
LAG = timedelta(seconds=30)
PAUSE = timedelta(seconds=20)
CALM_S = 300.0
"""How long the daemon may take, after the last post has surfaced, until nothing is left to do."""

DESK_TROUBLE = (Trouble.ACCEPTED_THEN_RESET, Trouble.HTML_503, Trouble.RATE_LIMITED_WITHOUT_RESET)


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the config name the engine of ``rules``."""
    monkeypatch.setitem(registry.BUILT_IN, "rules", "tests.bot.rules")


@pytest.fixture
def clock() -> FastClock:
    return FastClock(rate=RATE)


@pytest.fixture
def desk(clock: FastClock) -> Iterator[FakeZendesk]:
    """A desk at which every fifth ticket meets trouble."""
    desk = FakeZendesk(clock=clock)
    count = 0

    def weather(seen: Seen) -> Fault | None:
        nonlocal count
        if not desk.is_write(seen.method, seen.path):
            return None
        count += 1
        return None if count % 5 else desk.trouble(DESK_TROUBLE[count // 5 % len(DESK_TROUBLE)])

    desk.weather = weather
    with serve_in_thread(desk):
        yield desk


async def live(app: App, *, goes_on: Callable[[], bool], heard: Callable[[set[str]], bool]) -> None:
    """Run the daemon while the day *goes_on*, then until *heard* of the stored ids holds and no errand is left."""
    daemon = Daemon(app, [Role.POLL, Role.WORK])
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    running = asyncio.create_task(daemon.run(on_ready=lambda _: loop.call_soon_threadsafe(ready.set)))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        while goes_on() and not running.done():
            await asyncio.sleep(0.05)
        async with asyncio.timeout(CALM_S):
            while not running.done():
                ids, errands = await app.store.read(_state)
                if heard(ids) and not errands:
                    break
                await asyncio.sleep(0.1)
    except TimeoutError:
        pass  # the books say what is missing
    finally:
        waiting.cancel()
        daemon.stop()
        await running


def _state(session: Session) -> tuple[set[str], int]:
    waiting = select(func.count()).select_from(JobRow).where(col(JobRow.done_at).is_(None))
    ids = set(session.exec(select(PostRow.external_id)))
    return ids, session.exec(waiting.where(col(JobRow.parked_at).is_(None))).one()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("sign_in", "count"), [("oauth1 and bearer", 1000), ("oauth1", 100), ("oauth2", 100)], ids=lambda each: str(each)
)
async def test_a_day_on_x(tmp_path: Path, clock: FastClock, desk: FakeZendesk, sign_in: str, count: int) -> None:
    network = XNetwork(clock=clock, lag=LAG)
    with serve_in_thread(network):
        table = source_on(network)
        if sign_in != "oauth1 and bearer":
            del table["bearer_token"]
        if sign_in == "oauth2":
            table = {name: value for name, value in table.items() if name not in OAUTH1}
            table["oauth2_user_token"] = USER_TOKEN
        app = App(make_settings(tmp_path, sources={"x": table}, desk=desk), clock=clock)
        plan = x_day.plan_day(start=clock(), length=LENGTH * count / 1000, count=count, read_every=17, pause=PAUSE)
        day = x_day.Day(network, plan)
        await live(app, goes_on=lambda: released(network) < plan.until, heard=lambda ids: set(day.ids) <= ids)
    books = Books.read(tmp_path / "harken.db")
    faults = books.faults(planned=day.ids, said=network.ledger, opened=desk.ledger)
    assert not faults
    verdict = day.verdict(books.posts, answerable=())
    assert verdict.is_clean, verdict
    assert books.outcomes()["answered"] > count / 2
    assert len(desk.ledger) > count / 10
    if count == 1000:
        assert set(day.met) == {*day.READ_TROUBLE, *day.WRITE_TROUBLE}


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_day_on_mastodon(tmp_path: Path, clock: FastClock, desk: FakeZendesk) -> None:
    network = MastodonNetwork(clock=clock, lag=LAG)
    with serve_in_thread(network):
        app = App(make_settings(tmp_path, sources={"mastodon": source_on(network)}, desk=desk), clock=clock)
        plan = mastodon_day.plan_day(start=clock(), length=LENGTH, read_every=17, pause=PAUSE)
        day = mastodon_day.Day(network, plan)
        await live(app, goes_on=lambda: released(network) < plan.until, heard=lambda ids: set(day.ids) <= ids)
    books = Books.read(tmp_path / "harken.db")
    faults = books.faults(planned=day.ids, said=network.ledger, opened=desk.ledger)
    assert not faults
    verdict = day.verdict(books.posts, answerable=())
    assert verdict.is_clean, verdict
    assert set(day.met) == {*day.READ_TROUBLE, *day.WRITE_TROUBLE}
    assert books.outcomes()["answered"] > 400
    assert len(desk.ledger) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_day_on_reddit(tmp_path: Path, clock: FastClock, desk: FakeZendesk) -> None:
    """With edits and deletions, and replies into few threads, where one person's matter is one case."""
    network = Reddit(clock=clock)
    network.lag = LAG
    with serve_in_thread(network):
        app = App(make_settings(tmp_path, sources={"reddit": source_on(network)}, desk=desk), clock=clock)
        # A twelfth of its own length: what it calls ten minutes late comes less than one minute late.
        day = RedditDay(network, begins=clock(), lasts=LENGTH, troubles=14)

        def goes_on() -> bool:
            day.play(released(network))
            return not day.is_over

        def heard(ids: set[str]) -> bool:
            network.heal()
            return not day.lost(list(ids))

        await live(app, goes_on=goes_on, heard=heard)
    books = Books.read(tmp_path / "harken.db")
    standing = [thing.name for thing in day.addressed if not thing.deleted]
    faults = books.faults(planned=standing, said=network.ledger, opened=desk.ledger)
    assert not faults
    assert len(day.addressed) == 1000
    assert len(network.writes_seen()) > len(network.ledger), "no weather at all"
    assert day.answered_twice() == []
    assert books.outcomes()["answered"] > 300
    assert len(desk.ledger) > 50


def released(network: Network) -> datetime:
    """Let what hangs end, and return the network's time."""
    network.release()
    return network.clock()
