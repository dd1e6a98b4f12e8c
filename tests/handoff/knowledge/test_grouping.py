"""Questions that ask the same stand together: exactly, quickly, and how well on questions whose topic is known."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_mutual_info_score

from classifiers.triage import EMBEDDING_DIM
from handoff.knowledge import grouping


def unit(rows: npt.NDArray[Any]) -> grouping.Floats:
    found: grouping.Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


def around(seed: int, *sizes: int, noise: float = 0.5, width: int = 64) -> tuple[grouping.Floats, list[int]]:
    """Return rows around as many centres as there are sizes, and the centre of each."""
    draw = np.random.default_rng(seed)
    centres = unit(draw.standard_normal((len(sizes), width)))
    owner = [number for number, size in enumerate(sizes) for _ in range(size)]
    scattered = draw.standard_normal((len(owner), width)) / np.sqrt(width)
    return unit(centres[owner] + noise * scattered), owner


def labels(groups: list[grouping.Numbers], count: int) -> list[int]:
    found = np.full(count, -1)
    for number, rows in enumerate(groups):
        assert (found[rows] == -1).all(), "a row is in one group only"
        found[rows] = number
    assert (found >= 0).all(), "every row is in a group"
    return [int(each) for each in found]


@pytest.mark.parametrize("bar", [0.2, 0.45, 0.6, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_the_groups_are_those_of_average_linkage(seed: int, bar: float) -> None:
    rows, _ = around(seed, 40, 25, 9, 3, 1, 1, 60, noise=1.2)
    ours = labels(grouping.groups(rows, bar=bar), len(rows))
    theirs = fcluster(linkage(rows.astype(np.float64), "average", metric="cosine"), 1 - bar, "distance")
    assert adjusted_mutual_info_score(theirs, ours) == pytest.approx(1.0)


def test_what_stands_together_is_found_the_largest_first() -> None:
    rows, owner = around(1, 5, 30, 12, noise=0.4)
    found = grouping.groups(rows, bar=0.5)
    assert [len(each) for each in found] == [30, 12, 5]
    assert [{owner[row] for row in each} for each in found] == [{1}, {2}, {0}]


def test_equal_rows_are_one_group_and_empty_ones_stay_alone() -> None:
    rows = np.zeros((6, 8), np.float32)
    rows[[1, 3, 4], 2] = 1
    assert [each.tolist() for each in grouping.groups(rows, bar=0.5)] == [[1, 3, 4], [0], [2], [5]]
    assert grouping.groups(rows[:0], bar=0.5) == []
    assert [each.tolist() for each in grouping.groups(rows[1:2], bar=0.5)] == [[0]]


def test_the_order_of_the_questions_changes_nothing() -> None:
    rows, _ = around(3, 20, 15, 10, 5, noise=1.0)
    order = np.random.default_rng(4).permutation(len(rows))
    first = {frozenset(each.tolist()) for each in grouping.groups(rows, bar=0.4)}
    again = {frozenset(order[each].tolist()) for each in grouping.groups(rows[order], bar=0.4)}
    assert again == first


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = around(5, 30, 20, 10, noise=1.0)
    whole = [each.tolist() for each in grouping.groups(rows, bar=0.4)]
    monkeypatch.setattr(grouping, "BLOCK", 7)
    assert [each.tolist() for each in grouping.groups(rows, bar=0.4)] == whole


def test_ten_thousand_questions_take_seconds_of_a_processor() -> None:
    rows, owner = around(6, *([40] * 200), *([1] * 2000), noise=0.9, width=384)
    assert len(rows) == 10_000
    began = time.process_time()
    found = grouping.groups(rows, bar=grouping.SAME_MEANING)
    assert time.process_time() - began < 20, "2 s measured; a loaded machine gets time"
    assert adjusted_mutual_info_score(owner, labels(found, len(rows))) > 0.99


def test_the_most_central_question_names_the_group() -> None:
    rows, _ = around(7, 30, noise=1.0)
    order = grouping.central(rows, np.arange(30))
    mean = rows.sum(axis=0)
    assert int(order[0]) == int(np.argmax(rows @ mean))
    assert int(order[-1]) == int(np.argmin(rows @ mean))
    taken = grouping.spread(rows, order, most=5)
    assert taken[0] == int(order[0])
    assert len(set(taken)) == 5
    assert set(taken) <= set(order[:15].tolist()), "what is far out tells little"
    assert grouping.spread(rows, order[:2], most=5) == order[:2].tolist()


def test_words_group_where_there_is_no_model() -> None:
    texts = [
        "my router lost the internet",
        "the internet router is slow",
        "router internet lost again",
        "how do I cancel my contract",
        "cancel my contract please",
        "???",
        "路由器 断网 了",
    ]
    rows = grouping.word_vectors(texts)
    assert np.allclose(np.linalg.norm(rows, axis=1)[[0, 1, 2, 3, 4, 6]], 1)
    assert not rows[5].any()
    found = [each.tolist() for each in grouping.groups(rows, bar=grouping.SAME_WORDS)]
    assert found == [[0, 1, 2], [3, 4], [5], [6]]


def test_a_vector_that_holds_no_number_is_near_to_nothing() -> None:
    good = np.ones(EMBEDDING_DIM, "<f2").tobytes()
    bad = np.full(EMBEDDING_DIM, np.nan, "<f2").tobytes()
    rows = grouping.meaning_vectors([good, bad, good])
    assert [each.tolist() for each in grouping.groups(rows, bar=0.5)] == [[0, 2], [1]]
    assert grouping.meaning_vectors([]).shape == (0, EMBEDDING_DIM)


def purity(truth: list[str], found: list[int]) -> float:
    right = sum(
        Counter(label for label, group in zip(truth, found, strict=True) if group == number).most_common(1)[0][1]
        for number in set(found)
    )
    return right / len(truth)


@pytest.mark.parametrize(
    ("name", "ami", "pure"), [("banking77", 0.40, 0.52), ("clinc150", 0.60, 0.66), ("hwu64", 0.41, 0.62)]
)
def test_by_words_known_topics_are_found_as_the_page_says(shared: Path, name: str, ami: float, pure: float) -> None:
    with gzip.open(shared / "data" / name / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(orjson.loads, lines) if row["label"] != "oos"]
    found = grouping.groups(grouping.word_vectors([row["text"] for row in rows]), bar=grouping.SAME_WORDS)
    ours, truth = labels(found, len(rows)), [row["label"] for row in rows]
    assert adjusted_mutual_info_score(truth, ours) > ami
    assert purity(truth, ours) > pure


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_by_meaning_known_topics_are_found_as_the_page_says(shared: Path) -> None:
    from classifiers import registry

    with gzip.open(shared / "data" / "clinc150" / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(orjson.loads, lines) if row["label"] != "oos"]
    topics = set(sorted({row["label"] for row in rows})[::5])
    rows = [row for row in rows if row["label"] in topics]
    engine = registry.load("transformer").make({})
    await engine.warm()
    try:
        vectors = grouping.meaning_vectors(await engine.embed([row["text"] for row in rows]))
    finally:
        await engine.aclose()
    ours, truth = labels(grouping.groups(vectors, bar=grouping.SAME_MEANING), len(rows)), [row["label"] for row in rows]
    assert adjusted_mutual_info_score(truth, ours) > 0.88
    assert purity(truth, ours) > 0.95
