"""Approved knowledge: taken from a folder as a whole, given to the index, searched for pages and the API.

Both databases search the same words, cut and folded by handoff.words: one question finds the same articles on each, in
languages without spaces too. What a user types is only ever such words, so no operator of a query language survives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import versions
from bot.store.engine import Store
from bot.store.refusals import Invalid
from bot.store.tables import ArticleRow
from bot.store.turns import Turn, take_turn
from bot.store.upsert import table_of
from bot.store.versions import Step, VersionState
from classifiers.protocol import Embedder
from handoff.knowledge.article import DEFAULT_LOCALE, Article, ArticleState, Audience, imprint_of
from handoff.knowledge.folder import lonely
from handoff.knowledge.readiness import Standards, faults
from handoff.knowledge.search import Entry
from handoff.knowledge.writing import content
from handoff.words import words

MAX_POSITION = 16_383
"""PostgreSQL counts no word further than this (limitations of text search); later ones share the last place."""

MAX_PLACES = 250
"""Of one word in one article; PostgreSQL keeps 255."""

MAX_ASKED = 32
"""Words of one search."""

EMBED_BATCH = 64

_article = table_of(ArticleRow)
_search = sa.table("article_search", sa.column("article_id"), sa.column("words"))
_fts = sa.table("article_search", sa.column("rowid"), sa.column("title"), sa.column("body"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An article as it stands. retired_at: since when it is no longer said."""

    id: int
    article: Article
    revision: str
    vectors_model: str
    retired_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a folder changes, as slug.locale, sorted."""

    new: Sequence[str]
    changed: Sequence[str]
    retired: Sequence[str]
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanting:
    """An article whose passages must be embedded; ``revision`` fences a vector of an older text."""

    id: int
    revision: str
    passages: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One result of a search. score: higher is better, comparable within one search only."""

    stored: Stored
    score: float


def create_search(connection: sa.Connection) -> None:
    """Make the full-text table beside ``article``; one that exists stays. For the migration."""
    if connection.dialect.name == "sqlite":
        # Words come folded and cut; marks are letters too, else Indic words would fall apart.
        connection.exec_driver_sql(
            "CREATE VIRTUAL TABLE IF NOT EXISTS article_search USING fts5(title, body, "
            "tokenize=\"unicode61 remove_diacritics 2 categories 'L* N* Co M*'\")"
        )
    else:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS article_search ("
            "article_id integer PRIMARY KEY REFERENCES article(id) ON DELETE CASCADE, words tsvector NOT NULL)"
        )
        connection.exec_driver_sql(
            "CREATE INDEX IF NOT EXISTS article_search_words ON article_search USING gin (words)"
        )


def drop_search(connection: sa.Connection) -> None:
    """Take the full-text table away."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS article_search")


def compare(session: Session, articles: Sequence[Article]) -> Changes:
    """Return what ``put_all`` would change."""
    return _changes(session, _present(session), articles)


def take_folder(session: Session, articles: Sequence[Article], *, standards: Standards, now: datetime) -> Changes:
    """Do what ``put_all`` does, if two people stand for all that is published and it can be said.

    What stands as it stood is not asked again. Raises Invalid with every fault, and then nothing changes.
    """
    changes = compare(session, articles)
    touched = {*changes.new, *changes.changed}
    found = lonely(articles)
    for each in articles:
        if each.state is ArticleState.PUBLISHED and each.name in touched:
            found += [f"{each.name}: {fault}" for fault in faults(each, standards)]
    if found:
        raise Invalid("\n".join(found))
    return put_all(session, articles, now=now, main_locale=standards.main_locale)


def put_all(
    session: Session, articles: Sequence[Article], *, now: datetime, main_locale: str = DEFAULT_LOCALE
) -> Changes:
    """Bring the store in step with *articles* of a folder: new ones come, changed ones too, missing ones retire.

    An article that is as it was is not touched, nor its vectors; nor is one that people changed here since the folder
    last changed, nor one that never was in the folder. Every change makes a version and stands in the record. The
    caller has seen to it that two people stand for what is published (``take_folder``).
    """
    take_turn(session, Turn.START)
    present = _present(session)
    changes = _changes(session, present, articles)
    touched = {*changes.new, *changes.changed, *changes.retired}
    wanted = {_called(each): each for each in articles if _called(each) in touched}
    taken = _Taken(session, now)
    # What is in force first: a draft is written on top of it. The main locale first: the others translate it.
    for article in sorted(
        wanted.values(), key=lambda each: (each.state.is_open, each.locale != main_locale, each.name)
    ):
        main = _main_revision(session, article, main_locale)
        taken.take(replace(article, translation_of=article.translation_of or main), imprint=article.imprint)
    for name in changes.retired:
        if name not in wanted:
            taken.retire(present[name].id)
    taken.keep()
    return changes


def entries(session: Session, *, now: datetime | None = None, brand: str | None = None) -> list[Entry]:
    """Return what may be said, for ``Index``, by id: published and public.

    now: only what is valid then; None: also what is not yet or no longer, for an index that asks ``Article.is_valid``.
    brand: only what is of this brand or of all; None: of every brand.
    """
    query = sa.select(_article).where(*sayable(now=now, brand=brand)).order_by(_article.c.id)
    return [
        Entry(id=row.id, article=value(row), vectors=bytes(row.vectors)) for row in session.connection().execute(query)
    ]


def sayable(*, now: datetime | None = None, brand: str | None = None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for what may be said, as ``Article.may_be_said`` has them."""
    found = [_article.c.state == ArticleState.PUBLISHED, _article.c.audience == Audience.PUBLIC]
    if now is not None:
        found.append(sa.or_(_article.c.valid_from.is_(None), _article.c.valid_from <= now))
        found.append(sa.or_(_article.c.valid_until.is_(None), _article.c.valid_until > now))
    if brand is not None:
        found.append(_article.c.brand.in_(("", brand)))
    return found


