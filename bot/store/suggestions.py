"""What a language model suggests to people: which article, and a draft with its sentences marked. And what it cost.

The only writer of replies whose origin is MODEL, and it writes them as drafts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import articles, events, jobs, situations
from bot.store.articles import Stored
from bot.store.posts import read_errand
from bot.store.situations import Known
from bot.store.tables import (
    ArticleRow,
    CasePostRow,
    CaseRow,
    ModelCallRow,
    Origin,
    PostRow,
    ReplyRow,
    ReplyState,
    SuggestionRow,
)
from bot.store.turns import Turn, take_turn
from bot.store.upsert import insert_new_returning, table_of
from handoff.case import CaseState
from handoff.drafting.support import Sentence, judged
from handoff.drafting.text import ModelText
from handoff.knowledge.answer import plain

DRAFT_LIFE = timedelta(days=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEPT = timedelta(days=2)

_call = table_of(ModelCallRow)
_reply = table_of(ReplyRow)
_suggestion = table_of(SuggestionRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the language model may cost, over all processes."""

    calls_per_hour: int
    calls_per_day: int
    tokens_per_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A post for which a person waits for words. case_id: its unresolved case."""

    known: Known
    case_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of it. text: None where only an article was chosen."""

    case_id: int
    article_id: int
    is_chosen: bool
    text: ModelText | None
    sentences: Sequence[Sentence]
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceView:
    """One sentence of a draft. why: what no place of its article holds; "" when it is supported."""

    text: str
    is_supported: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionView:
    """What a language model suggested for one post of a case. is_chosen: it named the article among several."""

    post_id: int
    article: str
    title: str
    is_chosen: bool
    reply_id: int | None
    model: str
    made_at: datetime


def wanted(session: Session, key: str, *, now: datetime) -> Wanted | None:
    """Return the post of an errand, None when nobody waits for words any more: edited, deleted, answered, resolved."""
    post_id, edits = read_errand(key)
    known = situations.known(session, {post_id: edits}, now=now, with_story=False).get(post_id)
    if known is None or known.already_answered or known.kept.post.is_private or known.left.opted_out_at is not None:
        return None
    case_id = session.exec(
        select(CaseRow.id)
        .join(CasePostRow, col(CasePostRow.case_id) == CaseRow.id)
        .where(CasePostRow.post_id == post_id, CaseRow.state != CaseState.RESOLVED)
        .order_by(col(CaseRow.id).desc())
    ).first()
    done = session.exec(
        select(SuggestionRow.id).where(SuggestionRow.post_id == post_id, SuggestionRow.edits == edits)
    ).first()
    return None if case_id is None or done is not None else Wanted(known=known, case_id=case_id)


def sources(session: Session, article_ids: Sequence[int], *, now: datetime, brand: str) -> Mapping[int, Stored]:
    """Return those articles that are in force."""
    found = {each: articles.get(session, each) for each in article_ids}
    return {
        each: stored
        for each, stored in found.items()
        if stored is not None and stored.article.may_be_said(now, brand=stored.article.brand or brand)
    }


def reserve(session: Session, *, tokens: int, limits: Limits, now: datetime) -> int | None:
    """Take one request of *tokens* at most from the budgets; None when one of them is used up."""
    take_turn(session, Turn.REQUEST)
    session.connection().execute(sa.delete(_call).where(_call.c.begun_at < now - KEPT))
    hour = sa.func.coalesce(sa.func.sum(sa.case((_call.c.begun_at > now - HOUR, 1), else_=0)), 0)
    used = session.connection().execute(
        sa.select(hour, sa.func.count(), sa.func.coalesce(sa.func.sum(_call.c.tokens), 0)).where(
            _call.c.begun_at > now - DAY
        )
    )
    in_hour, in_day, spent = used.one()
    if in_hour >= limits.calls_per_hour or in_day >= limits.calls_per_day or spent + tokens > limits.tokens_per_day:
        return None
    row = ModelCallRow(begun_at=now, tokens=tokens)
    session.add(row)
    session.flush()
    return row.id


def settle(session: Session, call_id: int, *, tokens: int) -> None:
    """Record what a request cost in the end."""
    session.connection().execute(sa.update(_call).where(_call.c.id == call_id).values(tokens=tokens))


