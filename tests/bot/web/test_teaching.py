"""The teaching page and its API: leads review and decide, others may not, strangers' words are text."""

from __future__ import annotations

import html
from typing import Any

import orjson
import pytest
from sqlmodel import Session

from bot.store import feed, teaching
from bot.store.engine import Store
from bot.store.people import User
from bot.store.roles import Role
from bot.store.tables import CorrectionRow, RevisionState
from bot.store.teaching import Made
from tests.bot.corrections import add_corrected, people
from tests.bot.web.conftest import Visit
from tests.bot.web.world import NOON, SCRIPT, Browser, Day, api_key
from tests.classifiers.school import JARGON, letters

SCORE = {"rows": 20, "accuracy": 0.25, "macro_f1": 0.2}
FIGURES: dict[str, Any] = {
    "heads": [
        {
            "head": "intent",
            "lessons": 20,
            "corrections_before": SCORE,
            "corrections_after": {**SCORE, "accuracy": 0.75},
            "validation_before": {**SCORE, "rows": 400},
            "validation_after": None,
        }
    ],
    "left_out": {},
    "notes": [],
    "seconds": 0.4,
}


def keep(store: Store, state: RevisionState, reason: str = "") -> int:
    made = Made(model="m@1", state=state, reason=reason, change=b"x", figures=FIGURES, last_correction=0)
    return store.write_now(teaching.keep, made, origin=teaching.SCHEDULE, number=None, now=NOON).number


@pytest.fixture
def agents(sqlite_store: Store) -> list[User]:
    return people(sqlite_store, "ana", "bo")


async def text(browser: Browser) -> str:
    answer = await browser.get("/teaching")
    assert answer.status == 200
    return await answer.text()


def review_of(store: Store, number: int) -> str | None:
    with Session(store.engine) as session:
        return session.get_one(CorrectionRow, number).review


async def test_a_lead_sees_who_changed_what_and_decides(visit: Visit, sqlite_store: Store, agents: list[User]) -> None:
    sqlite_store.write_now(add_corrected, agents[:1], count=2)
    lead = await visit(Role.LEAD)
    page = await text(lead)
    assert f"{JARGON} {letters(1)} complaint" in page
    assert "complaint → technical issue" in page
    assert "not yet: no second person and no lead agrees yet" in page
    assert "Some agent" in page
    assert (await lead.post("/teaching/corrections/1", do="approve")).status == 303
    assert (await lead.post("/teaching/corrections/2", do="reject")).status == 303
    assert [review_of(sqlite_store, number) for number in (1, 2)] == ["approved", "rejected"]
    assert "No correction waits." in await text(lead)


async def test_ones_own_correction_cannot_be_approved(visit: Visit, sqlite_store: Store) -> None:
    lead = await visit(Role.LEAD)
    assert lead.user is not None
    sqlite_store.write_now(add_corrected, [lead.user], count=1)
    page = await text(lead)
    assert "somebody else must approve it" in page
    assert 'value="approve"' not in page
    assert (await lead.post("/teaching/corrections/1", do="approve")).status == 409


async def test_nothing_but_approve_and_reject_is_understood(
    visit: Visit, sqlite_store: Store, agents: list[User]
) -> None:
    sqlite_store.write_now(add_corrected, agents, count=1)
    lead = await visit(Role.LEAD)
    assert (await lead.post("/teaching/corrections/1", do="perhaps")).status == 400
    assert (await lead.post("/teaching/corrections/77", do="approve")).status == 404


async def test_before_and_after_are_shown_and_one_button_undoes(visit: Visit, sqlite_store: Store) -> None:
    number = keep(sqlite_store, RevisionState.ACTIVE)
    lead = await visit(Role.LEAD)
    page = await text(lead)
    assert "25% → 75%" in page
    assert "in service" in page
    assert (await lead.post("/teaching/undo")).status == 303
    assert sqlite_store.read_now(teaching.number_in_service, model="m@1") == 0
    assert "undone" in await text(lead)
    assert f'id="revision-{number}"' in await text(lead)
    assert (await lead.post("/teaching/undo")).status == 409


async def test_a_proposal_is_taken_into_service_by_a_lead(visit: Visit, sqlite_store: Store) -> None:
    number = keep(sqlite_store, RevisionState.PROPOSED)
    lead = await visit(Role.LEAD)
    assert "Take into service" in await text(lead)
    assert (await lead.post(f"/teaching/revisions/{number}/accept")).status == 303
    assert sqlite_store.read_now(teaching.number_in_service, model="m@1") == number


async def test_a_refit_is_asked_for(visit: Visit, sqlite_store: Store) -> None:
    lead = await visit(Role.LEAD)
    assert (await lead.post("/teaching/refit")).status == 303
    assert sqlite_store.read_now(teaching.asked) == 1
    assert "asked" in await text(lead)


async def test_an_agent_finds_no_way_there(visit: Visit) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    assert (await agent.get("/teaching")).status == 403
    assert 'href="/teaching"' not in await (await agent.get("/")).text()
    assert 'href="/teaching"' in await (await lead.get("/")).text()


async def test_what_a_stranger_wrote_is_text(visit: Visit, sqlite_store: Store, day: Day, agents: list[User]) -> None:
    fix = {"head": "intent", "label": "complaint", "user_id": agents[0].id, "now": NOON}
    sqlite_store.write_now(feed.correct, day.hostile, **fix)  # type: ignore[arg-type]
    keep(sqlite_store, RevisionState.REFUSED, reason=SCRIPT)
    page = await text(await visit(Role.LEAD))
    assert SCRIPT not in page
    assert page.count(html.escape(SCRIPT)) == 2


async def test_a_program_of_a_lead_does_the_same(visit: Visit, sqlite_store: Store, agents: list[User]) -> None:
    sqlite_store.write_now(add_corrected, agents[:1], count=2)
    proposed = keep(sqlite_store, RevisionState.PROPOSED)
    nobody, key = await visit(None), api_key(sqlite_store, Role.LEAD)

    async def ask(method: str, path: str, status: int = 200) -> Any:
        more: dict[str, Any] = {} if method == "GET" else {"json": {}}
        answer = await nobody.ask(method, f"/api/v1/teaching{path}", headers=key, **more)
        assert answer.status == status, await answer.text()
        return orjson.loads(await answer.read())

    found = await ask("GET", "")
    assert [each["id"] for each in found["waiting"]] == [2, 1]
    assert (found["waiting_count"], found["revisions"][0]["figures"]) == (2, FIGURES)
    assert (await ask("POST", "/corrections/1/approve"))["review"] == "approved"
    assert (await ask("POST", "/corrections/2/reject"))["review"] == "rejected"
    assert (await ask("POST", f"/revisions/{proposed}/accept"))["in_service"] is True
    assert (await ask("POST", "/undo"))["state"] == "undone"
    assert "shipped heads judge" in (await ask("POST", "/undo", 409))["detail"]
    assert (await ask("POST", "/refit", 202))["state"] == "asked"
