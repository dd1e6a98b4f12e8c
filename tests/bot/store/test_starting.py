"""Several daemons start at once on one empty PostgreSQL: each gets through, and what they bring is there once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context

import pytest
import sqlalchemy as sa

from bot.store import articles, migrate, own_labels, sources
from bot.store.engine import Store
from handoff.knowledge.article import Article
from handoff.knowledge.readiness import Standards
from tests.databases import TEMPLATE

AT_ONCE = 5
ROUNDS = 2
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FOLDER = [
    Article(
        slug=f"article-{number}",
        locale=locale,
        title=f"Parcel {number}",
        body=f"Place {number}.",
        owner="kim",
        reviewer="ada",
        wordings={"default": f"It waits at place {number}."},
    )
    for number in range(20)
    for locale in ("en", "de")
]
LABELS = {f"set-{number}": {"a": ["one", "two"], "b": ["three", "four"]} for number in range(3)}
SOURCES = {f"source-{number}": ("x", "x") for number in range(6)}


@contextmanager
def new_database(server: sa.URL, template: str) -> Iterator[str]:
    """Yield the URL of a new database."""
    name = f"harken_{uuid.uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        admin.dispose()


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """AT_ONCE processes: Alembic keeps its state in the module."""
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        yield pool


def start(url: str, at: float) -> int:
    """Do at the moment *at* what a daemon does before it is ready; return how many articles were new to the store."""
    store = Store(url)
    try:
        time.sleep(max(0.0, at - time.time()))
        migrate.upgrade(store)
        store.write_now(sources.configure, SOURCES)
        store.write_now(own_labels.configure, LABELS, now=NOW)
        return len(store.write_now(articles.take_folder, FOLDER, standards=Standards(), now=NOW).new)
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("template", ["template0", TEMPLATE])
def test_what_a_first_start_brings_is_taken_once(postgres: sa.URL, processes: Executor, template: str) -> None:
    for _ in range(ROUNDS):
        with new_database(postgres, template) as url:
            at = time.time() + 1
            new = [each.result(timeout=60) for each in [processes.submit(start, url, at) for _ in range(AT_ONCE)]]
            assert sorted(new) == [0] * (AT_ONCE - 1) + [len(FOLDER)]
            engine = sa.create_engine(url)
            with engine.connect() as connection:
                counted = {
                    table: connection.execute(sa.text(f"select count(*) from {table}")).scalar_one()
                    for table in ("source", "label_set", "label_example", "article", "article_version")
                }
            engine.dispose()
            assert counted == {
                "source": len(SOURCES),
                "label_set": len(LABELS),
                "label_example": len(LABELS) * 4,
                "article": len(FOLDER),
                "article_version": len(FOLDER),
            }
