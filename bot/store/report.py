"""What people look up beside posts and cases: the health of sources, and the articles the bot answers from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.paging import Slice, mark, place
from bot.store.refusals import Missing
from bot.store.tables import ArticleRow, SourceRow
from handoff.knowledge.article import DEFAULT_LOCALE, ArticleState


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
    """An article. wordings: network or "default" -> the exact public text.

    state: of the article; open_state: of a newer version that is being worked on. version: number of what is in force,
    0 for none; newest: of the newest version. is_outdated: the main locale's article has changed since this translated
    it. Times of validity: until is no longer included.
    """

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
    state: str
    open_state: str | None
    version: int
    newest: int
    reviewer: str
    audience: str
    brand: str
    topics: Sequence[str]
    valid_from: datetime | None
    valid_until: datetime | None
    review_by: date | None
    translation_of: str
    is_outdated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleFilter:
    """Which articles. state: of the article or of what is being worked on. due_by: to be reviewed until then."""

    text: str | None = None
    locale: str | None = None
    state: str | None = None
    brand: str | None = None
    audience: str | None = None
    due_by: date | None = None


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
    session: Session,
    wanted: ArticleFilter,
    *,
    limit: int,
    cursor: str | None = None,
    main_locale: str = DEFAULT_LOCALE,
) -> Slice[ArticleView]:
    """Return *limit* articles at most, in the order they came, after *cursor*. Raises Invalid."""
    query = select(ArticleRow).order_by(col(ArticleRow.id)).limit(limit + 1)
    for column, value in ((ArticleRow.locale, wanted.locale), (ArticleRow.audience, wanted.audience)):
        if value is not None:
            query = query.where(column == value)
    if wanted.brand is not None:
        query = query.where(ArticleRow.brand == wanted.brand)
    if wanted.state is not None:
        query = query.where(sa.or_(col(ArticleRow.state) == wanted.state, col(ArticleRow.open_state) == wanted.state))
    if wanted.due_by is not None:
        query = query.where(ArticleRow.state == ArticleState.PUBLISHED, col(ArticleRow.review_by) <= wanted.due_by)
    if wanted.text:
        query = query.where(col(ArticleRow.title).icontains(wanted.text, autoescape=True))
    if cursor is not None:
        query = query.where(col(ArticleRow.id) > place(cursor)[1])
    found = list(session.exec(query))
    mains = _mains(session, [row.slug for row in found], main_locale)
    items = [_article(row, mains, main_locale) for row in found[:limit]]
    return Slice(items=items, next=mark(items[-1].updated_at, items[-1].id) if len(found) > limit else None)


def article(session: Session, article_id: int, *, main_locale: str = DEFAULT_LOCALE) -> ArticleView:
    """Return one article. Raises Missing."""
    row = session.get(ArticleRow, article_id)
    if row is None:
        raise Missing("there is no such article")
    return _article(row, _mains(session, [row.slug], main_locale), main_locale)


def variants(session: Session, slug: str, *, main_locale: str = DEFAULT_LOCALE) -> list[ArticleView]:
    """Return all languages of one matter, by locale."""
    query = select(ArticleRow).where(ArticleRow.slug == slug).order_by(col(ArticleRow.locale))
    mains = _mains(session, [slug], main_locale)
    return [_article(row, mains, main_locale) for row in session.exec(query)]


def brands(session: Session) -> list[str]:
    """Return the brands that articles name, sorted."""
    return sorted(each for each in session.exec(select(ArticleRow.brand).distinct()) if each)


def locales(session: Session) -> list[str]:
    """Return the locales that there are, sorted."""
    return sorted(session.exec(select(ArticleRow.locale).distinct()))


def _mains(session: Session, slugs: Sequence[str], main_locale: str) -> dict[str, tuple[str, datetime]]:
    query = select(ArticleRow.slug, ArticleRow.revision, ArticleRow.updated_at).where(
        col(ArticleRow.slug).in_(slugs),
        ArticleRow.locale == main_locale,
        ArticleRow.state == ArticleState.PUBLISHED,
    )
    return {slug: (revision, updated_at) for slug, revision, updated_at in session.exec(query)}


def _is_outdated(row: ArticleRow, mains: Mapping[str, tuple[str, datetime]], main_locale: str) -> bool:
    if row.locale == main_locale or row.slug not in mains:
        return False
    revision, updated_at = mains[row.slug]
    # Nobody said which version it renders: then the later of the two is right.
    return row.translation_of != revision if row.translation_of else row.updated_at < updated_at


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


def _article(row: ArticleRow, mains: Mapping[str, tuple[str, datetime]], main_locale: str) -> ArticleView:
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
        state=row.state,
        open_state=row.open_state,
        version=row.version,
        newest=row.newest,
        reviewer=row.reviewer,
        audience=row.audience,
        brand=row.brand,
        topics=tuple(row.topics or ()),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        review_by=row.review_by,
        translation_of=row.translation_of,
        is_outdated=_is_outdated(row, mains, main_locale),
    )
