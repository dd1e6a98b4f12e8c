"""A Bluesky service on loopback, server and AppView in one, in the shapes of its lexicons; its posts are ours."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import regex
from aiohttp import web

from tests.networks.clock import system_clock
from tests.networks.faults import Fault, Network, Trouble, answer

HANDLE = "lantern.bsky.example"
PASSWORD = "abcd-efgh-ijkl-4711"
US = "did:plc:lanternbooks22222222222"
CUSTOMER = "did:plc:wrenwrenwren3333333333"
POST = "app.bsky.feed.post"
TTL_S = 7200
_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Stored:
    """One post. raw: given out instead of its record, for items nobody can read."""

    uri: str
    did: str
    record: dict[str, Any]
    seen_at: datetime
    reason: str | None = None
    is_closed: bool = False
    raw: Any = None

    @property
    def cid(self) -> str:
        return cid_of(self.record)


@dataclass(slots=True)
class Sessions:
    """Tokens in force, and how often each kind of session was asked for."""

    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    created: int = 0
    refreshed: int = 0


class BlueskyNetwork(Network):
    """One service with our account on it."""

    def __init__(self, *, clock: Callable[[], datetime] = system_clock, page_limit: int = 100) -> None:
        super().__init__(clock=clock, page_limit=page_limit)
        self.sessions = Sessions()
        self.token_ttl_s = TTL_S
        self.posts: dict[str, Stored] = {}
        self.handles = {US: HANDLE, CUSTOMER: "wren.bsky.example"}
        self._last = 0

    def post(
        self,
        words: str,
        *,
        at: datetime,
        by: str = CUSTOMER,
        parent: str | None = None,
        reason: str | None = None,
        raw: Any = None,
        **record: Any,
    ) -> str:
        """Add a post; *reason* puts it into our notifications. Return its uri."""
        self._last += 1
        uri = f"at://{by}/{POST}/{_tid((int(at.timestamp() * 1_000_000) << 10) + self._last % 1024)}"
        whole: dict[str, Any] = {"$type": POST, "text": words, "createdAt": _time(at), "langs": ["en"], **record}
        if parent is not None:
            whole["reply"] = self._refs(parent)
        self.posts[uri] = Stored(uri=uri, did=by, record=whole, seen_at=at, reason=reason, raw=raw)
        return uri

    def delete(self, uri: str) -> None:
        del self.posts[uri]

    def revoke(self) -> None:
        """End every session, as a changed password does."""
        self.sessions.access.clear()
        self.sessions.refresh.clear()

    def _refs(self, parent: str) -> dict[str, Any]:
        above = self.posts[parent]
        here = {"uri": above.uri, "cid": above.cid}
        root = above.record["reply"]["root"] if "reply" in above.record else here
        return {"root": root, "parent": here}

    # The server

    def is_write(self, method: str, path: str) -> bool:
        return path.startswith("/xrpc/com.atproto.repo.") and method == "POST"

    def limit_headers(self, until: datetime) -> Mapping[str, str]:
        return {
            "ratelimit-limit": "3000",
            "ratelimit-remaining": "0",
            "ratelimit-reset": str(int(until.timestamp())),
            "ratelimit-policy": "3000;w=300",
        }

    def error_body(self, status: int) -> bytes:
        names = {
            400: "InvalidRequest",
            401: "AuthenticationRequired",
            403: "Forbidden",
            429: "RateLimitExceeded",
            500: "InternalServerError",
        }
        return orjson.dumps({"error": names.get(status, "InvalidRequest"), "message": "said by the fake network"})

    def trouble(self, trouble: Trouble, *, until: datetime | None = None) -> Fault:
        if trouble is Trouble.REJECTED:
            return self.refusal(400)
        return super().trouble(trouble, until=until)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/xrpc/com.atproto.server.createSession", self._create_session)
        router.add_post("/xrpc/com.atproto.server.refreshSession", self._refresh_session)
        for nsid, handler in {
            "app.bsky.notification.listNotifications": self._notifications,
            "app.bsky.feed.searchPosts": self._search,
            "app.bsky.feed.getPosts": self._get_posts,
            "app.bsky.feed.getPostThread": self._thread,
            "com.atproto.repo.getRecord": self._get_record,
        }.items():
            router.add_get(f"/xrpc/{nsid}", self._guarded(handler))
        router.add_post("/xrpc/com.atproto.repo.putRecord", self._guarded(self._put_record))
        router.add_post("/xrpc/com.atproto.repo.deleteRecord", self._guarded(self._delete_record))

    def _guarded(self, handler: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Any]:
        async def guarded(request: web.Request) -> web.Response:
            if _bearer(request) not in self.sessions.access:
                return _no(400, "ExpiredToken")
            return handler(request)

        return guarded

    async def _create_session(self, request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        self.sessions.created += 1
        if (asked.get("identifier"), asked.get("password")) != (HANDLE, PASSWORD):
            return _no(401, "AuthenticationRequired")
        return self._session()

    async def _refresh_session(self, request: web.Request) -> web.Response:
        token = _bearer(request)
        self.sessions.refreshed += 1
        if token not in self.sessions.refresh:
            return _no(400, "ExpiredToken")
        self.sessions.refresh.discard(token)  # rotated: the old one is spent
        return self._session()

    def _session(self) -> web.Response:
        count = self.sessions.created + self.sessions.refreshed
        access, refresh = (_jwt({"sub": US, "n": count, "for": what}, self.token_ttl_s) for what in ("access", "renew"))
        self.sessions.access.add(access)
        self.sessions.refresh.add(refresh)
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.invalid"}
        did_doc = {"@context": ["https://www.w3.org/ns/did/v1"], "id": US, "alsoKnownAs": [], "service": [service]}
        tokens = {"accessJwt": access, "refreshJwt": refresh}
        return answer({"did": US, "handle": HANDLE, "didDoc": did_doc, "active": True, **tokens})

    def _notifications(self, request: web.Request) -> web.Response:
        reasons = request.query.getall("reasons", [])
        rows = [post for post in self.posts.values() if post.reason and (not reasons or post.reason in reasons)]
        rows.sort(key=lambda post: (post.seen_at, post.uri), reverse=True)
        if below := request.query.get("cursor"):
            rows = [post for post in rows if f"{_time(post.seen_at)}::{post.uri}" < below]
        page = rows[: min(self.page_limit, int(request.query["limit"]))]
        body: dict[str, Any] = {"notifications": [self._notification(post) for post in page]}
        if len(rows) > len(page):
            body["cursor"] = f"{_time(page[-1].seen_at)}::{page[-1].uri}"
        return answer(body)

    def _notification(self, post: Stored) -> dict[str, Any]:
        if post.raw is not None:
            return {"uri": post.uri, "reason": post.reason, "indexedAt": _time(post.seen_at), "record": post.raw}
        return {
            "uri": post.uri,
            "cid": post.cid,
            "author": self._profile(post.did),
            "reason": post.reason,
            "record": post.record,
            "isRead": False,
            "indexedAt": _time(post.seen_at),
            "labels": [],
        }

    def _search(self, request: web.Request) -> web.Response:
        query, until = request.query["q"].lower(), request.query.get("until", "9999")
        rows = [p for p in self.posts.values() if query in p.record["text"].lower() and _time(p.seen_at) < until]
        rows.sort(key=lambda post: (post.seen_at, post.uri), reverse=True)
        start = int(request.query.get("cursor", "0"))
        stop = start + min(self.page_limit, int(request.query["limit"]))
        body: dict[str, Any] = {"posts": [self._view(post) for post in rows[start:stop]], "hitsTotal": len(rows)}
        return answer(body | ({"cursor": str(stop)} if stop < len(rows) else {}))

    def _get_posts(self, request: web.Request) -> web.Response:
        uris = request.query.getall("uris")
        if len(uris) > 25:
            return _no(400, "InvalidRequest")
        found = [self.posts[uri] for uri in uris if uri in self.posts and self.posts[uri].raw is None]
        return answer({"posts": [self._view(post) for post in found]})

    def _thread(self, request: web.Request) -> web.Response:
        post = self.posts.get(request.query["uri"])
        if post is None:
            return _no(400, "NotFound")
        return answer({"thread": self._node(post)})

    def _node(self, post: Stored) -> dict[str, Any]:
        node: dict[str, Any] = {"$type": "app.bsky.feed.defs#threadViewPost", "post": self._view(post), "replies": []}
        if "reply" in post.record:
            uri = post.record["reply"]["parent"]["uri"]
            above = self.posts.get(uri)
            gone = {"$type": "app.bsky.feed.defs#notFoundPost", "uri": uri, "notFound": True}
            node["parent"] = gone if above is None else self._node(above)
        return node

    def _get_record(self, request: web.Request) -> web.Response:
        uri = f"at://{request.query['repo']}/{request.query['collection']}/{request.query['rkey']}"
        post = self.posts.get(uri)
        if post is None:
            return _no(400, "RecordNotFound")
        return answer({"uri": post.uri, "cid": post.cid, "value": post.record})

    def _put_record(self, request: web.Request) -> web.Response:
        raw: bytes = request._read_bytes or b""  # the middleware has read it
        asked = orjson.loads(raw)
        record, rkey = asked["record"], asked["rkey"]
        words = record["text"]
        if asked["repo"] != US or asked["collection"] != POST or not regex.fullmatch(r"[2-7a-j][2-7a-z]{12}", rkey):
            return _no(400, "InvalidRequest")
        if len(regex.findall(r"\X", words)) > 300 or len(words.encode()) > 3000:
            return _no(400, "InvalidRequest")
        uri = f"at://{US}/{POST}/{rkey}"
        known = self.posts.get(uri)
        if known is None or known.cid != cid_of(record):  # the same again changes nothing
            self.posts[uri] = Stored(uri=uri, did=US, record=record, seen_at=self.clock())
            parent = record.get("reply", {}).get("parent", {}).get("uri")
            self.accept(request.path, new_id=uri, text=words, parent=parent, key=rkey, body=raw)
        return answer({"uri": uri, "cid": cid_of(record), "validationStatus": "valid"})

    def _delete_record(self, request: web.Request) -> web.Response:
        asked = orjson.loads(request._read_bytes or b"")
        if asked["repo"] != US or asked["collection"] != POST:
            return _no(400, "InvalidRequest")
        self.posts.pop(f"at://{US}/{POST}/{asked['rkey']}", None)
        return answer({"commit": {"cid": "bafyreicommit", "rev": asked["rkey"]}})

    def _view(self, post: Stored) -> dict[str, Any]:
        if post.raw is not None:
            return {"uri": post.uri, "indexedAt": _time(post.seen_at), "record": post.raw}
        viewer: dict[str, Any] = {"threadMuted": False, "embeddingDisabled": False}
        if post.is_closed:
            viewer["replyDisabled"] = True
        return {
            "$type": "app.bsky.feed.defs#postView",
            "uri": post.uri,
            "cid": post.cid,
            "author": self._profile(post.did),
            "record": post.record,
            "replyCount": 0,
            "indexedAt": _time(post.seen_at),
            "viewer": viewer,
            "labels": [],
        }

    def _profile(self, did: str) -> dict[str, Any]:
        name = {US: "Lantern Books", CUSTOMER: "Wren"}.get(did, "")
        viewer = {"muted": False, "blockedBy": False}
        return {"did": did, "handle": self.handles.get(did, "handle.invalid"), "displayName": name, "viewer": viewer}


def cid_of(record: Mapping[str, Any]) -> str:
    """Return a stand-in for the record's CID: equal when, and only when, the records are."""
    return "bafyrei" + hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:52]


def _no(status: int, name: str) -> web.Response:
    return answer({"error": name, "message": "said by the fake network"}, status=status)


def _bearer(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _jwt(claims: Mapping[str, Any], ttl_s: int) -> str:
    now = int(time.time())  # the library compares with the real time
    parts = ({"alg": "HS256", "typ": "JWT"}, {**claims, "iat": now, "exp": now + ttl_s})
    return ".".join([*(base64.urlsafe_b64encode(orjson.dumps(each)).decode().rstrip("=") for each in parts), "c2ln"])


def _tid(number: int) -> str:
    return "".join(_LETTERS[(number >> shift) & 31] for shift in range(60, -1, -5))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
