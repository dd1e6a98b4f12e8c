"""Versions of articles, and the record of who moved them: what ``articles`` and ``editions`` both write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events
from bot.store.tables import ArticleStepRow, ArticleVersionRow
from bot.store.upsert import table_of

_version = table_of(ArticleVersionRow)
_step = table_of(ArticleStepRow)

FOLDER = "folder"
"""Who wrote and reviewed where a file names nobody: articles of before reviewers were asked for."""


class VersionState(StrEnum):
    """Where a version stands. SUPERSEDED: a newer one took its place, published or not."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    PUBLISHED = "published"
    RETIRED = "retired"
    SUPERSEDED = "superseded"


class Step(StrEnum):
    """What people do with an article, in the order of its life; IMPORTED is a folder's."""

    CREATED = "created"
    EDITED = "edited"
    RESTORED = "restored"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    PUBLISHED = "published"
    RETIRED = "retired"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One version. author: who made it. published_at: when a second person published it."""

    number: int
    state: str
    author: str
    revision: str
    restored_from: int | None
    made_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One line of the record. by: as they were called then. note: what they said to it."""

    step: str
    version: int
    by: str
    user_id: int | None
    note: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version to work with. editors: keys of who wrote it."""

    number: int
    state: VersionState
    text: str
    revision: str
    editors: frozenset[str]
    published_at: datetime | None


def key(*, user_id: int | None = None, name: str = "") -> str:
    """Return how an editor is kept: by id, or by name where only a file knows them."""
    return f"name:{' '.join(name.split()).casefold()}" if user_id is None else f"user:{user_id}"


def row(
    article_id: int,
    number: int,
    *,
    state: VersionState,
    text: str,
    revision: str,
    editors: Iterable[str],
    author: str,
    now: datetime,
    restored_from: int | None = None,
) -> dict[str, Any]:
    """Return one version for ``add_all``."""
    return {
        "article_id": article_id,
        "number": number,
        "state": state,
        "text": text,
        "revision": revision,
        "editors": sorted(set(editors)),
        "author": author,
        "restored_from": restored_from,
        "made_at": now,
        "published_at": now if state is VersionState.PUBLISHED else None,
    }


def add_all(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep new versions, made by ``row``."""
    if rows:
        session.connection().execute(sa.insert(_version), [dict(each) for each in rows])


def step_row(
    article_id: int, number: int, step: Step, *, name: str, now: datetime, user_id: int | None = None, note: str = ""
) -> dict[str, Any]:
    """Return one line of the record for ``record``."""
    return {
        "article_id": article_id,
        "version": number,
        "step": step,
        "user_id": user_id,
        "name": name,
        "note": note,
        "at": now,
    }


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep who did what, and tell live pages: ids alone, names stay in the record."""
    if not rows:
        return
    session.connection().execute(sa.insert(_step), [dict(each) for each in rows])
    events.add_all(
        session,
        [
            events.row(
                f"article.{each['step']}",
                now=each["at"],
                facts={"article_id": each["article_id"], "version": each["version"], "user_id": each["user_id"]},
            )
            for each in rows
        ],
    )


def supersede(session: Session, article_ids: Sequence[int], *states: VersionState) -> None:
    """Mark the versions of these articles that stand at *states* as overtaken."""
    for start in range(0, len(article_ids), 500):
        session.connection().execute(
            sa.update(_version)
            .where(_version.c.article_id.in_(article_ids[start : start + 500]), _version.c.state.in_(states))
            .values(state=VersionState.SUPERSEDED)
        )


def move(session: Session, article_id: int, number: int, state: VersionState, *, now: datetime) -> None:
    """Let a version stand at *state*."""
    values: dict[str, Any] = {"state": state}
    if state is VersionState.PUBLISHED:
        values["published_at"] = now
    session.connection().execute(
        sa.update(_version).where(_version.c.article_id == article_id, _version.c.number == number).values(values)
    )


def get(session: Session, article_id: int, number: int) -> Version | None:
    """Return one version."""
    found = session.exec(
        select(ArticleVersionRow).where(ArticleVersionRow.article_id == article_id, ArticleVersionRow.number == number)
    ).first()
    if found is None:
        return None
    return Version(
        number=found.number,
        state=VersionState(found.state),
        text=found.text,
        revision=found.revision,
        editors=frozenset(found.editors),
        published_at=found.published_at,
    )


def revisions(session: Session, article_id: int) -> set[str]:
    """Return the revisions of all versions there were."""
    query = select(ArticleVersionRow.revision).where(ArticleVersionRow.article_id == article_id)
    return set(session.exec(query))


def all_of(session: Session, article_id: int) -> list[VersionView]:
    """Return the versions of an article, newest first."""
    query = select(ArticleVersionRow).where(ArticleVersionRow.article_id == article_id)
    return [
        VersionView(
            number=each.number,
            state=each.state,
            author=each.author,
            revision=each.revision,
            restored_from=each.restored_from,
            made_at=each.made_at,
            published_at=each.published_at,
        )
        for each in session.exec(query.order_by(col(ArticleVersionRow.number).desc()))
    ]


def steps(session: Session, article_id: int) -> list[StepView]:
    """Return who did what with an article, newest first."""
    query = select(ArticleStepRow).where(ArticleStepRow.article_id == article_id)
    return [
        StepView(step=each.step, version=each.version, by=each.name, user_id=each.user_id, note=each.note, at=each.at)
        for each in session.exec(query.order_by(col(ArticleStepRow.id).desc()))
    ]
