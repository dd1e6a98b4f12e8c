"""Where a stream stands, and X's ids as times.

X gives posts newest first, and we owe them oldest first. So a look walks down from the newest post to the floor; what
it cannot reach in one look it marks, and the marks are worked off from the oldest one up. No post is skipped, memory
stays bounded, and a rate limit in the middle loses one look, not the walk.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import orjson

from connectors.protocol import Cursor

VERSION = 1
EPOCH_MS = 1_288_834_974_657  # docs.x.com/resources/fundamentals/x-ids: the first millisecond of X's ids
TIME_SHIFT = 22


def id_at(time: datetime) -> int:
    """Return the smallest id X may give at *time*, at least 1."""
    return max(1, (int(time.timestamp() * 1000) - EPOCH_MS) << TIME_SHIFT)


def time_of(post_id: int) -> datetime:
    """Return when X gave *post_id*. Raises OverflowError or ValueError for ids no X gives."""
    return datetime.fromtimestamp(((post_id >> TIME_SHIFT) + EPOCH_MS) / 1000, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class XCursor:
    """seen: newest id handled. start: where the first visit began, while nothing is seen.

    floor: exclusive lower end of a walk under way. marks: exclusive upper ends still to do, the lowest last; the first
    is just above the newest post there was when the walk began, else a steady trickle would keep it from ending.
    """

    seen: int | None = None
    start: float | None = None
    floor: int | None = None
    marks: tuple[int, ...] = ()

    @classmethod
    def first(cls, *, now: datetime, lookback: timedelta) -> Self:
        return cls(start=(now - lookback).timestamp())

    @classmethod
    def read(cls, cursor: Cursor) -> Self | None:
        """Return the cursor in *cursor*, None when it is not one of ours."""
        try:
            data = orjson.loads(cursor)
            if data.pop("v") != VERSION:
                return None
            return cls(**{**data, "marks": tuple(data["marks"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self) -> Cursor:
        return orjson.dumps({"v": VERSION, **asdict(self)}).decode()

    @property
    def top(self) -> int | None:
        """The exclusive upper end of the next look, None for the newest post."""
        return self.marks[-1] if self.marks else None

    def bottom(self, overlap: timedelta) -> int | None:
        """Return the exclusive lower end of the next look, None when only ``start`` bounds it."""
        if self.floor is not None:
            return self.floor
        if self.seen is None:
            return None
        return id_at(time_of(self.seen) - overlap)

    def mark(self, *, oldest: int, newest: int, floor: int | None) -> Self:
        """Return the cursor after a look from *newest* down to *oldest* with more below it."""
        return replace(self, floor=floor, marks=(*(self.marks or (newest + 1,)), oldest))

    def done(self, newest: int | None) -> Self:
        """Return the cursor after everything between floor and top was delivered."""
        seen = max((each for each in (self.seen, newest) if each is not None), default=None)
        start = self.start if seen is None else None
        floor = self.marks[-1] - 1 if len(self.marks) > 1 else None
        return replace(self, seen=seen, start=start, floor=floor, marks=self.marks[:-1])
