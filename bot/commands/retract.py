"""``harken retract``: list what was said lately, and delete it where the networks can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bot.commands.brakes import who
from bot.commands.options import with_settings
from bot.settings import Settings
from handoff.brake import Scope, Target

if TYPE_CHECKING:
    from bot.store.engine import Store
    from bot.store.retractions import SaidView, Window

AT_ONCE = 4
PAUSE_S = 0.5


@click.command()
@click.option("--last", default="15m", show_default=True, help="How far back: 90s, 15m, 2h, 1d.")
@click.option("--source", metavar="NAME", help="Only what was said on this source.")
@click.option("--article", metavar="SLUG", help="Only what says this article.")
@click.option("--dry-run", is_flag=True, help="List it, delete nothing.")
@click.option("--why", help="Kept in the record; needed unless --dry-run.")
@click.option("--yes", is_flag=True, help="Do not ask once more.")
@click.option(
    "--wait", default=600, show_default=True, type=click.IntRange(0, 86_400), help="Seconds to wait for the end."
)
@with_settings
def retract(
    settings: Settings,
    last: str,
    source: str | None,
    article: str | None,
    dry_run: bool,
    why: str | None,
    yes: bool,
    wait: int,
) -> None:
    """List what was said, and delete it where the network can. Stop first: harken stop."""
    from bot import logs
    from bot.app import ready_store
    from bot.store import brakes, retractions
    from bot.store.refusals import RefusedError
    from bot.store.retractions import Window

    logs.set_up(level="error", as_json=False)
    if source is not None and source not in settings.sources:
        raise click.UsageError(f"there is no source {source!r}; there are: {', '.join(settings.sources) or 'none'}")
    try:
        until = datetime.now(UTC)
        window = Window(since=until - retractions.back(last), until=until, source=source, article=article)
        retractions.check(window)
        with ready_store(settings) as store:
            if article is not None:
                store.read_now(brakes.check, Target(scope=Scope.ARTICLE, name=article))
            found = store.read_now(retractions.said, window)
            _list(found)
            if dry_run or not found:
                click.echo(f"{len(found)} replies. Nothing was deleted.")
                return
            words = brakes.reason(why or "")
            if not yes:
                click.confirm(f"Delete these {len(found)} where the networks can? It cannot be undone", abort=True)
            left = asyncio.run(_carry_out(settings, store, window, words, wait_s=wait))
    except RefusedError as error:
        raise click.UsageError(str(error)) from error
    if left:
        click.echo(f"{left} still wait; a running daemon goes on. Look again: harken retract --dry-run", err=True)
        raise click.exceptions.Exit(1)


async def _carry_out(settings: Settings, store: Store, window: Window, why: str, *, wait_s: float) -> int:
    """Ask for it, do it beside whatever daemon runs, and tell each outcome; return how many have none yet."""
    from bot.app import now as clock
    from bot.app import retracting
    from bot.store import jobs, retractions
    from bot.store.tables import Retracted, Stage

    asked = await store.write(retractions.ask, window, who=who(), why=why, user_id=None, now=clock())
    ids = [each.reply_id for each in asked]
    told: set[int] = set()
    ends_at = time.monotonic() + wait_s
    async with retracting(settings, store, clock) as work:
        while True:
            taken = await store.write(jobs.claim, Stage.RETRACT, holder="harken retract", now=clock(), limit=AT_ONCE)
            await work.run(taken)
            found = await store.read(retractions.some, ids)
            done = [each for each in found if each.outcome is not Retracted.WANTED]
            _tell([each for each in done if each.reply_id not in told])
            told |= {each.reply_id for each in done}
            if len(told) == len(ids) or time.monotonic() > ends_at:
                break
            if not taken:
                await asyncio.sleep(PAUSE_S)
    _sum_up(found)
    return len(ids) - len(told)


def _list(found: Sequence[SaidView]) -> None:
    for each in found:
        at = each.said_at.strftime("%Y-%m-%d %H:%M:%S")
        public = each.url or ("public" if each.state == "sent" else f"{each.state}: may be public")
        click.echo(f"{each.reply_id:>6}  {at}  {each.source} to @{_plain(each.to)}  {public}")
        click.echo(f"        {_plain(each.text)}")


def _tell(found: Iterable[SaidView]) -> None:
    for each in found:
        detail = f": {_plain(each.detail)}" if each.detail else ""
        click.echo(f"{each.reply_id:>6}  {str(each.outcome).replace('_', ' ')}{detail}")


def _sum_up(found: Sequence[SaidView]) -> None:
    counts: dict[str, int] = {}
    for each in found:
        counts[str(each.outcome)] = counts.get(str(each.outcome), 0) + 1
    click.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items())))


def _plain(text: str) -> str:
    """Return *text* on one line, without what a terminal obeys."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
