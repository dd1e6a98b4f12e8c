"""Fits the weights of ``confidence``, prints how they hold on other questions: ``python -m handoff.knowledge.fit``.

Reads the folder $HARKEN_SHARED/data. A known question is asked twice: with its article in the index, and with it
taken out, which is the hardest way not to know. Requests to a home assistant (clinc150) and real posts to airlines and
shops (triage_posts) are never answered by these articles. The known weigh one third: on a brand's channels most posts
ask something no article answers.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from classifiers.registry import load
from classifiers.triage import Text
from handoff.knowledge.confidence import BY_WORDS, SIGNS, Doubt, Order, Weights, chances, scores, signs
from handoff.knowledge.material import Asked, Embed, Material

Array: TypeAlias = npt.NDArray[np.float64]

NOTHING = Order(meaning=0.0, title=0.0, whole=0.0, intent=0.0)
FEATURES = ("meaning", "title", "whole", "intent")


def fit_order(sets: Sequence[Asked], *, free: Collection[str], fixed: Order) -> Order:
    """Return the weights that make the right answers likeliest among all. free: features that may count.

    No weight falls below 0: a word in common never speaks against an article. fixed: values of what is not free.
    """
    start = np.array([5.0 if name in free else getattr(fixed, name) for name in FEATURES])
    bounds = [(0.0, 60.0) if name in free else (value, value) for name, value in zip(FEATURES, start, strict=True)]
    known = [
        (np.stack([getattr(each.features, name) for name in FEATURES], axis=-1).astype(np.float64), each)
        for each in sets
        if (each.right >= 0).all()
    ]

    def loss(weights: Array) -> float:
        total = 1e-3 * float((weights**2).sum())
        for evidence, each in known:
            scores = evidence @ weights
            scores -= scores.max(axis=1, keepdims=True)
            logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
            total -= each.weight * float(logs[np.arange(len(each.right)), each.right].sum())
        return total

    found = minimize(loss, start, bounds=bounds, method="L-BFGS-B").x
    return Order(**dict(zip(FEATURES, map(float, found), strict=True)))


def fit_doubt(sets: Sequence[Asked], order: Order, *, free: Collection[str], ceiling: float) -> Doubt:
    """Return the weights that make the chance of the first answer truest. free: signs that may count, never below 0."""
    shown, right, mass = [], [], []
    for each in sets:
        score = scores(each.features, order)
        shown.append(signs(each.features, score))
        right.append(score.argmax(axis=1) == each.right)
        mass.append(np.full(len(score), each.weight))
    x, y, w = np.concatenate(shown), np.concatenate(right), np.concatenate(mass)
    w = w / w.mean()
    bounds = [(None, 0.0), *((0.0, None) if name in free else (0.0, 0.0) for name in SIGNS)]

    def loss(weights: Array) -> float:
        odds = x @ weights[1:] + weights[0]
        return float((w * np.logaddexp(0.0, np.where(y, -odds, odds))).sum() + 1e-3 * (weights[1:] ** 2).sum())

    start = np.array([-1.0, *(1.0 if name in free else 0.0 for name in SIGNS)])
    none, *counts = map(float, minimize(loss, start, bounds=bounds, method="L-BFGS-B").x)
    return Doubt(none=none, ceiling=ceiling, **dict(zip(SIGNS, counts, strict=True)))


def judged(weights: Weights, each: Asked) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return how sure the first answer to each question is, and whether it is right."""
    chance = chances(each.features, weights)
    return chance.max(axis=1), chance.argmax(axis=1) == each.right


