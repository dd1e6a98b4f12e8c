"""Records and documents that real Bluesky services gave, played to the connector by a server on loopback."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from connectors.answer import when
from connectors.channels.bluesky import CHANNEL, BlueskyConnector, tid
from connectors.post import Author, Post, PostKind, Reply
from tests.networks.bluesky import HANDLE, PASSWORD, POST, BlueskyNetwork, Stored
from tests.networks.clock import HandClock
from tests.networks.faults import JSON, Fault, answer, serve_in_thread

SHARED = Path(os.environ.get("HARKEN_SHARED", "")) / "data" / "recorded" / "bluesky"
pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif("HARKEN_SHARED" not in os.environ, reason="HARKEN_SHARED names no folder of recorded answers"),
]


@cache
def commits(operation: str) -> list[dict[str, Any]]:
    """Return the recorded commits to posts, each with its author's DID."""
    events = [json.loads(line) for line in (SHARED / "jetstream_expected_v1.jsonl").read_text().splitlines()]
    found = [{"did": event["did"], **event["commit"]} for event in events if "commit" in event]
    return [commit for commit in found if commit["collection"] == POST and commit["operation"] == operation]


def lines(name: str) -> list[str]:
    """Return the vectors in one file, as they stand: white space is part of some."""
    whole = (SHARED / name).read_text().split("\n")
    return [line for line in whole if line and not line.startswith("#")]


class Recorded(BlueskyNetwork):
    """A service whose posts and DID document were recorded."""

    def load(self, *, reason: str | None) -> None:
        for commit in commits("create"):
            uri = f"at://{commit['did']}/{POST}/{commit['rkey']}"
            seen = when(commit, "record", "createdAt")
            self.posts[uri] = Stored(
                uri=uri, did=commit["did"], record=commit["record"], seen_at=seen, reason=reason, is_closed=False
            )

    def _session(self) -> web.Response:
        body = json.loads(str(super()._session().text))
        return answer({**body, "didDoc": json.loads((SHARED / "did_doc.json").read_text())["didDoc"]})


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network(clock: HandClock) -> Iterator[Recorded]:
    with serve_in_thread(Recorded(clock=clock)) as network:
        yield network


@pytest.fixture
async def connector(network: Recorded, clock: HandClock) -> AsyncIterator[BlueskyConnector]:
    values = {
        "kind": "bluesky",
        "base_url": network.base_url,
        "handle": HANDLE,
        "app_password": PASSWORD,
        "queries": ["e"],
        "lookback_s": timedelta(days=3_650).total_seconds(),
    }
    made = CHANNEL.connect(name="recorded", settings=CHANNEL.settings.model_validate(values), clock=clock)
    assert isinstance(made, BlueskyConnector)
    async with made:
        yield made


async def test_every_recorded_post_is_a_post(connector: BlueskyConnector, network: Recorded) -> None:
    """The session carries a real DID document, too: its server is on the internet, and we stay where we were told."""
    network.load(reason="mention")
    network.page_limit = 5
    page = await connector.fetch("mentions", None)
    assert page.bad == []
    assert len(page.posts) == len(commits("create")) > 10
    assert [post.created_at for post in page.posts] == sorted(post.created_at for post in page.posts)
    for post in page.posts:
        record = network.posts[post.id].record
        reply = record.get("reply")
        assert post.parent_id == (reply["parent"]["uri"] if reply else None)
        assert post.root_id == (reply["root"]["uri"] if reply else post.id)
        assert post.language == (record["langs"][0] if record.get("langs") else None)
        assert (post.kind is PostKind.REPLY) == bool(reply)
        assert post.created_at == when(record, "createdAt")
        shortened = re.split(r"\S+(?:\.\.\.|…)", record["text"])
        assert all(part in post.text for part in shortened), "words are never lost, links are only unfolded"


async def test_a_recorded_shortened_link_is_shown_whole(connector: BlueskyConnector, network: Recorded) -> None:
    network.load(reason="mention")
    texts = [post.text for post in (await connector.fetch("mentions", None)).posts]
    assert "https://www.youtube.com/watch?v=V5lDo-jw8mA" in texts


async def test_a_recorded_deletion_is_gone(connector: BlueskyConnector, network: Recorded) -> None:
    network.load(reason=None)
    (gone,) = (f"at://{commit['did']}/{POST}/{commit['rkey']}" for commit in commits("delete"))
    kept = next(iter(network.posts))
    there = await connector.still_there([gone, kept])
    assert there[gone] is None
    assert there[kept] is not None


async def test_recorded_records_are_looked_into(connector: BlueskyConnector, network: Recorded) -> None:
    author = Author(channel="bluesky", id="did:plc:x", handle="x")
    target = Post(channel="bluesky", id=f"at://did:plc:x/{POST}/3k", author=author, text="", created_at=network.clock())
    for name in ("post_record", "extended_post_record", "feed_record"):
        body = (SHARED / f"{name}.json").read_bytes()
        network.fail(Fault(status=200, body=body, headers=JSON), path="/xrpc/com.atproto.repo.getRecord")
        text = json.loads(body)["value"].get("text", "")
        reply = Reply(key="k", target=target, text=text, created_at=target.created_at)
        assert await connector.find(reply) is None, "the same words, but under no parent"
    recorded = re.compile(r"[2-7a-z]{13}")
    assert all(recorded.fullmatch(commit["rkey"]) for commit in commits("create"))
    assert recorded.fullmatch(tid(Reply(key="k", target=target, text="", created_at=target.created_at)))


@pytest.mark.parametrize("name", ["datetime_syntax_valid.txt", "datetime_syntax_invalid.txt"])
async def test_no_date_loses_a_post(
    connector: BlueskyConnector, network: Recorded, clock: HandClock, name: str
) -> None:
    dates = lines(name)
    uris = [network.post(f"e {n}", at=clock.now, createdAt=date) for n, date in enumerate(dates)]
    there = await connector.still_there(uris[:25])
    assert all(post is not None for post in there.values())
    for uri, date in zip(uris[:25], dates, strict=False):
        post = there[uri]
        assert post is not None
        if name == "datetime_syntax_valid.txt":
            assert post.created_at == min(when({"at": date}, "at"), clock.now)
        assert post.created_at <= clock.now


async def test_an_address_that_breaks_the_rules_costs_its_own_post_only(
    connector: BlueskyConnector, network: Recorded, clock: HandClock
) -> None:
    good = network.post("e", at=clock.now)
    view = network._view(network.posts[good])
    odd = [{**view, "uri": uri} for uri in lines("aturi_syntax_invalid.txt")]
    assert len(odd) > 50
    body = orjson.dumps({"posts": [*odd, view]})
    network.fail(Fault(status=200, body=body, headers=JSON), path="/xrpc/app.bsky.feed.searchPosts")
    page = await connector.fetch("search:e", None)
    assert [post.id for post in page.posts] == [good]
    assert len(page.bad) == len(odd)
