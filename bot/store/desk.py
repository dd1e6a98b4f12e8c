"""Our own desk: the list of cases, one case with everything known about it, and what people do to a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from bot.store import drafts, events, feed, paging, suggestions
from bot.store.drafts import ReplyView
from bot.store.events import Event
from bot.store.feed import AuthorView, PostView
from bot.store.paging import Slice
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.suggestions import SuggestionView
from bot.store.tables import AuthorRow, CaseNoteRow, CasePostRow, CaseRow, ReplyRow, ReplyState, TicketRow, UserRow
from connectors.post import storable
from handoff.case import CaseState, IllegalTransition, move

MAX_NOTE_CHARS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """A case in a list. assignee: the name of who has it. waiting: drafts and questions that wait for a person.

    context: the situation when it opened: post, triage, thread, history (earlier contacts), answers, reasons.
    """

    id: int
    key: str
    title: str
    state: CaseState
    queue: str
    priority: int
    channel: str
    source: str
    author: AuthorView
    reasons: Sequence[str]
    assignee_id: int | None
    assignee: str | None
    opened_at: datetime
    due_at: datetime
    answered_at: datetime | None
    resolved_at: datetime | None
    waiting: int
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteView:
    """What one person told the others."""

    id: int
    author: str | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketView:
    """The case at somebody else's desk."""

    desk: str
    state: str
    url: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """All there is about a case. posts: oldest first. context: the situation when it opened, as stored.

    suggestions: of a language model, oldest first.
    """

    case: CaseView
    posts: Sequence[PostView]
    context: Mapping[str, Any]
    replies: Sequence[ReplyView]
    notes: Sequence[NoteView]
    tickets: Sequence[TicketView]
    events: Sequence[Event]
    people: Mapping[int, str]
    suggestions: Sequence[SuggestionView] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases; None means all. unresolved: leave resolved ones out."""

    state: str | None = None
    unresolved: bool = False
    queue: str | None = None
    channel: str | None = None
    assignee_id: int | None = None


def page(session: Session, wanted: CaseFilter, *, limit: int, cursor: str | None = None) -> Slice[CaseView]:
    """Return *limit* cases at most, first due first, after *cursor*. Raises Invalid."""
    query = _query().order_by(col(CaseRow.due_at), col(CaseRow.id)).limit(limit + 1)
    for name in ("state", "queue", "channel", "assignee_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(CaseRow, name) == value)
    if wanted.unresolved:
        query = query.where(CaseRow.state != CaseState.RESOLVED)
    if cursor is not None:
        query = query.where(paging.beyond(col(CaseRow.due_at), col(CaseRow.id), cursor))
    found = _views(session, query)
    items = found[:limit]
    return Slice(items=items, next=paging.mark(items[-1].due_at, items[-1].id) if len(found) > limit else None)


def queues(session: Session) -> list[str]:
    """Return the names of queues that have cases."""
    return sorted(session.exec(select(CaseRow.queue).distinct()))


def one(session: Session, case_id: int) -> CaseView:
    """Return one case. Raises Missing."""
    found = _views(session, _query().where(CaseRow.id == case_id))
    if not found:
        raise Missing("there is no such case")
    return found[0]


def file(session: Session, case_id: int) -> CaseFile:
    """Return everything about one case. Raises Missing."""
    case = one(session, case_id)
    row = session.get_one(CaseRow, case_id)
    ids = set(session.exec(select(CasePostRow.post_id).where(CasePostRow.case_id == case_id))) | {row.post_id}
    notes = session.exec(
        select(CaseNoteRow, UserRow.name)
        .join(UserRow, col(UserRow.id) == CaseNoteRow.user_id, isouter=True)
        .where(CaseNoteRow.case_id == case_id)
        .order_by(col(CaseNoteRow.id))
    )
    tickets = session.exec(select(TicketRow).where(TicketRow.case_id == case_id).order_by(col(TicketRow.desk)))
    happened = events.of_case(session, case_id)
    actors = {user for each in happened if isinstance(user := (each.facts or {}).get("user_id"), int)}
    people = dict(session.exec(select(UserRow.id, UserRow.name).where(col(UserRow.id).in_(actors))).all())
    return CaseFile(
        case=case,
        posts=sorted(feed.some(session, sorted(ids)).values(), key=lambda post: (post.created_at, post.id)),
        context=row.context if isinstance(row.context, dict) else {},
        replies=drafts.of_case(session, case_id),
        notes=[NoteView(id=note.id or 0, author=name, text=note.text, at=note.at) for note, name in notes],
        tickets=[TicketView(desk=each.desk, state=each.state, url=each.url, reason=each.reason) for each in tickets],
        events=happened,
        people={user: name for user, name in people.items() if user is not None},
        suggestions=suggestions.of_case(session, case_id),
    )


def opening(session: Session, case_id: int) -> tuple[int, CaseFile]:
    """Return the last event's id and then the file: what happens in between is told again, nothing is missed."""
    return events.latest_id(session), file(session, case_id)


