"""Why the store does not do what a person asked; the message is shown to that person.

RefusedError
├── Missing    there is no such thing
├── Conflict   it is no longer (or not yet) possible: look again
└── Invalid    what was given cannot be taken
"""

from __future__ import annotations


class RefusedError(Exception):
    """A person asked for something that cannot be done; nothing was changed."""


class Missing(RefusedError):
    """There is no such thing."""


class Conflict(RefusedError):
    """It is not possible as things stand now."""


class Invalid(RefusedError):
    """What was given cannot be taken."""
