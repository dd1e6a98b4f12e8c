"""Which sentences of a draft an article supports: decided here, by comparing words, never by a model.

A sentence is supported when one sentence of the article holds

* every **fact** of it: addresses of pages and e-mail, amounts with their currency, shares, dates and all other numbers;
* every **word** of it that says something: all of three letters or more but for a short list of joints such as "with".
  An ending may differ ("parcels", "parcel"); in writing without spaces pairs of signs are compared;
* a **no** exactly if the sentence has one.

That is strict on purpose: whatever was put in other words counts as unsupported, and a person looks at it. It is no
proof either: a sentence made of the article's words in another order passes. So nothing hangs on it but a mark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from handoff.words import fold, words

_END = regex.compile(r"(?<=[.!?…]['\"”’)\]]{0,2})\s+|(?<=[。！？।])|\n+")
_URL = regex.compile(
    r"(?:https?://|www\.)[^\s<>()\[\]]+|(?<![\w@.])(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[^\s<>()\[\]]*)?", regex.I
)
_MAIL = regex.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SIGN = r"(?:[€$£¥₹₩₽₺%‰]|\b(?:EUR|USD|GBP|CHF|JPY|INR|euros?|dollars?|pounds?|percent|prozent|por ciento|pour cent)\b)"
_NUMBER = regex.compile(
    rf"(?P<before>{_SIGN})?\s?(?P<digits>\d(?:[\d.,:/'’\u00a0-]*\d)?)\s?(?P<after>{_SIGN})?", regex.I
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_NUMERALS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve fourteen twenty thirty sixty ninety
    hundred thousand half twice double null ein eins zwei drei vier fünf sechs sieben acht neun zehn zwölf vierzehn
    zwanzig dreißig hundert tausend un une deux trois quatre cinq sept huit neuf dix quatorze vingt trente cent
    mille uno una dos tres cuatro cinco seis siete ocho nueve diez catorce quince veinte treinta cien mil due tre
    quattro cinque sette otto nove dieci""".split()
)
_NO = frozenset(
    """no not never none nothing nobody cannot without nor dont doesnt didnt cant wont isnt arent wasnt werent shouldnt
    couldnt wouldnt mustnt nicht nie niemals kein keine keinen keiner keinem keines ohne ne pas jamais aucun aucune rien
    sans nunca jamás jamas nada ningún ningun ninguna ninguno sin non mai nessun nessuna niente senza não nao nem nenhum
    nenhuma sem niet geen nooit zonder नहीं न मत لا لم لن ليس غير 不 没 沒 未 无 無""".split()
)
_SHORT_NO = regex.compile(r"n['’]t\b", regex.I)
_JOINTS = frozenset(
    """the and for you your are our with from this that these those can will has have had was were been its their they
    them then than there here which when where what how who into onto also just please about over under out but any
    der die das und für mit von auf sie ihr ihre ihren ihrer ist sind wird werden hat haben kann können den dem des ein
    eine einen einer einem auch bitte hier dort wenn dann als wie was wer bei zum zur aus nach les des une est sont vous
    votre vos nous notre nos avec pour dans par sur que qui ici los las una con por para del que como esta este son está
    usted sus nuestro nuestra aquí della delle degli gli che con per una del nel sono vostro nostro você seu sua com uma
    dos das para""".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of a draft. why: what no sentence of the article holds, in words; "" when it is supported."""

    text: str
    is_supported: bool
    why: str = ""


def judged(draft: str, article: Sequence[str]) -> list[Sentence]:
    """Return the sentences of *draft* in order. article: its texts, such as wording and body; none supports nothing."""
    places = [_place(each) for text in article for each in sentences(text)]
    return [_judged(sentence, places) for sentence in sentences(draft)]


def sentences(text: str) -> list[str]:
    """Return the sentences of *text*; a line break ends one too."""
    return [part.strip() for part in _END.split(text) if part and part.strip()]


@dataclass(frozen=True, slots=True)
class _Place:
    facts: frozenset[str]
    words: frozenset[str]
    says_no: bool


def _place(text: str) -> _Place:
    found = _spoken(text)
    return _Place(facts=frozenset(facts(text)), words=frozenset(found), says_no=_says_no(text))


def _judged(sentence: str, places: Sequence[_Place]) -> Sentence:
    wanted, spoken, says_no = set(facts(sentence)), _spoken(sentence), _says_no(sentence)
    if not wanted and not spoken:
        return Sentence(text=sentence, is_supported=False, why="it says nothing that could be compared")
    best: tuple[int, str] | None = None
    for place in places:
        lost = sorted(wanted - place.facts)
        strange = [word for word in spoken if not _is_in(word, place.words)]
        if not lost and not strange and place.says_no == says_no:
            return Sentence(text=sentence, is_supported=True)
        why = _why(lost, strange, says_no)
        cost = 10 * len(lost) + len(strange) + 1
        if best is None or cost < best[0]:
            best = cost, why
    return Sentence(text=sentence, is_supported=False, why="there is no article" if best is None else best[1])


def _why(lost: Sequence[str], strange: Sequence[str], says_no: bool) -> str:
    if lost:
        return f"not in the article: {', '.join(lost[:5])}"
    if strange:
        return f"other words than the article's: {', '.join(dict.fromkeys(strange[:5]))}"
    return "it says no where the article does not" if says_no else "the article says no where it does not"


def facts(text: str) -> list[str]:
    """Return what a sentence must not invent, each in one spelling: addresses, amounts, shares, dates, numbers."""
    found: list[str] = []
    for pattern in (_MAIL, _URL):
        found += [
            match.group().rstrip(".,;:!?)'\"”’").removeprefix("www.").casefold() for match in pattern.finditer(text)
        ]
        text = pattern.sub(" ", text)
    plain = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)
    for match in _NUMBER.finditer(plain):
        sign = (match["before"] or match["after"] or "").casefold()
        digits = regex.sub(r"['’\u00a0]", "", match["digits"])
        found.append(f"{_ONE_SIGN.get(sign, sign)}{digits}")
    for word in regex.findall(r"\w+", plain):
        low = word.casefold()
        if low in _NUMERALS or (low in _MONTHS and word[:1].isupper()):
            found.append(low)
    return list(dict.fromkeys(found))


_ONE_SIGN = {
    **dict.fromkeys(("€", "eur", "euro", "euros"), "€"),
    **dict.fromkeys(("$", "usd", "dollar", "dollars"), "$"),
    **dict.fromkeys(("£", "gbp", "pound", "pounds"), "£"),
    **dict.fromkeys(("%", "percent", "prozent", "por ciento", "pour cent"), "%"),
}


def _spoken(text: str) -> list[str]:
    for pattern in (_MAIL, _URL):
        text = pattern.sub(" ", text)
    found = words(_SHORT_NO.sub("", text))
    return [
        each
        for each in found
        if each not in _JOINTS
        and each not in _FOLDED_NO
        and not each.isdecimal()
        and (len(each) > 2 or not each.isascii())
    ]


def _is_in(word: str, others: frozenset[str]) -> bool:
    if word in others:
        return True
    if len(word) < 5:
        return False
    return any(_same_stem(word, other) for other in others)


def _same_stem(one: str, two: str) -> bool:
    """Endings of two letters may differ on words of five letters and more."""
    short, long = sorted((one, two), key=len)
    return len(short) >= 4 and len(long) - len(short) <= 2 and long.startswith(short[: max(4, len(short) - 1)])


_FOLDED_NO = frozenset(fold(each) for each in _NO)


def _says_no(text: str) -> bool:
    if _SHORT_NO.search(text):
        return True
    found = set(words(text))
    return bool(found & _FOLDED_NO) or any(sign in text for sign in "不没沒未无無")
