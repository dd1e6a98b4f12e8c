"""An engine whose embeddings are near when texts share words: quick, without a model, and the same on every machine."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from classifiers.triage import EMBEDDING_DIM, Text, Triage
from tests.bot.factories import make_triage


def embedding(text: str) -> bytes:
    """Return the normalised sum of a direction for each word."""
    total = np.zeros(EMBEDDING_DIM)
    for word in text.lower().split():
        total += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(EMBEDDING_DIM)
    packed: bytes = (total / max(float(np.linalg.norm(total)), 1e-9)).astype("<f2").tobytes()
    return packed


class WordEngine:
    """Keeps the promise of classifiers.protocol. embedded: every text that ``embed`` was given."""

    def __init__(self, name: str = "words@1", *, has_embeddings: bool = True) -> None:
        self.name = self.foundation = name
        self.has_embeddings = has_embeddings
        self.embedded: list[str] = []

    async def warm(self) -> None:
        """Nothing to load."""

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        return [
            replace(make_triage(), id=text.id, model=self.name, embedding=self._embedding(text.text)) for text in texts
        ]

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.embedded += texts
        return [self._embedding(text) for text in texts]

    async def aclose(self) -> None:
        """Nothing to free."""

    def _embedding(self, text: str) -> bytes:
        return embedding(text) if self.has_embeddings else b""


PRODUCT = {
    "broadband": ["my router lost the internet", "the internet router is slow", "internet down router off"],
    "tv": ["no picture on channel four", "the tv picture has no sound", "tv channel picture frozen"],
    "mobile": ["my phone has no signal", "sim card signal on my phone", "phone signal gone on the sim"],
}
"""A set that these embeddings tell apart."""
