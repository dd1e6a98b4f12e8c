"""Where a recording's seconds lie on the calendar, and the cursor that remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite

from connectors.channels.replay.recording import Place, Recording, plausible
from connectors.protocol import Cursor


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the recording's seconds lie on the calendar."""

    origin: datetime
    speed: float

    def when(self, at: float) -> datetime:
        """Return the moment that lies *at* seconds into the recording."""
        return self.origin + timedelta(seconds=at / self.speed)

    def reached(self, recording: Recording, now: datetime) -> float:
        """Return how many seconds into *recording* the moment *now* lies; -1 before the start."""
        seconds = (now - self.origin).total_seconds() * self.speed
        # The last row of a day that has just ended must not be missed for a rounding error.
        return recording.length_s if self.when(recording.length_s) <= now else seconds


def write_cursor(timeline: Timeline, place: Place) -> Cursor:
    """Return a cursor that holds when the day began and how far it has been read."""
    return f"{timeline.origin.isoformat()}|{place[0]!r}|{place[1]}"


def read_cursor(cursor: Cursor) -> tuple[datetime, Place]:
    """Return when the day began and how far it has been read. Raises ValueError when another channel wrote it."""
    origin, at, line = cursor.split("|")
    if not isfinite(float(at)):
        raise ValueError("the place is not a number")
    return read_moment(origin), (float(at), int(line))


def read_moment(text: str) -> datetime:
    """Return the aware UTC moment in *text*. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time carries no zone")
    return plausible(moment.astimezone(UTC))
