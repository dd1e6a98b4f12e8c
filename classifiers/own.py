"""Labels of a brand's own, learnt in a moment from a few examples each, on the embeddings that triage makes anyway.

One head per set of labels. A text's score for a label is SHARE_OF_NEAREST parts closeness to the label's nearest
example and otherwise closeness to the mean of its examples, both in the metric in which the examples of one label lie
close together (the inverse of their pooled covariance, shrunk by SHRINKAGE). Such a head has an exact leave-one-out in
closed form: its accuracy, its temperature and its warnings come from that, and cost no second training.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from classifiers.triage import EMBEDDING_DIM, HEADS, Label

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

NONE = "none"
"""What is shown when no label of a set is sure enough."""

NONE_BELOW = 0.5
"""A label with less confidence is shown as NONE (docs/labels.md has the figures)."""

EMBEDDING_BYTES = 2 * EMBEDDING_DIM
"""Of one embedding as ``Triage.embedding`` holds it."""

LEAST_LABELS = 2
MOST_LABELS = 200
LEAST_EXAMPLES = 2
MOST_EXAMPLES = 5_000
"""Of a whole set."""

MOST_SETS = 20
LONGEST_TEXT = 4_000
LONGEST_NAME = 60

SHRINKAGE = 0.8
SHARE_OF_NEAREST = 0.3
"""Both chosen on banking77 at 2 to 30 examples a label, on two encoders (docs/labels.md)."""

STRANGE = 3.0
"""Deviations below the usual closeness of examples to each other at which a text is as likely about none of them."""

LEAST_DEVIATION = 0.05
"""Of that closeness: a few examples that are much alike must not make all else strange."""

CONFUSED_SHARE = 0.25
CONFUSED_LEAST = 3
"""A pair is told apart badly when so many of its examples are taken for the other label: this share, this number."""

_ROWS = 512
_TEMPERATURES = (0.5, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """How one label fares. right: of its examples, those recognised when left out."""

    label: str
    examples: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How good a set is by its own examples. accuracy: leave-one-out, 0 to 1. warnings: sentences for its author."""

    accuracy: float
    labels: Sequence[LabelReport]
    warnings: Sequence[str]

    @property
    def examples(self) -> int:
        """How many there are in all."""
        return sum(each.examples for each in self.labels)


class OwnLabels:
    """A set of labels that has been learnt; judging needs nothing but embeddings."""

    def __init__(self, labels: Sequence[str], rows: Vectors, of: Places) -> None:
        """rows: examples x EMBEDDING_DIM, L2-normalised. of: each one's place in *labels*, in ascending order."""
        self.labels = tuple(labels)
        counts = np.bincount(of, minlength=len(self.labels))
        self._first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        self._rows = rows
        self._means = _means(rows, self._first, counts)
        metric, _ = _metric(rows - self._means[of], labels=len(self.labels), left_out=0)
        self._to_rows, self._row_sizes = metric @ rows.T, _sizes(rows, metric)
        self._to_means, self._mean_sizes = metric @ self._means.T, _sizes(self._means, metric)
        left_out, closeness = _leave_one_out(rows, of, self._first, counts)
        self._temperature = _temperature(left_out, of)
        deviation = max(float(closeness.std()), LEAST_DEVIATION)
        self._usual, self._deviation = float(closeness.mean()), deviation
        self.report = _report(self.labels, of, left_out.argmax(axis=1))

    def judge(self, vectors: Vectors) -> Numbers:
        """Return texts x (labels + 1), probabilities, each row with the sum 1; the last column is NONE."""
        unit = normed(vectors)
        near = np.maximum.reduceat(unit @ self._to_rows - self._row_sizes / np.float32(2), self._first, axis=1)
        mean = unit @ self._to_means - self._mean_sizes / np.float32(2)
        shares = softmax(_blend(mean, near) / self._temperature, axis=1)
        # Which label is one question, whether any is another: a text unlike every example is about none of them.
        known = (unit @ self._rows.T).max(axis=1)
        familiar = expit(2.0 * ((known - self._usual) / self._deviation + STRANGE))[:, None]
        return np.hstack((shares * familiar, 1.0 - familiar)).astype(np.float64)

    def best(self, vectors: Vectors) -> tuple[Places, Numbers]:
        """Return for each text the place of its likeliest label in ``labels``, and that label's confidence."""
        scores = self.judge(vectors)[:, :-1]
        places = scores.argmax(axis=1)
        return places, np.take_along_axis(scores, places[:, None], axis=1)[:, 0]

    def predict(self, vectors: Vectors) -> list[Label]:
        """Return the likeliest label of each text, never NONE: ``shown`` says what to call it. scores: with NONE."""
        names = (*self.labels, NONE)
        scores = self.judge(vectors)
        places = scores[:, :-1].argmax(axis=1)
        return [
            Label(
                label=names[place],
                confidence=float(row[place]),
                scores={name: float(score) for name, score in zip(names, row, strict=True)},
            )
            for place, row in zip(places, scores, strict=True)
        ]


