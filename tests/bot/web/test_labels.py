"""Labels of one's own in the windows: a lead teaches, everybody sees, programs do both."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bot.stages.own_labels import OwnSets
from bot.store import own_labels
from bot.store.engine import Store
from bot.store.own_labels import Found
from bot.store.roles import Role
from tests.bot.web.conftest import Visit
from tests.bot.web.world import NOON, SCRIPT, Browser, Day, api_key
from tests.bot.word_engine import PRODUCT, WordEngine


async def learn(store: Store) -> None:
    """What the worker does every two seconds."""
    await OwnSets(store=store, clock=lambda: NOON).refresh(WordEngine())


class Program:
    """A program with a lead's key."""

    def __init__(self, browser: Browser, store: Store) -> None:
        self.browser, self.key = browser, api_key(store, Role.LEAD)

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        more = {} if method == "GET" else {"json": body}
        answer = await self.browser.ask(method, f"/api/v1/labels{path}", headers=self.key, **more)
        assert answer.status == status, await answer.text()
        return orjson.loads(await answer.read())


@pytest.fixture
async def program(visit: Visit, sqlite_store: Store) -> Program:
    return Program(await visit(None), sqlite_store)


async def test_a_program_makes_reads_changes_and_deletes_a_set(program: Program, sqlite_store: Store) -> None:
    made = await program.ask("PUT", "/product", labels=PRODUCT)
    assert [label["label"] for label in made["labels"]] == ["broadband", "mobile", "tv"]
    assert (made["is_learnt"], made["accuracy"]) == (False, None)
    await learn(sqlite_store)
    (found,) = (await program.ask("GET", ""))["items"]
    assert (found["is_learnt"], found["accuracy"], found["warnings"], found["fault"]) == (True, 1.0, [], None)
    added = await program.ask("POST", "/product/examples", 201, label="tv", text="my telly is dark")
    (new,) = [each for label in added["labels"] for each in label["examples"] if each["text"] == "my telly is dark"]
    assert new["added_by"] == "lead key"
    assert await program.ask("DELETE", f"/product/examples/{new['id']}") == {"set": "product", "set_remains": True}
    await program.ask("DELETE", f"/product/examples/{new['id']}", 404)
    await program.ask("DELETE", "/product")
    await program.ask("GET", "/product", 404)


async def test_labels_that_cannot_be_told_apart_are_named(program: Program, sqlite_store: Store) -> None:
    same = ["my router lost the internet", "internet router is slow", "slow internet", "the router is off", "router"]
    await program.ask("PUT", "/product", labels={**PRODUCT, "broadband": same[::2], "wifi": same[1::2]})
    await learn(sqlite_store)
    warnings = (await program.ask("GET", "/product"))["warnings"]
    assert any("'broadband' and 'wifi' are hard to tell apart" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"tv": ["one", "two"]}, "has 1 labels"),
        ({"tv": ["one", "two"], "mobile": ["three"]}, "product.mobile: has 1 examples"),
        ({"tv": ["one", "two"], "mobile": ["one", "three"]}, "stands under 'tv' too"),
        ({"tv": ["one", ""], "mobile": ["three", "four"]}, "an example is empty"),
    ],
)
async def test_a_set_that_cannot_be_learnt_is_refused_with_the_reason(
    labels: dict[str, list[str]], why: str, program: Program
) -> None:
    assert why in (await program.ask("PUT", "/product", 422, labels=labels))["detail"]
    assert (await program.ask("GET", ""))["items"] == []


async def test_a_large_set_fits_in_one_document(program: Program) -> None:
    labels = {f"label {n}": [f"example {m} of label {n} " + "x" * 100 for m in range(10)] for n in range(77)}
    assert len((await program.ask("PUT", "/topic", labels=labels))["labels"]) == 77


async def test_what_is_wrong_with_an_example_is_said(program: Program, day: Day) -> None:
    await program.ask("POST", "/product/examples", 422, label="tv")
    await program.ask("POST", "/product/examples", 422, label="tv", text="a", post_id=day.post)
    await program.ask("POST", "/product/examples", 404, label="tv", post_id=9999)
    await program.ask("POST", "/Pro duct/examples", 422, label="tv", text="a")
    made = await program.ask("POST", "/product/examples", 201, label="delivery", post_id=day.post)
    assert made["labels"][0]["examples"][0]["post_id"] == day.post


