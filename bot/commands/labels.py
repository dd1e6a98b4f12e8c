"""``harken labels``: labels of your own, how well they are told apart, and posts labelled again."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from bot.commands import engine as engines
from bot.commands.options import with_settings
from bot.settings import ConfigError, Settings

if TYPE_CHECKING:
    from bot.store.own_labels import LabelSet
    from classifiers.own import OwnLabels, Report
    from classifiers.registry import ClassifierEmbedder

BATCH = 256


@click.group()
def labels() -> None:
    """Look after labels of your own, learnt from a handful of examples each."""


@labels.command()
@with_settings
def show(settings: Settings) -> None:
    """Print the sets in the store, with what is said of them on the page."""
    from bot.app import ready_store
    from bot.store import own_labels

    with ready_store(settings) as store:
        found = store.read_now(own_labels.everything)
    for each in found:
        for line in _set_lines(each):
            click.echo(line)
    if not found:
        click.echo("There is no set of labels yet: add one in config.toml, on the page Labels or by the API.")


@labels.command()
@with_settings
def check(settings: Settings) -> None:
    """Learn the sets of the configuration and print how well they are told apart; exits with 2 when one is invalid."""
    from bot.app import check_labels
    from classifiers import own

    check_labels(settings)
    if not settings.labels:
        click.echo("The configuration has no set of labels; see docs/labels.md.")
        return
    texts = [text for found in settings.labels.values() for examples in found.values() for text in examples]
    embeddings = asyncio.run(_embed(settings, texts))
    for name, found in settings.labels.items():
        # The same words twice are one example, as they are in the store.
        same = {label: {own.sameness(text): text for text in examples} for label, examples in found.items()}
        learnt = own.learn({label: [embeddings[text] for text in each.values()] for label, each in same.items()})
        for line in _report_lines(name, learnt.report):
            click.echo(line)


@labels.command()
@click.argument("name")
@click.option(
    "--posts", default=10_000, show_default=True, type=click.IntRange(1, 100_000), help="How many, newest first."
)
@with_settings
def again(settings: Settings, name: str, posts: int) -> None:
    """Label the newest posts with the set NAME again, from their stored embeddings; needs no model."""
    from bot.app import ready_store
    from bot.stages.own_labels import label_again
    from bot.store.refusals import RefusedError

    with ready_store(settings) as store:
        begun = time.perf_counter()
        try:
            done = asyncio.run(label_again(store, name, most=posts))
        except RefusedError as error:
            raise click.UsageError(f"{name}: {error}") from error
    click.echo(f"{name}: {done} posts labelled again in {time.perf_counter() - begun:.1f} s")


@labels.command()
@click.option(
    "--input", "source", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Examples."
)
@click.option(
    "--test", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Texts to judge."
)
@click.option("--examples", default=10, show_default=True, type=click.IntRange(2, 500), help="Drawn for each label.")
@click.option("--seed", default=0, show_default=True, help="Of the draw; another seed, other examples.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1, 100), help="Draws, a seed each.")
@click.option("--engine", "kind", help="Which engine embeds; default: as configured.")
@with_settings
def evaluate(
    settings: Settings, source: Path, test: Path, examples: int, seed: int, rounds: int, kind: str | None
) -> None:
    """Measure few examples a label on JSON Lines rows {"text", "label"}, plain or .gz."""
    drawn = [_draw(_read(source), examples, seed + number) for number in range(rounds)]
    tested = _read(test)
    known = set(drawn[0])
    asked = [(text, label) for text, label in tested if label in known]
    if not asked:
        raise click.UsageError(f"--test {test}: no row has a label that --input {source} knows")
    texts = [text for each in drawn for found in each.values() for text in found] + [text for text, _ in asked]
    embeddings = asyncio.run(_embed(settings, texts, kind))
    click.echo(f"{len(known)} labels, {examples} examples each at most, {len(asked)} texts to judge")
    click.echo(
        f"{'seed':>6} {'accuracy':>9} {'left out':>9} {'none':>6} {'right, if shown':>16} {'ECE':>6} {'learnt in':>10}"
    )
    results = [_measure(each, asked, embeddings) for each in drawn]
    for number, result in enumerate(results):
        click.echo(_row(str(seed + number), result))
    if rounds > 1:
        click.echo(_row("mean", _mean(results)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    accuracy: float
    left_out: float
    none: float
    right_if_shown: float
    ece: float
    seconds: float


def _measure(
    drawn: Mapping[str, Sequence[str]], asked: Sequence[tuple[str, str]], embeddings: Mapping[str, bytes]
) -> _Measured:
    import numpy as np

    from classifiers import own
    from classifiers.evaluate import calibration_error

    begun = time.perf_counter()
    learnt: OwnLabels = own.learn({label: [embeddings[text] for text in texts] for label, texts in drawn.items()})
    seconds = time.perf_counter() - begun
    places, sure = learnt.best(own.unpacked([embeddings[text] for text, _ in asked]))
    right = np.array([learnt.labels[place] == label for place, (_, label) in zip(places, asked, strict=True)])
    is_shown = sure >= own.NONE_BELOW
    return _Measured(
        accuracy=float(right.mean()),
        left_out=learnt.report.accuracy,
        none=float(1.0 - is_shown.mean()),
        right_if_shown=float(right[is_shown].mean()) if is_shown.any() else 0.0,
        ece=calibration_error(right, sure),
        seconds=seconds,
    )


def _mean(results: Sequence[_Measured]) -> _Measured:
    names = _Measured.__slots__
    return _Measured(**{name: sum(getattr(each, name) for each in results) / len(results) for name in names})


def _row(name: str, result: _Measured) -> str:
    return (
        f"{name:>6} {result.accuracy:>9.3f} {result.left_out:>9.3f} {result.none:>6.3f} {result.right_if_shown:>16.3f} "
        f"{result.ece:>6.3f} {result.seconds:>8.2f} s"
    )


def _read(path: Path) -> list[tuple[str, str]]:
    """Return (text, label) of each row. Raises UsageError with the line's number."""
    found = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    found.append(_text_and_label(line, f"{path}: line {number}"))
    except (OSError, EOFError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
    return found


def _text_and_label(line: bytes, where: str) -> tuple[str, str]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{where}: not JSON") from error
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) and row[key] for key in ("text", "label")):
        raise click.UsageError(f'{where}: each row must be an object with "text" and "label", both strings')
    return row["text"], row["label"]


