"""An engine that can be taught, without a model: texts name their meaning, features are those of a small world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from classifiers.delta import Vectors
from classifiers.engines import taught
from classifiers.registry import Engine
from classifiers.teaching import Change, Validation
from classifiers.triage import INTENTS, Label, Text, Triage
from tests.bot.factories import make_triage
from tests.classifiers.school import WIDTH, School


class Pupil:
    """Keeps the promises of classifiers.protocol; a text means what its first word names."""

    foundation = "pupil@1"

    def __init__(self) -> None:
        self.name = self.foundation
        self.read: list[str] = []
        self._school = School()
        self._worn: Change | None = None

    async def warm(self) -> None:
        """Nothing to load."""

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        features = self._features([text.text for text in texts])
        logits = self.logits(features)["intent"]
        if self._worn is not None:
            logits = logits + self._worn.deltas["intent"].logits(features)
        return [
            replace(make_triage(text.id), intent=Label(label=INTENTS[best], confidence=0.9), model=self.name)
            for text, best in zip(texts, logits.argmax(1), strict=True)
        ]

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [b""] * len(texts)

    async def features(self, texts: Sequence[str]) -> Vectors:
        self.read += texts
        return self._features(texts)

    def logits(self, features: Vectors) -> Mapping[str, Vectors]:
        return self._school.judge(features)

    async def validation(self) -> Validation | None:
        return School(seed=7).validation()

    def pack(self, change: Change) -> bytes:
        return taught.pack(change)

    def unpack(self, packed: bytes) -> Change:
        return taught.unpack(packed)

    async def wear(self, change: Change | None, *, number: int) -> None:
        self._worn = change
        self.name = self.foundation if change is None else f"{self.foundation}+t{number}"

    async def aclose(self) -> None:
        """Nothing to free."""

    def _features(self, texts: Sequence[str]) -> Vectors:
        rows = [self._school.meanings[text.split()[0]] + 0.3 * _noise(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, WIDTH), np.float32)


def _noise(text: str) -> Vectors:
    return np.random.default_rng(list(text.encode())).normal(size=WIDTH).astype(np.float32)


def make(options: Mapping[str, Any]) -> Pupil:
    """Return the engine. Raises TypeError on an unknown option."""
    return Pupil(**options)


ENGINE = Engine(kind="pupil", make=make)
