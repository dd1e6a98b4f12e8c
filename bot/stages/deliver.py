"""Stage 3: say it, at most once. SENDING is committed before the first byte; unknown is looked up, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot import metrics
from bot.brakes.keeper import Brakes
from bot.stages.outcomes import NOBODY_KNOWS, Outcomes
from bot.stages.parts import Parts
from bot.stages.situation import capabilities_of, situation_of
from bot.store import brakes, jobs, posts, replies
from bot.store.jobs import Job
from bot.store.replies import Errand, Standing, Stop
from bot.store.tables import ReplyState, Stage
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, Held, RateLimited, Rejected, Unavailable
from connectors.protocol import Capabilities, Gate, Replier, SendClass
from handoff.brake import targets
from handoff.knowledge.answer import Voice as Speech
from handoff.knowledge.answer import word
from handoff.knowledge.slots import NO_SLOTS, Slots
from handoff.leaving import Objection, Voice, Words, objection
from handoff.situation import Candidate

log = structlog.get_logger()

MAX_SENDS = 2
"""One try, and one more after a read-back found nothing; a second unknown outcome goes to a person."""

TIMED_SENDS = 5
"""Where the network knows our key for a time: each further try comes within that time, and after a read-back."""

KEYED_SENDS = 20
"""On a keyed network repeating is harmless; after this many a person looks why it never succeeds."""

LOOKS = 6
"""Read-backs within settle_after; reads lag, so one look proves nothing."""

UNAVAILABLE_PAUSE = timedelta(seconds=30)
SEEN_LATELY = timedelta(minutes=10)
"""A post that the network showed us within this is taken to be still there."""

LIMITED_PAUSE = timedelta(minutes=1)
AUTH_PAUSE = timedelta(minutes=5)


class DeliverWork:
    """Sends replies through their source's connector."""

    stage = Stage.DELIVER
    patience = 50

    def __init__(self, parts: Parts, *, brakes: Brakes, slots: Slots = NO_SLOTS) -> None:
        self._store = parts.store
        self._stream = parts.stream
        self._connectors = parts.connectors
        self._policy = parts.policy
        self._clock = parts.clock
        self._outcomes = Outcomes(parts)
        self._brakes = brakes
        self._slots = slots

    async def run(self, jobs: Sequence[Job]) -> None:
        """Send, or settle, each reply."""
        for job in jobs:
            await self._one(job)

    async def give_up(self, job: Job, reason: str) -> None:
        """Ask a person whether it was said."""
        errand = await self._store.read(replies.errand, int(job.key))
        if errand is not None:
            await self._outcomes.to_person(errand, job, f"the bot failed while sending it: {reason}")

    async def _one(self, job: Job) -> None:
        errand = await self._store.read(replies.errand, int(job.key))
        if errand is None:
            await self._store.write(jobs.finish, [job.id], now=self._clock())
            return
        connector: Any = self._connectors.get(errand.source)
        if not isinstance(connector, Replier):
            await self._outcomes.refused(
                errand, job, f"the source {errand.source!r} cannot send replies; see its configuration"
            )
            return
        match errand.state:
            case ReplyState.INTENDED:
                await self._send(connector, errand, job)
            case ReplyState.SENDING:
                # Its sender is dead: claims outlast every time-out of a connector.
                await self._unknown(connector, errand, job, "the daemon ended while it was being sent", self._clock())
            case _:
                await self._settle(connector, errand, job)

    async def _send(self, connector: Any, errand: Errand, job: Job) -> None:
        gate = await self._gate(errand, job, "our reply was not said")
        if gate is None:
            return
        refusal = connector.may_reply(errand.reply.target)
        if refusal is not None:
            metrics.reply_blocked.labels(guard="may_reply").inc()
            await self._outcomes.refused(errand, job, refusal.reason)
            return
        over = connector.overrun(errand.reply.target, errand.reply.text)
        if over:
            metrics.reply_blocked.labels(guard="length").inc()
            await self._outcomes.refused(errand, job, f"it is {over} too long for the network")
            return
        if not await self._is_seen(connector, errand, job):
            return
        begun = await self._begin(errand, job, "our reply was not said")
        if isinstance(begun, Errand):
            await self._say(connector, begun, job, gate)
        elif begun is not None:
            metrics.reply_blocked.labels(guard=begun.guard).inc()
            if begun.waits:
                return
            metrics.replies.labels(network=errand.reply.target.channel, outcome="cancelled").inc()

    async def _gate(self, errand: Errand, job: Job, otherwise: str) -> Gate | None:
        """Return what the connector asks before the first byte; None: a brake holds the reply, and it waits.

        One that became stale while it waited is not kept waiting: it ends as stale replies end.
        """
        waiting = await self._store.read(brakes.waiting, errand.id)
        if waiting is None:
            return None
        if await self._brakes.held_by(waiting.topic) is None:
            return self._brakes.gate(waiting.topic)
        now = self._clock()
        if waiting.expires_at <= now:
            begun = await self._begin(errand, job, otherwise)
            if isinstance(begun, Errand):
                await self._outcomes.postponed(begun, job, brakes.HELD, now + brakes.SOON)
            return None
        metrics.reply_blocked.labels(guard="brake").inc()
        wanted = targets(waiting.topic)
        await self._store.write(brakes.hold, job.id, wanted=wanted, expires_at=waiting.expires_at, now=now)
        return None

    async def _begin(self, errand: Errand, job: Job, otherwise: str) -> Errand | Stop | None:
        begun = await self._store.write(
            replies.begin,
            errand,
            now=self._clock(),
            job_id=job.id,
            judge=self._judge,
            aftermath=self._outcomes.aftermath(errand, otherwise),
            policy=self._policy,
        )
        self._stream.wake(Stage.OPEN_TICKET)
        return begun

    async def _is_seen(self, connector: Any, errand: Errand, job: Job) -> bool:
        """Look again at a post last seen a while ago; ``begin`` then stops a reply to what is gone or edited."""
        if not connector.capabilities.deletions or self._clock() - errand.checked_at < SEEN_LATELY:
            return True
        asked = [errand.reply.target.id]
        try:
            found = await connector.still_there(asked)
        except (RateLimited, Unavailable, AuthFailed, Rejected) as error:
            await self._outcomes.postponed(errand, job, str(error), self._later(error, UNAVAILABLE_PAUSE))
            return False
        await self._store.write(posts.apply_recheck, errand.source, asked, found, now=self._clock())
        self._stream.wake(Stage.TRIAGE)
        return True

    async def _say(self, connector: Any, errand: Errand, job: Job, gate: Gate) -> None:
        try:
            outcome = await connector.send(errand.reply, gate=gate)
        except Held:
            await self._outcomes.postponed(errand, job, brakes.HELD, self._clock() + brakes.SOON)
        except Rejected as error:
            await self._outcomes.refused(errand, job, str(error))
        except AmbiguousWrite as error:
            await self._unknown(connector, errand, job, str(error), self._clock())
        except RateLimited as error:
            await self._outcomes.postponed(errand, job, str(error), self._later(error, LIMITED_PAUSE))
        except AuthFailed as error:
            log.warning("reply.auth_failed", source=errand.source)
            await self._outcomes.postponed(errand, job, str(error), self._clock() + AUTH_PAUSE)
        except Unavailable as error:
            await self._outcomes.postponed(errand, job, str(error), self._clock() + UNAVAILABLE_PAUSE)
        else:
            await self._outcomes.sent(errand, outcome, job)

    async def _settle(self, connector: Any, errand: Errand, job: Job) -> None:
        """Find out whether an unknown reply is public; only then, and only if it surely is not, say it again."""
        now = self._clock()
        capabilities: Capabilities = connector.capabilities
        began = errand.first_sent_at or now
        if capabilities.send_class is SendClass.BLIND:
            await self._outcomes.to_person(errand, job, "the network cannot tell whether it was said")
            return
        try:
            found = await connector.find(errand.reply)
        except (RateLimited, Unavailable, AuthFailed, Rejected, AmbiguousWrite) as error:
            await self._outcomes.looked(errand, job, self._later(error, self._pause(capabilities)))
            return
        metrics.readback.labels(network=errand.reply.target.channel, result="found" if found else "not_seen").inc()
        if found is not None:
            await self._outcomes.sent(errand, found, job)
        elif capabilities.send_class is SendClass.KEYED:
            await self._again(connector, errand, job, most=KEYED_SENDS)
        elif now - (errand.last_sent_at or began) < capabilities.settle_after:
            await self._outcomes.looked(errand, job, now + self._pause(capabilities))
        elif capabilities.keyed_for is not None and now - began > capabilities.keyed_for:
            await self._outcomes.to_person(errand, job, "it was not seen, and the network has forgotten our key")
        else:
            most = MAX_SENDS if capabilities.keyed_for is None else TIMED_SENDS
            await self._again(connector, errand, job, most=most)

    async def _again(self, connector: Any, errand: Errand, job: Job, *, most: int) -> None:
        if errand.attempts >= most:
            reason = f"it was tried {errand.attempts} times and nobody can tell whether it was said"
            await self._outcomes.to_person(errand, job, reason)
            return
        gate = await self._gate(errand, job, NOBODY_KNOWS)
        if gate is None:
            return
        begun = await self._begin(errand, job, NOBODY_KNOWS)
        if isinstance(begun, Errand):
            await self._say(connector, begun, job, gate)

    def _later(self, error: ConnectorError, pause: timedelta) -> datetime:
        now = self._clock()
        return error.wait_until(now, otherwise=pause) if isinstance(error, RateLimited) else now + pause

    @staticmethod
    def _pause(capabilities: Capabilities) -> timedelta:
        return max(capabilities.settle_after / LOOKS, timedelta(milliseconds=50))

    async def _unknown(self, connector: Any, errand: Errand, job: Job, reason: str, now: datetime) -> None:
        capabilities: Capabilities = connector.capabilities
        if capabilities.send_class is SendClass.BLIND:
            await self._outcomes.to_person(errand, job, reason)
            return
        await self._outcomes.unknown(errand, job, reason, now=now, look_at=now + self._pause(capabilities))

    def _judge(self, standing: Standing) -> Objection | None:
        """Say what speaks against a reply as things stand now; pure but for the clock."""
        known, errand = standing.known, standing.errand
        situation = situation_of(
            known,
            self._connectors,
            now=self._clock(),
            answers=self._answers_now(standing),
            record=standing.record,
            lately=standing.lately,
        )
        situation = replace(
            situation,
            is_deleted=known.kept.deleted,
            words=errand.reply.text,
            written_for=errand.target_revision,
        )
        words = Words(voice=Voice(errand.origin), is_edited=errand.is_edited, is_approved=errand.is_approved)
        return objection(situation, self._policy, words)

    def _answers_now(self, standing: Standing) -> Sequence[Candidate]:
        """Return the article that a reply came from, worded as it stands now; nothing when it is not in force."""
        article, errand = standing.article, standing.errand
        if article is None or errand.article_id is None:
            return ()
        kept = standing.known.kept
        able = capabilities_of(self._connectors, kept.source)
        spoken = Speech.of(kept.post.channel, able, signature=self._policy.signature(kept.source))
        wording = word(article, spoken, slots=self._slots)
        return (
            Candidate(
                article_id=errand.article_id,
                slug=article.slug,
                locale=article.locale,
                title=article.title,
                wording=wording.text,
                confidence=errand.confidence,
                fits=wording.fits,
                is_private_door=article.slug == self._policy.settings.private.article,
            ),
        )