def state(session: Session, *, now: datetime | None = None, brand: str | None = None) -> str:
    """Return a text that changes whenever ``entries`` would return something else."""
    query = sa.select(
        _article.c.id, _article.c.revision, _article.c.vectors_model, sa.func.length(_article.c.vectors)
    ).where(*sayable(now=now, brand=brand))
    rows = session.connection().execute(query.order_by(_article.c.id)).all()
    return ";".join(f"{row[0]}:{row[1]}:{row[2]}:{row[3]}" for row in rows)


def wanting_vectors(session: Session, *, model: str) -> list[Wanting]:
    """Return the published articles that *model* has not embedded."""
    query = (
        sa.select(_article)
        .where(_article.c.state == ArticleState.PUBLISHED, _article.c.vectors_model != model)
        .order_by(_article.c.id)
    )
    return [
        Wanting(id=row.id, revision=row.revision, passages=value(row).passages)
        for row in session.connection().execute(query)
    ]


def save_vectors(session: Session, made: Sequence[tuple[Wanting, Sequence[bytes]]], *, model: str) -> int:
    """Keep the vectors of passages; return how many articles were still as they were embedded.

    An engine without vectors gives b"": that it was asked is kept, so that it is not asked again.
    """
    kept = 0
    for wanting, vectors in made:
        whole = b"".join(vectors) if all(vectors) else b""
        result = session.connection().execute(
            sa.update(_article)
            .where(_article.c.id == wanting.id, _article.c.revision == wanting.revision)
            .values(vectors=whole, vectors_model=model)
        )
        kept += int(result.rowcount)
    return kept


async def refresh_vectors(store: Store, embedder: Embedder, *, model: str) -> int:
    """Embed every article that *model* has not; return how many there were. No transaction is open meanwhile."""
    wanting = await store.read(wanting_vectors, model=model)
    passages = [passage for each in wanting for passage in each.passages]
    vectors: list[bytes] = []
    for start in range(0, len(passages), EMBED_BATCH):
        vectors.extend(await embedder.embed(passages[start : start + EMBED_BATCH]))
    made, at = [], 0
    for each in wanting:
        made.append((each, vectors[at : at + len(each.passages)]))
        at += len(each.passages)
    if made:
        await store.write(save_vectors, made, model=model)
    return len(made)


def get(session: Session, article_id: int) -> Stored | None:
    """Return one article, retired or not."""
    row = session.connection().execute(sa.select(_article).where(_article.c.id == article_id)).one_or_none()
    return None if row is None else _stored(row)


def listing(session: Session, *, after_id: int = 0, limit: int = 50, retired: bool = False) -> list[Stored]:
    """Return published articles with an id above *after_id*, by id; retired: those that are, instead."""
    wanted = _article.c.state == (ArticleState.RETIRED if retired else ArticleState.PUBLISHED)
    query = sa.select(_article).where(_article.c.id > after_id, wanted).order_by(_article.c.id).limit(limit)
    return [_stored(row) for row in session.connection().execute(query)]


