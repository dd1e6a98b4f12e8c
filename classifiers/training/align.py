"""The last stage: the projection alone, over features that no longer move, until its embeddings find answers.

Tuning for labels draws together what is felt alike, which is not what is asked alike. Three losses put that right:
texts of one kind against all others, similarities as an encoder made for finding sees them (all-MiniLM-L6-v2, English),
and every text near the place where the encoder had it before tuning, which keeps languages together.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from classifiers.training.sets import Lesson

STEPS = 2000
RATE = 1e-3
SHARPNESS = 20.0
KINDS = 40
EACH = 3
OTHERS = 120
"""Texts of one step: of some kinds a few each, so that near ones stand together, and others at random."""

ALIKE = 20.0
CONTRAST = 0.2
FAITH = 0.5
FAITH_ABROAD = 2.0


MOST_OF_A_KIND = 20
ENGLISH_POSTS = 2500
ABROAD = 4000


@dataclass(frozen=True, slots=True)
class Chosen:
    """Texts to align, English ones first. english: how many those are. groups: set -> kind -> rows."""

    texts: list[str]
    english: int
    groups: list[list[list[int]]]


@dataclass(frozen=True, slots=True)
class Texts:
    """What is known of the chosen texts, by row.

    features: texts x (2 * width). before: texts x EMBEDDING_DIM, of the encoder as it was, centred and L2-normalised.
    alike: of the English ones, what MiniLM says of them. groups: as in ``Chosen``.
    """

    features: torch.Tensor
    before: torch.Tensor
    alike: torch.Tensor
    groups: Sequence[Sequence[Sequence[int]]]


def choose(lessons: Sequence[Lesson], kinds: Sequence[Sequence[Sequence[str]]], *, seed: int) -> Chosen:
    """Return the texts to align. kinds: set -> kind -> texts, all English."""
    chance = random.Random(seed)
    texts: list[str] = []
    groups: list[list[list[int]]] = []
    for own in kinds:
        groups.append([])
        for kind in own:
            some = chance.sample(list(kind), min(MOST_OF_A_KIND, len(kind)))
            groups[-1].append([*range(len(texts), len(texts) + len(some))])
            texts += some
    english = [lesson.text for lesson in lessons if lesson.language == "en" and "urgency" in lesson.labels]
    texts += chance.sample(english, min(ENGLISH_POSTS, len(english)))
    count = len(texts)
    abroad = [lesson.text for lesson in lessons if lesson.language != "en"]
    return Chosen([*texts, *chance.sample(abroad, min(ABROAD, len(abroad)))], count, groups)


def project(texts: Texts, projection: torch.Tensor, *, seed: int, steps: int) -> torch.Tensor:
    """Return a better *projection*, (2 * width) x EMBEDDING_DIM."""
    weight = projection.clone().float().requires_grad_()
    optimizer = torch.optim.AdamW([weight], lr=RATE, weight_decay=0.0)
    chance = random.Random(seed)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        loss = _loss(texts, weight, chance)
        (weight.grad,) = torch.autograd.grad(loss, [weight])
        optimizer.step()
    return weight.detach()


def _loss(texts: Texts, weight: torch.Tensor, chance: random.Random) -> torch.Tensor:
    kinds = chance.choice(texts.groups)
    chosen = [kinds[kind] for kind in chance.sample(range(len(kinds)), min(KINDS, len(kinds)))]
    english = len(texts.alike)
    near = [row for rows in chosen for row in chance.sample(list(rows), min(EACH, len(rows)))]
    near += chance.choices(range(english), k=OTHERS)
    abroad = range(english, len(texts.features))
    pairs = [chance.sample(list(rows), 2) for rows in chosen]
    made = _embedded(texts, weight, near)
    alike = ((made @ made.T - texts.alike[near] @ texts.alike[near].T) ** 2).mean()
    ones, others = (_embedded(texts, weight, [pair[side] for pair in pairs]) for side in (0, 1))
    scores, own = SHARPNESS * ones @ others.T, torch.arange(len(pairs))
    contrast = nn.functional.cross_entropy(scores, own) + nn.functional.cross_entropy(scores.T, own)
    loss = ALIKE * alike + CONTRAST * contrast + FAITH * _away(made, texts.before[near])
    if abroad:
        far = chance.choices(abroad, k=OTHERS)
        loss = loss + FAITH_ABROAD * _away(_embedded(texts, weight, far), texts.before[far])
    return loss


def _embedded(texts: Texts, weight: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    return nn.functional.normalize(texts.features[rows] @ weight, dim=1)


def _away(made: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    return (1 - (made * before).sum(1)).mean()
