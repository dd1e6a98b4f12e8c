"""Opaque cursors for lists that grow while somebody reads them: a place in the order, never an offset."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from bot.store.refusals import Invalid

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Generic[T]):
    """A part of a list. next: cursor of the part after it, None at the end."""

    items: Sequence[T]
    next: str | None


def mark(at: datetime, row_id: int) -> str:
    """Return the cursor that stands right after (*at*, *row_id*)."""
    micros = (at - _EPOCH) // _MICROSECOND
    return base64.urlsafe_b64encode(f"{micros}.{row_id}".encode()).decode().rstrip("=")


def place(cursor: str) -> tuple[datetime, int]:
    """Return what ``mark`` was given. Raises Invalid."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        micros, _, row_id = text.partition(".")
        at, number = _EPOCH + int(micros) * _MICROSECOND, int(row_id)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise Invalid("cursor is none of ours; leave it out to begin at the start") from error
    if not 0 <= number < 2**63:
        raise Invalid("cursor is none of ours; leave it out to begin at the start")
    return at, number


def before(at: Any, row_id: Any, cursor: str) -> sa.ColumnElement[bool]:
    """Return the condition for rows after *cursor* in a list with the newest first."""
    when, number = place(cursor)
    # The first half alone lets the index find the start; OR alone would not.
    return sa.and_(at <= when, sa.or_(at < when, row_id < number))


def beyond(at: Any, row_id: Any, cursor: str) -> sa.ColumnElement[bool]:
    """Return the condition for rows after *cursor* in a list with the oldest first."""
    when, number = place(cursor)
    return sa.and_(at >= when, sa.or_(at > when, row_id > number))
