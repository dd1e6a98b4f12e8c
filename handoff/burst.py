"""Whether a topic comes in a burst: its posts of the last minutes against its own history. Pure counting.

Authors are counted, not posts: one person who writes fifty times is no incident. docs/incidents.md says what it was
measured to do; docs/adr/0014-incidents.md why it is built so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp, lgamma, log, log1p

from handoff.policy import IncidentSettings

DAYS = 28
"""History looked back on: four of each weekday."""

RECENT = timedelta(hours=3)
"""What went just before counts too: a busy day is no burst."""

LEAST = 60.0
"""Minutes of history without which nothing is judged."""

ALPHA = 1e-6
"""A count that the history makes less likely than this in one look is a burst. With a look each quarter of a minute,
three windows and a hundred topics that bound alone would still be broken now and then; ``factor`` and ``min_posts``
stand beside it. Measured together: docs/incidents.md."""

STEADY = 25.0
"""However long the history, the rate of a day is known to 20 % at best (the shape of the gamma distribution; 1 over its
root): days differ by more than chance."""

HOUR = timedelta(hours=1)
_EPOCH_HOURS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A topic as it was and is.

    windows: minutes -> authors within so many minutes. hours: number of an hour since 1970 -> authors in it, without
    posts of earlier incidents. recent: authors within RECENT before the longest window. since: first post known of any
    topic.
    """

    topic: str
    windows: Mapping[float, int]
    hours: Mapping[int, int] = field(default_factory=dict)
    recent: int = 0
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """A topic that comes in a burst. observed: authors within *minutes*; expected: by the busiest of its histories."""

    topic: str
    minutes: float
    observed: int
    expected: float

    @property
    def excess(self) -> float:
        """Authors beyond what was expected."""
        return self.observed - self.expected


def windows(settings: IncidentSettings) -> Sequence[float]:
    """Return the minutes looked at: a third of the window for what explodes, three of it for what is rare."""
    usual = settings.window_minutes
    return (usual / 3, usual, usual * 3)


def hour_of(at: datetime) -> int:
    """Return the number of the hour since 1970."""
    return int(at.timestamp()) // _EPOCH_HOURS


def judge(record: Record, *, now: datetime, settings: IncidentSettings) -> Burst | None:
    """Return the burst in which the topic comes, the widest window first, None when it does not."""
    histories = _histories(record, now, settings)
    if not histories:
        return None
    for minutes in sorted(record.windows, reverse=True):
        observed = record.windows[minutes]
        expected = minutes * max(seen / length for seen, length in histories)
        if observed < max(settings.min_posts, settings.factor * expected):
            continue
        if all(_tail(observed, minutes, seen, length) < ALPHA for seen, length in histories):
            return Burst(topic=record.topic, minutes=minutes, observed=observed, expected=expected)
    return None


def chosen(bursts: Iterable[Burst], settings: IncidentSettings) -> Burst | None:
    """Return the burst that becomes an incident: the one that explains most, or a narrower topic that leaves no burst.

    What is left over is looked at again a moment later, without the posts of the incident.
    """
    found = sorted(bursts, key=lambda each: each.excess, reverse=True)
    if not found:
        return None
    widest = found[0]
    quiet = max(settings.min_posts, settings.factor * widest.expected)
    return min(
        (each for each in found if widest.observed - each.observed < quiet and each.minutes == widest.minutes),
        key=lambda each: (NARROW.index(each.topic.partition(":")[0]), -each.excess),
    )


NARROW = ("article", "label", "intent")
"""Kinds of topics, the narrowest first."""


def _histories(record: Record, now: datetime, settings: IncidentSettings) -> list[tuple[int, float]]:
    """Return (authors, minutes) of each history that is long enough: the same hour of the day and those beside it, of
    all days and of this weekday, and the hours just before. The busiest counts, so that a morning is no burst."""
    this, first = hour_of(now), hour_of(record.since) + 1  # the first hour is not whole
    found: list[tuple[int, float]] = []
    for days in (range(1, DAYS + 1), range(7, DAYS + 1, 7)):
        for beside in (-1, 0, 1):
            hours = [this - 24 * day + beside for day in days if this - 24 * day + beside >= first]
            if hours:
                found.append((sum(record.hours.get(each, 0) for each in hours), 60.0 * len(hours)))
    ends = now - timedelta(minutes=max(windows(settings)))
    length = min(RECENT, ends - record.since).total_seconds() / 60
    if length >= LEAST:
        found.append((record.recent, length))
    return found


def _tail(observed: int, minutes: float, seen: int, length: float) -> float:
    """Return how likely it is to count *observed* or more in *minutes* after *seen* in *length* minutes.

    Poisson counts at a rate that is not known but from *seen* (gamma, Jeffreys' prior), nor steadier than STEADY: a
    negative binomial distribution (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6).
    """
    mean = minutes * (seen + 0.5) / length
    shape = min(seen + 0.5, STEADY)
    if observed <= mean:
        return 1.0
    # log of the probability of exactly *observed*, then the terms above it, each smaller than the one before.
    term = exp(
        lgamma(observed + shape)
        - lgamma(shape)
        - lgamma(observed + 1)
        - shape * log1p(mean / shape)
        + observed * (log(mean) - log(mean + shape))
    )
    total, count, share = 0.0, observed, mean / (mean + shape)
    while term > total * 1e-9 and term > 0:
        total += term
        term *= share * (count + shape) / (count + 1)
        count += 1
    return total
