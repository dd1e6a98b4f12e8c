"""What was taught, as bytes: safetensors with HEAD.W (width x labels), HEAD.b (labels), and the lessons it rests on."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from classifiers.delta import Delta
from classifiers.engines.weights import Tensors
from classifiers.errors import ModelRefused
from classifiers.teaching import Change
from classifiers.triage import HEADS

LESSONS = "lessons"


def pack(change: Change) -> bytes:
    """Return *change* as safetensors."""
    tensors: Tensors = {LESSONS: np.array(change.lessons, np.int64)}
    for head, delta in change.deltas.items():
        tensors |= {f"{head}.W": np.ascontiguousarray(delta.W), f"{head}.b": np.ascontiguousarray(delta.b)}
    packed: bytes = save(tensors)
    return packed


def unpack(packed: bytes) -> Change:
    """Return what *packed* holds. Raises ModelRefused; whether it fits a model is only known when it is worn."""
    try:
        tensors: Tensors = load(packed)
        heads = [head for head in HEADS if f"{head}.W" in tensors]
        deltas = {
            head: Delta(tensors[f"{head}.W"].astype(np.float32), tensors[f"{head}.b"].astype(np.float32))
            for head in heads
        }
        lessons = tuple(int(each) for each in tensors[LESSONS])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelRefused("what was taught cannot be read; undo it: harken teach undo") from error
    return Change(deltas, lessons)
