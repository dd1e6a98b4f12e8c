from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from classifiers import why
from classifiers.engines.keywords import Keywords
from classifiers.engines.transformer import Transformer
from classifiers.triage import HEADS, Text, Triage
from tests.classifiers.contract import ODD


class Counting:
    """The engine it is given, counting passes: calls, and texts in the largest one."""

    def __init__(self, engine: Transformer) -> None:
        self.engine, self.passes, self.largest = engine, 0, 0
        self.name = engine.name

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        self.passes, self.largest = self.passes + 1, max(self.largest, len(texts))
        return await self.engine.classify(texts)


def test_words_are_neither_handles_nor_links() -> None:
    text = "@air.line my bag's late \U0001f621 see https://x.co/a1 #badair 我的 don't"
    named = [text[start:end] for start, end in why.words(text)]
    assert named == ["my", "bag's", "late", "\U0001f621", "see", "badair", "我", "的", "don't"]


def test_taking_words_out_leaves_the_others_where_they_are() -> None:
    assert why.without("one two three", frozenset({(4, 7)})) == "one   three"
    assert why.without("one two", frozenset({(0, 3), (4, 7)})) == "   "


async def test_the_word_that_says_it_is_named(model: Transformer) -> None:
    text = "@company a very long text about our flight to Rome, and the crew was simply wonderful"
    judged, found = await why.explain(model, text)
    by_head = {each.head: each for each in found}
    assert set(by_head) == set(HEADS)
    assert judged.sentiment.label == "positive"
    first = by_head["sentiment"].words[0]
    assert (first.text, text[first.start : first.end]) == ("wonderful", "wonderful")
    assert first.drop > 0
    assert all(len(each.words) <= why.NAMED for each in found)


@pytest.mark.parametrize("words", [0, 1, 5, 30, 119, 400])
async def test_it_costs_ten_passes_at_most(model: Transformer, words: int) -> None:
    counting = Counting(model)
    _, found = await why.explain(counting, " ".join(f"word{n} is late," for n in range(words)))
    assert counting.passes <= why.PASSES
    assert counting.largest <= why.VARIANTS
    assert len(found) == len(HEADS)


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_any_text_can_be_explained(rules: Keywords, text: str) -> None:
    _, found = await why.explain(rules, text)
    assert [each.head for each in found] == list(HEADS)


@pytest.mark.slow
async def test_without_the_named_words_a_label_falls_more_than_without_random_ones(
    model: Transformer, shared: Path
) -> None:
    """In at least 85 of 100 cases, on real posts that taught nothing; three words against three, for every head."""
    with gzip.open(shared / "data" / "triage_posts" / "validation.jsonl.gz") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    chance = random.Random(11)
    right = cases = 0
    for text in [text for text in texts if len(why.words(text)) > 2 * why.NAMED][:40]:
        _, found = await why.explain(model, text)
        asked = []
        for each in found:
            named = frozenset((word.start, word.end) for word in each.words)
            if named:
                asked += [(each, named, frozenset(chance.sample(why.words(text), len(named))))]
        variants = [why.without(text, spans) for _, named, other in asked for spans in (named, other)]
        judged = await model.classify([Text(id=str(n), text=variant) for n, variant in enumerate(variants)])
        for at, (each, _, _) in enumerate(asked):
            left = [getattr(answer, each.head).scores[each.label.label] for answer in judged[2 * at : 2 * at + 2]]
            right, cases = right + (left[0] < left[1]), cases + 1
    assert cases > 150
    assert right / cases >= 0.85
