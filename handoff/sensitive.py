"""Subjects that people answer, never the bot: recognised by words in seven languages, out of caution.

The words are ours. They are broad on purpose: a false alarm costs a person one look, a miss may cost a customer much.
What is found is not kept: networks forbid to record such facts about a person (X developer policy, "sensitive
information"), so ``in_words`` names no private subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

import regex

from handoff.words import fold


class Topic(StrEnum):
    """A subject that goes to people. ``OWN``: a word the brand itself listed."""

    DANGER = "danger"  # self-harm, violence, threats
    SAFETY = "safety"  # a product or service that hurts
    HEALTH = "health"
    MINORS = "minors"
    LEGAL = "legal"
    PRESS = "press"
    OWN = "own"


IN_WORDS: Mapping[Topic, str] = MappingProxyType(
    {
        Topic.DANGER: "somebody may be in danger",
        Topic.SAFETY: "it may be about safety",
        Topic.HEALTH: "it touches a private matter",
        Topic.MINORS: "it touches a private matter",
        Topic.LEGAL: "it speaks of legal steps",
        Topic.PRESS: "it may come from the press",
        Topic.OWN: "it holds a word from the brand's own list",
    }
)
"""What a social team reads about a topic; health and minors share one sentence so that neither is recorded."""

PRESSING = frozenset({Topic.DANGER, Topic.SAFETY})
"""Topics that people must see at once, also when the post does not speak to us."""

# A word stands whole, a star stands for any ending. English, German, French, Spanish, Portuguese, Italian, Dutch;
# a few in Chinese and Japanese.
WORDS: Mapping[Topic, tuple[str, ...]] = MappingProxyType(
    {
        Topic.DANGER: (
            *("suicid*", "kill myself", "end my life", "want to die", "self harm*", "hurt myself", "no reason to live"),
            *(
                "kill you",
                "shoot you",
                "hurt you",
                "stab you",
                "stabbed",
                "bomb threat*",
                "burn * down",
                "death threat*",
            ),
            *(
                "selbstmord*",
                "suizid*",
                "umbringen",
                "will sterben",
                "nicht mehr leben",
                "bombendrohung*",
                "morddrohung*",
            ),
            *(
                "me suicider",
                "envie de mourir",
                "me tuer",
                "vous tuer",
                "te tuer",
                "menace* de mort",
                "alerte a la bombe",
            ),
            *(
                "suicid*",
                "matarme",
                "quiero morir",
                "quitarme la vida",
                "matarte",
                "mataros",
                "amenaza* de bomba",
                "amenaza* de muerte",
            ),
            *("me matar", "quero morrer", "tirar a minha vida", "ameaca* de morte"),
            *("uccidermi", "voglio morire", "ammazzarmi", "ucciderti", "ammazzarti", "minaccia di morte"),
            *("zelfmoord*", "wil dood", "vermoorden", "bommelding"),
            *("自杀", "自殺", "想死", "死にたい", "殺す", "炸弹", "爆弾"),
        ),
        Topic.SAFETY: (
            *(
                "caught fire",
                "is on fire",
                "explod*",
                "explosion",
                "electric shock",
                "electrocut*",
                "burned my",
                "burnt my",
            ),
            *("injur*", "choking", "carbon monoxide", "gas leak", "recall notice"),
            *("brannte", "feuer gefangen", "explodier*", "stromschlag", "verletzt*", "verbrannt", "erstick*"),
            *("pris feu", "explos*", "electrocut*", "blessure*", "suis blesse*", "ete blesse*", "brulure*"),
            *("se incendio", "incendi*", "exploto", "descarga electrica", "herid*", "quemadura*"),
            *("pegou fogo", "explodiu", "choque eletrico", "ferid*", "queimadura*"),
            *("preso fuoco", "esplos*", "scossa elettrica", "ferit*", "ustion*"),
            *("in brand gevlogen", "ontplof*", "gewond*", "elektrische schok"),
            *("起火", "爆炸", "触电", "受伤", "発火", "爆発", "感電", "けが"),
        ),
        Topic.HEALTH: (
            *(
                "allerg*",
                "hospital",
                "hospitalised",
                "hospitalized",
                "ambulance",
                "poison*",
                "heart attack",
                "epilep*",
                "diabet*",
                "insulin",
                "cancer",
            ),
            *(
                "pregnan*",
                "miscarriage",
                "disability",
                "disabilities",
                "wheelchair*",
                "medication*",
                "mental health",
                "panic attack*",
            ),
            *(
                "krankenhaus",
                "notarzt",
                "vergift*",
                "herzinfarkt",
                "schwanger*",
                "behinder*",
                "rollstuhl",
                "medikament*",
            ),
            *(
                "hopital*",
                "intoxication*",
                "enceinte",
                "handicap*",
                "fauteuil roulant",
                "medicament*",
                "crise cardiaque",
            ),
            *(
                "alergi*",
                "envenen*",
                "intoxicacion*",
                "embaraz*",
                "discapaci*",
                "silla de ruedas",
                "medicamento*",
                "infarto",
            ),
            *("intoxicac*", "gravida*", "com deficiencia", "cadeira de rodas", "remedios"),
            *("ospedale", "avvelen*", "incinta", "disabil*", "sedia a rotelle", "medicinal*"),
            *("ziekenhuis", "vergiftig*", "zwanger*", "gehandicapt*", "rolstoel", "medicijn*"),
            *("过敏", "医院", "中毒", "怀孕", "アレルギー", "病院", "食中毒", "妊娠"),
        ),
        Topic.MINORS: (
            *(
                "underage",
                "my child",
                "my children",
                "my kid",
                "my kids",
                "my son",
                "my daughter",
                "my toddler",
                "child abuse",
            ),
            *("mein kind", "meine kinder", "mein sohn", "meine tochter", "minderjahrig*"),
            *("mon enfant", "mes enfants", "mon fils", "ma fille", "enfant* mineur*"),
            *("mi hijo", "mi hija", "mis hijos", "menor de edad", "menores de edad"),
            *("meu filho", "minha filha", "meus filhos", "menor de idade"),
            *("mio figlio", "mia figlia", "i miei figli", "minorenne*"),
            *("mijn kind", "mijn kinderen", "mijn zoon", "mijn dochter", "minderjarig*"),
            *("未成年", "我儿子", "我女儿", "我孩子", "子供", "息子", "娘"),
        ),
        Topic.LEGAL: (
            *("lawyer*", "attorney*", "solicitor*", "lawsuit*", "legal action", "sue you", "suing", "see you in court"),
            *(
                "small claims",
                "class action",
                "gdpr",
                "ombudsman",
                "trading standards",
                "consumer protection",
                "discriminat*",
            ),
            *(
                "anwalt*",
                "rechtsanwalt*",
                "verklag*",
                "klage",
                "anzeige erstatt*",
                "dsgvo",
                "verbraucherzentrale",
                "diskriminier*",
            ),
            *("mon avocat", "un avocat", "avocate", "porter plainte", "tribunal", "poursuites", "rgpd", "discrimin*"),
            *("abogad*", "demandar*", "denuncia*", "ir a juicio", "discriminac*"),
            *("advogad*", "vou processar", "procon", "processo judicial", "lgpd", "livro de reclamacoes"),
            *("avvocat*", "denunci*", "querela", "causa legale", "vie legali"),
            *("advocaat", "advocaten", "rechtszaak", "aangifte", "rechtbank"),
            *("律师", "起诉", "投诉到", "弁護士", "訴訟", "訴える"),
        ),
        Topic.PRESS: (
            *(
                "journalist*",
                "reporter*",
                "press enquir*",
                "press inquir*",
                "request for comment",
                "newsroom",
                "my column",
            ),
            *("presseanfrage*", "redaktion", "journaliste*", "periodist*", "prensa", "jornalista*", "imprensa"),
            *("giornalist*", "stampa nazionale", "journalisten", "redactie", "记者", "記者", "取材"),
        ),
    }
)


_HEAD = 4
"""Letters by which a word of a text is first compared with the lists."""

_WORDS = regex.compile(r"\w+")
_FIRST = regex.compile(r"(?P<word>\w+)(?P<open>\*?)")


class Lexicon:
    """Finds topics in texts. own: the brand's additional words, written like those above; topics: those looked for."""

    def __init__(self, *, own: Iterable[str] = (), topics: Iterable[Topic] = tuple(WORDS)) -> None:
        lists = {topic: WORDS[topic] for topic in Topic if topic in WORDS and topic in set(topics)}
        if own := tuple(own):
            lists[Topic.OWN] = own
        self._lists = [(topic, _WordList(entries)) for topic, entries in lists.items()]
        # One decision asks several times about the same text.
        self._find = lru_cache(maxsize=256)(self._search)

    def topics(self, text: str) -> tuple[Topic, ...]:
        """Return the topics whose words stand in *text*, the gravest first."""
        return self._find(text)

    def _search(self, text: str) -> tuple[Topic, ...]:
        folded = " ".join(fold(text).split())
        heads = {word[:_HEAD] for word in _WORDS.findall(folded)}
        return tuple(topic for topic, words in self._lists if words.stand_in(folded, heads))


