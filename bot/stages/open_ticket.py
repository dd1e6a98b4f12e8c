"""Stage 4: open a ticket at somebody else's desk. Idempotent on the case's key, so again is harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from bot import metrics
from bot.stages.situation import story_of
from bot.store import jobs, tickets
from bot.store.engine import Store
from bot.store.jobs import Job
from bot.store.tables import Stage
from connectors.protocol import Connector
from connectors.registry import Clock
from handoff.errors import DeskAuthFailed, DeskLimited, DeskRejected, DeskUnavailable
from handoff.protocol import Desk

log = structlog.get_logger()

LIMITED_PAUSE = timedelta(seconds=30)
AUTH_PAUSE = timedelta(minutes=5)
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=10)
"""A desk that is down is asked again after half the time the ticket has waited, within these."""


class OpenTicketWork:
    """Opens tickets at *desks*."""

    stage = Stage.OPEN_TICKET
    patience = 50

    def __init__(
        self,
        *,
        store: Store,
        desks: Mapping[str, Desk],
        connectors: Mapping[str, Connector],
        public_url: str | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._desks = desks
        self._connectors = connectors
        self._public_url = public_url
        self._clock = clock

    async def run(self, jobs: Sequence[Job]) -> None:
        """Open each ticket."""
        for job in jobs:
            await self._one(job)

    async def give_up(self, job: Job, reason: str) -> None:
        """Show at the case that its ticket could not be opened."""
        case_id, _, name = job.key.partition(".")
        await self._store.write(tickets.failed, int(case_id), name, reason, now=self._clock(), job_id=job.id)

    async def _one(self, job: Job) -> None:
        case_id, _, name = job.key.partition(".")
        desk = self._desks.get(name)
        now = self._clock()
        wanted = await self._store.read(tickets.wanted, int(case_id), name, now=now)
        if wanted is None:
            await self._store.write(tickets.unwanted, int(case_id), name, now=self._clock(), job_id=job.id)
            return
        if desk is None:
            await self.give_up(job, f"no desk is called {name!r} any more")
            return
        situation = story_of(wanted.known, self._connectors, now=now, answers=wanted.answers)
        case = wanted.case
        if self._public_url:
            case = replace(case, url=f"{self._public_url.rstrip('/')}/cases/{case_id}")
        try:
            ticket = await desk.open(case, situation)
        except DeskRejected as error:
            await self.give_up(job, str(error))
            metrics.tickets.labels(desk=name, outcome="rejected").inc()
            log.warning("ticket.rejected", desk=name, case=case_id, why=str(error))
        except DeskLimited as error:
            await self._later(job, name, str(error), (error.until or self._clock() + LIMITED_PAUSE) - self._clock())
        except DeskAuthFailed as error:
            await self._later(job, name, str(error), AUTH_PAUSE)
        except DeskUnavailable as error:
            waited = self._clock() - job.created_at
            await self._later(job, name, str(error), min(max(SHORTEST_PAUSE, waited / 2), LONGEST_PAUSE))
        else:
            await self._store.write(tickets.opened, int(case_id), ticket, now=self._clock(), job_id=job.id)
            metrics.tickets.labels(desk=name, outcome="opened").inc()
            log.info("ticket.opened", desk=name, case=case_id)

    async def _later(self, job: Job, name: str, reason: str, pause: timedelta) -> None:
        metrics.tickets.labels(desk=name, outcome="postponed").inc()
        log.info("ticket.postponed", desk=name, why=reason)
        # A desk may be down for a day; that is no attempt of ours that failed, and never ends in giving up.
        await self._store.write(jobs.wait, [job.id], due_at=self._clock() + pause, reason=reason)
