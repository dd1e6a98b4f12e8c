"""How long a text is in each network's own measure."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import regex


class Unit(StrEnum):
    """The measures networks count in."""

    WEIGHTED = "weighted"  # X: docs.x.com/fundamentals/counting-characters
    GRAPHEMES = "graphemes"  # Bluesky: app.bsky.feed.post lexicon, maxGraphemes 300 and maxLength 3000 bytes
    CHARACTERS = "characters"  # code points; Mastodon counts a link as url_cost


@cache
def _parse_tweet() -> Callable[[str], Any]:
    # Imported on first use: it takes 0.2 s, and it warns about setuptools, which the lock file pins for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from twitter_text import parse_tweet
    return parse_tweet  # type: ignore[no-any-return]


_URL = regex.compile(r"https?://\S+", regex.IGNORECASE)
_GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthRule:
    """The longest reply a network takes. reserve: units the channel itself adds (an @mention it must write)."""

    unit: Unit
    limit: int
    url_cost: int | None = None
    max_bytes: int | None = None
    reserve: int = 0

    def measure(self, text: str) -> int:
        """Return the length of *text* in ``unit``."""
        match self.unit:
            case Unit.WEIGHTED:
                return int(_parse_tweet()(text).weightedLength)
            case Unit.GRAPHEMES:
                return sum(1 for _ in _GRAPHEME.finditer(text))
            case Unit.CHARACTERS:
                if self.url_cost is None:
                    return len(text)
                return len(_URL.sub("x" * self.url_cost, text))

    def overrun(self, text: str) -> int:
        """Return by how many units *text* is too long, 0 when it fits."""
        over = self.measure(text) + self.reserve - self.limit
        if self.max_bytes is not None:
            over = max(over, len(text.encode()) - self.max_bytes)
        return max(0, over)
