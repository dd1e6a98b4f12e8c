"""Names to desks: built-ins by name, others by the entry point group ``harken.desks``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from handoff.protocol import Desk

BUILT_IN = {
    "zendesk": "handoff.desks.zendesk",
    "zammad": "handoff.desks.zammad",
    "webhook": "handoff.desks.webhook",
}
GROUP = "harken.desks"

Clock: TypeAlias = Callable[[], datetime]


class DeskSettings(BaseModel):
    """One ``[desks.NAME]`` table; each desk's own model adds its keys. Unknown keys are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: str
    enabled: bool = True
    queues: tuple[str, ...] = Field((), description="queues whose cases go there; empty: all")
    timeout_s: float = Field(
        30.0, gt=0, le=45, description="a request gives up after this, seconds; well before its errand's claim lapses"
    )


class Open(Protocol):
    """Makes a desk from a validated settings model; light, asks nothing."""

    def __call__(self, *, name: str, settings: Any, clock: Clock) -> Desk: ...


@dataclass(frozen=True, slots=True)
class DeskKind:
    """A plug-in: the module-level ``DESK`` of a file in handoff/desks."""

    kind: str
    settings: type[DeskSettings]
    make: Open


class UnknownDesk(LookupError):
    """No desk of that kind is installed."""


def kinds() -> list[str]:
    """Return the names that ``load`` knows, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def load(kind: str) -> DeskKind:
    """Return the desk called *kind*. Raises UnknownDesk, naming those there are."""
    if kind in BUILT_IN:
        desk = import_module(BUILT_IN[kind]).DESK
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == kind]
        if not points:
            raise UnknownDesk(f"no desk is called {kind!r}; there are: {', '.join(kinds())}")
        desk = points[0].load()
    if not isinstance(desk, DeskKind):
        raise UnknownDesk(f"the plug-in {kind!r} offers no DeskKind")
    return desk
