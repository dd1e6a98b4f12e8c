"""What a language model wrote, on the page and over the API: named as such, marked in words, and a person's to send."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import CaseRow, Origin, ReplyRow, ReplyState, SuggestionRow
from tests.bot.web.conftest import Visit
from tests.bot.web.world import NOON, SCRIPT, Clock, Day, add_draft, api_key

SENTENCES = [
    {"text": "Ask for the number.", "is_supported": True, "why": ""},
    {"text": f"We pay 500 euros. {SCRIPT}", "is_supported": False, "why": "not in the article: €500"},
]
TEXT = " ".join(str(each["text"]) for each in SENTENCES)


def add_suggestion(session: Session, day: Day) -> int:
    reply = add_draft(
        session,
        day.post,
        day.case,
        origin=Origin.MODEL,
        text=TEXT,
        key="model",
        article_id=day.article,
        confidence=None,
    )
    case = session.get_one(CaseRow, day.case)
    answers = [
        {"title": "Other", "slug": "other", "locale": "en", "confidence": 0.6, "wording": "Other."},
        {"title": "Late", "slug": "late-parcel", "locale": "en", "confidence": 0.5, "wording": "Late."},
    ]
    case.context = {**case.context, "answers": answers}
    session.add(
        SuggestionRow(
            post_id=day.post,
            edits=0,
            case_id=day.case,
            article_id=day.article,
            is_chosen=True,
            reply_id=reply,
            sentences=SENTENCES,
            model=f"lark-1 {SCRIPT}",
            made_at=NOON,
        )
    )
    return reply


@pytest.fixture
def draft(sqlite_store: Store, day: Day) -> int:
    return sqlite_store.write_now(add_suggestion, day)


async def test_the_page_says_who_wrote_it_and_what_no_article_supports(visit: Visit, day: Day, draft: int) -> None:
    agent = await visit(Role.AGENT)
    page = await (await agent.get(f"/cases/{day.case}")).text()
    assert "written by the language model" in page
    assert "1 of 2 sentences are not supported by the article" in page
    assert "Not supported: not in the article: €500" in page
    assert page.count("<mark>") == 1
    assert SCRIPT not in page
    assert page.index("Late.") < page.index("Other."), "the chosen article first"
    assert "put first by the language model" in page


async def test_a_viewer_reads_it_and_cannot_send_it(visit: Visit, day: Day, draft: int, sqlite_store: Store) -> None:
    viewer = await visit(Role.VIEWER)
    assert "Not supported" in await (await viewer.get(f"/cases/{day.case}")).text()
    assert (await viewer.post(f"/replies/{draft}", do="approve", text=TEXT)).status == 403


async def test_an_agent_edits_and_approves_it_like_any_draft(
    visit: Visit, day: Day, draft: int, sqlite_store: Store
) -> None:
    agent = await visit(Role.AGENT)
    done = await agent.post(f"/replies/{draft}", do="approve", text="Ask for the number.")
    assert done.status == 303

    def states(session: Session) -> list[tuple[str, str, Any]]:
        rows = [session.get_one(ReplyRow, each) for each in (draft, day.draft)]
        return [(row.origin, row.state, row.approved_by) for row in rows]

    (written, prepared) = sqlite_store.read_now(states)
    assert agent.user is not None
    assert written == (Origin.MODEL, ReplyState.INTENDED, agent.user.id)
    assert prepared[1] == ReplyState.CANCELLED


async def test_the_api_says_the_same(visit: Visit, day: Day, draft: int, sqlite_store: Store, clock: Clock) -> None:
    browser = await visit(None)
    headers = api_key(sqlite_store, Role.AGENT)
    reply = await (await browser.get(f"/api/v1/replies/{draft}", headers=headers)).json()
    assert (reply["origin"], reply["sentences"]) == ("model", SENTENCES)
    assert reply["model"].startswith("lark-1")
    case = await (await browser.get(f"/api/v1/cases/{day.case}", headers=headers)).json()
    (suggestion,) = case["suggestions"]
    assert (suggestion["article"], suggestion["reply_id"], suggestion["is_chosen"]) == ("late-parcel", draft, True)
    edited = await browser.ask(
        "POST", f"/api/v1/replies/{draft}/edit", json={"text": "We pay 900 euros."}, headers=headers
    )
    (sentence,) = (await edited.json())["sentences"]
    assert not sentence["is_supported"]
    assert "900" in sentence["why"]
