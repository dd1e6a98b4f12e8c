"""Slows guessing down without shutting the owner out.

A try is counted before the password is looked at, so a thousand tries at once are a thousand tries. After some free
ones each further failure doubles the wait, to LONGEST at most; it is forgotten FORGET after the last. A try made while
waiting is refused and does not prolong the wait. Subjects are hashed: the table tells nobody's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.people import digest
from bot.store.tables import SignInFailureRow
from bot.store.upsert import insert_new, table_of

LONGEST = timedelta(minutes=1)
FORGET = timedelta(hours=1)


def attempt(session: Session, subjects: Mapping[str, int], *, now: datetime) -> datetime | None:
    """Count a try, or return until when to wait (then nothing is counted). subjects: subject -> free tries."""
    session.connection().execute(sa.delete(SignInFailureRow).where(col(SignInFailureRow.last_at) < now - FORGET))
    free = {digest(subject): tries for subject, tries in subjects.items()}
    insert_new(session, table_of(SignInFailureRow), [{"subject": key, "count": 0, "last_at": now} for key in free])
    # Locked in one order: tries at the same moment wait for each other and are all counted.
    rows = session.exec(
        select(SignInFailureRow)
        .where(col(SignInFailureRow.subject).in_(free))
        .order_by(col(SignInFailureRow.subject))
        .with_for_update()
    ).all()
    until = max(row.last_at + _pause(row.count - free[row.subject]) for row in rows)
    if until > now:
        return until
    for row in rows:
        row.count += 1
        row.last_at = now
    return None


def forgive(session: Session, subjects: Mapping[str, int]) -> None:
    """Forget the tries of *subjects*: the right password came."""
    keys = [digest(subject) for subject in subjects]
    session.connection().execute(sa.delete(SignInFailureRow).where(col(SignInFailureRow.subject).in_(keys)))


def take_back(session: Session, subjects: Mapping[str, int]) -> None:
    """Take the last try of *subjects* back; what failed before stays counted."""
    keys = [digest(subject) for subject in subjects]
    session.connection().execute(
        sa.update(SignInFailureRow)
        .where(col(SignInFailureRow.subject).in_(keys), col(SignInFailureRow.count) > 0)
        .values(count=SignInFailureRow.count - 1)
    )


def _pause(beyond: int) -> timedelta:
    if beyond < 0:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(beyond, 10)), LONGEST)
