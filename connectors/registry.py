"""Names to channels: built-ins by name, others by the entry point group ``harken.channels``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeAlias

from connectors.protocol import Connector
from connectors.settings import SourceSettings

BUILT_IN = {
    "x": "connectors.channels.x",
    "reddit": "connectors.channels.reddit",
    "mastodon": "connectors.channels.mastodon",
    "bluesky": "connectors.channels.bluesky",
    "replay": "connectors.channels.replay",
    "webhook": "connectors.channels.webhook",
}
GROUP = "harken.channels"

Clock: TypeAlias = Callable[[], datetime]


class Connect(Protocol):
    """Makes a connector from a validated settings model; light, asks nothing."""

    def __call__(self, *, name: str, settings: Any, clock: Clock) -> Connector: ...


@dataclass(frozen=True, slots=True)
class Channel:
    """A plug-in: the module-level ``CHANNEL`` of a file in connectors/channels."""

    kind: str
    settings: type[SourceSettings]
    connect: Connect


class UnknownChannel(LookupError):
    """No channel of that kind is installed."""


def kinds() -> list[str]:
    """Return the names that ``load`` knows, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def load(kind: str) -> Channel:
    """Return the channel called *kind*. Raises UnknownChannel, naming those there are."""
    if kind in BUILT_IN:
        channel = import_module(BUILT_IN[kind]).CHANNEL
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == kind]
        if not points:
            raise UnknownChannel(f"no channel is called {kind!r}; there are: {', '.join(kinds())}")
        channel = points[0].load()
    if not isinstance(channel, Channel):
        raise UnknownChannel(f"the plug-in {kind!r} offers no Channel")
    return channel
