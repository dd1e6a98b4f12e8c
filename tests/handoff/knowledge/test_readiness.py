"""Readiness for each channel: what is found, what stops a publish, and what is only said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.length import LengthRule, Unit
from handoff.knowledge import private
from handoff.knowledge.answer import Voice
from handoff.knowledge.article import Article
from handoff.knowledge.folder import load_folder
from handoff.knowledge.readiness import Guess, Kind, Standards, check, faults, findings, lix, texts
from handoff.knowledge.slots import read_slots

SLOTS = read_slots({"status": {"type": "url", "value": "https://example.com/status"}})
STANDARDS = Standards(slots=SLOTS)
HARD = (
    "Notwithstanding aforementioned contractual stipulations, reimbursement authorisations necessitate documentation "
    "demonstrating previously established entitlements, whereupon administrative departments undertake verification "
    "procedures regarding outstanding transactions"
)


def article(locale: str = "en", body: str = "", **wordings: str) -> Article:
    return Article(slug="a", locale=locale, title="A", body=body, wordings=wordings)


def test_a_wording_is_measured_as_its_network_does() -> None:
    (ready,) = check(article(x="Look at {status}, or https://example.com/a-much-longer-address-than-that"), STANDARDS)
    assert (ready.channel, ready.limit, ready.unit, ready.links, ready.link_cost) == ("x", 280, "weighted", 2, 46)
    assert ready.used == len("Look at , or ") + 46
    assert ready.is_ready


TABLE = [
    (article(x="x" * 281), Kind.LENGTH, True, "is 1 weighted too long (281 of 280); shorten it"),
    (article(x="See {stat}"), Kind.SLOT, True, "{stat} is no known slot; there are: status"),
    (article(x="See {Status}"), Kind.SLOT, True, "a brace is no slot"),
    (article(default="See {stat}"), Kind.SLOT, True, "{stat} is no known slot"),
    (article(body="See {stat}"), Kind.SLOT, True, "{stat} is no known slot"),
    (article(x="Pay to GB82 WEST 1234 5698 7654 32."), Kind.PRIVATE, True, "holds an IBAN; take it out"),
    (article(x="Your card 4111 1111 1111 1111"), Kind.PRIVATE, True, "holds a card number; take it out"),
    (article(x="Write to ana@example.org"), Kind.PRIVATE, False, "holds an e-mail address; take it out, or make it"),
    (article(x="Call +44 20 7946 0000"), Kind.PRIVATE, False, "holds a phone number; take it out, or make it a slot"),
    (article(x="See http://example.com/"), Kind.LINKS, False, "has a link without encryption; write https://"),
    (article(voice="See https://example.com/"), Kind.LINKS, False, "is read aloud, and has a link that nobody hears"),
    (article(sms="It is **free**"), Kind.WORDING, False, "has Markdown, which is shown as written here"),
    (article(reddit=HARD), Kind.READING, False, "is hard to read: LIX"),
    (
        article(body="# Only a heading", default="").__class__(slug="a", locale="en", title="A", body="# H"),
        Kind.WORDING,
        False,
        "has nothing to say here",
    ),
]


@pytest.mark.parametrize(("made", "kind", "is_fault", "said"), TABLE, ids=[f"{row[1]}-{row[3][:25]}" for row in TABLE])
def test_what_is_wrong_is_said(made: Article, kind: Kind, is_fault: bool, said: str) -> None:
    (found,) = findings(made, STANDARDS)
    assert (found.kind, found.is_fault) == (kind, is_fault)
    assert found.said.startswith(said)
    assert bool(faults(made, STANDARDS)) is is_fault


@pytest.mark.parametrize(
    "made",
    [
        article(x="Look at {status}. It takes 5 working days."),
        article(reddit="It is **free**, see [here](https://example.com/)"),
        article(x="Order 12345 from 2026-12-24, or 24.12.2026: 30 days."),
        article(x="See https://example.com/4111111111111111?mail=a@example.org"),
    ],
)
def test_a_good_wording_has_nothing_said_against_it(made: Article) -> None:
    assert findings(made, STANDARDS) == []


def test_a_default_text_that_is_too_long_is_no_fault_but_not_ready() -> None:
    standards = Standards(voices={"x": Voice(channel="x", length=LengthRule(unit=Unit.CHARACTERS, limit=10))})
    (ready,) = check(article(default="Eleven signs"), standards)
    (found,) = ready.findings
    assert (found.is_fault, ready.is_ready, ready.is_own) == (False, False, False)
    assert "or write a wording for x" in found.said


def test_the_signature_and_what_the_channel_adds_count() -> None:
    rule = LengthRule(unit=Unit.CHARACTERS, limit=20, reserve=5)
    standards = Standards(voices={"x": Voice(channel="x", length=rule, signature="^Lark")}, signature="^Somebody else")
    assert check(article(x="123456789"), standards)[0].used == 20
    assert faults(article(x="1234567890"), standards) == ["x: is 1 characters too long (21 of 20); shorten it"]


def test_another_language_is_told_when_it_is_sure() -> None:
    made = article("de", x="Your refund takes five working days.")
    (text,) = texts(made, STANDARDS)
    sure = {text: Guess(language="en", confidence=0.9)}
    assert [each.said for each in findings(made, STANDARDS, sure)] == ["seems to be in en, the article is in de"]
    assert findings(made, STANDARDS, {text: Guess(language="en", confidence=0.7)}) == []
    assert findings(replace(made, locale="en-GB"), STANDARDS, sure) == []


def test_a_topic_outside_the_taxonomy_is_told() -> None:
    made = replace(article(x="Yes."), topics=("billing", "biling"))
    assert findings(made, STANDARDS) == []
    (found,) = findings(made, Standards(topics=frozenset({"billing"})))
    assert found.said == "topic 'biling' is not in knowledge.topics"


def test_reading_level_counts_long_words_and_sentences() -> None:
    easy = "We send it today. You get a mail. It has a link. Click on it, and you see where your parcel is now."
    assert lix(easy) == round(22 / 4 + 0)
    assert (lix(HARD) or 0) > 80
    assert lix("Too few words.") is None
    assert lix("退款将在五个工作日内到账。" * 10) is None


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("DE89 3704 0044 0532 0130 00", [private.IBAN]),
        ("DE89 3704 0044 0532 0130 01", []),
        ("4111-1111-1111-1112", []),
        ("(020) 7946 0000 and a.b@c.example.org", [private.EMAIL, private.PHONE]),
        ("within 30 days, 24/7, 9:00-18:00, 1,000,000", []),
    ],
)
def test_only_real_numbers_are_personal(text: str, kinds: list[str]) -> None:
    assert [each for each in private.find(text) if each != private.PHONE or private.PHONE in kinds] == kinds


def test_the_demo_is_ready_for_its_networks() -> None:
    for each in load_folder(Path("deploy/demo/articles")):
        assert faults(each, Standards(signature="^Nimbrook bot")) == [], each.name
