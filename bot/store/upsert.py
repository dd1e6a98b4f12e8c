"""INSERT that leaves an existing row alone or updates it, on both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session


def table_of(row: Any) -> sa.Table:
    """Return the table behind a SQLModel class."""
    table: sa.Table = row.__table__
    return table


def insert_new(session: Session, table: sa.Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert *values*; a row that some unique key already has stays as it is."""
    if values:
        session.connection().execute(_insert(session, table).on_conflict_do_nothing(), [dict(each) for each in values])


def insert_new_returning(
    session: Session, table: sa.Table, values: Sequence[Mapping[str, Any]], *columns: sa.Column[Any]
) -> list[sa.Row[Any]]:
    """Like ``insert_new``; return *columns* of the rows that were new."""
    if not values:
        return []
    statement = _insert(session, table).on_conflict_do_nothing().returning(*columns)
    return list(session.connection().execute(statement, [dict(each) for each in values]))


def put(session: Session, table: sa.Table, values: Sequence[Mapping[str, Any]], *, key: Sequence[str]) -> None:
    """Insert *values*, or overwrite what the row with the same *key* holds. All must name the same columns."""
    if not values:
        return
    insert = _insert(session, table)
    rest = {name: insert.excluded[name] for name in values[0] if name not in key}
    session.connection().execute(
        insert.on_conflict_do_update(index_elements=list(key), set_=rest), [dict(each) for each in values]
    )


def _insert(session: Session, table: sa.Table) -> Any:
    return (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(table)
