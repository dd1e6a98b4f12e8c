"""The model engine: one forward pass serves every head and the embedding; nothing here ever asks a model hub."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from classifiers.errors import ModelFailed, ModelMissing
from classifiers.language import LANGUAGES, UNKNOWN, Languages
from classifiers.registry import Engine
from classifiers.triage import HEADS, Label, Text, Triage

if TYPE_CHECKING:
    from classifiers.engines.borrowed import Borrowed
    from classifiers.engines.encoder import Encoder
    from classifiers.engines.heads import Heads
    from classifiers.engines.model import Manifest
    from classifiers.engines.weights import Vectors
    from classifiers.teaching import Change, Validation

Out = TypeVar("Out")

BATCH_TOKENS = 768
"""Padded pieces in one pass, some 25 posts: larger passes are no faster, and let a lone post wait longer."""

LONGEST_TOKENS = 512
"""The encoder has no more positions."""

ROUND = 256
"""Texts judged between two looks at whether the caller still waits."""

HELPING = 64
"""Texts whose features are made at a time for teaching; nobody waits for those."""

QUICK = 8
"""A call with so few texts has a thread of its own, so that it overtakes the large ones."""


class Transformer:
    """The engine. threads: of the processor, all by default. languages: those told apart."""

    def __init__(
        self,
        *,
        model: str | None = None,
        threads: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        max_tokens: int | None = None,
        languages: Sequence[str] = LANGUAGES,
        arithmetic: str = "auto",
        device: str = "cpu",
        heads: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Raises ValueError on a value out of range; loads nothing yet. heads: head -> model from elsewhere."""
        cores = os.cpu_count() or 1
        self._threads = _within("threads", cores if threads is None else threads, 1, 256)
        self._batch_tokens = _within("batch_tokens", batch_tokens, 64, 1_000_000)
        self._max_tokens = None if max_tokens is None else _within("max_tokens", max_tokens, 8, LONGEST_TOKENS)
        self._way = _one_of("arithmetic", arithmetic, ("auto", "int8", "bfloat16", "float32"))
        self._device = _one_of("device", device, ("cpu", "cuda"))
        self._folder = Path(model).expanduser() if model else None
        self._wanted = {head: _wanted(head, facts) for head, facts in heads.items()}
        self._languages = Languages(languages)
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._loading = threading.Lock()
        self._loaded: _Loaded | None = None
        self.name = "transformer"

    async def warm(self) -> None:
        await self._run("quick", lambda _: self._languages.warm())
        await self._run("quick", lambda stop: self._classify([Text(id="", text="Thank you for the quick help!")], stop))

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        batch = list(texts)
        return await self._run(_lane(batch), lambda stop: self._classify(batch, stop)) if batch else []

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        batch = list(texts)
        return await self._run(_lane(batch), lambda stop: self._embed(batch, stop)) if batch else []

    @property
    def foundation(self) -> str:
        return "transformer" if self._loaded is None else self._loaded.manifest.revision

    async def features(self, texts: Sequence[str]) -> Vectors:
        batch = list(texts)
        return await self._run("teaching", lambda stop: self._features(batch, stop))

    def logits(self, features: Vectors) -> Mapping[str, Vectors]:
        return self._load().shipped.logits(features)

    async def validation(self) -> Validation | None:
        return await self._run("teaching", lambda _: self._validation())

    def pack(self, change: Change) -> bytes:
        from classifiers.engines import taught

        return taught.pack(change)

    def unpack(self, packed: bytes) -> Change:
        from classifiers.engines import taught

        return taught.unpack(packed)

    async def wear(self, change: Change | None, *, number: int) -> None:
        await self._run("teaching", lambda _: self._wear(change, number))

    async def aclose(self) -> None:
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            await asyncio.to_thread(lane.shutdown, wait=True, cancel_futures=True)
        if self._loaded is not None:
            await asyncio.to_thread(self._loaded.encoder.close)
            self._loaded = None
        self._languages.close()

    @property
    def arithmetic(self) -> str:
        """Return how the encoder computes here; "none" before it is warm."""
        return self._loaded.encoder.arithmetic.name if self._loaded else "none"

    def forget(self) -> None:
        """Drop what is remembered of texts; for measuring."""
        if self._loaded:
            self._loaded.encoder.forget()

    async def _run(self, lane: str, work: Callable[[Callable[[], bool]], Out]) -> Out:
        """Do *work* in the lane's thread; a caller that goes away ends it at the next pass."""
        if lane not in self._lanes:
            self._lanes[lane] = ThreadPoolExecutor(1, thread_name_prefix=f"transformer-{lane}")
        gone = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._lanes[lane], work, gone.is_set)
        finally:
            gone.set()

    def _load(self) -> _Loaded:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._read()
                self.name = self._loaded.name
            return self._loaded

    def _wear(self, change: Change | None, number: int) -> None:
        loaded = self._load()
        heads = loaded.shipped if change is None else loaded.shipped.changed(change.deltas)
        with self._loading:
            # One assignment: whoever judges holds the old ones or the new ones, never some of both.
            self._loaded = _Loaded(
                loaded.encoder,
                loaded.shipped,
                loaded.manifest,
                loaded.borrowed,
                heads=heads,
                name=loaded.plain_name if change is None else f"{loaded.plain_name}+t{number}",
            )
            self.name = self._loaded.name

    def _read(self) -> _Loaded:
        # Here and not on top: these take a second to import, and this thread is the one that may wait.
        try:
            from classifiers.engines import arithmetic, model
            from classifiers.engines.encoder import Encoder
            from classifiers.engines.heads import Heads
        except ImportError as error:
            raise ModelMissing(
                f"{error.name} is not installed; reinstall harken, or set engine = 'keywords'"
            ) from error
        read = model.load(self._folder or model.SHIPPED)
        chosen = arithmetic.choose(
            read.encoder, read.manifest.shape, threads=self._threads, way=self._way, device=self._device
        )
        encoder = Encoder(
            chosen,
            read.tokenizer,
            width=2 * read.manifest.shape.hidden,
            threads=self._threads,
            batch_tokens=self._batch_tokens,
            max_tokens=min(self._max_tokens or read.manifest.max_tokens, read.manifest.shape.positions),
        )
        return _Loaded(encoder, Heads(read.heads, read.manifest), read.manifest, self._borrow())

    def _borrow(self) -> list[Borrowed]:
        if not self._wanted:
            return []
        from classifiers.engines.borrowed import Borrowed

        return [
            Borrowed(head, threads=self._threads, batch_tokens=self._batch_tokens, **facts)
            for head, facts in self._wanted.items()
        ]

    def _features(self, texts: Sequence[str], stop: Callable[[], bool]) -> Vectors:
        encoder = self._load().encoder
        features = np.zeros((len(texts), encoder.width), np.float32)
        try:
            # In small helpings, so that posts which wait for their labels come in between.
            for start in range(0, len(texts), HELPING):
                helping = slice(start, start + HELPING)
                features[helping] = encoder.encode(texts[helping], stop)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise ModelFailed(f"the encoder broke on {len(texts)} texts: {type(error).__name__}") from error
        return features

    def _validation(self) -> Validation | None:
        from classifiers.engines import model

        return model.read_validation(self._folder or model.SHIPPED, self._load().manifest)

    def _embed(self, texts: Sequence[str], stop: Callable[[], bool]) -> list[bytes]:
        loaded = self._load()
        try:
            return [_packed(row) for row in loaded.heads.embed(loaded.encoder.encode(texts, stop))]
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise ModelFailed(f"the encoder broke on {len(texts)} texts: {type(error).__name__}") from error

    def _classify(self, texts: Sequence[Text], stop: Callable[[], bool]) -> list[Triage]:
        loaded = self._load()
        triages: list[Triage] = []
        try:
            for start in range(0, len(texts), ROUND):
                if stop():
                    break
                triages += self._judge(texts[start : start + ROUND], loaded, stop)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise ModelFailed(f"the model broke on {len(texts)} texts: {type(error).__name__}") from error
        return triages

    def _judge(self, texts: Sequence[Text], loaded: _Loaded, stop: Callable[[], bool]) -> list[Triage]:
        languages = self._languages.detect_all([(text.text, text.language) for text in texts])
        features = loaded.encoder.encode([text.text for text in texts], stop)
        own = {UNKNOWN, *loaded.manifest.languages}
        foreign = np.array([language.label not in own for language in languages])
        judged = loaded.heads.judge(features, foreign)
        for other in loaded.borrowed:
            judged[other.head] = other.judge([text.text for text in texts])
        embeddings = loaded.heads.embed(features)
        if not all(bool(np.isfinite(scores).all()) for scores in judged.values()):
            raise ValueError("a score is not a number")
        return [
            Triage(
                id=text.id,
                **{head: _label(HEADS[head], judged[head][row]) for head in HEADS},
                language=languages[row],
                model=loaded.name,
                embedding=_packed(embeddings[row]),
            )
            for row, text in enumerate(texts)
        ]


