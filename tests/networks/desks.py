"""Fake desks: Zendesk, Zammad and a receiver of webhooks, in the shapes their documentation and sources show.

Each writes the tickets it has into its ledger: ``Entry.text`` is the first note, ``Entry.key`` what makes it unique.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests.networks.clock import system_clock
from tests.networks.faults import Network, answer


@dataclass
class _FirstAnswer:
    body: bytes
    answer: dict[str, Any]


class FakeZendesk(Network):
    """Zendesk Support as one agent sees it.

    mails: whom it would have written to. keeps_keys: set to False and it forgets idempotency keys, as it does after a
    few hours. filters: set to False and it ignores external_id in lists.
    """

    email = "bot@example.com"
    token = "zdtoken-51f0a"

    def __init__(self, *, clock: Callable[[], datetime] = system_clock) -> None:
        super().__init__(clock=clock)
        self.tickets: list[dict[str, Any]] = []
        self.users: list[dict[str, Any]] = []
        self.mails: list[str] = []
        self.keeps_keys = True
        self.filters = True
        self.role = "agent"
        self._answers: dict[str, _FirstAnswer] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v2/users/me.json", self._me)
        router.add_get("/api/v2/users/search.json", self._search_users)
        router.add_post("/api/v2/users/create_or_update.json", self._create_or_update_user)
        router.add_get("/api/v2/tickets.json", self._list)
        router.add_post("/api/v2/tickets.json", self._create)

    def is_write(self, method: str, path: str) -> bool:
        return method == "POST" and path.startswith("/api/v2/tickets")

    def error_body(self, status: int) -> bytes:
        errors = {401: "Couldn't authenticate you", 422: "RecordInvalid", 429: "APIRateLimitExceeded"}
        return orjson.dumps({"error": errors.get(status, "Forbidden"), "description": "Record validation errors"})

    def _refused(self, request: web.Request) -> web.Response | None:
        good = "Basic " + base64.b64encode(f"{self.email}/token:{self.token}".encode()).decode()
        if request.headers.get("Authorization") == good:
            return None
        return web.Response(status=401, body=self.error_body(401), content_type="application/json")

    async def _me(self, request: web.Request) -> web.Response:
        if "Authorization" not in request.headers:
            return answer({"user": {"id": None, "name": "Anonymous user", "role": "end-user"}})
        return self._refused(request) or answer({"user": {"id": 7, "name": "Bot", "role": self.role}})

    async def _search_users(self, request: web.Request) -> web.Response:
        wanted = request.query["external_id"].lower()
        users = [user for user in self.users if str(user["external_id"]).lower() == wanted]
        return self._refused(request) or answer({"users": users, "count": len(users), "next_page": None})

    async def _create_or_update_user(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        given = (await request.json())["user"]
        for user in self.users:
            if user["external_id"] == given["external_id"]:
                user.update(given)
                return answer({"user": user})
        if not given.get("name"):
            return answer({"error": "RecordInvalid", "details": {"name": [{"error": "BlankValue"}]}}, status=422)
        user = {"id": 9_007_199_254_740_000 + len(self.users), "role": "end-user", "email": None, **given}
        self.users.append(user)
        if user["email"] and not given.get("skip_verify_email"):
            self.mails.append(user["email"])
        return answer({"user": user}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = [key.lower() for key in request.query.get("external_id", "").split(",")]
        found = [each for each in self.tickets if not self.filters or str(each["external_id"]).lower() in wanted]
        return self._refused(request) or answer({"tickets": found, "count": len(found), "next_page": None})

    async def _create(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        body, key = await request.read(), request.headers.get("Idempotency-Key")
        if key is not None and len(key) > 255:
            return answer({"error": "InvalidIdempotencyKey"}, status=400)
        if key is not None and self.keeps_keys and key in self._answers:
            first = self._answers[key]
            if first.body != body:
                text = "Request parameters do not match the first request's"
                return answer({"error": "IdempotentRequestError", "description": text}, status=400)
            return answer(first.answer, status=201, headers={"x-idempotency-lookup": "hit"})
        given = orjson.loads(body)["ticket"]
        requester = next((user for user in self.users if user["id"] == given.get("requester_id")), None)
        if requester is None:
            return answer({"error": "RecordInvalid", "details": {"requester": [{"error": "Blank"}]}}, status=422)
        if len(given["comment"]["body"].encode()) > 65_535:
            return answer({"error": "RecordInvalid", "details": {"comment": [{"error": "TooLong"}]}}, status=422)
        if given["comment"].get("public", True) and requester["email"]:
            self.mails.append(requester["email"])
        ticket = {"id": 4014 + len(self.tickets), "status": "new", **given}
        self.tickets.append(ticket)
        self.accept(
            request.path, new_id=str(ticket["id"]), text=given["comment"]["body"], key=ticket["external_id"], body=body
        )
        content = {"ticket": ticket, "audit": {"ticket_id": ticket["id"]}}
        if key is not None:
            self._answers[key] = _FirstAnswer(body, content)
        return answer(content, status=201, headers={"x-idempotency-lookup": "miss"})


class FakeZammad(Network):
    """Zammad as one agent sees it. Its full-text search finds nothing, like an index that has not caught up.

    shows: set to False and the agent may create in the group but not read there. knows_conditions: set to False and
    a search with a condition lists whatever there is.
    """

    token = "zmtoken-77ac1"
    groups = ("Users", "Billing")
    priorities = ("1 low", "2 normal", "3 high")

    def __init__(self, *, clock: Callable[[], datetime] = system_clock) -> None:
        super().__init__(clock=clock)
        self.tickets: list[dict[str, Any]] = []
        self.users: list[dict[str, Any]] = []
        self.mails: list[str] = []
        self.shows = True
        self.knows_conditions = True
        self.is_admin = False

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/users/me", self._me)
        router.add_get("/api/v1/tickets/search", self._search)
        router.add_post("/api/v1/tickets", self._create)

    def error_body(self, status: int) -> bytes:
        errors = {401: "Authentication required", 403: "Not authorized", 422: "Invalid title"}
        return orjson.dumps({"error": errors.get(status, "no"), "error_human": errors.get(status, "no")})

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Token token={self.token}":
            return None
        return web.Response(status=401, body=self.error_body(401), content_type="application/json")

    async def _me(self, request: web.Request) -> web.Response:
        return self._refused(request) or answer({"id": 3, "login": "bot@example.com", "active": True})

    async def _search(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        if not self.shows or request.query.get("query"):
            return answer([])
        wanted = request.query["condition[ticket.number][value]"]
        is_equal = request.query["condition[ticket.number][operator]"] == "is"
        found = [each for each in self.tickets if is_equal and each["number"] == wanted]
        return answer((found if self.knows_conditions else self.tickets)[: int(request.query.get("limit", "50"))])

    async def _create(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        body = await request.read()
        given = orjson.loads(body)
        if given["group"] not in self.groups or given["priority"] not in self.priorities:
            cause = "No lookup value found" if self.is_admin else "Error ID wRt5xQ: Please contact your administrator."
            return answer({"error": cause}, status=422)
        if any(each["number"] == given["number"] for each in self.tickets):
            text = "Object already exists!"
            return answer({"error": text, "error_human": text}, status=422)
        if not given["title"] or not given["article"]["body"]:
            return answer({"error": "Attribute 'title' required!"}, status=422)
        customer = next((user for user in self.users if user["login"] == given["customer"]["login"]), None)
        if customer is None:
            customer = {"id": 20 + len(self.users), "email": "", **given["customer"]}
            self.users.append(customer)
        if customer["email"]:
            self.mails.append(customer["email"])
        ticket = {
            "id": 5 + len(self.tickets),
            "number": given["number"],
            "title": given["title"],
            "group": given["group"],
            "priority": given["priority"],
            "customer_id": customer["id"],
            "tags": given["tags"].split(","),
            "article_count": 1,
        }
        self.tickets.append(ticket)
        self.accept(
            request.path, new_id=str(ticket["id"]), text=given["article"]["body"], key=ticket["number"], body=body
        )
        return answer(ticket, status=201)


class FakeReceiver(Network):
    """A careful receiver of webhooks: verifies the signature, opens one ticket for each webhook-id.

    ``says``: what it answers instead of the ticket's id and url.
    """

    secret = "whsec_" + base64.b64encode(b"thirty-two bytes of a test secre").decode()

    def __init__(self, *, clock: Callable[[], datetime] = system_clock) -> None:
        super().__init__(clock=clock)
        self.answers: dict[str, dict[str, Any]] = {}
        self.says: web.Response | None = None
        self.knows_head = True

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/cases", self._receive)
        router.add_head("/cases", self._look)

    def is_write(self, method: str, path: str) -> bool:
        return method == "POST"

    def is_read(self, method: str, path: str) -> bool:
        return method == "HEAD"

    def verify(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Return whether *body* is signed with ``secret``, by the library a receiver would use."""
        try:
            Webhook(self.secret).verify(body, dict(headers), json_parse=False)
        except WebhookVerificationError:
            return False
        return True

    async def _look(self, request: web.Request) -> web.Response:
        if not self.knows_head:
            return web.Response(status=405)
        return web.Response(status=200 if self.verify(b"", request.headers) else 401)

    async def _receive(self, request: web.Request) -> web.Response:
        body, key = await request.read(), request.headers["webhook-id"]
        if not self.verify(body, request.headers):
            return web.Response(status=401)
        if key not in self.answers:
            made = f"T-{len(self.answers) + 1}"
            self.answers[key] = {"id": made, "url": f"https://desk.example/tickets/{made}"}
            self.accept(request.path, new_id=made, text=orjson.loads(body)["data"]["note"], key=key, body=body)
        return self.says or answer(self.answers[key], status=201)
