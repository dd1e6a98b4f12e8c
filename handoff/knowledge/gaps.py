"""Where knowledge is missing: questions that no article answered, grouped by what they ask."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import regex

from handoff.knowledge import grouping
from handoff.knowledge.article import Article, ArticleState
from handoff.knowledge.search import ROW, Hit, Query
from handoff.likeness import likeness
from handoff.personal import masked
from handoff.words import words

MOST_EXAMPLES = 6
"""Quoted for each group: three good questions help an article more than a long body, twenty are no more read."""

MAX_QUOTE = 200
"""Characters of a quoted question; longer ones tell a story, and stories tell who somebody is."""

SLUG_WORDS = 6

ONLY_PRIVATE = "asked in private messages only"
"""What a group is called whose questions may not be quoted."""

_HIDDEN = regex.compile(r"(?![\u200c\u200d])[\p{Cf}\p{Cc}]")
_TO_US = regex.compile(r"^(?:\[name\][\s,:;-]*)+|(?:\s*\[name\])+$")
_LOCALE = regex.compile(r"[a-z]{2,3}")
_LATIN = regex.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A customer's post that asked and that no article answered.

    language: ISO 639-1 or "und". embedding: as in Triage, made by *model*; empty: words alone. is_private: it is never
    quoted. was_rejected: an article was put before a person, who discarded it.
    """

    post_id: int
    author_id: int
    text: str
    language: str
    channel: str
    at: datetime
    intent: str
    embedding: bytes = b""
    model: str = ""
    is_private: bool = False
    was_rejected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One question as it may be quoted: personal data written over, shortened."""

    post_id: int
    text: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """An article that is in force now and may answer. confidence: probability that it does."""

    slug: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Questions that ask the same, and that no article answered.

    id: of the post that asks it best, whose words are the name. asked: posts; people: authors. rejected: how many got
    an article that a person discarded. intents, languages, channels: how often each, most often first. examples: the
    name's first. answering: an article that may answer by now. draft: name of an article being written that already
    holds one of the examples.
    """

    id: int
    name: str
    asked: int
    people: int
    rejected: int
    intents: Mapping[str, int]
    languages: Mapping[str, int]
    channels: Mapping[str, int]
    first: datetime
    last: datetime
    examples: Sequence[Example]
    answering: Answering | None = None
    draft: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What knowledge is missing. asked: questions since *since* that no article answered; is_cut: there were more, and
    the oldest are left out. alone: of them, those in no group. gaps: the groups, the most asked first."""

    since: datetime
    asked: int
    is_cut: bool
    alone: int
    gaps: Sequence[Gap]


def find(questions: Sequence[Question], *, least: int) -> list[Gap]:
    """Return what was asked at least *least* times, the most asked first; equals by the newest, then by id.

    Questions are grouped by meaning where the same model gave their vectors, the others by their words.
    """
    found = [
        _gap([part[row] for row in rows], vectors[rows])
        for part, vectors, bar in _parts(questions)
        for rows in grouping.groups(vectors, bar=bar)
        if len(rows) >= least
    ]
    return sorted(found, key=lambda gap: (-gap.asked, -gap.last.timestamp(), gap.id))


def missing(questions: Sequence[Question], *, since: datetime, least: int, is_cut: bool) -> Missing:
    """Return what knowledge is missing."""
    found = find(questions, least=least)
    grouped = sum(gap.asked for gap in found)
    return Missing(since=since, asked=len(questions), is_cut=is_cut, alone=len(questions) - grouped, gaps=found)


def centres(gaps: Sequence[Gap], questions: Sequence[Question]) -> list[Question]:
    """Return the question that names each gap."""
    by_id = {each.post_id: each for each in questions}
    return [by_id[gap.id] for gap in gaps]


def answering(gaps: Sequence[Gap], hits: Sequence[Hit | None], *, likely: float) -> dict[int, Answering]:
    """Return what answers each gap by now. hits: for each, the likeliest article. likely: confidence it takes."""
    return {
        gap.id: Answering(slug=hit.entry.article.slug, confidence=round(hit.confidence, 4))
        for gap, hit in zip(gaps, hits, strict=True)
        if hit is not None and hit.confidence >= likely
    }


def query(question: Question) -> Query:
    """Return what to ask an index, to see whether some article answers by now."""
    return Query(text=question.text, language=question.language, embedding=question.embedding, intent=question.intent)


def noted(found: Missing, *, answering: Mapping[int, Answering], writing: Mapping[str, str]) -> Missing:
    """Return *found* with what is done about each gap.

    answering: id of a gap -> what answers by now. writing: question -> name of the article being written that holds it.
    """
    noted = [
        replace(
            gap,
            answering=answering.get(gap.id),
            draft=next((writing[each.text] for each in gap.examples if each.text in writing), None),
        )
        for gap in found.gaps
    ]
    return replace(found, gaps=noted)


def proposed(questions: Sequence[Question], *, taken: Iterable[str], main_locale: str) -> Article:
    """Return the draft of an article that would answer *questions*, the first of which names it; without any wording.

    taken: slugs that are in use. Raises ValueError when none of the questions may be quoted.
    """
    quotable = [each for each in questions if not each.is_private]
    quotes = list(dict.fromkeys(quoted(each.text) for each in quotable))[:MOST_EXAMPLES]
    if not quotes:
        raise ValueError("none of these questions may be quoted: they were asked in private")
    language = next(iter(_often(each.language for each in quotable)))
    intent = next(iter(_often(each.intent for each in quotable)))
    days = sorted(each.at.date().isoformat() for each in questions)
    channels = ", ".join(sorted({each.channel for each in questions}))
    span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return Article(
        slug=_slug(quotes[0], quotable[0].post_id, set(taken)),
        locale=language if _LOCALE.fullmatch(language) and language != "und" else main_locale,
        title=quotes[0],
        # A heading is never said: whoever writes the article still has to say everything that the public reads.
        body=f"# To be written: customers asked this on {channels}, {span}",
        tags=(intent,) if intent else (),
        questions=tuple(quotes),
        state=ArticleState.DRAFT,
    )


def quoted(text: str) -> str:
    """Return a question as it may be shown to people who do not work on its case: masked, one line, MAX_QUOTE long."""
    plain = str(_TO_US.sub("", _HIDDEN.sub("", masked(text)).strip()))
    if len(plain) <= MAX_QUOTE:
        return plain
    head, _, rest = plain[: MAX_QUOTE - 1].rpartition(" ")
    return (head or rest).rstrip(" ,;:-") + "…"


def asks(text: str) -> bool:
    """Tell whether there are words to group by; a picture or a lone mention asks nothing that can be read."""
    return bool(words(text))


def _parts(questions: Sequence[Question]) -> Iterable[tuple[list[Question], grouping.Floats, float]]:
    """Yield questions that can be compared with one another, their vectors and the bar between them."""
    parts: defaultdict[str, list[Question]] = defaultdict(list)
    for each in sorted(questions, key=lambda question: question.post_id):
        # What was taught changes the heads, never the vectors: "+t3" behind the model's name does not part them.
        parts[each.model.partition("+")[0] if len(each.embedding) == ROW else ""].append(each)
    for model, part in sorted(parts.items()):
        if model:
            yield part, grouping.meaning_vectors([each.embedding for each in part]), grouping.SAME_MEANING
        else:
            yield part, grouping.word_vectors([each.text for each in part]), grouping.SAME_WORDS


def _gap(members: Sequence[Question], vectors: grouping.Floats) -> Gap:
    rows = grouping.central(vectors, np.arange(len(members), dtype=np.intp))
    open_rows = [row for row in rows.tolist() if not members[row].is_private and quoted(members[row].text)]
    best = members[open_rows[0] if open_rows else int(rows[0])]
    examples = _examples(members, vectors, open_rows)
    return Gap(
        id=best.post_id,
        name=examples[0].text if examples else ONLY_PRIVATE,
        asked=len(members),
        people=len({each.author_id for each in members}),
        rejected=sum(each.was_rejected for each in members),
        intents=_often(each.intent for each in members),
        languages=_often(each.language for each in members),
        channels=_often(each.channel for each in members),
        first=min(each.at for each in members),
        last=max(each.at for each in members),
        examples=examples,
    )


def _examples(members: Sequence[Question], vectors: grouping.Floats, open_rows: Sequence[int]) -> list[Example]:
    distinct = list({likeness(quoted(members[row].text)): row for row in reversed(open_rows)}.values())[::-1]
    if not distinct:
        return []
    rows = np.array(distinct, dtype=np.intp)
    return [
        Example(post_id=members[row].post_id, text=quoted(members[row].text), language=members[row].language)
        for row in grouping.spread(vectors, rows, most=MOST_EXAMPLES)
    ]


def _often(values: Iterable[str]) -> dict[str, int]:
    """Return how often each of *values* is there, most often first; equals by name."""
    return dict(sorted(Counter(values).items(), key=lambda each: (-each[1], each[0])))


def _slug(title: str, number: int, taken: set[str]) -> str:
    parts = [part for word in words(title) for part in _LATIN.findall(word)]
    stem = "-".join(parts[:SLUG_WORDS]) or f"question-{number}"
    slug, count = stem, 1
    while slug in taken:
        count += 1
        slug = f"{stem}-{count}"
    return slug
