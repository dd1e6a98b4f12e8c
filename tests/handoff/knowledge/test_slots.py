"""Slots: typed, filled by the brand alone; a wording with a bad one says nothing at all."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.length import LengthRule, Unit
from handoff.knowledge.answer import Voice, word
from handoff.knowledge.article import Article
from handoff.knowledge.slots import SlotError, read_slots

TABLES: dict[str, Any] = {
    "order_status_url": {"type": "url", "value": "https://example.com/orders"},
    "hours:store": {"type": "hours", "value": "Mo-Fr 09:00-18:00; Sa 10:00-14:00; Su off"},
    "phone": {"type": "phone", "value": "+44 20 7946 0000"},
    "sale_ends": {"type": "date", "value": date(2026, 3, 2)},
    "shop": {"type": "text", "value": {"en": "our shop", "de": "unser Laden"}},
}
SLOTS = read_slots(TABLES)

SAID = [
    ("Look at {order_status_url}.", "en", "Look at https://example.com/orders."),
    ("{hours:store}", "en", "Mon–Fri 09:00–18:00, Sat 10:00–14:00, Sun closed"),
    ("{hours:store}", "de-AT", "Mo–Fr 09:00–18:00, Sa 10:00–14:00, So geschlossen"),
    ("{phone}", "ja", "+44 20 7946 0000"),
    ("until {sale_ends}", "en", "until 2 March 2026"),
    ("bis {sale_ends}", "de", "bis 2. März 2026"),
    ("{sale_ends}", "ko", "2026-03-02"),
    ("{shop}, {shop}", "de", "unser Laden, unser Laden"),
    ("no slot", "en", "no slot"),
]


@pytest.mark.parametrize(("text", "locale", "said"), SAID)
def test_a_slot_is_said_as_its_type_and_the_locale_want(text: str, locale: str, said: str) -> None:
    assert SLOTS.fill(text, locale) == said


BAD = [
    ("{order_url}", "en", "{order_url} is no known slot; there are: hours:store, order_status_url"),
    ("{shop}", "fr", "{shop} has no value for fr; set value.fr in its table"),
    ("{hours:store}", "ko", "{hours:store}: how days are called in ko is not known; use a slot of type text there"),
    ("{Order}", "en", "a brace is no slot; a slot is written {name} or {name:which}"),
    ("{{phone}}", "en", "a brace is no slot"),
    ("50 % {", "en", "a brace is no slot"),
    ("{phone", "en", "a brace is no slot"),
]


@pytest.mark.parametrize(("text", "locale", "said"), BAD)
def test_what_cannot_be_filled_is_said_and_nothing_else_is(text: str, locale: str, said: str) -> None:
    assert [each for each in SLOTS.problems(text, locale) if each.startswith(said)]
    with pytest.raises(SlotError):
        SLOTS.fill(text, locale)


FAULTS = [
    ({"type": "url", "value": "lark.example"}, "a url is https://host/path"),
    ({"type": "url", "value": "javascript:alert(1)"}, "a url is https://host/path"),
    ({"type": "url", "value": "https://eve:pw@lark.example/"}, "a url is https://host/path"),
    ({"type": "url", "value": "https://lark.example/a b"}, "a url is https://host/path"),
    ({"type": "phone", "value": "call us"}, "a phone number has 3 to 15 digits"),
    ({"type": "phone", "value": 4420}, "write text in quotes"),
    ({"type": "date", "value": "24.12.2026"}, "a date is written 2026-12-24"),
    ({"type": "hours", "value": "weekdays nine to six"}, "opening hours are written Mo-Fr 09:00-18:00"),
    ({"type": "hours", "value": "Mo-Fr 25:00-26:00"}, "opening hours are written"),
    ({"type": "text", "value": "x" * 201}, "a text has 200 at most"),
    ({"type": "text", "value": "see {phone}"}, "a slot holds no slots"),
    ({"type": "text", "value": "pay\u202eme"}, "invisible character U+202E"),
    ({"type": "text", "value": ""}, "write text in quotes"),
    ({"type": "price", "value": "5"}, "allowed are url, text, phone, date, hours"),
    ({"type": "text"}, 'write it as { type = "url"'),
    ("https://lark.example", 'write it as { type = "url"'),
]


@pytest.mark.parametrize(("table", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_a_value_that_fails_its_type_is_a_fault_and_is_never_said(table: Any, said: str) -> None:
    slots = read_slots({"it": table})
    assert said in slots.faults["it"]
    assert slots.problems("{it}", "en") == [slots.faults["it"]]


def test_a_slot_is_called_by_a_plain_name() -> None:
    assert "small letters" in read_slots({"Order URL": {"type": "text", "value": "x"}}).faults["Order URL"]


def article(**wordings: str) -> Article:
    return Article(slug="orders", locale="en", title="Orders", wordings=wordings)


def test_a_wording_is_measured_as_it_is_said() -> None:
    voice = Voice(channel="x", length=LengthRule(unit=Unit.WEIGHTED, limit=30), signature="^L")
    said = word(article(x="See {order_status_url}"), voice, slots=SLOTS)
    assert (said.text, said.fits) == ("See https://example.com/orders ^L", True)
    assert not word(article(x="Now see {order_status_url}"), voice, slots=SLOTS).fits


def test_nothing_is_said_where_a_slot_cannot_be_filled() -> None:
    said = word(article(default="See {order_url}"), Voice(channel="x", signature="^L"), slots=SLOTS)
    assert (said.text, said.fits) == ("", False)
    assert word(article(default="See {order_status_url}"), Voice(channel="x")).text == ""


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["{", "}", "{phone}", "{shop}", "{nope}", "a", ":", " "]), max_size=8).map("".join))
def test_no_brace_ever_reaches_the_public(text: str) -> None:
    said = word(article(default=text or "x"), Voice(channel="x", markdown=True), slots=SLOTS).text
    assert "{" not in said
    assert "}" not in said
