"""Bluesky, and any service of the AT Protocol that serves app.bsky, through atproto's AsyncClient.

Sources: docs.bsky.app (lexicons, rate limits), atproto.com/specs (record keys, TIDs). The library signs in, keeps the
session and sends; posts are read from the raw answers, since its models refuse a whole page for one odd item.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx
import orjson
import structlog
from atproto import AsyncClient, AsyncRequest
from atproto_client.models.dot_dict import DotDict
from pydantic import Field, SecretStr, field_validator

from connectors.answer import MAX_BYTES, Answer, Unreadable, listed, look, need, parse, quarantined, text, when
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, Held, RateLimited, Rejected, Unavailable
from connectors.facets import FACET, mark, unfold
from connectors.html import is_web
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, PostKind, Refusal, Reply, Sent
from connectors.protocol import BadItem, Capabilities, Cursor, Gate, Page, SendClass, open_gate
from connectors.registry import Channel, Clock
from connectors.settings import SourceSettings
from connectors.walk import Attempts, Leaf, Listed, Read, remembered, walk

KIND = "bluesky"
MENTIONS, SEARCH = "mentions", "search:"
HOME = "https://bsky.social"
POST = "app.bsky.feed.post"
REASONS = ("mention", "reply", "quote")
PAGE = 100  # the most listNotifications and searchPosts give
LOOKUP_BATCH = 25  # uris getPosts takes at most
PARENTS = 80  # getPostThread's own default parentHeight
# Half of what createSession allows an account: 30 in 5 minutes, 300 a day (docs.bsky.app, rate limits).
SIGN_INS = ((timedelta(minutes=5), 15), (timedelta(days=1), 150))
LONGEST_WAIT = timedelta(days=1)
_TID_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"

log = structlog.get_logger()


class BlueskySettings(SourceSettings):
    """One account. base_url: where to sign in; left alone, the account's own server is followed from there."""

    base_url: str = HOME
    handle: str = Field(min_length=1, description="like brand.bsky.social")
    app_password: SecretStr = Field(description="made under Settings, Privacy and security, App passwords")
    mentions: bool = True
    queries: tuple[str, ...] = ()

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not is_web(value):
            raise ValueError(f"must be a server's address, like {HOME}")
        return value.rstrip("/")


@dataclass(slots=True)
class _Exchange:
    """What happened on the wire during one call, whatever the library makes of it.

    gate: asked before the first byte of a request to *gated*; what it raised is in ``held``.
    """

    path: str = ""
    answer: Answer | None = None
    has_left: bool = False
    gate: Gate = open_gate
    gated: str = ""
    held: Held | None = None

    def ask(self) -> None:
        """Ask the gate, once. Raises Held."""
        if self.has_left or not self.gated or not self.path.endswith(self.gated):
            return
        try:
            self.gate()
        except Held as held:
            self.held = held
            raise


_EXCHANGE: ContextVar[_Exchange] = ContextVar("exchange")


class _Expired(AuthFailed):
    """The session is over; signing in anew may help."""


class _Gone(Unavailable):
    """The network says, in its own words, that this is not there."""


