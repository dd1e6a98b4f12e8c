"""Listens and speaks for one X account, through API v2."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from tweepy.asynchronous import AsyncClient

from connectors.channels.x.cursor import XCursor, id_at
from connectors.channels.x.door import Door, NotThere, gated
from connectors.channels.x.posts import EXPANSIONS, NETWORK, PARENTS, TWEET_FIELDS, USER_FIELDS, Read, plain, read_all
from connectors.channels.x.settings import XSettings
from connectors.errors import AmbiguousWrite, AuthFailed, Rejected, Unavailable
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, Refusal, Reply, Sent
from connectors.protocol import Capabilities, Cursor, Gate, Page, SendClass, open_gate
from connectors.registry import Channel, Clock

MENTIONS = "mentions"
SEARCH = "search:"
PAGE = 100  # posts in one answer, X's own maximum
PAGES_PER_LOOK = 10  # 1,000 posts held at once; more is walked with marks
SEARCH_REACH = timedelta(days=7)  # docs.x.com/x-api/posts/search: recent search; an older since_id is a 400
REACH_MARGIN = timedelta(minutes=1)  # for the time between our clock and X's
TIMELINE_PAGES = 32  # 3,200 own posts, all that X gives
MAX_ABOVE = 50  # posts of a thread read above one
# docs.x.com/x-api/fundamentals/response-codes-and-errors: deleted; protected or suspended. Others may pass.
GONE = frozenset({"resource-not-found", "not-authorized-for-resource"})
URL_COST = 23  # docs.x.com/fundamentals/counting-characters

log = structlog.get_logger()

Ask = Callable[[str | None], Awaitable[Any]]


class XConnector:
    """X for one account; class B: an unknown outcome is settled by reading our own timeline."""

    channel = NETWORK

    def __init__(self, *, name: str, settings: XSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._me: Author | None = None
        self._me_once = asyncio.Lock()
        self._door: Door | None = None
        self._client: Any = None
        self._length = LengthRule(unit=Unit.WEIGHTED, limit=settings.max_weighted_chars, url_cost=URL_COST)
        settle = Capabilities(send_class=SendClass.LISTEN_ONLY).settle_after
        if settings.settle_after_s is not None:
            settle = timedelta(seconds=settings.settle_after_s)
        self.capabilities = Capabilities(
            send_class=SendClass.READ_BACK if settings.may_write else SendClass.LISTEN_ONLY,
            length=self._length,
            search=True,
            thread=True,
            edits=True,
            deletions=True,
            requires_summon=not settings.enterprise,
            lookup_batch=100,
            settle_after=settle,
        )

    async def __aenter__(self) -> Self:
        # tweepy logs the Authorization header, oauthlib what it signs, both at DEBUG.
        for vendor in ("tweepy", "oauthlib"):
            logging.getLogger(vendor).setLevel(logging.INFO)
        settings = self._settings
        keys = {
            name: secret.get_secret_value()
            for name in ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
            if (secret := getattr(settings, name)) is not None
        }
        # A user token takes the bearer's place: tweepy sends it the same way.
        bearer = settings.oauth2_user_token or settings.bearer_token
        self._door = Door(base_url=settings.base_url, timeout_s=settings.timeout_s)
        self._client = AsyncClient(
            bearer.get_secret_value() if bearer else None,
            **keys,
            return_type=aiohttp.ClientResponse,
            wait_on_rate_limit=False,
        )
        self._client.session = self._door
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._door is not None:
            await self._door.close()

    def streams(self) -> Sequence[str]:
        mentions = [MENTIONS] if self._settings.mentions else []
        return [*mentions, *(f"{SEARCH}{query}" for query in self._settings.queries)]

    async def identity(self) -> Author:
        async with self._me_once:
            if self._me is None:
                self._me = await self._who_am_i()
            return self._me

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        me = await self.identity()
        now = self._clock()
        state = XCursor.read(cursor) if cursor is not None else None
        is_first = state is None
        if state is None:
            if cursor is not None:
                log.warning("cursor.unreadable", source=self.name)
            state = XCursor.first(now=now, lookback=self._settings.lookback)
        floor = state.bottom(self._settings.overlap)
        ask = self._listing(stream, me, self._bounds(stream, state, floor, now))
        walk = await self._walk(ask, me, pages=self._settings.max_first_pages if is_first else PAGES_PER_LOOK)
        if walk.more and not is_first:
            if walk.oldest is None or walk.newest is None or (state.top is not None and walk.oldest >= state.top):
                raise Unavailable("X gives pages without end")
            state = state.mark(oldest=walk.oldest, newest=walk.newest, floor=floor)
            return Page(posts=(), cursor=state.write(), more=True)
        if walk.more:
            log.info("backfill.bounded", source=self.name, pages=self._settings.max_first_pages)
        done = state.done(walk.newest)
        return Page(posts=walk.posts(), cursor=done.write(), more=bool(done.marks), bad=walk.bad)

    async def thread(self, post: Post) -> Sequence[Post]:
        if post.parent_id is None:
            return ()
        me = await self.identity()
        known: dict[str, Read] = {}
        above: list[Post] = []
        wanted: str | None = post.parent_id
        # Upwards, two posts a request. Searching the conversation would buy every sibling too, at the same price each.
        missing = {post.parent_id, post.root_id or post.parent_id}
        while missing and len(above) < MAX_ABOVE:
            found, _ = await self._lookup(sorted(missing), me, with_parents=True)
            known |= {version: each for each in found for version in each.versions}
            missing = set()
            while wanted is not None and wanted in known:
                above.append(known.pop(wanted).post)
                wanted = above[-1].parent_id
                missing = {wanted} if wanted is not None else set()
        root = known.get(post.root_id or "")
        if root is not None and root.post.id not in {post.id, *(each.id for each in above)}:
            above.append(root.post)
        return above[::-1]

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        """Return each post as it stands. An id of which X says nothing readable is left out: it is not gone."""
        if not ids:
            return {}
        me = await self.identity()
        reads, gone = await self._lookup(ids, me)
        # X gives an old version under its own id; its history names the one people see now.
        newer = [each.versions[-1] for each in reads if each.version != each.versions[-1]]
        if newer:
            latest, _ = await self._lookup(newer, me)
            reads += latest
        by_version = {
            version: each.post
            for each in sorted(reads, key=lambda each: int(each.version))
            for version in each.versions
        }
        there: dict[str, Post | None] = {each: by_version[each] for each in ids if each in by_version}
        return there | {each: None for each in ids if each in gone and each not in there}

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        if not self._settings.may_write:
            raise AuthFailed("this source only listens: set the OAuth 1.0a keys or oauth2_user_token to speak")
        facts = reply.target.facts
        others = facts.get("others", "").split(",") if facts.get("others") else None
        with gated(gate):
            answer = await self._client.create_tweet(
                text=reply.text,
                in_reply_to_tweet_id=facts.get("version_id", reply.target.id),
                exclude_reply_user_ids=others,
                user_auth=self._settings.has_oauth1,
            )
        data = answer.data.get("data")
        new = data.get("id") if isinstance(data, dict) else None
        if not isinstance(new, str) or not new.isdecimal():
            raise AmbiguousWrite("X took the reply but does not name it")
        return self._sent(new)

    async def retract(self, post_id: str) -> None:
        """Delete a post with all its versions; X allows 50 in 15 minutes (docs.x.com, manage posts)."""
        if not self._settings.may_write:
            raise AuthFailed("this source only listens: set the OAuth 1.0a keys or oauth2_user_token to delete")
        if not post_id.isdecimal():
            raise Rejected("this is no post of our account")
        try:
            answer = await self._client.delete_tweet(post_id, user_auth=self._settings.has_oauth1)
        except NotThere:
            return
        except Rejected as error:
            raise Rejected("X does not let this account delete the post") from error
        data = answer.data.get("data")
        if not isinstance(data, dict) or data.get("deleted") is not True:
            raise AmbiguousWrite("X took the deletion but does not say that the post is gone")

    async def find(self, reply: Reply) -> Sent | None:
        """Look at everything we posted since the target, on our own timeline: search lags behind it."""
        me = await self.identity()
        targets = {reply.target.id, reply.target.facts.get("version_id", reply.target.id)}
        ask = self._timeline(me, since_id=min(targets, key=int))
        walk = await self._walk(ask, me, pages=TIMELINE_PAGES)
        for each in walk.reads:
            post = each.post
            if post.is_own and post.parent_id in targets and plain(post.text) == plain(reply.text):
                return self._sent(each.version)
        if walk.more:
            raise Unavailable("X does not show all we posted since: whether the reply is public cannot be seen")
        return None

    def may_reply(self, post: Post) -> Refusal | None:
        """X's reply rule of 2026-02-23: an app answers only those who mention or quote the account."""
        if self._settings.enterprise or post.addressed:
            return None
        return Refusal(reason="X lets an app answer only people who mention, answer or quote the account")

    def overrun(self, post: Post, text: str) -> int:
        return self._length.overrun(text)

    # One question each

    async def _who_am_i(self) -> Author:
        handle = self._settings.handle
        if self._settings.may_write:
            answer = await self._client.get_me(user_fields=USER_FIELDS, user_auth=self._settings.has_oauth1)
        else:
            answer = await self._client.get_user(username=handle, user_fields=USER_FIELDS, user_auth=False)
        user = answer.data.get("data")
        if not isinstance(user, dict):
            if isinstance(answer.data.get("errors"), list):
                raise AuthFailed("X knows no account by that handle: check `handle`")
            raise Unavailable("X does not say who we are")
        me_id, me_handle, name = (user.get(key) for key in ("id", "username", "name"))
        if not isinstance(me_id, str) or not me_id.isdecimal() or not isinstance(me_handle, str):
            raise Unavailable("X does not say who we are")
        return Author(
            channel=NETWORK,
            id=me_id,
            handle=me_handle,
            display_name=name if isinstance(name, str) else "",
            url=f"https://x.com/{me_handle}",
        )

    @property
    def _read_as_user(self) -> bool:
        return self._settings.has_oauth1 and self._settings.bearer_token is None

    @property
    def _fields(self) -> dict[str, Any]:
        return {
            "tweet_fields": TWEET_FIELDS,
            "user_fields": USER_FIELDS,
            "expansions": EXPANSIONS,
            "user_auth": self._read_as_user,
        }

    def _bounds(self, stream: str, state: XCursor, floor: int | None, now: datetime) -> dict[str, Any]:
        bounds: dict[str, Any] = {} if state.top is None else {"until_id": str(state.top)}
        oldest = now - SEARCH_REACH + REACH_MARGIN
        if floor is not None and (stream == MENTIONS or floor >= id_at(oldest)):
            return {**bounds, "since_id": str(floor)}
        start = oldest if state.start is None else datetime.fromtimestamp(state.start, UTC)
        return {**bounds, "start_time": start if stream == MENTIONS else max(start, oldest)}

    def _listing(self, stream: str, me: Author, bounds: Mapping[str, Any]) -> Ask:
        common = {**bounds, **self._fields, "max_results": PAGE}
        if stream == MENTIONS:
            return lambda token: self._client.get_users_mentions(me.id, pagination_token=token, **common)
        if not stream.startswith(SEARCH):
            raise Unavailable("no such stream")
        query = stream.removeprefix(SEARCH)
        return lambda token: self._client.search_recent_tweets(query, next_token=token, **common)

    def _timeline(self, me: Author, *, since_id: str) -> Ask:
        common = {**self._fields, "since_id": since_id, "max_results": PAGE}
        return lambda token: self._client.get_users_tweets(me.id, pagination_token=token, **common)

    async def _walk(self, ask: Ask, me: Author, *, pages: int) -> _Walk:
        walk = _Walk()
        token: str | None = None
        for _ in range(pages):
            answer = (await ask(token)).data
            walk.take(answer, me)
            following = _meta(answer).get("next_token")
            token = following if isinstance(following, str) and following else None
            if token is None:
                break
        walk.more = token is not None
        return walk

    async def _lookup(
        self, ids: Sequence[str], me: Author, *, with_parents: bool = False
    ) -> tuple[list[Read], set[str]]:
        """Return the posts X still has, and the ids it says are gone or no longer public."""
        expansions = [*EXPANSIONS, *PARENTS] if with_parents else EXPANSIONS
        answer = (await self._client.get_tweets(list(ids), **{**self._fields, "expansions": expansions})).data
        if not isinstance(answer.get("data"), list) and not isinstance(answer.get("errors"), list):
            raise Unavailable("X gave neither posts nor reasons")
        reads, _ = read_all(answer, me)
        if with_parents:
            reads += read_all(answer, me, included=True)[0]
        errors = answer.get("errors")
        missing = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        gone = [each for each in missing if str(each.get("type")).rpartition("/")[2] in GONE]
        return reads, {str(each.get("resource_id") or each.get("value")) for each in gone}

    def _sent(self, new: str) -> Sent:
        handle = self._me.handle if self._me is not None else "i"
        return Sent(id=new, url=f"https://x.com/{handle}/status/{new}")


