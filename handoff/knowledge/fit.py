"""Fits the weights of ``confidence``, prints how they hold on other questions: ``python -m handoff.knowledge.fit``.

Reads the folder $HARKEN_SHARED/data. A known question is asked twice: with its article in the index, and with it
taken out, which is the hardest way not to know. Requests to a home assistant (clinc150) and real posts to airlines and
shops (triage_posts) are never answered by these articles. The known weigh one third: on a brand's channels most posts
ask something no article answers.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from classifiers.registry import load
from classifiers.triage import Text
from handoff.knowledge.article import Article
from handoff.knowledge.search import Entry, Features, Index, Query

Array: TypeAlias = npt.NDArray[np.float64]
Embed: TypeAlias = Callable[[Sequence[str]], list[bytes]]
Row: TypeAlias = dict[str, Any]

ANSWERABLE = 1 / 3
FEATURES = ("meaning", "title", "whole", "intent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Questions put to one index. evidence: (queries, matters, features). right: column of the answer, -1 for none."""

    name: str
    evidence: Array
    right: npt.NDArray[np.intp]
    weight: float

    def part(self, keep: npt.NDArray[np.bool_]) -> Asked:
        return Asked(name=self.name, evidence=self.evidence[keep], right=self.right[keep], weight=self.weight)


def rows(data: Path, name: str) -> list[Row]:
    """Return the rows of one file of the data folder."""
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def asked(
    name: str, index: Index, queries: Sequence[Query], slugs: Sequence[str], *, without_answer: bool, weight: float
) -> Asked:
    """Return *queries* with their features. slugs: right articles, "" for none; taken out if *without_answer*."""
    evidence = stacked(index.features(queries))
    place = {slug: number for number, slug in enumerate(index.slugs)}
    right = np.array([place.get(slug, -1) for slug in slugs], dtype=np.intp)
    if without_answer:
        evidence[np.arange(len(right)), right] = -1e3
        right = np.full(len(right), -1)
    return Asked(name=name, evidence=evidence, right=right, weight=weight)


def stacked(features: Features) -> Array:
    """Return *features* as one array of shape (queries, matters, features)."""
    return np.stack([getattr(features, name) for name in FEATURES], axis=-1).astype(np.float64)


def chances(weights: Array, evidence: Array) -> Array:
    """Return log probabilities, shape (queries, matters + 1); the last column is "none of them"."""
    scores = np.concatenate([evidence @ weights[:-1], np.full((len(evidence), 1), weights[-1])], axis=1)
    scores -= scores.max(axis=1, keepdims=True)
    logs: Array = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return logs


def fit(sets: Sequence[Asked], *, free: Collection[str], fixed: Array | None = None) -> Array:
    """Return the weights that make the right answers likeliest: features, then "none". free: features that may count.

    No weight falls below 0: a word in common never speaks against an article. fixed: values of what is not free.
    """
    names = (*FEATURES, "none")
    rest = np.zeros(len(names)) if fixed is None else fixed
    start = np.array([5.0 if name in free else value for name, value in zip(names, rest, strict=True)])
    bounds = [(0.0, 60.0) if name in free else (value, value) for name, value in zip(names, rest, strict=True)]

    def loss(weights: Array) -> float:
        total = 1e-3 * float((weights**2).sum())
        for each in sets:
            total -= each.weight * float(chances(weights, each.evidence)[np.arange(len(each.right)), each.right].sum())
        return total

    found: Array = minimize(loss, start, bounds=bounds, method="L-BFGS-B").x
    return found


def report(title: str, weights: Array, sets: Sequence[Asked]) -> list[str]:
    """Return lines: how often the first answer is right, and for each threshold how often it is when given."""
    lines = [f"{title}: " + " ".join(f"{n}={w:.2f}" for n, w in zip((*FEATURES, "none"), weights, strict=True))]
    sure, good, mass = [], [], []
    for each in sets:
        logs = chances(weights, each.evidence)[:, :-1]
        best = np.exp(logs.max(axis=1))
        right = logs.argmax(axis=1) == each.right
        sure.append(best)
        good.append(right)
        mass.append(np.full(len(best), each.weight))
        lines.append(
            f"  {each.name:24} n={len(best):4} first right {right.mean():.3f}  mean confidence {best.mean():.3f}  "
            f"over 0.35 {(best > 0.35).mean():.3f}  over 0.9 {(best > 0.9).mean():.3f}"
        )
    p, ok, w = np.concatenate(sure), np.concatenate(good), np.concatenate(mass)
    known = sum(each.weight * (each.right >= 0).sum() for each in sets)
    for threshold in (0.2, 0.35, 0.5, 0.7, 0.8, 0.9, 0.95):
        over = p > threshold
        given = (w * over).sum()
        hits = (w * over * ok).sum()
        precision = hits / given if given else float("nan")
        lines.append(
            f"  over {threshold:4}: right {precision:.3f}, of the known answered {hits / max(known, 1e-9):.3f}"
        )
    tenths = np.minimum((p * 10).astype(int), 9)
    error = sum(abs((w * (ok - p))[tenths == k].sum()) for k in range(10)) / w.sum()
    lines.append(f"  calibration error (ten bins): {error:.3f}")
    return lines


