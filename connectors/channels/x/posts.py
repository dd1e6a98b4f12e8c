"""X's posts as ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

from connectors.channels.x.cursor import time_of
from connectors.post import Author, Post, PostKind, storable
from connectors.protocol import BadItem

NETWORK = "x"
TWEET_FIELDS = [
    "author_id",
    "conversation_id",
    "created_at",
    "display_text_range",
    "edit_history_tweet_ids",
    "entities",
    "in_reply_to_user_id",
    "lang",
    "note_tweet",
    "referenced_tweets",
]
USER_FIELDS = ["public_metrics"]
EXPANSIONS = ["author_id"]
PARENTS = ["referenced_tweets.id", "referenced_tweets.id.author_id"]
MAX_RAW = 16_384
# docs.x.com: codes that stand for no language (undetermined, only media, only mentions, only hashtags ...)
NO_LANGUAGE = frozenset({"und", "qam", "qct", "qht", "qme", "qst", "zxx"})
_LEADING = re.compile(r"(?:@\w{1,15}\s+)+")
_STATUS = re.compile(r"https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/(\w+)/status/(\d+)", re.IGNORECASE)
_LINK = re.compile(r"https?://(\S+?)/?(?=\s|$)", re.IGNORECASE)


class Unreadable(ValueError):
    """An item lacks what a post cannot be without; the message names the field, never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One item as a post. versions: all ids of it, oldest first; version: the one this text belongs to."""

    post: Post
    version: str
    versions: tuple[str, ...]


def read_all(answer: Mapping[str, Any], me: Author, *, included: bool = False) -> tuple[list[Read], list[BadItem]]:
    """Return the posts in ``data``, in X's order, and what nobody can read. included: those it refers to instead."""
    includes = _dict(answer.get("includes"))
    users = {user["id"]: user for user in _dicts(includes.get("users")) if _is_id(user.get("id"))}
    reads: list[Read] = []
    bad: list[BadItem] = []
    for item in _list(includes.get("tweets") if included else answer.get("data")):
        try:
            reads.append(read(item, users, me))
        except (Unreadable, OverflowError, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, Unreadable) else type(error).__name__
            bad.append(BadItem(raw=json.dumps(item)[:MAX_RAW], reason=reason))
    return reads, bad


def read(item: Any, users: Mapping[str, Mapping[str, Any]], me: Author) -> Read:
    """Return *item* as a post. Raises Unreadable. users: id -> user object, from ``includes``."""
    if not isinstance(item, dict):
        raise Unreadable("the item is no object")
    version, author_id = _id(item, "id"), _id(item, "author_id")
    versions = tuple(each for each in _list(item.get("edit_history_tweet_ids")) if _is_id(each))
    if version not in versions:
        versions = (version,)
    author = _author(author_id, users.get(author_id, {}))
    refs = {
        str(ref.get("type")): str(ref["id"]) for ref in _dicts(item.get("referenced_tweets")) if _is_id(ref.get("id"))
    }
    kind = _kind(refs)
    long = _dict(item.get("note_tweet"))
    text = long["text"] if isinstance(long.get("text"), str) else item.get("text")
    if not isinstance(text, str):
        raise Unreadable("text is no string")
    entities = _dict(long.get("entities")) or _dict(item.get("entities"))
    hidden = _hidden(text, item, is_reply=kind is PostKind.REPLY)
    links = list(_dicts(entities.get("urls")))
    is_own = author_id == me.id
    addressed = (
        _names(text[hidden:], me.handle)
        or item.get("in_reply_to_user_id") == me.id
        or any(_points_at(link, me.handle, refs.get("quoted")) for link in links)
    )
    carried = hidden if isinstance(item.get("display_text_range"), list) else 0
    return Read(
        version=version,
        versions=versions,
        post=Post(
            channel=NETWORK,
            id=versions[0],
            author=author,
            text=shown(text[carried:], links, quoted=refs.get("quoted")) or shown(text, links),
            created_at=time_of(int(versions[0])) if len(versions) > 1 else _created(item, version),
            edited_at=time_of(int(version)) if version != versions[0] else None,
            kind=kind,
            url=f"https://x.com/{author.handle or 'i'}/status/{version}",
            language=_language(item.get("lang")),
            parent_id=refs.get("replied_to"),
            root_id=item["conversation_id"] if _is_id(item.get("conversation_id")) else versions[0],
            addressed=addressed and not is_own and kind is not PostKind.REPOST,
            is_own=is_own,
            facts=_facts(version, versions, refs, entities, apart=(author_id, me.id)),
        ),
    )