def claim(session: Session, case_id: int, *, user_id: int, take_over: bool, now: datetime) -> CaseView:
    """Give the case to a person. Raises Conflict when another has it, unless *take_over*."""
    row = _row(session, case_id)
    if row.state == CaseState.CLAIMED:
        if row.assignee_id == user_id:
            return one(session, case_id)
        if not take_over:
            raise Conflict(f"{_name(session, row.assignee_id)} works on this case already; take it over if you must")
    else:
        row.state = _move(row, CaseState.CLAIMED)
    row.assignee_id = user_id
    return _done(session, row, "case.claimed", user_id=user_id, now=now)


def release(session: Session, case_id: int, *, user_id: int, now: datetime) -> CaseView:
    """Give the case back to its queue. Raises Conflict when another has it."""
    row = _row(session, case_id)
    if row.state == CaseState.CLAIMED and row.assignee_id != user_id:
        raise Conflict(f"{_name(session, row.assignee_id)} works on this case; only they can give it back")
    if row.state != CaseState.CLAIMED:
        raise Conflict("nobody works on this case")
    row.state, row.assignee_id = _move(row, CaseState.OPEN), None
    return _done(session, row, "case.released", user_id=user_id, now=now)


def note(session: Session, case_id: int, *, text: str, user_id: int, now: datetime) -> NoteView:
    """Add a note. Raises Invalid when it is empty or too long."""
    row = _row(session, case_id)
    words = storable(text).replace("\r\n", "\n").strip()
    if not words or len(words) > MAX_NOTE_CHARS:
        raise Invalid(f"a note has 1 to {MAX_NOTE_CHARS} characters")
    added = CaseNoteRow(case_id=case_id, user_id=user_id, text=words, at=now)
    session.add(added)
    _done(session, row, "case.noted", user_id=user_id, now=now)
    return NoteView(id=added.id or 0, author=_name(session, user_id), text=words, at=now)


def resolve(session: Session, case_id: int, *, user_id: int, now: datetime) -> CaseView:
    """Close the case; resolved twice is resolved once. Drafts must be said or discarded first."""
    row = _row(session, case_id)
    if row.state == CaseState.RESOLVED:
        return one(session, case_id)
    if row.state == CaseState.CLAIMED and row.assignee_id not in (None, user_id):
        raise Conflict(f"{_name(session, row.assignee_id)} works on this case; take it over first")
    open_drafts = select(ReplyRow.id).where(ReplyRow.case_id == case_id, ReplyRow.state == ReplyState.DRAFTED)
    if session.exec(open_drafts).first() is not None:
        raise Conflict("a draft still waits in this case; approve or discard it first")
    row.state, row.resolved_at = _move(row, CaseState.RESOLVED), now
    row.assignee_id = row.assignee_id or user_id
    return _done(session, row, "case.resolved", user_id=user_id, now=now)


def reopen(session: Session, case_id: int, *, user_id: int, now: datetime) -> CaseView:
    """Put a resolved case back into its queue. Raises Conflict when it is not resolved."""
    row = _row(session, case_id)
    if row.state != CaseState.RESOLVED:
        raise Conflict(f"this case is {row.state}, not resolved")
    row.state, row.resolved_at, row.assignee_id = _move(row, CaseState.OPEN), None, None
    return _done(session, row, "case.reopened", user_id=user_id, now=now)


def _row(session: Session, case_id: int) -> CaseRow:
    row = session.get(CaseRow, case_id, with_for_update=True)
    if row is None:
        raise Missing("there is no such case")
    return row


def _move(row: CaseRow, to: CaseState) -> CaseState:
    try:
        return move(CaseState(row.state), to)
    except IllegalTransition as error:
        raise Conflict(str(error)) from error


def _name(session: Session, user_id: int | None) -> str:
    return session.exec(select(UserRow.name).where(UserRow.id == user_id)).first() or "somebody"


def _done(session: Session, row: CaseRow, kind: str, *, user_id: int, now: datetime) -> CaseView:
    session.flush()
    events.add(session, kind, now=now, post_id=row.post_id, case_id=row.id, facts={"user_id": user_id})
    return one(session, row.id or 0)


def _query() -> Any:
    return (
        select(CaseRow, AuthorRow, UserRow.name)
        .join(AuthorRow, col(AuthorRow.id) == CaseRow.author_id)
        .join(UserRow, col(UserRow.id) == CaseRow.assignee_id, isouter=True)
    )


def _views(session: Session, query: Any) -> list[CaseView]:
    rows = session.exec(query).all()
    asking = select(ReplyRow.case_id).where(
        col(ReplyRow.case_id).in_([case.id for case, _, _ in rows]),
        col(ReplyRow.state).in_((ReplyState.DRAFTED, ReplyState.PERSON)),
    )
    waiting = list(session.exec(asking))
    return [
        CaseView(
            id=case.id,
            key=case.key,
            title=case.title,
            state=CaseState(case.state),
            queue=case.queue,
            priority=case.priority,
            channel=case.channel,
            source=case.source,
            author=feed.author_view(author),
            reasons=tuple(case.reasons or ()),
            assignee_id=case.assignee_id,
            assignee=assignee,
            opened_at=case.opened_at,
            due_at=case.due_at,
            answered_at=case.answered_at,
            resolved_at=case.resolved_at,
            waiting=waiting.count(case.id),
            context=case.context if isinstance(case.context, dict) else {},
        )
        for case, author, assignee in rows
    ]
