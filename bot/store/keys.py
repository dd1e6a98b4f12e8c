"""API keys, ``harken_<id>_<secret>``: the secret is shown once and kept as its SHA-256.

Each key acts through a person of its own, who cannot sign in; corrections, claims and approvals then name who
made them.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from bot.store.people import KEY_DOMAIN, User, digest, has_controls, user
from bot.store.refusals import Invalid, Missing
from bot.store.roles import Role
from bot.store.tables import ApiKeyRow, UserRow

PREFIX = "harken"
TOUCH_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def add(session: Session, *, name: str, role: Role, now: datetime, lives: timedelta | None) -> str:
    """Return a new key in full; it cannot be had again."""
    if not name.strip():
        raise Invalid("give the key a name that says who uses it")
    if has_controls(name):
        raise Invalid("a key's name holds no control characters")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    session.add(
        ApiKeyRow(
            id=key_id,
            name=name.strip(),
            secret_hash=digest(secret),
            role=role,
            created_at=now,
            expires_at=None if lives is None else now + lives,
        )
    )
    session.add(UserRow(email=f"{key_id}{KEY_DOMAIN}", name=name.strip(), role=role, created_at=now))
    return f"{PREFIX}_{key_id}_{secret}"


def all_keys(session: Session) -> list[Key]:
    """Return all keys, newest first."""
    return [_key(row) for row in session.exec(select(ApiKeyRow).order_by(col(ApiKeyRow.created_at).desc()))]


def revoke(session: Session, key_id: str, *, now: datetime) -> Key:
    """End a key at once. Raises Missing."""
    row = session.get(ApiKeyRow, key_id)
    if row is None:
        raise Missing("there is no such key; `harken key list` shows the ids")
    row.revoked_at = row.revoked_at or now
    session.flush()
    return _key(row)


def holder(session: Session, key: str, *, now: datetime) -> tuple[User, datetime | None] | None:
    """Return through whom a good key acts, and when it was last used; None for any other string."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret:
        return None
    row = session.get(ApiKeyRow, key_id)
    if row is None or not hmac.compare_digest(row.secret_hash, digest(secret)):
        return None
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    person = session.exec(select(UserRow).where(UserRow.email == f"{key_id}{KEY_DOMAIN}")).one()
    return user(person), row.used_at


def touch(session: Session, key: str, *, now: datetime) -> None:
    """Note that the key is in use."""
    row = session.get(ApiKeyRow, key.split("_")[1])
    if row is not None:
        row.used_at = now


def _key(row: ApiKeyRow) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )
