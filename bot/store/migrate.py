"""Brings a database to the schema this version speaks, and says where it stands."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlmodel import Session

from bot.store.engine import Store, StoreError
from bot.store.turns import Turn, take_turn

FOLDER = Path(__file__).with_name("migrations")


@cache
def head() -> str:
    """Return the schema revision this version speaks."""
    revision = ScriptDirectory(str(FOLDER)).get_current_head()
    if revision is None:
        raise StoreError("this installation carries no migrations; install Harken again")
    return revision


def current(store: Store) -> str | None:
    """Return the revision the database has, None for an empty one."""
    with store.schema() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def read_current(session: Session) -> str | None:
    """Return the revision the database has, None for an empty one; through the door that only reads."""
    return MigrationContext.configure(session.connection()).get_current_revision()


def is_current(store: Store) -> bool:
    """Say whether the database has the schema this version speaks."""
    return current(store) == head()


def upgrade(store: Store) -> None:
    """Bring the schema to ``head``, all or nothing. Raises StoreError when the database is newer than this version."""
    here = current(store)
    if here == head():  # most starts; Alembic's own look at the same question takes its time
        return
    known = {revision.revision for revision in ScriptDirectory(str(FOLDER)).walk_revisions()}
    if here is not None and here not in known:
        raise StoreError(f"the database has schema {here}, which is newer than this Harken; install the newer version")
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    try:
        with store.schema() as connection:
            take_turn(connection, Turn.START)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (CommandError, sa.exc.SQLAlchemyError) as error:
        raise StoreError(f"the schema could not be brought to {head()}: {error}") from error


def is_ours(name: str | None, kind: str, parents: MutableMapping[Any, Any]) -> bool:
    """Say whether Alembic should compare this object: the full-text tables are made by hand."""
    return not (kind == "table" and name is not None and name.startswith("article_search"))
