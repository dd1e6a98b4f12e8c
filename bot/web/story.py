"""The situation of a case as it was stored when it opened, read with tolerance: what is missing or odd is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One post of the thread."""

    author: str
    handle: str
    text: str
    at: datetime | None
    url: str | None
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One earlier contact with this customer."""

    kind: str
    at: datetime | None
    text: str
    intent: str
    sentiment: str
    outcome: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An article that may answer. is_chosen: by a language model, among those there were."""

    title: str
    slug: str
    article_id: int | None
    locale: str
    confidence: float | None
    wording: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """thread: root first. history: oldest first. answers: best first. text: the post as it was then."""

    text: str | None
    thread: Sequence[Said]
    history: Sequence[Contact]
    answers: Sequence[Answer]


def story(context: Mapping[str, Any], *, chosen: str | None = None) -> Story:
    """Return what *context* holds. chosen: slug of the article that a language model named; it is shown first."""
    post = context.get("post")
    answers = [_answer(each, chosen) for each in _items(context, "answers")]
    return Story(
        text=_text(post, "text") or None if isinstance(post, Mapping) else None,
        thread=[
            Said(
                author=_text(each, "author"),
                handle=_text(each, "handle"),
                text=_text(each, "text"),
                at=_time(each),
                url=_text(each, "url") or None,
                is_own=each.get("is_own") is True,
            )
            for each in _items(context, "thread")
        ],
        history=[
            Contact(
                kind=_text(each, "kind"),
                at=_time(each),
                text=_text(each, "text"),
                intent=_text(each, "intent"),
                sentiment=_text(each, "sentiment"),
                outcome=_text(each, "outcome"),
                url=_text(each, "url") or None,
            )
            for each in _items(context, "history")
        ],
        answers=sorted(answers, key=lambda each: not each.is_chosen),
    )


def _answer(each: Mapping[str, Any], chosen: str | None) -> Answer:
    slug = _text(each, "slug")
    return Answer(
        title=_text(each, "title") or slug,
        slug=slug,
        article_id=_number(each, "article_id"),
        locale=_text(each, "locale"),
        confidence=_share(each.get("confidence")),
        wording=_text(each, "wording"),
        is_chosen=chosen is not None and slug == chosen,
    )


def _items(context: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    items = context.get(name)
    return (each for each in (items if isinstance(items, list) else ()) if isinstance(each, Mapping))


def _number(each: Mapping[str, Any], name: str) -> int | None:
    value = each.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _text(each: Mapping[str, Any], name: str) -> str:
    value = each.get(name)
    return value if isinstance(value, str) else ""


def _share(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _time(each: Mapping[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(_text(each, "at"))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
