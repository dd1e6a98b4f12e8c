"""What people thought of the answers to each intent on each source: counted from what they did, never asked for.

Right: a draft approved as it was; an automatic reply that met no complaint for SETTLED. Wrong: a draft edited or
discarded; an answer to a post whose intent somebody corrected, unless a lead rejected that; an answer after which its
author complained or asked for a person in the same conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session

from bot.store.tables import (
    CorrectionRow,
    Origin,
    PostRow,
    ReplyRow,
    ReplyState,
    Review,
    TriageRow,
)
from bot.store.upsert import table_of
from handoff.earned import NOTHING, Record

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


def _record(session: Session, pair: Pair, now: datetime, within: timedelta) -> Record:
    intent, source = pair
    corrected, complained = _corrected(), _complained()
    is_discarded = sa.and_(_reply.c.state == ReplyState.CANCELLED, _reply.c.reason == DISCARDED)
    is_alive = _reply.c.state != ReplyState.CANCELLED
    counted = sa.or_(
        sa.and_(
            _reply.c.origin == Origin.DRAFT,
            sa.or_(is_discarded, sa.and_(is_alive, sa.or_(_reply.c.approved_by.is_not(None), corrected))),
        ),
        sa.and_(_reply.c.origin == Origin.BOT, _reply.c.state == ReplyState.SENT),
    )
    query = (
        sa.select(
            sa.or_(_reply.c.is_edited, is_discarded, corrected, complained).label("wrong"),
            _reply.c.origin,
            _reply.c.sent_at,
        )
        .join(_post, _post.c.id == _reply.c.post_id)
        .where(_reply.c.source == source, _reply.c.intent == intent, _reply.c.created_at > now - within, counted)
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


def _corrected() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        _correction.c.post_id == _reply.c.post_id,
        _correction.c.head == "intent",
        _correction.c.old == _reply.c.intent,
        _correction.c.new != _reply.c.intent,
        sa.or_(_correction.c.review.is_(None), _correction.c.review != Review.REJECTED),
    )


def _complained() -> sa.ColumnElement[bool]:
    later, judged = _post.alias("later"), _triage.alias("judged")
    wrote, said = (sa.type_coerce(column, sa.BigInteger) for column in (later.c.created_at, _reply.c.sent_at))
    return sa.exists().where(
        later.c.author_id == _post.c.author_id,
        later.c.id != _post.c.id,
        sa.or_(later.c.root_id == _post.c.root_id, later.c.parent_id == _reply.c.remote_id),
        wrote > said,
        wrote <= said + SETTLED // timedelta(microseconds=1),
        judged.c.post_id == later.c.id,
        sa.or_(judged.c.intent.in_(UNHAPPY), judged.c.sentiment == "negative"),
    )
