"""Labels of the brand's own: sets with their examples, how well they were learnt, and what posts got.

Examples come from the configuration or from people; both make up one set. What the configuration says stays until it is
changed there, and where a text stands under two labels, the configuration is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import events
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.tables import LabelExampleRow, LabelSetRow, OwnLabelRow, PostRow, TriageRow, UserRow
from bot.store.turns import Turn, take_turn
from bot.store.upsert import put, table_of
from classifiers import own

Labels = Mapping[str, Sequence[str]]
"""Label -> the texts of its examples."""

_set = table_of(LabelSetRow)
_example = table_of(LabelExampleRow)
_own = table_of(OwnLabelRow)
_triage = table_of(TriageRow)
_post = table_of(PostRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """One example. is_configured: it stands in the configuration. post_id: the post it was taken from."""

    id: int
    text: str
    is_configured: bool
    post_id: int | None
    added_by: str | None
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLabel:
    """A label of a set. recognised: of its examples, those told rightly when left out; None until learnt."""

    label: str
    recognised: int | None
    examples: Sequence[ExampleView]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """A set. accuracy: leave-one-out, 0 to 1; None until learnt. fault: why it labels nothing, if so.

    is_learnt: what is said of it holds for the examples as they are now. is_configured: some stand in the config.
    """

    name: str
    labels: Sequence[OwnLabel]
    is_learnt: bool
    is_configured: bool
    accuracy: float | None
    warnings: Sequence[str]
    fault: str | None
    model: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a set is learnt from. examples: label -> embeddings, all of one model."""

    name: str
    revision: str
    examples: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """How well a set was learnt: ``report`` or ``fault``."""

    name: str
    revision: str
    model: str
    report: own.Report | None
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The likeliest label of a set for a post. model: of the embedding, and the set's revision."""

    post_id: int
    set_name: str
    label: str
    confidence: float
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A judged post. judged_at fences it: an edited post has another embedding, and another time."""

    post_id: int
    embedding: bytes
    judged_at: datetime


def configure(session: Session, sets: Mapping[str, Labels], *, now: datetime) -> None:
    """Bring what comes from the configuration in step with *sets*; examples that people added stay."""
    take_turn(session, Turn.START)
    there = _configured(session)
    wanted = {
        (name, own.sameness(text)): (label, text)
        for name, labels in sets.items()
        for label, texts in labels.items()
        for text in texts
    }
    gone = [example_id for key, (example_id, label) in there.items() if key not in wanted or wanted[key][0] != label]
    session.connection().execute(sa.delete(_example).where(_example.c.id.in_(gone)))
    new = {key: value for key, value in wanted.items() if key not in there or there[key][1] != value[0]}
    touched = {name for name, _ in new} | {key[0] for key, (example_id, _) in there.items() if example_id in gone}
    for name in sorted({name for name, _ in new}):
        mine = {digest: value for (set_name, digest), value in new.items() if set_name == name}
        session.connection().execute(
            sa.delete(_example).where(_example.c.set_name == name, _example.c.digest.in_(list(mine)))
        )
        _make(session, name, now=now)
        _add(session, name, list(mine.values()), now=now, is_configured=True)
    for name in sorted(touched):
        _touch(session, name, now=now)


def replace(session: Session, name: str, labels: Labels, *, user_id: int, now: datetime) -> LabelSet:
    """Make *labels* the examples that people gave *name*; the set is made where there is none. Raises Invalid."""
    theirs = _texts(session, name, configured=True)
    both = {label: [*theirs.get(label, ()), *labels.get(label, ())] for label in {**theirs, **labels}}
    found = own.faults(name, both)
    if not theirs and _is_new(session, name) and _count(session) >= own.MOST_SETS:
        found.append(f"there are {own.MOST_SETS} sets already; delete one first")
    if found:
        raise Invalid("; ".join(found))
    _make(session, name, now=now)
    taken = {own.sameness(text) for texts in theirs.values() for text in texts}
    wanted = {
        own.sameness(text): (label, text)
        for label, texts in labels.items()
        for text in texts
        if own.sameness(text) not in taken
    }
    # One that stays keeps its embedding, and who added it.
    for row in session.exec(
        select(LabelExampleRow).where(LabelExampleRow.set_name == name, col(LabelExampleRow.is_configured).is_(False))
    ).all():
        if wanted.get(row.digest, ("",))[0] == row.label:
            del wanted[row.digest]
        else:
            session.delete(row)
    session.flush()
    _add(session, name, list(wanted.values()), now=now, user_id=user_id)
    return _changed(session, name, "replaced", user_id=user_id, now=now)


def add(
    session: Session,
    name: str,
    *,
    label: str,
    texts: Sequence[str],
    user_id: int,
    now: datetime,
    post_id: int | None = None,
) -> LabelSet:
    """Add examples to a label; set and label are made where there are none. The same text again changes nothing.

    post_id: the post that the text is taken from; the example goes when the post does. Raises Invalid.
    """
    found = [*own.name_faults(name), *own.label_faults(label)]
    if not texts:
        found.append("there is no example; write what a customer would")
    found += [fault for text in texts for fault in own.text_faults(text)]
    known = _labels_by_digest(session, name)
    new = {own.sameness(text): text for text in texts}
    found += [
        f"an example stands under {known[digest]!r} already; take it away there first"
        for digest in new
        if known.get(digest, label) != label
    ]
    if len({*known.values(), label}) > own.MOST_LABELS:
        found.append(f"{name} has {own.MOST_LABELS} labels already")
    if len({*known, *new}) > own.MOST_EXAMPLES:
        found.append(f"{name} may have {own.MOST_EXAMPLES} examples")
    if _is_new(session, name) and _count(session) >= own.MOST_SETS:
        found.append(f"there are {own.MOST_SETS} sets already; delete one first")
    if found:
        raise Invalid("; ".join(found))
    _make(session, name, now=now)
    fresh = [(label, text) for digest, text in new.items() if digest not in known]
    _add(session, name, fresh, now=now, user_id=user_id, post_id=post_id)
    return _changed(session, name, "added", user_id=user_id, now=now)


def add_post(session: Session, name: str, *, label: str, post_id: int, user_id: int, now: datetime) -> LabelSet:
    """Add the words of a post as an example of *label*. Raises Missing, Conflict, Invalid."""
    row = session.get(PostRow, post_id)
    if row is None:
        raise Missing("there is no such post")
    if row.deleted_at is not None:
        raise Conflict("the author deleted this post; its words may not be kept")
    text = f"{row.title}\n{row.text}" if row.title else row.text
    return add(session, name, label=label, texts=[text], user_id=user_id, now=now, post_id=post_id)


def remove(session: Session, name: str, example_id: int, *, user_id: int, now: datetime) -> LabelSet | None:
    """Take an example away; None: it was the set's last. Raises Missing, Conflict."""
    row = session.get(LabelExampleRow, example_id)
    if row is None or row.set_name != name:
        raise Missing("there is no such example")
    if row.is_configured:
        raise Conflict("this example stands in the configuration; take it out there")
    session.delete(row)
    session.flush()
    _note(session, name, "removed", user_id=user_id, now=now)
    return one(session, name) if _touch(session, name, now=now) else None


