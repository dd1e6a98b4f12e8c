"""A recorded day, played through the channel."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.channels.replay import CHANNEL, Replay, ReplayNetwork, ReplaySettings
from connectors.channels.replay.ledger import Entry, Ledger
from connectors.channels.replay.recording import Happening, parse
from connectors.errors import Rejected, Unavailable
from connectors.post import Post, PostKind, Reply
from connectors.protocol import BadItem, Replier, SendClass
from connectors.registry import load
from tests.connectors.contract import ANSWER, TEXT, ConnectorContract, ids, minutes, walk
from tests.networks.clock import NOON, HandClock
from tests.networks.recording import ACCOUNT, CUSTOMER, RecordedNetwork


def connect(network: RecordedNetwork, clock: HandClock, **settings: Any) -> Replay:
    merged = {
        "kind": "replay",
        "path": network.path,
        "channel": "x",
        "account": ACCOUNT,
        "ledger": network.ledger_path,
        "start": "recorded",
        **settings,
    }
    replay = CHANNEL.connect(name="demo", settings=ReplaySettings(**merged), clock=clock)
    assert isinstance(replay, Replay)
    return replay


def speaker(replay: Replay) -> ReplayNetwork:
    assert isinstance(replay, ReplayNetwork)
    return replay


class TestReplay(ConnectorContract[Any]):
    """The laws that a file can keep; it has no requests, no limits and no credentials that could fail."""

    stream = "feed"
    secrets = (CUSTOMER["handle"],)

    test_a_first_visit_is_bounded_by_the_lookback = None  # type: ignore[assignment]
    test_a_post_that_surfaces_ten_minutes_late_is_found = None  # type: ignore[assignment]
    test_a_burst_of_several_pages_is_walked_without_loss = None  # type: ignore[assignment]
    test_a_rate_limit_says_until_when = None  # type: ignore[assignment]
    test_a_rate_limit_without_a_reset_says_so = None  # type: ignore[assignment]
    test_trouble_becomes_one_of_our_errors_and_passes = None  # type: ignore[assignment]
    test_every_question_fails_in_our_words = None  # type: ignore[assignment]
    test_a_hanging_network_is_unavailable_and_blocks_nobody = None  # type: ignore[assignment]
    test_a_refused_connection_is_unavailable = None  # type: ignore[assignment]
    test_cancelling_stops_within_a_second = None  # type: ignore[assignment]
    test_nothing_secret_is_logged = None  # type: ignore[assignment]
    test_an_unknown_outcome_is_ambiguous_and_found_afterwards = None  # type: ignore[assignment]
    test_an_unknown_outcome_is_ambiguous_even_when_nothing_was_said = None  # type: ignore[assignment]
    test_a_no_for_good_is_rejected = None  # type: ignore[assignment]
    test_refused_credentials_stop_a_write = None  # type: ignore[assignment]
    test_a_limited_write_waits_and_is_not_said = None  # type: ignore[assignment]
    test_a_write_to_a_closed_door_was_surely_not_taken = None  # type: ignore[assignment]
    test_a_hanging_write_blocks_nobody_and_can_be_cancelled = None  # type: ignore[assignment]
    test_the_gate_is_asked_when_it_is_this_ones_turn = None  # type: ignore[assignment]
    test_what_we_said_can_be_taken_back_and_again_is_harmless = None  # type: ignore[assignment]
    test_what_others_said_stays = None  # type: ignore[assignment]
    test_a_deletion_in_doubt_is_ambiguous_and_may_be_repeated = None  # type: ignore[assignment]
    test_a_limited_deletion_says_until_when = None  # type: ignore[assignment]

    @pytest.fixture
    def network(self, clock: HandClock, tmp_path: Path) -> RecordedNetwork:
        return RecordedNetwork(folder=tmp_path, clock=clock)

    def make_connector(self, network: RecordedNetwork, clock: HandClock, **settings: Any) -> Replay:
        return connect(network, clock, **settings)

    def seed(self, network: RecordedNetwork, *, at: datetime, text: str) -> str:
        return network.say(text, at=at)

    def seed_thread(self, network: RecordedNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        return network.talk(texts, at=at)

    def seed_own(self, network: RecordedNetwork, *, at: datetime, text: str) -> str:
        return network.say(text, at=at, author=ACCOUNT)

    def seed_bad(self, network: RecordedNetwork, *, at: datetime) -> None:
        network.write_raw(b'{"at": 5, "type": "post", "post": {"id": 17}}')

    def edit(self, network: RecordedNetwork, post_id: str, text: str) -> None:
        network.happen("edit", network.clock(), id=post_id, text=text)

    def delete(self, network: RecordedNetwork, post_id: str) -> None:
        network.happen("delete", network.clock(), id=post_id)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network(clock: HandClock, tmp_path: Path) -> RecordedNetwork:
    return RecordedNetwork(folder=tmp_path, clock=clock)


def seconds_in(network: RecordedNetwork, at: float) -> datetime:
    return network.start + timedelta(seconds=at)


# The day's own time


async def test_the_day_begins_when_the_source_first_runs(network: RecordedNetwork, clock: HandClock) -> None:
    first = network.say("zero", at=seconds_in(network, 0))
    second = network.say("a minute in", at=seconds_in(network, 60))
    replay = connect(network, clock, start="now")
    began = clock()
    page = await replay.fetch("feed", None)
    assert ids([page]) == [first]
    assert page.posts[0].created_at == began
    clock.advance(seconds=59)
    assert not (await replay.fetch("feed", page.cursor)).posts
    clock.advance(seconds=1)
    page = await replay.fetch("feed", page.cursor)
    assert ids([page]) == [second]
    assert page.posts[0].created_at == began + timedelta(seconds=60)


async def test_sixty_times_real_time_plays_an_hour_in_a_minute(network: RecordedNetwork, clock: HandClock) -> None:
    began = clock()
    late = network.say("an hour in", at=seconds_in(network, 3600))
    replay = connect(network, clock, start="now", speed=60)
    page = await replay.fetch("feed", None)
    assert not page.posts
    clock.advance(seconds=60)
    page = await replay.fetch("feed", page.cursor)
    assert ids([page]) == [late]
    assert page.posts[0].created_at == began + timedelta(seconds=60)


async def test_a_restart_goes_on_in_the_same_day(network: RecordedNetwork, clock: HandClock) -> None:
    network.say("zero", at=seconds_in(network, 0))
    later = network.say("ten minutes in", at=seconds_in(network, 600))
    began = clock()
    cursor = (await connect(network, clock, start="now").fetch("feed", None)).cursor
    clock.advance(minutes=30)
    page = await connect(network, clock, start="now").fetch("feed", cursor)
    assert ids([page]) == [later]
    assert page.posts[0].created_at == began + timedelta(minutes=10)


async def test_a_day_that_has_ended_is_due_at_once_and_never_in_the_future(
    network: RecordedNetwork, clock: HandClock
) -> None:
    expected = [network.say(f"post {n}", at=seconds_in(network, 1.1 * n)) for n in range(250)]
    pages, cursor = await walk(connect(network, clock, start="ended", speed=7), "feed", None)
    assert ids(pages) == expected
    assert [len(page.posts) for page in pages] == [100, 100, 50]
    posts = [post for page in pages for post in page.posts]
    assert posts[-1].created_at == clock()
    assert [post.created_at for post in posts] == sorted(post.created_at for post in posts)
    assert not (await connect(network, clock, start="ended", speed=7).fetch("feed", cursor)).posts


async def test_a_recorded_start_needs_its_row(clock: HandClock, tmp_path: Path) -> None:
    network = RecordedNetwork(folder=tmp_path, clock=clock)
    network.path.write_bytes(b"")
    with pytest.raises(Unavailable, match="start"):
        await connect(network, clock).fetch("feed", None)


@pytest.mark.parametrize("cursor", ["17", "a|b|c", "2026-11-02T12:00:00|0|0", "9999-12-31T23:59:59+00:00|1|1", "||"])
async def test_a_foreign_cursor_is_told_in_our_words(network: RecordedNetwork, clock: HandClock, cursor: str) -> None:
    with pytest.raises(Unavailable, match="new name"):
        await connect(network, clock).fetch("feed", cursor)


# What happens in it


async def test_an_edit_is_the_same_post_with_another_text(network: RecordedNetwork, clock: HandClock) -> None:
    made = clock.now - minutes(9)
    post_id = network.say("first", at=made, title="T", language="en")
    network.happen("edit", clock.now - minutes(4), id=post_id, text="second")
    before, after = (await connect(network, clock).fetch("feed", None)).posts
    assert (before.id, before.text, before.edited_at) == (post_id, "first", None)
    assert (after.id, after.text, after.edited_at) == (post_id, "second", clock.now - minutes(4))
    assert after.created_at == before.created_at == made
    assert (after.title, after.language, after.author) == ("T", "en", before.author)
    assert after.revision != before.revision


async def test_a_deletion_is_reported_once_and_the_post_is_gone(network: RecordedNetwork, clock: HandClock) -> None:
    post_id = network.say(TEXT, at=clock.now - minutes(9))
    replay = connect(network, clock)
    page = await replay.fetch("feed", None)
    clock.advance(minutes=1)
    network.happen("delete", clock.now, id=post_id)
    page = await replay.fetch("feed", page.cursor)
    assert (list(page.posts), list(page.deleted)) == ([], [post_id])
    assert not (await replay.fetch("feed", page.cursor)).deleted
    assert await replay.still_there([post_id]) == {post_id: None}


async def test_the_same_id_twice_comes_twice_as_the_same_post(network: RecordedNetwork, clock: HandClock) -> None:
    post_id = network.say(TEXT, at=clock.now - minutes(9))
    network.say(TEXT, at=clock.now - minutes(8), id=post_id)
    one, two = (await connect(network, clock).fetch("feed", None)).posts
    assert one == two


@pytest.mark.parametrize(
    ("author", "is_own"),
    [({"id": "1", "handle": "renamed"}, True), ({"id": "99", "handle": "brand"}, True), (CUSTOMER, False)],
)
async def test_our_account_is_known_by_id_or_handle(
    network: RecordedNetwork, clock: HandClock, author: dict[str, str], is_own: bool
) -> None:
    network.say(TEXT, at=clock.now - minutes(9), author=author)
    assert (await connect(network, clock).fetch("feed", None)).posts[0].is_own is is_own


async def test_a_repost_names_what_it_repeats(network: RecordedNetwork, clock: HandClock) -> None:
    root = network.say(TEXT, at=clock.now - minutes(9))
    network.happen("repost", clock.now - minutes(8), author=CUSTOMER, text=TEXT, parent_id=root)
    network.happen("repost", clock.now - minutes(7), author=CUSTOMER, text=TEXT)
    replay = speaker(connect(network, clock))
    page = await replay.fetch("feed", None)
    repost = page.posts[1]
    assert (repost.kind, repost.parent_id) == (PostKind.REPOST, root)
    assert replay.may_reply(repost) is not None
    assert "repost names" in page.bad[0].reason


BAD_ROWS = {
    b"{]": "not JSON",
    b"[1, 2]": "a row is an object",
    b'{"at": NaN, "type": "post", "post": {"id": "1"}}': "not JSON",
    b'{"at": -1, "type": "post", "post": {"id": "1"}}': "at:",
    b'{"at": 1e300, "type": "post", "post": {"id": "1"}}': "at:",
    b'{"at": 1, "type": "like", "post": {"id": "1"}}': "type:",
    b'{"at": 1, "type": "post"}': "post:",
    b'{"at": 1, "type": "post", "post": {"id": 7}}': "post.id:",
    b'{"at": 1, "type": "post", "post": {"id": ""}}': "post.id:",
    b'{"at": 1, "type": "post", "post": {"id": "a\\u0000b"}}': "post.id:",
    b'{"at": 1, "type": "post", "post": {"id": "q", "text": "no author"}}': "post.author is missing",
    b'{"at": 1, "type": "post", "post": {"id": "q", "author": {"id": "1", "handle": "h"}}}': "post.text is missing",
    b'{"at": 1, "type": "post", "post": {"id": "q", "texr": "typo"}}': "post.texr:",
    b'{"at": 1, "type": "post", "post": {"id": "q", "url": "javascript:alert(1)"}}': "https://",
    b'{"at": 1, "type": "post", "post": {"id": "q", "kind": "shout"}}': "post.kind:",
    b'{"at": 1, "type": "post", "post": {"id": "q", "facts": {"a": {}}}}': "post.facts.a:",
    b'{"at": 1, "type": "edit", "post": {"id": "never", "text": "x"}}': "nothing to edit",
    b'{"at": 1, "type": "delete", "post": {"id": "never"}}': "nothing to delete",
    b'{"type": "start", "at": "yesterday"}': "at:",
    b'{"type": "start", "at": "9999-12-31T23:59:59Z"}': "at:",
    b'{"type": "start", "at": "2026-11-02T00:00:00Z"}': "started already",
    b'{"at": 1, "type": "post", "post": {"id": "\xff"}}': "not JSON",
    b'{"a":' * 5_000: "not JSON",
}


@pytest.mark.parametrize("line", BAD_ROWS, ids=lambda line: line[:60].decode(errors="replace"))
async def test_a_bad_row_is_named_by_its_line_and_comes_once(
    network: RecordedNetwork, clock: HandClock, line: bytes
) -> None:
    one = network.say("one", at=clock.now - minutes(9))
    network.write_raw(line)
    two = network.say("two", at=clock.now - minutes(8))
    replay = connect(network, clock)
    page = await replay.fetch("feed", None)
    assert ids([page]) == [one, two]
    (bad,) = page.bad
    assert bad.reason.startswith("line 3: ")
    assert BAD_ROWS[line] in bad.reason
    assert 0 < len(bad.raw) <= 2_000
    again = await replay.fetch("feed", page.cursor)
    assert (list(again.posts), list(again.bad)) == ([], [])


def test_what_is_wrong_is_told_without_showing_it() -> None:
    ((_, bad),) = parse(b'{"at": 1, "type": "post", "post": {"id": "1", "language": "zebra-7781"}}').rows
    assert isinstance(bad, BadItem)
    assert "zebra" not in bad.reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["id", "author", "text", "title", "kind", "parent_id", "root_id", "url", "language", "addressed", "facts"]


@settings(max_examples=150)
@given(
    post=st.dictionaries(st.sampled_from(FIELDS), json_values),
    at=json_values,
    kind=st.sampled_from(["post", "edit", "delete", "repost", "start"]),
)
def test_no_row_is_lost_whatever_it_holds(post: dict[str, Any], at: Any, kind: str) -> None:
    whole = {"id": "p1", "author": {"id": "a", "handle": "h"}, "text": "t"}
    lines = [
        orjson.dumps({"at": 0, "type": "post", "post": whole}),
        orjson.dumps({"at": at, "type": kind, "post": {**whole, **post}}),
        orjson.dumps({"at": 1, "type": "post", "post": {**whole, "id": "p2"}}),
    ]
    recording = parse(b"\n".join(lines))
    assert len(recording.rows) == 3
    happened = [row.record.id for _, row in recording.rows if isinstance(row, Happening)]
    assert {"p1", "p2"} <= set(happened)


# Threads and standing


async def test_a_thread_holds_what_we_said_in_it_before(network: RecordedNetwork, clock: HandClock) -> None:
    root = network.say("Where is it?", at=clock.now - minutes(9))
    replay = speaker(connect(network, clock))
    target = (await replay.fetch("feed", None)).posts[0]
    sent = await replay.send(Reply(key="k1", target=target, text=ANSWER, created_at=clock.now))
    clock.advance(minutes=5)
    again = network.say("Still nothing", at=clock.now, parent_id=root, root_id=root, kind="reply")
    post = (await replay.still_there([again]))[again]
    assert post is not None
    above = await replay.thread(post)
    assert [(one.id, one.is_own) for one in above] == [(root, False), (sent.id, True)]
    assert await replay.thread(target) == []


async def test_a_circle_of_parents_ends(network: RecordedNetwork, clock: HandClock) -> None:
    network.say("a", at=clock.now - minutes(3), id="a", parent_id="b")
    network.say("b", at=clock.now - minutes(2), id="b", parent_id="a")
    replay = connect(network, clock)
    post = (await replay.still_there(["b"]))["b"]
    assert post is not None
    assert [one.id for one in await replay.thread(post)] == ["a"]


async def test_what_has_not_happened_yet_is_not_there(network: RecordedNetwork, clock: HandClock) -> None:
    later = network.say(TEXT, at=clock.now + minutes(1))
    assert await connect(network, clock).still_there([later, "never"]) == {later: None, "never": None}


async def test_a_worker_that_never_listens_learns_the_day_from_a_post(
    network: RecordedNetwork, clock: HandClock
) -> None:
    root = network.say(TEXT, at=seconds_in(network, 0))
    leaf = network.say(TEXT, at=seconds_in(network, 1), parent_id=root)
    clock_there = HandClock(clock.now)
    listener, worker = connect(network, clock_there, start="now"), connect(network, clock, start="now")
    page = await listener.fetch("feed", None)
    clock_there.advance(seconds=1)
    post = (await listener.fetch("feed", page.cursor)).posts[0]
    with pytest.raises(Unavailable):
        await worker.still_there([leaf])
    clock.advance(seconds=2)
    assert [one.id for one in await worker.thread(post)] == [root]
    assert (await worker.still_there([leaf]))[leaf] == post


# Replies


async def a_reply(network: RecordedNetwork, replay: Replay, *, key: str = "k1", text: str = ANSWER) -> Reply:
    network.say(TEXT, at=network.clock.now - minutes(5))
    page = await replay.fetch("feed", None)
    return Reply(key=key, target=page.posts[-1], text=text, created_at=network.clock.now)


async def test_the_same_key_is_answered_with_the_same_sent_and_one_row(
    network: RecordedNetwork, clock: HandClock
) -> None:
    replay = speaker(connect(network, clock))
    reply = await a_reply(network, replay)
    one, two = await asyncio.gather(replay.send(reply), replay.send(reply))
    clock.advance(minutes=5)
    network.happen("delete", clock.now, id=reply.target.id)
    three = await speaker(connect(network, clock)).send(reply)
    assert one == two == three == await replay.find(reply)
    assert len(network.ledger_path.read_bytes().splitlines()) == 1


async def test_a_key_never_says_two_things(network: RecordedNetwork, clock: HandClock) -> None:
    replay = speaker(connect(network, clock))
    reply = await a_reply(network, replay)
    await replay.send(reply)
    with pytest.raises(Rejected, match="key"):
        await replay.send(replace(reply, text="something else"))
    assert len(network.ledger) == 1


async def test_a_reply_to_what_is_gone_is_refused(network: RecordedNetwork, clock: HandClock) -> None:
    replay = speaker(connect(network, clock))
    reply = await a_reply(network, replay)
    network.happen("delete", clock.now, id=reply.target.id)
    with pytest.raises(Rejected, match="gone"):
        await replay.send(reply)
    assert network.ledger == []


@pytest.mark.parametrize("text", ["", " \n", "a" * 281])
async def test_what_the_network_would_not_take_is_refused(
    network: RecordedNetwork, clock: HandClock, text: str
) -> None:
    replay = speaker(connect(network, clock))
    reply = await a_reply(network, replay, text=text)
    with pytest.raises(Rejected):
        await replay.send(reply)
    assert network.ledger == []


@pytest.mark.parametrize(
    ("channel", "addressed", "allowed"), [("x", False, False), ("x", True, True), ("reddit", False, True)]
)
async def test_x_lets_us_answer_only_who_speaks_to_us(
    network: RecordedNetwork, clock: HandClock, channel: str, addressed: bool, allowed: bool
) -> None:
    network.say(TEXT, at=clock.now - minutes(1), addressed=addressed)
    replay = speaker(connect(network, clock, channel=channel))
    post = (await replay.fetch("feed", None)).posts[0]
    assert (replay.may_reply(post) is None) is allowed
    assert replay.capabilities.requires_summon is (channel == "x")
    assert replay.capabilities.markdown is (channel == "reddit")


@pytest.mark.parametrize(
    ("channel", "text", "over"),
    [
        ("x", "https://example.org/" + "a" * 300, 0),
        ("bluesky", "👩‍👩‍👧‍👦" * 119, 0),
        ("bluesky", "👩‍👩‍👧‍👦" * 121, 25),  # 3,025 bytes
        ("bluesky", "é" * 301, 1),
        ("mastodon", "https://example.org/" + "a" * 600, 0),
        ("mastodon", "a" * 501, 1),
        ("reddit", "a" * 10_002, 2),
        ("somewhere", "a" * 100_000, 0),
    ],
)
async def test_each_network_counts_in_its_own_way(
    network: RecordedNetwork, clock: HandClock, channel: str, text: str, over: int
) -> None:
    replay = speaker(connect(network, clock, channel=channel))
    post = Post(channel=channel, id="p", author=await replay.identity(), text="", created_at=clock.now)
    assert replay.overrun(post, text) == over


async def test_without_a_ledger_it_only_listens(network: RecordedNetwork, clock: HandClock) -> None:
    replay = connect(network, clock, ledger=None)
    assert replay.capabilities.send_class is SendClass.LISTEN_ONLY
    assert not isinstance(replay, Replier)
    assert connect(network, clock).capabilities.send_class is SendClass.KEYED


# The ledger on a bad day


def entry(key: str = "k1", text: str = ANSWER) -> Entry:
    return Entry(key=key, id=f"r-{key}", channel="x", parent_id="p1", root_id="p1", text=text, accepted_at=NOON)


def test_a_torn_last_row_was_answered_to_nobody_and_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).take(entry("k1"))
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole.replace(b"k1", b"k2")[:cut])
        ledger = Ledger(path)
        assert [one.key for one in ledger.entries()] == ["k1"]
        ledger.take(entry("k2"))
        assert [one.key for one in Ledger(path).entries()] == ["k1", "k2"]


def test_two_ledgers_on_one_file_see_each_other(tmp_path: Path) -> None:
    one, two = Ledger(tmp_path / "new" / "ledger.jsonl"), Ledger(tmp_path / "new" / "ledger.jsonl")
    one.take(entry("k1"))
    assert two.take(entry("k1")).key == "k1"
    two.take(entry("k2"))
    assert [each.key for each in one.entries()] == ["k1", "k2"]
    assert len(one.path.read_bytes().splitlines()) == 2


def test_a_ledger_begun_anew_forgets_the_old_day(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.take(entry("k1"))
    ledger.path.write_bytes(b"")
    ledger.take(entry("k3"))
    assert [each.key for each in ledger.entries()] == ["k3"]


def test_a_spoiled_ledger_stops_the_network(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"nonsense": 1}\n')
    with pytest.raises(Unavailable, match="nobody can read"):
        Ledger(path).take(entry())


def test_a_ledger_that_cannot_be_written_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Ledger(tmp_path / "file" / "ledger.jsonl").take(entry())


SAYER = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from connectors.channels.replay.ledger import Entry, Ledger

    ledger, first = Ledger(Path(sys.argv[1])), int(sys.argv[2])
    for number in range(first, 100_000):
        key = f"k{number}"
        ledger.take(Entry(key=key, id=f"r-{key}", channel="x", parent_id="p", root_id="p", text="t" * 4_000,
                          accepted_at=datetime.now(UTC)))
        sys.stdout.write(f"{key}\\n")
        sys.stdout.flush()
"""


