"""Mastodon, and servers that speak its client API, through Mastodon.py in a thread of its own.

Sources: docs.joinmastodon.org (methods, entities, api/rate-limits). docs/channels/mastodon.md: what we make of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import structlog
from mastodon import Mastodon
from pydantic import Field, SecretStr, field_validator

from connectors.answer import Answer, Unreadable, ident, listed, look, number, parse, quarantined, text, when
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.html import is_web, plain
from connectors.lane import Lane, Wire
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, PostKind, Refusal, Reply, Sent
from connectors.protocol import BadItem, Capabilities, Cursor, Gate, Page, SendClass, open_gate
from connectors.registry import Channel, Clock
from connectors.settings import SourceSettings
from connectors.walk import Attempts, Leaf, Listed, Read, remembered, walk

KIND = "mastodon"
MENTIONS, SEARCH = "mentions", "search:"
NOTIFICATIONS_A_PAGE, STATUSES_A_PAGE = 80, 40  # the most methods/notifications and methods/timelines give
LOOKUP_BATCH = 20  # ids GET /api/v1/statuses takes at most
KEYED_FOR = timedelta(minutes=30)  # the key is kept an hour (methods/statuses); half of it is ours to rely on
CONTEXT_HOLDS = 4_000  # a thread of about so many answers is cut short (methods/statuses, context: 4,096)
FIND_PAGES = 25
CLOCK_SLACK = timedelta(minutes=10)
LONGEST_WAIT = timedelta(days=1)
SHYNESS = ("public", "unlisted", "private", "direct")

log = structlog.get_logger()


class MastodonSettings(SourceSettings):
    """One account on one server. queries: ``#tag`` for a tag's timeline, anything else for full-text search."""

    base_url: str = Field(description="the server's address, https://...")
    access_token: SecretStr = Field(description="of your application; scopes read and write:statuses")
    mentions: bool = True
    queries: tuple[str, ...] = ()

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not is_web(value):
            raise ValueError("must be the server's address, like https://mastodon.example")
        return value.rstrip("/")


class _Gone(Unavailable):
    """The network says, in its own words, that this is not there."""


