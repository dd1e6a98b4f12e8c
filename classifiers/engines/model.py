"""The trained model: a folder with manifest.json and safetensors files, checked before a byte of them is believed.

manifest.json says the shape of the encoder, the labels and temperatures of the heads, and the sha256 of every file.
Matrices are kept in whole numbers, NAME.q (rows x columns, int8) and NAME.s (rows x 1, a scale each).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from classifiers.engines.weights import Tensors, digest
from classifiers.errors import ModelMissing, ModelRefused
from classifiers.teaching import Validation
from classifiers.triage import HEADS

SHIPPED = Path(__file__).parent.parent / "models"
FORMAT = 2
MANIFEST = "manifest.json"
FILES = ("tokenizer", "words", "layers", "heads")
VALIDATION = "validation"
"""Beside FILES, which every model has, this may be there too: the features of the texts it was judged on, never the
texts. ``features``: rows x width, float16. HEAD: int8, for each row the index of the right label, -1 where unknown."""

LINEARS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
PACKED = "tokenizer_json"
"""The tensor of the file "tokenizer": what the tokenizers library writes, gzipped, a byte a number."""

NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
WORDS = "embeddings.word_embeddings"
POSITIONS = "embeddings.position_embeddings"
TYPES = "embeddings.token_type_embeddings"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
_ADVICE = (
    "leave out the key 'model' to use the shipped model, or train one: harken train --help; "
    "a model in Hugging Face's format goes under [classifier.heads.HEAD]"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a BERT encoder (Devlin et al. 2019)."""

    hidden: int
    layers: int
    heads: int
    inner: int
    pieces: int
    positions: int
    eps: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands in manifest.json. files: part -> (name, sha256).

    temperatures: head -> (texts in *languages*, texts in others). languages: those the heads were measured in.
    """

    name: str
    files: Mapping[str, tuple[str, str]]
    shape: Shape
    max_tokens: int
    languages: tuple[str, ...]
    temperatures: Mapping[str, tuple[float, float]]

    @property
    def revision(self) -> str:
        return f"{self.name}-{self.files['layers'][1][:4]}{self.files['heads'][1][:4]}"


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the model in *folder*. Raises ModelMissing, ModelRefused."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        if any(True for pattern in PICKLES for _ in folder.glob(pattern)):
            raise ModelRefused(
                f"{folder} holds pickled weights, which can run code; only safetensors are read: {_ADVICE}"
            ) from error
        raise ModelMissing(f"{path} cannot be read; {_ADVICE}") from error
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"{path} is not JSON; {_ADVICE}") from error
    try:
        return _manifest(raw)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelRefused(f"{path} is not a manifest of a model ({error}); {_ADVICE}") from error


def _manifest(raw: Any) -> Manifest:
    if raw["format"] != FORMAT:
        raise ValueError(f"format {raw['format']!r}, and this program reads format {FORMAT}")
    heads = raw["heads"]
    for head, labels in HEADS.items():
        if tuple(heads[head]["labels"]) != labels:
            raise ValueError(f"the labels of {head} are not ours")
    files = {part: (str(facts["file"]), str(facts["sha256"])) for part, facts in raw["files"].items()}
    for part in FILES:
        if part not in files:
            raise ValueError(f"no file for {part}")
    for name, _ in files.values():
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ValueError(f"the file {name!r} is not a safetensors file beside the manifest")
    shape = Shape(**{name: raw["shape"][name] for name in Shape.__slots__})
    numbers = [shape.hidden, shape.layers, shape.heads, shape.inner, shape.pieces, shape.positions, raw["max_tokens"]]
    if not all(isinstance(number, int) and 0 < number < 2**24 for number in numbers) or not 0 < shape.eps < 1:
        raise ValueError("a number of its shape is out of range")
    temperatures = {
        head: (float(heads[head]["temperature"]), float(heads[head]["foreign_temperature"])) for head in HEADS
    }
    if not all(0.01 < divisor < 100 for pair in temperatures.values() for divisor in pair):
        raise ValueError("a temperature is out of range")
    return Manifest(
        name=str(raw["name"]),
        files=files,
        shape=shape,
        max_tokens=min(raw["max_tokens"], shape.positions),
        languages=tuple(map(str, raw["languages"])),
        temperatures=temperatures,
    )


@dataclass(frozen=True, slots=True)
class Model:
    """A folder whose files are what the manifest says. encoder, heads: name -> tensor, as in the files."""

    manifest: Manifest
    tokenizer: Tokenizer
    encoder: Tensors
    heads: Tensors


def load(folder: Path) -> Model:
    """Read and check *folder*. Raises ModelMissing, ModelRefused."""
    manifest = read_manifest(folder)
    tensors = {part: _tensors(folder, manifest, part) for part in FILES if part != "tokenizer"}
    encoder = tensors["words"] | tensors["layers"]
    _check_shapes(encoder, manifest.shape, folder)
    return Model(manifest, _tokenizer(checked(folder, manifest, "tokenizer")), encoder, tensors["heads"])


def checked(folder: Path, manifest: Manifest, part: str) -> Path:
    """Return the path of *part*, its bytes compared with the manifest. Raises ModelMissing, ModelRefused."""
    name, sha256 = manifest.files[part]
    path = folder / name
    if not path.is_file():
        raise ModelMissing(f"{path} is not there; {_ADVICE}")
    if digest(path) != sha256:
        raise ModelRefused(f"{path} was altered: its sha256 is not the one in {MANIFEST}; {_ADVICE}")
    return path


def _tensors(folder: Path, manifest: Manifest, part: str) -> Tensors:
    path = checked(folder, manifest, part)
    try:
        tensors: Tensors = load_file(path)
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise ModelRefused(f"{path} is not a safetensors file; {_ADVICE}") from error
    if not all(bool(np.isfinite(tensor).all()) for tensor in tensors.values() if tensor.dtype.kind == "f"):
        raise ModelRefused(f"{path} holds a number that is none; {_ADVICE}")
    return tensors


def read_validation(folder: Path, manifest: Manifest) -> Validation | None:
    """Return the validation set beside the manifest, None where there is none. Raises ModelMissing, ModelRefused."""
    if VALIDATION not in manifest.files:
        return None
    tensors = _tensors(folder, manifest, VALIDATION)
    features, width = tensors.pop("features", None), 2 * manifest.shape.hidden
    if features is None or features.ndim != 2 or features.shape[1] != width:
        raise ModelRefused(f"the validation set in {folder} has no features of the width {width}; {_ADVICE}")
    for head, right in tensors.items():
        known = head in HEADS and right.shape == (len(features),) and right.dtype == np.int8
        if not known or right.min(initial=0) < -1 or right.max(initial=-1) >= len(HEADS[head]):
            raise ModelRefused(f"the validation set in {folder} has labels of {head} that cannot be; {_ADVICE}")
    return Validation(features.astype(np.float32), tensors)


def _check_shapes(tensors: Tensors, shape: Shape, folder: Path) -> None:
    wanted: dict[str, tuple[int, ...]] = {
        f"{WORDS}.q": (shape.pieces, shape.hidden),
        f"{WORDS}.s": (shape.pieces, 1),
        POSITIONS: (shape.positions, shape.hidden),
        "embeddings.LayerNorm.weight": (shape.hidden,),
        "embeddings.LayerNorm.bias": (shape.hidden,),
    }
    for layer in range(shape.layers):
        place = f"encoder.layer.{layer}."
        for name in LINEARS:
            rows = shape.inner if name.startswith("intermediate") else shape.hidden
            columns = shape.inner if name == "output.dense" else shape.hidden
            wanted |= {f"{place}{name}.q": (rows, columns), f"{place}{name}.s": (rows, 1)}
            wanted[f"{place}{name}.bias"] = (rows,)
        for name in NORMS:
            wanted |= {f"{place}{name}.weight": (shape.hidden,), f"{place}{name}.bias": (shape.hidden,)}
    for name, size in wanted.items():
        if name not in tensors or tensors[name].shape != size:
            raise ModelRefused(f"the model in {folder} lacks {name} of the shape {size}; {_ADVICE}")


def _tokenizer(path: Path) -> Tokenizer:
    try:
        packed = load_file(path)[PACKED].tobytes()
        tokenizer = Tokenizer.from_buffer(gzip.decompress(packed))
    # The library raises a bare Exception on a text that it cannot read.
    except Exception as error:
        raise ModelRefused(f"{path} is not a tokenizer file; {_ADVICE}") from error
    tokenizer.no_padding()
    return tokenizer
