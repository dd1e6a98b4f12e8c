"""The shipped encoder on the demo's day, which no weight was fitted on: when we say we know, we do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest_asyncio

from classifiers.engines.transformer import Transformer
from handoff.knowledge.folder import load_folder
from handoff.knowledge.search import Entry, Hit, Index, Query

DEMO = Path(__file__).parents[3] / "deploy" / "demo"

Told = list[tuple[dict[str, Any], Hit | None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told() -> Told:
    """Every post of the day with the article that answers it, if any, and the one that was found."""
    engine = Transformer()
    articles = load_folder(DEMO / "articles")
    vectors = iter(await engine.embed([passage for each in articles for passage in each.passages]))
    entries = [
        Entry(id=number, article=each, vectors=b"".join(next(vectors) for _ in each.passages))
        for number, each in enumerate(articles)
    ]
    posts = [json.loads(line) for line in (DEMO / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    embedded = await engine.embed([post["text"] for post in posts])
    await engine.aclose()
    queries = [
        Query(text=post["text"], language=post["language"], embedding=vector, intent=post["intent"])
        for post, vector in zip(posts, embedded, strict=True)
    ]
    found = Index(entries).search(queries)
    return [(post, hits[0] if hits else None) for post, hits in zip(posts, found, strict=True)]


def right(told: Told, *, over: float) -> tuple[int, int]:
    """Return how many answers over a threshold are right, and how many there are."""
    given = [(post, hit) for post, hit in told if hit is not None and hit.confidence >= over]
    return sum(hit.entry.article.slug == post["article"] for post, hit in given), len(given)


def test_what_would_be_said_alone_is_right(told: Told) -> None:
    good, given = right(told, over=0.9)
    assert given >= 20
    assert good == given


def test_nine_drafts_in_ten_hold_the_right_answer(told: Told) -> None:
    good, given = right(told, over=0.35)
    assert given >= 70
    assert good / given > 0.85


def test_a_question_in_english_finds_its_article_first(told: Told) -> None:
    known = [(post, hit) for post, hit in told if post["language"] == "en" and post["article"]]
    assert len(known) > 100
    found = sum(hit is not None and hit.entry.article.slug == post["article"] for post, hit in known)
    assert found / len(known) > 0.9


def test_in_other_languages_nothing_is_said_alone(told: Told) -> None:
    others = [(post, hit) for post, hit in told if post["language"] != "en"]
    assert right(others, over=0.86) == (0, 0)
