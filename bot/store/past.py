"""What was decided in the past, with all that was known then and all that came of it. Reads; nothing here writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import came_of, verdicts
from bot.store.posts import Kept, kept
from bot.store.situations import BUDGET_WINDOW, MAX_HISTORY, SAID
from bot.store.tables import (
    ArticleRow,
    CaseRow,
    CorrectionRow,
    EventRow,
    Origin,
    PostRow,
    ReplyRow,
    SourceRow,
    UtcDateTime,
)
from bot.store.triages import load as load_triages
from bot.store.upsert import table_of
from bot.store.verdicts import Pair
from bot.store.wishes import Left
from bot.store.wishes import of as left_now
from classifiers.triage import Label, Triage
from handoff.hindsight import Judgement
from handoff.reading import REPEATED
from handoff.rewind import Happened, Span, Spoken, Usual
from handoff.situation import Contact, ContactKind
from handoff.speech import PrivateText

DECIDED = "post.decided"

DELETED = "deleted since"
EDITED = "edited since"
GATHERED = "gathered in an incident"

MOST_CASES = 1_000
"""Newest resolved cases that say how long people usually took."""

_event = table_of(EventRow)
_post = table_of(PostRow)
_reply = table_of(ReplyRow)
_case = table_of(CaseRow)
_article = table_of(ArticleRow)
_correction = table_of(CorrectionRow)
_source = table_of(SourceRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision as it was taken. gone: why it cannot be taken anew, "" when it can. triage: as people had left it
    until then. history: earlier contacts as far as counting them goes, without their words."""

    number: int
    at: datetime
    kept: Kept
    happened: Happened
    gone: str = ""
    triage: Triage | None = None
    history: Sequence[Contact] = ()
    already_answered: bool = False
    left: Left = field(default_factory=Left)
    own_names: Sequence[str] = ()
    spans: Sequence[Span] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a rewind from *since* on begins with. count: decisions in it. before: said in the day before. braked: slugs
    that waited for a person at the start, and since when. releases: slug -> when people released it. wishes: author id
    -> what was kept of their wishes, and when. judged: what people said of answers, by intent and source."""

    since: datetime
    until: datetime
    count: int
    first: int
    before: Sequence[Spoken]
    braked: Sequence[tuple[str, datetime]]
    releases: Mapping[str, Sequence[datetime]]
    usual: Usual
    wishes: Mapping[int, Sequence[tuple[datetime, str]]]
    judged: Mapping[Pair, Sequence[Judgement]]
    own_names: Mapping[str, Sequence[str]]


def setting(session: Session, *, since: datetime, until: datetime, judged_within: timedelta) -> Setting:
    """Return what to begin with. judged_within: how far back verdicts count at most."""
    window = sa.and_(_event.c.at > since, _event.c.at <= until)
    decided = sa.select(sa.func.count(), sa.func.min(_event.c.id)).where(_event.c.kind == DECIDED, window)
    count, first = session.connection().execute(decided).one()
    braked, releases, waited = _brakes(session, since)
    return Setting(
        since=since,
        until=until,
        count=count,
        first=first or 0,
        before=_spoken(session, since),
        braked=braked,
        releases=releases,
        usual=Usual(case=_usual_case(session, since), brake=_median(waited)),
        wishes=_wishes(session),
        judged=verdicts.judgements(session, since=since - judged_within),
        own_names=_names(session),
    )


def decisions(session: Session, begin: Setting, *, after: int, limit: int) -> list[Decided]:
    """Return the next *limit* decisions of the setting after the event *after*, oldest first."""
    query = (
        sa.select(_event.c.id, _event.c.post_id, _event.c.at, _event.c.facts)
        .where(
            _event.c.id > max(after, begin.first - 1),
            _event.c.kind == DECIDED,
            _event.c.at > begin.since,
            _event.c.at <= begin.until,
        )
        .order_by(_event.c.id)
        .limit(limit)
    )
    rows = session.connection().execute(query).all()
    if not rows:
        return []
    ids = sorted({row.post_id for row in rows})
    posts = kept(session, ids)
    around = _Around(session, begin, posts)
    return [_decided(row, posts[row.post_id], around) for row in rows if row.post_id in posts]


class _Around:
    """What a batch of decisions has around it, read at once."""

    def __init__(self, session: Session, begin: Setting, posts: Mapping[int, Kept]) -> None:
        ids = list(posts)
        authors = sorted({each.author_id for each in posts.values()})
        self.begin = begin
        self.triages = load_triages(session, ids)
        self.last = _last(session, ids, DECIDED)
        self.edited = _last(session, ids, "post.edited")
        self.reasons = _reasons(session, ids)
        self.replies = came_of.replies(session, ids)
        self.cases = came_of.cases(session, ids)
        self.corrections = _corrections(session, ids)
        self.contexts = _contexts(session, list(self.corrections))
        self.contacts = _contacts(session, authors, begin.since)
        self.spans = _spans(session, authors)
        self.left = left_now(session, authors)

    def left_at(self, author_id: int, at: datetime) -> Left:
        """Return how the bot left an author alone at *at*, as far as that was kept by then."""
        told = self.begin.wishes.get(author_id)
        if told is None:
            now = self.left.get(author_id, Left())
            is_since = now.opted_out_at is not None and now.opted_out_at <= at
            return Left(opted_out_at=now.opted_out_at if is_since else None, muted=now.muted)
        opted_out_at, muted = None, False
        for when, kind in told:
            if when > at:
                break
            match kind:
                case "author.opted_out":
                    opted_out_at = when
                case "author.opted_in":
                    opted_out_at = None
                case "author.muted":
                    muted = True
                case _:
                    muted = False
        return Left(opted_out_at=opted_out_at, muted=muted)


def _decided(row: Any, each: Kept, around: _Around) -> Decided:
    decision = str((row.facts or {}).get("decision", ""))
    happened = came_of.happened(
        decision,
        row.at,
        around.replies.get(each.id, ()),
        around.cases.get(each.id, ()),
    )
    if row.id == around.last.get(each.id):
        why = happened.came_to_nothing
        happened = replace(happened, reasons=[why] if why else around.reasons.get(each.id, ()))
    return Decided(
        number=row.id,
        at=row.at,
        kept=each,
        happened=happened,
        gone=GATHERED if decision == came_of.GATHERED else _gone(row.id, each, around),
        triage=_as_then(each.id, row.at, around),
        history=_history(each, row.at, around.contacts.get(each.author_id, ())),
        already_answered=any(
            said.created_at < row.at and said.state in SAID for said in around.replies.get(each.id, ())
        ),
        left=around.left_at(each.author_id, row.at),
        own_names=around.begin.own_names.get(each.source, ()),
        spans=around.spans.get((each.author_id, each.post.root_id), ()),
    )


def _gone(number: int, each: Kept, around: _Around) -> str:
    if each.deleted:
        return DELETED
    is_last = number == around.last.get(each.id)
    return "" if is_last and around.edited.get(each.id, 0) < number else EDITED


def _reasons(session: Session, ids: Sequence[int]) -> dict[int, Sequence[str]]:
    query = sa.select(_post.c.id, _post.c.reasons).where(_post.c.id.in_(ids))
    return {row.id: row.reasons or () for row in session.connection().execute(query)}


def _last(session: Session, ids: Sequence[int], kind: str) -> dict[int, int]:
    query = (
        sa.select(_event.c.post_id, sa.func.max(_event.c.id).label("number"))
        .where(_event.c.post_id.in_(ids), _event.c.kind == kind)
        .group_by(_event.c.post_id)
    )
    return {row.post_id: row.number for row in session.connection().execute(query)}


def _corrections(session: Session, ids: Sequence[int]) -> dict[int, list[Any]]:
    query = (
        sa.select(_correction.c.post_id, _correction.c.head, _correction.c.old, _correction.c.at)
        .where(_correction.c.post_id.in_(ids))
        .order_by(_correction.c.at.desc(), _correction.c.id.desc())
    )
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in session.connection().execute(query):
        found[row.post_id].append(row)
    return dict(found)


def _contexts(session: Session, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Return the labels of posts as their cases keep them: a correction takes the model's confidence away."""
    if not ids:
        return {}
    query = sa.select(_case.c.post_id, _case.c.context).where(_case.c.post_id.in_(ids))
    return {row.post_id: (row.context or {}).get("triage") or {} for row in session.connection().execute(query)}


