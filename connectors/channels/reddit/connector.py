"""Reddit: inbox mentions and replies, submission searches and whole subreddits; replies as comments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import structlog

from connectors.channels.reddit.door import NotFound, number, wait
from connectors.channels.reddit.line import Line
from connectors.channels.reddit.listing import PAGE_ITEMS, Haul, children, read_cursor, span, walk, write_cursor
from connectors.channels.reddit.posts import (
    UNREADABLE,
    Thing,
    address,
    bad_item,
    fullname,
    in_tree,
    is_gone,
    read_post,
    same_text,
)
from connectors.channels.reddit.settings import SITE, RedditSettings
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, Refusal, Reply, Sent, storable
from connectors.protocol import Capabilities, Cursor, Gate, Page, SendClass, open_gate
from connectors.registry import Channel, Clock

LENGTH = LengthRule(unit=Unit.CHARACTERS, limit=10_000)  # one comment, markdown source
MAX_HOPS = 12  # looks for one thread; each brings about nine ancestors
SETTLE_AFTER = timedelta(minutes=2)  # docs/reliability.md: reads lag behind writes
INBOX = ("message/mentions", "message/comments/", "message/selfreply/")
POST_ID = re.compile(r"t[13]_[0-9a-z]{1,20}")
WAIT = re.compile(r"(\d{1,4}) (millisecond|second|minute|hour)")
SECONDS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3_600.0}

# What a reply is refused with although the status is 200, in words for a social team.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "DELETED_COMMENT": "the comment has been deleted",
        "DELETED_LINK": "the post has been deleted",
        "COMMENT_NOT_ACCESSIBLE": "the comment cannot be reached any more",
        "NO_TEXT": "the text is empty",
        "TOO_LONG": "the text is longer than Reddit takes",
        "TOO_OLD": "the thread is archived",
        "THREAD_LOCKED": "the thread is locked",
        "SUBREDDIT_NOTALLOWED": "the subreddit does not let this account comment",
        "SUBREDDIT_OUTBOUND_LINKING_DISALLOWED": "the subreddit allows no links to other places",
        "USER_BLOCKED": "one account has blocked the other",
        "SOMETHING_IS_BROKEN": "Reddit cannot show this thread",
    }
)

log = structlog.get_logger()


class RedditConnector:
    """Listens to and speaks for one Reddit account."""

    channel = "reddit"

    def __init__(self, *, name: str, settings: RedditSettings, clock: Clock) -> None:
        self.name = name
        settle_after = SETTLE_AFTER if settings.settle_after_s is None else timedelta(seconds=settings.settle_after_s)
        self.capabilities = Capabilities(
            send_class=SendClass.READ_BACK,
            length=LENGTH,
            search=True,
            thread=True,
            edits=True,
            deletions=True,
            markdown=True,
            lookup_batch=PAGE_ITEMS,
            settle_after=settle_after,
        )
        self._settings = settings
        self._clock = clock
        self._line: Line | None = None
        self._me: Author | None = None

    async def __aenter__(self) -> Self:
        self._line = Line(name=self.name, settings=self._settings, clock=self._clock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    # Listening

    def streams(self) -> Sequence[str]:
        return (
            *(("mentions",) if self._settings.mentions else ()),
            *(f"search:{query}" for query in self._settings.queries),
            *(f"subreddit:{name}" for name in self._settings.subreddits),
        )

    async def identity(self) -> Author:
        return await self._open().do(self._who_am_i)

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        me, now = await self.identity(), self._clock()
        mark = read_cursor(cursor, source=self.name)
        floor = now - self._settings.lookback if mark is None else mark - self._settings.overlap
        max_pages = self._settings.max_first_pages if mark is None else None
        haul = Haul()
        for path, params in self._listings(stream, age=now - floor):
            await self._walk(haul, path, params, floor=floor, max_pages=max_pages)
        ours = await self._ours(haul, me) if stream.startswith("subreddit:") else frozenset()
        posts: list[Post] = []
        deleted: list[str] = []
        for name, thing in haul.things.items():
            try:
                if is_gone(thing):
                    deleted.append(name)
                    continue
                to_us = stream == "mentions" or thing["data"].get("parent_id") in ours
                posts.append(read_post(thing, me=me, to_us=to_us))
            except UNREADABLE as error:
                haul.bad.append(bad_item(thing, error))
        # A submission stands before a comment of the same second; ids grow with time, in length first.
        posts.sort(key=lambda post: (post.created_at, post.parent_id is not None, len(post.id), post.id))
        # A clock that is ahead there does not move the mark past now; a walk that broke off leaves it where it was, so
        # that the gap is read again.
        newest = max((post.created_at for post in posts if post.created_at <= now), default=floor)
        if mark is None or (haul.whole and newest > mark):
            mark = newest
        return Page(posts=posts, cursor=write_cursor(mark), deleted=sorted(deleted), bad=haul.bad)

    async def thread(self, post: Post) -> Sequence[Post]:
        me = await self.identity()
        above: list[Thing] = []
        root: list[Any] = []
        wanted = post.parent_id
        for _ in range(MAX_HOPS):
            if wanted is None or post.root_id is None or not wanted.startswith("t1_"):
                break
            try:
                answer = await self._get(f"comments/{post.root_id[3:]}/_/{wanted[3:]}", context=PAGE_ITEMS)
            except NotFound:
                break
            match answer:
                case [submission, tree, *_]:
                    root = children(submission)[0]
                    comments = {thing["data"]["name"]: thing for thing in in_tree(tree)}
                case _:
                    raise Unavailable("Reddit's answer is no thread")
            if wanted not in comments:
                break
            while wanted in comments:
                above.append(comments.pop(wanted))
                wanted = above[-1]["data"].get("parent_id")
                wanted = wanted if isinstance(wanted, str) else None
        if not root and post.parent_id is not None:
            root = children(await self._get("api/info/", id=post.root_id or post.parent_id))[0]
        return [found for thing in (*root, *reversed(above)) if (found := _standing(thing, me)) is not None]

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        state: dict[str, Post | None] = dict.fromkeys(ids)
        known = [each for each in ids if POST_ID.fullmatch(each)]
        if not known:
            return state
        me = await self.identity()
        for thing in children(await self._get("api/info/", id=",".join(known)))[0]:
            name = None
            try:
                name = fullname(thing)
                if name in state and not is_gone(thing):
                    state[name] = read_post(thing, me=me)
            except UNREADABLE as error:
                if name is None:
                    raise Unavailable("Reddit's answer holds an item without an id") from error
                # Unreadable is not gone: left out, so that nobody deletes what still stands.
                log.warning("reddit.lookup_unreadable", source=self.name, reason=type(error).__name__)
                state.pop(name, None)
        return state

    # Speaking

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        target, text = reply.target.id, storable(reply.text)
        answer = await self._open().do(lambda line: line.post("api/comment/", gate=gate, thing_id=target, text=text))
        match answer:
            case {"json": {"errors": [[str(code), *words], *_], **more}}:
                raise self._refused(code, " ".join(map(str, words)), more.get("ratelimit"))
            case {"json": {"data": {"things": [{"data": {"name": str(name)} as said}, *_]}}} if POST_ID.fullmatch(name):
                return Sent(id=name, url=address(said.get("permalink")))
            case _:
                raise AmbiguousWrite("Reddit took the reply but does not show it")

    async def retract(self, post_id: str) -> None:
        """Delete a comment (scope edit). Reddit answers {} to anything, so only a look says whether it went."""
        if not POST_ID.fullmatch(post_id):
            raise Rejected("this is no comment of our account")
        await self._open().do(lambda line: line.post("api/del/", id=post_id))
        try:
            is_there = (await self.still_there([post_id])).get(post_id) is not None
        except (Unavailable, RateLimited, AuthFailed) as error:
            raise AmbiguousWrite("Reddit took the deletion, but does not say whether the comment is gone") from error
        if is_there:
            raise AmbiguousWrite("Reddit took the deletion, but still shows the comment")

    async def find(self, reply: Reply) -> Sent | None:
        me = await self.identity()
        haul = Haul()
        floor = reply.created_at - self._settings.overlap
        await self._walk(haul, _profile(me), {"sort": "new"}, floor=floor, max_pages=None)
        for name, thing in haul.things.items():
            data = thing["data"]
            if data.get("parent_id") == reply.target.id and same_text(data.get("body"), reply.text):
                return Sent(id=name, url=address(data.get("permalink")))
        if not haul.whole:
            raise Unavailable("Reddit showed only some of our comments")
        return None

    def may_reply(self, post: Post) -> Refusal | None:
        if post.facts.get("locked") or post.facts.get("archived"):
            return Refusal(reason="the thread is locked or archived")
        allowed = self._settings.reply_subreddits
        place = post.place.removeprefix("r/").casefold()
        if allowed is not None and place not in {name.casefold() for name in allowed}:
            return Refusal(reason=f"{post.place or 'this place'} is not among the subreddits where we reply")
        return None

    def overrun(self, post: Post, text: str) -> int:
        return LENGTH.overrun(text)

    # Asking

    def _open(self) -> Line:
        if self._line is None:
            raise Unavailable("the connector is closed")
        return self._line

    async def _get(self, path: str, **params: str | int) -> Any:
        return await self._open().do(lambda line: line.get(path, **params))

    async def _walk(self, haul: Haul, path: str, params: Mapping[str, str], **bounds: Any) -> None:
        async def ask(place: dict[str, str | int]) -> Any:
            return await self._get(path, **params, **place)

        await walk(ask, haul, source=self.name, **bounds)

    def _listings(self, stream: str, *, age: timedelta) -> list[tuple[str, Mapping[str, str]]]:
        match stream.partition(":"):
            case ("mentions", "", ""):
                return [(path, {}) for path in INBOX]
            case ("search", ":", query):
                return [("r/all/search/", {"q": query, "sort": "new", "t": span(age)})]
            case ("subreddit", ":", name):
                return [(f"r/{name}/comments/", {}), (f"r/{name}/new", {})]
            case _:
                raise LookupError(f"{self.name} has no stream {stream!r}")

    async def _ours(self, haul: Haul, me: Author) -> frozenset[str]:
        """Return the ids of our latest hundred comments, where something answers a comment: it does not say whose."""
        parents = {thing["data"].get("parent_id") for thing in haul.things.values() if thing["kind"] == "t1"}
        if not any(isinstance(parent, str) and parent.startswith("t1_") for parent in parents):
            return frozenset()
        own = Haul()
        await self._walk(own, _profile(me), {"sort": "new"}, floor=datetime.min.replace(tzinfo=UTC), max_pages=1)
        return frozenset(own.things)

    def _who_am_i(self, line: Line) -> Author:
        # In the thread, so that two streams that begin at once ask once.
        if self._me is None:
            match line.get("api/v1/me"):
                case {"is_suspended": True}:
                    raise AuthFailed("Reddit has suspended this account")
                case {"id": str(account), "name": str(handle)} if account and handle:
                    url = f"{SITE}/user/{handle}"
                    self._me = Author(channel="reddit", id=f"t2_{account}", handle=handle, url=url)
                case _:
                    raise Unavailable("Reddit does not say who we are")
        return self._me

    def _refused(self, code: str, words: str, seconds: object) -> ConnectorError:
        match code:
            case "RATELIMIT":
                found = WAIT.search(words)
                pause = number(seconds) or (float(found[1]) * SECONDS[found[2]] if found else None)
                until = None if pause is None else self._clock() + wait(pause)
                return RateLimited("Reddit wants this account to pause", until=until)
            case "USER_REQUIRED":
                return AuthFailed("Reddit does not know the account any more; sign in again")
            case _:
                return Rejected(f"Reddit refuses the reply: {REFUSALS.get(code, code[:60])}")


def _profile(me: Author) -> str:
    return f"user/{quote(me.handle, safe='')}/comments"


def _standing(thing: object, me: Author) -> Post | None:
    try:
        if fullname(thing) is None or not isinstance(thing, dict) or is_gone(thing):
            return None
        return read_post(thing, me=me)
    except UNREADABLE:
        return None


def connect(*, name: str, settings: Any, clock: Clock) -> RedditConnector:
    """Return a connector for *settings*; it asks nothing yet."""
    return RedditConnector(name=name, settings=settings, clock=clock)


CHANNEL = Channel(kind="reddit", settings=RedditSettings, connect=connect)
