"""Tickets at outside desks: one for a case and a desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from bot.store import cases, events, jobs
from bot.store.posts import kept
from bot.store.situations import Known, known
from bot.store.tables import CasePostRow, PostRow, TicketRow
from handoff.case import Case
from handoff.protocol import TicketRef
from handoff.situation import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A ticket to open: the case, and its post as it is known now. answers: articles shown with the case."""

    case: Case
    known: Known
    answers: Sequence[Candidate]


def wanted(session: Session, case_id: int, desk: str, *, now: datetime) -> Wanted | None:
    """Return what to open, None when it is open already, gave up, or all its posts are gone."""
    ticket = _row(session, case_id, desk)
    found = cases.case_value(session, case_id)
    if ticket is None or ticket.state != "wanted" or found is None:
        return None
    case, opener, context = found
    post_id = _standing(session, case_id, opener)
    if post_id is None:
        return None
    here = kept(session, [post_id])[post_id]
    # Shown at a desk that only listens; Harken composes anew whatever it says itself.
    answers = [
        Candidate(
            article_id=each["article_id"],
            slug=each["slug"],
            locale=each["locale"],
            title=each["title"],
            wording=each["wording"],
            confidence=each["confidence"],
        )
        for each in context.get("answers", [])
    ]
    around = known(session, {post_id: here.edits}, now=now)
    return Wanted(case=case, known=around[post_id], answers=answers)


def opened(session: Session, case_id: int, ticket: TicketRef, *, now: datetime, job_id: int) -> None:
    """Record where the case lives at a desk."""
    row = _row(session, case_id, ticket.desk)
    if row is not None:
        row.state, row.remote_id, row.url, row.updated_at, row.reason = "open", ticket.id, ticket.url, now, None
        session.add(row)
    events.add(session, "ticket.opened", now=now, case_id=case_id, facts={"desk": ticket.desk})
    jobs.finish(session, [job_id], now=now)


def failed(session: Session, case_id: int, desk: str, reason: str, *, now: datetime, job_id: int) -> None:
    """Record that a desk will not have the case; it stays at our own."""
    row = _row(session, case_id, desk)
    if row is not None:
        row.state, row.reason, row.updated_at = "failed", reason[:500], now
        session.add(row)
    events.add(session, "ticket.failed", now=now, case_id=case_id, facts={"desk": desk})
    jobs.finish(session, [job_id], now=now)


def unwanted(session: Session, case_id: int, desk: str, *, now: datetime, job_id: int) -> None:
    """End an errand whose ticket needs no opening; one that was not opened says why."""
    row = _row(session, case_id, desk)
    if row is None or row.state != "wanted":
        jobs.finish(session, [job_id], now=now)
    else:
        failed(session, case_id, desk, "its posts were deleted before the ticket was opened", now=now, job_id=job_id)


def _standing(session: Session, case_id: int, opener: int) -> int | None:
    """Return the post that opened a case, or the newest other one when that was deleted; None when all were."""
    query = (
        select(PostRow.id)
        .join(CasePostRow, col(CasePostRow.post_id) == col(PostRow.id))
        .where(CasePostRow.case_id == case_id, col(PostRow.deleted_at).is_(None))
        .order_by((col(PostRow.id) != opener), col(PostRow.id).desc())
    )
    return session.exec(query).first()


def _row(session: Session, case_id: int, desk: str) -> TicketRow | None:
    return session.exec(select(TicketRow).where(TicketRow.case_id == case_id, TicketRow.desk == desk)).first()
