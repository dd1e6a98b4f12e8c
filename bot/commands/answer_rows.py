"""``harken answer --input``: a file of questions, each with the article that answers it and how sure that is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
import orjson

from bot.commands.knowledge import warm
from bot.commands.taught import wear_taught
from bot.commands.triage import read_row, reading, writing
from bot.settings import ConfigError, Settings

if TYPE_CHECKING:
    from classifiers.registry import ClassifierEmbedder
    from handoff.knowledge.answer import Voice
    from handoff.knowledge.search import Entry, Index, Query
    from handoff.situation import Candidate

BATCH = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """How it would be said, the folder to answer from, None for the store; and whether taught heads judge."""

    voice: Voice
    folder: Path | None
    taught: bool = False


@asynccontextmanager
async def judging(settings: Settings, *, taught: bool) -> AsyncIterator[tuple[ClassifierEmbedder, list[str]]]:
    """Give the configured engine, warm, and a note where what corrections taught judges."""
    async with warm(settings) as engine:
        yield engine, [f"Judged by {await wear_taught(settings, engine)}."] if taught else []


@asynccontextmanager
async def searching(
    settings: Settings, engine: ClassifierEmbedder, folder: Path | None
) -> AsyncIterator[tuple[Index, list[str]]]:
    """Give all articles of *folder*, or of the store, ready to be asked, and notes. Raises ConfigError without any."""
    from bot.app import make_policy, make_standards, read_articles, ready_store
    from bot.store import articles
    from handoff.knowledge.search import Index

    languages = make_policy(settings).settings.languages
    if folder is not None:
        entries, notes = await _entries(engine, folder)
        yield Index(entries, sure_languages=languages), notes
        return
    configured = read_articles(settings)
    now = datetime.now(UTC)
    with ready_store(settings) as store:
        if configured is not None:
            await store.write(articles.take_folder, configured, standards=make_standards(settings), now=now)
        await articles.refresh_vectors(store, engine, model=engine.foundation)
        kept = await store.read(articles.entries, now=now)
        if not kept:
            raise ConfigError("the store holds no article; run: harken knowledge import DIR, or name --knowledge DIR")
        yield Index(kept, sure_languages=languages), []


async def _entries(engine: ClassifierEmbedder, folder: Path) -> tuple[Sequence[Entry], list[str]]:
    from handoff.knowledge.article import ArticleError
    from handoff.knowledge.foreign import load_any
    from handoff.knowledge.search import Entry

    try:
        articles, notes = await asyncio.to_thread(load_any, folder)
    except ArticleError as error:
        raise click.UsageError("--knowledge " + "\n".join(error.problems)) from error
    vectors = iter(await engine.embed([passage for each in articles for passage in each.passages]))
    entries = [
        Entry(id=number, article=each, vectors=b"".join(next(vectors) for _ in each.passages))
        for number, each in enumerate(articles)
    ]
    return entries, notes


def answer_rows(settings: Settings, asked: Asked, source: Path, target: Path | None) -> None:
    """Answer every row of the file *source*; *target* appears whole or not at all."""
    with reading(source) as (lines, _), writing(target) as out:
        asyncio.run(_answer_rows(settings, asked, lines, out))


async def _answer_rows(settings: Settings, asked: Asked, lines: IO[bytes], out: IO[bytes]) -> None:
    from bot.app import make_policy, make_standards
    from handoff.knowledge.answer import Answers

    policy = make_policy(settings).settings
    async with (
        judging(settings, taught=asked.taught) as (engine, worn),
        searching(settings, engine, asked.folder) as (index, notes),
    ):
        for note in (*worn, *notes):
            click.echo(note, err=True)
        answers = Answers(index, slots=make_standards(settings).slots)
        rows = _questions(lines)
        while some := [*islice(rows, BATCH)]:
            queries = await _queries(engine, some)
            found = answers.candidates(queries, [asked.voice] * len(queries), limit=1)
            for (row_id, _, _), query, first in zip(some, queries, found, strict=True):
                out.write(_line(row_id, first, index.ranking(query), bar=policy.auto_answer_confidence))
            out.flush()


def _questions(lines: IO[bytes]) -> Iterator[tuple[str | int, str, str]]:
    """Yield id, text and language, "" where none is given."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row_id, text = read_row(line, number)
        language = orjson.loads(line).get("language", "")
        if not isinstance(language, str):
            raise click.UsageError(f'line {number} "language" must be a string such as en')
        yield row_id, text.text, language


async def _queries(engine: ClassifierEmbedder, rows: Sequence[tuple[str | int, str, str]]) -> list[Query]:
    from classifiers.triage import Text
    from handoff.knowledge.search import Query

    judged = await engine.classify([Text(id=str(row_id), text=text) for row_id, text, _ in rows])
    return [
        Query(
            text=text,
            language=language or each.language.label,
            embedding=each.embedding,
            intent=each.intent.label,
        )
        for (_, text, language), each in zip(rows, judged, strict=True)
    ]


def _line(row_id: str | int, first: Sequence[Candidate], ranking: Sequence[str], *, bar: float) -> bytes:
    best: Any = first[0] if first else None
    row = {
        "id": row_id,
        "article": best.slug if best else None,
        "confidence": round(best.confidence, 4) if best else 0.0,
        "sent": bool(best and best.fits and best.confidence >= bar),
        "text": best.wording if best else "",
        "ranking": list(ranking),
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
