"""The command line. Every error is one clear sentence on stderr and exit code 2; no traceback reaches a user."""

from __future__ import annotations

import sys
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
    "key": "bot.commands.people",
    "knowledge": "bot.commands.knowledge",
    "replay": "bot.commands.replay",
    "run": "bot.commands.run",
    "triage": "bot.commands.triage",
    "user": "bot.commands.people",
}

EXIT_USAGE = 2


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
    from bot.settings import ConfigError
    from bot.store.engine import StoreError, StoreUnavailable

    try:
        code = harken.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except StoreUnavailable as error:
        # Not EXIT_USAGE: nothing is wrong with what was asked, and a supervisor should try again.
        click.echo(f"harken: {error}", err=True)
        code = 1
    except (ConfigError, StoreError) as error:
        click.echo(f"harken: {error}", err=True)
        code = EXIT_USAGE
    except BrokenPipeError:
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
