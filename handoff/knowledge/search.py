"""Which article answers a post: words and meaning weighed together, in memory.

Ten thousand articles fit in memory and rank faster there than one question to a database takes, so hand-off asks the
store nothing; the store's own full-text search serves pages and the API.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from classifiers.triage import EMBEDDING_DIM, INTENTS
from handoff.knowledge import confidence
from handoff.knowledge.article import DEFAULT_LOCALE, Article
from handoff.words import words

Floats: TypeAlias = npt.NDArray[np.float32]
Chances: TypeAlias = npt.NDArray[np.float64]

MAX_WORDS = 64
"""Words of a post that are looked up: more than the longest post that asks one thing."""

SURE_LANGUAGES = frozenset({"en"})
"""Languages in which an answer may be sure enough to be said alone; how sure others may be, nobody measured here."""

UNMEASURED = 0.85
"""The most that is given in any other language, and to an article in another language than the customer's: enough for a
draft, which a person may translate, below every threshold for speaking alone."""

ROW = 2 * EMBEDDING_DIM
"""Bytes of one vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An article as the store knows it. vectors: float16 rows of EMBEDDING_DIM, one a passage; empty without model."""

    id: int
    article: Article
    vectors: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked.

    language: ISO 639-1 or "und". embedding: as in Triage; empty: words alone. intent: "" if unknown.
    """

    text: str
    language: str = "und"
    embedding: bytes = b""
    intent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An article that may answer. confidence: probability that it does. is_foreign: not in the customer's language."""

    entry: Entry
    confidence: float
    is_foreign: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What speaks for each matter (columns) as the answer to each query (rows); ``confidence`` weighs it.

    meaning: highest cosine of any passage. title: share of the query's words, by rarity, in title and questions. whole:
    the same in the whole article. intent: 1 when the article is tagged with the query's intent, -1 when with others
    only, else 0. has_meaning: row by row, whether there was anything to compare.
    """

    meaning: Floats
    title: Floats
    whole: Floats
    intent: Floats
    has_meaning: npt.NDArray[np.bool_]


class Index:
    """All articles, ready to be asked. A matter is what shares a slug: it is found in any language, said in one."""

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        fallback_language: str = DEFAULT_LOCALE,
        sure_languages: Collection[str] = SURE_LANGUAGES,
    ) -> None:
        self.fallback_language = fallback_language
        self.sure_languages = frozenset(sure_languages)
        versions: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in sorted(entries, key=lambda each: (each.article.slug, each.article.locale, each.id)):
            versions[entry.article.slug].append(entry)
        self._matters = list(versions.values())
        self._languages = [{each.article.language: each for each in reversed(matter)} for matter in self._matters]
        self._read_vectors()
        self._read_words()
        self._tags = [
            frozenset(tag for each in matter for tag in each.article.tags if tag in INTENTS) for matter in self._matters
        ]

    @property
    def slugs(self) -> list[str]:
        """The matters, in the order of the columns of ``features``."""
        return [matter[0].article.slug for matter in self._matters]

    def __len__(self) -> int:
        return len(self._matters)

    def _read_vectors(self) -> None:
        blocks, starts, owners, row = [], [], [], 0
        for number, matter in enumerate(self._matters):
            raw = b"".join(each.vectors for each in matter if len(each.vectors) % ROW == 0)
            if not raw:
                continue
            block = _vectors(raw)
            blocks.append(block)
            starts.append(row)
            owners.append(number)
            row += len(block)
        self._vectors = np.concatenate(blocks) if blocks else np.zeros((0, EMBEDDING_DIM), np.float32)
        self._starts = np.array(starts, dtype=np.intp)
        self._owners = np.array(owners, dtype=np.intp)

    def _read_words(self) -> None:
        in_title: defaultdict[str, list[int]] = defaultdict(list)
        in_whole: defaultdict[str, list[int]] = defaultdict(list)
        for number, matter in enumerate(self._matters):
            title: set[str] = set()
            body: set[str] = set()
            for each in matter:
                title.update(words(" ".join((each.article.title, *each.article.questions))))
                body.update(words(" ".join((each.article.body, *each.article.tags))))
            for word in title:
                in_title[word].append(number)
            for word in title | body:
                in_whole[word].append(number)
        self._in_title = {word: np.array(found, dtype=np.intp) for word, found in in_title.items()}
        self._in_whole = {word: np.array(found, dtype=np.intp) for word, found in in_whole.items()}
        # Rarity as in BM25 (Robertson and Zaragoza 2009, eq. 3.3, with 1 added inside so that it never falls below 0).
        count = len(self._matters)
        self._rarity = {
            word: float(np.log1p((count - len(found) + 0.5) / (len(found) + 0.5))) for word, found in in_whole.items()
        }
        self._unknown_rarity = float(np.log1p((count + 0.5) / 0.5))

    def features(self, queries: Sequence[Query]) -> Features:
        """Return what speaks for each matter, float32 arrays of shape (queries, matters)."""
        shape = (len(queries), len(self))
        title, whole = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        intent = np.zeros(shape, np.float32)
        by_intent = {name: self._agreement(name) for name in {query.intent for query in queries}}
        for row, query in enumerate(queries):
            self._weigh_words(query.text, title[row], whole[row])
            intent[row] = by_intent[query.intent]
        meaning, has_meaning = self._meaning(queries)
        return Features(meaning=meaning, title=title, whole=whole, intent=intent, has_meaning=has_meaning)

    def _agreement(self, intent: str) -> Floats:
        if intent not in INTENTS:
            return np.zeros(len(self), np.float32)
        return np.array([0 if not tags else 1 if intent in tags else -1 for tags in self._tags], np.float32)

    def _weigh_words(self, text: str, title: Floats, whole: Floats) -> None:
        asked = list(Counter(words(text)))[:MAX_WORDS]
        total = sum(self._rarity.get(word, self._unknown_rarity) for word in asked)
        for word in asked:
            if (found := self._in_whole.get(word)) is not None:
                share = self._rarity[word] / total
                whole[found] += share
                if (named := self._in_title.get(word)) is not None:
                    title[named] += share

    def _meaning(self, queries: Sequence[Query]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        meaning = np.zeros((len(queries), len(self)), np.float32)
        rows = [row for row, query in enumerate(queries) if len(query.embedding) == ROW]
        has_meaning = np.zeros(len(queries), np.bool_)
        if not rows or not len(self._vectors):
            return meaning, has_meaning
        raw = b"".join(queries[row].embedding for row in rows)
        near = np.maximum.reduceat(_vectors(raw) @ self._vectors.T, self._starts, axis=1)
        meaning[np.ix_(np.array(rows, dtype=np.intp), self._owners)] = near
        has_meaning[rows] = True
        return meaning, has_meaning

    def search(self, queries: Sequence[Query], *, limit: int = 3) -> list[list[Hit]]:
        """Return for each of *queries*, in order, up to *limit* articles, the likeliest first; equals go by slug.

        A matter that exists neither in the customer's language nor in the fallback language is left out.
        """
        if not self._matters or not queries:
            return [[] for _ in queries]
        features = self.features(queries)
        own, abroad = confidence.probabilities(features), confidence.abroad(features)
        order = _order(own)
        return [self._hits(query, own[row], abroad[row], order[row], limit=limit) for row, query in enumerate(queries)]

    def ranking(self, query: Query) -> list[str]:
        """Return the slugs of all matters that may answer *query*, the likeliest first."""
        order = _order(confidence.probabilities(self.features([query])))
        return [
            self._matters[number][0].article.slug
            for number in order[0].tolist()
            if self._version(number, query.language)[0] is not None
        ]

    def _hits(
        self, query: Query, own: Chances, abroad: Chances, order: npt.NDArray[np.intp], *, limit: int
    ) -> list[Hit]:
        hits: list[Hit] = []
        before = 1.0
        for number in order.tolist():
            if len(hits) == limit:
                break
            entry, is_foreign = self._version(number, query.language)
            if entry is not None:
                before = min(before, float((abroad if is_foreign else own)[number]))
                if is_foreign or query.language not in self.sure_languages:
                    before = min(before, UNMEASURED)
                hits.append(Hit(entry=entry, confidence=before, is_foreign=is_foreign))
        return hits

    def _version(self, number: int, language: str) -> tuple[Entry | None, bool]:
        versions = self._languages[number]
        if (own := versions.get(language)) is not None:
            return own, False
        return versions.get(self.fallback_language), language != "und"


def nearest(index: Index, queries: Sequence[Query]) -> list[Hit | None]:
    """Return for each of *queries* the likeliest article of *index*, None where there is none."""
    return [next(iter(hits), None) for hits in index.search(queries, limit=1)]


def _order(chances: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    # A stable sort on whole billionths: equals go by slug on every machine.
    return np.argsort(-np.round(chances, 9), axis=1, kind="stable")


def _vectors(raw: bytes) -> Floats:
    """Return float32 rows; one that holds no number is near to nothing."""
    found = np.frombuffer(raw, dtype="<f2").reshape(-1, EMBEDDING_DIM).astype(np.float32)
    return np.where(np.isfinite(found), found, np.float32(0))
