"""The exact public words an article has for a channel. Nothing of a post, a handle or a name ever enters them.

The only place where ``PublicText`` is made: from an article, the brand's slots and its signature, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import regex
from markdown_it import MarkdownIt
from markdown_it.token import Token

from connectors.length import LengthRule
from connectors.protocol import Capabilities
from handoff.knowledge.article import DEFAULT_WORDING, Article
from handoff.knowledge.search import Entry, Hit, Index, Query
from handoff.knowledge.slots import NO_SLOTS, SlotError, Slots
from handoff.situation import Candidate
from handoff.speech import PublicText

_MARKDOWN = MarkdownIt("commonmark", {"html": False})
_LINK = regex.compile(r"https?://\S+", regex.IGNORECASE)
_MENTION = regex.compile(r"(?<![\w@/])@(?=\w)|(?<![\w/.])/?[uU]/(?=[\w-]{3,20}(?![\w/-]))")
"""What networks make a call to somebody of: @name, @name@host, u/name. An e-mail address is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How we speak on one channel.

    length: None without a limit. markdown: the network shows it; elsewhere it is taken off. signature: said after every
    answer, such as "^Harken bot", which is how disclosure is made where it is due.
    """

    channel: str
    length: LengthRule | None = None
    markdown: bool = False
    signature: str = ""

    @classmethod
    def of(cls, channel: str, capabilities: Capabilities, *, signature: str) -> Self:
        """Return how we speak where a connector has these *capabilities*."""
        return cls(channel=channel, length=capabilities.length, markdown=capabilities.markdown, signature=signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What would be said. text: "" when the article has nothing to say, or a slot of it cannot be filled."""

    text: PublicText
    fits: bool


def word(article: Article, voice: Voice, *, slots: Slots = NO_SLOTS) -> Wording:
    """Return what *article* says on a channel: its own wording, else the default one, else the body's first paragraph.

    The voice's signature follows after a space. slots: what fills them; where one cannot be filled nothing is said. A
    channel's own wording is said as written; the others lose their Markdown where the network does not show it.
    Names lose the sign that calls somebody: whoever is answered is addressed by the network, nobody else is dragged in.
    """
    if (own := article.wordings.get(voice.channel)) is not None:
        text = own
    else:
        text = article.wordings.get(DEFAULT_WORDING) or first_paragraph(article.body)
        if not voice.markdown:
            text = plain(text)
    try:
        text = slots.fill(text, article.locale)
    except SlotError:
        text = ""
    if text and voice.signature:
        text = f"{text} {voice.signature}"
    said = PublicText(uncalled(text))
    return Wording(text=said, fits=bool(said) and (voice.length is None or voice.length.overrun(said) == 0))


def uncalled(text: str) -> str:
    """Return *text* with its mentions as plain words: "@name" becomes "name". Links and e-mail addresses stay."""
    if "@" not in text and "/" not in text:
        return text
    done, parts = 0, []
    for link in _LINK.finditer(text):
        parts += [_MENTION.sub("", text[done : link.start()]), link.group()]
        done = link.end()
    return "".join([*parts, _MENTION.sub("", text[done:])])


def first_paragraph(body: str) -> str:
    """Return the first paragraph of Markdown, as written; "" when there is none. Headings are no paragraphs."""
    lines = body.splitlines()
    for token in _MARKDOWN.parse(body):
        if token.type == "paragraph_open" and token.level == 0 and token.map is not None:
            return "\n".join(lines[token.map[0] : token.map[1]]).strip()
    return ""


def plain(text: str) -> str:
    """Return Markdown as plain text: a link becomes "words (address)", a list keeps dashes, paragraphs stay apart."""
    blocks: list[str] = []
    marker = ""
    numbers: list[int | None] = []
    for token in _MARKDOWN.parse(text):
        match token.type:
            case "bullet_list_open":
                numbers.append(None)
            case "ordered_list_open":
                numbers.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                numbers.pop()
            case "list_item_open":
                number = numbers[-1]
                marker = "- " if number is None else f"{number}. "
                numbers[-1] = None if number is None else number + 1
            case "inline":
                blocks.append(marker + _inline(token.children or []))
                marker = ""
            case "fence" | "code_block":
                blocks.append(marker + token.content.rstrip("\n"))
                marker = ""
    return _joined(blocks)


def _joined(blocks: Sequence[str]) -> str:
    # Items of a list stay together, paragraphs apart.
    text = ""
    for block in blocks:
        is_item = block.startswith("- ") or block.partition(". ")[0].isdigit()
        text += ("\n" if is_item else "\n\n") + block if text else block
    return text


def _inline(tokens: Sequence[Token]) -> str:
    parts: list[str] = []
    links: list[tuple[str, int]] = []
    for token in tokens:
        match token.type:
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "link_open":
                links.append((str(token.attrs.get("href", "")), len(parts)))
            case "link_close":
                address, start = links.pop()
                if "".join(parts[start:]).strip() != address:
                    parts.append(f" ({address})")
            case _:
                parts.append(token.content)
    return "".join(parts)


class Answers:
    """Finds and words answers; a wording is made once for each article and voice."""

    def __init__(self, index: Index, *, slots: Slots = NO_SLOTS) -> None:
        self.index = index
        self.slots = slots
        self._wordings: dict[tuple[int, Voice], Wording] = {}

    def candidates(self, queries: Sequence[Query], voices: Sequence[Voice], *, limit: int = 3) -> list[list[Candidate]]:
        """Return for each of *queries*, said in the voice of the same place, up to *limit* candidates, best first."""
        found = self.index.search(queries, limit=limit)
        return [[self._candidate(hit, voice) for hit in hits] for hits, voice in zip(found, voices, strict=True)]

    def _candidate(self, hit: Hit, voice: Voice) -> Candidate:
        wording = self._word(hit.entry, voice)
        return Candidate(
            article_id=hit.entry.id,
            slug=hit.entry.article.slug,
            locale=hit.entry.article.locale,
            title=hit.entry.article.title,
            wording=wording.text,
            confidence=hit.confidence,
            fits=wording.fits,
        )

    def _word(self, entry: Entry, voice: Voice) -> Wording:
        key = (entry.id, voice)
        if key not in self._wordings:
            self._wordings[key] = word(entry.article, voice, slots=self.slots)
        return self._wordings[key]
