"""What the store knows of a post, as the Situation that is decided about: made here for all stages.

Guards ask for the whole of it (``situation_of``); people at a desk read the post and its story (``story_of``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.stages.parts import Parts
from bot.store.cases import Late
from bot.store.lately import Lately
from bot.store.situations import Known
from connectors.protocol import Capabilities, Connector, Replier, SendClass
from handoff.context import context_of
from handoff.earned import Record
from handoff.priority import rank
from handoff.routing import queue_for
from handoff.situation import Candidate, Situation
from handoff.sla import due_at

GONE = Capabilities(send_class=SendClass.LISTEN_ONLY)
"""What a source can do that is no longer in the config."""


def capabilities_of(connectors: Mapping[str, Connector], source: str) -> Capabilities:
    """Return what *source* can do, ``GONE`` when it is no longer there."""
    connector = connectors.get(source)
    return GONE if connector is None else connector.capabilities


def story_of(
    known: Known, connectors: Mapping[str, Connector], *, now: datetime, answers: Sequence[Candidate] = ()
) -> Situation:
    """Return what people read of a post; what only guards ask for is left as if there were nothing."""
    source = known.kept.source
    return Situation(
        post=known.kept.post,
        source=source,
        capabilities=capabilities_of(connectors, source),
        now=now,
        triage=known.triage,
        thread=known.thread,
        history=known.history,
        answers=answers,
    )


def situation_of(
    known: Known,
    connectors: Mapping[str, Connector],
    *,
    now: datetime,
    answers: Sequence[Candidate],
    record: Record,
    lately: Lately,
) -> Situation:
    """Return all that a decision about a post hangs on. The network's own rule is asked of its connector."""
    post, source = known.kept.post, known.kept.source
    connector = connectors.get(source)
    return replace(
        story_of(known, connectors, now=now, answers=answers),
        may_reply=connector.may_reply(post) if isinstance(connector, Replier) else None,
        already_answered=known.already_answered,
        auto_replies_24h=known.auto_replies_24h,
        open_case=known.open_case,
        opted_out_at=known.left.opted_out_at,
        muted=known.left.muted,
        own_names=known.own_names,
        incident=known.incident,
        record=record,
        traffic=lately.traffic(post, source, author_24h=known.to_author_24h),
    )


def late(parts: Parts, reason: str, known: Known) -> Late:
    """Return how a post goes to people after all, with everything known about it. reason: why, in words."""
    situation = story_of(known, parts.connectors, now=parts.clock())
    queue = queue_for(situation, parts.policy)
    level = rank(situation, parts.policy).level
    return Late(
        queue=queue,
        priority=level,
        due_at=due_at(situation.now, level, parts.policy, asked_at=situation.post.created_at),
        context=context_of(situation, [reason]),
        desks=parts.desks_for(queue),
    )
