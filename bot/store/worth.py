"""What became of each article: counted from replies, cases and events as they are stored, and people's ratings.

A reply counts by when it was decided. A draft that a person passed over for words of their own was rejected; one whose
very words they wrote was approved. Resolved: SETTLED after an answer its author has written nothing more in that
conversation but thanks, and nobody has reopened the case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import events
from bot.store.refusals import Conflict, Missing
from bot.store.tables import (
    ArticleRatingRow,
    ArticleRow,
    ArticleVersionRow,
    CaseRow,
    EventRow,
    Origin,
    PostRow,
    ReplyRow,
    ReplyState,
    TriageRow,
)
from bot.store.upsert import put, table_of
from bot.store.verdicts import is_rejected, is_said_by_hand
from handoff.knowledge.article import ArticleState, Audience
from handoff.knowledge.worth import NOTHING, SETTLED, Counts, Use, changed

THANKS = "praise"
"""Intent of a follow-up that says the matter is settled."""

_article = table_of(ArticleRow)
_version = table_of(ArticleVersionRow)
_reply = table_of(ReplyRow)
_post = table_of(PostRow)
_case = table_of(CaseRow)
_event = table_of(EventRow)
_triage = table_of(TriageRow)
_rating = table_of(ArticleRatingRow)

_Key = tuple[int, bool]
"""Id of an article, and whether its version in force was already in force then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingView:
    """What one person says of an article. case_id: where it was put before them, None: in general."""

    article_id: int
    case_id: int | None
    user_id: int
    is_useful: bool
    at: datetime


def uses(session: Session, *, now: datetime, within: timedelta, likely: float) -> list[Use]:
    """Return every article and what became of it, by name. within: how long ago to begin.

    likely: confidence from which on the best article beside a case counts as put before a person.
    """
    since = now - within
    found: defaultdict[_Key, dict[str, Any]] = defaultdict(dict)
    for row in session.connection().execute(_said(now, since)):
        found[row.article_id, row.is_current] |= {
            name: int(getattr(row, name) or 0)
            for name in ("alone", "by_person", "approved", "edited", "rejected", "resolved", "unresolved", "pending")
        }
    for row in session.connection().execute(_shown(since, likely)):
        found[row.article_id, row.is_current]["shown"] = row.shown
    for row in session.connection().execute(_rated(since)):
        found[row.article_id, row.is_current] |= {"useful": int(row.useful), "useless": int(row.useless)}
    for key, amounts in _changes(session, since).items():
        found[key]["changed"] = tuple(amounts)
    counts = {key: Counts(**values) for key, values in found.items()}
    query = sa.select(_article, _PUBLISHED.label("published_at")).outerjoin(_version, _in_force())
    rows = session.connection().execute(query.order_by(_article.c.slug, _article.c.locale))
    return [_use(row, counts) for row in rows]


def rate(
    session: Session, article_id: int, *, is_useful: bool, case_id: int | None, user_id: int, now: datetime
) -> RatingView:
    """Keep what a person says of an article; said again about the same case it takes the place of what was said.

    Raises Missing.
    """
    if session.get(ArticleRow, article_id) is None:
        raise Missing("there is no such article")
    if case_id is not None and session.get(CaseRow, case_id) is None:
        raise Missing("there is no such case")
    said = RatingView(article_id=article_id, case_id=case_id, user_id=user_id, is_useful=is_useful, at=now)
    where = "" if case_id is None else case_id
    put(session, _rating, [{"key": f"{article_id}:{user_id}:{where}", **asdict(said)}], key=("key",))
    facts = {"article_id": article_id, "user_id": user_id, "is_useful": is_useful}
    events.add(session, "article.rated", now=now, case_id=case_id, facts=facts)
    return said