def drop(session: Session, name: str, *, user_id: int, now: datetime) -> None:
    """Delete a set, and its labels from all posts. Raises Missing, Conflict."""
    if _is_new(session, name):
        raise Missing("there is no such set of labels")
    if _texts(session, name, configured=True):
        raise Conflict("this set stands in the configuration; take it out there")
    session.connection().execute(sa.delete(_example).where(_example.c.set_name == name))
    _note(session, name, "deleted", user_id=user_id, now=now)
    _touch(session, name, now=now)


def forget_posts(session: Session, post_ids: Sequence[int], *, now: datetime) -> None:
    """Take away the examples that were copied from these posts: their authors deleted them."""
    gone = session.connection().execute(
        sa.delete(_example).where(_example.c.post_id.in_(post_ids)).returning(_example.c.set_name)
    )
    for name in sorted({row.set_name for row in gone}):
        _touch(session, name, now=now)


def everything(session: Session) -> list[LabelSet]:
    """Return all sets by name."""
    rows = session.exec(select(LabelSetRow).order_by(col(LabelSetRow.name))).all()
    return [_view(session, row) for row in rows]


def one(session: Session, name: str) -> LabelSet:
    """Return one set. Raises Missing."""
    row = session.get(LabelSetRow, name)
    if row is None:
        raise Missing("there is no such set of labels")
    return _view(session, row)


