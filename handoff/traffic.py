"""How much the bot said by itself lately, as far as one post's decision hangs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Automatic replies in the last hour; to this author in 24 hours, in all conversations.

    articles: slug -> replies anywhere. texts: likeness -> replies on this source. braked: slugs that wait for a person
    after a burst.
    """

    author_24h: int = 0
    conversation: int = 0
    source: int = 0
    everywhere: int = 0
    articles: Mapping[str, int] = field(default_factory=lambda: _NONE)
    texts: Mapping[str, int] = field(default_factory=lambda: _NONE)
    braked: frozenset[str] = frozenset()


SILENCE = Traffic()
"""Nothing was said."""
