"""Articles in the windows: from draft to public by two people, on pages and by the API; readiness beside the words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import orjson
import pytest

from bot.store import articles, editions, keys
from bot.store.engine import Store
from bot.store.roles import Role
from bot.web.site import Site
from handoff.knowledge.readiness import Guess, Standards
from handoff.knowledge.slots import read_slots
from tests.bot.web.conftest import Visit, make_site
from tests.bot.web.world import NOON, SCRIPT, Browser, Clock, Day, Options, add_article

SLOTS = {"status": {"type": "url", "value": "https://example.com/status"}}
FIELDS = {
    "title": "When do I get my refund?",
    "slug": "refund",
    "locale": "en",
    "owner": "billing team",
    "body": "Five **working** days.\r\n\r\nMore.",
    "questions": "where is my money\r\nhow long does it take",
    "tags": "refund_return, money",
    "wording.default": "Five working days.",
    "wording.x": "Five days: {status}",
    "audience": "public",
    "review_by": "2026-12-24",
}
BODY: dict[str, Any] = {
    "title": "When do I get my refund?",
    "slug": "refund",
    "locale": "en",
    "owner": "billing team",
    "channels": {"default": "Five working days."},
}


async def tongues(texts: Any) -> list[Guess]:
    return [Guess(language="de" if "Tage" in text else "en", confidence=0.95) for text in texts]


@pytest.fixture
async def site(sqlite_store: Store, clock: Clock, options: Options) -> AsyncIterator[Site]:
    """A site with a slot, and one who tells languages."""
    async with make_site(
        sqlite_store,
        clock,
        options,
        standards=Standards(slots=read_slots(SLOTS)),
        tongues=tongues,
    ) as site:
        yield site


def said(store: Store) -> list[str]:
    return [each.article.name for each in store.read_now(articles.entries)]


async def write_one(browser: Browser, **more: str) -> str:
    """Write a new article on the page; return its address."""
    answer = await browser.post("/articles", **{**FIELDS, **more})
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"]


async def test_an_editor_writes_and_somebody_else_publishes(visit: Visit, sqlite_store: Store) -> None:
    editor, lead = await visit(Role.ADMIN), await visit(Role.LEAD)
    home = await write_one(editor)
    page = await (await editor.get(home)).text()
    assert "Five <strong>working</strong> days." in page
    assert "Hand in for review" in page
    assert (await editor.post(f"{home}/submit", version="1")).status == 303

    alone = await (await editor.get(home)).text()
    assert "You cannot publish it: you edited version 1 yourself; publishing takes two people" in alone
    assert "Publish version 1" not in alone
    forced = await editor.post(f"{home}/publish", version="1")
    assert forced.status == 409
    assert "you edited version 1 yourself" in await forced.text()
    assert said(sqlite_store) == []

    assert "Publish version 1" in await (await lead.get(home)).text()
    assert (await lead.post(f"{home}/publish", version="1")).status == 303
    assert said(sqlite_store) == ["refund.en"]
    page = await (await lead.get(home)).text()
    assert "reviewed by <bdi>Some lead</bdi>" in page
    assert "<bdi>Some admin</bdi> submitted version 1" in page
    assert "<bdi>Some lead</bdi> published version 1" in page


async def test_an_agent_may_write_and_not_publish_or_retire(visit: Visit, sqlite_store: Store) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    home = await write_one(lead)
    await lead.post(f"{home}/submit", version="1")
    assert (await agent.post(f"{home}/publish", version="1")).status == 403
    assert (await agent.post(f"{home}/retire")).status == 403
    assert "this takes the role lead; yours is agent" in await (await agent.get(home)).text()
    viewer = await visit(Role.VIEWER)
    page = await (await viewer.get(home)).text()
    assert f'action="{home}' not in page
    assert (await viewer.get("/articles/new")).status == 403
    assert (await viewer.get(f"{home}/edit")).status == 403


async def test_the_article_that_was_written_is_the_one_that_is_read(visit: Visit, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    home = await write_one(agent, channel_new="sms", wording_new="5 days")
    _, article = sqlite_store.read_now(editions.working_copy, int(home.rpartition("/")[2]))
    assert article.body == "Five **working** days.\n\nMore."
    assert article.questions == ("where is my money", "how long does it take")
    assert article.tags == ("refund_return", "money")
    assert article.wordings == {"default": "Five working days.", "x": "Five days: {status}", "sms": "5 days"}
    assert article.review_by == date(2026, 12, 24)
    form = await (await agent.get(f"{home}/edit")).text()
    assert 'name="wording.sms"' in form
    assert "Five days: {status}" in form
    answer = await agent.post(f"{home}/edit", **{**FIELDS, "wording.sms": "5 days", "base": "1", "body": "Four."})
    assert answer.status == 303
    page = await (await agent.get(home)).text()
    assert '<span class="gone">-Five **working** days.</span>' in page
    assert '<span class="added">+Four.</span>' in page


async def test_words_that_are_refused_stay_in_the_boxes(visit: Visit) -> None:
    agent = await visit(Role.AGENT)
    for bad, why in (
        ({"slug": "Refund Now"}, "slug is &#39;Refund Now&#39;; allowed is small letters"),
        ({"review_by": "soon"}, "review_by is &#39;soon&#39;; allowed is a date such as 2026-12-24"),
        ({"title": "  "}, "title is missing; write one line of text"),
    ):
        answer = await agent.post("/articles", **{**FIELDS, **bad})
        assert answer.status == 422
        page = await answer.text()
        assert why in page
        assert "where is my money" in page


async def test_two_who_edit_at_once_do_not_overwrite_each_other(visit: Visit) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    home = await write_one(agent)
    assert (await agent.post(f"{home}/edit", **{**FIELDS, "base": "1", "body": "Four."})).status == 303
    late = await lead.post(f"{home}/edit", **{**FIELDS, "base": "1", "body": "Three."})
    assert late.status == 422
    assert "version 2 was saved in the meantime" in await late.text()
    assert "Three." in await late.text()


async def test_a_page_says_how_ready_a_wording_is(visit: Visit) -> None:
    agent = await visit(Role.AGENT)
    home = await write_one(
        agent, **{"wording.x": "x" * 281, "wording.reddit": "Fünf Tage {stat}", "wording.default": "Mail a@example.org"}
    )
    page = await (await agent.get(home)).text()
    assert "281 of 280 weighted" in page
    assert "is 1 weighted too long (281 of 280); shorten it" in page
    assert "{stat} is no known slot; there are: status" in page
    assert "holds an e-mail address" in page
    fixed = {**FIELDS, "base": "1", "wording.reddit": "Fünf Tage", "wording.x": "See {status}"}
    await agent.post(f"{home}/edit", **fixed)
    page = await (await agent.get(home)).text()
    assert "seems to be in de, the article is in en" in page
    assert "1, cost 23" in page


async def test_a_wording_with_a_fault_is_not_published_and_the_page_says_why(visit: Visit, sqlite_store: Store) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    home = await write_one(agent, **{"wording.x": "See {stat}"})
    await agent.post(f"{home}/submit", version="1")
    refused = await lead.post(f"{home}/publish", version="1")
    assert refused.status == 422
    assert "{stat} is no known slot" in await refused.text()
    assert said(sqlite_store) == []


async def test_giving_back_retiring_and_restoring_are_done_on_the_page(visit: Visit, sqlite_store: Store) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    home = await write_one(agent)
    await agent.post(f"{home}/submit", version="1")
    assert (await lead.post(f"{home}/return", version="1", note=f"no {SCRIPT}")).status == 303
    page = await (await agent.get(home)).text()
    assert "returned version 1" in page
    assert SCRIPT not in page
    await agent.post(f"{home}/submit", version="1")
    await lead.post(f"{home}/publish", version="1")
    assert (await lead.post(f"{home}/retire", note="wrong")).status == 303
    assert said(sqlite_store) == []
    assert "Retired; the bot does not answer from it." in await (await agent.get(home)).text()
    assert (await agent.post(f"{home}/restore", version="1")).status == 303
    assert "Restore as a draft" in await (await agent.get(home)).text()
    assert said(sqlite_store) == []


async def test_the_list_filters_and_tells_what_is_due(visit: Visit, sqlite_store: Store, day: Day) -> None:
    viewer, agent = await visit(Role.VIEWER), await visit(Role.AGENT)
    await write_one(agent, title="A draft about refunds", brand="Lark")
    due = {"review_by": date(2026, 3, 1), "title": "An old article", "locale": "de"}
    sqlite_store.write_now(add_article, "old", **due)
    page = await (await viewer.get("/articles")).text()
    assert "1 article to be looked at again" in page
    assert "An old article" in page
    for query, shown in (
        ("state=draft", {"A draft about refunds"}),
        ("state=published", {"A parcel is late", "An old article"}),
        ("locale=de", {"An old article"}),
        ("brand=Lark", {"A draft about refunds"}),
        ("due=1", {"An old article"}),
        ("audience=internal", set()),
        ("text=parcel", {"A parcel is late"}),
    ):
        table = (await (await viewer.get(f"/articles?{query}")).text()).partition("<tbody>")[2]
        everything = {"A draft about refunds", "A parcel is late", "An old article"}
        assert {title for title in everything if title in table} == shown, query
    assert (await viewer.get("/articles?state=live")).status == 400


async def test_a_translation_is_begun_from_its_article_and_marked_when_late(visit: Visit, sqlite_store: Store) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    home = await write_one(agent)
    await agent.post(f"{home}/submit", version="1")
    await lead.post(f"{home}/publish", version="1")
    form = await (await agent.get(f"/articles/new?of={home.rpartition('/')[2]}")).text()
    assert 'value="refund"' in form
    german = await write_one(agent, locale="de", title="Geld zurück?")
    await agent.post(f"{home}/edit", **{**FIELDS, "base": "1", "body": "Three days."})
    await agent.post(f"{home}/submit", version="2")
    await lead.post(f"{home}/publish", version="2")
    assert "translation out of date" in await (await agent.get(german)).text()
    assert "translation out of date" in await (await agent.get("/articles?locale=de")).text()
    assert "says what en says now" in await (await agent.get(f"{german}/edit")).text()


class Program:
    """A program with a key of its own."""

    def __init__(self, browser: Browser, key: str) -> None:
        self.browser, self.key = browser, {"Authorization": f"Bearer {key}"}

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        more = {} if method == "GET" else {"json": body}
        answer = await self.browser.ask(method, f"/api/v1/articles{path}", headers=self.key, **more)
        assert answer.status == status, await answer.text()
        return orjson.loads(await answer.read())


@pytest.fixture
async def programs(visit: Visit, sqlite_store: Store) -> tuple[Program, Program]:
    """Two programs with a lead's key each."""
    nobody = await visit(None)
    made = [
        sqlite_store.write_now(keys.add, name=name, role=Role.LEAD, now=NOON, lives=None) for name in ("one", "two")
    ]
    return Program(nobody, made[0]), Program(nobody, made[1])


