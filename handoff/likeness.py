"""Whether two texts say nearly the same: networks suspend accounts that repeat themselves (X automation rules)."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from handoff.words import words


@lru_cache(maxsize=4096)
def likeness(text: str) -> str:
    """Return one short name for all texts that differ only in case, accents, links, handles, numbers or order."""
    kept = sorted({word for word in words(text) if not any(sign.isdigit() for sign in word)})
    return hashlib.sha256(" ".join(kept).encode()).hexdigest()[:16]