def _as_then(post_id: int, at: datetime, around: _Around) -> Triage | None:
    """Return the labels without what people corrected after *at*."""
    triage = around.triages.get(post_id)
    if triage is None:
        return None
    for row in around.corrections.get(post_id, ()):  # the newest first: the oldest one after *at* has the last word
        if row.at <= at:
            break
        told = around.contexts.get(post_id, {}).get(row.head) or {}
        sure = told.get("confidence") if told.get("label") == row.old else None
        standing: Label = getattr(triage, row.head)
        label = Label(label=row.old, confidence=standing.confidence if sure is None else float(sure))
        changed: Any = {row.head: label}
        triage = replace(triage, **changed)
    return triage


def _contacts(session: Session, authors: Sequence[int], since: datetime) -> dict[int, list[Any]]:
    query = (
        sa.select(_post.c.id, _post.c.author_id, _post.c.created_at, _post.c.ingested_at)
        .where(_post.c.author_id.in_(authors), _post.c.is_own.is_(False), _post.c.created_at > since - 2 * REPEATED)
        .order_by(_post.c.created_at, _post.c.id)
    )
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in session.connection().execute(query):
        found[row.author_id].append(row)
    return dict(found)


def _history(each: Kept, at: datetime, contacts: Iterable[Any]) -> list[Contact]:
    """Return when this author wrote within the time that counts, as far as it was known at *at*."""
    known = [
        row
        for row in contacts
        if row.id != each.id and at - REPEATED <= row.created_at <= each.post.created_at and row.ingested_at <= at
    ]
    return [Contact(kind=ContactKind.CUSTOMER, at=row.created_at, text=PrivateText("")) for row in known[-MAX_HISTORY:]]


