"""Stage 2: what do we do? Reads everything known, decides without I/O, writes replies, cases and tickets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import structlog

from bot import metrics
from bot.stages.parts import Parts
from bot.stages.situation import capabilities_of, situation_of
from bot.store import cases, gathering, situations, surroundings
from bot.store.cases import Decided, title_of
from bot.store.gathering import Watch
from bot.store.jobs import Job
from bot.store.lately import Lately
from bot.store.posts import errand, read_errand
from bot.store.situations import Known
from bot.store.surroundings import Surroundings
from bot.store.tables import Stage
from connectors.errors import ConnectorError
from connectors.protocol import Capabilities
from handoff.context import context_of
from handoff.decision import AutoReply, Decision, Draft, Escalate, Ignore, decide, may_be_helped
from handoff.incident import gathers, stands_alone, topics
from handoff.situation import Candidate, Situation

log = structlog.get_logger()

THREAD_TIMEOUT_S = 20.0
"""A thread that takes longer, waiting for its turn included, is shown as far as it is known."""

THREADS_AT_ONCE = 4


class Answers(Protocol):
    """Finds approved articles that may answer."""

    def __call__(self, known: Sequence[Known], capabilities: Sequence[Capabilities]) -> Sequence[Sequence[Candidate]]:
        """Return candidates for each of *known*, best first, rendered for its channel."""
        ...


class HandOffWork:
    """Decides about batches of posts. has_helper: a language model may be asked, later, for words that people read."""

    stage = Stage.HAND_OFF
    patience = 5

    def __init__(self, parts: Parts, *, answers: Answers, has_helper: bool = False) -> None:
        self._store = parts.store
        self._stream = parts.stream
        self._connectors = parts.connectors
        self._policy = parts.policy
        self._desks_for = parts.desks_for
        self._clock = parts.clock
        self._answers = answers
        self._has_helper = has_helper
        self._fetches = asyncio.Semaphore(THREADS_AT_ONCE)

    async def run(self, jobs: Sequence[Job]) -> None:
        """Decide about the posts of *jobs*."""
        now = self._clock()
        wanted = dict(read_errand(job.key) for job in jobs)
        around = await self._store.read(surroundings.look, wanted, now=now, policy=self._policy)
        watch = await self._store.read(gathering.watch, wanted)
        thought = await asyncio.to_thread(self._think, list(around.known.values()), around, now, watch)
        decided = await asyncio.gather(*(self._with_thread(known, each, around, now, watch) for known, each in thought))
        await self._store.write(cases.save, decided, job_ids=[job.id for job in jobs], now=now)
        for each in decided:
            kind = "gathered" if each.is_gathered else type(each.decision).__name__.lower()
            metrics.decisions.labels(network=each.post.channel, decision=kind).inc()
        self._stream.wake(Stage.DELIVER, Stage.OPEN_TICKET, Stage.SUGGEST)

    async def give_up(self, job: Job, reason: str) -> None:
        """Give the post to people with what is known."""
        post_id, edits = read_errand(job.key)
        now = self._clock()
        known = await self._store.read(situations.known, {post_id: edits}, now=now)
        for each in known.values():
            nothing = Surroundings(known=known, records={}, lately=Lately())
            situation = replace(self._situation(each, (), nothing, now), triage=None)
            decision = decide(situation, self._policy)
            decided = self._decided(each, situation, decision, Watch())
            await self._store.write(cases.save, [decided], job_ids=[job.id], now=now)

    def _think(
        self, known: Sequence[Known], around: Surroundings, now: datetime, watch: Watch
    ) -> list[tuple[Known, Decided]]:
        """Decide in order; each decision knows those before it, which are in no table yet."""
        capabilities = [capabilities_of(self._connectors, each.kept.source) for each in known]
        answers = self._answers(known, capabilities)
        thought = []
        said: Counter[tuple[int, str | None]] = Counter()
        to_author: Counter[int] = Counter()
        opened: dict[tuple[int, str | None], str] = {}
        for each, candidates in zip(known, answers, strict=True):
            where = (each.kept.author_id, each.kept.post.root_id)
            here = replace(
                each,
                open_case=each.open_case or opened.get(where),
                auto_replies_24h=each.auto_replies_24h + said[where],
                to_author_24h=each.to_author_24h + to_author[each.kept.author_id],
            )
            situation = self._situation(here, candidates, around, now)
            decided = self._decided(here, situation, decide(situation, self._policy), watch)
            match decided.decision:
                case _ if decided.is_gathered:
                    pass
                case AutoReply(answer=answer):
                    said[where] += 1
                    to_author[each.kept.author_id] += 1
                    self._count(around.lately, each, answer)
                case Draft() | Escalate():
                    opened.setdefault(where, here.open_case or here.kept.post.key)
            thought.append((here, decided))
        return thought

    @staticmethod
    def _count(lately: Lately, known: Known, answer: Candidate) -> None:
        post = known.kept.post
        lately.add(
            source=known.kept.source,
            channel=post.channel,
            root_id=post.root_id,
            slug=answer.slug,
            text=answer.wording,
        )

    async def _with_thread(
        self, known: Known, decided: Decided, around: Surroundings, now: datetime, watch: Watch
    ) -> Decided:
        """Fetch a thread that the store does not hold, for those posts that people will read."""
        connector = self._connectors.get(known.kept.source)
        is_read = not isinstance(decided.decision, Ignore) and not decided.is_gathered
        if not is_read or not known.thread_gap or connector is None:
            return decided
        if not connector.capabilities.thread:
            return decided
        try:
            async with asyncio.timeout(THREAD_TIMEOUT_S), self._fetches:
                thread = await connector.thread(known.kept.post)
        except (ConnectorError, TimeoutError) as error:
            log.info("thread.missing", source=known.kept.source, why=type(error).__name__)
            return decided
        fuller = replace(known, thread=thread, thread_gap=False)
        ((_, decided),) = await asyncio.to_thread(self._think, [fuller], around, now, watch)
        return decided

    def _situation(self, known: Known, answers: Sequence[Candidate], around: Surroundings, now: datetime) -> Situation:
        return situation_of(
            known, self._connectors, now=now, answers=answers, record=around.record(known), lately=around.lately
        )

    def _decided(self, known: Known, situation: Situation, decision: Decision, watch: Watch) -> Decided:
        post = known.kept.post
        about, incident = self._belongs(known, situation, decision, watch)
        desks = self._desks_for(decision.queue) if isinstance(decision, Escalate) else ()
        keeps = isinstance(decision, Draft | Escalate)
        return Decided(
            key=errand(known.kept.id, known.kept.edits),
            post_id=known.kept.id,
            post=post,
            author_id=known.kept.author_id,
            source=known.kept.source,
            decision=decision,
            context=context_of(situation, decision.reasons) if keeps else {},
            title=title_of(post.title, post.text),
            open_case=known.open_case,
            desks=desks,
            intent=None if known.triage is None else known.triage.intent.label,
            topics=about,
            incident=incident,
            is_gathered=incident is not None and stands_alone(situation, self._policy) is None,
            wants_help=self._has_helper and may_be_helped(situation, self._policy, decision),
        )

    def _belongs(
        self, known: Known, situation: Situation, decision: Decision, watch: Watch
    ) -> tuple[Sequence[str], int | None]:
        """Return the topics of a post, and the open incident that it belongs to."""
        if isinstance(decision, Ignore):
            return (), None
        about = topics(situation, self._policy, watch.own.get(known.kept.id, ()))
        if known.kept.id in watch.taken_out:
            return about, None
        meaning = b"" if known.triage is None else known.triage.embedding
        return about, next((each.id for each in watch.watched if gathers(each, about, meaning)), None)
