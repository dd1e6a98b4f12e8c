"""People who sign in, and the one-time links that let them.

An API key acts through a person of its own (``bot.store.keys``), so that whatever is done has one who did it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.roles import Role
from bot.store.tables import SessionRow, SignInLinkRow, UserRow

KEY_DOMAIN = "@key.invalid"
"""Where the people of API keys "live"; RFC 2606 keeps .invalid free, so it is nobody's address."""

LINK_LIVES = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who may sign in."""

    id: int
    email: str
    name: str
    role: Role
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None


def digest(token: str) -> str:
    """Return the SHA-256 of *token*: all that is ever kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def add(
    session: Session, *, email: str, name: str, role: Role, now: datetime, password_hash: str | None = None
) -> User:
    """Add a person. Raises Conflict when the address is taken, Invalid when it is none."""
    address = email.strip().lower()
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or address.endswith(KEY_DOMAIN) or any(c.isspace() for c in address):
        raise Invalid("write the e-mail address as name@example.org")
    if session.exec(select(UserRow.id).where(UserRow.email == address)).first() is not None:
        raise Conflict("a person with this e-mail address exists already; `harken user link` makes a new sign-in link")
    if has_controls(address + name):
        raise Invalid("a name and an e-mail address hold no control characters")
    row = UserRow(email=address, name=name.strip() or local, role=role, password_hash=password_hash, created_at=now)
    session.add(row)
    session.flush()
    return user(row)


def has_controls(text: str) -> bool:
    """Tell whether *text* holds characters that a terminal obeys instead of showing them."""
    return any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in text)


def everyone(session: Session) -> list[User]:
    """Return all people, by address; those of API keys are left out."""
    query = select(UserRow).where(col(UserRow.email).not_like(f"%{KEY_DOMAIN}")).order_by(col(UserRow.email))
    return [user(row) for row in session.exec(query)]


def by_email(session: Session, email: str) -> User | None:
    """Return the person with this address."""
    row = _row(session, email)
    return None if row is None else user(row)


def secret_of(session: Session, email: str) -> tuple[User, str | None] | None:
    """Return the person who may sign in with this address, and the hash of the password."""
    row = _row(session, email)
    if row is None or row.disabled_at is not None:
        return None
    return user(row), row.password_hash


def set_password(session: Session, user_id: int, *, password_hash: str) -> None:
    """Keep another hash for a person."""
    row = session.get(UserRow, user_id)
    if row is None:
        raise Missing("there is no such person")
    row.password_hash = password_hash


def disable(session: Session, *, email: str, now: datetime) -> User:
    """Shut a person out at once: sessions and links are gone. Raises Missing."""
    row = _row(session, email)
    if row is None or row.id is None:
        raise Missing("nobody has this e-mail address; `harken user list` shows who there is")
    row.disabled_at = row.disabled_at or now
    session.connection().execute(sa.delete(SessionRow).where(col(SessionRow.user_id) == row.id))
    session.connection().execute(sa.delete(SignInLinkRow).where(col(SignInLinkRow.user_id) == row.id))
    session.flush()
    return user(row)


def add_link(session: Session, *, email: str, now: datetime, lives: timedelta = LINK_LIVES) -> str:
    """Return the token of a new one-time sign-in link; it is shown once. Raises Missing."""
    row = _row(session, email)
    if row is None or row.id is None or row.disabled_at is not None:
        raise Missing("nobody who may sign in has this e-mail address; `harken user list` shows who there is")
    token = secrets.token_urlsafe(32)
    session.connection().execute(sa.delete(SignInLinkRow).where(col(SignInLinkRow.expires_at) < now))
    session.add(SignInLinkRow(token_hash=digest(token), user_id=row.id, expires_at=now + lives))
    return token


def link_opens(session: Session, token: str, *, now: datetime) -> bool:
    """Say whether the link would let somebody in; looking does not use it."""
    return _link(session, token, now) is not None


def use_link(session: Session, token: str, *, now: datetime) -> User | None:
    """Use the link up and return who it lets in; None when it is used, expired or unknown."""
    found = _link(session, token, now)
    if found is None:
        return None
    link, row = found
    used = session.connection().execute(
        sa.update(SignInLinkRow)
        .where(col(SignInLinkRow.token_hash) == link.token_hash, col(SignInLinkRow.used_at).is_(None))
        .values(used_at=now)
    )
    return user(row) if used.rowcount == 1 else None


def names(session: Session, ids: Sequence[int]) -> dict[int, str]:
    """Return the names of people by id."""
    rows = session.exec(select(UserRow.id, UserRow.name).where(col(UserRow.id).in_(ids)))
    return {id_: name for id_, name in rows if id_ is not None}


def user(row: UserRow) -> User:
    """Return the value of a row."""
    return User(
        id=row.id or 0,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def _row(session: Session, email: str) -> UserRow | None:
    address = email.strip().lower()
    if address.endswith(KEY_DOMAIN):
        return None
    return session.exec(select(UserRow).where(UserRow.email == address)).first()


def _link(session: Session, token: str, now: datetime) -> tuple[SignInLinkRow, UserRow] | None:
    query = (
        select(SignInLinkRow, UserRow)
        .join(UserRow, col(UserRow.id) == SignInLinkRow.user_id)
        .where(
            SignInLinkRow.token_hash == digest(token),
            col(SignInLinkRow.used_at).is_(None),
            col(SignInLinkRow.expires_at) > now,
            col(UserRow.disabled_at).is_(None),
        )
    )
    return session.exec(query).first()
