"""Markdown that was not written for Harken: read for what it plainly says, to try a help centre before it is adopted.

Only ``harken answer --knowledge`` reads so. What is to be said in earnest goes through ``folder.load_folder``, which
refuses what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import frontmatter
import regex
import yaml

from handoff.knowledge.article import DEFAULT_LOCALE, MAX_CHARS, Article, ArticleError, read

SLUGS = ("slug", "id", "article")
LOCALES = ("locale", "lang", "language")

_HEADING = regex.compile(r"\A\s*#{1,3}[ \t]+([^\n]+)\n?")
_LOCALE = regex.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,4})*")


def load_any(folder: Path) -> tuple[list[Article], list[str]]:
    """Return the articles of every ``.md`` file in *folder* and below, and a note for each that is not as ours are.

    Raises ArticleError where there is none, or two files are the same article.
    """
    found: dict[tuple[str, str], tuple[Article, Path]] = {}
    notes: list[str] = []
    for path in sorted(folder.rglob("*.md")):
        if any(part.startswith((".", "_")) for part in path.relative_to(folder).parts):
            continue
        if path.name.lower() == "readme.md":
            continue
        try:
            article = read(path)
        except ArticleError as error:
            article = _guessed(path, error)
            notes.append(f"{error.problems[0]}; read as {article.slug} ({article.locale})")
        key = (article.slug, article.locale)
        if key in found:
            raise ArticleError(
                [f"{path}: {article.slug} in {article.locale} is already in {found[key][1]}; rename one"]
            )
        found[key] = (article, path)
    if not found:
        raise ArticleError([f"{folder} holds no article; put Markdown files (.md) there, one for each"])
    return [found[key][0] for key in sorted(found)], notes


def _guessed(path: Path, why: ArticleError) -> Article:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise why from None
    meta, body = _taken_apart(text)
    stem, _, ending = path.name.removesuffix(".md").partition(".")
    heading = _HEADING.match(body)
    title = _text(meta, ("title",)) or (heading.group(1).strip() if heading else stem.replace("-", " "))
    locale = _text(meta, LOCALES) or ending
    return Article(
        slug=_text(meta, SLUGS) or stem,
        locale=locale if _LOCALE.fullmatch(locale) else DEFAULT_LOCALE,
        title=title[:MAX_CHARS],
        body=body[heading.end() if heading and not meta.get("title") else 0 :].strip()[:MAX_CHARS],
        questions=_texts(meta.get("questions")),
        tags=_texts(meta.get("tags")),
        wordings={str(name): each for name, each in _mapping(meta.get("channels")).items() if isinstance(each, str)},
    )


def _taken_apart(text: str) -> tuple[Mapping[Any, Any], str]:
    try:
        document = frontmatter.loads(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}, text
    return document.metadata, document.content


def _text(meta: Mapping[Any, Any], keys: Sequence[str]) -> str:
    return next((str(meta[key]).strip() for key in keys if meta.get(key) not in (None, "")), "")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}
