"""Asked once more in the moment before a reply leaves: may it still be said?

What was true when it was decided may be so no longer: the article withdrawn, the post edited, the policy stricter, the
author gone quiet. The situation is the one that the store knows now; ``decide`` itself is asked again for what the bot
wants to say alone, so that no guard can be forgotten here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from handoff import guards, limits, reading
from handoff.decision import AutoReply, decide
from handoff.policy import Mode, Policy
from handoff.situation import Situation


class Voice(StrEnum):
    """Who speaks. DRAFT: a person approved words that the bot prepared. MODEL: or that a language model wrote.

    INCIDENT, FOLLOW_UP: a person chose an approved article for all of an incident.
    """

    BOT = "bot"
    DRAFT = "draft"
    AGENT = "agent"
    MODEL = "model"
    INCIDENT = "incident"
    FOLLOW_UP = "follow_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Whose words are about to be said. is_edited: a person changed what was prepared. is_approved: one said yes."""

    voice: Voice
    is_edited: bool = False
    is_approved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why it is not said after all. guard: which one objects. needs_people: nobody else sees to the post. waits: it
    may be said later, as it is."""

    guard: str
    reason: str
    needs_people: bool = True
    waits: bool = False


def objection(situation: Situation, policy: Policy, words: Words) -> Objection | None:
    """Return what speaks against saying *words* now, None when nothing does.

    situation: as the store knows it in the transaction that lets them go, with the words themselves. Its only answer is
    the article that they came from, worded as it stands now; none when that is no longer in force.
    """
    # A person may write again, and a follow-up goes to who was answered.
    again = words.voice in (Voice.AGENT, Voice.FOLLOW_UP)
    gone = (guards.deleted, guards.edited) if again else guards.GONE
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
        case Voice.INCIDENT:
            return _of_incident((withdrawn, switched_off, *CAMPAIGN, *ONCE), situation, policy)
        case Voice.FOLLOW_UP:
            return _of_incident((withdrawn, switched_off, *CAMPAIGN), situation, policy)
        case Voice.BOT:
            if (taken := guards.in_incident(situation, policy)) is not None:
                # The incident has the post now, so no case of its own is opened.
                return Objection(guard="in_incident", reason=taken, needs_people=False)
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


def switched_off(situation: Situation, policy: Policy) -> str | None:
    """Asked before an incident's answer leaves: where the mode is off nothing prepared is said."""
    intent = reading.intent(situation)
    if policy.mode(situation.source, intent) is not Mode.OFF:
        return None
    return f"Harken is switched off for {intent} on {situation.source}"


CAMPAIGN: Sequence[guards.Guard] = (
    guards.own_post,
    guards.repost,
    guards.bot_author,
    guards.not_addressed,
    guards.opted_out,
    guards.muted,
    guards.case_open,
    guards.network_refuses,
    guards.window_closed,
    guards.listen_only,
    guards.untriaged,
    guards.sensitive,
    guards.abusive,
    guards.spam,
    guards.look_alike,
    guards.too_long,
    guards.private,
    guards.private_matter,
    guards.other_language,
    limits.author_cap,
)
"""What is asked of each reply of an incident. Not asked is what a person has answered for all of them by choosing the
article and starting: whether the article fits, whether the intent may be answered alone and has earned it, whether a
burst of this very article is meant."""

ONCE: Sequence[guards.Guard] = (limits.budget_spent,)
"""Asked of the answer, not of the follow-up, of which nobody gets a second."""

LATER: Sequence[guards.Guard] = (
    guards.quiet_hours,
    limits.conversation_cap,
    limits.same_text,
    limits.article_cap,
    limits.source_cap,
    limits.total_cap,
)
"""What an incident's reply waits for: it keeps its words and its turn."""


def _of_incident(asked: Sequence[guards.Guard], situation: Situation, policy: Policy) -> Objection | None:
    for name, reason in guards.named(asked, situation, policy):
        return Objection(guard=name, reason=reason, needs_people=False)
    for name, reason in guards.named(LATER, situation, policy):
        return Objection(guard=name, reason=reason, needs_people=False, waits=True)
    return None


def _first(asked: Sequence[guards.Guard], situation: Situation, policy: Policy) -> Objection | None:
    found = guards.named(asked, situation, policy)
    return Objection(guard=found[0][0], reason=found[0][1]) if found else None


def _no_longer_alone(situation: Situation, policy: Policy) -> Objection | None:
    decision = decide(situation, policy)
    return None if isinstance(decision, AutoReply) else Objection(guard="mode", reason="; ".join(decision.reasons))
