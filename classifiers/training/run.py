"""One training run, from the sets to the folder that the engine loads: tune, publish, calibrate, measure, describe."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score, recall_score

from classifiers import normalise
from classifiers.engines import arithmetic
from classifiers.engines.encoder import Encoder
from classifiers.engines.heads import PROJECTION, Heads, Parts, logits, probabilities
from classifiers.engines.model import Shape, load
from classifiers.engines.weights import Tensor, Tensors, Vectors
from classifiers.evaluate import Report, measure
from classifiers.training import align, calibrate, card, material, minilm, publish, sets
from classifiers.training.sets import Lesson
from classifiers.training.tune import Tuning
from classifiers.triage import HEADS, Label

REACHED = "reached"
"""Folder beside the result where an unfinished run keeps how far it came."""

READ_TOKENS = 128
"""Pieces of a text that the engine reads: more than training does, since what stands late in a post counts too."""

LANGUAGES = ("en", "es", "fr", "de", "pt", "it", "ar", "hi")
"""Those whose answers were measured; hi is Hindi in Latin letters."""

FOREIGN_DOUBT = 1.5
"""Nothing measures the other languages, so their log-odds count two thirds."""

CALIBRATED_ON = {
    "sentiment": ("triage_posts", "goemotions"),
    "intent": ("triage_posts", "triage_intent"),
    "urgency": ("triage_posts", "triage_intent"),
    "toxicity": ("tweeteval_offensive", "triage_posts", "hate_offensive"),
    "spam": ("triage_posts", "sms_spam", "youtube_spam"),
}
"""Sets whose validation split sets the temperature; the first that is there, or all for the heads with two labels."""

LEANING: Mapping[str, tuple[str, Mapping[str, calibrate.Worth]]] = {
    "sentiment": (
        "negative",
        {
            "triage_posts": accuracy_score,
            "airline_tweets": accuracy_score,
            "tweeteval_sentiment": partial(recall_score, average="macro"),
        },
    ),
    "toxicity": (
        "toxic",
        {name: partial(f1_score, average="macro") for name in ("tweeteval_offensive", "hate_offensive")},
    ),
}
"""Heads that learn to say the label that matters too seldom, since it is the rarer one in most sets: the label, and by
which measure its lean is chosen on the validation split of which sets."""

SHIPPED = ("triage_posts", "posts_written")
"""Sets whose validation features go into the model folder, so that refitted heads can be judged anywhere."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. share: of the passes over the sets, and of the steps at the end; less than 1 for a trial."""

    data: Path
    out: Path
    licences: str = "all"
    seed: int = 13
    share: float = 1.0
    threads: int = 2


def train(wish: Wish, say: Callable[[str], None]) -> dict[str, Any]:
    """Do the run, or finish one that was cut off; return the manifest. say: told of each part.

    Raises OSError on a missing set, ValueError on a broken one, ModelMissing, ModelRefused.
    """
    started = time.monotonic()
    torch.use_deterministic_algorithms(True)
    say("reading the sets")
    start = material.gather(wish.data, licences=wish.licences, seed=wish.seed, share=wish.share)
    checks = list(sets.lessons(wish.data, "validation", licences=wish.licences))
    say(f"{len(start.material.lessons)} texts, {len(start.steps)} steps")
    wish.out.mkdir(parents=True, exist_ok=True)
    tuning = Tuning(start.network, start.material, start.steps, seed=wish.seed)
    tuning.run(wish.out / REACHED)
    network = tuning.averaged()
    words, layers = publish.encoder(network)
    files: dict[str, Tensors] = {"words": words, "layers": layers, "heads": publish.heads(network)}
    manifest = _manifest(wish, start)
    publish.write(wish.out, manifest, start.tokenizer, files)
    say("aligning embeddings")
    files["heads"][PROJECTION] = _aligned(wish, start, tuning, files["heads"][PROJECTION])
    publish.write(wish.out, manifest, start.tokenizer, files)
    say("measuring")
    features, heads = _features(wish, [check.text for check in checks])
    manifest["leans"] = _lean(heads, files["heads"], checks, features)
    judged = {head: _judge(head, parts, checks, features) for head, parts in heads.items()}
    manifest["heads"] = {head: facts for head, (facts, _) in judged.items()}
    files["validation"] = _validation(checks, features)
    whole = publish.write(wish.out, manifest, start.tokenizer, files)
    reports = {head: made for head, (_, made) in judged.items()}
    (wish.out / "README.md").write_text(card.card(whole, reports))
    shutil.rmtree(wish.out / REACHED, ignore_errors=True)
    say(f"written to {wish.out} in {(time.monotonic() - started) / 60:.0f} minutes")
    return whole


def _aligned(wish: Wish, start: material.Start, tuning: Tuning, projection: Tensor) -> Tensor:
    """Return a projection whose embeddings find answers, (2 * width) x EMBEDDING_DIM in float16."""
    kinds = [groups for _, groups in sets.kinds(wish.data)]
    chosen = align.choose(start.material.lessons, kinds, seed=wish.seed)
    features, _ = _features(wish, chosen.texts)
    texts = align.Texts(
        features=torch.from_numpy(features.astype(np.float32)),
        before=tuning.before(material.asked(start.tokenizer, chosen.texts)),
        alike=minilm.embed([normalise.for_model(text) for text in chosen.texts[: chosen.english]]),
        groups=chosen.groups,
    )
    begin = torch.from_numpy(projection.astype(np.float32))
    steps = max(1, round(align.STEPS * wish.share))
    made: Tensor = align.project(texts, begin, seed=wish.seed, steps=steps).half().numpy()
    return made


