"""Why a label: the words without which the model would be less sure of it (occlusion, Zeiler and Fergus 2014).

Words are taken out one at a time; the one whose loss costs a label most is named, and taken out before the next is
sought, so that the words named together are those whose loss together costs most. Works for every engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import regex

from classifiers.normalise import MAX_CHARS
from classifiers.protocol import Classifier
from classifiers.triage import HEADS, Label, Text, Triage

NAMED = 3
"""Words named for a label."""

VARIANTS = 40
"""Texts of one pass."""

RIVALS = 6
"""Words tried again for each label once the first is gone: those that cost most alone."""

PASSES = 10
"""No explanation costs more."""

READ_WORDS = 120
"""Words looked at; 128 pieces of a text hold no more."""

# Handles and links are nobody's words; scripts without spaces are taken sign by sign.
_SKIPPED = regex.compile(r"(?<![\w@.])@\w+(?:[.@-]\w+)*|\b(?:https?://|www\.)\S+|\bhttp\b", regex.IGNORECASE)
_WORD = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|[\p{L}\p{N}\p{M}]+(?:['’\-.][\p{L}\p{N}\p{M}]+)*|\p{Extended_Pictographic}"
)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it stands: text[start:end]. drop: by how much the label's probability falls without it."""

    text: str
    start: int
    end: int
    drop: float


@dataclass(frozen=True, slots=True)
class Why:
    """A label and the words that made it, the weightiest first; fewer than NAMED where no more matter."""

    head: str
    label: Label
    words: tuple[Word, ...]


class _Trial:
    """Texts with words taken out, judged in few passes."""

    def __init__(self, engine: Classifier, text: str, language: str | None) -> None:
        self._engine, self._text, self._language = engine, text, language
        self.passes = 0

    async def judge(self, removed: Sequence[frozenset[Span]]) -> list[Triage]:
        """Return what the engine says of the text without each of *removed*."""
        judged: list[Triage] = []
        for start in range(0, len(removed), VARIANTS):
            part = removed[start : start + VARIANTS]
            self.passes += 1
            texts = [
                Text(id=str(n), text=without(self._text, spans), language=self._language)
                for n, spans in enumerate(part)
            ]
            judged += await self._engine.classify(texts)
        return judged


async def explain(engine: Classifier, text: str, *, language: str | None = None) -> tuple[Triage, list[Why]]:
    """Return the triage of *text* and why, for each head; at most PASSES passes. Raises ModelFailed and its kin."""
    trial = _Trial(engine, text, language)
    found = words(text)
    whole, *alone = await trial.judge([frozenset(), *(frozenset({span}) for span in found)])
    costs = {
        head: {span: _fall(head, whole, judged) for span, judged in zip(found, alone, strict=True)} for head in HEADS
    }
    chosen: dict[str, list[Span]] = {head: _best(costs[head]) for head in HEADS}
    drops = {head: [costs[head][span] for span in spans] for head, spans in chosen.items()}
    for _ in range(NAMED - 1):
        tried = [(head, span) for head in HEADS for span in _rivals(costs[head], chosen[head])]
        # The last pass is kept: a very long text ends with fewer words rather than with more work.
        if not tried or trial.passes + -(-len(tried) // VARIANTS) > PASSES:
            break
        judged = await trial.judge([frozenset({*chosen[head], span}) for head, span in tried])
        for head in HEADS:
            mine = [
                (span, _fall(head, whole, answer))
                for (own, span), answer in zip(tried, judged, strict=True)
                if own == head
            ]
            _add(chosen[head], drops[head], mine)
    return whole, [Why(head, getattr(whole, head), _named(text, chosen[head], drops[head])) for head in HEADS]


def words(text: str) -> list[Span]:
    """Return where the words of *text* stand, at most READ_WORDS of them."""
    text = text[:MAX_CHARS]
    skipped = [match.span() for match in _SKIPPED.finditer(text)]
    spans: list[Span] = []
    for match in _WORD.finditer(text):
        if not any(start <= match.start() < end for start, end in skipped):
            spans.append(match.span())
        if len(spans) == READ_WORDS:
            break
    return spans


def without(text: str, removed: frozenset[Span]) -> str:
    """Return *text* without the words at *removed*."""
    for start, end in sorted(removed, reverse=True):
        text = f"{text[:start]} {text[end:]}"
    return text


def _fall(head: str, whole: Triage, judged: Triage) -> float:
    """Return how much less sure of the label the engine is."""
    label: Label = getattr(whole, head)
    now: Mapping[str, float] = getattr(judged, head).scores
    return label.confidence - now.get(label.label, 0.0)


def _best(costs: Mapping[Span, float]) -> list[Span]:
    best = max(costs, key=lambda span: (costs[span], -span[0]), default=None)
    return [best] if best is not None and costs[best] > 0 else []


def _rivals(costs: Mapping[Span, float], chosen: Sequence[Span]) -> list[Span]:
    if not chosen:
        return []
    left = [span for span in costs if span not in chosen]
    return sorted(left, key=lambda span: (-costs[span], span))[:RIVALS]


def _add(chosen: list[Span], drops: list[float], tried: Sequence[tuple[Span, float]]) -> None:
    """Take the word that costs most beside those chosen, if it costs anything."""
    if not tried:
        return
    span, fall = max(tried, key=lambda pair: (pair[1], -pair[0][0]))
    if fall > sum(drops):
        chosen.append(span)
        drops.append(fall - sum(drops))


def _named(text: str, spans: Sequence[Span], drops: Sequence[float]) -> tuple[Word, ...]:
    pairs = sorted(zip(spans, drops, strict=True), key=lambda pair: -pair[1])
    return tuple(Word(text[start:end], start, end, round(drop, 4)) for (start, end), drop in pairs)
