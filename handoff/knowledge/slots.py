"""Slots: places in a wording that the brand fills in one spot, ``{order_status_url}`` or ``{hours:store}``.

A slot has a type and a value, both in the configuration. Nothing of a post ever fills one. Where a wording names a slot
that has no good value, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any

import regex
from yarl import URL

SLOT = regex.compile(r"\{([a-z][a-z0-9_]*(?::[a-z0-9][a-z0-9_-]*)?)\}")
MAX_TEXT = 200
"""Characters of a slot of type text: a phrase, not a second wording."""

MAX_URL = 500

_NAME = regex.compile(r"[a-z][a-z0-9_]*(?::[a-z0-9][a-z0-9_-]*)?")
_BRACE = regex.compile(r"[{}]")
# Control characters, direction overrides and zero-width spaces, as in handoff.knowledge.article.
_HIDDEN = regex.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_PHONE = regex.compile(r"\+?[0-9](?:[ ()./-]{0,2}[0-9]){2,14}")
"""Digits with the usual marks between; E.164 allows 15, short codes have three."""

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_SPAN = regex.compile(
    r"(?P<first>Mo|Tu|We|Th|Fr|Sa|Su)(?:-(?P<last>Mo|Tu|We|Th|Fr|Sa|Su))? +"
    r"(?P<hours>(?P<span>(?P<time>(?:[01][0-9]|2[0-3]):[0-5][0-9])-(?:(?&time)|24:00))(?:, ?(?&span))*|off)"
)
"""The part of openstreetmap.org's opening_hours that shops need: ``Mo-Fr 09:00-18:00; Sa 10:00-14:00; Su off``."""

DAY_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        "de": ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
        "fr": ("lun", "mar", "mer", "jeu", "ven", "sam", "dim"),
        "es": ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
        "it": ("lun", "mar", "mer", "gio", "ven", "sab", "dom"),
        "pt": ("seg", "ter", "qua", "qui", "sex", "sáb", "dom"),
        "nl": ("ma", "di", "wo", "do", "vr", "za", "zo"),
        "pl": ("pon", "wt", "śr", "czw", "pt", "sob", "niedz"),
    }
)
"""Abbreviations after CLDR 46, without full stops."""

CLOSED: Mapping[str, str] = MappingProxyType(
    {
        "en": "closed",
        "de": "geschlossen",
        "fr": "fermé",
        "es": "cerrado",
        "it": "chiuso",
        "pt": "fechado",
        "nl": "gesloten",
        "pl": "nieczynne",
    }
)

_MONTHS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "en": ("January February March April May June July August September October November December", "{d} {m} {y}"),
        "de": ("Januar Februar März April Mai Juni Juli August September Oktober November Dezember", "{d}. {m} {y}"),
        "fr": ("janvier février mars avril mai juin juillet août septembre octobre novembre décembre", "{d} {m} {y}"),
        "es": (
            "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
            "{d} de {m} de {y}",
        ),
        "it": (
            "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
            "{d} {m} {y}",
        ),
        "pt": (
            "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
            "{d} de {m} de {y}",
        ),
        "nl": (
            "januari februari maart april mei juni juli augustus september oktober november december",
            "{d} {m} {y}",
        ),
    }
)
"""Month names and order after CLDR 46, dateFormat long; other languages get 2026-12-24, which is read everywhere."""


