"""``harken check``: is everything as it should be, before it matters?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from bot.commands.options import with_settings
from bot.settings import Settings, shown

CHECK_S = 30.0


@click.command()
@click.option("--offline", is_flag=True, help="Do not ask the networks and desks.")
@with_settings
def check(settings: Settings, offline: bool) -> None:
    """Print the merged configuration with secrets masked, open every source and desk once, and say what is wrong."""
    from bot import logs
    from bot.app import App

    logs.set_up(level="error", as_json=False)
    for key, value in _leaves(settings.model_dump(), ""):
        click.echo(f"{key} = {shown(key, value)}")
    app = App(settings)
    faults = asyncio.run(_ask(app, offline=offline))
    click.echo("")
    for line in faults or ["Everything is in order."]:
        click.echo(line)
    if faults:
        raise click.exceptions.Exit(2)


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, BaseModel):
        yield from _leaves(value.model_dump(), key)
    elif key == "store.url" and isinstance(value, SecretStr):
        from bot.store.engine import masked_url

        yield key, masked_url(value.get_secret_value())
    elif isinstance(value, Mapping):
        return
    else:
        yield key, value


async def _ask(app: Any, *, offline: bool) -> list[str]:
    from bot.store import migrate
    from classifiers.errors import ClassifierError
    from connectors.errors import ConnectorError
    from handoff.errors import DeskError

    faults: list[str] = []
    async with AsyncExitStack() as stack:
        await app.open(stack)
        here = await asyncio.to_thread(migrate.current, app.store)
        if here is not None and here != migrate.head():
            faults.append(f"store: the schema is {here}; run: harken db upgrade")
        faults += await _private_door(app, has_store=here == migrate.head())
        try:
            await app.classifier.warm()
            click.echo(f"classifier: {app.classifier.name}")
        except ClassifierError as error:
            faults.append(f"classifier: {error}")
        for name, connector in app.connectors.items():
            if offline or connector.capabilities.pushed:
                continue
            try:
                account = await asyncio.wait_for(connector.identity(), CHECK_S)
                click.echo(f"sources.{name}: signed in as {account.handle}")
            except (ConnectorError, TimeoutError) as error:
                faults.append(f"sources.{name}: {type(error).__name__}: {error}")
        for name, desk in app.desks.items():
            if offline:
                continue
            try:
                await asyncio.wait_for(desk.check(), CHECK_S)
                click.echo(f"desks.{name}: answers")
            except (DeskError, TimeoutError) as error:
                faults.append(f"desks.{name}: {type(error).__name__}: {error}")
    return faults


async def _private_door(app: Any, *, has_store: bool) -> list[str]:
    """Return a fault when private matters are to be answered by an article that nobody can say."""
    from bot.store import articles

    slug = app.policy.settings.private.article
    known = {each.slug for each in app.folder_articles if each.may_be_said(app.clock())}
    if has_store:
        known |= {each.article.slug for each in await app.store.read(articles.entries)}
    if not slug or slug in known:
        return []
    return [f"handoff.private.article = {slug!r}: no published article is called so; all private matters go to people"]
