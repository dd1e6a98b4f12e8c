"""Is an article ready for each channel? Length, links, reading level, language, slots, personal data. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import regex

from connectors.length import LengthRule, Unit
from handoff.knowledge import private
from handoff.knowledge.answer import Voice, Wording, word
from handoff.knowledge.article import DEFAULT_LOCALE, DEFAULT_WORDING, Article
from handoff.knowledge.slots import NO_SLOTS, Slots

USUAL_VOICES: Mapping[str, Voice] = MappingProxyType(
    {
        each.channel: each
        for each in (
            # docs.x.com/fundamentals/counting-characters; app.bsky.feed.post lexicon; docs.joinmastodon.org, default
            # instance; reddit.com/dev/api#POST_api_comment. What is configured or asked of the network goes before.
            Voice(channel="x", length=LengthRule(unit=Unit.WEIGHTED, limit=280, url_cost=23)),
            Voice(channel="bluesky", length=LengthRule(unit=Unit.GRAPHEMES, limit=300, max_bytes=3_000)),
            Voice(channel="mastodon", length=LengthRule(unit=Unit.CHARACTERS, limit=500, url_cost=23)),
            Voice(channel="reddit", length=LengthRule(unit=Unit.CHARACTERS, limit=10_000), markdown=True),
        )
    }
)
"""How the built-in networks are spoken on, where no source is configured."""

ALOUD = ("voice", "phone")
"""Channels that are read aloud: nobody hears a link."""

HARD_LIX = 50
"""From here on a text is hard to read: 40 to 50 is a newspaper, 50 to 60 an official text (Björnsson, 1968)."""

LEAST_WORDS = 20
"""Of fewer words a reading level says nothing."""

SURE_LANGUAGE = 0.8
"""Another language is told from here on; short texts are often unsure."""

MOST_LINK_SHARE = 0.5
"""Of the room on a channel, for links."""

_LINK = regex.compile(r"https?://\S+?(?=[.,;:!?)\]]*(?:\s|$))", regex.IGNORECASE)
_INSECURE = regex.compile(r"http://\S+", regex.IGNORECASE)
_MARKDOWN = regex.compile(r"\[[^\]\n]+\]\([^)\s]+\)|\*\*[^*\n]+\*\*|^#{1,6} |^```", regex.MULTILINE)
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'’-]*")
_SENTENCE = regex.compile(r"[.!?:;…।]+(?=\s|$)|\n+")
_SPACELESS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


class Kind(StrEnum):
    """What was looked at."""

    LENGTH = "length"
    LINKS = "links"
    READING = "reading"
    LANGUAGE = "language"
    SLOT = "slot"
    PRIVATE = "private"
    WORDING = "wording"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to put right. is_fault: it cannot be published so. channel: "" for the article as a whole."""

    channel: str
    kind: Kind
    is_fault: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """The language a text seems to be in: ISO 639, and how sure that is."""

    language: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """What wordings are held against. topics: the taxonomy, empty for any. main_locale: what others translate.

    signature: said on channels that no source is configured for.
    """

    voices: Mapping[str, Voice] = field(default_factory=lambda: MappingProxyType({}))
    slots: Slots = NO_SLOTS
    signature: str = ""
    topics: frozenset[str] = frozenset()
    main_locale: str = DEFAULT_LOCALE

    def voices_for(self, article: Article) -> list[Voice]:
        """Return how *article* may have to be said: on each configured channel, and where it has its own wording."""
        names = {*self.voices, *article.wordings} - {DEFAULT_WORDING}
        return [self.voices.get(name) or self._usual(name) for name in sorted(names)]

    def _usual(self, channel: str) -> Voice:
        return replace(USUAL_VOICES.get(channel, Voice(channel=channel)), signature=self.signature)


