"""What people look up beside posts and cases: the health of sources, and the articles the bot answers from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from bot.store.paging import Slice, mark, place
from bot.store.refusals import Missing
from bot.store.tables import ArticleRow, SourceRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """Health of one source. failures: in a row."""

    name: str
    kind: str
    channel: str
    status: str
    account: str | None
    last_success_at: datetime | None
    last_error: str | None
    failures: int
    blocked_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleView:
    """An article. wordings: network or "default" -> the exact public text."""

    id: int
    slug: str
    locale: str
    title: str
    body: str
    tags: Sequence[str]
    questions: Sequence[str]
    owner: str
    wordings: Mapping[str, str]
    revision: str
    retired_at: datetime | None
    updated_at: datetime


def sources(session: Session) -> list[SourceView]:
    """Return all sources by name."""
    return [_source(row) for row in session.exec(select(SourceRow).order_by(col(SourceRow.name)))]


def source(session: Session, name: str) -> SourceView:
    """Return one source. Raises Missing."""
    row = session.get(SourceRow, name)
    if row is None:
        raise Missing("there is no such source")
    return _source(row)


def articles(
    session: Session, *, limit: int, locale: str | None = None, text: str | None = None, cursor: str | None = None
) -> Slice[ArticleView]:
    """Return *limit* articles at most, in the order they came, after *cursor*. Raises Invalid."""
    query = select(ArticleRow).order_by(col(ArticleRow.id)).limit(limit + 1)
    if locale is not None:
        query = query.where(ArticleRow.locale == locale)
    if text:
        query = query.where(col(ArticleRow.title).icontains(text, autoescape=True))
    if cursor is not None:
        query = query.where(col(ArticleRow.id) > place(cursor)[1])
    found = [_article(row) for row in session.exec(query)]
    items = found[:limit]
    return Slice(items=items, next=mark(items[-1].updated_at, items[-1].id) if len(found) > limit else None)


def article(session: Session, article_id: int) -> ArticleView:
    """Return one article. Raises Missing."""
    row = session.get(ArticleRow, article_id)
    if row is None:
        raise Missing("there is no such article")
    return _article(row)


def _source(row: SourceRow) -> SourceView:
    return SourceView(
        name=row.name,
        kind=row.kind,
        channel=row.channel,
        status=row.status,
        account=row.account_handle,
        last_success_at=row.last_success_at,
        last_error=row.last_error,
        failures=row.failures,
        blocked_until=row.blocked_until,
    )


def _article(row: ArticleRow) -> ArticleView:
    return ArticleView(
        id=row.id or 0,
        slug=row.slug,
        locale=row.locale,
        title=row.title,
        body=row.body,
        tags=tuple(row.tags or ()),
        questions=tuple(row.questions or ()),
        owner=row.owner,
        wordings=dict(row.wordings or {}),
        revision=row.revision,
        retired_at=row.retired_at,
        updated_at=row.updated_at,
    )
