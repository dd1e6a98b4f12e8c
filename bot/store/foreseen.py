"""An incident that people know of before it is measured: what it may be about, and opening it by hand.

It gathers posts of its topic from then on, as a measured one. Its case is opened with its first post
(``opening.open_cases``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import events, gathering, incident_steps, incidents, opening, own_labels
from bot.store.gathering import Heard
from bot.store.incidents import IncidentView
from bot.store.refusals import Conflict, Invalid
from bot.store.tables import AuthorRow, IncidentPostRow, IncidentRow, Outcome, PostRow, PostTopicRow, TriageRow
from bot.store.turns import Turn, take_turn
from bot.store.upsert import table_of
from classifiers.own import NONE
from classifiers.triage import INTENTS
from connectors.post import storable
from handoff.incident import centre, told
from handoff.policy import Policy

MAX_NAME = 100
MAX_WHY = 500
MAX_POSTS = 200

OFFERED = 30
"""Posts shown to choose from."""

LATELY = timedelta(days=1)
"""How old they may be."""

_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_topic = table_of(PostTopicRow)
_post = table_of(PostRow)
_author = table_of(AuthorRow)
_triage = table_of(TriageRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A post of a topic that no incident has."""

    post_id: int
    channel: str
    source: str
    handle: str
    text: str
    at: datetime


def topics(session: Session, *, policy: Policy, now: datetime) -> list[tuple[str, str]]:
    """Return every topic that posts may count under, with its words: intents, articles in force, own labels."""
    found = [f"intent:{intent}" for intent in INTENTS if intent not in policy.settings.ignore]
    found += [f"article:{slug}" for slug, _ in incident_steps.choices(session, now=now)]
    found += [
        f"label:{name}:{label}"
        for name, labels in own_labels.names(session).items()
        for label in labels
        if label != NONE
    ]
    return [(topic, told(topic)) for topic in found]


def offered(session: Session, topic: str, *, now: datetime) -> list[Offered]:
    """Return the newest posts of *topic* that a fresh incident could begin with."""
    query = (
        sa.select(_post.c.id, _post.c.channel, _post.c.source, _author.c.handle, _post.c.text, _post.c.created_at)
        .join_from(_topic, _post, _post.c.id == _topic.c.post_id)
        .join(_author, _author.c.id == _post.c.author_id)
        .outerjoin(_linked, _linked.c.post_id == _post.c.id)
        .where(
            _topic.c.topic == topic,
            _topic.c.at > now - LATELY,
            _linked.c.post_id.is_(None),
            _post.c.deleted_at.is_(None),
            _post.c.outcome != Outcome.OPEN,
        )
        .order_by(_topic.c.at.desc(), _post.c.id.desc())
        .limit(OFFERED)
    )
    return [
        Offered(
            post_id=row.id,
            channel=row.channel,
            source=row.source,
            handle=row.handle,
            text=row.text,
            at=row.created_at,
        )
        for row in session.connection().execute(query)
    ]


