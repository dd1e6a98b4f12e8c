"""A copy that can be trusted: taken in one transaction, checked before it is called a back-up."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime
from pathlib import Path

from bot.store.engine import Store, StoreError

TIMEOUT_S = 3600


def backup(store: Store, folder: Path, *, now: datetime) -> Path:
    """Write a back-up into *folder* and return its path. Raises StoreError; a broken copy is removed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = now.strftime("%Y%m%dT%H%M%S%fZ")
    if store.is_sqlite:
        return _sqlite(store, folder / f"harken-{stamp}.db")
    return _postgres(store, folder / f"harken-{stamp}.dump")


def _sqlite(store: Store, path: Path) -> Path:
    path.touch(mode=0o600, exist_ok=False)
    where = f"file:{store.url.database}?mode=ro"
    with closing(sqlite3.connect(where, uri=True)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        path.unlink()
        raise StoreError(f"the copy did not pass its integrity check ({found}); the database may be damaged")
    return path


def _postgres(store: Store, path: Path) -> Path:
    tool = shutil.which("pg_dump")
    if tool is None:
        raise StoreError("pg_dump is not installed here; install PostgreSQL's client programs")
    # The password goes by the environment: a command line can be read by everybody on the machine.
    url = store.url.set(drivername="postgresql", password=None).render_as_string()
    path.touch(mode=0o600, exist_ok=False)
    environment = {**os.environ, "PGPASSWORD": str(store.url.password or "")}
    try:
        subprocess.run(  # noqa: S603  (our own URL, no shell)
            [tool, "--format=custom", f"--file={path}", url],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_S,
            env=environment,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        path.unlink(missing_ok=True)
        raise StoreError("pg_dump failed; run it by hand to see why: it must not be older than the server") from error
    return path