def search(session: Session, text: str, *, locale: str | None = None, limit: int = 20) -> list[Found]:
    """Return published articles that hold any word of *text*, best first; the last word may be unfinished."""
    asked = list(dict.fromkeys(words(text)))[:MAX_ASKED]
    if not asked:
        return []
    query = _on_sqlite(asked) if session.get_bind().dialect.name == "sqlite" else _on_postgresql(asked)
    query = query.where(_article.c.state == ArticleState.PUBLISHED)
    if locale is not None:
        query = query.where(_article.c.locale == locale)
    query = query.order_by(sa.desc("score"), _article.c.slug, _article.c.locale).limit(limit)
    return [Found(stored=_stored(row), score=float(row.score)) for row in session.connection().execute(query)]


def _on_sqlite(asked: Sequence[str]) -> sa.Select[Any]:
    terms = " OR ".join(f'"{word}"' for word in asked) + "*"
    # bm25 is lower for better, and a title counts four times a body.
    score = (-sa.func.bm25(sa.literal_column("article_search"), 4.0, 1.0)).label("score")
    return (
        sa.select(_article, score)
        .join_from(_article, _fts, _fts.c.rowid == _article.c.id)
        .where(sa.literal_column("article_search").op("MATCH")(terms))
    )


def _on_postgresql(asked: Sequence[str]) -> sa.Select[Any]:
    # A cast, not to_tsquery: words are used as they are, no parser and no dictionary reads them.
    terms = sa.cast(" | ".join(f"'{word}'" for word in asked) + ":*", _TsQuery())
    score = sa.func.ts_rank(sa.text("'{0.25,0.25,0.25,1}'"), _search.c.words, terms).label("score")
    return (
        sa.select(_article, score)
        .join_from(_article, _search, _search.c.article_id == _article.c.id)
        .where(_search.c.words.op("@@")(terms))
    )


