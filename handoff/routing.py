"""Whose queue: by subject first, then by intent, else the one for everything."""

from __future__ import annotations

from handoff import reading
from handoff.policy import Policy
from handoff.situation import Situation


def queue_for(situation: Situation, policy: Policy) -> str:
    """Return the name of the queue that gets the post."""
    names = (*(topic.value for topic in reading.topics(situation, policy)), reading.intent(situation))
    return next(
        (policy.settings.queues[name] for name in names if name in policy.settings.queues), policy.settings.queue
    )
