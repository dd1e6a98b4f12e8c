"""How good the labels are: measures of one head on texts whose right label is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from sklearn.metrics import precision_recall_fscore_support

from classifiers.triage import HEADS, Label, Triage

JUDGED = (*HEADS, "language")
BINS = 10
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)

FIELDS: Mapping[str, tuple[str, ...]] = {head: (head,) for head in HEADS} | {
    "toxicity": ("toxicity", "abusive"),
    "language": ("language", "lang"),
}
"""Where the right label of a head stands in a row; "label" too when only one head is asked for."""


class BadRow(ValueError):
    """A row of a labelled file cannot be used; the message names its line."""


@dataclass(frozen=True, slots=True)
class LabelReport:
    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Report:
    """One head on one file.

    ece: expected calibration error in ten bins (Guo et al. 2017). macro: over the labels that stand in the file.
    risk_coverage: share of the surest answers -> share of them that are wrong. confusion: rows gold, columns answer,
    both in the order of names.
    """

    head: str
    rows: int
    accuracy: float
    macro_f1: float
    macro_recall: float
    ece: float
    labels: tuple[LabelReport, ...]
    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    risk_coverage: tuple[tuple[float, float], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text with the right label of at least one head. gold: head -> label."""

    id: str
    text: str
    gold: Mapping[str, str]


def measure(head: str, gold: Sequence[str], answers: Sequence[Label]) -> Report:
    """Compare *answers* with *gold*: same length, same order, at least one. Raises ValueError."""
    if not gold or len(gold) != len(answers):
        raise ValueError(f"{head}: {len(gold)} right labels and {len(answers)} answers")
    given = [answer.label for answer in answers]
    order = HEADS.get(head, ())
    present = sorted({*gold, *given}, key=lambda name: (order.index(name) if name in order else len(order), name))
    known = sorted(set(gold), key=present.index)
    precision, recall, f1, support = precision_recall_fscore_support(gold, given, labels=known, zero_division=0.0)
    right = np.array([a == b for a, b in zip(gold, given, strict=True)])
    sure = np.array([answer.confidence for answer in answers])
    return Report(
        head=head,
        rows=len(gold),
        accuracy=float(right.mean()),
        macro_f1=float(np.mean(f1)),
        macro_recall=float(np.mean(recall)),
        ece=calibration_error(right, sure),
        labels=tuple(
            LabelReport(name, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, name in enumerate(known)
        ),
        names=tuple(present),
        confusion=_confusion(gold, given, present),
        risk_coverage=risk_coverage(right, sure),
    )


def _confusion(gold: Sequence[str], given: Sequence[str], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    counts = Counter(zip(gold, given, strict=True))
    return tuple(tuple(counts[right, answer] for answer in names) for right in names)


def calibration_error(right: np.ndarray[Any, Any], sure: np.ndarray[Any, Any]) -> float:
    """Return the mean gap between confidence and share of right answers, weighted by the size of each bin."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs(float(right[bins == b].mean() - sure[bins == b].mean())) * int((bins == b).sum()) for b in set(bins)]
    return sum(gaps) / len(right)


def risk_coverage(right: np.ndarray[Any, Any], sure: np.ndarray[Any, Any]) -> tuple[tuple[float, float], ...]:
    """Return (coverage, share wrong) when only the surest answers are taken (El-Yaniv and Wiener 2010)."""
    ranked = right[np.argsort(-sure, kind="stable")]
    counts = [(coverage, max(1, round(coverage * len(ranked)))) for coverage in COVERAGES]
    return tuple((coverage, float(1.0 - ranked[:count].mean())) for coverage, count in counts)


def read_labelled(lines: Iterable[bytes], head: str | None = None) -> Iterator[Labelled]:
    """Yield the rows of a JSON Lines file: id, text and a label for a head. head: only this one. Raises BadRow."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadRow(f"line {number}: not JSON") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise BadRow(f'line {number}: each row must be an object with "text", a string')
        gold = {name: label for name in ([head] if head else JUDGED) if (label := _gold(row, name, head, number))}
        if not gold:
            wanted = " or ".join(repr(name) for name in ([head, "label"] if head else JUDGED))
            raise BadRow(f"line {number}: no right label; it must stand in the field {wanted}")
        yield Labelled(str(row.get("id", number)), row["text"], gold)


def _gold(row: Mapping[str, Any], name: str, head: str | None, number: int) -> str | None:
    fields = (*FIELDS[name], "label") if head else FIELDS[name]
    value = next((row[field] for field in fields if row.get(field) is not None), None)
    if name == "toxicity" and value in (0, 1):
        value = "toxic" if value else "ok"
    if value is None:
        return None
    allowed = HEADS.get(name)
    if not isinstance(value, str) or (allowed is not None and value not in allowed):
        shown = ", ".join(allowed or ("an ISO 639-1 code",))
        raise BadRow(f"line {number}: {name} is {str(value)[:40]!r}; allowed: {shown}")
    return value


def reports(labelled: Sequence[Labelled], triages: Sequence[Triage]) -> list[Report]:
    """Return a Report for each head that has a right label; *triages* in the order of *labelled*."""
    made = []
    for head in JUDGED:
        pairs = [
            (row.gold[head], getattr(triage, head))
            for row, triage in zip(labelled, triages, strict=True)
            if head in row.gold
        ]
        if pairs:
            made.append(measure(head, [gold for gold, _ in pairs], [answer for _, answer in pairs]))
    return made
