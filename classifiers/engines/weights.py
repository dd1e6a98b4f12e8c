"""Files of weights: checked against their digest, read, quantised. Nothing that could run code is ever opened."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
Tensor = npt.NDArray[Any]
Tensors = dict[str, Tensor]

_checked: dict[tuple[str, int, int], str] = {}


def digest(path: Path) -> str:
    """Return the sha256 of *path* in hex; a file that did not change is read once a process."""
    facts = path.stat()
    key = (str(path.resolve()), facts.st_mtime_ns, facts.st_size)
    if key not in _checked:
        with path.open("rb") as file:
            _checked[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _checked[key]


def quantised(table: Vectors) -> tuple[Bytes, Vectors]:
    """Return *table* (rows x columns) in whole numbers from -127 to 127, and the scale of each row (rows x 1)."""
    scales = np.abs(table).max(1, keepdims=True).astype(np.float32) / 127
    scales[scales == 0] = 1.0
    return np.clip(np.round(table / scales), -127, 127).astype(np.int8), scales


def restored(numbers: Bytes, scales: Vectors) -> Vectors:
    """Return what *quantised* stands for."""
    table: Vectors = numbers.astype(np.float32) * scales
    return table
