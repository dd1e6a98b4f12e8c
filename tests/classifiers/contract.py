"""What every engine promises, as ``classifiers.protocol`` says; an engine's test inherits this, giving ``engine``."""

from __future__ import annotations

import asyncio
import time
from math import isfinite
from typing import ClassVar

import numpy as np
import pytest

from classifiers.registry import ClassifierEmbedder
from classifiers.triage import EMBEDDING_DIM, HEADS, Text

ODD = {
    "empty": "",
    "blank": " \n\t ",
    "emoji": "\U0001f621",
    "handle": "@somebody",
    "link": "https://example.com/a?b=c",
    "nul": "a\x00b\x00",
    "only_nul": "\x00" * 50,
    "surrogate": "half \ud83d a character",
    "long": "my parcel is late " * 6_000,
    "one_word": "x" * 100_000,
    "marks": "e" + "\u0301\u0323" * 50_000,
    "flags": "\U0001f1e9\U0001f1ea" * 5_000,
    "invisible": "\u200b\u202e\ufeff" * 1_000,
    "arabic": "الطرد لم يصل بعد",
    "chinese": "我的包裹还没到",
    "html": "<script>alert(1)</script>",
    "entities": "&amp;&#0;&#xD800;&lt;b&gt;",
}


def texts(*many: str) -> list[Text]:
    return [Text(id=f"t{number}", text=text) for number, text in enumerate(many)]


class ClassifierContract:
    """Inherit, and give the fixture ``engine``: warm, open. busy: so many posts keep it busy for a second or two."""

    busy: ClassVar[int] = 150

    async def test_same_length_same_order(self, engine: ClassifierEmbedder) -> None:
        """Return one Triage for each of *texts*: same length, same order."""
        given = texts(*(f"post {'very ' * (7 * n % 31)}late" for n in range(70)))
        answers = await engine.classify(given)
        assert [answer.id for answer in answers] == [text.id for text in given]

    async def test_nothing_in_nothing_out(self, engine: ClassifierEmbedder) -> None:
        assert await engine.classify([]) == []
        assert await engine.embed([]) == []

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
    async def test_any_text_gets_an_answer(self, engine: ClassifierEmbedder, text: str) -> None:
        """Any text gets an answer: empty, 100 kB, one emoji, NULs."""
        (answer,) = await engine.classify([Text(id="a", text=text)])
        for head, labels in HEADS.items():
            label = getattr(answer, head)
            assert label.label in labels
            assert set(label.scores) == set(labels)
            assert sum(label.scores.values()) == pytest.approx(1.0, abs=1e-5)
            assert label.confidence == max(label.scores.values())
            assert isfinite(label.confidence)
        assert len(answer.language.label) in (2, 3)
        assert 0.0 <= answer.language.confidence <= 1.0

    async def test_an_odd_text_does_not_harm_its_neighbours(self, engine: ClassifierEmbedder) -> None:
        plain = Text(id="plain", text="Where is my parcel? It should have been here on Monday.")
        (alone,) = await engine.classify([plain])
        answers = await engine.classify([*texts(*ODD.values()), plain, *texts(*ODD.values())])
        among = answers[len(ODD)]
        for head, labels in HEADS.items():
            for label in labels:
                assert getattr(among, head).scores[label] == pytest.approx(getattr(alone, head).scores[label], abs=0.01)

    async def test_the_same_text_gets_the_same_answer(self, engine: ClassifierEmbedder) -> None:
        given = texts("Great crew tonight, thank you!", "app freezes since the update")
        assert await engine.classify(given) == await engine.classify(given)

    async def test_the_model_is_named(self, engine: ClassifierEmbedder) -> None:
        """Model and revision, stored with every triage."""
        (answer,) = await engine.classify(texts("hello"))
        assert answer.model == engine.name
        assert "-" in engine.name

    async def test_the_name_begins_with_what_makes_the_vectors(self, engine: ClassifierEmbedder) -> None:
        """A Classifier's ``name`` is this, with "+" and more behind it where other heads judge."""
        assert engine.name == engine.foundation or engine.name.startswith(f"{engine.foundation}+")

    async def test_the_event_loop_is_never_blocked(self, engine: ClassifierEmbedder) -> None:
        """Never blocks the event loop."""
        turns, longest = 0, 0.0
        started = time.perf_counter()
        judging = asyncio.create_task(
            engine.classify(texts(*("my card was charged twice, please help " * 8,) * self.busy))
        )
        before = time.perf_counter()
        while not judging.done():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            turns, longest, before = turns + 1, max(longest, now - before), now
        assert len(await judging) == self.busy
        assert turns > 10
        assert longest < (time.perf_counter() - started) / 2

    async def test_calls_do_not_mix(self, engine: ClassifierEmbedder) -> None:
        """Several calls may be under way."""
        answers = await asyncio.gather(*(engine.classify(texts(f"call {n}", "refund please")) for n in range(6)))
        assert [len(pair) for pair in answers] == [2] * 6
        assert len({pair[1].intent.label for pair in answers}) == 1

    async def test_a_caller_may_go_away(self, engine: ClassifierEmbedder) -> None:
        judging = asyncio.create_task(engine.classify(texts(*("where is my parcel " * 30,) * 2_000)))
        await asyncio.sleep(0)
        judging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await judging
        assert len(await engine.classify(texts("still here?"))) == 1

    async def test_the_embedding_is_what_triage_promises(self, engine: ClassifierEmbedder) -> None:
        """Return for each of *texts*, in order, what ``Triage.embedding`` holds; b"" where the engine has none."""
        given = texts("parcel late", "", "thank you")
        packed = await engine.embed([text.text for text in given])
        judged = [answer.embedding for answer in await engine.classify(given)]
        assert len(packed) == 3
        for one, other in zip(packed, judged, strict=True):
            assert len(one) == len(other)
            if one:
                vector = np.frombuffer(one, "<f2").astype(np.float32)
                assert vector.shape == (EMBEDDING_DIM,)
                assert np.linalg.norm(vector) == pytest.approx(1.0, abs=0.01)
                assert float(vector @ np.frombuffer(other, "<f2").astype(np.float32)) == pytest.approx(1.0, abs=0.01)

    async def test_warm_twice_and_close_twice_are_harmless(self, engine: ClassifierEmbedder) -> None:
        await engine.warm()
        await engine.warm()
        await engine.aclose()
        await engine.aclose()
        await engine.warm()
        assert len(await engine.classify(texts("again"))) == 1
