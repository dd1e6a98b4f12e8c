"""HTML as a person reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.html import is_web, plain


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", ""),
        ("<p>One</p><p>Two<br>three<br/>four</p>", "One\n\nTwo\nthree\nfour"),
        ("<p>a &amp; b &lt;b&gt;c&lt;/b&gt; &#x1F600;</p>", "a & b <b>c</b> 😀"),
        ("<p>many\n   spaces\tcollapse</p>", "many spaces collapse"),
        (
            '<p>see <a href="https://shop.example/a?b=1&amp;c=2"><span class="invisible">https://</span>'
            '<span class="ellipsis">shop.example/a</span><span class="invisible">?b=1</span></a>!</p>',
            "see https://shop.example/a?b=1&c=2!",
        ),
        ('<a href="https://x.example/tags/Late" class="mention hashtag">#<span>Late</span></a>', "#Late"),
        ('<a href="javascript:alert(1)">click</a> <a>bare</a>', "click bare"),
        ("<ul><li>one</li><li>two</li></ul>end", "- one\n- two\n\nend"),
        ("before<script>alert(1)</script><style>p{}</style>after", "beforeafter"),
        ('<p class="quote-inline">RE: <a href="https://x.example/1">x</a><br></p><p>My view</p>', "My view"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("</p></a></script>stray", "stray"),
        ("fine <![; x>and <b>well</b>", "fine and well"),
        ("cut off <![", "cut off <!["),
    ],
)
def test_html_reads_as_a_person_sees_it(html: str, expected: str) -> None:
    assert plain(html) == expected


def test_a_mention_is_shown_as_its_reader_says() -> None:
    html = '<a href="https://far.example/@wren" class="u-url mention">@<span>wren</span></a> hello'
    assert plain(html, mention={"https://far.example/@wren": "@wren@far.example"}.get) == "@wren@far.example hello"
    assert plain(html) == "@wren hello"


@given(st.text(alphabet=st.sampled_from("<>/=\"' abpliscrt&;#x!-[]{}\n"), max_size=300))
def test_any_bytes_become_some_text(html: str) -> None:
    assert isinstance(plain(html), str)


@pytest.mark.parametrize("address", ["", "x", "//h/p", "javascript:alert(1)", "http://", "https://[", "ftp://h/"])
def test_what_is_no_web_address(address: str) -> None:
    assert not is_web(address)
