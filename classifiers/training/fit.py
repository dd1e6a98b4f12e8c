"""Fits one head on features, and the temperature that makes its confidences true."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from classifiers.engines.encoder import Vectors
from classifiers.engines.heads import logits

HIDDEN = 256
DROPOUT = 0.4
EPOCHS = 8
BATCH = 256
RATE = 1e-3
DECAY = 0.2
SMOOTHING = 0.05
"""Chosen on the validation split of triage_posts; a head without the hidden layer was 1 to 4 points worse on the
union of the sets (docs/triage.md)."""

Indices = np.ndarray[Any, np.dtype[np.int64]]


class _Head(torch.nn.Module):
    def __init__(self, width: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.straight = torch.nn.Linear(width, labels)
        self.inward = torch.nn.Linear(width, hidden)
        self.outward = torch.nn.Linear(hidden, labels, bias=False)
        self.drop = torch.nn.Dropout(DROPOUT)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.drop(features)
        bent = self.drop(torch.nn.functional.gelu(self.inward(features)))
        scores: torch.Tensor = self.straight(features) + self.outward(bent)
        return scores


def fit(
    features: Vectors, gold: Indices, weights: Vectors, *, labels: int, seed: int, hidden: int = HIDDEN
) -> dict[str, torch.Tensor]:
    """Return the parts of a head (see ``classifiers.engines.heads``) as float16. Same seed and input, same head."""
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    read, right, counts = torch.from_numpy(features), torch.from_numpy(gold), torch.from_numpy(weights)
    mean, spread = read.mean(0), read.std(0)
    # A few of the encoder's numbers hardly move; dividing by so little would leave float16.
    spread = spread.clamp_min(float(spread.median()) / 4)
    read = (read - mean) / spread
    head = _Head(read.shape[1], labels, hidden)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(read) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(read), generator=order), BATCH):
            losses = torch.nn.functional.cross_entropy(
                head(read[rows]), right[rows], reduction="none", label_smoothing=SMOOTHING
            )
            loss = (losses * counts[rows]).sum() / counts[rows].sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    parts = _folded(head, mean, spread)
    if not all(bool(torch.isfinite(part).all()) for part in parts.values()):
        raise ArithmeticError("the fitted head does not fit into float16")
    return parts


def _folded(head: _Head, mean: torch.Tensor, spread: torch.Tensor) -> dict[str, torch.Tensor]:
    """Take the standardising into the weights, so that the engine need not know of it."""
    with torch.no_grad():
        straight, inward = head.straight.weight / spread, head.inward.weight / spread
        parts = {
            "W": straight.T,
            "b": head.straight.bias - straight @ mean,
            "H": inward.T,
            "c": head.inward.bias - inward @ mean,
            "V": head.outward.weight.T,
        }
        return {name: part.half().contiguous() for name, part in parts.items()}


def scores(parts: dict[str, torch.Tensor], features: Vectors) -> torch.Tensor:
    """Return texts x labels, before temperature, as the engine will see them."""
    with torch.inference_mode():
        return logits(torch.from_numpy(features), {name: part.float() for name, part in parts.items()})


def temperature(given: torch.Tensor, gold: Indices) -> float:
    """Return the divisor of *given* with the least negative log-likelihood (Guo et al. 2017), from 0.5 to 8."""
    right = torch.from_numpy(gold)
    candidates = [round(0.5 * 1.03**step, 3) for step in range(94)]
    losses = [float(torch.nn.functional.cross_entropy(given / divisor, right)) for divisor in candidates]
    return candidates[int(np.argmin(losses))]
