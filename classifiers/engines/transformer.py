"""The model engine: one forward pass of MiniLM, all heads on it, in one worker thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from classifiers.errors import ModelFailed, ModelMissing
from classifiers.language import LANGUAGES, UNKNOWN, Languages
from classifiers.registry import Engine
from classifiers.triage import HEADS, Label, Text, Triage

if TYPE_CHECKING:
    from classifiers.engines.encoder import Encoder, Vectors
    from classifiers.engines.heads import Heads

Out = TypeVar("Out")

BATCH_TOKENS = 1024
"""Padded tokens in one pass: larger passes were no faster, and leave a processor idle at the end of a batch."""

LONGEST_TOKENS = 512
"""The encoder has no more positions."""

ROUND = 256
"""Texts judged between two looks at whether the caller still waits."""


class Transformer:
    """The engine. threads: of the processor, all by default. languages: those told apart."""

    def __init__(
        self,
        *,
        model: str | None = None,
        encoder: str | None = None,
        threads: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        max_tokens: int | None = None,
        languages: Sequence[str] = LANGUAGES,
    ) -> None:
        """Raises ValueError on a number out of range; loads nothing yet."""
        cores = os.cpu_count() or 1
        self._threads = _within("threads", cores if threads is None else threads, 1, 256)
        self._batch_tokens = _within("batch_tokens", batch_tokens, 64, 1_000_000)
        self._max_tokens = None if max_tokens is None else _within("max_tokens", max_tokens, 8, LONGEST_TOKENS)
        self._folder = Path(model).expanduser() if model else None
        self._encoder_folder = encoder
        self._languages = Languages(languages)
        self._thread: ThreadPoolExecutor | None = None
        self._loaded: tuple[Encoder, Heads] | None = None
        self.name = "transformer"

    async def warm(self) -> None:
        await self._run(lambda _: self._languages.warm())
        await self._run(lambda stop: self._classify([Text(id="", text="Thank you for the quick help!")], stop))

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        batch = list(texts)
        return await self._run(lambda stop: self._classify(batch, stop)) if batch else []

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        batch = list(texts)
        return await self._run(lambda stop: self._embed(batch, stop)) if batch else []

    async def aclose(self) -> None:
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await asyncio.to_thread(thread.shutdown, wait=True, cancel_futures=True)
        if self._loaded is not None:
            self._loaded[0].close()
            self._loaded = None
        self._languages.close()

    async def _run(self, work: Callable[[Callable[[], bool]], Out]) -> Out:
        """Do *work* in the one thread; a caller that goes away ends it at the next pass."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformer")
        gone = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, gone.is_set)
        finally:
            gone.set()

    def _load(self) -> tuple[Encoder, Heads]:
        if self._loaded is None:
            # Here and not on top: torch takes seconds to import, and this thread is the one that may wait.
            try:
                from classifiers.engines.encoder import Encoder
                from classifiers.engines.heads import SHIPPED, Heads
            except ImportError as error:
                raise ModelMissing(
                    f"{error.name} is not installed; reinstall harken, or set engine = 'keywords'"
                ) from error
            heads = Heads(self._folder or SHIPPED)
            encoder = Encoder(
                folder=self._encoder_folder,
                sha256=heads.manifest.encoder_sha256,
                threads=self._threads,
                batch_tokens=self._batch_tokens,
                max_tokens=self._max_tokens or heads.manifest.max_tokens,
            )
            self._loaded = encoder, heads
            self.name = heads.manifest.revision
        return self._loaded

    def _embed(self, texts: Sequence[str], stop: Callable[[], bool]) -> list[bytes]:
        encoder, _ = self._load()
        try:
            return [_packed(row) for row in encoder.encode(texts, stop).embeddings]
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise ModelFailed(f"the encoder broke on {len(texts)} texts: {type(error).__name__}") from error

    def _classify(self, texts: Sequence[Text], stop: Callable[[], bool]) -> list[Triage]:
        encoder, heads = self._load()
        triages: list[Triage] = []
        try:
            for start in range(0, len(texts), ROUND):
                if stop():
                    break
                triages += self._judge(texts[start : start + ROUND], encoder, heads, stop)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise ModelFailed(f"the model broke on {len(texts)} texts: {type(error).__name__}") from error
        return triages

    def _judge(self, texts: Sequence[Text], encoder: Encoder, heads: Heads, stop: Callable[[], bool]) -> list[Triage]:
        languages = self._languages.detect_all([(text.text, text.language) for text in texts])
        encoded = encoder.encode([text.text for text in texts], stop)
        own = {UNKNOWN, *heads.manifest.languages}
        foreign = np.array([language.label not in own for language in languages])
        judged = heads.judge(encoded.features, foreign)
        if not all(bool(np.isfinite(scores).all()) for scores in judged.values()):
            raise ValueError("a score is not a number")
        return [
            Triage(
                id=text.id,
                **{head: _label(HEADS[head], judged[head][row]) for head in HEADS},
                language=languages[row],
                model=self.name,
                embedding=_packed(encoded.embeddings[row]),
            )
            for row, text in enumerate(texts)
        ]


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


def make(options: Mapping[str, Any]) -> Transformer:
    """Build the engine. Raises TypeError on an unknown option, ValueError on a wrong value."""
    return Transformer(**options)


ENGINE = Engine(kind="transformer", make=make)
