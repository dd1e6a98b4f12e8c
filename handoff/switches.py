"""Which guards a brand may switch off, and why the others stay: names of functions in ``guards`` and ``limits``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FIXED: Mapping[str, str] = MappingProxyType(
    {
        "own_post": "a bot that answers itself never stops",
        "repost": "who passes a post on asked nothing, and networks forbid answers to people who did not ask",
        "bot_author": "two bots that answer each other never stop",
        "not_addressed": "networks forbid automated answers to people who did not ask (X automation rules)",
        "opted_out": "networks and the law give people the right to be left alone",
        "muted": "a person muted this author; unmute them instead",
        "answered": "nobody is answered twice",
        "in_incident": "one incident has one answer; set handoff.incidents.enabled = false to have none",
        "network_refuses": "the network's rules go before ours",
        "window_closed": "the network takes no answer any more",
        "listen_only": "there is no way to speak there",
        "untriaged": "nobody knows what the post says",
        "people_only": "take intents out of handoff.people_only instead",
        "sensitive": "take subjects out of handoff.sensitive_topics instead",
        "spam": "an answer lends spam our name",
        "no_answer": "nothing is said that was not approved",
        "unlikely_answer": "lower handoff.draft_answer_confidence instead",
        "too_long": "the network would refuse it",
        "private": "public wording is not written for private conversations",
        "unsure_intent": "lower handoff.auto_triage_confidence instead",
        "unsure_answer": "lower handoff.auto_answer_confidence instead",
        "other_language": "set handoff.answer_in_other_language instead",
        "unearned": "set earned = false for the intent and source instead; it is your own risk",
        "budget_spent": "two bots that answer each other never stop; handoff.auto_replies_per_day says how often",
        "same_text": "networks suspend accounts that repeat themselves; raise handoff.caps.same_text_per_hour instead",
        "braked": "a burst of one answer is an incident; raise handoff.caps.brake_replies instead",
        "deleted": "there is nothing left to answer",
        "edited": "the words were chosen for another post",
        "withdrawn": "nothing is said that is not approved now",
    }
)
"""Guard -> why it cannot be switched off, and what to do instead where something can be done."""

SWITCHABLE = (
    "case_open",
    "abusive",
    "look_alike",
    "private_matter",
    "urgent",
    "stale",
    "quiet_hours",
    "author_cap",
    "conversation_cap",
    "article_cap",
    "source_cap",
    "total_cap",
)
"""Guards a brand may switch off: neither a network nor a law forbids to speak without them."""


def fault(name: str) -> str | None:
    """Return why the guard *name* cannot be switched, None when it can."""
    if name in SWITCHABLE:
        return None
    if name in FIXED:
        return f"{name} cannot be switched off: {FIXED[name]}"
    return f"{name!r} is no guard; those that can be switched are: {', '.join(SWITCHABLE)}"
