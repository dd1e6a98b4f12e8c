"""The page and the API of the brakes: who may stop, who resumes, what is asked once more, what everybody sees."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlmodel import Session

from bot.brakes import flags
from bot.brakes.keeper import Brakes
from bot.store import brakes, jobs, retractions
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import Origin, ReplyRow, ReplyState, Stage
from bot.web.site import Site
from handoff.brake import EVERYTHING, Scope, Target
from tests.bot.web.conftest import Visit
from tests.bot.web.world import NOON, SCRIPT, Browser, Clock, Day, api_key

BANNER = "everything is stopped"
PAGES = ("/", "/cases", "/sources", "/articles", "/labels", "/brakes", "/cases/99999")


def say(session: Session, post_id: int, *, minutes_ago: float = 5, text: str = "It is on its way.") -> int:
    at = NOON - timedelta(minutes=minutes_ago)
    row = ReplyRow(
        key=f"k{minutes_ago}",
        post_id=post_id,
        source="x-main",
        channel="x",
        state=ReplyState.SENT,
        origin=Origin.BOT,
        text=text,
        target_revision="r",
        created_at=at,
        expires_at=at + timedelta(hours=6),
        sent_at=at,
        remote_id="9001",
        remote_url="https://x.example/9001",
    )
    session.add(row)
    session.flush()
    return row.id or 0


async def text(browser: Browser, path: str = "/brakes") -> str:
    return await (await browser.get(path)).text()


async def stop(browser: Browser, **fields: str) -> int:
    answer = await browser.post("/brakes/stop", **{"scope": "everything", "why": "wrong prices", "sure": "1", **fields})
    return answer.status


async def test_the_red_button_asks_once_more_and_then_stops(visit: Visit, site: Site, day: Day) -> None:
    agent = await visit(Role.AGENT)
    assert "Stop everything" in await text(agent)
    asked = await agent.post("/brakes/stop", scope="everything", why="wrong prices")
    assert asked.status == 200
    assert "Yes, stop now" in await asked.text()
    assert BANNER not in await text(agent), "asking is not stopping"
    assert await stop(agent) == 303
    page = await text(agent)
    assert "wrong prices" in page
    assert "Some agent" in page


async def test_a_stop_counts_here_also_when_the_store_cannot_be_written(
    visit: Visit, site: Site, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    lead, nobody = await visit(Role.LEAD), await visit(None)
    program, here = api_key(sqlite_store, Role.AGENT), keeper(site)
    clock.forward(minutes=30)  # so that each visit wants to be written down
    pragma(sqlite_store, "query_only=ON")
    status, said = await ask(nobody, program, "POST", "/brakes", why="wrong prices")
    assert status == 503
    assert "everything is stopped on this machine" in said["detail"]
    assert flags.stands(here.folder, EVERYTHING)
    assert BANNER in await text(lead)
    other = await lead.post("/brakes/release", scope="everything", why="mended")
    assert other.status == 503
    assert "nothing was changed" in await other.text()
    pragma(sqlite_store, "query_only=OFF")
    await here.look()
    assert {each.set_why for each in sqlite_store.read_now(brakes.overview).standing} == {"wrong prices"}


def keeper(site: Site) -> Brakes:
    assert site._parts is not None
    return site._parts.brakes


def pragma(store: Store, words: str) -> None:
    connection = store.engine.raw_connection()  # one that begins no transaction
    connection.cursor().execute(f"PRAGMA {words}").close()
    connection.close()


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_says_so_while_anything_is_stopped(visit: Visit, day: Day, path: str) -> None:
    agent, viewer = await visit(Role.AGENT), await visit(Role.VIEWER)
    assert 'class="braked"' not in await text(viewer, path)
    await stop(agent)
    assert BANNER in await text(viewer, path)


async def test_a_topic_alone_is_named_in_the_banner(visit: Visit, day: Day) -> None:
    agent = await visit(Role.AGENT)
    assert await stop(agent, scope="article", name="late-parcel") == 303
    page = await text(agent, "/")
    assert BANNER not in page
    assert "article late-parcel" in page


async def test_only_a_lead_resumes_and_says_why(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent, lead = await visit(Role.AGENT), await visit(Role.LEAD)
    await stop(agent)
    fields = {"scope": "everything", "why": "mended"}
    assert (await agent.post("/brakes/release", **fields)).status == 403
    assert (await lead.post("/brakes/release", scope="everything", why=" ")).status == 422
    assert BANNER in await text(lead)
    assert (await lead.post("/brakes/release", **fields)).status == 303
    page = await text(lead)
    assert BANNER not in page
    assert "mended" in page
    (row,) = sqlite_store.read_now(brakes.overview).history
    assert (row.set_who, row.released_who) == ("Some agent", "Some lead")
    assert (await lead.post("/brakes/release", **fields)).status == 422, "nothing stands any more"


async def test_a_viewer_sees_but_does_not_stop(visit: Visit, day: Day) -> None:
    viewer = await visit(Role.VIEWER)
    assert "Stop everything" not in await text(viewer)
    assert await stop(viewer) == 403


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"scope": "all"}, 400, "cope must be one of"),
        ({"scope": "source", "name": "twiter"}, 422, "there is no source &#39;twiter&#39;"),
        ({"scope": "article", "name": ""}, 422, "takes its name"),
        ({"scope": "everything", "name": "x"}, 422, "takes no name"),
        ({"why": ""}, 422, "say why"),
        ({"why": "x" * 501}, 422, "500 characters at most"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    visit: Visit, day: Day, fields: dict[str, str], status: int, said: str
) -> None:
    agent = await visit(Role.AGENT)
    answer = await agent.post("/brakes/stop", **{"scope": "everything", "why": "w", "sure": "1", **fields})
    assert answer.status == status
    assert said in await answer.text()
    assert 'class="braked"' not in await text(agent, "/")


async def test_a_file_by_hand_shows_at_once(visit: Visit, site: Site, day: Day) -> None:
    viewer = await visit(Role.VIEWER)
    (keeper(site).folder / "stop").write_text(SCRIPT)
    page = await text(viewer)
    assert BANNER in page
    assert SCRIPT not in page


async def test_what_was_said_is_listed_and_deleted_only_after_asking(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    clock.forward(minutes=0)
    sqlite_store.write_now(say, day.post, minutes_ago=5, text=f"It is on its way. {SCRIPT}")
    sqlite_store.write_now(say, day.post, minutes_ago=40, text="Older words.")
    lead, agent = await visit(Role.LEAD), await visit(Role.AGENT)
    page = await text(lead)
    assert "It is on its way." in page
    assert SCRIPT not in page
    assert "Older words." not in page
    assert "Older words." in await text(lead, "/brakes?last=2h")
    assert "Delete these" not in await text(agent)
    fields = dict(re.findall(r'name="(since|until)" value="([^"]+)"', page))
    fields = {name: value.replace("&#43;", "+") for name, value in fields.items()}
    assert (await agent.post("/brakes/retract", **fields, why="w", sure="1")).status == 403
    asked = await lead.post("/brakes/retract", **fields, why="wrong prices")
    assert "Yes, delete them" in await asked.text()
    assert sqlite_store.read_now(jobs.next_due, Stage.RETRACT, now=clock()) is None
    assert (await lead.post("/brakes/retract", **fields, why="wrong prices", sure="1")).status == 303
    assert sqlite_store.read_now(jobs.next_due, Stage.RETRACT, now=clock()) is not None
    (found,) = sqlite_store.read_now(retractions.latest)
    assert (found.asked_who, found.outcome) == ("Some lead", "wanted")
    assert "asked by" in await text(lead)


async def test_a_time_that_is_none_is_refused_in_words(visit: Visit, day: Day) -> None:
    lead = await visit(Role.LEAD)
    for last in ("soon", "99d"):
        answer = await lead.get(f"/brakes?last={last}")
        assert answer.status == 422
        assert "15m" in await answer.text()
    assert (await lead.post("/brakes/retract", since="x", until="y", why="w")).status == 400


async def ask(browser: Browser, key: dict[str, str], method: str, path: str, **body: Any) -> tuple[int, Any]:
    data = orjson.dumps(body) if method == "POST" else None
    headers = {**key, "Content-Type": "application/json"}
    answer = await browser.ask(method, f"/api/v1{path}", headers=headers, data=data)
    return answer.status, orjson.loads(await answer.read())


async def test_programs_stop_resume_and_take_back(visit: Visit, day: Day, sqlite_store: Store) -> None:
    sqlite_store.write_now(say, day.post)
    nobody = await visit(None)
    viewer, agent, lead = (api_key(sqlite_store, role) for role in (Role.VIEWER, Role.AGENT, Role.LEAD))
    assert (await ask(nobody, viewer, "POST", "/brakes", why="w"))[0] == 403
    status, made = await ask(nobody, agent, "POST", "/brakes", why="wrong prices")
    assert (status, made["scope"], made["set_who"]) == (201, "everything", "agent key")
    status, seen = await ask(nobody, viewer, "GET", "/brakes")
    assert [each["set_why"] for each in seen["standing"]] == ["wrong prices"]
    assert (await ask(nobody, agent, "POST", "/brakes/release", why="w"))[0] == 403
    status, done = await ask(nobody, lead, "POST", "/brakes/release", why="mended")
    assert (status, done["released"][0]["released_who"]) == (200, "lead key")
    assert (await ask(nobody, lead, "POST", "/brakes/release", why="mended"))[0] == 409
    assert (await ask(nobody, agent, "POST", "/brakes", scope="source", name="no", why="w"))[0] == 422
    status, found = await ask(nobody, viewer, "GET", "/retractions?last=15m")
    assert [each["text"] for each in found["items"]] == ["It is on its way."]
    assert (await ask(nobody, agent, "POST", "/retractions", why="w"))[0] == 403
    status, dry = await ask(nobody, lead, "POST", "/retractions", dry_run=True)
    assert (status, dry["items"][0]["outcome"]) == (200, None)
    assert (await ask(nobody, lead, "POST", "/retractions"))[0] == 422, "a reason is needed"
    status, asked = await ask(nobody, lead, "POST", "/retractions", why="wrong prices")
    assert (status, asked["items"][0]["outcome"], asked["items"][0]["asked_who"]) == (202, "wanted", "lead key")


async def test_a_stop_by_a_page_is_a_file_for_the_other_processes(
    visit: Visit, site: Site, day: Day, sqlite_store: Store
) -> None:
    agent = await visit(Role.AGENT)
    await stop(agent, scope="intent", name="praise")
    assert (keeper(site).folder / "intent=praise").exists()
    standing = sqlite_store.read_now(brakes.review, ()).standing
    assert [each.target for each in standing] == [Target(scope=Scope.INTENT, name="praise")]
    assert EVERYTHING not in {each.target for each in standing}