NO_STANDARDS = Standards()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One article on one channel. used, limit: in the network's own measure, None where there is no limit.

    unit: "weighted", "graphemes", "characters". link_cost: units of its links. lix: reading level, None where it cannot
    be measured. is_own: the wording was written for this channel.
    """

    channel: str
    text: str
    is_own: bool
    used: int | None
    limit: int | None
    unit: str
    links: int
    link_cost: int
    lix: int | None
    findings: Sequence[Finding]

    @property
    def is_ready(self) -> bool:
        """Say whether it can be said there as it stands."""
        return bool(self.text) and not any(each.is_fault or each.kind is Kind.LENGTH for each in self.findings)


def check(article: Article, standards: Standards, guesses: Mapping[str, Guess] | None = None) -> list[Ready]:
    """Return how ready *article* is for each channel. guesses: text -> its language, for what ``texts`` returned."""
    return [_on(article, voice, standards, guesses or {}) for voice in _voices(article, standards)]


def texts(article: Article, standards: Standards) -> list[str]:
    """Return the texts whose language ``check`` wants to know."""
    found = (_said(article, voice, standards).text for voice in _voices(article, standards))
    return list(dict.fromkeys(text for text in found if text))


def findings(article: Article, standards: Standards, guesses: Mapping[str, Guess] | None = None) -> list[Finding]:
    """Return all there is to put right, that of the article as a whole first."""
    on_channels = [each for ready in check(article, standards, guesses) for each in ready.findings]
    return [*_whole(article, standards), *on_channels]


def faults(article: Article, standards: Standards) -> list[str]:
    """Return a sentence for each reason why *article* cannot be published as it is worded."""
    found = (each for each in findings(article, standards) if each.is_fault)
    return list(dict.fromkeys(f"{each.channel}: {each.said}" if each.channel else each.said for each in found))


def lix(text: str) -> int | None:
    """Return the reading level LIX: words a sentence, and words of more than six letters in 100.

    It counts letters alone, so it serves all languages that part words by blanks; None for others and for few words.
    """
    plain = _LINK.sub("", text)
    if _SPACELESS.search(plain):
        return None
    words = _WORD.findall(plain)
    if len(words) < LEAST_WORDS:
        return None
    sentences = sum(1 for each in _SENTENCE.split(plain) if _WORD.search(each))
    long = sum(1 for each in words if len(each) > 6)
    return round(len(words) / max(1, sentences) + 100 * long / len(words))


def _voices(article: Article, standards: Standards) -> list[Voice]:
    # Without any channel, its default wording is looked at all the same.
    return standards.voices_for(article) or [Voice(channel=DEFAULT_WORDING, signature=standards.signature)]


def _said(article: Article, voice: Voice, standards: Standards) -> Wording:
    return word(article, voice, slots=standards.slots)


def _whole(article: Article, standards: Standards) -> Iterator[Finding]:
    raw = " ".join((*article.wordings.values(), *(() if article.wordings else (article.body,))))
    for kind in dict.fromkeys(private.find(raw)):
        is_fault = kind in (private.CARD, private.IBAN)
        way = "take it out" if is_fault else "take it out, or make it a slot if it is yours to give"
        yield Finding(channel="", kind=Kind.PRIVATE, is_fault=is_fault, said=f"holds {_a(kind)}; {way}")
    if standards.topics:
        for topic in article.topics:
            if topic not in standards.topics:
                said = f"topic {topic!r} is not in knowledge.topics"
                yield Finding(channel="", kind=Kind.TOPIC, is_fault=False, said=said)


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'eI' else 'a'} {kind}"


def _on(article: Article, voice: Voice, standards: Standards, guesses: Mapping[str, Guess]) -> Ready:
    wording = _said(article, voice, standards)
    raw = word_source(article, voice.channel)
    is_own = voice.channel in article.wordings
    links = _LINK.findall(wording.text)
    rule = voice.length
    ready = Ready(
        channel=voice.channel,
        text=wording.text,
        is_own=is_own,
        used=None if rule is None else rule.measure(wording.text) + rule.reserve,
        limit=None if rule is None else rule.limit,
        unit="characters" if rule is None else rule.unit.value,
        links=len(links),
        link_cost=sum((len(link) if rule is None else rule.measure(link)) for link in links),
        lix=lix(wording.text),
        findings=(),
    )
    found = [
        Finding(channel=voice.channel, kind=kind, is_fault=is_fault, said=said)
        for kind, is_fault, said in _judged(article, voice, ready, raw, standards, guesses)
    ]
    return Ready(**{**{name: getattr(ready, name) for name in Ready.__dataclass_fields__}, "findings": tuple(found)})


def word_source(article: Article, channel: str) -> str:
    """Return what the words on *channel* are made of, slots unfilled."""
    return article.wordings.get(channel) or article.wordings.get(DEFAULT_WORDING) or article.body


def _judged(
    article: Article, voice: Voice, ready: Ready, raw: str, standards: Standards, guesses: Mapping[str, Guess]
) -> Iterator[tuple[Kind, bool, str]]:
    for problem in standards.slots.problems(raw, article.locale):
        yield Kind.SLOT, True, problem
    if not ready.text:
        if not standards.slots.problems(raw, article.locale):
            yield Kind.WORDING, False, "has nothing to say here; write a wording, or default"
        return
    if voice.length is not None and (over := voice.length.overrun(ready.text)):
        said = f"is {over} {ready.unit} too long ({ready.used} of {ready.limit}); shorten it"
        # A default text that is too long is not said there, and a person answers; a wording of its own never could be.
        yield Kind.LENGTH, ready.is_own, said if ready.is_own else f"{said}, or write a wording for {voice.channel}"
    if ready.limit and ready.link_cost > MOST_LINK_SHARE * ready.limit:
        yield Kind.LINKS, False, f"its links take {ready.link_cost} of {ready.limit} {ready.unit}"
    if _INSECURE.search(ready.text):
        yield Kind.LINKS, False, "has a link without encryption; write https://"
    if voice.channel in ALOUD and ready.links:
        yield Kind.LINKS, False, "is read aloud, and has a link that nobody hears; say where to go in words"
    if ready.is_own and not voice.markdown and _MARKDOWN.search(raw) and voice.channel != "email":
        yield Kind.WORDING, False, "has Markdown, which is shown as written here"
    if ready.lix is not None and ready.lix > HARD_LIX:
        yield (
            Kind.READING,
            False,
            f"is hard to read: LIX {ready.lix}, above {HARD_LIX}; use shorter sentences and words",
        )
    guess = guesses.get(ready.text)
    if guess and guess.confidence >= SURE_LANGUAGE and guess.language not in (article.language, "und"):
        yield Kind.LANGUAGE, False, f"seems to be in {guess.language}, the article is in {article.language}"
