"""One of two: an open incident goes on in another, with its posts, its topics, and who was answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import incident_steps, incidents
from bot.store.incidents import IncidentView
from bot.store.refusals import Conflict, Invalid
from bot.store.tables import (
    CaseNoteRow,
    IncidentPostRow,
    IncidentReplyRow,
    IncidentRow,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
)
from bot.store.turns import Turn, take_turn
from bot.store.upsert import table_of

LEAVING = (ReplyState.INTENDED, ReplyState.SENDING, ReplyState.UNKNOWN)
"""Of a reply that may become public any moment, so that nobody can tell yet who was answered."""

_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_slot = table_of(IncidentReplyRow)
_reply = table_of(ReplyRow)
_post = table_of(PostRow)


def merge(session: Session, number: int, *, into: int, who: str, user_id: int | None, now: datetime) -> IncidentView:
    """Let incident *number* go on in *into*, and return that one.

    Its posts and who was answered move, its case is resolved, and its topics gather there until that one is closed.
    Raises Missing, Conflict, Invalid.
    """
    if number == into:
        raise Invalid("an incident cannot be merged into itself; name another one")
    take_turn(session, Turn.INCIDENT)
    rows = {each: incident_steps.open_row(session, each) for each in sorted((number, into))}
    gone, stays = rows[number], rows[into]
    for row in rows.values():
        _refuse_sending(session, row)
    _move_answered(session, number, into)
    _move_posts(session, number, into)
    held = sa.update(_incident).where(_incident.c.merged_into == number).values(merged_into=into)
    session.connection().execute(held)
    stays.first_at, stays.quiet_at = min(stays.first_at, gone.first_at), None
    gone.closed_at, gone.closed_by, gone.closed_who = now, user_id, who
    gone.merged_into, gone.halted = into, ""
    incident_steps.resolve_case(session, gone, user_id=user_id, now=now, merged_into=into)
    carries = "" if stays.case_id is None else f"; case {stays.case_id} carries it"
    _note(session, gone, f"{who} merged incident {number} into incident {into}{carries}.", user_id, now)
    _note(session, stays, f"{who} merged incident {number} into this one.", user_id, now)
    for row in (gone, stays):
        incident_steps.tell(session, row, "incident.merged", now=now, merged=number, into=into, user_id=user_id)
    return incidents.one(session, into)


def _refuse_sending(session: Session, row: IncidentRow) -> None:
    if row.sending:
        raise Conflict(f"incident {row.id} is sending just now; pause it first")
    query = (
        sa.select(sa.func.count())
        .select_from(_slot)
        .join(_reply, _reply.c.id == _slot.c.reply_id)
        .where(_slot.c.incident_id == row.id, _reply.c.state.in_(LEAVING))
    )
    if count := session.connection().execute(query).scalar_one():
        raise Conflict(
            f"{count} of the replies of incident {row.id} {'is' if count == 1 else 'are'} still leaving; "
            "try again in a minute"
        )


def _move_answered(session: Session, number: int, into: int) -> None:
    """Let *into* know whom *number* has answered.

    Where both know an author, what says more counts there, and the other row stays behind: a reply that was sent,
    before one that may have been, before a reason why there was none.
    """
    theirs, ours, sent, own = _slot.alias("theirs"), _slot.alias("ours"), _reply.alias("sent"), _reply.alias("own")
    both = (
        sa.select(
            *(theirs.c.part, theirs.c.author_id, sent.c.state.label("their_state"), own.c.state.label("our_state")),
            *(theirs.c[name].label(f"their_{name}") for name in _SAID),
            *(ours.c[name].label(f"our_{name}") for name in _SAID),
        )
        .select_from(theirs)
        .join(ours, _same_author(ours, theirs))
        .outerjoin(sent, sent.c.id == theirs.c.reply_id)
        .outerjoin(own, own.c.id == ours.c.reply_id)
        .where(theirs.c.incident_id == number, ours.c.incident_id == into)
    )
    for row in session.connection().execute(both).all():
        if _weight(row.their_state) > _weight(row.our_state):
            said = row._mapping
            _put(session, into, row, {name: said[f"their_{name}"] for name in _SAID})
            _put(session, number, row, {name: said[f"our_{name}"] for name in _SAID})
    known = sa.exists().where(ours.c.incident_id == into, _same_author(ours, _slot))
    session.connection().execute(sa.update(_slot).where(_slot.c.incident_id == number, ~known).values(incident_id=into))


_SAID = ("post_id", "reply_id", "reason", "at")


def _same_author(one: Any, other: Any) -> sa.ColumnElement[bool]:
    return sa.and_(one.c.part == other.c.part, one.c.author_id == other.c.author_id)


def _weight(state: str | None) -> int:
    if state is None or state in (ReplyState.CANCELLED, ReplyState.REFUSED):
        return 0
    return 2 if state == ReplyState.SENT else 1


def _put(session: Session, number: int, row: sa.Row[Any], said: dict[str, Any]) -> None:
    mine = sa.and_(_slot.c.incident_id == number, _slot.c.part == row.part, _slot.c.author_id == row.author_id)
    session.connection().execute(sa.update(_slot).where(mine).values(**said))


def _move_posts(session: Session, number: int, into: int) -> None:
    """Move what belongs; what was taken out stays where a person took it out."""
    here = sa.and_(_linked.c.incident_id == number, _linked.c.taken_out_at.is_(None))
    session.connection().execute(
        sa.update(_post)
        .where(_post.c.id.in_(sa.select(_linked.c.post_id).where(here)), _post.c.outcome == Outcome.GATHERED)
        .values(reasons=[f"it belongs to incident {into}, which people answer"])
    )
    session.connection().execute(sa.update(_linked).where(here).values(incident_id=into))


def _note(session: Session, row: IncidentRow, text: str, user_id: int | None, now: datetime) -> None:
    if row.case_id is not None:
        session.add(CaseNoteRow(case_id=row.case_id, user_id=user_id, text=text, at=now))
