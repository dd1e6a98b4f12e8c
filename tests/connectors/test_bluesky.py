"""atproto against a Bluesky service on loopback."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from atproto import models
from pydantic import SecretStr, ValidationError

from connectors.channels.bluesky import CHANNEL, BlueskyConnector, BlueskySettings, tid
from connectors.errors import AmbiguousWrite, AuthFailed, RateLimited, Rejected, Unavailable
from connectors.post import PostKind, Reply
from tests.connectors.contract import ConnectorContract
from tests.networks.bluesky import CUSTOMER, HANDLE, PASSWORD, US, BlueskyNetwork
from tests.networks.clock import HandClock
from tests.networks.faults import HTML, JSON, Fault, Trouble, serve_in_thread


class Rig:
    """How the tests below make a server and a connector."""

    def make_network(self, clock: HandClock) -> BlueskyNetwork:
        return BlueskyNetwork(clock=clock)

    def make_connector(self, network: BlueskyNetwork, clock: HandClock, **settings: Any) -> BlueskyConnector:
        values = {
            "kind": "bluesky",
            "base_url": network.base_url,
            "handle": HANDLE,
            "app_password": PASSWORD,
            **settings,
        }
        connector = CHANNEL.connect(name="test", settings=CHANNEL.settings(**values), clock=clock)
        assert isinstance(connector, BlueskyConnector)
        return connector


class TestBlueskyContract(Rig, ConnectorContract[BlueskyNetwork]):
    secrets = (PASSWORD, HANDLE, "wren.bsky", "eyJ")

    def seed(self, network: BlueskyNetwork, *, at: datetime, text: str) -> str:
        return network.post(text, at=at, reason="mention")

    def seed_thread(self, network: BlueskyNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain: list[str] = []
        for words in texts:
            chain.append(network.post(words, at=at, parent=chain[-1] if chain else None, reason="reply"))
        return chain

    def seed_own(self, network: BlueskyNetwork, *, at: datetime, text: str) -> str:
        return network.post(text, at=at, by=US)

    def seed_bad(self, network: BlueskyNetwork, *, at: datetime) -> None:
        network.post("", at=at, reason="mention", raw={"text": ["zebra-7781"]})

    def delete(self, network: BlueskyNetwork, post_id: str) -> None:
        network.delete(post_id)


class Bench(Rig):
    """A service, a connector and a customer's post, for the tests of what is Bluesky's own."""

    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def network(self, clock: HandClock) -> Iterator[BlueskyNetwork]:
        with serve_in_thread(self.make_network(clock)) as network:
            yield network

    @pytest.fixture
    async def connector(self, network: BlueskyNetwork, clock: HandClock) -> AsyncIterator[BlueskyConnector]:
        async with self.make_connector(network, clock, timeout_s=5, queries=["late parcel"]) as connector:
            yield connector

    async def reply(self, connector: BlueskyConnector, network: BlueskyNetwork, words: str, **post: Any) -> Reply:
        uri = network.post("where is it?", at=network.clock(), reason="mention", **post)
        target = (await connector.still_there([uri]))[uri]
        assert target is not None
        return Reply(key="reply-1", target=target, text=words, created_at=network.clock())


class TestBlueskyWrites(Bench):
    async def test_a_repeat_changes_nothing(self, connector: BlueskyConnector, network: BlueskyNetwork) -> None:
        reply = await self.reply(connector, network, "On its way.")
        one = await connector.send(reply)
        network.fail_writes(Trouble.ACCEPTED_THEN_RESET)
        with pytest.raises(AmbiguousWrite):
            await connector.send(reply)
        assert await connector.send(reply) == one == await connector.find(reply)
        (entry,) = network.ledger
        assert {seen.body for seen in network.writes_seen()} == {entry.body}

    async def test_another_connector_on_another_day_writes_the_same_record(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply(connector, network, "On its way, @wren.bsky.example")
        await connector.send(reply)
        clock.advance(days=2)
        async with self.make_connector(network, clock) as other:
            await other.send(reply)
        assert len(network.ledger) == 1

    async def test_a_reply_names_its_thread_and_marks_its_links(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        root = network.post("root", at=clock.now, by=US)
        middle = network.post("middle", at=clock.now, parent=root)
        reply = await self.reply(
            connector, network, "Grüße @wren.bsky.example, see https://help.example and @other.example", parent=middle
        )
        await connector.send(reply)
        record = network.posts[network.ledger[0].id].record
        assert record["reply"]["root"] == {"uri": root, "cid": network.posts[root].cid}
        assert record["reply"]["parent"] == {"uri": reply.target.id, "cid": reply.target.facts["cid"]}
        assert record["langs"] == ["en"]
        assert record["createdAt"] == "2026-11-02T12:00:00.000000Z"
        assert [facet["features"][0]["$type"].partition("#")[2] for facet in record["facets"]] == ["mention", "link"]
        assert models.AppBskyFeedPost.Record.model_validate(record, strict=True).text == reply.text

    async def test_keys_of_replies_made_in_one_instant_do_not_meet(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        reply = await self.reply(connector, network, "x")
        keys = {tid(replace(reply, key=f"key-{n}")) for n in range(20_000)}
        assert len(keys) == 20_000
        for key in (*list(keys)[:50], tid(replace(reply, created_at=datetime(2100, 1, 1, tzinfo=UTC)))):
            assert re.fullmatch(r"[2-7a-j][2-7a-z]{12}", key)
        later = replace(reply, created_at=reply.created_at + timedelta(hours=2))
        assert tid(reply) < tid(later)

    async def test_a_refused_swap_or_conflict_is_looked_into(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        for fault in (Fault(status=400, body=b'{"error":"InvalidSwap"}'), Fault(status=409), Fault(status=302)):
            network.fail(fault, method="POST")
            with pytest.raises(AmbiguousWrite):
                await connector.send(reply)
        assert network.ledger == []

    async def test_a_gate_closes_the_thread(self, connector: BlueskyConnector, network: BlueskyNetwork) -> None:
        uri = network.post("no replies please", at=network.clock(), reason="mention")
        assert connector.may_reply((await connector.fetch("mentions", None)).posts[0]) is None
        network.posts[uri].is_closed = True
        (post,) = (await connector.fetch("mentions", None)).posts
        assert connector.may_reply(post) is not None
        own = await self.reply(connector, network, "x", by=US)
        assert connector.may_reply(own.target) is not None

    async def test_length_counts_graphemes_and_bytes(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        family = "👩‍👩‍👧‍👦"  # one grapheme, 25 bytes
        reply = await self.reply(connector, network, "x" * 300)
        assert connector.overrun(reply.target, "é" * 300) == 0
        assert connector.overrun(reply.target, family * 120) == 0
        assert connector.overrun(reply.target, family * 121) == 25 * 121 - 3000
        assert connector.overrun(reply.target, "x" * 301) == 1
        await connector.send(reply)
        with pytest.raises(Rejected):
            await connector.send(replace(reply, key="k2", text="x" * 301))


class TestBlueskySessions(Bench):
    async def test_a_session_is_kept(self, connector: BlueskyConnector, network: BlueskyNetwork) -> None:
        for _ in range(5):
            await connector.fetch("mentions", None)
        assert (network.sessions.created, network.sessions.refreshed) == (1, 0)

    async def test_many_at_once_sign_in_once(self, connector: BlueskyConnector, network: BlueskyNetwork) -> None:
        await asyncio.gather(*(connector.fetch("mentions", None) for _ in range(8)))
        assert network.sessions.created == 1

    async def test_an_old_session_is_refreshed_once_by_many(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        network.token_ttl_s = 60  # inside the quarter of an hour in which the library renews
        await connector.identity()
        network.token_ttl_s = 7200
        await asyncio.gather(*(connector.fetch("mentions", None) for _ in range(8)))
        assert (network.sessions.created, network.sessions.refreshed) == (1, 1)

    async def test_a_revoked_session_is_made_anew_once_by_many(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        await connector.identity()
        network.revoke()
        await asyncio.gather(*(connector.fetch("mentions", None) for _ in range(8)))
        assert (network.sessions.created, network.sessions.refreshed) == (2, 0)

    async def test_a_spent_refresh_token_leads_to_a_new_sign_in(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        network.token_ttl_s = 60
        await connector.identity()
        network.token_ttl_s = 7200
        network.sessions.refresh.clear()
        await asyncio.gather(*(connector.fetch("mentions", None) for _ in range(4)))
        assert network.sessions.created == 2

    async def test_a_write_with_an_expired_session_is_said_once(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        network.revoke()
        await connector.send(reply)
        assert len(network.ledger) == 1

    async def test_a_refresh_in_trouble_is_no_doubt_about_the_write(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        network.token_ttl_s = 60
        network.revoke()
        await connector.fetch("mentions", None)
        network.fail(Fault(status=503, body=HTML), path="/xrpc/com.atproto.server.refreshSession")
        with pytest.raises(Unavailable):
            await connector.send(reply)
        assert network.writes_seen() == []

    async def test_a_wrong_password_stops_the_source(self, network: BlueskyNetwork, clock: HandClock) -> None:
        async with self.make_connector(network, clock, app_password="wrong") as connector:
            with pytest.raises(AuthFailed, match="app password"):
                await connector.fetch("mentions", None)

    async def test_sign_ins_are_counted_before_the_server_locks_us_out(
        self, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        async with self.make_connector(network, clock, app_password="wrong") as connector:
            for _ in range(15):
                with pytest.raises(AuthFailed):
                    await connector.identity()
            with pytest.raises(RateLimited) as caught:
                await connector.identity()
            assert caught.value.until == clock.now + timedelta(minutes=5)
            assert network.sessions.created == 15
            clock.advance(minutes=5)
            with pytest.raises(AuthFailed):
                await connector.identity()

    async def test_a_chosen_server_is_not_left_for_the_one_in_the_did_document(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        await connector.fetch("mentions", None)
        assert [seen.path.rpartition(".")[2] for seen in network.requests] == ["createSession", "listNotifications"]


class TestBlueskyReads(Bench):
    async def test_a_post_keeps_what_an_answer_needs(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        ours = network.post("Lantern news", at=clock.now, by=US)
        link = {
            "index": {"byteStart": 6, "byteEnd": 25},
            "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://shop.example/parcels"}],
        }
        uri = network.post(
            "About shop.example/par... again",
            at=clock.now,
            reason="quote",
            langs=["de-AT"],
            facets=[link],
            embed={"$type": "app.bsky.embed.record", "record": {"uri": ours, "cid": network.posts[ours].cid}},
        )
        (post,) = (await connector.fetch("mentions", None)).posts
        assert (post.id, post.kind, post.language) == (uri, PostKind.QUOTE, "de-AT")
        assert post.text == "About https://shop.example/parcels again"
        assert post.url == f"https://bsky.app/profile/{CUSTOMER}/post/{uri.rpartition('/')[2]}"
        assert [each.id for each in await connector.thread(post)] == [ours]

    async def test_one_post_in_two_notifications_is_one_post(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        uri = network.post("twice", at=clock.now, reason="mention")
        twin = replace(network.posts[uri], reason="reply")
        network.posts[f"{uri}#twin"] = twin
        assert [post.id for post in (await connector.fetch("mentions", None)).posts] == [uri]

    async def test_likes_and_follows_are_not_posts(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        row = {"uri": f"at://{CUSTOMER}/app.bsky.feed.like/3k", "reason": "like", "indexedAt": "2026-11-02T11:00:00Z"}
        body = orjson.dumps({"notifications": [row], "new": {}})
        network.fail(Fault(status=200, body=body, headers=JSON), path="/xrpc/app.bsky.notification")
        page = await connector.fetch("mentions", None)
        assert (page.posts, page.bad) == ([], [])

    async def test_a_search_walks_pages_while_new_posts_come_in(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        network.page_limit = 5
        cursor = (await connector.fetch("search:late parcel", None)).cursor
        uris = [network.post(f"late parcel {n}", at=clock.advance(seconds=9)) for n in range(23)]
        page = await connector.fetch("search:late parcel", cursor)
        assert [post.id for post in page.posts] == uris
        assert not any(post.addressed for post in page.posts)

    @pytest.mark.parametrize(
        "change",
        [
            {"record": {"text": "x", "createdAt": 17}, "indexedAt": None},
            {"record": {"text": 17}},
            {"record": "x"},
            {"author": None},
            {"author": {"did": 5, "handle": "x"}},
            {"cid": ""},
            {"uri": "https://not.an.at.uri/x"},
            {"uri": "at://x/app.bsky.feed.like/1"},
        ],
    )
    async def test_a_malformed_post_costs_itself_only(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock, change: dict[str, Any]
    ) -> None:
        good = network.post("late one", at=clock.now)
        view = network._view(network.posts[good])
        odd = {**view, "uri": view["uri"] + "x", **change}
        body = orjson.dumps({"posts": [odd, view, 17, None]})
        body = body.replace(b'"late one"', b'"late \\ud800\\u0000 one"')
        network.fail(Fault(status=200, body=body, headers=JSON), path="/xrpc/app.bsky.feed.searchPosts")
        page = await connector.fetch("search:late parcel", None)
        assert [(post.id, post.text) for post in page.posts] == [(good, "late \ufffd one")]
        assert len(page.bad) == 3

    async def test_a_date_of_the_authors_invention_is_bounded_by_when_the_network_saw_it(
        self, connector: BlueskyConnector, network: BlueskyNetwork, clock: HandClock
    ) -> None:
        network.post("from tomorrow", at=clock.now, reason="mention", createdAt="2999-01-01T00:00:00Z")
        network.post("from never", at=clock.now, reason="mention", createdAt="yesterday")
        posts = (await connector.fetch("mentions", None)).posts
        assert [post.created_at for post in posts] == [clock.now, clock.now]

    async def test_a_bot_says_so_itself(self, connector: BlueskyConnector, network: BlueskyNetwork) -> None:
        uri = network.post("beep", at=network.clock())
        for source, is_bot in ((CUSTOMER, True), (US, False)):
            view = network._view(network.posts[uri])
            view["author"]["labels"] = [{"src": source, "uri": CUSTOMER, "val": "bot"}]
            network.fail(
                Fault(status=200, body=orjson.dumps({"posts": [view]}), headers=JSON),
                path="/xrpc/app.bsky.feed.getPosts",
            )
            post = (await connector.still_there([uri]))[uri]
            assert post is not None
            assert post.author.is_bot is is_bot

    @pytest.mark.parametrize(
        ("headers", "minutes"),
        [
            ({"ratelimit-reset": "1793621100"}, 5),
            ({"ratelimit-reset": "soon"}, None),
            ({"ratelimit-reset": "1"}, None),
            ({"ratelimit-reset": "9" * 30}, None),
            ({"ratelimit-reset": "99999999999"}, 24 * 60),
            ({"retry-after": "300"}, 5),
        ],
    )
    async def test_a_reset_in_any_form_is_read_or_unknown(
        self,
        connector: BlueskyConnector,
        network: BlueskyNetwork,
        clock: HandClock,
        headers: dict[str, str],
        minutes: int | None,
    ) -> None:
        network.fail(network.refusal(429, headers=headers), method="GET")
        with pytest.raises(RateLimited) as caught:
            await connector.fetch("mentions", None)
        expected = None if minutes is None else clock.now + timedelta(minutes=minutes)
        assert caught.value.until == expected

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    async def test_a_bomb_is_not_swallowed(
        self, connector: BlueskyConnector, network: BlueskyNetwork, coding: str
    ) -> None:
        await connector.identity()
        body = b" " * (64 << 20)
        packed = gzip.compress(body) if coding == "gzip" else body
        fault = Fault(status=200, body=packed, headers={"Content-Encoding": coding, **JSON})
        network.fail(fault, method="GET")
        with pytest.raises(Unavailable):
            await connector.fetch("mentions", None)

    async def test_a_packed_answer_is_read(self, connector: BlueskyConnector, network: BlueskyNetwork) -> None:
        body = gzip.compress(orjson.dumps({"notifications": []}))
        fault = Fault(status=200, body=body, headers={"Content-Encoding": "gzip", **JSON})
        network.fail(fault, method="GET")
        assert (await connector.fetch("mentions", None)).posts == []

    async def test_a_json_list_as_an_error_is_still_our_error(
        self, connector: BlueskyConnector, network: BlueskyNetwork
    ) -> None:
        for body in (b"[1]", b'"x"', b"NaN", b'{"error": {"deep": []}}'):
            network.fail(Fault(status=500, body=body, headers=JSON), method="GET")
            with pytest.raises(Unavailable):
                await connector.fetch("mentions", None)


def test_the_password_does_not_show() -> None:
    settings = BlueskySettings(kind="bluesky", handle=HANDLE, app_password=SecretStr(PASSWORD))
    assert PASSWORD not in repr(settings)
    with pytest.raises(ValidationError, match="app_password"):
        CHANNEL.settings.model_validate({"kind": "bluesky", "handle": HANDLE})
