"""What an article is worth: what people and customers made of it, and whether to revise or to retire it.

Figures are few for most articles, so nothing is advised that could be chance: a share counts as high when the lower end
of its 95 % interval is above the bar, as low when the upper end is below (Wilson, as in handoff/earned.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from handoff.earned import percent, upper_bound
from handoff.knowledge.article import ArticleState, Audience

SETTLED = timedelta(hours=48)
"""Who is not helped says so within two days, or never; as for earned automation."""

EDITED_OFTEN = 0.3
"""Drafts that people change; above it the wording costs more than it saves. Ours to choose, like the bars below."""

REJECTED_OFTEN = 0.2
"""Drafts that people throw away: the article is found for questions that it does not answer, or says it badly."""

RESOLVED_SELDOM = 0.7
"""Answers after which the matter rests."""

USELESS_OFTEN = 0.5
"""Ratings that say: not useful."""


class Act(StrEnum):
    """What to do with an article. NONE: leave it as it is."""

    NONE = "none"
    REVISE = "revise"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """*part* of *of*, and the 95 % interval in which the true share lies: 0 to 1 when nothing was seen."""

    part: int
    of: int

    @property
    def low(self) -> float:
        """The lower end."""
        return 1.0 - upper_bound(self.of - self.part, self.of)

    @property
    def high(self) -> float:
        """The upper end."""
        return upper_bound(self.part, self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of an article within some time.

    shown: posts for which it was put before a person, or used. alone, by_person: sent by the bot, and from a draft that
    a person approved. approved: drafts approved unchanged; edited: changed; rejected: discarded. changed: by how much
    the edited ones were, each 0 to 1, where it is known. resolved, unresolved: answers that are SETTLED. pending: too
    young. useful, useless: people's ratings.
    """

    shown: int = 0
    alone: int = 0
    by_person: int = 0
    approved: int = 0
    edited: int = 0
    rejected: int = 0
    changed: Sequence[float] = ()
    resolved: int = 0
    unresolved: int = 0
    pending: int = 0
    useful: int = 0
    useless: int = 0

    @property
    def sent(self) -> int:
        """Answers that went out."""
        return self.alone + self.by_person

    @property
    def judged(self) -> int:
        """Drafts that a person decided about."""
        return self.approved + self.edited + self.rejected

    @property
    def edited_share(self) -> Share:
        """Of judged drafts."""
        return Share(part=self.edited, of=self.judged)

    @property
    def rejected_share(self) -> Share:
        """Of judged drafts."""
        return Share(part=self.rejected, of=self.judged)

    @property
    def resolved_share(self) -> Share:
        """Of settled answers."""
        return Share(part=self.resolved, of=self.resolved + self.unresolved)

    @property
    def useless_share(self) -> Share:
        """Of ratings."""
        return Share(part=self.useless, of=self.useful + self.useless)

    @property
    def change(self) -> float | None:
        """By how much an edited draft was changed, on average; None when nobody knows."""
        return sum(self.changed) / len(self.changed) if self.changed else None


NOTHING = Counts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An article and what became of it. within: in the time looked at; in_force: of that, since the version in force
    was published. in_force_since: when it was, None when nobody knows."""

    article_id: int
    name: str
    title: str
    state: ArticleState
    audience: Audience
    owner: str
    version: int
    in_force_since: datetime | None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    review_by: date | None = None
    within: Counts = NOTHING
    in_force: Counts = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do with an article, and why, in sentences."""

    act: Act
    reasons: Sequence[str] = ()


def advise(use: Use, *, now: datetime, within: timedelta) -> Advice:
    """Return what to do with an article. within: how long ago the counts begin.

    Only what is in force is judged, by what happened since: a new version starts with a clean slate.
    """
    if use.state is not ArticleState.PUBLISHED:
        return Advice(act=Act.NONE)
    if retire := _retire(use, now=now, within=within):
        return Advice(act=Act.RETIRE, reasons=retire)
    if revise := _revise(use, now=now):
        return Advice(act=Act.REVISE, reasons=revise)
    return Advice(act=Act.NONE)


def changed(before: str, after: str) -> float:
    """Return how much of a text was changed, word by word: 0 for nothing, 1 for all of it."""
    matcher = SequenceMatcher(None, before.split(), after.split(), autojunk=False)
    return 1.0 - matcher.ratio()


def _retire(use: Use, *, now: datetime, within: timedelta) -> list[str]:
    if use.valid_until is not None and use.valid_until <= now:
        return [f"it is no longer valid since {use.valid_until:%Y-%m-%d}"]
    found_from = max((each for each in (use.in_force_since, use.valid_from) if each is not None), default=None)
    is_old = found_from is not None and found_from <= now - within
    if use.audience is Audience.PUBLIC and is_old and not use.within.shown:
        return [f"it was not shown once in {within.days} days"]
    return []


def _revise(use: Use, *, now: datetime) -> list[str]:
    counts, found = use.in_force, []
    if use.review_by is not None and use.review_by < now.date():
        found.append(f"it was to be looked at again until {use.review_by.isoformat()}")
    if counts.edited_share.low > EDITED_OFTEN:
        much = "" if counts.change is None else f", by {counts.change:.0%} of the words".replace("%", " %")
        found.append(f"people changed {_of(counts.edited_share)} drafts{much}: {_at_least(counts.edited_share)}")
    if counts.rejected_share.low > REJECTED_OFTEN:
        found.append(f"people discarded {_of(counts.rejected_share)} drafts: {_at_least(counts.rejected_share)}")
    if counts.resolved_share.of and counts.resolved_share.high < RESOLVED_SELDOM:
        most = percent(counts.resolved_share.high)
        found.append(f"{_of(counts.resolved_share)} answers resolved the matter: {most} at most")
    if counts.useless_share.low > USELESS_OFTEN:
        found.append(f"{_of(counts.useless_share)} ratings say not useful: {_at_least(counts.useless_share)}")
    return found


def _of(share: Share) -> str:
    return f"{share.part} of {share.of}"


def _at_least(share: Share) -> str:
    return f"{percent(share.low)} at least"
