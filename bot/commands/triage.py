"""``harken triage``: label a file of texts, row by row, with bounded memory."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click
import orjson

from bot.commands import engine as engines
from bot.commands.options import with_settings
from bot.commands.taught import wear_taught, with_taught
from bot.settings import Settings
from classifiers.errors import ClassifierError

if TYPE_CHECKING:
    from classifiers.protocol import Classifier
    from classifiers.triage import Text, Triage
    from classifiers.why import Word

MAX_LINE = 16 * 2**20
"""Bytes in a row; more is no text of a post and would fill the memory."""

LABELS = ("sentiment", "intent", "urgency", "toxicity", "spam", "language")


@click.command()
@click.option(
    "--input", "source", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Rows in; default: stdin."
)
@click.option("--output", "target", type=click.Path(path_type=Path, dir_okay=False), help="Rows out; default: stdout.")
@click.option("--engine", "kind", help="transformer or keywords; default: as configured.")
@click.option("--why", "reasons", is_flag=True, help="Say which words made each label; slower, a text at a time.")
@click.option("--batch", type=click.IntRange(1, 100_000), default=512, show_default=True, help="Rows judged at a time.")
@with_taught
@with_settings
def triage(
    settings: Settings,
    source: Path | None,
    target: Path | None,
    kind: str | None,
    reasons: bool,
    batch: int,
    taught: bool,
) -> None:
    """Label texts: rows {"id", "text"} in JSON Lines in, the same ids with their labels out, in the same order.

    A file named with --output appears whole or not at all.
    """
    if target is not None and not target.absolute().parent.is_dir():
        raise click.UsageError(f"--output {target}: the folder {target.parent} is not there")
    engine = engines.make(settings, kind)

    async def label(rows: IO[bytes], out: IO[bytes], advance: Callable[[int], Any]) -> None:
        try:
            if taught:
                click.echo(f"judged by {await wear_taught(settings, engine)}", err=True)
            for ids, texts, size in _batches(rows, batch):
                out.writelines(await (_explained if reasons else _judged)(engine, ids, texts))
                out.flush()
                advance(size)
        finally:
            await engine.aclose()

    with reading(source) as (rows, size), _progress(size) as advance, writing(target) as out:
        asyncio.run(label(rows, out, advance))


async def _judged(engine: Classifier, ids: Sequence[str | int], texts: Sequence[Text]) -> list[bytes]:
    return [*map(as_line, ids, await engines.classify(engine, texts))]


async def _explained(engine: Classifier, ids: Sequence[str | int], texts: Sequence[Text]) -> list[bytes]:
    from classifiers import why

    lines = []
    for row_id, text in zip(ids, texts, strict=True):
        try:
            answer, found = await why.explain(engine, text.text)
        except ClassifierError as error:
            raise click.UsageError(f"the text with the id {row_id!r} cannot be explained: {error}") from error
        lines.append(as_line(row_id, answer, {each.head: each.words for each in found}))
    return lines


def as_line(row_id: str | int, answer: Triage, words: Mapping[str, Sequence[Word]] | None = None) -> bytes:
    """Return a row of the output; its id is of the type that came in. words: head -> those that made its label."""
    labels: dict[str, dict[str, Any]] = {
        name: {"label": given.label, "confidence": round(given.confidence, 4)}
        for name in LABELS
        if (given := getattr(answer, name))
    }
    for head, made in (words or {}).items():
        labels[head]["why"] = [{"word": each.text, "start": each.start, "drop": each.drop} for each in made]
    return orjson.dumps({"id": row_id, **labels}, option=orjson.OPT_APPEND_NEWLINE)


def read_row(line: bytes, number: int) -> tuple[str | int, Text]:
    """Return the id and the text of one row. Raises UsageError, naming the line."""
    from classifiers.triage import Text

    row = _parsed(line, number)
    if not isinstance(row, dict):
        _refuse(number, 'must be an object {"id": ..., "text": ...}')
    for field in ("id", "text"):
        if field not in row:
            _refuse(number, f'has no "{field}"')
    row_id, text = row["id"], row["text"]
    if not isinstance(text, str):
        _refuse(number, '"text" must be a string')
    if isinstance(row_id, bool) or not isinstance(row_id, str | int):
        _refuse(number, '"id" must be a string or a whole number')
    if isinstance(row_id, int) and not -(2**63) <= row_id < 2**64:
        _refuse(number, '"id" is a number of more than 64 bits; write it as a string')
    if isinstance(row_id, str) and not _encodable(row_id):
        _refuse(number, '"id" holds half a character (a lone surrogate)')
    return row_id, Text(id=str(row_id), text=text)


def _parsed(line: bytes, number: int) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    # Networks do deliver half characters (lone surrogates), which only the slower parser takes.
    try:
        return json.loads(line.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        _refuse(number, "is not JSON in UTF-8")


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(number: int, why: str) -> NoReturn:
    raise click.UsageError(f"line {number} {why}")


def _batches(rows: IO[bytes], many: int) -> Iterator[tuple[list[str | int], list[Text], int]]:
    """Yield ids, texts, and the bytes they took; blank lines are passed over."""
    ids: list[str | int] = []
    texts: list[Text] = []
    size = number = 0
    while line := rows.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            _refuse(number, f"is longer than {MAX_LINE // 2**20} MiB")
        size += len(line)
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            row_id, text = read_row(line, number)
            ids.append(row_id)
            texts.append(text)
        if len(texts) >= many:
            yield ids, texts, size
            ids, texts, size = [], [], 0
    if texts:
        yield ids, texts, size


@contextmanager
def reading(path: Path | None) -> Iterator[tuple[IO[bytes], int | None]]:
    """Give the file *path*, or standard input, and its bytes where they are known."""
    if path is None:
        yield sys.stdin.buffer, None
        return
    try:
        rows = path.open("rb")
    except OSError as error:
        raise click.UsageError(f"--input {path} cannot be read: {error.strerror}") from error
    with rows:
        yield rows, path.stat().st_size


@contextmanager
def writing(path: Path | None) -> Iterator[IO[bytes]]:
    """Open *path* so that it is replaced at the end only; an error on the way leaves what was there."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.absolute().parent)
    except OSError as error:
        raise click.UsageError(f"--output {path} cannot be written: {error.strerror}") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        # mkstemp makes files that only the owner reads; a result is like any other new file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    except OSError as error:
        raise click.UsageError(f"--output {path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], Any]]:
    """Show how far it is on a terminal; nothing elsewhere."""
    from tqdm import tqdm

    with tqdm(total=size, unit="B", unit_scale=True, disable=not sys.stderr.isatty(), file=sys.stderr) as bar:
        yield bar.update
