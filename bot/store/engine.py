"""Two doors to memory: ``read`` and ``write``. Each runs one synchronous function in one transaction, off the loop.

Because the function is synchronous it cannot await a network or a model inside its transaction; nobody has to remember
not to. On SQLite one thread owns the one connection that writes and checkpoints: versions below 3.51.3 can corrupt a
WAL that two connections write and checkpoint at once (sqlite.org/wal.html#walresetbug).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.pool import QueuePool, StaticPool
from sqlmodel import Session

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

SAFE_SQLITE = (3, 51, 3)

BAD_URL = "store.url is no database URL; write sqlite:///var/harken.db, or postgresql://..."


class StoreError(Exception):
    """The store cannot be used; the message says what to do."""


class StoreUnavailable(StoreError):
    """The database does not answer, or cannot be written at present; try again later."""


class Store:
    """Opens the database at *url* (``sqlite:///path`` or ``postgresql+psycopg://...``).

    checkpoints: only the daemon's writer moves the WAL back into the database; a command beside it must not. Beside
    *readers* and *writers* one thread and one connection are kept for what is urgent.
    """

    def __init__(self, url: str, *, readers: int = 4, writers: int = 4, checkpoints: bool = True) -> None:
        try:
            self.url = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError) as error:
            raise StoreError(BAD_URL) from error
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
            raise StoreError(f"store.url names {self.url.get_backend_name()!r}; sqlite and postgresql are supported")
        if self.is_sqlite:
            if not self.url.database:
                raise StoreError("store.url names no file; write sqlite:///var/harken.db")
            _make_private(self.url.database)
            self._writer = sa.create_engine(
                self.url, poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": 30}
            )
            self._reader = sa.create_engine(
                self.url,
                poolclass=QueuePool,
                pool_size=readers + 1,
                max_overflow=0,
                connect_args={"check_same_thread": False, "timeout": 30},
            )
            _prepare_sqlite(self._writer, writes=True, checkpoints=checkpoints)
            _prepare_sqlite(self._reader, writes=False, checkpoints=False)
            writers = 1
            # One connection serves whichever thread writes: two at once would share a transaction.
            self._alone: AbstractContextManager[object] = threading.Lock()
        else:
            self.url = self.url.set(drivername="postgresql+psycopg")
            self._alone = nullcontext()
            self._writer = sa.create_engine(
                self.url,
                pool_size=readers + writers + 1,
                max_overflow=0,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10},
            )
            # One pool; what reads begins its transactions READ ONLY, as SQLite's readers are query_only.
            self._reader = self._writer.execution_options(postgresql_readonly=True)
        self._write_threads = ThreadPoolExecutor(writers, thread_name_prefix="store-write")
        self._read_threads = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._urgent_thread = ThreadPoolExecutor(1, thread_name_prefix="store-urgent")

    @property
    def engine(self) -> sa.Engine:
        """The writing engine, for migrations and back-ups."""
        return self._writer

    @contextmanager
    def schema(self) -> Iterator[sa.Connection]:
        """Yield a connection in a writing transaction, for migrations."""
        with _spoken(), self._alone, self._writer.begin() as connection:
            yield connection

    @property
    def version(self) -> str:
        """Name and version of the database library, for the log and ``harken db status``."""
        if self.is_sqlite:
            return f"sqlite {sqlite3.sqlite_version}"
        with _spoken(), self._reader.connect() as connection:
            return f"postgresql {connection.execute(sa.text('show server_version')).scalar_one()}"

    def read_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *work* with a reading session on this thread."""
        with _spoken(), Session(self._reader, expire_on_commit=False, autoflush=False) as session:
            return work(session, *args, **kwargs)

    def write_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *work* in a writing transaction on this thread; what it returns is committed and synced."""
        with _spoken(), self._alone, Session(self._writer, expire_on_commit=False) as session, session.begin():
            return work(session, *args, **kwargs)

    async def read(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *work* with a reading session."""
        return await self._on(self._read_threads, lambda: self.read_now(work, *args, **kwargs))

    async def write(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *work* in a writing transaction; what it returns is committed and synced.

        Cancelling the caller does not stop a transaction that has begun.
        """
        return await self._on(self._write_threads, lambda: self.write_now(work, *args, **kwargs))

    async def read_urgently(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``read``, not queued up behind other work: for the brakes."""
        return await self._on(self._urgent_thread, lambda: self.read_now(work, *args, **kwargs))

    async def write_urgently(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``write``, queued up behind the transaction that runs on SQLite, and behind nothing else: for the brakes."""
        return await self._on(self._urgent_thread, lambda: self.write_now(work, *args, **kwargs))

    @staticmethod
    async def _on(threads: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, job)

    def close(self) -> None:
        """Wait for running transactions, then let go; twice is harmless. Readers go first: the last one checkpoints."""
        self._urgent_thread.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self._write_threads.shutdown(wait=True)
        if self.is_sqlite:
            self._reader.dispose()
        self._writer.dispose()


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn the driver's trouble with the database itself into one sentence."""
    try:
        yield
    except sa.exc.OperationalError as error:
        first_line = str(error.orig).strip().partition("\n")[0]
        raise StoreUnavailable(f"the database cannot be used: {first_line}") from error
    except sa.exc.DatabaseError as error:
        # Only what SQLite says of the file itself; a broken constraint is a fault of ours and has a class of its own.
        if type(error) is not sa.exc.DatabaseError:
            raise
        why = f"the database cannot be used: {error.orig}; restore a back-up, or name another file"
        raise StoreError(why) from error


def _make_private(path: str) -> None:
    """Make the file before SQLite does, so that only its owner reads it; SQLite gives the WAL the same mode."""
    if path == ":memory:" or path.startswith("file:"):
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreError(f"store.url: {path!r} cannot be opened: {why}") from error


def is_absent(url: str) -> bool:
    """Say whether *url* names a file that is not there or empty: to open it would be to make a database.

    Raises StoreError when it is no database URL.
    """
    try:
        made = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StoreError(BAD_URL) from error
    path = made.database or ""
    if made.get_backend_name() != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return False
    try:
        return Path(path).stat().st_size == 0
    except FileNotFoundError:
        return True
    except (OSError, ValueError):  # there is something, and whoever opens it says what is wrong with it
        return False


def masked_url(url: str) -> str:
    """Return a database URL with its password masked."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "(no database URL)"


def warn_of_old_sqlite() -> None:
    """Say once at start when the SQLite at hand is one that needs the single writer."""
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        log.info("store.old_sqlite", version=sqlite3.sqlite_version, guard="one writer and checkpointer")


def _prepare_sqlite(engine: sa.Engine, *, writes: bool, checkpoints: bool) -> None:
    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        if writes:
            cursor.execute("PRAGMA journal_mode=WAL")
            # FULL: with NORMAL a power cut takes acknowledged rows (docs/adr/0002-sqlite.md).
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
        else:
            cursor.execute("PRAGMA query_only=ON")
        cursor.execute(f"PRAGMA wal_autocheckpoint={1000 if checkpoints else 0}")
        # KiB, per connection: there are several readers, and the system keeps the file's pages as well.
        cursor.execute(f"PRAGMA cache_size=-{32_000 if writes else 8_000}")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # IMMEDIATE: read-then-write under a plain BEGIN fails at once beside another writer, whatever the time-out.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
