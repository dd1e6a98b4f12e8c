"""Brakes as files: one for each target, in one folder. A file that stands stops, whatever is in it and whoever made it.

``stop`` is everything; ``article=SLUG``, ``intent=NAME`` and ``source=NAME`` are one topic. ``touch`` is enough. No
database is asked, so this works while there is none. What cannot be seen counts as standing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

import orjson

from handoff.brake import EVERYTHING, Pulled, Scope, Target

STOP = "stop"
LOCK = ".lock"
BY_HAND = "a file"
MAX_WORDS = 500
MAX_BYTES = 16_384
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAX_NAME_BYTES = 240
"""What a file system takes as a name, 255 bytes, with room."""


class FlagsError(Exception):
    """The folder of the brakes cannot be used; the message says what to do."""


def new_token() -> str:
    """Return an identity for a brake."""
    return uuid.uuid4().hex


def path_of(folder: Path, target: Target) -> Path:
    """Return where the file of *target* stands. Raises FlagsError when its name is too long for a file."""
    if target.scope is Scope.EVERYTHING:
        return folder / STOP
    name = f"{target.scope}={quote(target.name, safe='')}"
    if len(name) > MAX_NAME_BYTES:
        raise FlagsError(f"{target}: the name is too long for a file; stop everything, or the source")
    return folder / name


def prepare(folder: Path) -> None:
    """Make the folder. Raises FlagsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FlagsError(f"brakes.folder: {folder} cannot be made: {error.strerror}; name another one") from error


def stands(folder: Path, target: Target) -> bool:
    """Say whether the file of *target* stands; a few microseconds, on any thread. What cannot be seen stands."""
    try:
        os.stat(path_of(folder, target))
    except FileNotFoundError:
        # A folder that is gone took its flags with it: nobody has released them.
        return not folder.is_dir()
    except (OSError, FlagsError):
        return True
    return True


def read(folder: Path) -> list[Pulled]:
    """Return every flag of the folder; of a file nobody can read, that it stands. Raises FlagsError."""
    return [flag for name in _names(folder) if (target := _target(name)) and (flag := _flag(folder / name, target))]


def raise_flag(folder: Path, flag: Pulled) -> bool:
    """Make *flag* stand, synced to disk. Return False when a file for its target stood already. Raises FlagsError.

    Where there is no room for who and why, an empty file stands: it stops just as well.
    """
    path = path_of(folder, flag.target)
    prepare(folder)
    part = folder / f".{flag.token}.part"
    content = {"token": flag.token, "at": flag.at.isoformat(), "who": flag.who, "why": flag.why}
    try:
        try:
            with open(part, "wb", opener=_opener) as file:
                file.write(orjson.dumps({**content, "user_id": flag.user_id}, option=orjson.OPT_INDENT_2))
                file.flush()
                os.fsync(file.fileno())
            _put(part, path)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            os.close(_opener(str(path), os.O_WRONLY | os.O_CREAT))
        finally:
            part.unlink(missing_ok=True)
        _sync(folder)
    except FileExistsError:
        return False
    except OSError as error:
        raise FlagsError(f"brakes.folder: {path} cannot be written: {error.strerror}") from error
    return True


def strangers(folder: Path) -> list[str]:
    """Return the names of visible files there that stop nothing, a misspelt brake perhaps. Raises FlagsError."""
    return [name for name in _names(folder) if not name.startswith(".") and _target(name) is None]


def lower_flag(folder: Path, token: str) -> bool:
    """Take the file away whose token this is; a newer one in its place stays. Raises FlagsError."""
    try:
        with _locked(folder):
            for flag in read(folder):
                if flag.token == token:
                    path_of(folder, flag.target).unlink(missing_ok=True)
                    _sync(folder)
                    return True
    except OSError as error:
        raise FlagsError(f"brakes.folder: a flag in {folder} cannot be removed: {error.strerror}") from error
    return False


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise FlagsError(f"brakes.folder: {folder} cannot be read: {error.strerror}; everything is held") from error


def take_back(folder: Path, flag: Pulled) -> None:
    """Take away what ``raise_flag`` has just made for *flag*, an empty file included. Raises FlagsError."""
    path = path_of(folder, flag.target)
    try:
        if not lower_flag(folder, flag.token) and path.exists() and not path.stat().st_size:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise FlagsError(f"brakes.folder: {path} cannot be removed: {error.strerror}") from error


def _target(name: str) -> Target | None:
    """Return what a file of this name stops, None when it is no brake."""
    if name == STOP:
        return EVERYTHING
    scope, found, quoted = name.partition("=")
    if not found or scope not in (Scope.ARTICLE, Scope.INTENT, Scope.SOURCE):
        return None
    try:
        return Target(scope=Scope(scope), name=unquote(quoted, errors="strict"))
    except ValueError:
        return None


def _flag(path: Path, target: Target) -> Pulled | None:
    """Return the flag of a file, None when it has just gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return Pulled(token=f"file:{path.name}", target=target, at=_now(), who=BY_HAND, why="it cannot be looked at")
    at = datetime.fromtimestamp(found.st_mtime, UTC)
    # The same for every process that sees this file, and another when somebody touches it again.
    by_hand = f"file:{found.st_ino}:{found.st_mtime_ns}"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError:
        return Pulled(token=by_hand, target=target, at=at, who=BY_HAND, why="")
    try:
        told = orjson.loads(content)
        return Pulled(
            token=str(told["token"])[:100],
            target=target,
            at=datetime.fromisoformat(told["at"]).astimezone(UTC),
            who=str(told["who"])[:MAX_WORDS],
            why=str(told["why"])[:MAX_WORDS],
            user_id=told["user_id"] if isinstance(told["user_id"], int) else None,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        why = content.decode("utf-8", "replace").replace("\x00", "").strip()[:MAX_WORDS]
        return Pulled(token=by_hand, target=target, at=at, who=BY_HAND, why=why)


def _put(part: Path, path: Path) -> None:
    """Give the whole file its name, unless that is taken. Raises FileExistsError."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links. Two at once: the later one says why, both stop.
        if path.exists():
            raise FileExistsError(path) from None
        part.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_CLOEXEC, 0o644)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder / LOCK, "w", opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o644)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _now() -> datetime:
    return datetime.now(UTC)


def first_standing(folder: Path, wanted: Sequence[Target]) -> Target | None:
    """Return the first of *wanted* whose file stands."""
    return next((target for target in wanted if stands(folder, target)), None)
