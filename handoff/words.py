"""Words as they are compared: one folding and one cutting for guards, knowledge and the store's search."""

from __future__ import annotations

import unicodedata

import regex

_INVISIBLE = regex.compile(r"\p{Cf}+")
_ACCENTS = regex.compile(r"[\u0300-\u036f]+")
_ADDRESSES = regex.compile(r"(?:https?://|www\.)\S+|(?<!\w)@[\w.\-]+(?:@[\w.\-]+)?", regex.IGNORECASE)
_RUN = regex.compile(r"[\p{L}\p{N}\p{M}]+")
_UNSPACED = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]+"
)


MAX_CHARS = 64
"""A longer run is no word; databases refuse index terms beyond some 2,000 bytes."""


def fold(text: str) -> str:
    """Return *text* without case, accents, compatibility forms and invisible characters.

    Only accents of the block U+0300 go: the vowel signs of Indic and the voicing marks of Japanese carry meaning.
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", _ACCENTS.sub("", plain)))


def words(text: str) -> list[str]:
    """Return the folded words of *text* in order, without links and handles; letters, digits and marks only.

    Writing without spaces (Chinese, Japanese, Thai ...) is cut into pairs of neighbours, which needs no dictionary.
    """
    found: list[str] = []
    for run in _RUN.findall(fold(_ADDRESSES.sub(" ", text))):
        position = 0
        for block in _UNSPACED.finditer(run):
            if block.start() > position:
                found.append(run[position : block.start()][:MAX_CHARS])
            found.extend(_pairs(block.group()))
            position = block.end()
        if position < len(run):
            found.append(run[position:][:MAX_CHARS])
    return found


def _pairs(block: str) -> list[str]:
    return [block] if len(block) == 1 else [block[i : i + 2] for i in range(len(block) - 1)]
