"""Answers that X gave to others, through the same connector; and twitter-text's own conformance cases.

The recordings were asked for without any fields, so their posts name no author: as recorded they are set aside. Each
test says whether it plays them so or completed with the author that our requests ask for.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import yaml
from aiohttp import web
from yarl import URL

from connectors.channels.x import XConnector, XSettings
from connectors.channels.x.posts import read_all
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post, Reply
from tests.networks.clock import HandClock
from tests.networks.faults import JSON, Network, serve_in_thread

SHARED = Path(os.environ.get("HARKEN_SHARED", "")) / "data" / "recorded"
pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif("HARKEN_SHARED" not in os.environ, reason="HARKEN_SHARED names no folder of recorded answers"),
]
AUTHOR = {"id": "5501", "username": "somebody", "name": "Some Body"}
USER_KEYS = dict.fromkeys(("consumer_key", "consumer_secret", "access_token", "access_token_secret"), "key")


class Turn(NamedTuple):
    """One recorded answer."""

    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes


@cache
def recorded(name: str) -> list[Turn]:
    """Return the answers in one cassette."""
    found = []
    for turn in yaml.safe_load((SHARED / "x" / "v2" / f"test_asyncclient_{name}.yaml").read_text())["interactions"]:
        asked, given = turn["request"], turn["response"]
        body = given["body"]["string"]
        body = body if isinstance(body, bytes) else body.encode()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        headers = {key.lower(): values[0] for key, values in given["headers"].items()}
        path = URL(asked["uri"]).path
        found.append(Turn(asked["method"], path, int(given["status"]["code"]), headers, body))
    return found


class Recorded(Network):
    """Plays cassettes by method and path, gzipped as X did; what follows a recorded page is an empty one."""

    def __init__(self, *names: str, complete: bool) -> None:
        super().__init__(clock=HandClock())
        self.turns = {(turn.method, turn.path): turn for name in names for turn in recorded(name)}
        self.complete = complete

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/{path:.*}", self._play)

    async def _play(self, request: web.Request) -> web.Response:
        if "pagination_token" in request.query or "next_token" in request.query:
            return web.Response(body=b'{"meta":{"result_count":0}}', headers=JSON)
        turn = self.turns[request.method, request.path]
        body = turn.body
        if self.complete and request.method == "GET":
            answer = orjson.loads(body)
            is_own = request.path.startswith("/2/users/") and request.path.endswith("/tweets")
            for item in answer["data"] if isinstance(answer["data"], list) else ():
                item["author_id"] = request.path.split("/")[3] if is_own else AUTHOR["id"]
            body = orjson.dumps({**answer, "includes": {"users": [AUTHOR]}})
        kept = {key: value for key, value in turn.headers.items() if key.startswith(("x-rate", "content-type"))}
        packed = {**kept, "Content-Encoding": "gzip", "Set-Cookie": "guest_id=PLACEHOLDER; Path=/"}
        return web.Response(body=gzip.compress(body), status=turn.status, headers=packed)


def texts(name: str) -> dict[str, str]:
    """Return id -> text of the recorded posts, unescaped by hand."""
    data = orjson.loads(recorded(name)[0].body)["data"]
    return {each["id"]: each["text"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for each in data}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Iterator[Recorded]:
    names, complete = request.param
    with serve_in_thread(Recorded(*names, complete=complete)) as network:
        yield network


@pytest.fixture
async def listener(network: Recorded, clock: HandClock) -> AsyncIterator[XConnector]:
    settings = XSettings(kind="x", base_url=network.base_url, bearer_token="t", handle="Twitter", queries=("Tweepy",))
    async with XConnector(name="brand-x", settings=settings, clock=clock) as connector:
        yield connector


@pytest.mark.parametrize("network", [(("get_user", "get_users_mentions"), False)], indirect=True)
async def test_recorded_mentions_without_authors_are_set_aside_and_the_cursor_moves_on(listener: XConnector) -> None:
    page = await listener.fetch("mentions", None)
    assert page.posts == []
    assert {orjson.loads(each.raw)["id"] for each in page.bad} == set(texts("get_users_mentions"))
    assert all(each.reason == "author_id is missing or no number" for each in page.bad)
    assert max(texts("get_users_mentions")) in page.cursor


@pytest.mark.parametrize("network", [(("get_user", "get_users_mentions"), True)], indirect=True)
async def test_recorded_mentions_are_heard(listener: XConnector) -> None:
    page = await listener.fetch("mentions", None)
    expected = texts("get_users_mentions")
    assert [post.id for post in page.posts] == sorted(expected, key=int)
    assert {post.id: post.text for post in page.posts} == expected
    assert all(post.addressed for post in page.posts)
    assert {post.created_at.date().isoformat() for post in page.posts} == {"2022-10-07"}


@pytest.mark.parametrize("network", [(("get_user", "search_recent_tweets"), True)], indirect=True)
async def test_a_recorded_search_is_heard(listener: XConnector) -> None:
    page = await listener.fetch("search:Tweepy", None)
    expected = texts("search_recent_tweets")
    assert len(expected) == 10
    assert [post.id for post in page.posts] == sorted(expected, key=int)
    assert {post.id: post.text for post in page.posts} == expected


@pytest.mark.parametrize("network", [(("get_user", "get_tweets"), True)], indirect=True)
async def test_recorded_posts_are_still_there(listener: XConnector) -> None:
    expected = texts("get_tweets")
    found = await listener.still_there(list(expected))
    assert {post_id: post.text for post_id, post in found.items() if post} == expected


@pytest.mark.parametrize("network", [(("get_user", "get_users_tweets"), True)], indirect=True)
async def test_a_recorded_timeline_does_not_hold_what_was_never_said(
    listener: XConnector, network: Recorded, clock: HandClock
) -> None:
    (first, *_) = texts("get_users_tweets").items()
    target = Post(
        channel="x", id=first[0], author=Author(channel="x", id="1", handle="a"), text="?", created_at=clock.now
    )
    assert await listener.find(Reply(key="k1", target=target, text=first[1], created_at=clock.now)) is None
    assert any(seen.path == "/2/users/783214/tweets" for seen in network.requests)


@pytest.mark.parametrize("network", [(("get_me", "create_and_delete_tweet"), False)], indirect=True)
async def test_a_recorded_write_is_sent(network: Recorded, clock: HandClock) -> None:
    settings = XSettings(kind="x", base_url=network.base_url, **USER_KEYS)
    target = Post(channel="x", id="15", author=Author(channel="x", id="1", handle="a"), text="?", created_at=clock.now)
    async with XConnector(name="brand-x", settings=settings, clock=clock) as connector:
        me = await connector.identity()
        sent = await connector.send(Reply(key="k1", target=target, text="Test Tweet", created_at=clock.now))
    assert (me.id, me.handle) == ("1072250532645998596", "TweepyDev")
    assert sent.id == "1522929456142245888"
    assert "Cookie" not in network.requests[-1].headers


def test_a_recorded_timeline_is_read_whole() -> None:
    answer = orjson.loads(recorded("get_home_timeline")[0].body)
    for each in answer["data"]:
        each["author_id"] = AUTHOR["id"]
    reads, bad = read_all({**answer, "includes": {"users": [AUTHOR]}}, Author(channel="x", id="1", handle="nobody"))
    assert bad == []
    expected = texts("get_home_timeline")
    assert {each.version: each.post.text for each in reads} == {key: text.strip() for key, text in expected.items()}
    edited = [each for each in reads if each.post.edited_at is not None]
    assert [(each.version, each.post.id) for each in edited] == [("1577162244978139137", "1577158996984987648")]


@pytest.mark.parametrize("name", ["get_mentions", "get_search", "status_quoted_tweet"])
def test_objects_of_the_old_api_are_set_aside_and_not_misread(name: str) -> None:
    old = orjson.loads((SHARED / "x" / "v1.1" / f"{name}.json").read_bytes())
    items = old if isinstance(old, list) else old.get("statuses", [old])
    reads, bad = read_all({"data": items}, Author(channel="x", id="1", handle="nobody"))
    assert reads == []
    assert len(bad) == len(items) > 0


# twitter-text: docs.x.com/fundamentals/counting-characters; the cases are grouped by the configuration they belong to.
# X counts with version 3. The two cases below expect version 2, where each code point of an emoji counts by itself; the
# library knows version 3 alone. Two more expect version 1, a limit of 140.
VERSION_2_ONLY = {
    "Count a mix of single byte single word, and double word unicode characters",
    "Count unicode emoji chars outside the basic multilingual plane with skin tone modifiers",
}
VERSION_1_ONLY = {"Invalid Tweet: 141 characters", "Invalid Tweet: 141 characters (due to newline)"}
WEIGHTED = (
    "WeightedTweetsCounterTest",
    "WeightedTweetsWithDiscountedEmojiCounterTest",
    "UnicodeDirectionalMarkerCounterTest",
)


@cache
def vectors() -> dict[str, Any]:
    path = SHARED / "twitter-text" / "validate.yml"
    tests: dict[str, Any] = yaml.safe_load(path.read_text())["tests"] if path.exists() else {}
    return tests


@pytest.mark.parametrize(
    ("group", "case"),
    [
        pytest.param(
            group,
            case,
            id=f"{group}: {case['description']}",
            marks=[pytest.mark.xfail(strict=True, reason="counts as version 2 did")]
            if group == "WeightedTweetsCounterTest" and case["description"] in VERSION_2_ONLY
            else [],
        )
        for group in WEIGHTED
        for case in vectors().get(group, [])
    ],
)
def test_a_text_weighs_what_x_says(group: str, case: dict[str, Any]) -> None:
    rule = LengthRule(unit=Unit.WEIGHTED, limit=280, url_cost=23)
    assert rule.measure(case["text"]) == case["expected"]["weightedLength"]
    assert rule.overrun(case["text"]) == max(0, case["expected"]["weightedLength"] - 280)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case["description"],
            marks=[pytest.mark.xfail(strict=True, reason="the limit was 140 until 2017")]
            if case["description"] in VERSION_1_ONLY
            else [],
        )
        for case in vectors().get("tweets", [])
    ],
)
def test_a_text_fits_as_x_says(case: dict[str, Any]) -> None:
    rule = LengthRule(unit=Unit.WEIGHTED, limit=280, url_cost=23)
    assert (rule.measure(case["text"]) > 0 and rule.overrun(case["text"]) == 0) is case["expected"]


def test_the_recorded_cases_are_all_there() -> None:
    assert {group: len(vectors()[group]) for group in WEIGHTED} == dict(zip(WEIGHTED, (20, 22, 2), strict=True))
    assert len(vectors()["tweets"]) == 8
