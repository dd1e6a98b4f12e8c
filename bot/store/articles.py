"""Approved knowledge: taken from a folder as a whole, given to the index, searched for pages and the API.

Both databases search the same words, cut and folded by handoff.words: one question finds the same articles on each, in
languages without spaces too. What a user types is only ever such words, so no operator of a query language survives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store.engine import Store
from bot.store.tables import ArticleRow
from bot.store.upsert import table_of
from classifiers.protocol import Embedder
from handoff.knowledge.article import Article
from handoff.knowledge.search import Entry
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
    """An article as it stands. retired_at: since when it is no longer in the folder."""

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
    return _changes(_present(session), articles)


def put_all(session: Session, articles: Sequence[Article], *, now: datetime) -> Changes:
    """Make the store hold exactly *articles*: new ones come, changed ones lose their vectors, missing ones retire.

    An article that is as it was is not touched, nor its vectors.
    """
    present = _present(session)
    changes = _changes(present, articles)
    touched = {*changes.new, *changes.changed}
    by_name = {_name(each.slug, each.locale): each for each in articles}
    for name in sorted(touched):
        article = by_name[name]
        values = {**_values(article), "vectors": b"", "vectors_model": "", "retired_at": None, "updated_at": now}
        row = present.get(name)
        if row is None:
            inserted = session.connection().execute(sa.insert(_article).values(values).returning(_article.c.id))
            article_id = int(inserted.scalar_one())
        else:
            article_id = row.id
            session.connection().execute(sa.update(_article).where(_article.c.id == article_id).values(values))
        _index(session, article_id, article)
    for name in changes.retired:
        article_id = present[name].id
        session.connection().execute(
            sa.update(_article).where(_article.c.id == article_id).values(retired_at=now, updated_at=now)
        )
        _unindex(session, article_id)
    return changes


def entries(session: Session) -> list[Entry]:
    """Return what is in force, for ``Index``, by id."""
    query = sa.select(_article).where(_article.c.retired_at.is_(None)).order_by(_article.c.id)
    return [
        Entry(id=row.id, article=_value(row), vectors=bytes(row.vectors)) for row in session.connection().execute(query)
    ]


def state(session: Session) -> str:
    """Return a text that changes whenever ``entries`` would return something else."""
    query = sa.select(
        _article.c.id, _article.c.revision, _article.c.vectors_model, sa.func.length(_article.c.vectors)
    ).where(_article.c.retired_at.is_(None))
    rows = session.connection().execute(query.order_by(_article.c.id)).all()
    return ";".join(f"{row[0]}:{row[1]}:{row[2]}:{row[3]}" for row in rows)


def wanting_vectors(session: Session, *, model: str) -> list[Wanting]:
    """Return the articles in force that *model* has not embedded."""
    query = (
        sa.select(_article)
        .where(_article.c.retired_at.is_(None), _article.c.vectors_model != model)
        .order_by(_article.c.id)
    )
    return [
        Wanting(id=row.id, revision=row.revision, passages=_value(row).passages)
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
    """Return articles with an id above *after_id*, by id; retired: those that are, instead of those in force."""
    gone = _article.c.retired_at.is_not(None) if retired else _article.c.retired_at.is_(None)
    query = sa.select(_article).where(_article.c.id > after_id, gone).order_by(_article.c.id).limit(limit)
    return [_stored(row) for row in session.connection().execute(query)]


def search(session: Session, text: str, *, locale: str | None = None, limit: int = 20) -> list[Found]:
    """Return articles in force that hold any word of *text*, best first; the last word may be unfinished."""
    asked = list(dict.fromkeys(words(text)))[:MAX_ASKED]
    if not asked:
        return []
    query = _on_sqlite(asked) if session.get_bind().dialect.name == "sqlite" else _on_postgresql(asked)
    query = query.where(_article.c.retired_at.is_(None))
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


def _index(session: Session, article_id: int, article: Article) -> None:
    title = words(" ".join((article.title, *article.questions, *article.tags)))
    body = words(" ".join((article.body, *article.wordings.values())))
    _unindex(session, article_id)
    if session.get_bind().dialect.name == "sqlite":
        statement: Any = sa.insert(_fts).values(rowid=article_id, title=" ".join(title), body=" ".join(body))
    else:
        vector = sa.cast(_places(title, body), _TsVector())
        statement = sa.insert(_search).values(article_id=article_id, words=vector)
    session.connection().execute(statement)


def _unindex(session: Session, article_id: int) -> None:
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


@dataclass(frozen=True, slots=True)
class _Present:
    id: int
    revision: str
    is_retired: bool


def _present(session: Session) -> dict[str, _Present]:
    query = sa.select(_article.c.id, _article.c.slug, _article.c.locale, _article.c.revision, _article.c.retired_at)
    return {
        _name(row.slug, row.locale): _Present(row.id, row.revision, row.retired_at is not None)
        for row in session.connection().execute(query)
    }


def _changes(present: Mapping[str, _Present], articles: Sequence[Article]) -> Changes:
    wanted = {_name(each.slug, each.locale): each.revision for each in articles}
    live = {name: row for name, row in present.items() if not row.is_retired}
    changed = [name for name, revision in wanted.items() if name in live and live[name].revision != revision]
    return Changes(
        new=sorted(name for name in wanted if name not in live),
        changed=sorted(changed),
        retired=sorted(name for name in live if name not in wanted),
        unchanged=sum(1 for name in wanted if name in live) - len(changed),
    )


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
    }


def _value(row: Any) -> Article:
    return Article(
        slug=row.slug,
        locale=row.locale,
        title=row.title,
        body=row.body,
        tags=tuple(row.tags),
        owner=row.owner,
        questions=tuple(row.questions),
        wordings=MappingProxyType(dict(row.wordings)),
    )


def _stored(row: Any) -> Stored:
    return Stored(
        id=row.id,
        article=_value(row),
        revision=row.revision,
        vectors_model=row.vectors_model,
        retired_at=row.retired_at,
        updated_at=row.updated_at,
    )
