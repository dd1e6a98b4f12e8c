"""Strangers' text can neither reorder, hide nor lead away."""

from __future__ import annotations

import pytest

from bot.web import shown
from bot.web.pages import prose


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("Ana", "Ana"),
        ("Ana\u202eevil", "Ana⟨U+202E⟩evil"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("two\nlines", "two⟨U+000A⟩lines"),
        ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
        ("nul\x00", "nul⟨U+0000⟩"),
        ("e" + "\u0301" * 40, "e" + "\u0301" * 3),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("שלום", "שלום"),
    ],
)
def test_names_cannot_reorder_hide_or_break_the_line(name: str, seen: str) -> None:
    assert shown.name(name) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("two\nlines\tand", "two\nlines\tand"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\u2066@ana\u2069 hi", "\u2066@ana\u2069 hi"),
        ("price\u200f 5", "price\u200f 5"),
        ("bell\x07", "bell⟨U+0007⟩"),
        ("bom\ufeff", "bom⟨U+FEFF⟩"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("x\U000e0067", "x⟨U+E0067⟩"),
    ],
)
def test_texts_keep_what_languages_need(text: str, seen: str) -> None:
    assert shown.text(text) == seen


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "//evil.example/",
        "/relative",
        "http:/one",
        "http://",
        "https://user:pass@evil.example/",
        "https://ok.example\\@evil.example/",
        " https://a.example/",
        "https://a.example/\n",
        "java\tscript:alert(1)",
        "ftp://a.example/",
        "https://[::1",
        "https://a.example/" + "x" * 3000,
        "https://a\u202e.example/",
    ],
)
def test_only_plain_web_addresses_become_links(address: str | None) -> None:
    assert shown.url(address) is None


@pytest.mark.parametrize("address", ["https://x.example/a?b=c#d", "http://localhost:8080/", "HTTPS://X.example/ä"])
def test_web_addresses_become_links(address: str) -> None:
    assert shown.url(address) is not None


def test_look_alike_hosts_are_shown_in_punycode() -> None:
    assert shown.host("https://pаypal.example/") == "xn--pypal-4ve.example"


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "![a](https://evil.example/x.png)",
        "[a](data:text/html,x)",
        "<style>*{}</style>",
        "[a](//evil.example)",
        '[a](https://a.example "onmouseover=alert(1)")',
    ],
)
def test_articles_cannot_carry_active_content(markdown: str) -> None:
    page = str(prose(markdown))
    for bad in ("<script", "<img", "<style", 'href="javascript', 'href="data', 'href="//', " onmouseover", " onerror="):
        assert bad not in page.replace("&lt;img src=x onerror=alert(1)&gt;", "")
