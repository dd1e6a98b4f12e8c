"""Makes strangers' text harmless to look at. Escaping is the template's; this is about what reorders or hides."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import regex
from yarl import URL

_OVERRIDES = "\u202a-\u202e"
_MARKS = "\u200e\u200f\u061c\u2066-\u2069"
_HIDDEN = "\u00ad\u115f\u1160\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
_TAGS = "\U000e0000-\U000e007f"

# Marks and isolates belong to right-to-left prose and end with its block; in a name they only serve to deceive.
_IN_TEXT = regex.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_OVERRIDES}{_HIDDEN}]|(?<!\U0001f3f4[{_TAGS}]*)[{_TAGS}]")
_IN_NAME = regex.compile(rf"[\x00-\x1f\x7f-\x9f{_OVERRIDES}{_MARKS}{_HIDDEN}{_TAGS}]")
_STACKED = regex.compile(r"(\p{M}{3})\p{M}+")


def text(value: str) -> str:
    """Return *value* with control characters and direction overrides written out, for a block of its own."""
    return str(_STACKED.sub(r"\1", _IN_TEXT.sub(_name_it, value)))


def name(value: str) -> str:
    """Return *value* for one line inside <bdi>: nothing in it can reorder, hide or break the line."""
    return str(_STACKED.sub(r"\1", _IN_NAME.sub(_name_it, value)))


def url(value: str | None) -> str | None:
    """Return *value* if it is an absolute http(s) address without credentials, else None."""
    if not value or len(value) > 2000 or any(unicodedata.category(c)[0] in "CZ" for c in value) or "\\" in value:
        return None
    if not value.lower().startswith(("http://", "https://")):
        return None
    try:
        parsed = URL(value)
    except ValueError:
        return None
    if not parsed.host or parsed.user is not None or parsed.password is not None:
        return None
    return str(parsed)


def host(value: str) -> str:
    """Return the real host of an address, look-alike letters in punycode."""
    return URL(value).raw_host or ""


def local(value: str | None) -> str:
    """Return *value* if it is a path of this site, else "/": a sign-in must not send people away."""
    if not value or not value.startswith("/") or value.startswith("//") or "\\" in value or len(value) > 2000:
        return "/"
    if any(unicodedata.category(c)[0] == "C" for c in value):
        return "/"
    return value


def when(value: datetime) -> str:
    """Return a time as people read it, UTC."""
    return value.astimezone(UTC).strftime("%d %b %Y %H:%M UTC")


def iso(value: datetime) -> str:
    """Return a time for machines."""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def percent(value: float) -> str:
    """Return a share as whole per cent."""
    return f"{value:.0%}"


def words(value: str) -> str:
    """Return a label as words."""
    return value.replace("_", " ")


def _name_it(match: regex.Match[str]) -> str:
    return "".join(f"\u27e8U+{ord(character):04X}\u27e9" for character in match[0])
