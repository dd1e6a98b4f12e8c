"""Rules instead of a model: words and phrases that count for a label, read from models/keywords.toml.

The fallback when no model loads, and the fast real part in tests. Deterministic, needs neither numpy nor torch.
"""

from __future__ import annotations

import asyncio
import hashlib
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import regex

from classifiers import normalise
from classifiers.errors import ModelFailed, ModelMissing, ModelRefused
from classifiers.language import LANGUAGES, Languages
from classifiers.registry import Engine
from classifiers.triage import HEADS, Label, Text, Triage

RULES = Path(__file__).parent.parent / "models" / "keywords.toml"
POINTS = {"strong": 3.0, "words": 1.0}
MAX_WORDS = 300
PHRASE_WORDS = 5
STEM_LETTERS = 4
"""A stem ("refund*") has at least so many letters."""

DEFAULTS = {
    "sentiment": "neutral",
    "intent": "not_actionable",
    "urgency": "normal",
    "toxicity": "ok",
    "spam": "ok",
}
"""What stands when no rule speaks."""

STANDING = {"sentiment": 0.9, "intent": 0.5, "urgency": 2.0, "toxicity": 2.5, "spam": 3.5}
"""Points of the default label: how much has to speak against it."""

SHARPNESS = {"sentiment": 0.7, "intent": 0.7, "urgency": 0.7, "toxicity": 1.0, "spam": 0.75}
"""Points to log-odds; chosen on triage_posts train so that a confidence is about the share of right answers."""

FLIPPED = {"positive": "negative", "negative": "neutral"}
_NEGATORS = frozenset(
    "not no never without cant cannot dont doesnt didnt isnt wasnt wont aint nothing "
    "nicht kein keine nie ne pas jamais non nunca nao sin sem".split()
)
_WORD = regex.compile(r"\w+(?:['’]\w+)*")
_QUESTION = "?"


@dataclass(frozen=True, slots=True)
class Rule:
    head: str
    label: str
    points: float


class Rules:
    """The rules of one file, by phrase and by stem. revision: 8 hex digits of the file's sha256."""

    def __init__(self, path: Path) -> None:
        """Raises ModelMissing, ModelRefused."""
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise ModelMissing(
                f"the rule file {path} cannot be read; leave out the option 'rules' to use our own"
            ) from error
        try:
            heads = tomllib.loads(raw.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ModelRefused(f"the rule file {path} is not TOML: {error}") from error
        self.revision = hashlib.sha256(raw).hexdigest()[:8]
        self.phrases: dict[str, list[Rule]] = {}
        self.stems: dict[str, list[Rule]] = {}
        for phrase, rule in _rules(heads, path):
            if phrase.endswith("*"):
                self.stems.setdefault(phrase[:-1], []).append(rule)
            else:
                self.phrases.setdefault(phrase, []).append(rule)

    def hits(self, words: Sequence[str]) -> Iterator[tuple[int, Rule]]:
        """Yield each rule that speaks, once a phrase, and where its first word stands."""
        seen: set[str] = set()
        for start, word in enumerate(words):
            for length in range(1, PHRASE_WORDS + 1):
                phrase = " ".join(words[start : start + length])
                if phrase in self.phrases and phrase not in seen:
                    seen.add(phrase)
                    yield from ((start, rule) for rule in self.phrases[phrase])
            for end in range(STEM_LETTERS, min(len(word), 24) + 1):
                stem = word[:end]
                if stem in self.stems and stem not in seen:
                    seen.add(stem)
                    yield from ((start, rule) for rule in self.stems[stem])


def _rules(heads: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Rule]]:
    for head, labels in heads.items():
        if head not in HEADS or not isinstance(labels, dict):
            raise ModelRefused(f"the rule file {path} names the head {head!r}; there are: {', '.join(HEADS)}")
        for label, groups in labels.items():
            if label not in HEADS[head] or not isinstance(groups, dict):
                raise ModelRefused(f"the rule file {path} names {head}.{label}; there are: {', '.join(HEADS[head])}")
            for group, phrases in groups.items():
                if group not in POINTS or not isinstance(phrases, list):
                    raise ModelRefused(
                        f"the rule file {path}: {head}.{label}.{group} must be a list called strong or words"
                    )
                for phrase in phrases:
                    yield _phrase(phrase, path), Rule(head, label, POINTS[group])


