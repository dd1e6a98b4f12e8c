"""Words of caution in seven languages, and the words that only look like them."""

from __future__ import annotations

import pytest

from handoff.sensitive import WORDS, Lexicon, Topic
from handoff.words import fold, words

LEXICON = Lexicon()


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("I want to kill myself", Topic.DANGER),
        ("i will SUICIDE", Topic.DANGER),
        ("Quiero morir", Topic.DANGER),
        ("ich will sterben", Topic.DANGER),
        ("我要自杀", Topic.DANGER),
        ("your toaster caught  fire", Topic.SAFETY),
        ("Der Akku ist explodiert", Topic.SAFETY),
        ("J'ai été blessé... je suis blessée", Topic.SAFETY),
        ("allergic reaction to your soap", Topic.HEALTH),
        ("estoy embarazada", Topic.HEALTH),
        ("my s\u200bon is six", Topic.MINORS),
        ("mijn dochter", Topic.MINORS),
        ("you will hear from my lawyer", Topic.LEGAL),
        ("je vais porter plainte", Topic.LEGAL),
        ("Ｌａｗｙｅｒ", Topic.LEGAL),
        ("Sprechen Sie mit meinem Anwalt!", Topic.LEGAL),
        ("I'm a journalist, any comment?", Topic.PRESS),
        ("記者です", Topic.PRESS),
    ],
)
def test_a_subject_is_recognised(text: str, topic: Topic) -> None:
    assert LEXICON.topics(text) == (topic,)


@pytest.mark.parametrize(
    "text",
    [
        "Great hospitality, thank you",
        "the app is stable again",
        "feeling blessed",
        "your food was the bomb",
        "a brand new car",
        "my account was disabled",
        "press the button",
        "Sue, when do you open?",
        "une salade d'avocat",
        "der Rechter Schuh passt nicht",
        "un problème mineur",
        "BOM to LHR, on average 2 hours late",
        "",
    ],
)
def test_a_word_that_only_looks_like_one_is_left_alone(text: str) -> None:
    assert LEXICON.topics(text) == ()


def test_the_gravest_comes_first() -> None:
    assert LEXICON.topics("my lawyer knows I want to die, my son too") == (Topic.DANGER, Topic.MINORS, Topic.LEGAL)


def test_own_words_are_folded_like_all_others() -> None:
    lexicon = Lexicon(own=("Crème brûlée*",), topics=())
    assert lexicon.topics("CREME   BRULEES!") == (Topic.OWN,)
    assert lexicon.topics("my lawyer") == ()


def test_every_word_is_found_where_it_stands_alone() -> None:
    for topic, entries in WORDS.items():
        for entry in entries:
            assert topic in LEXICON.topics(f"... {entry.replace('*', 'x')} ..."), entry


def test_folding_keeps_what_carries_meaning() -> None:
    assert fold("ÀÉÎÕÜ ß ﬁ") == "aeiou ss fi"
    assert fold("がか") == "がか"
    assert fold("हिन्दी") == "हिन्दी"


def test_words_leave_links_and_handles_out_and_cut_what_has_no_spaces() -> None:
    assert words("@ana Où est mon colis? https://x.example/abc?q=1 @b@c.social b2b") == [
        "ou",
        "est",
        "mon",
        "colis",
        "b2b",
    ]
    assert words("我要退款ok") == ["我要", "要退", "退款", "ok"]
    assert words("款") == ["款"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("\x00\ud800🙂") == []
    assert words("x" * 500) == ["x" * 64]
