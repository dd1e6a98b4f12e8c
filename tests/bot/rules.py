"""A small engine for tests of the whole daemon: labels by the words of the scripted days, without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from classifiers.registry import Engine
from classifiers.triage import Label, Text, Triage

INTENTS = {
    "thank": "praise",
    "wonderful": "praise",
    "twice": "complaint",
    "billed": "complaint",
    "refund": "complaint",
    "not happy": "complaint",
    "logs me out": "technical_issue",
}
"""Part of a text -> its intent; everything else is about deliveries."""


class Rules:
    """Judges by INTENTS; makes no embeddings. delay_s: how long a batch takes."""

    name = foundation = "rules@1"

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s

    async def warm(self) -> None:
        return None

    async def classify(self, texts: Sequence[Text]) -> list[Triage]:
        await asyncio.sleep(self._delay_s)
        return [_judge(text) for text in texts]

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [b""] * len(texts)

    async def aclose(self) -> None:
        return None


def _judge(text: Text) -> Triage:
    words = text.text.lower()
    intent = next((intent for part, intent in INTENTS.items() if part in words), "delivery_item")
    return Triage(
        id=text.id,
        sentiment=_sure("neutral"),
        intent=_sure(intent),
        urgency=_sure("normal"),
        toxicity=_sure("ok"),
        spam=_sure("ok"),
        language=_sure("en"),
        model=Rules.name,
    )


def _sure(label: str) -> Label:
    return Label(label=label, confidence=0.95)


def make(options: Mapping[str, Any]) -> Rules:
    """Return the engine. Raises TypeError on an unknown option."""
    return Rules(**options)


ENGINE = Engine(kind="rules", make=make)
