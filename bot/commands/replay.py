"""``harken replay``: send a recorded file through triage and hand-off, and see what would happen. Nothing is said."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import with_settings
from bot.settings import ConfigError, Settings, StoreSettings

if TYPE_CHECKING:
    from bot.app import App


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--channel", default="x", show_default=True, help="The network whose rules apply.")
@click.option("--account", default="us", show_default=True, help="Handle of our own account in the recording.")
@with_settings
def replay(settings: Settings, path: Path, channel: str, account: str) -> None:
    """Play PATH (JSON Lines, see docs/channels/replay.md) as fast as possible into a store that is thrown away."""
    from bot import logs

    logs.set_up(level="error", as_json=False)
    with tempfile.TemporaryDirectory(prefix="harken-replay-") as folder:
        source: dict[str, Any] = {
            "kind": "replay",
            "path": str(path),
            "channel": channel,
            "start": "ended",
            "max_first_pages": 1_000_000,
            "account": {"id": account, "handle": account},
        }
        here = settings.model_copy(
            update={
                "store": StoreSettings(url=f"sqlite:///{folder}/replay.db"),
                "sources": {"replay": source},
                "desks": {},
            }
        )
        for line in asyncio.run(_replay(here)):
            click.echo(line)


async def _replay(settings: Settings) -> list[str]:
    from bot.app import App
    from bot.store import migrate, sources

    app = App(settings)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(migrate.upgrade, app.store)
        await app.store.write(sources.configure, app.source_kinds())
        await app.open(stack)
        await app.warm()
        (poller,) = app.pollers()
        for stream in poller.streams():
            await poller.poll(stream)
        health = await app.store.read(sources.one, "replay")
        if health is not None and health.status != "ok":
            raise ConfigError(f"the recording could not be played: {health.last_error}")
        await _drain(app)
        return await app.store.read(_summary)


async def _drain(app: App) -> None:
    from bot.store import jobs

    workers = [asyncio.create_task(worker.run()) for worker in app.workers()]
    while any(depth.waiting for depth in await app.store.read(jobs.depths)):
        await asyncio.sleep(0.05)
    app.stream.stop()
    await asyncio.gather(*workers)


def _summary(session: Any) -> list[str]:
    from bot.store import posts, quarantine

    kept = posts.select_kept(session)
    ends = Counter(each.outcome for each in kept)
    lines = [f"{len(kept)} posts", *(f"{count:>6} {end}" for end, count in ends.most_common())]
    unread = quarantine.reasons(session)
    return [*lines, *(f"not read: {reason} ({count}x)" for reason, count in unread)]