class _Walk:
    """What one look brought, newest first."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.bad: list[Any] = []
        self.newest: int | None = None
        self.oldest: int | None = None
        self.more = False

    def take(self, answer: dict[str, Any], me: Author) -> None:
        """Add one answer. Raises Unavailable when it is no listing."""
        if not isinstance(answer.get("data"), list) and not isinstance(answer.get("meta"), dict):
            raise Unavailable("X answered in an unknown shape")
        reads, bad = read_all(answer, me)
        self.reads += reads
        self.bad += bad
        told = [_meta(answer).get(key) for key in ("newest_id", "oldest_id")]
        numbers = [int(each.version) for each in reads]
        numbers += [int(each) for each in told if isinstance(each, str) and each.isdecimal()]
        self.newest = max((each for each in (self.newest, *numbers) if each is not None), default=None)
        self.oldest = min((each for each in (self.oldest, *numbers) if each is not None), default=None)

    def posts(self) -> list[Post]:
        """Return the posts oldest first, each once."""
        by_id = {each.post.id: each.post for each in reversed(self.reads)}
        return sorted(by_id.values(), key=lambda post: (post.created_at, int(post.id)))


def _meta(answer: Mapping[str, Any]) -> dict[str, Any]:
    meta = answer.get("meta")
    return meta if isinstance(meta, dict) else {}


def _connect(*, name: str, settings: XSettings, clock: Clock) -> XConnector:
    return XConnector(name=name, settings=settings, clock=clock)


CHANNEL = Channel(kind="x", settings=XSettings, connect=_connect)
