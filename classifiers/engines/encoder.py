"""The encoder: texts in, features out, like-long texts together, nothing computed twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from tokenizers import Tokenizer

from classifiers import normalise
from classifiers.engines.arithmetic import Arithmetic
from classifiers.engines.graph import Ids, Mask
from classifiers.engines.passes import Passes
from classifiers.engines.weights import Vectors

REMEMBERED = 4096
"""Texts whose features are kept: 12 MB. Shared posts, slogans and bots repeat themselves."""

URGENT_TEXTS = 8
"""A call with so few texts goes before the passes of larger calls, so that a lone post need not wait for a thousand."""

Tokens = list[int]


class Encoder:
    """Texts in, features out. Thread-safe: several callers share the passes."""

    def __init__(
        self,
        arithmetic: Arithmetic,
        tokenizer: Tokenizer,
        *,
        width: int,
        threads: int,
        batch_tokens: int,
        max_tokens: int,
    ) -> None:
        """width: of the features. batch_tokens: padded pieces in one pass. max_tokens: pieces read of each text."""
        tokenizer.enable_truncation(max_tokens)
        self.arithmetic, self.batch_tokens, self.width = arithmetic, batch_tokens, width
        self._tokenizer = tokenizer
        self._passes = Passes(threads)
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], stop: Callable[[], bool] = lambda: False) -> Vectors:
        """Return texts x width, in order. stop: asked before each pass; ends early with zeros left."""
        prepared = [normalise.for_model(normalise.undisguise(text, self._count)) for text in texts]
        known = self._recall(set(prepared))
        fresh = [text for text in dict.fromkeys(prepared) if text not in known]
        known |= self._encode(fresh, stop, urgent=len(texts) <= URGENT_TEXTS)
        return np.stack([known[text] for text in prepared])

    def features(self, tokens: Sequence[Tokens], stop: Callable[[], bool] = lambda: False) -> Vectors:
        """Return texts x width of texts that are in pieces already."""
        return self._run(tokens, stop, urgent=True)[0]

    def pieces(self, text: str) -> tuple[Tokens, list[tuple[int, int]]]:
        """Return the pieces of a prepared text, and of each where it stands in the text; (0, 0) for a sign of ours."""
        encoding = self._tokenizer.encode(text)
        return encoding.ids, encoding.offsets

    def _count(self, word: str) -> int:
        return len(self._tokenizer.encode(word, add_special_tokens=False).ids)

    def forget(self) -> None:
        """Drop the features that are kept."""
        with self._lock:
            self._kept.clear()

    def close(self) -> None:
        """Let the threads go; passes that run are waited for."""
        self._passes.close()

    def _encode(self, texts: Sequence[str], stop: Callable[[], bool], *, urgent: bool) -> dict[str, Vectors]:
        if not texts:
            return {}
        # Fast and parallel in Rust; the lock of the interpreter is free meanwhile.
        tokens = [piece.ids for piece in self._tokenizer.encode_batch(list(texts))]
        features, whole = self._run(tokens, stop, urgent=urgent)
        fresh = dict(zip(texts, features, strict=True))
        if whole:
            self._remember(fresh)
        return fresh

    def _run(self, tokens: Sequence[Tokens], stop: Callable[[], bool], *, urgent: bool) -> tuple[Vectors, bool]:
        """Return the features, and whether none is missing."""
        made: list[Vectors | None] = [None] * len(tokens)

        def one_pass(batch: Sequence[int]) -> None:
            if stop():
                return
            for row, features in zip(batch, self.arithmetic.run(*padded([tokens[i] for i in batch])), strict=True):
                made[row] = features

        # The longest first, so that the last ones to end are short.
        groups = [*batches([len(ids) for ids in tokens], self.batch_tokens)][::-1]
        for done in [self._passes.submit(partial(one_pass, batch), urgent=urgent) for batch in groups]:
            done.result()
        blank = np.zeros(self.width, np.float32)
        whole = all(features is not None for features in made)
        return np.stack([blank if features is None else features for features in made]), whole

    def _recall(self, texts: set[str]) -> dict[str, Vectors]:
        with self._lock:
            known = {text: self._kept[text] for text in texts if text in self._kept}
            for text in known:
                self._kept.move_to_end(text)
        return known

    def _remember(self, fresh: dict[str, Vectors]) -> None:
        with self._lock:
            # Copies, since a row would keep the whole pass in memory.
            self._kept |= {text: features.copy() for text, features in fresh.items()}
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)


def width(length: int) -> int:
    """Return the pieces that a text of *length* pieces takes in a pass: the next multiple of 8, from 33 on of 16,
    from 65 on of 32.

    A text takes the same place alone and among others. In whole numbers an empty place more changes the rounding.
    """
    step = 8 if length <= 32 else 16 if length <= 64 else 32
    return -(-length // step) * step


def padded(tokens: Sequence[Tokens]) -> tuple[Ids, Mask]:
    """Return ids and mask, texts x the width of the longest."""
    longest = width(max(map(len, tokens)))
    ids = np.zeros((len(tokens), longest), np.int32)
    mask = np.zeros((len(tokens), longest), np.float32)
    for row, piece in enumerate(tokens):
        ids[row, : len(piece)] = piece
        mask[row, : len(piece)] = 1.0
    return ids, mask


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield indices in groups of one width whose size stays within *budget* pieces; one text at least."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    group: list[int] = []
    for index in order:
        wide = width(lengths[index])
        if group and (wide != width(lengths[group[0]]) or (len(group) + 1) * wide > budget):
            yield group
            group = []
        group.append(index)
    if group:
        yield group
