"""``harken knowledge``: what we know, from a folder of Markdown files into the store and back, and who may say it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.commands import worth
from bot.commands.options import ROW_ID, command_store, with_settings
from bot.settings import ConfigError, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.store.articles import Changes
    from bot.store.engine import Store
    from classifiers.registry import ClassifierEmbedder
    from handoff.knowledge.article import Article
    from handoff.knowledge.readiness import Guess, Ready, Standards

EXIT_FAULTS = 2
"""As of ``harken check``: something is not as it must be."""

STATES = click.Choice(["draft", "in_review", "published", "retired"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did. embedded: articles that got vectors from the model."""

    changes: Changes
    embedded: int


@click.group()
def knowledge() -> None:
    """Look after the articles that answers come from."""


for command in (worth.worth, worth.gaps, worth.draft):
    knowledge.add_command(command)


@knowledge.command("import")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--by", default="", help="Owner of the articles that name none; default: knowledge.by.")
@click.option("--reviewed-by", default="", help="Reviewer of those that name none; default: knowledge.reviewed_by.")
@with_settings
def import_(settings: Settings, folder: Path, by: str, reviewed_by: str) -> None:
    """Bring the store in step with FOLDER; nothing is imported when one article is bad, or has one person alone."""
    from bot.app import ready_store

    people = {"by": by or settings.knowledge.by, "reviewed_by": reviewed_by or settings.knowledge.reviewed_by}
    with ready_store(settings) as store:
        imported = asyncio.run(_import(settings, store, folder, **people))
    for line in said(imported):
        click.echo(line)


@knowledge.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@with_settings
def export_(settings: Settings, folder: Path) -> None:
    """Write every article into FOLDER, which must be new or empty; what is being worked on goes to drafts/."""
    from bot.app import ready_store
    from bot.store import editions
    from handoff.knowledge.writing import path_of, write

    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty; name a new folder, so that nothing of yours is overwritten")
    with ready_store(settings) as store:
        found = store.read_now(editions.everything)
    for each in found:
        path = folder / path_of(each)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write(each), encoding="utf-8")
    click.echo(f"{len(found)} files written to {folder}")


@knowledge.command("list")
@click.option("--state", type=STATES, help="Only those that stand so, or are being worked on so.")
@click.option("--due", is_flag=True, help="Only those to be looked at again soon.")
@with_settings
def list_(settings: Settings, state: str | None, due: bool) -> None:
    """Show all articles: where they stand, in whose care, and when to look at them again."""
    from bot.app import now, ready_store
    from bot.store import editions, report

    today = now().date()
    wanted = report.ArticleFilter(state=state, due_by=today + editions.REMIND_BEFORE if due else None)
    with ready_store(settings) as store:
        found = list(_all(store, wanted, settings.knowledge.main_locale))
    for each in found:
        marks = [each.audience] if each.audience != "public" else []
        marks += [f"version {each.newest} {each.open_state}"] if each.open_state and each.version else []
        marks += ["translation out of date"] if each.is_outdated else []
        marks += [f"review by {each.review_by}"] if each.review_by else []
        name = f"{each.slug}.{each.locale}"
        click.echo(f"{name:<32} {each.state:<10} {each.version:>3}  {each.owner:<20}  {', '.join(marks)}".rstrip())
    click.echo(f"{len(found)} articles")


@knowledge.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--strict", is_flag=True, help="Warnings and articles that are due also end with exit code 2.")
@click.option("--by", default="", help="As of the import.")
@click.option("--reviewed-by", default="", help="As of the import.")
@with_settings
def check_(settings: Settings, folder: Path | None, strict: bool, by: str, reviewed_by: str) -> None:
    """Say how ready each article is for each channel: those of FOLDER, else what the store holds. Changes nothing."""
    from bot.app import make_standards, now, ready_store
    from bot.store import editions
    from handoff.knowledge.folder import lonely, named

    standards = make_standards(settings, _connectors(settings))
    if folder is not None:
        people = {"by": by or settings.knowledge.by, "reviewed_by": reviewed_by or settings.knowledge.reviewed_by}
        found = named(_load(folder), **people)
        faults = lonely(found)
    else:
        with ready_store(settings) as store:
            found, faults = store.read_now(editions.everything), []
    looked = [each for each in found if each.state != "retired"]
    lines, more, warnings = judged(looked, standards, _guesses(looked, standards))
    faults += more
    due = [each for each in looked if each.review_by and each.review_by <= now().date() + editions.REMIND_BEFORE]
    for line in lines:
        click.echo(line)
    for each in due:
        click.echo(
            f"due      {each.name}: to be looked at again until {each.review_by}, owner {each.owner or 'nobody'}"
        )
    for fault in faults:
        click.echo(f"fault    {fault}")
    click.echo(f"{len(looked)} articles, {len(faults)} faults, {warnings} warnings, {len(due)} due")
    if faults or (strict and (warnings or due)):
        raise click.exceptions.Exit(EXIT_FAULTS)