class Material:
    """The data sets as indexes and queries; not by_meaning keeps queries from the encoder's vectors."""

    def __init__(self, data: Path, embed: Embed) -> None:
        self.data = data
        self.embed = embed

    def queries(self, texts: Sequence[str], *, by_meaning: bool, intents: Sequence[str] | None = None) -> list[Query]:
        language = "en" if by_meaning else "und"
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

    def login(self, language: str, hidden: set[str]) -> Index:
        articles = []
        for row in rows(self.data, "kb_login_gov/articles"):
            if row["lang"] != language:
                continue
            heads = [s["heading"] for s in row["sections"] if s["heading"] and s["heading"] not in hidden]
            title = row["title"] if row["title"] not in hidden else "-"
            body = "\n".join(s["text"] for s in row["sections"])
            articles.append(
                Article(slug=_slug(row["article"]), locale=language, title=title, questions=tuple(heads), body=body)
            )
        return self.index(articles)

    def mixed(
        self,
        name: str,
        index: Index,
        known: Sequence[Query],
        slugs: Sequence[str],
        *,
        strangers: slice,
        by_meaning: bool,
    ) -> list[Asked]:
        """Return one third questions with an answer; in equal shares its loss, requests and posts without one."""
        share = len(known) * (1 - ANSWERABLE) / ANSWERABLE / 3
        sets = [
            asked(name, index, known, slugs, without_answer=False, weight=1.0),
            asked(f"{name}, answer gone", index, known, slugs, without_answer=True, weight=share / len(known)),
        ]
        clinc = rows(self.data, "clinc150/validation")
        clinc = [row for row in clinc if row["label"] == "oos"] + [row for row in clinc if row["label"] != "oos"][::10]
        for other, found in (("clinc150", clinc), ("real posts", rows(self.data, "triage_posts/validation"))):
            theirs = self.queries([row["text"] for row in found[strangers]], by_meaning=by_meaning)
            none = [""] * len(theirs)
            sets.append(asked(other, index, theirs, none, without_answer=False, weight=share / len(theirs)))
        return sets

    def on_stackfaq(self, index: Index, part: str, strangers: slice, *, by_meaning: bool) -> list[Asked]:
        known = rows(self.data, f"stackfaq/{part}_queries")
        mine = self.queries([row["query"] for row in known], by_meaning=by_meaning)
        slugs = [row["doc"] for row in known]
        return self.mixed("stackfaq", index, mine, slugs, strangers=strangers, by_meaning=by_meaning)

    def on_login(self, language: str, half: slice, *, by_meaning: bool) -> list[Asked]:
        every = rows(self.data, "kb_login_gov/validation_queries")
        index = self.login(language, {row["query"] for row in every})
        known = [row for row in every if row["lang"] == language][half]
        slugs = [_slug(row["article"]) for row in known]
        mine = self.queries([row["query"] for row in known], by_meaning=by_meaning)
        return self.mixed(f"login.gov {language}", index, mine, slugs, strangers=half, by_meaning=by_meaning)

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
        mine = self.queries(texts, by_meaning=by_meaning, intents=intents)
        slugs = [_slug(row["label"]) for row in known]
        return self.mixed("banking77", index, mine, slugs, strangers=half, by_meaning=by_meaning)


def _slug(name: str) -> str:
    return "-".join(part for part in "".join(c if c.isalnum() else " " for c in name.lower()).split())


def _banking_intents(data: Path) -> dict[str, str]:
    mapping = json.loads((data / "intent_mapping.json").read_text(encoding="utf-8"))
    found: dict[str, str | None] = mapping["sources"]["banking77"]["map"]
    return {label: intent for label, intent in found.items() if intent is not None}


def run(data: Path, embed: Embed, intents_of: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """Fit everything on one half of the questions and return the report on the other."""
    material = Material(data, embed)
    index = material.stackfaq()
    first, second = slice(0, None, 2), slice(1, None, 2)
    lines = []
    for by_meaning in (True, False):
        others = () if by_meaning else ("es", "fr", "zh")
        name = "by meaning" if by_meaning else "by words"
        sets = material.on_stackfaq(index, "train", first, by_meaning=by_meaning)
        sets += material.on_banking(first, by_meaning=by_meaning)
        for language in ("en", *others):
            sets += material.on_login(language, first, by_meaning=by_meaning)
        weights = fit(sets, free=("meaning", "title", "whole", "none") if by_meaning else ("title", "whole", "none"))
        banking = material.on_banking(first, by_meaning=by_meaning, intents_of=intents_of)
        weights = fit(banking, free=("intent",), fixed=weights)
        held = material.on_stackfaq(index, "validation", second, by_meaning=by_meaning)
        lines += report(f"{name}, stackfaq validation", weights, held)
        held = material.on_banking(second, by_meaning=by_meaning, intents_of=intents_of)
        lines += report(f"{name}, banking77, other half", weights, held)
        for language in ("en", *others):
            held = material.on_login(language, second, by_meaning=by_meaning)
            lines += report(f"{name}, login.gov {language}, other half", weights, held)
    return lines


def main() -> None:
    """Fit with the shipped engine."""
    shared = os.environ.get("HARKEN_SHARED")
    if not shared:
        sys.exit("set HARKEN_SHARED to the folder that holds data/")
    engine = load("transformer").make({})
    with asyncio.Runner() as runner:
        runner.run(engine.warm())

        def embed(texts: Sequence[str]) -> list[bytes]:
            return runner.run(engine.embed(texts))

        def intents_of(texts: Sequence[str]) -> list[str]:
            judged = runner.run(engine.classify([Text(id=str(n), text=text) for n, text in enumerate(texts)]))
            return [each.intent.label for each in judged]

        sys.stdout.write("\n".join(run(Path(shared) / "data", embed, intents_of)) + "\n")
        runner.run(engine.aclose())


if __name__ == "__main__":
    main()