class BlueskyConnector:
    """Listens to and speaks for one Bluesky account."""

    channel = KIND

    def __init__(self, *, name: str, settings: BlueskySettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        settle = settings.settle_after_s
        self._length = LengthRule(unit=Unit.GRAPHEMES, limit=300, max_bytes=3000)
        self.capabilities = Capabilities(
            send_class=SendClass.KEYED,
            length=self._length,
            search=True,
            thread=True,
            deletions=True,
            lookup_batch=LOOKUP_BATCH,
            settle_after=timedelta(minutes=2) if settle is None else timedelta(seconds=settle),
        )
        self._client: _Client | None = None
        self._me: Author | None = None
        self._attempts: Attempts[Leaf] = Attempts()
        self._signing_in = asyncio.Lock()
        self._sign_ins: deque[datetime] = deque(maxlen=SIGN_INS[-1][1])

    async def __aenter__(self) -> Self:
        self._client = _Client(self._settings.base_url, timeout_s=self._settings.timeout_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.request.close()

    # Listening

    def streams(self) -> Sequence[str]:
        searches = [f"{SEARCH}{query}" for query in self._settings.queries]
        return [MENTIONS, *searches] if self._settings.mentions else searches

    async def identity(self) -> Author:
        if self._me is None:
            await self._sign_in(stale=None)
        if self._me is None:
            raise Unavailable("the server does not say who we are")
        return self._me

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        await self.identity()
        settings = self._settings
        now = self._clock()
        seen = await walk(
            remembered(self._reader(stream), self._attempts.resume(stream, cursor, now)),
            cursor,
            now=now,
            lookback=settings.lookback,
            overlap=settings.overlap,
            max_first_pages=settings.max_first_pages,
        )
        views = await self._views(seen.items) if stream == MENTIONS else {}
        self._attempts.done(stream)
        posts: dict[str, Post] = {}  # a reply that mentions us is two notifications of one post
        bad: list[BadItem] = []
        for item in seen.items:
            try:
                post = self._post(item, view=views.get(text(item, "uri"), item), addressed=stream == MENTIONS)
                posts.setdefault(post.id, post)
            except Unreadable as error:
                bad.append(quarantined(item, str(error)))
        ordered = sorted(posts.values(), key=lambda post: post.created_at)
        return Page(posts=ordered, cursor=seen.cursor, more=seen.more, bad=bad)

    async def thread(self, post: Post) -> Sequence[Post]:
        await self.identity()
        if "quote" in post.facts and post.parent_id is None:
            quoted = (await self.still_there([post.facts["quote"]])).values()
            return [each for each in quoted if each is not None]
        params = {"uri": post.id, "depth": 0, "parentHeight": PARENTS}
        try:
            node = look(await self._ask("app.bsky.feed.getPostThread", params), "thread")
        except _Gone:
            return ()
        if not isinstance(node, Mapping):
            raise Unavailable("the answer has another shape than the network documents")
        above: list[Post] = []
        while isinstance(node := look(node, "parent"), Mapping):
            try:
                if "post" in node:  # else it is gone, blocked or withheld
                    above.append(self._post(node["post"]))
            except Unreadable:
                log.warning("post.unreadable", source=self.name, where="thread")
        return above[::-1]

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        if not ids:
            return {}
        await self.identity()
        found = await self._lookup(ids)
        there: dict[str, Post | None] = {}
        for each in ids:
            try:
                there[each] = None if each not in found else self._post(found[each])
            except Unreadable:  # it is there, so it is not gone; how it stands nobody can say
                log.warning("post.unreadable", source=self.name, where="still_there")
        return there

    # Speaking

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        me = await self.identity()
        record = self._record(reply)
        answer = await self._ask(
            "com.atproto.repo.putRecord",
            body={"repo": me.id, "collection": POST, "rkey": tid(reply), "record": record},
            is_write=True,
            gate=gate,
        )
        if not text(answer, "uri").startswith("at://"):
            raise AmbiguousWrite("the server said yes in a way nobody can read")
        return _sent(text(answer, "uri"))

    async def retract(self, post_id: str) -> None:
        """Delete the record; the lexicon says "or ensure it doesn't exist" (com.atproto.repo.deleteRecord)."""
        me = await self.identity()
        if not _is_post(post_id) or not post_id.startswith(f"at://{me.id}/"):
            raise Rejected("this is no post of our account")
        body = {"repo": me.id, "collection": POST, "rkey": post_id.rpartition("/")[2]}
        await self._ask("com.atproto.repo.deleteRecord", body=body, is_write=True)

    async def find(self, reply: Reply) -> Sent | None:
        me = await self.identity()
        params = {"repo": me.id, "collection": POST, "rkey": tid(reply)}
        try:
            answer = await self._ask("com.atproto.repo.getRecord", params)
        except _Gone:
            return None
        record = look(answer, "value")
        if not isinstance(record, Mapping):
            raise Unavailable("the answer has another shape than the network documents")
        is_ours = text(record, "text") == reply.text and text(record, "reply", "parent", "uri") == reply.target.id
        return _sent(text(answer, "uri")) if is_ours else None

    def may_reply(self, post: Post) -> Refusal | None:
        if post.is_own:
            return Refusal(reason="This is our own post.")
        if "blocked" in post.facts:
            return Refusal(reason="The author and our account block one another.")
        if "reply_disabled" in post.facts:
            return Refusal(reason="The author does not let us reply in this thread.")
        return None

    def overrun(self, post: Post, text: str) -> int:
        return self._length.overrun(text)

    def _record(self, reply: Reply) -> dict[str, Any]:
        """Return the record of *reply*: the same for every attempt, byte for byte, so that a repeat changes nothing."""
        target, facts = reply.target, reply.target.facts
        if "cid" not in facts:
            raise Rejected("the post does not carry its record's address (facts: cid)")
        parent = {"uri": target.id, "cid": facts["cid"]}
        root = {"uri": facts["root_uri"], "cid": facts["root_cid"]} if "root_cid" in facts else parent
        record: dict[str, Any] = {
            "$type": POST,
            "text": reply.text,
            "createdAt": _stamp(reply.created_at),
            "reply": {"root": root, "parent": parent},
        }
        if target.language:
            record["langs"] = [target.language]
        # Only the customer's own name becomes a mention: a reply must not call third parties.
        if facets := mark(reply.text, dids={target.author.handle.lower(): target.author.id}):
            record["facets"] = facets
        return record

    # Asking

    def _reader(self, stream: str) -> Read:
        query = stream.removeprefix(SEARCH)
        if stream == MENTIONS:

            async def read(below: str | None) -> Leaf:
                params = {"limit": PAGE, "reasons": list(REASONS), **({"cursor": below} if below else {})}
                answer = await self._ask("app.bsky.notification.listNotifications", params)
                ours = [
                    item
                    for item in listed(answer, "notifications")
                    if not isinstance(item, Mapping) or item.get("reason") in REASONS
                ]
                return _leaf(ours, text(answer, "cursor"), lambda item: when(item, "indexedAt"))

        elif query != stream:

            async def read(below: str | None) -> Leaf:
                # Cursors of a search are offsets: a fixed end keeps them still while new posts come in.
                until, _, offset = (below or f"{_stamp(self._clock() + timedelta(seconds=1))}|").partition("|")
                params = {"q": query, "sort": "latest", "limit": PAGE, "until": until}
                answer = await self._ask("app.bsky.feed.searchPosts", params | ({"cursor": offset} if offset else {}))
                cursor = text(answer, "cursor")
                return _leaf(listed(answer, "posts"), f"{until}|{cursor}" if cursor else "", _sort_time)

        else:
            raise Unavailable(f"no such stream; there are: {', '.join(self.streams())}")
        return read

    async def _views(self, items: Sequence[object]) -> dict[str, object]:
        """Return uri -> post view: notifications do not say whether we may reply."""
        uris = sorted({uri for item in items if _is_post(uri := text(item, "uri"))})
        views: dict[str, object] = {}
        for start in range(0, len(uris), LOOKUP_BATCH):
            views |= await self._lookup(uris[start : start + LOOKUP_BATCH])
        return views

    async def _lookup(self, uris: Sequence[str]) -> dict[str, object]:
        answer = await self._ask("app.bsky.feed.getPosts", {"uris": list(uris)})
        return {text(view, "uri"): view for view in listed(answer, "posts")}

    async def _ask(
        self,
        nsid: str,
        params: Mapping[str, object] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        is_write: bool = False,
        gate: Gate = open_gate,
    ) -> object:
        """Return the parsed answer to one request. Raises our errors only."""
        await self.identity()
        token = self._open().token
        try:
            return await self._call(nsid, params, body, is_write=is_write, gate=gate)
        except _Expired:
            # Refused before anything was done: after signing in anew it is the same, first, request.
            await self._sign_in(stale=token)
        try:
            return await self._call(nsid, params, body, is_write=is_write, gate=gate)
        except _Expired as error:
            raise AuthFailed("the server refuses a session it has just made; look at the account") from error

    async def _call(
        self,
        nsid: str,
        params: Mapping[str, object] | None,
        body: Mapping[str, object] | None,
        *,
        is_write: bool,
        gate: Gate,
    ) -> object:
        client = self._open()
        if body is None:
            call = client.invoke_query(nsid, params=DotDict(dict(params or {})))
        else:
            call = client.invoke_procedure(
                nsid, content=orjson.dumps(body), headers={"Content-Type": "application/json"}
            )
        exchange, theirs = await self._watched(call, gate=gate, gated=f"/{nsid}")
        if exchange.held is not None:
            raise exchange.held
        is_ours = exchange.path.endswith(f"/{nsid}")
        answer = exchange.answer
        if answer is not None and answer.status < 300 and is_ours:
            try:
                return parse(answer.body)
            except Unavailable as error:
                if is_write:
                    raise AmbiguousWrite("the server said yes in a way nobody can read") from error
                raise
        if not is_ours and answer is not None and answer.status in (400, 401, 403):
            raise _Expired("the session cannot be refreshed") from theirs
        raise self._failure(answer, has_left=exchange.has_left and is_ours, is_write=is_write and is_ours) from theirs

    async def _watched(
        self, call: Any, *, gate: Gate = open_gate, gated: str = ""
    ) -> tuple[_Exchange, Exception | None]:
        """Await *call*; return what went over the wire, and what the library thought of it."""
        exchange = _Exchange(gate=gate, gated=gated)
        before = _EXCHANGE.set(exchange)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await call
        except Exception as error:  # atproto, httpx and pydantic each raise their own
            return exchange, error
        finally:
            _EXCHANGE.reset(before)
        return exchange, None

    async def _sign_in(self, *, stale: str | None) -> None:
        """Make a session unless somebody just did. stale: the token that no longer works."""
        async with self._signing_in:
            client = self._open()
            if client.token is not None and client.token != stale:
                return
            self._count_sign_in()
            settings = self._settings
            exchange, theirs = await self._watched(
                client.login(settings.handle, settings.app_password.get_secret_value(), fetch_bsky_profile=False)
            )
            if theirs is not None:
                if exchange.answer is not None and exchange.answer.status in (400, 401, 403):
                    raise AuthFailed("Bluesky refuses the handle or app password; make a new one") from theirs
                raise self._failure(exchange.answer, has_left=False, is_write=False) from theirs
            did, handle = client.who
            self._me = Author(channel=KIND, id=did, handle=handle, url=f"https://bsky.app/profile/{did}", is_bot=True)

    def _count_sign_in(self) -> None:
        now = self._clock()
        for span, most in SIGN_INS:
            recent = [at for at in self._sign_ins if at > now - span]
            if len(recent) >= most:
                raise RateLimited("too many sign-ins; the server would lock us out", until=recent[-most] + span)
        self._sign_ins.append(now)

    def _open(self) -> _Client:
        if self._client is None:
            raise Unavailable("the connector is closed")
        return self._client

    def _failure(self, answer: Answer | None, *, has_left: bool, is_write: bool) -> ConnectorError:
        if answer is None:
            if is_write and has_left:
                return AmbiguousWrite("the connection broke or timed out after the reply had left")
            return Unavailable("the server cannot be reached, or its answer was cut, too slow or too big")
        said = _error_of(answer)
        match answer.status:
            case 400 | 401 if said in ("ExpiredToken", "InvalidToken"):
                return _Expired("the session is over")
            case 401 | 403:
                return AuthFailed("the server forbids this to our account; check the app password and the account")
            case 429:
                return RateLimited("the server wants fewer requests", until=self._until(answer.headers))
            case 400 if is_write and said == "InvalidSwap":
                return AmbiguousWrite("the record changed while we wrote it")
            case 408 | 409 if is_write:
                return AmbiguousWrite(f"the server answered {answer.status} to a reply that may be taken")
            case status if is_write and 400 <= status < 500:
                return Rejected(f"the server refuses the reply for good (status {status})")
            case status if is_write:
                return AmbiguousWrite(f"the server answered {status} to a reply that may be taken")
            case 400 if said in ("NotFound", "RecordNotFound"):
                return _Gone("the server does not have it")
            case status:
                return Unavailable(f"the server answered {status}")

    def _until(self, headers: Mapping[str, str]) -> datetime | None:
        now = self._clock()
        try:
            if "ratelimit-reset" in headers:
                until = datetime.fromtimestamp(int(headers["ratelimit-reset"]), UTC)
            else:
                until = now + timedelta(seconds=int(headers["retry-after"]))
        except (KeyError, ValueError, OverflowError, OSError):
            return None
        return min(until, now + LONGEST_WAIT) if until > now else None

    # Reading

    def _post(self, item: object, *, view: object = None, addressed: bool = False) -> Post:
        """Return the post of *item*, a view or a notification. view: what the AppView says besides, for facts."""
        view = item if view is None else view
        uri, record, account = need(item, "uri"), look(item, "record"), look(item, "author")
        if not _is_post(uri) or not isinstance(look(record, "text"), str):
            raise Unreadable("no post in record")
        me = self._me.id if self._me is not None else ""
        did = need(account, "did")
        parent, quoted = text(record, "reply", "parent", "uri"), _quoted(record)
        kind = PostKind.REPLY if parent else PostKind.QUOTE if quoted else PostKind.POST
        to_us = f"at://{me}/"
        langs = look(record, "langs")
        facts = {
            "cid": need(item, "cid"),
            "root_uri": text(record, "reply", "root", "uri") or uri,
            "root_cid": text(record, "reply", "root", "cid") or need(item, "cid"),
            "quote": quoted,
            "reply_disabled": "true" if _is_closed(view) else "",
            "blocked": "true" if _is_blocked(look(view, "author")) else "",
        }
        return Post(
            channel=KIND,
            id=uri,
            author=self._author(account),
            text=unfold(text(record, "text"), look(record, "facets")),
            created_at=_sort_time(item),
            kind=kind,
            url=_url(uri),
            language=(langs[0] if isinstance(langs, list) and langs and isinstance(langs[0], str) else None) or None,
            parent_id=parent or None,
            root_id=facts["root_uri"],
            addressed=addressed
            or any(each.startswith(tuple(to_us)) for each in (parent, quoted))
            or me in _named(record),
            is_own=did == me,
            facts={name: value for name, value in facts.items() if value},
        )

    def _author(self, account: object) -> Author:
        did, labels = need(account, "did"), look(account, "labels")
        return Author(
            channel=KIND,
            id=did,
            handle=text(account, "handle") or did,
            display_name=text(account, "displayName"),
            url=f"https://bsky.app/profile/{did}",
            # The account says it of itself (docs.bsky.app, bots); a stranger's label would be an opinion.
            is_bot=isinstance(labels, list)
            and any(text(label, "val") == "bot" and text(label, "src") == did for label in labels),
        )


class _Client(AsyncClient):  # type: ignore[misc]
    """The library's client with a bounded transport; told an own server, it stays there after signing in."""

    def __init__(self, base_url: str, *, timeout_s: float) -> None:
        request = AsyncRequest(timeout=timeout_s, trust_env=False, transport=_Transport(trust_env=False))
        super().__init__(base_url, request=request)
        self._may_move = base_url == HOME

    def update_base_url(self, base_url: str | None = None) -> None:
        if self._may_move:
            super().update_base_url(base_url)

    @property
    def token(self) -> str | None:
        """The session's access token, None before there is one."""
        return self._session.access_jwt if self._session else None

    @property
    def who(self) -> tuple[str, str]:
        """DID and handle of the session."""
        if not self._session:
            raise Unavailable("not signed in")
        return self._session.did, self._session.handle


class _Transport(httpx.AsyncHTTPTransport):
    """Reads an answer whole and within bounds, follows no redirect, and notes what happened in the exchange."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = _EXCHANGE.get()
        exchange.path, exchange.answer, exchange.has_left = request.url.path, None, False

        async def trace(event: str, info: Mapping[str, object]) -> None:
            if event.endswith("send_request_headers.started"):
                exchange.ask()
                exchange.has_left = True

        request.extensions = {**request.extensions, "trace": trace}
        request.headers["Accept-Encoding"] = "gzip"
        response = await super().handle_async_request(request)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise httpx.DecodingError("the answer is too big", request=request)
        finally:
            await response.aclose()
        whole = _unpacked(bytes(body), response.headers.get("content-encoding", ""), request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        exchange.answer = Answer(status=response.status_code, headers=headers, body=whole)
        if response.is_redirect:
            raise httpx.RemoteProtocolError("a redirect, which we do not follow", request=request)
        # Without a type the library leaves the body alone; sessions it must read itself.
        is_session = "/com.atproto.server." in request.url.path
        kept = {"content-type": headers.get("content-type", "")} if is_session or not response.is_success else {}
        return httpx.Response(response.status_code, headers=kept, content=whole, request=request)


def _unpacked(body: bytes, coding: str, request: httpx.Request) -> bytes:
    match coding.lower():
        case "" | "identity":
            return body
        case "gzip":
            unpack = zlib.decompressobj(wbits=31)
            try:
                whole = unpack.decompress(body, MAX_BYTES)
            except zlib.error as error:
                raise httpx.DecodingError("the answer cannot be unpacked", request=request) from error
            if unpack.unconsumed_tail or not unpack.eof:
                raise httpx.DecodingError("the answer is too big, or cut", request=request)
            return whole
        case _:
            raise httpx.DecodingError("the answer is packed in a way we did not offer", request=request)


def tid(reply: Reply) -> str:
    """Return the record key of *reply*: the same for every attempt, another for every other key.

    A TID (atproto.com/specs/tid) is 53 bits of microseconds and 10 bits of clock. The lower 31 bits of the time (the
    half hour before ``created_at``) and the clock come from a hash of the key, so that replies made in one instant
    do not meet: 41 bits.
    """
    micros = int(reply.created_at.timestamp() * 1_000_000)
    mixed = int.from_bytes(hashlib.sha256(reply.key.encode()).digest()[:8]) & ((1 << 41) - 1)
    number = ((((micros >> 31) - 1) << 41) | mixed) & ((1 << 63) - 1)
    return "".join(_TID_LETTERS[(number >> shift) & 31] for shift in range(60, -1, -5))


def _leaf(items: Sequence[object], below: str, arrived: Callable[[object], datetime]) -> Leaf:
    found = []
    for item in items:
        try:
            found.append(Listed(item=item, at=arrived(item)))
        except Unreadable:
            found.append(Listed(item=item, at=None))
    return Leaf(items=found, below=below or None)


def _sort_time(item: object) -> datetime:
    """Return when *item* was posted: the author's claim, but never later than the network saw it."""
    seen = when(item, "indexedAt")
    try:
        return min(when(item, "record", "createdAt"), seen)
    except Unreadable:
        return seen


def _is_post(uri: str) -> bool:
    return uri.startswith("at://") and uri.count("/") == 4 and f"/{POST}/" in uri


def _quoted(record: object) -> str:
    """Return the uri of the post that *record* quotes, "" for none."""
    embed = look(record, "embed")
    uri = text(embed, "record", "record", "uri") or text(embed, "record", "uri")
    return uri if _is_post(uri) else ""


def _named(record: object) -> set[str]:
    """Return the DIDs that *record* mentions."""
    facets = look(record, "facets")
    features = [look(facet, "features") for facet in facets] if isinstance(facets, list) else []
    each = [one for group in features if isinstance(group, list) for one in group]
    return {text(one, "did") for one in each if text(one, "$type") == f"{FACET}#mention"}


def _is_closed(view: object) -> bool:
    """Return whether replies to *view* are closed to us: by the AppView's word, or by a gate that lets nobody in."""
    return look(view, "viewer", "replyDisabled") is True or look(view, "threadgate", "record", "allow") == []


def _is_blocked(account: object) -> bool:
    return look(account, "viewer", "blockedBy") is True or bool(text(account, "viewer", "blocking"))


def _error_of(answer: Answer) -> str:
    """Return the name of the network's own error, "" when the answer is none of its own."""
    try:
        return text(parse(answer.body), "error")
    except Unavailable:
        return ""


def _url(uri: str) -> str | None:
    if not _is_post(uri):
        return None
    _, _, did, _, rkey = uri.split("/")
    return f"https://bsky.app/profile/{did}/post/{rkey}"


def _sent(uri: str) -> Sent:
    return Sent(id=uri, url=_url(uri))


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


CHANNEL = Channel(KIND, BlueskySettings, BlueskyConnector)
