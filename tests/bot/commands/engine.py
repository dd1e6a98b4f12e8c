"""An engine that answers at once: every text an ordinary question in English, without vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from classifiers.triage import Text, Triage
from tests.handoff.factories import make_triage


class PlainEngine:
    """Keeps the promise of classifiers.protocol."""

    name = foundation = "plain@1"

    async def warm(self) -> None:
        """Nothing to load."""

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        return [replace(make_triage(), id=text.id, model=self.name) for text in texts]

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [b""] * len(texts)

    async def aclose(self) -> None:
        """Nothing to free."""
