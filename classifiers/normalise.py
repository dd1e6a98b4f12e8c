"""Pure text preparation: what a network puts around words, made plain before a model reads them.

Every function takes any str (empty, NULs, lone surrogates, 100 kB) and needs time linear in its length.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable

import regex

MAX_CHARS = 4000
"""What is left of a long text. The encoder reads 128 to 512 word pieces, which 600 to 2,500 characters fill."""

RAW_CHARS = 200_000
"""No network lets a post be longer; what stands behind is not even looked at."""

# Zero-width, bidi controls, soft hyphen, variation selectors, tags: shown as nothing, used to break words apart.
_INVISIBLE = regex.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_BROKEN = regex.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffd]+")
# Four marks on a letter are still some language; more are decoration, and NFKC sorts them in quadratic time.
_MARKS = regex.compile(r"(\p{Mn}{4})\p{Mn}+")
_URL = regex.compile(r"\b(?:https?://|www\.)[^\s<>\"']+", regex.IGNORECASE)
# @name, @name.bsky.social, @name@host.tld, u/name; not the middle of an e-mail address.
_HANDLE = regex.compile(r"(?<![\w@.])@\w+(?:[.-]\w+)*(?:@\w+(?:[.-]\w+)*)?|(?<![\w/])/?u/[\w-]{3,20}\b")
_HASHTAG = regex.compile(r"#(\w{1,100})")
_CAMEL = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})")
_RUN = regex.compile(r"(.)\1{3,}", regex.DOTALL)
_SPACE = regex.compile(r"\s+")
_NO_WORD = regex.compile(r"\bhttp\b|[\d_]+")
_WORD = regex.compile(r"\w+")
_EMOJI = regex.compile(
    r"[\u203c\u2049\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff][\U0001f3fb-\U0001f3ff]?"
)
# A word with digits or signs that are drawn like letters; never a handle, a tag, a link or an address.
_LEET = regex.compile(
    r"(?<![\w@#.:/$!-])(?=[\w$@!€|+]*\p{L})(?=\p{L}*[0134578$@!€|+])[\p{L}0134578$@€|+](?:[\p{L}0134578$@€|+]|!(?=\p{L}))+"
    r"(?![\w@/$]|\.\w)"
)
# What digits and letters make when nothing is disguised: 4G, A320, PS5, 10am, 3rd, 24h, $AAPL.
_CODE = regex.compile(
    r"^\p{Lu}+\d+\p{Lu}?$|^\p{L}{1,3}\d$|^\d+\p{L}{1,2}$|^\d+(?:min|hrs?|days?)$|^\$\p{Lu}+$|^\W+$|\d{3}"
)
_INSIDE = regex.compile(r"^\p{L}+(?:[013457$@]{1,2}\p{L}+)+$")
_SPACED = regex.compile(r"(?<!\w)\p{L}(?P<gap>[ .*_-])\p{L}(?:(?P=gap)\p{L}){2,}(?!\w)")
_APART = regex.compile(r"[ .*_-]")
_NO_LETTER = regex.compile(r"[^\p{L}]+")
# Upper-case I, small l and the digit 1 are one stroke in most fonts.
_DRAWN = str.maketrans("013457$@!8€+|iı", "oleastsalbetlll")
_READINGS = tuple(str.maketrans("013457$@!8€+|", signs) for signs in ("oieastsaibetl", "oleastsalbeti"))
_LATIN = regex.compile(r"\p{Latin}")
_ALIKE = regex.compile(r"[\p{Cyrillic}\p{Greek}\p{Armenian}]")

# Letters of other scripts that are drawn like a Latin one (a choice from Unicode UTS #39, confusables).
_LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁһԛԝɡΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαινρυօսնԍ",
    "ABESIJKMHOPCTYXaesijopcyxdhqwgABEZHIKMNOPTYXoaivpuounG",
)


def clean(text: str) -> str:
    """Return *text* in NFKC without invisible and broken characters, entities decoded, on one line, clamped."""
    text = _INVISIBLE.sub("", text[:RAW_CHARS])
    text = _BROKEN.sub(" ", text)[: 4 * MAX_CHARS]
    if "&" in text:
        text = html.unescape(text)
    text = unicodedata.normalize("NFKC", _MARKS.sub(r"\1", text))
    # Once more: entities and compatibility forms can hide what was just taken out.
    text = _BROKEN.sub(" ", _INVISIBLE.sub("", text))
    plain: str = _SPACE.sub(" ", text).strip()
    return plain[:MAX_CHARS]


def unmask(text: str) -> str:
    """Return *text* with look-alike letters made Latin in words that mix them with Latin ones ("frее" -> "free")."""
    if not _ALIKE.search(text):
        return text
    plain: str = _WORD.sub(lambda word: _latin(word.group()), text)
    return plain


def _latin(word: str) -> str:
    if _ALIKE.search(word) and _LATIN.search(word):
        return word.translate(_LOOK_ALIKES)
    return word


def undisguise(text: str, pieces: Callable[[str], int]) -> str:
    """Return *text* with disguised words made plain: "r3fund", "a$$hole", "s.c.a.m", a whole word in look-alikes.

    pieces: how many pieces the model's tokenizer makes of a word; a disguise is what falls into fewer without it. For
    judging only: the result is never shown. Numbers, codes, prices, handles and addresses stay as they are.
    """
    text = clean(text)
    if _ALIKE.search(text) and len(_LATIN.findall(text)) > len(_ALIKE.findall(text)):
        text = _WORD.sub(lambda word: _translated(word.group()), text)
    text = _SPACED.sub(lambda run: _APART.sub("", run.group()), text)
    plain: str = _LEET.sub(lambda word: _unleet(word.group(), pieces), text)
    return plain


def _translated(word: str) -> str:
    """Return *word* in Latin letters if each of its letters has one that looks like it."""
    if not _ALIKE.search(word):
        return word
    latin = word.translate(_LOOK_ALIKES)
    return word if _ALIKE.search(latin) else latin


def _unleet(word: str, pieces: Callable[[str], int]) -> str:
    """Return *word* as the letters it is drawn with, if that is one piece, or plainly less broken than the word."""
    if _CODE.search(word):
        return word
    readings = [word.translate(table) for table in _READINGS]
    if word.isupper():
        readings = [reading.upper() for reading in readings]
    whole = [reading for reading in readings if len(reading) > 2 and pieces(reading.lower()) == 1]
    if whole:
        return whole[0]
    if _INSIDE.search(word) and pieces(readings[0].lower()) + 2 <= pieces(word):
        return readings[0]
    return word


def skeleton(text: str) -> str:
    """Return what a name looks like, for comparing names: Latin letters only, look-alikes and drawn digits made one.

    "N1mbrооk", "Nimbrook" and "NIMBROOK" look alike, and so do "rn" and "m". Never shown; for whole names, not texts.
    """
    plain = unicodedata.normalize("NFD", clean(text).translate(_LOOK_ALIKES).casefold().translate(_LOOK_ALIKES))
    letters: str = _NO_LETTER.sub("", plain.translate(_DRAWN))
    return letters.replace("rn", "m").replace("vv", "w").replace("cl", "d")


def emoji_words(text: str) -> str:
    """Return *text* with each emoji as its Unicode name in words, each once, so that a word model can read it."""
    seen: set[str] = set()

    def name(match: regex.Match[str]) -> str:
        sign = match.group()[0]
        if sign in seen:
            return " "
        seen.add(sign)
        return f" {unicodedata.name(sign, '').lower()} "

    plain: str = _EMOJI.sub(name, text)
    return plain


def for_model(text: str) -> str:
    """Return what an encoder or a word rule reads: handles as @user, links as http, emoji as words, tags split."""
    text = unmask(clean(text))
    text = _HANDLE.sub("@user", _URL.sub("http", text))
    text = _HASHTAG.sub(lambda tag: _CAMEL.sub(" ", tag.group(1)), text)
    plain: str = _SPACE.sub(" ", _RUN.sub(r"\1\1\1", emoji_words(text))).strip()
    return plain[:MAX_CHARS]


def for_language(text: str) -> str:
    """Return only what tells a language: no handles, links, tags, emoji or digits."""
    text = unmask(clean(text))
    text = _HASHTAG.sub(" ", _HANDLE.sub(" ", _URL.sub(" ", text)))
    text = _NO_WORD.sub(" ", _EMOJI.sub(" ", text))
    plain: str = _SPACE.sub(" ", _RUN.sub(r"\1\1\1", text)).strip()
    return plain[:MAX_CHARS]
