"""What the bot said by itself lately, counted for every limit at once; and the brakes that a burst pulls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, select

from bot.store import events
from bot.store.refusals import Conflict
from bot.store.tables import ArticleBrakeRow, ArticleRow, Origin, PostRow, ReplyRow, ReplyState, UserRow
from bot.store.turns import Turn, take_turn
from bot.store.upsert import insert_new, table_of
from connectors.post import Post
from handoff.likeness import likeness
from handoff.traffic import Traffic

HOUR = timedelta(hours=1)

PUBLIC = (ReplyState.SENDING, ReplyState.UNKNOWN, ReplyState.SENT, ReplyState.PERSON)
"""States in which a reply is, or may be, public."""

SPOKEN = (Origin.BOT, Origin.INCIDENT, Origin.FOLLOW_UP)
"""Who speaks without a person beside each word: caps and budgets count them together."""

_reply = table_of(ReplyRow)
_post = table_of(PostRow)
_article = table_of(ArticleRow)
_brake = table_of(ArticleBrakeRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """An article that was said in a burst. said: how often then. released_at: None while it waits for a person."""

    slug: str
    pulled_at: datetime
    said: int
    released_at: datetime | None
    released_by: str | None


@dataclass(slots=True)
class Lately:
    """Counts of automatic replies within the last hour, to which those of a batch are added as they are decided."""

    everywhere: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    conversations: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    articles: Counter[str] = field(default_factory=Counter)
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    braked: frozenset[str] = frozenset()

    def add(self, *, source: str, channel: str, root_id: str | None, slug: str, text: str) -> None:
        """Count one automatic reply."""
        self._say(source, slug, text, 1)
        self.conversations[channel, root_id] += 1

    def _say(self, source: str, slug: str, text: str, times: int) -> None:
        self.everywhere += times
        self.sources[source] += times
        self.articles[slug] += times
        self.texts[source, likeness(text)] += times

    def traffic(self, post: Post, source: str, *, author_24h: int) -> Traffic:
        """Return what matters for a reply to *post*."""
        return Traffic(
            author_24h=author_24h,
            conversation=self.conversations[post.channel, post.root_id],
            source=self.sources[source],
            everywhere=self.everywhere,
            articles=dict(self.articles),
            texts={text: count for (name, text), count in self.texts.items() if name == source},
            braked=self.braked,
        )


def alone(session: Session) -> None:
    """Let no other automatic reply begin before this transaction ends: what is counted here stays true until then."""
    take_turn(session, Turn.REPLY)


def load(
    session: Session,
    *,
    now: datetime,
    states: Sequence[ReplyState],
    posts: Iterable[Post],
    but_for: int | None = None,
) -> Lately:
    """Return what the bot said by itself within the last hour, in *states*, without the reply *but_for*.

    One that left counts by when it did, one that waits by when it was decided. posts: whose conversations matter.
    """
    counted = _counted(now - HOUR, states, but_for)
    lately = Lately(braked=_braked(session))
    said = (
        sa.select(_reply.c.source, _article.c.slug, _reply.c.text, sa.func.count())
        .outerjoin_from(_reply, _article, _article.c.id == _reply.c.article_id)
        .where(counted)
        .group_by(_reply.c.source, _article.c.slug, _reply.c.text)
    )
    for source, slug, text, times in session.connection().execute(said):
        lately._say(source, slug or "", text, times)
    roots = {post.root_id for post in posts if post.root_id is not None}
    here = (
        sa.select(_reply.c.channel, _post.c.root_id, sa.func.count())
        .join_from(_reply, _post, _post.c.id == _reply.c.post_id)
        .where(counted, _post.c.root_id.in_(roots))
        .group_by(_reply.c.channel, _post.c.root_id)
    )
    for channel, root_id, times in session.connection().execute(here):
        lately.conversations[channel, root_id] += times
    return lately


def _counted(since: datetime, states: Sequence[ReplyState], but_for: int | None) -> sa.ColumnElement[bool]:
    left = _reply.c.first_sent_at > since
    waits = sa.and_(_reply.c.first_sent_at.is_(None), _reply.c.created_at > since)
    counted = sa.and_(
        _reply.c.origin.in_(SPOKEN),
        _reply.c.state.in_(states),
        sa.or_(left, waits) if ReplyState.INTENDED in states else left,
    )
    return counted if but_for is None else sa.and_(counted, _reply.c.id != but_for)


def brake_if_burst(session: Session, slug: str, *, most: int, within: timedelta, now: datetime) -> bool:
    """Pull the brake of an article whose automatic replies have come to *most* within *within*; True if it was pulled.

    After a release only what was said since counts.
    """
    row = session.get(ArticleBrakeRow, slug)
    if row is not None and row.released_at is None:
        return False
    since = now - within if row is None or row.released_at is None else max(now - within, row.released_at)
    query = (
        sa.select(sa.func.count())
        .select_from(_reply)
        .join(_article, _article.c.id == _reply.c.article_id)
        .where(
            _article.c.slug == slug,
            _reply.c.origin == Origin.BOT,
            _reply.c.state.in_(PUBLIC),
            _reply.c.first_sent_at > since,
        )
    )
    said = session.connection().execute(query).scalar_one()
    if said < most:
        return False
    insert_new(session, _brake, [{"slug": slug, "pulled_at": now, "said": said}])
    session.connection().execute(
        sa.update(_brake)
        .where(_brake.c.slug == slug)
        .values(pulled_at=now, said=said, released_at=None, released_by=None)
    )
    events.add(session, "article.braked", now=now, facts={"article": slug, "said": said})
    return True


def brakes(session: Session) -> list[Brake]:
    """Return all brakes, those that hold first, then the newest."""
    query = (
        select(ArticleBrakeRow, UserRow.name)
        .join(UserRow, table_of(UserRow).c.id == _brake.c.released_by, isouter=True)
        .order_by(_brake.c.released_at.is_not(None), _brake.c.pulled_at.desc(), _brake.c.slug)
    )
    return [
        Brake(slug=row.slug, pulled_at=row.pulled_at, said=row.said, released_at=row.released_at, released_by=name)
        for row, name in session.exec(query)
    ]


def release(session: Session, slug: str, *, user_id: int | None, now: datetime) -> Brake:
    """Let an article be said alone again. Raises Conflict when it does not wait. user_id None: the command line."""
    row = session.get(ArticleBrakeRow, slug, with_for_update=True)
    if row is None or row.released_at is not None:
        raise Conflict(f"the article {slug!r} does not wait for anybody")
    row.released_at, row.released_by = now, user_id
    session.add(row)
    session.flush()
    events.add(session, "article.released", now=now, facts={"article": slug, "user_id": user_id})
    return next(each for each in brakes(session) if each.slug == slug)


def _braked(session: Session) -> frozenset[str]:
    query = sa.select(_brake.c.slug).where(_brake.c.released_at.is_(None))
    return frozenset(row.slug for row in session.connection().execute(query))
