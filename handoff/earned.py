"""What people did with the answers to one intent on one source, and whether that earns answering alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z95 = 1.959964
"""Standard score of a 95 % interval (two-sided)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Answers of one intent on one source that people have judged. wrong: edited, discarded, passed over for
    a person's own words, on a corrected intent, or followed by a complaint. pending: said, and too young to know."""

    observed: int = 0
    wrong: int = 0
    pending: int = 0

    @property
    def bound(self) -> float:
        """The share of wrong ones that the true share exceeds in few cases; 1.0 where nothing was observed."""
        return upper_bound(self.wrong, self.observed)


NOTHING = Record()


def upper_bound(wrong: int, observed: int) -> float:
    """Return the upper end of Wilson's 95 % interval for *wrong* of *observed* (Wilson, JASA 22, 1927, 209-212)."""
    if observed <= 0:
        return 1.0
    share, square = wrong / observed, Z95**2
    middle = share + square / (2 * observed)
    reach = Z95 * sqrt(share * (1 - share) / observed + square / (4 * observed**2))
    return min(1.0, (middle + reach) / (1 + square / observed))


def missing(record: Record, *, limit: float, least: int) -> int:
    """Return how many more answers without a fault it takes, 0 when it is earned; a fault more takes many more."""
    if record.observed >= least and record.bound < limit:
        return 0
    low, high = max(record.observed, least - 1), max(record.observed, least)
    while upper_bound(record.wrong, high) >= limit:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if upper_bound(record.wrong, middle) < limit else (middle, high)
    return high - record.observed


def told(record: Record, intent: str, source: str, *, limit: float) -> str:
    """Return the record in words: "refund_return on x: 2 of 118 wrong, at most 6.0 %; 5 % are allowed"."""
    if not record.observed:
        return f"{intent} on {source}: nobody has judged an answer yet; {percent(limit)} may be wrong"
    return (
        f"{intent} on {source}: {record.wrong} of {record.observed} wrong, at most {record.bound * 100:.1f} %; "
        f"{percent(limit)} are allowed"
    )


def percent(share: float) -> str:
    """Return a share as a person reads it: "5 %", "2.5 %"."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"
