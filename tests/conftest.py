"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.store.engine import Store
from tests.databases import empty_postgres, empty_sqlite, migrated, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A PostgreSQL server of this test process."""
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with today's schema, once on each database."""
    if request.param == "sqlite":
        with empty_sqlite(tmp_path) as empty:
            yield migrated(empty)
    else:
        with empty_postgres(request.getfixturevalue("postgres")) as empty:
            yield migrated(empty)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A store on SQLite with today's schema."""
    with empty_sqlite(tmp_path) as empty:
        yield migrated(empty)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with shared data; tests that need it are skipped, visibly, where there is none."""
    folder = os.environ.get("HARKEN_SHARED")
    if not folder:
        pytest.skip("HARKEN_SHARED names no folder with shared data")
    return Path(folder)
