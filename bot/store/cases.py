"""How the bot's decisions become rows: replies, drafts, cases, tickets. What people do with cases is in desk.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from bot.store import events, gathering, jobs, situations
from bot.store.gathering import Heard
from bot.store.posts import read_errand
from bot.store.situations import Known
from bot.store.tables import (
    CasePostRow,
    CaseRow,
    Origin,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
    Stage,
    TicketRow,
)
from bot.store.upsert import insert_new, insert_new_returning, table_of
from connectors.post import Post
from handoff.case import Case, CaseState
from handoff.decision import AutoReply, Decision, Draft, Escalate, Ignore
from handoff.situation import Candidate

MAX_TITLE = 120

DRAFT_LIFE = timedelta(days=30)
AUTO_LIFE = timedelta(hours=6)
"""After this a reply that the bot meant to say by itself is stale, and is not said."""

_post = table_of(PostRow)
_case = table_of(CaseRow)
_reply = table_of(ReplyRow)
_ticket = table_of(TicketRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision about one post. context: what a case keeps. desks: names of outside desks that want the case.
    intent: as the post was judged, None when nobody could. topics: those it counts under. incident: the open one
    that it belongs to; is_gathered: that has it, and the decision counts only if it was closed meanwhile. wants_help: a
    language model is asked for words, once the case is there."""

    key: str
    post_id: int
    post: Post
    author_id: int
    source: str
    decision: Decision
    context: Mapping[str, Any]
    title: str
    open_case: str | None = None
    desks: Sequence[str] = ()
    intent: str | None = None
    topics: Sequence[str] = ()
    incident: int | None = None
    is_gathered: bool = False
    wants_help: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """How a post goes to people after the bot's own reply came to nothing."""

    queue: str
    priority: int
    due_at: datetime
    context: Mapping[str, Any]
    desks: Sequence[str]


def save(session: Session, decided: Sequence[Decided], *, job_ids: Sequence[int], now: datetime) -> None:
    """Carry one batch of decisions out in rows; what an edit or deletion overtook is dropped."""
    current = {
        row.id: row.edits
        for row in session.connection().execute(
            sa.select(_post.c.id, _post.c.edits).where(_post.c.id.in_([each.post_id for each in decided]))
        )
    }
    decided = [each for each in decided if current.get(each.post_id) == read_errand(each.key)[1]]
    linked = gathering.keep(session, [_heard(each) for each in decided], now=now)
    gathered = [each for each in decided if each.is_gathered and each.post_id in linked]
    decided = [each for each in decided if each not in gathered]
    log: list[dict[str, Any]] = []
    case_ids = _cases(session, decided, now, log)
    _replies(session, decided, case_ids, now, log)
    wanted = [(case_ids[each.key], each.desks) for each in decided if isinstance(each.decision, Escalate)]
    _want_tickets(session, wanted, now)
    # After everything else, and last in every queue: nothing waits for it.
    jobs.add_all(session, [jobs.row(Stage.SUGGEST, each.key, now=now) for each in decided if each.wants_help])
    _end(session, decided, now, log)
    _gather(session, gathered, linked, now, log)
    events.add_all(session, log)
    jobs.finish(session, job_ids, now=now)


def _heard(each: Decided) -> Heard:
    return Heard(
        post_id=each.post_id,
        author_id=each.author_id,
        at=each.post.created_at,
        topics=each.topics,
        incident=each.incident,
    )


def _gather(
    session: Session,
    gathered: Sequence[Decided],
    linked: Mapping[int, int],
    now: datetime,
    log: list[dict[str, Any]],
) -> None:
    """Let posts end in their incident: no case, no draft and no reply of their own. linked: post id -> incident."""
    for each in gathered:
        why = [f"it belongs to incident {linked[each.post_id]}, which people answer"]
        session.connection().execute(
            sa.update(_post).where(_post.c.id == each.post_id).values(outcome=Outcome.GATHERED, reasons=why)
        )
        facts = {"decision": "gathered", "incident": linked[each.post_id]}
        log.append(events.row("post.decided", now=now, post_id=each.post_id, facts=facts))