def _draw(rows: Sequence[tuple[str, str]], examples: int, seed: int) -> dict[str, list[str]]:
    """Return label -> *examples* of its texts at most, another draw for another *seed*. Raises UsageError."""
    import numpy as np

    from classifiers import own

    by_label: dict[str, list[str]] = {}
    for text, label in rows:
        by_label.setdefault(label, []).append(text)
    draw = np.random.default_rng(seed)
    kept = {
        label: [texts[place] for place in draw.permutation(len(texts))[:examples]]
        for label, texts in sorted(by_label.items())
        if len(texts) >= own.LEAST_EXAMPLES
    }
    if len(kept) < own.LEAST_LABELS:
        raise click.UsageError("--input: two labels with two rows each are needed")
    return kept


async def _embed(settings: Settings, texts: Sequence[str], kind: str | None = None) -> dict[str, bytes]:
    """Return text -> embedding. Raises ConfigError when the engine makes none or cannot be loaded."""
    from tqdm import tqdm

    from bot.stages.own_labels import NO_EMBEDDINGS
    from classifiers.errors import ClassifierError

    engine: ClassifierEmbedder = engines.make(settings, kind)
    asked = list(dict.fromkeys(texts))
    made: dict[str, bytes] = {}
    try:
        with tqdm(total=len(asked), unit="text", disable=None, leave=False) as bar:
            for start in range(0, len(asked), BATCH):
                part = asked[start : start + BATCH]
                made |= zip(part, await engine.embed(part), strict=True)
                bar.update(len(part))
    except ClassifierError as error:
        raise ConfigError(f"classifier: {error}") from error
    finally:
        await engine.aclose()
    if not all(made.values()):
        raise ConfigError(f"labels: {NO_EMBEDDINGS}")
    return made


def _report_lines(name: str, report: Report) -> Iterator[str]:
    yield f"{name}: {report.accuracy:.0%} of {report.examples} examples recognised when left out"
    for each in report.labels:
        yield f"  {each.label:<30} {each.right} of {each.examples}"
    for warning in report.warnings:
        yield f"  warning: {warning}"


def _set_lines(found: LabelSet) -> Iterator[str]:
    examples = sum(len(label.examples) for label in found.labels)
    if not found.is_learnt:
        yield f"{found.name}: {examples} examples, not learnt yet; the running daemon does it within seconds"
    elif found.accuracy is None:
        yield f"{found.name}: labels nothing: {found.fault}"
    else:
        yield f"{found.name}: {found.accuracy:.0%} of {examples} examples recognised when left out"
    for label in found.labels:
        told = "" if label.recognised is None else f"{label.recognised} of "
        yield f"  {label.label:<30} {told}{len(label.examples)}"
    if found.is_learnt:
        for warning in found.warnings:
            yield f"  warning: {warning}"