class _Loaded:
    """All that a loaded model consists of. heads: those that judge; the shipped ones unless others are worn."""

    def __init__(
        self,
        encoder: Encoder,
        shipped: Heads,
        manifest: Manifest,
        borrowed: Sequence[Borrowed],
        *,
        heads: Heads | None = None,
        name: str | None = None,
    ) -> None:
        self.encoder, self.shipped, self.manifest, self.borrowed = encoder, shipped, manifest, borrowed
        self.heads = heads or shipped
        self.name = name or self.plain_name

    @property
    def plain_name(self) -> str:
        """Return the model's name as it was shipped, with those of heads from elsewhere."""
        return "+".join([self.manifest.revision, *(other.name for other in self.borrowed)])


def _lane(batch: Sequence[object]) -> str:
    return "quick" if len(batch) <= QUICK else "bulk"


def _label(labels: Sequence[str], scores: Vectors) -> Label:
    total = float(scores.sum())
    shares = {label: float(score) / total for label, score in zip(labels, scores, strict=True)}
    best = labels[int(scores.argmax())]
    return Label(label=best, confidence=shares[best], scores=shares)


def _packed(vector: Vectors) -> bytes:
    return vector.astype("<f2").tobytes()


def _within(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} = {value!r}: a whole number from {low} to {high} is allowed")
    return value


