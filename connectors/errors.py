"""What can go wrong outside, by what the caller must do.

ConnectorError
├── Unavailable      try again later: the network is down, slow or talks nonsense
├── RateLimited      wait until ``until``
├── AuthFailed       stop this source and tell a person
├── Rejected         never again: the network said no for good
├── AmbiguousWrite   it may be public: look before anything else
└── Held             keep it until a person releases the brake: nothing has left
"""

from __future__ import annotations

from datetime import datetime, timedelta

LONGEST_WAIT = timedelta(days=1)
"""The longest windows of any network are a day (X: 24-hour limits on posts)."""


class ConnectorError(Exception):
    """Something outside failed; a subclass says what to do about it. Carries no token, handle or post text."""


class Unavailable(ConnectorError):
    """The network cannot be used at present; try again later."""


class RateLimited(ConnectorError):
    """The network wants no request before *until* (aware UTC; None when it did not say)."""

    def __init__(self, message: str, *, until: datetime | None) -> None:
        super().__init__(message)
        self.until = until

    def wait_until(self, now: datetime, *, otherwise: timedelta) -> datetime:
        """Return when to ask again: *until*, or after *otherwise*; a time more than LONGEST_WAIT away is nonsense."""
        return min(self.until or now + otherwise, now + LONGEST_WAIT)


class AuthFailed(ConnectorError):
    """The credentials are refused; a person must renew them."""


class Rejected(ConnectorError):
    """The network refuses this for good; the same again would be refused again."""


class AmbiguousWrite(ConnectorError):
    """The reply may be public or not; look before saying anything again."""


class Held(ConnectorError):
    """A brake stands; not one byte of it has left."""