@knowledge.command()
@click.argument("name")
@click.option("--by", required=True, help="E-mail address of the lead who has reviewed it and stands for it.")
@click.option("--version", type=ROW_ID, help="The version that was reviewed; default: the newest.")
@with_settings
def publish(settings: Settings, name: str, by: str, version: int | None) -> None:
    """Put the version of NAME (slug or slug.locale) that is in review in force; who wrote it cannot."""
    from bot.app import make_standards
    from bot.store import editions

    standards = make_standards(settings, _connectors(settings))
    with command_store(settings) as store:
        at = datetime.now(UTC)
        article_id, number = _newest(store, name)
        who = _person(store, by)
        store.write_now(
            editions.publish, article_id, version=version or number, user_id=who, standards=standards, now=at
        )
    click.echo(f"{name} version {version or number} is in force; a running daemon answers from it within seconds.")


@knowledge.command()
@click.argument("name")
@click.option("--by", required=True, help="E-mail address of the lead who does it.")
@click.option("--note", default="", help="Why; it stands in the record.")
@with_settings
def retire(settings: Settings, name: str, by: str, note: str) -> None:
    """Take NAME out of force: it is kept, and never said."""
    from bot.store import editions

    with command_store(settings) as store:
        at = datetime.now(UTC)
        article_id = store.read_now(editions.by_name, name)
        store.write_now(editions.retire, article_id, user_id=_person(store, by), now=at, note=note)
    click.echo(f"{name} is retired; a running daemon no longer answers from it within seconds.")


@knowledge.command()
@click.argument("name")
@click.argument("version", type=ROW_ID)
@click.option("--by", required=True, help="E-mail address of the person who does it.")
@with_settings
def restore(settings: Settings, name: str, version: int, by: str) -> None:
    """Make VERSION of NAME a new draft; somebody else publishes it."""
    from bot.store import editions

    with command_store(settings) as store:
        at = datetime.now(UTC)
        article_id = store.read_now(editions.by_name, name)
        made = store.write_now(editions.restore, article_id, number=version, user_id=_person(store, by), now=at)
    click.echo(f"{name} version {version} is draft {made} now; hand it in and let somebody else publish it.")


@knowledge.command("diff")
@click.argument("name")
@click.argument("before", required=False, type=ROW_ID)
@click.argument("after", required=False, type=ROW_ID)
@with_settings
def diff_(settings: Settings, name: str, before: int | None, after: int | None) -> None:
    """Show what changed in NAME between two versions; default: from what is in force to the newest."""
    from bot.store import editions

    with command_store(settings) as store:
        article_id = store.read_now(editions.by_name, name)
        found = store.read_now(editions.compare, article_id, before=before or 0, after=after or 0)
        record = store.read_now(editions.one, article_id).record
    for line in found.lines or [f"versions {found.before} and {found.after} are the same"]:
        click.echo(line)
    click.echo("")
    for each in record:
        note = f": {each.note}" if each.note else ""
        click.echo(f"{each.at:%Y-%m-%d %H:%M}  {each.by} {each.step} version {each.version}{note}")


def _load(folder: Path) -> list[Article]:
    from handoff.knowledge.article import ArticleError
    from handoff.knowledge.folder import load_all

    try:
        return load_all(folder)
    except ArticleError as error:
        raise ConfigError("\n".join(error.problems)) from error


async def _import(settings: Settings, store: Store, folder: Path, *, by: str, reviewed_by: str) -> Imported:
    # The folder is read and judged before the model is loaded: a typo is told in a moment.
    from bot.app import make_standards
    from bot.store.refusals import Invalid
    from handoff.knowledge.folder import lonely, named

    standards = make_standards(settings, _connectors(settings))
    try:
        found = named(await asyncio.to_thread(_load, folder), by=by, reviewed_by=reviewed_by)
        if alone := lonely(found):
            raise ConfigError("\n".join(alone))
        async with warm(settings) as engine:
            return await take_articles(store, found, engine, standards=standards, now=datetime.now(UTC))
    except (ConfigError, Invalid) as error:
        raise ConfigError(f"{error}\nnothing was imported") from error


async def import_folder(
    store: Store,
    folder: Path,
    engine: ClassifierEmbedder,
    *,
    now: datetime,
    by: str = "",
    reviewed_by: str = "",
    standards: Standards | None = None,
) -> Imported:
    """Bring *store* in step with *folder*, with vectors from *engine*.

    by, reviewed_by: who stands for articles that name nobody. Raises ArticleError or Invalid, with nothing changed.
    """
    from handoff.knowledge.folder import load_all, named
    from handoff.knowledge.readiness import NO_STANDARDS

    loaded = named(await asyncio.to_thread(load_all, folder), by=by, reviewed_by=reviewed_by)
    return await take_articles(store, loaded, engine, standards=standards or NO_STANDARDS, now=now)


