"""Signed-in browsers. The cookie holds 256 random bits; the table holds their SHA-256, so a dump opens nothing."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events
from bot.store.people import User, digest, user
from bot.store.tables import SessionRow, UserRow

TOUCH_AFTER = timedelta(minutes=1)
"""A session's last use is written at most this often: a page view is then a read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A living session. csrf: what its forms must carry."""

    user: User
    csrf: str
    token_hash: str
    seen_at: datetime


def begin(session: Session, *, user_id: int, now: datetime, lifetime: timedelta, replacing: str | None = None) -> str:
    """Return the token of a new session; the one it replaces and lapsed ones are gone."""
    token = secrets.token_urlsafe(32)
    gone = col(SessionRow.expires_at) < now
    if replacing is not None:
        gone = sa.or_(gone, col(SessionRow.token_hash) == digest(replacing))
    session.connection().execute(sa.delete(SessionRow).where(gone))
    session.add(
        SessionRow(
            token_hash=digest(token),
            user_id=user_id,
            csrf=secrets.token_urlsafe(32),
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime,
        )
    )
    return token


def find(session: Session, token: str, *, now: datetime, idle: timedelta) -> SignedIn | None:
    """Return the living session of *token*: not expired, not idle for too long, its person not disabled."""
    query = (
        select(SessionRow, UserRow)
        .join(UserRow, col(UserRow.id) == SessionRow.user_id)
        .where(SessionRow.token_hash == digest(token), *_living(now, idle))
    )
    found = session.exec(query).first()
    if found is None:
        return None
    row, person = found
    return SignedIn(user=user(person), csrf=row.csrf, token_hash=row.token_hash, seen_at=row.seen_at)


def living(session: Session, hashes: Collection[str], *, now: datetime, idle: timedelta) -> set[str]:
    """Return those of *hashes* whose sessions still live: open streams ask this about all at once."""
    query = (
        select(SessionRow.token_hash)
        .join(UserRow, col(UserRow.id) == SessionRow.user_id)
        .where(col(SessionRow.token_hash).in_(hashes), *_living(now, idle))
    )
    return set(session.exec(query))


def touch(session: Session, token_hash: str, *, now: datetime) -> None:
    """Note that the session is in use."""
    session.connection().execute(
        sa.update(SessionRow).where(col(SessionRow.token_hash) == token_hash).values(seen_at=now)
    )


def end(session: Session, token_hash: str) -> None:
    """End a session; twice is harmless."""
    session.connection().execute(sa.delete(SessionRow).where(col(SessionRow.token_hash) == token_hash))


def _living(now: datetime, idle: timedelta) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(SessionRow.expires_at) > now,
        col(SessionRow.seen_at) > now - idle,
        col(UserRow.disabled_at).is_(None),
    )


def look(session: Session, hashes: set[str], *, now: datetime, idle: timedelta) -> tuple[int, set[str]]:
    """Return the latest event's id, and which of the signed-in *hashes* still are: all that a live page must know."""
    return events.latest_id(session), living(session, hashes, now=now, idle=idle)
