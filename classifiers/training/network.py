"""The network that is trained: the encoder, the five heads and the projection that makes embeddings.

Features are the first state and the mean of all states of the last layer, side by side (2 x width). A head adds a
linear path and one hidden layer; an embedding is a projection of the features.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn
from transformers import BertConfig, BertModel

from classifiers.training.e5 import Array, Shape
from classifiers.triage import EMBEDDING_DIM, HEADS

HIDDEN = 128
DROPOUT = 0.1
FROZEN = 3
"""Lowest layers that training leaves alone, with the embeddings: a sixth less work, and languages stay together."""

_chance = threading.local()


def seed_thread(seed: int) -> None:
    """Set the chance that drop-out in this thread goes by; torch's own is shared, so two threads would race for it."""
    _chance.generator = torch.Generator().manual_seed(seed)


class Dropout(nn.Module):
    """Drop-out by the chance of the thread it runs in, a random byte a number: eight times faster than bernoulli_."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._below = round(256 * p)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return states
        count = states.numel()
        drawn = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None, generator=_chance.generator)
        kept = drawn.view(torch.uint8)[:count].view(states.shape) >= self._below
        return states * kept * (256 / (256 - self._below))


class Head(nn.Module):
    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.straight = nn.Linear(width, labels)
        self.inward = nn.Linear(width, HIDDEN)
        self.outward = nn.Linear(HIDDEN, labels, bias=False)
        self.drop = Dropout(DROPOUT)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.drop(features)
        bent = self.drop(nn.functional.gelu(self.inward(features)))
        scores: torch.Tensor = self.straight(features) + self.outward(bent)
        return scores

    def parts(self) -> dict[str, torch.Tensor]:
        """Return the weights as ``classifiers.engines.heads`` names them."""
        return {
            "W": self.straight.weight.T,
            "b": self.straight.bias,
            "H": self.inward.weight.T,
            "c": self.inward.bias,
            "V": self.outward.weight.T,
        }


class Network(nn.Module):
    def __init__(self, shape: Shape, pieces: int) -> None:
        super().__init__()
        self.encoder = bert(shape, pieces)
        self.heads = nn.ModuleDict({head: Head(2 * shape.hidden, len(labels)) for head, labels in HEADS.items()})
        self.projection = nn.Linear(2 * shape.hidden, EMBEDDING_DIM, bias=False)
        with torch.no_grad():
            # At first an embedding is the mean of the states, which is what the encoder was made for.
            self.projection.weight.copy_(
                torch.cat([torch.zeros(EMBEDDING_DIM, shape.hidden), torch.eye(shape.hidden)], 1)
            )
        for part in (self.encoder.embeddings, *self.encoder.encoder.layer[:FROZEN]):
            part.requires_grad_(False)

    def head(self, name: str) -> Head:
        """Return the head called *name*."""
        module = self.heads[name]
        if not isinstance(module, Head):
            raise TypeError(name)
        return module

    def features(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return texts x (2 * width). ids, mask: texts x pieces."""
        return pooled(self.encoder, ids, mask)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Return texts x EMBEDDING_DIM, L2-normalised."""
        return nn.functional.normalize(self.projection(features), dim=1)


def bert(shape: Shape, pieces: int) -> BertModel:
    """Return an empty encoder. Drop-out is ours; none in the attention, so that it stays one fused step."""
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        layer_norm_eps=shape.eps,
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=DROPOUT,
    )
    model = BertModel(config, add_pooling_layer=False)
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Dropout):
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, Dropout(module.p))
    return model


def load(encoder: BertModel, weights: Mapping[str, Array], rows: Sequence[int] | None = None) -> None:
    """Put *weights* into *encoder*. rows: of the word embeddings, where only some are kept."""
    state = {name: torch.from_numpy(np.array(part)) for name, part in weights.items()}
    if rows is not None:
        words = "embeddings.word_embeddings.weight"
        state[words] = state[words][torch.tensor(rows)]
    encoder.load_state_dict(state, strict=True)


def pooled(encoder: BertModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the first state and the mean of the states, side by side."""
    states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    shares = (mask / mask.sum(1, keepdim=True)).unsqueeze(1)
    return torch.cat([states[:, 0], torch.bmm(shares, states).squeeze(1)], 1)


def padded(tokens: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask, texts x the longest one's pieces."""
    longest = max(map(len, tokens))
    ids = torch.full((len(tokens), longest), pad, dtype=torch.long)
    mask = torch.zeros(len(tokens), longest)
    for row, piece in enumerate(tokens):
        ids[row, : len(piece)] = torch.tensor(piece)
        mask[row, : len(piece)] = 1
    return ids, mask


def trained(network: Network) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield what training moves, with its name."""
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            yield name, parameter