class _TsQuery(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "tsquery"


class _TsVector(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "tsvector"


def index(session: Session, article_id: int, article: Article) -> None:
    """Let the full-text search find *article* as it is now."""
    title = words(" ".join((article.title, *article.questions, *article.tags)))
    body = words(" ".join((article.body, *article.wordings.values())))
    unindex(session, article_id)
    if session.get_bind().dialect.name == "sqlite":
        statement: Any = sa.insert(_fts).values(rowid=article_id, title=" ".join(title), body=" ".join(body))
    else:
        vector = sa.cast(_places(title, body), _TsVector())
        statement = sa.insert(_search).values(article_id=article_id, words=vector)
    session.connection().execute(statement)


def unindex(session: Session, article_id: int) -> None:
    """Let the full-text search find an article no more."""
    if session.get_bind().dialect.name == "sqlite":
        session.connection().execute(sa.delete(_fts).where(_fts.c.rowid == article_id))
    else:
        session.connection().execute(sa.delete(_search).where(_search.c.article_id == article_id))


def _places(title: Iterable[str], body: Iterable[str]) -> str:
    """Return words as PostgreSQL writes a tsvector: ``'word':1A,7D``. Words hold letters and digits only."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    position = 0
    for weight, found in (("A", title), ("D", body)):
        for word in found:
            position = min(position + 1, MAX_POSITION)
            if len(places[word]) < MAX_PLACES:
                places[word].append(f"{position}{weight}")
    return " ".join(f"'{word}':{','.join(where)}" for word, where in places.items())


class _Taken:
    """Takes articles of a folder in; versions and record are written at the end, many at once."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now
        self._superseded: dict[VersionState, list[int]] = defaultdict(list)
        self._versions: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []

    def take(self, article: Article, *, imprint: str) -> None:
        """Make *article* stand as its file says. imprint: of the file."""
        row = _row(self._session, article.slug, article.locale)
        if row is None:
            article_id, number = insert(self._session, article, now=self._now), 1
        else:
            first_version(self._session, row)
            article_id, number = row.id, max(1, row.newest) + 1
            self._superseded[VersionState.DRAFT].append(article_id)
            if not article.state.is_open:
                self._superseded[VersionState.PUBLISHED].append(article_id)
            if not article.state.is_open or ArticleState(row.state).is_open:
                put(self._session, row, article, now=self._now)
        standing: dict[str, Any] = {"newest": number, "open_state": article.state if article.state.is_open else None}
        if not article.state.is_open:
            standing |= {"version": number, "folder_imprint": imprint}
        set_columns(self._session, article_id, **standing)
        self._note(article_id, number, article)

    def retire(self, article_id: int) -> None:
        """Let an article that is no longer in the folder rest; put back, it comes as a new one."""
        row = row_of(self._session, article_id)
        first_version(self._session, row)
        retire(self._session, article_id, now=self._now)
        set_columns(self._session, article_id, folder_imprint="")
        self._steps.append(
            versions.step_row(article_id, max(1, row.version), Step.RETIRED, name=versions.FOLDER, now=self._now)
        )

    def keep(self) -> None:
        """Write versions and record."""
        versions.supersede(
            self._session, self._superseded[VersionState.DRAFT], VersionState.DRAFT, VersionState.IN_REVIEW
        )
        versions.supersede(
            self._session, self._superseded[VersionState.PUBLISHED], VersionState.PUBLISHED, VersionState.RETIRED
        )
        versions.add_all(self._session, self._versions)
        versions.record(self._session, self._steps)

    def _note(self, article_id: int, number: int, article: Article) -> None:
        author, reviewer = article.owner or versions.FOLDER, article.reviewer or versions.FOLDER
        self._versions.append(
            versions.row(
                article_id,
                number,
                state=VersionState(article.state),
                text=content(article),
                revision=article.revision,
                editors=[versions.key(name=author)],
                author=author,
                now=self._now,
            )
        )
        self._steps.append(versions.step_row(article_id, number, Step.IMPORTED, name=author, now=self._now))
        match article.state:
            case ArticleState.PUBLISHED:
                step, name = Step.PUBLISHED, reviewer
            case ArticleState.RETIRED:
                step, name = Step.RETIRED, author
            case ArticleState.IN_REVIEW:
                step, name = Step.SUBMITTED, author
            case _:
                return
        self._steps.append(versions.step_row(article_id, number, step, name=name, now=self._now))


def row_of(session: Session, article_id: int, *, lock: bool = False) -> Any:
    """Return the row of one article, None when there is none. lock: nobody else moves it in the meantime."""
    query = sa.select(_article).where(_article.c.id == article_id)
    return session.connection().execute(query.with_for_update() if lock else query).one_or_none()


def insert(session: Session, article: Article, *, now: datetime) -> int:
    """Add an article that is not there; return its id."""
    at = now if article.state is ArticleState.RETIRED else None
    values = {**_values(article), "vectors": b"", "vectors_model": "", "retired_at": at, "updated_at": now}
    values |= {"version": 0, "newest": 0, "folder_imprint": ""}
    inserted = session.connection().execute(sa.insert(_article).values(values).returning(_article.c.id))
    article_id = int(inserted.scalar_one())
    if article.state is ArticleState.PUBLISHED:
        index(session, article_id, article)
    return article_id


def put(session: Session, row: Any, article: Article, *, now: datetime) -> None:
    """Let *article* stand where *row* stood; vectors of the same words stay."""
    values: dict[str, Any] = {**_values(article), "updated_at": now}
    values["retired_at"] = now if article.state is ArticleState.RETIRED else None
    if row.revision != article.revision:
        values |= {"vectors": b"", "vectors_model": ""}
    set_columns(session, row.id, **values)
    if article.state is ArticleState.PUBLISHED:
        index(session, row.id, article)
    else:
        unindex(session, row.id)


def retire(session: Session, article_id: int, *, now: datetime) -> None:
    """Take an article out of force, and what is being worked on with it."""
    row = row_of(session, article_id)
    versions.supersede(session, [article_id], VersionState.DRAFT, VersionState.IN_REVIEW)
    if row.version:
        versions.move(session, article_id, row.version, VersionState.RETIRED, now=now)
    set_columns(session, article_id, state=ArticleState.RETIRED, open_state=None, retired_at=now, updated_at=now)
    unindex(session, article_id)


def set_columns(session: Session, article_id: int, **values: Any) -> None:
    """Set columns of an article's row."""
    session.connection().execute(sa.update(_article).where(_article.c.id == article_id).values(values))


def first_version(session: Session, row: Any) -> None:
    """Keep as version 1 what an article of before versions says."""
    if row.newest:
        return
    article = value(row)
    versions.add_all(
        session,
        [
            versions.row(
                row.id,
                1,
                state=VersionState(row.state),
                text=content(article),
                revision=row.revision,
                editors=[versions.key(name=article.owner or versions.FOLDER)],
                author=article.owner or versions.FOLDER,
                now=row.updated_at,
            )
        ],
    )
    set_columns(session, row.id, newest=1, version=1)


def _row(session: Session, slug: str, locale: str) -> Any:
    query = sa.select(_article).where(_article.c.slug == slug, _article.c.locale == locale)
    return session.connection().execute(query).one_or_none()


def main_revision(session: Session, slug: str, main_locale: str) -> str:
    """Return the revision that is published of a matter in the main locale, "" for none."""
    query = sa.select(_article.c.revision).where(
        _article.c.slug == slug, _article.c.locale == main_locale, _article.c.state == ArticleState.PUBLISHED
    )
    return session.connection().execute(query).scalar_one_or_none() or ""


def _main_revision(session: Session, article: Article, main_locale: str) -> str:
    return "" if article.locale == main_locale else main_revision(session, article.slug, main_locale)


@dataclass(frozen=True, slots=True)
class _Present:
    id: int
    state: ArticleState
    revision: str
    imprint: str
    folder_imprint: str
    open_state: str | None


def _present(session: Session) -> dict[str, _Present]:
    names = ("id", "slug", "locale", "state", "revision", "reviewer", "translation_of", "folder_imprint", "open_state")
    return {
        _name(row.slug, row.locale): _Present(
            row.id,
            ArticleState(row.state),
            row.revision,
            imprint_of(row.revision, row.state, row.reviewer, row.translation_of),
            row.folder_imprint,
            row.open_state,
        )
        for row in session.connection().execute(sa.select(*(_article.c[name] for name in names)))
    }


def _changes(session: Session, present: Mapping[str, _Present], articles: Sequence[Article]) -> Changes:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in articles:
        found[_change(session, present.get(_name(each.slug, each.locale)), each)].append(_called(each))
    named = {_name(each.slug, each.locale) for each in articles if not each.state.is_open}
    missing = [
        name
        for name, row in present.items()
        if row.state is ArticleState.PUBLISHED and row.folder_imprint and name not in named
    ]
    return Changes(
        new=sorted(found["new"]),
        changed=sorted(found["changed"]),
        retired=sorted([*found["retired"], *missing]),
        unchanged=len(found["unchanged"]),
    )


def _change(session: Session, row: _Present | None, article: Article) -> str:
    if row is None:
        return "new"
    if article.state.is_open:
        # Taken once: what people made of it here since then is ahead of the file.
        known = article.revision in versions.revisions(session, row.id) or row.revision == article.revision
        moved = row.open_state == ArticleState.DRAFT and article.state is ArticleState.IN_REVIEW
        return "unchanged" if known and not (moved and row.state.is_open) else "changed"
    if article.imprint in (row.imprint, row.folder_imprint):
        return "unchanged"
    if row.state is not ArticleState.PUBLISHED:
        return "new" if article.state is ArticleState.PUBLISHED else "changed"
    return "retired" if article.state is ArticleState.RETIRED else "changed"


def _called(article: Article) -> str:
    return f"{article.name} ({article.state})" if article.state.is_open else article.name


def _name(slug: str, locale: str) -> str:
    return f"{slug}.{locale}"


def _values(article: Article) -> dict[str, Any]:
    return {
        "slug": article.slug,
        "locale": article.locale,
        "title": article.title,
        "body": article.body,
        "tags": list(article.tags),
        "questions": list(article.questions),
        "owner": article.owner,
        "wordings": dict(article.wordings),
        "revision": article.revision,
        "state": article.state,
        "reviewer": article.reviewer,
        "audience": article.audience,
        "brand": article.brand,
        "topics": list(article.topics),
        "valid_from": article.valid_from,
        "valid_until": article.valid_until,
        "review_by": article.review_by,
        "translation_of": article.translation_of,
    }


def value(row: Any) -> Article:
    """Return the article of a row."""
    return Article(
        slug=row.slug,
        locale=row.locale,
        title=row.title,
        body=row.body,
        tags=tuple(row.tags),
        owner=row.owner,
        questions=tuple(row.questions),
        wordings=MappingProxyType(dict(row.wordings)),
        state=ArticleState(row.state),
        reviewer=row.reviewer,
        audience=Audience(row.audience),
        brand=row.brand,
        topics=tuple(row.topics or ()),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        review_by=row.review_by,
        translation_of=row.translation_of,
    )


def _stored(row: Any) -> Stored:
    return Stored(
        id=row.id,
        article=value(row),
        revision=row.revision,
        vectors_model=row.vectors_model,
        retired_at=row.retired_at,
        updated_at=row.updated_at,
    )
