"""The labelled sets: which text teaches which head what, and how much it counts.

Each set is a folder with train.jsonl.gz, validation.jsonl.gz and a README that states its source and licence. Test
splits are never opened.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from classifiers.engines import keywords

OPEN = "open"
ALL = ("open", "nc", "unstated", "research")
LABELS = Path(__file__).parent / "labels"
POSTS = Path(__file__).parent / "posts"
MANY_LANGUAGES = ("umsab_sentiment", "posts_written")
"""Sets that are measured language by language."""

HELD_BACK = 7
"""Of the posts written for Harken, every seventh is kept for validation."""


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
    """A set. passes: how often its rows are seen in each stage of ``course``, or in what part.

    licence: class of rows that do not say.
    """

    name: str
    teach: Callable[[Mapping[str, Any]], tuple[dict[str, str], dict[str, float]]]
    passes: tuple[float, float, float]
    licence: str = "research"


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
    return labels, {"toxicity": 4.0 if row["abusive"] else 1.0, "spam": 4.0 if spam else 1.0}


def _intents(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    # The label can be told from the source in part, so these rows count less; real posts among them count fully.
    weight = 1.0 if row["source"] == "posts_labelled" else 0.3
    return {"intent": row["label"], "spam": "spam" if row["label"] == "spam" else "ok"}, {"intent": weight, "spam": 0.3}


def _open_intents(row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    # No open set has urgencies: the rules of the keywords engine teach them.
    labels, _ = _intents(row)
    return {**labels, "urgency": keywords.judge(_rules(), row["text"])["urgency"].label}, {"urgency": 0.5}


def _nothing(_: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, float]]:
    return dict(keywords.DEFAULTS) | {"urgency": "low"}, {}


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
    Source("triage_posts", _posts, (1.2, 2.0, 2.0)),
    Source("posts_read", _posts, (1.2, 1.0, 1.5)),
    Source("triage_intent", _intents, (0.25, 0.05, 0.02)),
    Source("airline_tweets", _sentiment(1.0), (1.0, 0.6, 0.5), licence="nc"),
    Source("tweeteval_sentiment", _sentiment(1.0), (1.3, 0.17, 0.05)),
    Source("umsab_sentiment", _sentiment(1.0), (1.6, 0.5, 0.3)),
    Source("tweeteval_offensive", _toxicity(1.0, "not_offensive"), (1.0, 0.3, 0.3)),
    Source("hate_offensive", _toxicity(0.5, "neither"), (0.25, 0.1, 0.05), licence=OPEN),
    Source("sms_spam", _spam, (0.5, 0.3, 0.1), licence=OPEN),
    Source("youtube_spam", _spam, (1.0, 1.2, 0.5), licence=OPEN),
    Source("blank", _nothing, (5.0, 10.0, 5.0), licence=OPEN),
    Source("posts_written", _posts, (0.0, 1.55, 0.8), licence=OPEN),
    Source("posts_read_later", _posts, (0.0, 1.2, 1.0)),
)
OPEN_SOURCES = (
    Source("triage_intent", _open_intents, (2.0, 1.0, 0.0), licence=OPEN),
    Source("goemotions", _emotions, (1.0, 0.5, 0.0), licence=OPEN),
    Source("hate_offensive", _toxicity(1.0, "neither"), (1.0, 0.3, 0.0), licence=OPEN),
    Source("sms_spam", _spam, (0.5, 0.3, 0.0), licence=OPEN),
    Source("youtube_spam", _spam, (1.0, 1.0, 0.0), licence=OPEN),
    Source("blank", _nothing, (5.0, 10.0, 0.0), licence=OPEN),
    Source("posts_written", _posts, (2.0, 3.0, 0.0), licence=OPEN),
)

READ = {"posts_read": "posts.tsv", "posts_read_later": "later.tsv"}
"""Set -> file of ``labels`` with what was read for Harken; the posts themselves stand in the sets of READ_FROM."""

READ_FROM = ("twacs", "twcs_spotify", "complaints", "airline_tweets")
READ_AGAIN = {"umsab_sentiment": "umsab_hi.tsv"}
"""Set -> file of ``labels`` that replaces labels of its train split, where those are no better than chance."""

KINDS = ("clinc150", "hwu64", "bitext_support")
"""Sets with many kinds of request: two of one kind belong together."""

BLANK = ("", "@user", "http", "@user http", "@user @user", "face with tears of joy", "@user .")
"""Texts that say nothing, so that the heads have an answer for them."""


def sources(licences: str) -> tuple[Source, ...]:
    """Return the sets that may teach. licences: "open" or "all"."""
    return OPEN_SOURCES if licences == OPEN else SOURCES


def shortened(source: Source, share: float) -> Source:
    """Return *source* with that share of its passes."""
    broad, near, last = source.passes
    return replace(source, passes=(broad * share, near * share, last * share))


def lessons(data: Path, split: str, *, licences: str) -> Iterator[Lesson]:
    """Yield what *split* (train or validation) teaches. Raises OSError on a missing set, ValueError on a broken one."""
    for source in sources(licences):
        for row in _rows(data, source.name, split):
            licence = row.get("licence_class", source.licence)
            if licences == OPEN and licence != OPEN:
                continue
            labels, weights = source.teach(row)
            counted = {head: weights.get(head, 1.0) for head in labels}
            yield Lesson(source.name, row["text"], licence, labels, counted, row.get("lang", "en"))


def kinds(data: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each set whose texts come in kinds, as lists of texts that belong together. All of them are open."""
    for name in KINDS:
        groups: dict[str, list[str]] = {}
        for row in _rows(data, name, "train"):
            groups.setdefault(row["label"], []).append(row["text"])
        yield name, [texts for _, texts in sorted(groups.items()) if len(texts) > 1]
    answers = {row["id"]: [row["question"], row["answer"]] for row in _lines(data / "stackfaq" / "documents.jsonl.gz")}
    for row in _lines(data / "stackfaq" / "train_queries.jsonl.gz"):
        answers[row["doc"]].append(row["query"])
    yield "stackfaq", [*answers.values()]