def _one_of(key: str, value: object, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{key} = {value!r}: one of {', '.join(allowed)} is allowed")
    return str(value)


def _wanted(head: str, facts: object) -> dict[str, Any]:
    """Return what the table ``[classifier.heads.HEAD]`` asks for. Raises ValueError."""
    if head not in HEADS:
        raise ValueError(f"heads.{head}: there is no such head; there are {', '.join(HEADS)}")
    if isinstance(facts, str):
        facts = {"model": facts}
    if not isinstance(facts, Mapping) or not isinstance(facts.get("model"), str) or not facts["model"]:
        raise ValueError(f"heads.{head}: name a model, a folder or an id on Hugging Face")
    unknown = sorted(set(facts) - {"model", "revision", "labels"})
    if unknown:
        raise ValueError(f"heads.{head}.{unknown[0]}: model, revision and labels are allowed")
    labels = facts.get("labels", {})
    if not isinstance(labels, Mapping) or not set(labels.values()) <= set(HEADS[head]):
        raise ValueError(f"heads.{head}.labels: the model's label = one of {', '.join(HEADS[head])}")
    revision = facts.get("revision")
    if revision is not None and not isinstance(revision, str):
        raise ValueError(f"heads.{head}.revision = {revision!r}: a string, a branch or a commit, is allowed")
    return {"model": facts["model"], "revision": revision, "labels": dict(labels)}


def make(options: Mapping[str, Any]) -> Transformer:
    """Build the engine. Raises TypeError on an unknown option, ValueError on a wrong value."""
    return Transformer(**options)


ENGINE = Engine(kind="transformer", make=make)