async def test_a_program_alone_publishes_nothing_and_two_do(
    programs: tuple[Program, Program], sqlite_store: Store
) -> None:
    one, two = programs
    made = await one.ask("POST", "", 201, **BODY)
    home = f"/{made['edition']['article']['id']}"
    assert made["findings"] == []
    assert made["edition"]["permitted"]["submitted"] == ""
    await one.ask("POST", f"{home}/submit", version=1)
    refused = await one.ask("POST", f"{home}/publish", 409, version=1)
    assert "you edited version 1 yourself; publishing takes two people" in refused["detail"]
    assert said(sqlite_store) == []
    assert "you edited version 1" in (await one.ask("GET", f"{home}/edition"))["permitted"]["published"]
    done = await two.ask("POST", f"{home}/publish", version=1)
    assert (done["article"]["state"], done["article"]["reviewer"]) == ("published", "two")
    assert [(each["step"], each["by"]) for each in done["record"]] == [
        ("published", "two"),
        ("submitted", "one"),
        ("created", "one"),
    ]
    assert said(sqlite_store) == ["refund.en"]


async def test_a_program_edits_compares_gives_back_retires_and_restores(
    programs: tuple[Program, Program], sqlite_store: Store
) -> None:
    one, two = programs
    home = f"/{(await one.ask('POST', '', 201, **BODY))['edition']['article']['id']}"
    await one.ask("POST", f"{home}/submit", version=1)
    await two.ask("POST", f"{home}/return", version=1, note="shorter")
    edited = {**BODY, "channels": {"x": "See {stat}"}, "base": 1}
    saved = await one.ask("POST", f"{home}/edit", **edited)
    assert [(each["kind"], each["is_fault"]) for each in saved["findings"]] == [("slot", True)]
    ready = await one.ask("GET", f"{home}/readiness")
    assert (ready["version"], ready["channels"][0]["channel"]) == (2, "x")
    await one.ask("POST", f"{home}/submit", version=2)
    assert "{stat} is no known slot" in (await two.ask("POST", f"{home}/publish", 422, version=2))["detail"]
    restored = await one.ask("POST", f"{home}/restore", version=1)
    assert restored["edition"]["article"]["newest"] == 3
    await one.ask("POST", f"{home}/submit", version=3)
    await two.ask("POST", f"{home}/publish", version=3)
    diff = await one.ask("GET", f"{home}/diff?before=2&after=3")
    assert "-  x: See {stat}" in diff["lines"]
    assert (await one.ask("GET", "?state=published"))["items"][0]["slug"] == "refund"
    await two.ask("POST", f"{home}/retire", note="over")
    assert said(sqlite_store) == []
    await two.ask("POST", f"{home}/retire", 409)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"slug": "A B"}, "slug is 'A B'; allowed is small letters"),
        ({"locale": "english"}, "locale is 'english'; allowed is a language"),
        ({"channels": {"X Y": "a"}}, "channels names 'X Y'"),
        ({"valid_from": "soon"}, "valid_from is 'soon'; allowed is"),
        ({"title": "pay\u202eme"}, "title holds the invisible character U+202E"),
        ({"channels": {}, "body": ""}, "has neither a body nor channels"),
    ],
)
async def test_a_program_is_told_what_is_wrong(
    change: dict[str, Any], detail: str, programs: tuple[Program, Program]
) -> None:
    refused = await programs[0].ask("POST", "", 422, **{**BODY, **change})
    assert detail in refused["detail"]


async def test_what_is_due_is_asked_by_programs(programs: tuple[Program, Program], sqlite_store: Store) -> None:
    sqlite_store.write_now(add_article, "old", review_by=date(2026, 3, 1))
    (found,) = (await programs[0].ask("GET", "/due"))["items"]
    assert (found["name"], found["review_by"]) == ("old.en", "2026-03-01")


async def test_a_person_and_a_key_that_are_named_alike_are_not_two(
    visit: Visit, programs: tuple[Program, Program], sqlite_store: Store
) -> None:
    home = f"/{(await programs[0].ask('POST', '', 201, **{**BODY, 'owner': 'Two'}))['edition']['article']['id']}"
    await programs[0].ask("POST", f"{home}/submit", version=1)
    refused = await programs[1].ask("POST", f"{home}/publish", 409, version=1)
    assert "you are its owner" in refused["detail"]


async def test_a_long_article_in_chinese_is_taken(visit: Visit, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    home = await write_one(agent, locale="zh", title="退款", body="退" * 15_000)
    _, article = sqlite_store.read_now(editions.working_copy, int(home.rpartition("/")[2]))
    assert len(article.body) == 15_000
