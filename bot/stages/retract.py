"""A person wants something we said deleted: do it where the network can, and say plainly where it cannot.

Deleting is idempotent, so again is harmless; a doubt is settled by looking whether it is still there. No brake holds
this: taking back must work while everything is stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot import metrics
from bot.stages.parts import Parts
from bot.stages.situation import late
from bot.store import jobs, retractions
from bot.store.jobs import Job
from bot.store.retractions import Wanted
from bot.store.tables import ReplyState, Retracted, Stage
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.protocol import Replier, Retractor

log = structlog.get_logger()

LIMITED_PAUSE = timedelta(minutes=1)
AUTH_PAUSE = timedelta(minutes=5)
PAUSE = timedelta(seconds=15)
SENDING_PAUSE = timedelta(seconds=5)
"""A reply on its way right now is waited for: what it ends as says whether there is anything to delete."""

PATIENCE = timedelta(hours=24)
"""After so long without an answer the wish ends as failed, and a person is told."""


class RetractWork:
    """Deletes replies through their source's connector."""

    stage = Stage.RETRACT
    patience = 50

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._stream = parts.stream
        self._connectors = parts.connectors
        self._clock = parts.clock
        self._judge = partial(late, parts)

    async def run(self, jobs: Sequence[Job]) -> None:
        """Delete each."""
        for job in jobs:
            await self._one(job)

    async def give_up(self, job: Job, reason: str) -> None:
        """Say that it could not be deleted."""
        wanted = await self._store.read(retractions.wanted, int(job.key))
        if wanted is not None:
            await self._done(wanted, job, Retracted.FAILED, f"the bot failed while deleting it: {reason}")

    async def _one(self, job: Job) -> None:
        wanted = await self._store.read(retractions.wanted, int(job.key))
        if wanted is None:
            await self._store.write(jobs.finish, [job.id], now=self._clock())
            return
        connector: Any = self._connectors.get(wanted.source)
        if connector is None:
            why = f"no source is called {wanted.source!r} any more; delete it there by hand"
            await self._done(wanted, job, Retracted.IMPOSSIBLE, why)
        elif not isinstance(connector, Retractor):
            why = f"{wanted.reply.target.channel} lets nobody delete over its API; delete it there by hand"
            await self._done(wanted, job, Retracted.IMPOSSIBLE, why)
        elif wanted.state is ReplyState.SENDING:
            await self._later(wanted, job, "it is on its way right now", self._clock() + SENDING_PAUSE)
        else:
            try:
                await self._delete(connector, wanted, job)
            except (RateLimited, Unavailable, AuthFailed, AmbiguousWrite) as error:
                await self._later(wanted, job, str(error), self._until(error))
            except Rejected as error:
                await self._done(wanted, job, Retracted.REFUSED, f"{error}; delete it there by hand")

    async def _delete(self, connector: Any, wanted: Wanted, job: Job) -> None:
        remote_id = wanted.remote_id
        if remote_id is None:
            found = await connector.find(wanted.reply) if isinstance(connector, Replier) else None
            if found is None:
                why = "it was not seen there; look at the account by hand if you must be sure"
                await self._done(wanted, job, Retracted.NOT_FOUND, why)
                return
            remote_id = found.id
        try:
            await connector.retract(remote_id)
        except (AmbiguousWrite, Rejected):
            # A network that says no may mean that it is gone already.
            there = await connector.still_there([remote_id])
            if there.get(remote_id, remote_id) is not None:
                raise
        await self._done(wanted, job, Retracted.RETRACTED, "")

    def _until(self, error: ConnectorError) -> datetime:
        now = self._clock()
        match error:
            case RateLimited():
                return error.wait_until(now, otherwise=LIMITED_PAUSE)
            case AuthFailed():
                return now + AUTH_PAUSE
            case _:
                return now + PAUSE

    async def _later(self, wanted: Wanted, job: Job, reason: str, until: datetime) -> None:
        if self._clock() - wanted.asked_at > PATIENCE:
            await self._done(wanted, job, Retracted.FAILED, f"{reason}; delete it there by hand")
            return
        log.info("retraction.postponed", source=wanted.source, reply=wanted.reply_id, why=reason)
        await self._store.write(retractions.postponed, wanted.retraction_id, reason, due_at=until, job_id=job.id)

    async def _done(self, wanted: Wanted, job: Job, outcome: Retracted, detail: str) -> None:
        await self._store.write(
            retractions.done,
            wanted.retraction_id,
            outcome,
            detail,
            judge=self._judge,
            job_id=job.id,
            now=self._clock(),
        )
        self._stream.wake(Stage.OPEN_TICKET)
        metrics.retractions.labels(network=wanted.reply.target.channel, outcome=outcome).inc()
        log.info("retraction.done", source=wanted.source, reply=wanted.reply_id, outcome=outcome)
