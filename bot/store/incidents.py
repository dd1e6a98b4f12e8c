"""Incidents as people see them: how each stands, its posts with what their authors got, and its topic over time.

The detector counts in bursts.py, opening.py opens, gathering.py has the posts of open ones; what people decide is in
incident_steps.py, who is answered and when in campaigns.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.refusals import Missing
from bot.store.tables import (
    AuthorRow,
    IncidentPostRow,
    IncidentReplyRow,
    IncidentRow,
    PostRow,
    PostTopicRow,
    ReplyRow,
    ReplyState,
)
from bot.store.upsert import table_of
from handoff.incident import Part, told

BARS = 60
"""Of the timeline."""

WAITING = (ReplyState.INTENDED, ReplyState.SENDING, ReplyState.UNKNOWN, ReplyState.PERSON)

_topic = table_of(PostTopicRow)
_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_slot = table_of(IncidentReplyRow)
_post = table_of(PostRow)
_reply = table_of(ReplyRow)
_author = table_of(AuthorRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident. state: open, sending, quiet (to close it is proposed) or closed. told: its name, or its topic in
    words. topics: what gathers into it, in words, its own first.

    opened_who, why: of one that a person opened; "" of a measured one. merged: what was merged into it; merged_into:
    where its posts are now.
    posts, authors: those that belong. answered, followed_up: authors who got it; waiting: on its way; unsaid: authors
    to whom nothing may be said. sending: incident (the answer) or follow_up, "" for nothing. halted: why sending
    stopped by itself. observed of expected authors within minutes: why it was opened.
    """

    id: int
    topic: str
    told: str
    topics: Sequence[str]
    state: str
    opened_at: datetime
    opened_who: str
    why: str
    first_at: datetime
    closed_at: datetime | None
    closed_who: str
    merged_into: int | None
    merged: Sequence[int]
    quiet_at: datetime | None
    minutes: float
    observed: int
    expected: float
    case_id: int | None
    posts: int
    authors: int
    channels: Sequence[str]
    answered: int
    followed_up: int
    waiting: int
    unsaid: int
    answer: str
    follow_up: str
    sending: str
    pace: int
    started_who: str
    halted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedView:
    """A post of an incident. answer, follow_up: where that stands, in a word; why: what spoke against it."""

    post_id: int
    channel: str
    source: str
    handle: str
    text: str
    url: str | None
    at: datetime
    outcome: str
    answer: str
    follow_up: str
    why: str
    taken_out_who: str
    is_taken_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Posts of the topic over time. starts_at: of the first bar; minutes: width of a bar. counts: oldest first."""

    starts_at: datetime
    minutes: int
    counts: Sequence[int]


def all_of(session: Session, *, is_open: bool | None = None, limit: int = 200) -> list[IncidentView]:
    """Return incidents, open ones first, then the newest; is_open: only those that are, or are not."""
    query = select(IncidentRow).order_by(
        col(IncidentRow.closed_at).is_not(None), col(IncidentRow.opened_at).desc(), col(IncidentRow.id).desc()
    )
    if is_open is not None:
        closed = col(IncidentRow.closed_at)
        query = query.where(closed.is_(None) if is_open else closed.is_not(None))
    return _views(session, list(session.exec(query.limit(limit))))


def one(session: Session, number: int) -> IncidentView:
    """Return one incident. Raises Missing."""
    session.flush()
    row = session.get(IncidentRow, number)
    if row is None:
        raise Missing(f"there is no such incident: {number}")
    return _views(session, [row])[0]


def count_open(session: Session) -> int:
    """Return how many are open."""
    return session.exec(
        select(sa.func.count()).select_from(IncidentRow).where(col(IncidentRow.closed_at).is_(None))
    ).one()


def linked(session: Session, number: int, *, limit: int = 200, before: int | None = None) -> list[LinkedView]:
    """Return the posts of an incident, the newest link first; before: only posts with a lower id."""
    answer, follow = _slot.alias("a"), _slot.alias("f")
    said, later = _reply.alias("ra"), _reply.alias("rf")
    query = (
        sa.select(
            *(_post.c.id, _post.c.channel, _post.c.source, _post.c.text, _post.c.url, _post.c.created_at),
            *(_post.c.outcome, _author.c.handle, _linked.c.taken_out_at, _linked.c.taken_out_who),
            *(answer.c.post_id.label("a_post"), answer.c.reason.label("a_why"), said.c.state.label("a_state")),
            *(said.c.reason.label("a_reason"), follow.c.post_id.label("f_post"), follow.c.reason.label("f_why")),
            *(later.c.state.label("f_state"), later.c.reason.label("f_reason")),
        )
        .select_from(_linked)
        .join(_post, _post.c.id == _linked.c.post_id)
        .join(_author, _author.c.id == _linked.c.author_id)
        .outerjoin(answer, _has(answer, Part.ANSWER))
        .outerjoin(said, said.c.id == answer.c.reply_id)
        .outerjoin(follow, _has(follow, Part.FOLLOW_UP))
        .outerjoin(later, later.c.id == follow.c.reply_id)
        .where(_linked.c.incident_id == number)
        .order_by(_post.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(_post.c.id < before)
    return [_linked_view(row) for row in session.connection().execute(query)]


def timeline(session: Session, number: int, *, now: datetime) -> Timeline:
    """Return how many posts of its topics there were, from an hour before the incident to now or its end."""
    row = session.get(IncidentRow, number)
    if row is None:
        raise Missing("there is no such incident")
    starts, ends = row.first_at - timedelta(hours=1), max(row.closed_at or now, row.opened_at)
    minutes = max(1, -(-int((ends - starts).total_seconds() // 60 + 1) // BARS))
    width = minutes * 60_000_000
    origin = int((starts - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    topics = [row.topic, *(topic for _, topic in _merged(session, [number]).get(number, ()))]
    bar = ((sa.type_coerce(_topic.c.at, sa.BigInteger) - origin) // width).label("bar")
    query = (
        sa.select(bar, sa.func.count(_topic.c.post_id.distinct()).label("posts"))
        .where(_topic.c.topic.in_(topics), _topic.c.at >= starts, _topic.c.at <= ends)
        .group_by(bar)
    )
    seen = {int(each.bar): int(each.posts) for each in session.connection().execute(query)}
    bars = min(BARS, int((ends - starts) / timedelta(minutes=minutes)) + 1)
    return Timeline(starts_at=starts, minutes=minutes, counts=[seen.get(at, 0) for at in range(bars)])


def _has(slot: Any, part: Part) -> sa.ColumnElement[bool]:
    return sa.and_(
        slot.c.incident_id == _linked.c.incident_id, slot.c.part == part.value, slot.c.author_id == _linked.c.author_id
    )


def _views(session: Session, rows: Sequence[IncidentRow]) -> list[IncidentView]:
    ids = [row.id for row in rows]
    members = (
        sa.select(
            _linked.c.incident_id,
            sa.func.count().label("posts"),
            sa.func.count(_linked.c.author_id.distinct()).label("authors"),
        )
        .where(_linked.c.incident_id.in_(ids), _linked.c.taken_out_at.is_(None))
        .group_by(_linked.c.incident_id)
    )
    sizes = {row.incident_id: (row.posts, row.authors) for row in session.connection().execute(members)}
    where = (
        sa.select(_linked.c.incident_id, _post.c.channel)
        .join(_post, _post.c.id == _linked.c.post_id)
        .where(_linked.c.incident_id.in_(ids), _linked.c.taken_out_at.is_(None))
        .distinct()
    )
    channels: dict[int, list[str]] = {}
    for each in session.connection().execute(where):
        channels.setdefault(each.incident_id, []).append(each.channel)
    ends = (
        sa.select(_slot.c.incident_id, _slot.c.part, _reply.c.state, sa.func.count().label("n"))
        .outerjoin_from(_slot, _reply, _reply.c.id == _slot.c.reply_id)
        .where(_slot.c.incident_id.in_(ids))
        .group_by(_slot.c.incident_id, _slot.c.part, _reply.c.state)
    )
    counts: dict[int, dict[tuple[str, str | None], int]] = {}
    for each in session.connection().execute(ends):
        counts.setdefault(each.incident_id, {})[each.part, each.state] = each.n
    merged = _merged(session, ids)
    return [
        _view(
            row,
            sizes.get(row.id or 0, (0, 0)),
            sorted(channels.get(row.id or 0, ())),
            counts.get(row.id or 0, {}),
            merged.get(row.id or 0, ()),
        )
        for row in rows
    ]


def _merged(session: Session, ids: Sequence[int | None]) -> dict[int, list[tuple[int, str]]]:
    """Return incident -> id and topic of each that was merged into it, the oldest first."""
    query = sa.select(_incident.c.merged_into, _incident.c.id, _incident.c.topic).where(
        _incident.c.merged_into.in_(ids)
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for row in session.connection().execute(query.order_by(_incident.c.id)):
        found.setdefault(row.merged_into, []).append((row.id, row.topic))
    return found


def _view(
    row: IncidentRow,
    size: tuple[int, int],
    channels: Sequence[str],
    ends: Mapping[tuple[str, str | None], int],
    merged: Sequence[tuple[int, str]],
) -> IncidentView:
    quiet = "quiet" if row.quiet_at is not None else "open"
    return IncidentView(
        id=row.id or 0,
        topic=row.topic,
        told=row.name or told(row.topic),
        topics=[told(each) for each in dict.fromkeys((row.topic, *(topic for _, topic in merged)))],
        state="closed" if row.closed_at is not None else "sending" if row.sending else quiet,
        opened_at=row.opened_at,
        opened_who=row.opened_who,
        why=row.why,
        first_at=row.first_at,
        closed_at=row.closed_at,
        closed_who=row.closed_who,
        merged_into=row.merged_into,
        merged=[number for number, _ in merged],
        quiet_at=row.quiet_at,
        minutes=row.minutes,
        observed=row.observed,
        expected=round(row.expected, 2),
        case_id=row.case_id,
        posts=size[0],
        authors=size[1],
        channels=channels,
        answered=ends.get((Part.ANSWER, ReplyState.SENT), 0),
        followed_up=ends.get((Part.FOLLOW_UP, ReplyState.SENT), 0),
        waiting=sum(count for (_, state), count in ends.items() if state in WAITING),
        unsaid=sum(
            count
            for (part, state), count in ends.items()
            if part == Part.ANSWER and state in (None, ReplyState.CANCELLED, ReplyState.REFUSED)
        ),
        answer=row.answer,
        follow_up=row.follow_up,
        sending=row.sending,
        pace=row.pace,
        started_who=row.started_who,
        halted=row.halted,
    )


def _linked_view(row: Any) -> LinkedView:
    why = next((each for each in (row.f_why, row.f_reason, row.a_why, row.a_reason) if each), "")
    return LinkedView(
        post_id=row.id,
        channel=row.channel,
        source=row.source,
        handle=row.handle,
        text=row.text,
        url=row.url,
        at=row.created_at,
        outcome=row.outcome,
        answer=_stands(row.id, row.a_post, row.a_state),
        follow_up=_stands(row.id, row.f_post, row.f_state),
        why=why,
        taken_out_who=row.taken_out_who,
        is_taken_out=row.taken_out_at is not None,
    )


def _stands(post_id: int, answered: int | None, state: str | None) -> str:
    """Return where an author's answer stands, as seen from one of their posts."""
    if answered is None:
        return ""
    if answered != post_id:
        return "at another post"
    return state or "not said"
