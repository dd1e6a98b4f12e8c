"""The page that plays the past again, and the API beside it: who may, one at a time, without a word of JavaScript."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.app import read_policy
from bot.settings import Settings
from bot.store.engine import Store
from bot.store.roles import Role
from bot.web.rewind import today
from bot.web.site import Site
from handoff.differences import Report
from tests.bot.web.conftest import Visit, make_site
from tests.bot.web.world import Browser, Clock, Options, api_key
from tests.bot.yesterday import POLICY as BRAND
from tests.bot.yesterday import WHERE, Yesterday, dump

STRICTER = "[handoff]\nearned = false\nauto_answer_confidence = 0.5\ndraft_answer_confidence = 0.2\n"


class Gate:
    """Holds rewinds until it is opened."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.event.set()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def yesterday(sqlite_store: Store, clock: Clock) -> Yesterday:
    day = Yesterday(sqlite_store)
    day.clock.now = clock() - timedelta(hours=3)
    for number in (1, 2):
        await day.hear(number, f"{WHERE} <script>alert({number})</script>", author=f"a{number}")
    await day.hear(3, "this is the worst service I ever had", intent="complaint", author="bo")
    return day


@pytest.fixture
async def site(sqlite_store: Store, clock: Clock, options: Options, gate: Gate) -> AsyncIterator[Site]:
    """A site that can rewind; in place of the one of all other tests."""
    settings = Settings(handoff=dict(BRAND), sources={"x": {"kind": "replay"}})
    day = object.__new__(Yesterday)
    Yesterday.__init__(day, sqlite_store)
    rewinder = day.rewinder(clock=clock, read_policy=lambda text: read_policy(settings, text, name="policy"))
    real = rewinder.run

    async def run(*args: Any, **options: Any) -> Report:
        await gate.event.wait()
        return await real(*args, **options)

    rewinder.run = run  # type: ignore[method-assign]
    made = make_site(sqlite_store, clock, options, rewinder=rewinder)
    async with made:
        yield made


async def post(browser: Browser, **fields: str) -> aiohttp.ClientResponse:
    return await browser.ask(
        "POST", "/rewind", headers=dict(browser.same_origin), data={"csrf": browser.csrf, **fields}
    )


async def until_done(browser: Browser, path: str) -> str:
    async with asyncio.timeout(60):
        while True:
            answer = await browser.get(path)
            text = await answer.text()
            if "Refresh" not in answer.headers:
                return text
            await asyncio.sleep(0.05)


async def test_a_lead_sees_the_differences_first(visit: Visit, yesterday: Yesterday, sqlite_store: Store) -> None:
    lead = await visit(Role.LEAD)
    form = await (await lead.get("/rewind")).text()
    assert "delivery_item = &#34;auto&#34;" in form, "today's policy, to be changed"
    before = dump(sqlite_store)
    answer = await post(lead, days="1", policy=STRICTER, without="")
    assert answer.status == 303
    page = await until_done(lead, answer.headers["Location"])
    assert "<strong>said alone before → draft now</strong>" in page
    assert "because delivery_item is no longer automatic" in page
    assert page.index("delivery_item is no longer automatic") < page.index("All in all")
    assert f'href="/posts/{yesterday.ids[1]}/why"' in page
    assert "<script>alert" not in page
    assert dump(sqlite_store) == before
    assert answer.headers["Location"] in await (await lead.get("/rewind")).text()


async def test_the_same_policy_makes_no_difference(visit: Visit, yesterday: Yesterday) -> None:
    lead = await visit(Role.LEAD)
    answer = await post(lead, days="1", policy="", without="")
    page = await until_done(lead, answer.headers["Location"])
    assert "<strong>0</strong> of 3 posts" in page
    assert "No difference." in page


