"""What a language model wrote: no str, so that nothing which speaks in public takes it."""

from __future__ import annotations

from dataclasses import dataclass

from handoff.speech import PrivateText


@dataclass(frozen=True, slots=True, repr=False)
class ModelText(PrivateText):
    """Words of a language model. They are read by people; only a person's approval can make a reply of them."""
