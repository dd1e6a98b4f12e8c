"""``harken evaluate``: how good the labels are on texts whose right label is known."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.commands import engine as engines
from bot.commands import figures as wording
from bot.commands import report
from bot.commands.evaluate_knowledge import knowledge
from bot.commands.figures import Figures
from bot.commands.machine import machine
from bot.commands.options import with_settings
from bot.commands.taught import OPTION, wear_taught, with_taught
from bot.settings import Settings

if TYPE_CHECKING:
    from classifiers.evaluate import Measured
    from classifiers.labelled import Labelled
    from classifiers.triage import Triage

HEADS = ("sentiment", "intent", "urgency", "toxicity", "spam", "language")
BATCH = 512
SHARED = "HARKEN_SHARED"
"""Names the folder that holds data/, the folder of the validation sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for. kind: of engine; folder: for the report and pictures; taught: what judges."""

    head: str | None
    kind: str | None
    limit: int | None
    folder: Path | None
    document: Path | None
    taught: bool


@click.group(invoke_without_command=True)
@click.option(
    "--input", "source", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Rows in; default: stdin."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the validation sets, instead of rows; default: $HARKEN_SHARED/data when no rows are piped in.",
)
@click.option("--head", type=click.Choice(HEADS), help="Only this one; its right label may stand in the field label.")
@click.option("--engine", "kind", help="transformer or keywords; default: as configured.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many rows of a file or set, spread evenly.")
@click.option(
    "--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for report.json and pictures."
)
@click.option(
    "--document",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Markdown file whose figures are replaced; default: stdout. For validation sets only.",
)
@with_taught
@with_settings
def evaluate(settings: Settings, source: Path | None, data: Path | None, **options: Any) -> None:
    """Measure the labels on JSON Lines rows {"text", "intent", "sentiment", ...}, each with a right label.

    Without rows: on every validation set in --data, or in the folder data of $HARKEN_SHARED.
    """
    asked = Asked(**options)
    if click.get_current_context().invoked_subcommand is not None:
        if asked.taught:
            raise click.UsageError(
                f"{OPTION} goes with labels; articles are found by the encoder, which nobody teaches"
            )
        return
    if source is not None and data is not None:
        raise click.UsageError("--input measures one file, --data many sets: name one of them")
    sets = _sets_asked_for(source, data)
    if sets is not None:
        _measure_sets(settings, sets, asked)
        return
    if asked.document is not None:
        raise click.UsageError("--document goes with the validation sets: name their folder with --data")
    _measure_rows(settings, source, asked)


evaluate.add_command(knowledge)


def _sets_asked_for(source: Path | None, data: Path | None) -> Path | None:
    """Return the folder of validation sets; None when rows are to be measured."""
    shared = os.environ.get(SHARED)
    if data is not None or source is not None or not shared or _rows_are_piped():
        return data
    return Path(shared) / "data"


def _rows_are_piped() -> bool:
    if sys.stdin is None:
        return False
    try:
        # A terminal and /dev/null are character devices: nobody pipes rows in.
        return not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)
    except OSError:
        return True


def _measure_rows(settings: Settings, source: Path | None, asked: Asked) -> None:
    from classifiers.evaluate import reports
    from classifiers.labelled import evenly

    rows = evenly(_read_rows(source, asked.head), asked.limit)
    if not rows:
        raise click.UsageError("there is no row to measure on; a row is an object with a text and a right label")
    answers = asyncio.run(_judge(settings, asked, rows))
    made = reports(rows, answers)
    for line in wording.terminal(made, answers[0].model):
        click.echo(line)
    if asked.folder is not None:
        name = "stdin" if source is None else source.name
        drawn = {each.whole.head: (each.whole, name) for each in made}
        report.save(asked.folder, {"model": answers[0].model, "reports": [each.as_json() for each in made]}, drawn)


def _read_rows(source: Path | None, head: str | None) -> list[Labelled]:
    from classifiers.labelled import BadRow, read_labelled

    try:
        if source is None:
            return list(read_labelled(sys.stdin.buffer, head))
        with source.open("rb") as lines:
            return list(read_labelled(lines, head))
    except BadRow as error:
        raise click.UsageError(f"--input {source or 'stdin'}: {error}") from error
    except OSError as error:
        raise click.UsageError(f"--input {source} cannot be read: {error.strerror}") from error


def _measure_sets(settings: Settings, data: Path, asked: Asked) -> None:
    if asked.document is not None:
        # Minutes of work are not to end in a document that cannot be written.
        _in_place(asked.document, "")
    rows = _read_sets(data, asked.head, asked.limit)
    answers = asyncio.run(_judge(settings, asked, [row for each in rows.values() for row in each]))
    figures = _figures(_reports(rows, answers), answers[0].model, data, asked)
    if asked.folder is not None:
        drawn = {
            head: (measured.whole, name)
            for head, name in figures.pictured.items()
            if (measured := figures.head(name, head)) is not None
        }
        report.save(asked.folder, figures.as_json(), drawn)
    _tell(figures, asked.document)


def _figures(measured: Mapping[str, Sequence[Measured]], model: str, data: Path, asked: Asked) -> Figures:
    from classifiers import validation

    heads = {head: name for head, name in validation.PICTURED.items() if asked.head in (None, head)}
    return Figures(
        model=model,
        day=datetime.now(UTC).date(),
        machine=machine(),
        command=_command(data),
        measured=measured,
        sets={each.name: each.about for each in validation.SETS},
        absent=validation.missing(data),
        goals=[goal for goal in validation.GOALS if asked.head in (None, goal.head)],
        pictured=heads,
        pictures={} if asked.folder is None else report.pictures(asked.folder, asked.document, heads),
        limit=asked.limit,
    )


def _read_sets(data: Path, head: str | None, limit: int | None) -> dict[str, list[Labelled]]:
    from classifiers import validation
    from classifiers.labelled import BadRow

    rows = {}
    for each in validation.SETS:
        try:
            if validation.is_there(data, each) and (read := validation.read(data, each, head=head, limit=limit)):
                rows[each.name] = read
        except BadRow as error:
            raise click.UsageError(f"{data / each.name / validation.SPLIT}: {error}") from error
        except OSError as error:
            why = error.strerror or error
            raise click.UsageError(f"{data / each.name / validation.SPLIT} cannot be read: {why}") from error
    if not rows:
        wanted = ", ".join(each.name for each in validation.SETS)
        of = f" for {head}" if head else ""
        raise click.UsageError(
            f"no validation set{of} is in {data}; looked for {validation.SPLIT} in the folders {wanted}"
        )
    return rows


def _reports(rows: Mapping[str, Sequence[Labelled]], answers: Sequence[Triage]) -> dict[str, list[Measured]]:
    from classifiers.evaluate import reports

    made, start = {}, 0
    for name, each in rows.items():
        made[name] = reports(each, answers[start : start + len(each)])
        start += len(each)
    return made


async def _judge(settings: Settings, asked: Asked, rows: Sequence[Labelled]) -> list[Triage]:
    from tqdm import tqdm

    from classifiers.triage import Text

    engine = engines.make(settings, asked.kind)
    answers: list[Triage] = []
    try:
        if asked.taught:
            await wear_taught(settings, engine)
        with tqdm(total=len(rows), unit="text", disable=not sys.stderr.isatty(), file=sys.stderr) as bar:
            for start in range(0, len(rows), BATCH):
                texts = [Text(id=row.id, text=row.text) for row in rows[start : start + BATCH]]
                answers += await engines.classify(engine, texts)
                bar.update(len(texts))
    finally:
        await engine.aclose()
    return answers


def _command(data: Path) -> str:
    """Return the command line that runs, with the folder of data by its variable: where it lies here helps nobody."""
    context = click.get_current_context()
    shared = os.environ.get(SHARED)
    values = context.params | {"config": context.params.get("config") or context.find_root().obj, "data": data}
    words = ["harken", "evaluate"]
    for option in context.command.params:
        value = values.get(str(option.name))
        if value is None or value is False:
            continue
        if option.name == "data" and shared and (Path(shared) / "data").resolve() == data.resolve():
            words += ["--data", f'"${SHARED}/data"']
        elif value is True:
            words.append(option.opts[0])
        else:
            words += [option.opts[0], shlex.quote(str(value))]
    return " ".join(words)


def _tell(figures: Figures, document: Path | None) -> None:
    section = wording.section(figures)
    if document is None:
        click.echo(section, nl=False)
        return
    report.write(document, _in_place(document, section).encode(), "--document")
    for what, name, figure, floor, aim, reached in wording.goals(figures):
        click.echo(f"{what:<48} {name:<20} {figure:>12} {floor:>8} {aim:>8} {reached}")
    click.echo(f"{document} holds the figures")


def _in_place(path: Path, section: str) -> str:
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"--document {path}: the folder {path.parent} is not there")
    try:
        return wording.replaced(path.read_text(encoding="utf-8"), section)
    except FileNotFoundError:
        return wording.new_document(section)
    except wording.NoMarkers as error:
        raise click.UsageError(f"--document {path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--document {path} cannot be read: {error}") from error
