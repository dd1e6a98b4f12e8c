"""What the stages that decide and speak are made of: the same six parts, made once, by app.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.store.engine import Store
from bot.stream.protocol import Stream
from connectors.protocol import Connector
from connectors.registry import Clock
from handoff.policy import Policy


class DesksFor(Protocol):
    """Says which outside desks want the cases of a queue."""

    def __call__(self, queue: str) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """connectors: by the names of their sources."""

    store: Store
    stream: Stream
    connectors: Mapping[str, Connector]
    policy: Policy
    desks_for: DesksFor
    clock: Clock
