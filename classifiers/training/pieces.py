"""A smaller vocabulary: the pieces that texts really use, so that the embeddings fit into a file that git carries.

A unigram tokenizer splits a word whose piece is gone into shorter ones, so no text becomes unreadable; it only gets
longer. Pieces that the training texts use stay, and so does every single character.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex
from tokenizers import Tokenizer

KEPT = 100_000
"""38 MB of embeddings in int8; of the 250,002 of XLM-R."""

_SPECIAL = 4
_SPACE = "\u2581"
# The scripts of the languages that the model is asked to serve; after the commonest pieces these come first.
_SERVED = regex.compile(rf"[{_SPACE}\p{{Latin}}\p{{Arabic}}\p{{Devanagari}}\p{{Common}}]+")


@dataclass(frozen=True, slots=True)
class Pruned:
    """tokenizer: as in tokenizer.json. rows: of the old embeddings, in the new order."""

    tokenizer: dict[str, Any]
    rows: list[int]


def prune(tokenizer: Mapping[str, Any], texts: Iterable[str], *, kept: int = KEPT) -> Pruned:
    """Return *tokenizer* with *kept* pieces, or a few more where *texts* use more."""
    vocabulary: Sequence[tuple[str, float]] = tokenizer["model"]["vocab"]
    plain = len(vocabulary) - 1  # the last one is <mask>, which nothing here uses
    whole = Tokenizer.from_str(json.dumps(tokenizer))
    chosen = {piece for encoding in whole.encode_batch(list(texts)) for piece in encoding.ids}
    chosen |= {row for row in range(_SPECIAL, plain) if len(vocabulary[row][0].lstrip(_SPACE)) <= 1}
    chosen |= set(range(_SPECIAL))
    # The pieces stand in the order of how common they are in a hundred languages.
    common = range(_SPECIAL, plain // 5)
    served = (row for row in range(plain // 5, plain) if _SERVED.fullmatch(vocabulary[row][0]))
    for candidates in (common, served, range(_SPECIAL, plain)):
        for row in candidates:
            if len(chosen) >= kept:
                break
            chosen.add(row)
    rows = sorted(chosen)
    special = [token for token in tokenizer["added_tokens"] if token["id"] < _SPECIAL]
    model = {**tokenizer["model"], "vocab": [vocabulary[row] for row in rows]}
    return Pruned({**tokenizer, "model": model, "added_tokens": special}, rows)
