"""``harken db``: the store's schema, back-ups and state."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from bot.commands.options import with_settings
from bot.settings import Settings


@click.group()
def db() -> None:
    """Look after the store."""


@db.command()
@with_settings
def upgrade(settings: Settings) -> None:
    """Bring the schema to the one this version speaks; a store with data is backed up first."""
    from bot.app import open_store
    from bot.store import migrate
    from bot.store.backup import backup as take

    store = open_store(settings)
    try:
        before = migrate.current(store)
        if before == migrate.head():
            click.echo(f"The schema is {before} already.")
            return
        if before is not None:
            click.echo(f"Backed up to {take(store, settings.store.backups, now=datetime.now(UTC))}")
        migrate.upgrade(store)
        click.echo(f"The schema is now {migrate.head()}.")
    finally:
        store.close()


@db.command()
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: store.backups."
)
@with_settings
def backup(settings: Settings, folder: Path | None) -> None:
    """Write a checked copy of the store; the daemon may go on running."""
    from bot.app import open_store
    from bot.store.backup import backup as take

    store = open_store(settings)
    try:
        path = take(store, folder or settings.store.backups, now=datetime.now(UTC))
        click.echo(f"Backed up to {path} ({path.stat().st_size:,} bytes, integrity checked)")
    finally:
        store.close()


@db.command()
@with_settings
def status(settings: Settings) -> None:
    """Say where the schema stands and what waits."""
    from bot.app import open_store
    from bot.store import jobs, migrate

    store = open_store(settings)
    try:
        here = migrate.current(store)
        click.echo(f"database  {store.version}")
        click.echo(f"schema    {here or 'none'} (this version speaks {migrate.head()})")
        if here != migrate.head():
            click.echo("Run: harken db upgrade", err=True)
            raise click.exceptions.Exit(2)
        depths = store.read_now(jobs.depths)
        for depth in depths:
            click.echo(f"{depth.stage:<12}{depth.waiting:>8} waiting {depth.parked:>6} parked")
        if not depths:
            click.echo("Nothing waits.")
    finally:
        store.close()


@db.command()
@with_settings
def unpark(settings: Settings) -> None:
    """Give every parked errand another try."""
    from bot.app import open_store
    from bot.store import jobs

    store = open_store(settings)
    try:
        click.echo(f"{store.write_now(jobs.unpark, now=datetime.now(UTC))} errands will be tried again.")
    finally:
        store.close()
