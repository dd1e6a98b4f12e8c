"""The promise every desk keeps; tests/handoff/contract.py quotes it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from handoff.case import Case
from handoff.situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRef:
    """Where a case lives at a desk. id: the desk's own."""

    desk: str
    id: str
    url: str | None = None


class Desk(Protocol):
    """Opens tickets in somebody's call centre.

    Entering makes a session but asks the desk nothing; closing twice is harmless. Raises DeskError's children and
    nothing else; keeps no state, never retries, never sleeps, never logs text, handles or tokens.
    """

    name: str

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def check(self) -> None:
        """Prove that the desk answers and the credentials are good; changes nothing there."""
        ...

    async def open(self, case: Case, context: Situation) -> TicketRef:
        """Open the ticket for *case* with the full context as its first note, or return the one already open.

        Idempotent on ``case.key``: called again, also after a time-out or a kill, it never makes a second ticket.
        """
        ...
