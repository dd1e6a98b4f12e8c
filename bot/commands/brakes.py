"""``harken stop``, ``harken resume``, ``harken status``: the brakes from the command line.

``stop`` raises a file before it does anything else, so it works while the database is gone. ``resume`` is a person's
word that goes into the record, so it takes the database and a reason.
"""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import click

from bot.commands.options import with_settings
from bot.settings import Settings
from handoff.brake import EVERYTHING, Pulled, Scope, Target

UNSAID = "no reason given"


def on_a_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options that name what is stopped, and the ``Target`` in their place."""

    @click.option("--article", metavar="SLUG", help="Only what says this article.")
    @click.option("--intent", metavar="NAME", help="Only prepared answers to this intent.")
    @click.option("--source", metavar="NAME", help="Only what goes out on this source.")
    @wraps(command)
    def wrapped(*args: Any, article: str | None, intent: str | None, source: str | None, **options: Any) -> Any:
        named = {Scope.ARTICLE: article, Scope.INTENT: intent, Scope.SOURCE: source}
        given = [(scope, name) for scope, name in named.items() if name is not None]
        if len(given) > 1:
            raise click.UsageError("name one of --article, --intent and --source; run it again for another")
        try:
            target = Target(scope=given[0][0], name=given[0][1]) if given else EVERYTHING
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return command(*args, target=target, **options)

    return wrapped


@click.command()
@on_a_target
@click.option("--why", default=UNSAID, help="Kept in the record.")
@with_settings
def stop(settings: Settings, target: Target, why: str) -> None:
    """Stop every public and private word at once, or one topic. Works with the database gone; tickets still go out."""
    from bot.brakes import flags

    folder = settings.brakes_folder()
    pulled = Pulled(token=flags.new_token(), target=target, at=datetime.now(UTC), who=who(), why=_short(why))
    trouble = _misnamed(settings, target)
    if trouble:
        raise click.UsageError(trouble)
    is_new, unflagged = False, ""
    try:
        is_new = flags.raise_flag(folder, pulled)
    except flags.FlagsError as error:
        unflagged = str(error)
    untold = _tell_the_store(settings, pulled, is_new=is_new)
    if unflagged and untold:
        click.echo(f"harken: {unflagged}", err=True)
        click.echo(
            f"harken: NOTHING WAS STOPPED, neither a file nor the database takes it ({untold}): end the daemon itself "
            "(systemctl stop harken), or make room and try again",
            err=True,
        )
        raise click.exceptions.Exit(1)
    if unflagged:
        click.echo(f"harken: {unflagged}; the database was told", err=True)
    else:
        click.echo(f"Stopped on this machine: {target}. ({flags.path_of(folder, target)})")
    if untold:
        click.echo(
            f"harken: {untold}. Processes on this machine have stopped; others stop when one of them reaches the store "
            "again: run harken stop there too",
            err=True,
        )
    else:
        click.echo("Stopped everywhere within a second. Resume with: harken resume --why ...")


@click.command()
@on_a_target
@click.option("--why", required=True, help="Why it is safe to go on; kept in the record.")
@click.option("--yes", is_flag=True, help="Do not ask once more.")
@with_settings
def resume(settings: Settings, target: Target, why: str, yes: bool) -> None:
    """Let the bot speak again; replies that waited are said, if nothing else speaks against them by now."""
    from bot.brakes.keeper import Brakes
    from bot.store import brakes
    from bot.store.refusals import RefusedError

    with _ready(settings) as store:
        if not yes:
            held = store.read_now(brakes.held)
            click.confirm(f"Resume {target}? {held} replies wait.", abort=True)
        keeper = Brakes(store=store, folder=settings.brakes_folder(), clock=lambda: datetime.now(UTC))
        try:
            asyncio.run(keeper.release(target, who=who(), why=why, user_id=None))
        except RefusedError as error:
            raise click.UsageError(str(error)) from error
        standing = keeper.standing()
    others = [str(each.target) for each in standing if each.target != target]
    goes_on = f"still stopped: {', '.join(others)}" if others else "every process goes on within a second"
    click.echo(f"Released: {target}; {goes_on}.")
    if any(each.target == target for each in standing):
        click.echo(f"harken: a file for it still stands in {settings.brakes_folder()}; remove it there", err=True)
        raise click.exceptions.Exit(1)


@click.command()
@with_settings
def status(settings: Settings) -> None:
    """Say what is stopped, by whom, since when and why, and how many replies wait; exits with 0 either way."""
    from bot.brakes import flags
    from bot.brakes.flags import STOP
    from bot.store import brakes
    from bot.store.engine import StoreError

    folder = settings.brakes_folder()
    found: dict[Target, Pulled] = {}
    try:
        if folder.exists():
            found = {each.target: each for each in flags.read(folder)}
            for name in flags.strangers(folder):
                click.echo(f"harken: {folder / name} stops nothing; everything is stopped by a file {STOP!r}", err=True)
    except flags.FlagsError as error:
        click.echo(f"harken: {error}", err=True)
    held: int | None = None
    try:
        with _opened(settings) as store:
            found |= {each.target: each for each in store.read_now(brakes.review, ()).standing}
            held = store.read_now(brakes.held)
    except StoreError as error:
        click.echo(f"harken: {error}; this is what the files of this machine say", err=True)
    for each in found.values():
        click.echo(f"stopped: {each.target}, by {each.who}, {each.at:%Y-%m-%d %H:%M:%S} UTC: {each.why or UNSAID}")
    if not found:
        click.echo("Nothing is stopped.")
    if held is not None:
        click.echo(f"{held} replies wait for a release.")


def who() -> str:
    """Return who sits at this command line, as far as the machine knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    return f"{name}@{socket.gethostname()}, command line"


def _tell_the_store(settings: Settings, pulled: Pulled, *, is_new: bool) -> str:
    """Put the brake into the record; return why that cannot be, "" when it is there. is_new: we made its file."""
    from bot.brakes import flags
    from bot.store import brakes
    from bot.store.engine import StoreError
    from bot.store.refusals import Invalid

    try:
        with _opened(settings) as store:
            store.write_now(brakes.pull, pulled, now=pulled.at)
    except Invalid as error:
        if is_new:
            flags.take_back(settings.brakes_folder(), pulled)
        raise click.UsageError(f"{error}; nothing was stopped") from error
    except StoreError as error:
        return str(error)
    return ""


def _misnamed(settings: Settings, target: Target) -> str | None:
    """Return what is wrong with a name, as far as the configuration tells."""
    from classifiers.triage import INTENTS

    if target.scope is Scope.SOURCE and target.name not in settings.sources:
        return f"there is no source {target.name!r}; there are: {', '.join(settings.sources) or 'none'}"
    if target.scope is Scope.INTENT and target.name not in INTENTS:
        return f"there is no intent {target.name!r}; there are: {', '.join(INTENTS)}"
    return None


def _short(why: str) -> str:
    from bot.store.brakes import MAX_WHY

    return " ".join(why.replace("\x00", "").split())[:MAX_WHY] or UNSAID


def _opened(settings: Settings) -> Any:
    """Open the store as it is: a schema that is behind must not keep anybody from stopping."""
    from contextlib import closing

    from bot.store.engine import Store

    return closing(Store(settings.store.url.get_secret_value(), checkpoints=False))


def _ready(settings: Settings) -> Any:
    from bot.app import ready_store

    return ready_store(settings)