def _manifest(wish: Wish, start: material.Start) -> dict[str, Any]:
    config = start.network.encoder.config
    shape = Shape(
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        inner=config.intermediate_size,
        pieces=config.vocab_size,
        positions=config.max_position_embeddings,
        eps=config.layer_norm_eps,
    )
    return {
        "name": "harken-triage" + ("-open" if wish.licences == sets.OPEN else ""),
        "shape": asdict(shape),
        "max_tokens": READ_TOKENS,
        "languages": list(LANGUAGES),
        "heads": {head: _facts(labels, 1.0, ()) for head, labels in HEADS.items()},
        "training": {
            "licences": wish.licences,
            "seed": wish.seed,
            "share": wish.share,
            "steps": len(start.steps),
            "rows": _counts(start.material.lessons),
        },
    }


def _facts(labels: Sequence[str], own: float, on: Sequence[str]) -> dict[str, Any]:
    return {
        "labels": list(labels),
        "temperature": own,
        "foreign_temperature": round(own * FOREIGN_DOUBT, 4),
        "calibrated_on": list(on),
    }


def _features(wish: Wish, texts: Sequence[str]) -> tuple[Vectors, Mapping[str, Parts]]:
    """Return the features of *texts* as the written model gives them, and its heads."""
    model = load(wish.out)
    chosen = arithmetic.choose(model.encoder, model.manifest.shape, threads=wish.threads, way="float32")
    encoder = Encoder(
        chosen,
        model.tokenizer,
        width=2 * model.manifest.shape.hidden,
        threads=wish.threads,
        batch_tokens=1024,
        max_tokens=READ_TOKENS,
    )
    try:
        return encoder.encode(texts), Heads(model.heads, model.manifest).parts
    finally:
        encoder.close()


def _lean(
    heads: Mapping[str, Parts], tensors: Tensors, checks: Sequence[Lesson], features: Vectors
) -> dict[str, float]:
    """Lean *heads*, and *tensors* that are written, as LEANING says; return head -> log-odds added."""
    leans: dict[str, float] = {}
    for head, (label, worths) in LEANING.items():
        place = HEADS[head].index(label)
        judged = []
        for name, worth in worths.items():
            rows = [row for row, check in enumerate(checks) if check.source == name and head in check.labels]
            if rows:
                gold = np.array([HEADS[head].index(checks[row].labels[head]) for row in rows])
                judged.append((logits(features[rows], heads[head]), gold, worth))
        if judged:
            leans[head] = calibrate.lean(judged, place)
            tensors[f"{head}.b"][place] += leans[head]
            heads[head]["b"][place] = tensors[f"{head}.b"][place]
    return leans


def _judge(
    head: str, parts: Parts, checks: Sequence[Lesson], features: Vectors
) -> tuple[dict[str, Any], list[tuple[str, Report]]]:
    """Return what the manifest says of the head, and its reports by set, and by language where a set has several."""
    labels = HEADS[head]
    groups: dict[str, list[int]] = {}
    for row, lesson in enumerate(checks):
        if head in lesson.labels:
            many = lesson.source in sets.MANY_LANGUAGES
            groups.setdefault(f"{lesson.source} {lesson.language}" if many else lesson.source, []).append(row)
    gold = {name: np.array([labels.index(checks[row].labels[head]) for row in rows]) for name, rows in groups.items()}
    given = {name: logits(features[rows], parts) for name, rows in groups.items()}
    basis = [name for name in CALIBRATED_ON[head] if name in groups]
    # Posts to brands come first where there are any: the others are only there for labels that they lack.
    basis = basis[:1] if len(labels) > 2 else basis
    own = calibrate.temperature(
        calibrate.joined([given[name] for name in basis]), calibrate.joined([gold[name] for name in basis])
    )
    made = [(name, _report(head, gold[name], given[name], own)) for name in groups]
    return _facts(labels, own, basis), made


def _report(head: str, gold: calibrate.Rows, given: Vectors, divisor: float) -> Report:
    labels = HEADS[head]
    shares = probabilities(given, (divisor, divisor), np.zeros(len(given), np.bool_))
    answers = [
        Label(
            label=labels[int(row.argmax())],
            confidence=float(row.max()),
            scores=dict(zip(labels, map(float, row), strict=True)),
        )
        for row in shares
    ]
    return measure(head, [labels[index] for index in gold], answers)


def _validation(checks: Sequence[Lesson], features: Vectors) -> Tensors:
    """Return the features of the posts the model was judged on, with the index of each right label, -1 for none."""
    rows = [row for row, lesson in enumerate(checks) if lesson.source in SHIPPED]
    tensors: Tensors = {"features": features[rows].astype(np.float16)}
    for head, labels in HEADS.items():
        right = [labels.index(checks[r].labels[head]) if head in checks[r].labels else -1 for r in rows]
        tensors[head] = np.array(right, np.int8)
    return tensors


def _counts(lessons: Sequence[Lesson]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for lesson in lessons:
        by_licence = counts.setdefault(lesson.source, {})
        by_licence[lesson.licence] = by_licence.get(lesson.licence, 0) + 1
    return counts
