"""Posts: taken in once, kept in step with the network, read back as the values connectors speak."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events, jobs, own_labels, wishes
from bot.store.tables import (
    AuthorRow,
    CaseRow,
    CursorRow,
    DeliveryRow,
    Outcome,
    PostRow,
    QuarantineRow,
    ReplyRow,
    ReplyState,
    Stage,
    TriageRow,
)
from bot.store.upsert import insert_new, insert_new_returning, put, table_of
from connectors.post import Author, Post, PostKind
from connectors.protocol import Cursor, Delivered, Page

MAX_RAW = 20_000
"""Characters kept of an item nobody could read."""

WITHDRAWABLE = (ReplyState.DRAFTED, ReplyState.INTENDED)
"""States in which a reply can still be stopped."""

_post = table_of(PostRow)
_author = table_of(AuthorRow)
_reply = table_of(ReplyRow)
_triage = table_of(TriageRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What one page brought. new: ids of posts seen for the first time."""

    new: Sequence[int]
    edited: int = 0
    deleted: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A stored post with what the store knows beyond the network."""

    id: int
    post: Post
    source: str
    author_id: int
    edits: int
    outcome: str
    deleted: bool
    checked_at: datetime


def errand(post_id: int, edits: int) -> str:
    """Return the key of a post's errands: an edited post is judged and decided anew, each edit once."""
    return f"{post_id}.{edits}"


def read_errand(key: str) -> tuple[int, int]:
    """Return post id and number of edits of an errand's key."""
    post_id, _, edits = key.partition(".")
    return int(post_id), int(edits)


def ingest(session: Session, page: Page, *, source: str, stream: str, now: datetime, cursor: Cursor | None) -> Ingested:
    """Take a page in: authors, posts, errands, events and *cursor* together or not at all.

    A post that is known stays one post: another revision updates it and sends it through again. cursor None: the
    stream has none (pushed).
    """
    posts = {post.key: post for post in page.posts}  # the last of two equal ids in one page is the newest
    authors = _author_ids(session, posts.values())
    known = _known(session, posts.values())
    fresh = [post for post in posts.values() if post.key not in known]
    rows = insert_new_returning(
        session,
        _post,
        [_new_row(post, authors[post.author.channel, post.author.id], source, stream, now) for post in fresh],
        _post.c.id,
        _post.c.is_own,
        _post.c.created_at,
        _post.c.channel,
        _post.c.external_id,
    )
    heard = [posts[f"{row.channel}:{row.external_id}"] for row in rows]
    new = [row.id for row in rows]
    log: list[dict[str, Any]] = [events.row("post.ingested", now=now, post_id=post_id) for post_id in new]
    jobs.add_all(session, [jobs.row(Stage.TRIAGE, errand(row.id, 0), now=now) for row in rows if not row.is_own])
    edited = 0
    for key, (post_id, revision, edits, deleted_at, addressed) in known.items():
        post = posts[key]
        # A post first found by search that turns out to speak to us is as good as a new one.
        is_other = post.revision != revision or (post.addressed and not addressed)
        if is_other and deleted_at is None and not post.is_own:
            _edit(session, post_id, edits + 1, post, now)
            log.append(events.row("post.edited", now=now, post_id=post_id))
            heard.append(post)
            edited += 1
    wishes.heed(session, [(authors[post.author.channel, post.author.id], post) for post in heard], now=now)
    deleted = mark_deleted(session, _ids_of(session, source, page.deleted), now=now) if page.deleted else 0
    events.add_all(session, log)
    _quarantine(session, page, source, stream, now)
    if cursor is not None:
        put(
            session,
            table_of(CursorRow),
            [{"source": source, "stream": stream, "value": cursor, "updated_at": now}],
            key=("source", "stream"),
        )
    return Ingested(new=new, edited=edited, deleted=deleted, bad=len(page.bad))


def cursor(session: Session, source: str, stream: str) -> Cursor | None:
    """Return how far *stream* has been read, None for a first visit."""
    row = session.get(CursorRow, (source, stream))
    return None if row is None else row.value