def save(session: Session, key: str, made: Made | None, *, job_id: int, now: datetime) -> None:
    """Keep what was suggested for the post of an errand, if it still stands as it was; twice is once."""
    if made is not None:
        _keep(session, key, made, now)
    jobs.finish(session, [job_id], now=now)


def _keep(session: Session, key: str, made: Made, now: datetime) -> None:
    post_id, edits = read_errand(key)
    post = session.get(PostRow, post_id, with_for_update=True)
    case = session.get(CaseRow, made.case_id)
    if post is None or post.edits != edits or post.deleted_at is not None:
        return
    if case is None or case.state == CaseState.RESOLVED or _is_answered(session, post_id):
        return
    row = {
        "post_id": post_id,
        "edits": edits,
        "case_id": made.case_id,
        "article_id": made.article_id,
        "is_chosen": made.is_chosen,
        "sentences": [asdict(each) for each in made.sentences],
        "model": made.model,
        "made_at": now,
    }
    new = insert_new_returning(session, _suggestion, [row], _suggestion.c.id)
    if not new:
        return
    reply_id = None if made.text is None else _draft(session, post, made, made.text, now)
    session.connection().execute(sa.update(_suggestion).where(_suggestion.c.id == new[0].id).values(reply_id=reply_id))
    events.add(session, "case.suggested", now=now, post_id=post_id, case_id=made.case_id, reply_id=reply_id)


def _is_answered(session: Session, post_id: int) -> bool:
    left = (ReplyState.INTENDED, ReplyState.SENDING, ReplyState.UNKNOWN, ReplyState.SENT, ReplyState.PERSON)
    query = select(ReplyRow.id).where(ReplyRow.post_id == post_id, col(ReplyRow.state).in_(left))
    return session.exec(query).first() is not None


def _draft(session: Session, post: PostRow, made: Made, text: ModelText, now: datetime) -> int | None:
    # Never another state than DRAFTED, never with an errand: only drafts.approve, by a person, lets it go.
    row = ReplyRow(
        key=f"{post.channel}:{post.external_id}:{Origin.MODEL}:{post.edits}",
        post_id=post.id or 0,
        case_id=made.case_id,
        source=post.source,
        channel=post.channel,
        state=ReplyState.DRAFTED,
        origin=Origin.MODEL,
        text=text.for_people(),
        article_id=made.article_id,
        target_revision=post.revision,
        created_at=now,
        expires_at=now + DRAFT_LIFE,
    )
    session.add(row)
    session.flush()
    return row.id


def mark_again(session: Session, reply: ReplyRow) -> None:
    """Judge the sentences of a draft anew after a person changed its words."""
    row = session.exec(select(SuggestionRow).where(SuggestionRow.reply_id == reply.id)).first()
    if row is None:
        return
    stored = articles.get(session, row.article_id)
    texts = () if stored is None else (*stored.article.wordings.values(), plain(stored.article.body))
    # What was left as it was keeps its mark: it was judged with the slots of the wording filled.
    before = {each["text"]: each for each in row.sentences}
    row.sentences = [before.get(each.text) or asdict(each) for each in judged(reply.text, texts)]
    session.add(row)


def of_case(session: Session, case_id: int) -> list[SuggestionView]:
    """Return what was suggested in a case, oldest first."""
    query = (
        select(SuggestionRow, ArticleRow.slug, ArticleRow.title)
        .join(ArticleRow, col(ArticleRow.id) == SuggestionRow.article_id)
        .where(SuggestionRow.case_id == case_id)
        .order_by(col(SuggestionRow.id))
    )
    return [
        SuggestionView(
            post_id=row.post_id,
            article=slug,
            title=title,
            is_chosen=row.is_chosen,
            reply_id=row.reply_id,
            model=row.model,
            made_at=row.made_at,
        )
        for row, slug, title in session.exec(query)
    ]


def read_sentences(found: Any) -> list[SentenceView]:
    """Return the sentences of a row."""
    return [
        SentenceView(text=str(each["text"]), is_supported=each["is_supported"] is True, why=str(each["why"]))
        for each in (found or ())
    ]
