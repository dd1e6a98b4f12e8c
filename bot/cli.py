"""The command line. Every error is one clear sentence on stderr and exit code 2; no traceback reaches a user."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from bot import __version__

COMMANDS = {
    "answer": "bot.commands.answer",
    "bench": "bot.commands.bench",
    "check": "bot.commands.check",
    "db": "bot.commands.db",
    "evaluate": "bot.commands.evaluate",
    "guards": "bot.commands.guards",
    "incidents": "bot.commands.incidents",
    "key": "bot.commands.people",
    "knowledge": "bot.commands.knowledge",
    "labels": "bot.commands.labels",
    "replay": "bot.commands.replay",
    "resume": "bot.commands.brakes",
    "retract": "bot.commands.retract",
    "rewind": "bot.commands.rewind",
    "run": "bot.commands.run",
    "status": "bot.commands.brakes",
    "stop": "bot.commands.brakes",
    "teach": "bot.commands.teach",
    "train": "bot.commands.train",
    "triage": "bot.commands.triage",
    "user": "bot.commands.people",
}

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STOPPED = 130

SHOW_TRACEBACK = "HARKEN_TRACEBACK"


class _Lazy(click.Group):
    """Imports a command's module only when the command is used: ``harken --help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="HARKEN_CONFIG",
    help="Configuration file; default: config.toml here, if there is one.",
)
@click.version_option(__version__, package_name="harken")
@click.pass_context
def harken(context: click.Context, config: Path | None) -> None:
    """Listens to what customers say in public, answers what it knows, hands the rest to people."""
    context.obj = config


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        code = harken.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("given up; nothing more was done", err=True)
        code = EXIT_STOPPED
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except BrokenPipeError:
        # Whoever read our output has gone; without this Python complains once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        code = _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: BaseException) -> int:
    """Say in one sentence what went wrong; return the exit code."""
    from bot.settings import ConfigError

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ConfigError):
        click.echo(f"harken: {error}", err=True)
        return EXIT_USAGE
    from bot.store.engine import StoreError, StoreUnavailable

    if isinstance(error, StoreUnavailable):
        # Not EXIT_USAGE: nothing is wrong with what was asked, and a supervisor should try again.
        click.echo(f"harken: {error}", err=True)
        return EXIT_FAILED
    if isinstance(error, StoreError):
        click.echo(f"harken: {error}", err=True)
        return EXIT_USAGE
    if os.environ.get(SHOW_TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        click.echo(f"harken: {named}{error.strerror}", err=True)
        return EXIT_USAGE
    if isinstance(error, UnicodeEncodeError) and not all(map(_is_text, sys.argv)):
        click.echo("harken: an argument is not UTF-8 text", err=True)
        return EXIT_USAGE
    where = f"set {SHOW_TRACEBACK}=1 to see where, and please report it"
    click.echo(f"harken: unforeseen {type(error).__name__}: {error}; {where}", err=True)
    return EXIT_FAILED


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