def rate_reply(session: Session, reply_id: int, *, is_useful: bool, user_id: int, now: datetime) -> RatingView:
    """Keep what a person says of the article behind a reply. Raises Missing, Conflict when there is none."""
    row = session.get(ReplyRow, reply_id)
    if row is None:
        raise Missing("there is no such reply")
    if row.article_id is None:
        raise Conflict("this reply comes from no article; there is nothing to rate")
    return rate(session, row.article_id, is_useful=is_useful, case_id=row.case_id, user_id=user_id, now=now)


def ratings(session: Session, case_id: int, *, user_id: int) -> Mapping[int, bool]:
    """Return what a person said of the articles beside a case: id -> useful."""
    query = sa.select(_rating.c.article_id, _rating.c.is_useful).where(
        _rating.c.case_id == case_id, _rating.c.user_id == user_id
    )
    return {row.article_id: row.is_useful for row in session.connection().execute(query)}


def rating(session: Session, article_id: int, *, user_id: int) -> bool | None:
    """Return what a person said of an article in general, None when nothing."""
    query = sa.select(_rating.c.is_useful).where(_rating.c.key == f"{article_id}:{user_id}:")
    found: bool | None = session.connection().execute(query).scalar_one_or_none()
    return found


_PUBLISHED: sa.ColumnElement[datetime | None] = _version.c.published_at


def _in_force() -> sa.ColumnElement[bool]:
    return sa.and_(_version.c.article_id == _article.c.id, _version.c.number == _article.c.version)


def _is_current(at: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    return sa.or_(_PUBLISHED.is_(None), at >= _PUBLISHED)


def _said(now: datetime, since: datetime) -> sa.Select[Any]:
    """One row for each reply of an article, then their sums."""
    is_draft, is_sent = _reply.c.origin == Origin.DRAFT, _reply.c.state == ReplyState.SENT
    is_approved = sa.and_(is_draft, _reply.c.state != ReplyState.CANCELLED, _reply.c.approved_by.is_not(None))
    is_open = sa.and_(is_sent, sa.or_(_followed(), _reopened()))
    rests = sa.and_(is_sent, sa.not_(sa.or_(_followed(), _reopened())))
    is_young = _reply.c.sent_at > now - SETTLED
    flags = {
        "alone": sa.and_(_reply.c.origin == Origin.BOT, is_sent),
        "by_person": sa.and_(is_draft, is_sent),
        "approved": sa.or_(sa.and_(is_approved, _reply.c.is_edited.is_(False)), is_said_by_hand()),
        "edited": sa.and_(is_approved, _reply.c.is_edited.is_(True)),
        "rejected": is_rejected(),
        "unresolved": is_open,
        "resolved": sa.and_(rests, sa.not_(is_young)),
        "pending": sa.and_(rests, is_young),
    }
    each = (
        sa.select(
            _reply.c.article_id,
            _is_current(_reply.c.created_at).label("is_current"),
            *(sa.case((flag, 1), else_=0).label(name) for name, flag in flags.items()),
        )
        .join(_post, _post.c.id == _reply.c.post_id)
        .join(_article, _article.c.id == _reply.c.article_id)
        .outerjoin(_version, _in_force())
        .where(_reply.c.created_at > since, _reply.c.origin.in_((Origin.BOT, Origin.DRAFT)))
        .subquery()
    )
    sums = (sa.func.sum(each.c[name]).label(name) for name in flags)
    return sa.select(each.c.article_id, each.c.is_current, *sums).group_by(each.c.article_id, each.c.is_current)


def _followed() -> sa.ColumnElement[bool]:
    """Its author wrote again in that conversation within SETTLED, and not to say thanks."""
    later, judged = _post.alias("later"), _triage.alias("judged")
    wrote, said = (sa.type_coerce(column, sa.BigInteger) for column in (later.c.created_at, _reply.c.sent_at))
    is_thanks = sa.exists().where(
        judged.c.post_id == later.c.id, judged.c.intent == THANKS, judged.c.sentiment != "negative"
    )
    return sa.exists().where(
        later.c.author_id == _post.c.author_id,
        later.c.id != _post.c.id,
        sa.or_(later.c.root_id == _post.c.root_id, later.c.parent_id == _reply.c.remote_id),
        wrote > said,
        wrote <= said + SETTLED // timedelta(microseconds=1),
        sa.not_(is_thanks),
    )


def _reopened() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        _event.c.case_id == _reply.c.case_id, _event.c.kind == "case.reopened", _event.c.at > _reply.c.sent_at
    )


