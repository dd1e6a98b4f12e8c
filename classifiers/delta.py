"""A change of one head's linear path, fitted to what people corrected: small, and held where the head was right.

Corrections are mistakes only, so they say nothing of how often a label is right: fitted freely, 328 of them cost the
urgency 30 points of accuracy on other posts. The constants were chosen by what 20 to 758 corrections of 1,300 posts did
to the accuracy on 1,300 others (docs/teaching.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

Vectors: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.intp]

PULL = 0.25
"""All corrections of a head together weigh so much of what the anchors weigh, one each at most. At 1 the urgency lost 5
points on all posts, at 0.5 nothing yet; at 0.25 it gained 3. Without anchors nothing would be learned."""

PENALTY = 1.0
"""On the squared change. A feature has the mean length 1 here, so a correction of weight 1 moves its own logit by 1 at
most, and a text that shares half of its features by a half."""

BIAS = 0.1
"""How loud the bias speaks: a hundredth of a feature's freedom, since corrections do not tell how common a label is."""

ANCHORS = 2_000
"""Rows that anchor the fit at most; more would only take longer."""

STEPS = 60
"""Of L-BFGS. On real corrections it stops by itself after some 15 to 60."""


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Added to one head's W (width x labels) and b (labels), both in units of logits divided by the temperature."""

    W: Vectors
    b: Vectors

    def logits(self, features: Vectors) -> Vectors:
        """Return what is added: rows x labels."""
        added: Vectors = features @ self.W + self.b
        return added


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """features: rows x width. base: rows x labels, what the shipped heads say there and shall go on saying."""

    features: Vectors
    base: Vectors


def fit(features: Vectors, base: Vectors, right: Rows, weights: Vectors, anchors: Anchors) -> Delta:
    """Return the smallest change that makes *right* likelier and leaves the anchors' answers where they are.

    Minimises weighted cross-entropy on the corrections, plus that between old and new answers on the anchors, plus the
    penalty. The features are centred and scaled to the mean length 1, so that the constants hold for any encoder.
    """
    # Here and not on top: it takes a third of a second, and whoever only wears a change never fits one.
    from scipy.optimize import minimize

    rows = np.concatenate([features, anchors.features])
    centre = (anchors.features if len(anchors.features) else features).mean(0)
    length = float(np.sqrt(np.square(rows - centre).sum(1).mean())) or 1.0
    inputs = np.hstack([(rows - centre) / length, np.full((len(rows), 1), BIAS)]).astype(np.float32)
    logits = np.concatenate([base, anchors.base]).astype(np.float32)
    wanted = np.exp(log_softmax(logits, axis=1))
    wanted[: len(right)] = np.eye(base.shape[1], dtype=np.float32)[right]
    pull = weights * min(1.0, PULL * len(anchors.features) / max(float(weights.sum()), 1e-9))
    loud = np.concatenate([pull, np.ones(len(anchors.features))]).astype(np.float32)[:, None]

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        shares = log_softmax(logits + inputs @ flat.reshape(-1, base.shape[1]).astype(np.float32), axis=1)
        cost = -float((loud * wanted * shares).sum(dtype=np.float64)) + 0.5 * PENALTY * float(flat @ flat)
        slope = inputs.T @ (loud * (np.exp(shares) - wanted))
        return cost, slope.ravel().astype(np.float64) + PENALTY * flat

    start = np.zeros(inputs.shape[1] * base.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    change = found.reshape(-1, base.shape[1])
    slopes = change[:-1] / length
    return Delta(slopes.astype(np.float32), (BIAS * change[-1] - centre @ slopes).astype(np.float32))
