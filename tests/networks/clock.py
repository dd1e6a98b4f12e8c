"""Clocks for tests: one that moves only when told to, one that runs fast."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class FastClock:
    """Time that runs *rate* times as fast since the system's monotonic clock stood at *origin_s*.

    The same in every process of one machine, so a daemon and the network it talks to may share it.
    """

    rate: float
    start: datetime = NOON
    origin_s: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=(time.monotonic() - self.origin_s) * self.rate)
