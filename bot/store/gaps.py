"""Questions that no article answered, and the drafts of articles that people make of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import editions
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.situations import SAID
from bot.store.tables import ArticleRow, ArticleVersionRow, Origin, Outcome, PostRow, ReplyRow, ReplyState, TriageRow
from bot.store.upsert import table_of
from bot.store.verdicts import is_rejected, is_said_by_hand
from handoff.guards import NO_ANSWER, UNLIKELY
from handoff.knowledge.article import Article, parse
from handoff.knowledge.gaps import Question, asks, proposed
from handoff.sensitive import IN_WORDS

MOST = 10_000
"""Newest questions looked at: they are grouped in seconds, and older ones of a busy brand add counts, not groups."""

WENT_TO_PEOPLE = (Outcome.ESCALATED, Outcome.DRAFTED, Outcome.ANSWERED)

MOST_POSTS = 50
"""Posts that one draft may be made of; more than are quoted, so that what may not be quoted can stand among them."""

_post = table_of(PostRow)
_triage = table_of(TriageRow)
_reply = table_of(ReplyRow)
_article = table_of(ArticleRow)
_version = table_of(ArticleVersionRow)


def questions(
    session: Session, *, since: datetime, leave_out: Collection[str] = (), limit: int = MOST
) -> tuple[list[Question], bool]:
    """Return what was asked after *since* and no article answered, newest first, and whether that is more than *limit*.

    That is: it went to people because no article was likely to answer it, or its draft was discarded or passed over;
    and nothing made from an article was said. leave_out: intents that an article cannot help with. Subjects that need
    care are left out.
    """
    reasons = sa.cast(_post.c.reasons, sa.Text)
    rejected = _rejected()
    query = (
        _asked()
        .add_columns(rejected.label("was_rejected"))
        .where(
            _post.c.created_at > since,
            _post.c.outcome.in_(WENT_TO_PEOPLE),
            _post.c.is_own.is_(False),
            _triage.c.intent.not_in(list(leave_out)),
            sa.or_(reasons.contains(NO_ANSWER), reasons.contains(UNLIKELY), rejected),
            sa.not_(_served()),
        )
        .order_by(_post.c.created_at.desc(), _post.c.id.desc())
        .limit(limit + 1)
    )
    rows = session.connection().execute(query).all()
    careful = frozenset(IN_WORDS.values())
    found = [_question(row) for row in rows[:limit] if careful.isdisjoint(row.reasons or ())]
    return [each for each in found if asks(each.text)], len(rows) > limit


def being_written(session: Session) -> Mapping[str, str]:
    """Return each question that an article holds which is being written, and that article's name."""
    query = (
        sa.select(_article.c.slug, _article.c.locale, _version.c.text)
        .join(_version, sa.and_(_version.c.article_id == _article.c.id, _version.c.number == _article.c.newest))
        .where(_article.c.open_state.is_not(None))
    )
    return {
        question: f"{row.slug}.{row.locale}"
        for row in session.connection().execute(query)
        for question in parse(row.text, name="version").questions
    }


def propose(session: Session, post_ids: Sequence[int], *, user_id: int, now: datetime, main_locale: str) -> int:
    """Make the draft of an article that would answer these posts, the first of which names it; return its id.

    It holds the questions and no wording, and goes the way of every draft. Raises Missing, Invalid, Conflict when an
    article that holds the question is being written already.
    """
    article = _proposed(session, post_ids, main_locale)
    if (there := being_written(session).get(article.questions[0])) is not None:
        raise Conflict(f"{there} is being written already and holds this question; add what is missing there")
    return editions.create(session, article, user_id=user_id, now=now, main_locale=main_locale)


def _proposed(session: Session, post_ids: Sequence[int], main_locale: str) -> Article:
    ids = list(dict.fromkeys(post_ids))
    if not 1 <= len(ids) <= MOST_POSTS:
        raise Invalid(f"name 1 to {MOST_POSTS} posts that ask the question")
    query = _asked().add_columns(sa.false().label("was_rejected")).where(_post.c.id.in_(ids))
    found = {row.id: _question(row) for row in session.connection().execute(query)}
    if missing := [str(each) for each in ids if each not in found]:
        raise Missing(f"no post with words and labels has the id {', '.join(missing)}; it may have been deleted")
    taken = session.connection().execute(sa.select(_article.c.slug).distinct()).scalars()
    try:
        return proposed([found[each] for each in ids], taken=taken, main_locale=main_locale)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _asked() -> sa.Select[Any]:
    return (
        sa.select(
            _post.c.id,
            _post.c.author_id,
            _post.c.title,
            _post.c.text,
            _post.c.channel,
            _post.c.created_at,
            _post.c.is_private,
            _post.c.reasons,
            _triage.c.language,
            _triage.c.intent,
            _triage.c.embedding,
            _triage.c.model,
        )
        .join(_triage, _triage.c.post_id == _post.c.id)
        .where(_post.c.deleted_at.is_(None))
    )


def _rejected() -> sa.ColumnElement[bool]:
    return sa.exists().where(_reply.c.post_id == _post.c.id, is_rejected())


def _served() -> sa.ColumnElement[bool]:
    """What was made from an article is, may be or will be public, or waits for a person who has not answered yet."""
    return sa.exists().where(
        _reply.c.post_id == _post.c.id,
        _reply.c.origin.in_((Origin.BOT, Origin.DRAFT)),
        sa.or_(
            _reply.c.state.in_(SAID),
            sa.and_(_reply.c.state == ReplyState.DRAFTED, sa.not_(is_rejected())),
            is_said_by_hand(),
        ),
    )


def _question(row: Any) -> Question:
    return Question(
        post_id=row.id,
        author_id=row.author_id,
        text=f"{row.title}\n{row.text}" if row.title else row.text,
        language=row.language,
        channel=row.channel,
        at=row.created_at,
        intent=row.intent,
        embedding=bytes(row.embedding),
        model=row.model,
        is_private=row.is_private,
        was_rejected=bool(row.was_rejected),
    )
