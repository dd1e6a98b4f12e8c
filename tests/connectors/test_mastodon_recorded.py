"""Answers that real Mastodon servers gave, played to the connector by a server on loopback."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import yaml
from aiohttp import web
from yarl import URL

from connectors.channels.mastodon import CHANNEL, MastodonConnector
from connectors.errors import AuthFailed, RateLimited, Rejected
from connectors.post import Author, Post, PostKind, Reply
from tests.networks.clock import HandClock
from tests.networks.faults import JSON, Fault, Network, serve_in_thread

SHARED = Path(os.environ.get("HARKEN_SHARED", "")) / "data" / "recorded" / "mastodon"
pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif("HARKEN_SHARED" not in os.environ, reason="HARKEN_SHARED names no folder of recorded answers"),
]


class Turn(NamedTuple):
    """One recorded answer."""

    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes

    def fault(self) -> Fault:
        """Return the answer as the fake network gives it, with the headers a client may look at."""
        kept = {name: value for name, value in self.headers.items() if name.startswith(("x-ratelimit", "link", "date"))}
        return Fault(status=self.status, body=self.body, headers={**JSON, **kept})


@cache
def recorded(name: str) -> list[Turn]:
    """Return the answers in one cassette."""
    turns = []
    for turn in yaml.safe_load((SHARED / f"{name}.yaml").read_text())["interactions"]:
        given = turn["response"]
        headers = {key.lower(): values[0] for key, values in given["headers"].items()}
        path = URL(turn["request"]["uri"]).path
        body = given["body"]["string"].encode()
        turns.append(Turn(turn["request"]["method"], path, int(given["status"]["code"]), headers, body))
    return turns


def turn_of(name: str, method: str, path: str) -> Turn:
    return next(turn for turn in recorded(name) if turn.method == method and path in turn.path)


@cache
def every_status() -> dict[str, dict[str, Any]]:
    """Return all statuses anywhere in the recordings, by id."""
    found: dict[str, dict[str, Any]] = {}

    def gather(value: object) -> None:
        if isinstance(value, dict):
            if {"content", "account", "visibility"} <= value.keys():
                found[value["id"]] = value
            for each in value.values():
                gather(each)
        elif isinstance(value, list):
            for each in value:
                gather(each)

    for path in sorted(SHARED.glob("*.yaml")):
        for turn in recorded(path.stem):
            if turn.body.startswith((b"{", b"[")):
                gather(json.loads(turn.body))
    return found


class Player(Network):
    """A server that has nothing but what the test lets it answer."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/{path:.*}", self._nothing)

    async def _nothing(self, request: web.Request) -> web.Response:
        return web.Response(body=b"[]", headers=JSON)

    def play(self, turn: Turn, *, path: str | None = None, times: int | None = 1) -> None:
        self.fail(turn.fault(), method=turn.method, path=path or turn.path, times=times)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network(clock: HandClock) -> Iterator[Player]:
    with serve_in_thread(Player(clock=clock)) as player:
        player.play(turn_of("test_account_lookup", "GET", "verify_credentials"), times=None)
        yield player


@pytest.fixture
async def connector(network: Player, clock: HandClock) -> AsyncIterator[MastodonConnector]:
    settings = CHANNEL.settings.model_validate(
        {
            "kind": "mastodon",
            "base_url": network.base_url,
            "access_token": "PLACEHOLDER",
            "queries": ["#hoot", "mastodonpy_test"],
            "lookback_s": timedelta(days=3_650).total_seconds(),
        }
    )
    made = CHANNEL.connect(name="recorded", settings=settings, clock=clock)
    assert isinstance(made, MastodonConnector)
    async with made:
        yield made


def a_post(status: dict[str, Any]) -> Post:
    """Return a target for replies, as if read before."""
    author = Author(channel="mastodon", id=status["account"]["id"], handle=status["account"]["acct"])
    facts = {"acct": status["account"]["acct"], "visibility": "public"}
    at = HandClock().now
    return Post(channel="mastodon", id=status["id"], author=author, text="x", created_at=at, facts=facts)


async def test_every_recorded_status_is_a_post(connector: MastodonConnector, network: Player) -> None:
    statuses = every_status()
    assert len(statuses) > 30
    turn = turn_of("test_hashtag_tl", "GET", "timelines/tag")
    network.play(turn._replace(body=orjson.dumps(list(statuses.values()))))
    page = await connector.fetch("search:#hoot", None)
    assert page.bad == []
    posts = {post.id: post for post in page.posts}
    assert posts.keys() == statuses.keys()
    for each, status in statuses.items():
        post = posts[each]
        assert post.parent_id == status["in_reply_to_id"]
        assert (post.kind is PostKind.REPLY) == bool(status["in_reply_to_id"])
        assert post.is_private == (status["visibility"] == "direct")
        assert post.url == status["url"]
        assert (post.edited_at is None) == (status["edited_at"] is None)
        assert "@" in post.author.handle
        # Another road to the same words: without tags and addresses, letter for letter what the HTML says.
        words = re.sub(r"<(?:/p|br)[^>]*>", " ", status["content"])
        words = html.unescape(re.sub(r"<[^>]+>", "", words))
        assert squeezed(post.text) == squeezed(words)


def squeezed(words: str) -> str:
    return re.sub(r"\s|https?://\S+|@[\w.@-]+", "", words)


