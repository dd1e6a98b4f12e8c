"""How X's objects become posts: a table, and anything at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.channels.x.posts import Unreadable, read, read_all
from connectors.post import Author, Post, PostKind

ME = Author(channel="x", id="900100", handle="larkparcel")
USERS = {"5501": {"id": "5501", "username": "mira_k", "name": "Mira", "public_metrics": {"followers_count": 12}}}
ITEM: dict[str, Any] = {
    "id": "2117223948088246273",
    "edit_history_tweet_ids": ["2117223948088246273"],
    "author_id": "5501",
    "conversation_id": "2117223948088246200",
    "created_at": "2026-11-02T11:55:00.000Z",
    "lang": "en",
    "text": "hello",
}


def post_of(**fields: Any) -> Post:
    return read({**ITEM, **fields}, USERS, ME).post


def link(url: str, whole: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "expanded_url": whole, "display_url": whole[8:20], "start": 0, "end": 23, **more}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": "a &amp; b &lt;i&gt; &amp;lt; &copy;"}, "a & b <i> &lt; &copy;"),
        (
            {
                "text": "see https://t.co/a1",
                "entities": {"urls": [link("https://t.co/a1", "https://lark.example/x?a=1")]},
            },
            "see https://lark.example/x?a=1",
        ),
        (
            {
                "text": "my parcel https://t.co/p1",
                "entities": {
                    "urls": [link("https://t.co/p1", "https://x.com/mira_k/status/1/photo/1", media_key="3_1")]
                },
            },
            "my parcel",
        ),
        (
            {
                "text": "look https://t.co/q1",
                "entities": {"urls": [link("https://t.co/q1", "https://twitter.com/larkparcel/status/77")]},
                "referenced_tweets": [{"type": "quoted", "id": "77"}],
            },
            "look",
        ),
        (
            {
                "text": "look https://t.co/q1",
                "entities": {"urls": [link("https://t.co/q1", "https://twitter.com/larkparcel/status/78")]},
                "referenced_tweets": [{"type": "quoted", "id": "77"}],
            },
            "look https://twitter.com/larkparcel/status/78",
        ),
        (
            {
                "text": "a long story… https://t.co/l1",
                "note_tweet": {
                    "text": "a long story told to its end https://t.co/n1",
                    "entities": {"urls": [link("https://t.co/n1", "https://lark.example/end")]},
                },
            },
            "a long story told to its end https://lark.example/end",
        ),
        (
            {
                "text": "bad link https://t.co/j1",
                "entities": {"urls": [link("https://t.co/j1", "javascript:alert(1)")]},
            },
            "bad link https://t.co/j1",
        ),
        (
            {
                "text": "@otto_b @larkparcel thanks",
                "display_text_range": [20, 26],
                "referenced_tweets": [{"type": "replied_to", "id": "77"}],
            },
            "thanks",
        ),
        ({"text": "nul \x00 goes, \ud800 is replaced"}, "nul  goes, \ufffd is replaced"),
    ],
)
def test_text_is_what_a_person_reads(fields: dict[str, Any], text: str) -> None:
    assert post_of(**fields).text == text


@pytest.mark.parametrize(
    ("fields", "addressed"),
    [
        ({"text": "@larkparcel where is it"}, True),
        ({"text": "hey @LarkParcel!"}, True),
        ({"text": "mail me@larkparcel.example"}, False),
        ({"text": "@larkparcel_fan where is it"}, False),
        ({"text": "nothing"}, False),
        (
            {
                "text": "@otto_b @larkparcel carried along",
                "display_text_range": [20, 33],
                "referenced_tweets": [{"type": "replied_to", "id": "77"}],
            },
            False,
        ),
        (
            {
                "text": "@otto_b @larkparcel carried along, no range given",
                "referenced_tweets": [{"type": "replied_to", "id": "77"}],
            },
            False,
        ),
        (
            {
                "text": "@otto_b ask @larkparcel",
                "display_text_range": [8, 23],
                "referenced_tweets": [{"type": "replied_to", "id": "77"}],
            },
            True,
        ),
        (
            {
                "text": "@larkparcel ok",
                "in_reply_to_user_id": "900100",
                "display_text_range": [12, 14],
                "referenced_tweets": [{"type": "replied_to", "id": "77"}],
            },
            True,
        ),
        ({"text": "RT @larkparcel: news", "referenced_tweets": [{"type": "retweeted", "id": "77"}]}, False),
        ({"text": "@larkparcel we say", "author_id": "900100"}, False),
    ],
)
def test_addressed_is_who_speaks_to_us(fields: dict[str, Any], addressed: bool) -> None:
    assert post_of(**fields).addressed is addressed


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], PostKind.POST),
        (["replied_to"], PostKind.REPLY),
        (["quoted"], PostKind.QUOTE),
        (["quoted", "replied_to"], PostKind.REPLY),
        (["retweeted"], PostKind.REPOST),
        (["something_new"], PostKind.POST),
    ],
)
def test_a_kind_follows_from_what_is_referred_to(kinds: list[str], expected: PostKind) -> None:
    post = post_of(referenced_tweets=[{"type": kind, "id": "77"} for kind in kinds])
    assert post.kind is expected
    assert post.parent_id == ("77" if "replied_to" in kinds else None)


@pytest.mark.parametrize(
    ("lang", "expected"), [("en", "en"), ("ckb", "ckb"), ("und", None), ("qme", None), (None, None), (7, None)]
)
def test_a_language_is_one_or_none(lang: Any, expected: str | None) -> None:
    assert post_of(lang=lang).language == expected


@pytest.mark.parametrize("created_at", [None, 17, "yesterday", "2026-11-02T11:55:00"])
def test_a_missing_time_is_read_from_the_id(created_at: Any) -> None:
    post = post_of(created_at=created_at)
    assert abs((post.created_at - datetime(2026, 11, 2, 11, 55, tzinfo=UTC)).total_seconds()) < 86_400
    assert post.created_at.utcoffset() is not None


def test_an_unknown_author_still_has_an_address() -> None:
    post = read(ITEM, {}, ME).post
    assert (post.author.id, post.author.handle) == ("5501", "")
    assert post.url == "https://x.com/i/status/2117223948088246273"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "object"),
        ([], "object"),
        ({**ITEM, "id": 17}, "id"),
        ({**ITEM, "id": "x" * 9}, "id"),
        ({**ITEM, "id": "9" * 21}, "id"),
        ({**ITEM, "author_id": None}, "author_id"),
        ({**ITEM, "text": {"a": 1}}, "text"),
    ],
)
def test_what_a_post_cannot_be_without_is_named(item: Any, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(item, USERS, ME)
    posts, (bad,) = read_all({"data": [ITEM, item]}, ME)
    assert [each.post.id for each in posts] == [ITEM["id"]]
    assert reason in bad.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["77", "9" * 20]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*ITEM, "entities", "note_tweet", "referenced_tweets", "display_text_range", "in_reply_to_user_id"]
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "entities": st.fixed_dictionaries(
            {},
            optional={
                "urls": st.lists(st.dictionaries(st.sampled_from(["url", "expanded_url", "media_key"]), JSON)),
                "mentions": st.lists(st.dictionaries(st.sampled_from(["id", "username"]), JSON)),
            },
        ),
        "referenced_tweets": st.lists(st.dictionaries(st.sampled_from(["type", "id"]), JSON)),
        "note_tweet": st.dictionaries(st.sampled_from(["text", "entities"]), JSON),
        "display_text_range": st.lists(st.integers(), max_size=3),
    },
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), SHAPED)
def test_any_item_is_a_post_or_set_aside(wild: dict[str, Any], shaped: dict[str, Any]) -> None:
    """R14: wrong types in any field are quarantined, never a crash, and page-mates stay."""
    posts, bad = read_all({"data": [{**ITEM, **shaped, **wild}, ITEM], "includes": wild}, ME)
    assert len(posts) + len(bad) == 2
    assert posts[-1].post.text == "hello"
    for each in posts:
        each.post.text.encode()
        each.post.author.display_name.encode()
