"""The promise of an errand stream: it delivers ids, it may repeat or reorder; the rows are the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from bot.store.jobs import Job
from bot.store.tables import Stage


class Stream(Protocol):
    """Hands out errands. A lost wake-up costs a second, never a post."""

    def deliveries(self, stage: Stage, *, batch: int) -> AsyncIterator[Sequence[Job]]:
        """Yield claimed errands, *batch* at most, until ``stop``; the stage finishes them in its own transaction."""
        ...

    def wake(self, *stages: Stage) -> None:
        """Hint that errands of *stages* have just been committed."""
        ...

    def stop(self) -> None:
        """Claim nothing more; running errands may finish."""
        ...
