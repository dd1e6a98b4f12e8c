"""Which sentences an article supports: a table. Whatever is in doubt is not supported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.drafting.support import facts, judged, sentences

ARTICLE = (
    "You can return a parcel within 30 days for a full refund. Refunds take 5 to 7 working days. "
    "A return costs €4.90, or 10 % of the price for furniture. Start at https://lark.example/back or write to "
    "help@lark.example. Opened software cannot be returned. The offer ends on 24 December 2026."
)
GERMAN = "Sie können ein Paket innerhalb von 30 Tagen zurückgeben. Geöffnete Software nehmen wir nicht zurück."
JAPANESE = "返品は30日以内に可能です。ソフトウェアは返品できません。"

TABLE = [
    ("You can return a parcel within 30 days.", True, ""),
    ("Parcels can be returned within 30 days for a refund.", True, ""),
    ("Refunds take 5 to 7 working days.", True, ""),
    ("Start at https://lark.example/back.", True, ""),
    ("Write to help@lark.example!", True, ""),
    ("Opened software cannot be returned.", True, ""),
    ("The return costs €4.90.", True, ""),
    ("You can return a parcel within 14 days.", False, "14"),
    ("You can return a parcel within 3 days.", False, "3"),
    ("You can return a parcel within thirty days.", False, "thirty"),
    ("Refunds take 30 working days.", False, ""),
    ("The return costs $4.90.", False, "$4.90"),
    ("The return costs €4.", False, "€4"),
    ("A return costs 10 euros for furniture.", False, "€10"),
    ("Start at https://lark.example.evil/back.", False, "lark.example.evil"),
    ("Start at lark.evil/back.", False, "lark.evil"),
    ("Write to boss@lark.example.", False, "boss@lark.example"),
    ("The offer ends on 24 November 2026.", False, "november"),
    ("The offer ends on 24 December 2027.", False, "2027"),
    ("Opened software can be returned.", False, "the article says no"),
    ("You cannot return a parcel within 30 days.", False, "it says no"),
    ("You can't return a parcel within 30 days.", False, "it says no"),
    ("You can return a parcel within 30 days, and keep the money.", False, "money"),
    ("Our company is run by thieves.", False, "thieves"),
    ("Sorry to hear that!", False, "sorry"),
    ("!!!", False, "nothing that could be compared"),
    ("You can return a parcel within ١٤ days.", False, "14"),
]


@pytest.mark.parametrize(("said", "is_supported", "why"), TABLE, ids=[said for said, _, _ in TABLE])
def test_what_an_article_supports(said: str, is_supported: bool, why: str) -> None:
    (found,) = judged(said, [ARTICLE])
    assert found.is_supported == is_supported, found
    assert why in found.why
    assert bool(found.why) != is_supported


@pytest.mark.parametrize(
    ("said", "article", "is_supported"),
    [
        ("Sie können ein Paket innerhalb von 30 Tagen zurückgeben.", GERMAN, True),
        ("Sie können ein Paket nicht innerhalb von 30 Tagen zurückgeben.", GERMAN, False),
        ("Sie können ein Paket innerhalb von 60 Tagen zurückgeben.", GERMAN, False),
        ("返品は30日以内に可能です。", JAPANESE, True),
        ("返品は90日以内に可能です。", JAPANESE, False),
        ("返金は30日以内に可能です。", JAPANESE, False),
        ("You can return a parcel within 30 days.", GERMAN, False),
    ],
)
def test_it_holds_in_other_languages_and_never_across_them(said: str, article: str, is_supported: bool) -> None:
    assert [each.is_supported for each in judged(said, [article])] == [is_supported]


def test_each_sentence_is_judged_by_itself() -> None:
    draft = "You can return a parcel within 30 days. We give you 500 € on top! Start at https://lark.example/back"
    assert [each.is_supported for each in judged(draft, [ARTICLE])] == [True, False, True]


def test_without_an_article_nothing_is_supported() -> None:
    assert not any(each.is_supported for each in judged(ARTICLE, []))


def test_facts_from_two_ends_of_an_article_make_no_truth() -> None:
    (found,) = judged("You can return opened furniture within 7 days for €4.90.", [ARTICLE])
    assert not found.is_supported


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_none_is_lost(text: str) -> None:
    found = judged(text, [ARTICLE])
    assert [each.text for each in found] == sentences(text)
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.integers(0, 10**9), st.sampled_from(["{} days", "€{}", "{} %", "https://lark.example/{}", "{}@lark.example"]))
def test_a_fact_that_is_not_in_the_article_is_never_supported(number: int, shape: str) -> None:
    fact = shape.format(number)
    if set(facts(fact)) <= set(facts(ARTICLE)):
        return
    assert not any(each.is_supported for each in judged(f"You can return a parcel within {fact}", [ARTICLE]))
