"""Which language a text is written in: lingua's n-gram models, with the network's claim as a prior.

Measured in docs/adr/0003-language-detection.md.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from classifiers import normalise
from classifiers.triage import Label

UNKNOWN = "und"
LANGUAGES = tuple("ar de el en es fr he hi id it ja ko nl pl pt ru sv th tr uk zh".split())
"""What is told apart unless the settings say otherwise; each that shares its letters costs memory and accuracy."""

CLAIM_ODDS = 10.0
"""How much a network's claim weighs against the letters; 10 was best of 1, 3, 10, 30 with one claim in ten wrong."""

CLAIM_FLOOR = 0.05
"""Likelihood of a claimed language that is not among ours, or that the letters rule out."""

MIN_LETTERS = 3
MAX_CHARS = 400
"""More text does not change the answer, only the time."""

_FIRST_SYLLABLE = "\u1100"
_NOBODY_CAN_TELL = Label(label=UNKNOWN, confidence=1.0, scores={UNKNOWN: 1.0})
_OLD_CODES = {"in": "id", "iw": "he", "ji": "yi", "jw": "jv", "no": "nb", "cmn": "zh"}
_NO_CLAIM = frozenset({"zx", "qa", "xx"})


class Languages:
    """Tells languages apart. Thread-safe; loads its models at warm() or the first text, about 3 s and 280 MB."""

    def __init__(self, codes: Sequence[str] = LANGUAGES) -> None:
        """codes: ISO 639-1, at least two. Raises ValueError on one that lingua does not know."""
        self.codes = tuple(dict.fromkeys(codes))
        known = {language.iso_code_639_1.name.lower() for language in import_module("lingua").Language.all()}
        if wrong := sorted(set(self.codes) - known):
            raise ValueError(f"languages: {', '.join(wrong)} unknown; two-letter codes such as en, es, ja are allowed")
        if len(self.codes) < 2:
            raise ValueError("languages: name at least two, or leave it out")
        self._lock = threading.Lock()
        self._detector: Any = None

    def detect(self, text: str, claim: str | None = None) -> Label:
        """Return the likeliest language of *text*; "und" where there are no words. claim: the network's tag, if any."""
        return self.detect_all([(text, claim)])[0]

    def detect_all(self, texts: Sequence[tuple[str, str | None]]) -> list[Label]:
        """Return for each (text, claim) what ``detect`` does, in order; on all cores, not holding the interpreter."""
        words = [normalise.for_language(text)[:MAX_CHARS] for text, _ in texts]
        readable = [index for index, plain in enumerate(words) if _says_something(plain)]
        labels = [_NOBODY_CAN_TELL] * len(words)
        if not readable:
            return labels
        found = self._models().compute_language_confidence_values_in_parallel([words[index] for index in readable])
        for index, values in zip(readable, found, strict=True):
            likely = {value.language.iso_code_639_1.name.lower(): float(value.value) for value in values}
            labels[index] = weigh(likely, claimed_code(texts[index][1]))
        return labels

    def warm(self) -> None:
        """Load what the first posts would otherwise wait for: each script loads its languages at its first text."""
        self.detect_all([("The parcel is late", None), ("Посылка опаздывает", None), ("الطرد متأخر جدا", None)])

    def close(self) -> None:
        """Drop the models; the next text loads them again."""
        with self._lock:
            self._detector = None

    def _models(self) -> Any:
        with self._lock:
            if self._detector is None:
                self._detector = _build(self.codes)
            return self._detector


def weigh(likelihoods: Mapping[str, float], claim: str | None) -> Label:
    """Return the likeliest language with the network's *claim* as a prior. likelihoods: code -> share, sum 1 or 0."""
    odds = {code: value for code, value in likelihoods.items() if value > 0.0}
    if claim is not None:
        odds[claim] = CLAIM_ODDS * max(odds.get(claim, 0.0), CLAIM_FLOOR)
    if not odds:
        return _NOBODY_CAN_TELL
    total = sum(odds.values())
    # lingua adds up in no fixed order; rounding makes the same text give the same answer.
    shares = {code: round(value / total, 6) for code, value in odds.items()}
    scores = dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
    best = next(iter(scores))
    return Label(label=best, confidence=scores[best], scores=scores)


def _says_something(words: str) -> bool:
    letters = [letter for letter in words if letter.isalpha()]
    # One ideograph or syllable says more than two Latin letters.
    return len(letters) >= MIN_LETTERS or any(letter >= _FIRST_SYLLABLE for letter in letters)


def claimed_code(claim: str | None) -> str | None:
    """Return the ISO 639-1 code in a network's tag ("pt-BR" -> "pt"); None where it claims nothing ("und", "qme")."""
    if not claim:
        return None
    code = claim.replace("_", "-").split("-", 1)[0].strip().lower()
    code = _OLD_CODES.get(code, code)
    if len(code) != 2 or not code.isascii() or not code.isalpha() or code in _NO_CLAIM:
        return None
    return code


def _build(codes: Sequence[str]) -> Any:
    lingua = import_module("lingua")
    iso = lingua.IsoCode639_1
    return lingua.LanguageDetectorBuilder.from_iso_codes_639_1(*(getattr(iso, code.upper()) for code in codes)).build()
