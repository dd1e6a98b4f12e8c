"""What can go wrong at a desk, by what the caller must do. Opening is idempotent, so "perhaps" is "try again".

DeskError
├── DeskUnavailable   try again later: down, slow, nonsense, or perhaps already open
├── DeskLimited       wait until ``until``
├── DeskAuthFailed    stop this desk and tell a person
└── DeskRejected      never again: the desk said no for good
"""

from __future__ import annotations

from datetime import datetime


class DeskError(Exception):
    """A desk failed; a subclass says what to do about it. Carries no token and no text of a post."""


class DeskUnavailable(DeskError):
    """The desk cannot be used at present; try again later."""


class DeskLimited(DeskError):
    """The desk wants no request before *until* (aware UTC; None when it did not say)."""

    def __init__(self, message: str, *, until: datetime | None) -> None:
        super().__init__(message)
        self.until = until


class DeskAuthFailed(DeskError):
    """The credentials are refused; a person must renew them."""


class DeskRejected(DeskError):
    """The desk refuses this ticket for good."""