def _spans(session: Session, authors: Sequence[int]) -> dict[tuple[int, str | None], list[Span]]:
    columns = (_case.c.id, _case.c.key, _case.c.queue, _case.c.author_id, _case.c.root_id, _case.c.opened_at)
    rows = session.connection().execute(sa.select(*columns).where(_case.c.author_id.in_(authors))).all()
    moves: defaultdict[int, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    query = (
        sa.select(_event.c.case_id, _event.c.kind, _event.c.at)
        .where(
            _event.c.case_id.in_([row.id for row in rows]),
            _event.c.kind.in_(("case.resolved", "case.reopened", "case.joined")),
        )
        .order_by(_event.c.id)
    )
    for moved in session.connection().execute(query):
        moves[moved.case_id][moved.kind].append(moved.at)
    found: defaultdict[tuple[int, str | None], list[Span]] = defaultdict(list)
    for row in rows:
        each = moves[row.id]
        found[row.author_id, row.root_id].append(
            Span(
                key=row.key,
                queue=row.queue,
                opened_at=row.opened_at,
                closed=tuple(each["case.resolved"]),
                reopened=tuple(sorted([*each["case.reopened"], *each["case.joined"]])),
            )
        )
    return dict(found)


def _spoken(session: Session, since: datetime) -> list[Spoken]:
    """Return what the bot said alone, decided before *since*, that still counts for a limit then."""
    when = sa.func.coalesce(_reply.c.first_sent_at, _reply.c.created_at, type_=UtcDateTime())
    query = (
        sa.select(
            when.label("at"),
            _post.c.author_id,
            _post.c.channel,
            _post.c.root_id,
            _reply.c.source,
            _article.c.slug,
            _reply.c.text,
        )
        .join_from(_reply, _post, _post.c.id == _reply.c.post_id)
        .outerjoin(_article, _article.c.id == _reply.c.article_id)
        .where(
            _reply.c.origin == Origin.BOT,
            _reply.c.state.in_(SAID),
            when > since - BUDGET_WINDOW,
            _reply.c.created_at <= since,
        )
    )
    return [
        Spoken(
            at=row.at,
            author_id=row.author_id,
            channel=row.channel,
            root_id=row.root_id,
            source=row.source,
            slug=row.slug or "",
            text=row.text,
        )
        for row in session.connection().execute(query)
    ]


def _brakes(
    session: Session, since: datetime
) -> tuple[list[tuple[str, datetime]], dict[str, list[datetime]], list[timedelta]]:
    """Return what was braked at *since*, when what was released, and how long releases took."""
    query = (
        sa.select(_event.c.kind, _event.c.at, _event.c.facts)
        .where(_event.c.kind.in_(("article.braked", "article.released")))
        .order_by(_event.c.id)
    )
    standing: dict[str, datetime] = {}
    braked: dict[str, datetime] = {}
    releases: defaultdict[str, list[datetime]] = defaultdict(list)
    took: list[timedelta] = []
    for row in session.connection().execute(query):
        slug = str((row.facts or {}).get("article", ""))
        if row.kind == "article.braked":
            standing[slug] = row.at
        else:
            releases[slug].append(row.at)
            if slug in standing:
                took.append(row.at - standing.pop(slug))
        if row.at <= since:
            braked = dict(standing)
    return sorted(braked.items()), dict(releases), took


def _usual_case(session: Session, since: datetime) -> timedelta | None:
    query = (
        sa.select(_case.c.opened_at, _case.c.resolved_at)
        .where(_case.c.resolved_at > since)
        .order_by(_case.c.resolved_at.desc())
        .limit(MOST_CASES)
    )
    return _median([row.resolved_at - row.opened_at for row in session.connection().execute(query)])


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(each.total_seconds() for each in spans)) if spans else None


def _wishes(session: Session) -> dict[int, list[tuple[datetime, str]]]:
    query = (
        sa.select(_event.c.kind, _event.c.at, _event.c.facts)
        .where(_event.c.kind.in_(("author.opted_out", "author.opted_in", "author.muted", "author.unmuted")))
        .order_by(_event.c.id)
    )
    found: defaultdict[int, list[tuple[datetime, str]]] = defaultdict(list)
    for row in session.connection().execute(query):
        found[int((row.facts or {}).get("author_id", 0))].append((row.at, row.kind))
    return dict(found)


def _names(session: Session) -> dict[str, list[str]]:
    query = sa.select(_source.c.name, _source.c.account_handle).where(_source.c.account_handle.is_not(None))
    return {row.name: [row.account_handle.partition("@")[0]] for row in session.connection().execute(query)}
