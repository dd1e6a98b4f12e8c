"""How often topics came up: what the detector counts, without the posts that incidents have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store.tables import IncidentPostRow, PostTopicRow
from bot.store.upsert import table_of
from handoff.burst import DAYS, RECENT, windows
from handoff.policy import IncidentSettings

AHEAD = timedelta(minutes=5)
"""A network's clock may be so much before ours."""

_HOUR = 3_600_000_000
_topic = table_of(PostTopicRow)
_linked = table_of(IncidentPostRow)


def counted(session: Session, settings: IncidentSettings, *, now: datetime) -> list[tuple[str, dict[float, int], int]]:
    """Return topic, window -> authors, and authors just before the longest window, of topics worth a look."""
    spans = sorted(windows(settings), reverse=True)
    hot = _authors(session, now - timedelta(minutes=spans[0]), now + AHEAD, least=settings.min_posts)
    if not hot:
        return []
    found: dict[str, dict[float, int]] = {topic: {spans[0]: count} for topic, count in hot.items()}
    for span in spans[1:]:
        seen = _authors(session, now - timedelta(minutes=span), now + AHEAD, among=list(hot))
        for topic in hot:
            found[topic][span] = seen.get(topic, 0)
    ends = now - timedelta(minutes=spans[0])
    recent = _authors(session, ends - RECENT, ends, among=list(hot))
    return [(topic, seen, recent.get(topic, 0)) for topic, seen in found.items()]


def since(session: Session) -> datetime | None:
    """Return when the first post was written that counts under any topic."""
    return session.exec(select(PostTopicRow.at).order_by(col(PostTopicRow.at)).limit(1)).first()


def hours(session: Session, topic: str, *, now: datetime) -> dict[int, int]:
    """Return authors in each hour of the topic's history, without posts of incidents; hour: number since 1970."""
    hour = (sa.type_coerce(_topic.c.at, sa.BigInteger) // _HOUR).label("hour")
    query = (
        sa.select(hour, sa.func.count(_topic.c.author_id.distinct()).label("authors"))
        .outerjoin_from(_topic, _linked, _linked.c.post_id == _topic.c.post_id)
        .where(_topic.c.topic == topic, _topic.c.at > now - timedelta(days=DAYS + 1), _linked.c.post_id.is_(None))
        .group_by(hour)
    )
    return {int(row.hour): int(row.authors) for row in session.connection().execute(query)}


def _authors(
    session: Session, after: datetime, until: datetime, *, least: int = 1, among: Sequence[str] | None = None
) -> dict[str, int]:
    authors = sa.func.count(_topic.c.author_id.distinct())
    query = (
        sa.select(_topic.c.topic, authors.label("authors"))
        .outerjoin_from(_topic, _linked, _linked.c.post_id == _topic.c.post_id)
        .where(_topic.c.at > after, _topic.c.at <= until, _linked.c.post_id.is_(None))
        .group_by(_topic.c.topic)
        .having(authors >= least)
    )
    if among is not None:
        query = query.where(_topic.c.topic.in_(among))
    return {row.topic: int(row.authors) for row in session.connection().execute(query)}
