"""Reading a list that only knows "newest first" into pages oldest first, without loss.

A look goes down from the newest item until it stands on the floor: the newest time delivered so far, less the overlap.
What it met on the way is delivered oldest first. When more lies above the floor than one look may hold, the cursor
remembers the page tokens it passed (going down), then the pages are delivered from the lowest up (going up), and the
look after that starts at the top again, down to what was delivered. So a burst of any size costs bounded memory, and
nothing is skipped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

import orjson

from connectors.errors import Unavailable
from connectors.protocol import Cursor

VERSION = 1
DOWN_PAGES = 20  # pages one look reads on its way down
HELD_PAGES = 20  # pages one look delivers
TAIL = 3  # so many items below the floor, last in their page, end the way down: one odd old date does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One item of a list. at: when the list says it arrived, None when nobody can tell."""

    item: object
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One page of the list, newest first. below: the token of the page under it, None at the end."""

    items: Sequence[Listed]
    below: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look found, oldest first."""

    items: Sequence[object]
    cursor: Cursor
    more: bool


Read: TypeAlias = Callable[[str | None], Awaitable[Leaf]]
T = TypeVar("T")


class Attempts(Generic[T]):
    """What looks have learnt that did not come to an end, by stream: trouble halfway does not cost the way.

    In memory only: forgotten when the look succeeds, when the cursor moved, and after ``KEPT``.
    """

    KEPT = timedelta(minutes=10)

    def __init__(self) -> None:
        self._open: dict[str, tuple[Cursor | None, datetime, dict[str | None, T]]] = {}

    def resume(self, stream: str, cursor: Cursor | None, now: datetime) -> dict[str | None, T]:
        """Return what the open attempt at *cursor* has learnt, to be filled further."""
        known = self._open.get(stream)
        if known is None or known[0] != cursor or not timedelta(0) <= now - known[1] <= self.KEPT:
            known = self._open[stream] = (cursor, now, {})
        return known[2]

    def done(self, stream: str) -> None:
        """Forget the attempt: the look has come to its end."""
        self._open.pop(stream, None)


def remembered(
    ask: Callable[[str | None], Awaitable[T]], learnt: dict[str | None, T]
) -> Callable[[str | None], Awaitable[T]]:
    """Return *ask* such that what is in *learnt* is not asked again."""

    async def once(key: str | None) -> T:
        if key not in learnt:
            learnt[key] = await ask(key)
        return learnt[key]

    return once


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a look begins. floor: how far down a look from rest goes. near: the same after going up, without overlap.

    stack: tokens of pages passed and not delivered, top first. is_down: whether the way down goes on under the last.
    """

    floor: datetime
    near: datetime | None = None
    stack: tuple[str, ...] = ()
    is_down: bool = False

    @property
    def bottom(self) -> datetime:
        return self.floor if self.near is None else self.near

    def cursor(self) -> Cursor:
        state: dict[str, object] = {"v": VERSION, "floor": self.floor.isoformat()}
        if self.near is not None:
            state["near"] = self.near.isoformat()
        if self.stack:
            state |= {"stack": self.stack, "down": self.is_down}
        return orjson.dumps(state).decode()

    @classmethod
    def at(cls, cursor: Cursor) -> _Place:
        try:
            state = orjson.loads(cursor)
            if state["v"] != VERSION:
                raise ValueError(f"version {state['v']}")
            return cls(
                floor=datetime.fromisoformat(state["floor"]).astimezone(UTC),
                near=datetime.fromisoformat(state["near"]).astimezone(UTC) if "near" in state else None,
                stack=tuple(map(str, state.get("stack", ()))),
                is_down=bool(state.get("down", False)),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable("the stored cursor is not one of ours; reset this source to read its lookback") from error


async def walk(
    read: Read, cursor: Cursor | None, *, now: datetime, lookback: timedelta, overlap: timedelta, max_first_pages: int
) -> Look:
    """Return what stands above *cursor*, oldest first. read: token (None: the top) -> page."""
    if cursor is None:
        place = _Place(floor=now - lookback)
        way = await _down(read, [None], floor=place.floor, pages=max_first_pages, held=max_first_pages)
        return _at_rest(way.leaves, place, now=now, overlap=overlap)
    place = _Place.at(cursor)
    if place.stack and not place.is_down:
        leaves = [await read(token) for token in place.stack[-HELD_PAGES:]]
        return _gone_up(leaves, place, above=place.stack[:-HELD_PAGES], now=now)
    way = await _down(read, place.stack or [None], floor=place.bottom, pages=DOWN_PAGES, held=HELD_PAGES)
    passed = tuple(token for token in way.tokens if token is not None)
    if way.below is not None:
        on = replace(place, stack=(*passed, way.below), is_down=True)
        return Look(items=(), cursor=on.cursor(), more=True)
    if way.tokens[0] is None and len(way.tokens) == len(way.leaves):
        return _at_rest(way.leaves, place, now=now, overlap=overlap)
    # The top page is never kept by token: it holds other posts by the time we are back there.
    return _gone_up(way.leaves, place, above=passed[: -len(way.leaves)], now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    tokens: Sequence[str | None]  # of all pages passed, top first
    leaves: Sequence[Leaf]  # the lowest of them, highest first
    below: str | None  # where to go on when the floor is not reached


async def _down(read: Read, tokens: Sequence[str | None], *, floor: datetime, pages: int, held: int) -> _Way:
    """Go down from the last of *tokens* to *floor*, over at most *pages*."""
    passed, lowest = list(tokens), deque[Leaf](maxlen=held)
    for _ in range(pages):
        leaf = await read(passed[-1])
        lowest.append(leaf)
        # A server that names a page we passed repeats itself: it has no more to tell.
        if leaf.below is None or leaf.below in passed or _is_below(leaf, floor):
            return _Way(tokens=passed, leaves=list(lowest), below=None)
        passed.append(leaf.below)
    return _Way(tokens=passed[:-1], leaves=list(lowest), below=passed[-1])


def _is_below(leaf: Leaf, floor: datetime) -> bool:
    times = [listed.at for listed in leaf.items if listed.at is not None][-TAIL:]
    return bool(times) and all(at < floor for at in times)


def _gone_up(leaves: Sequence[Leaf], place: _Place, *, above: tuple[str, ...], now: datetime) -> Look:
    if above:
        on = replace(place, stack=above, is_down=False)
    else:
        on = _Place(floor=place.floor, near=max(place.bottom, _newest(leaves, place.bottom, now)))
    return Look(items=_above(leaves, place.bottom), cursor=on.cursor(), more=True)


def _at_rest(leaves: Sequence[Leaf], place: _Place, *, now: datetime, overlap: timedelta) -> Look:
    floor = max(place.floor, _newest(leaves, place.bottom, now) - overlap)
    return Look(items=_above(leaves, place.bottom), cursor=_Place(floor=floor).cursor(), more=False)


def _newest(leaves: Sequence[Leaf], bottom: datetime, now: datetime) -> datetime:
    times = [listed.at for leaf in leaves for listed in leaf.items if listed.at is not None]
    # A date in the future would lift the floor over posts still to come.
    return min(max(times, default=bottom), now)


def _above(leaves: Sequence[Leaf], bottom: datetime) -> list[object]:
    upward = [listed for leaf in reversed(leaves) for listed in reversed(leaf.items)]
    kept = [listed for listed in upward if listed.at is None or listed.at >= bottom]
    kept.sort(key=lambda listed: listed.at or bottom)
    return [listed.item for listed in kept]
