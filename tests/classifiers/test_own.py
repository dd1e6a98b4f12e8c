"""Labels of one's own: the leave-one-out is exact, confidence means what it says, and what is wrong is said."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from classifiers import own, registry
from classifiers.triage import EMBEDDING_DIM


def packed(vectors: npt.NDArray[np.float64]) -> list[bytes]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return [row.astype("<f2").tobytes() for row in unit]


def around(seed: int, count: int, *, spread: float = 1.0, draw: int = 0) -> list[bytes]:
    """Texts about one matter: *spread* is how far they stray from it."""
    centre = np.random.default_rng(seed).standard_normal(EMBEDDING_DIM)
    strays = np.random.default_rng((seed, draw, count)).standard_normal((count, EMBEDDING_DIM))
    return packed(centre + spread * strays)


def clusters(labels: int, count: int, *, spread: float = 1.0, draw: int = 0) -> dict[str, list[bytes]]:
    return {f"label {seed}": around(seed, count, spread=spread, draw=draw) for seed in range(labels)}


def test_texts_of_the_same_matters_get_their_label_with_confidence() -> None:
    learnt = own.learn(clusters(5, 6))
    for place, (name, texts) in enumerate(clusters(5, 40, draw=1).items()):
        labels = learnt.predict(own.unpacked(texts))
        assert sum(each.label == name for each in labels) >= 38
        assert np.mean([each.confidence for each in labels]) > own.NONE_BELOW
        assert learnt.labels[place] == name


def test_scores_sum_to_one_and_hold_every_label_and_none() -> None:
    learnt = own.learn(clusters(4, 3))
    for each in learnt.predict(own.unpacked(around(1, 5, draw=2))):
        assert set(each.scores) == {*learnt.labels, own.NONE}
        assert sum(each.scores.values()) == pytest.approx(1.0, abs=1e-5)
        assert each.confidence == each.scores[each.label] == max(each.scores[name] for name in learnt.labels)


def test_a_text_about_none_of_them_is_shown_as_none() -> None:
    learnt = own.learn(clusters(4, 5))
    places, sure = learnt.best(own.unpacked(around(99, 50)))
    assert {own.shown(learnt.labels[place], float(each)) for place, each in zip(places, sure, strict=True)} == {
        own.NONE
    }


@pytest.mark.parametrize(("labels", "count", "spread"), [(2, 3, 3.0), (3, 4, 3.0), (5, 6, 5.0)])
def test_the_leave_one_out_is_that_of_heads_that_never_saw_the_example(labels: int, count: int, spread: float) -> None:
    examples = clusters(labels, count, spread=spread)
    told = {each.label: each.right for each in own.learn(examples).report.labels}
    counted = dict.fromkeys(examples, 0)
    for label, texts in examples.items():
        for place, text in enumerate(texts):
            rest = {**examples, label: [*texts[:place], *texts[place + 1 :]]}
            counted[label] += own.learn(rest).predict(own.unpacked([text]))[0].label == label
    # The shrinkage keeps its size while an example is out: a text on the very border may fall on the other side.
    assert sum(abs(counted[label] - told[label]) for label in examples) <= 1


def test_leave_one_out_foretells_the_accuracy_on_texts_never_seen() -> None:
    learnt = own.learn(clusters(12, 8, spread=4.0))
    fresh = clusters(12, 100, spread=4.0, draw=7)
    right = np.mean(
        [each.label == name for name, texts in fresh.items() for each in learnt.predict(own.unpacked(texts))]
    )
    assert 0.5 < learnt.report.accuracy < 1.0
    assert learnt.report.accuracy == pytest.approx(float(right), abs=0.12)


def test_a_pair_that_means_the_same_is_named_and_no_other() -> None:
    one = around(0, 20)
    examples = {"bill": one[::2], "invoice": one[1::2], "parcel": around(1, 10), "praise": around(2, 10)}
    (warning,) = own.learn(examples).report.warnings
    assert "'bill' and 'invoice' are hard to tell apart" in warning
    assert "make them one label, or give both examples that show the difference" in warning


def test_labels_that_are_told_apart_bring_no_warning() -> None:
    assert own.learn(clusters(6, 5)).report.warnings == ()


def test_a_label_with_one_example_waits_and_says_so() -> None:
    learnt = own.learn({**clusters(2, 3), "new": around(9, 1)})
    assert learnt.labels == ("label 0", "label 1")
    assert learnt.report.warnings == ("'new' is left out until it has 2 examples",)
    with pytest.raises(ValueError, match="a set needs 2 labels with 2 examples each; this one has 1"):
        own.learn({"label 0": around(0, 3), "new": around(9, 1)})


def test_the_same_example_many_times_over_breaks_nothing() -> None:
    learnt = own.learn({"a": around(0, 1) * 4, "b": around(1, 1) * 4})
    scores = learnt.judge(own.unpacked([*around(0, 1), *around(5, 1), b"\x00" * own.EMBEDDING_BYTES]))
    assert np.isfinite(scores).all()
    assert scores[0].argmax() == 0


def test_an_engine_without_embeddings_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="an embedding is missing"):
        own.learn({"a": [b"", b""], "b": [b"", b""]})


def test_seventy_seven_labels_with_ten_examples_are_learnt_within_seconds() -> None:
    examples = clusters(77, 10, spread=3.0)
    begun = time.process_time()
    own.learn(examples)
    assert time.process_time() - begun < 10


TWO = ["one text", "another text"]


@pytest.mark.parametrize(
    ("name", "labels", "sentence"),
    [
        (
            "product",
            {"tv": TWO, "mobile": ["only one"]},
            "product.mobile: has 1 examples; give it 2 or more that differ",
        ),
        ("product", {"tv": TWO, "mobile": ["Same  text", "same TEXT"]}, "product.mobile: has 1 examples"),
        ("product", {"tv": TWO, "mobile": ["One text ", "x"]}, "stands under 'tv' too; keep it under one of the two"),
        ("product", {"tv": TWO, "mobile": ["x", "  "]}, "product.mobile: an example is empty"),
        ("product", {"tv": TWO, "mobile": ["x", "y" * 4001]}, "is longer than 4000 characters"),
        ("product", {"tv": TWO}, "product: has 1 labels; 2 to 200 are allowed"),
        ("product", {f"l{n}": [f"{n} a", f"{n} b"] for n in range(201)}, "product: has 201 labels"),
        ("product", {"tv": TWO, "None": ["x", "y"]}, "None: this is what a post without any of the labels gets"),
        ("product", {"tv": TWO, " ": ["x", "y"]}, "a label's name is printable"),
        ("intent", {"tv": TWO, "mobile": ["x", "y"]}, "intent: every post has a label of this name already"),
        ("My set", {"tv": TWO, "mobile": ["x", "y"]}, "My set: a set's name is of small letters"),
    ],
)
def test_what_is_wrong_with_a_set_is_said(name: str, labels: dict[str, list[str]], sentence: str) -> None:
    found = own.faults(name, labels)
    assert any(sentence in fault for fault in found), found


def test_a_good_set_has_no_fault() -> None:
    assert own.faults("product", {"tv": TWO, "mobile": ["x", "y", "x"]}) == []


async def test_the_real_engine_tells_three_products_apart_from_a_few_examples() -> None:
    engine = registry.load("transformer").make({})
    try:
        examples = {
            "broadband": [
                "my wifi keeps dropping",
                "the internet is down again",
                "router light is red",
                "slow broadband",
            ],
            "tv": [
                "no picture on any channel",
                "the tv box is frozen",
                "I cannot record my show",
                "no sound on my telly",
            ],
            "mobile": ["no signal on my phone", "my sim card does not work", "roaming is broken", "cannot send a text"],
        }
        learnt = own.learn({label: await engine.embed(texts) for label, texts in examples.items()})
        asked = ["wifi is so slow tonight", "the channels on my tv are gone", "my phone says no service"]
        labels = learnt.predict(own.unpacked(await engine.embed(asked)))
        assert [each.label for each in labels] == ["broadband", "tv", "mobile"]
    finally:
        await engine.aclose()
