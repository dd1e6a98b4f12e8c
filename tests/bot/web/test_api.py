"""The JSON API: its document is its routes, its answers are what the document says, its errors are problems."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter
from sqlmodel import Session, select

from bot.store import own_labels
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import CaseNoteRow, CaseRow, CorrectionRow, JobRow, ReplyRow, ReplyState, UserRow
from bot.web.intake import MAX_BODY
from bot.web.openapi import plain
from bot.web.routes import API, ROUTES
from tests.bot.web.conftest import Visit
from tests.bot.web.test_incidents import add_incident
from tests.bot.web.world import HOSTILE_NAME, NOON, SCRIPT, Browser, Day, add_author, add_post, add_source, api_key
from tests.bot.word_engine import PRODUCT

LISTS = ("posts", "cases", "replies", "articles", "sources")


@pytest.fixture
async def program(visit: Visit, sqlite_store: Store, day: Day) -> Program:
    return Program(await visit(None), api_key(sqlite_store, Role.AGENT))


class Program:
    """A program with an agent's key."""

    def __init__(self, browser: Browser, key: dict[str, str]) -> None:
        self.browser = browser
        self.key = key

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.browser.get(path, headers=self.key)
        assert answer.status == status, await answer.text()
        return orjson.loads(await answer.read())

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.browser.ask("POST", path, headers=self.key, json=body)
        assert answer.status == status, await answer.text()
        return orjson.loads(await answer.read())


async def test_the_document_is_the_routes(program: Program) -> None:
    document = await program.get("/api/openapi.json")
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routed = {(route.method, plain(route.path)) for route in ROUTES if route.path.startswith("/api/v1/")}
    assert described == routed
    assert all(route.doc is not None for route in API if route.path != "/api/openapi.json")
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


async def test_every_reference_in_the_document_leads_somewhere(program: Program) -> None:
    document = await program.get("/api/openapi.json")
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', orjson.dumps(document).decode()))
    assert {"PostView", "CaseView", "ReplyView"} <= references
    assert references <= set(document["components"]["schemas"])


async def test_every_parameter_in_a_path_is_described(program: Program) -> None:
    document = await program.get("/api/openapi.json")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            described = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert described == set(re.findall(r"\{(\w+)\}", path)), path


async def test_lists_and_single_things_are_of_the_documented_types(
    program: Program, day: Day, sqlite_store: Store
) -> None:
    sqlite_store.write_now(own_labels.configure, {"product": PRODUCT}, now=NOON)
    ids = {
        "posts": day.post,
        "cases": day.case,
        "replies": day.draft,
        "articles": day.article,
        "sources": "x-main",
        "labels": "product",
        "authors": 1,
        "incidents": sqlite_store.write_now(add_incident),
    }
    program.key = api_key(sqlite_store, Role.LEAD)
    ids["rewinds"] = (await program.post("/api/v1/rewinds", 202, days=1))["id"]
    seen = 0
    for route in API:
        if route.method != "GET" or route.doc is None:
            continue
        name = route.path.split("/")[3]
        found = await program.get(re.sub(r"\{(?:id|name|set)[^/]*\}", str(ids.get(name, "")), route.path))
        for each in found["items"] if route.doc.paged else [found]:
            TypeAdapter(route.doc.answer).validate_python(each)
            fields = set(TypeAdapter(route.doc.answer).json_schema()["properties"])
            assert set(each) == fields
            seen += 1
    assert seen >= 10


async def test_what_a_stranger_wrote_comes_as_data(program: Program, day: Day) -> None:
    answer = await program.browser.get(f"/api/v1/posts/{day.hostile}", headers=program.key)
    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    post = orjson.loads(await answer.read())
    assert post["text"] == SCRIPT
    assert post["author"]["display_name"] == HOSTILE_NAME


