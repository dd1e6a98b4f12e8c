"""Incidents on the page and over the API: who may choose, start, pause, take out and close."""

from __future__ import annotations

import re
from datetime import timedelta

from sqlmodel import Session

from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import IncidentPostRow, IncidentRow, PostTopicRow
from tests.bot.web.conftest import Visit
from tests.bot.web.world import (
    HOSTILE_NAME,
    NOON,
    SCRIPT,
    Clock,
    Day,
    add_author,
    add_case,
    add_post,
    add_triage,
    api_key,
)


def add_incident(session: Session) -> int:
    """Fifteen people ask the same within a quarter of an hour; one of them is hostile."""
    row = IncidentRow(
        topic="intent:delivery_item", opened_at=NOON, first_at=NOON, minutes=15, observed=15, expected=1.25, pace=20
    )
    session.add(row)
    session.flush()
    number = row.id or 0
    for each in range(15):
        name = HOSTILE_NAME if each == 0 else f"c{each}"
        author = add_author(session, f"c{each}", display_name=name)
        text = SCRIPT if each == 0 else "where is my parcel?"
        post = add_post(session, 300 + each, author_id=author, minutes=each, text=text, outcome="gathered")
        add_triage(session, post)
        at = NOON + timedelta(minutes=each)
        session.add(PostTopicRow(post_id=post, topic=row.topic, author_id=author, at=at))
        session.add(IncidentPostRow(post_id=post, incident_id=number, author_id=author, at=at, linked_at=at))
        if each == 0:
            row.case_id = add_case(session, post, key=f"incident/{number}", title="Incident")
    session.flush()
    return number


