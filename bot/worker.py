"""Takes errands and runs stages: the only place that retries what nobody foresaw, and parks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog

from bot import metrics
from bot.stages.work import Work
from bot.store import jobs
from bot.store.engine import Store, StoreUnavailable
from bot.store.jobs import Job
from bot.stream.protocol import Stream
from connectors.registry import Clock

log = structlog.get_logger()

MAX_ATTEMPTS = 5
"""An errand that failed this often is given up and parked."""

STORE_PAUSE_S = 1.0

PAUSES = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))


class Worker:
    """Runs *work* on every delivery of its stage until the stream stops."""

    def __init__(self, *, store: Store, stream: Stream, work: Work, batch: int, clock: Clock) -> None:
        self._store = store
        self._stream = stream
        self._work = work
        self._batch = batch
        self._clock = clock

    async def run(self) -> None:
        """Work until the stream stops."""
        async for delivered in self._stream.deliveries(self._work.stage, batch=self._batch):
            started = time.perf_counter()
            await self._batch_of(delivered)
            metrics.stage_duration.labels(stage=self._work.stage).observe(time.perf_counter() - started)

    async def _batch_of(self, delivered: Sequence[Job]) -> None:
        tired = [job for job in delivered if job.attempts > self._work.patience]
        for job in tired:
            await self._give_up(job, "its worker died with it again and again")
        fresh = [job for job in delivered if job.attempts <= self._work.patience]
        # After a first failure each goes alone, so that one bad post does not hold up its neighbours.
        alone = [job for job in fresh if job.attempts > 1]
        together = [job for job in fresh if job.attempts == 1]
        for group in [together, *([job] for job in alone)]:
            if group:
                await self._guarded(group)

    async def _guarded(self, group: Sequence[Job]) -> None:
        try:
            await self._work.run(group)
        except StoreUnavailable as error:
            await self._hand_back(group, error)
        except Exception as error:
            log.exception("errand.failed", stage=self._work.stage, errands=len(group), why=type(error).__name__)
            await self._again(group, error)

    async def _hand_back(self, group: Sequence[Job], error: StoreUnavailable) -> None:
        """Wait for the store, then give the errands back; its trouble is not theirs, so the attempt does not count."""
        log.error("store.unavailable", stage=self._work.stage, errands=len(group), why=str(error))
        ids = [job.id for job in group]
        while True:
            await asyncio.sleep(STORE_PAUSE_S)
            try:
                await self._store.write(jobs.wait, ids, due_at=self._clock(), reason="the store was unavailable")
            except StoreUnavailable:
                continue
            log.info("store.recovered", stage=self._work.stage)
            return

    async def _again(self, group: Sequence[Job], error: Exception) -> None:
        for job in group:
            if job.attempts >= MAX_ATTEMPTS:
                await self._give_up(job, type(error).__name__)
                continue
            pause = PAUSES[min(job.attempts, len(PAUSES)) - 1]
            await self._store.write(jobs.retry, [job.id], due_at=self._clock() + pause, reason=type(error).__name__)

    async def _give_up(self, job: Job, reason: str) -> None:
        log.error("errand.parked", stage=job.stage, attempts=job.attempts, why=reason)
        metrics.items_quarantined.labels(stage=job.stage, reason="parked").inc()
        try:
            await self._work.give_up(job, reason)
        except Exception as error:
            log.exception("errand.give_up_failed", stage=job.stage, why=type(error).__name__)
        await self._store.write(jobs.park, [job.id], now=self._clock(), reason=reason)
