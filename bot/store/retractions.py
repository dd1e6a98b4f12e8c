"""What was said lately, and what people want deleted again: the wish, its outcome, and who asked.

Asking adds a row and an errand for RETRACT in one transaction, so that no wish is lost; asking again for what did not
work is another try.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import brakes, cases, events, jobs
from bot.store.cases import Late
from bot.store.posts import kept
from bot.store.refusals import Invalid
from bot.store.situations import Known
from bot.store.tables import (
    ArticleRow,
    AuthorRow,
    JobRow,
    PostRow,
    ReplyRow,
    ReplyState,
    Retracted,
    RetractionRow,
    Stage,
)
from bot.store.upsert import table_of
from connectors.post import Reply

MOST = 5_000
"""Replies of one retraction; more are named in the message, and another run takes them."""

LONGEST = timedelta(days=30)
UNITS: Mapping[str, str] = MappingProxyType({"s": "seconds", "m": "minutes", "h": "hours", "d": "days"})
MAY_BE_PUBLIC = (ReplyState.SENT, ReplyState.SENDING, ReplyState.UNKNOWN, ReplyState.PERSON)
DONE = (Retracted.RETRACTED, Retracted.NOT_FOUND)

_retraction = table_of(RetractionRow)
_job = table_of(JobRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which replies: said, or perhaps said, from *since* until *until*; of one source or article, None means all."""

    since: datetime
    until: datetime
    source: str | None = None
    article: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidView:
    """A reply that is public, or may be. state: of the reply. said_at: when, or when its last try began.

    outcome: what became of deleting it, None when nobody asked. detail: why, in words.
    """

    reply_id: int
    case_id: int | None
    source: str
    channel: str
    to: str
    text: str
    article: str | None
    state: ReplyState
    said_at: datetime
    url: str | None
    outcome: Retracted | None
    detail: str
    asked_who: str
    asked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A reply to delete. remote_id: None while nobody knows whether it was said."""

    retraction_id: int
    reply_id: int
    source: str
    reply: Reply
    remote_id: str | None
    state: ReplyState
    asked_at: datetime


def back(last: str) -> timedelta:
    """Return how long ago *last* is: 90s, 15m, 2h or 1d. Raises Invalid."""
    number, unit = last.strip()[:-1], last.strip()[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 8 and unit in UNITS and int(number)):
        raise Invalid(f"{last!r} is no time; write it like 90s, 15m, 2h or 1d")
    return timedelta(**{UNITS[unit]: int(number)})


def said(session: Session, window: Window) -> list[SaidView]:
    """Return what was said in *window*, newest first, MOST at most."""
    return [_view(*row) for row in session.exec(_query(window).limit(MOST)).all()]


def some(session: Session, reply_ids: Sequence[int]) -> list[SaidView]:
    """Return these replies, newest first."""
    return [_view(*row) for row in session.exec(_base().where(col(ReplyRow.id).in_(reply_ids))).all()]


def latest(session: Session, *, limit: int = 50) -> list[SaidView]:
    """Return what people asked to be deleted, the newest wish first."""
    query = _base().where(col(RetractionRow.id).is_not(None)).order_by(None)
    query = query.order_by(col(RetractionRow.asked_at).desc(), col(RetractionRow.id).desc())
    return [_view(*row) for row in session.exec(query.limit(limit)).all()]


def ask(session: Session, window: Window, *, who: str, why: str, user_id: int | None, now: datetime) -> list[SaidView]:
    """Want everything of *window* deleted that is not yet; return all of it as it stands. Raises Invalid."""
    words = brakes.reason(why)
    check(window)
    found = said(session, window)
    for each in found:
        if each.outcome not in DONE and each.outcome is not Retracted.WANTED:
            _want(session, each.reply_id, who=who, why=words, user_id=user_id, now=now)
            facts = {"user_id": user_id}
            events.add(
                session, "reply.retract_asked", now=now, case_id=each.case_id, reply_id=each.reply_id, facts=facts
            )
    session.flush()
    return some(session, [each.reply_id for each in found])


def check(window: Window) -> None:
    """Raises Invalid when the window makes no sense."""
    if not timedelta(0) < window.until - window.since <= LONGEST:
        raise Invalid("name a time from now back to 30 days ago, like 15m, 2h or 1d")


def wanted(session: Session, retraction_id: int) -> Wanted | None:
    """Return what to delete, None when it is done or nobody wants it any more."""
    row = session.get(RetractionRow, retraction_id)
    if row is None or row.outcome != Retracted.WANTED:
        return None
    reply = session.get_one(ReplyRow, row.reply_id)
    target = kept(session, [reply.post_id])[reply.post_id].post
    return Wanted(
        retraction_id=retraction_id,
        reply_id=row.reply_id,
        source=reply.source,
        reply=Reply(key=reply.key, target=target, text=reply.text, created_at=reply.created_at),
        remote_id=reply.remote_id,
        state=ReplyState(reply.state),
        asked_at=row.asked_at,
    )


def postponed(session: Session, retraction_id: int, reason: str, *, due_at: datetime, job_id: int) -> None:
    """Record why it waits, and until when."""
    session.connection().execute(
        sa.update(_retraction).where(_retraction.c.id == retraction_id).values(detail=reason[:500])
    )
    jobs.wait(session, [job_id], due_at=due_at, reason=reason)


def done(
    session: Session,
    retraction_id: int,
    outcome: Retracted,
    detail: str,
    *,
    judge: Callable[[str, Known], Late],
    job_id: int,
    now: datetime,
) -> None:
    """Record how it ended. A customer whose answer was deleted goes to people: nobody is left with nothing."""
    row = session.get(RetractionRow, retraction_id, with_for_update=True)
    jobs.finish(session, [job_id], now=now)
    if row is None or row.outcome != Retracted.WANTED:
        return
    row.outcome, row.detail, row.done_at = outcome, detail[:500], now
    session.add(row)
    reply = session.get_one(ReplyRow, row.reply_id)
    facts = {"user_id": row.asked_by, "outcome": outcome.value}
    events.add(
        session,
        f"reply.{outcome}" if outcome is Retracted.RETRACTED else "reply.not_retracted",
        now=now,
        post_id=reply.post_id,
        case_id=reply.case_id,
        reply_id=reply.id,
        facts=facts,
    )
    if outcome is Retracted.RETRACTED:
        session.flush()
        reason = f"our reply was deleted again: {row.asked_why}"

        def late(known: Known) -> Late:
            return judge(reason, known)

        cases.escalate_late(session, reply.post_id, reason=reason, judge=late, now=now)


def _want(session: Session, reply_id: int, *, who: str, why: str, user_id: int | None, now: datetime) -> None:
    row = session.exec(select(RetractionRow).where(RetractionRow.reply_id == reply_id)).first()
    if row is None:
        row = RetractionRow(reply_id=reply_id, asked_at=now, asked_who=who)
    row.asked_at, row.asked_by, row.asked_who, row.asked_why = now, user_id, who, why
    row.outcome, row.detail, row.done_at = Retracted.WANTED, "", None
    session.add(row)
    session.flush()
    jobs.add(session, Stage.RETRACT, str(row.id), now=now, priority=1)
    # Asked again after it did not work: the errand that was done lives again.
    session.connection().execute(
        sa.update(_job)
        .where(_job.c.stage == Stage.RETRACT, _job.c.key == str(row.id))
        .values(done_at=None, parked_at=None, claimed_until=None, due_at=now, attempts=0)
    )


def _base() -> Any:
    return (
        select(ReplyRow, AuthorRow.handle, ArticleRow.slug, RetractionRow)
        .join(PostRow, col(PostRow.id) == ReplyRow.post_id)
        .join(AuthorRow, col(AuthorRow.id) == PostRow.author_id)
        .join(ArticleRow, col(ArticleRow.id) == ReplyRow.article_id, isouter=True)
        .join(RetractionRow, col(RetractionRow.reply_id) == ReplyRow.id, isouter=True)
        .order_by(col(ReplyRow.id).desc())
    )


def _query(window: Window) -> Any:
    at = sa.func.coalesce(col(ReplyRow.sent_at), col(ReplyRow.last_sent_at))
    query = _base().where(col(ReplyRow.state).in_(MAY_BE_PUBLIC), at >= window.since, at <= window.until)
    if window.source is not None:
        query = query.where(ReplyRow.source == window.source)
    if window.article is not None:
        query = query.where(ArticleRow.slug == window.article)
    return query


def _view(row: ReplyRow, handle: str, slug: str | None, asked: RetractionRow | None) -> SaidView:
    return SaidView(
        reply_id=row.id or 0,
        case_id=row.case_id,
        source=row.source,
        channel=row.channel,
        to=handle,
        text=row.text,
        article=slug,
        state=ReplyState(row.state),
        said_at=row.sent_at or row.last_sent_at or row.created_at,
        url=row.remote_url,
        outcome=None if asked is None else Retracted(asked.outcome),
        detail="" if asked is None else asked.detail,
        asked_who="" if asked is None else asked.asked_who,
        asked_at=None if asked is None else asked.asked_at,
    )
