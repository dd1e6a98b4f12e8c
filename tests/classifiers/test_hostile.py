"""Strings that other people wrote to break programs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from classifiers.engines.keywords import Keywords
from classifiers.engines.transformer import Transformer
from classifiers.registry import ClassifierEmbedder
from classifiers.triage import HEADS, Text

FOLDERS = ("abuse", "csv", "html", "json", "prompt", "regex", "sql", "text", "unicode", "url", "xss")


@pytest.fixture(scope="module")
def lines(shared: Path) -> list[str]:
    """Every line of the hostile lists, broken bytes as lone surrogates."""
    found: list[str] = []
    for folder in FOLDERS:
        for path in sorted((shared / "data" / "hostile" / folder).rglob("*")):
            if path.is_file():
                found += path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    return found


async def judged(engine: ClassifierEmbedder, lines: list[str]) -> float:
    """Return the seconds that *lines* took; every one of them has an answer for every head."""
    started = time.perf_counter()
    answers = await engine.classify([Text(id=str(n), text=line) for n, line in enumerate(lines)])
    took = time.perf_counter() - started
    assert [answer.id for answer in answers] == [str(n) for n in range(len(lines))]
    assert all(getattr(answer, head).label in labels for answer in answers for head, labels in HEADS.items())
    return took


async def test_ten_thousand_hostile_lines_have_an_answer(rules: Keywords, lines: list[str]) -> None:
    assert len(lines) > 10_000
    step = len(lines) // 10_000
    assert await judged(rules, lines[::step][:10_000]) < 60


async def test_the_model_answers_hostile_lines_too(model: Transformer, lines: list[str]) -> None:
    assert await judged(model, lines[:: len(lines) // 400][:400]) < 60


async def test_the_longest_hostile_lines_are_bounded(model: Transformer, lines: list[str]) -> None:
    assert await judged(model, sorted(lines, key=len)[-40:]) < 30
