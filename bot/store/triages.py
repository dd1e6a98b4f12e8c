"""What the model said of each post."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import events, jobs, own_labels
from bot.store.own_labels import Found
from bot.store.posts import errand, read_errand
from bot.store.tables import CorrectionRow, PostRow, Stage, TriageRow
from bot.store.upsert import put, table_of
from classifiers.triage import HEADS, Label, Text, Triage

_post = table_of(PostRow)
_triage = table_of(TriageRow)
_correction = table_of(CorrectionRow)

PRIORITY = {"high": 1, "normal": 3, "low": 4}
"""Urgency -> priority of the errands that follow."""


def texts(session: Session, keys: Sequence[str]) -> dict[str, Text]:
    """Return what to judge for each errand of *keys*; an errand that an edit or deletion overtook is left out."""
    wanted = dict(read_errand(key) for key in keys)
    query = sa.select(_post.c.id, _post.c.title, _post.c.text, _post.c.language, _post.c.edits).where(
        _post.c.id.in_(wanted), _post.c.deleted_at.is_(None)
    )
    return {
        errand(row.id, row.edits): Text(
            id=str(row.id), text=f"{row.title}\n{row.text}" if row.title else row.text, language=row.language
        )
        for row in session.connection().execute(query)
        if wanted[row.id] == row.edits
    }


def save(
    session: Session,
    judged: Mapping[str, Triage | None],
    *,
    job_ids: Sequence[int],
    now: datetime,
    own: Sequence[Found] = (),
) -> None:
    """Save one batch's labels, finish its errands and add the next ones. None: no model could judge the post.

    own: what the posts got of the brand's own labels.
    """
    posts = {key: read_errand(key)[0] for key in judged}
    put(
        session,
        _triage,
        [_row(posts[key], triage, now) for key, triage in judged.items() if triage is not None],
        key=("post_id",),
    )
    own_labels.save(session, own)
    jobs.add_all(
        session,
        [
            jobs.row(Stage.HAND_OFF, key, now=now, priority=PRIORITY[triage.urgency.label] if triage else 2)
            for key, triage in judged.items()
        ],
    )
    events.add_all(
        session,
        [
            events.row("post.triaged" if triage else "post.untriaged", now=now, post_id=posts[key])
            for key, triage in judged.items()
        ],
    )
    jobs.finish(session, job_ids, now=now)


def load(session: Session, post_ids: Sequence[int]) -> dict[int, Triage]:
    """Return what is known of each post, people's corrections included; posts nobody judged are missing."""
    query = sa.select(_triage).where(_triage.c.post_id.in_(post_ids))
    return {row["post_id"]: _triage_of(row) for row in session.connection().execute(query).mappings()}


def _row(post_id: int, triage: Triage, now: datetime) -> dict[str, object]:
    labels = {head: getattr(triage, head) for head in (*HEADS, "language")}
    return {
        "post_id": post_id,
        "revision": "",
        **{head: label.label for head, label in labels.items()},
        **{f"{head}_confidence": label.confidence for head, label in labels.items()},
        "model": triage.model,
        "embedding": triage.embedding,
        "judged_at": now,
    }


def _triage_of(row: sa.RowMapping) -> Triage:
    def label(head: str) -> Label:
        return Label(label=row[head], confidence=row[f"{head}_confidence"])

    return Triage(
        id=str(row["post_id"]),
        sentiment=label("sentiment"),
        intent=label("intent"),
        urgency=label("urgency"),
        toxicity=label("toxicity"),
        spam=label("spam"),
        language=label("language"),
        model=row["model"],
        embedding=row["embedding"],
    )
