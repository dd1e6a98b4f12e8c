"""``harken evaluate knowledge``: how well questions find their articles, and how well we know when none answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.commands import engine as engines
from bot.commands import figures, report
from bot.commands.machine import machine
from bot.commands.options import with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from handoff.knowledge.measure import Doubted, Found

SHARED = "HARKEN_SHARED"
COMMAND = f'harken evaluate knowledge --data "${SHARED}/data" --document docs/answers.md --output docs/answers'
BARS = (0.5, 0.7, 0.8, 0.9, 0.95)


@click.command("knowledge")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the sets; default: $HARKEN_SHARED/data.",
)
@click.option(
    "--document",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Markdown file whose figures are replaced; default: stdout.",
)
@click.option("--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for the picture.")
@with_settings
def knowledge(settings: Settings, data: Path | None, document: Path | None, folder: Path | None) -> None:
    """Measure retrieval and doubt on the validation questions of stackfaq, login.gov and clinc150."""
    from bot.app import make_policy

    where = data or _shared()
    bar = make_policy(settings).settings.auto_answer_confidence
    model, found, doubted = _measured(settings, where)
    section = "\n".join([*_lines(model, found, doubted, bar), ""])
    if folder is not None:
        from classifiers import pictures

        folder.mkdir(parents=True, exist_ok=True)
        curves = {each.name: each.curve() for each in doubted}
        report.write(folder / "risk-coverage.png", pictures.risk_coverage(curves, "Errors over coverage"), "--output")
    if document is None:
        click.echo(section, nl=False)
        return
    try:
        whole = figures.replaced(document.read_text(encoding="utf-8"), section)
    except figures.NoMarkers as error:
        raise click.UsageError(f"--document {document}: {error}") from error
    report.write(document, whole.encode(), "--document")
    click.echo(f"{document} holds the figures")


def _shared() -> Path:
    if not (shared := os.environ.get(SHARED)):
        raise click.UsageError(f"name the folder of the sets with --data, or set {SHARED}")
    return Path(shared) / "data"


def _measured(settings: Settings, data: Path) -> tuple[str, list[Found], list[Doubted]]:
    from handoff.knowledge import measure
    from handoff.knowledge.material import Material

    engine = engines.make(settings, None)
    with asyncio.Runner() as runner:

        def embed(texts: Sequence[str]) -> list[bytes]:
            return runner.run(engine.embed(texts))

        try:
            runner.run(engine.warm())
            material = Material(data, embed)
            return engine.name, list(measure.found(material)), list(measure.doubted(material))
        except OSError as error:
            raise click.UsageError(f"--data {data}: {error.filename} cannot be read: {error.strerror}") from error
        finally:
            runner.run(engine.aclose())


def _lines(model: str, found: Sequence[Found], doubted: Sequence[Doubted], bar: float) -> Iterator[str]:
    yield f"* Measured: {datetime.now(UTC).date().isoformat()}"
    yield f"* Model: {model}"
    yield f"* Machine: {machine()}"
    yield f"* Command: `{COMMAND}`"
    yield ""
    yield "| questions | number | first | among five | MRR at 10 | floor | aim | reached |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for each in found:
        figure = getattr(each, each.goal.measure)
        reached = "aim" if figure >= each.goal.aim else "floor" if figure >= each.goal.floor else "neither"
        what = "first" if each.goal.measure == "first" else "among five"
        yield (
            f"| {each.name} | {each.questions} | {each.first:.3f} | {each.first_five:.3f} | {each.mrr:.3f} "
            f"| {what} {each.goal.floor:.3f} | {each.goal.aim:.3f} | {reached} |"
        )
    yield ""
    yield f"What is said alone at each bar; {bar:g} is shipped. Questions with and without an answer weigh the same."
    yield ""
    yield "| knowledge | with / without answer | bar | said is right | said to questions without answer | answered |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for mixed in doubted:
        for at in sorted({*BARS, bar}):
            right, false, covered = mixed.at(at)
            count = f"{int(mixed.known.sum())} / {int((~mixed.known).sum())}"
            yield f"| {mixed.name} | {count} | {at:g} | {right:.3f} | {false:.3f} | {covered:.3f} |"
