"""A fake X: API v2 mentions, recent search, lookups, timelines and POST /2/tweets, in X's documented shapes.

Only what was asked for with tweet.fields, user.fields and expansions is in an answer, newest first, as X does it.
Shapes: docs.x.com/x-api (posts, users, fundamentals/edit-posts, fundamentals/response-codes-and-errors).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web
from oauthlib.common import Request as SignedRequest
from oauthlib.oauth1.rfc5849 import signature

from connectors.length import LengthRule, Unit
from tests.networks.clock import system_clock
from tests.networks.faults import JSON, Fault, Network, Trouble, answer

EPOCH_MS = 1_288_834_974_657  # the first millisecond of X's ids
WEEK = timedelta(days=7)
MENTION_CAP = 800  # GET /2/users/:id/mentions reaches back this far
LENGTH = LengthRule(unit=Unit.WEIGHTED, limit=280)
BEARER = "AAAA-app-bearer-canary"
USER_TOKEN = "AAAA-user-token-canary"
CONSUMER_KEY = "consumer-key-canary"
CONSUMER_SECRET = "consumer-secret-canary"
ACCESS_TOKEN = "900100-access-token-canary"
ACCESS_SECRET = "access-secret-canary"
LINK = re.compile(r"https?://\S+")
HANDLE = re.compile(r"(?<!\w)@(\w{1,15})")
LEADING = re.compile(r"(?:@\w{1,15}\s+)+")
PROBLEMS = "https://api.twitter.com/2/problems/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account."""

    id: str
    handle: str
    name: str = ""