async def test_times_are_rfc_3339(program: Program) -> None:
    for post in (await program.get("/api/v1/posts"))["items"]:
        assert post["created_at"].endswith("Z")
        assert datetime.fromisoformat(post["created_at"]).tzinfo is not None


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_a_list_read_in_parts_is_whole_and_in_order(limit: int, program: Program, sqlite_store: Store) -> None:
    def fill(session: Session) -> None:
        author = add_author(session, "many")
        for number in range(100, 140):
            add_post(session, number, author_id=author, minutes=number // 4)

    sqlite_store.write_now(fill)
    seen: list[tuple[str, int]] = []
    cursor: str | None = ""
    while cursor is not None:
        found = await program.get(f"/api/v1/posts?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        seen += [(post["created_at"], post["id"]) for post in found["items"]]
        cursor = found["next"]
    assert len(seen) == 42
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/api/v1/posts/99999", None, 404),
        ("GET", "/api/v1/posts/abc", None, 404),
        ("GET", "/api/v1/posts/99999999999999999999999", None, 404),
        ("GET", "/api/v1/sources/nobody", None, 404),
        ("DELETE", "/api/v1/posts", None, 405),
        ("GET", "/api/v1/posts?limit=0", None, 400),
        ("GET", "/api/v1/posts?limit=9999", None, 400),
        ("GET", "/api/v1/posts?limit=²", None, 400),
        ("GET", "/api/v1/posts?cursor=nonsense", None, 422),
        ("GET", "/api/v1/posts?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTku", None, 422),
        ("GET", "/api/v1/posts?intent=nonsense", None, 400),
        ("GET", "/api/v1/replies?state=nonsense", None, 400),
        ("GET", "/api/v1/posts?text=" + "x" * 400, None, 400),
        ("POST", "/api/v1/posts/2/corrections", b"{", 400),
        ("POST", "/api/v1/posts/2/corrections", b'{"head":NaN}', 400),
        ("POST", "/api/v1/posts/2/corrections", b"[" * 60_000, 400),
        ("POST", "/api/v1/posts/2/corrections", b"[]", 422),
        ("POST", "/api/v1/posts/2/corrections", b'{"head":"intent"}', 422),
        ("POST", "/api/v1/posts/2/corrections", b'{"head":"intent","label":"x","more":1}', 422),
        ("POST", "/api/v1/posts/2/corrections", b'{"head":"model","label":"x"}', 422),
        ("POST", "/api/v1/cases/2/notes", b'{"text":"\\ud800"}', 400),
        ("POST", "/api/v1/cases/2/notes", b'{"text":""}', 422),
        ("POST", "/api/v1/cases/2/notes", b'{"text":"' + b"x" * MAX_BODY + b'"}', 413),
        ("POST", "/api/v1/cases/99999/claim", b"{}", 404),
        ("POST", "/api/v1/replies/99999/approve", b"{}", 404),
        ("POST", "/api/v1/cases/2/replies", b'{"text":"a","nonce":"short"}', 422),
    ],
)
async def test_every_error_is_a_problem_document(
    method: str, path: str, body: bytes | None, status: int, program: Program
) -> None:
    headers = {**program.key, "Content-Type": "application/json"}
    answer = await program.browser.ask(method, path, data=body, headers=headers)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    problem = orjson.loads(await answer.read())
    assert {"type", "title", "status", "detail", "instance"} <= set(problem)
    assert problem["status"] == status
    assert problem["detail"]
    if status == 405:
        assert "GET" in answer.headers["Allow"]


async def test_a_body_without_an_end_is_cut_off(program: Program) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b"x" * 4096

    headers = {**program.key, "Content-Type": "application/json"}
    answer = await program.browser.ask("POST", "/api/v1/cases/2/notes", data=endless(), headers=headers)
    assert answer.status == 413


