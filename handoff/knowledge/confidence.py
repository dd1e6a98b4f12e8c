"""How likely an article answers, in two steps: an order of all matters, then the chance that the first is right.

The second step is a logistic regression on what stands out about the first: how near it is, how far ahead of the next,
and how many of the question's words it holds. A close rival and an odd question both lower it, so the index may say "I
do not know" by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

SIGNS = ("meaning", "margin", "whole", "whole_margin")
"""What the doubt looks at, in the order of the columns of ``signs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What each feature of ``search.Features`` counts when matters are put in order, in log-odds of one to another."""

    meaning: float
    title: float
    whole: float
    intent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Weights of SIGNS and of nothing at all, in log-odds; and the highest probability that is ever given."""

    none: float
    meaning: float
    margin: float
    whole: float
    whole_margin: float
    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    order: Order
    doubt: Doubt


# Source of all three: python -m handoff.knowledge.fit, on halves of stackfaq, banking77, kb_login_gov, clinc150 and
# triage_posts with the vectors of the shipped model; the figures for the other halves are in docs/answers.md.
BY_MEANING = Weights(
    order=Order(meaning=23.01, title=0.63, whole=1.99, intent=0.49),
    doubt=Doubt(none=-8.482, meaning=11.154, margin=0.5992, whole=0.0, whole_margin=1.587, ceiling=1.0),
)
"""For a text with a vector, set against articles with vectors."""

ABROAD = Weights(
    order=BY_MEANING.order,
    doubt=Doubt(none=-4.155, meaning=5.885, margin=0.4903, whole=0.0, whole_margin=0.0, ceiling=0.85),
)
"""For an article in another language than the text: texts of two languages are never as near as those of one."""

BY_WORDS = Weights(
    order=Order(meaning=0.0, title=14.96, whole=7.25, intent=1.45),
    doubt=Doubt(none=-3.201, meaning=0.0, margin=0.6194, whole=1.845, whole_margin=0.0, ceiling=0.85),
)
"""For everything else. ceiling: words alone are right 80 to 87 times in 100 where they say over 0.9, so they never
reach the threshold for speaking alone."""


HALF = 0.5
"""What words in common count when they are of two languages: they are names, or chance."""

OTHER_INTENT = 0.85
"""The most that is given to an article that is tagged with other intents than the question's: a draft, at best. "My
router is dead too" is near to what is said about routers, and no wish to buy one."""


class Evidence(Protocol):
    """Features by row (query) and column (matter)."""

    @property
    def meaning(self) -> Floats: ...
    @property
    def title(self) -> Floats: ...
    @property
    def whole(self) -> Floats: ...
    @property
    def intent(self) -> Floats: ...
    @property
    def has_meaning(self) -> Flags: ...


def probabilities(evidence: Evidence) -> Doubles:
    """Return the probability that each matter answers, shape (queries, matters); the order of a row is its order."""
    with_meaning, without = chances(evidence, BY_MEANING), chances(evidence, BY_WORDS)
    return np.where(evidence.has_meaning[:, None], with_meaning, without)


def abroad(evidence: Evidence) -> Doubles:
    """Return the same where the article is in another language than the query; words alone say little then."""
    with_meaning, without = chances(evidence, ABROAD), HALF * chances(evidence, BY_WORDS)
    return np.where(evidence.has_meaning[:, None], with_meaning, without)


def scores(evidence: Evidence, order: Order) -> Doubles:
    """Return what puts the matters in order, shape (queries, matters)."""
    made: Doubles = (
        order.meaning * evidence.meaning.astype(np.float64)
        + order.title * evidence.title
        + order.whole * evidence.whole
        + order.intent * evidence.intent
    )
    return made


def signs(evidence: Evidence, score: Doubles) -> Doubles:
    """Return what the doubt looks at, shape (queries, len(SIGNS)). score: as ``scores`` gives, at least one matter."""
    rows = np.arange(len(score))
    first = score.argmax(axis=1)
    next_best = score.copy()
    next_best[rows, first] = -np.inf
    # Nothing competes where there is one matter: then it is as far ahead as it is near.
    ahead = score[rows, first] - np.maximum(next_best.max(axis=1), 0.0)
    whole = evidence.whole.astype(np.float64)
    others = whole.copy()
    others[rows, first] = 0.0
    return np.stack(
        [evidence.meaning[rows, first], ahead, whole[rows, first], whole[rows, first] - others.max(axis=1)], 1
    )


def chances(evidence: Evidence, weights: Weights) -> Doubles:
    """Return the probability that each matter answers by one set of *weights*, shape (queries, matters)."""
    score = scores(evidence, weights.order)
    if not score.size:
        return score
    doubt = weights.doubt
    counts = np.array([getattr(doubt, name) for name in SIGNS])
    odds = signs(evidence, score) @ counts + doubt.none
    mass = np.exp(score - score.max(axis=1, keepdims=True))
    is_other = evidence.intent[np.arange(len(score)), score.argmax(axis=1)] < 0
    ceiling = np.where(is_other, min(doubt.ceiling, OTHER_INTENT), doubt.ceiling)
    # However well both fit, the first of two equals is right at most half the time.
    sure = np.minimum(ceiling / (1 + np.exp(-np.clip(odds, -50, 50))), 1 / mass.sum(axis=1))
    made: Doubles = sure[:, None] * mass
    return made
