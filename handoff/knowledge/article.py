"""An article: approved knowledge in one language, with the exact words that may be said in public."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import frontmatter
import regex
import yaml

KEYS = ("title", "slug", "locale", "tags", "owner", "questions", "channels")
DEFAULT_LOCALE = "en"
DEFAULT_WORDING = "default"
MAX_CHARS = 20_000
"""A longer text is no answer but a manual; it also bounds what one file may cost to read, embed and show."""

PART_CHARS = 350
UNSPACED_PART_CHARS = 60
"""In scripts without spaces a character says as much as a syllable or a word."""

_WORD = regex.compile(r"[\p{L}\p{N}]")
_GAP = regex.compile(r"\n\s*\n")
_UNSPACED = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]")
_SLUG = regex.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LOCALE = regex.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-[A-Z]{2})?")
_NAME = regex.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
# Control characters, direction overrides and zero-width spaces hide words from the person who approves them. Joiners
# (U+200C, U+200D) stay: Persian and emoji need them.
_HIDDEN = regex.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


class ArticleError(ValueError):
    """A file is no article; ``problems`` holds one sentence for each fault: file, key, what is allowed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What we know about one matter, in one language.

    slug: the matter, the same in every language. locale: BCP 47 (en, pt-BR). body: Markdown. tags: intents it answers,
    and free words. questions: how customers ask it. wordings: channel or "default" -> the exact public text.
    """

    slug: str
    locale: str
    title: str
    body: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    questions: tuple[str, ...] = ()
    wordings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def language(self) -> str:
        """ISO 639 language of the locale."""
        return self.locale.partition("-")[0]

    @property
    def revision(self) -> str:
        """Changes when, and only when, anything in the article does."""
        content = [
            *(self.slug, self.locale, self.title, self.body, self.owner),
            *(list(self.tags), list(self.questions), dict(sorted(self.wordings.items()))),
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]

    @property
    def passages(self) -> tuple[str, ...]:
        """What is embedded, one vector each: title and questions, these as a post to us begins, the whole, its parts.

        An encoder hears the mention too: with it, twice as many posts of the demo's day are answered surely.
        """
        asked = [each for each in (self.title, *self.questions) if _WORD.search(each)]
        own = [part for part in parts(self.body) if _WORD.search(part)]
        whole = [" ".join(part for part in (self.title, self.body) if part)] if own and (asked or len(own) > 1) else []
        return (*asked, *(f"@us {each}" for each in asked), *whole, *own)


def parts(body: str) -> list[str]:
    """Return *body* in parts of at most PART_CHARS: paragraphs that fit together, long ones cut between words.

    One vector of a long text says what all of it is about; a question is about one part.
    """
    most = UNSPACED_PART_CHARS if len(_UNSPACED.findall(body)) > len(body) / 3 else PART_CHARS
    found: list[str] = []
    for paragraph in _GAP.split(body):
        for piece in textwrap.wrap(paragraph, most, break_on_hyphens=False):
            if found and len(found[-1]) + len(piece) < most:
                found[-1] = f"{found[-1]} {piece}"
            else:
                found.append(piece)
    return found


def read(path: Path) -> Article:
    """Return the article in the file *path*. Raises ArticleError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ArticleError([f"{path.name}: is not UTF-8 text (byte {error.start}); save it as UTF-8"]) from error
    except OSError as error:
        raise ArticleError([f"{path.name}: cannot be read: {error.strerror}"]) from error
    return parse(text, name=path.name)


def parse(text: str, *, name: str) -> Article:
    """Return the article written in *text*: front matter between lines of ``---``, then a body in Markdown.

    name: of the file, for messages and defaults: ``opening-hours.de.md`` is slug opening-hours, locale de. Raises
    ArticleError with every fault there is.
    """
    if len(text) > MAX_CHARS:
        raise ArticleError([f"{name}: is {len(text)} characters long; {MAX_CHARS} are allowed, split it"])
    try:
        document = frontmatter.loads(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ArticleError([f"{name}: the front matter is not YAML: {_first_line(error)}"]) from error
    meta: dict[Any, Any] = document.metadata
    body: str = document.content
    if not meta:
        raise ArticleError([f"{name}: has no front matter; begin with ---, title: ..., ---"])
    reader = _Reader(name, meta)
    stem = name.removesuffix(".md")
    slug, _, locale = stem.partition(".")
    article = Article(
        title=reader.text("title", None),
        slug=reader.matching("slug", slug, _SLUG, "small letters, digits and hyphens, such as opening-hours"),
        locale=reader.matching("locale", locale or DEFAULT_LOCALE, _LOCALE, "a language such as en, de or pt-BR"),
        tags=reader.texts("tags"),
        owner=reader.text("owner", ""),
        questions=reader.texts("questions"),
        wordings=reader.wordings("channels"),
        body=body.strip(),
    )
    reader.unknown()
    reader.hidden("body", article.body)
    if not article.body and not article.wordings:
        reader.problems.append(f"{name}: has neither a body nor channels; there is nothing to say")
    if reader.problems:
        raise ArticleError(reader.problems)
    return article


class _Reader:
    """Takes values out of front matter and keeps a sentence for each that is not as it must be."""

    def __init__(self, name: str, meta: Mapping[Any, Any]) -> None:
        self.name = name
        self.meta = meta
        self.problems: list[str] = []

    def text(self, key: str, default: str | None) -> str:
        value = self.meta.get(key, default)
        if value is None:
            self._wrong(key, "is missing; write one line of text")
            return ""
        return self._checked(key, value)

    def matching(self, key: str, default: str, pattern: regex.Pattern[str], allowed: str) -> str:
        value = self._checked(key, self.meta.get(key, default))
        if value and not pattern.fullmatch(value):
            self._wrong(key, f"is {value!r}; allowed is {allowed}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.meta.get(key) or []
        if not isinstance(value, list):
            self._wrong(key, "must be a list, such as [one, two]")
            return ()
        return tuple(dict.fromkeys(self._checked(key, each) for each in value))

    def wordings(self, key: str) -> Mapping[str, str]:
        value = self.meta.get(key) or {}
        if not isinstance(value, dict):
            self._wrong(key, "must map a channel, or default, to the text that is said there")
            return MappingProxyType({})
        said: dict[str, str] = {}
        for channel, wording in value.items():
            if not isinstance(channel, str) or not _NAME.fullmatch(channel):
                self._wrong(key, f"names {channel!r}; allowed is a channel such as x or mastodon, or default")
                continue
            said[channel] = self._checked(f"{key}.{channel}", wording)
        return MappingProxyType(said)

    def unknown(self) -> None:
        for key in self.meta:
            if key not in KEYS:
                self._wrong(str(key), f"is not known; allowed are {', '.join(KEYS)}")

    def hidden(self, key: str, value: str) -> None:
        if found := _HIDDEN.search(value):
            self._wrong(key, f"holds the invisible character U+{ord(found.group()):04X}; take it out")

    def _checked(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            # YAML reads no, on, 1.5 and 2026-01-01 as other things than text; "locale: no" is the known trap.
            self._wrong(key, f"is read as {type(value).__name__}, not as text; put it in quotes")
            return ""
        stripped = value.strip()
        if not stripped and key != "owner":
            self._wrong(key, "is empty; write text or leave the key out")
        self.hidden(key, stripped)
        return stripped

    def _wrong(self, key: str, what: str) -> None:
        self.problems.append(f"{self.name}: {key} {what}")


def _first_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or 'cannot be read'} (line {error.problem_mark.line + 2})"
    return str(error).partition("\n")[0] or type(error).__name__
