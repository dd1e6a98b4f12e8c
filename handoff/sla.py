"""When the first answer is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from handoff.policy import Policy
from handoff.situation import Situation

GRACE = timedelta(minutes=15)
"""What comes to us late is not late before somebody could look at it."""


def due_at(situation: Situation, policy: Policy, *, priority: int) -> datetime:
    """Return when the first answer is due: the customer's clock runs from the post, ours gets GRACE at least."""
    target = policy.target(priority)
    asked = min(situation.post.created_at, situation.now)
    return max(asked + target, situation.now + min(GRACE, target))
