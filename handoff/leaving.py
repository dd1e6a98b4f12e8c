"""Asked once more in the moment before a reply leaves: may it still be said?

What was true when it was decided may be so no longer: the article withdrawn, the post edited, the policy stricter, the
author gone quiet. The situation is the one that the store knows now; ``decide`` itself is asked again for what the bot
wants to say alone, so that no guard can be forgotten here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from handoff import guards
from handoff.decision import AutoReply, decide
from handoff.policy import Policy
from handoff.situation import Situation


class Voice(StrEnum):
    """Who speaks. DRAFT: a person approved words that the bot prepared. MODEL: or that a language model wrote."""

    BOT = "bot"
    DRAFT = "draft"
    AGENT = "agent"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Whose words are about to be said. is_edited: a person changed what was prepared. is_approved: one said yes."""

    voice: Voice
    is_edited: bool = False
    is_approved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why it is not said after all. guard: which one objects. needs_people: nobody else sees to the post."""

    guard: str
    reason: str
    needs_people: bool = True


def objection(situation: Situation, policy: Policy, words: Words) -> Objection | None:
    """Return what speaks against saying *words* now, None when nothing does.

    situation: as the store knows it in the transaction that lets them go, with the words themselves. Its only answer is
    the article that they came from, worded as it stands now; none when that is no longer in force.
    """
    gone = guards.GONE if words.voice is not Voice.AGENT else (guards.deleted, guards.edited)
    for name, reason in guards.named(gone, situation, policy):
        return Objection(guard=name, reason=reason, needs_people=False)
    match words.voice:
        case Voice.AGENT:
            return _by_person(situation, words)
        case Voice.DRAFT:
            return _by_person(situation, words) or (
                None if words.is_edited else _first((withdrawn,), situation, policy)
            )
        case Voice.MODEL:
            return unapproved(words) or _by_person(situation, words) or _ungrounded(situation, words)
        case Voice.BOT:
            return _first((withdrawn, *guards.GUARDS), situation, policy) or _no_longer_alone(situation, policy)


def _by_person(situation: Situation, words: Words) -> Objection | None:
    """An opt-out is about machines, so it holds for what one prepared. In private it may be meant, and be law, for all
    messages (47 CFR 64.1200(a)(10)): there a person answers only what the author wrote after it."""
    since = situation.opted_out_at
    if since is None:
        return None
    if words.voice in (Voice.DRAFT, Voice.MODEL) or (situation.post.is_private and situation.post.created_at <= since):
        return Objection(guard="opted_out", reason="its author asked not to be answered by a bot")
    return None


def unapproved(words: Words) -> Objection | None:
    """Whatever went wrong before: what a language model wrote is not said unless a person approved it (ADR 0013)."""
    if words.is_approved:
        return None
    return Objection(guard="unapproved", reason="a language model wrote it, and nobody approved it")


def _ungrounded(situation: Situation, words: Words) -> Objection | None:
    """A draft left as it was stands on its article; who changed its words answers for them."""
    if words.is_edited or situation.answers:
        return None
    return Objection(guard="withdrawn", reason="the article that it was written from was withdrawn")


def withdrawn(situation: Situation, policy: Policy) -> str | None:
    """Asked when a reply is about to leave: its article must still be in force, and still say these very words."""
    said = next(iter(situation.answers), None)
    if said is None:
        return "the article that it came from was withdrawn"
    if said.wording != situation.words:
        return f"{said.slug} was changed since these words were chosen"
    return None


def _first(asked: Sequence[guards.Guard], situation: Situation, policy: Policy) -> Objection | None:
    found = guards.named(asked, situation, policy)
    return Objection(guard=found[0][0], reason=found[0][1]) if found else None


def _no_longer_alone(situation: Situation, policy: Policy) -> Objection | None:
    decision = decide(situation, policy)
    return None if isinstance(decision, AutoReply) else Objection(guard="mode", reason="; ".join(decision.reasons))