def names(session: Session) -> dict[str, list[str]]:
    """Return set -> its labels, both in order: what there is to filter by."""
    query = sa.select(_example.c.set_name, _example.c.label).distinct()
    found: dict[str, list[str]] = {}
    for row in session.connection().execute(query.order_by(_example.c.set_name, _example.c.label)):
        found.setdefault(row.set_name, []).append(row.label)
    return found


def state(session: Session) -> str:
    """Return a text that changes whenever any set must be learnt anew."""
    query = sa.select(_set.c.name, _set.c.revision).order_by(_set.c.name)
    return ";".join(f"{row.name}:{row.revision}" for row in session.connection().execute(query))


def wanting(session: Session, *, model: str) -> list[tuple[int, str]]:
    """Return id and text of the examples that *model* has not embedded."""
    query = sa.select(_example.c.id, _example.c.text).where(_example.c.embedding_model != model)
    return [(row.id, row.text) for row in session.connection().execute(query.order_by(_example.c.id))]


def save_embeddings(session: Session, made: Sequence[tuple[int, bytes]], *, model: str) -> None:
    """Keep the embeddings of examples by id; an example's text never changes."""
    if made:
        session.connection().execute(
            sa.update(_example)
            .where(_example.c.id == sa.bindparam("example_id"))
            .values(embedding=sa.bindparam("made"), embedding_model=model),
            [{"example_id": example_id, "made": embedding} for example_id, embedding in made],
        )


def material(session: Session, *, model: str) -> list[Material]:
    """Return what each set is learnt from; examples that *model* has not embedded are left out."""
    embedding = sa.case((_example.c.embedding_model == model, _example.c.embedding), else_=None).label("embedding")
    query = (
        sa.select(_set.c.name, _set.c.revision, _example.c.label, embedding)
        .join_from(_set, _example, _example.c.set_name == _set.c.name)
        .order_by(_set.c.name, _example.c.label, _example.c.id)
    )
    found: dict[tuple[str, str], dict[str, list[bytes]]] = {}
    for row in session.connection().execute(query):
        there = found.setdefault((row.name, row.revision), {}).setdefault(row.label, [])
        if row.embedding:
            there.append(bytes(row.embedding))
    return [Material(name=name, revision=made_of, examples=labels) for (name, made_of), labels in found.items()]


def save_learnt(session: Session, learnt: Sequence[Learnt]) -> None:
    """Keep how well sets were learnt; of a set that was changed meanwhile it says of which revision."""
    for each in learnt:
        session.connection().execute(
            sa.update(_set)
            .where(_set.c.name == each.name)
            .values(learnt_revision=each.revision, learnt_model=each.model, report=_plain(each))
        )


def learnt_by(session: Session, name: str) -> str:
    """Return the model whose embeddings *name* was learnt from. Raises Missing, Conflict."""
    found = one(session, name)
    if found.fault is not None:
        raise Conflict(f"the set labels nothing: {found.fault}")
    if found.model is None or not found.is_learnt:
        raise Conflict("the set is being learnt; try again in a moment")
    return found.model


