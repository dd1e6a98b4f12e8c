"""What leaves for a language model, and what of its answers counts."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.post import Author
from handoff.drafting import asking
from handoff.drafting.asking import Offer
from handoff.drafting.masking import MAX_CHARS, masked
from handoff.drafting.text import ModelText
from handoff.knowledge.article import Article

ANA = Author(channel="mastodon", id="1", handle="ana.quill@letters.example", display_name="Ana-María Quill")
OFFERS = [
    Offer(
        article_id=number,
        article=Article(
            slug=slug, locale="en", title=slug.title(), body=f"# {slug}\n\nAll about {slug}.", questions=("how?",)
        ),
        wording=f"This is {slug}.",
    )
    for number, slug in enumerate(("returns", "parcels"), 1)
]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("call me on +44 20 7946 0018 please", "7946"),
        ("call me on 020 7946 0018", "7946"),
        ("my mail is ana.q+x@mail.example.org", "ana.q"),
        ("order 4711-889-1 is late", "4711"),
        ("order AB-99812 is late", "99812"),
        ("1Z999AA10123456784", "1Z999"),
        ("DE89 3704 0044 0532 0130 00", "3704"),
        ("card 4111 1111 1111 1111", "1111"),
        ("see https://track.example/?token=s3cret", "s3cret"),
        ("@brand ask @neighbour@other.example", "neighbour"),
        ("like u/neighbour said", "neighbour"),
        ("yours, Ana-María Quill", "Quill"),
        ("quill here again", "quill"),
        ("I am ana.quill@letters.example", "letters"),
        ("number 4\u200b7\u200b1\u200b1\u200b2", "4\u200b7"),
        ("٠٢٠ ٧٩٤٦ ٠٠١٨", "٧٩٤٦"),
    ],
)
def test_what_points_to_a_person_does_not_leave(text: str, hidden: str) -> None:
    shown = masked(text, ANA)
    assert hidden not in shown
    assert "[" in shown


def test_a_name_with_a_figure_in_it_does_not_leave_either() -> None:
    author = Author(channel="x", id="1", handle="q", display_name="Bea Quillfeather0 🦆")
    assert "Quillfeather" not in masked("I am Quillfeather0", author)


def test_words_are_left_as_they_are() -> None:
    text = "My parcel is 3 days late, and the blue jacket (size 42) is missing!"
    assert masked(text, ANA) == text


@given(st.text(), st.text(max_size=50), st.text(max_size=50))
def test_no_post_breaks_the_mask(text: str, handle: str, name: str) -> None:
    assert len(masked(text, Author(channel="x", id="1", handle=handle, display_name=name))) <= MAX_CHARS


def test_to_choose_it_sees_slugs_titles_and_questions_only() -> None:
    question = asking.choosing("where is it?", OFFERS)
    data = orjson.loads(question.messages[1]["content"])
    assert data == {
        "post": "where is it?",
        "articles": [
            {"slug": each.article.slug, "title": each.article.title, "questions": ["how?"]} for each in OFFERS
        ],
    }
    assert question.tokens > question.max_tokens


def test_to_write_it_sees_one_article() -> None:
    data = orjson.loads(asking.writing("where is it?", OFFERS[0], language="en", max_chars=280).messages[1]["content"])
    assert "returns" in data["article"]["text"]
    assert "parcels" not in data["article"]["text"]


@pytest.mark.parametrize("said", ["parcels", " parcels\n", "`parcels`", '"parcels".'])
def test_a_candidate_is_a_choice(said: str) -> None:
    assert asking.chosen(ModelText(said), OFFERS) is OFFERS[1]


@pytest.mark.parametrize(
    "said",
    ["", "none", "the parcels article", "parcels, returns", "secret-article", "PARCELS ", "parcels\nreturns", "\0"],
)
def test_whatever_is_no_candidate_is_no_choice(said: str) -> None:
    assert asking.chosen(ModelText(said), OFFERS) is None


@pytest.mark.parametrize("said", ["", " \n", "none", "None.", "x" * 2_001, "\u202e\u200b"])
def test_no_draft_and_too_much_of_one_are_none(said: str) -> None:
    assert asking.drafted(ModelText(said)) is None


def test_a_draft_is_cleaned_and_calls_nobody() -> None:
    draft = asking.drafted(ModelText("Ask @friend\u202e now\x1b[31m, u/else \ud800"))
    assert draft is not None
    assert draft.for_people() == "Ask friend now[31m, else \ufffd"
