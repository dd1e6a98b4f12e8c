"""Reddit's comments (t1) and submissions (t3) as posts."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from connectors.channels.reddit.settings import SITE
from connectors.post import Author, Post, PostKind, storable
from connectors.protocol import BadItem

Thing: TypeAlias = dict[str, Any]  # {"kind": "t1", "data": {...}}

UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, OSError)  # what an item may break with
NOTHING_LEFT = ("[deleted]", "[removed]")
OTHER_KINDS = ("more", "t2", "t4", "t5")  # place-holders, accounts, letters, subreddits
MAX_RAW = 16_384
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!>~|^/&])")


def fullname(thing: object) -> str | None:
    """Return the id of a comment or submission, None for letters and the like. Raises one of UNREADABLE."""
    if not isinstance(thing, dict) or not isinstance(thing["data"], dict):
        raise TypeError("the item is no object")
    kind = thing["kind"]
    if kind in OTHER_KINDS:
        return None
    if kind not in ("t1", "t3"):
        raise ValueError("the item's kind is unknown")
    name = _string(thing["data"], "name")
    if not re.fullmatch(rf"{kind}_[0-9a-z]{{1,20}}", name):
        raise ValueError("name is no fullname")
    return name


def created_at(thing: Thing) -> datetime:
    """Return when *thing* was written. Raises one of UNREADABLE."""
    return moment(thing["data"]["created_utc"])


def moment(seconds: object) -> datetime:
    """Return an epoch time as a moment. Raises one of UNREADABLE."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("a time is no number")
    return datetime.fromtimestamp(seconds, UTC)


def is_gone(thing: Thing) -> bool:
    """Return whether Reddit shows *thing* as deleted or removed."""
    data = thing["data"]
    body = data.get("body") if thing["kind"] == "t1" else data.get("selftext")
    return data.get("author") in (None, "[deleted]") or body in NOTHING_LEFT or bool(data.get("removed_by_category"))


def plain(markdown: str) -> str:
    r"""Return *markdown* with entities and backslash escapes resolved: ``u/brand\_help`` reads u/brand_help."""
    # The zero-width space is what Reddit's editor writes for an empty line.
    return html.unescape(_ESCAPED.sub(r"\1", markdown)).replace("\u200b", "").strip()


def same_text(body: object, text: str) -> bool:
    """Return whether *body*, as Reddit gives it, is *text* as we sent it; it may trim and wrap white space."""
    return isinstance(body, str) and storable(body).split() == storable(text).split()


def read_post(thing: Thing, *, me: Author, to_us: bool = False) -> Post:
    """Return the post in *thing*. to_us: known to be addressed to us. Raises one of UNREADABLE."""
    data = thing["data"]
    name, handle, subreddit = (_string(data, key) for key in ("name", "author", "subreddit"))
    is_comment = thing["kind"] == "t1"
    # Old answers lack the account's id; a name is never given to another account either.
    author_id = str(data.get("author_fullname") or handle.casefold())
    is_own = author_id == me.id or handle.casefold() == me.handle.casefold()
    title = "" if is_comment else html.unescape(_string(data, "title"))
    text = plain(_string(data, "body" if is_comment else "selftext"))
    if not is_comment and not text and data.get("is_self") is False:
        text = _string(data, "url")
    link = data.get("permalink") or data.get("context")
    parent_id = _string(data, "parent_id") if is_comment else None
    edited = data.get("edited")
    return Post(
        channel="reddit",
        id=name,
        author=Author(
            channel="reddit",
            id=author_id,
            handle=handle,
            url=f"{SITE}/user/{handle}",
            is_bot=handle == "AutoModerator",
        ),
        text=text,
        title=title,
        created_at=created_at(thing),
        kind=PostKind.REPLY if is_comment else PostKind.POST,
        url=address(link),
        parent_id=parent_id,
        root_id=_root(data, link) if is_comment else name,
        edited_at=None if edited is None or isinstance(edited, bool) else moment(edited),
        addressed=not is_own and (to_us or _under_ours(data, me) or names(me.handle, f"{title}\n{text}")),
        is_own=is_own,
        place=str(data.get("subreddit_name_prefixed") or f"r/{subreddit}"),
        facts={fact: "true" for fact in ("locked", "archived") if data.get(fact) is True},
    )


def names(handle: str, text: str) -> bool:
    """Return whether *text* speaks to u/*handle*; a link to the profile does not."""
    return re.search(rf"(?<![\w/])/?u/{re.escape(handle)}(?![\w-])", text, re.IGNORECASE) is not None


def address(link: object) -> str | None:
    """Return where a person reads what has the permalink *link*."""
    return f"{SITE}{link}" if isinstance(link, str) and link.startswith("/") else None


def in_tree(listing: object) -> Iterator[Thing]:
    """Return every comment of a thread's nested listings."""
    waiting = [listing]
    while waiting:
        match waiting.pop():
            case {"kind": "Listing", "data": {"children": list(items)}}:
                waiting.extend(items)
            case {"kind": "t1", "data": {"name": str()} as data}:
                waiting.append(data.get("replies"))
                yield {"kind": "t1", "data": data}


def bad_item(item: object, error: Exception) -> BadItem:
    return BadItem(raw=json.dumps(item, default=str)[:MAX_RAW], reason=f"{type(error).__name__}: {error}"[:200])


def _under_ours(data: Thing, me: Author) -> bool:
    return "link_id" in data and data.get("parent_id") == data["link_id"] and data.get("link_author") == me.handle


def _root(data: Thing, link: object) -> str | None:
    if isinstance(data.get("link_id"), str):
        return str(data["link_id"])
    # Letters in the inbox have no link_id, but their address has: /r/NAME/comments/ID/...
    found = re.match(r"/(?:r|u|user)/[^/]+/comments/([0-9a-z]+)", link) if isinstance(link, str) else None
    return f"t3_{found[1]}" if found else None


def _string(data: Thing, key: str) -> str:
    value = data[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no string")
    return value
