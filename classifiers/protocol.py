"""The promise every engine keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from classifiers.triage import Text, Triage

if TYPE_CHECKING:
    from classifiers.delta import Vectors
    from classifiers.teaching import Change, Validation


class Classifier(Protocol):
    """Judges texts. Any text gets an answer: empty, 100 kB, one emoji, NULs.

    Never blocks the event loop; several calls may be under way, and a small one does not wait for a large one to end.
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

    @property
    def foundation(self) -> str:
        """Name of what makes the vectors; it stays while heads are taught or replaced. Known once the engine is warm.

        A Classifier's ``name`` is this, with "+" and more behind it where other heads judge.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return for each of *texts*, in order, what ``Triage.embedding`` holds; b"" where the engine has none."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """Has heads on a frozen encoder, which people's corrections may change a little.

    The encoder and the embeddings never change, so what was embedded stays comparable.
    """

    name: str
    """``foundation``, and ``+t3`` behind it while the heads wear change 3."""

    @property
    def foundation(self) -> str:
        """Name of the model itself: a change fits only the model it was made for. Known once the engine is warm."""
        ...

    async def features(self, texts: Sequence[str]) -> Vectors:
        """Return texts x width: what the heads see. Raises ModelFailed."""
        ...

    def logits(self, features: Vectors) -> Mapping[str, Vectors]:
        """Return head -> rows x labels of the shipped heads, divided by the temperature; pure, off the event loop."""
        ...

    async def validation(self) -> Validation | None:
        """Return the validation set that came with the model, None without one. Raises ModelRefused."""
        ...

    def pack(self, change: Change) -> bytes:
        """Return *change* to be kept."""
        ...

    def unpack(self, packed: bytes) -> Change:
        """Return what was kept. Raises ModelRefused on anything that is no change of this model."""
        ...

    async def wear(self, change: Change | None, *, number: int) -> None:
        """Judge with *change* from the next batch on; None: with the shipped heads, to the last bit.

        A batch that runs is judged to its end, and named, by the heads it began with.
        """
        ...
