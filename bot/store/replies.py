"""The outbox. A reply is committed and synced as SENDING before its first byte leaves; unknown is a state, not a guess.

drafted -> intended -> sending -> sent | refused | unknown; unknown -> sent | sending (once more) | person.
Every guard is checked again in the transaction that sets SENDING.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import articles, events, jobs, lately, surroundings
from bot.store.lately import Lately
from bot.store.posts import Kept, kept
from bot.store.situations import Known
from bot.store.tables import CaseRow, JobRow, Origin, Outcome, PostRow, ReplyRow, ReplyState, Stage
from bot.store.upsert import table_of
from connectors.post import Reply, Sent
from handoff.case import CaseState
from handoff.earned import Record
from handoff.knowledge.article import Article
from handoff.leaving import Objection
from handoff.policy import Policy

_reply = table_of(ReplyRow)
_post = table_of(PostRow)

PAUSE = timedelta(minutes=1)
"""How long a reply waits for room under a cap before it asks again."""

STALE = "it waited too long and is stale"

Aftermath: TypeAlias = Callable[[Session, str], None]
"""What becomes of the post when its reply comes to nothing, for a reason in words; in the same transaction, so that no
crash leaves a post that nobody answers and nobody sees."""

OPEN_STATES = (ReplyState.INTENDED, ReplyState.SENDING, ReplyState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A reply that has to leave. attempts: sends begun so far. first_sent_at, last_sent_at: when
    the first and the latest of them began. checked_at: when the network last showed the post to us. target_revision: of
    the post when the words were chosen. is_edited: a person changed what was prepared. is_approved:
    a person said yes to it."""

    id: int
    state: ReplyState
    reply: Reply
    source: str
    origin: Origin
    attempts: int
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    post_id: int
    case_id: int | None
    checked_at: datetime
    article_id: int | None
    confidence: float
    target_revision: str
    is_edited: bool
    is_approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a reply is not said after all, or, where it waits, not yet. guard: which one objects."""

    guard: str
    reason: str
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything the store knows in the transaction that lets a reply go. article: where its words came from, None when
    that is not in force."""

    known: Known
    errand: Errand
    article: Article | None
    record: Record
    lately: Lately


Judge: TypeAlias = Callable[[Standing], Objection | None]
"""Says what speaks against a reply as things stand; pure, since it is called within the transaction."""


def errand(session: Session, reply_id: int) -> Errand | None:
    """Return the reply as it stands, or None when nothing is left to do for it."""
    row = session.get(ReplyRow, reply_id)
    if row is None or row.state not in OPEN_STATES:
        return None
    return _errand(row, kept(session, [row.post_id])[row.post_id])


def begin(
    session: Session,
    known: Errand,
    *,
    now: datetime,
    job_id: int,
    judge: Judge,
    aftermath: Aftermath,
    policy: Policy,
) -> Errand | Stop | None:
    """Mark SENDING if everything still allows it. Stop: not said, with the reason. None: nothing to do.

    known: the reply as the caller read it. If it has moved on since, another worker has it (this one's claim lapsed
    while it waited for a network), and the errand is left to that one.

    Automatic replies begin one at a time, however many workers there are: each sees all that left before it.
    """
    if known.origin in lately.SPOKEN:
        lately.alone(session)
    row = session.get(ReplyRow, known.id, with_for_update=True)
    if row is None or row.state not in OPEN_STATES:
        jobs.finish(session, [job_id], now=now)
        return None
    if (row.state, row.attempts) != (known.state, known.attempts) or row.state == ReplyState.SENDING:
        return None
    target = kept(session, [row.post_id])[row.post_id]
    standing = _standing(session, row, target, now=now, policy=policy)
    found = judge(standing)
    if row.expires_at <= now and (found is None or found.needs_people or found.waits):
        found = Objection(guard="stale", reason=STALE)
    if found is not None and found.waits:
        jobs.wait(session, [job_id], due_at=now + PAUSE, reason=found.reason)
        return Stop(guard=found.guard, reason=found.reason, waits=True)
    if found is not None:
        is_doubtful = row.state == ReplyState.UNKNOWN
        if is_doubtful:
            _to_person(session, row, found.reason, now)
        else:
            _cancel(session, row, found.reason, now)
        if found.guard == "in_incident":
            session.connection().execute(
                sa.update(_post)
                .where(_post.c.id == row.post_id)
                .values(outcome=Outcome.GATHERED, reasons=[found.reason])
            )
        # What was edited is decided anew, what was deleted needs nothing, what was answered has its answer.
        if is_doubtful or found.needs_people:
            aftermath(session, found.reason)
        jobs.finish(session, [job_id], now=now)
        return Stop(guard=found.guard, reason=found.reason)
    row.state = ReplyState.SENDING
    row.attempts += 1
    row.first_sent_at = row.first_sent_at or now
    row.last_sent_at = now
    session.add(row)
    session.flush()
    if known.origin is Origin.BOT and standing.article is not None:
        slug, most = standing.article.slug, policy.settings.caps.brake_replies
        if standing.lately.articles[slug] + 1 >= most:
            lately.brake_if_burst(session, slug, most=most, within=policy.brake_within, now=now)
    return _errand(row, target)


