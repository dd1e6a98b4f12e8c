"""A Mastodon server on loopback, in the shapes of docs.joinmastodon.org; its posts are ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from html import escape
from typing import Any
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from tests.networks.clock import system_clock
from tests.networks.faults import Network, answer

TOKEN = "mastodon-secret-token-4711"
OUR_ACCT = "lantern_books"
CUSTOMER = "wren@letters.example"
KEY_KEPT = timedelta(hours=1)
LOOKUP_LIMIT = 20


class Idempotency(StrEnum):
    """How the server treats an Idempotency-Key it has seen."""

    HONEST = "honest"  # the first post again, for an hour
    REPEAT_IS_500 = "repeat_is_500"  # the post is there, the repeat is answered 500
    IGNORED = "ignored"  # a second post


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    acct: str
    url: str
    display_name: str = ""
    is_bot: bool = False


@dataclass(slots=True)
class Status:
    id: str
    account: Account
    words: str
    html: str
    created_at: datetime
    visibility: str = "public"
    spoiler_text: str = ""
    language: str | None = "en"
    in_reply_to_id: str | None = None
    in_reply_to_account_id: str | None = None
    edited_at: datetime | None = None
    mentions: tuple[Account, ...] = ()
    raw: Any = None  # given out instead, for items nobody can read
    surfaces_at: datetime | None = None  # nobody sees it before


class MastodonNetwork(Network):
    """One server with our account on it.

    lag: how long our own posts stay out of lists once taken. twice: ids that stand in two notifications each.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = system_clock,
        page_limit: int = 40,
        lag: timedelta = timedelta(0),
    ) -> None:
        super().__init__(clock=clock, page_limit=page_limit)
        self.lag = lag
        self.twice: set[str] = set()
        self.idempotency = Idempotency.HONEST
        self.has_lookup = True  # GET /api/v1/statuses, since 4.3
        self.max_characters = 500
        self.statuses: dict[str, Status] = {}
        self._accounts: dict[str, Account] = {}
        self._notified: list[str] = []  # status ids
        self._keys: dict[str, tuple[datetime, str]] = {}
        self._last = 0

    @property
    def us(self) -> Account:
        return self.account(OUR_ACCT)

    def account(self, acct: str, *, display_name: str = "", is_bot: bool = False) -> Account:
        if acct not in self._accounts:
            user, _, host = acct.partition("@")
            url = f"https://{host or 'ours.example'}/@{user}"
            number = 109_000_000_000_000_000 + len(self._accounts)
            self._accounts[acct] = Account(str(number), acct, url, display_name, is_bot)
        return self._accounts[acct]

    def post(
        self,
        words: str,
        *,
        at: datetime,
        by: str = CUSTOMER,
        parent: str | None = None,
        visibility: str = "public",
        html: str | None = None,
        raw: Any = None,
        notifies: bool | None = None,
        surfaces_at: datetime | None = None,
    ) -> str:
        """Add a status; "@us" in front of *words* mentions our account. Return its id."""
        mentions = tuple(self.account(acct) for acct in re.findall(r"@([\w.-]+(?:@[\w.-]+)?)", words))
        above = self.statuses.get(parent) if parent else None
        self._last += 1
        # As Mastodon's own: milliseconds in the upper bits, so that late posts sort where they belong.
        new_id = str((int(at.timestamp() * 1000) << 16) + self._last)
        self.statuses[new_id] = Status(
            id=new_id,
            account=self.account(by),
            words=words,
            html=html if html is not None else self._html(words, mentions),
            created_at=at,
            visibility=visibility,
            in_reply_to_id=parent,
            in_reply_to_account_id=above.account.id if above else None,
            mentions=mentions,
            raw=raw,
            surfaces_at=surfaces_at,
        )
        if self.us in mentions if notifies is None else notifies:
            self._notified.append(new_id)
        return new_id

    def edit(self, status_id: str, words: str) -> None:
        status = self.statuses[status_id]
        status.words, status.html, status.edited_at = words, self._html(words, status.mentions), self.clock()

    def delete(self, status_id: str) -> None:
        """Remove the status; replies to it stay and lose their parent, as on the real server."""
        del self.statuses[status_id]
        if status_id in self._notified:
            self._notified.remove(status_id)
        for status in self.statuses.values():
            if status.in_reply_to_id == status_id:
                status.in_reply_to_id = status.in_reply_to_account_id = None

    # The server

    def limit_headers(self, until: datetime) -> Mapping[str, str]:
        return {
            "X-RateLimit-Limit": "300",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    def error_body(self, status: int) -> bytes:
        words = {
            401: "The access token is invalid",
            403: "This action is outside the authorized scopes",
            404: "Record not found",
            422: "Validation failed: Text character limit of 500 exceeded",
            429: "Too many requests",
        }
        return orjson.dumps({"error": words.get(status, "Something went wrong")})

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/accounts/verify_credentials", self._guarded(self._verify))
        router.add_get("/api/v1/accounts/{id}/statuses", self._guarded(self._own))
        router.add_get("/api/v1/notifications", self._guarded(self._notifications))
        router.add_get("/api/v1/timelines/tag/{tag}", self._guarded(self._tag))
        router.add_get("/api/v2/search", self._guarded(self._search))
        router.add_get("/api/v2/instance/", self._guarded(self._instance))
        router.add_get("/api/v1/statuses", self._guarded(self._lookup))
        router.add_get("/api/v1/statuses/{id}", self._guarded(self._status))
        router.add_get("/api/v1/statuses/{id}/context", self._guarded(self._context))
        router.add_post("/api/v1/statuses", self._guarded(self._say))
        router.add_delete("/api/v1/statuses/{id}", self._guarded(self._unsay))

    def _guarded(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def guarded(request: web.Request) -> web.Response:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._no(401)
            response: web.Response = handler(request)
            return response

        return guarded

    def _no(self, status: int) -> web.Response:
        return web.Response(status=status, body=self.error_body(status), content_type="application/json")

    def _verify(self, request: web.Request) -> web.Response:
        return answer(_account(self.us) | {"source": {"privacy": "public"}})

    def _notifications(self, request: web.Request) -> web.Response:
        if "mention" not in request.query.getall("types[]", ["mention"]):
            return answer([])
        named = (self.statuses[each] for each in self._notified for _ in range(2 if each in self.twice else 1))
        return answer(
            [
                {
                    "id": status.id,
                    "type": "mention",
                    "created_at": _time(status.created_at),
                    "account": _account(status.account),
                    "status": self._shape(status),
                }
                for status in self._page(request, named)
            ]
        )

    def _tag(self, request: web.Request) -> web.Response:
        return answer(self._shapes(request, self._containing(f"#{request.match_info['tag']}")))

    def _search(self, request: web.Request) -> web.Response:
        found = self._shapes(request, self._containing(request.query["q"]))
        return answer({"accounts": [], "statuses": found, "hashtags": []})

    def _containing(self, words: str) -> Iterator[Status]:
        return (status for status in self.statuses.values() if words.lower() in status.words.lower())

    def _own(self, request: web.Request) -> web.Response:
        mine = (status for status in self.statuses.values() if status.account.id == request.match_info["id"])
        return answer(self._shapes(request, mine))

    def _shapes(self, request: web.Request, statuses: Iterable[Status]) -> list[dict[str, Any]]:
        return [self._shape(status) for status in self._page(request, statuses)]

    def _page(self, request: web.Request, statuses: Iterable[Status]) -> list[Status]:
        below = int(request.query["max_id"]) if "max_id" in request.query else None
        limit = min(self.page_limit, int(request.query.get("limit", "20")))
        now = self.clock()
        shown = [
            status
            for status in statuses
            if (status.surfaces_at or status.created_at) <= now and (below is None or int(status.id) < below)
        ]
        return sorted(shown, key=lambda status: int(status.id), reverse=True)[:limit]

    def _lookup(self, request: web.Request) -> web.Response:
        if not self.has_lookup:
            return self._no(404)
        wanted = request.query.getall("id[]", [])
        if len(wanted) > LOOKUP_LIMIT:
            return self._no(422)
        return answer([self._shape(self.statuses[each]) for each in wanted if each in self.statuses])

    def _status(self, request: web.Request) -> web.Response:
        status = self.statuses.get(request.match_info["id"])
        return self._no(404) if status is None else answer(self._shape(status))

    def _context(self, request: web.Request) -> web.Response:
        status = self.statuses.get(request.match_info["id"])
        if status is None:
            return self._no(404)
        above: list[Status] = []
        while status.in_reply_to_id and status.in_reply_to_id in self.statuses:
            status = self.statuses[status.in_reply_to_id]
            above.insert(0, status)
        below = [
            each
            for each in self.statuses.values()
            if each.in_reply_to_id == request.match_info["id"] and (each.surfaces_at or each.created_at) <= self.clock()
        ]
        return answer(
            {"ancestors": [self._shape(each) for each in above], "descendants": [self._shape(each) for each in below]}
        )

    def _instance(self, request: web.Request) -> web.Response:
        statuses = {"max_characters": self.max_characters, "characters_reserved_per_url": 23}
        return answer({"domain": "ours.example", "version": "4.5.0", "configuration": {"statuses": statuses}})

    def _say(self, request: web.Request) -> web.Response:
        raw: bytes = request._read_bytes or b""  # the middleware has read it
        form = {key: values[0] for key, values in parse_qs(raw.decode(), keep_blank_values=True).items()}
        key = request.headers.get("Idempotency-Key")
        if key is not None and key in self._keys and self.idempotency is not Idempotency.IGNORED:
            since, status_id = self._keys[key]
            if self.clock() - since < KEY_KEPT:
                if self.idempotency is Idempotency.REPEAT_IS_500:
                    return self._no(500)
                return answer(self._shape(self.statuses[status_id]))
        parent, words = form.get("in_reply_to_id"), form.get("status", "")
        if parent is not None and parent not in self.statuses:
            return self._no(404)
        if not words or len(words) > self.max_characters:
            return self._no(422)
        new_id = self.post(
            words,
            at=self.clock(),
            by=OUR_ACCT,
            parent=parent,
            visibility=form.get("visibility", "public"),
            surfaces_at=self.clock() + self.lag,
        )
        if key is not None:
            self._keys[key] = (self.clock(), new_id)
        self.accept(request.path, new_id=new_id, text=words, parent=parent, key=key, body=raw)
        return answer(self._shape(self.statuses[new_id]))

    def _unsay(self, request: web.Request) -> web.Response:
        status = self.statuses.get(request.match_info["id"])
        if status is None or status.account.id != self.us.id:
            return self._no(404)
        self.delete(status.id)
        return answer(self._shape(status) | {"text": status.words})

    def _html(self, words: str, mentions: tuple[Account, ...]) -> str:
        """Return *words* the way Mastodon writes them."""
        html = "".join(f"<p>{escape(part, quote=False)}</p>" for part in words.split("\n\n")).replace("\n", "<br />")
        html = re.sub(
            r"(https?://)([^\s<]+)",
            r'<a href="\1\2" target="_blank" rel="nofollow noopener"><span class="invisible">\1</span>'
            r'<span class="">\2</span><span class="invisible"></span></a>',
            html,
        )
        html = re.sub(
            r"(?<![\w/])#(\w+)",
            r'<a href="https://ours.example/tags/\1" class="mention hashtag" rel="tag">#<span>\1</span></a>',
            html,
        )
        for account in sorted(mentions, key=lambda each: -len(each.acct)):
            user = account.acct.partition("@")[0]
            html = html.replace(
                f"@{account.acct}",
                f'<span class="h-card" translate="no"><a href="{account.url}" class="u-url mention">'
                f"&#64;<span>{user}</span></a></span>",
            )
        return html

    def _shape(self, status: Status) -> dict[str, Any]:
        if status.raw is not None:
            return {"id": status.id, "created_at": _time(status.created_at), **status.raw}
        return {
            "id": status.id,
            "created_at": _time(status.created_at),
            "in_reply_to_id": status.in_reply_to_id,
            "in_reply_to_account_id": status.in_reply_to_account_id,
            "sensitive": bool(status.spoiler_text),
            "spoiler_text": status.spoiler_text,
            "visibility": status.visibility,
            "language": status.language,
            "uri": f"{status.account.url}/statuses/{status.id}",
            "url": f"{status.account.url}/{status.id}",
            "replies_count": 0,
            "reblogs_count": 0,
            "favourites_count": 0,
            "edited_at": _time(status.edited_at) if status.edited_at else None,
            "content": status.html,
            "reblog": None,
            "account": _account(status.account),
            "media_attachments": [],
            "mentions": [
                {"id": each.id, "username": each.acct.partition("@")[0], "url": each.url, "acct": each.acct}
                for each in status.mentions
            ],
            "tags": [],
            "emojis": [],
            "card": None,
            "poll": None,
        }


def _account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.acct.partition("@")[0],
        "acct": account.acct,
        "display_name": account.display_name,
        "locked": False,
        "bot": account.is_bot,
        "created_at": "2024-03-01T00:00:00.000Z",
        "note": "<p>A person of our own making.</p>",
        "url": account.url,
        "followers_count": 12,
        "following_count": 3,
        "statuses_count": 5,
        "emojis": [],
        "fields": [],
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
