"""How the encoder computes here: the ways this processor has, and the fastest of them, found by trying.

Not every processor multiplies small numbers faster, so nothing is assumed: a few layers are timed in each way on the
same made-up texts, and the winner is compiled whole.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import numpy as np
import openvino as ov
from openvino import properties

from classifiers.engines.graph import Ids, Mask, build
from classifiers.engines.model import Shape
from classifiers.engines.weights import Tensors, Vectors
from classifiers.errors import ModelRefused

AUTO = "auto"
WAYS = ("int8", "bfloat16", "float32")
DEVICES = ("cpu", "cuda")
GROUP = 64
"""Numbers that share a scale when they are rounded to int8; the cosine to float32 stays above 0.999."""

_TRIED_LAYERS = 2
_TRIED = (16, 32)
_TRIES = 5
_EARNED = 0.9
"""A coarser way must save a tenth of the time to be worth its rounding."""


class Arithmetic(Protocol):
    """The encoder, ready to run from several threads at once."""

    name: str

    def run(self, ids: Ids, mask: Mask) -> Vectors:
        """Return features, texts x 2 hidden. ids, mask: texts x pieces, of the same shape."""
        ...


class OnProcessor:
    """The encoder compiled by OpenVINO; *threads* passes run side by side, each on a processor."""

    def __init__(self, tensors: Tensors, shape: Shape, way: str, *, threads: int, layers: int | None = None) -> None:
        self.name = way
        graph = build(tensors, shape, whole=way == "int8", layers=layers)
        self._compiled = _core().compile_model(graph, "CPU", _settings(way, threads))
        self._own = threading.local()

    def run(self, ids: Ids, mask: Mask) -> Vectors:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        features: Vectors = request.infer([ids, mask])[0].copy()
        return features


def choose(tensors: Tensors, shape: Shape, *, threads: int, way: str = AUTO, device: str = "cpu") -> Arithmetic:
    """Return the encoder in the *way* asked for, or in the fastest. Raises ModelRefused where a way is not there."""
    if device == "cuda":
        from classifiers.engines.cuda import OnCuda

        return OnCuda(tensors, shape)
    there = ways()
    if way == AUTO:
        way = fastest(tensors, shape, there)
    if way not in there:
        raise ModelRefused(f"this processor has no fast {way}; set arithmetic = 'auto', or one of: {', '.join(there)}")
    return OnProcessor(tensors, shape, way, threads=threads)


def ways() -> tuple[str, ...]:
    """Return the ways that this processor has, the coarsest first."""
    able = _core().get_property("CPU", properties.device.capabilities())
    fast = {"int8": "INT8" in able, "bfloat16": "BF16" in able, "float32": True}
    return tuple(way for way in WAYS if fast[way])


def fastest(tensors: Tensors, shape: Shape, there: tuple[str, ...]) -> str:
    """Return the way that is fastest on a few layers; the finer one where they are about the same."""
    if len(there) == 1:
        return there[0]
    layers = min(_TRIED_LAYERS, shape.layers)
    tried = {way: OnProcessor(tensors, shape, way, threads=1, layers=layers) for way in there}
    seconds = dict.fromkeys(there, float("inf"))
    # In turns, so that a moment when the machine is busy hits all of them.
    for _ in range(_TRIES):
        for way, arithmetic in tried.items():
            seconds[way] = min(seconds[way], _seconds(arithmetic))
    best = there[-1]
    for way in reversed(there[:-1]):
        if seconds[way] < _EARNED * seconds[best]:
            best = way
    return best


def _seconds(arithmetic: Arithmetic) -> float:
    texts, pieces = _TRIED
    ids = (np.arange(texts * pieces, dtype=np.int32) % 997 + 4).reshape(texts, pieces)
    started = time.perf_counter()
    arithmetic.run(ids, np.ones(_TRIED, np.float32))
    return time.perf_counter() - started


def _settings(way: str, threads: int) -> dict[Any, Any]:
    precision = ov.Type.bf16 if way == "bfloat16" else ov.Type.f32
    return {
        properties.inference_num_threads(): threads,
        properties.num_streams(): threads,
        properties.hint.inference_precision(): precision,
        properties.hint.dynamic_quantization_group_size(): GROUP if way == "int8" else 0,
        properties.hint.enable_cpu_pinning(): False,
    }


_started: list[Any] = []


def _core() -> Any:
    if not _started:
        _started.append(ov.Core())
    return _started[0]
