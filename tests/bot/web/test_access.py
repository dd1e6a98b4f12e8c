"""Nobody gets in who may not: the table of routes, asked as everybody."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bot.store import keys, people, sessions
from bot.store.engine import Store
from bot.store.roles import Role
from bot.web.problems import is_api
from bot.web.route import Access, Route, UndeclaredRoute
from bot.web.routes import ROUTES
from bot.web.site import CSP, Site
from tests.bot.web.conftest import Visit, make_site
from tests.bot.web.world import Browser, Clock, Day, Options, add_day, api_key

GUARDED = [route for route in ROUTES if route.access.role is not None]
CHANGING = [route for route in GUARDED if route.method != "GET"]
STREAMS = ("/feed/events", "/cases/{id:[0-9]{1,18}}/events")
OPEN = {"/sign-in", "/sign-in/link/{token}", "/static/{name}", "/livez", "/readyz", "/metrics", "/hooks/{source}"}


class _Path:
    path = ""


def path_of(route: Route, number: int = 999) -> str:
    """Return an address of *route*."""
    path = re.sub(r"\{(?:id|post):.*?\}\}", str(number), route.path)
    return re.sub(r"\{\w+\}", "nothing", path)


def programs(route: Route) -> bool:
    asked = _Path()
    asked.path = route.path
    return is_api(asked)  # type: ignore[arg-type]


def test_only_sign_in_health_hooks_and_static_files_are_open() -> None:
    assert {route.path for route in ROUTES if route.access.role is None} == OPEN


async def test_the_unauthenticated_are_refused_everywhere(visit: Visit, day: Day) -> None:
    nobody = await visit(None)
    for route in GUARDED:
        for number in (999, day.case):
            answer = await nobody.ask(route.method, path_of(route, number), headers=dict(nobody.same_origin))
            if programs(route):
                assert answer.status == 401, route
                assert answer.content_type == "application/problem+json"
                assert (await answer.json(content_type=None))["status"] == 401
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            else:
                assert answer.status == 303, route
                assert answer.headers["Location"].startswith("/sign-in")


async def test_each_role_may_what_the_table_says_and_no_more(visit: Visit, sqlite_store: Store) -> None:
    seen = 0
    for role in Role:
        person, key = await visit(role), api_key(sqlite_store, role)
        for route in GUARDED:
            if route.path in STREAMS and role.covers(Role(route.access)):
                continue  # test_live.py opens them
            if route.path == "/sign-out":
                continue  # test_sign_in.py does
            allowed = route.access.role is not None and role.covers(route.access.role)
            headers = {**key} if programs(route) else dict(person.same_origin)
            form = None if route.method == "GET" or programs(route) else {"csrf": person.csrf}
            answer = await person.ask(route.method, path_of(route), headers=headers, data=form)
            assert (answer.status == 403) is not allowed, f"{role} {route.method} {route.path}: {answer.status}"
            assert answer.status < 500
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    "forged",
    [
        "cross-site",
        "same-site",
        "none",
        "foreign origin",
        "null origin",
        "no origin",
        "no token",
        "wrong token",
        "text/plain",
        "multipart",
    ],
)
async def test_what_our_own_page_did_not_send_is_refused(forged: str, visit: Visit, day: Day) -> None:
    admin = await visit(Role.ADMIN)
    headers = dict(admin.same_origin)
    fields: object = {"csrf": admin.csrf}
    status = 403
    match forged:
        case "cross-site" | "same-site" | "none":
            headers = {"Sec-Fetch-Site": forged}
        case "foreign origin":
            headers = {"Origin": "https://evil.example"}
        case "null origin":
            headers = {"Origin": "null"}
        case "no origin":
            headers = {}
        case "no token":
            fields = {"do": "approve"}
        case "wrong token":
            fields = {"csrf": "x" + admin.csrf}
        case "text/plain":
            headers["Content-Type"], status = "text/plain", 415
        case _:
            status = 415
    for route in CHANGING:
        data = fields
        if forged == "multipart":
            data = aiohttp.MultipartWriter("form-data")
            data.append(admin.csrf)
        answer = await admin.ask(route.method, path_of(route, day.case), headers=headers, data=data)
        assert answer.status == (401 if programs(route) else status), f"{route.method} {route.path}"
    assert (await admin.get("/")).status == 200


async def test_a_same_origin_header_is_enough_where_the_browser_tells_no_more(visit: Visit, day: Day) -> None:
    agent = await visit(Role.AGENT)
    answer = await agent.ask(
        "POST", f"/cases/{day.case}/claim", headers={"Origin": agent.base}, data={"csrf": agent.csrf}
    )
    assert answer.status == 303


async def test_a_browser_session_reads_the_api_but_changes_nothing_through_it(visit: Visit, day: Day) -> None:
    admin = await visit(Role.ADMIN)
    assert (await admin.get("/api/v1/posts")).status == 200
    answer = await admin.ask("POST", f"/api/v1/cases/{day.case}/claim", headers=dict(admin.same_origin), json={})
    assert answer.status == 401


PATHS = (
    "/",
    "/cases",
    "/api/v1/posts",
    "/nothing",
    "/api/nothing",
    "/sign-in",
    "/livez",
    "/static/style.css",
    "/static/nothing.css",
    "/cases/99999",
    "/feed/events?after=x",
)


@pytest.mark.parametrize("role", [None, Role.VIEWER])
async def test_every_answer_carries_the_guarding_headers(role: Role | None, visit: Visit) -> None:
    browser = await visit(role)
    for path in PATHS:
        for method in ("GET", "POST", "DELETE", "TRACE", "OPTIONS"):
            answer = await browser.ask(method, path)
            assert answer.headers["Content-Security-Policy"] == CSP
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Server"] == "harken"
            assert (answer.headers["Cache-Control"] == "no-store") is not (
                method == "GET" and path == "/static/style.css"
            )
            assert "Strict-Transport-Security" not in answer.headers
            assert answer.status < 500


def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    assert "default-src 'none'" in CSP
    assert "unsafe" not in CSP
    assert "http" not in CSP
    assert "frame-ancestors 'none'" in CSP


async def test_a_route_that_says_not_who_may_reach_it_stops_the_start(sqlite_store: Store, clock: Clock) -> None:
    async def stray(request: web.Request) -> web.Response:
        return web.Response()

    app = make_site(sqlite_store, clock, Options()).make_app()
    app.router.add_get("/stray", stray)
    runner = web.AppRunner(app)
    with pytest.raises(UndeclaredRoute, match="/stray"):
        await runner.setup()
    await runner.cleanup()


async def test_the_whole_table_is_in_the_router(sqlite_store: Store, clock: Clock) -> None:
    app = make_site(sqlite_store, clock, Options()).make_app()
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert len(routed) == len(ROUTES) == len({(route.method, route.path) for route in ROUTES})


async def test_a_disabled_person_is_out_at_once(visit: Visit, sqlite_store: Store, clock: Clock) -> None:
    agent = await visit(Role.AGENT)
    assert (await agent.get("/cases")).status == 200
    sqlite_store.write_now(people.disable, email="agent@example.org", now=clock())
    assert (await agent.get("/cases")).status == 303


@pytest.mark.parametrize(("span", "status"), [({"hours": 1.9}, 200), ({"hours": 2.1}, 303), ({"hours": 13}, 303)])
async def test_a_session_ends_when_it_rests_too_long(
    span: dict[str, float], status: int, visit: Visit, clock: Clock
) -> None:
    viewer = await visit(Role.VIEWER)
    clock.forward(**span)
    assert (await viewer.get("/")).status == status


async def test_a_session_in_use_still_ends_after_its_hours(visit: Visit, clock: Clock) -> None:
    viewer = await visit(Role.VIEWER)
    for _ in range(11):
        clock.forward(hours=1)
        assert (await viewer.get("/")).status == 200
    clock.forward(hours=1.1)
    assert (await viewer.get("/")).status == 303


async def test_the_store_keeps_no_token_that_opens_anything(visit: Visit, sqlite_store: Store, clock: Clock) -> None:
    agent = await visit(Role.AGENT)
    header = api_key(sqlite_store, Role.ADMIN)
    link = sqlite_store.write_now(people.add_link, email="agent@example.org", now=clock())
    token = next(cookie.value for cookie in agent.http.cookie_jar if cookie.key == "harken")
    sqlite_store.close()
    dump = b"".join(
        path.read_bytes() for path in sorted(Path(str(sqlite_store.url.database)).parent.iterdir()) if path.is_file()
    )
    key_secret = header["Authorization"].split("_", 2)[2]  # a secret may hold the sign itself
    assert min(map(len, (token, link, key_secret))) > 20
    for secret in (token, link, key_secret):
        assert secret.encode() not in dump
    assert people.digest(token).encode() in dump


@pytest.mark.parametrize("spoil", ["revoked", "expired", "cut", "other id", "no prefix", "basic", "empty"])
async def test_a_key_that_is_not_good_opens_nothing(
    spoil: str, visit: Visit, sqlite_store: Store, clock: Clock
) -> None:
    header = api_key(sqlite_store, Role.ADMIN, lives=timedelta(days=1))
    nobody = await visit(None)
    assert (await nobody.get("/api/v1/posts", headers=header)).status == 200
    key = header["Authorization"].removeprefix("Bearer ")
    match spoil:
        case "revoked":
            sqlite_store.write_now(keys.revoke, key.split("_")[1], now=clock())
        case "expired":
            clock.forward(days=1, seconds=1)
        case "cut":
            header = {"Authorization": f"Bearer {key[:-1]}"}
        case "other id":
            other = api_key(sqlite_store, Role.ADMIN)["Authorization"].split("_")[1]
            header = {"Authorization": "Bearer " + "_".join(("harken", other, key.split("_", 2)[2]))}
        case "no prefix":
            header = {"Authorization": f"Bearer {key.removeprefix('harken_')}"}
        case "basic":
            header = {"Authorization": f"Basic {key}"}
        case _:
            header = {"Authorization": "Bearer "}
    assert (await nobody.get("/api/v1/posts", headers=header)).status == 401


async def test_a_bad_key_is_not_rescued_by_a_good_cookie(visit: Visit) -> None:
    admin = await visit(Role.ADMIN)
    assert (await admin.get("/api/v1/posts", headers={"Authorization": "Bearer harken_x_y"})).status == 401


async def test_a_key_opens_no_page(visit: Visit, sqlite_store: Store) -> None:
    nobody = await visit(None)
    assert (await nobody.get("/", headers=api_key(sqlite_store, Role.ADMIN))).status == 303


async def test_over_https_cookies_are_bound_to_the_host(sqlite_store: Store, clock: Clock) -> None:
    options = Options(secure_cookies=True, public_url="https://desk.example")
    sqlite_store.write_now(add_day)
    async with make_site(sqlite_store, clock, options) as site, aiohttp.ClientSession() as http:
        person = Browser(site, http)
        sqlite_store.write_now(people.add, email="a@example.org", name="A", role=Role.AGENT, now=clock())
        link = sqlite_store.write_now(people.add_link, email="a@example.org", now=clock())
        answer = await person.ask("POST", f"/sign-in/link/{link}", headers={"Origin": "https://desk.example"})
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-harken=")
        assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
        assert answer.headers["Strict-Transport-Security"]
        refused = await person.ask("POST", f"/sign-in/link/{link}", headers={"Origin": site_origin(site)})
        assert refused.status == 403


def site_origin(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}"


async def test_a_new_sign_in_ends_the_session_it_replaces(sqlite_store: Store, clock: Clock, visit: Visit) -> None:
    agent = await visit(Role.AGENT)
    before = next(cookie.value for cookie in agent.http.cookie_jar if cookie.key == "harken")
    link = sqlite_store.write_now(people.add_link, email="agent@example.org", now=clock())
    assert (await agent.post(f"/sign-in/link/{link}")).status == 303
    after = next(cookie.value for cookie in agent.http.cookie_jar if cookie.key == "harken")
    assert after != before
    assert sqlite_store.read_now(sessions.find, before, now=clock(), idle=timedelta(hours=2)) is None


def test_access_knows_every_role() -> None:
    assert {access.role for access in Access} - {None} == set(Role)