class MastodonConnector:
    """Listens to and speaks for one Mastodon account."""

    channel = KIND

    def __init__(self, *, name: str, settings: MastodonSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        settle = settings.settle_after_s
        self.capabilities = Capabilities(
            send_class=SendClass.KEYED_FOR_A_TIME,
            keyed_for=KEYED_FOR,
            length=LengthRule(unit=Unit.CHARACTERS, limit=500, url_cost=23),
            search=True,
            thread=True,
            edits=True,
            deletions=True,
            lookup_batch=LOOKUP_BATCH,
            settle_after=timedelta(minutes=2) if settle is None else timedelta(seconds=settle),
        )
        self._wire: Wire | None = None
        self._lane: Lane | None = None
        self._api: Any = None
        self._me: Author | None = None
        self._knows_limits = False
        self._has_batch = True
        self._attempts: Attempts[Leaf] = Attempts()

    async def __aenter__(self) -> Self:
        timeout_s = self._settings.timeout_s
        self._wire = Wire()
        self._lane = Lane(name=f"mastodon-{self.name}", wire=self._wire, timeout_s=timeout_s)
        self._api = Mastodon(
            api_base_url=self._settings.base_url,
            ratelimit_method="throw",
            version_check_mode="none",
            mastodon_version="4.0.0",
            request_timeout=timeout_s,
            session=self._wire,
            user_agent="harken",
        )
        # Given to the constructor, a token that happens to name a file would be read from it.
        self._api.access_token = self._settings.access_token.get_secret_value()
        # Known, these spare a look at the instance before every second page of a search.
        self._api.mastodon_major, self._api.mastodon_minor = 4, 0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()

    # Listening

    def streams(self) -> Sequence[str]:
        searches = [f"{SEARCH}{query}" for query in self._settings.queries]
        return [MENTIONS, *searches] if self._settings.mentions else searches

    async def identity(self) -> Author:
        if self._me is None:
            account = parse((await self._ask(lambda api: api.account_verify_credentials())).body)
            try:
                self._me = self._author(account)
            except Unreadable as error:
                raise Unavailable("the server does not say who we are") from error
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
        self._attempts.done(stream)
        posts: list[Post] = []
        bad: list[BadItem] = []
        for item in seen.items:
            is_mention = stream == MENTIONS
            try:
                if is_mention and isinstance(item, Mapping) and "status" in item and item["status"] is None:
                    continue  # the post is gone, only the notification is left
                posts.append(self._post(look(item, "status") if is_mention else item, addressed=is_mention))
            except Unreadable as error:
                bad.append(quarantined(item, str(error)))
        posts.sort(key=lambda post: post.created_at)
        await self._learn_limits()
        return Page(posts=posts, cursor=seen.cursor, more=seen.more, bad=bad)

    async def thread(self, post: Post) -> Sequence[Post]:
        await self.identity()
        try:
            answer = await self._ask(lambda api: api.status_context(_path(post.id)))
        except _Gone:
            return ()
        above: list[Post] = []
        for status in listed(parse(answer.body), "ancestors"):
            try:
                above.append(self._post(status))
            except Unreadable:
                log.warning("post.unreadable", source=self.name, where="thread")
        return above

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        if not ids:
            return {}
        await self.identity()
        found = await self._batch(ids) if self._has_batch else None
        if found is None:
            found = {each: await self._single(each) for each in ids}
        there: dict[str, Post | None] = {}
        for each in ids:
            try:
                there[each] = None if found.get(each) is None else self._post(found[each])
            except Unreadable:  # it is there, so it is not gone; how it stands nobody can say
                log.warning("post.unreadable", source=self.name, where="still_there")
        return there

    # Speaking

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        acct = reply.target.facts.get("acct")
        if not acct:
            raise Rejected("the post does not carry its author's address (facts: acct)")
        words = reply.text
        if not re.match(rf"@{re.escape(acct)}(?![\w.@-])", words, re.IGNORECASE):
            words = f"@{acct} {words}"
        visibility = _hushed(reply.target.facts.get("visibility", "unlisted"))
        answer = await self._ask(
            lambda api: api.status_post(
                words, in_reply_to_id=reply.target.id, visibility=visibility, idempotency_key=reply.key
            ),
            is_write=True,
            gate=gate,
        )
        try:
            status = parse(answer.body)
            return Sent(id=ident(status, "id"), url=text(status, "url") or None)
        except (Unavailable, Unreadable) as error:
            raise AmbiguousWrite("the server said yes in a way nobody can read") from error

    async def retract(self, post_id: str) -> None:
        """Delete a status (methods/statuses, delete); a server allows 30 in 30 minutes (api/rate-limits)."""
        await self._ask(lambda api: api.status_delete(_path(post_id)), is_write=True, may_be_gone=True)

    async def find(self, reply: Reply) -> Sent | None:
        me = await self.identity()
        try:
            answer = await self._ask(lambda api: api.status_context(_path(reply.target.id)))
        except _Gone:  # the post answered is deleted; our reply may stand
            return await self._find_among_ours(reply, me, may_be_orphan=True)
        below = listed(parse(answer.body), "descendants")
        found = self._said(reply, (status for status in below if text(status, "account", "id") == me.id))
        if found is None and len(below) >= CONTEXT_HOLDS:
            return await self._find_among_ours(reply, me, may_be_orphan=False)
        return found

    async def _find_among_ours(self, reply: Reply, me: Author, *, may_be_orphan: bool) -> Sent | None:
        since, below = reply.created_at - CLOCK_SLACK, None
        for _ in range(FIND_PAGES):
            answer = await self._ask(
                lambda api, below=below: api.account_statuses(  # type: ignore[misc]
                    _path(me.id), exclude_reblogs=True, max_id=below, limit=STATUSES_A_PAGE
                )
            )
            page = listed(parse(answer.body))
            if found := self._said(reply, page, may_be_orphan=may_be_orphan):
                return found
            leaf = _leaf(page, lambda status: when(status, "created_at"))
            if leaf.below is None or leaf.below == below or _all_before(leaf, since):
                return None
            below = leaf.below
        raise Unavailable("too many posts of our own since that reply; look at the account by hand")

    def _said(self, reply: Reply, statuses: Iterable[object], *, may_be_orphan: bool = False) -> Sent | None:
        """Return which of *statuses*, all ours, is *reply*. An orphan lost its parent when that was deleted."""
        words = _squeezed(reply.text)
        for status in statuses:
            parent = text(status, "in_reply_to_id")
            is_orphan = may_be_orphan and not parent and reply.target.author.id in _named(status)
            if (parent == reply.target.id or is_orphan) and _squeezed(self._words(status)) == words:
                return Sent(id=ident(status, "id"), url=text(status, "url") or None)
        return None

    def may_reply(self, post: Post) -> Refusal | None:
        """Mastodon forbids nothing to who was addressed; it lets nobody talk to themselves on our account."""
        return Refusal(reason="This is our own post.") if post.is_own else None

    def overrun(self, post: Post, text: str) -> int:
        rule = self.capabilities.length
        if rule is None:
            raise ValueError("the channel has no length rule")
        # Of a mention only "@user" counts, wherever the user lives (docs.joinmastodon.org/user/posting).
        user = post.facts.get("acct", post.author.handle).partition("@")[0]
        return replace(rule, reserve=len(user) + 2).overrun(text)

    # Asking

    def _reader(self, stream: str) -> Read:
        query = stream.removeprefix(SEARCH)
        if stream == MENTIONS:

            async def read(below: str | None) -> Leaf:
                answer = await self._ask(
                    lambda api: api.notifications(types=["mention"], max_id=below, limit=NOTIFICATIONS_A_PAGE)
                )
                return _leaf(listed(parse(answer.body)), lambda item: when(item, "created_at"))

        elif query.startswith("#"):
            tag = _path(query[1:])

            async def read(below: str | None) -> Leaf:
                answer = await self._ask(lambda api: api.timeline_hashtag(tag, max_id=below, limit=STATUSES_A_PAGE))
                return _leaf(listed(parse(answer.body)), lambda item: when(item, "created_at"))

        elif query != stream:

            async def read(below: str | None) -> Leaf:
                answer = await self._ask(
                    lambda api: api.search_v2(
                        query,
                        resolve=False,
                        result_type="statuses",
                        exclude_unreviewed=False,
                        max_id=below,
                        limit=STATUSES_A_PAGE,
                    )
                )
                return _leaf(listed(parse(answer.body), "statuses"), lambda item: when(item, "created_at"))

        else:
            raise Unavailable(f"no such stream; there are: {', '.join(self.streams())}")
        return read

    async def _ask(
        self,
        call: Callable[[Any], object],
        *,
        is_write: bool = False,
        may_be_gone: bool = False,
        gate: Gate = open_gate,
    ) -> Answer:
        """Return the whole answer to *call*'s last request. Raises our errors only.

        may_be_gone: the server's own word that it has no such thing is a good answer.
        """
        lane, wire = self._lane, self._wire
        if lane is None or wire is None:
            raise Unavailable("the connector is closed")
        started = False

        def job() -> Answer:
            nonlocal started
            started = True
            wire.forget()
            wire.gate, wire.held = gate, None
            theirs: Exception | None = None
            try:
                call(self._api)
            except Exception as error:  # what Mastodon.py makes of an odd answer may be any exception
                theirs = error
            if wire.held is not None:
                raise wire.held
            if wire.answer is not None and wire.answer.status < 300:
                return wire.answer  # a good answer is read by us, whatever the library thought of it
            if may_be_gone and wire.answer is not None and wire.answer.status in (404, 410) and _error_of(wire.answer):
                return wire.answer
            raise self._failure(wire.answer, has_left=wire.has_left, is_write=is_write) from theirs

        try:
            return await lane.run(job)
        except TimeoutError as error:
            raise self._failure(None, has_left=started and wire.has_left, is_write=is_write) from error

    def _failure(self, answer: Answer | None, *, has_left: bool, is_write: bool) -> ConnectorError:
        if answer is None:
            if is_write and has_left:
                return AmbiguousWrite("the connection broke or timed out after the reply had left")
            return Unavailable("the server cannot be reached, or its answer was cut, too slow or too big")
        said = _error_of(answer)
        match answer.status:
            case 401:
                return AuthFailed("the server refuses the access token; make a new one and set access_token")
            case 403 if not is_write or "scope" in said or "login" in said:
                return AuthFailed("the server forbids this to our account or token; check its scopes and the account")
            case 429:
                return RateLimited("the server wants fewer requests", until=self._until(answer.headers))
            case 408 | 409 if is_write:
                return AmbiguousWrite(f"the server answered {answer.status} to a reply that may be taken")
            case status if is_write and 400 <= status < 500:
                return Rejected(f"the server refuses the reply for good (status {status})")
            case status if is_write:
                return AmbiguousWrite(f"the server answered {status} to a reply that may be taken")
            case 404 | 410 if said:
                return _Gone("the server does not have it")
            case status if 300 <= status < 400:
                return Unavailable("the server sends us elsewhere; set base_url to the address it really has")
            case status:
                return Unavailable(f"the server answered {status}")

    def _until(self, headers: Mapping[str, str]) -> datetime | None:
        now = self._clock()
        try:
            if "x-ratelimit-reset" in headers:
                stamp = headers["x-ratelimit-reset"]
                until = datetime.fromtimestamp(int(stamp), UTC) if stamp.isdecimal() else when({"at": stamp}, "at")
            else:
                until = now + timedelta(seconds=int(headers["retry-after"]))
        except (KeyError, ValueError, OverflowError, OSError):
            return None
        return min(until, now + LONGEST_WAIT) if until > now else None

    async def _batch(self, ids: Sequence[str]) -> dict[str, object] | None:
        """Return id -> status of those there, None when the server cannot look up several at once (before 4.3)."""
        try:
            answer = await self._ask(lambda api: api.statuses(list(ids)))
        except Unavailable as error:
            if not isinstance(error, _Gone) and self._last_status() not in (404, 405):
                raise
            self._has_batch = False
            return None
        try:
            return {ident(status, "id"): status for status in listed(parse(answer.body))}
        except Unreadable as error:
            raise Unavailable("the server answered a look-up with something else") from error

    async def _single(self, post_id: str) -> object:
        try:
            return parse((await self._ask(lambda api: api.status(_path(post_id)))).body)
        except _Gone:
            return None

    def _last_status(self) -> int | None:
        answer = self._wire.answer if self._wire is not None else None
        return answer.status if answer is not None else None

    async def _learn_limits(self) -> None:
        """Read the server's own length rule, once; until that works the smallest one known holds."""
        if self._knows_limits:
            return
        try:
            rules = look(parse((await self._ask(lambda api: api.instance_v2())).body), "configuration", "statuses")
        except ConnectorError as error:  # the page in hand matters more; the next look asks again
            self._knows_limits = isinstance(error, _Gone)
            log.info("limits.unknown", source=self.name, reason=type(error).__name__)
            return
        self._knows_limits = True
        limit, url_cost = number(rules, "max_characters"), number(rules, "characters_reserved_per_url")
        if limit is not None and 0 < limit <= 1_000_000:
            length = LengthRule(unit=Unit.CHARACTERS, limit=limit, url_cost=url_cost or 23)
            self.capabilities = replace(self.capabilities, length=length)

    # Reading

    def _post(self, status: object, *, addressed: bool = False) -> Post:
        account, post_id = look(status, "account"), ident(status, "id")
        author = self._author(account)
        me = self._me.id if self._me is not None else None
        parent = text(status, "in_reply_to_id") or None
        reblog, quoted = look(status, "reblog"), look(status, "quote")
        kind = PostKind.REPLY if parent else PostKind.POST
        if isinstance(reblog, Mapping):
            kind = PostKind.REPOST
        elif isinstance(quoted, Mapping) and not parent:
            kind = PostKind.QUOTE
        if look(status, "content") is not None and not isinstance(look(status, "content"), str):
            raise Unreadable("no text in content")
        visibility = text(status, "visibility") or "public"
        url = text(status, "url") or text(status, "uri")
        return Post(
            channel=KIND,
            id=post_id,
            author=author,
            text=self._words(reblog if kind is PostKind.REPOST else status),
            title=text(status, "spoiler_text"),
            created_at=when(status, "created_at"),
            edited_at=when(status, "edited_at") if text(status, "edited_at") else None,
            kind=kind,
            url=url if is_web(url) else None,
            language=text(status, "language") or None,
            parent_id=parent,
            root_id=None if parent else post_id,
            addressed=addressed
            or me in _named(status)
            or (me is not None and text(status, "in_reply_to_account_id") == me),
            is_own=author.id == me,
            is_private=visibility == "direct",
            facts={
                "visibility": visibility,
                "acct": text(account, "acct"),
                "language": text(status, "language"),
            },
        )

    def _author(self, account: object) -> Author:
        acct, url = text(account, "acct"), text(account, "url")
        host = urlsplit(self._settings.base_url).hostname or ""
        return Author(
            channel=KIND,
            id=ident(account, "id"),
            handle=acct if "@" in acct or not acct else f"{acct}@{host}",
            display_name=text(account, "display_name"),
            url=url if is_web(url) else None,
            followers=number(account, "followers_count"),
            is_bot=look(account, "bot") is True,
        )

    def _words(self, status: object) -> str:
        mentioned = look(status, "mentions")
        by_href = {text(each, "url"): text(each, "acct") for each in (mentioned if isinstance(mentioned, list) else ())}

        def mention(href: str) -> str | None:
            if not is_web(href):
                return None
            host = urlsplit(href).hostname or ""
            acct = by_href.get(href) or urlsplit(href).path.rpartition("/")[2].lstrip("@")
            return f"@{acct}" if "@" in acct else f"@{acct}@{host}"

        return plain(text(status, "content"), mention=mention)


def _leaf(items: Sequence[object], arrived: Callable[[object], datetime]) -> Leaf:
    """Return *items*, newest first, as a page; the one below starts under the last id anybody can read."""
    below = None
    found = []
    for item in items:
        try:
            below = ident(item, "id")
        except Unreadable:
            log.debug("item.without_id")
        try:
            found.append(Listed(item=item, at=arrived(item)))
        except Unreadable:
            found.append(Listed(item=item, at=None))
    return Leaf(items=found, below=below)


def _named(status: object) -> set[str]:
    """Return the ids of the accounts that *status* mentions."""
    mentioned = look(status, "mentions")
    return {text(each, "id") for each in mentioned} if isinstance(mentioned, list) else set()


def _all_before(leaf: Leaf, moment: datetime) -> bool:
    times = [listed.at for listed in leaf.items if listed.at is not None]
    return bool(times) and max(times) < moment


def _error_of(answer: Answer) -> str:
    """Return what the network's own error says, in lower case; "" when the answer is none of its own."""
    try:
        return text(parse(answer.body), "error").lower()
    except Unavailable:
        return ""


def _hushed(visibility: str) -> str:
    """Return how visible an answer to a post of *visibility* is: never louder, never in the public timelines."""
    known = SHYNESS.index(visibility) if visibility in SHYNESS else len(SHYNESS) - 1
    return SHYNESS[max(known, SHYNESS.index("unlisted"))]


def _squeezed(words: str) -> str:
    """Return *words* as compared in a read-back: no leading mentions, no hosts in mentions, no white space."""
    words = re.sub(r"^\s*(?:@[\w.@-]+\s+)+", "", words)
    return re.sub(r"\s+", "", re.sub(r"@([\w.-]+)@[\w.-]+", r"@\1", words))


def _path(part: str) -> str:
    """Return *part* so that it is one segment of a path: the library does not quote."""
    return quote(part, safe="")


CHANNEL = Channel(KIND, MastodonSettings, MastodonConnector)
