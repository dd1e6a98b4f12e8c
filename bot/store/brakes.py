"""The store's part of the brakes: which stand, who pulled and released each and why, and which replies they hold.

A brake pulled anywhere is a row here, so that every machine obeys it; a row stands until a person releases it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events
from bot.store.refusals import Conflict, Invalid
from bot.store.tables import (
    ArticleRow,
    BrakeRow,
    JobRow,
    Origin,
    ReplyRow,
    SourceRow,
    Stage,
    TriageRow,
    UserRow,
)
from bot.store.upsert import insert_new, table_of
from classifiers.triage import INTENTS
from handoff.brake import Pulled, Scope, Target, Topic

HELD = "held by a brake"
"""Why an errand of DELIVER waits; releasing a brake finds them by it."""

HOLD = timedelta(minutes=5)
"""A held reply looks by itself as often as this, should nobody's release have woken it."""

SOON = timedelta(seconds=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
MAX_WHY = 500
MOST_SHOWN = 50

_brake = table_of(BrakeRow)
_job = table_of(JobRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeView:
    """A brake, standing while released_at is None, with who did what, when and why."""

    id: int
    scope: Scope
    name: str
    set_at: datetime
    set_who: str
    set_why: str
    released_at: datetime | None
    released_who: str
    released_why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What the store says: which brakes stand, which of the asked tokens are released, which it never heard of."""

    standing: Sequence[Pulled]
    released: Collection[str]
    unknown: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All at one look. history: newest first, MOST_SHOWN at most. held: replies that wait for a release."""

    standing: Sequence[BrakeView]
    history: Sequence[BrakeView]
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What decides whether a reply is held. expires_at: from then on it is stale."""

    topic: Topic
    expires_at: datetime


def waiting(session: Session, reply_id: int) -> Waiting | None:
    """Return what *reply_id* is about, None when there is no such reply."""
    found = session.exec(
        select(ReplyRow, ArticleRow.slug, TriageRow.intent)
        .join(ArticleRow, col(ArticleRow.id) == ReplyRow.article_id, isouter=True)
        .join(TriageRow, col(TriageRow.post_id) == ReplyRow.post_id, isouter=True)
        .where(ReplyRow.id == reply_id)
    ).first()
    if found is None:
        return None
    row, slug, intent = found
    topic = Topic(source=row.source, article=slug, intent=intent, is_prepared=row.origin != Origin.AGENT)
    return Waiting(topic=topic, expires_at=row.expires_at)


def review(session: Session, tokens: Collection[str]) -> Reviewed:
    """Return what stands here, and what became of *tokens*, which somebody holds as files or in memory."""
    rows = session.exec(select(BrakeRow).where(col(BrakeRow.released_at).is_(None))).all()
    query = select(BrakeRow.token, BrakeRow.released_at).where(col(BrakeRow.token).in_(tokens))
    known = session.exec(query).all() if tokens else []
    return Reviewed(
        standing=[_pulled(row) for row in rows],
        released={token for token, released_at in known if released_at is not None},
        unknown=set(tokens) - {token for token, _ in known},
    )


def adopt(session: Session, pulled: Sequence[Pulled], *, now: datetime) -> int:
    """Take brakes in that stand elsewhere, each token once; return how many were new."""
    tokens = [each.token for each in pulled]
    before = set(session.exec(select(BrakeRow.token).where(col(BrakeRow.token).in_(tokens))))
    # A file may name a person of another store.
    people = set(session.exec(select(UserRow.id).where(col(UserRow.id).in_([each.user_id for each in pulled]))))
    fresh = [
        each if each.user_id in people else replace(each, user_id=None) for each in pulled if each.token not in before
    ]
    insert_new(session, _brake, [_row(each) for each in fresh])
    for each in fresh:
        _tell(session, "brake.set", each.target, now=now, user_id=each.user_id)
    return len(fresh)


def pull(session: Session, pulled: Pulled, *, now: datetime) -> BrakeView:
    """Pull a brake. Raises Invalid when it would stop nothing: no such article, intent or source."""
    check(session, pulled.target)
    adopt(session, [pulled], now=now)
    session.flush()
    return _view(session.exec(select(BrakeRow).where(BrakeRow.token == pulled.token)).one())


def release(
    session: Session, target: Target, *, who: str, why: str, user_id: int | None, now: datetime
) -> Sequence[BrakeView]:
    """Release every brake on *target*, and let what it held look again. Raises Invalid without a reason, Conflict when
    none stands."""
    words = reason(why)
    rows = session.exec(
        select(BrakeRow)
        .where(BrakeRow.scope == target.scope, BrakeRow.name == target.name, col(BrakeRow.released_at).is_(None))
        .with_for_update()
    ).all()
    if not rows:
        raise Conflict(f"no brake stands on {target}; harken status and the page /brakes show which do")
    for row in rows:
        row.released_at, row.released_by, row.released_who, row.released_why = now, user_id, who, words
        session.add(row)
    _tell(session, "brake.released", target, now=now, user_id=user_id)
    session.connection().execute(
        sa.update(_job)
        .where(_job.c.stage == Stage.DELIVER, _job.c.reason == HELD, _job.c.done_at.is_(None))
        .values(due_at=now)
    )
    session.flush()
    return [_view(row) for row in rows]


def hold(session: Session, job_id: int, *, wanted: Sequence[Target], expires_at: datetime, now: datetime) -> None:
    """Let an errand wait until a release, its reply's end or HOLD, whichever is first.

    When no row stands yet (a file was seen first, or a release has just gone by), it looks again SOON.
    """
    keys = [(target.scope.value, target.name) for target in wanted]
    standing = session.exec(
        select(BrakeRow.id).where(
            col(BrakeRow.released_at).is_(None), sa.tuple_(col(BrakeRow.scope), col(BrakeRow.name)).in_(keys)
        )
    ).first()
    due_at = now + (SOON if standing is None else HOLD)
    if now < expires_at < due_at:
        due_at = expires_at
    session.connection().execute(
        sa.update(_job)
        .where(_job.c.id == job_id, _job.c.done_at.is_(None))
        .values(due_at=due_at, claimed_until=None, claimed_by=None, reason=HELD, attempts=_job.c.attempts - 1)
    )


def held(session: Session) -> int:
    """Return how many replies wait for a release."""
    return session.exec(
        select(sa.func.count())
        .select_from(JobRow)
        .where(JobRow.stage == Stage.DELIVER, JobRow.reason == HELD, col(JobRow.done_at).is_(None))
    ).one()


def overview(session: Session) -> Overview:
    """Return what stands, what stood, and how much waits."""
    rows = session.exec(select(BrakeRow).order_by(col(BrakeRow.set_at).desc(), col(BrakeRow.id).desc()))
    views = [_view(row) for row in rows]
    return Overview(
        standing=[view for view in views if view.released_at is None],
        history=views[:MOST_SHOWN],
        held=held(session),
    )


def check(session: Session, target: Target) -> None:
    """Raises Invalid when a brake on *target* would stop nothing: a typing error must not look like a stop."""
    match target.scope:
        case Scope.EVERYTHING:
            return
        case Scope.ARTICLE:
            if session.exec(select(ArticleRow.id).where(ArticleRow.slug == target.name)).first() is None:
                raise Invalid(f"there is no article {target.name!r}; the page /articles shows them")
        case Scope.INTENT:
            if target.name not in INTENTS:
                raise Invalid(f"there is no intent {target.name!r}; there are: {', '.join(INTENTS)}")
        case Scope.SOURCE:
            if session.get(SourceRow, target.name) is None:
                names = ", ".join(session.exec(select(SourceRow.name).order_by(col(SourceRow.name))))
                raise Invalid(f"there is no source {target.name!r}; there are: {names or 'none'}")


def reason(why: str) -> str:
    """Return *why*, fit to be kept. Raises Invalid."""
    words = " ".join(why.replace("\x00", "").split())
    if not words:
        raise Invalid("say why; the record keeps it")
    if len(words) > MAX_WHY:
        raise Invalid(f"a reason has {MAX_WHY} characters at most")
    return words


def _row(each: Pulled) -> dict[str, object]:
    return {
        "token": each.token,
        "scope": each.target.scope.value,
        "name": each.target.name,
        "set_at": each.at,
        "set_by": each.user_id,
        "set_who": each.who,
        "set_why": each.why,
        "released_who": "",
        "released_why": "",
    }


def _pulled(row: BrakeRow) -> Pulled:
    return Pulled(
        token=row.token,
        target=Target(scope=Scope(row.scope), name=row.name),
        at=row.set_at,
        who=row.set_who,
        why=row.set_why,
        user_id=row.set_by,
    )


def _view(row: BrakeRow) -> BrakeView:
    return BrakeView(
        id=row.id or 0,
        scope=Scope(row.scope),
        name=row.name,
        set_at=row.set_at,
        set_who=row.set_who,
        set_why=row.set_why,
        released_at=row.released_at,
        released_who=row.released_who,
        released_why=row.released_why,
    )


def _tell(session: Session, kind: str, target: Target, *, now: datetime, user_id: int | None) -> None:
    facts = {"scope": target.scope.value, "name": target.name, "user_id": user_id}
    events.add(session, kind, now=now, facts=facts)
