"""How likely an article answers: a choice among all matters and "none of them", with weights fitted on real questions.

The probability of a matter is exp(its score) over the sum for all matters and for NONE. So a close rival, a crowd of
half-fitting matters and an odd question all lower it, and the index may say "I do not know" by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each feature of ``search.Features`` counts, the score of "none of them", the highest probability given."""

    meaning: float
    title: float
    whole: float
    intent: float
    none: float
    ceiling: float


# Source of both: python -m handoff.knowledge.fit, on halves of stackfaq, banking77, kb_login_gov, clinc150 and
# triage_posts with the vectors of the shipped model; the figures for the other halves are in docs/knowledge.md.
BY_MEANING = Weights(meaning=19.88, title=0.0, whole=2.66, intent=0.08, none=14.02, ceiling=1.0)
"""For a text the encoder reads, set against articles with vectors."""

BY_WORDS = Weights(meaning=0.0, title=6.61, whole=8.88, intent=0.54, none=7.39, ceiling=0.85)
"""For everything else: languages whose vectors nothing was fitted on. ceiling: where words alone say over 0.9 they are
right 80 to 87 times in 100, so they never reach the threshold for speaking alone."""


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


def probabilities(evidence: Evidence) -> npt.NDArray[np.float64]:
    """Return the probability that each matter answers, shape (queries, matters); a row sums to less than 1."""
    with_meaning, without = _shares(evidence, BY_MEANING), _shares(evidence, BY_WORDS)
    return np.where(evidence.has_meaning[:, None], with_meaning, without)


def _shares(evidence: Evidence, weights: Weights) -> npt.NDArray[np.float64]:
    scores = (
        weights.meaning * evidence.meaning.astype(np.float64)
        + weights.title * evidence.title
        + weights.whole * evidence.whole
        + weights.intent * evidence.intent
    )
    highest = np.maximum(scores.max(axis=1, keepdims=True, initial=weights.none), weights.none)
    mass = np.exp(scores - highest)
    shares: npt.NDArray[np.float64] = mass / (mass.sum(axis=1, keepdims=True) + np.exp(weights.none - highest))
    return shares * weights.ceiling
