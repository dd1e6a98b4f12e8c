"""Writes a trained network as the folder that the engine loads."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from classifiers.engines.heads import PROJECTION
from classifiers.engines.model import FORMAT, LINEARS, MANIFEST, PACKED, POSITIONS, TYPES, WORDS
from classifiers.engines.weights import Tensors, quantised
from classifiers.training.network import Network
from classifiers.triage import HEADS

NAMES = {
    "tokenizer": "tokenizer.safetensors",
    "words": "words.safetensors",
    "layers": "layers.safetensors",
    "heads": "heads.safetensors",
    "validation": "validation.safetensors",
}


def encoder(network: Network) -> tuple[Tensors, Tensors]:
    """Return the tensors of the words and of the layers."""
    state = {name: part.detach().float().numpy() for name, part in network.encoder.state_dict().items()}
    numbers, scales = quantised(state[f"{WORDS}.weight"])
    words: Tensors = {f"{WORDS}.q": numbers, f"{WORDS}.s": scales}
    # No text here has a second part, so the type is the same everywhere and goes into the positions.
    layers: Tensors = {POSITIONS: state[f"{POSITIONS}.weight"] + state[f"{TYPES}.weight"][:1]}
    for name, part in state.items():
        stem = name.removesuffix(".weight")
        if any(stem.endswith(f".{linear}") for linear in LINEARS) and name != stem:
            layers[f"{stem}.q"], layers[f"{stem}.s"] = quantised(part)
        elif "LayerNorm" in name or name.endswith(".bias"):
            layers[name] = part
    return words, layers


def heads(network: Network) -> Tensors:
    """Return the tensors of the heads and of the projection, in float16. Raises ArithmeticError if one is too large."""
    parts = {f"{head}.{name}": part for head in HEADS for name, part in network.head(head).parts().items()}
    parts[PROJECTION] = network.projection.weight.T
    made: Tensors = {name: part.detach().half().contiguous().numpy() for name, part in parts.items()}
    if not all(bool(np.isfinite(part).all()) for part in made.values()):
        raise ArithmeticError("a head does not fit into float16")
    return made


def write(
    folder: Path, manifest: Mapping[str, Any], tokenizer: Mapping[str, Any], files: Mapping[str, Tensors]
) -> dict[str, Any]:
    """Write *files* (part -> tensors), the tokenizer and the manifest; return the manifest with its digests."""
    folder.mkdir(parents=True, exist_ok=True)
    whole_text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")).encode()
    # No time in the archive, so that the same pieces make the same bytes.
    packed: Tensors = {PACKED: np.frombuffer(gzip.compress(whole_text, mtime=0), np.uint8)}
    for part, tensors in {"tokenizer": packed, **files}.items():
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / NAMES[part])
    digests = {
        part: {"file": NAMES[part], "sha256": hashlib.sha256((folder / NAMES[part]).read_bytes()).hexdigest()}
        for part in ("tokenizer", *files)
    }
    whole = {"format": FORMAT, **manifest, "files": digests}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=2) + "\n")
    return whole


def size(folder: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in folder.iterdir())
