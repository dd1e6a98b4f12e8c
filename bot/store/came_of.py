"""What came of decisions: replies said, drafts approved or changed, cases and tickets, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store.tables import (
    ArticleRow,
    CaseRow,
    EventRow,
    Origin,
    ReplyRow,
    ReplyState,
    Retracted,
    RetractionRow,
    TicketRow,
)
from bot.store.upsert import table_of
from bot.store.verdicts import DISCARDED
from handoff.case import CaseState
from handoff.rewind import Happened, Way

GATHERED = "gathered"
"""What the event of a decision names where an incident took the post."""

NOT_SAID = (ReplyState.CANCELLED, ReplyState.REFUSED)

_reply = table_of(ReplyRow)
_retraction = table_of(RetractionRow)
_article = table_of(ArticleRow)
_event = table_of(EventRow)
_case = table_of(CaseRow)
_ticket = table_of(TicketRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One reply to a post, said or not."""

    created_at: datetime
    state: str
    origin: str
    text: str
    slug: str
    is_edited: bool
    is_retracted: bool
    first_sent_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A post that opened or joined a case at *at*. state, is_answered: of the case now."""

    at: datetime
    is_opener: bool
    case_id: int
    queue: str
    state: str
    is_answered: bool
    desks: Sequence[str]


def replies(session: Session, post_ids: Sequence[int]) -> dict[int, list[Said]]:
    """Return all replies to posts, oldest first."""
    query = (
        sa.select(_reply, _article.c.slug, _retraction.c.outcome)
        .outerjoin_from(_reply, _article, _article.c.id == _reply.c.article_id)
        .outerjoin(_retraction, _retraction.c.reply_id == _reply.c.id)
        .where(_reply.c.post_id.in_(post_ids))
        .order_by(_reply.c.created_at, _reply.c.id)
    )
    found: defaultdict[int, list[Said]] = defaultdict(list)
    for row in session.connection().execute(query):
        found[row.post_id].append(
            Said(
                created_at=row.created_at,
                state=row.state,
                origin=row.origin,
                text=row.text,
                slug=row.slug or "",
                is_edited=row.is_edited,
                is_retracted=row.outcome == Retracted.RETRACTED,
                first_sent_at=row.first_sent_at,
                reason=row.reason or "",
            )
        )
    return dict(found)


def cases(session: Session, post_ids: Sequence[int]) -> dict[int, list[Joined]]:
    """Return when posts opened or joined which case, oldest first."""
    query = (
        sa.select(
            _event.c.post_id,
            _event.c.at,
            _event.c.kind,
            _event.c.case_id,
            _case.c.queue,
            _case.c.state,
            _case.c.answered_at,
        )
        .join_from(_event, _case, _case.c.id == _event.c.case_id)
        .where(_event.c.post_id.in_(post_ids), _event.c.kind.in_(("case.opened", "case.joined")))
        .order_by(_event.c.id)
    )
    rows = session.connection().execute(query).all()
    desks: defaultdict[int, list[str]] = defaultdict(list)
    tickets = sa.select(_ticket.c.case_id, _ticket.c.desk).where(_ticket.c.case_id.in_({row.case_id for row in rows}))
    for case_id, desk in session.connection().execute(tickets.order_by(_ticket.c.desk)):
        desks[case_id].append(desk)
    found: defaultdict[int, list[Joined]] = defaultdict(list)
    for row in rows:
        found[row.post_id].append(
            Joined(
                at=row.at,
                is_opener=row.kind == "case.opened",
                case_id=row.case_id,
                queue=row.queue,
                state=row.state,
                is_answered=row.answered_at is not None,
                desks=tuple(desks[row.case_id]),
            )
        )
    return dict(found)


def happened(decision: str, at: datetime, said: Iterable[Said], joined: Sequence[Joined]) -> Happened:
    """Return what came of *decision* (as the event names it), taken at *at*. Reply and case carry the same time."""
    at_once = next((each for each in joined if each.at == at), None)
    match decision:
        case "autoreply":
            later = next((each for each in joined if each.at > at), None)
            return _alone(_of(said, at, Origin.BOT), later)
        case "draft":
            return _draft(_of(said, at, Origin.DRAFT), at_once)
        case "escalate":
            return Happened(way=Way.PEOPLE, end=_handled(at_once), **_case_facts(at_once, with_desks=True))
        case name if name == GATHERED:
            return Happened(way=Way.PEOPLE, end="gathered in an incident")
        case _:
            return Happened(way=Way.NOTHING, end="left alone")


def _of(said: Iterable[Said], at: datetime, origin: Origin) -> Said | None:
    return next((each for each in said if each.created_at == at and each.origin == origin), None)


def _alone(reply: Said | None, later: Joined | None) -> Happened:
    if reply is None:
        return Happened(way=Way.ALONE, end="its reply is not on record")
    facts: dict[str, Any] = {"article": reply.slug, "text": reply.text, "left_at": reply.first_sent_at}
    if reply.state in NOT_SAID:
        why = reply.reason or "it was not said"
        return Happened(
            way=Way.NOTHING if later is None else Way.PEOPLE,
            end="not said after all",
            came_to_nothing=why,
            late_at=None if later is None else later.at,
            **facts,
            **_case_facts(later, with_desks=True),
        )
    match reply.state:
        case ReplyState.SENT:
            end = "said, taken back later" if reply.is_retracted else "said"
        case ReplyState.INTENDED:
            end = "waits to be said"
        case _:
            end = "may have been said"
    return Happened(way=Way.ALONE, end=end, **facts)


def _draft(reply: Said | None, case: Joined | None) -> Happened:
    if reply is None:
        return Happened(way=Way.DRAFT, end="its draft is not on record", **_case_facts(case))
    match reply.state:
        case ReplyState.DRAFTED:
            end = "waits for a person"
        case ReplyState.CANCELLED if reply.reason == DISCARDED:
            end = "discarded by a person"
        case ReplyState.CANCELLED | ReplyState.REFUSED:
            end = "not said after all"
        case _:
            end = "edited by a person, then said" if reply.is_edited else "approved as it was"
    return Happened(
        way=Way.DRAFT,
        end=end,
        article=reply.slug,
        text=reply.text,
        was_edited=reply.is_edited,
        **_case_facts(case),
    )


def _handled(case: Joined | None) -> str:
    if case is None:
        return "its case is not on record"
    if case.is_answered:
        return "a person answered"
    return "resolved without a public answer" if case.state == CaseState.RESOLVED else "waits for a person"


def _case_facts(case: Joined | None, *, with_desks: bool = False) -> dict[str, Any]:
    if case is None:
        return {}
    return {
        "queue": case.queue,
        "desks": case.desks if with_desks and case.is_opener else (),
        "case_id": case.case_id,
        "is_opener": case.is_opener,
    }
