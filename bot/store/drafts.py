"""What people do to replies: write, edit, approve, discard, and say whether an unknown one was said.

An approved draft and a reply a person wrote take the same road as the bot's own: INTENDED and a job for DELIVER.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events, jobs, paging, suggestions, wishes
from bot.store.paging import Slice
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.suggestions import SentenceView
from bot.store.tables import (
    ArticleRow,
    CasePostRow,
    CaseRow,
    JobRow,
    Origin,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
    Stage,
    SuggestionRow,
    UserRow,
)
from bot.store.verdicts import DISCARDED
from connectors.post import storable
from handoff.case import CaseState

APPROVED_FOR = timedelta(hours=24)
"""An approved reply that could not be said for so long is stale; a person looks again."""

MAX_CHARS = 10_000
"""Longer than any network takes (Reddit's comments: 10,000)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyView:
    """A reply as it stands. article, article_id: what its words came from. target_revision: of the post it answers.

    origin "model": the language model *model* wrote it. sentences: its words, each with whether the article supports
    it.
    """

    id: int
    key: str
    post_id: int
    case_id: int | None
    channel: str
    source: str
    state: ReplyState
    origin: Origin
    text: str
    article: str | None
    article_id: int | None
    confidence: float | None
    target_revision: str
    approved_by: str | None
    attempts: int
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    remote_url: str | None
    reason: str | None
    model: str | None = None
    sentences: Sequence[SentenceView] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFilter:
    """Which replies; None means all."""

    state: str | None = None
    channel: str | None = None
    source: str | None = None
    case_id: int | None = None
    post_id: int | None = None


def page(session: Session, wanted: ReplyFilter, *, limit: int, cursor: str | None = None) -> Slice[ReplyView]:
    """Return *limit* replies at most, newest first, after *cursor*. Raises Invalid."""
    query = _query().order_by(col(ReplyRow.created_at).desc(), col(ReplyRow.id).desc()).limit(limit + 1)
    for name in ("state", "channel", "source", "case_id", "post_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(ReplyRow, name) == value)
    if cursor is not None:
        query = query.where(paging.before(col(ReplyRow.created_at), col(ReplyRow.id), cursor))
    found = [_view(*row) for row in session.exec(query)]
    items = found[:limit]
    return Slice(items=items, next=paging.mark(items[-1].created_at, items[-1].id) if len(found) > limit else None)


def one(session: Session, reply_id: int) -> ReplyView:
    """Return one reply. Raises Missing."""
    found = session.exec(_query().where(ReplyRow.id == reply_id)).first()
    if found is None:
        raise Missing("there is no such reply")
    return _view(*found)


def of_case(session: Session, case_id: int) -> Sequence[ReplyView]:
    """Return a case's replies, oldest first."""
    return [_view(*row) for row in session.exec(_query().where(ReplyRow.case_id == case_id).order_by(col(ReplyRow.id)))]


def write(
    session: Session,
    case_id: int,
    *,
    post_id: int,
    text: str,
    nonce: str,
    send: bool,
    revision: str | None,
    user_id: int,
    now: datetime,
) -> ReplyView:
    """Take an agent's own reply to *post_id*; send it or keep it as a draft. The same *nonce* again is the same reply.

    revision: of the post as the agent saw it. Claims the case when nobody has it. Raises Missing, Invalid, Conflict.
    """
    words = _words(text)
    case = _case(session, case_id)
    post = _target(session, post_id, revision)
    if post.is_own or session.get(CasePostRow, (case_id, post_id)) is None:
        raise Invalid("a reply goes to a customer's post of this case")
    key = f"{post.channel}:{post.external_id}:agent:{nonce}"
    twin = session.exec(select(ReplyRow).where(ReplyRow.key == key)).first()
    if twin is not None and twin.id is not None:
        return one(session, twin.id)
    _work_on(session, case, user_id=user_id, now=now)
    row = ReplyRow(
        key=key,
        post_id=post_id,
        case_id=case_id,
        source=post.source,
        channel=post.channel,
        state=ReplyState.DRAFTED,
        origin=Origin.AGENT,
        text=words,
        target_revision=post.revision,
        created_at=now,
        expires_at=now + APPROVED_FOR,
    )
    session.add(row)
    session.flush()
    _tell(session, "reply.drafted", row, user_id=user_id, now=now)
    if send:
        _intend(session, row, user_id=user_id, now=now)
    return one(session, row.id or 0)


def edit(session: Session, reply_id: int, *, text: str, user_id: int, now: datetime) -> ReplyView:
    """Change the words of a draft. Raises Missing, Invalid, Conflict (no draft any more)."""
    row = _draft(session, reply_id)
    words = _words(text)
    _work_on(session, _case_of(session, row), user_id=user_id, now=now)
    if words != row.text:
        _change(session, row, words)
        _tell(session, "reply.edited", row, user_id=user_id, now=now)
    session.flush()
    return one(session, reply_id)


def approve(
    session: Session, reply_id: int, *, text: str | None, revision: str | None, user_id: int, now: datetime
) -> ReplyView:
    """Let a draft be said, with other words if *text* is given. Approved twice is said once.

    revision: of the post as the person saw it; without it the post must not have changed since the draft was made.
    """
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None:
        raise Missing("there is no such reply")
    if row.approved_by is not None and row.state != ReplyState.DRAFTED:
        return one(session, reply_id)
    row = _draft(session, reply_id)
    words = row.text if text is None else _words(text)
    post = _target(session, row.post_id, revision or row.target_revision)
    _work_on(session, _case_of(session, row), user_id=user_id, now=now)
    _refuse_where_unwanted(session, row, post)
    if words != row.text:
        _change(session, row, words)
    row.target_revision = post.revision
    _intend(session, row, user_id=user_id, now=now)
    return one(session, reply_id)


def discard(session: Session, reply_id: int, *, user_id: int, now: datetime) -> ReplyView:
    """Throw a draft away; it stays on record. Raises Missing, Conflict."""
    row = _draft(session, reply_id)
    _work_on(session, _case_of(session, row), user_id=user_id, now=now)
    row.state, row.reason = ReplyState.CANCELLED, DISCARDED
    _tell(session, "reply.discarded", row, user_id=user_id, now=now)
    session.flush()
    return one(session, reply_id)


def settle(session: Session, reply_id: int, *, was_said: bool, user_id: int, now: datetime) -> ReplyView:
    """Take a person's word on a reply nobody else knows about: it was said, or it was not and shall be said now.

    Raises Missing, Conflict (it is not in question).
    """
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None:
        raise Missing("there is no such reply")
    if row.state != ReplyState.PERSON:
        raise Conflict(f"this reply is {row.state}; nobody needs to say whether it was said")
    if not was_said:
        row.reason = "a person looked: it was not said"
        row.attempts, row.first_sent_at, row.last_sent_at = 0, None, None
        _intend(session, row, user_id=user_id, now=now)
        return one(session, reply_id)
    row.state, row.sent_at, row.reason = ReplyState.SENT, now, "a person looked: it was said"
    post = session.get(PostRow, row.post_id)
    if post is not None and post.outcome != Outcome.DELETED:
        post.outcome = Outcome.ANSWERED
    case = _case_of(session, row)
    if case is not None and case.state in (CaseState.OPEN, CaseState.CLAIMED):
        case.state = CaseState.WAITING
        case.answered_at = case.answered_at or now
    _tell(session, "reply.sent", row, user_id=user_id, now=now)
    session.flush()
    return one(session, reply_id)


def _change(session: Session, row: ReplyRow, words: str) -> None:
    """Put a person's words in the place of the prepared ones, which are kept to tell how much was changed."""
    row.prepared = row.text if row.prepared is None else row.prepared
    row.text, row.is_edited = words, True
    suggestions.mark_again(session, row)


def _intend(session: Session, row: ReplyRow, *, user_id: int, now: datetime) -> None:
    row.state, row.approved_by, row.expires_at = ReplyState.INTENDED, user_id, now + APPROVED_FOR
    _set_aside(session, row, user_id=user_id, now=now)
    session.flush()
    jobs.add(session, Stage.DELIVER, str(row.id), now=now, priority=1)
    # A reply said to be unsaid has an errand that is done already: it lives again.
    session.connection().execute(
        sa.update(JobRow)
        .where(col(JobRow.stage) == Stage.DELIVER, col(JobRow.key) == str(row.id))
        .values(done_at=None, parked_at=None, claimed_until=None, due_at=now, attempts=0)
    )
    _tell(session, "reply.approved", row, user_id=user_id, now=now)


def _set_aside(session: Session, row: ReplyRow, *, user_id: int, now: datetime) -> None:
    """Cancel what a machine had ready for the same post beside a language model's draft: one post, one reply.

    Who takes the model's draft turned the prepared one down: that counts as a verdict on it, or an intent could earn
    to be answered alone with answers that people passed over.
    """
    beside = (Origin.DRAFT, Origin.MODEL) if row.origin == Origin.MODEL else (Origin.MODEL,)
    others = session.exec(
        select(ReplyRow)
        .where(ReplyRow.post_id == row.post_id, ReplyRow.id != row.id, ReplyRow.state == ReplyState.DRAFTED)
        .where(col(ReplyRow.origin).in_(beside))
    )
    for other in others:
        other.state = ReplyState.CANCELLED
        other.reason = DISCARDED if other.origin == Origin.DRAFT else "another reply to this post was approved"
        _tell(session, "reply.discarded", other, user_id=user_id, now=now)


def _work_on(session: Session, case: CaseRow | None, *, user_id: int, now: datetime) -> None:
    """Claim an unclaimed case; refuse one that somebody else has."""
    if case is None:
        return
    if case.state == CaseState.RESOLVED:
        raise Conflict("this case is resolved; reopen it first")
    if case.state == CaseState.CLAIMED and case.assignee_id not in (None, user_id):
        raise Conflict(f"{_name(session, case.assignee_id)} works on this case; take it over first")
    if case.state == CaseState.OPEN:
        case.state, case.assignee_id = CaseState.CLAIMED, user_id
        events.add(session, "case.claimed", now=now, post_id=case.post_id, case_id=case.id, facts={"user_id": user_id})


def _name(session: Session, user_id: int | None) -> str:
    return session.exec(select(UserRow.name).where(UserRow.id == user_id)).first() or "somebody"


def _case(session: Session, case_id: int) -> CaseRow:
    case = session.get(CaseRow, case_id, with_for_update=True)
    if case is None:
        raise Missing("there is no such case")
    return case


def _case_of(session: Session, row: ReplyRow) -> CaseRow | None:
    return None if row.case_id is None else _case(session, row.case_id)


def _draft(session: Session, reply_id: int) -> ReplyRow:
    row = session.get(ReplyRow, reply_id, with_for_update=True)
    if row is None:
        raise Missing("there is no such reply")
    if row.state != ReplyState.DRAFTED:
        raise Conflict(f"this reply is {row.state}; only a draft can be changed")
    return row


def _target(session: Session, post_id: int, revision: str | None) -> PostRow:
    post = session.get(PostRow, post_id)
    if post is None:
        raise Missing("there is no such post")
    if post.deleted_at is not None:
        raise Conflict("the post was deleted; there is nothing to answer")
    if revision is not None and revision != post.revision:
        raise Conflict("the post was edited meanwhile; read it again before you answer")
    return post


def _refuse_where_unwanted(session: Session, row: ReplyRow, post: PostRow) -> None:
    """An opt-out holds for what a machine prepared, also when a person would send it. Raises Conflict."""
    left = wishes.of(session, [post.author_id]).get(post.author_id)
    if row.origin in (Origin.DRAFT, Origin.MODEL) and left is not None and left.opted_out_at is not None:
        raise Conflict("its author asked not to be answered by a bot; discard the draft and write in your own words")


def _words(text: str) -> str:
    words = storable(text).replace("\r\n", "\n").strip()
    if not words:
        raise Invalid("a reply needs words")
    if len(words) > MAX_CHARS:
        raise Invalid(f"a reply has {MAX_CHARS} characters at most")
    return words


def _tell(session: Session, kind: str, row: ReplyRow, *, user_id: int, now: datetime) -> None:
    events.add(
        session,
        kind,
        now=now,
        post_id=row.post_id,
        case_id=row.case_id,
        reply_id=row.id,
        facts={"user_id": user_id, "origin": row.origin},
    )


def _query() -> Any:
    return (
        select(ReplyRow, UserRow.name, ArticleRow.title, SuggestionRow)
        .join(UserRow, col(UserRow.id) == ReplyRow.approved_by, isouter=True)
        .join(ArticleRow, col(ArticleRow.id) == ReplyRow.article_id, isouter=True)
        .join(SuggestionRow, col(SuggestionRow.reply_id) == ReplyRow.id, isouter=True)
    )


def _view(row: ReplyRow, approved_by: str | None, article: str | None, made: SuggestionRow | None) -> ReplyView:
    return ReplyView(
        id=row.id or 0,
        key=row.key,
        post_id=row.post_id,
        case_id=row.case_id,
        channel=row.channel,
        source=row.source,
        state=ReplyState(row.state),
        origin=Origin(row.origin),
        text=row.text,
        article=article,
        article_id=row.article_id,
        confidence=None if row.confidence is None else round(row.confidence, 4),
        target_revision=row.target_revision,
        approved_by=approved_by,
        attempts=row.attempts,
        created_at=row.created_at,
        expires_at=row.expires_at,
        sent_at=row.sent_at,
        remote_url=row.remote_url,
        reason=row.reason,
        model=None if made is None else made.model,
        sentences=() if made is None else suggestions.read_sentences(made.sentences),
    )
