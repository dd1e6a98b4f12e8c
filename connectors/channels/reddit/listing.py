"""Reddit's listings, read from the newest item back to a floor, and the cursor that says where the floor is.

A listing shows the newest first, 100 items an answer, and ends after about 1,000 (https://www.reddit.com/dev/api).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog

from connectors.channels.reddit.posts import UNREADABLE, Thing, bad_item, created_at, fullname, moment
from connectors.errors import Unavailable
from connectors.protocol import BadItem, Cursor

PAGE_ITEMS = 100
LISTING_ITEMS = 1_000
NEARLY_ALL = 900  # "about": some of the thousand are hidden from us
MAX_STEPS_BACK = 5  # items that vanish one after the other while we read
VERSION = 1

Ask: TypeAlias = Callable[[dict[str, str | int]], Awaitable[Any]]
log = structlog.get_logger()


@dataclass(slots=True)
class Haul:
    """What walks have brought. things: by id. whole: every walk reached its floor, or the listing's end."""

    things: dict[str, Thing] = field(default_factory=dict)
    bad: list[BadItem] = field(default_factory=list)
    whole: bool = True


async def walk(ask: Ask, haul: Haul, *, floor: datetime, max_pages: int | None, source: str) -> None:
    """Bring everything from the newest item back to *floor*. ask: params -> answer. max_pages: then stop, content."""
    seen: dict[str, None] = {}
    asked: set[str | None] = set()
    after: str | None = None
    back = 0
    while max_pages is None or len(asked) < max_pages:
        if after in asked:
            haul.whole = False
            return
        asked.add(after)
        items, following = children(await ask({"limit": PAGE_ITEMS, **({"after": after} if after else {})}))
        if not items and after is not None and len(seen) < NEARLY_ALL:
            # What we asked to go on after was deleted meanwhile, and Reddit then shows nothing: go on after the one
            # before it.
            back += 1
            if back >= min(len(seen), MAX_STEPS_BACK):
                haul.whole = False
                return
            after = list(seen)[-1 - back]
            continue
        oldest = _take(items, seen, haul, floor=floor)
        if following is None or (oldest is not None and oldest < floor) or len(seen) >= LISTING_ITEMS:
            break
        after, back = following, 0
    if len(seen) >= NEARLY_ALL:
        # What lies further back cannot be had: a person should make us look more often.
        log.warning("reddit.listing_ended", source=source, items=len(seen))


def children(listing: object) -> tuple[list[Any], str | None]:
    """Return a listing's items and what the next page comes after. Raises Unavailable."""
    match listing:
        case {"data": {"children": list(items), **rest}}:
            after = rest.get("after")
            return items, after if isinstance(after, str) and after else None
        case _:
            raise Unavailable("Reddit's answer is no listing")


def write_cursor(mark: datetime) -> Cursor:
    """Return the cursor of a stream that is read up to *mark*."""
    return json.dumps({"v": VERSION, "mark": mark.timestamp()})


def read_cursor(cursor: Cursor | None, *, source: str) -> datetime | None:
    """Return the mark in *cursor*; None, to begin again from the lookback, for none and for one that is not ours."""
    if cursor is None:
        return None
    try:
        match json.loads(cursor):
            case {"v": 1, "mark": mark}:
                return moment(mark)
    except UNREADABLE as error:
        log.warning("reddit.cursor_unreadable", source=source, reason=type(error).__name__)
        return None
    log.warning("reddit.cursor_unreadable", source=source, reason="version")
    return None


def span(age: timedelta) -> str:
    """Return the shortest time filter of a search that holds *age*, with room for its index and our clock."""
    spans = {"day": 1, "week": 7, "month": 30, "year": 365}
    return next((name for name, days in spans.items() if age < timedelta(days=days) * 0.95), "all")


def _take(items: list[Any], seen: dict[str, None], haul: Haul, *, floor: datetime) -> datetime | None:
    oldest = None
    for item in items:
        try:
            name = fullname(item)
            if name is None or name in seen:
                continue
            seen[name] = None
            oldest = created_at(item)
            if oldest >= floor:
                haul.things.setdefault(name, item)
        except UNREADABLE as error:
            haul.bad.append(bad_item(item, error))
    return oldest
