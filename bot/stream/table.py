"""The errand table as a stream: for one process on SQLite, and for several on PostgreSQL (SKIP LOCKED)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from bot.store import jobs
from bot.store.engine import Store
from bot.store.jobs import Job
from bot.store.tables import Stage
from connectors.registry import Clock

IDLE = timedelta(seconds=1)
"""How long a lost wake-up costs at most."""


class TableStream:
    """Claims errands of the ``job`` table for *holder*."""

    def __init__(self, store: Store, *, clock: Clock, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._news = {stage: asyncio.Event() for stage in Stage}
        self._stopped = False

    async def deliveries(self, stage: Stage, *, batch: int) -> AsyncIterator[Sequence[Job]]:
        """Yield claimed errands, *batch* at most, until ``stop``."""
        news = self._news[stage]
        while not self._stopped:
            news.clear()
            now = self._clock()
            due = await self._store.read(jobs.next_due, stage, now=now)
            claimed: list[Job] = []
            if due is not None and due <= now:
                claimed = await self._store.write(jobs.claim, stage, holder=self._holder, now=now, limit=batch)
            if claimed:
                yield claimed
                continue
            pause = IDLE if due is None else min(IDLE, max(due - now, timedelta(milliseconds=50)))
            await self._pause(news, pause.total_seconds())

    async def _pause(self, news: asyncio.Event, seconds: float) -> None:
        if self._stopped:
            return
        try:
            await asyncio.wait_for(news.wait(), seconds)
        except TimeoutError:
            return

    def wake(self, *stages: Stage) -> None:
        """Hint that errands of *stages* have just been committed."""
        for stage in stages:
            self._news[stage].set()

    def stop(self) -> None:
        """Claim nothing more; running errands may finish."""
        self._stopped = True
        self.wake(*Stage)
