"""Names to engines: built-ins by name, others by the entry point group ``harken.engines``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

from classifiers.errors import Unteachable
from classifiers.protocol import Classifier, Embedder, Teachable

BUILT_IN = {"transformer": "classifiers.engines.transformer", "keywords": "classifiers.engines.keywords"}
GROUP = "harken.engines"


class ClassifierEmbedder(Classifier, Embedder, Protocol):
    """An engine does both with one model."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A plug-in: the module-level ``ENGINE`` of a file in classifiers/engines.

    make: options (the rest of the ``[classifier]`` table) -> an engine, not yet warm. Raises TypeError on an option it
    does not know.
    """

    kind: str
    make: Callable[[Mapping[str, Any]], ClassifierEmbedder]


class UnknownEngine(LookupError):
    """No engine of that kind is installed."""


def kinds() -> list[str]:
    """Return the names that ``load`` knows, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def load(kind: str) -> Engine:
    """Return the engine called *kind*. Raises UnknownEngine, naming those there are."""
    if kind in BUILT_IN:
        engine = import_module(BUILT_IN[kind]).ENGINE
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == kind]
        if not points:
            raise UnknownEngine(f"no engine is called {kind!r}; there are: {', '.join(kinds())}")
        engine = points[0].load()
    if not isinstance(engine, Engine):
        raise UnknownEngine(f"the plug-in {kind!r} offers no Engine")
    return engine


def teachable(engine: Classifier) -> Teachable:
    """Return *engine* as one that can be taught. Raises Unteachable."""
    if not isinstance(engine, Teachable):
        raise Unteachable(
            f"the engine {engine.name} cannot be taught: it judges by rules, not by heads; "
            "only classifier.engine = 'transformer' can"
        )
    return engine
