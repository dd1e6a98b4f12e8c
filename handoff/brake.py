"""What a brake stops: everything, one article, one intent or one source. Pure: bot pulls and releases.

A person in a hurry pulls it, so what a target covers is plain: ``targets`` names every brake that would hold a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_NAME = 200


class Scope(StrEnum):
    """How much a brake stops."""

    EVERYTHING = "everything"
    ARTICLE = "article"
    INTENT = "intent"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is stopped. name: the article's slug, the intent or the source; empty for everything."""

    scope: Scope
    name: str = ""

    def __post_init__(self) -> None:
        if self.scope is Scope.EVERYTHING:
            if self.name:
                raise ValueError("a brake on everything takes no name")
        elif not self.name or len(self.name) > MAX_NAME or not self.name.isprintable():
            raise ValueError(f"a brake on one {self.scope} takes its name, {MAX_NAME} printable characters at most")

    def __str__(self) -> str:
        return f"{self.scope} {self.name}" if self.name else str(self.scope)


EVERYTHING = Target(scope=Scope.EVERYTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A brake that somebody pulled. token: its identity, wherever it is kept. at: aware UTC.

    user_id: the person, None when only *who* says it: the command line, a file.
    """

    token: str
    target: Target
    at: datetime
    who: str
    why: str
    user_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a reply is about. article: the slug of what it says, None for words of a person's own.

    is_prepared: the bot says it alone, or a person approved what the bot had drafted.
    """

    source: str
    article: str | None
    intent: str | None
    is_prepared: bool


def targets(topic: Topic) -> Sequence[Target]:
    """Return every brake that would hold a reply on *topic*.

    A brake on an intent holds prepared words only: people must be able to write to customers about it in their own.
    """
    found = [EVERYTHING, Target(scope=Scope.SOURCE, name=topic.source)]
    if topic.article:
        found.append(Target(scope=Scope.ARTICLE, name=topic.article))
    if topic.intent and topic.is_prepared:
        found.append(Target(scope=Scope.INTENT, name=topic.intent))
    return found
