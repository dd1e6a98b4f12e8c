"""The promise every engine keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from classifiers.triage import Text, Triage


class Classifier(Protocol):
    """Judges texts. Any text gets an answer: empty, 100 kB, one emoji, NULs.

    Never blocks the event loop; one call at a time reaches the model, others wait their turn.
    """

    name: str
    """Model and revision, stored with every triage."""

    async def warm(self) -> None:
        """Load the model and judge one text. Raises ModelMissing or ModelRefused; twice is harmless."""
        ...

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        """Return one Triage for each of *texts*: same length, same order. Raises ModelFailed."""
        ...

    async def aclose(self) -> None:
        """Free thread and memory; twice is harmless."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors that are close when the meanings are."""

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return for each of *texts*, in order, what ``Triage.embedding`` holds; b"" where the engine has none."""
        ...
