"""The order of lessons: which texts stand in which step, planned whole before the first one.

The plan depends on data and seed alone, so a run that was cut off goes on at the step it had reached.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from classifiers.training.sets import Lesson, Source

STAGES = 3
"""A broad one, a shorter one on posts to brands, and a last look at these with small steps."""

LAST_RATE = 0.5
"""Of the full rate, where the last stage begins."""

WARM_UP = 0.06
BATCH = 32
PAIRS = 20
PAIRS_EVERY = 10
"""Every tenth step teaches what belongs together; the others teach labels."""

MOST_KINDS = 60
"""A set counts by its kinds up to here, so that one long-winded set does not take the time of all others."""

_SORTED = 40
"""Steps whose texts are sorted by length together; more would make neighbours too much alike."""


@dataclass(frozen=True, slots=True)
class Step:
    """rows: of the lessons; a step without any teaches pairs. rate: share of the full rate of learning.

    ends_course: after it the weights would do; those after the last stage are averaged with them.
    """

    rows: tuple[int, ...] = ()
    rate: float = 1.0
    ends_course: bool = False


def plan(lessons: Sequence[Lesson], lengths: Sequence[int], sources: Sequence[Source], *, seed: int) -> list[Step]:
    """Return the steps of all stages. lengths: pieces of each lesson. The rate falls twice, last in the last stage."""
    chance = random.Random(seed)
    steps: list[Step] = []
    ends = [0]
    for stage in range(STAGES):
        rows = [row for source in sources for row in _drawn(lessons, source, stage, chance)]
        chance.shuffle(rows)
        for step in _cut(rows, lengths, chance):
            steps.append(step)
            if len(steps) % PAIRS_EVERY == PAIRS_EVERY - 1:
                steps.append(Step())
        ends.append(len(steps))
    first, last = ends[-2], len(steps) - ends[-2]
    rates = [*_rates(first), *(LAST_RATE * rate for rate in _rates(last))]
    return [
        replace(step, rate=rate, ends_course=number == first)
        for number, (step, rate) in enumerate(zip(steps, rates, strict=True), 1)
    ]


def _rates(steps: int) -> Iterator[float]:
    """Yield the share of the full rate: up in a line, then down in a line."""
    warm = max(1, round(WARM_UP * steps))
    for done in range(steps):
        yield min((done + 1) / warm, (steps - done) / max(1, steps - warm))


def _drawn(lessons: Sequence[Lesson], source: Source, stage: int, chance: random.Random) -> Iterator[int]:
    rows = [row for row, lesson in enumerate(lessons) if lesson.source == source.name]
    whole, part = divmod(source.passes[stage], 1)
    for _ in range(int(whole)):
        yield from rows
    yield from chance.sample(rows, round(part * len(rows)))


def _cut(rows: Sequence[int], lengths: Sequence[int], chance: random.Random) -> list[Step]:
    steps = []
    for start in range(0, len(rows), _SORTED * BATCH):
        near = sorted(rows[start : start + _SORTED * BATCH], key=lambda row: (lengths[row], row))
        some = [Step(tuple(near[at : at + BATCH])) for at in range(0, len(near), BATCH)]
        chance.shuffle(some)
        steps += some
    return steps


def pairs(groups: Sequence[Sequence[Sequence[int]]], *, seed: int, step: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of one step, all from one set. groups: set -> texts of one kind -> rows."""
    chance = random.Random(seed * 1_000_003 + step)
    kinds = chance.choices(groups, weights=[min(len(kinds), MOST_KINDS) for kinds in groups])[0]
    chosen = chance.sample(range(len(kinds)), min(PAIRS, len(kinds)))
    made = [chance.sample(list(kinds[kind]), 2) for kind in chosen]
    return tuple((first, second) for first, second in made)
