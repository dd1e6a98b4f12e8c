"""Embed the sets, fit the heads, calibrate, measure on validation, write heads, manifest and model card."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tqdm import tqdm

from classifiers.engines import encoder as encoders
from classifiers.engines.encoder import LAYERS, Encoder, Vectors
from classifiers.engines.heads import FORMAT
from classifiers.evaluate import Report, measure
from classifiers.training import card, fit
from classifiers.training.sets import Lesson, lessons
from classifiers.triage import HEADS, Label

FILE = "heads.safetensors"
MAX_TOKENS = 128
FOREIGN_DOUBT = 2.0
"""Nothing measures intent, urgency, toxicity and spam in other languages, so half the log-odds are taken as read."""

CALIBRATED_ON = {
    "sentiment": ("triage_posts", "goemotions"),
    "intent": ("triage_posts", "triage_intent"),
    "urgency": ("triage_posts", "triage_intent"),
    "toxicity": ("tweeteval_offensive", "triage_posts", "hate_offensive"),
    "spam": ("triage_posts", "sms_spam", "youtube_spam"),
}
"""Sets whose validation split sets the temperature, where the licences let them in."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not options.data.is_dir():
        print(f"{options.data} is not a folder; --data names the folder that holds triage_posts and the other sets")
        return 2
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    machine = Encoder(
        folder=options.encoder,
        sha256=encoders.SHA256,
        threads=options.threads,
        batch_tokens=4096,
        max_tokens=MAX_TOKENS,
    )
    try:
        train, checks = (list(lessons(options.data, s, licences=options.licences)) for s in ("train", "validation"))
    except OSError as error:
        print(f"a set is missing or broken: {error}")
        return 2
    learnt, checked = (_features(machine, part, options.cache) for part in (train, checks))
    options.out.mkdir(parents=True, exist_ok=True)
    parts, heads, reports = {}, {}, {}
    for head, labels in tqdm(HEADS.items(), desc="heads", unit="head"):
        print(f"  {head}: fitting", file=sys.stderr)
        parts[head] = _fit(head, labels, train, learnt, options.seed)
        heads[head], reports[head] = _judge(head, labels, parts[head], checks, checked)
    _share_foreign(heads)
    save_file({f"{head}.{name}": part for head, own in parts.items() for name, part in own.items()}, options.out / FILE)
    manifest = {
        "format": FORMAT,
        "name": "minilm-l6-triage" + ("-open" if options.licences == "open" else ""),
        "file": FILE,
        "sha256": hashlib.sha256((options.out / FILE).read_bytes()).hexdigest(),
        "encoder": {"name": encoders.NAME, "sha256": encoders.SHA256},
        "layers": list(LAYERS),
        "max_tokens": MAX_TOKENS,
        "languages": ["en"],
        "heads": heads,
        "training": {"licences": options.licences, "seed": options.seed, "rows": _counts(train)},
    }
    (options.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (options.out / "README.md").write_text(card.card(manifest, reports))
    print(f"written to {options.out} in {time.monotonic() - started:.0f} s")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m classifiers.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for heads, manifest and card")
    parser.add_argument("--licences", choices=("all", "open"), default="all", help="rows that may teach")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--encoder", help="folder of the encoder, when it is not the installed package")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, help="folder that keeps the vectors between runs")
    return parser


def _features(machine: Encoder, part: Sequence[Lesson], cache: Path | None) -> Vectors:
    """Return the vectors of *part*; kept under a name made of the texts, so that a changed set is embedded anew."""
    made: dict[str, list[int]] = {}
    for row, lesson in enumerate(part):
        made.setdefault(lesson.source, []).append(row)
    features = np.zeros((len(part), len(LAYERS) * machine.width), np.float32)
    for source, rows in made.items():
        texts = [part[row].text for row in rows]
        kept = cache / f"{source}-{_key(texts)}.npy" if cache else None
        if kept is not None and kept.is_file():
            features[rows] = np.load(kept)
            continue
        own = np.zeros((len(texts), features.shape[1]), np.float32)
        for start in tqdm(range(0, len(texts), 1024), desc=f"embedding {source}", unit="x1024"):
            own[start : start + 1024] = machine.encode(texts[start : start + 1024]).features
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, own.astype(np.float16))
        # Rounded alike with and without a cache, so that both give the same heads.
        features[rows] = own.astype(np.float16)
    return features


def _key(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _fit(
    head: str, labels: Sequence[str], train: Sequence[Lesson], features: Vectors, seed: int
) -> dict[str, torch.Tensor]:
    rows = [row for row, lesson in enumerate(train) if head in lesson.labels]
    return fit.fit(
        features[rows],
        np.array([labels.index(train[row].labels[head]) for row in rows]),
        np.array([train[row].weights[head] for row in rows], np.float32),
        labels=len(labels),
        seed=seed,
    )


def _judge(
    head: str, labels: Sequence[str], parts: dict[str, torch.Tensor], checks: Sequence[Lesson], features: Vectors
) -> tuple[dict[str, Any], list[tuple[str, Report]]]:
    """Return what the manifest says of the head, and its reports by set; umsab_sentiment by language too."""
    groups: dict[str, list[int]] = {}
    for row, lesson in enumerate(checks):
        if head in lesson.labels:
            name = lesson.source if lesson.source != "umsab_sentiment" else f"umsab_sentiment {lesson.language}"
            groups.setdefault(name, []).append(row)
    gold = {name: np.array([labels.index(checks[row].labels[head]) for row in rows]) for name, rows in groups.items()}
    given = {name: fit.scores(parts, features[rows]) for name, rows in groups.items()}
    basis = [name for name in CALIBRATED_ON[head] if name in groups]
    # Posts to brands come first where there are any: the others are only there for labels that they lack.
    basis = basis[:1] if head in ("sentiment", "intent", "urgency") else basis
    own = fit.temperature(torch.cat([given[name] for name in basis]), np.concatenate([gold[name] for name in basis]))
    abroad = [name for name in groups if name.startswith("umsab_sentiment ") and not name.endswith((" en", " hi"))]
    other = own
    if abroad:
        other = fit.temperature(torch.cat([given[n] for n in abroad]), np.concatenate([gold[n] for n in abroad]))
    other = max(own, other)
    facts = {"labels": list(labels), "temperature": own, "foreign_temperature": other, "calibrated_on": basis}
    made = [
        (
            name,
            _report(head, labels, gold[name], given[name] / (other if name in abroad else own)),
        )
        for name in groups
    ]
    return facts, made


def _report(head: str, labels: Sequence[str], gold: np.ndarray[Any, Any], given: torch.Tensor) -> Report:
    shares = torch.softmax(given, 1).numpy()
    answers = [Label(label=labels[int(row.argmax())], confidence=float(row.max())) for row in shares]
    return measure(head, [labels[index] for index in gold], answers)


def _share_foreign(heads: dict[str, dict[str, Any]]) -> None:
    """Make the heads that learnt from English alone doubt their answers in other languages."""
    for facts in heads.values():
        if facts["foreign_temperature"] == facts["temperature"]:
            facts["foreign_temperature"] = round(facts["temperature"] * FOREIGN_DOUBT, 3)


def _counts(train: Sequence[Lesson]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for lesson in train:
        by_licence = counts.setdefault(lesson.source, {})
        by_licence[lesson.licence] = by_licence.get(lesson.licence, 0) + 1
    return counts


if __name__ == "__main__":
    sys.exit(main())
