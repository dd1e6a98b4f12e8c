"""Incidents: what the detector counts, opening one with its one case, what people decide about it, and how it looks.

Who is answered, and when, is in campaigns.py; which posts an open incident has is in gathering.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import articles, cases, events, gathering, jobs, situations
from bot.store.cases import Late
from bot.store.gathering import Heard
from bot.store.posts import errand
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.situations import Known
from bot.store.tables import (
    ArticleRow,
    AuthorRow,
    CasePostRow,
    CaseRow,
    IncidentPostRow,
    IncidentReplyRow,
    IncidentRow,
    JobRow,
    Origin,
    Outcome,
    PostRow,
    PostTopicRow,
    ReplyRow,
    ReplyState,
    Stage,
    TriageRow,
)
from bot.store.turns import Turn, take_turn
from bot.store.upsert import insert_new, insert_new_returning, table_of
from handoff.burst import DAYS, RECENT, Burst, windows
from handoff.case import CaseState
from handoff.incident import Part, Watched, centre, gathers, told
from handoff.knowledge.article import Article, ArticleState
from handoff.policy import IncidentSettings

AHEAD = timedelta(minutes=5)
"""A network's clock may be so much before ours."""

MOST = 5_000
"""Posts linked at once; the next look links more."""

BARS = 60
"""Of the timeline."""