def escalate_late(
    session: Session, post_id: int, *, reason: str, judge: Callable[[Known], Late], now: datetime
) -> None:
    """Give a post to people after all: the bot's own reply was refused, or nobody knows whether it was said."""
    row = session.get(PostRow, post_id)
    if row is None or row.deleted_at is not None:
        return
    known = situations.known(session, {post_id: row.edits}, now=now)[post_id]
    late = judge(known)
    key = known.open_case or f"{row.channel}:{row.external_id}"
    values = {
        "key": key,
        "post_id": post_id,
        "author_id": row.author_id,
        "channel": row.channel,
        "source": row.source,
        "root_id": row.root_id,
        "title": title_of(row.title, row.text),
        "state": CaseState.OPEN,
        "queue": late.queue,
        "priority": late.priority,
        "reasons": [reason],
        "context": dict(late.context),
        "opened_at": now,
        "due_at": late.due_at,
    }
    is_new = bool(insert_new_returning(session, _case, [values], _case.c.id))
    case = session.exec(select(CaseRow).where(CaseRow.key == key)).one()
    if not is_new:
        _press(case, priority=late.priority, due_at=late.due_at)
        session.add(case)
    case_id = case.id or 0
    insert_new(session, table_of(CasePostRow), [{"case_id": case_id, "post_id": post_id}])
    session.connection().execute(
        sa.update(_reply).where(_reply.c.post_id == post_id, _reply.c.case_id.is_(None)).values(case_id=case_id)
    )
    session.connection().execute(
        sa.update(_post).where(_post.c.id == post_id).values(outcome=Outcome.ESCALATED, reasons=[reason])
    )
    _want_tickets(session, [(case_id, late.desks)], now)
    kind = "case.opened" if is_new else "case.joined"
    events.add(session, kind, now=now, post_id=post_id, case_id=case_id)


def title_of(title: str, text: str) -> str:
    """Return what a case is called in lists: the first words of the post."""
    words = " ".join((title or text).split())
    return words if len(words) <= MAX_TITLE else words[: MAX_TITLE - 1].rstrip() + "…"


def case_value(session: Session, case_id: int) -> tuple[Case, int, Mapping[str, Any]] | None:
    """Return a case, the id of the post that opened it, and its context."""
    row = session.get(CaseRow, case_id)
    if row is None:
        return None
    case = Case(
        key=row.key,
        title=row.title,
        state=CaseState(row.state),
        queue=row.queue,
        priority=row.priority,
        opened_at=row.opened_at,
        due_at=row.due_at,
        reasons=row.reasons or [],
    )
    return case, row.post_id, row.context or {}


def _cases(session: Session, decided: Sequence[Decided], now: datetime, log: list[dict[str, Any]]) -> dict[str, int]:
    """Open cases for those posts that people will see, or join the ones they belong to; return errand -> case id."""
    people = [(each, each.decision) for each in decided if isinstance(each.decision, Draft | Escalate)]
    rows: dict[str, dict[str, Any]] = {}
    opened_by: dict[str, str] = {}
    for each, decision in people:
        key = each.open_case or each.post.key
        if key not in rows:
            rows[key] = _case_row(key, each, decision, now)
            opened_by[key] = each.key
    ids = {row.key: row.id for row in insert_new_returning(session, _case, [*rows.values()], _case.c.id, _case.c.key)}
    fresh = {opened_by[key] for key in ids}
    if rest := set(rows) - set(ids):
        known = session.connection().execute(sa.select(_case.c.id, _case.c.key).where(_case.c.key.in_(rest)))
        ids |= {row.key: row.id for row in known}
    case_ids: dict[str, int] = {}
    for each, decision in people:
        case_ids[each.key] = case_id = ids[each.open_case or each.post.key]
        if each.key not in fresh:
            _join(session, case_id, each, decision)
        kind = "case.opened" if each.key in fresh else "case.joined"
        log.append(events.row(kind, now=now, post_id=each.post_id, case_id=case_id))
    session.flush()
    posts = [{"case_id": case_ids[each.key], "post_id": each.post_id} for each, _ in people]
    insert_new(session, table_of(CasePostRow), posts)
    return case_ids


def _case_row(key: str, each: Decided, decision: Draft | Escalate, now: datetime) -> dict[str, Any]:
    return {
        "key": key,
        "post_id": each.post_id,
        "author_id": each.author_id,
        "channel": each.post.channel,
        "source": each.source,
        "root_id": each.post.root_id,
        "title": each.title,
        "state": CaseState.OPEN,
        "queue": decision.queue,
        "priority": decision.priority,
        "reasons": list(decision.reasons),
        "context": dict(each.context),
        "opened_at": now,
        "due_at": decision.due_at,
    }


def _join(session: Session, case_id: int, each: Decided, decision: Draft | Escalate) -> None:
    """Add a further post to a case: it may only become more urgent, and a case that waited for the customer reopens."""
    row = session.get_one(CaseRow, case_id)
    _press(row, priority=decision.priority, due_at=decision.due_at)
    if row.post_id == each.post_id:  # decided anew after an edit: what people see follows
        row.title, row.context, row.reasons = each.title, dict(each.context), list(decision.reasons)
    session.add(row)


