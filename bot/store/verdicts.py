"""What people thought of the answers to each intent on each source: counted from what they did, never asked for.

Right: a draft approved as it was, or said word for word by a person; an automatic reply that met no complaint for
SETTLED. Wrong: a draft edited, discarded, or passed over for a person's own reply in its case; an answer to a post
whose intent somebody corrected, unless a lead rejected that; an answer after which its author complained or asked for a
person in the same conversation. A draft counts once; passed over and approved all the same, it was approved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store.tables import (
    CorrectionRow,
    EventRow,
    Origin,
    PostRow,
    ReplyRow,
    ReplyState,
    Review,
    TriageRow,
)
from bot.store.upsert import table_of
from handoff.earned import NOTHING, Record
from handoff.hindsight import Judgement

SETTLED = timedelta(hours=48)
"""Who is not helped says so within two days, or never; the same span counts a matter as resolved."""

MOST = 500
"""Newest answers counted: at the default limit 500 tell a share of 3 % from one of 5 %."""

DISCARDED = "discarded by a person"

UNHAPPY = ("complaint", "human_agent")

_reply = table_of(ReplyRow)
_post = table_of(PostRow)
_triage = table_of(TriageRow)
_correction = table_of(CorrectionRow)
_event = table_of(EventRow)

Pair = tuple[str, str]
"""Intent and source."""


def records(session: Session, pairs: Iterable[Pair], *, now: datetime, within: timedelta) -> dict[Pair, Record]:
    """Return the record of each of *pairs*, from answers not older than *within*."""
    return {pair: _record(session, pair, now, within) for pair in sorted(set(pairs))}


def everything(session: Session, *, now: datetime, within: timedelta) -> Mapping[Pair, Record]:
    """Return the record of every pair that has any."""
    query = (
        sa.select(_reply.c.intent, _reply.c.source)
        .where(_reply.c.intent.is_not(None), _reply.c.created_at > now - within)
        .distinct()
    )
    pairs = [(row.intent, row.source) for row in session.connection().execute(query)]
    found = records(session, pairs, now=now, within=within)
    return {pair: record for pair, record in found.items() if record != NOTHING}


def judgements(session: Session, *, since: datetime) -> dict[Pair, list[Judgement]]:
    """Return every answer made after *since* that counts now, with the times from which on it did: what ``records``
    would have counted at any earlier moment."""
    told = _told(session, since)
    first_correction = sa.select(sa.func.min(_correction.c.at)).where(*_corrections()).scalar_subquery()
    query = (
        sa.select(
            _reply.c.id,
            _reply.c.source,
            _reply.c.intent,
            _reply.c.origin,
            _reply.c.created_at,
            _reply.c.sent_at,
            _reply.c.approved_by,
            _reply.c.is_edited,
            _is_discarded().label("discarded"),
            _first_own_reply().label("passed_at"),
            _first_own_reply(same_words=True).label("repeated_at"),
            first_correction.label("corrected_at"),
            _first_complaint().label("complained_at"),
        )
        .join(_post, _post.c.id == _reply.c.post_id)
        .where(_reply.c.created_at > since, _reply.c.intent.is_not(None), _counted(first_correction.is_not(None)))
        .order_by(_reply.c.created_at, _reply.c.id)
    )
    found: defaultdict[Pair, list[Judgement]] = defaultdict(list)
    for row in session.connection().execute(query):
        found[row.intent, row.source].append(_judgement(row, told.get(row.id)))
    return dict(found)


def _judgement(row: Any, told_at: datetime | None) -> Judgement:
    wrong = [at for at in (row.corrected_at, row.complained_at) if at is not None]
    if row.origin == Origin.BOT:
        said = row.sent_at or row.created_at
        return Judgement(
            made_at=row.created_at,
            counts_at=said,
            wrong_at=max(min(wrong), said) if wrong else None,
            settles_at=said + SETTLED,
        )
    is_passed = row.approved_by is None and row.passed_at is not None
    if row.approved_by is None and not row.discarded and not is_passed:  # unused, but its intent was corrected
        return Judgement(made_at=row.created_at, counts_at=row.corrected_at, wrong_at=row.corrected_at)
    acts = [at for at in (told_at, row.passed_at if is_passed else None) if at is not None]
    judged = min(acts, default=row.created_at)
    is_taken = row.approved_by is not None and not row.is_edited
    is_repeated = row.approved_by is None and row.repeated_at is not None
    if not is_taken and not is_repeated:
        wrong.append(judged)
    # A correction counts from its own time on, also before the draft was approved.
    counts = judged if row.corrected_at is None or row.discarded else min(judged, row.corrected_at)
    return Judgement(made_at=row.created_at, counts_at=counts, wrong_at=max(min(wrong), counts) if wrong else None)


def _told(session: Session, since: datetime) -> dict[int, datetime]:
    """Return when people approved or discarded drafts, by reply."""
    query = (
        sa.select(_event.c.reply_id, sa.func.min(_event.c.at).label("at"))
        .where(_event.c.kind.in_(("reply.approved", "reply.discarded")), _event.c.at > since)
        .group_by(_event.c.reply_id)
    )
    return {row.reply_id: row.at for row in session.connection().execute(query)}


def _record(session: Session, pair: Pair, now: datetime, within: timedelta) -> Record:
    intent, source = pair
    corrected, complained = _corrected(), _complained()
    query = (
        sa.select(
            sa.or_(_is_turned_down(), corrected, complained).label("wrong"),
            _reply.c.origin,
            _reply.c.sent_at,
        )
        .join(_post, _post.c.id == _reply.c.post_id)
        .where(
            _reply.c.source == source,
            _reply.c.intent == intent,
            _reply.c.created_at > now - within,
            _counted(corrected),
        )
        .order_by(_reply.c.created_at.desc(), _reply.c.id.desc())
        .limit(MOST)
    )
    observed = wrong = pending = 0
    for row in session.connection().execute(query):
        if row.wrong:
            wrong += 1
        elif row.origin == Origin.BOT and row.sent_at > now - SETTLED:
            pending += 1
            continue
        observed += 1
    return Record(observed=observed, wrong=wrong, pending=pending)


def _is_discarded() -> sa.ColumnElement[bool]:
    return sa.and_(_reply.c.state == ReplyState.CANCELLED, _reply.c.reason == DISCARDED)


def _is_passed_over() -> sa.ColumnElement[bool]:
    """A person answered in the draft's case while it waited, and nobody approved it before or after."""
    is_unused = sa.and_(_reply.c.origin == Origin.DRAFT, _reply.c.approved_by.is_(None))
    return sa.and_(is_unused, sa.exists().where(*_own_replies()[1]))


