"""Topics of posts, and which posts an open incident has: what hand-off reads and writes of incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from bot.store.tables import (
    IncidentPostRow,
    IncidentReplyRow,
    IncidentRow,
    OwnLabelRow,
    PostTopicRow,
    ReplyRow,
    ReplyState,
)
from bot.store.upsert import insert_new, table_of
from classifiers.own import NONE, shown
from handoff.incident import Centre, Watched

_topic = table_of(PostTopicRow)
_own = table_of(OwnLabelRow)
_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_slot = table_of(IncidentReplyRow)
_reply = table_of(ReplyRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """watched: the open incidents. own: post id -> its sure labels of the brand's own. taken_out: posts that a person
    took out of an incident."""

    watched: Sequence[Watched] = ()
    own: Mapping[int, Sequence[tuple[str, str]]] = field(default_factory=dict)
    taken_out: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A decided post. topics: those it counts under. incident: the one it belongs to."""

    post_id: int
    author_id: int
    at: datetime
    topics: Sequence[str]
    incident: int | None


def watch(session: Session, post_ids: Iterable[int]) -> Watch:
    """Return what is open, and what it takes to see whether posts belong to it."""
    ids = list(post_ids)
    own: dict[int, list[tuple[str, str]]] = {}
    labels = sa.select(_own.c.post_id, _own.c.set_name, _own.c.label, _own.c.confidence).where(_own.c.post_id.in_(ids))
    for row in session.connection().execute(labels):
        if (label := shown(row.label, row.confidence)) != NONE:
            own.setdefault(row.post_id, []).append((row.set_name, label))
    out = sa.select(_linked.c.post_id).where(_linked.c.post_id.in_(ids), _linked.c.taken_out_at.is_not(None))
    return Watch(
        watched=watched(session),
        own=own,
        taken_out=frozenset(row.post_id for row in session.connection().execute(out)),
    )


def watched(session: Session) -> list[Watched]:
    """Return what open incidents gather, the oldest first: their own topics, and those of what was merged into them."""
    now_at = sa.func.coalesce(_incident.c.merged_into, _incident.c.id).label("now_at")
    query = sa.select(now_at, _incident.c.topic, _incident.c.centre, _incident.c.reach).where(
        _incident.c.is_gathering.is_(True)
    )
    return [
        Watched(
            id=row.now_at,
            topic=row.topic,
            centre=Centre(vector=bytes(row.centre), reach=row.reach) if row.centre else None,
        )
        for row in session.connection().execute(query.order_by(_incident.c.id))
    ]


def keep(session: Session, heard: Sequence[Heard], *, now: datetime) -> dict[int, int]:
    """Keep the topics of decided posts, and link those that belong to an incident that is still open.

    Return post id -> incident of those that it has now.
    """
    if not heard:
        return {}
    session.connection().execute(sa.delete(_topic).where(_topic.c.post_id.in_([each.post_id for each in heard])))
    rows = [
        {"post_id": each.post_id, "topic": topic, "author_id": each.author_id, "at": each.at}
        for each in heard
        for topic in dict.fromkeys(each.topics)
    ]
    insert_new(session, _topic, rows)
    return link(session, [each for each in heard if each.incident is not None], now=now)


def link(session: Session, heard: Sequence[Heard], *, now: datetime) -> dict[int, int]:
    """Link posts to their incidents, or to those that they were merged into meanwhile, if these are open; return post
    id -> incident of those linked, now or before."""
    goes_on = _going_on(session, {each.incident for each in heard if each.incident is not None})
    open_ = set(goes_on.values())
    if not open_:
        return {}
    fresh = [each for each in heard if each.incident in goes_on]
    rows = [
        {
            "post_id": each.post_id,
            "incident_id": goes_on[each.incident or 0],
            "author_id": each.author_id,
            "at": each.at,
            "linked_at": now,
            "taken_out_who": "",
        }
        for each in fresh
    ]
    insert_new(session, _linked, rows)
    ids = [each.post_id for each in fresh]
    has = sa.select(_linked.c.post_id, _linked.c.incident_id).where(
        _linked.c.post_id.in_(ids), _linked.c.incident_id.in_(open_), _linked.c.taken_out_at.is_(None)
    )
    linked = {row.post_id: row.incident_id for row in session.connection().execute(has)}
    _free(session, linked)
    session.connection().execute(
        sa.update(_incident)
        .where(_incident.c.id.in_(set(linked.values())), _incident.c.quiet_at.is_not(None))
        .values(quiet_at=None)
    )
    return linked


def _going_on(session: Session, wanted: set[int]) -> dict[int, int]:
    """Return incident -> where it goes on, for those that are open there; nobody closes these before the commit."""
    if not wanted:
        return {}
    moved = sa.select(_incident.c.merged_into).where(_incident.c.id.in_(wanted), _incident.c.merged_into.is_not(None))
    also = {row.merged_into for row in session.connection().execute(moved)}
    # Shared locks, in order, as whoever merges takes them.
    query = (
        sa.select(_incident.c.id, _incident.c.merged_into, _incident.c.closed_at)
        .where(_incident.c.id.in_(wanted | also))
        .order_by(_incident.c.id)
        .with_for_update(read=True)
    )
    rows = session.connection().execute(query).all()
    open_ = {row.id for row in rows if row.closed_at is None}
    return {row.id: there for row in rows if (there := row.merged_into or row.id) in open_}


def _free(session: Session, linked: Iterable[int]) -> None:
    """A post that was edited is decided anew, so what was cancelled for the edit may be said again."""
    gone = sa.select(_reply.c.id).where(_reply.c.post_id.in_(list(linked)), _reply.c.state == ReplyState.CANCELLED)
    session.connection().execute(sa.delete(_slot).where(_slot.c.reply_id.in_(gone)))