def test_a_killed_sayer_repeats_its_last_keys_and_leaves_one_row_each(tmp_path: Path) -> None:
    """Every key answered before a kill is in the file; a repeat after it adds no second row."""
    path = tmp_path / "ledger.jsonl"
    first = 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SAYER), str(path), str(first)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            text=True,
        )
        with process:
            assert process.stdout is not None
            answered = [process.stdout.readline().strip() for _ in range(20)]
            process.kill()
            answered += [line.strip() for line in process.stdout if line.endswith("\n")]
        kept = [one.key for one in Ledger(path).entries()]
        assert set(answered) <= set(kept)
        assert len(kept) == len(set(kept))
        first = max(0, int(answered[-1][1:]) - 2)  # the next one says the last three again


# Settings


def test_a_missing_recording_is_told_at_once(network: RecordedNetwork, clock: HandClock, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sources\.demo\.path: there is no file .*nowhere\.jsonl; name a JSON Lines"):
        connect(network, clock, path=tmp_path / "nowhere.jsonl")


async def test_a_recording_that_vanishes_is_unavailable(network: RecordedNetwork, clock: HandClock) -> None:
    post_id = network.say(TEXT, at=clock.now - minutes(1))
    replay = connect(network, clock)
    content = network.path.read_bytes()
    network.path.unlink()
    with pytest.raises(Unavailable):
        await replay.fetch("feed", None)
    network.path.write_bytes(content)
    assert ids([await replay.fetch("feed", None)]) == [post_id]


@pytest.mark.parametrize(
    "wrong",
    [{"speed": 0}, {"speed": float("inf")}, {"start": "later"}, {"channel": "X Corp"}, {"account": {}}, {"sped": 2}],
)
def test_wrong_settings_are_refused_by_name(network: RecordedNetwork, clock: HandClock, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        connect(network, clock, **wrong)


def test_the_registry_knows_it() -> None:
    assert load("replay") is CHANNEL
