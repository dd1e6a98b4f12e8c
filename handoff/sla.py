"""When the first answer is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from handoff.policy import Policy

GRACE = timedelta(minutes=15)
"""What comes to us late is not late before somebody could look at it."""


def due_at(now: datetime, priority: int, policy: Policy, *, asked_at: datetime | None = None) -> datetime:
    """Return when the first answer to a matter of *priority* (1 to 4) is due.

    The customer's clock runs from *asked_at* (default: now), ours gets GRACE from now at least.
    """
    target = policy.target(priority)
    asked = now if asked_at is None else min(asked_at, now)
    return max(asked + target, now + min(GRACE, target))