BRAND = Person(id="900100", handle="larkparcel", name="Lark Parcel")
CUSTOMER = Person(id="5501", handle="mira_k", name="Mira K.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tweet:
    """One version of a post. text: as people see it, links whole, nothing escaped; carried: mentions X put in front."""

    id: int
    author: Person
    text: str
    at: datetime
    conversation: int
    replied_to: int | None = None
    quoted: int | None = None
    retweeted: int | None = None
    carried: tuple[Person, ...] = ()
    surfaces_at: datetime | None = None
    raw: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def overrun(text: str) -> int:
    """Return by how much *text* is too long."""
    return LENGTH.overrun(text)


def snowflake(at: datetime, sequence: int = 0) -> int:
    """Return the id X would give at *at*."""
    return ((int(at.timestamp() * 1000) - EPOCH_MS) << 22) | sequence


def problem(status: int, title: str, detail: str, kind: str = "about:blank") -> web.Response:
    """Return an error answer in X's problem shape."""
    body = {"title": title, "detail": detail, "type": kind, "status": status}
    return web.Response(body=orjson.dumps(body), status=status, headers={"Content-Type": "application/problem+json"})


class XNetwork(Network):
    """X for one brand.

    lag: how long our own posts stay invisible to reads. self_serve: replies only where the author summoned us.
    duplicates_anywhere: an equal text is refused under any parent, not only under the same one. twice: ids that each
    listing gives two times.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = system_clock,
        page_limit: int = 100,
        lag: timedelta = timedelta(0),
        self_serve: bool = True,
        duplicates_anywhere: bool = False,
    ) -> None:
        super().__init__(clock=clock, page_limit=page_limit)
        self.lag = lag
        self.self_serve = self_serve
        self.duplicates_anywhere = duplicates_anywhere
        self.people: dict[str, Person] = {}
        self.by_handle: dict[str, Person] = {}
        self.tweets: dict[int, Tweet] = {}
        self.versions: dict[int, list[int]] = {}  # any version's id -> all ids of that post, oldest first
        self.twice: set[int] = set()
        self.hidden: set[str] = set()  # authors who protected their posts
        self._sequence = 0
        for person in (BRAND, CUSTOMER):
            self.join(person)

    # What people do

    def join(self, person: Person) -> None:
        """Let *person* have an account."""
        self.people[person.id] = self.by_handle[person.handle.lower()] = person

    def say(
        self,
        text: str,
        *,
        at: datetime,
        author: Person = CUSTOMER,
        reply_to: str | None = None,
        quote: str | None = None,
        repost: str | None = None,
        surfaces_at: datetime | None = None,
        without: Iterable[str] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Post *text* and return its id. without: ids of people a reply shall not mention by itself."""
        self.join(author)
        self._sequence = (self._sequence + 1) % 4096
        new = snowflake(at, self._sequence)
        parent = self.tweets[int(reply_to)] if reply_to else None
        carried: list[Person] = []
        if parent is not None:
            for person in (parent.author, *parent.carried, *self._named(parent.text)):
                if person.id != author.id and person.id not in without and person not in carried:
                    carried.append(person)
        self.tweets[new] = Tweet(
            id=new,
            author=author,
            text=text,
            at=at,
            conversation=parent.conversation if parent else new,
            replied_to=parent.id if parent else None,
            quoted=int(quote) if quote else None,
            retweeted=int(repost) if repost else None,
            carried=tuple(carried),
            surfaces_at=surfaces_at,
            extra=extra or {},
        )
        self.versions[new] = [new]
        return str(new)

    def edit(self, tweet_id: str, text: str, *, at: datetime) -> str:
        """Let the author change the text; X gives the new version an id of its own, which is returned."""
        history = self.versions[int(tweet_id)]
        self._sequence = (self._sequence + 1) % 4096
        new = snowflake(at, self._sequence)
        self.tweets[new] = replace(self.tweets[history[-1]], id=new, text=text, at=at)
        history.append(new)
        self.versions[new] = history
        return str(new)

    def delete(self, tweet_id: str) -> None:
        """Delete a post with all its versions."""
        for version in self.versions.pop(int(tweet_id)):
            self.tweets.pop(version, None)
            self.versions.pop(version, None)

    def spoil(self, raw: Mapping[str, Any], *, at: datetime) -> None:
        """Let mentions and searches contain *raw* instead of a post."""
        new = int(self.say(f"@{BRAND.handle} spoilt", at=at))
        self.tweets[new] = replace(self.tweets[new], raw={"id": str(new), **raw})

    # What X says

    def is_write(self, method: str, path: str) -> bool:
        return (method == "POST" and path == "/2/tweets") or method == "DELETE"

    def limit_headers(self, until: datetime) -> Mapping[str, str]:
        return {
            "x-rate-limit-limit": "450",
            "x-rate-limit-remaining": "0",
            "x-rate-limit-reset": str(int(until.timestamp())),
        }

    def error_body(self, status: int) -> bytes:
        titles = {401: "Unauthorized", 402: "CreditsDepleted", 403: "Forbidden", 429: "Too Many Requests"}
        title = titles.get(status, "Invalid Request")
        return orjson.dumps({"title": title, "detail": title, "type": "about:blank", "status": status})

    def trouble(self, trouble: Trouble, *, until: datetime | None = None) -> Fault:
        if trouble is Trouble.REJECTED:
            detail = "You are not permitted to perform this action."
            body = {"detail": detail, "type": "about:blank", "title": "Forbidden", "status": 403}
            return Fault(status=403, body=orjson.dumps(body), headers=JSON)
        return super().trouble(trouble, until=until)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/2/users/me", self._me)
        router.add_get("/2/users/by/username/{handle}", self._by_username)
        router.add_get("/2/users/{id}/mentions", self._mentions)
        router.add_get("/2/users/{id}/tweets", self._timeline)
        router.add_get("/2/tweets/search/recent", self._search)
        router.add_get("/2/tweets", self._lookup)
        router.add_post("/2/tweets", self._create)
        router.add_delete("/2/tweets/{id}", self._delete)

    async def _me(self, request: web.Request) -> web.Response:
        match self._caller(request):
            case "user":
                return answer({"data": self._user(BRAND, request)}, headers=self._limits(75))
            case "app":
                kind = PROBLEMS + "unsupported-authentication"
                return problem(403, "Unsupported Authentication", "This endpoint needs a user context.", kind)
        return self._unauthorized()

    async def _by_username(self, request: web.Request) -> web.Response:
        if not self._caller(request):
            return self._unauthorized()
        handle = request.match_info["handle"].lower()
        for person in self.people.values():
            if person.handle.lower() == handle:
                return answer({"data": self._user(person, request)}, headers=self._limits(300))
        return answer({"errors": [self._missing("username", handle, "user")]}, headers=self._limits(300))

    async def _mentions(self, request: web.Request) -> web.Response:
        who = request.match_info["id"]
        named = [tweet for tweet in self._visible() if any(person.id == who for person in self._mentioned(tweet))]
        return self._listing(request, sorted(named, key=lambda tweet: tweet.id)[-MENTION_CAP:], least=5)

    async def _timeline(self, request: web.Request) -> web.Response:
        who = request.match_info["id"]
        return self._listing(request, [tweet for tweet in self._visible() if tweet.author.id == who], least=5)

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query.get("query", "")
        if not 1 <= len(query) <= 512:
            return problem(400, "Invalid Request", "query must be 1 to 512 characters", PROBLEMS + "invalid-request")
        oldest = self.clock() - WEEK
        since = request.query.get("since_id")
        if since and int(since) < snowflake(oldest):
            return problem(400, "Invalid Request", "'since_id' is older than seven days", PROBLEMS + "invalid-request")
        start = request.query.get("start_time")
        if start and not since and datetime.fromisoformat(start) < oldest:
            return problem(400, "Invalid Request", "'start_time' is older than 7 days", PROBLEMS + "invalid-request")
        found = [tweet for tweet in self._visible() if tweet.at >= oldest and self._matches(tweet, query)]
        return self._listing(request, found, least=10, token="next_token")

    async def _lookup(self, request: web.Request) -> web.Response:
        if not self._caller(request):
            return self._unauthorized()
        wanted = [each for each in request.query.get("ids", "").split(",") if each]
        if not 1 <= len(wanted) <= 100 or not all(each.isdigit() for each in wanted):
            return problem(400, "Invalid Request", "ids must be 1 to 100 numbers", PROBLEMS + "invalid-request")
        there, errors = [], []
        visible = {tweet.id: tweet for tweet in self._visible(versions=True)}
        for each in wanted:
            known = self.tweets.get(int(each))
            if known is not None and known.author.id in self.hidden:
                errors.append(self._missing("ids", each, "tweet", "Authorization Error", "not-authorized-for-resource"))
            elif int(each) in visible:
                there.append(visible[int(each)])
            else:
                errors.append(self._missing("ids", each, "tweet"))
        body = self._body(request, there)
        if errors:
            body["errors"] = errors
        return answer(body, headers=self._limits(3500))

    async def _create(self, request: web.Request) -> web.Response:
        match self._caller(request):
            case "app":
                kind = PROBLEMS + "unsupported-authentication"
                return problem(403, "Unsupported Authentication", "This endpoint needs a user context.", kind)
            case None:
                return self._unauthorized()
        raw = await request.read()
        body = orjson.loads(raw)
        text, reply = str(body["text"]), body.get("reply") or {}
        parent = str(reply["in_reply_to_tweet_id"]) if reply else None
        if overrun(text):
            return problem(403, "Forbidden", "Your Tweet text is too long.")
        for entry in self.ledger:
            if entry.text == text and (self.duplicates_anywhere or entry.parent == parent):
                return problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")
        if parent is not None:
            target = self.tweets.get(int(parent))
            if target is None:
                detail = "You attempted to reply to a Tweet that is deleted or not visible to you."
                return problem(403, "Forbidden", detail)
            if self.self_serve and not self._summons(target):
                return problem(403, "Forbidden", "You are not permitted to perform this action.")
        now = self.clock()
        without = reply.get("exclude_reply_user_ids", ())
        surfaces = now + self.lag if self.lag else None
        new = self.say(text, at=now, author=BRAND, reply_to=parent, surfaces_at=surfaces, without=without)
        self.accept(request.path, new_id=new, text=text, parent=parent, body=raw)
        shown = self._wire(self.tweets[int(new)], frozenset())
        return answer({"data": shown}, status=201, headers=self._limits(100))

    async def _delete(self, request: web.Request) -> web.Response:
        if self._caller(request) != "user":
            return self._unauthorized()
        known = self.tweets.get(int(request.match_info["id"]))
        if known is not None and known.author.id != BRAND.id:
            return problem(403, "Forbidden", "You are not authorized to delete this Tweet.")
        if known is not None:
            self.delete(request.match_info["id"])
        return answer({"data": {"deleted": True}}, headers=self._limits(50))

    # Parts of answers

    def _listing(
        self, request: web.Request, tweets: list[Tweet], *, least: int, token: str = "pagination_token"
    ) -> web.Response:
        if not self._caller(request):
            return self._unauthorized()
        query = request.query
        asked = int(query.get("max_results", "10"))
        if not least <= asked <= 100:
            kind = PROBLEMS + "invalid-request"
            return problem(400, "Invalid Request", f"max_results is not between {least} and 100", kind)
        if "since_id" in query:
            tweets = [tweet for tweet in tweets if tweet.id > int(query["since_id"])]
        elif "start_time" in query:
            start = datetime.fromisoformat(query["start_time"])
            tweets = [tweet for tweet in tweets if tweet.at >= start]
        if "until_id" in query:
            tweets = [tweet for tweet in tweets if tweet.id < int(query["until_id"])]
        if token in query:
            tweets = [tweet for tweet in tweets if tweet.id < int(query[token].removeprefix("tok"), 36)]
        tweets.sort(key=lambda tweet: tweet.id, reverse=True)
        shown, rest = tweets[: min(asked, self.page_limit)], tweets[min(asked, self.page_limit) :]
        meta: dict[str, Any] = {"result_count": len(shown)}
        if shown:
            meta |= {"newest_id": str(shown[0].id), "oldest_id": str(shown[-1].id)}
        if rest:
            meta["next_token"] = f"tok{_base36(shown[-1].id)}"
        again = [tweet for tweet in shown for _ in range(2 if tweet.id in self.twice else 1)]
        return answer({**self._body(request, again), "meta": meta}, headers=self._limits(450))

    def _body(self, request: web.Request, tweets: list[Tweet]) -> dict[str, Any]:
        fields = frozenset(request.query.get("tweet.fields", "").split(","))
        expansions = request.query.get("expansions", "").split(",")
        body: dict[str, Any] = {}
        if tweets:
            body["data"] = [dict(tweet.raw) if tweet.raw else self._wire(tweet, fields) for tweet in tweets]
        includes: dict[str, Any] = {}
        people = {tweet.author.id: tweet.author for tweet in tweets}
        if "referenced_tweets.id" in expansions:
            near = {ref for tweet in tweets for ref in (tweet.replied_to, tweet.quoted, tweet.retweeted) if ref}
            known = [self.tweets[ref] for ref in sorted(near) if ref in self.tweets]
            includes["tweets"] = [self._wire(tweet, fields) for tweet in known]
            if "referenced_tweets.id.author_id" in expansions:
                people |= {tweet.author.id: tweet.author for tweet in known}
        if "author_id" in expansions:
            includes["users"] = [self._user(person, request) for person in people.values()]
        return {**body, **({"includes": includes} if includes else {})}

    def _wire(self, tweet: Tweet, fields: frozenset[str]) -> dict[str, Any]:
        carried = "".join(f"@{person.handle} " for person in tweet.carried)
        whole, urls = self._shorten(tweet)
        text = carried + html.escape(whole, quote=False)
        entities = {"mentions": self._mention_entities(text), "urls": urls}
        history = self.versions.get(tweet.id, [tweet.id])
        out: dict[str, Any] = {"id": str(tweet.id), "edit_history_tweet_ids": [str(each) for each in history]}
        if overrun(whole):
            cut = html.escape(whole[:240], quote=False) + "… https://t.co/longer0001"
            out["text"] = carried + cut
            if "note_tweet" in fields:
                out["note_tweet"] = {"text": text, "entities": entities}
        else:
            out["text"] = text
        refs = [("replied_to", tweet.replied_to), ("quoted", tweet.quoted), ("retweeted", tweet.retweeted)]
        parent = self.tweets.get(tweet.replied_to) if tweet.replied_to else None
        optional: dict[str, Any] = {
            "author_id": tweet.author.id,
            "conversation_id": str(tweet.conversation),
            "created_at": tweet.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "display_text_range": [len(carried), len(out["text"])],
            "entities": {key: value for key, value in entities.items() if value},
            "lang": "en",
            "reply_settings": "everyone",
        }
        if any(ref for _, ref in refs):
            optional["referenced_tweets"] = [{"type": kind, "id": str(ref)} for kind, ref in refs if ref]
        if parent is not None:
            optional["in_reply_to_user_id"] = parent.author.id
        out |= {key: value for key, value in optional.items() if key in fields}
        return {**out, **tweet.extra}

    def _shorten(self, tweet: Tweet) -> tuple[str, list[dict[str, Any]]]:
        urls: list[dict[str, Any]] = []

        def short(link: re.Match[str]) -> str:
            url = f"https://t.co/{_base36(tweet.id)[-8:]}{len(urls)}"
            shown = link[0].split("://")[1]
            shown = shown if len(shown) <= 27 else shown[:26] + "…"
            urls.append({"start": 0, "end": 23, "url": url, "expanded_url": link[0], "display_url": shown})
            return url

        text = tweet.text
        if tweet.quoted and tweet.quoted in self.tweets:
            quoted = self.tweets[tweet.quoted]
            text += f" https://twitter.com/{quoted.author.handle}/status/{quoted.id}"
        return LINK.sub(short, text), urls

    def _mention_entities(self, text: str) -> list[dict[str, Any]]:
        return [
            {"start": at.start(), "end": at.end(), "username": at[1], "id": self.by_handle[at[1].lower()].id}
            for at in HANDLE.finditer(text)
            if at[1].lower() in self.by_handle
        ]

    def _named(self, text: str) -> list[Person]:
        handles = (at[1].lower() for at in HANDLE.finditer(text))
        return [self.by_handle[handle] for handle in handles if handle in self.by_handle]

    def _mentioned(self, tweet: Tweet) -> list[Person]:
        return [*tweet.carried, *self._named(tweet.text)]

    def _summons(self, tweet: Tweet) -> bool:
        quoted = self.tweets.get(tweet.quoted) if tweet.quoted else None
        replied = self.tweets.get(tweet.replied_to) if tweet.replied_to else None
        return (
            BRAND in self._named(tweet.text)
            or (quoted is not None and quoted.author.id == BRAND.id)
            or (replied is not None and replied.author.id == BRAND.id)
        )

    def _visible(self, *, versions: bool = False) -> list[Tweet]:
        """Return what anybody may see now. versions: old ones too, which X gives by id only."""
        now = self.clock()
        return [
            tweet
            for tweet in list(self.tweets.values())
            if (tweet.surfaces_at or tweet.at) <= now
            and tweet.author.id not in self.hidden
            and (versions or tweet.id == self.versions[tweet.id][-1])
        ]

    def _matches(self, tweet: Tweet, query: str) -> bool:
        text = " ".join([*(f"@{person.handle}" for person in tweet.carried), tweet.text]).lower()
        for term in query.lower().split():
            match term.partition(":"):
                case ("conversation_id", ":", number):
                    fits = str(tweet.conversation) == number
                case ("from", ":", handle):
                    fits = tweet.author.handle.lower() == handle
                case ("-is", ":", "retweet"):
                    fits = tweet.retweeted is None
                case _:
                    fits = term.strip('"') in text
            if not fits:
                return False
        return True

    def _user(self, person: Person, request: web.Request) -> dict[str, Any]:
        user: dict[str, Any] = {"id": person.id, "name": person.name or person.handle, "username": person.handle}
        if "public_metrics" in request.query.get("user.fields", "").split(","):
            user["public_metrics"] = {"followers_count": 42, "following_count": 7, "tweet_count": 99, "listed_count": 0}
        return user

    def _missing(
        self,
        parameter: str,
        value: str,
        kind: str,
        title: str = "Not Found Error",
        name: str = "resource-not-found",
    ) -> dict[str, str]:
        return {
            "value": value,
            "detail": f"Could not find {kind} with {parameter}: [{value}].",
            "title": title,
            "resource_type": kind,
            "parameter": parameter,
            "resource_id": value,
            "type": PROBLEMS + name,
        }

    def _limits(self, limit: int) -> dict[str, str]:
        reset = int(self.clock().timestamp()) + 900
        return {
            "x-rate-limit-limit": str(limit),
            "x-rate-limit-remaining": str(limit - 1),
            "x-rate-limit-reset": str(reset),
        }

    def _unauthorized(self) -> web.Response:
        return problem(401, "Unauthorized", "Unauthorized")

    def _caller(self, request: web.Request) -> str | None:
        """Return who asks: "app", "user", or None for nobody we know."""
        header = request.headers.get("Authorization", "")
        if header == f"Bearer {BEARER}":
            return "app"
        if header == f"Bearer {USER_TOKEN}":
            return "user"
        return "user" if header.startswith("OAuth ") and self._is_signed(request, header) else None

    def _is_signed(self, request: web.Request, header: str) -> bool:
        # X signs over the public address, whatever host a proxy in between has.
        url = f"https://api.twitter.com{request.raw_path}"
        signed = SignedRequest(url, request.method, b"", {"Authorization": header})
        given = dict(signature.collect_parameters(headers={"Authorization": header}, exclude_oauth_signature=False))
        if given.get("oauth_consumer_key") != CONSUMER_KEY or given.get("oauth_token") != ACCESS_TOKEN:
            return False
        signed.params = signature.collect_parameters(
            uri_query=request.raw_path.partition("?")[2], headers={"Authorization": header}
        )
        signed.signature = given.get("oauth_signature")
        return bool(signature.verify_hmac_sha1(signed, CONSUMER_SECRET, ACCESS_SECRET))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits
