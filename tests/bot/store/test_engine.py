"""Two doors: what write returns is committed; a failed work leaves nothing; writers on other threads wait."""

from __future__ import annotations

import asyncio
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from bot.store import migrate
from bot.store.backup import backup
from bot.store.engine import Store, StoreError, StoreUnavailable
from bot.store.tables import SourceRow


def add(session: Session, name: str) -> None:
    session.add(SourceRow(name=name, kind="x", channel="x"))
    session.flush()
    session.exec(select(SourceRow)).all()


def names(session: Session) -> set[str]:
    return set(session.exec(select(SourceRow.name)))


def test_a_failed_work_leaves_nothing_behind(store: Store) -> None:
    def fails(session: Session) -> None:
        add(session, "half")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        store.write_now(fails)
    assert store.read_now(names) == set()


async def test_writers_on_any_thread_do_not_share_a_transaction(store: Store) -> None:
    def fails(session: Session, name: str) -> None:
        add(session, name)
        raise RuntimeError(name)

    with ThreadPoolExecutor(8) as threads:
        loop = asyncio.get_running_loop()
        tasks = [loop.run_in_executor(threads, store.write_now, add, f"kept {number}") for number in range(40)]
        tasks += [loop.run_in_executor(threads, store.write_now, fails, f"lost {number}") for number in range(40)]
        tasks += [asyncio.ensure_future(store.write(add, f"queued {number}")) for number in range(40)]
        await asyncio.gather(*tasks, return_exceptions=True)
    found = store.read_now(names)
    assert found == {f"{kind} {number}" for kind in ("kept", "queued") for number in range(40)}


def test_a_reader_cannot_write_on_sqlite(sqlite_store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="readonly"):
        sqlite_store.read_now(add, "sneaky")


def test_sqlite_is_as_durable_as_the_promise_needs(sqlite_store: Store) -> None:
    def pragma(session: Session, name: str) -> object:
        return session.connection().execute(sa.text(f"PRAGMA {name}")).scalar_one()

    assert sqlite_store.write_now(pragma, "journal_mode") == "wal"
    assert sqlite_store.write_now(pragma, "synchronous") == 2
    assert sqlite_store.write_now(pragma, "foreign_keys") == 1


@pytest.mark.parametrize("url", ["not a url", "mysql://somewhere/db", "sqlite://"])
def test_a_wrong_address_is_one_clear_sentence(url: str) -> None:
    with pytest.raises(StoreError, match=r"store\.url"):
        Store(url)


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new' / 'folder' / 'harken.db'}")
    store.close()
    store.close()


def test_only_the_owner_reads_the_database(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        store = Store(f"sqlite:///{tmp_path}/harken.db")
        migrate.upgrade(store)
        copy = backup(store, tmp_path, now=datetime(2026, 3, 2, tzinfo=UTC))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(mask)
    assert {"harken.db", "harken.db-wal", copy.name} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_file_that_is_no_database_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "harken.db"
    path.write_bytes(b"something else entirely" * 100)
    store = Store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="not a database"):
        store.read_now(names)
    store.close()


@pytest.mark.parametrize("below", ["file/harken.db", "\0.db", "."])
def test_a_place_where_no_file_can_be_is_one_clear_sentence(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path}/{below}")