def shown(text: str, links: list[dict[str, Any]], *, quoted: str | None = None) -> str:
    """Return *text* as a person reads it: nothing escaped, t.co links whole, none for media or the quoted post."""
    # X escapes these three and no other: docs.x.com/fundamentals/counting-characters
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    for link in links:
        short, whole = link.get("url"), link.get("expanded_url")
        if not isinstance(short, str) or not short or not isinstance(whole, str):
            continue
        status = _STATUS.match(whole)
        is_card = "media_key" in link or (status is not None and status[2] == quoted)
        if is_card:
            text = text.replace(short, "")
        elif whole.startswith(("http://", "https://")):
            text = text.replace(short, whole)
    return text.strip()


def plain(text: str) -> str:
    """Return what two copies of one reply share: no leading mentions, no scheme of links, single spaces, NFC."""
    bare = _LEADING.sub("", text, count=1) if text.startswith("@") else text
    return normalize("NFC", " ".join(_LINK.sub(r"\1", bare).split()))


def _hidden(text: str, item: Mapping[str, Any], *, is_reply: bool) -> int:
    """Return how many characters X carries in front without showing them: the mentions of a reply."""
    span = item.get("display_text_range")
    if isinstance(span, list) and span and isinstance(span[0], int) and 0 <= span[0] <= len(text):
        return span[0] if span[0] == 0 or _LEADING.fullmatch(text[: span[0]]) else 0
    leading = _LEADING.match(text) if is_reply else None
    return leading.end() if leading else 0


def _names(text: str, handle: str) -> bool:
    return bool(handle) and re.search(rf"(?<!\w)@{re.escape(handle)}(?!\w)", text, re.IGNORECASE) is not None


def _points_at(link: Mapping[str, Any], handle: str, quoted: str | None) -> bool:
    # A quoting post carries the quoted one's address; asking for the post itself would cost a read each.
    status = _STATUS.match(str(link.get("expanded_url")))
    return status is not None and status[2] == quoted and status[1].lower() == handle.lower()


def _kind(refs: Mapping[str, str]) -> PostKind:
    for name, kind in (
        ("retweeted", PostKind.REPOST),
        ("replied_to", PostKind.REPLY),
        ("quoted", PostKind.QUOTE),
    ):
        if name in refs:
            return kind
    return PostKind.POST


def _facts(
    version: str,
    versions: tuple[str, ...],
    refs: Mapping[str, str],
    entities: Mapping[str, Any],
    *,
    apart: tuple[str, str],
) -> dict[str, str]:
    """Return what a reply needs: the version to answer, and the others named, whom a reply shall not reach."""
    others = dict.fromkeys(
        each["id"] for each in _dicts(entities.get("mentions")) if _is_id(each.get("id")) and each["id"] not in apart
    )
    facts = {"version_id": version} if len(versions) > 1 else {}
    if "quoted" in refs:
        facts["quoted_id"] = refs["quoted"]
    if others:
        facts["others"] = ",".join(others)
    return facts


def _author(author_id: str, user: Mapping[str, Any]) -> Author:
    handle, name = user.get("username"), user.get("name")
    handle = handle if isinstance(handle, str) and re.fullmatch(r"\w{1,20}", handle) else ""
    followers = _dict(user.get("public_metrics")).get("followers_count")
    return Author(
        channel=NETWORK,
        id=author_id,
        handle=handle,
        display_name=storable(name) if isinstance(name, str) else "",
        url=f"https://x.com/{handle}" if handle else f"https://x.com/i/user/{author_id}",
        followers=followers if isinstance(followers, int) else None,
    )


def _created(item: Mapping[str, Any], version: str) -> datetime:
    try:
        at = datetime.fromisoformat(item["created_at"])
    except (KeyError, TypeError, ValueError):
        return time_of(int(version))
    return at.astimezone(UTC) if at.tzinfo else time_of(int(version))


def _language(lang: Any) -> str | None:
    return lang if isinstance(lang, str) and re.fullmatch(r"[a-z]{2,3}", lang) and lang not in NO_LANGUAGE else None


def _id(item: Mapping[str, Any], name: str) -> str:
    if not _is_id(item.get(name)):
        raise Unreadable(f"{name} is missing or no number")
    return str(item[name])


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in _list(value) if isinstance(each, dict))
