"""Incidents on the page and over the API: who may choose, start, pause, take out and close."""

from __future__ import annotations

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
