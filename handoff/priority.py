"""How soon people should look: 1 (now) to 4 (some day), and why.

Abuse is no reason to go first: shouting must not pay. Nor is politeness a reason to wait.
"""

from __future__ import annotations

from dataclasses import dataclass

from handoff import reading
from handoff.policy import Policy
from handoff.situation import Situation

NOW, SOON, TODAY, SOME_DAY = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Priority:
    """level: 1 to 4. reasons: what moved it, in words; empty for an ordinary post."""

    level: int
    reasons: tuple[str, ...]


def rank(situation: Situation, policy: Policy) -> Priority:
    """Return the priority of a post. A start by what it says, then one step up or down for who says it and where."""
    level, reasons = _start(situation, policy)
    if level == NOW:
        return Priority(NOW, tuple(reasons))
    if (
        situation.post.author.followers is not None
        and situation.post.author.followers >= policy.settings.large_audience
    ):
        level -= 1
        reasons.append("its author has a large audience")
    if reading.recent_posts(situation) >= policy.settings.repeat_contacts:
        level -= 1
        reasons.append("the customer has written several times this week")
    if not reading.speaks_to_us(situation):
        level += 1
        reasons.append("it was found by search")
    # Only what is urgent in itself is for now: else a loud day buries the one post that burns.
    return Priority(max(SOON, min(SOME_DAY, level)), tuple(reasons))


def _start(situation: Situation, policy: Policy) -> tuple[int, list[str]]:
    if reading.is_urgent(situation, policy):
        return NOW, ["it is urgent"]
    if situation.triage is None:
        return SOON, ["nobody knows yet what it says"]
    if reason := reading.security(situation, policy):
        return SOON, [reason]
    if reading.topics(situation, policy):
        return SOON, ["a subject that needs care"]
    if situation.triage.urgency.label == "high":
        return SOON, ["it may be urgent"]
    if situation.triage.urgency.label == "low" and not reading.is_complaint(situation):
        return SOME_DAY, ["nothing presses"]
    return TODAY, []
