"""The demo's day, played at once by the whole of a daemon in this process: heard, judged, answered, handed over."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, select

from bot.app import App
from bot.daemon import Daemon, Role
from bot.settings import Settings
from bot.store.tables import JobRow, PostRow

ROOT = Path(__file__).parents[2]
POSTS = 363
"""Of the whole day (deploy/demo/README.md)."""

SPEED = 1_200
"""Ten hours in half a minute, all of them over when the daemon starts: no post is too old to be answered."""

LONGEST_S = 240.0


def demo_tables(home: Path, **more: Any) -> dict[str, Any]:
    """Return the demo's configuration with its memory in *home*, and *more* in place of its tables."""
    tables = tomllib.loads((ROOT / "deploy" / "demo" / "config.toml").read_text(encoding="utf-8"))
    tables["store"] = {"url": f"sqlite:///{home}/harken.db"}
    tables["knowledge"] = {"folder": str(ROOT / tables["knowledge"]["folder"])}
    for name, table in tables["sources"].items():
        table |= {
            "path": str(ROOT / table["path"]),
            "ledger": str(home / f"ledger-{name}.jsonl"),
            "speed": SPEED,
            "start": "ended",
        }
    return {**tables, **more}


async def play(home: Path, *, people: Callable[[Session], None] | None = None, **more: Any) -> Settings:
    """Play the day into *home* until nothing is left to do; return the settings. people: what they did afterwards."""
    settings = Settings(**demo_tables(home, **more))
    app = App(settings)
    daemon = Daemon(app, [Role.POLL, Role.WORK])
    ready = asyncio.Event()
    running = asyncio.create_task(daemon.run(on_ready=lambda port: ready.set()))
    try:
        async with asyncio.timeout(LONGEST_S):
            while not ready.is_set() and not running.done():
                await asyncio.sleep(0.05)
            while not running.done():
                await asyncio.sleep(0.2)
                posts, errands = await app.store.read(_state)
                if posts >= POSTS - 8 and not errands:
                    break
    finally:
        daemon.stop()
        await running
    return settings


def _state(session: Session) -> tuple[int, int]:
    waiting = select(func.count()).select_from(JobRow).where(col(JobRow.done_at).is_(None))
    posts = session.exec(select(func.count()).select_from(PostRow)).one()
    return posts, session.exec(waiting.where(col(JobRow.parked_at).is_(None))).one()
