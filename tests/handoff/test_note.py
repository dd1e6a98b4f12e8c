from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from connectors.post import PostKind
from handoff.note import INDENT, MAX_BYTES, customer_name, one_line, render
from handoff.speech import PrivateText
from tests.handoff.full_context import (
    CONTACT_TEXT,
    HOSTILE,
    PARENT_TEXT,
    REPLY_TEXT,
    ROOT_TEXT,
    TEXT,
    WORDING,
    make_author,
    make_case,
    make_post,
    make_situation,
)


def ours(note: str) -> list[str]:
    """Return the lines that we wrote ourselves: those that are not indented."""
    return [line for line in note.splitlines() if line and not line.startswith(INDENT)]


def test_the_whole_note_reads_from_the_urgent_to_the_known() -> None:
    note = render(make_case(), make_situation())
    assert ours(note) == [
        "This case:",
        "Case page: https://harken.example/cases/17",
        "Why it came here:",
        "The customer's post:",
        "Link to the post: https://x.com/mira_quill/status/1853",
        "Triage:",
        "Before you answer:",
        "The conversation above it, root first (2):",
        "Earlier contacts on this channel, oldest first (2):",
        "Suggested answer:",
    ]
    said = [ROOT_TEXT, PARENT_TEXT, CONTACT_TEXT, REPLY_TEXT, WORDING]
    assert [note.count(text) for text in [TEXT, *said]] == [1] * 6
    assert sorted(said, key=note.index) == said
    for line in (
        "first answer due: 2026-11-02 14:00 UTC",
        "priority: 2 of 4 (1 is now)",
        "queue: billing",
        "key: x:1853",
        "- the author asks for the third time",
        "x, 2026-11-02 11:57 UTC, Mira Quill (@mira_quill, id 4711, 1200 followers), reply",
        "intent: billing_payment (81%)",
        "judged by minilm-heads r3",
        "The network does not let us reply: the author did not mention us",
        "Replies the bot made by itself to this author here in the last 24 hours: 1",
        "2026-10-30 12:00 UTC, the customer wrote, billing_payment, negative, escalated, "
        "https://x.com/mira_quill/status/1700",
        "2026-10-31 12:00 UTC, we replied, sent",
        "from the article Charged twice (double-charge, en, number 12, answers with 61%)",
    ):
        assert INDENT + line in note.splitlines()


def test_what_is_not_known_is_left_out_or_said() -> None:
    situation = make_situation(
        post=make_post(url=None), triage=None, thread=(), history=(), answers=(), may_reply=None, auto_replies_24h=0
    )
    note = render(make_case(url=None), situation)
    assert ours(note) == [
        "This case:",
        "Why it came here:",
        "The customer's post:",
        "Triage:",
        "Suggested answer: none; no approved article answers this.",
    ]
    assert "No model has judged this post." in note


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_private": True}, "private message"),
        ({"kind": PostKind.QUOTE}, "quote"),
        ({"place": "r/gadgets"}, "in r/gadgets"),
        ({"edited_at": make_post().created_at}, "edited 2026-11-02 11:57 UTC"),
        ({"title": "Two charges"}, "    Two charges\n"),
        ({"is_own": True}, "our own account"),
        ({"author": make_author(is_bot=True)}, "says it is a bot"),
        ({"text": " \n "}, "    (no text)\n"),
    ],
)
def test_what_is_special_about_a_post_is_said(changes: dict[str, Any], words: str) -> None:
    assert words in render(make_case(), make_situation(post=make_post(**changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"already_answered": True}, "We have answered this very post already."),
        ({"open_case": "x:1700"}, "Unresolved case of this customer in this conversation: x:1700"),
    ],
)
def test_what_an_agent_must_know_first_is_said(changes: dict[str, Any], words: str) -> None:
    assert words in render(make_case(), make_situation(**changes))


def test_a_stranger_cannot_write_a_line_of_ours() -> None:
    plain = ours(render(make_case(), make_situation()))
    author = make_author(handle=HOSTILE, display_name=HOSTILE, id=HOSTILE)
    post = make_post(text=HOSTILE, title=HOSTILE, place=HOSTILE, author=author)
    situation = make_situation(post=post, thread=(post, post))
    history = [
        replace(contact, text=PrivateText(HOSTILE), intent=HOSTILE, outcome=HOSTILE) for contact in situation.history
    ]
    note = render(make_case(reasons=(HOSTILE,), queue=HOSTILE, key=HOSTILE), replace(situation, history=history))
    assert ours(note) == plain


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://evil.example/) ![x](http://tracker.example/p.png",
        "https://evil.example/\nSuggested answer:",
        "https://evil.example/{{ticket.id}}",
        "https://evil.example/<script>",
        "https://xn--e1afmkfd.example/\u202egnp",
    ],
)
def test_an_odd_link_is_quoted_and_not_offered(url: str) -> None:
    note = render(make_case(), make_situation(post=make_post(url=url)))
    assert "Link to the post:" in ours(note)
    assert not any("evil" in line or "javascript" in line or "xn--" in line for line in ours(note))