async def test_recent_posts_are_labelled_again_on_demand(program: Program, sqlite_store: Store, day: Day) -> None:
    await program.ask("POST", "/product/again", 404)
    await program.ask("PUT", "/product", labels=PRODUCT)
    assert "being learnt" in (await program.ask("POST", "/product/again", 409))["detail"]
    await learn(sqlite_store)
    # The day's posts were judged by another model: there is nothing to go by.
    assert await program.ask("POST", "/product/again", posts=10) == {"set": "product", "posts": 0}
    await program.ask("POST", "/product/again", 422, posts=0)


def mark(store: Store, post_id: int, label: str, confidence: float) -> None:
    found = Found(post_id=post_id, set_name="product", label=label, confidence=confidence, model="m/r")
    store.write_now(own_labels.save, [found])


async def test_the_feed_and_the_api_show_and_filter_own_labels(
    visit: Visit, program: Program, sqlite_store: Store, day: Day
) -> None:
    await program.ask("PUT", "/product", labels=PRODUCT)
    mark(sqlite_store, day.post, "tv", 0.83)
    mark(sqlite_store, day.hostile, "mobile", 0.2)
    viewer = await visit(Role.VIEWER)
    page = await (await viewer.get("/")).text()
    assert '<option value="product:tv">tv</option>' in page
    assert '<bdi>tv</bdi> <span class="sure">83%</span>' in page
    assert 'title="nearest: mobile, 20%"' in page
    only = await (await viewer.get("/?label=product:tv&label=")).text()
    assert f'id="post-{day.post}"' in only
    assert f'id="post-{day.hostile}"' not in only
    assert '<option value="product:tv" selected>tv</option>' in only
    assert "/feed/events?label=product%3Atv&amp;after=" in only
    answer = await viewer.ask("GET", "/api/v1/posts?label=product:none", headers=program.key)
    (post,) = orjson.loads(await answer.read())["items"]
    assert post["own"] == [{"set": "product", "label": "none", "likeliest": "mobile", "confidence": 0.2}]
    assert (await viewer.get("/?label=product")).status == 400


async def test_a_lead_teaches_on_the_page_and_others_look(visit: Visit, sqlite_store: Store) -> None:
    lead, agent = await visit(Role.LEAD), await visit(Role.AGENT)
    lines = "no picture on my tv\n\n  the tv is frozen \n"
    assert (await lead.post("/labels", set="product", label="tv", texts=lines)).status == 303
    assert (await lead.post("/labels", set="product", label="mobile", texts="no signal\nsim broken")).status == 303
    page = await (await agent.get("/labels")).text()
    assert "being learnt" in page
    assert "the tv is frozen" in page
    assert "Take away" not in page
    assert "Add examples" not in page
    await learn(sqlite_store)
    page = await (await lead.get("/labels")).text()
    assert "recognised when left out" in page
    assert "Take away" in page
    example = sqlite_store.read_now(own_labels.one, "product").labels[0].examples[0].id
    assert (await lead.post(f"/labels/product/examples/{example}/delete")).status == 303
    assert (await agent.post("/labels/product/delete")).status == 403
    assert (await lead.post("/labels/product/delete")).status == 303
    assert "No labels of your own yet" in await (await agent.get("/labels")).text()


async def test_what_was_typed_stays_when_it_is_refused(visit: Visit) -> None:
    lead = await visit(Role.LEAD)
    answer = await lead.post("/labels", set="My set", label="tv", texts="a long and careful example")
    assert answer.status == 422
    page = await answer.text()
    assert "a set&#39;s name is of small letters" in page
    assert "a long and careful example" in page


async def test_a_post_becomes_an_example_and_strangers_text_stays_text(
    visit: Visit, sqlite_store: Store, day: Day
) -> None:
    lead, agent = await visit(Role.LEAD), await visit(Role.AGENT)
    link = f'href="/labels?post={day.hostile}#add"'
    assert link in await (await lead.get("/")).text()
    assert link not in await (await agent.get("/")).text()
    assert SCRIPT not in await (await lead.get(f"/labels?post={day.hostile}")).text()
    taught = await lead.post("/labels", set="product", label="attack", post=str(day.hostile))
    assert taught.status == 303
    (example,) = sqlite_store.read_now(own_labels.one, "product").labels[0].examples
    assert (example.text, example.post_id) == (SCRIPT, day.hostile)
    page = await (await agent.get("/labels")).text()
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    assert (await lead.post("/labels", set="product", label="tv", post="x")).status == 400


async def test_labelling_again_from_the_page_says_how_many(visit: Visit, sqlite_store: Store, program: Program) -> None:
    await program.ask("PUT", "/product", labels=PRODUCT)
    await learn(sqlite_store)
    lead = await visit(Role.LEAD)
    answer = await lead.post("/labels/product/again")
    assert answer.status == 200
    assert "product: the newest 0 posts were labelled again." in await answer.text()
