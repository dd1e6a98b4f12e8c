"""What people corrected, what a lead said of it, and what the heads were taught: each revision with its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events, people
from bot.store.refusals import Conflict, Missing
from bot.store.tables import CorrectionRow, HeadRevisionRow, PostRow, Review, RevisionState, TriageRow
from classifiers.lessons import Lesson, weighed

MOST_READ = 10_000
"""The newest corrections that are looked at: several times what is taught, so that nobody's flood hides the others'."""

ORDINARY = 500
"""Posts that nobody corrected which anchor a fit: enough to say what is usual, read in seconds."""

MOST_SHOWN = 100
"""Corrections that wait, and revisions, on the page and in the API: the newest."""

SCHEDULE, COMMAND, PERSON = "schedule", "command", "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionView:
    """A correction as a lead reviews it. counts: it teaches, also without a lead. why_not: why not, or empty."""

    id: int
    post_id: int
    text: str
    head: str
    old: str
    new: str
    user_id: int
    by: str
    at: datetime
    review: str | None
    counts: bool
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionView:
    """What the heads were taught. by: a person, "schedule" or "command". in_service: it judges now.

    figures: {"heads": [before and after for each head], "left_out": {why: count}, "notes": [...], "seconds": ...}.
    """

    number: int
    made_at: datetime
    by: str
    model: str
    state: str
    reason: str
    figures: Mapping[str, Any]
    in_service: bool
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingView:
    """All at one look. waiting: corrections no lead has seen, newest first, MOST_SHOWN at most of *waiting_count*."""

    revisions: Sequence[RevisionView]
    waiting: Sequence[CorrectionView]
    waiting_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InService:
    """number: of the revision that judges. change: as it was packed."""

    number: int
    change: bytes
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a refit came to, to be kept. change: empty when nothing became better. reason: why, when refused."""

    model: str
    state: RevisionState
    reason: str
    change: bytes
    figures: Mapping[str, Any]
    last_correction: int


def lessons(session: Session) -> tuple[list[Lesson], int]:
    """Return the corrections that may teach, and the highest id of all.

    The last word on a label counts, from what the model had said to what stands now; not what a lead rejected, nor
    what was said of a text that has changed or gone since.
    """
    highest = session.exec(select(sa.func.max(CorrectionRow.id))).one() or 0
    return [_lesson(*each) for each in _last_words(session) if each[0].review != Review.REJECTED], highest


def ordinary(session: Session) -> dict[int, str]:
    """Return id -> text of the newest ORDINARY posts that have labels and that nobody corrected, oldest first."""
    corrected = select(CorrectionRow.id).where(CorrectionRow.post_id == col(PostRow.id)).exists()
    query = (
        select(PostRow)
        .join(TriageRow, col(TriageRow.post_id) == col(PostRow.id))
        .where(col(PostRow.deleted_at).is_(None), ~corrected)
        .order_by(col(PostRow.id).desc())
        .limit(ORDINARY)
    )
    return {row.id or 0: _text(row) for row in reversed(session.exec(query).all())}


def fresh(session: Session, *, model: str) -> int:
    """Return how many corrections came, or were reviewed, since *model* was last taught or refused."""
    last = session.exec(
        select(HeadRevisionRow)
        .where(HeadRevisionRow.model == model, HeadRevisionRow.state != RevisionState.ASKED)
        .order_by(col(HeadRevisionRow.id).desc())
        .limit(1)
    ).first()
    query = select(sa.func.count()).select_from(CorrectionRow)
    if last is not None:
        reviewed = sa.and_(col(CorrectionRow.reviewed_at) > last.made_at, col(CorrectionRow.review) == Review.APPROVED)
        query = query.where(sa.or_(col(CorrectionRow.id) > last.last_correction, reviewed))
    return session.exec(query).one()


def overview(session: Session) -> TeachingView:
    """Return revisions and waiting corrections."""
    words = [each for each in _last_words(session) if each[0].review != Review.REJECTED]
    found = weighed([_lesson(*each) for each in words])
    waiting = [(row, post, old) for row, post, old in words if row.review is None]
    newest = sorted(waiting, key=lambda each: -(each[0].id or 0))[:MOST_SHOWN]
    names = people.names(session, [row.user_id for row, _, _ in newest])
    return TeachingView(
        revisions=revisions(session),
        waiting=[_correction(row, post, old, names, found.left_out.get(row.id or 0, "")) for row, post, old in newest],
        waiting_count=len(waiting),
    )


