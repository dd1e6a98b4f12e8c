from __future__ import annotations

import numpy as np
import pytest

from classifiers.evaluate import BadRow, calibration_error, measure, read_labelled, risk_coverage
from classifiers.triage import Label


def labels(*pairs: tuple[str, float]) -> list[Label]:
    return [Label(label=label, confidence=confidence) for label, confidence in pairs]


def test_the_measures_are_what_their_names_say() -> None:
    gold = ["negative", "negative", "positive", "neutral"]
    report = measure(
        "sentiment", gold, labels(("negative", 0.9), ("positive", 0.6), ("positive", 0.8), ("neutral", 0.7))
    )
    assert report.accuracy == 0.75
    assert report.macro_recall == pytest.approx((0.5 + 1 + 1) / 3)
    assert report.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert report.names == ("negative", "neutral", "positive")
    assert report.confusion == ((1, 0, 1), (0, 1, 0), (0, 0, 1))
    assert dict(report.risk_coverage)[0.5] == 0.0
    assert dict(report.risk_coverage)[1.0] == 0.25


def test_a_label_never_in_the_file_does_not_count_in_the_mean() -> None:
    report = measure("spam", ["ok", "ok"], labels(("ok", 0.9), ("spam", 0.9)))
    assert report.macro_recall == 0.5
    assert [own.label for own in report.labels] == ["ok"]


def test_calibration_error_is_zero_for_true_confidences() -> None:
    right = np.array([True] * 8 + [False] * 2)
    assert calibration_error(right, np.full(10, 0.8)) == pytest.approx(0.0, abs=1e-9)
    assert calibration_error(right, np.full(10, 1.0)) == pytest.approx(0.2)


def test_the_surest_answers_come_first() -> None:
    curve = dict(risk_coverage(np.array([True, False]), np.array([0.9, 0.1])))
    assert curve[0.5] == 0.0
    assert curve[1.0] == 0.5


def test_rows_are_read_with_our_names_and_the_data_sets_names() -> None:
    lines = [b'{"id":"a","text":"x","intent":"praise","abusive":1}\n', b"\n", b'{"text":"y","sentiment":"neutral"}']
    first, second = read_labelled(lines)
    assert dict(first.gold) == {"intent": "praise", "toxicity": "toxic"}
    assert dict(second.gold) == {"sentiment": "neutral"}
    (only,) = read_labelled([b'{"text":"y","label":"spam"}'], "intent")
    assert dict(only.gold) == {"intent": "spam"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"id":"a"}', '"text"'),
        (b'{"text":"x"}', "no right label"),
        (b'{"text":"x","intent":"nonsense"}', "allowed: account_access"),
        (b'{"text":"x","urgency":3}', "allowed: high"),
    ],
)
def test_a_bad_row_is_named_by_its_line(line: bytes, says: str) -> None:
    with pytest.raises(BadRow, match="line 2: ") as caught:
        list(read_labelled([b'{"text":"x","intent":"praise"}', line]))
    assert says in str(caught.value)


def test_nothing_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="0 right labels"):
        measure("spam", [], [])
