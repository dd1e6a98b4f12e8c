"""X through the real tweepy, against a fake X on loopback."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from connectors.channels.x import XConnector, XSettings
from connectors.channels.x.door import reset
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.post import PostKind, Reply
from connectors.protocol import Connector, SendClass
from tests.connectors.contract import ANSWER, TEXT, ConnectorContract, ids, minutes, walk
from tests.networks import x
from tests.networks.clock import NOON, HandClock
from tests.networks.faults import JSON, Fault, Trouble
from tests.networks.x import BRAND, CUSTOMER, Person, XNetwork

KEYS = {
    "consumer_key": x.CONSUMER_KEY,
    "consumer_secret": x.CONSUMER_SECRET,
    "access_token": x.ACCESS_TOKEN,
    "access_token_secret": x.ACCESS_SECRET,
}
BOTH = {**KEYS, "bearer_token": x.BEARER}
OTTO = Person(id="5502", handle="otto_b", name="Otto B.")


def connect(network: XNetwork, clock: HandClock, **settings: Any) -> XConnector:
    merged = XSettings(**{"kind": "x", "base_url": network.base_url, **BOTH, **settings})
    return XConnector(name="brand-x", settings=merged, clock=clock)


class TestX(ConnectorContract[XNetwork]):
    burst = 250  # more than PAGES_PER_LOOK pages of page_limit, so that the walk needs marks
    secrets = (
        x.BEARER,
        x.CONSUMER_KEY,
        x.CONSUMER_SECRET,
        x.ACCESS_TOKEN,
        x.ACCESS_SECRET,
        BRAND.handle,
        CUSTOMER.handle,
    )

    def make_network(self, clock: HandClock) -> XNetwork:
        return XNetwork(clock=clock)

    def make_connector(self, network: XNetwork, clock: HandClock, **settings: Any) -> Connector:
        return connect(network, clock, **settings)

    def seed(self, network: XNetwork, *, at: datetime, text: str) -> str:
        return network.say(f"@{BRAND.handle} {text}", at=at)

    def seed_thread(self, network: XNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain: list[str] = []
        for number, text in enumerate(texts):
            parent = chain[-1] if chain else None
            author = (CUSTOMER, OTTO)[number % 2]
            chain.append(network.say(f"{text} @{BRAND.handle}", at=at, author=author, reply_to=parent))
        return chain

    def seed_own(self, network: XNetwork, *, at: datetime, text: str) -> str:
        return network.say(f"@{BRAND.handle} {text}", at=at, author=BRAND)

    def seed_bad(self, network: XNetwork, *, at: datetime) -> None:
        network.spoil({"text": 17, "author_id": None}, at=at)

    def edit(self, network: XNetwork, post_id: str, text: str) -> None:
        network.edit(post_id, f"@{BRAND.handle} {text}", at=network.clock())

    def delete(self, network: XNetwork, post_id: str) -> None:
        network.delete(post_id)

    @pytest.fixture
    async def brand(self, network: XNetwork, clock: HandClock) -> AsyncIterator[XConnector]:
        async with connect(network, clock) as connector:
            yield connector

    # Signing in

    @pytest.mark.parametrize(
        ("keys", "speaks"),
        [
            (BOTH, True),
            (KEYS, True),
            ({"oauth2_user_token": x.USER_TOKEN}, True),
            ({"bearer_token": x.BEARER, "handle": BRAND.handle}, False),
        ],
        ids=["app and user", "user", "oauth2 user", "app"],
    )
    async def test_each_way_of_signing_in_listens_and_only_a_user_speaks(
        self, network: XNetwork, clock: HandClock, keys: dict[str, str], speaks: bool
    ) -> None:
        post_id = self.seed(network, at=clock.now - minutes(1), text=TEXT)
        settings = XSettings(**{"kind": "x", "base_url": network.base_url, "queries": ("parcel",), **keys})
        async with XConnector(name="brand-x", settings=settings, clock=clock) as connector:
            assert (await connector.identity()).id == BRAND.id
            for stream in connector.streams():
                assert [post.id for post in (await connector.fetch(stream, None)).posts] == [post_id]
            reply = Reply(key="k1", target=await self.post_of(connector, post_id), text=ANSWER, created_at=clock.now)
            if speaks:
                await connector.send(reply)
            else:
                assert connector.capabilities.send_class is SendClass.LISTEN_ONLY
                with pytest.raises(AuthFailed):
                    await connector.send(reply)
        assert len(network.ledger) == speaks

    @pytest.mark.parametrize("wrong", ["consumer_secret", "access_token_secret"])
    async def test_a_wrong_secret_is_refused(self, network: XNetwork, clock: HandClock, wrong: str) -> None:
        async with connect(network, clock, **{**KEYS, wrong: "other"}) as connector:
            with pytest.raises(AuthFailed):
                await connector.identity()

    async def test_an_unknown_handle_stops_the_source(self, network: XNetwork, clock: HandClock) -> None:
        settings = XSettings(kind="x", base_url=network.base_url, bearer_token=x.BEARER, handle="nobody_here")
        async with XConnector(name="brand-x", settings=settings, clock=clock) as connector:
            with pytest.raises(AuthFailed, match="handle"):
                await connector.identity()

    # Reading

    async def test_an_answer_asks_only_what_x_bills_once(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        """Mentions are owned reads; a referenced post would be billed in full."""
        await brand.fetch("mentions", None)
        asked = network.requests[-1].query
        assert asked["expansions"] == "author_id"
        assert asked["max_results"] == "100"

    async def test_a_walk_goes_on_where_a_rate_limit_stopped_it(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        first = self.seed(network, at=clock.now - minutes(100), text=TEXT)
        _, cursor = await walk(brand, "mentions", None)
        burst = [
            self.seed(network, at=clock.now - minutes(50) + timedelta(seconds=n), text=f"{TEXT} {n}")
            for n in range(350)
        ]
        heard: list[str] = []
        looks = limited = 0
        more = True
        while more and looks < 60:
            looks += 1
            if looks % 2:
                network.fail_reads(Trouble.RATE_LIMITED_WITHOUT_RESET, times=1)
            try:
                page = await brand.fetch("mentions", cursor)
            except RateLimited:
                limited += 1
                continue
            cursor, more = page.cursor, page.more
            heard += [post.id for post in page.posts]
            burst.append(self.seed(network, at=clock.now, text=f"{TEXT} while walking {looks}"))
        assert limited >= 3
        assert not more, "the walk never ends"
        pages, _ = await walk(brand, "mentions", cursor)
        heard += [each for each in ids(pages) if each not in heard]
        assert heard == [first, *burst]

    async def test_a_first_visit_reads_a_few_pages_of_the_newest(self, network: XNetwork, clock: HandClock) -> None:
        seeded = [
            self.seed(network, at=clock.now - minutes(90) + timedelta(seconds=n), text=f"{TEXT} {n}") for n in range(35)
        ]
        async with connect(network, clock, max_first_pages=2) as connector:
            pages, cursor = await walk(connector, "mentions", None)
            assert ids(pages) == seeded[-20:]
            assert len(pages) == 1
            pages, _ = await walk(connector, "mentions", cursor)
            assert set(ids(pages)) <= set(seeded)

    @pytest.mark.parametrize("stream", ["mentions", "search:parcel"])
    async def test_after_a_long_silence_a_search_reads_what_x_still_has(
        self, network: XNetwork, clock: HandClock, stream: str
    ) -> None:
        """Recent search refuses a since_id older than seven days."""
        async with connect(network, clock, queries=("parcel",)) as connector:
            self.seed(network, at=clock.now - minutes(1), text=TEXT)
            _, cursor = await walk(connector, stream, None)
            clock.advance(days=9)
            post_id = self.seed(network, at=clock.now - minutes(60), text=TEXT)
            pages, _ = await walk(connector, stream, cursor)
            assert ids(pages)[-1] == post_id

    async def test_a_burst_after_a_silent_start_is_no_first_visit(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        _, cursor = await walk(brand, "mentions", None)
        clock.advance(minutes=600)
        burst = [
            self.seed(network, at=clock.now - minutes(90) + timedelta(seconds=n), text=f"{TEXT} {n}")
            for n in range(230)
        ]
        pages, _ = await walk(brand, "mentions", cursor)
        assert ids(pages) == burst

    async def test_a_search_is_a_stream_of_its_own(self, network: XNetwork, clock: HandClock) -> None:
        async with connect(network, clock, mentions=False, queries=("lark -is:retweet",)) as connector:
            assert list(connector.streams()) == ["search:lark -is:retweet"]
            loose = network.say("the Lark van is late again", at=clock.now - minutes(2))
            network.say("RT lark", at=clock.now - minutes(1), repost=loose)
            (post,) = (await connector.fetch("search:lark -is:retweet", None)).posts
            assert post.id == loose
            assert not post.addressed
            assert connector.may_reply(post) is not None

    async def test_a_cursor_of_another_kind_begins_a_bounded_first_visit(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        post_id = self.seed(network, at=clock.now - minutes(9), text=TEXT)
        self.seed(network, at=clock.now - minutes(60 * 30), text=TEXT)
        for cursor in ("", "17", "null", '{"v":2}', '{"v":1,"marks":7}', '{"v":1,"marks":[],"what":1}', "{"):
            assert ids([await brand.fetch("mentions", cursor)]) == [post_id]

    async def test_one_lone_surrogate_does_not_hide_its_page_mates(self, brand: XConnector, network: XNetwork) -> None:
        await brand.identity()
        item = '{"id":"%d","author_id":"5501","text":"%s","created_at":"2026-11-02T11:50:00.000Z"}'
        first, second = item % (x.snowflake(NOON) + 1, "half \\ud83d emoji"), item % (x.snowflake(NOON), "whole")
        body = f'{{"data":[{first},{second}],"meta":{{"result_count":2}}}}'
        network.fail(Fault(status=200, body=body.encode(), headers=JSON), path="/2/users")
        page = await brand.fetch("mentions", None)
        assert [post.text for post in page.posts] == ["whole", "half \ufffd emoji"]

    @pytest.mark.parametrize("body", [b'"' + b"a" * (9 << 20) + b'"', gzip.compress(b" " * (64 << 20), mtime=0)])
    async def test_a_huge_answer_is_not_read_to_its_end(
        self, brand: XConnector, network: XNetwork, body: bytes
    ) -> None:
        await brand.identity()
        packed = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
        network.fail(Fault(status=200, body=body, headers={**JSON, **packed}), path="/2/users")
        with pytest.raises(Unavailable, match="whole answer"):
            await brand.fetch("mentions", None)

    async def test_a_redirect_is_not_followed_with_our_credentials(self, brand: XConnector, network: XNetwork) -> None:
        network.fail(Fault(status=302, headers={"Location": f"{network.base_url}/elsewhere"}))
        with pytest.raises(Unavailable):
            await brand.fetch("mentions", None)
        assert [seen.path for seen in network.requests] == ["/2/users/me"]

    # Edits and deletions

    async def test_an_edited_post_keeps_its_id_and_the_answer_goes_to_its_newest_version(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        """X gives an edit an id of its own: docs.x.com/x-api/fundamentals/edit-posts."""
        first = self.seed(network, at=clock.now - minutes(9), text=TEXT)
        (before,) = (await brand.fetch("mentions", None)).posts
        newest = network.edit(first, f"@{BRAND.handle} Found it", at=clock.now - minutes(2))
        (after,) = (await brand.fetch("mentions", None)).posts
        assert (before.id, after.id) == (first, first)
        assert (before.edited_at, after.edited_at) == (None, clock.now - minutes(2))
        assert after.created_at == before.created_at
        assert after.revision != before.revision
        reply = Reply(key="k1", target=after, text=ANSWER, created_at=clock.now)
        await brand.send(reply)
        assert network.ledger[0].parent == newest
        assert await brand.find(reply) is not None
        assert (await brand.still_there([first]))[first] == after

    async def test_a_protected_author_is_as_good_as_gone(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        post_id = self.seed(network, at=clock.now - minutes(9), text=TEXT)
        network.hidden.add(CUSTOMER.id)
        assert dict(await brand.still_there([post_id])) == {post_id: None}

    async def test_what_cannot_be_read_is_not_gone(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        self.seed_bad(network, at=clock.now - minutes(2))
        post_id = self.seed(network, at=clock.now - minutes(9), text=TEXT)
        bad = next(str(tweet.id) for tweet in network.tweets.values() if tweet.raw)
        assert set(await brand.still_there([post_id, bad])) == {post_id}
        assert dict(await brand.still_there([bad])) == {}

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("resource-not-found", {"77": None}),
            ("not-authorized-for-resource", {"77": None}),
            ("resource-unavailable", {}),
            ("something-new", {}),
        ],
    )
    async def test_only_two_reasons_mean_gone(
        self, brand: XConnector, network: XNetwork, kind: str, expected: dict[str, None]
    ) -> None:
        await brand.identity()
        error = {"resource_id": "77", "value": "77", "type": f"https://api.twitter.com/2/problems/{kind}"}
        network.fail(Fault(status=200, body=orjson.dumps({"errors": [error]}), headers=JSON), path="/2/tweets")
        assert dict(await brand.still_there(["77"])) == expected

    # Threads

    async def test_a_deep_thread_is_read_two_posts_a_request(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        chain = self.seed_thread(network, at=clock.now - minutes(9), texts=[f"{TEXT} {n}" for n in range(21)])
        post = await self.post_of(brand, chain[-1])
        network.requests.clear()
        assert [each.id for each in await brand.thread(post)] == chain[:-1]
        assert len(network.requests) <= 11

    async def test_a_thread_without_end_is_read_up_to_a_bound(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        chain = self.seed_thread(network, at=clock.now - minutes(9), texts=[f"{TEXT} {n}" for n in range(120)])
        above = [each.id for each in await brand.thread(await self.post_of(brand, chain[-1]))]
        assert above[0] == chain[0]
        assert above[1:] == chain[-len(above) : -1]
        assert 50 <= len(above) <= 53

    # Who may be answered

    async def test_only_who_speaks_to_us_may_be_answered(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        """X's rule since February 2026; the fake refuses the rest, and ``may_reply`` knows beforehand."""
        now = clock.now
        ours = self.seed_own(network, at=now - minutes(50), text="We deliver on Sundays now")
        loose = network.say("no mention at all", at=now - minutes(45), author=OTTO)
        named = network.say(f"well @{BRAND.handle}?", at=now - minutes(44), author=OTTO)
        cases = {
            named: True,
            network.say("to your post", at=now - minutes(40), reply_to=ours): True,
            network.say("look at this", at=now - minutes(39), quote=ours): True,
            network.say("only the handle rides along", at=now - minutes(38), reply_to=named): False,
            network.say("look at that", at=now - minutes(37), quote=loose): False,
            network.say(f"said aloud @{BRAND.handle.upper()}", at=now - minutes(36), reply_to=loose): True,
            network.say(f"not us: @{BRAND.handle}_fans", at=now - minutes(35)): False,
            network.say(f"RT @{BRAND.handle}: We deliver", at=now - minutes(34), repost=ours): False,
        }
        async with connect(network, clock, enterprise=True) as exempt:
            for post_id, allowed in cases.items():
                post = await self.post_of(brand, post_id)
                assert post.addressed is allowed, network.tweets[int(post_id)].text
                assert (brand.may_reply(post) is None) is allowed
                assert exempt.may_reply(post) is None
                if not allowed and post.kind is not PostKind.REPOST:
                    with pytest.raises(Rejected):
                        await brand.send(Reply(key=post_id, target=post, text=ANSWER, created_at=now))
        assert network.ledger == []

    async def test_a_reply_reaches_its_author_and_nobody_else(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        network.join(OTTO)
        post_id = network.say(f"@{OTTO.handle} and @{BRAND.handle}, who has it?", at=clock.now - minutes(1))
        target = await self.post_of(brand, post_id)
        sent = await brand.send(Reply(key="k1", target=target, text=ANSWER, created_at=clock.now))
        assert network.tweets[int(sent.id)].carried == (CUSTOMER,)

    # Doubt

    async def test_the_same_text_again_is_a_doubt_that_find_settles(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(brand, network, clock)
        sent = await brand.send(reply)
        with pytest.raises(AmbiguousWrite, match="duplicate"):
            await brand.send(reply)
        assert await brand.find(reply) == sent
        assert len(network.ledger) == 1

    async def test_a_reply_shows_up_in_its_own_time(self, network: XNetwork, clock: HandClock) -> None:
        network.lag = timedelta(seconds=90)
        async with connect(network, clock, settle_after_s=120) as connector:
            reply = await self.reply_to_a_customer(connector, network, clock)
            sent = await connector.send(reply)
            assert await connector.find(reply) is None
            clock.advance(seconds=91)
            assert await connector.find(reply) == sent
            assert connector.capabilities.settle_after == timedelta(minutes=2)

    @pytest.mark.parametrize(
        "text",
        [
            "See https://help.lark.example/where/is/my/parcel?id=1&x=2 for the way",
            f"@{CUSTOMER.handle} it's <here> & there",
            "e\u0301te\u0301  two  spaces",
        ],
    )
    async def test_a_reply_is_known_again_after_x_rewrote_it(
        self, brand: XConnector, network: XNetwork, clock: HandClock, text: str
    ) -> None:
        reply = await self.reply_to_a_customer(brand, network, clock, text=text)
        sent = await brand.send(reply)
        assert await brand.find(reply) == sent

    async def test_find_reads_all_we_said_since_or_says_it_cannot(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(brand, network, clock)
        sent = await brand.send(reply)
        for n in range(300):
            network.say(f"other talk {n}", at=clock.now + timedelta(seconds=n), author=BRAND)
        clock.advance(minutes=10)
        assert await brand.find(reply) == sent
        for n in range(300, 700):
            network.say(f"other talk {n}", at=clock.now + timedelta(seconds=n), author=BRAND)
        clock.advance(minutes=20)
        with pytest.raises(Unavailable, match="cannot be seen"):
            await brand.find(reply)

    async def test_an_old_post_gone_refuses_the_reply_for_good(
        self, brand: XConnector, network: XNetwork, clock: HandClock
    ) -> None:
        reply = await self.reply_to_a_customer(brand, network, clock)
        network.delete(reply.target.id)
        with pytest.raises(Rejected, match="gone"):
            await brand.send(reply)

    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (400, b'{"title":"Invalid Request"}', Rejected),
            (402, b'{"title":"CreditsDepleted"}', AuthFailed),
            (403, b'{"detail":"Your Tweet text is too long."}', Rejected),
            (403, b'{"type":"https://api.twitter.com/2/problems/client-forbidden"}', AuthFailed),
            (403, b'{"type":"https://api.twitter.com/2/problems/oauth1-permissions"}', AuthFailed),
            (403, b'{"detail":"Your account is temporarily locked."}', AuthFailed),
            (403, b"<html>who are you</html>", AmbiguousWrite),
            (404, b"<html>nothing here</html>", AmbiguousWrite),
            (408, b"{}", AmbiguousWrite),
            (307, b"{}", AmbiguousWrite),
            (200, b'{"data":{}}', AmbiguousWrite),
            (200, b'{"data":[{"id":"1"}]}', AmbiguousWrite),
            (500, b"{}", AmbiguousWrite),
        ],
    )
    async def test_each_answer_to_a_write_has_one_meaning(
        self,
        brand: XConnector,
        network: XNetwork,
        clock: HandClock,
        status: int,
        body: bytes,
        expected: type[ConnectorError],
    ) -> None:
        reply = await self.reply_to_a_customer(brand, network, clock)
        network.fail(Fault(status=status, body=body, headers=JSON), method="POST")
        with pytest.raises(ConnectorError) as caught:
            await brand.send(reply)
        assert type(caught.value) is expected

    async def test_premium_accounts_may_say_more(self, network: XNetwork, clock: HandClock) -> None:
        async with connect(network, clock, max_weighted_chars=4000) as connector:
            target = (await self.reply_to_a_customer(connector, network, clock)).target
            assert connector.overrun(target, "a" * 4000) == 0
            assert connector.overrun(target, "東" * 2001) == 2
            assert connector.overrun(target, f"{'a' * 3976} https://example.com/{'a' * 100}") == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-rate-limit-reset": "1793620800"}, datetime(2026, 11, 2, 12, tzinfo=UTC)),
        ({"x-rate-limit-reset": "soon"}, None),
        ({"x-rate-limit-reset": "9" * 40}, None),
        ({"x-rate-limit-reset": "-5"}, None),
        (
            {
                "x-rate-limit-remaining": "12",
                "x-rate-limit-reset": "1793620800",
                "x-user-limit-24hour-remaining": "0",
                "x-user-limit-24hour-reset": "1793707200",
            },
            datetime(2026, 11, 3, 12, tzinfo=UTC),
        ),
    ],
)
def test_the_limit_that_is_spent_says_until_when(headers: dict[str, str], expected: datetime | None) -> None:
    assert reset(headers) == expected


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "no way to sign in"),
        ({"bearer_token": "t"}, "bearer_token and handle"),
        ({"consumer_key": "k", "access_token": "t"}, "missing: consumer_secret, access_token_secret"),
        ({**KEYS, "oauth2_user_token": "t"}, "not both"),
        ({**KEYS, "mentions": False}, "nothing to listen to"),
        ({**KEYS, "queries": ("a", "a")}, "listed twice"),
        ({**KEYS, "queries": ("a" * 513,)}, "512"),
        ({**KEYS, "base_url": "ftp://x"}, "base_url"),
        ({**KEYS, "qeries": ()}, "qeries"),
    ],
)
def test_wrong_settings_are_named_without_their_secrets(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        XSettings(kind="x", **given)
    assert complaint in str(caught.value)
    assert "canary" not in str(caught.value)
