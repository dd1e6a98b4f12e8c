"""The order of lessons: which texts stand in which step, planned whole before the first one.

The plan depends on data and seed alone, so a run that was cut off goes on at the step it had reached.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from classifiers.training.sets import Lesson, Source

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
    """rows: of the lessons. pairs: rows of two texts that belong together; a step has one or the other."""

    rows: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()


def plan(lessons: Sequence[Lesson], lengths: Sequence[int], sources: Sequence[Source], *, seed: int) -> list[Step]:
    """Return the steps of both stages. lengths: pieces of each lesson. Pair steps stand as empty places."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for stage in (0, 1):
        rows = [row for source in sources for row in _drawn(lessons, source, stage, chance)]
        chance.shuffle(rows)
        steps += _cut(rows, lengths, chance)
    woven: list[Step] = []
    for step in steps:
        woven.append(step)
        if len(woven) % PAIRS_EVERY == PAIRS_EVERY - 1:
            woven.append(Step())
    return woven


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