def report(title: str, weights: Weights, sets: Sequence[Asked]) -> list[str]:
    """Return lines: how often the first answer is right, and for each threshold how often it is when given."""
    lines = [title]
    sure, good, mass = [], [], []
    for each in sets:
        best, right = judged(weights, each)
        sure.append(best)
        good.append(right)
        mass.append(np.full(len(best), each.weight))
        lines.append(
            f"  {each.name:24} n={len(best):4} first right {right.mean():.3f}  mean confidence {best.mean():.3f}  "
            f"over 0.35 {(best > 0.35).mean():.3f}  over 0.9 {(best > 0.9).mean():.3f}"
        )
    p, ok, w = np.concatenate(sure), np.concatenate(good), np.concatenate(mass)
    known = sum(each.weight * (each.right >= 0).sum() for each in sets)
    unknown = np.concatenate([each.right < 0 for each in sets])
    for threshold in (0.2, 0.35, 0.5, 0.7, 0.8, 0.9, 0.95):
        over = p > threshold
        given = (w * over).sum()
        hits = (w * over * ok).sum()
        precision = hits / given if given else float("nan")
        false = (w * over * unknown).sum() / max((w * unknown).sum(), 1e-9)
        lines.append(
            f"  over {threshold:4}: right {precision:.3f}, of the known answered {hits / max(known, 1e-9):.3f}, "
            f"of the others {false:.4f}"
        )
    tenths = np.minimum((p * 10).astype(int), 9)
    error = sum(abs((w * (ok - p))[tenths == k].sum()) for k in range(10)) / w.sum()
    lines.append(f"  calibration error (ten bins): {error:.3f}")
    return lines


def run(data: Path, embed: Embed, intents_of: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """Fit everything on one half of the questions and return the report on the other."""
    material = Material(data, embed)
    index = material.stackfaq()
    first, second = slice(0, None, 2), slice(1, None, 2)
    lines = []
    for by_meaning in (True, False):
        name = "by meaning" if by_meaning else "by words"
        sets = material.on_stackfaq(index, "train", first, by_meaning=by_meaning)
        sets += material.on_banking(first, by_meaning=by_meaning)
        for language in ("en", "es", "fr", "zh"):
            sets += material.on_login(language, first, by_meaning=by_meaning)
        order = fit_order(sets, free=("meaning", "title", "whole") if by_meaning else ("title", "whole"), fixed=NOTHING)
        banking = material.on_banking(first, by_meaning=by_meaning, intents_of=intents_of)
        order = fit_order(banking, free=("intent",), fixed=order)
        doubt = fit_doubt(
            sets, order, free=SIGNS if by_meaning else SIGNS[1:], ceiling=1.0 if by_meaning else BY_WORDS.doubt.ceiling
        )
        weights = Weights(order=order, doubt=doubt)
        lines.append(f"{name}: {order} {doubt}")
        held = material.on_stackfaq(index, "validation", second, by_meaning=by_meaning)
        lines += report(f"{name}, stackfaq validation", weights, held)
        held = material.on_banking(second, by_meaning=by_meaning, intents_of=intents_of)
        lines += report(f"{name}, banking77, other half", weights, held)
        for language in ("en", "es", "fr", "zh"):
            held = material.on_login(language, second, by_meaning=by_meaning)
            lines += report(f"{name}, login.gov {language}, other half", weights, held)
        if by_meaning:
            lines += abroad(material, order)
    return lines


def abroad(material: Material, order: Order) -> list[str]:
    """Fit the doubt in articles that are not in the customer's language, by likeness alone, and return the report."""
    languages = ("es", "fr", "zh")
    sets = [each for language in languages for each in material.on_login_abroad(language, slice(0, None, 2))]
    weights = Weights(order=order, doubt=fit_doubt(sets, order, free=SIGNS[:2], ceiling=1.0))
    held = [each for language in languages for each in material.on_login_abroad(language, slice(1, None, 2))]
    return [f"abroad: {weights.doubt}", *report("abroad, other half", weights, held)]


def main() -> None:
    """Fit with the shipped engine."""
    shared = os.environ.get("HARKEN_SHARED")
    if not shared:
        sys.exit("set HARKEN_SHARED to the folder that holds data/")
    engine = load("transformer").make({})
    with asyncio.Runner() as runner:
        runner.run(engine.warm())

        def embed(texts: Sequence[str]) -> list[bytes]:
            return runner.run(engine.embed(texts))

        def intents_of(texts: Sequence[str]) -> list[str]:
            judged = runner.run(engine.classify([Text(id=str(n), text=text) for n, text in enumerate(texts)]))
            return [each.intent.label for each in judged]

        sys.stdout.write("\n".join(run(Path(shared) / "data", embed, intents_of)) + "\n")
        runner.run(engine.aclose())


if __name__ == "__main__":
    main()
