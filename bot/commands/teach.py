"""``harken teach``: what people corrected, taught to the heads now; what came of it; and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import refusals, with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.store.engine import Store
    from bot.store.teaching import Made, RevisionView

DONE = {
    "active": "Revision {number} is in service; a running daemon takes it up within seconds. Back: harken teach undo",
    "proposed": "Revision {number} is proposed; a lead takes it into service on the page /teaching.",
    "refused": "Nothing changes: {reason}",
}


@click.group(invoke_without_command=True)
@click.option("--dry-run", is_flag=True, help="Fit and judge, change nothing.")
@with_settings
def teach(settings: Settings, dry_run: bool) -> None:
    """Refit the heads to people's corrections; what is better is taken into service."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from bot.app import ready_store

    with ready_store(settings) as store:
        made, kept = asyncio.run(_refit(settings, store, dry_run=dry_run))
    for line in told(made.figures):
        click.echo(line)
    if kept is None:
        verdict = f"It would not be kept: {made.reason}" if made.reason else "It is better, and would be kept."
        click.echo(f"A trial, nothing was kept. {verdict}")
    else:
        click.echo(DONE[kept.state].format(**asdict(kept)))


@teach.command()
@with_settings
def undo(settings: Settings) -> None:
    """Take the newest revision out of service: the one before it judges again, or the shipped heads."""
    from bot.app import ready_store
    from bot.store import teaching

    with ready_store(settings) as store, refusals():
        gone = store.write_now(teaching.undo, user_id=None, now=datetime.now(UTC))
        now = store.read_now(teaching.number_in_service, model=gone.model)
    click.echo(
        f"Revision {gone.number} is undone; {f'revision {now} judges' if now else 'the shipped heads judge'} again."
    )


@teach.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """List what the heads were taught, newest first, and what waits for a lead."""
    from bot.app import ready_store
    from bot.store import teaching

    with ready_store(settings) as store:
        found = store.read_now(teaching.overview)
    for revision in found.revisions:
        click.echo(_line(revision))
    if not found.revisions:
        click.echo("The heads were never taught.")
    click.echo(f"{found.waiting_count} corrections no lead has seen; the page /teaching shows them.")


async def _refit(settings: Settings, store: Store, *, dry_run: bool) -> tuple[Made, RevisionView | None]:
    from bot.commands.knowledge import warm
    from bot.store import teaching
    from bot.teacher import Teacher
    from classifiers.errors import ClassifierError
    from classifiers.registry import teachable

    def clock() -> datetime:
        return datetime.now(UTC)

    async with warm(settings) as engine:
        teacher = Teacher(
            store=store, engine=lambda: engine, settings=settings.teaching, clock=clock, holder="harken teach"
        )
        try:
            teachable(engine)
            made = await teacher.propose()
        except ClassifierError as error:
            raise click.UsageError(str(error)) from error
        if dry_run:
            return made, None
        return made, await store.write(teaching.keep, made, origin=teaching.COMMAND, number=None, now=clock())


def told(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of before and after, what was left out and why, and how long it took."""
    yield f"{'head':<10} {'taught':>6}  {'held-back corrections':<30} {'validation set':<30}"
    yield f"{'':<10} {'':>6}  {'rows  accuracy    macro F1':<30} {'rows  accuracy    macro F1':<30}"
    for head in figures["heads"]:
        parts = [_score(head[f"{what}_before"], head[f"{what}_after"]) for what in ("corrections", "validation")]
        yield f"{head['head']:<10} {head['lessons']:>6}  {parts[0]:<30} {parts[1]:<30} {head['why']}"
    for why, count in figures["left_out"].items():
        yield f"left out: {count:>4}, {why}"
    for note in figures["notes"]:
        yield f"note: {note}"
    yield f"fitted and judged in {figures['seconds']:.1f} s"


def _score(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    if before is None or after is None:
        return "none"
    pairs = [f"{100 * before[name]:4.1f} > {100 * after[name]:4.1f}" for name in ("accuracy", "macro_f1")]
    return f"{before['rows']:>4}  {'  '.join(pairs)}"


def _line(revision: RevisionView) -> str:
    at = revision.made_at.strftime("%Y-%m-%d %H:%M")
    state = "in service" if revision.in_service else revision.state
    return f"{revision.number:>4}  {at}  {state:<10}  {revision.by:<12}  {revision.model}  {revision.reason}".rstrip()
