"""The trained heads and the projection, in plain numpy: small enough that nothing faster is worth its import.

A head has a linear path and one hidden layer, added up:
logits = (features W + b) + gelu(features H + c) V, divided by the temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import erf, softmax

from classifiers.delta import Delta
from classifiers.engines.model import Manifest
from classifiers.engines.weights import Tensors, Vectors
from classifiers.errors import ModelRefused
from classifiers.triage import EMBEDDING_DIM, HEADS

PARTS = ("W", "b", "H", "c", "V")
PROJECTION = "projection"

Parts = Mapping[str, Vectors]


class Heads:
    """Judges features. temperatures: head -> (texts in its languages, texts in others)."""

    def __init__(self, tensors: Tensors, manifest: Manifest) -> None:
        """Raises ModelRefused on parts that do not fit the manifest."""
        width = 2 * manifest.shape.hidden
        self.temperatures = manifest.temperatures
        self.parts = {head: _parts(tensors, head, len(labels), width) for head, labels in HEADS.items()}
        self._projection = _checked(tensors, PROJECTION, (width, EMBEDDING_DIM))

    def judge(self, features: Vectors, foreign: npt.NDArray[np.bool_]) -> dict[str, Vectors]:
        """Return head -> texts x labels, probabilities, labels as in HEADS. foreign: texts in other languages."""
        return {
            head: probabilities(logits(features, parts), self.temperatures[head], foreign)
            for head, parts in self.parts.items()
        }

    def logits(self, features: Vectors) -> dict[str, Vectors]:
        """Return head -> texts x labels, divided by the temperature of texts in the languages it was measured in."""
        return {
            head: logits(features, parts) / np.float32(self.temperatures[head][0]) for head, parts in self.parts.items()
        }

    def changed(self, deltas: Mapping[str, Delta]) -> Self:
        """Return other heads with *deltas* added; these stay as they are. Raises ModelRefused on a misfit."""
        other = copy(self)
        other.parts = {
            head: _with(parts, deltas.get(head), self.temperatures[head][0]) for head, parts in self.parts.items()
        }
        return other

    def embed(self, features: Vectors) -> Vectors:
        """Return texts x EMBEDDING_DIM, L2-normalised."""
        vectors = features @ self._projection
        normed: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return normed


def logits(features: Vectors, parts: Parts) -> Vectors:
    """Return texts x labels."""
    inward = features @ parts["H"] + parts["c"]
    bent = inward * (0.5 * (1.0 + erf(inward * np.float32(0.70710678))))
    scores: Vectors = features @ parts["W"] + parts["b"] + bent @ parts["V"]
    return scores


def probabilities(scores: Vectors, temperatures: tuple[float, float], foreign: npt.NDArray[np.bool_]) -> Vectors:
    """Return texts x labels, each row with the sum 1."""
    own, other = temperatures
    divisor = np.where(foreign, np.float32(other), np.float32(own))[:, None]
    shares: Vectors = softmax(scores / divisor, axis=1)
    return shares


def _with(parts: dict[str, Vectors], delta: Delta | None, temperature: float) -> dict[str, Vectors]:
    if delta is None:
        return parts
    added = {"W": delta.W, "b": delta.b}
    for part, change in added.items():
        if change.shape != parts[part].shape or not bool(np.isfinite(change).all()):
            raise ModelRefused("what was taught does not fit the heads of this model; undo it: harken teach undo")
    return parts | {part: parts[part] + change * np.float32(temperature) for part, change in added.items()}


def _parts(tensors: Tensors, head: str, labels: int, width: int) -> dict[str, Vectors]:
    name = f"{head}.c"
    hidden = len(tensors[name]) if name in tensors and tensors[name].ndim == 1 else 1
    shapes = {"W": (width, labels), "b": (labels,), "H": (width, hidden), "c": (hidden,), "V": (hidden, labels)}
    return {part: _checked(tensors, f"{head}.{part}", shapes[part]) for part in PARTS}


def _checked(tensors: Tensors, name: str, shape: tuple[Any, ...]) -> Vectors:
    tensor = tensors.get(name)
    if tensor is None or tensor.shape != shape:
        raise ModelRefused(
            f"the heads of the model lack {name} of the shape {shape}; train it anew: harken train --help"
        )
    return tensor.astype(np.float32)