def _press(row: CaseRow, *, priority: int, due_at: datetime) -> None:
    row.priority = min(row.priority, priority)
    row.due_at = min(row.due_at, due_at) if row.answered_at is None else due_at
    if row.state in (CaseState.WAITING, CaseState.RESOLVED):
        row.state = CaseState.OPEN if row.assignee_id is None else CaseState.CLAIMED
        row.resolved_at = None


def _replies(
    session: Session,
    decided: Sequence[Decided],
    case_ids: Mapping[str, int],
    now: datetime,
    log: list[dict[str, Any]],
) -> None:
    """Write down what shall be said: the bot's own replies with their errands, drafts for people."""
    rows: dict[str, dict[str, Any]] = {}
    for each in decided:
        match each.decision:
            case AutoReply(answer=answer):
                row = _reply_row(each, answer, state=ReplyState.INTENDED, origin=Origin.BOT, case_id=None, now=now)
            case Draft(answer=answer):
                case_id = case_ids[each.key]
                row = _reply_row(each, answer, state=ReplyState.DRAFTED, origin=Origin.DRAFT, case_id=case_id, now=now)
            case _:
                continue
        rows[row["key"]] = row
    new = insert_new_returning(session, _reply, [*rows.values()], _reply.c.id, _reply.c.key)
    errands = []
    for made in new:
        row = rows[made.key]
        if row["state"] is ReplyState.INTENDED:
            errands.append(jobs.row(Stage.DELIVER, str(made.id), now=now, priority=2))
        log.append(
            events.row(
                f"reply.{row['state']}", now=now, post_id=row["post_id"], case_id=row["case_id"], reply_id=made.id
            )
        )
    jobs.add_all(session, errands)


def _reply_row(
    each: Decided, answer: Candidate, *, state: ReplyState, origin: Origin, case_id: int | None, now: datetime
) -> dict[str, Any]:
    edits = read_errand(each.key)[1]
    return {
        "key": f"{each.post.key}:{origin}:{edits}",
        "post_id": each.post_id,
        "case_id": case_id,
        "source": each.source,
        "channel": each.post.channel,
        "state": state,
        "origin": origin,
        "text": answer.wording,
        "article_id": answer.article_id,
        "confidence": answer.confidence,
        "intent": each.intent,
        "is_edited": False,
        "target_revision": each.post.revision,
        "attempts": 0,
        "created_at": now,
        "expires_at": now + (AUTO_LIFE if origin is Origin.BOT else DRAFT_LIFE),
    }


def want_tickets(session: Session, case_id: int, desks: Sequence[str], *, now: datetime) -> None:
    """Give a case to the outside desks that want it, once."""
    _want_tickets(session, [(case_id, desks)], now)


def _want_tickets(session: Session, wanted: Sequence[tuple[int, Sequence[str]]], now: datetime) -> None:
    """Give each case to the outside desks that want it, once."""
    pairs = [(case_id, desk) for case_id, desks in wanted for desk in desks]
    tickets = [{"case_id": case_id, "desk": desk, "state": "wanted", "updated_at": now} for case_id, desk in pairs]
    insert_new(session, _ticket, tickets)
    jobs.add_all(session, [jobs.row(Stage.OPEN_TICKET, f"{i}.{desk}", now=now, priority=2) for i, desk in pairs])


def _end(session: Session, decided: Sequence[Decided], now: datetime, log: list[dict[str, Any]]) -> None:
    if not decided:
        return
    session.connection().execute(
        sa.update(_post)
        .where(_post.c.id == sa.bindparam("b_id"))
        .values(outcome=sa.bindparam("b_outcome"), reasons=sa.bindparam("b_reasons", type_=sa.JSON)),
        [
            {"b_id": each.post_id, "b_outcome": outcome(each.decision), "b_reasons": list(each.decision.reasons)}
            for each in decided
        ],
    )
    for each in decided:
        facts = {"decision": type(each.decision).__name__.lower()}
        log.append(events.row("post.decided", now=now, post_id=each.post_id, facts=facts))


def outcome(decision: Decision) -> Outcome:
    """Return where a post's way ends; an automatic reply's post stays open until the network took the reply."""
    match decision:
        case AutoReply():
            return Outcome.OPEN
        case Draft():
            return Outcome.DRAFTED
        case Escalate():
            return Outcome.ESCALATED
        case Ignore():
            return Outcome.IGNORED
