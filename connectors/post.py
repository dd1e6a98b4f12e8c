"""What a network says and what we say back: frozen values, aware UTC times, text as data."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

MOST_FOLLOWERS = 2**31 - 1
"""The column's end. What a stranger's server claims beyond it must not cost the rest of its page."""

NOTHING: Mapping[str, str] = MappingProxyType({})


class PostKind(StrEnum):
    """How a post stands in its conversation."""

    POST = "post"
    REPLY = "reply"
    QUOTE = "quote"
    REPOST = "repost"
    MESSAGE = "message"


def storable(text: str) -> str:
    """Return *text* without what no database takes: NUL goes, a lone surrogate becomes U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace_surrogate").decode("utf-8")


def _replace_surrogate(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "\ufffd".encode() * (error.end - error.start), error.end


codecs.register_error("replace_surrogate", _replace_surrogate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A person or account on one network; *id* never changes there, *handle* may."""

    channel: str
    id: str
    handle: str
    display_name: str = ""
    url: str | None = None
    followers: int | None = None
    is_bot: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "handle", storable(self.handle))
        object.__setattr__(self, "display_name", storable(self.display_name))
        if self.followers is not None and not 0 <= self.followers <= MOST_FOLLOWERS:
            object.__setattr__(self, "followers", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post as a person reads it there.

    id: the network's own, unique in *channel*. text: plain, never HTML. parent_id: what it answers. root_id: the
    conversation, its own id for a first post. addressed: the author speaks to our account (mention, reply, quote).
    is_own: our account wrote it. place: subreddit or the like. facts: small strings the channel needs to answer later.
    """

    channel: str
    id: str
    author: Author
    text: str
    created_at: datetime
    kind: PostKind = PostKind.POST
    title: str = ""
    url: str | None = None
    language: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    edited_at: datetime | None = None
    addressed: bool = False
    is_own: bool = False
    is_private: bool = False
    place: str = ""
    facts: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        if self.created_at.tzinfo is None:
            raise ValueError("created_at must carry a time zone")
        object.__setattr__(self, "text", storable(self.text))
        object.__setattr__(self, "title", storable(self.title))

    @property
    def key(self) -> str:
        """The post's name in all of Harken: ``channel:id``."""
        return f"{self.channel}:{self.id}"

    @property
    def revision(self) -> str:
        """Changes when, and only when, title or text change: an edit is the same id with another revision."""
        return hashlib.sha256(f"{self.title}\0{self.text}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What we want to say, once: *key* is the same for every attempt, *created_at* too (keyed networks need both)."""

    key: str
    target: Post
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the network made of our reply."""

    id: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the network's own rules forbid a reply here, in words for a social team."""

    reason: str
