"""The exact public words: the channel's own, the default ones, or the first paragraph; plain where the network is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.length import LengthRule, Unit
from handoff.knowledge.answer import Answers, Voice, first_paragraph, plain, word
from handoff.knowledge.article import Article
from handoff.knowledge.search import Entry, Index, Query

X = Voice(channel="x", length=LengthRule(unit=Unit.WEIGHTED, limit=280))
BLUESKY = Voice(channel="bluesky", length=LengthRule(unit=Unit.GRAPHEMES, limit=300))
REDDIT = Voice(channel="reddit", markdown=True)


def make_article(**parts: Any) -> Article:
    return Article(
        **{"slug": "refund", "locale": "en", "title": "Refunds", "body": "Five **working** days.\n\nMore.", **parts}
    )


def test_the_channels_own_wording_is_said_as_written() -> None:
    article = make_article(wordings={"x": "5 *days*.", "default": "Five days."})
    assert word(article, X).text == "5 *days*."


def test_then_the_default_wording_then_the_first_paragraph() -> None:
    assert word(make_article(wordings={"reddit": "r", "default": "Five *days*."}), X).text == "Five days."
    assert word(make_article(), X).text == "Five working days."
    assert word(make_article(), REDDIT).text == "Five **working** days."


def test_a_signature_follows_and_counts() -> None:
    assert word(make_article(), replace(X, signature="^bot")).text == "Five working days. ^bot"
    tight = Voice(channel="x", length=LengthRule(unit=Unit.CHARACTERS, limit=18))
    assert word(make_article(), tight).fits
    assert not word(make_article(), replace(tight, signature="^bot")).fits


def test_each_network_measures_in_its_own_way() -> None:
    family = "👨‍👩‍👧" * 200
    article = make_article(wordings={"default": family})
    assert not word(article, X).fits  # two units each
    assert word(article, BLUESKY).fits  # one each
    link = make_article(wordings={"default": "https://example.com/" + "a" * 400})
    assert word(link, X).fits  # a link costs 23
    assert not word(link, BLUESKY).fits


def test_nothing_to_say_never_fits() -> None:
    assert word(make_article(body="# Only a heading"), REDDIT).fits is False


@pytest.mark.parametrize(
    ("markdown", "said"),
    [
        ("Read [our page](https://example.com/a).", "Read our page (https://example.com/a)."),
        ("<https://example.com/a>", "https://example.com/a"),
        ("[https://example.com/a](https://example.com/a)", "https://example.com/a"),
        ("# Title\n\nText *with* __marks__ and `code`.", "Title\n\nText with marks and code."),
        ("one\ntwo  \nthree", "one two\nthree"),
        ("First:\n\n1. one\n2. two\n\n- a\n- b\n\nEnd.", "First:\n1. one\n2. two\n- a\n- b\n\nEnd."),
        ("![a picture](https://example.com/p.png) there", "a picture there"),
        ("snake_case_name costs 2 * 3 * 4", "snake_case_name costs 2 * 3 * 4"),
        ("<b>not html</b> & fish &amp; chips", "<b>not html</b> & fish & chips"),
        ("> quoted", "quoted"),
        ("```\ncode here\n```", "code here"),
        ("", ""),
    ],
)
def test_markdown_is_taken_off(markdown: str, said: str) -> None:
    assert plain(markdown) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("# Head\n\nFirst *one*.\nstill first\n\nSecond.", "First *one*.\nstill first"),
        ("- a list\n\nThen text.", "Then text."),
        ("", ""),
        ("```\ncode\n```", ""),
    ],
)
def test_the_first_paragraph_is_no_heading_and_no_list(body: str, said: str) -> None:
    assert first_paragraph(body) == said


def test_nothing_of_a_post_enters_a_wording() -> None:
    article = make_article(wordings={"default": "Five days, $name."}, questions=("where is my money",))
    answers = Answers(Index([Entry(id=3, article=article)]))
    hostile = Query(text="where is my money $name SECRET", language="en")
    ((candidate,),) = answers.candidates([hostile], [X])
    assert candidate.wording == "Five days, $name."
    assert (candidate.article_id, candidate.slug, candidate.locale, candidate.title) == (3, "refund", "en", "Refunds")


def test_one_batch_speaks_in_many_voices() -> None:
    article = make_article(wordings={"x": "short", "reddit": "**long**"}, questions=("where is my money",))
    answers = Answers(Index([Entry(id=3, article=article)]))
    query = Query(text="where is my money", language="en")
    voices = [replace(X, signature="^b"), X, replace(REDDIT, signature="*I am a bot.*")]
    said = [each[0].wording for each in answers.candidates([query] * 3, voices)]
    assert said == ["short ^b", "short", "**long** *I am a bot.*"]
