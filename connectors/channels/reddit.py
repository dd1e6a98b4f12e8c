"""Reddit through praw: inbox mentions and replies, submission searches and whole subreddits.

praw blocks, sleeps and is not thread-safe, so one thread per connector does nothing else. Inside it praw signs in,
renews the token and builds requests; the exchange itself is ours, because praw repeats writes after a 5xx or a
time-out, sleeps through rate limits and ignores the time-out it is given (praw 8.0.3, prawcore 4.0.0).

Rules: https://support.reddithelp.com/hc/en-us/articles/16160319875092 (100 requests a minute for each client, deleted
content must go), https://www.reddit.com/dev/api (shapes, listings of about 1,000 items, 100 a request).
"""

from __future__ import annotations

import asyncio
import html
import io
import json
import logging
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.resources import files
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import praw
import prawcore
import requests
import structlog
import urllib3
from praw.config import Config
from pydantic import Field, SecretStr, field_validator, model_validator
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, PostKind, Refusal, Reply, Sent, storable
from connectors.protocol import BadItem, Capabilities, Cursor, Page, SendClass
from connectors.registry import Channel, Clock
from connectors.settings import SourceSettings

SITE = "https://www.reddit.com"
TOKEN_PATH = "/api/v1/access_token"  # noqa: S105
LENGTH = LengthRule(unit=Unit.CHARACTERS, limit=10_000)  # one comment, markdown source
PAGE_ITEMS = 100  # Reddit gives no more in one answer
LISTING_ITEMS = 1_000  # and no listing goes further back than about this
MAX_BYTES = 32 << 20  # 100 submissions of 40,000 characters, twice (markdown and HTML), with room
LONGEST_WAIT = timedelta(days=1)  # a reset further away than this is nonsense
MAX_STEPS_BACK = 5  # items deleted one after the other while we read
MAX_HOPS = 12  # one look brings about nine ancestors
UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, OSError)  # what an item may break with
NOTHING_LEFT = ("[deleted]", "[removed]")
QUIET = ("praw", "prawcore", "urllib3.connectionpool")  # they write texts, names and URLs at DEBUG

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
T = TypeVar("T")
Thing = dict[str, Any]


class RedditSettings(SourceSettings):
    """One Reddit account. It signs in with username and password, or with a refresh token."""

    kind: str = "reddit"
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(description="empty for an installed app")
    username: str | None = None
    password: SecretStr | None = None
    refresh_token: SecretStr | None = None
    user_agent: str = Field(min_length=7, description="<platform>:<app id>:<version> (by /u/<name>)")
    subreddits: tuple[str, ...] = Field((), description="listen to all comments and posts there")
    queries: tuple[str, ...] = Field((), description="searches; Reddit finds posts, never comments")
    mentions: bool = Field(True, description="what reaches our inbox: mentions, replies to comments and to posts")
    reply_subreddits: tuple[str, ...] | None = Field(None, description="reply in these alone; unset: anywhere")
    reddit_url: str = Field(SITE, pattern=r"^https?://")
    oauth_url: str = Field("https://oauth.reddit.com", pattern=r"^https?://")

    @field_validator("subreddits", "reply_subreddits")
    @classmethod
    def _plain_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is None:
            return None
        plain = tuple(name.strip().removeprefix("/").removeprefix("r/") for name in names)
        for name in plain:
            if not re.fullmatch(r"\w{2,24}", name, re.ASCII):
                raise ValueError(f"{name!r} is no subreddit's name; write it as in r/NAME, without the r/")
        return plain

    @model_validator(mode="after")
    def _has_account(self) -> Self:
        if self.refresh_token is None and (self.username is None or self.password is None):
            raise ValueError("set username and password, or refresh_token: Reddit wants an account")
        return self


# ---- the thread's side: one exchange at a time, everything blocking -------------------------------------------------


class _TokenError(Exception):
    """The access token is not taken, or no longer."""


class _NotFound(Unavailable):
    """Nothing is at that address."""


