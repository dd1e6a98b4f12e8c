from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from classifiers.evaluate import (
    GROUPS,
    OTHERS,
    Bin,
    calibration_error,
    measure,
    recall_at_precision,
    reliability,
    reports,
    risk_coverage,
)
from classifiers.labelled import Labelled
from classifiers.triage import Label, Triage


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


def test_nothing_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="0 right labels"):
        measure("spam", [], [])


def test_a_bin_holds_its_rows_their_confidence_and_how_many_are_right() -> None:
    right, sure = np.array([True, False, True, True]), np.array([0.5, 0.625, 0.6875, 1.0])
    assert reliability(right, sure) == (
        Bin(0.5, 0.6, 1, 0.5, 1.0),
        Bin(0.6, 0.7, 2, 0.65625, 0.5),
        Bin(0.9, 1.0, 1, 1.0, 1.0),
    )
    assert calibration_error(right, sure) == pytest.approx((0.5 * 1 + 0.15625 * 2 + 0.0 * 1) / 4)


def test_the_error_falls_as_fewer_answers_are_taken() -> None:
    right = np.array([True] * 10 + [False] * 10)
    curve = dict(risk_coverage(right, np.linspace(1.0, 0.5, 20)))
    assert [curve[share] for share in (1.0, 0.9, 0.75, 0.5)] == pytest.approx([10 / 20, 8 / 18, 5 / 15, 0.0])


@pytest.mark.parametrize(
    ("wanted", "score", "precision", "recall"),
    [
        # After 1, 2, 3, 4, 5 rows the precision is 1, 1/2, 1/3, 1/2, 3/5.
        ([1, 0, 0, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.5], 0.5, 1.0),
        ([1, 0, 0, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.5], 0.61, 1 / 3),
        # Precision falls and comes back: the largest recall counts, not the first.
        ([0, 1, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 0.5, 1.0),
        ([0, 0, 0, 1], [0.9, 0.8, 0.7, 0.6], 0.5, 0.0),
        # No threshold parts rows of one score.
        ([1, 0, 0], [0.5, 0.5, 0.5], 0.5, 0.0),
        ([0, 1], [0.5, 0.5], 0.5, 1.0),
    ],
)
def test_the_best_threshold_that_is_right_often_enough_is_found(
    wanted: list[int], score: list[float], precision: float, recall: float
) -> None:
    assert recall_at_precision(np.array(wanted, bool), np.array(score), precision) == pytest.approx(recall)


def urgencies(*high: float) -> list[Label]:
    scores = [{"high": p, "normal": 1 - p, "low": 0.0} for p in high]
    return [
        Label(label="high" if own["high"] > 0.5 else "normal", confidence=max(own.values()), scores=own)
        for own in scores
    ]


def test_urgent_posts_may_be_found_by_their_score_where_the_label_misses_them() -> None:
    report = measure("urgency", ["high", "high", "normal", "normal"], urgencies(0.9, 0.4, 0.3, 0.1))
    assert report.macro_recall == 0.75
    assert report.recall_of_high == 1.0


def test_the_recall_of_urgent_posts_is_unknown_without_urgent_posts_or_scores() -> None:
    assert measure("urgency", ["low"], urgencies(0.9)).recall_of_high is None
    assert measure("urgency", ["high"], labels(("high", 0.9))).recall_of_high is None
    assert measure("intent", ["praise"], labels(("praise", 0.9))).recall_of_high is None


def judged(sentiment: str, language: str = "en") -> Triage:
    def label(name: str) -> Label:
        return Label(label=name, confidence=0.8, scores={name: 0.8})

    return Triage(
        id="a",
        sentiment=label(sentiment),
        intent=label("praise"),
        urgency=label("low"),
        toxicity=label("ok"),
        spam=label("ok"),
        language=label(language),
        model="m",
    )


def row(language: str | None = None, kind: str | None = None, gold: Mapping[str, str] | None = None) -> Labelled:
    return Labelled("a", "x", gold or {"sentiment": "neutral"}, language, kind)


def test_languages_are_those_of_the_rows_and_else_those_detected() -> None:
    rows = [row("de"), row("de"), row(), row()]
    (made,) = reports(rows, [judged("neutral"), judged("positive"), judged("neutral", "fr"), judged("neutral", "de")])
    assert {name: (part.rows, part.accuracy) for name, part in made.by_language.items()} == {
        "de": (3, pytest.approx(2 / 3)),
        "fr": (1, 1.0),
    }


def test_kinds_are_measured_apart_and_rows_without_one_only_in_the_whole() -> None:
    rows = [row(kind="sms"), row(kind="post"), row(kind="post"), row()]
    (made,) = reports(rows, [judged("neutral"), judged("neutral"), judged("negative"), judged("negative")])
    assert {name: part.accuracy for name, part in made.by_kind.items()} == {"post": 0.5, "sms": 1.0}
    assert made.whole.accuracy == 0.5


def test_rare_languages_are_taken_together_and_none_is_lost() -> None:
    rows = [row(f"{number:02}") for number in range(GROUPS + 5) for _ in range(2 if number < 3 else 1)]
    (made,) = reports(rows, [judged("neutral")] * len(rows))
    assert len(made.by_language) == GROUPS
    assert [*made.by_language][:4] == ["00", "01", "02", "03"]
    assert made.by_language[OTHERS].rows == 6
    assert sum(part.rows for part in made.by_language.values()) == len(rows)


def test_each_head_is_measured_on_the_rows_that_have_its_label() -> None:
    rows = [row(), row(gold={"spam": "spam"}), row(gold={"spam": "ok", "sentiment": "positive"})]
    made = {each.whole.head: each for each in reports(rows, [judged("neutral")] * 3)}
    assert {head: (each.whole.rows, each.whole.accuracy) for head, each in made.items()} == {
        "sentiment": (2, 0.5),
        "spam": (2, 0.5),
    }
    short = made["spam"].as_json()["by_language"]["en"]
    assert (short["rows"], "confusion" in short) == (2, False)
