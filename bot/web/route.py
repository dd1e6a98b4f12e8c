"""A route: where, who may, who answers. Nothing is reachable that does not say who may reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from bot.store.roles import Role


class Access(StrEnum):
    """Who may: everybody, whoever signs the request itself (webhooks), or a role and those above it."""

    OPEN = "open"
    SIGNED = "signed"
    VIEWER = "viewer"
    AGENT = "agent"
    LEAD = "lead"
    ADMIN = "admin"

    @property
    def role(self) -> Role | None:
        """The role it takes, None for OPEN and SIGNED."""
        return None if self in (Access.OPEN, Access.SIGNED) else Role(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """What the OpenAPI document says of a route.

    query: parameter -> allowed values, () for any text. answer: type of the answer. paged: a list of them and a cursor.
    """

    summary: str
    answer: Any
    paged: bool = False
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: type[BaseModel] | None = None
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method at one path."""

    method: str
    path: str
    access: Access
    handler: Handler
    doc: Doc | None = None


class UndeclaredRoute(RuntimeError):
    """A route says not who may reach it; the site does not start."""


ACCESS = web.AppKey("access", dict[tuple[str, str], Access])


def access_of(app: web.Application, route: web.AbstractRoute) -> Access | None:
    """Return who may reach *route*, None when nobody said."""
    if route.resource is None:
        return None
    method = "GET" if route.method == "HEAD" else route.method
    return app[ACCESS].get((method, route.resource.canonical))


async def refuse_undeclared(app: web.Application) -> None:
    """Stop the start when a route was added beside the table. Raises UndeclaredRoute."""
    for route in app.router.routes():
        if access_of(app, route) is None:
            where = "?" if route.resource is None else route.resource.canonical
            raise UndeclaredRoute(f"{route.method} {where} says not who may reach it; add it to bot/web/routes.py")
