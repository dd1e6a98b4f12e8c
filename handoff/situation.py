"""Everything there is to know about one post at the moment of deciding: frozen, complete, no I/O behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from classifiers.triage import Triage
from connectors.post import Post, Refusal
from connectors.protocol import Capabilities
from handoff.earned import NOTHING, Record
from handoff.speech import PrivateText, PublicText
from handoff.traffic import SILENCE, Traffic


class ContactKind(StrEnum):
    """Who spoke in an earlier contact."""

    CUSTOMER = "customer"
    REPLY = "reply"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One earlier contact with this customer on this channel. outcome: what we did with it, in one word. key: the
    post's, empty for ours."""

    kind: ContactKind
    at: datetime
    text: PrivateText
    url: str | None = None
    intent: str = ""
    sentiment: str = ""
    outcome: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An approved article that may answer the post, rendered for its channel.

    confidence: probability that it answers, 0 to 1. wording: the exact public text. fits: within the network's limit.
    is_private_door: it only asks to write to us privately.
    """

    article_id: int
    slug: str
    locale: str
    title: str
    wording: PublicText
    confidence: float
    fits: bool = True
    is_private_door: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The full context of one post.

    source: name in the config. triage: None when no model could judge it. thread: posts above it, root first.
    history: oldest first, this customer on this channel. answers: best first. may_reply: the network's own refusal.
    already_answered: we replied to this very post. auto_replies_24h: what the bot alone said to this author in this
    conversation. open_case: key of an unresolved case of this customer in this conversation. opted_out_at: when the
    author asked the bot to stop. muted: a person silenced the bot for this author. own_names: how our account calls
    itself there. incident: number of the open incident that has the post. record: what people thought of answers to
    this intent here. traffic: what the bot said lately.

    Before a reply leaves: is_deleted: the post is gone. words: about to be said. written_for: the
    post's revision when they were chosen.
    """

    post: Post
    source: str
    capabilities: Capabilities
    now: datetime
    triage: Triage | None = None
    thread: Sequence[Post] = ()
    history: Sequence[Contact] = ()
    answers: Sequence[Candidate] = ()
    may_reply: Refusal | None = None
    already_answered: bool = False
    auto_replies_24h: int = 0
    open_case: str | None = None
    opted_out_at: datetime | None = None
    muted: bool = False
    own_names: Sequence[str] = ()
    record: Record = NOTHING
    traffic: Traffic = SILENCE
    incident: int | None = None
    is_deleted: bool = False
    words: str | None = None
    written_for: str | None = None