def _shown(since: datetime, likely: float) -> sa.Select[Any]:
    """Count the posts for which an article was used, or stood first beside a case."""
    first = _case.c.context
    suggested = sa.select(
        first[("answers", 0, "article_id")].as_integer().label("article_id"),
        _case.c.post_id.label("post_id"),
        _case.c.opened_at.label("at"),
    ).where(_case.c.opened_at > since, first[("answers", 0, "confidence")].as_float() >= likely)
    used = sa.select(_reply.c.article_id, _reply.c.post_id, _reply.c.created_at).where(
        _reply.c.created_at > since, _reply.c.article_id.is_not(None)
    )
    each = sa.union_all(suggested, used).subquery()
    is_current = _is_current(each.c.at).label("is_current")
    return (
        sa.select(each.c.article_id, is_current, sa.func.count(each.c.post_id.distinct()).label("shown"))
        .join(_article, _article.c.id == each.c.article_id)
        .outerjoin(_version, _in_force())
        .group_by(each.c.article_id, is_current)
    )


def _rated(since: datetime) -> sa.Select[Any]:
    is_current = _is_current(_rating.c.at).label("is_current")
    useful = sa.func.sum(sa.case((_rating.c.is_useful, 1), else_=0))
    return (
        sa.select(
            _rating.c.article_id,
            is_current,
            useful.label("useful"),
            (sa.func.count() - useful).label("useless"),
        )
        .join(_article, _article.c.id == _rating.c.article_id)
        .outerjoin(_version, _in_force())
        .where(_rating.c.at > since)
        .group_by(_rating.c.article_id, is_current)
    )


def _changes(session: Session, since: datetime) -> dict[_Key, list[float]]:
    """Return by how much approved drafts were changed."""
    query = (
        sa.select(
            _reply.c.article_id,
            _is_current(_reply.c.created_at).label("is_current"),
            _reply.c.prepared,
            _reply.c.text,
        )
        .join(_article, _article.c.id == _reply.c.article_id)
        .outerjoin(_version, _in_force())
        .where(
            _reply.c.created_at > since,
            _reply.c.origin == Origin.DRAFT,
            _reply.c.state != ReplyState.CANCELLED,
            _reply.c.approved_by.is_not(None),
            _reply.c.is_edited.is_(True),
            _reply.c.prepared.is_not(None),
        )
        .order_by(_reply.c.created_at.desc(), _reply.c.id.desc())
        .limit(MOST_COMPARED)
    )
    found: defaultdict[_Key, list[float]] = defaultdict(list)
    for row in session.connection().execute(query):
        found[row.article_id, row.is_current].append(changed(row.prepared, row.text))
    return found


MOST_COMPARED = 2_000
"""Newest edited drafts whose words are compared; the average of more would say the same."""


def _use(row: Any, counts: Mapping[_Key, Counts]) -> Use:
    before, since = counts.get((row.id, False), NOTHING), counts.get((row.id, True), NOTHING)
    return Use(
        article_id=row.id,
        name=f"{row.slug}.{row.locale}",
        title=row.title,
        state=ArticleState(row.state),
        audience=Audience(row.audience),
        owner=row.owner,
        version=row.version,
        in_force_since=row.published_at or (row.updated_at if row.state == ArticleState.PUBLISHED else None),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        review_by=row.review_by,
        within=_sum(before, since),
        in_force=since,
    )


def _sum(*parts: Counts) -> Counts:
    names: Sequence[str] = [name for name in Counts.__dataclass_fields__ if name != "changed"]
    totals = {name: sum(getattr(part, name) for part in parts) for name in names}
    return Counts(**totals, changed=tuple(amount for part in parts for amount in part.changed))
