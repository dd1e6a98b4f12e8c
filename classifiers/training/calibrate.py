"""Makes confidences true and errors even: a divisor a head, a lean to a label; fitted on texts that taught nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from classifiers.engines.weights import Vectors

Rows: TypeAlias = npt.NDArray[np.int64]
Worth: TypeAlias = Callable[[Rows, Rows], float]
"""What answers (second) are worth where the first are right, both indexes of labels, as sklearn.metrics gives it."""

CANDIDATES = tuple(round(0.4 * 1.02**step, 4) for step in range(160))
"""From 0.4 to 9.3, each two in a hundred above the one before: finer than a validation set can tell."""


LEANS = tuple(round(0.05 * step, 2) for step in range(-10, 21))
"""Log-odds, from half as likely again to nearly three times as likely."""

AROUND = 2
"""Candidates on each side that count with each one: the best of single ones is best by chance."""


def temperature(given: Vectors, gold: Rows) -> float:
    """Return the divisor of *given* (texts x labels) with the least negative log-likelihood (Guo et al. 2017)."""
    at = np.arange(len(gold))
    losses = [-float(log_softmax(given / divisor, axis=1)[at, gold].mean()) for divisor in CANDIDATES]
    return CANDIDATES[int(np.argmin(losses))]


def joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return *parts* one after the other."""
    return np.concatenate(list(parts))


def lean(judged: Sequence[tuple[Vectors, Rows, Worth]], label: int) -> float:
    """Return what to add to the log-odds of *label* so that the answers to all sets are worth most, each set the same.

    judged: of each set log-odds (texts x labels), right labels and what answers are worth there.
    """
    worths = np.zeros(len(LEANS))
    for given, gold, worth in judged:
        for at, added in enumerate(LEANS):
            leaning = given.copy()
            leaning[:, label] += added
            worths[at] += worth(gold, leaning.argmax(axis=1))
    inner = np.convolve(worths, np.ones(2 * AROUND + 1), "valid")
    return LEANS[int(inner.argmax()) + AROUND]
