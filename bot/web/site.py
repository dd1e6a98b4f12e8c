"""The site: parts in, application out; starts, serves, and ends so that open pages come back by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web

from bot import __version__
from bot.brakes.keeper import Brakes
from bot.stages.rewind import Rewinder
from bot.store.engine import Store
from bot.web import openapi
from bot.web.auth import authorise
from bot.web.feed import ROWS, Rows
from bot.web.intake import MAX_DELIVERY
from bot.web.live import Live
from bot.web.parts import (
    PARTS,
    Clock,
    Explain,
    Measure,
    Metrics,
    Nearest,
    Parts,
    Ready,
    Receive,
    Tongues,
    WebOptions,
)
from bot.web.passwords import Passwords
from bot.web.problems import problems
from bot.web.rewind import REWINDS, Rewinds
from bot.web.route import ACCESS, refuse_undeclared
from bot.web.routes import ROUTES
from bot.web.why import REASONS, Reasons
from bot.web.worth import MISSING, MissingKnowledge
from handoff.knowledge.readiness import NO_STANDARDS, Guess, Standards
from handoff.knowledge.search import Hit, Query
from handoff.policy import Policy

log = structlog.get_logger()

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types harken",
    )
)

HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: browsers then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "harken",
}


class Site:
    """The windows of one Harken. Light until ``start``; closing twice is harmless.

    receive takes a pushed delivery and returns an HTTP status; measure counts a text as a network does;
    explain says which words made its labels; standards are what articles are held against; tongues tells languages;
    rewinder plays the past again, where there is one.
    nearest asks the knowledge in service.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        policy: Policy,
        settings: WebOptions,
        ready: Ready,
        metrics: Metrics,
        receive: Receive,
        measure: Measure,
        explain: Explain,
        brakes: Brakes,
        standards: Standards = NO_STANDARDS,
        tongues: Tongues | None = None,
        rewinder: Rewinder | None = None,
        nearest: Nearest | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._settings = settings
        self._ready = ready
        self._metrics = metrics
        self._receive = receive
        self._measure = measure
        self._explain = explain
        self._standards = standards
        self._tongues = tongues or _nobody_can_tell
        self._brakes = brakes
        self._rewinder = rewinder
        self._nearest = nearest or _nothing_is_known
        self._runner: web.AppRunner | None = None
        self._parts: Parts | None = None
        self.port = 0

    def make_app(self) -> web.Application:
        """Return the application; it refuses to start with a route that does not say who may reach it."""
        live = Live(self._store, clock=self._clock, idle=timedelta(hours=self._settings.idle_hours))
        parts = Parts(
            store=self._store,
            clock=self._clock,
            policy=self._policy,
            settings=self._settings,
            passwords=Passwords(),
            live=live,
            ready=self._ready,
            metrics=self._metrics,
            receive=self._receive,
            measure=self._measure,
            explain=self._explain,
            standards=self._standards,
            tongues=self._tongues,
            brakes=self._brakes,
            rewinder=self._rewinder,
            nearest=self._nearest,
        )
        self._parts = parts
        app = web.Application(middlewares=[problems, authorise], client_max_size=MAX_DELIVERY)
        app[PARTS] = parts
        app[ROWS] = Rows(parts)
        app[REASONS] = Reasons(parts)
        app[REWINDS] = Rewinds(parts)
        app[MISSING] = MissingKnowledge(parts)
        app[ACCESS] = {}
        for route in ROUTES:
            added = app.router.add_route(route.method, route.path, route.handler)
            if added.resource is not None:
                app[ACCESS][(route.method, added.resource.canonical)] = route.access
        app[openapi.DOCUMENT] = openapi.document(ROUTES, version=__version__)
        app.on_response_prepare.append(_headers)
        app.on_startup.extend((refuse_undeclared, _start))
        # Before the runner waits for open answers: streams end now and tell their pages to come back.
        app.on_shutdown.append(_end_streams)
        app.on_cleanup.append(_close)
        return app

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Serve on the configured host and port; ``port`` is the real one where 0 was configured."""
        # No access log: paths carry sign-in tokens.
        runner = web.AppRunner(self.make_app(), access_log=None, handle_signals=False, shutdown_timeout=5.0)
        self._runner = runner
        await runner.setup()
        await web.TCPSite(runner, self._settings.host, self._settings.port).start()
        self.port = runner.addresses[0][1]
        log.info("web.started", host=self._settings.host, port=self.port)

    def nudge(self) -> None:
        """Tell open feeds to look now rather than within half a second."""
        if self._parts is not None:
            self._parts.live.nudge()

    async def close(self) -> None:
        """Take no more requests, tell open feeds to reconnect, let running answers end."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            log.info("web.stopped")


async def _nobody_can_tell(texts: Sequence[str]) -> Sequence[Guess]:
    return [Guess(language="und", confidence=1.0) for _ in texts]


async def _nothing_is_known(queries: Sequence[Query]) -> Sequence[Hit | None]:
    return [None] * len(queries)


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if request.app[PARTS].settings.secure_cookies:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"


async def _start(app: web.Application) -> None:
    await app[PARTS].live.start()


async def _end_streams(app: web.Application) -> None:
    await app[PARTS].live.close()


async def _close(app: web.Application) -> None:
    await app[REWINDS].close()
    app[PARTS].passwords.close()
