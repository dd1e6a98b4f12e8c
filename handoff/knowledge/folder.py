"""A folder of articles, read whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from handoff.knowledge.article import Article, ArticleError, ArticleState, read

SKIPPED = frozenset({"readme.md"})


def load_folder(folder: Path) -> list[Article]:
    """Return the published articles of ``load_all``: what answers may be made of."""
    return [each for each in load_all(folder) if each.state is ArticleState.PUBLISHED]


def load_all(folder: Path) -> list[Article]:
    """Return the articles of every ``.md`` file in *folder* and below, by slug and locale, drafts last.

    A slug and locale may have two files: what is in force (or retired), and what is being worked on. A README and what
    begins with a dot or an underscore is skipped. Raises ArticleError with every fault of every file: one bad article
    keeps the others out, so that what people see is never half of what the folder says.
    """
    if not folder.is_dir():
        raise ArticleError([f"{folder} is not a folder"])
    found: dict[tuple[str, str, bool], tuple[Article, Path]] = {}
    problems: list[str] = []
    for path in sorted(folder.rglob("*.md")):
        if path.name.lower() in SKIPPED or any(part.startswith((".", "_")) for part in path.relative_to(folder).parts):
            continue
        try:
            article = read(path)
        except ArticleError as error:
            problems.extend(error.problems)
            continue
        first = found.setdefault((article.slug, article.locale, article.state.is_open), (article, path))[1]
        if first is not path:
            problems.append(
                f"{path.relative_to(folder)}: slug {article.slug!r} in {article.locale} is taken by "
                f"{first.relative_to(folder)}; give one of them another slug or locale"
            )
    if not found and not problems:
        problems.append(f"{folder} holds no article; put Markdown files (.md) with front matter there")
    if problems:
        raise ArticleError(problems)
    return [found[key][0] for key in sorted(found)]


def named(articles: Sequence[Article], *, by: str = "", reviewed_by: str = "") -> list[Article]:
    """Return *articles* with *by* as the owner and *reviewed_by* as the reviewer where a published one names none."""
    return [
        replace(each, owner=each.owner or by, reviewer=each.reviewer or reviewed_by)
        if each.state is ArticleState.PUBLISHED
        else each
        for each in articles
    ]


def lonely(articles: Iterable[Article]) -> list[str]:
    """Return a sentence for each published article that two different people do not stand for (ADR 12)."""
    return [
        f"{each.name}: {why}"
        for each in articles
        if each.state is ArticleState.PUBLISHED and (why := _loneliness(each))
    ]


def same_person(one: str, other: str) -> bool:
    """Say whether two names are the same but for case and blanks."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def _loneliness(article: Article) -> str:
    if not article.owner:
        return "names no owner; publishing takes two people: add owner: and reviewer:, or --by and --reviewed-by"
    if not article.reviewer:
        return "names no reviewer; publishing takes two people: add reviewer: with who approved it, or --reviewed-by"
    if same_person(article.owner, article.reviewer):
        return f"{article.owner!r} is owner and reviewer; publishing takes two people, let somebody else review it"
    return ""