def open_one(
    session: Session,
    topic: str,
    *,
    why: str,
    name: str = "",
    posts: Sequence[int] = (),
    policy: Policy,
    who: str,
    user_id: int | None,
    now: datetime,
) -> IncidentView:
    """Open an incident of *topic* by hand. posts: ids of those that belong already, whatever they count under.

    Raises Invalid, Conflict.
    """
    words, reason, about = _line(name), _line(why), topic.strip()
    if not reason or len(reason) > MAX_WHY:
        raise Invalid(f"say in 1 to {MAX_WHY} characters why it is opened; it stays in the record")
    if len(words) > MAX_NAME:
        raise Invalid(f"a name has {MAX_NAME} characters at most")
    if about not in dict(topics(session, policy=policy, now=now)):
        raise Invalid(_unknown(about, policy))
    take_turn(session, Turn.INCIDENT)
    _refuse_held(session, about)
    found = _to_begin_with(session, list(dict.fromkeys(posts)))
    meant = centre([bytes(row.embedding or b"") for row in found], share=1.0)
    number = opening.insert(
        session,
        {
            "topic": about,
            "name": words,
            "why": reason,
            "opened_at": now,
            "opened_by": user_id,
            "opened_who": who,
            "first_at": min((row.created_at for row in found), default=now),
            "minutes": 0.0,
            "observed": 0,
            "expected": 0.0,
            "centre": b"" if meant is None else meant.vector,
            "reach": 0.0 if meant is None else meant.reach,
            "pace": policy.settings.incidents.pace,
        },
    )
    if number is None:
        raise Conflict(f"somebody has just opened an incident about {told(about)}; look again")
    _begin(session, number, found, now)
    facts = {"incident": number, "topic": about, "by_hand": True, "user_id": user_id}
    events.add(session, "incident.opened", now=now, facts=facts)
    return incidents.one(session, number)


def _begin(session: Session, number: int, found: Sequence[Any], now: datetime) -> None:
    heard = [
        Heard(post_id=row.id, author_id=row.author_id, at=row.created_at, topics=(), incident=number) for row in found
    ]
    linked = gathering.link(session, heard, now=now)
    if len(linked) < len(found):
        raise Conflict("another incident has just taken one of these posts; look again")
    opening.fold(session, number, list(linked), now=now)


def _refuse_held(session: Session, topic: str) -> None:
    query = sa.select(_incident.c.id, _incident.c.merged_into).where(
        _incident.c.topic == topic, _incident.c.is_gathering.is_(True)
    )
    if (held := session.connection().execute(query).first()) is not None:
        raise Conflict(f"incident {held.merged_into or held.id} gathers {told(topic)} already; go on there")


def _to_begin_with(session: Session, ids: Sequence[int]) -> list[Any]:
    """Return the posts, in the order given. Raises Invalid, Conflict, naming the first that cannot be taken."""
    if len(ids) > MAX_POSTS:
        raise Invalid(
            f"an incident begins with {MAX_POSTS} posts at most; what is written from then on gathers by itself"
        )
    query = (
        sa.select(
            *(_post.c.id, _post.c.author_id, _post.c.created_at, _post.c.is_own, _post.c.deleted_at, _post.c.outcome),
            *(_linked.c.incident_id, _linked.c.taken_out_at, _triage.c.embedding),
        )
        .outerjoin_from(_post, _linked, _linked.c.post_id == _post.c.id)
        .outerjoin(_triage, _triage.c.post_id == _post.c.id)
        .where(_post.c.id.in_(ids))
    )
    found = {row.id: row for row in session.connection().execute(query)}
    for number in ids:
        row = found.get(number)
        if row is None:
            raise Invalid(f"there is no post {number}")
        if row.is_own:
            raise Invalid(f"post {number} is our own")
        if row.deleted_at is not None:
            raise Invalid(f"post {number} was deleted")
        if row.taken_out_at is not None:
            raise Conflict(f"post {number} was taken out of incident {row.incident_id}; it is never gathered again")
        if row.incident_id is not None:
            raise Conflict(f"incident {row.incident_id} has post {number} already")
        if row.outcome == Outcome.OPEN:
            raise Conflict(f"post {number} is not decided yet; try again in a moment")
    return [found[number] for number in ids]


def _line(text: str) -> str:
    return " ".join(storable(text).split())


def _unknown(topic: str, policy: Policy) -> str:
    kind, _, name = topic.partition(":")
    if kind == "intent" and name in policy.settings.ignore:
        return f"posts of the intent {name} are ignored (handoff.ignore), so nothing would gather; choose another topic"
    return (
        f"there is no topic {topic[:80]!r}; a topic is intent: and an intent, article: and the slug of an article in "
        "force, or label: with a set and a label of your own, such as label:product:tv"
    )
