"""Words for the public and words that stay with us: two types, so that mixing them up is an error before it runs.

``PublicText`` is made in one place only, where an approved wording is composed (``handoff.knowledge.answer``); a test
reads the source for that. What a case, an earlier contact or a language model says is no str at all, so nothing that
makes public words takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

PublicText = NewType("PublicText", str)
"""The exact words of an approved article for one channel, its slots filled. The bot says nothing else by itself."""


@dataclass(frozen=True, slots=True)
class PrivateText:
    """What only our own people read. Printed or formatted by accident it says "(private)"."""

    _text: str

    def for_people(self) -> str:
        """Return the words, for a page, a desk or a ticket."""
        return self._text

    def __str__(self) -> str:
        return "(private)"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._text)} characters)"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