def _standing(session: Session, row: ReplyRow, target: Kept, *, now: datetime, policy: Policy) -> Standing:
    wanted = {target.id: target.edits}
    around = surroundings.look_again(session, wanted, now=now, policy=policy, but_for=row.id or 0)
    known = around.known.get(target.id) or Known(kept=target, triage=None)  # a deleted post is known no more
    stored = None if row.article_id is None else articles.get(session, row.article_id)
    article = None if stored is None else stored.article
    return Standing(
        known=known,
        errand=_errand(row, target),
        article=article if article is not None and article.may_be_said(now, brand=article.brand) else None,
        record=around.record(known),
        lately=around.lately,
    )


def sent(session: Session, reply_id: int, outcome: Sent, *, now: datetime, job_id: int | None) -> None:
    """Record that it is public. The case, if any, now waits for the customer; the post is answered."""
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None or row.state == ReplyState.SENT:
        return
    row.state, row.remote_id, row.remote_url = ReplyState.SENT, outcome.id, outcome.url
    row.sent_at, row.reason = now, None
    session.add(row)
    session.connection().execute(
        sa.update(_post)
        .where(_post.c.id == row.post_id, _post.c.outcome != Outcome.DELETED)
        .values(outcome=Outcome.ANSWERED)
    )
    if row.case_id is not None:
        case = session.get(CaseRow, row.case_id)
        if case is not None:
            case.answered_at = case.answered_at or now
            if case.state in (CaseState.OPEN, CaseState.CLAIMED):
                case.state = CaseState.WAITING
            session.add(case)
    _close(session, row, "reply.sent", now, job_id)


def refused(session: Session, reply_id: int, reason: str, *, now: datetime, job_id: int, aftermath: Aftermath) -> None:
    """Record that the network said no for good."""
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None or row.state == ReplyState.SENT:
        return
    row.state, row.reason = ReplyState.REFUSED, reason[:500]
    session.add(row)
    aftermath(session, reason)
    _close(session, row, "reply.refused", now, job_id)


def unknown(session: Session, reply_id: int, reason: str, *, now: datetime, look_at: datetime, job_id: int) -> None:
    """Record that it may be public; somebody looks at *look_at*."""
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None or row.state == ReplyState.SENT:
        return
    if row.state != ReplyState.UNKNOWN:
        row.state, row.reason = ReplyState.UNKNOWN, reason[:500]
        session.add(row)
        events.add(session, "reply.unknown", now=now, post_id=row.post_id, case_id=row.case_id, reply_id=row.id)
    jobs.wait(session, [job_id], due_at=look_at, reason=reason)


def looked(session: Session, reply_id: int, *, now: datetime, look_at: datetime, job_id: int) -> None:
    """Record that a look showed nothing yet; the next one is at *look_at*."""
    session.connection().execute(sa.update(_reply).where(_reply.c.id == reply_id).values(looked_at=now))
    jobs.wait(session, [job_id], due_at=look_at, reason="not seen yet")


