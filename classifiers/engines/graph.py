"""The encoder as a graph of OpenVINO, built from the tensors themselves: no trace, no export, no torch.

With whole-number matrices OpenVINO rounds the numbers that flow through a matrix product to int8 as well, in small
groups with a scale each ("dynamic quantisation"), one text apart from the other, where the processor has
instructions for it. Nothing else is rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

from classifiers.engines.model import NORMS, POSITIONS, WORDS, Shape
from classifiers.engines.weights import Tensors, restored

MASKED = -1e9


def build(tensors: Tensors, shape: Shape, *, whole: bool, layers: int | None = None) -> ov.Model:
    """Return a graph: ids (texts x pieces, int32) and mask (the same, float32) -> features, texts x 2 hidden.

    whole: keep the matrices in int8. layers: only the lowest ones, to try how fast they are.
    """
    ids = op.parameter([-1, -1], np.int32, name="ids")
    mask = op.parameter([-1, -1], np.float32, name="mask")
    states = _norm(_words(tensors, ids), tensors, "embeddings.LayerNorm", shape)
    hidden = op.unsqueeze(op.multiply(op.subtract(mask, _number(1.0)), _number(-MASKED)), _axes(1, 2))
    for layer in range(shape.layers if layers is None else layers):
        states = _layer(states, hidden, tensors, f"encoder.layer.{layer}.", shape, whole=whole)
    return ov.Model([_pooled(states, mask)], [ids, mask], "encoder")


def _words(tensors: Tensors, ids: Any) -> Any:
    rows = _axes(0)
    words = op.convert(op.gather(op.constant(tensors[f"{WORDS}.q"]), ids, rows), np.float32)
    words = op.multiply(words, op.gather(op.constant(tensors[f"{WORDS}.s"].astype(np.float32)), ids, rows))
    longest = op.gather(op.shape_of(ids), _axes(1), rows)
    places = op.slice(op.constant(tensors[POSITIONS].astype(np.float32)), _axes(0), longest, _axes(1), rows)
    return op.add(words, op.unsqueeze(places, rows))


def _layer(states: Any, hidden: Any, tensors: Tensors, place: str, shape: Shape, *, whole: bool) -> Any:
    split = _axes(0, 0, shape.heads, shape.hidden // shape.heads)
    turned = _axes(0, 2, 1, 3)

    def linear(given: Any, name: str) -> Any:
        return _linear(given, tensors, place + name, whole=whole)

    query, key, value = (
        op.transpose(op.reshape(linear(states, f"attention.self.{part}"), split, True), turned)
        for part in ("query", "key", "value")
    )
    heard = op.transpose(op.scaled_dot_product_attention(query, key, value, hidden), turned)
    heard = linear(op.reshape(heard, _axes(0, 0, shape.hidden), True), "attention.output.dense")
    states = _norm(op.add(heard, states), tensors, place + NORMS[0], shape)
    thought = linear(op.gelu(linear(states, "intermediate.dense"), "erf"), "output.dense")
    return _norm(op.add(thought, states), tensors, place + NORMS[1], shape)


def _linear(given: Any, tensors: Tensors, name: str, *, whole: bool) -> Any:
    numbers, scales = tensors[f"{name}.q"], tensors[f"{name}.s"]
    if whole:
        # The halves in between are what OpenVINO looks for to know a compressed matrix.
        matrix = op.multiply(op.convert(op.constant(numbers), np.float16), op.constant(scales.astype(np.float16)))
        matrix = op.convert(matrix, np.float32)
    else:
        matrix = op.constant(restored(numbers, scales.astype(np.float32)))
    bias = op.constant(tensors[f"{name}.bias"].astype(np.float32)[None, None])
    return op.add(op.matmul(given, matrix, False, True), bias)


def _norm(given: Any, tensors: Tensors, name: str, shape: Shape) -> Any:
    plain = op.mvn(given, _axes(2), True, shape.eps, "inside_sqrt")
    weight, bias = (
        op.constant(tensors[f"{name}.{part}"].astype(np.float32)[None, None]) for part in ("weight", "bias")
    )
    return op.add(op.multiply(plain, weight), bias)


def _pooled(states: Any, mask: Any) -> Any:
    """Return the first state and the mean of the states, side by side."""
    counted = op.unsqueeze(mask, _axes(2))
    total = op.reduce_sum(op.multiply(states, counted), _axes(1))
    mean = op.divide(total, op.reduce_sum(counted, _axes(1)))
    first = op.gather(states, op.constant(np.int64(0)), op.constant(np.int64(1)))
    return op.concat([first, mean], 1)


def _axes(*numbers: int) -> Any:
    return op.constant(np.array(numbers, np.int64))


def _number(value: float) -> Any:
    return op.constant(np.float32(value))


Ids = npt.NDArray[np.int32]
Mask = npt.NDArray[np.float32]
