"""Questions whose answer is known, put to indexes of their articles: to fit by and to measure on. From data sets."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from handoff.knowledge.article import Article
from handoff.knowledge.search import Entry, Features, Index, Query

Embed: TypeAlias = Callable[[Sequence[str]], list[bytes]]
Row: TypeAlias = dict[str, Any]

LOGIN_QUERIES = "kb_login_gov/validation_queries"
ANSWERABLE = 1 / 3
ABROAD = frozenset({"es", "fr", "de", "pt", "it", "ar"})
GONE = 2.0
"""What is taken off the likeness of an article that is not there, so that it is never the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Questions put to one index. right: column of the answer, -1 for none. gone: the right article is taken out."""

    name: str
    features: Features
    right: npt.NDArray[np.intp]
    weight: float
    gone: bool = False


def rows(data: Path, name: str) -> list[Row]:
    """Return the rows of one file of the data folder."""
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def asked(
    name: str, index: Index, queries: Sequence[Query], slugs: Sequence[str], *, gone: bool = False, weight: float
) -> Asked:
    """Return *queries* with their features. slugs: right articles, "" for none; taken out if *gone*."""
    place = {slug: number for number, slug in enumerate(index.slugs)}
    right = np.array([place.get(slug, -1) for slug in slugs], dtype=np.intp)
    features = index.features(queries)
    if gone:
        for name_ in ("meaning", "title", "whole"):
            getattr(features, name_)[np.arange(len(right)), right] = -GONE if name_ == "meaning" else 0.0
        right = np.full(len(right), -1)
    return Asked(name=name, features=features, right=right, weight=weight, gone=gone)


class Material:
    """The data sets as indexes and queries; not by_meaning keeps queries from the encoder's vectors."""

    def __init__(self, data: Path, embed: Embed) -> None:
        self.data = data
        self.embed = embed

    def queries(
        self, texts: Sequence[str], language: str, *, by_meaning: bool, intents: Sequence[str] | None = None
    ) -> list[Query]:
        vectors = self.embed(texts) if by_meaning else [b""] * len(texts)
        return [
            Query(text=text, language=language, embedding=vector, intent=intents[i] if intents else "")
            for i, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ]

    def index(self, articles: Sequence[Article]) -> Index:
        passages = [passage for each in articles for passage in each.passages]
        vectors = iter(self.embed(passages))
        return Index(
            [
                Entry(id=number, article=each, vectors=b"".join(next(vectors) for _ in each.passages))
                for number, each in enumerate(articles)
            ]
        )

    def stackfaq(self) -> Index:
        return self.index(
            [
                Article(slug=row["id"], locale="en", title=row["question"], body=row["answer"])
                for row in rows(self.data, "stackfaq/documents")
            ]
        )

    def login(self, language: str) -> Index:
        """Return the help centre in *language*, without titles and headings: those are what is asked."""
        return self.index(
            [
                Article(
                    slug=_slug(row["article"]),
                    locale=language,
                    title="",
                    body="\n\n".join(section["text"] for section in row["sections"]),
                )
                for row in rows(self.data, "kb_login_gov/articles")
                if row["lang"] == language
            ]
        )

    def mixed(
        self,
        name: str,
        index: Index,
        known: Sequence[Query],
        slugs: Sequence[str],
        *,
        strangers: Mapping[str, Sequence[Query]],
    ) -> list[Asked]:
        """Return one third questions with an answer; in equal shares its loss, and each kind of *strangers*."""
        share = len(known) * (1 - ANSWERABLE) / ANSWERABLE / (1 + len(strangers))
        sets = [
            asked(name, index, known, slugs, weight=1.0),
            asked(f"{name}, answer gone", index, known, slugs, gone=True, weight=share / len(known)),
        ]
        for other, theirs in strangers.items():
            sets.append(asked(other, index, theirs, [""] * len(theirs), weight=share / len(theirs)))
        return sets

    def strangers(self, half: slice, *, by_meaning: bool) -> dict[str, list[Query]]:
        """Return requests to an assistant and real posts to brands, in English."""
        clinc = rows(self.data, "clinc150/validation")
        clinc = [row for row in clinc if row["label"] == "oos"] + [row for row in clinc if row["label"] != "oos"][::10]
        return {
            name: self.queries([row["text"] for row in found[half]], "en", by_meaning=by_meaning)
            for name, found in (("clinc150", clinc), ("real posts", rows(self.data, "triage_posts/validation")))
        }

    def strangers_abroad(self, half: slice) -> dict[str, list[Query]]:
        """Return real posts in other languages than English."""
        found = [row for row in rows(self.data, "umsab_sentiment/validation") if row["lang"] in ABROAD]
        return {"real posts abroad": self.queries([row["text"] for row in found[half]], "und", by_meaning=True)}

    def stackfaq_queries(self, part: str, *, by_meaning: bool = True) -> tuple[list[Query], list[str]]:
        """Return the questions of *part*, train or validation, and the slugs of their answers."""
        known = rows(self.data, f"stackfaq/{part}_queries")
        return self.queries([row["query"] for row in known], "en", by_meaning=by_meaning), [row["doc"] for row in known]

    def login_queries(self, language: str, *, by_meaning: bool = True) -> tuple[list[Query], list[str]]:
        """Return the validation questions in *language* and the slugs of their answers."""
        known = [row for row in rows(self.data, LOGIN_QUERIES) if row["lang"] == language]
        mine = self.queries([row["query"] for row in known], language, by_meaning=by_meaning)
        return mine, [_slug(row["article"]) for row in known]

    def on_stackfaq(self, index: Index, part: str, strangers: slice, *, by_meaning: bool) -> list[Asked]:
        mine, slugs = self.stackfaq_queries(part, by_meaning=by_meaning)
        return self.mixed("stackfaq", index, mine, slugs, strangers=self.strangers(strangers, by_meaning=by_meaning))

    def on_login(self, language: str, half: slice, *, by_meaning: bool) -> list[Asked]:
        mine, slugs = self.login_queries(language, by_meaning=by_meaning)
        index = self.login(language)
        strangers = self.strangers(half, by_meaning=by_meaning)
        return self.mixed(f"login.gov {language}", index, mine[half], slugs[half], strangers=strangers)

    def on_login_abroad(self, language: str, half: slice) -> list[Asked]:
        """Put questions in *language* to the articles in English."""
        mine, slugs = self.login_queries(language)
        name = f"login.gov {language}, articles in en"
        return self.mixed(name, self.login("en"), mine[half], slugs[half], strangers=self.strangers_abroad(half))

    def on_banking(
        self, half: slice, *, by_meaning: bool, intents_of: Callable[[Sequence[str]], list[str]] | None = None
    ) -> list[Asked]:
        """Each label is an article: its name, three training questions, tagged with the intent of the taxonomy."""
        mapping = _banking_intents(self.data)
        examples: defaultdict[str, list[str]] = defaultdict(list)
        for row in rows(self.data, "banking77/train"):
            if len(examples[row["label"]]) < 3:
                examples[row["label"]].append(row["text"])
        labels = [label for label in sorted(examples) if label in mapping]
        index = self.index(
            [
                Article(
                    slug=_slug(label),
                    locale="en",
                    title=label.replace("_", " "),
                    questions=tuple(examples[label]),
                    tags=(mapping[label],),
                )
                for label in labels
            ]
        )
        known = [row for row in rows(self.data, "banking77/validation") if row["label"] in mapping][:500][half]
        texts = [row["text"] for row in known]
        intents = intents_of(texts) if intents_of else None
        mine = self.queries(texts, "en", by_meaning=by_meaning, intents=intents)
        slugs = [_slug(row["label"]) for row in known]
        return self.mixed("banking77", index, mine, slugs, strangers=self.strangers(half, by_meaning=by_meaning))


def _slug(name: str) -> str:
    return "-".join(part for part in "".join(c if c.isalnum() else " " for c in name.lower()).split())


def _banking_intents(data: Path) -> dict[str, str]:
    mapping = json.loads((data / "intent_mapping.json").read_text(encoding="utf-8"))
    found: dict[str, str | None] = mapping["sources"]["banking77"]["map"]
    return {label: intent for label, intent in found.items() if intent is not None}
