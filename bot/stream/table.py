"""The errand table as a stream: for one process on SQLite, and for several on PostgreSQL (SKIP LOCKED)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import structlog

from bot.store import jobs
from bot.store.engine import Store, StoreUnavailable
from bot.store.jobs import Job
from bot.store.tables import Stage
from connectors.registry import Clock

log = structlog.get_logger()

IDLE = timedelta(seconds=1)
"""How long a lost wake-up costs at most."""

SHORTEST = timedelta(milliseconds=50)


class TableStream:
    """Claims errands of the ``job`` table for *holder*."""

    def __init__(self, store: Store, *, clock: Clock, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._news = {stage: asyncio.Event() for stage in Stage}
        self._stopped = False
        self._said = False

    async def deliveries(self, stage: Stage, *, batch: int) -> AsyncIterator[Sequence[Job]]:
        """Yield claimed errands, *batch* at most, until ``stop``."""
        news = self._news[stage]
        while not self._stopped:
            news.clear()
            try:
                claimed, pause = await self._claim(stage, batch)
            except StoreUnavailable as error:
                self._say_once(error)
                claimed, pause = [], IDLE
            else:
                self._said = False
            if claimed:
                yield claimed
                continue
            await self._pause(news, pause.total_seconds())

    async def _claim(self, stage: Stage, batch: int) -> tuple[Sequence[Job], timedelta]:
        """Return claimed errands, or how long to wait for some."""
        now = self._clock()
        due = await self._store.read(jobs.next_due, stage, now=now)
        if due is None or due > now:
            return [], IDLE if due is None else min(IDLE, max(due - now, SHORTEST))
        return await self._store.write(jobs.claim, stage, holder=self._holder, now=now, limit=batch), SHORTEST

    def _say_once(self, error: StoreUnavailable) -> None:
        if not self._said:
            log.error("store.unavailable", why=str(error))
            self._said = True

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
