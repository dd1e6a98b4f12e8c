"""Alembic's entry: migrations run on the connection that bot.store.migrate hands over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context
from sqlmodel import SQLModel

from bot.store import tables  # noqa: F401  (importing declares the tables)
from bot.store.migrate import is_ours

connection: sa.Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    include_name=is_ours,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
