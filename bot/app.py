"""Composition: settings become parts. Only here are registries asked and settings handed out."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.settings import Settings
from bot.store.engine import Store


def now() -> datetime:
    """Return the time: the one clock that everything below is handed."""
    return datetime.now(UTC)


def open_store(settings: Settings, *, daemon: bool = False) -> Store:
    """Return the store of *settings*. Raises StoreError. Only the *daemon* checkpoints."""
    return Store(settings.store.url.get_secret_value(), checkpoints=daemon)