def postponed(session: Session, reply_id: int, reason: str, *, due_at: datetime, job_id: int) -> None:
    """Take back a try that surely was not taken; at *due_at* there is another, or, after an earlier doubt, a look."""
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is not None and row.state == ReplyState.SENDING:
        row.attempts -= 1
        row.state = ReplyState.UNKNOWN if row.attempts else ReplyState.INTENDED
        row.first_sent_at = row.first_sent_at if row.attempts else None
        session.add(row)
    jobs.wait(session, [job_id], due_at=due_at, reason=reason)


def to_person(
    session: Session, reply_id: int, reason: str, *, now: datetime, job_id: int, aftermath: Aftermath
) -> None:
    """Give the question "was it said?" to a person; the bot never says it again by itself."""
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None or row.state not in OPEN_STATES:
        return
    _to_person(session, row, reason, now)
    aftermath(session, reason)
    jobs.finish(session, [job_id], now=now)


def settle_start(session: Session, *, now: datetime) -> int:
    """At the start of the only daemon: what is SENDING may be public, so it is UNKNOWN. Return how many."""
    rows = session.exec(select(ReplyRow).where(ReplyRow.state == ReplyState.SENDING)).all()
    for row in rows:
        row.state, row.reason = ReplyState.UNKNOWN, "the daemon ended while it was being sent"
        session.add(row)
        events.add(session, "reply.unknown", now=now, post_id=row.post_id, case_id=row.case_id, reply_id=row.id)
    keys = [str(row.id) for row in rows]
    job = table_of(JobRow)
    session.connection().execute(
        sa.update(job)
        .where(job.c.stage == Stage.DELIVER, job.c.key.in_(keys), job.c.done_at.is_(None))
        .values(due_at=now, claimed_until=None, claimed_by=None)
    )
    return len(rows)


def count_unknown(session: Session) -> int:
    """Return how many replies nobody knows about."""
    query = select(sa.func.count()).select_from(ReplyRow)
    return session.exec(query.where(col(ReplyRow.state).in_((ReplyState.UNKNOWN, ReplyState.PERSON)))).one()


def own_ids(session: Session, channel: str, remote_ids: Sequence[str]) -> set[str]:
    """Return which of *remote_ids* are replies of ours."""
    query = select(ReplyRow.remote_id).where(ReplyRow.channel == channel, col(ReplyRow.remote_id).in_(remote_ids))
    return {remote_id for remote_id in session.exec(query) if remote_id is not None}


def _cancel(session: Session, row: ReplyRow, reason: str, now: datetime) -> None:
    row.state, row.reason = ReplyState.CANCELLED, reason[:500]
    session.add(row)
    events.add(
        session,
        "reply.cancelled",
        now=now,
        post_id=row.post_id,
        case_id=row.case_id,
        reply_id=row.id,
        facts={"reason": reason},
    )


def _to_person(session: Session, row: ReplyRow, reason: str, now: datetime) -> None:
    row.state, row.reason = ReplyState.PERSON, reason[:500]
    session.add(row)
    events.add(session, "reply.person", now=now, post_id=row.post_id, case_id=row.case_id, reply_id=row.id)


def _close(session: Session, row: ReplyRow, kind: str, now: datetime, job_id: int | None) -> None:
    events.add(session, kind, now=now, post_id=row.post_id, case_id=row.case_id, reply_id=row.id)
    if job_id is not None:
        jobs.finish(session, [job_id], now=now)


def _errand(row: ReplyRow, kept_post: Kept) -> Errand:
    target = kept_post.post
    made: dict[str, Any] = {"key": row.key, "target": target, "text": row.text, "created_at": row.created_at}
    return Errand(
        id=row.id or 0,
        state=ReplyState(row.state),
        reply=Reply(**made),
        source=row.source,
        origin=Origin(row.origin),
        attempts=row.attempts,
        first_sent_at=row.first_sent_at,
        last_sent_at=row.last_sent_at,
        post_id=row.post_id,
        case_id=row.case_id,
        checked_at=kept_post.checked_at,
        article_id=row.article_id,
        confidence=row.confidence or 0.0,
        target_revision=row.target_revision,
        is_edited=row.is_edited,
        is_approved=row.approved_by is not None,
    )
