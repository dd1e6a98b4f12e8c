"""Mastodon.py against a Mastodon server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr, ValidationError

from connectors.channels.mastodon import CHANNEL, MastodonConnector, MastodonSettings
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.post import Post, Reply
from connectors.protocol import Connector
from tests.connectors.contract import ConnectorContract
from tests.networks.clock import HandClock
from tests.networks.faults import HTML, Fault, Trouble, serve_in_thread
from tests.networks.mastodon import CUSTOMER, OUR_ACCT, TOKEN, Idempotency, MastodonNetwork


class Rig:
    """How the tests below make a server and a connector."""

    def make_network(self, clock: HandClock) -> MastodonNetwork:
        return MastodonNetwork(clock=clock)

    def make_connector(self, network: MastodonNetwork, clock: HandClock, **settings: Any) -> MastodonConnector:
        values = {"kind": "mastodon", "base_url": network.base_url, "access_token": TOKEN, **settings}
        connector = CHANNEL.connect(name="test", settings=CHANNEL.settings(**values), clock=clock)
        assert isinstance(connector, MastodonConnector)
        return connector


class TestMastodonContract(Rig, ConnectorContract[MastodonNetwork]):
    secrets = (TOKEN, OUR_ACCT, "wren")

    def seed(self, network: MastodonNetwork, *, at: datetime, text: str) -> str:
        return network.post(f"@{OUR_ACCT} {text}", at=at)

    def seed_thread(self, network: MastodonNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain: list[str] = []
        for words in texts:
            chain.append(network.post(f"@{OUR_ACCT} {words}", at=at, parent=chain[-1] if chain else None))
        return chain

    def seed_own(self, network: MastodonNetwork, *, at: datetime, text: str) -> str:
        return network.post(text, at=at, by=OUR_ACCT)

    def seed_bad(self, network: MastodonNetwork, *, at: datetime) -> None:
        network.post(f"@{OUR_ACCT}", at=at, raw={"account": 17, "content": ["zebra-7781"]}, notifies=True)

    def edit(self, network: MastodonNetwork, post_id: str, text: str) -> None:
        network.edit(post_id, f"@{OUR_ACCT} {text}")

    def delete(self, network: MastodonNetwork, post_id: str) -> None:
        network.delete(post_id)

    def longest(self, connector: Connector, post: Post) -> int:
        return 500 - len("@wren ")


class Bench(Rig):
    """A server, a connector and a customer's post, for the tests of what is Mastodon's own."""

    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def network(self, clock: HandClock) -> Iterator[MastodonNetwork]:
        with serve_in_thread(self.make_network(clock)) as network:
            yield network

    @pytest.fixture
    async def connector(self, network: MastodonNetwork, clock: HandClock) -> AsyncIterator[MastodonConnector]:
        async with self.make_connector(network, clock, timeout_s=5, queries=["#parcel", "late parcel"]) as connector:
            yield connector

    async def reply(self, connector: MastodonConnector, network: MastodonNetwork, words: str, **post: Any) -> Reply:
        post_id = network.post(f"@{OUR_ACCT} where is it?", at=network.clock(), **post)
        target = (await connector.still_there([post_id]))[post_id]
        assert target is not None
        return Reply(key="reply-1", target=target, text=words, created_at=network.clock())


class TestMastodonWrites(Bench):
    async def test_a_repeat_with_the_same_key_is_the_same_post(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        assert await connector.send(reply) == await connector.send(reply)
        assert [entry.key for entry in network.ledger] == ["reply-1"]

    async def test_a_repeat_answered_500_is_no_no_and_is_found(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        """mastodon#40399: the first was posted, the repeat gets 500."""
        network.idempotency = Idempotency.REPEAT_IS_500
        reply = await self.reply(connector, network, "On its way.")
        network.fail_writes(Trouble.ACCEPTED_THEN_RESET)
        for _ in range(2):
            with pytest.raises(AmbiguousWrite):
                await connector.send(reply)
        (entry,) = network.ledger
        found = await connector.find(reply)
        assert found is not None
        assert found.id == entry.id

    async def test_where_the_key_is_ignored_the_read_back_comes_first(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        """mastodon#30039, gotosocial#2723: a repeat would be said twice, so look before it."""
        network.idempotency = Idempotency.IGNORED
        reply = await self.reply(connector, network, "On its way.")
        network.fail_writes(Trouble.ACCEPTED_THEN_TIMEOUT)
        with pytest.raises(AmbiguousWrite):
            await connector.send(reply)
        network.release()
        assert await connector.find(reply) is not None
        assert len(network.ledger) == 1
        await connector.send(reply)
        assert len(network.ledger) == 2, "this server says everything it is told: only looking first prevents it"

    async def test_a_reply_whose_target_was_deleted_since_is_still_found(
        self, connector: MastodonConnector, network: MastodonNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        sent = await connector.send(reply)
        network.post(f"@{CUSTOMER} On its way, too.", at=clock.now, by=OUR_ACCT)
        network.post("@other@letters.example On its way.", at=clock.now, by=OUR_ACCT)
        for n in range(60):
            network.post(f"another of ours {n}", at=clock.now, by=OUR_ACCT)
        network.delete(reply.target.id)
        assert await connector.find(reply) == sent
        network.delete(sent.id)
        assert await connector.find(reply) is None

    async def test_after_an_hour_the_key_is_forgotten_but_the_read_back_sees(
        self, connector: MastodonConnector, network: MastodonNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        await connector.send(reply)
        clock.advance(minutes=61)
        for n in range(60):
            network.post(f"another of ours {n}", at=clock.now, by=OUR_ACCT)
        assert await connector.find(reply) is not None
        assert connector.capabilities.keyed_for == timedelta(minutes=30)

    @pytest.mark.parametrize(
        "words",
        [
            "See https://help.example/late-parcels?lang=en&x=1 and\n\nwrite to us.",
            "Thanks @wren@letters.example, it is <b>late</b> & we know #sorry",
            "a  b\tc\nd",
        ],
    )
    async def test_what_the_server_makes_of_our_text_is_recognised(
        self, connector: MastodonConnector, network: MastodonNetwork, words: str
    ) -> None:
        reply = await self.reply(connector, network, words)
        sent = await connector.send(reply)
        assert await connector.find(reply) == sent

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("public", "unlisted"),
            ("unlisted", "unlisted"),
            ("private", "private"),
            ("direct", "direct"),
            ("odd", "direct"),
        ],
    )
    async def test_we_are_never_louder_than_the_customer(
        self, connector: MastodonConnector, network: MastodonNetwork, theirs: str, ours: str
    ) -> None:
        reply = await self.reply(connector, network, "On its way.", visibility=theirs)
        await connector.send(reply)
        assert network.statuses[network.ledger[0].id].visibility == ours
        assert reply.target.is_private == (theirs == "direct")

    async def test_the_author_is_addressed_once(self, connector: MastodonConnector, network: MastodonNetwork) -> None:
        reply = await self.reply(connector, network, "On its way.")
        await connector.send(reply)
        await connector.send(replace(reply, key="k2", text=f"@{CUSTOMER} On its way."))
        await connector.send(replace(reply, key="k3", text=f"@{CUSTOMER}.evil hello"))
        assert [entry.text for entry in network.ledger] == [
            f"@{CUSTOMER} On its way.",
            f"@{CUSTOMER} On its way.",
            f"@{CUSTOMER} @{CUSTOMER}.evil hello",
        ]

    async def test_a_target_that_is_gone_is_a_no_for_good(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        network.delete(reply.target.id)
        with pytest.raises(Rejected):
            await connector.send(reply)
        assert network.ledger == []

    @pytest.mark.parametrize(
        ("status", "error", "expected"),
        [
            (403, "This action is outside the authorized scopes", AuthFailed),
            (403, "Your login is currently disabled", AuthFailed),
            (403, "This action is not allowed", Rejected),
            (410, "Gone", Rejected),
            (302, "", AmbiguousWrite),
            (409, "Conflict", AmbiguousWrite),
            (500, "Something went wrong", AmbiguousWrite),
            (504, "", AmbiguousWrite),
        ],
    )
    async def test_what_a_refusal_means(
        self,
        connector: MastodonConnector,
        network: MastodonNetwork,
        status: int,
        error: str,
        expected: type[ConnectorError],
    ) -> None:
        reply = await self.reply(connector, network, "On its way.")
        body = orjson.dumps({"error": error}) if error else b"<html>"
        network.fail(Fault(status=status, body=body), method="POST")
        with pytest.raises(ConnectorError) as caught:
            await connector.send(reply)
        assert type(caught.value) is expected
        assert network.ledger == []

    async def test_our_own_posts_get_no_reply(self, connector: MastodonConnector, network: MastodonNetwork) -> None:
        reply = await self.reply(connector, network, "On its way.", by=OUR_ACCT)
        assert connector.may_reply(reply.target) is not None


class TestMastodonReads(Bench):
    async def test_a_post_keeps_what_people_see(self, connector: MastodonConnector, network: MastodonNetwork) -> None:
        post_id = network.post(
            f"@{OUR_ACCT} @someone look: https://shop.example/a?b=1\nand #parcel\n\nbye", at=network.clock()
        )
        network.statuses[post_id].spoiler_text = "late parcel"
        (post,) = (await connector.fetch("mentions", None)).posts
        assert post.text == (
            "@lantern_books@ours.example @someone@ours.example look: https://shop.example/a?b=1\nand #parcel\n\nbye"
        )
        assert (post.title, post.language, post.author.handle) == ("late parcel", "en", CUSTOMER)
        assert post.facts == {"visibility": "public", "acct": CUSTOMER, "language": "en"}

    async def test_tags_and_searches_are_streams_of_their_own(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        tagged = network.post("no #parcel today", at=network.clock())
        named = network.post(f"@{OUR_ACCT} late parcel #parcel", at=network.clock())
        quiet = network.post("my late parcel", at=network.clock())
        assert connector.streams() == ["mentions", "search:#parcel", "search:late parcel"]
        by_tag = (await connector.fetch("search:#parcel", None)).posts
        assert [(post.id, post.addressed) for post in by_tag] == [(tagged, False), (named, True)]
        by_words = (await connector.fetch("search:late parcel", None)).posts
        assert [(post.id, post.addressed) for post in by_words] == [(named, True), (quiet, False)]

    @pytest.mark.parametrize("stream", ["search:#parcel", "search:late parcel"])
    async def test_a_search_walks_pages_too(
        self, connector: MastodonConnector, network: MastodonNetwork, clock: HandClock, stream: str
    ) -> None:
        network.page_limit = 5
        cursor = (await connector.fetch(stream, None)).cursor
        ids = [network.post(f"late parcel #parcel {n}", at=clock.advance(seconds=9)) for n in range(23)]
        page = await connector.fetch(stream, cursor)
        assert [post.id for post in page.posts] == ids
        assert all("api/v1/instance" not in seen.path for seen in network.requests)

    async def test_a_tag_is_one_part_of_a_path(self, network: MastodonNetwork, clock: HandClock) -> None:
        async with self.make_connector(network, clock, queries=["#../../x?y"]) as connector:
            await connector.fetch("search:#../../x?y", None)
        assert "/api/v1/timelines/tag/../../x?y" in [seen.path for seen in network.requests]

    async def test_a_server_without_batch_lookup_is_asked_one_by_one(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        network.has_lookup = False
        ids = [network.post("x", at=network.clock()) for _ in range(3)]
        network.delete(ids[1])
        for _ in range(2):
            there = await connector.still_there(ids)
            assert [each for each in ids if there[each] is None] == [ids[1]]
        assert sum(seen.path == "/api/v1/statuses" for seen in network.requests) == 1

    async def test_a_404_that_is_not_the_servers_own_word_is_not_gone(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        post_id = network.post("x", at=network.clock())
        network.fail(Fault(status=404, body=HTML), path="/api/v1/statuses", times=None)
        with pytest.raises(Unavailable):
            await connector.still_there([post_id])

    async def test_the_servers_own_length_rule_is_learnt_once(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        network.max_characters = 5_000
        reply = await self.reply(connector, network, "")
        assert connector.overrun(reply.target, "a" * 1_000) == 1_000 - (500 - len("@wren "))
        for _ in range(3):
            await connector.fetch("mentions", None)
        assert connector.overrun(reply.target, "a" * 1_000) == 0
        assert connector.overrun(reply.target, "https://x.example/" + "a" * 9_000) == 0
        assert sum(seen.path == "/api/v2/instance/" for seen in network.requests) == 1

    async def test_a_notification_whose_post_is_gone_is_passed_over(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        row: dict[str, Any] = {
            "id": "9",
            "type": "mention",
            "created_at": "2026-11-02T11:59:00Z",
            "account": {},
            "status": None,
        }
        network.fail(Fault(status=200, body=orjson.dumps([row])), path="/api/v1/notifications")
        page = await connector.fetch("mentions", None)
        assert (list(page.posts), list(page.bad)) == ([], [])

    @pytest.mark.parametrize(
        "status",
        [
            b'{"id": "1", "created_at": "2026-11-02T11:59:00Z", "content": NaN, "account": {"id": "2"}}',
            b'{"id": "1", "created_at": "9999-12-31T23:59:59-12:00", "content": "x", "account": {"id": "2"}}',
            b'{"id": null, "created_at": "2026-11-02T11:59:00Z", "content": "x", "account": {"id": "2"}}',
            b'{"id": {}, "created_at": 17, "content": [], "account": []}',
            b"[[[[]]]]",
            b"17",
        ],
    )
    async def test_a_hostile_item_costs_itself_only(
        self, connector: MastodonConnector, network: MastodonNetwork, status: bytes
    ) -> None:
        good = (
            b'{"id": "18446744073709551616000", "created_at": "2026-11-02T11:58:00Z", "content": '
            b'"<p>hi\\ud800\\u0000</p>",'
            b'"account": {"id": 7, "acct": "bob"}, "mentions": [null, 3], "edited_at": "2026-11-02T11:59:00Z",'
            b'"new_field": {"deep": [1]}}'
        )
        body = b"[" + status + b"," + good + b"]"
        network.fail(Fault(status=200, body=body), path="/api/v1/timelines/tag/")
        page = await connector.fetch("search:#parcel", None)
        (post,) = page.posts
        assert (post.id, post.text, post.author.id) == ("18446744073709551616000", "hi\ufffd", "7")
        assert len(page.bad) == 1
        page.bad[0].raw.encode()

    @pytest.mark.parametrize(
        ("headers", "minutes"),
        [
            ({"X-RateLimit-Reset": "2026-11-02T12:05:00.123Z"}, 5),
            ({"X-RateLimit-Reset": "1793621100"}, 5),  # GoToSocial writes seconds
            ({"X-RateLimit-Reset": "soon"}, None),
            ({"X-RateLimit-Reset": "2026-11-02T11:00:00Z"}, None),
            ({"X-RateLimit-Reset": "9999-01-01T00:00:00Z"}, 24 * 60),
            ({"X-RateLimit-Reset": "9" * 40}, None),
            ({"Retry-After": "300"}, 5),
            ({"Retry-After": "-3"}, None),
            ({"Retry-After": "Mon, 02 Nov 2026 12:05:00 GMT"}, None),
        ],
    )
    async def test_a_reset_in_any_form_is_read_or_unknown(
        self,
        connector: MastodonConnector,
        network: MastodonNetwork,
        clock: HandClock,
        headers: dict[str, str],
        minutes: int | None,
    ) -> None:
        network.fail(network.refusal(429, headers=headers), times=None)
        with pytest.raises(RateLimited) as caught:
            await connector.fetch("mentions", None)
        if minutes is None:
            assert caught.value.until is None
        else:
            assert caught.value.until is not None
            assert abs(caught.value.until - clock.now - timedelta(minutes=minutes)) < timedelta(seconds=2)

    async def test_odd_headers_on_a_good_answer_do_no_harm(
        self, connector: MastodonConnector, network: MastodonNetwork
    ) -> None:
        odd = {"X-RateLimit-Reset": "soon", "Link": '<x?max_id=²>; rel="next"', "Deprecation": "true"}
        network.fail(Fault(status=200, body=b"[]", headers=odd), path="/api/v1/notifications")
        assert (await connector.fetch("mentions", None)).posts == []

    async def test_a_redirect_is_not_followed(self, connector: MastodonConnector, network: MastodonNetwork) -> None:
        away = Fault(status=302, headers={"Location": f"{network.base_url}/elsewhere"})
        network.fail(away, path="/api/v1/notifications")
        with pytest.raises(Unavailable, match="base_url"):
            await connector.fetch("mentions", None)
        assert all(seen.path != "/elsewhere" for seen in network.requests)

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    async def test_a_bomb_is_not_swallowed(
        self, connector: MastodonConnector, network: MastodonNetwork, coding: str
    ) -> None:
        body = b"[" + b" " * (64 << 20) + b"]"
        packed = gzip.compress(body) if coding == "gzip" else body
        network.fail(Fault(status=200, body=packed, headers={"Content-Encoding": coding}), path="/api/v1/notifications")
        tracemalloc.start()
        try:
            with pytest.raises(Unavailable):
                await connector.fetch("mentions", None)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 40 << 20 if coding == "gzip" else True

    async def test_a_token_that_names_a_file_is_still_a_token(
        self, network: MastodonNetwork, clock: HandClock, tmp_path: Path
    ) -> None:
        path = tmp_path / "token"
        path.write_text("read from a file\nhttps://elsewhere.example\n")
        async with self.make_connector(network, clock, access_token=str(path)) as connector:
            with pytest.raises(AuthFailed):
                await connector.identity()
        assert network.requests[0].headers["Authorization"] == f"Bearer {path}"


async def test_an_answer_that_drips_is_given_up_in_time_and_frees_the_thread() -> None:
    """One byte now and then keeps every socket time-out at bay; the lane's own deadline does not care."""
    dripping, over = asyncio.Event(), asyncio.Semaphore(0)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not reader.at_eof():
                writer.write(b"X")
                await writer.drain()
                dripping.set()
                await asyncio.sleep(0.05)
        writer.close()
        over.release()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        settings = MastodonSettings(
            kind="mastodon", base_url=f"http://{host}:{port}", access_token=SecretStr(TOKEN), timeout_s=0.5
        )
        async with CHANNEL.connect(name="test", settings=settings, clock=HandClock()) as connector:
            for _ in range(2):
                dripping.clear()
                started = time.monotonic()
                with pytest.raises(Unavailable):
                    await connector.identity()
                assert time.monotonic() - started < 3
                assert dripping.is_set(), "the second question must reach the server, too"
                await over.acquire()


@pytest.mark.parametrize("base_url", ["", "mastodon.example", "file:///etc/passwd", "https://"])
def test_a_wrong_address_is_refused_by_name(base_url: str) -> None:
    with pytest.raises(ValidationError, match="base_url"):
        MastodonSettings(kind="mastodon", base_url=base_url, access_token=SecretStr(TOKEN))


def test_the_token_does_not_show() -> None:
    settings = MastodonSettings(kind="mastodon", base_url="https://mastodon.example", access_token=SecretStr(TOKEN))
    assert TOKEN not in repr(settings)
