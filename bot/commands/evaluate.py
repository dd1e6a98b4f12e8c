"""``harken evaluate``: how good the labels are on texts whose right label is known."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from bot.commands import engine as engines
from bot.commands.options import with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from classifiers.evaluate import Labelled, Report
    from classifiers.registry import ClassifierEmbedder
    from classifiers.triage import Triage

HEADS = ("sentiment", "intent", "urgency", "toxicity", "spam", "language")
BATCH = 512


@click.command()
@click.option(
    "--input", "source", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Rows in; default: stdin."
)
@click.option("--head", type=click.Choice(HEADS), help="Only this one; its right label may stand in the field label.")
@click.option("--engine", "kind", help="transformer or keywords; default: as configured.")
@click.option("--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for report.json.")
@with_settings
def evaluate(settings: Settings, source: Path | None, head: str | None, kind: str | None, folder: Path | None) -> None:
    """Measure the labels on JSON Lines rows {"text", "intent", "sentiment", ...}, each with a right label."""
    from classifiers.evaluate import BadRow, read_labelled, reports

    try:
        if source is None:
            rows = list(read_labelled(sys.stdin.buffer, head))
        else:
            with source.open("rb") as lines:
                rows = list(read_labelled(lines, head))
    except BadRow as error:
        raise click.UsageError(f"--input {source or 'stdin'}: {error}") from error
    except OSError as error:
        raise click.UsageError(f"--input {source} cannot be read: {error.strerror}") from error
    if not rows:
        raise click.UsageError("there is no row to measure on")
    answers = asyncio.run(_judge(engines.make(settings, kind), rows))
    made = reports(rows, answers)
    for line in _table(made, answers[0].model):
        click.echo(line)
    if folder is not None:
        _save(folder, made, answers[0].model)


async def _judge(engine: ClassifierEmbedder, rows: Sequence[Labelled]) -> list[Triage]:
    from tqdm import tqdm

    from classifiers.triage import Text

    answers: list[Triage] = []
    try:
        with tqdm(total=len(rows), unit="text", disable=not sys.stderr.isatty(), file=sys.stderr) as bar:
            for start in range(0, len(rows), BATCH):
                texts = [Text(id=row.id, text=row.text) for row in rows[start : start + BATCH]]
                answers += await engines.classify(engine, texts)
                bar.update(len(texts))
    finally:
        await engine.aclose()
    return answers


def _table(made: Sequence[Report], model: str) -> Iterator[str]:
    yield f"model {model}"
    yield (
        f"{'head':<10} {'rows':>6} {'accuracy':>9} {'macro F1':>9} "
        f"{'macro recall':>13} {'ECE':>6} {'wrong, surest half':>19}"
    )
    for report in made:
        half = dict(report.risk_coverage)[0.5]
        yield (
            f"{report.head:<10} {report.rows:>6} {report.accuracy:>9.3f} {report.macro_f1:>9.3f} "
            f"{report.macro_recall:>13.3f} {report.ece:>6.3f} {half:>19.3f}"
        )
    for report in made:
        yield ""
        yield f"{report.head:<20} {'precision':>9} {'recall':>7} {'F1':>6} {'rows':>6}"
        for own in report.labels:
            yield f"{own.label:<20} {own.precision:>9.2f} {own.recall:>7.2f} {own.f1:>6.2f} {own.support:>6}"


def _save(folder: Path, made: Sequence[Report], model: str) -> None:
    document = {"model": model, "reports": [report.as_json() for report in made]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / ".report.json.part"
        part.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        part.replace(folder / "report.json")
    except OSError as error:
        raise click.UsageError(f"--output {folder} cannot be written: {error.strerror}") from error
