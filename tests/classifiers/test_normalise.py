from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import normalise


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("@Acme help", "@user help"),
        ("@jo@mastodon.example and @ann.bsky.social hi", "@user and @user hi"),
        ("thanks /u/some_body", "thanks @user"),
        ("mail me@acme.example", "mail me@acme.example"),
        ("see https://a.example/x?y=1, ok", "see http ok"),
        ("fr\u200bee m\u00adoney", "free money"),
        ("\uff26\uff35\uff2c\uff2c", "FULL"),
        ("p\u0430ypal", "paypal"),
        ("\u043f\u0430\u0440\u043e\u043b\u044c", "\u043f\u0430\u0440\u043e\u043b\u044c"),
        ("noooooooo", "nooo"),
        ("#GreatService", "Great Service"),
        ("a &amp; b", "a & b"),
        ("\U0001f621\U0001f621", "pouting face"),
        ("a\x00b\ud800c", "a b c"),
    ],
)
def test_for_model(text: str, read: str) -> None:
    assert normalise.for_model(text) == read


def test_for_language_leaves_words_only() -> None:
    assert normalise.for_language("@acme #Fail hola amigo 123 \U0001f600 https://x.example") == "hola amigo"


@given(st.text(alphabet=st.characters()))
def test_any_text_is_prepared(text: str) -> None:
    for prepared in (normalise.for_model(text), normalise.for_language(text)):
        prepared.encode()
        assert "\x00" not in prepared
        assert len(prepared) <= normalise.MAX_CHARS
        assert unicodedata.is_normalized("NFKC", normalise.clean(text)) or len(text) > 100


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a ",
        "\u0301\u0323",
        "\U0001f600",
        "@",
        "@a.",
        "#A",
        "&amp;",
        "\ufdfa",
        "\u200b",
        "www.",
        "/u/",
        "\u0430b",
        "&#",
    ],
)
def test_100_kb_takes_no_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    normalise.for_model(text)
    normalise.for_language(text)
    assert time.process_time() - started < 1.0