def learn(examples: Mapping[str, Sequence[bytes]]) -> OwnLabels:
    """Return the head for *examples*: label -> embeddings as ``Triage.embedding`` holds them.

    A label with fewer than LEAST_EXAMPLES is left out, and the report says so. Raises ValueError with a sentence when
    fewer than LEAST_LABELS remain.
    """
    kept = {label: found for label, found in examples.items() if len(found) >= LEAST_EXAMPLES}
    if len(kept) < LEAST_LABELS:
        raise ValueError(
            f"a set needs {LEAST_LABELS} labels with {LEAST_EXAMPLES} examples each; this one has {len(kept)}"
        )
    of = np.repeat(np.arange(len(kept)), [len(found) for found in kept.values()])
    rows = normed(unpacked([each for found in kept.values() for each in found]))
    own = OwnLabels(list(kept), rows, of)
    left = [label for label in examples if label not in kept]
    if left:
        own.report = Report(
            accuracy=own.report.accuracy,
            labels=own.report.labels,
            warnings=(*(_too_few(label) for label in left), *own.report.warnings),
        )
    return own


def shown(label: str, confidence: float) -> str:
    """Return what to call a likeliest label: NONE when it is not sure enough."""
    return label if confidence >= NONE_BELOW else NONE


def unpacked(embeddings: Sequence[bytes]) -> Vectors:
    """Return embeddings as texts x EMBEDDING_DIM. Raises ValueError on one of another length."""
    if not all(len(each) == EMBEDDING_BYTES for each in embeddings):
        raise ValueError("an embedding is missing or has another length; the engine makes none, or was changed")
    rows = np.frombuffer(b"".join(embeddings), dtype="<f2").reshape(len(embeddings), EMBEDDING_DIM)
    return rows.astype(np.float32)


def normed(vectors: Vectors) -> Vectors:
    """Return *vectors* with length 1."""
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-9))
    return unit


def sameness(text: str) -> str:
    """Return a digest that two texts share when they differ in letter case, blanks or Unicode form only."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()


def faults(name: str, labels: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each thing wrong with the set *name*: label -> texts; none when it can be learnt."""
    found = [*name_faults(name), *(fault for label in labels for fault in label_faults(label))]
    if not LEAST_LABELS <= len(labels) <= MOST_LABELS:
        found.append(f"{name}: has {len(labels)} labels; {LEAST_LABELS} to {MOST_LABELS} are allowed")
    total = sum(len(texts) for texts in labels.values())
    if total > MOST_EXAMPLES:
        found.append(f"{name}: has {total} examples; {MOST_EXAMPLES} are allowed")
    seen: dict[str, str] = {}
    for label, texts in labels.items():
        where = f"{name}.{label}"
        found += [f"{where}: {fault}" for text in texts for fault in text_faults(text)]
        digests = dict.fromkeys(sameness(text) for text in texts if text.strip())
        if len(digests) < LEAST_EXAMPLES:
            found.append(f"{where}: has {len(digests)} examples; give it {LEAST_EXAMPLES} or more that differ")
        for digest in digests:
            if seen.setdefault(digest, label) != label:
                text = next(text for text in texts if sameness(text) == digest)
                found.append(f"{where}: {_short(text)} stands under {seen[digest]!r} too; keep it under one of the two")
    return found


def name_faults(name: str) -> list[str]:
    """Return what is wrong with the name of a set."""
    if name in HEADS or name in ("language", NONE):
        return [f"{name}: every post has a label of this name already; call the set something else"]
    if not (name.isascii() and name.replace("_", "a").isalnum() and name[:1].isalpha() and name == name.lower()):
        return [f"{name or 'a set without a name'}: a set's name is of small letters a-z, digits and _"]
    return [f"{name}: a set's name has {LONGEST_NAME} letters at most"] if len(name) > LONGEST_NAME else []


def label_faults(label: str) -> list[str]:
    """Return what is wrong with the name of a label."""
    if not label.strip() or label != label.strip() or not label.isprintable():
        return [f"{label!r}: a label's name is printable and has no blanks around it"]
    if label.casefold() == NONE:
        return [f"{label}: this is what a post without any of the labels gets; call the label something else"]
    return [f"{_short(label)}: a label's name has {LONGEST_NAME} letters at most"] if len(label) > LONGEST_NAME else []


def text_faults(text: str) -> list[str]:
    """Return what is wrong with the text of an example."""
    if not text.strip():
        return ["an example is empty; write what a customer would"]
    if "\x00" in text:
        return [f"{_short(text)} holds a NUL character"]
    return [f"{_short(text)} is longer than {LONGEST_TEXT} characters"] if len(text) > LONGEST_TEXT else []


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _too_few(label: str) -> str:
    return f"'{label}' is left out until it has {LEAST_EXAMPLES} examples"


def _means(rows: Vectors, first: Places, counts: Places) -> Vectors:
    means: Vectors = (np.add.reduceat(rows, first, axis=0) / counts[:, None]).astype(np.float32)
    return means


