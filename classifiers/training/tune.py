"""Fine-tuning: every step moves the encoder and all heads a little. Deterministic, and resumable at any kept step.

Each step is done in two halves, one processor each; their gradients are added in a fixed order. Chance comes from seed,
step and half alone, so a run that was cut off ends in the same weights as one that was not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from classifiers.training.course import Step, pairs
from classifiers.training.network import Network, padded, pooled, seed_thread, trained
from classifiers.training.sets import Lesson
from classifiers.triage import HEADS

RATE = 1e-4
HEAD_RATE = 1e-3
DECAY = 0.01
LAYER_DECAY = 0.93
"""Lower layers know language, upper ones the task: each layer learns a little slower than the one above it."""

SMOOTHING = 0.05
CLIP = 1.0
SHARPNESS = 20.0
"""One over the temperature of the contrastive loss (0.05, as SimCSE, Gao et al. 2021)."""

FAITH = 2.0
"""How much an embedding is held to what the encoder said before it was tuned, which keeps languages together."""

AVERAGE = 0.998
"""The weights that are shipped are a running average of the last some five hundred steps."""

ABROAD = 20
BEFORE_AT_ONCE = 64
KEEP_EVERY = 200
REACHED = "reached.safetensors"
HALVES = 2
MAX_TOKENS = 64
"""Pieces of a text that training reads; nineteen posts in twenty have no more."""
LOSS_SHARE = {"sentiment": 1.0, "intent": 1.0, "urgency": 0.7, "toxicity": 0.7, "spam": 0.3}


@dataclass(frozen=True, slots=True)
class Material:
    """All that a step reads. tokens: of each lesson. groups: set -> kind -> rows of *kinds*, *teacher* their twin.

    abroad: tokens and teacher's tokens of texts in many languages, whose embeddings are held where they were.
    """

    lessons: Sequence[Lesson]
    tokens: Sequence[Sequence[int]]
    groups: Sequence[Sequence[Sequence[int]]]
    kinds: Sequence[Sequence[int]]
    kinds_asked: Sequence[Sequence[int]]
    abroad: Sequence[Sequence[int]]
    abroad_asked: Sequence[Sequence[int]]
    pad: int


class Tuning:
    """A run: the network, its optimiser, the average, and the step it has reached."""

    def __init__(self, network: Network, material: Material, steps: Sequence[Step], *, seed: int) -> None:
        self.network, self.material, self.steps, self.seed = network, material, steps, seed
        self.names, self.weights = zip(*trained(network), strict=True)
        self.rates = [_rate(name, network) for name in self.names]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [weight], "lr": rate, "weight_decay": DECAY if weight.ndim > 1 else 0.0}
                for weight, rate in zip(self.weights, self.rates, strict=True)
            ],
            betas=(0.9, 0.98),
            foreach=True,
        )
        self.average = [weight.detach().clone() for weight in self.weights]
        self.earlier: list[torch.Tensor] = []
        self.done = 0
        self._teacher = deepcopy(network.encoder)
        self._teacher.train(False)
        self._centre = self._mean()
        self._halves = ThreadPoolExecutor(HALVES, "half", initializer=lambda: torch.set_num_threads(1))

    def run(self, folder: Path) -> None:
        """Go on to the last step; what was reached is kept in *folder* every KEEP_EVERY steps."""
        self._resume(folder)
        self.network.train()
        shown = tqdm(total=len(self.steps), initial=self.done, desc="fine-tuning", unit="step", mininterval=5)
        smooth: dict[str, float] = {}
        while self.done < len(self.steps):
            losses = self._step(self.steps[self.done])
            self.done += 1
            for name, loss in losses.items():
                smooth[name] = 0.98 * smooth.get(name, loss) + 0.02 * loss
            shown.set_postfix({name: f"{loss:.3f}" for name, loss in sorted(smooth.items())}, refresh=False)
            shown.update()
            if self.done % KEEP_EVERY == 0 or self.done == len(self.steps):
                self._keep(folder)
        shown.close()
        self._halves.shutdown()

    def averaged(self) -> Network:
        """Return the network with the averaged weights, ready to judge.

        Half of them are from before the last stage: it fits posts to brands better, and the mean of both forgets less.
        """
        network = deepcopy(self.network)
        with torch.no_grad():
            for (_, weight), mean, before in zip(
                trained(network), self.average, self.earlier or self.average, strict=True
            ):
                weight.copy_((mean + before) / 2)
        network.train(False)
        return network

    def before(self, asked: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return what the encoder said of texts before it was tuned, texts x EMBEDDING_DIM, centred and L2-normalised.

        asked: tokens of each, with the prefix that it wants.
        """
        said = torch.zeros(len(asked), self._centre.shape[0])
        order = sorted(range(len(asked)), key=lambda row: len(asked[row]))
        for at in range(0, len(order), BEFORE_AT_ONCE):
            some = order[at : at + BEFORE_AT_ONCE]
            said[some] = self._said([asked[row] for row in some])
        return nn.functional.normalize(said - self._centre, dim=1)

    def _step(self, step: Step) -> dict[str, float]:
        work = self._labels(step) if step.rows else self._pairs()
        made = list(work)
        with torch.no_grad():
            for index, weight in enumerate(self.weights):
                parts = [part for gradients, _ in made if (part := gradients[index]) is not None]
                weight.grad = torch.stack(parts).sum(0) if parts else None
        nn.utils.clip_grad_norm_(self.weights, CLIP)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * step.rate
        self.optimizer.step()
        with torch.no_grad():
            hold = min(AVERAGE, (1 + self.done) / (10 + self.done))
            torch._foreach_lerp_(self.average, [weight.detach() for weight in self.weights], 1 - hold)
            if step.ends_course:
                self.earlier = [mean.clone() for mean in self.average]
        losses: dict[str, float] = {}
        for _, own in made:
            for name, loss in own.items():
                losses[name] = losses.get(name, 0.0) + loss
        return losses

    def _labels(self, step: Step) -> Iterable[tuple[list[torch.Tensor | None], dict[str, float]]]:
        halves = [step.rows[half::HALVES] for half in range(HALVES)]
        totals = {
            head: sum(self.material.lessons[row].weights.get(head, 0.0) for row in step.rows) or 1.0 for head in HEADS
        }
        return self._halves.map(self._half, range(HALVES), halves, [totals] * HALVES)

    def _half(
        self, half: int, rows: Sequence[int], totals: Mapping[str, float]
    ) -> tuple[list[torch.Tensor | None], dict[str, float]]:
        seed_thread(self.seed * 1_000_003 + self.done * HALVES + half)
        if not rows:
            return [None] * len(self.weights), {}
        features = self.network.features(*padded([self.material.tokens[row] for row in rows], self.material.pad))
        whole, losses = features.new_zeros(()), {}
        for head, labels in HEADS.items():
            own = [at for at, row in enumerate(rows) if head in self.material.lessons[row].labels]
            if not own:
                continue
            taught = [self.material.lessons[rows[at]] for at in own]
            gold = torch.tensor([labels.index(lesson.labels[head]) for lesson in taught])
            counts = torch.tensor([lesson.weights[head] for lesson in taught])
            each = nn.functional.cross_entropy(
                self.network.head(head)(features[own]), gold, reduction="none", label_smoothing=SMOOTHING
            )
            # The share of the step's rows that teach this head: a head with few rows must not shout.
            loss = (each * counts).sum() / max(totals[head], 8.0)
            losses[head] = float(loss.detach())
            whole = whole + LOSS_SHARE[head] * loss
        return self._gradients(whole), losses

    def _pairs(self) -> Iterable[tuple[list[torch.Tensor | None], dict[str, float]]]:
        """Teach what belongs together. One half holds all pairs, since each is measured against all others."""
        chosen = pairs(self.material.groups, seed=self.seed, step=self.done)
        near, far = self._halves.submit(self._together, chosen), self._halves.submit(self._abroad)
        return [near.result(), far.result()]

    def _together(self, chosen: Sequence[tuple[int, int]]) -> tuple[list[torch.Tensor | None], dict[str, float]]:
        seed_thread(self.seed * 1_000_003 + self.done * HALVES)
        rows = [first for first, _ in chosen] + [second for _, second in chosen]
        material = self.material
        vectors = self.network.embed(
            self.network.features(*padded([material.kinds[row] for row in rows], material.pad))
        )
        ones, others = vectors.chunk(2)
        alike = SHARPNESS * ones @ others.T
        own = torch.arange(len(chosen))
        contrast = nn.functional.cross_entropy(alike, own) + nn.functional.cross_entropy(alike.T, own)
        return self._gradients(contrast / 2 + self._faith(vectors, [material.kinds_asked[row] for row in rows])), {
            "pairs": float(contrast.detach()) / 2
        }

    def _abroad(self) -> tuple[list[torch.Tensor | None], dict[str, float]]:
        seed_thread(self.seed * 1_000_003 + self.done * HALVES + 1)
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + self.done)
        rows = torch.randint(len(self.material.abroad), (ABROAD,), generator=chance).tolist()
        material = self.material
        vectors = self.network.embed(self.network.features(*padded([material.abroad[r] for r in rows], material.pad)))
        faith = self._faith(vectors, [material.abroad_asked[row] for row in rows])
        return self._gradients(faith), {"faith": float(faith.detach()) / FAITH}

    def _faith(self, vectors: torch.Tensor, asked: Sequence[Sequence[int]]) -> torch.Tensor:
        with torch.no_grad():
            wanted = self.before(asked)
        return FAITH * (1 - (vectors * wanted).sum(1)).mean()

    def _said(self, asked: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return what the encoder said of texts before it was tuned, L2-normalised."""
        with torch.no_grad():
            features = pooled(self._teacher, *padded(asked, self.material.pad))
            return nn.functional.normalize(features[:, features.shape[1] // 2 :], dim=1)

    def _mean(self) -> torch.Tensor:
        """Return the mean embedding: e5 puts all texts into one corner, so what they share must be taken off."""
        asked = [*self.material.kinds_asked, *self.material.abroad_asked]
        some = asked[:: max(1, len(asked) // 1024)]
        if not some:
            return torch.zeros(self.network.projection.out_features)
        return torch.cat([self._said(some[at : at + 32]) for at in range(0, len(some), 32)]).mean(0)

    def _gradients(self, loss: torch.Tensor) -> list[torch.Tensor | None]:
        return [*torch.autograd.grad(loss, self.weights, allow_unused=True)]

    def _keep(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kept: dict[str, torch.Tensor] = {}
        for name, weight, mean in zip(self.names, self.weights, self.average, strict=True):
            kept |= {f"weight.{name}": weight.detach(), f"average.{name}": mean}
            state: Mapping[str, Any] = self.optimizer.state.get(weight, {})
            kept |= {f"{key}.{name}": value.reshape(-1) for key, value in state.items()}
        kept |= {f"earlier.{name}": mean for name, mean in zip(self.names, self.earlier, strict=False)}
        fresh = folder / "reached.new"
        save_file(
            {name: part.contiguous().clone() for name, part in kept.items()},
            fresh,
            {"reached": json.dumps({"done": self.done, "steps": len(self.steps), "seed": self.seed})},
        )
        os.replace(fresh, folder / REACHED)

    def _resume(self, folder: Path) -> None:
        """Take up what *folder* holds. Raises ValueError where it is of another run."""
        path = folder / REACHED
        if not path.is_file():
            return
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["reached"])
        if (facts["steps"], facts["seed"]) != (len(self.steps), self.seed):
            raise ValueError(f"{path} is of a run with other data or another seed; name another folder, or remove it")
        kept = load_file(path)
        self.done = int(facts["done"])
        self.earlier = [kept[name] for each in self.names if (name := f"earlier.{each}") in kept]
        with torch.no_grad():
            for name, weight, mean in zip(self.names, self.weights, self.average, strict=True):
                weight.copy_(kept[f"weight.{name}"])
                mean.copy_(kept[f"average.{name}"])
                if f"exp_avg.{name}" in kept:
                    self.optimizer.state[weight] = {
                        "step": kept[f"step.{name}"].reshape(()),
                        "exp_avg": kept[f"exp_avg.{name}"].reshape(weight.shape),
                        "exp_avg_sq": kept[f"exp_avg_sq.{name}"].reshape(weight.shape),
                    }


def _rate(name: str, network: Network) -> float:
    if not name.startswith("encoder."):
        return HEAD_RATE
    layers = network.encoder.config.num_hidden_layers
    below = int(name.split(".")[3]) if name.startswith("encoder.encoder.layer.") else -1
    return float(RATE * LAYER_DECAY ** (layers - 1 - below))
