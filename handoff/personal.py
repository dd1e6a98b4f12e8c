"""Personal data in a public post: where somebody shows it, the answer belongs into a private conversation."""

from __future__ import annotations

from collections.abc import Iterator

import regex

_MAIL = regex.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.\p{L}{2,24}(?![\w@])")
_PHONE = regex.compile(r"(?<![\w+/.=-])(?:\+|00)[1-9](?:[ ()./-]?\d){7,13}(?![\w/])")
_IBAN = regex.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)")
_CARD = regex.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_FEDIVERSE = regex.compile(r"(?<!\w)@[\w.\-]+@[\w.\-]+")
_DIGITS = regex.compile(r"\D+")


def shows_personal_data(text: str) -> bool:
    """Tell whether *text* holds an e-mail address, an international phone number, an IBAN or a card number.

    Order numbers and national numbers without a prefix are let through: parcels have such numbers too.
    """
    plain = _FEDIVERSE.sub(" ", text)
    if _MAIL.search(plain) or _PHONE.search(plain):
        return True
    return any(_is_iban(each) for each in _found(_IBAN, plain)) or any(_is_card(each) for each in _found(_CARD, plain))


def _found(pattern: regex.Pattern[str], text: str) -> Iterator[str]:
    return (match.group() for match in pattern.finditer(text))


def _is_iban(text: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as numbers, is 1 modulo 97."""
    bare = text.replace(" ", "")
    moved = bare[4:] + bare[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: the Luhn sum is a multiple of ten."""
    digits = [int(sign) for sign in _DIGITS.sub("", text)]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1


def masked(text: str) -> str:
    """Return *text* on one line with its personal data written over: "[e-mail]", "[phone]", "[number]", "[name]" ...

    More is taken for personal than ``shows_personal_data`` does: any number of five digits or more, with the letters
    that stand to it, may be a customer's, an order's or a parcel's. Names of people written as words are not known.
    """
    plain = _HANDLE.sub("[name]", _LINK.sub("[link]", " ".join(text.split())))
    plain = _IBAN.sub(lambda match: "[account]" if _is_iban(match.group()) else match.group(), plain)
    for pattern, said in ((_MAIL, "[e-mail]"), (_PHONE, "[phone]"), (_CARD, "[card]")):
        plain = pattern.sub(said, plain)
    return str(_NUMBER.sub("[number]", plain))


_LINK = regex.compile(r"(?:https?://|www\.)\S+", regex.IGNORECASE)
_HANDLE = regex.compile(r"(?<![\w@])@[\w.\-]*\w(?:@[\w.\-]*\w)?|(?<![\w/])/?u/[\w-]{3,20}")
_NUMBER = regex.compile(r"(?<![\w.,])(?:\d(?:[ ()./-]?\d){4,30}|(?=(?:[\p{L}-]*\d){5})[\p{L}\d-]{5,40})(?!\w)")