async def test_what_breaks_inside_is_not_told(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, **more: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("bot.store.feed.page", broken)
    for path in ("/api/v1/posts",):
        problem = await program.get(path, 500)
        assert "secret" not in str(problem)
    assert "the secret inside" in capsys.readouterr().out  # the operator's log has it


async def test_only_json_is_taken(program: Program, day: Day) -> None:
    answer = await program.browser.ask(
        "POST", f"/api/v1/cases/{day.case}/notes", data={"text": "hi"}, headers=program.key
    )
    assert answer.status == 415


async def test_a_correction_names_the_key_that_made_it(program: Program, day: Day, sqlite_store: Store) -> None:
    post = await program.post(f"/api/v1/posts/{day.post}/corrections", head="intent", label="praise")
    label = next(each for each in post["labels"] if each["head"] == "intent")
    assert label == {"head": "intent", "label": "praise", "confidence": 1.0, "corrected": True}
    with Session(sqlite_store.engine) as session:
        correction = session.exec(select(CorrectionRow)).one()
        assert session.get_one(UserRow, correction.user_id).name == "agent key"


async def test_approving_twice_says_it_once(program: Program, day: Day, sqlite_store: Store) -> None:
    for _ in range(3):
        reply = await program.post(f"/api/v1/replies/{day.draft}/approve")
        assert reply["state"] == "intended"
    with Session(sqlite_store.engine) as session:
        assert [job.key for job in session.exec(select(JobRow))] == [str(day.draft)]


async def test_a_reply_of_ones_own(program: Program, day: Day, sqlite_store: Store) -> None:
    body = {"text": "We look into it.", "nonce": "a" * 32, "send": True}
    first = await program.post(f"/api/v1/cases/{day.case}/replies", 201, **body)
    again = await program.post(f"/api/v1/cases/{day.case}/replies", 201, **body)
    assert first == again
    assert (first["post_id"], first["state"], first["origin"]) == (day.post, "intended", "agent")
    await program.post(f"/api/v1/cases/{day.case}/replies", 422, **{**body, "nonce": "b" * 32, "text": "x" * 281})
    await program.post(f"/api/v1/cases/{day.case}/replies", 409, **{**body, "nonce": "c" * 32, "revision": "another"})
    with Session(sqlite_store.engine) as session:
        assert len(session.exec(select(ReplyRow).where(ReplyRow.origin == "agent")).all()) == 1


async def test_drafts_are_edited_and_discarded(program: Program, day: Day) -> None:
    assert (await program.post(f"/api/v1/replies/{day.draft}/edit", text="Better."))["text"] == "Better."
    assert (await program.post(f"/api/v1/replies/{day.draft}/discard"))["state"] == ReplyState.CANCELLED
    await program.post(f"/api/v1/replies/{day.draft}/edit", 409, text="Too late.")
    await program.post(f"/api/v1/replies/{day.draft}/settle", 409, was_said=True)


async def test_a_case_is_claimed_noted_and_resolved(program: Program, day: Day, sqlite_store: Store) -> None:
    case = await program.post(f"/api/v1/cases/{day.case}/claim")
    assert (case["state"], case["assignee"]) == ("claimed", "agent key")
    mine = await program.get("/api/v1/cases?mine=1")
    assert [each["id"] for each in mine["items"]] == [day.case]
    note = await program.post(f"/api/v1/cases/{day.case}/notes", 201, text="Called the depot.")
    assert note["author"] == "agent key"
    other = Program(program.browser, api_key(sqlite_store, Role.LEAD))
    await other.post(f"/api/v1/cases/{day.case}/claim", 409)
    assert (await other.post(f"/api/v1/cases/{day.case}/claim", take_over=True))["assignee"] == "lead key"
    await other.post(f"/api/v1/cases/{day.case}/release")
    await program.post(f"/api/v1/replies/{day.draft}/discard")
    assert (await program.post(f"/api/v1/cases/{day.case}/resolve"))["state"] == "resolved"
    file = await program.get(f"/api/v1/cases/{day.case}")
    assert file["context"]["thread"][0]["text"] == "We ship every day before four."
    assert file["context"]["history"][0]["text"] == "My last parcel was late too."
    assert [each["text"] for each in file["notes"]] == [SCRIPT, "Called the depot."]
    assert (await program.post(f"/api/v1/cases/{day.case}/reopen"))["state"] == "open"
    with Session(sqlite_store.engine) as session:
        assert session.get_one(CaseRow, day.case).assignee_id is None
        assert len(session.exec(select(CaseNoteRow)).all()) == 2


async def test_sources_show_their_trouble(visit: Visit, sqlite_store: Store) -> None:
    sqlite_store.write_now(add_source, "reddit-main", status="failing", last_error="down", failures=3)
    program = Program(await visit(None), api_key(sqlite_store, Role.VIEWER))
    [source] = (await program.get("/api/v1/sources"))["items"]
    assert (source["status"], source["last_error"], source["failures"]) == ("failing", "down", 3)
    assert await program.get("/api/v1/sources/reddit-main") == source


@pytest.mark.parametrize(
    ("source", "signature", "size", "status"),
    [("shop", "good", 10, 202), ("shop", "bad", 10, 401), ("other", "good", 10, 404), ("shop", "good", 2**20 + 1, 413)],
)
async def test_pushed_deliveries_answer_what_became_of_them(
    source: str, signature: str, size: int, status: int, visit: Visit
) -> None:
    answer = await (await visit(None)).ask(
        "POST", f"/hooks/{source}", data=io.BytesIO(b"x" * size), headers={"Webhook-Signature": signature}
    )
    assert answer.status == status
    if status >= 400:
        assert answer.content_type == "application/problem+json"


async def test_machines_may_ask_how_it_is(visit: Visit) -> None:
    nobody = await visit(None)
    assert (await nobody.get("/livez")).status == 200
    ready = await nobody.get("/readyz")
    assert orjson.loads(await ready.read()) == {"status": "ok", "components": {"store": "ok"}}
    assert await (await nobody.get("/metrics")).text() == "harken_build_info 1\n"


async def test_a_reply_goes_to_a_customers_post_of_its_case(program: Program, day: Day) -> None:
    body = {"text": "We look into it.", "nonce": "a" * 32, "send": True, "post_id": day.hostile}
    refused = await program.post(f"/api/v1/cases/{day.case}/replies", 422, **body)
    assert "post of this case" in refused["detail"]


async def test_a_body_in_another_encoding_than_it_says_is_refused_quietly(visit: Visit) -> None:
    stranger = await visit(None)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with stranger.http.post(f"{stranger.base}/hooks/shop", data=b"abc", headers=headers) as answer:
        assert answer.status == 400
