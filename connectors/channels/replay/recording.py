"""A network's day in a file: JSON Lines rows, each something that happens at a moment (docs/channels/replay.md)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from connectors.post import PostKind
from connectors.protocol import BadItem
from connectors.record import MAX_RAW_CHARS, Moment, PostRecord, why

LONGEST_S = 366 * 86_400.0
MAX_BYTES = 268_435_456
MAX_LINE_BYTES = 1_048_576

Place: TypeAlias = tuple[float, int]
"""Where a row stands: seconds from the start, then line number; rows are played in this order."""

BEFORE_ALL: Place = (-1.0, 0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plausible(moment: datetime) -> datetime:
    """Return *moment*, or raise ValueError when the years to count from it would leave the calendar."""
    if not 1970 <= moment.year < 2200:
        raise ValueError("the start lies between 1970 and 2200")
    return moment


class Change(StrEnum):
    """What a row does."""

    POST = "post"
    REPOST = "repost"
    EDIT = "edit"
    DELETE = "delete"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    at: Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
    type: Change
    post: PostRecord


class _Start(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: Literal["start"]
    at: Annotated[Moment, AfterValidator(plausible)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One readable row. record: the whole post as it stands after it; first_at: when it first appeared, seconds."""

    place: Place
    change: Change
    record: PostRecord
    first_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A whole file. rows: in playing order, with those nobody could read. started_at: the start row's time."""

    rows: Sequence[tuple[Place, Happening | BadItem]]
    started_at: datetime | None
    _by_id: Mapping[str, Sequence[Happening]]

    @property
    def length_s(self) -> float:
        """Seconds from the start to the last row."""
        return self.rows[-1][0][0] if self.rows else 0.0

    def due(self, after: Place, until_s: float) -> Sequence[tuple[Place, Happening | BadItem]]:
        """Return the rows behind *after* and not behind *until_s*."""
        first = bisect_right(self.rows, after, key=_place)
        return self.rows[first : bisect_right(self.rows, (until_s, _LAST_LINE), key=_place)]

    def last(self, post_id: str, until_s: float) -> Happening | None:
        """Return what last happened to the post *post_id* by *until_s*; None when it has not appeared yet."""
        seen = [one for one in self._by_id.get(post_id, ()) if one.place[0] <= until_s]
        return seen[-1] if seen else None


_LAST_LINE = 2**53


def _place(row: tuple[Place, Happening | BadItem]) -> Place:
    return row[0]


class _Unreadable(ValueError):
    """This row cannot be played; the message says why."""


def read(path: Path) -> Recording:
    """Read the recording in *path*; blocks. Raises OSError, and ValueError when the file is too large to be one."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"a recording holds at most {MAX_BYTES} bytes; split {path.name}")
    return parse(path.read_bytes())


def parse(content: bytes) -> Recording:
    """Return the recording that *content* holds; a row nobody can read is kept aside with its line number."""
    changes: list[tuple[Place, _Row, bytes]] = []
    rows: list[tuple[Place, Happening | BadItem]] = []
    started_at: datetime | None = None
    reached = 0.0
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            match _row(line):
                case _Start() as start if started_at is None:
                    started_at = start.at
                case _Start():
                    raise _Unreadable("the recording has started already")
                case _Row() as row:
                    reached = row.at
                    changes.append(((row.at, number), row, line))
        except _Unreadable as error:
            # It plays with the row above it: its own time may be what is wrong with it.
            rows.append(((reached, number), _bad(number, line, error)))

    by_id: dict[str, list[Happening]] = {}
    for place, row, line in sorted(changes, key=lambda change: change[0]):
        known = by_id.setdefault(row.post.id, [])
        try:
            one = _happening(place, row, known)
        except _Unreadable as error:
            rows.append((place, _bad(place[1], line, error)))
            continue
        rows.append((place, one))
        known.append(one)
    return Recording(rows=sorted(rows, key=_place), started_at=started_at, _by_id=by_id)


def _row(line: bytes) -> _Row | _Start:
    if len(line) > MAX_LINE_BYTES:
        raise _Unreadable(f"a row holds at most {MAX_LINE_BYTES} bytes")
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _Unreadable(f"not JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise _Unreadable("a row is an object")
    try:
        if document.get("type") == "start":
            return _Start.model_validate(document)
        return _Row.model_validate(document)
    except ValidationError as error:
        raise _Unreadable(why(error)) from error


def _happening(place: Place, row: _Row, known: Sequence[Happening]) -> Happening:
    """Return what *row* does, given what is *known* of the same post, oldest first."""
    record, change = row.post, row.type
    gone = bool(known) and known[-1].change is Change.DELETE
    if gone:
        raise _Unreadable("this post is deleted already")
    match change:
        case Change.EDIT | Change.DELETE:
            if not known:
                raise _Unreadable(f"nothing to {change}: no earlier row brings this post")
            record = known[-1].record.changed_by(record)
        case Change.REPOST:
            if record.parent_id is None:
                raise _Unreadable("post.parent_id: a repost names what it repeats")
            record = record.model_copy(update={"kind": PostKind.REPOST})
        case Change.POST:
            pass
    try:
        record.post("replay", created_at=EPOCH, own_id="")
    except ValueError as error:
        raise _Unreadable(str(error)) from error
    first_at = known[0].first_at if known else place[0]
    return Happening(place=place, change=change, record=record, first_at=first_at)


def _bad(number: int, line: bytes, error: _Unreadable) -> BadItem:
    return BadItem(raw=line[:MAX_RAW_CHARS].decode(errors="replace"), reason=f"line {number}: {error}")
