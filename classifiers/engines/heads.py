"""The trained heads: a folder with manifest.json and one safetensors file, checked before a byte of it is believed.

A head reads the encoder's features and has a linear path and one hidden layer, added up:
logits = (features W + b) + gelu(features H + c) V, divided by the temperature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from classifiers.engines.encoder import LAYERS, Vectors, digest
from classifiers.errors import ModelMissing, ModelRefused
from classifiers.triage import EMBEDDING_DIM, HEADS

SHIPPED = Path(__file__).parent.parent / "models"
FORMAT = 1
WIDTH = EMBEDDING_DIM * len(LAYERS)
PARTS = ("W", "b", "H", "c", "V")
_ADVICE = "leave out the key 'model' to use the shipped heads, or train new ones: python -m classifiers.training --help"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands in manifest.json. temperatures: head -> (texts the encoder can read, texts in other languages)."""

    name: str
    file: str
    sha256: str
    encoder_sha256: str
    max_tokens: int
    languages: tuple[str, ...]
    temperatures: Mapping[str, tuple[float, float]]

    @property
    def revision(self) -> str:
        return f"{self.name}-{self.sha256[:8]}"


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the heads in *folder*. Raises ModelMissing, ModelRefused."""
    path = folder / "manifest.json"
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read; {_ADVICE}") from error
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{path} is not JSON; {_ADVICE}") from error
    try:
        return _manifest(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelRefused(f"{path} is not a manifest of heads ({error}); {_ADVICE}") from error


def _manifest(raw: Any) -> Manifest:
    if raw["format"] != FORMAT:
        raise ValueError(f"format {raw['format']!r}, and this program reads format {FORMAT}")
    if raw["layers"] != list(LAYERS):
        raise ValueError("other layers of the encoder")
    heads = raw["heads"]
    for head, labels in HEADS.items():
        if tuple(heads[head]["labels"]) != labels:
            raise ValueError(f"head {head}: other labels or another order")
    file = str(raw["file"])
    if Path(file).name != file or not file.endswith(".safetensors"):
        raise ValueError("its file must be a .safetensors beside it")
    temperatures = {
        head: (float(heads[head]["temperature"]), float(heads[head]["foreign_temperature"])) for head in HEADS
    }
    if not all(0.05 <= value <= 20.0 for pair in temperatures.values() for value in pair):
        raise ValueError("a temperature is outside 0.05 to 20")
    return Manifest(
        name=str(raw["name"]),
        file=file,
        sha256=str(raw["sha256"]),
        encoder_sha256=str(raw["encoder"]["sha256"]),
        max_tokens=int(raw["max_tokens"]),
        languages=tuple(map(str, raw["languages"])),
        temperatures=temperatures,
    )


class Heads:
    """All heads of one folder, ready to judge features."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelMissing, ModelRefused."""
        self.manifest = read_manifest(folder)
        path = folder / self.manifest.file
        if not path.is_file():
            raise ModelMissing(f"{path} is not there; {_ADVICE}")
        if digest(path) != self.manifest.sha256:
            raise ModelRefused(f"{path} was altered: its sha256 is not the one in manifest.json; {_ADVICE}")
        try:
            tensors = load_tensors(path.read_bytes())
        except (SafetensorError, ValueError, RuntimeError) as error:
            raise ModelRefused(f"{path} is not a safetensors file; {_ADVICE}") from error
        self._parts = {head: _parts(tensors, head, len(labels), path) for head, labels in HEADS.items()}

    def judge(self, features: Vectors, foreign: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Vectors]:
        """Return head -> texts x labels, probabilities, labels as in HEADS. foreign: texts the encoder reads badly."""
        with torch.inference_mode():
            read = torch.from_numpy(features)
            return {
                head: _probabilities(logits(read, parts), self.manifest.temperatures[head], foreign)
                for head, parts in self._parts.items()
            }


def logits(features: torch.Tensor, parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return texts x labels."""
    hidden = torch.nn.functional.gelu(features @ parts["H"] + parts["c"])
    return features @ parts["W"] + parts["b"] + hidden @ parts["V"]


def _probabilities(
    scores: torch.Tensor, temperatures: tuple[float, float], foreign: np.ndarray[Any, np.dtype[np.bool_]]
) -> Vectors:
    own, other = temperatures
    divisor = torch.from_numpy(np.where(foreign, other, own).astype(np.float32)).unsqueeze(1)
    probabilities: Vectors = torch.softmax(scores / divisor, 1).numpy()
    return probabilities


def _parts(tensors: Mapping[str, torch.Tensor], head: str, labels: int, path: Path) -> dict[str, torch.Tensor]:
    missing = [part for part in PARTS if f"{head}.{part}" not in tensors]
    if missing:
        raise ModelRefused(f"{path} lacks {head}.{missing[0]}; {_ADVICE}")
    parts = {part: tensors[f"{head}.{part}"].float() for part in PARTS}
    hidden = parts["H"].shape[-1]
    shapes = {"W": (WIDTH, labels), "b": (labels,), "H": (WIDTH, hidden), "c": (hidden,), "V": (hidden, labels)}
    for part, shape in shapes.items():
        if tuple(parts[part].shape) != shape or not bool(torch.isfinite(parts[part]).all()):
            raise ModelRefused(f"{path}: {head}.{part} must be finite and have the shape {shape}; {_ADVICE}")
    return parts