def _phrase(phrase: object, path: Path) -> str:
    folded = " ".join(_words(phrase)) if isinstance(phrase, str) else ""
    stem = isinstance(phrase, str) and phrase.endswith("*")
    if not folded or folded.count(" ") >= PHRASE_WORDS or (stem and (" " in folded or len(folded) < STEM_LETTERS)):
        raise ModelRefused(
            f"the rule file {path}: {phrase!r} must be "
            f"1 to {PHRASE_WORDS} words, or a stem of {STEM_LETTERS}+ letters and *"
        )
    return folded + "*" if stem else folded


def _words(text: str) -> list[str]:
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(sign))
    return [word.replace("'", "").replace("’", "") for word in _WORD.findall(plain)[:MAX_WORDS]]


class Keywords:
    """The engine: counts what speaks for each label. embed() gives b"": rules know no distances."""

    def __init__(self, *, rules: str | None = None, languages: Sequence[str] = LANGUAGES) -> None:
        self._path = Path(rules) if rules else RULES
        self._languages = Languages(languages)
        self._rules: Rules | None = None
        self._thread: ThreadPoolExecutor | None = None
        self.name = "keywords"

    @property
    def foundation(self) -> str:
        return self.name

    async def warm(self) -> None:
        if self._rules is None:
            self._rules = await self._run(Rules, self._path)
            self.name = f"keywords-{self._rules.revision}"
        await self._run(self._languages.warm)
        await self._run(self._judge_all, [Text(id="", text="warm")])

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        if self._rules is None:
            await self.warm()
        triages: list[Triage] = await self._run(self._judge_all, list(texts))
        return triages

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [b""] * len(texts)

    async def aclose(self) -> None:
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await asyncio.to_thread(thread.shutdown, wait=True, cancel_futures=True)
        self._languages.close()

    async def _run(self, work: Any, *args: Any) -> Any:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="keywords")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _judge_all(self, texts: Sequence[Text]) -> list[Triage]:
        if self._rules is None:
            raise ModelFailed("the rules are not loaded")
        languages = self._languages.detect_all([(text.text, text.language) for text in texts])
        return [self._triage(self._rules, text, language) for text, language in zip(texts, languages, strict=True)]

    def _triage(self, rules: Rules, text: Text, language: Label) -> Triage:
        labels = judge(rules, text.text)
        return Triage(
            id=text.id,
            sentiment=labels["sentiment"],
            intent=labels["intent"],
            urgency=labels["urgency"],
            toxicity=labels["toxicity"],
            spam=labels["spam"],
            language=language,
            model=self.name,
        )


def judge(rules: Rules, text: str) -> dict[str, Label]:
    """Return a Label for each head; a text without words gets the defaults with the confidence of a guess."""
    prepared = normalise.for_model(text)
    words = _words(prepared)
    points = {head: dict.fromkeys(labels, 0.0) for head, labels in HEADS.items()}
    for head, label in DEFAULTS.items():
        points[head][label] += STANDING[head]
    for start, rule in rules.hits(words):
        label = rule.label
        if rule.head == "sentiment" and not _NEGATORS.isdisjoint(words[max(0, start - 2) : start]):
            label = FLIPPED.get(label, label)
        points[rule.head][label] += rule.points
    if _QUESTION in prepared:
        points["intent"]["product_question"] += 1.5
    # A link alone is no advertising; many offers with a link are.
    if points["intent"]["spam"] < POINTS["strong"]:
        points["intent"]["spam"] = 0.0
    return {head: _label(scores, SHARPNESS[head]) for head, scores in points.items()}


def _label(points: Mapping[str, float], sharpness: float) -> Label:
    top = max(points.values())
    odds = {label: exp(sharpness * (value - top)) for label, value in points.items()}
    total = sum(odds.values())
    scores = {label: value / total for label, value in odds.items()}
    best = max(points, key=lambda label: points[label])
    return Label(label=best, confidence=scores[best], scores=scores)


def make(options: Mapping[str, Any]) -> Keywords:
    """Build the engine. Raises TypeError on an unknown option, ValueError on a wrong value."""
    return Keywords(**options)


ENGINE = Engine(kind="keywords", make=make)
