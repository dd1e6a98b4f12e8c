"""The promise every channel keeps; tests/connectors/contract.py quotes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self, TypeAlias, runtime_checkable

from connectors.length import LengthRule
from connectors.post import Author, Post, Refusal, Reply, Sent

Cursor: TypeAlias = str

Gate: TypeAlias = Callable[[], None]
"""Asked right before the first byte of a write leaves, on whatever thread that is; raises Held to keep it back."""


def open_gate() -> None:
    """Let it pass."""


class SendClass(StrEnum):
    """How an unknown outcome of a send is settled (docs/reliability.md)."""

    KEYED = "A"  # repeat the same write: the network knows our key
    KEYED_FOR_A_TIME = "A*"  # repeat within keyed_for, read back too
    READ_BACK = "B"  # look several times over settle_after, then one more try
    BLIND = "C"  # nobody can look: a person decides
    LISTEN_ONLY = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can do, as data: callers ask flags, never names.

    reply_within: a post older than this takes no reply there; None where the network sets no end.
    """

    send_class: SendClass
    length: LengthRule | None = None
    search: bool = False
    thread: bool = False
    edits: bool = False
    deletions: bool = False
    pushed: bool = False
    requires_summon: bool = False
    markdown: bool = False
    lookup_batch: int = 100
    keyed_for: timedelta | None = None
    settle_after: timedelta = timedelta(minutes=2)
    reply_within: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadItem:
    """One item of an answer that could not be read: kept raw (bounded), its page-mates go on."""

    raw: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Posts oldest first, the cursor after them, and whether more waits right now.

    deleted: ids the network reported as gone. bad: items nobody could read.
    """

    posts: Sequence[Post]
    cursor: Cursor
    more: bool = False
    deleted: Sequence[str] = ()
    bad: Sequence[BadItem] = ()


class Connector(Protocol):
    """Listens to one account on one network.

    Entering makes sessions and threads but asks the network nothing; closing twice is harmless. Every method raises
    RateLimited, Unavailable or AuthFailed (and nothing else; never a vendor exception), keeps no state on disk, never
    retries, never sleeps, never blocks the event loop, never logs text, handles or tokens.
    """

    name: str
    channel: str
    capabilities: Capabilities

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def streams(self) -> Sequence[str]:
        """Names of what is polled separately, each with its own cursor: ``mentions``, ``search:<query>`` ..."""
        ...

    async def identity(self) -> Author:
        """Return our own account; one request at most, then remembered."""
        ...

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        """Return posts after *cursor*, oldest first, and a new cursor (opaque).

        None means now minus the source's lookback: a first visit is bounded. Same cursor, same page, until the network
        has news. Reads an overlap behind the cursor, so a post that surfaces late is found; the same post may come
        again and is dropped by id later. A bad item lands in ``bad``; its page-mates stay.
        """
        ...

    async def thread(self, post: Post) -> Sequence[Post]:
        """Return the posts above *post*, root first, without *post*; what is gone is left out."""
        ...

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        """Return for each of *ids* (``lookup_batch`` at most) the post as it stands now, None when gone.

        An id of which the network says nothing readable is left out: it is not gone.
        """
        ...


@runtime_checkable
class Replier(Protocol):
    """Speaks in public for one account. A connector whose send class is not LISTEN_ONLY is one too."""

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        """Say it, with one write request.

        gate: asked once the line is open and it is this request's turn, before its first byte; what it raises, Held,
        comes out of here unchanged, and then nothing has left. Raises Rejected for good; AmbiguousWrite whenever it
        may be public (time-out, cut, 5xx, nonsense after the request left, "duplicate content"); Unavailable only when
        the request surely was not taken.
        """
        ...

    async def find(self, reply: Reply) -> Sent | None:
        """Look whether *reply* is already public: ours, under that parent, with that text. None: not seen (yet)."""
        ...

    def may_reply(self, post: Post) -> Refusal | None:
        """Return why the network's own rules forbid a reply to *post*, or None."""
        ...

    def overrun(self, post: Post, text: str) -> int:
        """Return by how many units *text* as a reply to *post* is too long for the network, 0 when it fits."""
        ...


@runtime_checkable
class Retractor(Protocol):
    """Deletes what we said, where the network can. A Replier of such a network is one too."""

    async def retract(self, post_id: str) -> None:
        """Delete our own post *post_id*. One that is gone already is fine, so again is harmless, and a library may.

        Raises Rejected for good (not ours, not allowed), AmbiguousWrite when it may or may not be gone, Unavailable
        when the request surely was not taken, RateLimited, AuthFailed.
        """
        ...


@runtime_checkable
class Receiver(Protocol):
    """Takes posts that are pushed to us; ``capabilities.pushed`` says so. The caller answers 2xx only after commit."""

    def receive(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivered:
        """Verify and read one delivery. Raises AuthFailed (signature, age) or Rejected (unreadable, says why)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One verified delivery: *id* is the sender's own, the same again is the same delivery."""

    id: str
    page: Page
