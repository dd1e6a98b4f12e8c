"""Many short lives of one daemon: forked, killed after a moment, forked again on the same file.

``python -m tests.bot.lives PLAN.json`` imports everything once and never runs a thread or an event loop of its own, so
that each fork is a whole daemon process in a few milliseconds. It prints one line of JSON for each life.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import configure_mappers

from bot.app import App
from bot.daemon import Daemon, Role
from bot.settings import Settings
from bot.store import migrate
from classifiers import registry
from connectors import registry as channels
from handoff import registry as desks
from tests.networks.clock import FastClock

AIM_S = 1.5
"""How long a life that is to die in the middle of a reply, or with errands taken, waits for that."""

GRACE_S = 10.0
"""SIGTERM: the daemon is gone within this."""


@dataclass(frozen=True, kw_only=True)
class Lifespan:
    """What to live.

    kills: how many lives end by SIGKILL, up to longest_s after the daemon is ready (half of them within a quarter of
    that), or, the share early, after the fork, or, the share aimed, while a reply is on its way, or, the share busy,
    while errands are taken: on a slow machine chance alone would hit too few of these. posts: how many the last one
    waits for, up to calm_s.
    drain_at_sending: the last one ends as soon as a reply is on its way.
    """

    settings: dict[str, Any]
    rate: float
    start: str
    origin_s: float
    log: str
    kills: int
    longest_s: float = 0.35
    early: float = 0.15
    aimed: float = 0.08
    busy: float = 0.2
    posts: int = 0
    drain_at_sending: bool = False
    calm_s: float = 150.0
    seed: int = 1

    def write(self, path: Path) -> Path:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path


@dataclass(frozen=True, kw_only=True)
class Life:
    """How one life went: from ready (or from the fork) to its end, and what it left. code: negative is a signal.

    sending, unknown: replies in that state. claimed: errands it had taken. posts: all that are stored.
    """

    was_ready: bool
    lasted_s: float
    code: int
    sending: int = 0
    unknown: int = 0
    claimed: int = 0
    posts: int = 0
    drain_at_sending: bool = False


def main(path: Path) -> None:
    """Live, be killed, live again; at last work until nothing is left, and end on SIGTERM."""
    span = Lifespan(**json.loads(path.read_text(encoding="utf-8")))
    registry.BUILT_IN["rules"] = "tests.bot.rules"
    settings = Settings(**span.settings)
    for table in settings.sources.values():
        channels.load(table["kind"])
    for table in settings.desks.values():
        desks.load(table["kind"])
    registry.load("rules")
    # What every life would do anew: mappers, patterns, migrations. Nothing is opened, no thread is started.
    configure_mappers()
    migrate.head()
    for connector in App(settings).connectors.values():
        if connector.capabilities.length is not None:
            connector.capabilities.length.measure("https://lark.example/where 📦")
    file = Path(settings.store.url.get_secret_value().removeprefix("sqlite:///"))
    dice = random.Random(span.seed)
    gc.freeze()
    for _ in range(span.kills):
        kind = dice.random()
        seconds = span.longest_s * dice.random() ** 2
        is_early, aim = kind < span.early, None
        if not is_early and kind < span.early + span.busy:
            aim = _is_busy
        elif kind > 1 - span.aimed:
            aim = _is_sending
        tell(_one(span, settings, file, is_early=is_early, aim=aim, seconds=seconds))
    tell(_last(span, settings, file))


def tell(life: Life) -> None:
    """Write one line for the reader at the other end."""
    sys.stdout.write(json.dumps(asdict(life)) + "\n")
    sys.stdout.flush()


def _one(
    span: Lifespan,
    settings: Settings,
    file: Path,
    *,
    is_early: bool,
    aim: Callable[[Path], bool] | None,
    seconds: float,
) -> Life:
    reader, writer = os.pipe()
    child = _fork(span, settings, writer)
    os.close(writer)
    if not is_early:
        os.read(reader, 1)  # ready, or dead
    os.close(reader)
    if aim is not None:
        until = time.monotonic() + AIM_S
        while not aim(file) and time.monotonic() < until:
            time.sleep(0.002)
        seconds = 0.0
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return _found(file, seconds, status, was_ready=not is_early)


def _last(span: Lifespan, settings: Settings, file: Path) -> Life:
    child = _fork(span, settings, os.open(os.devnull, os.O_WRONLY))
    began = time.monotonic()
    while time.monotonic() - began < span.calm_s:
        time.sleep(0.2)
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            raise SystemExit("the last life ended by itself; see its log")
        if _is_sending(file) if span.drain_at_sending else _is_calm(file, span.posts):
            break
    asked = time.monotonic()
    os.kill(child, signal.SIGTERM)
    while time.monotonic() - asked < GRACE_S:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return _found(file, time.monotonic() - asked, status, was_ready=True)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return _found(file, GRACE_S, status, was_ready=True)


def _fork(span: Lifespan, settings: Settings, ready: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        log = os.open(span.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        clock = FastClock(rate=span.rate, start=datetime.fromisoformat(span.start), origin_s=span.origin_s)
        daemon = Daemon(App(settings, clock=clock), [Role.POLL, Role.WORK])
        asyncio.run(daemon.run(on_ready=lambda port: os.close(ready)))
        code = 0
    finally:
        # Without the parent's own exit handlers, and without its buffers.
        sys.stdout.flush()
        os._exit(code)


def _found(file: Path, lasted_s: float, status: int, *, was_ready: bool) -> Life:
    numbers = _ask(
        file,
        "SELECT (SELECT COUNT(*) FROM reply WHERE state = 'sending'), "
        "(SELECT COUNT(*) FROM reply WHERE state = 'unknown'), "
        "(SELECT COUNT(*) FROM job WHERE claimed_until IS NOT NULL AND done_at IS NULL), "
        "(SELECT COUNT(*) FROM post)",
    )
    code = os.waitstatus_to_exitcode(status)
    sending, unknown, claimed, posts = numbers or (0, 0, 0, 0)
    return Life(
        was_ready=was_ready,
        lasted_s=lasted_s,
        code=code,
        sending=sending,
        unknown=unknown,
        claimed=claimed,
        posts=posts,
    )


def _is_calm(file: Path, posts: int) -> bool:
    left = "SELECT COUNT(*) FROM job WHERE done_at IS NULL AND parked_at IS NULL"
    found = _ask(file, f"SELECT ({left}), (SELECT COUNT(*) FROM post WHERE is_own = 0)")
    return found is not None and found[0] == 0 and found[1] >= posts


def _is_busy(file: Path) -> bool:
    taken = "SELECT COUNT(*) FROM job WHERE claimed_until IS NOT NULL AND done_at IS NULL"
    return _ask(file, taken) not in (None, (0,))


def _is_sending(file: Path) -> bool:
    return _ask(file, "SELECT COUNT(*) FROM reply WHERE state = 'sending'") not in (None, (0,))


def _ask(file: Path, query: str) -> tuple[int, ...] | None:
    if not file.exists():
        return None
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            found: tuple[int, ...] = connection.execute(query).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
        return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
