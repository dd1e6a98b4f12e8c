"""Generated days of one topic, minute by minute, and what the detector says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import cos, pi

import numpy as np
import numpy.typing as npt

from handoff.burst import RECENT, Burst, Record, hour_of, judge, windows
from handoff.policy import IncidentSettings

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = 1440
HISTORY = 28
"""Days of history before the first look."""

SETTINGS = IncidentSettings()

Shape = Callable[[int], float]
"""Minute -> how busy it is, 1 on average."""


def flat(minute: int) -> float:
    """Return the same at any time."""
    return 1.0


def by_day(minute: int) -> float:
    """Return a day and a night: 19 times as much at two in the afternoon as at two at night; half at week-ends."""
    wave = 1 - 0.9 * cos(2 * pi * ((minute % DAY) / DAY - 2 / 24))
    return wave * (0.5 if minute // DAY % 7 in (5, 6) else 1.0)


@dataclass(frozen=True)
class Days:
    """counts: posts by different authors in each minute."""

    counts: npt.NDArray[np.int64]

    @classmethod
    def make(cls, rate: float, days: int, *, seed: int, shape: Shape = by_day, unsteady: float = 0.15) -> Days:
        """Return days with *rate* posts an hour on average; unsteady: how much whole days differ (log-normal)."""
        chance = np.random.default_rng(seed)
        minutes = (HISTORY + days) * DAY
        means = np.array([shape(minute) for minute in range(minutes)]) * rate / 60
        means *= np.repeat(chance.lognormal(0.0, unsteady, HISTORY + days), DAY)
        return cls(chance.poisson(means))

    def with_burst(self, at: int, times: float, *, rate: float, minutes: int = 60, seed: int = 0) -> Days:
        """Return these days with so many times *rate* (posts an hour, the usual then) from minute *at* on."""
        more = np.random.default_rng(seed).poisson(rate * (times - 1) / 60, minutes)
        counts = self.counts.copy()
        counts[at : at + minutes] += more
        return Days(counts)

    def look(self, minute: int, settings: IncidentSettings = SETTINGS) -> Burst | None:
        """Return what the detector says at the end of *minute*."""
        ends = minute + 1
        seen = {each: int(self.counts[ends - int(each) : ends].sum()) for each in windows(settings)}
        if max(seen.values()) < settings.min_posts:
            return None
        now = START + timedelta(minutes=ends)
        return judge(
            Record(
                topic="intent:delivery_item",
                windows=seen,
                hours=self._hours(ends),
                recent=self._recent(ends, settings),
                since=START,
            ),
            now=now,
            settings=settings,
        )

    def alarms(self, settings: IncidentSettings = SETTINGS) -> list[int]:
        """Return the minutes after the history in which it alarms anew, an hour of silence between two."""
        found: list[int] = []
        for minute in self._suspects(settings):
            if (not found or minute >= found[-1] + 60) and self.look(minute, settings) is not None:
                found.append(minute)
        return found

    def _suspects(self, settings: IncidentSettings) -> list[int]:
        """Return the minutes worth a look: nothing else can alarm, since the hours just before are one history."""
        sums = np.concatenate([[0], np.cumsum(self.counts)])
        ends = np.arange(HISTORY * DAY, len(self.counts)) + 1
        longest, recent = int(max(windows(settings))), int(RECENT.total_seconds() // 60)
        usual = (sums[ends - longest] - sums[ends - longest - recent]) / recent
        worth = np.zeros(len(ends), dtype=bool)
        for each in windows(settings):
            seen = sums[ends] - sums[ends - int(each)]
            worth |= seen >= np.maximum(settings.min_posts, settings.factor * each * usual)
        return [int(each) - 1 for each in ends[worth]]

    def delay(self, at: int, *, within: int = 60, settings: IncidentSettings = SETTINGS) -> int | None:
        """Return how many minutes after *at* it alarms, None when it does not *within* so many."""
        return next((late + 1 for late in range(within) if self.look(at + late, settings) is not None), None)

    def _hours(self, ends: int) -> dict[int, int]:
        first = hour_of(START)
        return {first + at: int(each) for at, each in enumerate(self.by_hour[: ends // 60])}

    @cached_property
    def by_hour(self) -> npt.NDArray[np.int64]:
        whole = len(self.counts) // 60
        return np.asarray(self.counts[: whole * 60].reshape(-1, 60).sum(axis=1), dtype=np.int64)

    def _recent(self, ends: int, settings: IncidentSettings) -> int:
        last = ends - int(max(windows(settings)))
        return int(self.counts[last - int(RECENT.total_seconds() // 60) : last].sum())
