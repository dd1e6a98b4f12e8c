"""What every command that needs the configuration takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bot.settings import Settings, load


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* a ``--config`` option, and the loaded ``Settings`` as its first argument."""

    @click.option("--config", type=click.Path(path_type=Path), help="Configuration file; default: config.toml here.")
    @click.pass_context
    @wraps(command)
    def wrapped(context: click.Context, /, config: Path | None, **options: Any) -> Any:
        settings: Settings = load(config or context.find_root().obj)
        return command(settings, **options)

    return wrapped
