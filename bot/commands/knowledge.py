"""``harken knowledge``: what we know, from a folder of Markdown files into the store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.commands.options import with_settings
from bot.settings import ConfigError, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.store.articles import Changes
    from bot.store.engine import Store
    from classifiers.registry import ClassifierEmbedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did. embedded: articles that got vectors from the model."""

    changes: Changes
    embedded: int


@click.group()
def knowledge() -> None:
    """Look after the articles that answers come from."""


@knowledge.command("import")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@with_settings
def import_(settings: Settings, folder: Path) -> None:
    """Make the store hold exactly the articles in FOLDER; nothing is imported when one of them is bad."""
    from bot.app import ready_store

    with ready_store(settings) as store:
        imported = asyncio.run(_import(settings, store, folder))
    for line in said(imported):
        click.echo(line)


async def _import(settings: Settings, store: Store, folder: Path) -> Imported:
    # The folder is read before the model is loaded: a typo is told in a moment.
    from handoff.knowledge.article import ArticleError
    from handoff.knowledge.folder import load_folder

    try:
        await asyncio.to_thread(load_folder, folder)
    except ArticleError as error:
        raise ConfigError("\n".join([*error.problems, "nothing was imported"])) from error
    async with warm(settings) as engine:
        return await import_folder(store, folder, engine, now=datetime.now(UTC))


async def import_folder(store: Store, folder: Path, engine: ClassifierEmbedder, *, now: datetime) -> Imported:
    """Bring *store* in step with *folder*, with vectors from *engine*. Raises ArticleError, with nothing changed."""
    from bot.store import articles
    from handoff.knowledge.folder import load_folder

    loaded = await asyncio.to_thread(load_folder, folder)
    changes = await store.write(articles.put_all, loaded, now=now)
    embedded = await articles.refresh_vectors(store, engine, model=engine.foundation)
    return Imported(changes=changes, embedded=embedded)


def said(imported: Imported) -> list[str]:
    """Return the lines that tell a person what an import did."""
    changes = imported.changes
    groups = (("new", changes.new), ("changed", changes.changed), ("retired", changes.retired))
    lines = [f"{word:<9}{name}" for word, names in groups for name in names]
    counts = ", ".join(f"{len(names)} {word}" for word, names in groups)
    return [*lines, f"{counts}, {changes.unchanged} unchanged; {imported.embedded} embedded"]


@asynccontextmanager
async def warm(settings: Settings) -> AsyncIterator[ClassifierEmbedder]:
    """Give the configured engine, ready to be asked. Raises ConfigError when it cannot be loaded."""
    from bot.app import make_classifier
    from classifiers.errors import ClassifierError

    engine = make_classifier(settings)
    try:
        await engine.warm()
        yield engine
    except ClassifierError as error:
        raise ConfigError(f'classifier: {error}; or set classifier.engine = "keywords" to go without it') from error
    finally:
        await engine.aclose()