def mark_deleted(session: Session, post_ids: Sequence[int], *, now: datetime) -> int:
    """Follow the network: the text goes, everywhere, and nothing is said to it any more. Return how many were new."""
    if not post_ids:
        return 0
    gone = session.connection().execute(
        sa.update(_post)
        .where(_post.c.id.in_(post_ids), _post.c.deleted_at.is_(None))
        .values(
            deleted_at=now, text="", title="", revision="", facts={}, outcome=Outcome.DELETED, edits=_post.c.edits + 1
        )
        .returning(_post.c.id)
    )
    ids = [row.id for row in gone]
    if not ids:
        return 0
    session.connection().execute(sa.update(_triage).where(_triage.c.post_id.in_(ids)).values(embedding=b""))
    own_labels.forget_posts(session, ids, now=now)
    withdraw(session, ids, reason="the post was deleted", now=now)
    _forget_in_cases(session, ids)
    events.add_all(session, [events.row("post.deleted", now=now, post_id=post_id) for post_id in ids])
    return len(ids)


def withdraw(session: Session, post_ids: Sequence[int], *, reason: str, now: datetime) -> None:
    """Cancel every reply to these posts that has not left yet."""
    stopped = session.connection().execute(
        sa.update(_reply)
        .where(_reply.c.post_id.in_(post_ids), _reply.c.state.in_(WITHDRAWABLE))
        .values(state=ReplyState.CANCELLED, reason=reason)
        .returning(_reply.c.id, _reply.c.post_id)
    )
    events.add_all(
        session,
        [
            events.row("reply.cancelled", now=now, post_id=row.post_id, reply_id=row.id, facts={"reason": reason})
            for row in stopped
        ],
    )


def kept(session: Session, post_ids: Iterable[int]) -> dict[int, Kept]:
    """Return posts by id."""
    return {each.id: each for each in select_kept(session, _post.c.id.in_(list(post_ids)))}


def select_kept(session: Session, *where: sa.ColumnElement[bool], limit: int | None = None) -> list[Kept]:
    """Return the posts that *where* selects, oldest first."""
    query = (
        sa.select(_post, *(column.label(f"by_{column.name}") for column in _author.c))
        .join(_author, _post.c.author_id == _author.c.id)
        .where(*where)
        .order_by(_post.c.created_at, _post.c.id)
        .limit(limit)
    )
    return [kept_of(dict(row._mapping)) for row in session.connection().execute(query)]


def kept_of(row: Mapping[str, Any]) -> Kept:
    """Return the value of one joined row."""
    author = Author(
        channel=row["by_channel"],
        id=row["by_external_id"],
        handle=row["by_handle"],
        display_name=row["by_display_name"],
        url=row["by_url"],
        followers=row["by_followers"],
        is_bot=row["by_is_bot"],
    )
    post = Post(
        channel=row["channel"],
        id=row["external_id"],
        author=author,
        text=row["text"],
        created_at=row["created_at"],
        kind=PostKind(row["kind"]),
        title=row["title"],
        url=row["url"],
        language=row["language"],
        parent_id=row["parent_id"],
        root_id=row["root_id"],
        edited_at=row["edited_at"],
        addressed=row["addressed"],
        is_own=row["is_own"],
        is_private=row["is_private"],
        place=row["place"],
        facts=row["facts"] or {},
    )
    return Kept(
        id=row["id"],
        post=post,
        source=row["source"],
        author_id=row["author_id"],
        edits=row["edits"],
        outcome=row["outcome"],
        deleted=row["deleted_at"] is not None,
        checked_at=row["checked_at"],
    )


def due_for_recheck(session: Session, source: str, *, before: datetime, limit: int) -> list[str]:
    """Return network ids of kept posts of *source* not looked up since *before*, newest first."""
    query = (
        select(PostRow.external_id)
        .where(PostRow.source == source, col(PostRow.deleted_at).is_(None), col(PostRow.checked_at) < before)
        .order_by(col(PostRow.checked_at))
        .limit(limit)
    )
    return list(session.exec(query))