def _rows(data: Path, name: str, split: str) -> list[dict[str, Any]]:
    match name:
        case "blank":
            return [{"text": text} for text in BLANK] if split == "train" else []
        case "posts_read" | "posts_read_later":
            return [*_read(data, name)] if split == "train" else []
        case "posts_written":
            return [*written(split)]
        case _:
            rows = _lines(data / name / f"{split}.jsonl.gz")
            return rows if split != "train" or name not in READ_AGAIN else [*_read_again(rows, name)]


def _read_again(rows: list[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    text = (LABELS / READ_AGAIN[name]).read_text(encoding="utf-8")
    labels = dict(line.split("\t") for line in text.splitlines())
    for row in rows:
        yield {**row, "label": labels.get(row["id"], row["label"])}


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as lines:
        return [orjson.loads(line) for line in lines]


def _read(data: Path, own: str) -> Iterator[dict[str, Any]]:
    labels = dict(_labels(LABELS / READ[own]))
    for name in READ_FROM:
        for row in _lines(data / name / "train.jsonl.gz"):
            if row["id"] in labels:
                licence = "unstated" if name == "complaints" else "nc"
                yield {"text": row["text"], "licence_class": licence, **labels[row["id"]]}


def written(split: str) -> Iterator[dict[str, Any]]:
    """Yield the posts that were written for Harken, of train or validation."""
    for path in sorted(POSTS.glob("*.tsv")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            intent, urgency, sentiment, abusive, text = line.split("\t")
            if (split == "validation") is (number % HELD_BACK == 0):
                labels = {"intent": intent, "urgency": urgency, "sentiment": sentiment, "abusive": int(abusive)}
                yield {"text": text, "lang": path.stem, **labels}


def _labels(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        post, intent, urgency, sentiment, abusive = line.split("\t")
        yield post, {"intent": intent, "urgency": urgency, "sentiment": sentiment, "abusive": int(abusive)}


_loaded: list[keywords.Rules] = []


def _rules() -> keywords.Rules:
    if not _loaded:
        _loaded.append(keywords.Rules(keywords.RULES))
    return _loaded[0]
