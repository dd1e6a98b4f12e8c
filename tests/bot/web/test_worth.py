"""What knowledge is worth and what is missing, in the windows: pages without scripts, the API, roles, wrong input."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from bot.store import worth
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import Origin, Outcome, ReplyState
from bot.web.site import Site
from handoff.guards import NO_ANSWER
from handoff.knowledge.article import Article
from handoff.knowledge.search import Entry, Hit
from tests.bot.web.conftest import Visit, make_site
from tests.bot.web.world import (
    NOON,
    SCRIPT,
    Browser,
    Clock,
    Day,
    Options,
    add_article,
    add_author,
    add_draft,
    add_post,
    add_triage,
    api_key,
)
from tests.bot.word_engine import embedding


async def nearest(queries: Any) -> list[Hit | None]:
    """Know one thing."""
    entry = Entry(id=1, article=Article(slug="invoice", locale="en", title="Invoice"))
    return [Hit(entry=entry, confidence=0.8, is_foreign=False) if "invoice" in each.text else None for each in queries]


@pytest.fixture
async def site(sqlite_store: Store, clock: Clock, options: Options) -> AsyncIterator[Site]:
    async with make_site(
        sqlite_store,
        clock,
        options,
        nearest=nearest,
    ) as site:
        yield site


TEXTS = (
    "@shop does the router work with fibre",
    "does the router work with my fibre line, mail ana@example.org",
    "does your router work with fibre",
    f"can I pay by invoice {SCRIPT}",
    f"can I pay you by invoice {SCRIPT}",
    "have you a shop in Oslo",
)


def ask(session: Session) -> list[int]:
    """Let six questions go to people."""
    ids = []
    for number, text in enumerate(TEXTS):
        author = add_author(session, f"asker{number}")
        more: dict[str, Any] = {"outcome": Outcome.ESCALATED, "reasons": [NO_ANSWER]}
        post = add_post(session, 100 + number, author_id=author, text=text, minutes=-5, **more)
        add_triage(session, post, intent="product_question")
        from bot.store.tables import TriageRow

        session.get_one(TriageRow, post).embedding = embedding(text)
        ids.append(post)
    return ids


def use(session: Session, /, article: int, count: int, **more: Any) -> None:
    for number in range(count):
        author = add_author(session, f"user{article}-{number}")
        post = add_post(session, 1000 * article + number, author_id=author)
        values = {"article_id": article, "key": f"{article}:{number}", "created_at": NOON - timedelta(days=9), **more}
        add_draft(session, post, None, **values)


async def gaps(browser: Browser, key: dict[str, str], **asked: Any) -> Any:
    answer = await browser.ask("GET", "/api/v1/knowledge/gaps", headers=key, params=asked)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_what_is_missing_stands_on_the_page_and_in_the_api(visit: Visit, day: Day, sqlite_store: Store) -> None:
    sqlite_store.write_now(ask)
    person, key = await visit(Role.VIEWER), api_key(sqlite_store, Role.VIEWER)
    found = await gaps(person, key)
    assert (found["asked"], found["alone"], found["is_cut"]) == (6, 1, False)
    router, invoice = found["gaps"]
    assert (router["asked"], router["people"], router["answering"]) == (3, 3, None)
    assert router["channels"] == {"x": 3}
    assert invoice["answering"] == {"slug": "invoice", "confidence": 0.8}
    page = await (await person.get("/articles/gaps")).text()
    assert "does the router work with fibre" in page
    assert "[e-mail]" in page
    assert "ana@example.org" not in page
    assert SCRIPT not in page
    assert "may answer it (80% sure)" in page
    assert "Draft an article" not in page, "a viewer writes nothing"
    assert len((await gaps(person, key, least=1))["gaps"]) == 3
    assert (await gaps(person, key, least=4))["gaps"] == []
    assert "Nothing was asked 4 times" in await (await person.get("/articles/gaps?least=4")).text()


async def test_one_click_makes_a_draft_and_says_so(visit: Visit, day: Day, sqlite_store: Store) -> None:
    sqlite_store.write_now(ask)
    agent = await visit(Role.AGENT)
    page = await (await agent.get("/articles/gaps")).text()
    posts = page.partition('name="posts" value="')[2].partition('"')[0]
    answer = await agent.post("/articles/gaps", posts=posts)
    assert answer.status == 303, await answer.text()
    draft = await (await agent.get(answer.headers["Location"])).text()
    assert "does the router work with fibre" in draft
    assert "draft" in draft
    again = await agent.post("/articles/gaps", posts=posts)
    assert again.status == 409
    assert "is being written already" in await again.text()
    assert "is being written." in await (await agent.get("/articles/gaps")).text()


async def test_a_program_makes_a_draft(visit: Visit, day: Day, sqlite_store: Store) -> None:
    ids = sqlite_store.write_now(ask)
    nobody, key = await visit(None), api_key(sqlite_store, Role.AGENT)

    async def post(body: Any) -> Any:
        return await nobody.ask("POST", "/api/v1/knowledge/gaps/drafts", headers=key, json=body)

    answer = await post({"posts": ids[:3]})
    assert answer.status == 201
    made = (await answer.json())["article_id"]
    edition = await (await nobody.ask("GET", f"/api/v1/articles/{made}/edition", headers=key)).json()
    assert edition["article"]["state"] == "draft"
    assert edition["article"]["wordings"] == {}
    assert len(edition["article"]["questions"]) == 3
    assert (await post({"posts": ids[:3]})).status == 409
    assert (await post({"posts": [999_999]})).status == 404
    wrong: dict[str, Any]
    for wrong in ({}, {"posts": []}, {"posts": ["x"]}, {"posts": list(range(60))}, {"posts": [1], "more": 1}):
        assert (await post(wrong)).status == 422, wrong


async def test_what_articles_are_worth_stands_on_the_page_and_in_the_api(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    bad = sqlite_store.write_now(add_article, "bad", title=SCRIPT, updated_at=NOON - timedelta(days=400))
    old = sqlite_store.write_now(add_article, "old", updated_at=NOON - timedelta(days=400))
    person, key = await visit(Role.VIEWER), api_key(sqlite_store, Role.VIEWER)
    user = person.user.id if person.user else 0
    edited = {"is_edited": True, "prepared": "a b c d", "text": "a b c e", "state": ReplyState.SENT}
    sent = {"approved_by": user, "sent_at": NOON - timedelta(days=8), "origin": Origin.DRAFT}
    sqlite_store.write_now(use, bad, 12, **edited, **sent)
    answer = await person.ask("GET", "/api/v1/knowledge/worth", headers=key)
    assert answer.status == 200
    items = (await answer.json())["items"]
    assert [(each["name"], each["act"]) for each in items] == [
        ("bad.en", "revise"),
        ("old.en", "retire"),
        ("late-parcel.en", "none"),
    ]
    first = items[0]
    assert first["reasons"] == ["people changed 12 of 12 drafts, by 25 % of the words: 75.8 % at least"]
    assert (first["shown"], first["sent_by_person"], first["edited"], first["changed"]) == (12, 12, 12, 0.25)
    assert (first["resolved"], first["unresolved"], first["resolved_share"]["of"]) == (12, 0, 12)
    page = await (await person.get("/articles/worth")).text()
    assert "people changed 12 of 12 drafts" in page
    assert "it was not shown once in 90 days" in page
    assert SCRIPT not in page
    only = await (await person.get("/articles/worth?act=retire&days=90")).text()
    assert f'href="/articles/{old}"' in only
    assert f'href="/articles/{bad}"' not in only
    fresh = (await (await person.ask("GET", "/api/v1/knowledge/worth?days=5", headers=key)).json())["items"]
    assert {each["name"]: each["shown"] for each in fresh}["bad.en"] == 0


async def test_one_click_beside_a_case_rates_an_article(visit: Visit, day: Day, sqlite_store: Store) -> None:
    def known(session: Session) -> None:
        from bot.store.tables import CaseRow, ReplyRow

        row = session.get_one(CaseRow, day.case)
        row.context = {**row.context, "answers": [{**row.context["answers"][0], "article_id": day.article}]}
        session.get_one(ReplyRow, day.draft).article_id = day.article

    sqlite_store.write_now(known)
    agent, viewer = await visit(Role.AGENT), await visit(Role.VIEWER)
    page = await (await agent.get(f"/cases/{day.case}")).text()
    assert page.count("Was this article useful?") == 2, "beside the draft, and beside what may answer"
    assert "Was this article useful?" not in await (await viewer.get(f"/cases/{day.case}")).text()
    answer = await agent.post(f"/articles/{day.article}/rate", useful="no", case=str(day.case))
    assert (answer.status, answer.headers["Location"]) == (303, f"/cases/{day.case}#answers")
    page = await (await agent.get(f"/cases/{day.case}")).text()
    assert '<button name="useful" value="no" aria-pressed="true">' in page
    user = agent.user.id if agent.user else 0
    assert sqlite_store.read_now(worth.ratings, day.case, user_id=user) == {day.article: False}
    answer = await agent.post(f"/articles/{day.article}/rate", useful="yes")
    assert answer.headers["Location"] == f"/articles/{day.article}#worth"
    assert 'value="yes" aria-pressed="true"' in await (await agent.get(f"/articles/{day.article}")).text()


async def test_programs_rate_articles_and_replies(visit: Visit, day: Day, sqlite_store: Store) -> None:
    def known(session: Session) -> None:
        from bot.store.tables import ReplyRow

        session.get_one(ReplyRow, day.draft).article_id = day.article

    nobody, key, viewer = await visit(None), api_key(sqlite_store, Role.AGENT), api_key(sqlite_store, Role.VIEWER)

    async def post(path: str, body: Any, who: dict[str, str] = key) -> Any:
        return await nobody.ask("POST", f"/api/v1/{path}", headers=who, json=body)

    assert (await post(f"replies/{day.draft}/rate", {"useful": True})).status == 409, "it comes from no article"
    sqlite_store.write_now(known)
    answer = await post(f"replies/{day.draft}/rate", {"useful": False})
    assert answer.status == 200
    said = await answer.json()
    assert (said["article_id"], said["case_id"], said["is_useful"]) == (day.article, day.case, False)
    assert (await post(f"articles/{day.article}/rate", {"useful": True})).status == 200
    (item,) = (await (await nobody.ask("GET", "/api/v1/knowledge/worth", headers=key)).json())["items"]
    assert (item["useful"], item["useless"]) == (1, 1)
    assert (await post("articles/999/rate", {"useful": True})).status == 404
    assert (await post("replies/999/rate", {"useful": True})).status == 404
    assert (await post(f"articles/{day.article}/rate", {"useful": True}, viewer)).status == 403
    for wrong in ({}, {"useful": "perhaps"}, {"useful": True, "case_id": 0}, {"useful": True, "more": 1}):
        assert (await post(f"articles/{day.article}/rate", wrong)).status == 422, wrong


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/articles/gaps?days=0", 400),
        ("/articles/gaps?days=366", 400),
        ("/articles/gaps?least=x", 400),
        ("/articles/worth?days=-1", 400),
        ("/articles/worth?act=burn", 400),
    ],
)
async def test_what_cannot_be_asked_is_told(visit: Visit, day: Day, path: str, status: int) -> None:
    assert (await (await visit(Role.VIEWER)).get(path)).status == status


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/articles/gaps", {}),
        ("/articles/gaps", {"posts": "1,x"}),
        ("/articles/gaps", {"posts": "9" * 30}),
        ("/articles/1/rate", {}),
        ("/articles/1/rate", {"useful": "perhaps"}),
        ("/articles/1/rate", {"useful": "yes", "case": "x"}),
    ],
)
async def test_a_form_that_no_page_sends_is_refused(visit: Visit, day: Day, path: str, fields: dict[str, str]) -> None:
    assert (await (await visit(Role.AGENT)).post(path, **fields)).status == 400


async def test_what_is_gone_is_told(visit: Visit, day: Day) -> None:
    agent = await visit(Role.AGENT)
    assert (await agent.post("/articles/999/rate", useful="yes")).status == 404
    assert (await agent.post(f"/articles/{day.article}/rate", useful="yes", case="999")).status == 404
    refused = await agent.post("/articles/gaps", posts="999")
    assert refused.status == 422
    assert "no post with words and labels has the id 999" in await refused.text()


async def test_an_empty_store_has_pages_too(visit: Visit) -> None:
    person = await visit(Role.VIEWER)
    assert "No articles yet" in await (await person.get("/articles/worth")).text()
    assert "nobody asked" in await (await person.get("/articles/gaps")).text()
