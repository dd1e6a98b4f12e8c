"""Writes down what came of a reply: sent, refused, in doubt, put off, or a question for a person; then tells of it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import structlog

from bot import metrics
from bot.stages.parts import Parts
from bot.stages.situation import late
from bot.store import cases, replies
from bot.store.jobs import Job
from bot.store.replies import Aftermath, Errand
from bot.store.tables import Origin, Stage
from connectors.post import Sent

log = structlog.get_logger()

NOBODY_KNOWS = "nobody knows whether our reply was said"


class Outcomes:
    """Each is one transaction with its errand; a post that then has no answer goes to people in it."""

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store
        self._stream = parts.stream
        self._clock = parts.clock
        self._late = partial(late, parts)

    async def sent(self, errand: Errand, outcome: Sent, job: Job) -> None:
        """It is public."""
        await self._store.write(replies.sent, errand.id, outcome, now=self._clock(), job_id=job.id)
        metrics.replies.labels(network=errand.reply.target.channel, outcome="sent").inc()
        log.info("reply.sent", source=errand.source, reply=errand.id, attempts=errand.attempts)

    async def refused(self, errand: Errand, job: Job, reason: str) -> None:
        """The network, or a rule of it, said no for good."""
        aftermath = self.aftermath(errand, "our reply was refused")
        await self._store.write(
            replies.refused, errand.id, reason, now=self._clock(), job_id=job.id, aftermath=aftermath
        )
        self._stream.wake(Stage.OPEN_TICKET)
        metrics.replies.labels(network=errand.reply.target.channel, outcome="refused").inc()
        log.warning("reply.refused", source=errand.source, reply=errand.id, why=reason)

    async def unknown(self, errand: Errand, job: Job, reason: str, *, now: datetime, look_at: datetime) -> None:
        """It may be public; it is looked for at *look_at*."""
        await self._store.write(replies.unknown, errand.id, reason, now=now, look_at=look_at, job_id=job.id)
        metrics.replies.labels(network=errand.reply.target.channel, outcome="unknown").inc()
        log.warning("reply.unknown", source=errand.source, reply=errand.id, why=reason)

    async def looked(self, errand: Errand, job: Job, look_at: datetime) -> None:
        """It was looked for and not seen, or could not be looked for; once more at *look_at*."""
        await self._store.write(replies.looked, errand.id, now=self._clock(), look_at=look_at, job_id=job.id)

    async def postponed(self, errand: Errand, job: Job, reason: str, until: datetime) -> None:
        """It was surely not said this time, and waits until *until*."""
        await self._store.write(replies.postponed, errand.id, reason, due_at=until, job_id=job.id)

    async def to_person(self, errand: Errand, job: Job, reason: str) -> None:
        """A person says whether it is public; the bot never says it again by itself."""
        aftermath = self.aftermath(errand, NOBODY_KNOWS)
        await self._store.write(
            replies.to_person, errand.id, reason, now=self._clock(), job_id=job.id, aftermath=aftermath
        )
        self._stream.wake(Stage.OPEN_TICKET)
        metrics.replies.labels(network=errand.reply.target.channel, outcome="person").inc()
        log.warning("reply.person", source=errand.source, reply=errand.id, why=reason)

    def aftermath(self, errand: Errand, what: str) -> Aftermath:
        """Return what becomes of a post that the bot wanted to answer alone. what: came of the reply, in words."""

        def escalate(session: Any, reason: str) -> None:
            if errand.case_id is None and errand.origin is Origin.BOT:
                why = f"{what}: {reason}"
                judge = partial(self._late, why)
                cases.escalate_late(session, errand.post_id, reason=why, judge=judge, now=self._clock())

        return escalate
