"""How fast the engine is here, beside a plain pipeline with the same weights and beside what the processor could do.

All in one process, in turns, on the same texts and processors, so that a noisy machine is noisy for each of them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

from classifiers import normalise
from classifiers.engines import model as models
from classifiers.engines.transformer import Transformer
from classifiers.engines.weights import restored
from classifiers.triage import INTENTS, Text

ROUNDS = 3
PLAIN_TEXTS = 150
"""Texts of one turn of the plain pipeline, which is slow."""

_PAD = "<pad>"
_PRODUCT = 1024
_PRODUCT_S = 0.4


@dataclass(frozen=True, slots=True)
class Speed:
    """posts/s, medians of the turns. limits: arithmetic -> what its matrix products alone would allow.

    products: arithmetic -> operations a second (two for a multiply and add), in thousands of millions.
    """

    plain: float
    engine: float
    arithmetic: str
    limits: dict[str, float]
    products: dict[str, float]
    pieces: float
    operations: float

    @property
    def ratio(self) -> float:
        return self.engine / self.plain


async def measure(texts: Sequence[str], *, model: str | None, threads: int, arithmetic: str = "auto") -> Speed:
    """Time *texts*, each of which must be another one, or the cache would answer. Raises ModelMissing, ModelRefused."""
    torch.set_num_threads(threads)
    read = await asyncio.to_thread(_read, model)
    plain = await asyncio.to_thread(_plain, read)
    engine = Transformer(model=model, threads=threads, arithmetic=arithmetic)
    await engine.warm()
    rows = [Text(id=str(number), text=text) for number, text in enumerate(texts)]
    prepared = [normalise.for_model(text) for text in texts]
    part = prepared[:: max(1, len(prepared) // PLAIN_TEXTS)][:PLAIN_TEXTS]
    times: dict[str, list[float]] = {"plain": [], "engine": []}
    try:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            await asyncio.to_thread(lambda: [plain(text) for text in part])
            times["plain"].append(len(part) / (time.perf_counter() - started))
            engine.forget()
            started = time.perf_counter()
            await engine.classify(rows)
            times["engine"].append(len(rows) / (time.perf_counter() - started))
        way = engine.arithmetic
    finally:
        await engine.aclose()
    pieces = [len(read.tokenizer.encode(text).ids) for text in prepared]
    operations = float(np.mean([_operations(read.manifest.shape, min(n, read.manifest.max_tokens)) for n in pieces]))
    products = await asyncio.to_thread(_products)
    return Speed(
        plain=statistics.median(times["plain"]),
        engine=statistics.median(times["engine"]),
        arithmetic=way,
        limits={name: speed * 1e9 / operations for name, speed in products.items()},
        products=products,
        pieces=float(np.mean(pieces)),
        operations=operations / 1e9,
    )


def _read(model: str | None) -> models.Model:
    return models.load(Path(model).expanduser() if model else models.SHIPPED)


def _plain(read: models.Model) -> Callable[[str], Any]:
    """Return what most programs do: a pipeline of transformers, one text at a time, in float32, one head."""
    shape = read.manifest.shape
    config = BertConfig(
        vocab_size=shape.pieces,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=shape.positions,
        layer_norm_eps=shape.eps,
    )
    config.num_labels = len(INTENTS)
    bert = BertForSequenceClassification(config)
    state = bert.state_dict()
    for name, tensor in read.encoder.items():
        if name.endswith(".q"):
            stem = name.removesuffix(".q")
            table = restored(tensor, read.encoder[f"{stem}.s"].astype(np.float32))
            state[f"bert.{stem}.weight"] = torch.from_numpy(table)
        elif not name.endswith(".s"):
            own = f"bert.{name}.weight" if name == models.POSITIONS else f"bert.{name}"
            state[own] = torch.from_numpy(tensor.astype(np.float32))
    # The kind of a piece is in the positions already.
    state[f"bert.{models.TYPES}.weight"].zero_()
    bert.load_state_dict(state)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=read.tokenizer, model_max_length=read.manifest.max_tokens)  # type: ignore[no-untyped-call]
    tokenizer.pad_token = _PAD
    made: Callable[[str], Any] = pipeline(
        "text-classification", model=bert, tokenizer=tokenizer, device="cpu", truncation=True
    )
    return made


def _operations(shape: models.Shape, pieces: int) -> float:
    """Return the operations of the matrix products of one text (Kaplan et al. 2020, appendix; two a multiply-add)."""
    dense = 2 * pieces * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)
    heard = 2 * 2 * pieces**2 * shape.hidden
    return float(shape.layers * (dense + heard))


def _products() -> dict[str, float]:
    size = (_PRODUCT, _PRODUCT)
    halves = torch.randn(size).bfloat16()
    whole = torch.randint(-127, 127, size, dtype=torch.int8)
    single = torch.randn(size)
    return {
        "float32": _product(lambda: single @ single),
        "bfloat16": _product(lambda: halves @ halves),
        "int8": _product(lambda: torch._int_mm(whole, whole)),
    }


def _product(multiply: Callable[[], Any]) -> float:
    multiply()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < _PRODUCT_S:
        multiply()
        done += 1
    return 2 * _PRODUCT**3 * done / (time.perf_counter() - started) / 1e9