async def take_articles(
    store: Store, found: Sequence[Article], engine: ClassifierEmbedder, *, standards: Standards, now: datetime
) -> Imported:
    """Bring *store* in step with the articles of a folder. Raises Invalid, with nothing changed."""
    from bot.store import articles

    changes = await store.write(articles.take_folder, found, standards=standards, now=now)
    embedded = await articles.refresh_vectors(store, engine, model=engine.foundation)
    return Imported(changes=changes, embedded=embedded)


def said(imported: Imported) -> list[str]:
    """Return the lines that tell a person what an import did."""
    changes = imported.changes
    groups = (("new", changes.new), ("changed", changes.changed), ("retired", changes.retired))
    lines = [f"{word:<9}{name}" for word, names in groups for name in names]
    counts = ", ".join(f"{len(names)} {word}" for word, names in groups)
    return [*lines, f"{counts}, {changes.unchanged} unchanged; {imported.embedded} embedded"]


def judged(
    found: Sequence[Article], standards: Standards, guesses: Mapping[str, Guess]
) -> tuple[list[str], list[str], int]:
    """Return the table of readiness, the faults, and how many warnings there are."""
    from handoff.knowledge import readiness

    lines = [
        f"{'article':<32} {'channel':<10} {'length':>12} {'unit':<10} {'links':>5} {'cost':>4} {'LIX':>4}  verdict"
    ]
    faults: list[str] = []
    warnings = 0
    for article in found:
        for ready in readiness.check(article, standards, guesses):
            lines.append(_line(article, ready))
        for each in readiness.findings(article, standards, guesses):
            what = f"{article.name} {each.channel}".rstrip() + f": {each.said}"
            if each.is_fault:
                faults.append(what)
            else:
                warnings += 1
                lines.append(f"warning  {what}")
    return lines, faults, warnings


def _line(article: Article, ready: Ready) -> str:
    length = str(len(ready.text)) if ready.limit is None else f"{ready.used}/{ready.limit}"
    level = "-" if ready.lix is None else str(ready.lix)
    verdict = "ready" if ready.is_ready and not ready.findings else ", ".join(sorted({f.kind for f in ready.findings}))
    return (
        f"{article.name:<32} {ready.channel:<10} {length:>12} {ready.unit:<10} {ready.links:>5} {ready.link_cost:>4} "
        f"{level:>4}  {verdict or 'ready'}"
    )


def _guesses(found: Sequence[Article], standards: Standards) -> Mapping[str, Guess]:
    from classifiers.language import Languages
    from handoff.knowledge import readiness

    texts = list(dict.fromkeys(text for each in found for text in readiness.texts(each, standards)))
    labels = Languages().detect_all([(text, None) for text in texts]) if texts else []
    return {
        text: readiness.Guess(language=label.label, confidence=label.confidence)
        for text, label in zip(texts, labels, strict=True)
    }


def _connectors(settings: Settings) -> list[Any]:
    """Return the configured sources; where their secrets are not at hand, networks are counted as they usually are."""
    from bot.app import make_connectors, now

    try:
        return [connector for connector, _ in make_connectors(settings, now).values()]
    except ConfigError:
        return []


def _all(store: Store, wanted: Any, main_locale: str) -> Iterator[Any]:
    from bot.store import report

    cursor: str | None = None
    while True:
        found = store.read_now(report.articles, wanted, limit=200, cursor=cursor, main_locale=main_locale)
        yield from found.items
        if found.next is None:
            return
        cursor = found.next


def _newest(store: Store, name: str) -> tuple[int, int]:
    from bot.store import editions

    article_id = store.read_now(editions.by_name, name)
    number, _ = store.read_now(editions.working_copy, article_id)
    return article_id, max(1, number)


def _person(store: Store, email: str) -> int:
    from bot.store import people

    found = store.read_now(people.by_email, email)
    if found is None or found.disabled_at is not None:
        raise click.UsageError(f"--by {email}: nobody who may sign in has this address; `harken user list` shows who")
    return found.id


@asynccontextmanager
async def warm(settings: Settings) -> AsyncIterator[ClassifierEmbedder]:
    """Give the configured engine, ready to be asked. Raises ConfigError when it cannot be loaded."""
    from bot.app import make_classifier
    from classifiers.errors import ClassifierError

    engine = make_classifier(settings)
    try:
        await engine.warm()
        yield engine
    except ClassifierError as error:
        raise ConfigError(f'classifier: {error}; or set classifier.engine = "keywords" to go without it') from error
    finally:
        await engine.aclose()
