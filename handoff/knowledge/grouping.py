"""Which questions ask the same: vectors into groups, by average linkage, the same on every run.

The two groups whose members are nearest on average are merged, again and again, until none are nearer than a bar
(UPGMA; Sokal and Michener 1958). For vectors of length 1 the average cosine between two groups is the product of their
means, so no matrix of all pairs is ever held. Pairs that are each other's nearest are merged together in one round: for
this linkage that gives the same groups as one merge at a time (Murtagh, The Computer Journal 26, 1983, 354-359).
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from classifiers.triage import EMBEDDING_DIM
from handoff.words import words

Floats: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[np.intp]

SAME_MEANING = 0.45
"""Average cosine from which on two groups ask the same, by the shipped model's vectors; fitted (docs/knowledge.md)."""

SAME_WORDS = 0.2
"""The same between vectors of words, which are further apart."""

WORD_DIM = 1024
"""Places of a vector of words: two words of one question share a place in about one question of five."""

BLOCK = 1024
"""Rows compared at a time: 40 MB for 10,000 questions."""

DIGITS = 5
"""Decimals that count: sums in another order differ behind them, and must not group differently."""


def groups(vectors: Floats, *, bar: float) -> list[Numbers]:
    """Return the groups as row numbers, the largest first, then by lowest row; every row is in one.

    vectors: rows of length 1, or of zeros, which stay alone. bar: average cosine from which on two groups are one.
    """
    means = vectors.astype(np.float32, copy=True)
    members: dict[int, list[int]] = {row: [row] for row in range(len(vectors))}
    count = len(vectors)
    nearest, near = np.zeros(count, np.intp), np.full(count, -1.0)
    active: Numbers = np.flatnonzero(np.any(means != 0, axis=1))
    stale = active
    while len(active) > 1:
        nearest[stale], near[stale] = _nearest(means, stale, active)
        # Who is nearer to nobody than the bar stays so: a merger is no nearer than the nearer one of its parts.
        active = active[near[active] >= bar]
        pairs = _mutual(active, nearest, near)
        for keep, gone in pairs:
            here, there = len(members[keep]), len(members[gone])
            means[keep] = (means[keep] * here + means[gone] * there) / (here + there)
            members[keep] += members.pop(gone)
        moved = np.zeros(count, np.bool_)
        moved[[row for pair in pairs for row in pair]] = True
        active = active[~np.isin(active, [gone for _, gone in pairs])]
        # For the same reason everybody else's nearest is still the nearest.
        stale = active[moved[active] | moved[nearest[active]]]
    found = [np.array(sorted(rows), dtype=np.intp) for rows in members.values()]
    return sorted(found, key=lambda rows: (-len(rows), int(rows[0])))


def _nearest(means: Floats, rows: Numbers, others: Numbers) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """Return for each of *rows* which of *others* is nearest beside itself, the first of equals, and how near."""
    nearest, near = np.empty(len(rows), np.intp), np.empty(len(rows), np.float64)
    there = means[others].T
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        block = np.round(means[part] @ there, DIGITS)
        block[np.arange(len(part)), np.searchsorted(others, part)] = -2.0
        found = np.argmax(block, axis=1)
        nearest[start : start + BLOCK] = others[found]
        near[start : start + BLOCK] = block[np.arange(len(part)), found]
    return nearest, near


def _mutual(active: Numbers, nearest: Numbers, near: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the pairs of rows that are each other's nearest; the very nearest pair where rounding left none."""
    found = active[(nearest[nearest[active]] == active) & (active < nearest[active])]
    pairs = [(int(row), int(nearest[row])) for row in found]
    if not pairs and len(active):
        best = int(active[np.argmax(near[active])])
        pairs = [(min(best, int(nearest[best])), max(best, int(nearest[best])))]
    return pairs


def central(vectors: Floats, rows: Numbers) -> Numbers:
    """Return *rows* with the most central first: nearest on average to all of them; equals by row."""
    block = vectors[rows]
    order = np.argsort(-np.round(block @ block.sum(axis=0), DIGITS), kind="stable")
    found: Numbers = rows[order]
    return found


def spread(vectors: Floats, rows: Numbers, *, most: int) -> list[int]:
    """Return up to *most* of *rows*, given most central first: that one, then those least like what was taken.

    Only the more central half is looked at, since what is far out tells little of the group.
    """
    near = rows[: max(most, math.ceil(len(rows) / 2))]
    taken = [0]
    likeness = vectors[near] @ vectors[near[0]]
    while len(taken) < min(most, len(near)):
        likeness[taken] = 2.0
        following = int(np.argmin(np.round(likeness, DIGITS)))
        taken.append(following)
        likeness = np.maximum(likeness, vectors[near] @ vectors[near[following]])
    return [int(near[each]) for each in taken]


def meaning_vectors(embeddings: Sequence[bytes]) -> Floats:
    """Return one row of length 1 for each of *embeddings*, as ``Triage.embedding`` holds them; zeros for no number."""
    found = np.frombuffer(b"".join(embeddings), dtype="<f2").reshape(-1, EMBEDDING_DIM).astype(np.float32)
    return _unit(np.where(np.isfinite(found), found, np.float32(0)))


def word_vectors(texts: Sequence[str]) -> Floats:
    """Return one row of length 1 for each of *texts*, from its words weighed by rarity; zeros for a text without words.

    Each word has a place and a sign of its own (Weinberger et al., ICML 2009), so that no list of words is kept.
    """
    counted = [Counter(words(text)) for text in texts]
    holding = Counter(word for each in counted for word in each)
    found = np.zeros((len(texts), WORD_DIM), np.float32)
    for row, each in enumerate(counted):
        for word, times in each.items():
            code = zlib.crc32(word.encode())
            rarity = math.log((1 + len(texts)) / (1 + holding[word])) + 1
            found[row, code % WORD_DIM] += (1 if code >> 31 else -1) * (1 + math.log(times)) * rarity
    return _unit(found)


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Floats = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return found
