"""Whom the bot leaves alone: by their own word, kept for good, or by a person's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events, paging
from bot.store.paging import Slice
from bot.store.refusals import Missing
from bot.store.tables import AuthorRow, AuthorWishRow, UserRow
from bot.store.upsert import insert_new, table_of
from connectors.post import Post
from handoff.consent import Wish, wish

_wish = table_of(AuthorWishRow)
_author = table_of(AuthorRow)

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""A list in the order of ids has no times in its cursors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WishView:
    """One author whom the bot leaves alone, or did. opted_out_by: a person's name, None for the author's own word."""

    author_id: int
    channel: str
    handle: str
    opted_out_at: datetime | None
    opted_out_by: str | None
    muted_at: datetime | None
    muted_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """How the bot leaves an author alone."""

    opted_out_at: datetime | None = None
    muted: bool = False


def heed(session: Session, heard: Iterable[tuple[int, Post]], *, now: datetime) -> None:
    """Keep what authors ask of the bot. heard: author id and post, new or edited.

    The newest word of an author counts, by the network's clock: posts surface late and out of order.
    """
    asked: dict[int, tuple[Post, Wish]] = {}
    for author_id, post in sorted(heard, key=lambda each: each[1].edited_at or each[1].created_at):
        if post.is_own or not (post.addressed or post.is_private):
            continue
        if (found := wish(post.text, is_private=post.is_private)) is not None:
            asked[author_id] = post, found
    for author_id, (post, found) in asked.items():
        _take(session, author_id, post, found, now)


def of(session: Session, author_ids: Iterable[int]) -> dict[int, Left]:
    """Return how the bot leaves authors alone; whom it does not is missing."""
    query = sa.select(_wish.c.author_id, _wish.c.opted_out_at, _wish.c.muted_at).where(
        _wish.c.author_id.in_(set(author_ids))
    )
    return {
        row.author_id: Left(opted_out_at=row.opted_out_at, muted=row.muted_at is not None)
        for row in session.connection().execute(query)
        if row.opted_out_at is not None or row.muted_at is not None
    }


def page(session: Session, *, limit: int, cursor: str | None = None) -> Slice[WishView]:
    """Return *limit* authors at most whom the bot leaves alone, by id, after *cursor*. Raises Invalid."""
    query = _query().where(sa.or_(_wish.c.opted_out_at.is_not(None), _wish.c.muted_at.is_not(None)))
    if cursor is not None:
        query = query.where(_wish.c.author_id > paging.place(cursor)[1])
    found = [_view(row) for row in session.connection().execute(query.order_by(_wish.c.author_id).limit(limit + 1))]
    items = found[:limit]
    return Slice(items=items, next=paging.mark(_BEGINNING, items[-1].author_id) if len(found) > limit else None)


def one(session: Session, author_id: int) -> WishView:
    """Return what holds for an author. Raises Missing."""
    row = session.connection().execute(_query().where(_author.c.id == author_id)).first()
    if row is None:
        raise Missing("there is no such author")
    return _view(row)


def find(session: Session, channel: str, handle: str) -> WishView:
    """Return what holds for the author of that handle, the newest account where several had it. Raises Missing."""
    query = (
        select(AuthorRow.id)
        .where(AuthorRow.channel == channel, sa.func.lower(AuthorRow.handle) == handle.removeprefix("@").lower())
        .order_by(col(AuthorRow.id).desc())
    )
    author_id = session.exec(query).first()
    if author_id is None:
        raise Missing(f"nobody called {handle!r} wrote to us on {channel}")
    return one(session, author_id)


def mute(session: Session, author_id: int, *, on: bool, user_id: int | None, now: datetime) -> WishView:
    """Silence the bot for an author, or let it speak again; twice is once. user_id None: the command line."""
    _change(session, author_id, muted_at=now if on else None, muted_by=user_id if on else None)
    kind = "author.muted" if on else "author.unmuted"
    events.add(session, kind, now=now, facts={"author_id": author_id, "user_id": user_id})
    return one(session, author_id)


def opt(session: Session, author_id: int, *, out: bool, user_id: int | None, now: datetime) -> WishView:
    """Keep for an author, on their word given elsewhere, that the bot leaves them alone or may answer again."""
    _change(session, author_id, opted_out_at=now if out else None, opted_out_by=user_id if out else None)
    kind = "author.opted_out" if out else "author.opted_in"
    events.add(session, kind, now=now, facts={"author_id": author_id, "user_id": user_id})
    return one(session, author_id)


def _take(session: Session, author_id: int, post: Post, found: Wish, now: datetime) -> None:
    at = post.edited_at or post.created_at
    insert_new(session, _wish, [{"author_id": author_id}])
    row = session.get_one(AuthorWishRow, author_id, with_for_update=True, populate_existing=True)
    if row.asked_at is not None and at < row.asked_at:
        return
    row.asked_at = at
    if found is Wish.STOP:
        row.opted_out_at, row.opted_out_by = at, None
    else:
        row.opted_out_at, row.opted_out_by = None, None
    session.add(row)
    session.flush()
    kind = "author.opted_out" if found is Wish.STOP else "author.opted_in"
    events.add(session, kind, now=now, facts={"author_id": author_id})


def _change(session: Session, author_id: int, **values: Any) -> None:
    if session.get(AuthorRow, author_id) is None:
        raise Missing("there is no such author")
    insert_new(session, _wish, [{"author_id": author_id}])
    session.connection().execute(sa.update(_wish).where(_wish.c.author_id == author_id).values(**values))


def _query() -> sa.Select[Any]:
    speaker, muter = (table_of(UserRow).alias(name) for name in ("speaker", "muter"))
    return (
        sa.select(
            _author.c.id,
            _author.c.channel,
            _author.c.handle,
            _wish.c.opted_out_at,
            speaker.c.name.label("opted_out_by"),
            _wish.c.muted_at,
            muter.c.name.label("muted_by"),
        )
        .select_from(_author)
        .outerjoin(_wish, _wish.c.author_id == _author.c.id)
        .outerjoin(speaker, speaker.c.id == _wish.c.opted_out_by)
        .outerjoin(muter, muter.c.id == _wish.c.muted_by)
    )


def _view(row: sa.Row[Any]) -> WishView:
    return WishView(
        author_id=row.id,
        channel=row.channel,
        handle=row.handle,
        opted_out_at=row.opted_out_at,
        opted_out_by=row.opted_out_by,
        muted_at=row.muted_at,
        muted_by=row.muted_by,
    )
