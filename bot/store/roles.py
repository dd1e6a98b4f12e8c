"""Who may do what. Light: the command line names the roles before any database is thought of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a person may do; each may what those before may."""

    VIEWER = "viewer"
    AGENT = "agent"
    LEAD = "lead"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Say whether this role may what *other* may."""
        return RANK[self] >= RANK[other]


RANK: Mapping[Role, int] = MappingProxyType({role: rank for rank, role in enumerate(Role)})
