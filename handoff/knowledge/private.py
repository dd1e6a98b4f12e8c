"""Personal data in a text that is to be public: e-mail addresses, phone numbers, card numbers, bank accounts."""

from __future__ import annotations

from collections.abc import Iterator

import regex

_LINK = regex.compile(r"https?://\S+", regex.IGNORECASE)
_EMAIL = regex.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.\p{L}{2,}")
_NUMBER = regex.compile(r"(?<![\w/.,:-])\+?\(?[0-9](?:[ ()./-]{0,2}[0-9]){5,24}(?![\w])")
_IBAN = regex.compile(r"(?<![A-Z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![A-Z0-9])")
_ISO_DATE = regex.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}")

EMAIL, PHONE, CARD, IBAN = "e-mail address", "phone number", "card number", "IBAN"


def find(text: str) -> Iterator[str]:
    """Yield the kind of each personal datum in *text*; never the datum itself. Links are left out."""
    rest = _LINK.sub(" ", text)
    for match in _IBAN.finditer(rest):
        if is_iban(match[0]):
            yield IBAN
    rest = _IBAN.sub(" ", rest)
    for _ in _EMAIL.finditer(rest):
        yield EMAIL
    for match in _NUMBER.finditer(_EMAIL.sub(" ", rest)):
        digits = "".join(sign for sign in match[0] if sign.isdigit())
        if 13 <= len(digits) <= 19 and is_card(digits):
            yield CARD
        elif 7 <= len(digits) <= 15 and not _ISO_DATE.fullmatch(match[0]):
            yield PHONE


def is_card(digits: str) -> bool:
    """Say whether *digits* pass the check of card numbers (ISO/IEC 7812, Luhn)."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0 and len(set(digits)) > 1


def is_iban(text: str) -> bool:
    """Say whether *text* passes the check of bank accounts (ISO 13616, remainder 1 by 97)."""
    plain = "".join(text.split())
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1
