"""The replay network's own record of the replies it took: a JSON Lines file that only grows."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.errors import AmbiguousWrite, Rejected, Unavailable
from connectors.record import Moment, Words


class Entry(BaseModel):
    """One reply the network took. key: the sender's own; id: the network's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    key: str
    id: str
    channel: str
    parent_id: str
    root_id: str | None
    text: Words
    accepted_at: Moment

    def says_the_same(self, other: Entry) -> bool:
        """Whether both are the same words under the same post."""
        return (self.channel, self.parent_id, self.text) == (other.channel, other.parent_id, other.text)


class Ledger:
    """Entries by key, one row each, whatever dies between two bytes. Every method blocks on the disk.

    A row is written whole, then synced, then answered; a torn last row was answered to nobody and is cut off. Several
    processes may share the file: a lock on it makes look and append one step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Entry] = {}
        self._read_to = 0

    def entries(self) -> Sequence[Entry]:
        """Return everything taken so far, oldest first. Raises Unavailable."""
        with self._open() as file:
            self._catch_up(file)
            return list(self._entries.values())

    def take(self, entry: Entry) -> Entry:
        """Write *entry* down once and return what stands under its key, which may be older.

        Raises Rejected when the key already says something else, Unavailable when the disk refuses,
        AmbiguousWrite when it does not say.
        """
        with self._open() as file:
            self._catch_up(file)
            held = self._entries.get(entry.key)
            if held is not None:
                if not held.says_the_same(entry):
                    raise Rejected("this key has already been used for another reply")
                return held
            os.ftruncate(file, self._read_to)
            row = entry.model_dump_json().encode() + b"\n"
            # Written at an offset, not appended: a short write after a full disk is overwritten by the next try.
            written = os.pwrite(file, row, self._read_to)
            if written != len(row):
                raise Unavailable("the ledger's disk is full")
            try:
                os.fsync(file)
            except OSError as error:
                raise AmbiguousWrite("the ledger's disk did not say whether it kept the reply") from error
            self._read_to += len(row)
            self._entries[entry.key] = entry
            return entry

    @contextmanager
    def _open(self) -> Iterator[int]:
        try:
            file = self._descriptor()
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise Unavailable(f"the ledger {self.path} cannot be used: {error.strerror}") from error

    def _descriptor(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            return file

    def _catch_up(self, file: int) -> None:
        size = os.fstat(file).st_size
        if size < self._read_to:  # somebody started the day anew
            self._entries, self._read_to = {}, 0
        rest = os.pread(file, size - self._read_to, self._read_to)
        whole = rest[: rest.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                entry = Entry.model_validate(orjson.loads(line))
            except (orjson.JSONDecodeError, ValidationError) as error:
                raise Unavailable(f"the ledger {self.path} holds a row nobody can read; move it away") from error
            self._entries[entry.key] = entry
        self._read_to += len(whole)