async def test_an_empty_past_is_said(visit: Visit) -> None:
    lead = await visit(Role.LEAD)
    answer = await post(lead, days="0.5", policy=STRICTER, without="parcel")
    assert "Nothing that can be rewound" in await until_done(lead, answer.headers["Location"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"policy": "[handoff]\nmod = 1"}, "policy: handoff.mod: no such key"),
        ({"policy": "[handoff"}, "policy is not TOML"),
        ({"days": "soon"}, "days must be a number above 0"),
        ({"days": "nan"}, "days must be a number above 0"),
        ({"without": "a\n" * 51}, "leave out 50 articles at most"),
    ],
)
async def test_what_cannot_be_taken_stays_in_the_form(visit: Visit, fields: dict[str, str], said: str) -> None:
    lead = await visit(Role.LEAD)
    answer = await post(lead, **{"days": "1", "policy": STRICTER, **fields})
    page = await answer.text()
    assert answer.status == 422
    assert said in page
    assert fields.get("policy", STRICTER).splitlines()[0] in page


async def test_one_runs_at_a_time_and_the_page_comes_again(visit: Visit, yesterday: Yesterday, gate: Gate) -> None:
    lead = await visit(Role.LEAD)
    gate.event.clear()
    first = await post(lead, days="1", policy="")
    running = await lead.get(first.headers["Location"])
    assert running.headers["Refresh"] == "2"
    assert "Running" in await running.text()
    second = await post(lead, days="1", policy=STRICTER)
    assert second.status == 409
    assert "another rewind is running" in await second.text()
    assert (await lead.get("/")).status == 200, "the loop is free"
    gate.event.set()
    await until_done(lead, first.headers["Location"])
    assert (await post(lead, days="1", policy="")).status == 303


async def test_only_leads_may(visit: Visit) -> None:
    agent = await visit(Role.AGENT)
    assert (await agent.get("/rewind")).status == 403
    assert (await post(agent, days="1", policy="")).status == 403
    assert "/rewind" not in await (await agent.get("/")).text()
    assert (await agent.get("/rewind/1")).status == 403


async def test_a_program_asks_and_looks_again(visit: Visit, yesterday: Yesterday, sqlite_store: Store) -> None:
    nobody = await visit(None)
    key = api_key(sqlite_store, Role.LEAD)
    bad = await nobody.ask("POST", "/api/v1/rewinds", headers=key, json={"policy": "[handoff]\nmode = 'loud'"})
    assert bad.status == 422
    assert "policy: handoff.mode = 'loud'" in (await bad.json(content_type=None))["detail"]
    for body in ({"days": 0}, {"days": 1, "week": 2}):
        assert (await nobody.ask("POST", "/api/v1/rewinds", headers=key, json=body)).status == 422
    made = await nobody.ask("POST", "/api/v1/rewinds", headers=key, json={"days": 1, "without": ["parcel"]})
    assert made.status == 202
    number = (await made.json())["id"]
    async with asyncio.timeout(60):
        while (found := await (await nobody.ask("GET", f"/api/v1/rewinds/{number}", headers=key)).json())[
            "state"
        ] == "running":
            await asyncio.sleep(0.05)
    (group,) = found["report"]["groups"]
    assert (found["done"], found["total"], found["report"]["decided"]) == (3, 3, 3)
    assert group["said"] == "said alone before, handed over now: 2 - because no article is likely to answer it"
    listed = await (await nobody.ask("GET", "/api/v1/rewinds", headers=key)).json()
    assert [(each["id"], each["report"]) for each in listed["items"]] == [(number, None)]
    assert (await nobody.ask("GET", "/api/v1/rewinds/99", headers=key)).status == 404


def test_todays_policy_is_written_so_that_it_reads_back(tmp_path: Path) -> None:
    table = {
        **BRAND,
        "names": ['Our "Brand"', "Ünï\\code"],
        "sources": {"x-main": {"mode": "off", "intents": {"praise": "auto"}}},
        "quiet_hours": {"start": "22:00", "end": "07:00"},
    }
    settings = Settings(handoff=table, sources={"x-main": {"kind": "replay"}})
    assert read_policy(settings, today(table), name="p").settings.model_dump() == (
        read_policy(settings, today(dict(sorted(table.items()))), name="p").settings.model_dump()
    )
    assert read_policy(settings, today(table), name="p").settings.names == ('Our "Brand"', "Ünï\\code")
