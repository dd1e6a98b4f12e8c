"""Posts as people see them: newest first, filtered, each with its labels and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events, own_labels, paging
from bot.store.own_labels import Found
from bot.store.paging import Slice
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.tables import AuthorRow, CasePostRow, CorrectionRow, OwnLabelRow, PostRow, SourceRow, TriageRow
from bot.store.upsert import table_of
from classifiers.own import shown
from classifiers.triage import HEADS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorView:
    """Who wrote a post."""

    id: int
    handle: str
    display_name: str
    url: str | None
    followers: int | None
    is_bot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelView:
    """A label of one head. confidence: 0 to 1. corrected: a person set it."""

    head: str
    label: str
    confidence: float
    corrected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLabelView:
    """A label of one of the brand's own sets. label: "none" when the likeliest is not sure enough."""

    set: str
    label: str
    likeliest: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PostView:
    """A post as it stands now. labels: empty until triaged. language: the judged one, else the network's claim.

    own: one for each of the brand's own sets that was in force when the post was judged, or labelled anew since.
    """

    id: int
    key: str
    channel: str
    source: str
    kind: str
    place: str
    author: AuthorView
    title: str
    text: str
    revision: str
    url: str | None
    language: str | None
    addressed: bool
    is_own: bool
    is_private: bool
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    labels: Sequence[LabelView]
    own: Sequence[OwnLabelView]
    model: str | None
    outcome: str
    reasons: Sequence[str]
    case_id: int | None

    def label(self, head: str) -> str | None:
        """Return what *head* says, None until triaged."""
        return next((each.label for each in self.labels if each.head == head), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFilter:
    """What to show; None means all. text: anywhere in text, title, handle or name, letter case ignored.

    own: (set, label) of the brand's own sets, all of which must hold.
    """

    channel: str | None = None
    source: str | None = None
    intent: str | None = None
    sentiment: str | None = None
    urgency: str | None = None
    outcome: str | None = None
    language: str | None = None
    text: str | None = None
    own: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the feed can be filtered by at present, beside the fixed labels. own: set -> labels."""

    channels: Sequence[str]
    sources: Sequence[str]
    own: Mapping[str, Sequence[str]]


COMMON = 2000
"""A label that more posts have is looked for from the newest post back, a rarer one through its own index."""

_LANGUAGE = sa.func.coalesce(col(TriageRow.language), col(PostRow.language))


def page(session: Session, wanted: FeedFilter, *, limit: int, cursor: str | None = None) -> Slice[PostView]:
    """Return *limit* posts at most, newest first, after *cursor*. Raises Invalid."""
    query = _query(wanted, common=_common(session, wanted))
    query = query.order_by(col(PostRow.created_at).desc(), col(PostRow.id).desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(paging.before(col(PostRow.created_at), col(PostRow.id), cursor))
    found = _views(session, query)
    items = found[:limit]
    return Slice(items=items, next=paging.mark(items[-1].created_at, items[-1].id) if len(found) > limit else None)


def opening(session: Session, wanted: FeedFilter, *, limit: int, cursor: str | None) -> tuple[int, Slice[PostView]]:
    """Return the last event's id and then the page: what happens in between comes again, nothing is missed."""
    return events.latest_id(session), page(session, wanted, limit=limit, cursor=cursor)


def some(session: Session, ids: Sequence[int], wanted: FeedFilter | None = None) -> dict[int, PostView]:
    """Return those of *ids* that *wanted* shows, by id."""
    if not ids:
        return {}
    query = _query(wanted or FeedFilter()).where(col(PostRow.id).in_(ids))
    return {view.id: view for view in _views(session, query)}


def one(session: Session, post_id: int) -> PostView:
    """Return one post. Raises Missing."""
    found = some(session, [post_id])
    if post_id not in found:
        raise Missing("there is no such post")
    return found[post_id]


def choices(session: Session) -> Choices:
    """Return what there is to filter by."""
    rows = session.exec(select(SourceRow.name, SourceRow.channel).order_by(col(SourceRow.name))).all()
    return Choices(
        channels=sorted({channel for _, channel in rows}),
        sources=[name for name, _ in rows],
        own=own_labels.names(session),
    )


def correct(session: Session, post_id: int, *, head: str, label: str, user_id: int, now: datetime) -> PostView:
    """Set the label of *head*: a person says the model was wrong. The same label again changes nothing.

    Raises Missing, Invalid (no such label) or Conflict (not triaged yet).
    """
    if label not in HEADS.get(head, ()):
        known = ", ".join(HEADS.get(head, tuple(HEADS)))
        raise Invalid(f"{'a label of ' + head if head in HEADS else 'the head'} must be one of: {known}")
    one(session, post_id)
    row = session.get(TriageRow, post_id)
    if row is None:
        raise Conflict("this post has not been triaged yet; try again in a moment")
    old = str(getattr(row, head))
    if old != label:
        session.add(
            CorrectionRow(post_id=post_id, head=head, old=old, new=label, model=row.model, user_id=user_id, at=now)
        )
        setattr(row, head, label)
        setattr(row, f"{head}_confidence", 1.0)
        session.flush()
        facts = {"head": head, "old": old, "new": label, "user_id": user_id}
        events.add(session, "triage.corrected", now=now, post_id=post_id, facts=facts)
    return one(session, post_id)


def _common(session: Session, wanted: FeedFilter) -> frozenset[object]:
    """Return which of the wanted labels many posts have: those are found by walking from the newest post back."""
    found: set[object] = set()
    for head in ("intent", "sentiment", "urgency"):
        if (value := getattr(wanted, head)) is not None:
            some = select(sa.literal(1)).where(getattr(TriageRow, head) == value).limit(COMMON + 1).subquery()
            if session.exec(select(sa.func.count()).select_from(some)).one() > COMMON:
                found.add(head)
    for each in wanted.own:
        few = own_labels.with_label(*each).limit(COMMON + 1).subquery()
        if session.exec(select(sa.func.count()).select_from(few)).one() > COMMON:
            found.add(each)
    return frozenset(found)


def _query(wanted: FeedFilter, *, common: frozenset[object] = frozenset()) -> Any:
    query = (
        select(PostRow, AuthorRow, TriageRow)
        .join(AuthorRow, col(AuthorRow.id) == PostRow.author_id)
        .join(TriageRow, col(TriageRow.post_id) == PostRow.id, isouter=True)
    )
    equal: dict[Any, str | None] = {
        col(PostRow.channel): wanted.channel,
        col(PostRow.source): wanted.source,
        col(PostRow.outcome): wanted.outcome,
        _LANGUAGE: wanted.language,
    }
    for head in ("intent", "sentiment", "urgency"):
        column = getattr(TriageRow, head)
        # An expression keeps SQLite from the label's index, where it would sort every match of a common label.
        equal[sa.func.coalesce(column, "") if head in common else column] = getattr(wanted, head)
    query = query.where(*(column == value for column, value in equal.items() if value is not None))
    for each in wanted.own:
        ids = own_labels.with_label(*each)
        if each in common:
            query = query.where(ids.where(table_of(OwnLabelRow).c.post_id == PostRow.id).correlate(PostRow).exists())
        else:
            query = query.where(col(PostRow.id).in_(ids))
    if wanted.text:
        searched = (PostRow.text, PostRow.title, AuthorRow.handle, AuthorRow.display_name)
        query = query.where(sa.or_(*(col(each).icontains(wanted.text, autoescape=True) for each in searched)))
    return query


def _views(session: Session, query: Any) -> list[PostView]:
    rows = session.exec(query).all()
    ids = [post.id for post, _, _ in rows]
    corrected = set(
        session.exec(select(CorrectionRow.post_id, CorrectionRow.head).where(col(CorrectionRow.post_id).in_(ids)))
    )
    cases = dict(
        session.exec(
            select(CasePostRow.post_id, sa.func.max(CasePostRow.case_id))
            .where(col(CasePostRow.post_id).in_(ids))
            .group_by(col(CasePostRow.post_id))
        ).all()
    )
    own = own_labels.of_posts(session, ids)
    return [
        _view(post, author, triage, corrected, cases.get(post.id), own.get(post.id, ()))
        for post, author, triage in rows
    ]


def author_view(row: AuthorRow) -> AuthorView:
    """Return the value of a row."""
    return AuthorView(
        id=row.id or 0,
        handle=row.handle,
        display_name=row.display_name,
        url=row.url,
        followers=row.followers,
        is_bot=row.is_bot,
    )


def _view(
    post: PostRow,
    author: AuthorRow,
    triage: TriageRow | None,
    corrected: set[tuple[int, str]],
    case_id: int | None,
    own: Sequence[Found],
) -> PostView:
    labels = (
        ()
        if triage is None
        else tuple(
            LabelView(
                head=head,
                label=str(getattr(triage, head)),
                confidence=round(float(getattr(triage, f"{head}_confidence")), 4),
                corrected=(triage.post_id, head) in corrected,
            )
            for head in HEADS
        )
    )
    return PostView(
        id=post.id or 0,
        key=f"{post.channel}:{post.external_id}",
        channel=post.channel,
        source=post.source,
        kind=post.kind,
        place=post.place,
        author=author_view(author),
        title=post.title,
        text=post.text,
        revision=post.revision,
        url=post.url,
        language=post.language if triage is None else triage.language,
        addressed=post.addressed,
        is_own=post.is_own,
        is_private=post.is_private,
        created_at=post.created_at,
        edited_at=post.edited_at,
        deleted_at=post.deleted_at,
        labels=labels,
        own=tuple(
            OwnLabelView(
                set=each.set_name,
                label=shown(each.label, each.confidence),
                likeliest=each.label,
                confidence=round(each.confidence, 4),
            )
            for each in own
        ),
        model=None if triage is None else triage.model,
        outcome=post.outcome,
        reasons=tuple(post.reasons or ()),
        case_id=case_id,
    )
