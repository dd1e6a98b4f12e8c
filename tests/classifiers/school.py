"""A small world in which corrections can be right or wrong: meanings are clusters of features, and heads know most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from classifiers.delta import Rows, Vectors
from classifiers.lessons import Lesson, weighed
from classifiers.teaching import Change, Proposal, Validation, propose
from classifiers.triage import HEADS, INTENTS

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WIDTH = 64
JARGON = "jargon"
"""A meaning that the shipped heads take for a complaint, and that is a technical issue here."""


@dataclass(frozen=True)
class School:
    """meanings: name -> centre of its texts. knows: the linear head of the intent."""

    seed: int = 7
    random: np.random.Generator = field(init=False)
    meanings: Mapping[str, Vectors] = field(init=False)
    knows: Vectors = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        centres = random.normal(size=(len(INTENTS) + 1, WIDTH)).astype(np.float32)
        known = dict(zip(INTENTS, centres, strict=False))
        # Near a complaint, and yet something of its own.
        known[JARGON] = 0.7 * known["complaint"] + 0.7 * centres[-1]
        object.__setattr__(self, "random", random)
        object.__setattr__(self, "meanings", known)
        object.__setattr__(self, "knows", np.stack([known[label] for label in INTENTS], 1) / WIDTH)

    def features(self, meanings: Sequence[str]) -> Vectors:
        """Return meanings x WIDTH, each a little beside its centre."""
        noise = self.random.normal(size=(len(meanings), WIDTH)) * 0.3
        return np.stack([self.meanings[name] for name in meanings]).astype(np.float32) + noise.astype(np.float32)

    def judge(self, features: Vectors) -> dict[str, Vectors]:
        """Return the logits of the shipped heads: the intent by the nearest centre, the others undecided."""
        others = {head: np.zeros((len(features), len(labels)), np.float32) for head, labels in HEADS.items()}
        return others | {"intent": (6 * features @ self.knows).astype(np.float32)}

    def validation(self, rows: int = 340) -> Validation:
        """Return texts of all meanings that the heads know, with right labels of the intent."""
        meanings = [INTENTS[row // 2 % len(INTENTS)] for row in range(rows)]
        right = np.array([INTENTS.index(name) for name in meanings], np.int8)
        return Validation(self.features(meanings), {"intent": right})

    def teach(
        self, lessons: Sequence[Lesson], *, watched: bool = True, worn: Change | None = None, meaning: str = JARGON
    ) -> Proposal:
        """Return what *lessons* come to, whose texts all mean *meaning*."""
        found = weighed(lessons)
        features = self.features([meaning] * len(found.lessons)) if found.lessons else np.zeros((0, WIDTH), np.float32)
        validation, ordinary = (self.validation() if watched else None), self.validation().features
        return propose(found, features, judge=self.judge, validation=validation, ordinary=ordinary, worn=worn)

    def right_of(self, change: Change | None, meaning: str, label: str) -> float:
        """Return the share of 200 fresh texts of *meaning* that are now called *label*."""
        features = self.features([meaning] * 200)
        logits = self.judge(features)["intent"]
        if change is not None:
            logits = logits + change.deltas["intent"].logits(features)
        answers: Rows = logits.argmax(1)
        return float((answers == INTENTS.index(label)).mean())


def letters(number: int) -> str:
    """Return a word that no other number has, without letters in a row that would be cut."""
    return "".join("bcdfghjklm"[int(digit)] + "ao"[place % 2] for place, digit in enumerate(str(number)))


def correct(
    count: int,
    *persons: int,
    old: str = "complaint",
    new: str = "technical_issue",
    approved: bool = False,
    first: int = 1,
    days: int = 1,
) -> list[Lesson]:
    """Return *count* corrections of different texts, by *persons* in turn, over *days*."""
    return [
        Lesson(
            id=number,
            text=f"the {letters(number)} blinks, {old} {new}",
            head="intent",
            old=old,
            new=new,
            person=persons[number % len(persons)],
            at=NOON + timedelta(days=number % days, seconds=number),
            approved=approved,
        )
        for number in range(first, first + count)
    ]