def apply_recheck(
    session: Session, source: str, asked: Sequence[str], found: Mapping[str, Post | None], *, now: datetime
) -> Ingested:
    """Follow edits and deletions that a look-up of *asked* showed; what could not be read stays as it is."""
    known = sa.select(_post.c.external_id, _post.c.id).where(_post.c.source == source, _post.c.external_id.in_(asked))
    ids = {row.external_id: row.id for row in session.connection().execute(known)}
    gone = mark_deleted(session, [ids[key] for key, post in found.items() if post is None and key in ids], now=now)
    there = [post for key, post in found.items() if post is not None and key in ids]
    session.connection().execute(sa.update(_post).where(_post.c.id.in_(ids.values())).values(checked_at=now))
    seen = ingest(session, Page(posts=there, cursor=""), source=source, stream="recheck", now=now, cursor=None)
    return Ingested(new=seen.new, edited=seen.edited, deleted=gone)


def take_in_delivery(
    session: Session, delivered: Delivered, *, source: str, body_hash: str, now: datetime
) -> bool | None:
    """Take a pushed delivery in, once. True: new. False: the same again. None: the same id with another body."""
    known = session.get(DeliveryRow, (source, delivered.id))
    if known is not None:
        return False if known.body_hash == body_hash else None
    row = {"source": source, "delivery_id": delivered.id, "body_hash": body_hash, "at": now}
    if not insert_new_returning(session, table_of(DeliveryRow), [row], table_of(DeliveryRow).c.source):
        return False
    ingest(session, delivered.page, source=source, stream="pushed", now=now, cursor=None)
    return True


def _author_ids(session: Session, posts: Iterable[Post]) -> dict[tuple[str, str], int]:
    wanted = {(post.author.channel, post.author.id): post.author for post in posts}
    if not wanted:
        return {}
    found = _authors(session, wanted)
    values = {
        key: {
            "channel": author.channel,
            "external_id": author.id,
            "handle": author.handle,
            "display_name": author.display_name,
            "url": author.url,
            "followers": author.followers,
            "is_bot": author.is_bot,
        }
        for key, author in wanted.items()
    }
    stale = [
        {"b_id": found[key].id, "handle": value["handle"], "display_name": value["display_name"]}
        for key, value in values.items()
        if key in found and (found[key].handle, found[key].display_name) != (value["handle"], value["display_name"])
    ]
    if stale:
        session.connection().execute(sa.update(_author).where(_author.c.id == sa.bindparam("b_id")), stale)
    missing = [value for key, value in values.items() if key not in found]
    ids = {key: row.id for key, row in found.items()}
    columns = (_author.c.id, _author.c.channel, _author.c.external_id)
    for row in insert_new_returning(session, _author, missing, *columns):
        ids[row.channel, row.external_id] = row.id
    if len(ids) < len(wanted):  # another source met the same author at the same moment
        ids |= {key: row.id for key, row in _authors(session, wanted).items()}
    return ids


