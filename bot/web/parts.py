"""What every window may use, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from aiohttp import web

from bot.brakes.keeper import Brakes
from bot.stages.rewind import Rewinder
from bot.store.engine import Store
from bot.store.people import User
from bot.web.live import Live
from bot.web.passwords import Passwords
from classifiers.triage import Triage
from classifiers.why import Why
from handoff.knowledge.readiness import Guess, Standards
from handoff.knowledge.search import Hit, Query
from handoff.policy import Policy

Clock: TypeAlias = Callable[[], datetime]
Ready: TypeAlias = Callable[[], Awaitable[tuple[bool, dict[str, object]]]]
Metrics: TypeAlias = Callable[[], bytes]
Receive: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""(source, headers, body) -> HTTP status: 202 taken (only after commit), 400, 401, 404, 413."""
Measure: TypeAlias = Callable[[str, str], tuple[int, int] | None]
"""(source, text) -> (units used, limit) in the network's own measure; None where there is no rule."""
Explain: TypeAlias = Callable[[str], Awaitable[tuple[Triage, Sequence[Why]]]]
"""text -> its labels, and the words that made each. Raises ClassifierError."""
Tongues: TypeAlias = Callable[[Sequence[str]], Awaitable[Sequence[Guess]]]
"""texts -> the language of each, same length, same order. Raises ClassifierError."""
Nearest: TypeAlias = Callable[[Sequence[Query]], Awaitable[Sequence[Hit | None]]]
"""queries -> the likeliest article in force for each, None where there is none; same length, same order."""


class WebOptions(Protocol):
    """The ``[web]`` table. public_url: how browsers reach us, when a proxy stands before; empty: what they ask for.

    secure_cookies: served over https. behind_proxy: believe the last entry of X-Forwarded-For.
    """

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def public_url(self) -> str | None: ...
    @property
    def secure_cookies(self) -> bool: ...
    @property
    def session_hours(self) -> float: ...
    @property
    def idle_hours(self) -> float: ...
    @property
    def behind_proxy(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks. csrf: what the session's forms carry; empty for an API key, which no browser sends by itself."""

    user: User
    csrf: str = ""
    token_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The site's parts."""

    store: Store
    clock: Clock
    policy: Policy
    settings: WebOptions
    passwords: Passwords
    live: Live
    ready: Ready
    metrics: Metrics
    receive: Receive
    measure: Measure
    explain: Explain
    standards: Standards
    tongues: Tongues
    brakes: Brakes
    rewinder: Rewinder | None = None
    nearest: Nearest

    @property
    def idle(self) -> timedelta:
        """How long a session may rest."""
        return timedelta(hours=self.settings.idle_hours)


PARTS = web.AppKey("parts", Parts)
VISITOR = web.RequestKey("visitor", Visitor)


def visitor(request: web.Request) -> Visitor:
    """Return who asks; only handlers that are not open to all may call it."""
    return request[VISITOR]
