"""An article: approved knowledge in one language, with the exact words that may be said in public."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import frontmatter
import regex
import yaml

KEYS = (
    *("title", "slug", "locale", "tags", "owner", "questions", "channels"),
    *("state", "reviewer", "audience", "brand", "topics"),
    *("valid_from", "valid_until", "review_by", "translation_of"),
)
MAY_BE_EMPTY = ("owner", "reviewer", "brand")
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
_REVISION = regex.compile(r"[0-9a-f]{16}")
# Control characters, direction overrides and zero-width spaces hide words from the person who approves them. Joiners
# (U+200C, U+200D) stay: Persian and emoji need them.
_HIDDEN = regex.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


class ArticleState(StrEnum):
    """Where an article, or a version of it, stands. Only what is published may be said."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    PUBLISHED = "published"
    RETIRED = "retired"

    @property
    def is_open(self) -> bool:
        """Say whether it is still being worked on."""
        return self in (ArticleState.DRAFT, ArticleState.IN_REVIEW)


class Audience(StrEnum):
    """Who may read it: internal knowledge is for people at the desk, and never said."""

    PUBLIC = "public"
    INTERNAL = "internal"


Choice = TypeVar("Choice", bound=StrEnum)


class ArticleError(ValueError):
    """A file is no article; ``problems`` holds one sentence for each fault: file, key, what is allowed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What we know about one matter, in one language.

    slug: the matter, the same in every language. locale: BCP 47 (en, pt-BR). body: Markdown. tags: intents it answers,
    and free words. questions: how customers ask it. wordings: channel or "default" -> the exact public text, with slots
    such as {order_status_url}.

    brand: "" for all. topics: where it stands in the taxonomy, such as billing/refunds. valid_from, valid_until: aware,
    the latter no longer included. review_by: until when somebody looks whether it is still right. reviewer: who
    published it. translation_of: revision of the main locale's article that this one renders, "" when nobody said.
    """

    slug: str
    locale: str
    title: str
    body: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    questions: tuple[str, ...] = ()
    wordings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    state: ArticleState = ArticleState.PUBLISHED
    reviewer: str = ""
    audience: Audience = Audience.PUBLIC
    brand: str = ""
    topics: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    review_by: date | None = None
    translation_of: str = ""

    @property
    def name(self) -> str:
        """slug.locale: how people call it."""
        return f"{self.slug}.{self.locale}"

    def is_valid(self, now: datetime) -> bool:
        """Say whether its time has come and is not over."""
        begun = self.valid_from is None or self.valid_from <= now
        return begun and (self.valid_until is None or now < self.valid_until)

    def may_be_said(self, now: datetime, *, brand: str = "") -> bool:
        """Say whether it is published, public, valid at *now*, and of *brand* or of all brands."""
        return (
            self.state is ArticleState.PUBLISHED
            and self.audience is Audience.PUBLIC
            and self.is_valid(now)
            and (not self.brand or self.brand == brand)
        )

    @property
    def language(self) -> str:
        """ISO 639 language of the locale."""
        return self.locale.partition("-")[0]

    @property
    def revision(self) -> str:
        """Changes when, and only when, anything in the article does, but for state, reviewer and translation_of."""
        content: list[Any] = [
            *(self.slug, self.locale, self.title, self.body, self.owner),
            *(list(self.tags), list(self.questions), dict(sorted(self.wordings.items()))),
        ]
        # Only what is set: an article of before these fields keeps its revision, and with it its vectors.
        more = {
            "audience": "" if self.audience is Audience.PUBLIC else self.audience,
            "brand": self.brand,
            "topics": list(self.topics),
            **{key: "" if value is None else value.isoformat() for key, value in self._dates.items()},
        }
        if any(more.values()):
            content.append(more)
        return _digest(content)

    @property
    def imprint(self) -> str:
        """Changes when the revision, the state, the reviewer or translation_of does."""
        return imprint_of(self.revision, self.state, self.reviewer, self.translation_of)

    @property
    def _dates(self) -> Mapping[str, date | None]:
        return {"valid_from": self.valid_from, "valid_until": self.valid_until, "review_by": self.review_by}

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
    if not document.metadata:
        raise ArticleError([f"{name}: has no front matter; begin with ---, title: ..., ---"])
    return make(document.metadata, document.content, name=name)


def make(meta: Mapping[Any, Any], body: str, *, name: str) -> Article:
    """Return the article of front matter and body, whoever wrote them. Raises ArticleError with every fault."""
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
        state=reader.one_of("state", ArticleState.PUBLISHED),
        reviewer=reader.text("reviewer", ""),
        audience=reader.one_of("audience", Audience.PUBLIC),
        brand=reader.text("brand", ""),
        topics=reader.texts("topics"),
        valid_from=reader.moment("valid_from"),
        valid_until=reader.moment("valid_until"),
        review_by=reader.day("review_by"),
        translation_of=reader.matching("translation_of", None, _REVISION, "a revision, 16 signs of 0-9 and a-f"),
    )
    reader.unknown()
    if article.valid_from and article.valid_until and article.valid_until <= article.valid_from:
        reader.problems.append(f"{name}: valid_until lies before valid_from; it would never be valid")
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

    def matching(self, key: str, default: str | None, pattern: regex.Pattern[str], allowed: str) -> str:
        if default is None and key not in self.meta:
            return ""
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

    def one_of(self, key: str, default: Choice) -> Choice:
        value = self.meta.get(key, default)
        try:
            return type(default)(value)
        except ValueError:
            self._wrong(key, f"is {value!r}; allowed are {', '.join(type(default))}")
            return default

    def moment(self, key: str) -> datetime | None:
        """Return an aware time; a date alone is its midnight, UTC."""
        value = self._time(key, datetime.fromisoformat, "2026-12-24T09:00:00+01:00, or 2026-12-24 for midnight UTC")
        if value is None:
            return None
        if not isinstance(value, datetime):
            return datetime.combine(value, time(), UTC)
        if value.tzinfo is None:
            if value.time() != time() or isinstance(self.meta[key], datetime):
                self._wrong(key, f"is {value.isoformat()} without a time zone; write {value.isoformat()}Z if it is UTC")
            return value.replace(tzinfo=UTC)
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self._wrong(key, "lies beyond the calendar")
            return None

    def day(self, key: str) -> date | None:
        value = self._time(key, date.fromisoformat, "a date such as 2026-12-24")
        return value.date() if isinstance(value, datetime) else value

    def _time(self, key: str, read: Callable[[str], date], allowed: str) -> date | None:
        value = self.meta.get(key)
        if value is None or isinstance(value, date):
            return value
        if isinstance(value, str):
            try:
                return read(value.strip())
            except ValueError:
                pass
        self._wrong(key, f"is {value!r}; allowed is {allowed}")
        return None

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
        if not stripped and key not in MAY_BE_EMPTY:
            self._wrong(key, "is empty; write text or leave the key out")
        self.hidden(key, stripped)
        return stripped

    def _wrong(self, key: str, what: str) -> None:
        self.problems.append(f"{self.name}: {key} {what}")


def imprint_of(revision: str, state: str, reviewer: str, translation_of: str) -> str:
    """Return the imprint of an article of which only these are at hand."""
    return _digest([revision, str(state), reviewer, translation_of])


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]


def _first_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or 'cannot be read'} (line {error.problem_mark.line + 2})"
    return str(error).partition("\n")[0] or type(error).__name__
