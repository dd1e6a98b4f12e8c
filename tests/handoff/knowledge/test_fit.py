"""The committed weights are what the fitting finds, and hold on questions it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from handoff.knowledge import confidence, fit


def blind(texts: Sequence[str]) -> list[bytes]:
    return [b""] * len(texts)


@pytest.fixture(scope="module")
def material(shared: Path) -> fit.Material:
    return fit.Material(shared / "data", blind)


def committed(weights: confidence.Weights) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([weights.meaning, weights.title, weights.whole, weights.intent, weights.none])


def test_fitting_words_on_questions_of_people_finds_the_committed_weights(material: fit.Material) -> None:
    first = slice(0, None, 2)
    sets = material.on_stackfaq(material.stackfaq(), "train", first, by_meaning=False)
    sets += material.on_banking(first, by_meaning=False)
    for language in ("en", "es", "fr", "zh"):
        sets += material.on_login(language, first, by_meaning=False)
    found = fit.fit(sets, free=("title", "whole", "none"))
    expected = committed(confidence.BY_WORDS)
    assert found[[1, 2, 4]] == pytest.approx(expected[[1, 2, 4]], rel=0.02)


def test_words_that_say_they_know_are_right_more_often_than_not(material: fit.Material) -> None:
    held = material.on_stackfaq(material.stackfaq(), "validation", slice(1, None, 2), by_meaning=False)
    weights = committed(confidence.BY_WORDS)
    right = given = 0.0
    for each in held:
        chances = np.exp(fit.chances(weights, each.evidence)[:, :-1])
        over = chances.max(axis=1) > 0.35
        given += each.weight * float(over.sum())
        right += each.weight * float((over & (chances.argmax(axis=1) == each.right)).sum())
    assert given > 20
    assert right / given > 0.65


def test_fit_learns_what_it_is_shown() -> None:
    """A feature that tells right from wrong gets weight; one that does not gets none."""
    rng = np.random.default_rng(3)
    evidence = rng.uniform(0, 0.3, (200, 5, 4))
    right = rng.integers(0, 5, 200)
    evidence[np.arange(200), right, 0] = 0.9
    known = fit.Asked(name="known", evidence=evidence, right=right.astype(np.intp), weight=1.0)
    unknown = fit.Asked(name="none", evidence=rng.uniform(0, 0.3, (200, 5, 4)), right=np.full(200, -1), weight=1.0)
    weights = fit.fit([known, unknown], free=("meaning", "title", "none"))
    assert weights[0] > 5
    assert weights[1] < weights[0] / 3
    assert weights[2] == weights[3] == 0
    lines = fit.report("made up", weights, [known, unknown])
    assert any("over  0.9: right 1.000" in line for line in lines)
