"""The validation sets: which labelled set measures which head, and what figures are owed.

Each set is a folder with validation.jsonl.gz. Nothing here is read from a train or test split.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.evaluate import Measured
from classifiers.labelled import BadRow, Labelled, evenly, labelled, objects
from classifiers.triage import HEADS

SPLIT = "validation.jsonl.gz"

Gold = Callable[[Mapping[str, Any]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """A set and what its rows say. gold: row -> head -> right label; raises KeyError on a field that is not there."""

    name: str
    about: str
    gold: Gold


@dataclass(frozen=True, slots=True)
class Goal:
    """What a head owes on held-out posts. read: its figure; floor: owed; aim: hoped for; falls: less is better."""

    what: str
    name: str
    head: str
    read: Callable[[Measured], float | None]
    floor: float
    aim: float | None
    falls: bool = False

    def reached(self, figure: float) -> str:
        """Return "aim", "floor" or "neither": the better of the two that *figure* reaches."""
        if self.aim is not None and self._holds(figure, self.aim):
            return "aim"
        return "floor" if self._holds(figure, self.floor) else "neither"

    def _holds(self, figure: float, bound: float) -> bool:
        return figure <= bound if self.falls else figure >= bound


def _posts(row: Mapping[str, Any]) -> Mapping[str, str]:
    return {head: row[head] for head in ("intent", "sentiment", "urgency")} | {
        "toxicity": "toxic" if row["abusive"] else "ok"
    }


def _gold_posts(row: Mapping[str, Any]) -> Mapping[str, str]:
    return {"intent": row["label"], "urgency": row["urgency"]}


def _plain(head: str) -> Gold:
    return lambda row: {head: row["label"]}


def _toxicity(toxic: Mapping[str, bool]) -> Gold:
    return lambda row: {"toxicity": "toxic" if toxic[row["label"]] else "ok"}


def _spam(row: Mapping[str, Any]) -> Mapping[str, str]:
    return {"spam": {"ham": "ok"}.get(row["label"], row["label"])}


SETS = (
    ValidationSet("triage_posts", "real posts to brands, labelled by a language model", _posts),
    ValidationSet("triage_gold", "a few real posts to airlines, labelled by a language model", _gold_posts),
    ValidationSet("airline_tweets", "posts to six airlines, labelled by people", _plain("sentiment")),
    ValidationSet("tweeteval_sentiment", "English tweets on any matter", _plain("sentiment")),
    ValidationSet("umsab_sentiment", "tweets in eight languages; hi is Hindi in Latin letters", _plain("sentiment")),
    ValidationSet("triage_intent", "requests of seven kinds; most are no posts", _plain("intent")),
    ValidationSet(
        "tweeteval_offensive", "tweets, offensive or not", _toxicity({"offensive": True, "not_offensive": False})
    ),
    ValidationSet(
        "hate_offensive",
        "tweets picked by hateful words; hate and offensive count as toxic",
        _toxicity({"hate": True, "offensive": True, "neither": False}),
    ),
    ValidationSet("sms_spam", "text messages", _spam),
    ValidationSet("youtube_spam", "comments under videos", _spam),
)

PICTURED = {
    "intent": "triage_posts",
    "sentiment": "triage_posts",
    "urgency": "triage_posts",
    "toxicity": "tweeteval_offensive",
    "spam": "sms_spam",
}
"""Head -> the set that is drawn: real posts, but where those hold next to none of a label another set."""


def _mean_over_languages(measured: Measured) -> float:
    return float(np.mean([report.macro_f1 for report in measured.by_language.values()]))


GOALS = (
    Goal("intent accuracy", "triage_posts", "intent", lambda m: m.whole.accuracy, 0.73, 0.90),
    Goal("intent macro F1", "triage_posts", "intent", lambda m: m.whole.macro_f1, 0.67, None),
    Goal("sentiment accuracy", "triage_posts", "sentiment", lambda m: m.whole.accuracy, 0.84, 0.95),
    Goal(
        "recall of high urgency at precision 0.5 or more",
        "triage_posts",
        "urgency",
        lambda m: m.whole.recall_of_high,
        0.80,
        0.95,
    ),
    Goal("calibration error of intent", "triage_posts", "intent", lambda m: m.whole.ece, 0.05, 0.02, falls=True),
    Goal("calibration error of sentiment", "triage_posts", "sentiment", lambda m: m.whole.ece, 0.05, 0.02, falls=True),
    Goal("sentiment accuracy", "airline_tweets", "sentiment", lambda m: m.whole.accuracy, 0.84, 0.87),
    Goal("sentiment macro recall", "tweeteval_sentiment", "sentiment", lambda m: m.whole.macro_recall, 0.715, 0.737),
    Goal("sentiment macro F1, mean over languages", "umsab_sentiment", "sentiment", _mean_over_languages, 0.640, 0.694),
    Goal("toxicity macro F1", "tweeteval_offensive", "toxicity", lambda m: m.whole.macro_f1, 0.770, 0.822),
)


def is_there(data: Path, chosen: ValidationSet) -> bool:
    return (data / chosen.name / SPLIT).is_file()


def read(data: Path, chosen: ValidationSet, *, head: str | None, limit: int | None) -> list[Labelled]:
    """Return the rows of a set. head: only those with its label; limit: at most so many, spread evenly.

    Raises BadRow, OSError.
    """
    with gzip.open(data / chosen.name / SPLIT) as lines:
        try:
            rows = [_row(row, chosen, number) for number, row in objects(lines)]
        except (EOFError, zlib.error) as error:
            raise BadRow("the file is cut short") from error
    if head is not None:
        rows = [_only(row, head) for row in rows if head in row.gold]
    return evenly(rows, limit)


def _row(row: Mapping[str, Any], chosen: ValidationSet, number: int) -> Labelled:
    try:
        gold = chosen.gold(row)
        wrong = [f"{head} is {str(label)[:40]!r}" for head, label in gold.items() if label not in HEADS[head]]
    except (KeyError, TypeError) as error:
        raise BadRow(f"line {number}: {error} is neither a field of this row nor a label of this set") from error
    if wrong or not isinstance(row.get("text"), str):
        raise BadRow(f"line {number}: {wrong[0] if wrong else 'no text'}")
    return labelled(row, gold, number)


def _only(row: Labelled, head: str) -> Labelled:
    return Labelled(row.id, row.text, {head: row.gold[head]}, row.language, row.kind)


def missing(data: Path) -> Sequence[str]:
    """Return the names of the sets that are not in *data*."""
    return [each.name for each in SETS if not is_there(data, each)]
