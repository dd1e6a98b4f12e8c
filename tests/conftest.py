"""Fixtures that every test may use."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from hypothesis import HealthCheck, settings

from bot.store.engine import Store
from tests.databases import fresh_postgres, fresh_sqlite, make_schema, postgres_server

# How long an example takes says something of the machine, not of the code: pytest's own time-out ends what hangs.
settings.register_profile("harken", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("harken")


@pytest.fixture(autouse=True)
def unheard_logs() -> Iterator[None]:
    """Take back what a command that ran in this process did to logging."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take long, so that no worker is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A PostgreSQL server of this test process."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with today's schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "harken.db"
    make_schema(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store with today's schema, once on each database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store")
    else:
        with fresh_postgres(request.getfixturevalue("postgres")) as fresh:
            yield fresh


@pytest.fixture
def sqlite_store(tmp_path: Path, sqlite_template: Path) -> Iterator[Store]:
    """A store on SQLite with today's schema."""
    with fresh_sqlite(tmp_path, sqlite_template) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with shared data; tests that need it are skipped, visibly, where there is none."""
    folder = os.environ.get("HARKEN_SHARED")
    if not folder:
        pytest.skip("HARKEN_SHARED names no folder with shared data")
    return Path(folder)
