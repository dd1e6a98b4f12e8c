"""Signed posts pushed in; the sender is the library's own signer, the judge beside ours its own ``verify``."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook as Signer
from standardwebhooks import WebhookVerificationError

from connectors.channels.webhook import CHANNEL, Webhook, WebhookSettings
from connectors.errors import AuthFailed, Rejected
from connectors.post import Author, Post
from connectors.protocol import Delivered, Receiver, Replier, SendClass
from connectors.registry import load
from tests.networks.clock import NOON, HandClock


def secret(letter: str, length: int = 32) -> str:
    return "whsec_" + base64.b64encode(letter.encode() * length).decode()


OLD, NEW, FOREIGN = secret("o"), secret("n"), secret("f")
ACCOUNT = {"id": "1", "handle": "brand"}
POST = {
    "id": "77",
    "author": {"id": "5", "handle": "cora"},
    "text": "Where is my parcel?",
    "created_at": "2026-11-02T11:59:00Z",
    "addressed": True,
}


def connect(**settings: Any) -> Webhook:
    merged = {"kind": "webhook", "channel": "forum", "account": ACCOUNT, "secrets": f"{NEW} {OLD}", **settings}
    webhook = CHANNEL.connect(name="forum", settings=WebhookSettings(**merged), clock=HandClock())
    assert isinstance(webhook, Webhook)
    return webhook


def signed(body: bytes, *, key: str = NEW, id: str = "msg_1", at: datetime = NOON) -> dict[str, str]:  # noqa: A002
    return {
        "Webhook-Id": id,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Signer(key).sign(id, at, body.decode()),
    }


def push(document: Any, **settings: Any) -> Delivered:
    body = orjson.dumps(document)
    return connect(**settings).receive(signed(body), body, NOON)


# What a good delivery holds


def test_a_signed_post_arrives_with_its_delivery_id() -> None:
    delivered = push({"posts": [POST]})
    assert delivered.id == "msg_1"
    (post,) = delivered.page.posts
    assert (post.key, post.text, post.addressed) == ("forum:77", "Where is my parcel?", True)
    assert post.author == Author(channel="forum", id="5", handle="cora")
    assert post.created_at == NOON - timedelta(minutes=1)
    assert post.root_id == "77"


def test_posts_are_ordered_and_deletions_and_edits_come_along() -> None:
    late = {**POST, "id": "78", "created_at": "2026-11-02T13:30:00+01:00"}
    edited = {**POST, "text": "Found it", "edited_at": "2026-11-02T12:40:00Z"}
    page = push({"posts": [edited, late, POST], "deleted": ["70"]}).page
    assert [(post.id, post.text) for post in page.posts] == [
        ("77", "Where is my parcel?"),
        ("78", "Where is my parcel?"),
        ("77", "Found it"),
    ]
    assert page.posts[1].created_at == datetime(2026, 11, 2, 12, 30, tzinfo=UTC)
    assert list(page.deleted) == ["70"]


def test_our_own_posts_are_told_apart() -> None:
    page = push({"posts": [{**POST, "author": ACCOUNT}]}).page
    assert page.posts[0].is_own


def test_what_else_the_sender_adds_at_the_top_is_left_alone() -> None:
    assert push({"type": "posts.created", "timestamp": "2026-11-02T12:00:00Z", "posts": [POST]}).page.posts


BAD_POSTS = [
    17,
    None,
    "text",
    {},
    {**POST, "id": 77},
    {**POST, "text": None},
    {**POST, "author": None},
    {**POST, "author": {"id": "5"}},
    {**POST, "created_at": "2026-11-02T11:59:00"},
    {**POST, "created_at": "yesterday"},
    {**POST, "created_at": "9999-12-31T23:59:59-12:00"},
    {**POST, "created_at": 1e300},
    {**POST, "url": "javascript:alert(1)"},
    {**POST, "texr": "a typo loses nothing silently"},
]


@pytest.mark.parametrize("bad", BAD_POSTS, ids=repr)
def test_a_bad_post_is_set_aside_and_its_page_mates_stay(bad: Any) -> None:
    page = push({"posts": [bad, POST], "deleted": ["1", 2, "", "3"]}).page
    assert [post.id for post in page.posts] == ["77"]
    assert list(page.deleted) == ["1", "3"]
    assert [item.reason.split(":")[0] for item in page.bad] == ["posts[0]", "deleted[1]", "deleted[2]"]
    assert all(0 < len(item.raw) <= 2_000 for item in page.bad)
    assert "cora" not in page.bad[0].reason


# Who may push


def test_either_secret_opens_while_one_replaces_the_other() -> None:
    body = orjson.dumps({"posts": [POST]})
    both = signed(body, key=FOREIGN)
    both["Webhook-Signature"] += " v1a,QUJD " + signed(body, key=OLD)["Webhook-Signature"]
    for headers in (signed(body, key=NEW), signed(body, key=OLD), both):
        assert connect().receive(headers, body, NOON).page.posts
    with pytest.raises(AuthFailed):
        connect(secrets=NEW).receive(signed(body, key=OLD), body, NOON)


def forged() -> dict[str, tuple[dict[str, str], bytes]]:
    body = orjson.dumps({"posts": [POST]})
    good = signed(body)
    value = good["Webhook-Signature"]
    return {
        "no headers": ({}, body),
        **{f"without {name}": ({key: good[key] for key in good if key != name}, body) for name in good},
        **{f"empty {name}": ({**good, name: ""}, body) for name in good},
        "foreign secret": (signed(body, key=FOREIGN), body),
        "other body": (good, body.replace(b"parcel", b"money!")),
        "other id": ({**good, "Webhook-Id": "msg_2"}, body),
        "other time": ({**good, "Webhook-Timestamp": str(int(NOON.timestamp()) + 1)}, body),
        "too old": (signed(body, at=NOON - timedelta(seconds=301)), body),
        "too new": (signed(body, at=NOON + timedelta(seconds=301)), body),
        "time is no number": ({**good, "Webhook-Timestamp": "noon"}, body),
        "time is not a number": ({**good, "Webhook-Timestamp": "nan"}, body),
        "time has digits of another script": ({**good, "Webhook-Timestamp": "١٧٦٢"}, body),
        "time is endless": ({**good, "Webhook-Timestamp": "9" * 400}, body),
        "time beyond the calendar": ({**good, "Webhook-Timestamp": "9" * 11}, body),
        "no version": ({**good, "Webhook-Signature": value[3:]}, body),
        "another version": ({**good, "Webhook-Signature": value.replace("v1,", "v2,")}, body),
        "half a signature": ({**good, "Webhook-Signature": value[:-8]}, body),
        "not ASCII": ({**good, "Webhook-Signature": "v1,\udcff\udcfe"}, body),
        "id is not text": ({**good, "Webhook-Id": "\udcff"}, body),
        "id is endless": ({**good, "Webhook-Id": "m" * 5_000}, body),
        "signatures without end": ({**good, "Webhook-Signature": "v1,QUJD " * 5_000 + value}, body),
        "body is not UTF-8": (good, b"\xff\xfe" + body),
        "empty body": (good, b""),
    }


@pytest.mark.parametrize("case", forged())
def test_a_forged_old_or_broken_delivery_is_refused(case: str) -> None:
    headers, body = forged()[case]
    with pytest.raises(AuthFailed) as caught:
        connect().receive(headers, body, NOON)
    assert str(caught.value)
    assert "whsec" not in str(caught.value)


def test_the_edge_of_the_tolerance_is_ours_to_set() -> None:
    body = orjson.dumps({"posts": [POST]})
    headers = signed(body, at=NOON - timedelta(seconds=300))
    assert connect().receive(headers, body, NOON)
    with pytest.raises(AuthFailed):
        connect(tolerance_s=299).receive(headers, body, NOON)


@given(
    text=st.text(max_size=40),
    id=st.text(alphabet="abc_019", min_size=1, max_size=12),
    spoil=st.sampled_from(["nothing", "body", "id", "key"]),
)
def test_we_judge_as_the_library_judges(text: str, id: str, spoil: str) -> None:  # noqa: A002
    now = datetime.now(UTC).replace(microsecond=0)  # the library asks the wall clock
    body = orjson.dumps({"posts": [], "note": text})
    headers = signed(body, key=FOREIGN if spoil == "key" else NEW, id=id, at=now)
    body += b" " if spoil == "body" else b""
    headers["Webhook-Id"] += "x" if spoil == "id" else ""
    try:
        Signer(NEW).verify(body, headers)
        theirs = True
    except WebhookVerificationError:
        theirs = False
    try:
        connect(secrets=NEW).receive(headers, body, now)
        ours = True
    except AuthFailed:
        ours = False
    assert ours is theirs is (spoil == "nothing")


# What is too much or no delivery at all


@pytest.mark.parametrize(
    "body",
    [b"{]", b"[]", b"7", b"null", b"{}", b'{"post": []}', b'{"posts": {}}', b'{"deleted": "1"}', b'{"posts": [NaN]}',
     b'{"posts": ["\\ud800"]}', b'{"posts":' + b"[" * 5_000 + b"]" * 5_000 + b"}"],
)  # fmt: skip
def test_a_signed_body_nobody_can_read_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        connect().receive(signed(body), body, NOON)


def test_a_large_body_is_rejected_before_it_is_read() -> None:
    with pytest.raises(Rejected, match="2048 bytes"):
        connect(max_bytes=2_048).receive({}, b" " * 2_049, NOON)


def test_too_many_posts_are_rejected() -> None:
    with pytest.raises(Rejected, match="at most 3"):
        push({"posts": [POST, POST], "deleted": ["1", "2"]}, max_posts=3)


# What it cannot do


async def test_it_listens_only_and_polls_nothing() -> None:
    async with connect() as webhook:
        assert webhook.streams() == ()
        assert (await webhook.fetch("any", None)).posts == ()
        assert isinstance(webhook, Receiver)
        assert not isinstance(webhook, Replier)
        assert webhook.capabilities.pushed
        assert webhook.capabilities.send_class is SendClass.LISTEN_ONLY
        own = await webhook.identity()
        assert own == Author(channel="forum", id="1", handle="brand")
        post = Post(channel="forum", id="1", author=own, text="", created_at=NOON)
        assert await webhook.thread(post) == ()
        assert await webhook.still_there(["1"]) == {}
        assert not webhook.capabilities.deletions  # so nobody takes that for "gone"
    await webhook.__aexit__(None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secrets": " "},
        {"secrets": "whsec_"},
        {"secrets": secret("s", 23)},
        {"secrets": f"{NEW} {secret('s', 65)}"},
        {"secrets": "whsec_not-base64-at-all-but-long-enough-to-be-one!"},
        {"secrets": " ".join([NEW] * 9)},
        {"tolerance_s": 0},
        {"channel": ""},
        {"secret": NEW},
    ],
    ids=repr,
)
def test_wrong_settings_are_refused_by_name_and_never_shown(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))) as caught:
        connect(**wrong)
    assert "not-base64-at-all" not in str(caught.value)


def test_secrets_are_masked() -> None:
    settings = WebhookSettings.model_validate({"kind": "webhook", "account": ACCOUNT, "secrets": NEW})
    assert NEW not in repr(settings)
    assert NEW not in settings.model_dump_json()


def test_the_registry_knows_it() -> None:
    assert load("webhook") is CHANNEL


@pytest.mark.parametrize("claimed", [2**31, 2**63, 2**64 - 1])
def test_more_followers_than_there_are_people_are_not_believed(claimed: int) -> None:
    author = {"id": "5501", "handle": "cora_c", "followers": claimed}
    [post] = push(
        {"posts": [{"id": "1", "created_at": "2026-11-02T11:59:00Z", "author": author, "text": "hi"}]}
    ).page.posts
    assert post.author.followers is None


def test_a_clock_that_is_years_ahead_puts_no_post_on_top_for_years() -> None:
    (post,) = push({"posts": [{**POST, "created_at": "2030-01-01T00:00:00Z"}]}).page.posts
    assert post.created_at == NOON
