"""The promise of a stage: read, think, write, wake, always in this order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.store.jobs import Job
from bot.store.tables import Stage


class Work(Protocol):
    """One step of a post's way.

    Opens no transaction over a network or model call. Finishes its errands in the transaction that saves its result.
    What it raises is unforeseen: the worker retries, then parks.
    """

    stage: Stage
    patience: int
    """Deaths of workers with one errand after which it is given up: few where the errand may be the cause, many where
    it only waits for others to answer."""

    async def run(self, jobs: Sequence[Job]) -> None:
        """Do these errands."""
        ...

    async def give_up(self, job: Job, reason: str) -> None:
        """Leave *job* in a state in which no customer is silenced; it is parked afterwards."""
        ...
