"""What a person decides about an open incident: which article is its answer, and which post is none of it.

Opening by hand is in foreseen.py, making one of two in merging.py; sending, pausing and closing are in campaigns.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import articles, events, incidents, jobs
from bot.store.incidents import IncidentView
from bot.store.posts import errand
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.tables import (
    ArticleRow,
    CaseRow,
    IncidentPostRow,
    IncidentReplyRow,
    IncidentRow,
    JobRow,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
    Stage,
)
from bot.store.upsert import table_of
from handoff.case import CaseState
from handoff.incident import Part
from handoff.knowledge.article import Article, ArticleState

_job = table_of(JobRow)
_case = table_of(CaseRow)


def choose(
    session: Session, number: int, *, part: Part, article: str, user_id: int | None, now: datetime
) -> IncidentView:
    """Choose the approved article that is the answer, or the follow-up. Raises Missing, Conflict, Invalid."""
    row = open_row(session, number)
    if row.sending == part:
        raise Conflict("it is being sent just now; pause it first")
    slug = article.strip()
    if not in_force(session, slug, now=now):
        raise Invalid(
            f"no article {slug[:80]!r} may be said now; choose one that is published and valid, or write one under "
            "/articles, which takes two people"
        )
    if part is Part.ANSWER:
        row.answer = slug
    else:
        row.follow_up = slug
    tell(session, row, "incident.chosen", now=now, part=part, article=slug, user_id=user_id)
    return incidents.one(session, number)


def take_out(session: Session, number: int, post_id: int, *, who: str, user_id: int | None, now: datetime) -> None:
    """Take a post out of an incident: it is decided anew by itself, and never linked again.

    Raises Missing; Conflict when its author got the incident's answer to it, or is getting it now.
    """
    row = open_row(session, number)
    linked = session.get(IncidentPostRow, post_id, with_for_update=True)
    if linked is None or linked.incident_id != number:
        raise Missing("this post is not in the incident")
    if linked.taken_out_at is not None:
        return
    slots = session.exec(
        select(IncidentReplyRow).where(IncidentReplyRow.incident_id == number, IncidentReplyRow.post_id == post_id)
    ).all()
    for slot in slots:
        reply = None if slot.reply_id is None else session.get(ReplyRow, slot.reply_id, with_for_update=True)
        if reply is not None and reply.state == ReplyState.INTENDED:
            reply.state, reply.reason = ReplyState.CANCELLED, "a person took the post out of the incident"
            session.add(reply)
        elif reply is not None and reply.state not in (ReplyState.CANCELLED, ReplyState.REFUSED):
            raise Conflict("its author has the incident's answer already, or is getting it now")
        session.delete(slot)
    linked.taken_out_at, linked.taken_out_who = now, who
    session.add(linked)
    post = session.get_one(PostRow, post_id)
    if post.outcome == Outcome.GATHERED:
        post.outcome, post.reasons = Outcome.OPEN, None
        session.add(post)
        key = errand(post_id, post.edits)
        jobs.add(session, Stage.HAND_OFF, key, now=now)
        session.connection().execute(
            sa.update(_job)
            .where(_job.c.stage == Stage.HAND_OFF, _job.c.key == key, _job.c.done_at.is_not(None))
            .values(done_at=None, parked_at=None, claimed_until=None, due_at=now, attempts=0)
        )
    tell(session, row, "incident.taken_out", now=now, post_id=post_id, user_id=user_id)


def in_force(session: Session, slug: str, *, now: datetime) -> list[tuple[int, Article]]:
    """Return id and article of every locale in which *slug* may be said now, in the order they came."""
    query = select(ArticleRow.id).where(
        ArticleRow.slug == slug, *articles.sayable(now=now), ArticleRow.state == ArticleState.PUBLISHED
    )
    found = [articles.get(session, number or 0) for number in session.exec(query.order_by(col(ArticleRow.id)))]
    return [(each.id, each.article) for each in found if each is not None]


def choices(session: Session, *, now: datetime) -> list[tuple[str, str]]:
    """Return slug and title of all that may be said now, by title."""
    query = select(ArticleRow.slug, ArticleRow.title).where(*articles.sayable(now=now)).order_by(col(ArticleRow.id))
    found: dict[str, str] = {}
    for slug, title in session.exec(query):
        found.setdefault(slug, title)
    return sorted(found.items(), key=lambda each: each[1].casefold())


def open_row(session: Session, number: int) -> IncidentRow:
    """Return an open incident, locked. Raises Missing, Conflict."""
    row = session.get(IncidentRow, number, with_for_update=True)
    if row is None:
        raise Missing(f"there is no such incident: {number}")
    if row.merged_into is not None:
        raise Conflict(f"incident {number} is closed: it was merged into incident {row.merged_into}, which goes on")
    if row.closed_at is not None:
        raise Conflict(f"incident {number} is closed")
    return row


def resolve_case(session: Session, row: IncidentRow, *, user_id: int | None, now: datetime, **facts: Any) -> None:
    """End the case of an incident, if it has one that is not resolved yet. facts: more for the record."""
    ended = session.connection().execute(
        sa.update(_case)
        .where(_case.c.id == row.case_id, _case.c.state != CaseState.RESOLVED)
        .values(state=CaseState.RESOLVED, resolved_at=now)
        .returning(_case.c.id, _case.c.post_id)
    )
    for case in ended:
        known = {"incident": row.id, "user_id": user_id, **facts}
        events.add(session, "case.resolved", now=now, case_id=case.id, post_id=case.post_id, facts=known)


def tell(session: Session, row: IncidentRow, kind: str, *, now: datetime, **facts: Any) -> None:
    """Save an incident, and record what happened to it."""
    session.add(row)
    session.flush()
    post_id = facts.pop("post_id", None)
    events.add(session, kind, now=now, case_id=row.case_id, post_id=post_id, facts={"incident": row.id, **facts})