def _metric(strays: Vectors, *, labels: int, left_out: int) -> tuple[Vectors, float]:
    """Return the inverse of the shrunk covariance of *strays*, and the weight that their outer products have in it.

    strays: examples less their label's mean. left_out: examples that the covariance's denominator is to be short of.
    """
    free = len(strays) - labels
    scatter = strays.T.astype(np.float64) @ strays
    width = scatter.shape[0]
    ridge = max(SHRINKAGE * float(np.trace(scatter)) / free / width, 1e-9)
    weight = (1.0 - SHRINKAGE) / (free - left_out)
    inverse: Vectors = np.linalg.inv(weight * scatter + ridge * np.eye(width)).astype(np.float32)
    return inverse, weight


def _sizes(rows: Vectors, metric: Vectors) -> Vectors:
    sizes: Vectors = ((rows @ metric) * rows).sum(axis=1)
    return sizes


def _blend(mean: Vectors, near: Vectors) -> Vectors:
    blended: Vectors = (1.0 - SHARE_OF_NEAREST) * mean + SHARE_OF_NEAREST * near
    return blended


def _leave_one_out(rows: Vectors, of: Places, first: Places, counts: Places) -> tuple[Vectors, Vectors]:
    """Return examples x labels, each example's scores from a head that never saw it; and its closeness to the others.

    Without example i the covariance loses a multiple of its stray's outer product, so the metric gains one
    (Sherman-Morrison): every distance d'Md becomes d'Md + gain (d'Ms)^2, s the stray. Only the ridge stays as it was.
    """
    means = _means(rows, first, counts)
    strays = rows - means[of]
    metric, weight = _metric(strays, labels=len(counts), left_out=1)
    grown = (counts / (counts - 1))[of].astype(np.float32)
    own, stray_sizes = _sizes(rows, metric), _sizes(strays, metric)
    mean_sizes = _sizes(means, metric)
    loss = weight * grown
    gain = loss / (1.0 - loss * stray_sizes)
    scores = np.empty((len(rows), len(counts)), dtype=np.float32)
    closeness = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        here, places = np.arange(len(rows[part])), of[part]
        to_row, from_stray = rows[part] @ metric, strays[part] @ metric
        stray_to_self = (from_stray * rows[part]).sum(axis=1)[:, None]
        to_mean = own[part, None] - 2 * to_row @ means.T + mean_sizes
        along_mean = stray_to_self - from_stray @ means.T
        # Its own label's mean moves away from it.
        to_mean[here, places] = grown[part] ** 2 * stray_sizes[part]
        along_mean[here, places] = grown[part] * stray_sizes[part]
        to_others = own[part, None] - 2 * to_row @ rows.T + own
        to_others += gain[part, None] * (stray_to_self - from_stray @ rows.T) ** 2
        to_others[here, start + here] = np.inf
        mean = -(to_mean + gain[part, None] * along_mean**2) / 2
        scores[part] = _blend(mean, np.maximum.reduceat(-to_others / 2, first, axis=1))
        alike = rows[part] @ rows.T
        alike[here, start + here] = -1.0
        closeness[part] = alike.max(axis=1)
    return scores, closeness


def _temperature(scores: Vectors, of: Places) -> float:
    """Return the divisor under which the left-out examples are likeliest.

    One more example is thought up that is taken for the runner-up: where nothing went wrong, little was tried.
    """
    here = np.arange(len(of))
    wrong = scores.copy()
    wrong[here, of] = -np.inf
    runner_up = wrong.argmax(axis=1)

    def surprise(log_divisor: float) -> float:
        logs = log_softmax(scores / np.exp(log_divisor), axis=1)
        return -float(logs[here, of].sum() + logs[here, runner_up].mean())

    bounds = (float(np.log(_TEMPERATURES[0])), float(np.log(_TEMPERATURES[1])))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 0.01}).x))


def _report(labels: Sequence[str], of: Places, taken_for: Places) -> Report:
    matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(matrix, (of, taken_for), 1)
    counts = matrix.sum(axis=1)
    return Report(
        accuracy=float(np.trace(matrix) / matrix.sum()),
        labels=tuple(
            LabelReport(label=label, examples=int(counts[place]), right=int(matrix[place, place]))
            for place, label in enumerate(labels)
        ),
        warnings=tuple(_confusions(labels, matrix)),
    )


def _confusions(labels: Sequence[str], matrix: Places) -> Iterator[str]:
    """Yield a sentence for each pair that is told apart badly, the worst first."""
    counts = matrix.sum(axis=1)
    pairs = [
        (int(matrix[one, two] + matrix[two, one]), int(counts[one] + counts[two]), one, two)
        for one, two in combinations(range(len(labels)), 2)
        if matrix[one, two] or matrix[two, one]
    ]
    for mixed, both, one, two in sorted(pairs, key=lambda pair: (-pair[0] / pair[1], pair[2:])):
        if mixed >= CONFUSED_LEAST and mixed >= CONFUSED_SHARE * both:
            yield (
                f"'{labels[one]}' and '{labels[two]}' are hard to tell apart: {mixed} of their {both} examples are "
                "taken for the other; make them one label, or give both examples that show the difference"
            )
