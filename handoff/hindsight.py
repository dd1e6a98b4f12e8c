"""What people had said of our answers at an earlier moment: today's verdicts, but only those that were known then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handoff.earned import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One answer that people judged, sooner or later.

    made_at: when it was prepared. counts_at: from when on it counted at all (approved, discarded, said). wrong_at: from
    when on it was known to be wrong; None: never. settles_at: until then one without a fault is too young to know; None
    for a draft, which is judged when it counts.
    """

    made_at: datetime
    counts_at: datetime
    wrong_at: datetime | None = None
    settles_at: datetime | None = None


class Past:
    """The judgements of one intent on one source, to be asked as of any moment."""

    def __init__(self, judgements: Iterable[Judgement], *, within: timedelta, most: int) -> None:
        self._within = within
        self._most = most
        self._all: Sequence[Judgement] = sorted(judgements, key=lambda each: each.made_at)
        self._made = [each.made_at for each in self._all]

    def record(self, now: datetime) -> Record:
        """Return what was known at *now* of the newest answers: those that ``verdicts`` would have counted then."""
        observed = wrong = pending = counted = 0
        for each in reversed(self._all[: bisect_right(self._made, now)]):
            if each.made_at <= now - self._within or counted == self._most:
                break
            if each.counts_at > now:
                continue
            counted += 1
            if each.wrong_at is not None and each.wrong_at <= now:
                wrong += 1
            elif each.settles_at is not None and each.settles_at > now:
                pending += 1
                continue
            observed += 1
        return Record(observed=observed, wrong=wrong, pending=pending)