async def test_recorded_mentions_and_what_is_left_of_deleted_ones(
    connector: MastodonConnector, network: Player
) -> None:
    turn = turn_of("test_entity_notification", "GET", "/api/v1/notifications")
    rows = [row for row in json.loads(turn.body) if row["type"] == "mention"]
    network.play(turn._replace(body=orjson.dumps(rows)))
    page = await connector.fetch("mentions", None)
    assert page.bad == []
    assert {post.id for post in page.posts} == {row["status"]["id"] for row in rows if row["status"]}
    assert any(row["status"] is None for row in rows)
    network.play(turn_of("test_notifications_mentions_only", "GET", "/api/v1/notifications"))
    page = await connector.fetch("mentions", None)
    assert [post.text for post in page.posts] == ["@mastodonpy_test@localhost hello!"]
    assert page.posts[0].addressed


async def test_a_recorded_search(connector: MastodonConnector, network: Player) -> None:
    network.play(recorded("test_search")[2])
    page = await connector.fetch("search:mastodonpy_test", None)
    assert [post.id for post in page.posts] == [
        each["id"] for each in json.loads(recorded("test_search")[2].body)["statuses"]
    ]


@pytest.mark.parametrize("name", ["test_status_context", "test_entity_context"])
async def test_a_recorded_thread(connector: MastodonConnector, network: Player, name: str) -> None:
    turn = turn_of(name, "GET", "/context")
    network.play(turn)
    post_id = turn.path.split("/")[-2]
    target = a_post({"id": post_id, "account": {"id": "1", "acct": "x"}})
    above = [post.id for post in await connector.thread(target)]
    assert above == [each["id"] for each in json.loads(turn.body)["ancestors"]]


async def test_a_recorded_absence_is_gone(connector: MastodonConnector, network: Player) -> None:
    """A server of before 4.3: no look-up of several, then one by one."""
    missing = turn_of("test_status_missing", "GET", "/api/v1/statuses/0")
    path = "/api/v1/statuses/117020586180926938"
    edited = next(turn for turn in recorded("test_status_edit") if (turn.method, turn.path) == ("GET", path))
    network.play(missing)
    network.play(edited)
    network.play(missing._replace(path="/api/v1/statuses"))
    there = await connector.still_there(["117020586180926938", "0"])
    post = there["117020586180926938"]
    assert there["0"] is None
    assert post is not None
    assert post.edited_at is not None


async def test_a_recorded_reply_is_sent_and_found(connector: MastodonConnector, network: Player) -> None:
    said = [turn for turn in recorded("test_status_reply") if turn.method == "POST"]
    target, answer = (json.loads(turn.body) for turn in said)
    network.play(said[1])
    text = html.unescape(re.sub(r"<[^>]+>", "", answer["content"])).partition(" ")[2]
    reply = Reply(key="k", target=a_post(target), text=text, created_at=a_post(target).created_at)
    sent = await connector.send(reply)
    assert sent.id == answer["id"]
    account = json.loads(turn_of("test_account_lookup", "GET", "verify_credentials").body)
    ours = {**answer, "account": {**answer["account"], "id": account["id"]}}
    thread = orjson.dumps({"ancestors": [], "descendants": [ours]})
    network.fail(Fault(status=200, body=thread, headers=JSON), path=f"/api/v1/statuses/{target['id']}/context")
    assert await connector.find(reply) == sent


@pytest.mark.parametrize("name", ["test_status_empty", "test_lang_for_errors"])
async def test_a_recorded_refusal_is_for_good(connector: MastodonConnector, network: Player, name: str) -> None:
    network.play(turn_of(name, "POST", "/api/v1/statuses"))
    target = a_post({"id": "1", "account": {"id": "1", "acct": "x"}})
    with pytest.raises(Rejected):
        await connector.send(Reply(key="k", target=target, text="x", created_at=target.created_at))


async def test_a_recorded_401_stops_the_source(connector: MastodonConnector, network: Player) -> None:
    turn = turn_of("test_unauthed_home_tl_throws", "GET", "/api/v1/timelines/home")
    assert turn.status == 401
    network.play(turn, path="/api/v1/notifications")
    with pytest.raises(AuthFailed):
        await connector.fetch("mentions", None)


async def test_a_recorded_limit_header_is_understood(
    connector: MastodonConnector, network: Player, clock: HandClock
) -> None:
    headers = recorded("test_status_missing")[0].headers
    clock.now = clock.now.replace(year=2022)
    network.play(Turn("GET", "/api/v1/notifications", 429, headers, b'{"error":"Too many requests"}'))
    with pytest.raises(RateLimited) as caught:
        await connector.fetch("mentions", None)
    assert caught.value.until is not None


@pytest.mark.parametrize("name", ["test_instance", "test_entity_instanceconfigurationv2", "test_hashtag_tl"])
async def test_a_recorded_length_rule_is_learnt(connector: MastodonConnector, network: Player, name: str) -> None:
    turn = turn_of(name, "GET", "/api/v2/instance")
    network.play(turn)
    await connector.fetch("mentions", None)
    rules = json.loads(turn.body)["configuration"]["statuses"]
    length = connector.capabilities.length
    assert length is not None
    assert (length.limit, length.url_cost) == (rules["max_characters"], rules["characters_reserved_per_url"])
