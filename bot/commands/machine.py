"""The class of machine a figure was measured on: what matters for figures, and nothing that names the machine."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

CPU = Path("/proc/cpuinfo")
SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX INT8",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "NEON int8 matrices",
    "sve": "SVE",
}
"""Instruction sets that change how matrices are multiplied; Linux's name -> the maker's."""


def machine(cpu: Path = CPU) -> str:
    """Return processor, cores that may be used, and instruction sets in one line. cpu: as Linux writes it."""
    try:
        text = cpu.read_text(encoding="utf-8")
    except OSError:
        text = ""
    model = re.search(r"^model name\s*:\s*(.+?)\s*$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    has = set(flags[1].split()) if flags else set()
    named = [name for flag, name in SETS.items() if flag in has]
    count = _cores()
    cores = f"{count} core{'' if count == 1 else 's'}"
    return ", ".join([model[1] if model else platform.machine() or "unknown processor", cores, *named])


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