async def test_the_page_leads_from_a_burst_to_its_end(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    lead = await visit(Role.LEAD)
    assert "No incident so far" in await (await lead.get("/incidents")).text()
    number = sqlite_store.write_now(add_incident)
    clock.forward(minutes=20)
    feed = await (await lead.get("/")).text()
    assert "15 people write about" in feed
    assert f'href="/incidents/{number}"' in feed
    page = await (await lead.get(f"/incidents/{number}")).text()
    assert "15 people within 15 minutes, where 1.2 were to be expected" in " ".join(page.split())
    assert page.count("<rect") == 8, "fifteen minutes in bars of two"
    assert SCRIPT not in page

    refused = await lead.post(f"/incidents/{number}/choose", part="answer", article="nothing")
    assert refused.status == 422
    assert "no article" in await refused.text()
    assert (await lead.post(f"/incidents/{number}/choose", part="answer", article="late-parcel")).status == 303
    asked = await lead.post(f"/incidents/{number}/start", part="answer", pace="7")
    assert "to 15 people, and to those who come?" in " ".join((await asked.text()).split())
    view = await (await lead.get(f"/api/v1/incidents/{number}")).json()
    assert view["sending"] == "", "it asks once more"
    assert (await lead.post(f"/incidents/{number}/start", part="answer", pace="many", sure="1")).status == 422
    assert (await lead.post(f"/incidents/{number}/start", part="answer", pace="7", sure="1")).status == 303
    page = await (await lead.get(f"/incidents/{number}")).text()
    assert "sending, 7 a minute" in page
    assert (await lead.post(f"/incidents/{number}/choose", part="answer", article="late-parcel")).status == 409
    assert (await lead.post(f"/incidents/{number}/pause")).status == 303
    assert (await lead.post(f"/incidents/{number}/close")).status == 303
    assert (await lead.post(f"/incidents/{number}/close")).status == 409
    assert "Closed by" in await (await lead.get(f"/incidents/{number}")).text()
    assert "people write about" not in await (await lead.get("/")).text()


async def test_roles(visit: Visit, day: Day, sqlite_store: Store) -> None:
    viewer, agent = await visit(Role.VIEWER), await visit(Role.AGENT)
    number = sqlite_store.write_now(add_incident)
    page = await (await viewer.get(f"/incidents/{number}")).text()
    assert "Close the incident" not in page
    assert "Take out" not in page
    for act in ("choose", "start", "pause", "close"):
        assert (await viewer.post(f"/incidents/{number}/{act}")).status == 403
    await agent.post(f"/incidents/{number}/choose", part="answer", article="late-parcel")
    assert "A lead starts the sending" in await (await agent.get(f"/incidents/{number}")).text()
    assert (await agent.post(f"/incidents/{number}/start", part="answer", sure="1")).status == 403


async def test_one_is_opened_by_hand_with_posts_that_were_ticked(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent, viewer = await visit(Role.AGENT), await visit(Role.VIEWER)

    def write(session: Session) -> list[int]:
        found = []
        for number in range(2):
            author = add_author(session, f"n{number}", display_name=HOSTILE_NAME)
            found.append(add_post(session, 500 + number, author_id=author, text=SCRIPT, outcome="escalated"))
            add_triage(session, found[-1], intent="service_disruption")
        topic = PostTopicRow(post_id=found[0], topic="intent:service_disruption", author_id=author, at=NOON)
        session.add(topic)
        return found

    seen, other = sqlite_store.write_now(write)
    assert "Open one by hand" not in await (await viewer.get("/incidents")).text()
    assert (await viewer.get("/incidents/new")).status == 403
    assert 'href="/incidents/new"' in await (await agent.get("/incidents")).text()
    asks = await (await agent.get("/incidents/new")).text()
    assert '<option value="intent:service_disruption">service disruption</option>' in asks
    assert '<option value="article:late-parcel">the article late-parcel</option>' in asks
    assert "intent:spam" not in asks
    page = await (await agent.get("/incidents/new?topic=intent:service_disruption")).text()
    assert (f'name="post-{seen}"' in page, f'name="post-{other}"' in page, SCRIPT in page) == (True, False, False)

    typed = {"topic": "intent:service_disruption", "name": "Fibre cut", f"post-{seen}": "1"}
    refused = await agent.post("/incidents", **typed, why=" ", posts=f"/posts/{other}/why")
    again = await refused.text()
    assert (refused.status, "say in 1 to 500 characters why it is opened" in again) == (422, True)
    assert re.search(rf'name="post-{seen}"[^>]* checked', again), "what was ticked stays ticked"
    refused = await agent.post("/incidents", **typed, why="NOC called", posts="that one")
    assert (refused.status, "is no number of a post" in await refused.text()) == (422, True)
    opened = await agent.post("/incidents", **typed, why="NOC called", posts=f"#{other}, /posts/{other}/why")
    assert (opened.status, opened.headers["Location"]) == (303, "/incidents/1")
    page = " ".join((await (await agent.get("/incidents/1")).text()).split())
    assert "<h1><bdi>Fibre cut</bdi></h1>" in page
    assert "NOC called" in page
    assert "2 people in 2 posts" in page
    assert "What is written about service disruption gathers here" in page
    assert "were to be expected" not in page
    refused = await agent.post("/incidents", **{**typed, f"post-{seen}": ""}, why="again")
    assert (refused.status, "incident 1 gathers service disruption already" in await refused.text()) == (409, True)


async def test_two_are_made_one_after_it_asked_once_more(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    lead, viewer = await visit(Role.LEAD), await visit(Role.VIEWER)
    number = sqlite_store.write_now(add_incident)
    clock.forward(minutes=20)
    assert "The same cause as another?" not in await (await lead.get(f"/incidents/{number}")).text()
    await lead.post("/incidents", topic="intent:service_disruption", why="NOC called")
    assert (await viewer.post(f"/incidents/{number}/merge", into="2", sure="1")).status == 403
    assert "The same cause as another?" in await (await lead.get(f"/incidents/{number}")).text()
    assert (await lead.post(f"/incidents/{number}/merge", into="")).status == 422
    assert (await lead.post(f"/incidents/{number}/merge", into="99")).status == 409
    asked = " ".join((await (await lead.post(f"/incidents/{number}/merge", into="2")).text()).split())
    assert "Its 15 posts and 0 answered people move there" in asked
    assert (await (await lead.get("/api/v1/incidents/1")).json())["merged_into"] is None, "it asks once more"
    done = await lead.post(f"/incidents/{number}/merge", into="2", sure="1")
    assert (done.status, done.headers["Location"]) == (303, "/incidents/2")
    page = " ".join((await (await lead.get("/incidents/2")).text()).split())
    assert "What is written about service disruption, delivery item gathers here" in page
    assert '<a href="/incidents/1">Incident 1</a> was merged into it' in page
    assert page.count("<rect") >= 8, "the posts of both topics"
    gone = " ".join((await (await lead.get("/incidents/1")).text()).split())
    assert 'Merged into <a href="/incidents/2">incident 2</a>' in gone
    assert "Close the incident" not in gone
    assert 'into <a href="/incidents/2">2</a>' in await (await lead.get("/incidents")).text()


async def test_a_program_opens_and_merges(visit: Visit, day: Day, sqlite_store: Store) -> None:
    nobody, key = await visit(None), api_key(sqlite_store, Role.AGENT)
    number = sqlite_store.write_now(add_incident)

    async def ask(path: str, status: int, **body: object) -> dict[str, object]:
        answer = await nobody.ask("POST", f"/api/v1/incidents{path}", headers=key, json=body)
        found: dict[str, object] = await answer.json(content_type=None)
        assert answer.status == status, found
        return found

    made = await ask("", 201, topic="intent:service_disruption", why="NOC called", name="Fibre cut", posts=[day.post])
    assert (made["id"], made["told"], made["why"], made["posts"], made["state"]) == (
        2,
        "Fibre cut",
        "NOC called",
        1,
        "open",
    )
    assert "already" in str((await ask("", 409, topic="intent:service_disruption", why="x"))["detail"])
    assert "no topic" in str((await ask("", 422, topic="outage", why="x"))["detail"])
    assert "ignored" in str((await ask("", 422, topic="intent:praise", why="x"))["detail"])
    assert "post 999999" in str((await ask("", 422, topic="intent:complaint", why="x", posts=[999999]))["detail"])
    for body in ({"topic": "intent:complaint"}, {"topic": "intent:complaint", "why": "x", "posts": [0]}, {"why": ""}):
        assert (await ask("", 422, **body))["errors"]
    assert "itself" in str((await ask(f"/{number}/merge", 422, into=number))["detail"])
    assert "no such incident: 99" in str((await ask(f"/{number}/merge", 404, into=99))["detail"])
    joined = await ask(f"/{number}/merge", 200, into=2)
    assert (joined["id"], joined["merged"], joined["posts"]) == (2, [number], 16)
    assert "merged into incident 2" in str((await ask(f"/{number}/merge", 409, into=2))["detail"])
    assert "merged into incident 2" in str((await ask(f"/{number}/pause", 409))["detail"])


async def test_a_program_does_the_same(visit: Visit, day: Day, sqlite_store: Store, clock: Clock) -> None:
    nobody, key = await visit(None), api_key(sqlite_store, Role.LEAD)
    number = sqlite_store.write_now(add_incident)
    base = f"/api/v1/incidents/{number}"
    listed = await (await nobody.ask("GET", "/api/v1/incidents?state=open", headers=key)).json()
    assert [each["id"] for each in listed["items"]] == [number]
    first = await (await nobody.ask("GET", f"{base}/posts?limit=10", headers=key)).json()
    rest = await (await nobody.ask("GET", f"{base}/posts?limit=10&cursor={first['next']}", headers=key)).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (10, 5, None)
    clock.forward(minutes=20)
    line = await (await nobody.ask("GET", f"{base}/timeline", headers=key)).json()
    assert sum(line["counts"]) == 15
    early = await nobody.ask("POST", f"{base}/start", headers=key, json={"part": "answer"})
    assert early.status == 409
    assert "choose the article first" in (await early.json(content_type=None))["detail"]
    chosen = await nobody.ask("POST", f"{base}/choose", headers=key, json={"article": "late-parcel"})
    assert (await chosen.json())["answer"] == "late-parcel"
    started = await nobody.ask("POST", f"{base}/start", headers=key, json={"pace": 5})
    assert (started.status, (await started.json())["state"]) == (202, "sending")
    out = await nobody.ask("POST", f"{base}/posts/{first['items'][0]['post_id']}/take-out", headers=key, json={})
    assert (await out.json())["posts"] == 14
    assert (await nobody.ask("POST", f"{base}/posts/{day.post}/take-out", headers=key, json={})).status == 404
    assert (await nobody.ask("POST", f"{base}/pause", headers=key, json={})).status == 200
    ended = await nobody.ask("POST", f"{base}/close", headers=key, json={})
    assert (await ended.json())["state"] == "closed"
    assert (await nobody.ask("GET", "/api/v1/incidents/99", headers=key)).status == 404