def _is_left() -> sa.ColumnElement[bool]:
    return sa.and_(_reply.c.origin == Origin.DRAFT, sa.or_(_is_discarded(), _is_passed_over()))


def _is_repeated() -> sa.ColumnElement[bool]:
    return sa.exists().where(*_own_replies(same_words=True)[1])


def is_rejected() -> sa.ColumnElement[bool]:
    """A draft that a person discarded or passed over, and whose words nobody wrote themselves."""
    return sa.and_(_is_left(), sa.not_(_is_repeated()))


def is_said_by_hand() -> sa.ColumnElement[bool]:
    """A draft that a person discarded or passed over, and said word for word: they took it."""
    return sa.and_(_is_left(), _is_repeated())


def _is_turned_down() -> sa.ColumnElement[bool]:
    """A person had it before them and wanted other words."""
    return sa.or_(sa.and_(_reply.c.approved_by.is_not(None), _reply.c.is_edited), is_rejected())


def _first_own_reply(*, same_words: bool = False) -> sa.ScalarSelect[datetime]:
    said_at, conditions = _own_replies(same_words=same_words)
    return sa.select(sa.func.min(said_at)).where(*conditions).correlate(_reply).scalar_subquery()


def _own_replies(*, same_words: bool = False) -> tuple[sa.ColumnElement[datetime], list[sa.ColumnElement[bool]]]:
    """Return when a person sent words of their own in the draft's case, and the conditions that it waited then.

    same_words: only words that are those of the draft as it was prepared. A draft that was withdrawn before (the post
    was edited or deleted, an incident took it) was before nobody's eyes.
    """
    own, sent, gone = _reply.alias("own"), _event.alias("sent"), _event.alias("gone")
    is_gone = (
        sa.exists()
        .where(
            gone.c.post_id == _reply.c.post_id,
            gone.c.reply_id == _reply.c.id,
            gone.c.kind == "reply.cancelled",
            gone.c.id < sent.c.id,
        )
        .correlate(_reply, sent)
    )
    conditions = [
        own.c.case_id == _reply.c.case_id,
        own.c.origin == Origin.AGENT,
        sent.c.case_id == own.c.case_id,
        sent.c.reply_id == own.c.id,
        sent.c.kind == "reply.approved",
        sent.c.at >= _reply.c.created_at,
        sa.not_(is_gone),
    ]
    if same_words:
        conditions.append(own.c.text == sa.func.coalesce(_reply.c.prepared, _reply.c.text))
    return sent.c.at, conditions


def _counted(corrected: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition for answers that people judged, or that will be settled."""
    is_alive = _reply.c.state != ReplyState.CANCELLED
    return sa.or_(
        sa.and_(
            _reply.c.origin == Origin.DRAFT,
            sa.or_(
                _is_discarded(),
                sa.and_(is_alive, sa.or_(_reply.c.approved_by.is_not(None), corrected)),
                _is_passed_over(),
            ),
        ),
        sa.and_(_reply.c.origin == Origin.BOT, _reply.c.state == ReplyState.SENT),
    )


def _corrections() -> list[sa.ColumnElement[bool]]:
    return [
        _correction.c.post_id == _reply.c.post_id,
        _correction.c.head == "intent",
        _correction.c.old == _reply.c.intent,
        _correction.c.new != _reply.c.intent,
        sa.or_(_correction.c.review.is_(None), _correction.c.review != Review.REJECTED),
    ]


def _corrected() -> sa.ColumnElement[bool]:
    return sa.exists().where(*_corrections())


def _complained() -> sa.ColumnElement[bool]:
    _, conditions = _complaints()
    return sa.exists().where(*conditions)


def _first_complaint() -> sa.ScalarSelect[datetime]:
    wrote, conditions = _complaints()
    return sa.select(sa.func.min(wrote)).where(*conditions).correlate(_reply, _post).scalar_subquery()


def _complaints() -> tuple[sa.ColumnElement[datetime], list[sa.ColumnElement[bool]]]:
    """Return when a later post of the author was written, and the conditions that make it a complaint."""
    later, judged = _post.alias("later"), _triage.alias("judged")
    wrote, said = (sa.type_coerce(column, sa.BigInteger) for column in (later.c.created_at, _reply.c.sent_at))
    return later.c.created_at, [
        later.c.author_id == _post.c.author_id,
        later.c.id != _post.c.id,
        sa.or_(later.c.root_id == _post.c.root_id, later.c.parent_id == _reply.c.remote_id),
        wrote > said,
        wrote <= said + SETTLED // timedelta(microseconds=1),
        judged.c.post_id == later.c.id,
        sa.or_(judged.c.intent.in_(UNHAPPY), judged.c.sentiment == "negative"),
    ]