_HOUR = 3_600_000_000
_topic = table_of(PostTopicRow)
_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_slot = table_of(IncidentReplyRow)
_post = table_of(PostRow)
_reply = table_of(ReplyRow)
_case = table_of(CaseRow)
_case_post = table_of(CasePostRow)
_triage = table_of(TriageRow)
_author = table_of(AuthorRow)
_job = table_of(JobRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident. state: open, sending, quiet (to close it is proposed) or closed. told: its topic in words.

    posts, authors: those that belong. answered, followed_up: authors who got it; waiting: on its way; unsaid: authors
    to whom nothing may be said. sending: incident (the answer) or follow_up, "" for nothing. halted: why sending
    stopped by itself. observed of expected authors within minutes: why it was opened.
    """

    id: int
    topic: str
    told: str
    state: str
    opened_at: datetime
    first_at: datetime
    closed_at: datetime | None
    closed_who: str
    quiet_at: datetime | None
    minutes: float
    observed: int
    expected: float
    case_id: int | None
    posts: int
    authors: int
    channels: Sequence[str]
    answered: int
    followed_up: int
    waiting: int
    unsaid: int
    answer: str
    follow_up: str
    sending: str
    pace: int
    started_who: str
    halted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedView:
    """A post of an incident. answer, follow_up: where that stands, in a word; why: what spoke against it."""

    post_id: int
    channel: str
    source: str
    handle: str
    text: str
    url: str | None
    at: datetime
    outcome: str
    answer: str
    follow_up: str
    why: str
    taken_out_who: str
    is_taken_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Posts of the topic over time. starts_at: of the first bar; minutes: width of a bar. counts: oldest first."""

    starts_at: datetime
    minutes: int
    counts: Sequence[int]


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


def open_one(
    session: Session, burst: Burst, *, settings: IncidentSettings, judge: Callable[[str, Known], Late], now: datetime
) -> int | None:
    """Open the incident of a burst with its one case; return its id. None when somebody else has opened one."""
    take_turn(session, Turn.INCIDENT)
    found = _unlinked(session, burst.topic, now - timedelta(minutes=burst.minutes))
    if len({row.author_id for row in found}) < settings.min_posts:
        return None
    meant = centre([bytes(row.embedding or b"") for row in found], share=burst.excess / burst.observed)
    row = {
        "topic": burst.topic,
        "opened_at": now,
        "minutes": burst.minutes,
        "observed": burst.observed,
        "expected": burst.expected,
        "centre": b"" if meant is None else meant.vector,
        "reach": 0.0 if meant is None else meant.reach,
        "first_at": min(each.at for each in found),
        **dict.fromkeys(("answer", "follow_up", "sending", "read_as", "started_who", "halted", "closed_who"), ""),
        "pace": settings.pace,
        "round": 0,
    }
    new = insert_new_returning(session, _incident, [row], _incident.c.id)
    if not new:
        return None
    number = new[0].id
    _take(session, Watched(id=number, topic=burst.topic, centre=meant), found, now)
    case_id = _open_case(session, number, burst, judge, now)
    session.connection().execute(sa.update(_incident).where(_incident.c.id == number).values(case_id=case_id))
    events.add(session, "incident.opened", now=now, case_id=case_id, facts={"incident": number, "topic": burst.topic})
    return int(number)


def sweep(session: Session, *, now: datetime) -> int:
    """Link what belongs to open incidents and was decided beside them; return how many."""
    count = 0
    firsts = {
        row.id: row.first_at
        for row in session.connection().execute(
            sa.select(_incident.c.id, _incident.c.first_at).where(_incident.c.closed_at.is_(None))
        )
    }
    for watched in gathering.watched(session):
        if watched.id in firsts:
            count += _take(session, watched, _unlinked(session, watched.topic, firsts[watched.id]), now)
    return count


def grow_quiet(session: Session, settings: IncidentSettings, *, now: datetime) -> list[int]:
    """Propose to close incidents that got no post for a while; return those that are new among them."""
    last = (
        sa.select(sa.func.max(_linked.c.linked_at))
        .where(_linked.c.incident_id == _incident.c.id, _linked.c.taken_out_at.is_(None))
        .scalar_subquery()
    )
    quiet = (
        sa.update(_incident)
        .where(
            _incident.c.closed_at.is_(None),
            _incident.c.quiet_at.is_(None),
            sa.or_(last.is_(None), last < now - timedelta(minutes=settings.quiet_minutes)),
        )
        .values(quiet_at=now)
        .returning(_incident.c.id, _incident.c.case_id)
    )
    rows = session.connection().execute(quiet).all()
    for row in rows:
        events.add(session, "incident.quiet", now=now, case_id=row.case_id, facts={"incident": row.id})
    return [row.id for row in rows]


def choose(
    session: Session, number: int, *, part: Part, article: str, user_id: int | None, now: datetime
) -> IncidentView:
    """Choose the approved article that is the answer, or the follow-up. Raises Missing, Conflict, Invalid."""
    row = open_row(session, number)
    if row.sending == part:
        raise Conflict("it is being sent just now; pause it first")
    slug = article.strip()
    if not in_force(session, slug, now=now):
        raise Invalid(
            f"no article {slug[:80]!r} may be said now; choose one that is published and valid, or write one under "
            "/articles, which takes two people"
        )
    if part is Part.ANSWER:
        row.answer = slug
    else:
        row.follow_up = slug
    tell(session, row, "incident.chosen", now=now, part=part, article=slug, user_id=user_id)
    return one(session, number)


def take_out(session: Session, number: int, post_id: int, *, who: str, user_id: int | None, now: datetime) -> None:
    """Take a post out of an incident: it is decided anew by itself, and never linked again.

    Raises Missing; Conflict when its author got the incident's answer to it, or is getting it now.
    """
    row = open_row(session, number)
    linked = session.get(IncidentPostRow, post_id, with_for_update=True)
    if linked is None or linked.incident_id != number:
        raise Missing("this post is not in the incident")
    if linked.taken_out_at is not None:
        return
    slots = session.exec(
        select(IncidentReplyRow).where(IncidentReplyRow.incident_id == number, IncidentReplyRow.post_id == post_id)
    ).all()
    for slot in slots:
        reply = None if slot.reply_id is None else session.get(ReplyRow, slot.reply_id, with_for_update=True)
        if reply is not None and reply.state == ReplyState.INTENDED:
            reply.state, reply.reason = ReplyState.CANCELLED, "a person took the post out of the incident"
            session.add(reply)
        elif reply is not None and reply.state not in (ReplyState.CANCELLED, ReplyState.REFUSED):
            raise Conflict("its author has the incident's answer already, or is getting it now")
        session.delete(slot)
    linked.taken_out_at, linked.taken_out_who = now, who
    session.add(linked)
    post = session.get_one(PostRow, post_id)
    if post.outcome == Outcome.GATHERED:
        post.outcome, post.reasons = Outcome.OPEN, None
        session.add(post)
        key = errand(post_id, post.edits)
        jobs.add(session, Stage.HAND_OFF, key, now=now)
        session.connection().execute(
            sa.update(_job)
            .where(_job.c.stage == Stage.HAND_OFF, _job.c.key == key, _job.c.done_at.is_not(None))
            .values(done_at=None, parked_at=None, claimed_until=None, due_at=now, attempts=0)
        )
    tell(session, row, "incident.taken_out", now=now, post_id=post_id, user_id=user_id)


def in_force(session: Session, slug: str, *, now: datetime) -> list[tuple[int, Article]]:
    """Return id and article of every locale in which *slug* may be said now, in the order they came."""
    query = select(ArticleRow.id).where(
        ArticleRow.slug == slug, *articles.sayable(now=now), ArticleRow.state == ArticleState.PUBLISHED
    )
    found = [articles.get(session, number or 0) for number in session.exec(query.order_by(col(ArticleRow.id)))]
    return [(each.id, each.article) for each in found if each is not None]


def choices(session: Session, *, now: datetime) -> list[tuple[str, str]]:
    """Return slug and title of all that may be said now, by title."""
    query = select(ArticleRow.slug, ArticleRow.title).where(*articles.sayable(now=now)).order_by(col(ArticleRow.id))
    found: dict[str, str] = {}
    for slug, title in session.exec(query):
        found.setdefault(slug, title)
    return sorted(found.items(), key=lambda each: each[1].casefold())


def open_row(session: Session, number: int) -> IncidentRow:
    """Return an open incident, locked. Raises Missing, Conflict."""
    row = session.get(IncidentRow, number, with_for_update=True)
    if row is None:
        raise Missing("there is no such incident")
    if row.closed_at is not None:
        raise Conflict("this incident is closed")
    return row


def all_of(session: Session, *, is_open: bool | None = None, limit: int = 200) -> list[IncidentView]:
    """Return incidents, open ones first, then the newest; is_open: only those that are, or are not."""
    query = select(IncidentRow).order_by(
        col(IncidentRow.closed_at).is_not(None), col(IncidentRow.opened_at).desc(), col(IncidentRow.id).desc()
    )
    if is_open is not None:
        closed = col(IncidentRow.closed_at)
        query = query.where(closed.is_(None) if is_open else closed.is_not(None))
    return _views(session, list(session.exec(query.limit(limit))))


def one(session: Session, number: int) -> IncidentView:
    """Return one incident. Raises Missing."""
    session.flush()
    row = session.get(IncidentRow, number)
    if row is None:
        raise Missing("there is no such incident")
    return _views(session, [row])[0]


def count_open(session: Session) -> int:
    """Return how many are open."""
    return session.exec(
        select(sa.func.count()).select_from(IncidentRow).where(col(IncidentRow.closed_at).is_(None))
    ).one()


def linked(session: Session, number: int, *, limit: int = 200, before: int | None = None) -> list[LinkedView]:
    """Return the posts of an incident, the newest link first; before: only posts with a lower id."""
    answer, follow = _slot.alias("a"), _slot.alias("f")
    said, later = _reply.alias("ra"), _reply.alias("rf")
    query = (
        sa.select(
            *(_post.c.id, _post.c.channel, _post.c.source, _post.c.text, _post.c.url, _post.c.created_at),
            *(_post.c.outcome, _author.c.handle, _linked.c.taken_out_at, _linked.c.taken_out_who),
            *(answer.c.post_id.label("a_post"), answer.c.reason.label("a_why"), said.c.state.label("a_state")),
            *(said.c.reason.label("a_reason"), follow.c.post_id.label("f_post"), follow.c.reason.label("f_why")),
            *(later.c.state.label("f_state"), later.c.reason.label("f_reason")),
        )
        .select_from(_linked)
        .join(_post, _post.c.id == _linked.c.post_id)
        .join(_author, _author.c.id == _linked.c.author_id)
        .outerjoin(answer, _has(answer, Part.ANSWER))
        .outerjoin(said, said.c.id == answer.c.reply_id)
        .outerjoin(follow, _has(follow, Part.FOLLOW_UP))
        .outerjoin(later, later.c.id == follow.c.reply_id)
        .where(_linked.c.incident_id == number)
        .order_by(_post.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(_post.c.id < before)
    return [_linked_view(row) for row in session.connection().execute(query)]


def timeline(session: Session, number: int, *, now: datetime) -> Timeline:
    """Return how many posts of the topic there were, from an hour before the incident to now or its end."""
    row = session.get(IncidentRow, number)
    if row is None:
        raise Missing("there is no such incident")
    starts, ends = row.first_at - timedelta(hours=1), max(row.closed_at or now, row.opened_at)
    minutes = max(1, -(-int((ends - starts).total_seconds() // 60 + 1) // BARS))
    width = minutes * 60_000_000
    origin = int((starts - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    bar = ((sa.type_coerce(_topic.c.at, sa.BigInteger) - origin) // width).label("bar")
    query = (
        sa.select(bar, sa.func.count().label("posts"))
        .where(_topic.c.topic == row.topic, _topic.c.at >= starts, _topic.c.at <= ends)
        .group_by(bar)
    )
    seen = {int(each.bar): int(each.posts) for each in session.connection().execute(query)}
    bars = min(BARS, int((ends - starts) / timedelta(minutes=minutes)) + 1)
    return Timeline(starts_at=starts, minutes=minutes, counts=[seen.get(at, 0) for at in range(bars)])


def _has(slot: Any, part: Part) -> sa.ColumnElement[bool]:
    return sa.and_(
        slot.c.incident_id == _linked.c.incident_id, slot.c.part == part.value, slot.c.author_id == _linked.c.author_id
    )


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


def _unlinked(session: Session, topic: str, after: datetime) -> Sequence[Any]:
    query = (
        sa.select(_topic.c.post_id, _topic.c.author_id, _topic.c.at, _triage.c.embedding)
        .join_from(_topic, _post, _post.c.id == _topic.c.post_id)
        .outerjoin(_triage, _triage.c.post_id == _topic.c.post_id)
        .outerjoin(_linked, _linked.c.post_id == _topic.c.post_id)
        .where(_topic.c.topic == topic, _topic.c.at >= after, _linked.c.post_id.is_(None), _post.c.deleted_at.is_(None))
        .order_by(_topic.c.at)
        .limit(MOST)
    )
    return session.connection().execute(query).all()


def _take(session: Session, watched: Watched, found: Sequence[Any], now: datetime) -> int:
    """Link posts that belong, and fold what was opened for them one by one into the incident."""
    heard = [
        Heard(post_id=row.post_id, author_id=row.author_id, at=row.at, topics=(), incident=watched.id)
        for row in found
        if gathers(watched, [watched.topic], bytes(row.embedding or b""))
    ]
    linked = gathering.link(session, heard, now=now)
    _fold(session, watched.id, list(linked), now)
    return len(linked)


def _fold(session: Session, number: int, post_ids: Sequence[int], now: datetime) -> None:
    """Close the cases that nobody has claimed yet and that do not press, with their drafts; cancel the bot's own words
    that have not begun to leave. What a person works on, or what is urgent, stays as it is."""
    why = f"it belongs to incident {number}, which people answer"
    own = _case_post.alias("own")
    elsewhere = sa.exists().where(own.c.case_id == _case.c.id, own.c.post_id.not_in(post_ids))
    folded = session.connection().execute(
        sa.update(_case)
        .where(
            _case.c.post_id.in_(post_ids),
            _case.c.key.not_like("incident/%"),
            _case.c.state == CaseState.OPEN,
            _case.c.assignee_id.is_(None),
            _case.c.priority > 1,
            ~elsewhere,
        )
        .values(state=CaseState.RESOLVED, resolved_at=now)
        .returning(_case.c.id, _case.c.post_id)
    )
    closed = {row.id: row.post_id for row in folded}
    drafted = sa.and_(_reply.c.state == ReplyState.DRAFTED, _reply.c.case_id.in_(list(closed)))
    coming = sa.and_(
        _reply.c.state == ReplyState.INTENDED, _reply.c.origin == Origin.BOT, _reply.c.post_id.in_(post_ids)
    )
    cancelled = session.connection().execute(
        sa.update(_reply)
        .where(sa.or_(drafted, coming))
        .values(state=ReplyState.CANCELLED, reason=why)
        .returning(_reply.c.id, _reply.c.post_id, _reply.c.case_id)
    )
    gone = cancelled.all()
    session.connection().execute(
        sa.update(_post)
        .where(
            _post.c.id.in_({*closed.values(), *(row.post_id for row in gone)}),
            _post.c.outcome.in_((Outcome.OPEN, Outcome.DRAFTED, Outcome.ESCALATED)),
        )
        .values(outcome=Outcome.GATHERED, reasons=[why])
    )
    events.add_all(
        session,
        [
            *(
                events.row("case.resolved", now=now, post_id=post_id, case_id=case_id, facts={"incident": number})
                for case_id, post_id in closed.items()
            ),
            *(
                events.row("reply.cancelled", now=now, post_id=row.post_id, case_id=row.case_id, reply_id=row.id)
                for row in gone
            ),
        ],
    )


def _open_case(
    session: Session, number: int, burst: Burst, judge: Callable[[str, Known], Late], now: datetime
) -> int | None:
    newest = (
        sa.select(_post.c.id, _post.c.edits, _post.c.channel, _post.c.source, _post.c.author_id)
        .join_from(_linked, _post, _post.c.id == _linked.c.post_id)
        .where(_linked.c.incident_id == number, _post.c.deleted_at.is_(None))
        .order_by(_linked.c.at.desc(), _post.c.id.desc())
        .limit(1)
    )
    row = session.connection().execute(newest).first()
    if row is None:
        return None
    reason = (
        f"{burst.observed} people wrote about {told(burst.topic)} within {burst.minutes:g} minutes; "
        f"{burst.expected:.1f} were to be expected"
    )
    known = situations.known(session, {row.id: row.edits}, now=now)[row.id]
    late = judge(reason, known)
    case = {
        "key": f"incident/{number}",
        "post_id": row.id,
        "author_id": row.author_id,
        "channel": row.channel,
        "source": row.source,
        "root_id": None,
        "title": f"Incident {number}: {told(burst.topic)}",
        "state": CaseState.OPEN,
        "queue": late.queue,
        "priority": 1,
        "reasons": [reason],
        "context": dict(late.context),
        "opened_at": now,
        "due_at": late.due_at,
    }
    (made,) = insert_new_returning(session, _case, [case], _case.c.id)
    insert_new(session, _case_post, [{"case_id": made.id, "post_id": row.id}])
    cases.want_tickets(session, made.id, late.desks, now=now)
    events.add(session, "case.opened", now=now, post_id=row.id, case_id=made.id)
    return int(made.id)


def _views(session: Session, rows: Sequence[IncidentRow]) -> list[IncidentView]:
    ids = [row.id for row in rows]
    members = (
        sa.select(
            _linked.c.incident_id,
            sa.func.count().label("posts"),
            sa.func.count(_linked.c.author_id.distinct()).label("authors"),
        )
        .where(_linked.c.incident_id.in_(ids), _linked.c.taken_out_at.is_(None))
        .group_by(_linked.c.incident_id)
    )
    sizes = {row.incident_id: (row.posts, row.authors) for row in session.connection().execute(members)}
    where = (
        sa.select(_linked.c.incident_id, _post.c.channel)
        .join(_post, _post.c.id == _linked.c.post_id)
        .where(_linked.c.incident_id.in_(ids), _linked.c.taken_out_at.is_(None))
        .distinct()
    )
    channels: dict[int, list[str]] = {}
    for each in session.connection().execute(where):
        channels.setdefault(each.incident_id, []).append(each.channel)
    ends = (
        sa.select(_slot.c.incident_id, _slot.c.part, _reply.c.state, sa.func.count().label("n"))
        .outerjoin_from(_slot, _reply, _reply.c.id == _slot.c.reply_id)
        .where(_slot.c.incident_id.in_(ids))
        .group_by(_slot.c.incident_id, _slot.c.part, _reply.c.state)
    )
    counts: dict[int, dict[tuple[str, str | None], int]] = {}
    for each in session.connection().execute(ends):
        counts.setdefault(each.incident_id, {})[each.part, each.state] = each.n
    return [
        _view(row, sizes.get(row.id or 0, (0, 0)), sorted(channels.get(row.id or 0, ())), counts.get(row.id or 0, {}))
        for row in rows
    ]


WAITING = (ReplyState.INTENDED, ReplyState.SENDING, ReplyState.UNKNOWN, ReplyState.PERSON)


def _view(
    row: IncidentRow, size: tuple[int, int], channels: Sequence[str], ends: Mapping[tuple[str, str | None], int]
) -> IncidentView:
    quiet = "quiet" if row.quiet_at is not None else "open"
    return IncidentView(
        id=row.id or 0,
        topic=row.topic,
        told=told(row.topic),
        state="closed" if row.closed_at is not None else "sending" if row.sending else quiet,
        opened_at=row.opened_at,
        first_at=row.first_at,
        closed_at=row.closed_at,
        closed_who=row.closed_who,
        quiet_at=row.quiet_at,
        minutes=row.minutes,
        observed=row.observed,
        expected=round(row.expected, 2),
        case_id=row.case_id,
        posts=size[0],
        authors=size[1],
        channels=channels,
        answered=ends.get((Part.ANSWER, ReplyState.SENT), 0),
        followed_up=ends.get((Part.FOLLOW_UP, ReplyState.SENT), 0),
        waiting=sum(count for (_, state), count in ends.items() if state in WAITING),
        unsaid=sum(
            count
            for (part, state), count in ends.items()
            if part == Part.ANSWER and state in (None, ReplyState.CANCELLED, ReplyState.REFUSED)
        ),
        answer=row.answer,
        follow_up=row.follow_up,
        sending=row.sending,
        pace=row.pace,
        started_who=row.started_who,
        halted=row.halted,
    )


def _linked_view(row: Any) -> LinkedView:
    why = next((each for each in (row.f_why, row.f_reason, row.a_why, row.a_reason) if each), "")
    return LinkedView(
        post_id=row.id,
        channel=row.channel,
        source=row.source,
        handle=row.handle,
        text=row.text,
        url=row.url,
        at=row.created_at,
        outcome=row.outcome,
        answer=_stands(row.id, row.a_post, row.a_state),
        follow_up=_stands(row.id, row.f_post, row.f_state),
        why=why,
        taken_out_who=row.taken_out_who,
        is_taken_out=row.taken_out_at is not None,
    )


def _stands(post_id: int, answered: int | None, state: str | None) -> str:
    """Return where an author's answer stands, as seen from one of their posts."""
    if answered is None:
        return ""
    if answered != post_id:
        return "at another post"
    return state or "not said"


def tell(session: Session, row: IncidentRow, kind: str, *, now: datetime, **facts: Any) -> None:
    """Save an incident, and record what happened to it."""
    session.add(row)
    session.flush()
    post_id = facts.pop("post_id", None)
    events.add(session, kind, now=now, case_id=row.case_id, post_id=post_id, facts={"incident": row.id, **facts})
