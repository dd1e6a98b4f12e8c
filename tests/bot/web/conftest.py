"""A real site on loopback over a real SQLite file, and people who visit it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.app import read_policy
from bot.brakes.keeper import Brakes
from bot.settings import Settings
from bot.stages.rewind import Rewinder
from bot.store.engine import Store
from bot.store.roles import Role
from bot.web.site import Site
from classifiers import why
from classifiers.engines.keywords import Keywords
from classifiers.triage import Triage
from classifiers.why import Why
from handoff.knowledge.slots import NO_SLOTS
from handoff.policy import PolicySettings
from tests.bot.web.world import Browser, Clock, Day, Options, add_day, add_user, signed_in

POLICY = PolicySettings.model_validate({"intents": {"delivery_item": "auto"}, "guards": {"stale": False}}).policy()

Visit = Callable[[Role | None], Awaitable[Browser]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def options() -> Options:
    return Options()


@pytest.fixture
def day(sqlite_store: Store) -> Day:
    return sqlite_store.write_now(add_day)


async def ready() -> tuple[bool, dict[str, object]]:
    return True, {"store": "ok"}


async def receive(source: str, headers: Mapping[str, str], body: bytes) -> int:
    if source != "shop":
        return 404
    return 202 if headers.get("Webhook-Signature") == "good" else 401


def measure(source: str, text: str) -> tuple[int, int] | None:
    return (len(text), 280) if source == "x-main" else None


async def explain(text: str) -> tuple[Triage, list[Why]]:
    """Explain with the keywords engine, which is real and quick."""
    return await why.explain(Keywords(), text)


def make_site(store: Store, clock: Clock, options: Options, **parts: Any) -> Site:
    """Return a site as most tests want it. parts: what one of them wants otherwise."""
    usual: dict[str, Any] = {
        "store": store,
        "clock": clock,
        "policy": POLICY,
        "settings": options,
        "ready": ready,
        "metrics": lambda: b"harken_build_info 1\n",
        "receive": receive,
        "measure": measure,
        "explain": explain,
        "brakes": make_brakes(store, clock),
        "rewinder": make_rewinder(store, clock),
    }
    return Site(**(usual | parts))


def make_rewinder(store: Store, clock: Clock) -> Rewinder:
    """Return what plays the past of *store* again by POLICY; it knows no source and no model."""
    engine = Keywords()
    return Rewinder(
        store=store,
        clock=clock,
        policy=POLICY,
        brand="",
        slots=NO_SLOTS,
        connectors={},
        desks_for=lambda queue: (),
        embed=engine.embed,
        judge=engine.classify,
        read_policy=lambda text: read_policy(Settings(), text, name="policy"),
        table={"intents": {"delivery_item": "auto"}},
    )


def make_brakes(store: Store, clock: Clock) -> Brakes:
    """Return brakes whose files lie beside the SQLite file."""
    made = Brakes(store=store, folder=Path(f"{store.url.database}.brakes"), clock=clock)
    made.open()
    return made


@pytest.fixture
async def site(sqlite_store: Store, clock: Clock, options: Options) -> AsyncIterator[Site]:
    async with make_site(sqlite_store, clock, options) as site:
        yield site


@pytest.fixture
async def visit(site: Site, sqlite_store: Store, clock: Clock) -> AsyncIterator[Visit]:
    """Return a browser of somebody with a role; of nobody for None."""
    async with AsyncExitStack() as stack:

        async def open_browser(role: Role | None) -> Browser:
            jar = aiohttp.CookieJar(unsafe=True)
            http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
            browser = Browser(site, http)
            if role is not None:
                browser.user = add_user(sqlite_store, role)
                token, browser.csrf = signed_in(sqlite_store, browser.user, clock)
                jar.update_cookies({"harken": token}, http._build_url(browser.base))
            return browser

        yield open_browser
