"""Everything that a run reads, made from the sets: lessons, pairs, their word pieces, and the encoder to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from classifiers import normalise
from classifiers.engines.weights import quantised, restored
from classifiers.training import course, e5, network, pieces, sets
from classifiers.training.tune import MAX_TOKENS, Material

WORDS = "embeddings.word_embeddings.weight"
ABROAD = "umsab_sentiment"
"""The set whose texts, in eight languages, hold embeddings where they were."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with."""

    network: network.Network
    tokenizer: dict[str, Any]
    material: Material
    steps: list[course.Step]


def gather(data: Path, *, licences: str, seed: int, share: float = 1.0) -> Start:
    """Read the sets and the encoder. share: of the passes, for a short trial.

    Raises OSError on a missing set, ValueError on a broken one, ModelMissing, ModelRefused.
    """
    lessons = list(sets.lessons(data, "train", licences=licences))
    kinds = [(name, groups) for name, groups in sets.kinds(data)]
    begin = e5.origin()
    prepared = [normalise.for_model(lesson.text) for lesson in lessons]
    together = [normalise.for_model(text) for _, groups in kinds for group in groups for text in group]
    abroad = [text for text, lesson in zip(prepared, lessons, strict=True) if lesson.source == ABROAD] or together[:64]
    pruned = pieces.prune(begin.tokenizer, [*prepared, *together, "query: passage: "])
    tokenizer = Tokenizer.from_str(json.dumps(pruned.tokenizer))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokens = _tokens(tokenizer, prepared)
    torch.manual_seed(seed)
    model = network.Network(begin.shape, len(pruned.rows))
    words = begin.weights[WORDS][pruned.rows]
    # The words are kept in whole numbers and never move, so training sees what will be shipped.
    network.load(model.encoder, {**begin.weights, WORDS: restored(*quantised(words))})
    material = Material(
        lessons=lessons,
        tokens=tokens,
        groups=_groups(kinds),
        kinds=_tokens(tokenizer, together),
        kinds_asked=_tokens(tokenizer, [f"query: {text}" for text in together]),
        abroad=_tokens(tokenizer, abroad),
        abroad_asked=_tokens(tokenizer, [f"query: {text}" for text in abroad]),
        pad=tokenizer.token_to_id("<pad>") or 0,
    )
    chosen = [sets.shortened(source, share) for source in sets.sources(licences)]
    return Start(model, pruned.tokenizer, material, course.plan(lessons, [*map(len, tokens)], chosen, seed=seed))


def asked(tokenizer: Mapping[str, Any], texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each text as a question to the encoder before it was tuned."""
    whole = Tokenizer.from_str(json.dumps(tokenizer))
    whole.enable_truncation(MAX_TOKENS)
    return _tokens(whole, [f"query: {normalise.for_model(text)}" for text in texts])


def _tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def _groups(kinds: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> list[list[list[int]]]:
    """Return set -> kind -> rows, counted through all sets."""
    groups, at = [], 0
    for _, own in kinds:
        made = []
        for texts in own:
            made.append([*range(at, at + len(texts))])
            at += len(texts)
        groups.append(made)
    return groups
