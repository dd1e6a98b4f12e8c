"""What people corrected, taught to the heads: a small change of their linear path, and whether it is better.

The encoder and the hidden layers stay as they are. A change is fitted (``classifiers.delta``) to the corrections that
count (``classifiers.lessons``), anchored by the shipped answers on one half of the validation set; it is judged on
corrections that the fit did not see, and on the right labels of the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, comb, floor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from classifiers.delta import ANCHORS, Anchors, Delta, Rows, Vectors, fit
from classifiers.lessons import Weighed, key
from classifiers.triage import HEADS

FOLDS = 5
"""Every correction is judged by a fit to the other four fifths."""

CHANCE = 0.05
"""A head is better when luck would make so many of the changed answers right less often than this (one-sided sign test,
the exact form of McNemar's): five of five, seven of eight, nine of eleven."""

MOST_LOST = 0.005
"""Of accuracy on the judging half of the validation set: half a point, against the better of the heads in service and
the shipped ones, so that many small losses cannot add up."""

MOST_LOST_F1 = 0.02
"""Of macro F1 there: a rare label must not be given up for a common one; a row of a rare label is worth a point."""

NO_VALIDATION = "the model has no validation set: only held-back corrections judged, and posts nobody corrected anchor"


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What was taught: head -> Delta, always from the shipped heads. lessons: ids of all that it was fitted to."""

    deltas: Mapping[str, Delta]
    lessons: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """features: rows x width. right: head -> index in HEADS[head] of each row's right label, -1 where unknown."""

    features: Vectors
    right: Mapping[str, npt.NDArray[np.int8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """accuracy, macro_f1: 0 to 1; both 0 for no rows."""

    rows: int
    accuracy: float
    macro_f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One head. lessons: those it was fitted to. corrections: judged by fits that did not see them.

    gained, lost: weight of the corrections that became right, or wrong. chance: of so many more right by luck.
    """

    head: str
    lessons: int
    corrections_before: Score
    corrections_after: Score
    validation_before: Score | None
    validation_after: Score | None
    gained: float
    lost: float
    chance: float
    better: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposal:
    """change: None when no head became better. left_out: why -> corrections that do not count."""

    change: Change | None
    verdicts: tuple[Verdict, ...]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """Say why nothing changes."""
        told = [f"{verdict.head}: {verdict.why}" for verdict in self.verdicts]
        told += [f"{count} left out: {why}" for why, count in self.left_out.items()]
        return "; ".join(told) or "there are no corrections"


Judge: TypeAlias = Callable[[Vectors], Mapping[str, Vectors]]
"""Features -> head -> rows x labels: logits of the shipped heads, divided by the temperature."""


def propose(
    found: Weighed,
    features: Vectors,
    *,
    judge: Judge,
    validation: Validation | None,
    ordinary: Vectors,
    worn: Change | None,
) -> Proposal:
    """Return what *found* teaches, head by head; *features* has a row for each of its lessons. worn: in service now.

    ordinary: features of texts whose labels nobody corrected; they anchor the fit where there is no validation set.

    A head that did not become better keeps what it wears. Deterministic; 2,000 corrections of the intent take seconds.
    """
    lessons = found.lessons
    shipped = judge(features)
    watched = None if validation is None else _Watched(validation, judge(validation.features))
    held = ordinary[:ANCHORS] if validation is None else validation.features[::2][:ANCHORS]
    anchored = judge(held)
    seen = set() if worn is None else set(worn.lessons)
    deltas = dict(worn.deltas) if worn is not None else {}
    fitted = seen.copy()
    verdicts, changed = [], False
    for head in HEADS:
        rows = [row for row, each in enumerate(lessons) if each.head == head]
        if not rows:
            continue
        taught = [lessons[row] for row in rows]
        course = _Course(
            features=features[rows],
            base=shipped[head][rows],
            right=np.array([HEADS[head].index(each.new) for each in taught]),
            weights=np.array([found.weights[each.id] for each in taught], np.float32),
            fold=np.array([_fold(each.text) for each in taught]),
            fresh=np.array([each.id not in seen for each in taught]),
            anchors=Anchors(held, anchored[head]),
        )
        verdict, delta = _judged(head, course, watched, deltas.get(head))
        verdicts.append(verdict)
        if verdict.better:
            changed, deltas[head] = True, delta
            fitted |= {each.id for each in taught}
    return Proposal(
        change=Change(deltas, tuple(sorted(fitted))) if changed else None,
        verdicts=tuple(verdicts),
        left_out=found.reasons(),
        notes=() if watched is not None else (NO_VALIDATION,),
    )


class _Watched:
    """The judging half of the validation set: its odd rows; the even ones anchor."""

    def __init__(self, validation: Validation, shipped: Mapping[str, Vectors]) -> None:
        self._validation, self._shipped = validation, shipped

    def score(self, head: str, delta: Delta | None) -> Score | None:
        """Return how *head* does with *delta* on the judging half; None where no row is labelled for it."""
        right = self._validation.right.get(head)
        rows = np.zeros(0, np.intp) if right is None else np.flatnonzero(right[1::2] >= 0)
        if right is None or not len(rows):
            return None
        logits = self._shipped[head][1::2][rows]
        if delta is not None:
            logits = logits + delta.logits(self._validation.features[1::2][rows])
        return _score(logits.argmax(1), right[1::2][rows].astype(np.intp), np.ones(len(rows), np.float32))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Course:
    """The corrections of one head, a row each. base: logits of the shipped head. fresh: not seen by the worn one."""

    features: Vectors
    base: Vectors
    right: Rows
    weights: Vectors
    fold: Rows
    fresh: npt.NDArray[np.bool_]
    anchors: Anchors

    def fit(self, rows: npt.NDArray[np.bool_]) -> Delta:
        """Return the change that the corrections of *rows* teach."""
        return fit(self.features[rows], self.base[rows], self.right[rows], self.weights[rows], self.anchors)

    def held_back(self) -> Rows:
        """Return the answer to each correction, by a fit that did not see it."""
        answers: Rows = self.base.argmax(1)
        for fold in range(FOLDS):
            held = self.fold == fold
            if (held & self.fresh).any() and not held.all():
                delta = self.fit(~held)
                answers[held] = (self.base[held] + delta.logits(self.features[held])).argmax(1)
        return answers


def _judged(head: str, course: _Course, watched: _Watched | None, worn: Delta | None) -> tuple[Verdict, Delta]:
    before = (course.base if worn is None else course.base + worn.logits(course.features)).argmax(1)
    after = course.held_back()
    delta = course.fit(np.ones(len(course.right), bool))
    rows = course.fresh
    weights, was, now = course.weights[rows], (before == course.right)[rows], (after == course.right)[rows]
    gained, lost = float(weights[now & ~was].sum()), float(weights[was & ~now].sum())
    chance = sign_test(gained, lost)
    shipped, old, new = (None if watched is None else watched.score(head, each) for each in (None, worn, delta))
    why = ""
    if not rows.any():
        why = "nothing new since it was last taught"
    elif chance > CHANCE:
        why = f"held-back corrections are not clearly better: {gained:.1f} gained, {lost:.1f} lost, chance {chance:.2f}"
    elif new is not None and old is not None and shipped is not None:
        why = _worse(new, old, shipped)
    verdict = Verdict(
        head=head,
        lessons=len(course.right),
        corrections_before=_score(before[rows], course.right[rows], weights),
        corrections_after=_score(after[rows], course.right[rows], weights),
        validation_before=old,
        validation_after=new,
        gained=round(gained, 2),
        lost=round(lost, 2),
        chance=round(chance, 4),
        better=not why,
        why=why or "better",
    )
    return verdict, delta


def _worse(new: Score, old: Score, shipped: Score) -> str:
    """Say what the validation set loses, "" where it may."""
    lost = max(old.accuracy, shipped.accuracy) - new.accuracy
    if lost > MOST_LOST:
        return f"the validation set loses {100 * lost:.1f} points of accuracy, and {100 * MOST_LOST:.1f} may be lost"
    lost = max(old.macro_f1, shipped.macro_f1) - new.macro_f1
    if lost > MOST_LOST_F1:
        return f"the validation set loses {100 * lost:.1f} points of macro F1, and {100 * MOST_LOST_F1:.1f} may be lost"
    return ""


def sign_test(gained: float, lost: float) -> float:
    """Return how likely luck makes at least *gained* of the changed answers right.

    Weights count in whole answers, gained ones rounded down and lost ones up: a crowd of light ones proves no more than
    it weighs.
    """
    wins, losses = floor(gained + 1e-6), ceil(lost - 1e-6)
    total = wins + losses
    return float(sum(comb(total, count) for count in range(wins, total + 1)) / 2**total)


def _score(answers: Rows, right: Rows, weights: Vectors) -> Score:
    if not len(right):
        return Score(rows=0, accuracy=0.0, macro_f1=0.0)
    hit = answers == right
    f1 = [
        2
        * float(weights[hit & (right == label)].sum())
        / float(weights[right == label].sum() + weights[answers == label].sum())
        for label in np.unique(right)
    ]
    return Score(
        rows=len(right),
        accuracy=round(float(weights[hit].sum() / weights.sum()), 4),
        macro_f1=round(float(np.mean(f1)), 4),
    )


def _fold(text: str) -> int:
    return blake2b(key(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()[0] % FOLDS