def review(session: Session, correction_id: int, *, approve: bool, user_id: int, now: datetime) -> CorrectionView:
    """Record what a lead says of a correction; the last word counts. Raises Missing, Conflict for one's own."""
    row = session.get(CorrectionRow, correction_id)
    post = None if row is None else session.get(PostRow, row.post_id)
    if row is None or post is None:
        raise Missing("there is no such correction")
    if approve and row.user_id == user_id:
        raise Conflict("you made this correction yourself; somebody else must approve it")
    said = Review.APPROVED if approve else Review.REJECTED
    if row.review != said:
        row.review, row.reviewed_by, row.reviewed_at = said, user_id, now
        session.add(row)
        session.flush()
        facts = {"correction_id": correction_id, "head": row.head, "user_id": user_id}
        events.add(session, f"correction.{said}", now=now, post_id=row.post_id, facts=facts)
    return _correction(row, post, row.old, people.names(session, [row.user_id]), "")


def in_service(session: Session, *, model: str) -> InService | None:
    """Return the revision that judges with *model*; what was made for another model is none."""
    query = _active(model)
    row = session.exec(query).first()
    return None if row is None else InService(number=row.id or 0, change=row.change, figures=row.figures)


def newest_active(session: Session) -> tuple[int, str] | None:
    """Return number and model of the newest revision that is in service for any model."""
    row = session.exec(_newest_active()).first()
    return None if row is None else (row.id or 0, row.model)


def number_in_service(session: Session, *, model: str) -> int:
    """Return the number of the revision that judges with *model*, 0 for the shipped heads."""
    return session.exec(_active(model).with_only_columns(col(HeadRevisionRow.id))).first() or 0


def ask(session: Session, *, user_id: int, now: datetime) -> RevisionView:
    """Ask for a refit by a process that holds the model; asked twice is once."""
    row = session.exec(select(HeadRevisionRow).where(HeadRevisionRow.state == RevisionState.ASKED)).first()
    if row is None:
        row = HeadRevisionRow(
            made_at=now, origin=PERSON, user_id=user_id, model="", state=RevisionState.ASKED, figures={}
        )
        session.add(row)
        session.flush()
    return _one(session, row)


def asked(session: Session) -> int | None:
    """Return the number of the revision that somebody asked for."""
    return session.exec(select(HeadRevisionRow.id).where(HeadRevisionRow.state == RevisionState.ASKED)).first()


def keep(session: Session, made: Made, *, origin: str, number: int | None, now: datetime) -> RevisionView:
    """Keep what a refit came to. number: of the row that asked for it. A newer proposal overtakes an older one."""
    row = None if number is None else session.get(HeadRevisionRow, number)
    if row is None or row.state != RevisionState.ASKED:
        row = HeadRevisionRow(made_at=now, origin=origin, model="", state=RevisionState.ASKED, figures={})
    if made.state != RevisionState.REFUSED:
        _overtake(session, made.model, now)
    row.made_at, row.model, row.state, row.reason = now, made.model, made.state, made.reason
    row.change, row.figures, row.last_correction = made.change, dict(made.figures), made.last_correction
    session.add(row)
    session.flush()
    events.add(session, f"teaching.{made.state}", now=now, facts={"number": row.id, "model": made.model})
    return _one(session, row)


def accept(session: Session, number: int, *, user_id: int, now: datetime) -> RevisionView:
    """Take a proposed revision into service. Raises Missing, Conflict when it is not proposed (any more)."""
    row = session.get(HeadRevisionRow, number)
    if row is None:
        raise Missing("there is no such revision")
    if row.state != RevisionState.PROPOSED:
        raise Conflict(f"revision {number} is {row.state}, not proposed")
    _decide(session, row, RevisionState.ACTIVE, user_id, now)
    return _one(session, row)


def undo(session: Session, *, user_id: int | None, now: datetime) -> RevisionView:
    """Take the newest active revision out of service; the one before it judges again, or the shipped heads.

    Raises Conflict when none is active.
    """
    row = session.exec(_newest_active()).first()
    if row is None:
        raise Conflict("nothing that was taught is in service; the shipped heads judge")
    _decide(session, row, RevisionState.UNDONE, user_id, now)
    return _one(session, row)


