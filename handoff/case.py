"""A case: a customer's matter that people act on, and the only ways it may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"  # nobody has it
    CLAIMED = "claimed"  # somebody works on it
    WAITING = "waiting"  # answered; the customer's turn
    RESOLVED = "resolved"


TRANSITIONS: Mapping[CaseState, frozenset[CaseState]] = MappingProxyType(
    {
        CaseState.OPEN: frozenset({CaseState.CLAIMED, CaseState.WAITING, CaseState.RESOLVED}),
        CaseState.CLAIMED: frozenset({CaseState.OPEN, CaseState.WAITING, CaseState.RESOLVED}),
        CaseState.WAITING: frozenset({CaseState.OPEN, CaseState.CLAIMED, CaseState.RESOLVED}),
        CaseState.RESOLVED: frozenset({CaseState.OPEN}),
    }
)


class IllegalTransition(ValueError):
    """A case cannot go from here to there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One customer's matter. key: the key of the post that opened it, so opening twice is opening once.

    priority: 1 (now) to 4 (some day). due_at: first answer due. reasons: why it came to people.
    """

    key: str
    title: str
    state: CaseState
    queue: str
    priority: int
    opened_at: datetime
    due_at: datetime
    reasons: Sequence[str]
    assignee: str | None = None
    url: str | None = None


def move(state: CaseState, to: CaseState) -> CaseState:
    """Return *to*. Raises IllegalTransition, naming what is allowed from *state*."""
    if to not in TRANSITIONS[state]:
        allowed = ", ".join(sorted(TRANSITIONS[state]))
        raise IllegalTransition(f"a case that is {state} cannot become {to}; it can become: {allowed}")
    return to
