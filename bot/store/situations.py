"""What the store knows about a batch of posts at the moment of deciding: thread, earlier contacts, open cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import wishes
from bot.store.posts import Kept, select_kept
from bot.store.tables import (
    CaseRow,
    IncidentPostRow,
    IncidentRow,
    Origin,
    PostRow,
    ReplyRow,
    ReplyState,
    SourceRow,
    TriageRow,
    UtcDateTime,
)
from bot.store.triages import load as load_triages
from bot.store.upsert import table_of
from bot.store.wishes import Left
from classifiers.triage import Triage
from connectors.post import Post
from handoff.case import CaseState
from handoff.situation import Contact, ContactKind
from handoff.speech import PrivateText

MAX_HISTORY = 20
"""Earlier contacts shown with a case; more are on the customer's page."""

MAX_THREAD = 50

BUDGET_WINDOW = timedelta(hours=24)

SAID = (ReplyState.INTENDED, ReplyState.SENDING, ReplyState.UNKNOWN, ReplyState.SENT, ReplyState.PERSON)
"""States in which a reply is, may be or will be public."""

NOT_LEFT = Left()

_post = table_of(PostRow)
_source = table_of(SourceRow)
_reply = table_of(ReplyRow)
_case = table_of(CaseRow)
_triage = table_of(TriageRow)
_linked = table_of(IncidentPostRow)
_incident = table_of(IncidentRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known about one post. thread_gap: a parent is named that the store does not hold. auto_replies_24h: to
    its author in its conversation; to_author_24h: in all conversations. incident: the open one that it belongs to."""

    kept: Kept
    triage: Triage | None
    thread: Sequence[Post] = ()
    thread_gap: bool = False
    history: Sequence[Contact] = ()
    already_answered: bool = False
    auto_replies_24h: int = 0
    to_author_24h: int = 0
    open_case: str | None = None
    left: Left = NOT_LEFT
    own_names: Sequence[str] = ()
    incident: int | None = None


@dataclass(slots=True)
class _Around:
    threads: dict[str, dict[str, Post]] = field(default_factory=dict)
    history: dict[int, list[tuple[int, Contact]]] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    budget: dict[tuple[int, str | None], int] = field(default_factory=dict)
    cases: dict[tuple[int, str | None], str] = field(default_factory=dict)
    left: dict[int, Left] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    incidents: dict[int, int] = field(default_factory=dict)


def known(
    session: Session,
    wanted: Mapping[int, int],
    *,
    now: datetime,
    said: Sequence[ReplyState] = SAID,
    but_for: int | None = None,
    with_story: bool = True,
) -> dict[int, Known]:
    """Return what is known about posts. wanted: post id -> edits; what an edit or deletion overtook is left out.

    said: states in which an automatic reply counts for a budget. but_for: a reply that is left out of every count.
    with_story: thread and history too, which people read and no guard asks for.
    """
    posts = {
        each.id: each
        for each in select_kept(session, _post.c.id.in_(wanted), _post.c.deleted_at.is_(None))
        if wanted[each.id] == each.edits
    }
    if not posts:
        return {}
    triages = load_triages(session, list(posts))
    around = _Around()
    if with_story:
        _threads(session, posts.values(), around)
        _history(session, posts, around)
    _answers(session, posts, around, but_for)
    _budget(session, posts, around, now, said, but_for)
    _open_cases(session, posts, around)
    around.left = wishes.of(session, [each.author_id for each in posts.values()])
    _names(session, posts, around)
    _incidents(session, posts, around)
    return {post_id: _known(each, triages.get(post_id), around) for post_id, each in posts.items()}


def _known(each: Kept, triage: Triage | None, around: _Around) -> Known:
    thread, gap = _above(each.post, around.threads.get(f"{each.post.channel}:{each.post.root_id}", {}))
    where = (each.author_id, each.post.root_id)
    case = around.cases.get(where)
    earlier = [contact for post_id, contact in around.history.get(each.author_id, []) if post_id != each.id]
    return Known(
        kept=each,
        triage=triage,
        thread=thread,
        thread_gap=gap,
        history=[contact for contact in earlier if contact.at <= each.post.created_at][-MAX_HISTORY:],
        already_answered=each.id in around.answered,
        auto_replies_24h=around.budget.get(where, 0),
        to_author_24h=sum(count for (author_id, _), count in around.budget.items() if author_id == each.author_id),
        open_case=case if case != each.post.key else None,  # its own case is no other
        left=around.left.get(each.author_id, NOT_LEFT),
        own_names=around.names.get(each.source, ()),
        incident=around.incidents.get(each.id),
    )


def _above(post: Post, thread: Mapping[str, Post]) -> tuple[list[Post], bool]:
    """Return the stored ancestors of *post*, root first, and whether one is missing."""
    above: list[Post] = []
    parent_id = post.parent_id
    while parent_id is not None and parent_id in thread and len(above) < MAX_THREAD:
        parent = thread[parent_id]
        if parent in above:  # a network that says A answers B answers A
            break
        above.append(parent)
        parent_id = parent.parent_id
    above.reverse()
    return above, parent_id is not None and parent_id not in thread


def _threads(session: Session, posts: Iterable[Kept], around: _Around) -> None:
    roots: dict[str, set[str]] = {}
    for each in posts:
        if each.post.parent_id is not None and each.post.root_id is not None:
            roots.setdefault(each.post.channel, set()).add(each.post.root_id)
    for channel, ids in roots.items():
        in_thread = sa.and_(
            _post.c.channel == channel,
            sa.or_(_post.c.root_id.in_(ids), _post.c.external_id.in_(ids)),
            _post.c.deleted_at.is_(None),
        )
        for each in select_kept(session, in_thread, limit=5_000):
            root = each.post.root_id or each.post.id
            around.threads.setdefault(f"{channel}:{root}", {})[each.post.id] = each.post


def _history(session: Session, posts: Mapping[int, Kept], around: _Around) -> None:
    authors = {each.author_id for each in posts.values()}
    rank = sa.func.row_number().over(
        partition_by=_post.c.author_id, order_by=(_post.c.created_at.desc(), _post.c.id.desc())
    )
    recent = (
        sa.select(
            _post.c.id,
            _post.c.channel,
            _post.c.external_id,
            _post.c.author_id,
            _post.c.created_at,
            _post.c.text,
            _post.c.url,
            _post.c.outcome,
            rank.label("rank"),
        )
        .where(_post.c.author_id.in_(authors), _post.c.deleted_at.is_(None), _post.c.is_own.is_(False))
        .subquery()
    )
    query = (
        sa.select(recent, _triage.c.intent, _triage.c.sentiment)
        .outerjoin(_triage, _triage.c.post_id == recent.c.id)
        .where(recent.c.rank <= MAX_HISTORY + 1)
    )
    found = session.connection().execute(query).all()
    for row in found:
        contact = Contact(
            kind=ContactKind.CUSTOMER,
            at=row.created_at,
            text=PrivateText(row.text),
            url=row.url,
            intent=row.intent or "",
            sentiment=row.sentiment or "",
            outcome=row.outcome,
            key=f"{row.channel}:{row.external_id}",
        )
        around.history.setdefault(row.author_id, []).append((row.id, contact))
    if len(found) > len(posts):
        earlier = {row.id: row.author_id for row in found}
        said = sa.select(_reply.c.post_id, _reply.c.text, _reply.c.sent_at, _reply.c.remote_url, _reply.c.origin).where(
            _reply.c.post_id.in_(earlier), _reply.c.state == ReplyState.SENT
        )
        for row in session.connection().execute(said):
            contact = Contact(
                kind=ContactKind.REPLY,
                at=row.sent_at,
                text=PrivateText(row.text),
                url=row.remote_url,
                outcome=row.origin,
            )
            around.history.setdefault(earlier[row.post_id], []).append((-1, contact))
    for contacts in around.history.values():
        contacts.sort(key=lambda each: (each[1].at, each[0]))


def _answers(session: Session, posts: Mapping[int, Kept], around: _Around, but_for: int | None) -> None:
    query = sa.select(_reply.c.post_id).where(_reply.c.post_id.in_(posts), _reply.c.state.in_(SAID))
    if but_for is not None:
        query = query.where(_reply.c.id != but_for)
    around.answered = {row.post_id for row in session.connection().execute(query)}


def _budget(
    session: Session,
    posts: Mapping[int, Kept],
    around: _Around,
    now: datetime,
    said: Sequence[ReplyState],
    but_for: int | None,
) -> None:
    """Count the bot's own replies by when they left, or, where they have not, by when they were decided."""
    when = sa.func.coalesce(_reply.c.first_sent_at, _reply.c.created_at, type_=UtcDateTime())
    query = (
        sa.select(_post.c.author_id, _post.c.root_id, sa.func.count().label("n"))
        .join(_reply, _reply.c.post_id == _post.c.id)
        .where(
            _post.c.author_id.in_({each.author_id for each in posts.values()}),
            _reply.c.origin.in_((Origin.BOT, Origin.INCIDENT, Origin.FOLLOW_UP)),
            _reply.c.state.in_(said),
            when > now - BUDGET_WINDOW,
        )
        .group_by(_post.c.author_id, _post.c.root_id)
    )
    if but_for is not None:
        query = query.where(_reply.c.id != but_for)
    around.budget = {(row.author_id, row.root_id): row.n for row in session.connection().execute(query)}


def _names(session: Session, posts: Mapping[int, Kept], around: _Around) -> None:
    query = sa.select(_source.c.name, _source.c.account_handle).where(
        _source.c.name.in_({each.source for each in posts.values()}), _source.c.account_handle.is_not(None)
    )
    # Of a full address only the name is ours: everybody on our server shares the rest.
    around.names = {row.name: [row.account_handle.partition("@")[0]] for row in session.connection().execute(query)}


def _incidents(session: Session, posts: Mapping[int, Kept], around: _Around) -> None:
    query = (
        sa.select(_linked.c.post_id, _linked.c.incident_id)
        .join(_incident, _incident.c.id == _linked.c.incident_id)
        .where(_linked.c.post_id.in_(posts), _linked.c.taken_out_at.is_(None), _incident.c.closed_at.is_(None))
    )
    around.incidents = {row.post_id: row.incident_id for row in session.connection().execute(query)}


def _open_cases(session: Session, posts: Mapping[int, Kept], around: _Around) -> None:
    query = sa.select(_case.c.key, _case.c.author_id, _case.c.root_id).where(
        _case.c.author_id.in_({each.author_id for each in posts.values()}),
        _case.c.state != CaseState.RESOLVED,
        # The case of an incident is nobody's own conversation.
        _case.c.key.not_like("incident/%"),
    )
    around.cases = {(row.author_id, row.root_id): row.key for row in session.connection().execute(query)}
