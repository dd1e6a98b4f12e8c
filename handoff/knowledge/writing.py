"""An article as a file: what ``article.parse`` reads back is the same article."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import yaml

from handoff.knowledge.article import DEFAULT_LOCALE, Article, ArticleState, Audience

OPEN_FOLDER = "drafts"
"""What is still being worked on is exported there, beside what is in force."""

_WIDTH = 1_000_000
"""Lines are never folded: a change of one word is then one line of a diff."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes text of several lines as it is read."""


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def write(article: Article) -> str:
    """Return *article* as Markdown with front matter; a key that says what is so anyway is left out."""
    head = yaml.dump(_front(article), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH)
    return f"---\n{head}---\n\n{article.body}\n" if article.body else f"---\n{head}---\n"


def content(article: Article) -> str:
    """Return what people edit and compare: the file without state and reviewer."""
    return write(replace(article, state=ArticleState.PUBLISHED, reviewer=""))


def path_of(article: Article) -> Path:
    """Return where *article* stands in an exported folder."""
    suffix = "" if article.locale == DEFAULT_LOCALE else f".{article.locale}"
    name = f"{article.slug}{suffix}.md"
    return Path(OPEN_FOLDER, name) if article.state.is_open else Path(name)


def diff(before: str, after: str, *, names: tuple[str, str]) -> list[str]:
    """Return the lines of a unified diff; none when both are the same."""
    return list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), fromfile=names[0], tofile=names[1], lineterm="")
    )


def _front(article: Article) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "title": article.title,
        "slug": article.slug,
        "locale": article.locale,
        "state": "" if article.state is ArticleState.PUBLISHED else article.state.value,
        "owner": article.owner,
        "reviewer": article.reviewer,
        "audience": "" if article.audience is Audience.PUBLIC else article.audience.value,
        "brand": article.brand,
        "tags": list(article.tags),
        "topics": list(article.topics),
        "review_by": _written(article.review_by),
        "valid_from": _written(article.valid_from),
        "valid_until": _written(article.valid_until),
        "translation_of": article.translation_of,
        "questions": list(article.questions),
        "channels": dict(article.wordings),
    }
    return {key: value for key, value in found.items() if value}


def _written(value: date | None) -> str:
    if not isinstance(value, datetime):
        return "" if value is None else value.isoformat()
    at = value.astimezone(UTC)
    return at.date().isoformat() if at.time() == time() else at.isoformat().replace("+00:00", "Z")
