"""What was measured, in words: lines for a terminal, and the section of figures of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifiers.evaluate import Measured, Report
    from classifiers.validation import Goal

START, END = "<!-- figures -->", "<!-- /figures -->"
FEWEST = 20
"""Rows of a language or kind from which a document shows it; a few rows more or less change every figure below."""

GOAL = ("what", "set", "validation", "floor", "aim", "reached")
SUMMARY = ("rows", "accuracy", "macro F1", "macro recall", "calibration error")


class NoMarkers(ValueError):
    """A document does not say where its figures stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The sets measured, and how. measured: set -> its heads. sets: set -> what it is. absent: sets not found.

    pictures: head -> (kind of picture, path from the document). limit: rows taken of each set, None for all.
    """

    model: str
    day: date
    machine: str
    command: str
    measured: Mapping[str, Sequence[Measured]]
    sets: Mapping[str, str]
    absent: Sequence[str]
    goals: Sequence[Goal]
    pictured: Mapping[str, str]
    pictures: Mapping[str, Sequence[tuple[str, str]]]
    limit: int | None

    def head(self, name: str, head: str) -> Measured | None:
        """Return what was measured of one head on the set *name*."""
        return next((each for each in self.measured.get(name, ()) if each.whole.head == head), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "date": self.day.isoformat(),
            "machine": self.machine,
            "command": self.command,
            "limit": self.limit,
            "goals": [dict(zip(GOAL, row, strict=True)) for row in goals(self)],
            "sets": {name: [each.as_json() for each in heads] for name, heads in self.measured.items()},
        }


def terminal(made: Sequence[Measured], model: str) -> Iterator[str]:
    """Yield the lines that ``harken evaluate`` prints."""
    from classifiers.evaluate import SHOWN_COVERAGES

    yield f"model {model}"
    yield from _summary("head", {each.whole.head: each.whole for each in made})
    yield ""
    yield "wrong among the surest" + "".join(f"{f'{share:.0%}':>7}" for share in SHOWN_COVERAGES)
    for each in made:
        curve = dict(each.whole.risk_coverage)
        yield f"{each.whole.head:<22}" + "".join(f"{curve[share]:>7.3f}" for share in SHOWN_COVERAGES)
    for each in made:
        yield ""
        yield f"{each.whole.head:<20} {'precision':>9} {'recall':>7} {'F1':>6} {'rows':>6}"
        for own in each.whole.labels:
            yield f"{own.label:<20} {own.precision:>9.2f} {own.recall:>7.2f} {own.f1:>6.2f} {own.support:>6}"
        if each.whole.recall_of_high is not None:
            yield f"recall of high at precision >= 0.5: {each.whole.recall_of_high:.3f}"
        for name, parts in (("language", each.by_language), ("kind", each.by_kind)):
            if parts:
                yield ""
                yield from _summary(f"{each.whole.head}: {name}", parts, width=20)


def _summary(title: str, reports: Mapping[str, Report], width: int = 10) -> Iterator[str]:
    urgent = any(report.recall_of_high is not None for report in reports.values()) and width > 10
    yield (
        f"{title:<{width}} {'rows':>6} {'accuracy':>9} {'macro F1':>9} {'macro recall':>13} {'ECE':>6} "
        f"{'wrong, surest half':>19}" + (f" {'recall of high':>15}" if urgent else "")
    )
    for name, report in reports.items():
        half = dict(report.risk_coverage)[0.5]
        line = (
            f"{name[:width]:<{width}} {report.rows:>6} {report.accuracy:>9.3f} {report.macro_f1:>9.3f} "
            f"{report.macro_recall:>13.3f} {report.ece:>6.3f} {half:>19.3f}"
        )
        yield line + (f" {_figure(report.recall_of_high, '-'):>15}" if urgent else "")


def goals(figures: Figures) -> Iterator[tuple[str, ...]]:
    """Yield for each goal: what, set, figure on validation, floor, aim, what is reached."""
    for goal in figures.goals:
        measured = figures.head(goal.name, goal.head)
        figure = None if measured is None else goal.read(measured)
        sign = "≤ " if goal.falls else ""
        yield (
            goal.what,
            goal.name,
            _figure(figure, "not measured"),
            f"{sign}{goal.floor:.3f}",
            "" if goal.aim is None else f"{sign}{goal.aim:.3f}",
            "" if figure is None else goal.reached(figure),
        )


def replaced(text: str, section: str) -> str:
    """Return *text* with *section* between the two markers, and all else as it was. Raises NoMarkers."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end or START in rest or END in before or END in after:
        raise NoMarkers(f"it needs one line {START} and one line {END} below it; the figures go between")
    return f"{before}{START}\n{section}{END}{after}"


