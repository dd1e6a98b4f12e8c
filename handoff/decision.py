"""What to do with a post: one of four decisions, each with its reasons in words a social team reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from handoff.situation import Candidate


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
