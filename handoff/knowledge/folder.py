"""A folder of articles, read whole or not at all."""

from __future__ import annotations

from pathlib import Path

from handoff.knowledge.article import Article, ArticleError, read

SKIPPED = frozenset({"readme.md"})


def load_folder(folder: Path) -> list[Article]:
    """Return the articles of every ``.md`` file in *folder* and below, by slug and locale.

    A README and what begins with a dot or an underscore is skipped. Raises ArticleError with every fault of every
    file: one bad article keeps the others out, so that what people see is never half of what the folder says.
    """
    if not folder.is_dir():
        raise ArticleError([f"{folder} is not a folder"])
    found: dict[tuple[str, str], tuple[Article, Path]] = {}
    problems: list[str] = []
    for path in sorted(folder.rglob("*.md")):
        if path.name.lower() in SKIPPED or any(part.startswith((".", "_")) for part in path.relative_to(folder).parts):
            continue
        try:
            article = read(path)
        except ArticleError as error:
            problems.extend(error.problems)
            continue
        first = found.setdefault((article.slug, article.locale), (article, path))[1]
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
