"""A fake Reddit: sign-in, inbox, listings, search, threads and comments, in the shapes of https://www.reddit.com/dev/api.

People, places and texts are ours. Deleted things keep their id and lose author and text, as they do there.
"""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from tests.networks.clock import system_clock
from tests.networks.faults import JSON, Fault, Network, Trouble, answer

CLIENT_ID = "harken-client"
CLIENT_SECRET = "harken-client-secret-51c0"
APP = f"Basic {b64encode(f'{CLIENT_ID}:{CLIENT_SECRET}'.encode()).decode()}"
BRAND = "Kornblume_Help"
PASSWORD = "brand-password-77e1"
REFRESH_TOKEN = "brand-refresh-token-90aa"
LISTING_ITEMS = 1_000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Return *number* as Reddit writes ids."""
    found = ""
    while number:
        number, digit = divmod(number, 36)
        found = DIGITS[digit] + found
    return found or "0"


@dataclass
class Thing:
    """A comment (t1) or submission (t3).

    visible_at: when listings and inbox begin to show it. is_doubled: the inbox shows it twice.
    """

    name: str
    author: str
    subreddit: str
    text: str
    created_at: datetime
    link: str
    visible_at: datetime
    title: str = ""
    parent: str | None = None
    edited_at: datetime | None = None
    deleted: bool = False
    removed: bool = False
    locked: bool = False
    archived: bool = False
    is_doubled: bool = False

    @property
    def kind(self) -> str:
        return self.name[:2]

    @property
    def permalink(self) -> str:
        tail = f"{self.name[3:]}/" if self.kind == "t1" else ""
        return f"/r/{self.subreddit}/comments/{self.link[3:]}/a_title/{tail}"


class Reddit(Network):
    """Reddit as one brand's account sees it.

    lag: how long our own new comments stay out of our profile. allowance: requests left, None: no such headers.
    """

    def __init__(self, *, clock: Callable[[], datetime] = system_clock, page_limit: int = 100) -> None:
        super().__init__(clock=clock, page_limit=page_limit)
        self.things: dict[str, Thing] = {}
        self.raw_inbox: list[tuple[datetime, Any]] = []
        self.tokens: set[str] = set()
        self.lag = timedelta(0)
        self.allowance: int | None = None
        self.resets_in_s = 300
        self.expires_in_s = 86_400
        self.suspended = False
        self._count = 0x10_0000

    # What people do there

    def submit(
        self,
        *,
        author: str,
        title: str,
        text: str = "",
        subreddit: str = "kornblume",
        at: datetime | None = None,
        visible_at: datetime | None = None,
    ) -> Thing:
        """Let *author* start a thread."""
        at = at or self.clock()
        name = f"t3_{self._next()}"
        thing = Thing(
            name=name,
            author=author,
            subreddit=subreddit,
            text=text,
            created_at=at,
            link=name,
            visible_at=visible_at or at,
            title=title,
        )
        self.things[name] = thing
        return thing

    def comment(
        self,
        *,
        author: str,
        parent: Thing,
        text: str,
        at: datetime | None = None,
        visible_at: datetime | None = None,
    ) -> Thing:
        """Let *author* answer *parent*."""
        at = at or self.clock()
        thing = Thing(
            name=f"t1_{self._next()}",
            author=author,
            subreddit=parent.subreddit,
            text=text,
            created_at=at,
            link=parent.link,
            visible_at=visible_at or at,
            parent=parent.name,
        )
        self.things[thing.name] = thing
        return thing

    def edit(self, name: str, text: str) -> None:
        self.things[name].text = text
        self.things[name].edited_at = self.clock()

    def delete(self, name: str) -> None:
        self.things[name].deleted = True

    def remove(self, name: str) -> None:
        """Let a moderator take it away."""
        self.things[name].removed = True

    def expire_tokens(self) -> None:
        """Let every access token given so far be refused."""
        self.tokens.clear()

    # What the rig needs to know

    def is_write(self, method: str, path: str) -> bool:
        return method == "POST" and not path.startswith("/api/v1/")

    def limit_headers(self, until: datetime) -> Mapping[str, str]:
        seconds = round((until - self.clock()).total_seconds())
        return {"x-ratelimit-remaining": "0.0", "x-ratelimit-used": "1000", "x-ratelimit-reset": str(seconds)}

    def error_body(self, status: int) -> bytes:
        return orjson.dumps({"message": {401: "Unauthorized", 403: "Forbidden"}.get(status, "Error"), "error": status})

    def trouble(self, trouble: Trouble, *, until: datetime | None = None) -> Fault:
        if trouble is Trouble.REJECTED:
            return self.errors("THREAD_LOCKED", "Comments are locked.", "parent")
        return super().trouble(trouble, until=until)

    def fail_writes(self, trouble: Trouble, *, times: int | None = 1, until: datetime | None = None) -> None:
        # One 401 is a token that ran out, which is renewed; an account that lost its access hears 401 each time.
        super().fail_writes(trouble, times=None if trouble is Trouble.UNAUTHORIZED else times, until=until)

    def errors(self, code: str, message: str, field: str, **more: object) -> Fault:
        """Return Reddit's way to refuse a write: status 200 and a list of errors."""
        body = orjson.dumps({"json": {"errors": [[code, message, field]], **more}})
        return Fault(status=200, body=body, headers=JSON)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/api/v1/access_token", self._token)
        router.add_post("/api/comment/", self._asked(self._comment))
        router.add_post("/api/del/", self._asked(self._del))
        for path, handler in {
            "/api/v1/me": self._me,
            "/api/info/": self._info,
            "/message/{box:mentions|unread/|comments/|selfreply/|inbox/}": self._inbox,
            "/r/{subreddit}/search/": self._search,
            "/r/{subreddit}/comments/": self._comments,
            "/r/{subreddit}/new": self._new,
            "/comments/{link}/_/{comment}": self._thread,
            "/user/{name}/comments": self._profile,
        }.items():
            router.add_get(path, self._asked(handler))

    # The answers

    async def _token(self, request: web.Request) -> web.Response:
        given = {key: values[0] for key, values in parse_qs((await request.read()).decode()).items()}
        if request.headers.get("Authorization") != APP:
            return answer({"message": "Unauthorized", "error": 401}, status=401)
        match given:
            case {"grant_type": "password", "username": who, "password": word} if (who, word) == (BRAND, PASSWORD):
                pass
            case {"grant_type": "refresh_token", "refresh_token": token} if token == REFRESH_TOKEN:
                pass
            case _:
                return answer({"error": "invalid_grant"})
        token = f"access-token-{self._next()}"
        self.tokens.add(token)
        return answer({"access_token": token, "token_type": "bearer", "expires_in": self.expires_in_s, "scope": "*"})

    def _asked(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def checked(request: web.Request) -> web.Response:
            if request.headers.get("Authorization", "").removeprefix("bearer ") not in self.tokens:
                realm = {"www-authenticate": 'Bearer realm="reddit", error="invalid_token"'}
                return answer({"message": "Unauthorized", "error": 401}, status=401, headers=realm)
            data = await handler(request)
            if request.query.get("raw_json") != "1":
                data = _escaped(data)
            headers = {}
            if self.allowance is not None:
                self.allowance = max(0, self.allowance - 1)
                headers = {
                    "x-ratelimit-remaining": f"{self.allowance}.0",
                    "x-ratelimit-used": str(1_000 - self.allowance),
                    "x-ratelimit-reset": str(self.resets_in_s),
                }
            return data if isinstance(data, web.Response) else answer(data, headers=headers)

        return checked

    async def _me(self, request: web.Request) -> Any:
        return {"id": account(BRAND)[3:], "name": BRAND, "is_suspended": self.suspended, "has_verified_email": True}

    async def _info(self, request: web.Request) -> Any:
        found = (self.things.get(name) for name in request.query["id"].split(",")[:100])
        return _listing([self._show(thing) for thing in found if thing is not None], after=None)

    async def _inbox(self, request: web.Request) -> Any:
        box = request.match_info["box"].strip("/")
        items = [
            (thing.created_at, self._show_letter(thing, reason))
            for thing in self._visible()
            for reason in self._reasons(thing)
            if box in (reason, "inbox", "unread")
            for _ in range(2 if thing.is_doubled else 1)
        ]
        if box == "mentions":
            items += self.raw_inbox
        return self._page(request, [item for _, item in sorted(items, key=lambda each: each[0], reverse=True)])

    async def _search(self, request: web.Request) -> Any:
        words = request.query["q"].casefold().replace('"', "").split()
        since = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}.get(request.query.get("t", "all"))
        hits = [
            thing
            for thing in self._visible()
            if thing.kind == "t3"
            and all(word in f"{thing.title} {thing.text}".casefold() for word in words)
            and (since is None or thing.created_at >= self.clock() - timedelta(days=since))
        ]
        return self._newest(request, hits)

    async def _comments(self, request: web.Request) -> Any:
        return self._newest(request, self._in(request, "t1"))

    async def _new(self, request: web.Request) -> Any:
        return self._newest(request, self._in(request, "t3"))

    async def _profile(self, request: web.Request) -> Any:
        now = self.clock()
        own = [
            thing
            for thing in self._visible()
            if thing.kind == "t1" and thing.author == request.match_info["name"] and thing.created_at + self.lag <= now
        ]
        return self._newest(request, own)

    async def _thread(self, request: web.Request) -> Any:
        link = self.things.get(f"t3_{request.match_info['link']}")
        focus = self.things.get(f"t1_{request.match_info['comment']}")
        if link is None or focus is None:
            return answer({"message": "Not Found", "error": 404}, status=404)
        chain = [focus]
        for _ in range(min(8, int(request.query.get("context", 0)))):
            above = self.things.get(chain[-1].parent or "")
            if above is None or above.kind == "t3":
                break
            chain.append(above)
        tree: Any = ""
        for thing in chain:
            shown = self._show(thing)
            shown["data"]["replies"] = tree
            tree = _listing([shown], after=None)
        return [_listing([self._show(link)], after=None), tree]

    async def _comment(self, request: web.Request) -> Any:
        body = await request.read()
        given = {key: values[0] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        parent = self.things.get(given.get("thing_id", ""))
        text = given.get("text", "")
        refusal = self._refusal(parent, text)
        if refusal is not None or parent is None:
            return {"json": {"errors": [refusal]}}
        said = self.comment(author=BRAND, parent=parent, text=text)
        self.accept(request.path, new_id=said.name, text=text, parent=parent.name, body=body)
        return {"json": {"errors": [], "data": {"things": [self._show(said)]}}}

    async def _del(self, request: web.Request) -> Any:
        """Delete what is ours; to anything else the answer is the same, as on the real one."""
        given = {key: values[0] for key, values in parse_qs((await request.read()).decode()).items()}
        thing = self.things.get(given.get("id", ""))
        if thing is not None and thing.author == BRAND:
            self.delete(thing.name)
        return {}

    def _refusal(self, parent: Thing | None, text: str) -> list[str] | None:
        if parent is None or parent.deleted or parent.removed:
            return ["DELETED_COMMENT", "that comment has been deleted", "parent"]
        if self.things[parent.link].locked or parent.locked:
            return ["THREAD_LOCKED", "Comments are locked.", "parent"]
        if self.things[parent.link].archived:
            return ["TOO_OLD", "that's a piece of history now; it's too late to reply to it", "parent"]
        if not text.strip():
            return ["NO_TEXT", "we need something here", "text"]
        if len(text) > 10_000:
            return ["TOO_LONG", "this is too long (max: 10000)", "text"]
        return None

    # The shapes

    def _show(self, thing: Thing) -> dict[str, Any]:
        lost = "[deleted]" if thing.deleted else "[removed]" if thing.removed else None
        author = "[deleted]" if lost else thing.author
        data: dict[str, Any] = {
            "id": thing.name[3:],
            "name": thing.name,
            "author": author,
            "subreddit": thing.subreddit,
            "subreddit_name_prefixed": f"r/{thing.subreddit}",
            "subreddit_type": "public",
            "created_utc": thing.created_at.timestamp(),
            "created": thing.created_at.timestamp(),
            "edited": thing.edited_at.timestamp() if thing.edited_at else False,
            "permalink": thing.permalink,
            "locked": thing.locked,
            "archived": self.things[thing.link].archived,
            "score": 1,
            "distinguished": None,
            "stickied": False,
        }
        if not lost:
            data["author_fullname"] = account(thing.author)
        if thing.kind == "t1":
            data |= {
                "body": lost or thing.text,
                "body_html": f"<div>{html.escape(lost or thing.text)}</div>",
                "parent_id": thing.parent,
                "link_id": thing.link,
                "link_author": self.things[thing.link].author,
                "link_title": self.things[thing.link].title,
                "replies": "",
            }
        else:
            data |= {
                "title": thing.title,
                "selftext": lost or thing.text,
                "is_self": True,
                "url": f"https://www.reddit.com{thing.permalink}",
                "num_comments": 0,
                "removed_by_category": "moderator" if thing.removed else None,
            }
        return {"kind": thing.kind, "data": data}

    def _show_letter(self, thing: Thing, reason: str) -> dict[str, Any]:
        shown = self._show(thing)
        data = shown["data"]
        kept = ("id", "name", "author", "author_fullname", "subreddit", "subreddit_name_prefixed", "created_utc")
        letter = {
            key: data[key] for key in (*kept, "created", "body", "body_html", "parent_id", "score") if key in data
        }
        kind = {"mentions": "username_mention", "comments": "comment_reply", "selfreply": "post_reply"}[reason]
        letter |= {
            "type": kind,
            "subject": kind.replace("_", " "),
            "was_comment": True,
            "new": True,
            "dest": BRAND,
            "context": f"{thing.permalink}?context=3",
            "link_title": self.things[thing.link].title,
            "replies": "",
        }
        return {"kind": "t1", "data": letter}

    def _reasons(self, thing: Thing) -> list[str]:
        if thing.kind != "t1" or thing.author == BRAND:
            return []
        above = self.things.get(thing.parent or "")
        if above is not None and above.author == BRAND:
            return ["comments" if above.kind == "t1" else "selfreply"]
        return ["mentions"] if f"u/{BRAND}".casefold() in thing.text.casefold() else []

    def _visible(self) -> list[Thing]:
        now = self.clock()
        return [thing for thing in list(self.things.values()) if thing.visible_at <= now]

    def _in(self, request: web.Request, kind: str) -> list[Thing]:
        place = request.match_info["subreddit"].casefold()
        return [
            thing
            for thing in self._visible()
            if thing.kind == kind and thing.subreddit.casefold() == place and not (thing.deleted or thing.removed)
        ]

    def _newest(self, request: web.Request, things: Iterable[Thing]) -> dict[str, Any]:
        ordered = sorted(things, key=lambda thing: (thing.created_at, thing.name), reverse=True)
        return self._page(request, [self._show(thing) for thing in ordered])

    def _page(self, request: web.Request, items: list[Any]) -> dict[str, Any]:
        items = items[:LISTING_ITEMS]
        limit = min(int(request.query.get("limit", 25)), self.page_limit)
        start = 0
        if after := request.query.get("after"):
            names = [_name(item) for item in items]
            if after not in names:
                return _listing([], after=None)
            start = names.index(after) + 1
        page = items[start : start + limit]
        return _listing(page, after=_name(page[-1]) if start + limit < len(items) else None)

    def _next(self) -> str:
        self._count += 1
        return base36(self._count)


def account(handle: str) -> str:
    """Return the fullname of the account called *handle*."""
    return f"t2_{base36(int.from_bytes(sha256(handle.casefold().encode()).digest()[:6], 'big'))}"


def _name(item: Any) -> str:
    return str(item["data"]["name"])


def _listing(items: list[Any], *, after: str | None) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"children": items, "after": after, "before": None, "dist": len(items)}}


def _escaped(data: Any) -> Any:
    match data:
        case dict():
            return {key: _escaped(value) for key, value in data.items()}
        case list():
            return [_escaped(value) for value in data]
        case str():
            return html.escape(data, quote=False)
        case _:
            return data
