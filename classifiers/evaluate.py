"""How good the labels are: measures of one head on texts whose right label is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from classifiers.labelled import JUDGED, Labelled
from classifiers.triage import HEADS, Label, Triage

BINS = 10
COVERAGES = (1.0, 0.9, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
SHOWN_COVERAGES = (1.0, 0.9, 0.75, 0.5)

URGENT = "high"
WORTHWHILE = 0.5
"""Of the posts called urgent, at least so many must be: more false alarms and people stop looking."""

GROUPS = 12
"""Languages or kinds that stand alone in a report; the rarer ones are taken together."""
OTHERS = "(others)"

SUMMARY = ("rows", "accuracy", "macro_f1", "macro_recall", "ece", "recall_of_high", "risk_coverage")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class LabelReport:
    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers with a confidence from low up to high. confidence: their mean; accuracy: share of them right."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Report:
    """One head on one file.

    ece: expected calibration error in ten bins (Guo et al. 2017). bins: those that hold a row. macro: over the labels
    that stand in the file. risk_coverage: share of the surest answers -> share of them that are wrong. confusion: rows
    gold, columns answer, both in the order of names. recall_of_high: of urgency, the largest share of urgent posts that
    any threshold on the score of "high" finds while at least half of what it finds is urgent; None where it cannot be
    told.
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
    bins: tuple[Bin, ...]
    recall_of_high: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measured:
    """One head on one file, whole and in parts. by_language, by_kind: name -> the report on its rows, most rows first.

    A file whose rows name no kind has none.
    """

    whole: Report
    by_language: Mapping[str, Report]
    by_kind: Mapping[str, Report]

    def as_json(self) -> dict[str, Any]:
        """Return the whole report; of the parts only the figures in SUMMARY."""
        return self.whole.as_json() | {"by_language": _short(self.by_language), "by_kind": _short(self.by_kind)}


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
        bins=reliability(right, sure),
        recall_of_high=_recall_of_high(gold, answers) if head == "urgency" else None,
    )


def _confusion(gold: Sequence[str], given: Sequence[str], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    counts = Counter(zip(gold, given, strict=True))
    return tuple(tuple(counts[right, answer] for answer in names) for right in names)


def reliability(right: Array, sure: Array) -> tuple[Bin, ...]:
    """Return the bins of confidence that hold a row, lowest first. right: bool; sure: 0 to 1; same length and order."""
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            place / BINS,
            (place + 1) / BINS,
            int((places == place).sum()),
            float(sure[places == place].mean()),
            float(right[places == place].mean()),
        )
        for place in sorted(set(places.tolist()))
    )


def calibration_error(right: Array, sure: Array) -> float:
    """Return the mean gap between confidence and share of right answers, weighted by the size of each bin."""
    return sum(abs(each.accuracy - each.confidence) * each.rows for each in reliability(right, sure)) / len(right)


def risk_coverage(right: Array, sure: Array) -> tuple[tuple[float, float], ...]:
    """Return (coverage, share wrong) when only the surest answers are taken (El-Yaniv and Wiener 2010)."""
    ranked = right[np.argsort(-sure, kind="stable")]
    counts = [(coverage, max(1, round(coverage * len(ranked)))) for coverage in COVERAGES]
    return tuple((coverage, float(1.0 - ranked[:count].mean())) for coverage, count in counts)


def recall_at_precision(wanted: Array, score: Array, precision: float) -> float:
    """Return the largest share of *wanted* that a threshold finds with at least *precision*; 0 where none does.

    wanted: bool, at least one true; score: higher is likelier; same length and order. Rows of one score stand or fall
    together.
    """
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(wanted[order])
    ends = np.append(ranked[1:] != ranked[:-1], True)
    taken = np.arange(1, len(ranked) + 1)
    good = ends & (hits >= precision * taken)
    return float(hits[good].max() / hits[-1]) if good.any() else 0.0


def _recall_of_high(gold: Sequence[str], answers: Sequence[Label]) -> float | None:
    wanted = np.array([label == URGENT for label in gold])
    if not wanted.any() or any(URGENT not in answer.scores for answer in answers):
        return None
    return recall_at_precision(wanted, np.array([answer.scores[URGENT] for answer in answers]), WORTHWHILE)


def reports(rows: Sequence[Labelled], triages: Sequence[Triage]) -> list[Measured]:
    """Measure each head that has a right label; *triages* in the order of *rows*.

    The language of a row that names none is the one that was detected.
    """
    judged = [*zip(rows, triages, strict=True)]
    made = []
    for head in JUDGED:
        pairs = [(row, triage) for row, triage in judged if head in row.gold]
        if pairs:
            languages = _parts(head, pairs, lambda row, triage: row.language or triage.language.label)
            made.append(Measured(_report(head, pairs), languages, _parts(head, pairs, lambda row, _: row.kind)))
    return made


def _report(head: str, pairs: Sequence[tuple[Labelled, Triage]]) -> Report:
    return measure(head, [row.gold[head] for row, _ in pairs], [getattr(triage, head) for _, triage in pairs])


def _parts(
    head: str, pairs: Sequence[tuple[Labelled, Triage]], name: Callable[[Labelled, Triage], str | None]
) -> dict[str, Report]:
    parts: dict[str, list[tuple[Labelled, Triage]]] = {}
    for pair in pairs:
        if (part := name(*pair)) is not None:
            parts.setdefault(part, []).append(pair)
    ranked = sorted(parts.items(), key=lambda part: (-len(part[1]), part[0]))
    own, rare = (ranked, []) if len(ranked) <= GROUPS else (ranked[: GROUPS - 1], ranked[GROUPS - 1 :])
    made = {part: _report(head, pairs) for part, pairs in own}
    if rare:
        made[OTHERS] = _report(head, [pair for _, pairs in rare for pair in pairs])
    return made


def _short(parts: Mapping[str, Report]) -> dict[str, dict[str, Any]]:
    return {name: {figure: getattr(report, figure) for figure in SUMMARY} for name, report in parts.items()}