class _WordList:
    """Entries of one topic. Most texts have no word that begins like one of them, and need no closer look."""

    def __init__(self, entries: Iterable[str]) -> None:
        spaced: list[str] = []
        unspaced: list[str] = []
        self._heads: set[str] = set()
        self._any_head = False
        for folded in sorted({fold(entry) for entry in entries}):
            pattern = r"\W+".join(regex.escape(part).replace(r"\*", r"\w*") for part in folded.split())
            if not folded.isascii():
                unspaced.append(pattern)
                continue
            spaced.append(pattern)
            first = _FIRST.match(folded)
            if first is None or (first["open"] and len(first["word"]) < _HEAD):
                self._any_head = True
            else:
                self._heads.add(first["word"][:_HEAD])
        self._spaced = regex.compile(rf"\b(?:{'|'.join(spaced)})\b") if spaced else None
        self._unspaced = regex.compile("|".join(unspaced)) if unspaced else None

    def stand_in(self, folded: str, heads: set[str]) -> bool:
        """Tell whether an entry stands in a *folded* text whose words begin with *heads*."""
        near = self._any_head or not self._heads.isdisjoint(heads)
        if near and self._spaced is not None and self._spaced.search(folded):
            return True
        return self._unspaced is not None and not folded.isascii() and self._unspaced.search(folded) is not None