class SlotError(ValueError):
    """A slot has no good value; the message says which, and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot. values: locale, or "" for all -> value as configured, checked."""

    name: str
    type: str
    values: Mapping[str, str]

    def said(self, locale: str) -> str:
        """Return the words for *locale*. Raises SlotError when there are none."""
        language = locale.partition("-")[0]
        for key in (locale, language, ""):
            if key in self.values:
                return _SAID.get(self.type, _as_it_is)(self.values[key], language, self.name)
        raise SlotError(f"{{{self.name}}} has no value for {locale}; set value.{language} in its table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """All slots of the brand. faults: a sentence for each that the configuration gives no good value."""

    by_name: Mapping[str, Slot] = field(default_factory=lambda: MappingProxyType({}))
    faults: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def problems(self, text: str, locale: str) -> list[str]:
        """Return a sentence for each slot of *text* that cannot be filled, and for a brace that is no slot."""
        found = []
        for name in dict.fromkeys(SLOT.findall(text)):
            try:
                self._said(name, locale)
            except SlotError as error:
                found.append(str(error))
        if _BRACE.search(SLOT.sub("", text)):
            found.append("a brace is no slot; a slot is written {name} or {name:which}, in small letters")
        return found

    def fill(self, text: str, locale: str) -> str:
        """Return *text* with its slots filled. Raises SlotError, and then nothing may be said."""
        if _BRACE.search(text) is None:
            return text
        if found := self.problems(text, locale):
            raise SlotError("; ".join(found))
        return str(SLOT.sub(lambda match: self._said(match[1], locale), text))

    def _said(self, name: str, locale: str) -> str:
        if name in self.faults:
            raise SlotError(self.faults[name])
        if name not in self.by_name:
            there = ", ".join(sorted({*self.by_name, *self.faults})) or "none"
            raise SlotError(f"{{{name}}} is no known slot; there are: {there}")
        return self.by_name[name].said(locale)


NO_SLOTS = Slots()


def read_slots(tables: Mapping[str, Any]) -> Slots:
    """Return the slots of ``[knowledge.slots]``: name -> {type, value}, where value is text or locale -> text."""
    good: dict[str, Slot] = {}
    faults: dict[str, str] = {}
    for name, table in tables.items():
        try:
            good[name] = _slot(name, table)
        except SlotError as error:
            faults[name] = f"{{{name}}}: {error}"
    return Slots(by_name=MappingProxyType(good), faults=MappingProxyType(faults))


def _slot(name: str, table: Any) -> Slot:
    if not _NAME.fullmatch(name):
        raise SlotError(
            'a slot is called by small letters, digits and underscores, such as order_status_url or "hours:store"'
        )
    if not isinstance(table, Mapping) or set(table) != {"type", "value"}:
        raise SlotError('write it as { type = "url", value = "https://..." }')
    kind, value = table["type"], table["value"]
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise SlotError(f"type is {kind!r}; allowed are {', '.join(_CHECKS)}")
    values = dict(value) if isinstance(value, Mapping) else {"": value}
    if not values:
        raise SlotError("has no value")
    for locale, text in values.items():
        # TOML has dates of its own, and a phone number without quotes is a number.
        text = text.isoformat() if kind == "date" and type(text) is date else text
        if not isinstance(text, str) or not text.strip():
            raise SlotError(f"value is {text!r}; write text in quotes")
        if found := _HIDDEN.search(text):
            raise SlotError(f"value holds the invisible character U+{ord(found.group()):04X}; take it out")
        if _BRACE.search(text):
            raise SlotError("value holds a brace; a slot holds no slots")
        values[locale] = text.strip()
        _CHECKS[kind](values[locale])
    return Slot(name=name, type=kind, values=MappingProxyType(values))


def _check_url(value: str) -> None:
    try:
        url = URL(value)
        good = url.scheme in ("http", "https") and bool(url.host) and url.user is None and url.password is None
    except ValueError:
        good = False
    if not good or len(value) > MAX_URL or any(sign.isspace() or sign in '<>"\\' for sign in value):
        raise SlotError(f"value is {value!r}; a url is https://host/path without blanks, names and passwords")


def _check_text(value: str) -> None:
    if len(value) > MAX_TEXT:
        raise SlotError(f"value is {len(value)} characters long; a text has {MAX_TEXT} at most")


def _check_phone(value: str) -> None:
    digits = sum(sign.isdigit() for sign in value)
    if not _PHONE.fullmatch(value.replace("(", "").replace(")", "")) or not 3 <= digits <= 15:
        raise SlotError(f"value is {value!r}; a phone number has 3 to 15 digits, such as +44 20 7946 0000")


def _check_date(value: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise SlotError(f"value is {value!r}; a date is written 2026-12-24") from error


def _check_hours(value: str) -> None:
    for part in value.split(";"):
        if not _SPAN.fullmatch(part.strip()):
            raise SlotError(
                f"value holds {part.strip()!r}; opening hours are written Mo-Fr 09:00-18:00; Sa 10:00-14:00"
            )


def _as_it_is(value: str, language: str, name: str) -> str:
    return value


def _say_date(value: str, language: str, name: str) -> str:
    if language not in _MONTHS:
        return value
    day = date.fromisoformat(value)
    months, order = _MONTHS[language]
    return order.format(d=day.day, m=months.split()[day.month - 1], y=day.year)


def _say_hours(value: str, language: str, name: str) -> str:
    if language not in DAY_NAMES:
        raise SlotError(f"{{{name}}}: how days are called in {language} is not known; use a slot of type text there")
    days = dict(zip(_DAYS, DAY_NAMES[language], strict=True))
    said = []
    for part in value.split(";"):
        match = _SPAN.fullmatch(part.strip())
        if match is None:  # _check_hours has seen it
            raise SlotError(f"{{{name}}}: cannot be read")
        span = days[match["first"]] + (f"–{days[match['last']]}" if match["last"] else "")
        hours = CLOSED[language] if match["hours"] == "off" else match["hours"].replace("-", "–")
        said.append(f"{span} {hours}")
    return ", ".join(said)


_CHECKS: Mapping[str, Callable[[str], None]] = MappingProxyType(
    {"url": _check_url, "text": _check_text, "phone": _check_phone, "date": _check_date, "hours": _check_hours}
)
TYPES = tuple(_CHECKS)
_SAID: Mapping[str, Callable[[str, str, str], str]] = MappingProxyType({"date": _say_date, "hours": _say_hours})