def _authors(session: Session, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    by_channel: dict[str, list[str]] = {}
    for channel, external_id in wanted:
        by_channel.setdefault(channel, []).append(external_id)
    found: dict[tuple[str, str], Any] = {}
    for channel, ids in by_channel.items():
        query = sa.select(_author.c.id, _author.c.external_id, _author.c.handle, _author.c.display_name).where(
            _author.c.channel == channel, _author.c.external_id.in_(ids)
        )
        found |= {(channel, row.external_id): row for row in session.connection().execute(query)}
    return found


def _known(session: Session, posts: Iterable[Post]) -> dict[str, tuple[int, str, int, datetime | None, bool]]:
    by_channel: dict[str, list[str]] = {}
    for post in posts:
        by_channel.setdefault(post.channel, []).append(post.id)
    known: dict[str, tuple[int, str, int, datetime | None, bool]] = {}
    for channel, ids in by_channel.items():
        columns = ("id", "external_id", "revision", "edits", "deleted_at", "addressed")
        query = sa.select(*(_post.c[name] for name in columns)).where(
            _post.c.channel == channel, _post.c.external_id.in_(ids)
        )
        for row in session.connection().execute(query):
            known[f"{channel}:{row.external_id}"] = (
                row.id,
                row.revision,
                row.edits,
                row.deleted_at,
                row.addressed,
            )
    return known


def _new_row(post: Post, author_id: int, source: str, stream: str, now: datetime) -> dict[str, Any]:
    return {
        "channel": post.channel,
        "external_id": post.id,
        "source": source,
        "stream": stream,
        "author_id": author_id,
        "kind": post.kind,
        "title": post.title,
        "text": post.text,
        "revision": post.revision,
        "edits": 0,
        "url": post.url,
        "language": post.language,
        "parent_id": post.parent_id,
        "root_id": post.root_id,
        "place": post.place,
        "addressed": post.addressed,
        "is_own": post.is_own,
        "is_private": post.is_private,
        "facts": dict(post.facts),
        "created_at": post.created_at,
        "ingested_at": now,
        "edited_at": post.edited_at,
        "checked_at": now,
        "outcome": Outcome.OWN if post.is_own else Outcome.OPEN,
    }


def _edit(session: Session, post_id: int, edits: int, post: Post, now: datetime) -> None:
    session.connection().execute(
        sa.update(_post)
        .where(_post.c.id == post_id)
        .values(
            title=post.title,
            text=post.text,
            revision=post.revision,
            edits=edits,
            edited_at=post.edited_at or now,
            facts=dict(post.facts),
            addressed=sa.or_(_post.c.addressed, sa.literal(post.addressed)),
            checked_at=now,
            outcome=Outcome.OPEN,
        )
    )
    withdraw(session, [post_id], reason="the post was edited", now=now)
    jobs.add(session, Stage.TRIAGE, errand(post_id, edits), now=now)


def _ids_of(session: Session, source: str, external_ids: Sequence[str]) -> list[int]:
    query = select(PostRow.id).where(PostRow.source == source, col(PostRow.external_id).in_(external_ids))
    return [post_id for post_id in session.exec(query) if post_id is not None]


def _forget_in_cases(session: Session, post_ids: Sequence[int]) -> None:
    """Take the text of deleted posts out of what cases remember of them."""

    case = table_of(CaseRow)
    names = sa.select((_post.c.channel + ":" + _post.c.external_id).label("key")).where(_post.c.id.in_(post_ids))
    keys = {row.key for row in session.connection().execute(names)}
    authors = sa.select(_post.c.author_id).where(_post.c.id.in_(post_ids))
    roots = sa.select(_post.c.root_id).where(_post.c.id.in_(post_ids))
    touched = session.connection().execute(
        sa.select(case.c.id, case.c.context).where(sa.or_(case.c.author_id.in_(authors), case.c.root_id.in_(roots)))
    )
    for row in touched.all():
        session.connection().execute(
            sa.update(case).where(case.c.id == row.id).values(context=without(row.context, keys))
        )
        if (row.context.get("post") or {}).get("key") in keys:
            session.connection().execute(sa.update(case).where(case.c.id == row.id).values(title="(deleted post)"))


def without(context: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    """Return a case's context with the text of the posts *keys* taken out."""
    clean = dict(context)
    for part in ("thread", "history"):
        clean[part] = [
            each | {"text": "", "deleted": True} if each.get("key") in keys else each for each in context.get(part, [])
        ]
    post = context.get("post") or {}
    if post.get("key") in keys:
        clean["post"] = post | {"text": "", "title": "", "deleted": True}
    return clean


def _quarantine(session: Session, page: Page, source: str, stream: str, now: datetime) -> None:
    insert_new(
        session,
        table_of(QuarantineRow),
        [
            {
                "source": source,
                "stream": stream,
                "digest": hashlib.sha256(f"{source}\0{item.raw}".encode("utf-8", "replace")).hexdigest(),
                "reason": item.reason[:500],
                "raw": item.raw[:MAX_RAW],
                "at": now,
            }
            for item in page.bad
        ],
    )
