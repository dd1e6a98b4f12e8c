"""What to do with a post: one of four decisions, each with its reasons in words a social team reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from handoff import guards, priority, reading
from handoff.consent import Wish, wish
from handoff.earned import told
from handoff.policy import Mode, Policy
from handoff.routing import queue_for
from handoff.situation import Candidate, Situation
from handoff.sla import due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoReply:
    """Say this approved wording now, alone."""

    answer: Candidate
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Put this approved wording before a person; it is said when one approves it. Stays in our own desk."""

    answer: Candidate
    queue: str
    priority: int
    due_at: datetime
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate:
    """Give it to people with the full context. priority: 1 (now) to 4 (some day). answer: a suggestion, if any."""

    queue: str
    priority: int
    due_at: datetime
    reasons: Sequence[str]
    answer: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """Nothing to do; the post stays in the feed."""

    reasons: Sequence[str]


Decision: TypeAlias = AutoReply | Draft | Escalate | Ignore


def decide(situation: Situation, policy: Policy) -> Decision:
    """Return what to do. Pure: the same situation and policy give the same decision; never asks the time."""
    if over := guards.objections((guards.own_post, guards.repost), situation, policy):
        return Ignore(reasons=over)
    if situation.already_answered and situation.post.edited_at is None:
        return Ignore(reasons=["we have already replied to it"])
    if asked := _wish(situation):
        return Ignore(reasons=[asked])
    if situation.triage is None:
        return _escalate(situation, policy, ["untriaged: no model could judge this post"])
    pressing = _pressing(situation, policy)
    if reason := _idle(situation, policy, pressing=pressing):
        return Ignore(reasons=[reason])
    intent = situation.triage.intent.label
    mode = policy.mode(situation.source, intent)
    if mode is Mode.OFF:
        if not pressing:
            return Ignore(
                reasons=[f"Harken is switched off for {intent} on {situation.source}; the post stays in the feed"]
            )
        return _escalate(situation, policy, pressing)
    silences = guards.objections(guards.SILENCES, situation, policy)
    cautions = guards.objections(guards.CAUTIONS, situation, policy)
    answer = reading.best(situation, policy)
    if answer is None or silences:
        return _people(situation, policy, pressing=pressing, silences=silences)
    found = f"{answer.slug} answers it ({answer.confidence:.2f})"
    if mode is Mode.AUTO and not cautions:
        why = [found, f"{intent} on {situation.source} is answered automatically"]
        if policy.must_earn(situation.source, intent):
            why.append(told(situation.record, intent, situation.source, limit=policy.settings.error_limit))
        return AutoReply(answer=answer, reasons=why)
    rank = priority.rank(situation, policy)
    return Draft(
        answer=answer,
        queue=queue_for(situation, policy),
        priority=rank.level,
        due_at=due_at(situation.now, rank.level, policy, asked_at=situation.post.created_at),
        reasons=list(
            dict.fromkeys([found, *(cautions or [f"a person approves {intent} on {situation.source}"]), *rank.reasons])
        ),
    )


def may_be_helped(situation: Situation, policy: Policy, decision: Decision) -> bool:
    """Tell whether a language model may be asked for words that a person will read: a draft waits, or it goes to people
    only because no article is likely or short enough. Never about private messages, and never where a prepared answer
    is forbidden."""
    if situation.post.is_private or not any(each.wording for each in situation.answers):
        return False
    match decision:
        case Draft():
            return True
        case Escalate():
            weak = (guards.unlikely_answer, guards.too_long)
            return not guards.objections([each for each in guards.SILENCES if each not in weak], situation, policy)
        case _:
            return False


def _wish(situation: Situation) -> str | None:
    """Return what a post says that only asks the bot to stop, or to go on: the store has heeded it already."""
    if not reading.speaks_to_us(situation):
        return None
    match wish(situation.post.text, is_private=situation.post.is_private):
        case Wish.STOP:
            return "its author asked not to be answered by a bot; that is kept"
        case Wish.START:
            return "its author lets the bot answer again"
        case _:
            return None


def _pressing(situation: Situation, policy: Policy) -> list[str]:
    """Return why people must see the post even where we do not speak, or where nobody spoke to us."""
    reasons = []
    if reading.is_urgent(situation, policy):
        reasons.append("it is urgent")
    if reason := reading.security(situation, policy):
        reasons.append(reason)
    ours = reading.speaks_to_us(situation) or reading.is_urgent(situation, policy) or reading.is_complaint(situation)
    if ours and (reason := guards.sensitive(situation, policy)):
        reasons.append(reason)
    return reasons


def _idle(situation: Situation, policy: Policy, *, pressing: list[str]) -> str | None:
    """Return why there is nothing to do, or None."""
    if reading.spam(situation) >= policy.settings.ignore_confidence:
        return "it is spam"
    idle = reading.nothing_to_do(situation, policy) >= policy.settings.ignore_confidence
    # News that sounds urgent and asks nothing of us is not ours to act on; somebody in danger always is.
    if pressing and (reading.speaks_to_us(situation) or reading.topics(situation, policy) or not idle):
        return None
    if idle:
        return f"nothing to act on: {reading.intent(situation)}"
    if situation.muted:
        return "a person muted the bot for its author, and nothing in it presses"
    if situation.post.author.is_bot and not reading.is_complaint(situation):
        return "its author is a bot, and nothing in it presses"
    if not reading.speaks_to_us(situation) and not reading.is_complaint(situation):
        return "it does not speak to us, and nothing in it presses"
    return None


def _people(situation: Situation, policy: Policy, *, pressing: list[str], silences: list[str]) -> Decision:
    if not reading.speaks_to_us(situation) and not pressing:
        return _escalate(situation, policy, ["a complaint about us, found by search"])
    return _escalate(situation, policy, [*pressing, *silences])


def _escalate(situation: Situation, policy: Policy, reasons: Sequence[str]) -> Escalate:
    rank = priority.rank(situation, policy)
    # Where a subject needs care, a ready-made wording beside the post would invite to send it.
    careful = bool(reading.topics(situation, policy))
    likely = reading.best(situation, policy) if not guards.unlikely_answer(situation, policy) else None
    return Escalate(
        queue=queue_for(situation, policy),
        priority=rank.level,
        due_at=due_at(situation.now, rank.level, policy, asked_at=situation.post.created_at),
        reasons=list(dict.fromkeys([*reasons, *rank.reasons])),
        answer=None if careful else likely,
    )
