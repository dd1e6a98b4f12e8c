"""What the bot may say alone, on the page and over the API; whom it leaves alone, and who may change that."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from bot.store import wishes
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import ArticleBrakeRow, AuthorRow, Origin, ReplyRow, ReplyState
from tests.bot.web.conftest import Visit
from tests.bot.web.world import NOON, Clock, Day, add_author, add_post, api_key


def judged(session: Session) -> None:
    """Three drafts that people approved, the third in other words."""
    author = add_author(session, "zoe")
    for number in range(901, 904):
        post = add_post(session, number, author_id=author)
        session.add(
            ReplyRow(
                key=f"k{number}",
                post_id=post,
                source="x-main",
                channel="x",
                state=ReplyState.SENT,
                origin=Origin.DRAFT,
                text="It is on its way.",
                intent="delivery_item",
                is_edited=number == 903,
                approved_by=1,
                target_revision="r",
                created_at=NOON,
                sent_at=NOON,
                expires_at=NOON,
            )
        )


def brake(session: Session) -> None:
    session.add(ArticleBrakeRow(slug="parcel", pulled_at=NOON, said=20))


async def test_the_page_shows_counts_bound_and_what_is_missing(visit: Visit, day: Day, sqlite_store: Store) -> None:
    viewer = await visit(Role.VIEWER)
    sqlite_store.write_now(judged)
    page = " ".join((await (await viewer.get("/guards")).text()).split())
    assert "1 of 3" in page
    assert "79.2 %" in page
    assert "5 % are allowed" in page
    assert "107 more without a fault are missing" in page
    assert "switched off" in page, "the tests' policy has no guard for stale posts"


async def test_the_api_says_the_same(visit: Visit, day: Day, sqlite_store: Store) -> None:
    viewer = await visit(Role.VIEWER)
    sqlite_store.write_now(judged)
    answer = await (await viewer.get("/api/v1/earned")).json()
    (row,) = [each for each in answer["items"] if each["observed"]]
    assert (row["intent"], row["source"], row["observed"], row["wrong"]) == ("delivery_item", "x-main", 3, 1)
    assert (row["mode"], row["is_alone"], row["missing"]) == ("auto", False, 107)
    guards = {each["name"]: each for each in (await (await viewer.get("/api/v1/guards")).json())["items"]}
    assert guards["stale"]["is_on"] is False
    assert guards["opted_out"]["fixed"]


@pytest.mark.parametrize(("is_same", "wrong"), [(False, 1), (True, 0)], ids=["other words", "the very words"])
async def test_a_reply_of_ones_own_judges_the_draft_it_passed_over(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock, is_same: bool, wrong: int
) -> None:
    def judge(session: Session) -> str:
        draft = session.get_one(ReplyRow, day.draft)
        draft.intent = "delivery_item"
        session.add(draft)
        return draft.text

    agent, prepared = await visit(Role.AGENT), sqlite_store.write_now(judge)
    assert (await (await agent.get("/api/v1/earned")).json())["items"][0]["observed"] == 0
    clock.forward(hours=1)
    words = prepared if is_same else "We look into it."
    fields = {"target": str(day.post), "text": words, "nonce": "a" * 32, "do": "send"}
    assert (await agent.post(f"/cases/{day.case}/replies", **fields)).status == 303
    (row,) = [each for each in (await (await agent.get("/api/v1/earned")).json())["items"] if each["observed"]]
    assert (row["intent"], row["observed"], row["wrong"]) == ("delivery_item", 1, wrong)
    page = " ".join((await (await agent.get("/guards")).text()).split())
    assert f"{wrong} of 1" in page


async def test_only_a_lead_releases_an_article(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    sqlite_store.write_now(brake)
    assert "waits for a lead" in await (await agent.get("/guards")).text()
    assert (await agent.post("/guards/brakes/parcel/release")).status == 403
    assert (await lead.post("/guards/brakes/parcel/release")).status == 303
    assert (await lead.post("/guards/brakes/parcel/release")).status == 409
    (found,) = (await (await lead.get("/api/v1/guards/brakes")).json())["items"]
    assert found["released_at"]


async def test_an_agent_mutes_the_bot_from_the_case_and_a_lead_lets_it_answer_again(
    visit: Visit, day: Day, sqlite_store: Store
) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    author = sqlite_store.read_now(lambda session: session.get_one(AuthorRow, 1))
    muted = await agent.post("/authors/1/mute", back=str(day.case))
    assert (muted.status, muted.headers["Location"]) == (303, f"/cases/{day.case}")
    assert (await agent.post("/authors/1/opt-out")).headers["Location"] == "/guards#authors"
    assert (await agent.post("/authors/1/opt-in")).status == 403
    page = await (await agent.get("/guards")).text()
    assert f"@{author.handle}" in page
    assert (await lead.post("/authors/1/opt-in")).status == 303
    assert (await agent.post("/authors/1/unmute")).status == 303
    left = sqlite_store.read_now(wishes.one, 1)
    assert (left.opted_out_at, left.muted_at) == (None, None)
    assert (await agent.post("/authors/999/mute")).status == 404


@pytest.mark.parametrize("do", ["mute", "unmute", "opt-out", "opt-in"])
async def test_a_program_does_the_same(visit: Visit, day: Day, sqlite_store: Store, clock: Clock, do: str) -> None:
    nobody = await visit(None)
    key = api_key(sqlite_store, Role.LEAD)
    answer = await nobody.ask("POST", f"/api/v1/authors/1/{do}", headers=key)
    assert answer.status == 200
    view = await answer.json()
    assert (view["muted_at"] is not None, view["opted_out_at"] is not None) == (do == "mute", do == "opt-out")
