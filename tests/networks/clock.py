"""A clock that moves only when told to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@dataclass
class HandClock:
    """Calling it returns the time (aware UTC); ``advance`` moves it. A network and a connector may share one."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> datetime:
        """Move on by ``timedelta(**span)`` and return the new time."""
        self.now += timedelta(**span)
        return self.now


def system_clock() -> datetime:
    """Return the real time, for networks that a whole daemon talks to."""
    return datetime.now(UTC)
