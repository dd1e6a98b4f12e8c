"""How well questions find their articles, and how well it is known when none answers: figures for docs/answers.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from handoff.knowledge import confidence
from handoff.knowledge.material import Material, rows
from handoff.knowledge.search import Index, Query

RANK = 10
"""The reciprocal rank counts up to here (MRR at 10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is owed: a share of *measure*, "first" (recall at 1) or "first_five" (recall at 5)."""

    measure: str
    floor: float
    aim: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of the questions of one set: the share whose article is first, among the first five, and the mean of 1 / rank."""

    name: str
    questions: int
    first: float
    first_five: float
    mrr: float
    goal: Goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """Questions put to one index, with and without an answer there. sure: of each first article. right: is it the one.

    known: whether the question has an answer in the index.
    """

    name: str
    sure: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]

    def at(self, bar: float) -> tuple[float, float, float]:
        """Return, of what is said at *bar*, the share that is right; of the unknown, the share said; of the known,
        the share said and right. Both groups weigh the same; nan where nothing is said."""
        said = self.sure >= bar
        weight = np.where(self.known, 1 / max(self.known.sum(), 1), 1 / max((~self.known).sum(), 1))
        given = float(weight[said].sum())
        right = float(weight[said & self.right].sum()) / given if given else float("nan")
        false = float(said[~self.known].mean()) if (~self.known).any() else float("nan")
        covered = float((said & self.right)[self.known].mean()) if self.known.any() else float("nan")
        return right, false, covered

    def curve(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return, over falling bars, the share of the known that is answered, and of errors in what is said."""
        order = np.argsort(-self.sure, kind="stable")
        weight = np.where(self.known, 1 / max(self.known.sum(), 1), 1 / max((~self.known).sum(), 1))[order]
        said = np.cumsum(weight)
        wrong = np.cumsum(weight * ~self.right[order])
        covered = np.cumsum((self.right & self.known)[order]) / max(self.known.sum(), 1)
        return covered, wrong / said


STACKFAQ = Goal(measure="first", floor=0.965, aim=1.0)
LOGIN = {
    "en": Goal(measure="first_five", floor=0.91, aim=0.96),
    "es": Goal(measure="first_five", floor=0.68, aim=0.73),
    "fr": Goal(measure="first_five", floor=0.82, aim=0.87),
    "zh": Goal(measure="first_five", floor=0.85, aim=0.90),
}
ABROAD = Goal(measure="first_five", floor=0.75, aim=0.80)


def found(material: Material) -> Iterator[Found]:
    """Yield the retrieval figures of every set of questions. Raises OSError on a missing set."""
    yield _found("stackfaq", material.stackfaq(), *material.stackfaq_queries("validation"), STACKFAQ)
    english = material.login("en")
    for language, goal in LOGIN.items():
        index = english if language == "en" else material.login(language)
        yield _found(f"login.gov {language}", index, *material.login_queries(language), goal)
    for language in ("es", "fr", "zh"):
        yield _found(f"login.gov {language}, articles in en", english, *material.login_queries(language), ABROAD)


def _found(name: str, index: Index, queries: Sequence[Query], slugs: Sequence[str], goal: Goal) -> Found:
    ranks = np.array([index.ranking(query).index(slug) for query, slug in zip(queries, slugs, strict=True)])
    return Found(
        name=name,
        questions=len(ranks),
        first=float((ranks == 0).mean()),
        first_five=float((ranks < 5).mean()),
        mrr=float(np.where(ranks < RANK, 1 / (ranks + 1), 0.0).mean()),
        goal=goal,
    )


def doubted(material: Material) -> Iterator[Doubted]:
    """Yield how sure each knowledge base is of its own questions and of those that it cannot answer."""
    outside = [row["text"] for row in rows(material.data, "clinc150/validation") if row["label"] == "oos"]
    stack, faq = material.stackfaq_queries("validation")
    strangers = material.queries(outside, "en", by_meaning=True)
    for language in LOGIN:
        asked, slugs = material.login_queries(language)
        index = material.login(language)
        yield _doubted(f"login.gov {language}", index, asked, slugs, [*strangers, *stack])
        if language == "en":
            yield _doubted("stackfaq", material.stackfaq(), stack, faq, [*strangers, *asked])


def _doubted(
    name: str, index: Index, asked: Sequence[Query], slugs: Sequence[str], strangers: Sequence[Query]
) -> Doubted:
    chances = confidence.probabilities(index.features([*asked, *strangers]))
    column = {slug: number for number, slug in enumerate(index.slugs)}
    right = np.array([*(column[slug] for slug in slugs), *[-1] * len(strangers)])
    return Doubted(name=name, sure=chances.max(axis=1), right=chances.argmax(axis=1) == right, known=right >= 0)