def new_document(section: str) -> str:
    return f"# How good the labels are\n\n## Figures\n\n{START}\n{section}{END}\n"


def section(figures: Figures) -> str:
    """Return all figures in Markdown, without the markers."""
    return "\n".join([*_opening(figures), *_goals(figures), *_sets(figures), *_parts(figures), *_labels(figures), ""])


def _opening(figures: Figures) -> Iterator[str]:
    yield f"* Measured: {figures.day.isoformat()}"
    yield f"* Model: {figures.model}"
    yield f"* Machine: {figures.machine}"
    yield f"* Command: `{figures.command}`"
    yield ""
    if figures.limit is not None:
        yield f"A trial: at most {figures.limit} rows of each set, spread evenly over it."
        yield ""
    if figures.absent:
        yield f"Not in the folder and so not measured: {', '.join(figures.absent)}."
        yield ""


def _goals(figures: Figures) -> Iterator[str]:
    yield "### Floors and aims"
    yield ""
    yield "Owed on held-out posts that no training and no choice has seen; here the figure on validation stands beside."
    yield ""
    yield from _table(GOAL, goals(figures), ["what", "set", "reached"])


def _sets(figures: Figures) -> Iterator[str]:
    from classifiers.evaluate import SHOWN_COVERAGES

    yield "### Sets"
    yield ""
    yield "The last columns: how many are wrong among all answers, and among the surest of them."
    yield ""
    shares = [f"{share:.0%}" for share in SHOWN_COVERAGES]
    rows = (
        (name, each.whole.head, *_cells(each.whole), *_wrong(each.whole, SHOWN_COVERAGES))
        for name, heads in figures.measured.items()
        for each in heads
    )
    yield from _table(("set", "head", *SUMMARY, *shares), rows, ["set", "head"])
    for name, about in figures.sets.items():
        if name in figures.measured:
            yield f"* {name}: {about}"
    yield ""


def _parts(figures: Figures) -> Iterator[str]:
    every = [(name, each) for name, heads in figures.measured.items() for each in heads]
    yield from _part("Languages", "language", [(name, each.whole.head, each.by_language) for name, each in every])
    yield from _part("Kinds of text", "kind", [(name, each.whole.head, each.by_kind) for name, each in every])


def _part(title: str, column: str, every: Sequence[tuple[str, str, Mapping[str, Report]]]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = []
    for name, head, reports in every:
        shown = {part: report for part, report in reports.items() if report.rows >= FEWEST}
        if len(shown) > 1:
            rows += [(name, head, part, *_cells(report), *_wrong(report, (0.5,))) for part, report in shown.items()]
    if not rows:
        return
    yield f"### {title}"
    yield ""
    if column == "language":
        yield "As the set says; where it does not, as detected."
        yield ""
    yield from _table(("set", "head", column, *SUMMARY, "wrong, surest half"), rows, ["set", "head", column])


def _labels(figures: Figures) -> Iterator[str]:
    yield "### Labels"
    yield ""
    for head, name in figures.pictured.items():
        if (measured := figures.head(name, head)) is None:
            continue
        yield f"The {head} of {name}:"
        yield ""
        rows = (
            (own.label, str(own.support), f"{own.precision:.2f}", f"{own.recall:.2f}", f"{own.f1:.2f}")
            for own in measured.whole.labels
        )
        yield from _table(("label", "rows", "precision", "recall", "F1"), rows, ["label"])
        if (urgent := measured.whole.recall_of_high) is not None:
            yield f"Recall of high at a precision of 0.5 or more: {urgent:.3f}."
            yield ""
        for kind, path in figures.pictures.get(head, ()):
            yield f"![{kind.capitalize()} of {head} on {name}]({path})"
            yield ""


def _cells(report: Report) -> tuple[str, ...]:
    measures = (report.accuracy, report.macro_f1, report.macro_recall, report.ece)
    return str(report.rows), *(f"{measure:.3f}" for measure in measures)


def _wrong(report: Report, shares: Sequence[float]) -> list[str]:
    curve = dict(report.risk_coverage)
    return [f"{curve[share]:.3f}" for share in shares]


def _figure(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.3f}"


def _table(names: Sequence[str], rows: Iterable[tuple[str, ...]], words: Sequence[str]) -> list[str]:
    """Return a table and a blank line. words: the columns that hold no figures."""
    rule = ["---" if name in words else "---:" for name in names]
    return [f"| {' | '.join(cells)} |" for cells in (names, rule, *rows)] + [""]