def revisions(session: Session) -> list[RevisionView]:
    """Return the newest MOST_SHOWN revisions, newest first."""
    rows = session.exec(select(HeadRevisionRow).order_by(col(HeadRevisionRow.id).desc()).limit(MOST_SHOWN)).all()
    return _revisions(session, rows)


def _newest_active() -> Any:
    query = select(HeadRevisionRow).where(HeadRevisionRow.state == RevisionState.ACTIVE)
    return query.order_by(col(HeadRevisionRow.id).desc()).limit(1)


def _active(model: str) -> Any:
    return _newest_active().where(HeadRevisionRow.model == model)


def _decide(session: Session, row: HeadRevisionRow, state: RevisionState, user_id: int | None, now: datetime) -> None:
    row.state, row.decided_by, row.decided_at = state, user_id, now
    session.add(row)
    session.flush()
    events.add(session, f"teaching.{state}", now=now, facts={"number": row.id, "user_id": user_id})


def _overtake(session: Session, model: str, now: datetime) -> None:
    query = select(HeadRevisionRow).where(
        HeadRevisionRow.model == model, HeadRevisionRow.state == RevisionState.PROPOSED
    )
    for row in session.exec(query):
        row.state, row.reason, row.decided_at = RevisionState.REFUSED, "a newer one came before a lead decided", now
        session.add(row)


def _last_words(session: Session) -> Iterator[tuple[CorrectionRow, PostRow, str]]:
    """Yield for each post and head the last correction, and what the model had said before the first one."""
    newest = select(CorrectionRow.id).order_by(col(CorrectionRow.id).desc()).limit(MOST_READ).subquery()
    query = (
        select(CorrectionRow, PostRow)
        .join(newest, newest.c.id == col(CorrectionRow.id))
        .join(PostRow, col(PostRow.id) == CorrectionRow.post_id)
        .where(
            col(PostRow.deleted_at).is_(None),
            sa.or_(col(PostRow.edited_at).is_(None), col(PostRow.edited_at) <= CorrectionRow.at),
        )
        .order_by(col(CorrectionRow.post_id), col(CorrectionRow.head), col(CorrectionRow.id))
    )
    rows: Iterable[tuple[CorrectionRow, PostRow]] = session.exec(query)
    for _, group in groupby(rows, key=lambda each: (each[0].post_id, each[0].head)):
        first, *more = group
        last, post = more[-1] if more else first
        if last.new != first[0].old:
            yield last, post, first[0].old


def _lesson(row: CorrectionRow, post: PostRow, old: str) -> Lesson:
    return Lesson(
        id=row.id or 0,
        text=_text(post),
        head=row.head,
        old=old,
        new=row.new,
        person=row.user_id,
        at=row.at,
        approved=row.review == Review.APPROVED,
    )


def _text(post: PostRow) -> str:
    return f"{post.title}\n{post.text}" if post.title else post.text


def _correction(row: CorrectionRow, post: PostRow, old: str, names: Mapping[int, str], why_not: str) -> CorrectionView:
    gone = post.deleted_at is not None
    return CorrectionView(
        id=row.id or 0,
        post_id=row.post_id,
        text="" if gone else _text(post),
        head=row.head,
        old=old,
        new=row.new,
        user_id=row.user_id,
        by=names.get(row.user_id, ""),
        at=row.at,
        review=row.review,
        counts=row.review != Review.REJECTED and not why_not,
        why_not=why_not,
    )


def _one(session: Session, row: HeadRevisionRow) -> RevisionView:
    return _revisions(session, [row])[0]


def _revisions(session: Session, rows: Sequence[HeadRevisionRow]) -> list[RevisionView]:
    names = people.names(session, [each for row in rows for each in (row.user_id, row.decided_by) if each is not None])
    serving = {number_in_service(session, model=model) for model in {row.model for row in rows}}
    return [_revision(row, names, in_service=row.id in serving) for row in rows]


def _revision(row: HeadRevisionRow, names: Mapping[int, str], *, in_service: bool) -> RevisionView:
    return RevisionView(
        number=row.id or 0,
        made_at=row.made_at,
        by=row.origin if row.user_id is None else names.get(row.user_id, ""),
        model=row.model,
        state=row.state,
        reason=row.reason,
        figures=row.figures or {},
        in_service=in_service,
        decided_by=None if row.decided_by is None else names.get(row.decided_by, ""),
        decided_at=row.decided_at,
    )
