"""A network in memory that does to a reply what a script says: for tests whose subject is the bot, not a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from connectors.errors import ConnectorError
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, Refusal, Reply, Sent
from connectors.protocol import Capabilities, Cursor, Gate, Page, SendClass, open_gate


@dataclass
class Speaker:
    """Says replies into ``ledger``. before, after: for each send in turn, an error to raise before or after taking it.

    at_the_gate: what happens in the world just before the gate is asked.
    """

    send_class: SendClass = SendClass.READ_BACK
    settle_after: timedelta = timedelta(minutes=2)
    keyed_for: timedelta | None = None
    name: str = "x"
    channel: str = "x"
    ledger: list[Reply] = field(default_factory=list)
    before: list[ConnectorError | None] = field(default_factory=list)
    after: list[ConnectorError | None] = field(default_factory=list)
    finds: bool = True
    refusal: Refusal | None = None
    threads: dict[str, list[Post]] = field(default_factory=dict)
    standing: dict[str, Post | None] = field(default_factory=dict)
    at_the_gate: Callable[[], object] = field(default=lambda: None)

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(
            send_class=self.send_class,
            length=LengthRule(unit=Unit.CHARACTERS, limit=280),
            thread=True,
            deletions=True,
            keyed_for=self.keyed_for,
            settle_after=self.settle_after,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def streams(self) -> Sequence[str]:
        return ("mentions",)

    async def identity(self) -> Author:
        return Author(channel=self.channel, id="us", handle="us")

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        return Page(posts=(), cursor=cursor or "0")

    async def thread(self, post: Post) -> Sequence[Post]:
        return self.threads.get(post.id, [])

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        return {key: post for key, post in self.standing.items() if key in ids}

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        self.at_the_gate()
        gate()
        if self.before and (error := self.before.pop(0)) is not None:
            raise error
        keyed = self.send_class in (SendClass.KEYED, SendClass.KEYED_FOR_A_TIME)
        if not keyed or all(said.key != reply.key for said in self.ledger):
            self.ledger.append(reply)
        if self.after and (error := self.after.pop(0)) is not None:
            raise error
        return Sent(id=f"r{len(self.ledger)}")

    async def find(self, reply: Reply) -> Sent | None:
        said = any(each.key == reply.key for each in self.ledger)
        return Sent(id="found") if said and self.finds else None

    def may_reply(self, post: Post) -> Refusal | None:
        return self.refusal

    def overrun(self, post: Post, text: str) -> int:
        return self.capabilities.length.overrun(text) if self.capabilities.length else 0


@dataclass
class Deleter(Speaker):
    """A network that lets us delete. gone: ids deleted, in order. refusing: for each deletion in turn, an error.

    takes: the deletion is carried out before the error.
    """

    gone: list[str] = field(default_factory=list)
    refusing: list[ConnectorError | None] = field(default_factory=list)
    takes: bool = False

    async def retract(self, post_id: str) -> None:
        error = self.refusing.pop(0) if self.refusing else None
        if error is None or self.takes:
            self.gone.append(post_id)
        if error is not None:
            raise error

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        return {**await super().still_there(ids), **{each: None for each in ids if each in self.gone}}