def _by(model: str) -> Any:
    """Say which triages have an embedding of *model*, also where its heads were taught or one came from elsewhere."""
    return sa.or_(_triage.c.model == model, _triage.c.model.startswith(f"{model}+", autoescape=True))


def newest(session: Session, *, model: str, limit: int) -> list[Embedded]:
    """Return the newest posts that have an embedding of *model*."""
    query = (
        sa.select(_triage.c.post_id, _triage.c.embedding, _triage.c.judged_at)
        .join_from(_post, _triage, _triage.c.post_id == _post.c.id)
        .where(_by(model), _post.c.deleted_at.is_(None))
        .order_by(_post.c.created_at.desc(), _post.c.id.desc())
        .limit(limit)
    )
    return [
        Embedded(post_id=row.post_id, embedding=bytes(row.embedding), judged_at=row.judged_at)
        for row in session.connection().execute(query)
        if row.embedding
    ]


def save(session: Session, found: Sequence[Found]) -> None:
    """Keep the labels that posts got, in the caller's transaction; those of a set that is gone are dropped."""
    if not found:
        return
    there = {row.name for row in session.connection().execute(sa.select(_set.c.name))}
    rows = [
        {
            "post_id": each.post_id,
            "set_name": each.set_name,
            "label": each.label,
            "confidence": each.confidence,
            "model": each.model,
        }
        for each in found
        if each.set_name in there
    ]
    put(session, _own, rows, key=("post_id", "set_name"))


def save_again(session: Session, found: Sequence[Found], judged_at: Mapping[int, datetime]) -> int:
    """Like ``save``, for posts judged before; one that was judged anew since *judged_at* is left as it is."""
    query = sa.select(_triage.c.post_id, _triage.c.judged_at).where(_triage.c.post_id.in_(list(judged_at)))
    same = {row.post_id for row in session.connection().execute(query) if judged_at[row.post_id] == row.judged_at}
    kept = [each for each in found if each.post_id in same]
    save(session, kept)
    return len(kept)


def of_posts(session: Session, post_ids: Sequence[int]) -> dict[int, list[Found]]:
    """Return the labels of posts by their ids, in the order of the sets' names."""
    if not post_ids:
        return {}
    query = (
        sa.select(_own)
        .join_from(_own, _set, _set.c.name == _own.c.set_name)
        .where(_own.c.post_id.in_(post_ids))
        .order_by(_own.c.post_id, _own.c.set_name)
    )
    found: dict[int, list[Found]] = {}
    for row in session.connection().execute(query).mappings():
        found.setdefault(row["post_id"], []).append(Found(**row))
    return found


def with_label(set_name: str, label: str) -> sa.Select[Any]:
    """Return the ids of the posts that show *label* of a set; NONE: those where none is sure enough."""
    query = sa.select(_own.c.post_id).where(_own.c.set_name == set_name)
    if label == own.NONE:
        return query.where(_own.c.confidence < own.NONE_BELOW)
    return query.where(_own.c.label == label, _own.c.confidence >= own.NONE_BELOW)


def _configured(session: Session) -> dict[tuple[str, str], tuple[int, str]]:
    query = sa.select(_example).where(_example.c.is_configured)
    return {(row.set_name, row.digest): (row.id, row.label) for row in session.connection().execute(query)}


def _texts(session: Session, name: str, *, configured: bool) -> dict[str, list[str]]:
    query = sa.select(_example.c.label, _example.c.text).where(
        _example.c.set_name == name, _example.c.is_configured == configured
    )
    found: dict[str, list[str]] = {}
    for row in session.connection().execute(query.order_by(_example.c.id)):
        found.setdefault(row.label, []).append(row.text)
    return found


def _labels_by_digest(session: Session, name: str) -> dict[str, str]:
    query = sa.select(_example.c.digest, _example.c.label).where(_example.c.set_name == name)
    return {row.digest: row.label for row in session.connection().execute(query)}


