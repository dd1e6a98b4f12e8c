"""What commands share: the configuration they take, the store they open, and how they say what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.settings import Settings, load

if TYPE_CHECKING:
    from bot.store.engine import Store

ROW_ID = click.IntRange(1, 2**63 - 1)
"""What may number a row: more no database holds."""


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* a ``--config`` option, and the loaded ``Settings`` as its first argument."""

    @click.option("--config", type=click.Path(path_type=Path), help="Configuration file; default: config.toml here.")
    @click.pass_context
    @wraps(command)
    def wrapped(context: click.Context, /, config: Path | None, **options: Any) -> Any:
        settings: Settings = load(config or context.find_root().obj)
        return command(settings, **options)

    return wrapped


@contextmanager
def command_store(settings: Settings) -> Iterator[Store]:
    """Open the store with today's schema; what it refuses becomes one sentence on stderr."""
    from bot.app import ready_store

    with refusals(), ready_store(settings) as store:
        yield store


@contextmanager
def past_store(settings: Settings, *, without: str) -> Iterator[Store]:
    """Give the store to be read; nothing is made or upgraded. Raises StoreError, saying what to run.

    without: what there cannot be where there is no store, such as "there is no past".
    """
    from bot.app import open_store
    from bot.store import migrate
    from bot.store.engine import StoreError, is_absent

    absent = StoreError(f"there is no store yet, so {without}; run: harken run")
    if is_absent(settings.store.url.get_secret_value()):
        raise absent
    store = open_store(settings)
    try:
        revision = store.read_now(migrate.read_current)
        if revision is None:
            raise absent
        if revision != migrate.head():
            raise StoreError("the store has another schema than this version speaks; run: harken db upgrade")
        yield store
    finally:
        store.close()


@contextmanager
def refusals() -> Iterator[None]:
    """Say what the store refuses as the command line says things."""
    from bot.store.refusals import RefusedError

    try:
        yield
    except RefusedError as refused:
        raise click.UsageError(str(refused)) from refused
