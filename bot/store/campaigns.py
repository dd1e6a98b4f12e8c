"""How the people in an incident are answered: started by a person, at a pace, each once; and how it ends.

A reply is set off as a row in ``intended`` with its errand, as every reply; it leaves through the same gate, where
brakes and guards are asked (``replies.begin``). What nobody may say twice is held by a key: one row for each author and
part. All of it is rows, so a restart goes on where it stood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import events, incident_steps, incidents, jobs, lately
from bot.store.incidents import IncidentView
from bot.store.lately import Lately
from bot.store.refusals import Conflict, Invalid
from bot.store.situations import SAID
from bot.store.tables import (
    CasePostRow,
    CaseRow,
    IncidentPostRow,
    IncidentReplyRow,
    IncidentRow,
    Origin,
    PostRow,
    ReplyRow,
    ReplyState,
    Stage,
    TriageRow,
)
from bot.store.upsert import insert_new, insert_new_returning, table_of
from handoff.case import CaseState
from handoff.incident import MINUTE, Part, room
from handoff.knowledge.article import Article
from handoff.likeness import likeness
from handoff.policy import Policy

LIFE = timedelta(hours=6)
"""After this a reply that waited for brakes or caps is stale; starting again says it."""

LOOKED_AT = 500
"""Authors considered in one look."""

PAUSED = "sending was paused"

MAX_PACE = 600

_incident = table_of(IncidentRow)
_linked = table_of(IncidentPostRow)
_slot = table_of(IncidentReplyRow)
_reply = table_of(ReplyRow)
_post = table_of(PostRow)
_triage = table_of(TriageRow)
_case = table_of(CaseRow)
_case_post = table_of(CasePostRow)

Say: TypeAlias = Callable[[Article, str], str | None]
"""(article, source) -> its exact words there; "" when it has none that can be said, None when the source is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one look did. halted: why the sending of an incident stopped by itself."""

    set_off: int = 0
    halted: str = ""


def start(
    session: Session, number: int, *, part: Part, pace: int | None, who: str, user_id: int | None, now: datetime
) -> IncidentView:
    """Begin, or go on, to send the answer or the follow-up; what was cancelled or paused before is tried again.

    Raises Missing, Conflict, Invalid.
    """
    row = incident_steps.open_row(session, number)
    if pace is not None and not 1 <= pace <= MAX_PACE:
        raise Invalid(f"the pace is 1 to {MAX_PACE} replies a minute")
    if row.sending and row.sending != part:
        raise Conflict("something else is being sent in this incident; pause that first")
    slug = row.answer if part is Part.ANSWER else row.follow_up
    if not slug:
        raise Conflict("choose the article first that shall be said")
    found = incident_steps.in_force(session, slug, now=now)
    if not found:
        raise Conflict(f"the article {slug} may not be said now; choose another")
    if part is Part.FOLLOW_UP and not _answered(session, number):
        raise Conflict("nobody was answered yet, so there is nobody to follow up with")
    row.sending, row.read_as, row.round = part.value, _read_as(found), row.round + 1
    row.started_at, row.started_by, row.started_who, row.halted = now, user_id, who, ""
    row.pace = pace or row.pace
    over = sa.select(_reply.c.id).where(_reply.c.state.in_((ReplyState.CANCELLED, ReplyState.REFUSED)))
    session.connection().execute(
        sa.delete(_slot).where(
            _slot.c.incident_id == number,
            _slot.c.part == part.value,
            sa.or_(_slot.c.reply_id.is_(None), _slot.c.reply_id.in_(over)),
        )
    )
    incident_steps.tell(session, row, "incident.started", now=now, part=part.value, user_id=user_id)
    return incidents.one(session, number)


def pause(session: Session, number: int, *, user_id: int | None, now: datetime) -> IncidentView:
    """Stop sending at once: what has not begun to leave is taken back. Twice is harmless. Raises Missing, Conflict."""
    row = incident_steps.open_row(session, number)
    if row.sending:
        row.sending, row.halted = "", ""
        _take_back(session, number, PAUSED, now)
        incident_steps.tell(session, row, "incident.paused", now=now, user_id=user_id)
    return incidents.one(session, number)


def close(session: Session, number: int, *, who: str, user_id: int | None, now: datetime) -> IncidentView:
    """End an incident and its case; what has not begun to leave is not said. Raises Missing, Conflict."""
    row = incident_steps.open_row(session, number)
    _take_back(session, number, "the incident was closed", now)
    row.sending, row.halted = "", ""
    row.closed_at, row.closed_by, row.closed_who = now, user_id, who
    held = sa.or_(_incident.c.id == number, _incident.c.merged_into == number)
    session.connection().execute(sa.update(_incident).where(held).values(is_gathering=False))
    incident_steps.resolve_case(session, row, user_id=user_id, now=now)
    incident_steps.tell(session, row, "incident.closed", now=now, user_id=user_id)
    return incidents.one(session, number)


def under_way(session: Session) -> list[int]:
    """Return the incidents in which something is being sent."""
    query = sa.select(_incident.c.id).where(_incident.c.sending != "", _incident.c.closed_at.is_(None))
    return [row.id for row in session.connection().execute(query.order_by(_incident.c.id))]


def set_off(session: Session, number: int, *, say: Say, policy: Policy, now: datetime) -> Done:
    """Set off as many replies of an incident as pace and caps have room for now.

    The incident's row is locked, so that two workers never do this at once.
    """
    row = session.get(IncidentRow, number, with_for_update=True)
    if row is None or not row.sending or row.closed_at is not None:
        return Done()
    part = Part(row.sending)
    slug = row.answer if part is Part.ANSWER else row.follow_up
    found = incident_steps.in_force(session, slug, now=now)
    if not found or _read_as(found) != row.read_as:
        was = "was changed since it was chosen" if found else "may not be said any more"
        return _halt(session, row, f"the article {slug} {was}; read it and start again", now)
    most = policy.settings.incidents.sends_per_start
    begun = _begun(session, row)
    if begun >= most:
        return _halt(session, row, f"{begun} were sent since it was started; look at them and go on", now)
    left, waiting = _leaving(session, number, now)
    free = min(room(row.pace, left=left, waiting=waiting), most - begun)
    if free <= 0:
        return Done()
    said = lately.load(session, now=now, states=SAID, posts=())
    count = 0
    for target in _targets(session, row, part):
        if count >= free:
            break
        count += _one(session, row, part, target, found, said=said, say=say, policy=policy, now=now)
    return Done(set_off=count)


def _one(
    session: Session,
    row: IncidentRow,
    part: Part,
    target: sa.Row[Any],
    found: Sequence[tuple[int, Article]],
    *,
    said: Lately,
    say: Say,
    policy: Policy,
    now: datetime,
) -> int:
    """Set off one reply, or say why there is none; return how many were set off."""
    article_id, article = next((each for each in found if each[1].language == target.language), found[0])
    text = say(article, target.source)
    if target.is_worked_on:
        return _skip(session, row, part, target, "people already work on this conversation", now)
    if not text:
        gone = f"the source {target.source} is not configured any more"
        return _skip(session, row, part, target, gone if text is None else f"{article.name} has no words for it", now)
    if policy.is_quiet(target.source, now) or _is_full(said, policy, target.source, article.slug, text):
        return 0
    slot = {**_slot_of(row, part, target, now), "reason": ""}
    if not insert_new_returning(session, _slot, [slot], _slot.c.author_id):
        return 0
    reply = {
        "key": f"{target.channel}:{target.external_id}:{part}:{row.id}.{row.round}.{target.edits}",
        "post_id": target.id,
        "case_id": row.case_id,
        "source": target.source,
        "channel": target.channel,
        "state": ReplyState.INTENDED,
        "origin": Origin(part.value),
        "text": text,
        "article_id": article_id,
        "intent": target.intent,
        "is_edited": False,
        "target_revision": target.revision,
        "approved_by": row.started_by,
        "attempts": 0,
        "created_at": now,
        "expires_at": now + LIFE,
    }
    (made,) = insert_new_returning(session, _reply, [reply], _reply.c.id)
    mine = sa.and_(_slot.c.incident_id == row.id, _slot.c.part == part.value, _slot.c.author_id == target.author_id)
    session.connection().execute(sa.update(_slot).where(mine).values(reply_id=made.id))
    jobs.add(session, Stage.DELIVER, str(made.id), now=now, priority=2)
    facts = {"incident": row.id, "origin": part.value}
    events.add(
        session, "reply.intended", now=now, post_id=target.id, case_id=row.case_id, reply_id=made.id, facts=facts
    )
    said.add(source=target.source, channel=target.channel, root_id=None, slug=article.slug, text=text)
    return 1


def _skip(session: Session, row: IncidentRow, part: Part, target: sa.Row[Any], reason: str, now: datetime) -> int:
    insert_new(session, _slot, [{**_slot_of(row, part, target, now), "reason": reason}])
    return 0


def _slot_of(row: IncidentRow, part: Part, target: sa.Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "incident_id": row.id,
        "part": part.value,
        "author_id": target.author_id,
        "post_id": target.id,
        "at": now,
    }


def _targets(session: Session, row: IncidentRow, part: Part) -> Sequence[sa.Row[Any]]:
    """Return a post of each author who has no row for *part* yet: the newest, or, for a follow-up, the answered one."""
    worked_on = sa.exists().where(
        _case_post.c.post_id == _post.c.id,
        _case.c.id == _case_post.c.case_id,
        _case.c.state != CaseState.RESOLVED,
        _case.c.key.not_like("incident/%"),
    )
    columns = (
        *(_post.c.id, _post.c.channel, _post.c.external_id, _post.c.source, _post.c.revision, _post.c.edits),
        *(_triage.c.intent, _triage.c.language, worked_on.label("is_worked_on")),
    )
    mine = _slot.alias("mine")
    if part is Part.FOLLOW_UP:
        query = (
            sa.select(*columns, _slot.c.author_id)
            .join_from(_slot, _reply, _reply.c.id == _slot.c.reply_id)
            .join(_post, _post.c.id == _slot.c.post_id)
            .outerjoin(_triage, _triage.c.post_id == _post.c.id)
            .outerjoin(mine, _is(mine, part, _slot.c.incident_id, _slot.c.author_id))
            .where(
                _slot.c.incident_id == row.id,
                _slot.c.part == Part.ANSWER.value,
                _reply.c.state == ReplyState.SENT,
                mine.c.author_id.is_(None),
            )
            .order_by(_reply.c.sent_at, _reply.c.id)
        )
        return session.connection().execute(query.limit(LOOKED_AT)).all()
    query = (
        sa.select(*columns, _linked.c.author_id)
        .join_from(_linked, _post, _post.c.id == _linked.c.post_id)
        .outerjoin(_triage, _triage.c.post_id == _post.c.id)
        .outerjoin(mine, _is(mine, part, _linked.c.incident_id, _linked.c.author_id))
        .where(
            _linked.c.incident_id == row.id,
            _linked.c.taken_out_at.is_(None),
            _post.c.deleted_at.is_(None),
            mine.c.author_id.is_(None),
        )
        .order_by(_linked.c.at, _post.c.id)
    )
    newest = {each.author_id: each for each in session.connection().execute(query.limit(LOOKED_AT))}
    return list(newest.values())


def _is(mine: Any, part: Part, incident: Any, author: Any) -> sa.ColumnElement[bool]:
    return sa.and_(mine.c.incident_id == incident, mine.c.part == part.value, mine.c.author_id == author)


def _is_full(said: Lately, policy: Policy, source: str, slug: str, text: str) -> bool:
    """Tell whether a cap has no room; asked again, with everything else, when the reply leaves."""
    caps = policy.settings.caps
    return (
        (policy.is_on("total_cap") and said.everywhere >= caps.total_per_hour)
        or (policy.is_on("source_cap") and said.sources[source] >= caps.source_per_hour)
        or (policy.is_on("article_cap") and said.articles[slug] >= caps.article_per_hour)
        or said.texts[source, likeness(text)] >= caps.same_text_per_hour
    )


def _leaving(session: Session, number: int, now: datetime) -> tuple[int, int]:
    """Return how many left within the last minute, and how many are on their way."""
    query = (
        sa.select(
            sa.func.sum(sa.case((_reply.c.first_sent_at > now - MINUTE, 1), else_=0)),
            sa.func.sum(
                sa.case((sa.and_(_reply.c.first_sent_at.is_(None), _reply.c.state == ReplyState.INTENDED), 1), else_=0)
            ),
        )
        .join_from(_slot, _reply, _reply.c.id == _slot.c.reply_id)
        .where(_slot.c.incident_id == number)
    )
    left, waiting = session.connection().execute(query).one()
    return int(left or 0), int(waiting or 0)


def _begun(session: Session, row: IncidentRow) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(_slot)
        .where(
            _slot.c.incident_id == row.id,
            _slot.c.part == row.sending,
            _slot.c.reply_id.is_not(None),
            _slot.c.at >= row.started_at,
        )
    )
    return int(session.connection().execute(query).scalar_one())


def _answered(session: Session, number: int) -> bool:
    query = (
        sa.select(_slot.c.author_id)
        .join_from(_slot, _reply, _reply.c.id == _slot.c.reply_id)
        .where(_slot.c.incident_id == number, _slot.c.part == Part.ANSWER.value, _reply.c.state == ReplyState.SENT)
    )
    return session.connection().execute(query.limit(1)).first() is not None


def _take_back(session: Session, number: int, reason: str, now: datetime) -> None:
    """Cancel what is meant to be said and has not begun to leave."""
    mine = sa.select(_slot.c.reply_id).where(_slot.c.incident_id == number, _slot.c.reply_id.is_not(None))
    gone = session.connection().execute(
        sa.update(_reply)
        .where(_reply.c.id.in_(mine), _reply.c.state == ReplyState.INTENDED)
        .values(state=ReplyState.CANCELLED, reason=reason)
        .returning(_reply.c.id, _reply.c.post_id, _reply.c.case_id)
    )
    events.add_all(
        session,
        [
            events.row("reply.cancelled", now=now, post_id=each.post_id, case_id=each.case_id, reply_id=each.id)
            for each in gone.all()
        ],
    )


def _halt(session: Session, row: IncidentRow, why: str, now: datetime) -> Done:
    _take_back(session, row.id or 0, why, now)
    row.sending, row.halted = "", why
    incident_steps.tell(session, row, "incident.halted", now=now)
    return Done(halted=why)


def _read_as(found: Sequence[tuple[int, Article]]) -> str:
    """Return what changes with any word of any locale that may be said."""
    whole = ";".join(f"{number}:{article.revision}" for number, article in found)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