def _is_new(session: Session, name: str) -> bool:
    return session.get(LabelSetRow, name) is None


def _count(session: Session) -> int:
    return session.exec(select(sa.func.count()).select_from(LabelSetRow)).one()


def _make(session: Session, name: str, *, now: datetime) -> None:
    if _is_new(session, name):
        session.add(LabelSetRow(name=name, updated_at=now))
        session.flush()


def _add(
    session: Session,
    name: str,
    found: Sequence[tuple[str, str]],
    *,
    now: datetime,
    is_configured: bool = False,
    user_id: int | None = None,
    post_id: int | None = None,
) -> None:
    """Add examples, (label, text) each, that the set has not."""
    rows = [
        {
            "set_name": name,
            "label": label,
            "text": text,
            "digest": own.sameness(text),
            "is_configured": is_configured,
            "post_id": post_id,
            "added_by": user_id,
            "added_at": now,
            "embedding": b"",
            "embedding_model": "",
        }
        for label, text in found
    ]
    if rows:
        session.connection().execute(sa.insert(_example), rows)


def _touch(session: Session, name: str, *, now: datetime) -> bool:
    """Bring the revision in step with the examples; False: there are none, and the set is gone."""
    labels = _labels_by_digest(session, name)
    if not labels:
        session.connection().execute(sa.delete(_own).where(_own.c.set_name == name))
        session.connection().execute(sa.delete(_set).where(_set.c.name == name))
        session.expire_all()
        return False
    lines = "\n".join(f"{digest} {label}" for digest, label in sorted(labels.items()))
    made_of = hashlib.sha256(lines.encode()).hexdigest()[:12]
    session.connection().execute(sa.update(_set).where(_set.c.name == name).values(revision=made_of, updated_at=now))
    session.expire_all()
    return True


def _note(session: Session, name: str, act: str, *, user_id: int, now: datetime) -> None:
    events.add(session, f"labels.{act}", now=now, facts={"set": name, "user_id": user_id})


def _changed(session: Session, name: str, act: str, *, user_id: int, now: datetime) -> LabelSet:
    _note(session, name, act, user_id=user_id, now=now)
    _touch(session, name, now=now)
    return one(session, name)


def _plain(learnt: Learnt) -> dict[str, Any]:
    if learnt.report is None:
        return {"fault": learnt.fault}
    return {
        "accuracy": learnt.report.accuracy,
        "right": {each.label: each.right for each in learnt.report.labels},
        "warnings": list(learnt.report.warnings),
    }


def _view(session: Session, row: LabelSetRow) -> LabelSet:
    query = (
        select(LabelExampleRow, UserRow.name)
        .join(UserRow, col(UserRow.id) == LabelExampleRow.added_by, isouter=True)
        .where(LabelExampleRow.set_name == row.name)
        .order_by(col(LabelExampleRow.label), col(LabelExampleRow.id))
    )
    examples: dict[str, list[ExampleView]] = {}
    for each, by in session.exec(query):
        examples.setdefault(each.label, []).append(
            ExampleView(
                id=each.id or 0,
                text=each.text,
                is_configured=each.is_configured,
                post_id=each.post_id,
                added_by=by,
                added_at=each.added_at,
            )
        )
    report = row.report or {}
    is_learnt = bool(row.revision) and row.learnt_revision == row.revision
    right = report.get("right", {}) if is_learnt else {}
    return LabelSet(
        name=row.name,
        labels=tuple(
            OwnLabel(label=label, recognised=right.get(label), examples=tuple(there))
            for label, there in examples.items()
        ),
        is_learnt=is_learnt,
        is_configured=any(each.is_configured for there in examples.values() for each in there),
        accuracy=report.get("accuracy"),
        warnings=tuple(report.get("warnings", ())),
        fault=report.get("fault"),
        model=row.learnt_model or None,
        updated_at=row.updated_at,
    )
