"""What happened, in order: for live pages and the record. Ids and labels only, never text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.tables import EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """kind: ``noun.verb``. id: grows, but on PostgreSQL a lower one may appear later: readers look back a little."""

    id: int
    kind: str
    at: datetime
    post_id: int | None = None
    case_id: int | None = None
    reply_id: int | None = None
    facts: Mapping[str, Any] | None = None


def add(
    session: Session,
    kind: str,
    *,
    now: datetime,
    post_id: int | None = None,
    case_id: int | None = None,
    reply_id: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Record that *kind* happened, in the caller's transaction."""
    add_all(session, [row(kind, now=now, post_id=post_id, case_id=case_id, reply_id=reply_id, facts=facts)])


def row(
    kind: str,
    *,
    now: datetime,
    post_id: int | None = None,
    case_id: int | None = None,
    reply_id: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one event for ``add_all``."""
    return {
        "kind": kind,
        "post_id": post_id,
        "case_id": case_id,
        "reply_id": reply_id,
        "facts": None if facts is None else dict(facts),
        "at": now,
    }


def add_all(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Record many events at once, made by ``row``."""
    values = [dict(each) for each in rows]
    if values:
        session.connection().execute(sa.insert(EventRow.__table__), values)  # type: ignore[attr-defined]


def latest_id(session: Session) -> int:
    """Return the highest id there is, 0 for none."""
    return session.exec(select(sa.func.max(EventRow.id))).one() or 0


def after(session: Session, last_id: int, *, kinds: Sequence[str] = (), limit: int = 500) -> list[Event]:
    """Return events with an id above *last_id*, lowest first."""
    query = select(EventRow).where(col(EventRow.id) > last_id).order_by(col(EventRow.id)).limit(limit)
    if kinds:
        query = query.where(col(EventRow.kind).in_(kinds))
    return [_event(each) for each in session.exec(query)]


def of_case(session: Session, case_id: int) -> list[Event]:
    """Return a case's events, oldest first."""
    query = select(EventRow).where(EventRow.case_id == case_id).order_by(col(EventRow.id))
    return [_event(each) for each in session.exec(query)]


def _event(each: EventRow) -> Event:
    return Event(
        id=each.id or 0,
        kind=each.kind,
        at=each.at,
        post_id=each.post_id,
        case_id=each.case_id,
        reply_id=each.reply_id,
        facts=each.facts,
    )
