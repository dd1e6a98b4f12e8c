"""The committed weights are what the fitting finds, and hold on questions it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from handoff.knowledge import fit
from handoff.knowledge.confidence import BY_WORDS, SIGNS, Doubt, Order, Weights
from handoff.knowledge.material import Asked, Material
from handoff.knowledge.search import Features

FIRST, SECOND = slice(0, None, 2), slice(1, None, 2)


def blind(texts: Sequence[str]) -> list[bytes]:
    return [b""] * len(texts)


@pytest.fixture(scope="module")
def material(shared: Path) -> Material:
    return Material(shared / "data", blind)


def test_fitting_words_on_questions_of_people_finds_the_committed_weights(material: Material) -> None:
    sets = material.on_stackfaq(material.stackfaq(), "train", FIRST, by_meaning=False)
    sets += material.on_banking(FIRST, by_meaning=False)
    for language in ("en", "es", "fr", "zh"):
        sets += material.on_login(language, FIRST, by_meaning=False)
    order = fit.fit_order(sets, free=("title", "whole"), fixed=fit.NOTHING)
    doubt = fit.fit_doubt(sets, BY_WORDS.order, free=SIGNS[1:], ceiling=BY_WORDS.doubt.ceiling)
    assert (order.title, order.whole) == pytest.approx((BY_WORDS.order.title, BY_WORDS.order.whole), rel=0.02)
    assert asdict(doubt) == pytest.approx(asdict(BY_WORDS.doubt), rel=0.02, abs=0.02)


def test_words_that_say_they_know_are_right_more_often_than_not(material: Material) -> None:
    right = given = 0.0
    for each in material.on_stackfaq(material.stackfaq(), "validation", SECOND, by_meaning=False):
        sure, good = fit.judged(BY_WORDS, each)
        over = sure > 0.35
        given += each.weight * float(over.sum())
        right += each.weight * float((over & good).sum())
    assert given > 20
    assert right / given > 0.65


def made_up(rng: np.random.Generator, right: npt.NDArray[np.intp]) -> Asked:
    """Return questions to five matters whose likeness alone tells the right one."""
    shape = (len(right), 5)
    meaning, title, whole = (rng.uniform(0, 0.3, shape).astype(np.float32) for _ in range(3))
    known = right >= 0
    meaning[np.flatnonzero(known), right[known]] = 0.9
    features = Features(
        meaning=meaning,
        title=title,
        whole=whole,
        intent=np.zeros(shape, np.float32),
        has_meaning=np.ones(len(right), np.bool_),
    )
    return Asked(name="known" if known.all() else "none", features=features, right=right, weight=1.0)


def test_fit_learns_what_it_is_shown() -> None:
    """A feature that tells right from wrong gets weight; one that does not gets none."""
    rng = np.random.default_rng(3)
    sets = [made_up(rng, rng.integers(0, 5, 200).astype(np.intp)), made_up(rng, np.full(200, -1, np.intp))]
    order = fit.fit_order(sets, free=("meaning", "title"), fixed=fit.NOTHING)
    assert order.meaning > 5
    assert order.title < order.meaning / 3
    assert (order.whole, order.intent) == (0, 0)
    doubt = fit.fit_doubt(sets, order, free=SIGNS, ceiling=1.0)
    assert min(asdict(doubt).values()) == doubt.none < 0
    lines = fit.report("made up", Weights(order=order, doubt=doubt), sets)
    assert any("over  0.9: right 1.000, of the known answered 1.000, of the others 0.0000" in line for line in lines)


def test_a_weight_that_is_fixed_stays() -> None:
    rng = np.random.default_rng(4)
    fixed = Order(meaning=7.0, title=0.0, whole=3.0, intent=0.5)
    order = fit.fit_order([made_up(rng, rng.integers(0, 5, 50).astype(np.intp))], free=("title",), fixed=fixed)
    assert (order.meaning, order.whole, order.intent) == (7.0, 3.0, 0.5)
    assert isinstance(fit.fit_doubt([made_up(rng, np.full(9, -1, np.intp))], order, free=(), ceiling=0.5), Doubt)
