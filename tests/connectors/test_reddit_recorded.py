"""Answers that Reddit really gave, played on loopback to the same connector.

The recordings are read from $HARKEN_SHARED/data/recorded/reddit/praw and are no part of the project. What a recording
does not hold (who we are, an inbox that was not asked) is answered with what Reddit gives for nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from connectors.channels.reddit import RedditConnector, RedditSettings, connect
from connectors.errors import AuthFailed, Unavailable
from connectors.post import Author, Post, PostKind, Reply
from tests.networks.clock import HandClock
from tests.networks.faults import Network, answer, serve_in_thread

FOLDER = Path(os.environ.get("HARKEN_SHARED", "")) / "data/recorded/reddit/praw"
US = "<USERNAME>"  # as the recordings call the account that made them
NOTHING = {"kind": "Listing", "data": {"modhash": "", "children": [], "after": None, "before": None}}

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(
        "HARKEN_SHARED" not in os.environ or not FOLDER.is_dir(),
        reason="set HARKEN_SHARED to the folder that holds data/recorded",
    ),
]


@dataclass(frozen=True, slots=True)
class Take:
    """One recorded exchange."""

    method: str
    path: str
    query: dict[str, str]
    status: int
    headers: dict[str, str]
    body: str


def takes(name: str) -> list[Take]:
    """Return the exchanges of the recording called *name*."""
    found = []
    for each in json.loads((FOLDER / f"{name}.json").read_text())["interactions"]:
        url = urlsplit(each["request"]["uri"])
        kept = ("www-authenticate", "location", "x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset")
        found.append(
            Take(
                method=each["request"]["method"],
                path=url.path,
                query={key: values[0] for key, values in parse_qs(url.query).items()},
                status=each["response"]["status"]["code"],
                headers={
                    key.lower(): values[0] for key, values in each["response"]["headers"].items() if key.lower() in kept
                },
                body=each["response"]["body"]["string"],
            )
        )
    return found


class Player(Network):
    """Gives the recorded answer for a method, a path and, where ids were asked for, the ids."""

    def __init__(self, played: list[Take]) -> None:
        super().__init__()
        self.played = played

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/{path:.*}", self._play)

    async def _play(self, request: web.Request) -> web.Response:
        for take in self.played:
            if (take.method, take.path) != (request.method, request.path):
                continue
            if "id" in take.query and take.query["id"] != request.query.get("id"):
                continue
            kind = {"content-type": "application/json; charset=UTF-8"}
            return web.Response(status=take.status, body=take.body.encode(), headers=take.headers | kind)
        match request.path:
            case "/api/v1/access_token":
                return answer({"access_token": "t", "token_type": "bearer", "expires_in": 3600, "scope": "*"})
            case "/api/v1/me":
                return answer({"id": "us000", "name": US})
            case _:
                return answer(NOTHING)


@pytest.fixture
async def stage() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def clock() -> HandClock:
    return HandClock(now=datetime(2025, 7, 1, tzinfo=UTC))


async def play(stage: AsyncExitStack, clock: HandClock, played: list[Take]) -> tuple[RedditConnector, Player]:
    """Return a connector on a Reddit that plays *played*."""
    player = stage.enter_context(serve_in_thread(Player(played)))
    settings = RedditSettings(
        client_id="recorded",
        client_secret="recorded",
        username=US,
        password="recorded",
        user_agent="linux:org.example.harken:v1",
        reddit_url=player.base_url,
        oauth_url=player.base_url,
        lookback_s=timedelta(days=5_000).total_seconds(),
        max_first_pages=1,
    )
    return await stage.enter_async_context(connect(name="recorded", settings=settings, clock=clock)), player


def recorded_children(take: Take) -> list[dict[str, Any]]:
    return [child["data"] for child in json.loads(take.body)["data"]["children"]]


@pytest.mark.parametrize(
    ("name", "stream", "count"),
    [
        ("TestInbox.test_mentions", "mentions", 16),
        ("TestInbox.test_comment_replies", "mentions", 64),
        ("TestSubreddit.test_search", "search:praw oauth search", 6),
        ("TestSubredditListings.test_comments", "subreddit:askreddit", 100),
        ("TestSubredditStreams.test_comments__with_pause", "subreddit:kakapo", 0),
    ],
)
async def test_every_item_of_a_recorded_listing_becomes_a_post(
    stage: AsyncExitStack, clock: HandClock, name: str, stream: str, count: int
) -> None:
    played = takes(name)
    connector, _ = await play(stage, clock, played)
    page = await connector.fetch(stream, None)
    listing = {data["name"]: data for take in played[1:2] for data in recorded_children(take)}
    gone = {name for name, data in listing.items() if data["author"] == "[deleted]"}
    assert not page.bad
    assert {post.id for post in page.posts} == set(listing) - gone
    assert set(page.deleted) == gone
    assert len(listing) == count or (not count and listing)
    times = [post.created_at for post in page.posts]
    assert times == sorted(times)
    for post in page.posts:
        data = listing[post.id]
        assert post.author.handle == data["author"]
        assert post.created_at.timestamp() == data["created_utc"]
        assert post.place == f"r/{data['subreddit']}"
        assert post.parent_id == data.get("parent_id")
        assert post.root_id is not None
        assert post.root_id.startswith("t3_")
        assert post.url is None or post.url.startswith(f"https://www.reddit.com/r/{data['subreddit']}/comments/")
        assert post.text or post.title
        assert (post.kind is PostKind.POST) == post.id.startswith("t3_")
        if stream == "mentions":
            assert post.addressed != post.is_own


async def test_the_unread_inbox_has_the_same_shape(stage: AsyncExitStack, clock: HandClock) -> None:
    unread = next(take for take in takes("TestInbox.test_mark_read") if take.method == "GET")
    connector, _ = await play(stage, clock, [replace(unread, path="/message/comments/", query={})])
    page = await connector.fetch("mentions", None)
    assert not page.bad
    assert {post.id for post in page.posts} == {data["name"] for data in recorded_children(unread)}


async def test_a_recorded_comment_reads_as_it_stands(stage: AsyncExitStack, clock: HandClock) -> None:
    connector, _ = await play(stage, clock, takes("TestComment.test_attributes"))
    post = (await connector.still_there(["t1_cklhv0f"]))["t1_cklhv0f"]
    assert post is not None
    assert (post.kind, post.parent_id, post.root_id) == (PostKind.REPLY, "t1_cklfmye", "t3_2gmzqe")
    assert post.place == "r/redditdev"


@pytest.mark.parametrize(
    ("name", "post_id"),
    [
        ("TestComment.test_delete", "t1_d1616q2"),
        ("TestComment.test_invalid", "t1_0"),
        ("TestComment.test_refresh__deleted_comment", "t1_d7ltvl0"),
    ],
)
async def test_what_is_gone_there_is_gone_here(
    stage: AsyncExitStack, clock: HandClock, name: str, post_id: str
) -> None:
    connector, _ = await play(stage, clock, takes(name))
    assert await connector.still_there([post_id]) == {post_id: None}


async def test_a_deleted_submission_is_gone(stage: AsyncExitStack, clock: HandClock) -> None:
    take = takes("TestSubmission.test_delete")[-1]
    as_lookup = replace(take, path="/api/info/", query={"id": "t3_4b1tfm"}, body=json.dumps(json.loads(take.body)[0]))
    connector, _ = await play(stage, clock, [as_lookup])
    assert await connector.still_there(["t3_4b1tfm"]) == {"t3_4b1tfm": None}


async def test_a_chain_of_32_comments_is_walked_to_its_submission(stage: AsyncExitStack, clock: HandClock) -> None:
    connector, player = await play(stage, clock, takes("TestComment.test_parent__chain"))
    leaf = (await connector.still_there(["t1_dkk4qjd"]))["t1_dkk4qjd"]
    assert leaf is not None
    above = await connector.thread(leaf)
    assert above[0].id == "t3_6otocc"
    assert [post.text for post in (*above[1:], leaf)] == [str(number) for number in range(1, 33)]
    assert all(below.parent_id == post.id for post, below in pairwise((*above, leaf)))
    assert sum(seen.path.startswith("/comments/") for seen in player.requests) <= 5


async def test_a_thread_without_the_deleted_parent_is_its_submission(stage: AsyncExitStack, clock: HandClock) -> None:
    connector, _ = await play(stage, clock, takes("TestComment.test_refresh__deleted_comment"))
    post = replace(stranger(), parent_id="t1_d7ltvl0", root_id="t3_52o2fl")
    assert [above.id for above in await connector.thread(post)] == ["t3_52o2fl"]


async def test_a_comment_under_a_submission_knows_it(stage: AsyncExitStack, clock: HandClock) -> None:
    connector, _ = await play(stage, clock, takes("TestComment.test_parent__submission"))
    post = (await connector.still_there(["t1_cklfmye"]))["t1_cklfmye"]
    assert post is not None
    assert post.parent_id == post.root_id == "t3_2gmzqe"


@pytest.mark.parametrize(
    ("name", "target", "text", "sent"),
    [
        ("TestComment.test_reply", "t1_d1616q2", "Comment reply", "t1_d1680wu"),
        ("TestSubmission.test_reply", "t3_4b1tfm", "Test reply", None),
    ],
)
async def test_a_recorded_reply_is_sent_as_it_was_then(
    stage: AsyncExitStack, clock: HandClock, name: str, target: str, text: str, sent: str | None
) -> None:
    played = takes(name)
    connector, player = await play(stage, clock, played)
    reply = Reply(key="k", target=replace(stranger(), id=target), text=text, created_at=clock.now)
    done = await connector.send(reply)
    assert done.id == (sent or json.loads(played[-1].body)["json"]["data"]["things"][0]["data"]["name"])
    (seen,) = [each for each in player.requests if each.path == "/api/comment/"]
    assert parse_qs(seen.body.decode()) == {"api_type": ["json"], "thing_id": [target], "text": [text]}


async def test_a_recorded_reply_is_found_in_our_profile(stage: AsyncExitStack, clock: HandClock) -> None:
    thing = json.loads(takes("TestComment.test_reply")[-1].body)["json"]["data"]["things"][0]
    listing = {"kind": "Listing", "data": {"children": [thing], "after": None}}
    profile = Take("GET", f"/user/{US}/comments", {}, 200, {}, json.dumps(listing))
    connector, _ = await play(stage, clock, [profile])
    said_at = datetime.fromtimestamp(thing["data"]["created_utc"], UTC)
    reply = Reply(key="k", target=replace(stranger(), id="t1_d1616q2"), text="Comment reply", created_at=said_at)
    found = await connector.find(reply)
    assert found is not None
    assert found.id == "t1_d1680wu"
    assert await connector.find(replace(reply, text="Another")) is None


async def test_an_edited_comment_carries_its_time(stage: AsyncExitStack, clock: HandClock) -> None:
    thing = json.loads(takes("TestComment.test_edit")[-1].body)["json"]["data"]["things"][0]
    listing = {"kind": "Listing", "data": {"children": [thing], "after": None}}
    lookup = Take("GET", "/api/info/", {"id": thing["data"]["name"]}, 200, {}, json.dumps(listing))
    connector, _ = await play(stage, clock, [lookup])
    post = (await connector.still_there([thing["data"]["name"]]))[thing["data"]["name"]]
    assert post is not None
    assert post.text == "New text"
    assert post.is_own
    assert post.edited_at is not None
    assert post.edited_at > post.created_at


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("TestAuthImplicit.test_implicit__with_invalid_token", AuthFailed),
        ("TestInbox.test_message__unauthorized", AuthFailed),
        ("TestComment.test_resolve_from_share_url", Unavailable),
    ],
)
async def test_a_recorded_refusal_becomes_one_of_our_errors(
    stage: AsyncExitStack, clock: HandClock, name: str, error: type[Exception]
) -> None:
    connector, _ = await play(stage, clock, [replace(takes(name)[-1], path="/message/mentions", query={})])
    with pytest.raises(error):
        await connector.fetch("mentions", None)


def stranger() -> Post:
    """Return a post that only lends its shape."""
    return Post(
        channel="reddit",
        id="t1_zzzzzz",
        author=Author(channel="reddit", id="t2_zz", handle="somebody"),
        text="",
        created_at=datetime(2017, 1, 1, tzinfo=UTC),
        kind=PostKind.REPLY,
    )
