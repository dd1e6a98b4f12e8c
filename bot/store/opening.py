"""Opening an incident with its one case, and gathering what was decided beside it.

What was opened for its posts one by one is folded into it. Posts that come later are linked in gathering.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import cases, events, gathering, situations
from bot.store.cases import Late
from bot.store.gathering import Heard
from bot.store.situations import Known
from bot.store.tables import (
    CasePostRow,
    CaseRow,
    IncidentPostRow,
    IncidentRow,
    Origin,
    Outcome,
    PostRow,
    PostTopicRow,
    ReplyRow,
    ReplyState,
    TriageRow,
)
from bot.store.turns import Turn, take_turn
from bot.store.upsert import insert_new, insert_new_returning, table_of
from handoff.burst import Burst
from handoff.case import CaseState
from handoff.incident import Watched, centre, gathers, told
from handoff.policy import IncidentSettings

MOST = 5_000
"""Posts linked at once; the next look links more."""

_topic = table_of(PostTopicRow)
_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_post = table_of(PostRow)
_reply = table_of(ReplyRow)
_case = table_of(CaseRow)
_case_post = table_of(CasePostRow)
_triage = table_of(TriageRow)


def open_one(
    session: Session, burst: Burst, *, settings: IncidentSettings, judge: Callable[[str, Known], Late], now: datetime
) -> int | None:
    """Open the incident of a burst with its one case; return its id. None when somebody else has opened one."""
    take_turn(session, Turn.INCIDENT)
    found = _unlinked(session, burst.topic, now - timedelta(minutes=burst.minutes))
    if len({row.author_id for row in found}) < settings.min_posts:
        return None
    meant = centre([bytes(row.embedding or b"") for row in found], share=burst.excess / burst.observed)
    row = {
        "topic": burst.topic,
        "opened_at": now,
        "minutes": burst.minutes,
        "observed": burst.observed,
        "expected": burst.expected,
        "centre": b"" if meant is None else meant.vector,
        "reach": 0.0 if meant is None else meant.reach,
        "first_at": min(each.at for each in found),
        "pace": settings.pace,
    }
    number = insert(session, row)
    if number is None:
        return None
    _take(session, Watched(id=number, topic=burst.topic, centre=meant), found, now)
    reason = (
        f"{burst.observed} people wrote about {told(burst.topic)} within {burst.minutes:g} minutes; "
        f"{burst.expected:.1f} were to be expected"
    )
    case_id = _open_case(session, number, told(burst.topic), reason, judge, now)
    events.add(session, "incident.opened", now=now, case_id=case_id, facts={"incident": number, "topic": burst.topic})
    return number


def insert(session: Session, values: Mapping[str, Any]) -> int | None:
    """Add a fresh incident; return its id, None when another one gathers its topic."""
    empty = ("name", "why", "opened_who", "answer", "follow_up", "sending", "read_as", "started_who", "halted")
    row = {**dict.fromkeys((*empty, "closed_who"), ""), "round": 0, "is_gathering": True, **values}
    new = insert_new_returning(session, _incident, [row], _incident.c.id)
    return int(new[0].id) if new else None


def open_cases(session: Session, *, judge: Callable[[str, Known], Late], now: datetime) -> list[int]:
    """Open the one case of each incident that has none yet and has a post by now; return those incidents.

    Whoever opens an incident by hand may do so before anybody has written.
    """
    bare = (
        sa.select(_incident.c.id, _incident.c.topic, _incident.c.name, _incident.c.why, _incident.c.opened_who)
        .where(_incident.c.closed_at.is_(None), _incident.c.case_id.is_(None))
        .order_by(_incident.c.id)
        .with_for_update()
    )
    opened = []
    for row in session.connection().execute(bare).all():
        reason = f"{row.opened_who or 'Harken'} opened it: {row.why}"
        if _open_case(session, row.id, row.name or told(row.topic), reason, judge, now) is not None:
            opened.append(int(row.id))
    return opened


def sweep(session: Session, *, now: datetime) -> int:
    """Link what belongs to open incidents and was decided beside them; return how many."""
    # One that was opened by hand has the posts that it was given, and what comes from then on.
    starts = sa.case((_incident.c.opened_who == "", _incident.c.first_at), else_=_incident.c.opened_at).label("starts")
    query = sa.select(_incident.c.topic, starts).where(_incident.c.is_gathering.is_(True))
    since = {row.topic: row.starts for row in session.connection().execute(query)}
    return sum(
        _take(session, watched, _unlinked(session, watched.topic, since[watched.topic]), now)
        for watched in gathering.watched(session)
        if watched.topic in since
    )


def grow_quiet(session: Session, settings: IncidentSettings, *, now: datetime) -> list[int]:
    """Propose to close incidents that got no post for a while; return those that are new among them."""
    last = (
        sa.select(sa.func.max(_linked.c.linked_at))
        .where(_linked.c.incident_id == _incident.c.id, _linked.c.taken_out_at.is_(None))
        .scalar_subquery()
    )
    quiet = (
        sa.update(_incident)
        .where(
            _incident.c.closed_at.is_(None),
            _incident.c.quiet_at.is_(None),
            sa.func.coalesce(last, _incident.c.opened_at) < now - timedelta(minutes=settings.quiet_minutes),
        )
        .values(quiet_at=now)
        .returning(_incident.c.id, _incident.c.case_id)
    )
    rows = session.connection().execute(quiet).all()
    for row in rows:
        events.add(session, "incident.quiet", now=now, case_id=row.case_id, facts={"incident": row.id})
    return [row.id for row in rows]


def _unlinked(session: Session, topic: str, after: datetime) -> Sequence[Any]:
    query = (
        sa.select(_topic.c.post_id, _topic.c.author_id, _topic.c.at, _triage.c.embedding)
        .join_from(_topic, _post, _post.c.id == _topic.c.post_id)
        .outerjoin(_triage, _triage.c.post_id == _topic.c.post_id)
        .outerjoin(_linked, _linked.c.post_id == _topic.c.post_id)
        .where(_topic.c.topic == topic, _topic.c.at >= after, _linked.c.post_id.is_(None), _post.c.deleted_at.is_(None))
        .order_by(_topic.c.at)
        .limit(MOST)
    )
    return session.connection().execute(query).all()


def _take(session: Session, watched: Watched, found: Sequence[Any], now: datetime) -> int:
    """Link posts that belong, and fold what was opened for them one by one into the incident."""
    heard = [
        Heard(post_id=row.post_id, author_id=row.author_id, at=row.at, topics=(), incident=watched.id)
        for row in found
        if gathers(watched, [watched.topic], bytes(row.embedding or b""))
    ]
    linked = gathering.link(session, heard, now=now)
    fold(session, watched.id, list(linked), now=now)
    return len(linked)


def fold(session: Session, number: int, post_ids: Sequence[int], *, now: datetime) -> None:
    """Close the cases that nobody has claimed yet and that do not press, with their drafts; cancel the bot's own words
    that have not begun to leave. What a person works on, or what is urgent, stays as it is."""
    why = f"it belongs to incident {number}, which people answer"
    own = _case_post.alias("own")
    elsewhere = sa.exists().where(own.c.case_id == _case.c.id, own.c.post_id.not_in(post_ids))
    folded = session.connection().execute(
        sa.update(_case)
        .where(
            _case.c.post_id.in_(post_ids),
            _case.c.key.not_like("incident/%"),
            _case.c.state == CaseState.OPEN,
            _case.c.assignee_id.is_(None),
            _case.c.priority > 1,
            ~elsewhere,
        )
        .values(state=CaseState.RESOLVED, resolved_at=now)
        .returning(_case.c.id, _case.c.post_id)
    )
    closed = {row.id: row.post_id for row in folded}
    drafted = sa.and_(_reply.c.state == ReplyState.DRAFTED, _reply.c.case_id.in_(list(closed)))
    coming = sa.and_(
        _reply.c.state == ReplyState.INTENDED, _reply.c.origin == Origin.BOT, _reply.c.post_id.in_(post_ids)
    )
    cancelled = session.connection().execute(
        sa.update(_reply)
        .where(sa.or_(drafted, coming))
        .values(state=ReplyState.CANCELLED, reason=why)
        .returning(_reply.c.id, _reply.c.post_id, _reply.c.case_id)
    )
    gone = cancelled.all()
    session.connection().execute(
        sa.update(_post)
        .where(
            _post.c.id.in_({*closed.values(), *(row.post_id for row in gone)}),
            _post.c.outcome.in_((Outcome.OPEN, Outcome.DRAFTED, Outcome.ESCALATED)),
        )
        .values(outcome=Outcome.GATHERED, reasons=[why])
    )
    events.add_all(
        session,
        [
            *(
                events.row("case.resolved", now=now, post_id=post_id, case_id=case_id, facts={"incident": number})
                for case_id, post_id in closed.items()
            ),
            *(
                events.row("reply.cancelled", now=now, post_id=row.post_id, case_id=row.case_id, reply_id=row.id)
                for row in gone
            ),
        ],
    )


def _open_case(
    session: Session, number: int, title: str, reason: str, judge: Callable[[str, Known], Late], now: datetime
) -> int | None:
    """Open the case of an incident, from its newest post; return its id, None without a post."""
    newest = (
        sa.select(_post.c.id, _post.c.edits, _post.c.channel, _post.c.source, _post.c.author_id)
        .join_from(_linked, _post, _post.c.id == _linked.c.post_id)
        .where(_linked.c.incident_id == number, _post.c.deleted_at.is_(None))
        .order_by(_linked.c.at.desc(), _post.c.id.desc())
        .limit(1)
    )
    row = session.connection().execute(newest).first()
    if row is None:
        return None
    known = situations.known(session, {row.id: row.edits}, now=now)[row.id]
    late = judge(reason, known)
    case = {
        "key": f"incident/{number}",
        "post_id": row.id,
        "author_id": row.author_id,
        "channel": row.channel,
        "source": row.source,
        "root_id": None,
        "title": f"Incident {number}: {title}",
        "state": CaseState.OPEN,
        "queue": late.queue,
        "priority": 1,
        "reasons": [reason],
        "context": dict(late.context),
        "opened_at": now,
        "due_at": late.due_at,
    }
    (made,) = insert_new_returning(session, _case, [case], _case.c.id)
    insert_new(session, _case_post, [{"case_id": made.id, "post_id": row.id}])
    cases.want_tickets(session, made.id, late.desks, now=now)
    session.connection().execute(sa.update(_incident).where(_incident.c.id == number).values(case_id=made.id))
    events.add(session, "case.opened", now=now, post_id=row.id, case_id=made.id)
    return int(made.id)
