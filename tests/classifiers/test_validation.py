from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from classifiers import validation
from classifiers.evaluate import reports
from classifiers.labelled import BadRow
from classifiers.triage import HEADS, Label, Triage
from classifiers.validation import GOALS, PICTURED, SETS, Goal, ValidationSet


def chosen(name: str) -> ValidationSet:
    return next(each for each in SETS if each.name == name)


def write(data: Path, name: str, *rows: Any) -> Path:
    (data / name).mkdir(parents=True, exist_ok=True)
    lines = b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)
    (data / name / validation.SPLIT).write_bytes(gzip.compress(lines))
    return data


POST = {"intent": "praise", "urgency": "low", "sentiment": "positive", "abusive": 1, "source": "twacs"}


@pytest.mark.parametrize(
    ("name", "row", "gold"),
    [
        ("triage_posts", POST, {"intent": "praise", "urgency": "low", "sentiment": "positive", "toxicity": "toxic"}),
        ("triage_gold", {"label": "complaint", "urgency": "high"}, {"intent": "complaint", "urgency": "high"}),
        ("triage_intent", {"label": "spam", "style": "sms"}, {"intent": "spam"}),
        ("airline_tweets", {"label": "negative"}, {"sentiment": "negative"}),
        ("tweeteval_sentiment", {"label": "neutral"}, {"sentiment": "neutral"}),
        ("umsab_sentiment", {"label": "neutral", "lang": "pt"}, {"sentiment": "neutral"}),
        ("tweeteval_offensive", {"label": "offensive"}, {"toxicity": "toxic"}),
        ("tweeteval_offensive", {"label": "not_offensive"}, {"toxicity": "ok"}),
        ("hate_offensive", {"label": "hate"}, {"toxicity": "toxic"}),
        ("hate_offensive", {"label": "offensive"}, {"toxicity": "toxic"}),
        ("hate_offensive", {"label": "neither"}, {"toxicity": "ok"}),
        ("sms_spam", {"label": "ham"}, {"spam": "ok"}),
        ("youtube_spam", {"label": "spam"}, {"spam": "spam"}),
    ],
)
def test_each_set_says_the_right_labels_in_our_words(
    tmp_path: Path, name: str, row: dict[str, Any], gold: dict[str, str]
) -> None:
    data = write(tmp_path, name, {"id": "a", "text": "x", **row})
    (only,) = validation.read(data, chosen(name), head=None, limit=None)
    assert dict(only.gold) == gold
    assert only.language == row.get("lang")
    assert only.kind == row.get("style", row.get("source"))


def test_one_head_and_a_few_rows_may_be_asked_for(tmp_path: Path) -> None:
    data = write(tmp_path, "triage_posts", *({"id": str(n), "text": "x", **POST} for n in range(10)))
    rows = validation.read(data, chosen("triage_posts"), head="urgency", limit=2)
    assert [(each.id, dict(each.gold)) for each in rows] == [("0", {"urgency": "low"}), ("5", {"urgency": "low"})]
    assert validation.read(data, chosen("triage_posts"), head="spam", limit=2) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": "x", "label": "mean"}, "line 2: 'mean' is neither a field of this row nor a label"),
        ({"text": "x"}, "line 2: 'label' is neither a field of this row nor a label"),
        ({"text": "x", "label": ["hate"]}, "line 2: "),
        ({"label": "hate"}, "line 2: no text"),
        (b"{\n", "line 2: not JSON"),
    ],
)
def test_a_broken_row_is_named_by_its_line(tmp_path: Path, row: Any, says: str) -> None:
    data = write(tmp_path, "hate_offensive", {"text": "x", "label": "hate"}, row)
    with pytest.raises(BadRow) as caught:
        validation.read(data, chosen("hate_offensive"), head=None, limit=None)
    assert str(caught.value).startswith(says)


def test_a_label_that_no_head_has_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, "sms_spam", {"text": "x", "label": "eggs"})
    with pytest.raises(BadRow, match="line 1: spam is 'eggs'"):
        validation.read(data, chosen("sms_spam"), head=None, limit=None)


def test_a_file_cut_short_is_one_sentence(tmp_path: Path) -> None:
    data = write(tmp_path, "sms_spam", *({"text": f"text {n}", "label": "ham"} for n in range(100)))
    path = data / "sms_spam" / validation.SPLIT
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadRow, match="cut short"):
        validation.read(data, chosen("sms_spam"), head=None, limit=None)


def test_the_sets_that_are_not_there_are_named(tmp_path: Path) -> None:
    data = write(tmp_path, "sms_spam", {"text": "x", "label": "ham"})
    assert set(validation.missing(data)) == {each.name for each in SETS} - {"sms_spam"}


def test_every_goal_and_picture_names_a_set_and_a_head() -> None:
    names = {each.name for each in SETS}
    assert {goal.name for goal in GOALS} | set(PICTURED.values()) <= names
    assert {goal.head for goal in GOALS} <= set(HEADS)
    assert set(PICTURED) == set(HEADS)


@pytest.mark.parametrize(
    ("figure", "falls", "reached"),
    [
        (0.95, False, "aim"),
        (0.90, False, "aim"),
        (0.85, False, "floor"),
        (0.79, False, "neither"),
        (0.79, True, "aim"),
        (0.91, True, "neither"),
    ],
)
def test_a_goal_says_what_a_figure_reaches(figure: float, falls: bool, reached: str) -> None:
    floor, aim = (0.90, 0.80) if falls else (0.80, 0.90)
    assert Goal("what", "set", "head", lambda _: None, floor, aim, falls).reached(figure) == reached


def test_a_goal_over_languages_is_the_mean_of_their_own_figures(tmp_path: Path) -> None:
    texts = [("de", "neutral"), ("de", "neutral"), ("de", "neutral"), ("fr", "positive")]
    data = write(tmp_path, "umsab_sentiment", *({"text": "x", "label": label, "lang": lang} for lang, label in texts))
    rows = validation.read(data, chosen("umsab_sentiment"), head=None, limit=None)
    neutral = Label(label="neutral", confidence=1.0)
    answer = Triage(
        id="a",
        sentiment=neutral,
        intent=neutral,
        urgency=neutral,
        toxicity=neutral,
        spam=neutral,
        language=neutral,
        model="m",
    )
    (measured,) = reports(rows, [answer] * 4)
    (goal,) = [each for each in GOALS if each.name == "umsab_sentiment"]
    # German is all right, French all wrong; over all rows it would be 0.43.
    assert goal.read(measured) == pytest.approx(0.5)
