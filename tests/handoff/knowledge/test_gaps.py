"""What is missing: questions together, named, masked, and made into drafts without any wording."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoff.knowledge import gaps
from handoff.knowledge.article import Article, ArticleState, parse
from handoff.knowledge.gaps import Answering, Missing, Question
from handoff.knowledge.readiness import Standards, check
from handoff.knowledge.search import Entry, Hit
from handoff.knowledge.writing import content
from tests.bot.word_engine import embedding

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def question(number: int, text: str, **more: Any) -> Question:
    return Question(
        **{
            "post_id": number,
            "author_id": number,
            "text": text,
            "language": "en",
            "channel": "x",
            "at": NOON + timedelta(hours=number),
            "intent": "product_question",
            "embedding": embedding(text),
            "model": "words@1",
            **more,
        }
    )


ASKED = [
    question(1, "does the router work with fibre"),
    question(2, "router with fibre: does it work", author_id=1, channel="reddit"),
    question(3, "does the router work with my fibre line", language="de", was_rejected=True),
    question(4, "can I pay by invoice"),
    question(5, "can I pay you by invoice", intent="billing_payment"),
    question(6, "do you have a shop in Oslo"),
]


def test_questions_that_ask_the_same_stand_together_with_their_counts() -> None:
    router, invoice = gaps.find(ASKED, least=2)
    assert (router.asked, router.people, router.rejected) == (3, 2, 1)
    assert (router.channels, router.languages) == ({"x": 2, "reddit": 1}, {"en": 2, "de": 1})
    assert list(router.channels) == ["x", "reddit"]
    assert (router.first, router.last) == (ASKED[0].at, ASKED[2].at)
    assert router.name == router.examples[0].text
    assert {each.post_id for each in router.examples} == {1, 2, 3}
    assert invoice.intents == {"billing_payment": 1, "product_question": 1}
    assert [gap.asked for gap in gaps.find(ASKED, least=1)] == [3, 2, 1]
    assert gaps.find([], least=1) == []


def test_what_is_left_alone_is_counted() -> None:
    found = gaps.missing(ASKED, since=NOON, least=2, is_cut=False)
    assert (found.asked, found.alone, len(found.gaps)) == (6, 1, 2)


def test_the_order_in_which_questions_come_changes_nothing() -> None:
    assert gaps.find(ASKED[::-1], least=1) == gaps.find(ASKED, least=1)


def test_vectors_of_two_models_are_not_compared_and_none_means_words() -> None:
    same = [question(number, "where is my parcel now") for number in range(1, 9)]
    of_two = [replace(each, model="a@1" if each.post_id < 4 else "b@1") for each in same]
    assert [gap.asked for gap in gaps.find(of_two, least=1)] == [5, 3]
    taught = [replace(each, model="a@1" if each.post_id < 4 else "a@1+t3") for each in same]
    assert [gap.asked for gap in gaps.find(taught, least=1)] == [8], "teaching leaves the vectors as they are"
    without = [replace(each, embedding=b"", model=str(each.post_id)) for each in same]
    assert [gap.asked for gap in gaps.find(without, least=1)] == [8]


def test_private_messages_are_counted_and_never_quoted() -> None:
    private = [replace(each, is_private=True) for each in ASKED]
    router, _ = gaps.find(private, least=2)
    assert (router.asked, router.name, list(router.examples)) == (3, gaps.ONLY_PRIVATE, [])
    mixed = [replace(each, is_private=each.post_id != 2) for each in ASKED[:3]]
    (one,) = gaps.find(mixed, least=2)
    assert (one.id, one.asked, [each.post_id for each in one.examples]) == (2, 3, [2])
    with pytest.raises(ValueError, match="asked in private"):
        gaps.proposed(private, taken=(), main_locale="en")


def test_examples_differ_are_masked_and_few() -> None:
    texts = [f"@shop{n} where is parcel JD00{n:08}, mail me at ana{n}@example.org" for n in range(20)]
    (one,) = gaps.find([question(n + 1, text, embedding=b"") for n, text in enumerate(texts)], least=2)
    assert one.asked == 20
    assert [each.text for each in one.examples] == ["where is parcel [number], mail me at [e-mail]"]
    many = [question(n, f"where is my parcel word{n}") for n in range(1, 40)]
    (one,) = gaps.find(many, least=2)
    assert len(one.examples) <= gaps.MOST_EXAMPLES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@us @ana, where is it? @us", "where is it?"),
        ("x" * 300, "x" * 199 + "…"),
        ("ask @ana about it", "ask [name] about it"),
        ("hi\n\nthere\u202e \u200bfriend\x07", "hi there friend"),
        ("call +49 170 1234567 or DE89 3704 0044 0532 0130 00", "call [phone] or [account]"),
        ("see https://a.example/?id=7 u/ana_b", "see [link]"),
        ("error 204 after 3 months", "error 204 after 3 months"),
        ("word " * 80, ("word " * 39).strip() + "…"),
        ("می‌خواهم", "می‌خواهم"),
    ],
)
def test_a_quote_is_one_short_line_without_personal_data(text: str, shown: str) -> None:
    assert gaps.quoted(text) == shown
    assert len(gaps.quoted(text)) <= gaps.MAX_QUOTE


def test_a_lone_mention_asks_nothing() -> None:
    assert not gaps.asks("@us https://x.example/1 🎉")
    assert gaps.asks("路由器")


def test_a_draft_holds_the_questions_and_nothing_that_could_be_said() -> None:
    article = gaps.proposed(ASKED[:3], taken=(), main_locale="en")
    assert (article.slug, article.locale, article.state) == (
        "does-the-router-work-with-fibre",
        "en",
        ArticleState.DRAFT,
    )
    assert article.title == article.questions[0] == "does the router work with fibre"
    assert article.questions == tuple(each.text for each in ASKED[:3])
    assert article.tags == ("product_question",)
    assert (article.wordings, article.owner, article.reviewer) == ({}, "", "")
    assert "reddit, x, 2026-03-02" in article.body
    kept = parse(content(article), name=f"{article.name}.md")
    assert kept.questions == article.questions
    assert {each.text for each in check(kept, Standards())} == {""}, "there is nothing that could be said anywhere"


@pytest.mark.parametrize(
    ("text", "language", "taken", "name"),
    [
        ("Does it?", "en", (), "does-it.en"),
        ("Does it?", "en", ("does-it", "does-it-2"), "does-it-3.en"),
        ("路由器断网", "zh", (), "question-7.zh"),
        ("Где посылка", "und", (), "question-7.en"),
        ('Où est l\'été: "#1"?', "fr", (), "ou-est-l-ete-1.fr"),
    ],
)
def test_a_draft_has_a_name_of_its_own(text: str, language: str, taken: tuple[str, ...], name: str) -> None:
    article = gaps.proposed([question(7, text, language=language)], taken=taken, main_locale="en")
    assert article.name == name
    assert parse(content(article), name="x.md").title == text


def test_what_is_done_about_a_gap_stands_beside_it() -> None:
    found = gaps.missing(ASKED, since=NOON, least=2, is_cut=True)
    first, second = found.gaps
    article = Article(slug="fibre", locale="en", title="Fibre")
    hits = [Hit(entry=Entry(id=1, article=article), confidence=0.5, is_foreign=False), None]
    assert gaps.answering(found.gaps, hits, likely=0.51) == {}
    known = gaps.answering(found.gaps, hits, likely=0.5)
    assert known == {first.id: Answering(slug="fibre", confidence=0.5)}
    noted: Missing = gaps.noted(found, answering=known, writing={second.examples[-1].text: "invoice.en"})
    assert [each.answering for each in noted.gaps] == [Answering(slug="fibre", confidence=0.5), None]
    assert [each.draft for each in noted.gaps] == [None, "invoice.en"]
    assert [each.post_id for each in gaps.centres(found.gaps, ASKED)] == [first.id, second.id]
    assert gaps.query(ASKED[0]).embedding == ASKED[0].embedding
