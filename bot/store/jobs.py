"""Errands as rows: outbox, queue entry and idempotency record in one.

Adding a job is part of the stage's own transaction; finishing it is part of the next. (stage, key) exists once, so the
same errand added twice is done once. Claims lapse, so an errand of a dead worker comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from bot.store.tables import JobRow, Stage

CLAIM = timedelta(seconds=60)
"""How long a worker may take before its errand is given to another."""

LONGEST_REST = timedelta(minutes=10)
"""How long an errand rests at most whose workers keep dying."""

_table = JobRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed errand. attempts: this one included."""

    id: int
    stage: Stage
    key: str
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How much waits at a stage, and since when the oldest does."""

    stage: str
    waiting: int
    parked: int
    oldest_at: datetime | None


def row(stage: Stage, key: str, *, now: datetime, due_at: datetime | None = None, priority: int = 3) -> dict[str, Any]:
    """Return one job for ``add_all``. priority: 1 goes first."""
    return {
        "stage": stage,
        "key": key,
        "priority": priority,
        "due_at": due_at or now,
        "attempts": 0,
        "created_at": now,
    }


def add(
    session: Session, stage: Stage, key: str, *, now: datetime, due_at: datetime | None = None, priority: int = 3
) -> None:
    """Add one errand; one that exists already stays as it is."""
    add_all(session, [row(stage, key, now=now, due_at=due_at, priority=priority)])


def add_all(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add many errands, made by ``row``; those that exist already stay as they are."""
    values = [dict(each) for each in rows]
    if not values:
        return
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(_table) if dialect == "sqlite" else postgresql.insert(_table)
    session.connection().execute(insert.on_conflict_do_nothing(), values)


def claim(session: Session, stage: Stage, *, holder: str, now: datetime, limit: int) -> list[Job]:
    """Give up to *limit* due errands of *stage* to *holder* for CLAIM, urgent and old ones first.

    An errand that was claimed before and not finished goes alone: whoever dies with it does not count against others.
    If its worker dies again, it rests longer each time, so that it neither holds up others nor tires of mere bad luck.
    """
    due = (
        sa.select(_table.c.id)
        .where(
            _table.c.stage == stage,
            _table.c.done_at.is_(None),
            _table.c.parked_at.is_(None),
            _table.c.due_at <= now,
            sa.or_(_table.c.claimed_until.is_(None), _table.c.claimed_until < now),
        )
        .order_by(_table.c.priority, _table.c.due_at, _table.c.id)
    )
    first = session.connection().execute(due.add_columns(_table.c.attempts).limit(1)).first()
    if first is None:
        return []
    due = due.limit(1) if first.attempts else due.where(_table.c.attempts == 0).limit(limit)
    if session.get_bind().dialect.name == "postgresql":
        # The CTE form: LIMIT with SKIP LOCKED inside an IN-subquery may be evaluated again.
        due = due.with_for_update(skip_locked=True)
    chosen = due.cte("chosen")
    rest = min(timedelta(seconds=2 ** min(first.attempts - 1, 20)), LONGEST_REST) if first.attempts else None
    taken = session.connection().execute(
        sa.update(_table)
        .where(_table.c.id.in_(sa.select(chosen.c.id)))
        .values(
            claimed_until=now + CLAIM,
            claimed_by=holder,
            attempts=_table.c.attempts + 1,
            **({} if rest is None else {"due_at": now + rest}),
        )
        .returning(_table.c.id, _table.c.key, _table.c.attempts, _table.c.created_at, _table.c.priority)
    )
    rows = sorted(taken, key=lambda each: (each.priority, each.id))
    return [
        Job(id=each.id, stage=stage, key=each.key, attempts=each.attempts, created_at=each.created_at) for each in rows
    ]


def finish(session: Session, ids: Sequence[int], *, now: datetime) -> int:
    """Mark errands done; return how many were not done before. Part of the stage's own transaction."""
    if not ids:
        return 0
    done = session.connection().execute(
        sa.update(_table)
        .where(_table.c.id.in_(ids), _table.c.done_at.is_(None))
        .values(done_at=now, claimed_until=None)
    )
    return int(done.rowcount)


def retry(session: Session, ids: Sequence[int], *, due_at: datetime, reason: str) -> None:
    """Give errands back, to be done again from *due_at* on."""
    session.connection().execute(
        sa.update(_table)
        .where(_table.c.id.in_(ids), _table.c.done_at.is_(None))
        .values(due_at=due_at, claimed_until=None, claimed_by=None, reason=reason[:500])
    )


def wait(session: Session, ids: Sequence[int], *, due_at: datetime, reason: str) -> None:
    """Like ``retry``, for an errand that only waits: the attempt does not count."""
    session.connection().execute(
        sa.update(_table)
        .where(_table.c.id.in_(ids), _table.c.done_at.is_(None))
        .values(due_at=due_at, claimed_until=None, claimed_by=None, reason=reason[:500], attempts=_table.c.attempts - 1)
    )


def park(session: Session, ids: Sequence[int], *, now: datetime, reason: str) -> None:
    """Put errands aside, visible and repeatable by a person."""
    session.connection().execute(
        sa.update(_table)
        .where(_table.c.id.in_(ids), _table.c.done_at.is_(None))
        .values(parked_at=now, claimed_until=None, claimed_by=None, reason=reason[:500])
    )


def unpark(session: Session, *, now: datetime) -> int:
    """Give every parked errand another life; return how many there were."""
    back = session.connection().execute(
        sa.update(_table)
        .where(_table.c.parked_at.is_not(None), _table.c.done_at.is_(None))
        .values(parked_at=None, due_at=now, attempts=0)
    )
    return int(back.rowcount)


def release_all(session: Session) -> int:
    """Take every claim back: the only daemon of this store has just started, so nobody else holds one."""
    freed = session.connection().execute(
        sa.update(_table)
        .where(_table.c.done_at.is_(None), _table.c.claimed_until.is_not(None))
        .values(claimed_until=None, claimed_by=None)
    )
    return int(freed.rowcount)


def depths(session: Session) -> list[Depth]:
    """Return how much waits at each stage that has any."""
    waiting = sa.func.sum(sa.case((_table.c.parked_at.is_(None), 1), else_=0))
    query = (
        sa.select(_table.c.stage, waiting, sa.func.count(), sa.func.min(_table.c.created_at))
        .where(_table.c.done_at.is_(None))
        .group_by(_table.c.stage)
    )
    return [
        Depth(stage=stage, waiting=int(live), parked=int(total - live), oldest_at=oldest)
        for stage, live, total, oldest in session.connection().execute(query)
    ]


def waiting(session: Session) -> int:
    """Return how many errands wait; quick however many are done, since only the index of open ones is read."""
    query = select(sa.func.count()).where(col(JobRow.done_at).is_(None), col(JobRow.parked_at).is_(None))
    return session.exec(query).one()


def next_due(session: Session, stage: Stage, *, now: datetime) -> datetime | None:
    """Return when the next errand of *stage* that nobody has claimed becomes due, None when there is none."""
    return session.exec(
        select(sa.func.min(JobRow.due_at)).where(
            JobRow.stage == stage,
            col(JobRow.done_at).is_(None),
            col(JobRow.parked_at).is_(None),
            sa.or_(col(JobRow.claimed_until).is_(None), col(JobRow.claimed_until) < now),
        )
    ).one()
