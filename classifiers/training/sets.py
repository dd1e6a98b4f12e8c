"""The labelled sets: which text teaches which head what, and how much it counts.

Each set is a folder with train.jsonl.gz, validation.jsonl.gz and a README that states its source and licence. Test
splits are never opened.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from classifiers.engines import keywords

OPEN = "open"
ALL = ("open", "nc", "unstated", "research")


@dataclass(frozen=True, slots=True)
class Lesson:
    """A text and what it teaches. labels: head -> label. weights: head -> how much it counts."""

    source: str
    text: str
    licence: str
    labels: Mapping[str, str]
    weights: Mapping[str, float]
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Source:
    """A set. licence: class of rows that do not say. limit: rows drawn at random from a larger split."""

    name: str
    teach: Callable[[Mapping[str, Any]], tuple[dict[str, str], dict[str, float]]]
    licence: str = "research"
    limit: int | None = None
    only_open: bool = False


def _posts(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    spam = row["intent"] == "spam"
    labels = {
        "intent": row["intent"],
        "urgency": row["urgency"],
        "sentiment": row["sentiment"],
        "toxicity": "toxic" if row["abusive"] else "ok",
        "spam": "spam" if spam else "ok",
    }
    # One abusive post in 130 and one advertisement in 300 would be drowned out.
    return labels, {"toxicity": 8.0 if row["abusive"] else 1.0, "spam": 8.0 if spam else 1.0}


def _intents(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    # The label can be told from the source in part, so these rows count a tenth; real posts among them count fully.
    weight = 1.0 if row["source"] == "posts_labelled" else 0.1
    return {"intent": row["label"], "spam": "spam" if row["label"] == "spam" else "ok"}, {"intent": weight, "spam": 0.3}


def _open_intents(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    # No open set has urgencies: the rules of the keywords engine teach them.
    labels, _ = _intents(row)
    return {**labels, "urgency": keywords.judge(_rules(), row["text"])["urgency"].label}, {"urgency": 0.5}


def _sentiment(weight: float) -> Callable[[Mapping[str, Any]], tuple[dict[str, str], dict[str, float]]]:
    return lambda row: ({"sentiment": row["label"]}, {"sentiment": weight})


def _toxicity(weight: float, *harmless: str) -> Callable[[Mapping[str, Any]], tuple[dict[str, str], dict[str, float]]]:
    return lambda row: ({"toxicity": "ok" if row["label"] in harmless else "toxic"}, {"toxicity": weight})


def _spam(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    return {"spam": "spam" if row["label"] == "spam" else "ok"}, {}


_GOOD = frozenset("admiration amusement approval caring excitement gratitude joy love optimism pride relief".split())
_BAD = frozenset(
    "anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness remorse sadness".split()
)


def _emotions(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    good, bad = bool(_GOOD.intersection(row["label"])), bool(_BAD.intersection(row["label"]))
    return {"sentiment": "neutral" if good == bad else "positive" if good else "negative"}, {}


SOURCES = (
    Source("triage_posts", _posts),
    Source("triage_intent", _intents),
    Source("airline_tweets", _sentiment(0.3), licence="nc"),
    Source("tweeteval_sentiment", _sentiment(0.3), limit=10_000),
    Source("umsab_sentiment", _sentiment(0.5)),
    Source("tweeteval_offensive", _toxicity(0.5, "not_offensive"), limit=6_000),
    Source("hate_offensive", _toxicity(0.2, "neither"), licence=OPEN, limit=5_000),
    Source("sms_spam", _spam, licence=OPEN),
    Source("youtube_spam", _spam, licence=OPEN),
)
OPEN_SOURCES = (
    Source("triage_intent", _open_intents, licence=OPEN),
    Source("goemotions", _emotions, licence=OPEN, limit=10_000),
    Source("hate_offensive", _toxicity(1.0, "neither"), licence=OPEN, limit=5_000),
    Source("sms_spam", _spam, licence=OPEN),
    Source("youtube_spam", _spam, licence=OPEN),
)

BLANK = ("", "@user", "http", "@user http", "@user @user", "face with tears of joy", "@user .")
"""Texts that say nothing, so that the heads have an answer for them."""


def lessons(data: Path, split: str, *, licences: str) -> Iterator[Lesson]:
    """Yield what *split* (train or validation) teaches. licences: "open" or "all". Raises OSError on a missing set."""
    for source in OPEN_SOURCES if licences == OPEN else SOURCES:
        rows = _rows(data / source.name / f"{split}.jsonl.gz")
        if source.limit is not None and len(rows) > source.limit:
            rows = random.Random(1).sample(rows, source.limit)
        for row in rows:
            licence = row.get("licence_class", source.licence)
            if licences == OPEN and licence != OPEN:
                continue
            labels, weights = source.teach(row)
            counted = {head: weights.get(head, 1.0) for head in labels}
            yield Lesson(source.name, row["text"], licence, labels, counted, row.get("lang", "en"))
    if split == "train":
        for text in BLANK:
            labels = dict(keywords.DEFAULTS) | {"urgency": "low"}
            yield Lesson("blank", text, OPEN, labels, dict.fromkeys(labels, 5.0))


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as lines:
        return [orjson.loads(line) for line in lines]


_loaded: list[keywords.Rules] = []


def _rules() -> keywords.Rules:
    if not _loaded:
        _loaded.append(keywords.Rules(keywords.RULES))
    return _loaded[0]
