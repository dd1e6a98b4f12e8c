"""What a network answered, read with distrust: any field may be missing, of another type, or poison for a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from connectors.errors import Unavailable
from connectors.post import storable
from connectors.protocol import BadItem

MAX_BYTES = 8 << 20  # decoded bytes of one answer
MAX_RAW = 16_384  # characters kept of an item nobody could read


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer as it came; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreadable(ValueError):
    """An item lacks what a post needs; the message names the field."""


def parse(body: bytes) -> object:
    """Return the JSON value in *body*. Raises Unavailable when it is none.

    NaN and lone surrogates, which orjson refuses, pass here: one such field must cost its own item, not the page.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Unavailable("the answer is not JSON: a proxy or a server in trouble speaks") from error


def look(data: object, *path: str) -> object:
    """Return what stands at *path*, None when the way ends early."""
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def text(data: object, *path: str) -> str:
    """Return the text at *path*, "" when there is none."""
    value = look(data, *path)
    return storable(value) if isinstance(value, str) else ""


def need(data: object, *path: str) -> str:
    """Return the text at *path*. Raises Unreadable when it is missing or empty."""
    value = text(data, *path)
    if not value:
        raise Unreadable(f"no {'.'.join(path)}")
    return value


def ident(data: object, *path: str) -> str:
    """Return the id at *path* as text; some servers write numbers. Raises Unreadable."""
    value = look(data, *path)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return need(data, *path)


def number(data: object, *path: str) -> int | None:
    """Return the whole number at *path*, None when there is none."""
    value = look(data, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def when(data: object, *path: str) -> datetime:
    """Return the ISO 8601 time at *path*, aware UTC. Raises Unreadable."""
    try:
        at = datetime.fromisoformat(need(data, *path))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"no time in {'.'.join(path)}") from error


def listed(data: object, *path: str) -> list[object]:
    """Return the list at *path*. Raises Unavailable for another shape: nonsense must never read as "nothing there"."""
    value = look(data, *path)
    if not isinstance(value, list) or (value and not any(isinstance(item, Mapping) for item in value)):
        raise Unavailable("the answer has another shape than the network documents")
    return value


def quarantined(item: object, reason: str) -> BadItem:
    """Return *item* as kept raw, bounded and in plain ASCII."""
    return BadItem(raw=json.dumps(item)[:MAX_RAW], reason=reason)