class _Answer(requests.Response):
    """An answer that is read to its end and holds no connection."""

    def json(self, **kwargs: Any) -> Any:
        try:
            return json.loads(self.content, parse_int=_bounded_int)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class _Wire(HTTPAdapter):
    """Opens connections and remembers them, so that a hanging exchange can be cut from another thread."""

    def __init__(self) -> None:
        self.opened: WeakSet[HTTPConnection] = WeakSet()
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        opened = self.opened

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = Tls

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def cut(self) -> None:
        """End every open connection; whoever reads from one gets an error at once."""
        for connection in list(self.opened):
            if connection.sock is not None:
                with suppress(OSError):
                    # Not the TLS object's own shutdown, which changes it under its reader's feet.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


class _Requestor(prawcore.Requestor):
    """Does praw's exchanges: each once, within a time and a size, and with our errors for every status but 2xx."""

    def __init__(self, *, line: _Line, **given: Any) -> None:
        super().__init__(session=line.session, timeout=line.timeout_s, **given)
        self._line = line

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> requests.Response:
        method, url = str(args[0]).upper(), str(args[1])
        return self._line.exchange(method, url, **kwargs)


class _Line:
    """The one thread's state: praw, its HTTP session and what Reddit last said about our allowance."""

    def __init__(self, *, settings: RedditSettings, clock: Clock) -> None:
        self.settings = settings
        self.timeout_s = settings.timeout_s
        self.clock = clock
        self.wire = _Wire()
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy and no .netrc from the environment
        self.session.mount("http://", self.wire)
        self.session.mount("https://", self.wire)
        self.stopped = threading.Event()
        self._reddit: praw.Reddit | None = None
        self._until: datetime | None = None
        self._token_is_new = False
        self._write_left = False

    def get(self, path: str, **params: str | int) -> Any:
        """Return the answer to one read."""
        return self._ask(method="GET", path=path, params=params)

    def post(self, path: str, **data: str) -> Any:
        """Return the answer to one write, sent once."""
        return self._ask(method="POST", path=path, data=data)

    def exchange(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        """Send one request, once. Raises ours for everything but 2xx."""
        if self.stopped.is_set():
            raise Unavailable("the call was cancelled")
        if self._until is not None and self.clock() < self._until:
            raise RateLimited("Reddit's allowance for this client is used up", until=self._until)
        is_token = url.endswith(TOKEN_PATH)
        is_write = method != "GET" and not is_token
        if is_write:
            self.session.close()  # a kept connection that dies now would leave the write's fate unknown
            self._write_left = True
        kwargs |= {"timeout": self.timeout_s, "allow_redirects": False, "stream": True}
        ends_at = time.monotonic() + self.timeout_s
        try:
            with self.session.request(method, url, **kwargs) as raw:
                answer = _read(raw, ends_at=ends_at)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if is_write and not _never_left(error):
                raise AmbiguousWrite("Reddit did not answer; the reply may be public") from error
            raise Unavailable(f"Reddit does not answer ({type(error).__name__})") from error
        self._refuse(answer, is_write=is_write, is_token=is_token)
        self._note_allowance(answer.headers)
        for header in ("remaining", "used", "reset"):
            answer.headers.pop(f"x-ratelimit-{header}", None)  # prawcore would sleep on them, in the thread
        if is_token:
            _check_token(answer)
            self._token_is_new = True
        return answer

    def _ask(self, **request: Any) -> Any:
        self._token_is_new = self._write_left = False
        try:
            try:
                return self._praw().request(**request)
            except _TokenError:
                if self._token_is_new:
                    raise
                # praw would renew it as well, after a sleep of up to two seconds.
                self._reddit = None
                self._write_left = False
                return self._praw().request(**request)
        except ConnectorError:
            raise
        except _TokenError as error:
            raise AuthFailed(
                "Reddit does not take the token it has just given; check the app and the account"
            ) from error
        except Exception as error:  # whatever praw makes of an answer it does not expect
            if self._write_left:
                raise AmbiguousWrite("Reddit's answer to the reply cannot be read") from error
            raise Unavailable(f"Reddit's answer cannot be read ({type(error).__name__})") from error

    def _praw(self) -> praw.Reddit:
        if self._reddit is None:
            self._reddit = _sign_in(self)
        return self._reddit

    def _note_allowance(self, headers: Mapping[str, str]) -> None:
        left, reset = _number(headers.get("x-ratelimit-remaining")), _number(headers.get("x-ratelimit-reset"))
        if left is not None and reset is not None:
            self._until = self.clock() + _wait(reset) if left <= 0 else None

    def _refuse(self, answer: requests.Response, *, is_write: bool, is_token: bool) -> None:
        match answer.status_code:
            case status if 200 <= status < 300:
                return
            case 429:
                raise RateLimited("Reddit wants us to wait", until=_until(answer.headers, self.clock()))
            case status if status >= 500 or status == 408:
                if is_write:
                    raise AmbiguousWrite(f"Reddit answered {status}; the reply may be public")
                raise Unavailable(f"Reddit answered {status}")
            case 400 | 401 | 403 if is_token:
                raise AuthFailed(
                    f"Reddit refuses the app's credentials ({answer.status_code}); check client_id and secret"
                )
            case 401:
                raise _TokenError
            case 403 if "insufficient_scope" in answer.headers.get("www-authenticate", ""):
                raise AuthFailed("the app lacks a scope: it needs identity, read, history, privatemessages and submit")
            case 403 if not is_write:
                raise AuthFailed("Reddit forbids this (403); check the account, the app and the subreddit")
            case status if 300 <= status < 400:
                if is_write:
                    raise AmbiguousWrite(f"Reddit answered the reply with a redirect ({status})")
                raise Unavailable(f"Reddit redirects ({status}); check the subreddit's name")
            case status if is_write:
                raise Rejected(f"Reddit refuses the reply ({status})")
            case 404:
                raise _NotFound("Reddit has nothing there (404); check the name")
            case status:
                raise Unavailable(f"Reddit refuses the request ({status})")


def _sign_in(line: _Line) -> praw.Reddit:
    settings = line.settings
    with Config.LOCK:
        # praw would also read a praw.ini from the working folder and the home: only its own counts here.
        defaults = ConfigParser(interpolation=None)
        defaults.read_string(files("praw").joinpath("praw.ini").read_text())
        Config.CONFIG = defaults
    return praw.Reddit(
        "DEFAULT",
        requestor_class=_Requestor,
        requestor_kwargs={"line": line},
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value() or None,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        refresh_token=settings.refresh_token.get_secret_value() if settings.refresh_token else None,
        redirect_uri=None,
        user_agent=settings.user_agent,
        reddit_url=settings.reddit_url.rstrip("/"),
        oauth_url=settings.oauth_url.rstrip("/"),
        check_for_updates=False,
        check_for_async=False,
    )


def _read(raw: requests.Response, *, ends_at: float) -> _Answer:
    body = bytearray()
    while chunk := raw.raw.read1(1 << 16, decode_content=True):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ValueError("the answer is too long")
        if time.monotonic() > ends_at:
            raise TimeoutError("the answer takes too long")
    answer = _Answer()
    answer.status_code, answer.url, answer.headers = raw.status_code, raw.url, raw.headers
    answer.raw = io.BytesIO(body)
    return answer


def _never_left(error: Exception) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def _check_token(answer: requests.Response) -> None:
    try:
        token = answer.json()
    except ValueError as error:
        raise Unavailable("Reddit's sign-in answers nonsense") from error
    match token:
        case {"error": str(code)}:
            raise AuthFailed(f"Reddit refuses the sign-in ({code[:40]}); check username, password and refresh token")
        case {"access_token": str(), "expires_in": int(), "scope": str()}:
            return
        case _:
            raise Unavailable("Reddit's sign-in answers nonsense")


# ---- reading: from an answer to values ------------------------------------------------------------------------------


def _bounded_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 else math.inf  # Python refuses 5,000 digits, and the page with them


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _wait(seconds: float) -> timedelta:
    return min(LONGEST_WAIT, timedelta(seconds=max(0.0, min(seconds, 1e6))))


def _until(headers: Mapping[str, str], now: datetime) -> datetime | None:
    after = headers.get("retry-after")
    for seconds in (_number(after), _number(headers.get("x-ratelimit-reset"))):
        if seconds is not None:
            return now + _wait(seconds)
    try:
        return parsedate_to_datetime(after or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _moment(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a time is not a number")
    return datetime.fromtimestamp(value, UTC)


def _string(data: Thing, key: str) -> str:
    value = data[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is not a string")
    return value


def plain(markdown: str) -> str:
    r"""Return *markdown* with entities and backslash escapes resolved (``u\/brand\_help`` reads u/brand_help)."""
    return html.unescape(re.sub(r"\\([\\`*_{}\[\]()#+\-.!>~|^/&])", r"\1", markdown)).replace("\u200b", "").strip()


def is_gone(thing: Thing) -> bool:
    """Return whether Reddit shows *thing* as deleted or removed."""
    data = thing["data"]
    body = data.get("body") if thing["kind"] == "t1" else data.get("selftext")
    return data.get("author") in (None, "[deleted]") or body in NOTHING_LEFT or bool(data.get("removed_by_category"))


def fullname(thing: object) -> str | None:
    """Return the id of a comment or submission, None for messages and the like. Raises one of UNREADABLE."""
    if not isinstance(thing, dict) or not isinstance(thing["data"], dict):
        raise TypeError("the item is no object")
    if thing["kind"] in ("more", "t2", "t4", "t5"):
        return None
    name = _string(thing["data"], "name")
    if not re.fullmatch(rf"{re.escape(str(thing['kind']))}_[0-9a-z]{{1,20}}", name) or name[:3] not in ("t1_", "t3_"):
        raise ValueError("name is no fullname")
    return name


def read_post(thing: Thing, *, me: Author, to_us: bool = False) -> Post:
    """Return the post in *thing*. to_us: known to be addressed to us. Raises one of UNREADABLE."""
    data = thing["data"]
    is_comment = thing["kind"] == "t1"
    handle = _string(data, "author")
    author = Author(
        channel="reddit",
        id=str(data.get("author_fullname") or handle.casefold()),
        handle=handle,
        url=f"{SITE}/user/{handle}",
        is_bot=handle == "AutoModerator",
    )
    subreddit = _string(data, "subreddit")
    text = plain(_string(data, "body" if is_comment else "selftext"))
    title = "" if is_comment else html.unescape(_string(data, "title"))
    if not is_comment and not text and not data.get("is_self", True):
        text = _string(data, "url")
    link = data.get("permalink") or data.get("context")
    parent_id = _string(data, "parent_id") if is_comment else None
    is_own = author.id == me.id or handle.casefold() == me.handle.casefold()
    named = re.search(rf"(?<![\w/])/?u/{re.escape(me.handle)}(?![\w-])", f"{title}\n{text}", re.IGNORECASE)
    under_ours = is_comment and parent_id == data.get("link_id") and data.get("link_author") == me.handle
    return Post(
        channel="reddit",
        id=_string(data, "name"),
        author=author,
        text=text,
        title=title,
        created_at=_moment(data["created_utc"]),
        kind=PostKind.REPLY if is_comment else PostKind.POST,
        url=_address(link),
        parent_id=parent_id,
        root_id=_root(data, link) if is_comment else _string(data, "name"),
        edited_at=_moment(data["edited"]) if data.get("edited") not in (None, True, False) else None,
        addressed=not is_own and bool(to_us or named or under_ours),
        is_own=is_own,
        place=str(data.get("subreddit_name_prefixed") or f"r/{subreddit}"),
        facts={fact: "true" for fact in ("locked", "archived") if data.get(fact) is True},
    )


def _address(link: object) -> str | None:
    return f"{SITE}{link}" if isinstance(link, str) and link.startswith("/") else None


def _root(data: Thing, link: object) -> str | None:
    if isinstance(data.get("link_id"), str):
        return str(data["link_id"])
    # Inbox items have no link_id, but their address has: /r/NAME/comments/ID/...
    found = re.match(r"/(?:r|u|user)/[^/]+/comments/([0-9a-z]+)", link) if isinstance(link, str) else None
    return f"t3_{found[1]}" if found else None


def children(listing: object) -> tuple[list[Any], str | None]:
    """Return a listing's items and where the next page begins. Raises Unavailable."""
    match listing:
        case {"data": {"children": list(items), **rest}}:
            after = rest.get("after")
            return items, after if isinstance(after, str) and after else None
        case _:
            raise Unavailable("Reddit's answer is no listing")


def _in_tree(listing: object) -> Iterator[Thing]:
    waiting = [listing]
    while waiting:
        match waiting.pop():
            case {"kind": "Listing", "data": {"children": list(items)}}:
                waiting.extend(items)
            case {"kind": "t1", "data": {"name": str()} as data}:
                waiting.append(data.get("replies"))
                yield {"kind": "t1", "data": data}


def _same(left: object, right: str) -> bool:
    return isinstance(left, str) and " ".join(storable(left).split()) == " ".join(storable(right).split())


# ---- the loop's side ------------------------------------------------------------------------------------------------


class RedditConnector:
    """Listens to and speaks for one Reddit account."""

    channel = "reddit"

    def __init__(self, *, name: str, settings: RedditSettings, clock: Clock) -> None:
        self.name = name
        self.capabilities = Capabilities(
            send_class=SendClass.READ_BACK,
            length=LENGTH,
            search=True,
            thread=True,
            edits=True,
            deletions=True,
            lookup_batch=PAGE_ITEMS,
            settle_after=timedelta(seconds=120 if settings.settle_after_s is None else settings.settle_after_s),
        )
        self._settings = settings
        self._clock = clock
        self._me: Author | None = None
        self._line: _Line | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._turn = threading.Lock()
        self._running: object = None

    async def __aenter__(self) -> Self:
        for name in QUIET:
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.INFO))
        self._line = _Line(settings=self._settings, clock=self._clock)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"reddit-{self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            line, thread, self._line, self._thread = self._line, self._thread, None, None
            if line is None or thread is None:
                return
            line.stopped.set()
            line.wire.cut()
        closed = asyncio.wrap_future(thread.submit(line.session.close))
        thread.shutdown(wait=False)
        await asyncio.wait({closed}, timeout=1.0)

    def streams(self) -> Sequence[str]:
        searches = (f"search:{query}" for query in self._settings.queries)
        subreddits = (f"subreddit:{name}" for name in self._settings.subreddits)
        return (*(("mentions",) if self._settings.mentions else ()), *searches, *subreddits)

    async def identity(self) -> Author:
        return await self._do(self._who_am_i)

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        me = await self.identity()
        now = self._clock()
        mark = self._mark(cursor)
        floor = now - self._settings.lookback if mark is None else mark - self._settings.overlap
        things: dict[str, Thing] = {}
        bad: list[BadItem] = []
        whole = True
        for path, params in self._listings(stream, age=now - floor):
            pages = self._settings.max_first_pages if mark is None else None
            whole &= await self._walk(path, params, floor=floor, max_pages=pages, things=things, bad=bad)
        posts: list[Post] = []
        deleted: list[str] = []
        ours = await self._ours(things, me) if stream.startswith("subreddit:") else frozenset()
        for name, thing in things.items():
            try:
                if is_gone(thing):
                    deleted.append(name)
                    continue
                to_us = stream == "mentions" or thing["data"].get("parent_id") in ours
                posts.append(read_post(thing, me=me, to_us=to_us))
            except UNREADABLE as error:
                bad.append(_bad(thing, error))
        posts.sort(key=lambda post: (post.created_at, len(post.id), post.id))
        newest = max((post.created_at for post in posts if post.created_at <= now), default=floor)
        # An unfinished walk leaves the mark where it was: what lies in the gap is read again.
        mark = max(newest, mark or floor) if whole or mark is None else mark
        return Page(posts=posts, cursor=_cursor(mark), deleted=sorted(deleted), bad=bad)

    async def thread(self, post: Post) -> Sequence[Post]:
        me = await self.identity()
        above: list[Thing] = []
        submission: list[Thing] = []
        wanted = post.parent_id
        for _ in range(MAX_HOPS):
            if wanted is None or post.root_id is None or not wanted.startswith("t1_"):
                break
            try:
                answer = await self._get(f"comments/{post.root_id[3:]}/_/{wanted[3:]}", context=100)
            except _NotFound:
                break
            match answer:
                case [first, tree, *_]:
                    submission = submission or children(first)[0]
                    comments = {thing["data"]["name"]: thing for thing in _in_tree(tree)}
                case _:
                    raise Unavailable("Reddit's answer is no thread")
            if wanted not in comments:
                break
            while wanted in comments:
                thing = comments.pop(wanted)
                above.append(thing)
                wanted = thing["data"].get("parent_id")
        if not submission and post.parent_id is not None:
            root = post.root_id or post.parent_id
            submission = children(await self._get("api/info/", id=root))[0]
        return [found for thing in (*submission, *reversed(above)) if (found := _readable(thing, me)) is not None]

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        state: dict[str, Post | None] = dict.fromkeys(ids)
        known = [each for each in ids if re.fullmatch(r"t[13]_[0-9a-z]{1,20}", each)]
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
                # Unreadable is not gone: the id is left out, so that nobody deletes what still stands.
                log.warning("reddit.lookup_unreadable", source=self.name, reason=type(error).__name__)
                if name is None:
                    raise Unavailable("Reddit's answer holds an item without an id") from error
                state.pop(name, None)
        return state

    async def send(self, reply: Reply) -> Sent:
        target, text = reply.target.id, storable(reply.text)
        answer = await self._do(lambda line: line.post("api/comment/", thing_id=target, text=text))
        match answer:
            case {"json": {"errors": [[str(code), *rest], *_], **more}}:
                raise self._refused(code, " ".join(str(part) for part in rest), more.get("ratelimit"))
            case {"json": {"data": {"things": [{"data": {"name": str(name)} as ours}, *_]}}} if name.startswith("t1_"):
                return Sent(id=name, url=_address(ours.get("permalink")))
            case _:
                raise AmbiguousWrite("Reddit took the reply but does not show it")

    async def find(self, reply: Reply) -> Sent | None:
        me = await self.identity()
        found: dict[str, Thing] = {}
        whole = await self._walk(
            f"user/{me.handle}/comments",
            {"sort": "new"},
            floor=reply.created_at - self._settings.overlap,
            max_pages=None,
            things=found,
            bad=[],
        )
        for name, thing in found.items():
            data = thing["data"]
            if data.get("parent_id") == reply.target.id and _same(data.get("body"), reply.text):
                return Sent(id=name, url=_address(data.get("permalink")))
        if not whole:
            raise Unavailable("Reddit showed only some of our comments")
        return None

    def may_reply(self, post: Post) -> Refusal | None:
        if post.facts.get("locked") or post.facts.get("archived"):
            return Refusal(reason="the thread is locked or archived")
        allowed = self._settings.reply_subreddits
        name = post.place.removeprefix("r/").casefold()
        if allowed is not None and name not in {place.casefold() for place in allowed}:
            return Refusal(reason=f"{post.place or 'this place'} is not among the subreddits where we reply")
        return None

    def overrun(self, post: Post, text: str) -> int:
        return LENGTH.overrun(text)

    def _listings(self, stream: str, *, age: timedelta) -> list[tuple[str, Mapping[str, str]]]:
        match stream.partition(":"):
            case ("mentions", "", ""):
                return [("message/mentions", {}), ("message/comments/", {}), ("message/selfreply/", {})]
            case ("search", _, query):
                return [("r/all/search/", {"q": query, "sort": "new", "t": _span(age)})]
            case ("subreddit", _, name):
                return [(f"r/{name}/comments/", {}), (f"r/{name}/new", {})]
            case _:
                raise LookupError(f"{self.name} has no stream {stream!r}")

    async def _walk(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        floor: datetime,
        max_pages: int | None,
        things: dict[str, Thing],
        bad: list[BadItem],
    ) -> bool:
        """Read a listing from its newest item back to *floor* into *things*; return whether it got there."""
        seen: dict[str, None] = {}
        asked: set[str | None] = set()
        after: str | None = None
        back = 0
        while max_pages is None or len(asked) < max_pages:
            if after in asked:
                return False
            asked.add(after)
            place: dict[str, str | int] = {"limit": PAGE_ITEMS, **({"after": after} if after else {})}
            items, following = children(await self._get(path, **params, **place))
            if not items and after is not None and len(seen) < LISTING_ITEMS * 0.9:
                # The item we asked to go on after was deleted meanwhile, and Reddit then shows nothing: take the one
                # before it.
                back += 1
                if back >= min(len(seen), MAX_STEPS_BACK):
                    return False
                after = list(seen)[-1 - back]
                continue
            oldest = None
            for item in items:
                try:
                    if (name := fullname(item)) is None or name in seen:
                        continue
                    seen[name] = None
                    oldest = _moment(item["data"]["created_utc"])
                    if oldest >= floor:
                        things.setdefault(name, item)
                except UNREADABLE as error:
                    bad.append(_bad(item, error))
            if following is None or (oldest is not None and oldest < floor) or len(seen) >= LISTING_ITEMS:
                break
            after, back = following, 0
        if len(seen) >= LISTING_ITEMS * 0.9:
            # What lies further back cannot be had from this listing: a person should make us look more often.
            log.warning("reddit.listing_ended", source=self.name, items=len(seen))
        return True

    async def _ours(self, things: Mapping[str, Thing], me: Author) -> frozenset[str]:
        parents = {thing["data"].get("parent_id") for thing in things.values()}
        if not any(isinstance(parent, str) and parent.startswith("t1_") for parent in parents):
            return frozenset()
        # A comment does not say whom it answers; our latest hundred comments do.
        items, _ = children(await self._get(f"user/{me.handle}/comments", sort="new", limit=PAGE_ITEMS))
        return frozenset(name for item in items if isinstance(name := _name(item), str))

    def _mark(self, cursor: Cursor | None) -> datetime | None:
        if cursor is None:
            return None
        try:
            match json.loads(cursor):
                case {"v": 1, "mark": int(mark) | float(mark)}:
                    return _moment(mark)
        except (ValueError, OverflowError, OSError, TypeError):
            pass
        log.warning("reddit.cursor_unreadable", source=self.name)
        return None

    def _refused(self, code: str, message: str, seconds: object) -> ConnectorError:
        if code == "RATELIMIT":
            wait = _number(seconds) if seconds is not None else _spoken(message)
            return RateLimited(
                "Reddit wants this account to wait", until=None if wait is None else self._clock() + _wait(wait)
            )
        if code == "USER_REQUIRED":
            return AuthFailed("Reddit does not know the account any more; sign in again")
        return Rejected(f"Reddit refuses the reply: {REFUSALS.get(code, code[:60])}")

    def _who_am_i(self, line: _Line) -> Author:
        if self._me is None:
            match line.get("api/v1/me"):
                case {"is_suspended": True}:
                    raise AuthFailed("Reddit has suspended this account")
                case {"id": str(id), "name": str(handle)} if id and handle:
                    self._me = Author(channel="reddit", id=f"t2_{id}", handle=handle, url=f"{SITE}/user/{handle}")
                case _:
                    raise Unavailable("Reddit does not say who we are")
        return self._me

    async def _get(self, path: str, **params: str | int) -> Any:
        return await self._do(lambda line: line.get(path, **params))

    async def _do(self, errand: Callable[[_Line], T]) -> T:
        line, thread = self._line, self._thread
        if line is None or thread is None:
            raise RuntimeError("enter the connector first")
        job = object()

        def run() -> T:
            with self._turn:
                if self._line is not line:
                    raise Unavailable("the connector is closed")
                self._running = job
                line.stopped.clear()
            try:
                return errand(line)
            finally:
                with self._turn:
                    self._running = None

        try:
            return await asyncio.wrap_future(thread.submit(run))
        except asyncio.CancelledError:
            with self._turn:
                if self._running is job:
                    # The thread would hang on for up to the time-out, and the next call behind it.
                    line.stopped.set()
                    line.wire.cut()
            raise


def _name(item: object) -> str | None:
    try:
        return fullname(item)
    except (KeyError, TypeError, ValueError):
        return None


def _readable(thing: Thing, me: Author) -> Post | None:
    try:
        return None if fullname(thing) is None or is_gone(thing) else read_post(thing, me=me)
    except UNREADABLE:
        return None


def _bad(item: object, error: Exception) -> BadItem:
    return BadItem(raw=json.dumps(item, default=str)[:2_000], reason=f"{type(error).__name__}: {error}"[:200])


def _cursor(mark: datetime) -> Cursor:
    return json.dumps({"v": 1, "mark": mark.timestamp()})


def _span(age: timedelta) -> str:
    spans = {"day": 1, "week": 7, "month": 30, "year": 365}
    return next((name for name, days in spans.items() if age < timedelta(days=days) * 0.95), "all")


def _spoken(message: str) -> float | None:
    units = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3_600.0}
    found = re.search(r"(\d{1,4}) (millisecond|second|minute|hour)", message)
    return float(found[1]) * units[found[2]] if found else None


def connect(*, name: str, settings: Any, clock: Clock) -> RedditConnector:
    """Return a connector for *settings*; it asks nothing yet."""
    return RedditConnector(name=name, settings=settings, clock=clock)


CHANNEL = Channel(kind="reddit", settings=RedditSettings, connect=connect)
