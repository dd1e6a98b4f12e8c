"""What of a post may leave the machine: its words, without who wrote them and without what points to a person.

Masked are e-mail addresses, links, names of accounts, IBANs, every run of four or more digits (phone, card, order and
customer numbers, years too), and the author's own name wherever it stands. A name or a street that somebody writes out
cannot be told from other words and stays; docs/language-model.md says so.
"""

from __future__ import annotations

import regex

from connectors.post import Author, storable

MAX_CHARS = 2_000
"""Longer than most posts; it also bounds what one question costs."""

_LINK = regex.compile(r"(?:https?://|www\.)\S+", regex.IGNORECASE)
_MAIL = regex.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_ACCOUNT = regex.compile(r"(?<!\w)@[\w.\-]+(?:@[\w.\-]+)?|(?<![\w/])/?u/[\w-]+", regex.IGNORECASE)
_IBAN = regex.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?!\w)", regex.IGNORECASE)
_CODE = regex.compile(r"(?<!\w)(?=[\w-]*\d[\w-]*\d)(?=[\w-]*\p{L})[\w-]{5,}(?!\w)")
"""Letters and digits in one word, such as AB-12345 or 1Z999AA1."""

_NUMBER = regex.compile(r"[+(]?\d(?:[ ()./\u00a0-]{0,2}\d){3,}")
_HIDDEN = regex.compile(r"[\p{Cc}\p{Cf}--[\n\u200c\u200d]]+", regex.VERSION1)


def masked(text: str, author: Author) -> str:
    """Return *text* as it may be sent to a language model, MAX_CHARS at most."""
    plain: str = _HIDDEN.sub(" ", storable(text))
    # Mail before accounts, codes before bare numbers: the wider mask first.
    for pattern, mask in (
        (_LINK, "[link]"),
        (_MAIL, "[e-mail]"),
        (_ACCOUNT, "[account]"),
        (_IBAN, "[account number]"),
        (_CODE, "[number]"),
        (_NUMBER, "[number]"),
    ):
        plain = pattern.sub(mask, plain)
    for name in _names(author):
        plain = regex.sub(rf"(?<!\w){regex.escape(name)}(?!\w)", "[name]", plain, flags=regex.IGNORECASE)
    return plain.strip()[:MAX_CHARS]


def _names(author: Author) -> list[str]:
    """Return how the author may sign: longest first, so that a whole name goes before its parts."""
    words = regex.findall(r"[\w'’-]{3,}", author.display_name)
    found = {author.display_name.strip(), author.handle.strip(), author.handle.partition("@")[0], *words}
    return sorted((each for each in found if len(each) >= 3), key=len, reverse=True)
