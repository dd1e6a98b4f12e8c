"""Whose corrections count, and how much: nobody moves a label alone, however much and however often they press."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from classifiers import normalise

MOST_PER_DAY = 50
"""Corrections of one person on one UTC day that count. Somebody who reads every post corrects one in a few minutes;
more is a script, or a person who should ask a lead."""

PERSONS = 2
"""Persons who must agree on a direction (from one label to another) before it counts: four eyes."""

LARGEST_SHARE = 0.5
"""Of the weight of a direction that one person may have. At a half only one person can be over it, and outvotes nobody:
all others together weigh as much."""

MOST_LESSONS = 2_000
"""Those that are taught, the newest: so many are fitted within seconds, and habits change."""

DAILY = "over the daily limit of one person"
ALONE = "no second person and no lead agrees yet"
REPEATED = "the same text was corrected before"
CONTESTED = "people disagree about this text"
OLD = f"more than {MOST_LESSONS:,} newer ones count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A person's correction. old: what the model said. approved: a lead agreed."""

    id: int
    text: str
    head: str
    old: str
    new: str
    person: int
    at: datetime
    approved: bool = False

    @property
    def direction(self) -> tuple[str, str, str]:
        return self.head, self.old, self.new


@dataclass(frozen=True, slots=True)
class Weighed:
    """lessons: those that count, oldest first. weights: id -> above 0, at most 1. left_out: id -> why of the others."""

    lessons: Sequence[Lesson]
    weights: Mapping[int, float]
    left_out: Mapping[int, str]

    def reasons(self) -> dict[str, int]:
        """Return how many were left out for each reason."""
        return dict(sorted(Counter(self.left_out.values()).items()))


PLACES = ("@user", "http")
"""What stands for a handle and a link."""


def key(text: str) -> str:
    """Return what equal texts share: handles, links, letter case and blanks do not tell them apart."""
    return " ".join(word for word in normalise.for_model(text).casefold().split() if word not in PLACES)


def weighed(lessons: Sequence[Lesson]) -> Weighed:
    """Return which of *lessons* count and how much. A lead's approval frees a lesson of every limit on one person."""
    left_out: dict[int, str] = {}
    ordered = sorted(lessons, key=lambda lesson: (lesson.at, lesson.id))
    within = _leave_out(ordered, _over_the_day(ordered), DAILY, left_out)
    agreed = _leave_out(within, _without_a_second(within), ALONE, left_out)
    single, shared = _once_a_text(agreed, left_out)
    weights = _capped(single, shared)
    counted = _leave_out(single, {each.id for each in single if each.id not in weights}, ALONE, left_out)
    newest = _leave_out(counted, {each.id for each in counted[:-MOST_LESSONS]}, OLD, left_out)
    return Weighed(tuple(newest), {each.id: weights[each.id] for each in newest}, left_out)


def _leave_out(lessons: Sequence[Lesson], ids: set[int], why: str, left_out: dict[int, str]) -> list[Lesson]:
    left_out |= dict.fromkeys(ids, why)
    return [lesson for lesson in lessons if lesson.id not in ids]


def _over_the_day(lessons: Iterable[Lesson]) -> set[int]:
    counts: Counter[tuple[int, object]] = Counter()
    over = set()
    for lesson in lessons:
        if not lesson.approved:
            day = (lesson.person, lesson.at.date())
            counts[day] += 1
            if counts[day] > MOST_PER_DAY:
                over.add(lesson.id)
    return over


def _without_a_second(lessons: Sequence[Lesson]) -> set[int]:
    persons = defaultdict(set)
    for lesson in lessons:
        persons[lesson.direction].add(lesson.person)
    return {each.id for each in lessons if not each.approved and len(persons[each.direction]) < PERSONS}


def _once_a_text(lessons: Sequence[Lesson], left_out: dict[int, str]) -> tuple[list[Lesson], set[int]]:
    """Return one lesson a head and text, and the ids of those that are not one person's alone."""
    groups: dict[tuple[str, str], list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        groups[lesson.head, key(lesson.text)].append(lesson)
    kept, shared = [], set()
    for group in groups.values():
        # What a lead approved settles a dispute.
        rank = [each for each in group if each.approved] or group
        if len({each.new for each in rank}) > 1:
            left_out |= dict.fromkeys((each.id for each in group), CONTESTED)
            continue
        first = rank[0]
        kept.append(first)
        agreeing = {each.person for each in group if each.new == first.new}
        if first.approved or len(agreeing) >= PERSONS:
            shared.add(first.id)
        left_out |= {each.id: REPEATED for each in group if each is not first}
    return sorted(kept, key=lambda lesson: (lesson.at, lesson.id)), shared


def _capped(lessons: Sequence[Lesson], shared: set[int]) -> dict[int, float]:
    directions: dict[tuple[str, str, str], list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        directions[lesson.direction].append(lesson)
    weights: dict[int, float] = {}
    for group in directions.values():
        own = Counter(each.person for each in group if each.id not in shared)
        for each in group:
            if each.id in shared:
                weights[each.id] = 1.0
                continue
            allowed = LARGEST_SHARE / (1 - LARGEST_SHARE) * (len(group) - own[each.person])
            weights[each.id] = min(1.0, allowed / own[each.person])
    return {lesson.id: weights[lesson.id] for lesson in lessons if weights[lesson.id] > 0}