def test_read_as_markdown_it_has_no_image_no_link_and_no_html_of_a_stranger() -> None:
    post = make_post(text=HOSTILE, title=HOSTILE, author=make_author(display_name=HOSTILE))
    note = render(make_case(reasons=(HOSTILE,)), make_situation(post=post, thread=(post,)))
    html = MarkdownIt("commonmark", {"html": True}).render(note)
    for tag in ("<script", "<img", "<a ", "<h1", "<em>", "<strong>"):
        assert tag not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_hidden_and_reordering_characters_do_not_arrive() -> None:
    note = render(make_case(), make_situation(post=make_post(text=HOSTILE + "\x1b[31m\x08\x7f\x85 👩‍👩‍👧 می‌خواهم")))
    assert not {chr(n) for n in [*range(9), *range(11, 32), 0x7F, 0x85, 0x2028, 0x202E, 0xD800]} & set(note)
    assert "👩‍👩‍👧 می‌خواهم" in note


def test_blank_lines_cannot_push_our_words_away() -> None:
    note = render(make_case(), make_situation(post=make_post(text="a" + "\n" * 3_000 + "b")))
    assert "    a\n\n    b\n" in note


def test_a_long_thread_keeps_its_root_and_its_end() -> None:
    thread = [make_post(id=str(n), text=f"step-{n}-") for n in range(300)]
    note = render(make_case(), make_situation(thread=thread))
    assert "root first (300):" in note
    assert "step-0-" in note
    assert "step-299-" in note
    assert "step-100-" not in note
    assert "posts left out)" in note
    assert note.index("step-0-") < note.index("posts left out)") < note.index("step-299-")


def test_a_long_history_keeps_the_newest() -> None:
    contact = make_situation().history[0]
    history = [replace(contact, text=PrivateText(f"contact-{n}-")) for n in range(300)]
    note = render(make_case(), make_situation(history=history))
    assert "oldest first (300):" in note
    assert "contact-299-" in note
    assert "contact-0-" not in note
    assert "(250 older contacts left out)" in note


def test_a_cut_text_says_how_much_is_missing() -> None:
    note = render(make_case(), make_situation(post=make_post(text="x" * 10_500)))
    assert "… (500 more characters)" in note


@pytest.mark.parametrize("max_bytes", [MAX_BYTES, 8_000, 3_000, 200, 0])
def test_no_context_makes_it_longer_than_allowed(max_bytes: int) -> None:
    huge = make_post(text="東京\n" * 50_000, title="t" * 9_000, place="p" * 9_000)
    situation = make_situation(post=huge, thread=[huge] * 100, history=list(make_situation().history) * 100)
    note = render(make_case(reasons=("r" * 5_000,) * 50), situation, max_bytes=max_bytes)
    assert len(note.encode()) <= max(max_bytes, len("\n(cut)\n"))


@settings(max_examples=200)
@given(text=st.text(st.characters(codec=None), max_size=200), name=st.text(st.characters(codec=None), max_size=60))
def test_any_text_leaves_our_lines_as_they_are_and_can_be_stored(text: str, name: str) -> None:
    post = make_post(text=text, title=name, author=make_author(display_name=name, handle=name))
    note = render(make_case(reasons=(text,)), make_situation(post=post, thread=(post,)))
    note.encode()
    assert "\x00" not in note
    assert [line for line in ours(note) if line.endswith(":")] == [
        "This case:",
        "Why it came here:",
        "The customer's post:",
        "Triage:",
        "Before you answer:",
        "The conversation above it, root first (1):",
        "Earlier contacts on this channel, oldest first (2):",
        "Suggested answer:",
    ]


def test_one_line_is_one_line() -> None:
    assert one_line(" a\n\tb\u2028c\x00d \ud800", max_chars=50) == "a b cd \ufffd"
    assert one_line("abcdef", max_chars=4) == "abc…"


@pytest.mark.parametrize(
    ("display_name", "handle", "expected"),
    [
        ("Mira Quill", "mira", "Mira Quill"),
        ("  \u202e\n", "mira", "mira"),
        ("https://evil.example/x", "mira", "https evil.example x"),
        ("victim@example.com", "mira", "victim example.com"),
        ("<b>{{x}}</b>", "mira", "b x b"),
        ("", "@:/", "4711"),
        ("ü" * 300, "mira", "ü" * 99 + "…"),
    ],
)
def test_a_name_is_never_a_link_an_address_or_markup(display_name: str, handle: str, expected: str) -> None:
    assert customer_name(make_author(display_name=display_name, handle=handle)) == expected


def test_a_person_without_any_name_is_a_customer() -> None:
    assert customer_name(make_author(display_name="", handle="", id="::")) == "Customer"
