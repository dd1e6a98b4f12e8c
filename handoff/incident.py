"""An incident: many customers, one cause. Topics of a post, which posts belong, and at what pace it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from classifiers.triage import EMBEDDING_DIM
from handoff import guards, reading
from handoff.policy import Policy
from handoff.situation import Situation

MINUTE = timedelta(minutes=1)

LEAST_MEANT = 8
"""Posts with a meaning from which on their middle says something."""

OUTSIDE = 0.15
"""Share of a burst's own posts that may lie beyond its reach. By the furthest one alone the reach would grow with the
burst; measured on written posts: docs/incidents.md."""

SLACK = 0.02
"""Cosine below that: where posts lie close together, a few never show the whole spread."""


class Part(StrEnum):
    """What is sent to those in an incident."""

    ANSWER = "incident"  # the one approved answer
    FOLLOW_UP = "follow_up"  # the word afterwards, to those who got the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """Where the posts of an incident lie in meaning. vector: float16, unit length; reach: least cosine to it."""

    vector: bytes
    reach: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An open incident as hand-off sees it. centre: None where no model gave posts a meaning."""

    id: int
    topic: str
    centre: Centre | None = None


def topics(situation: Situation, policy: Policy, own: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the topics under which a post counts: its intent, the article that likely answers it, own labels.

    own: (set, label) of the brand's own labels that are sure enough.
    None for what no incident is made of: our own words, reposts, bots, spam, and what nobody could judge.
    """
    post, triage = situation.post, situation.triage
    if triage is None or post.is_own or guards.repost(situation, policy) or post.author.is_bot:
        return []
    if triage.intent.label in policy.settings.ignore or reading.spam(situation) >= policy.settings.ignore_confidence:
        return []
    found = [f"intent:{triage.intent.label}"]
    answer = reading.best(situation, policy)
    if answer is not None and not guards.unlikely_answer(situation, policy):
        found.append(f"article:{answer.slug}")
    return [*found, *(f"label:{name}:{label}" for name, label in own)]


def told(topic: str) -> str:
    """Return a topic in words: "delivery item", "the article where-is-it", "product: tv"."""
    kind, _, name = topic.partition(":")
    match kind:
        case "article":
            return f"the article {name}"
        case "label":
            return name.replace("_", " ").replace(":", ": ", 1)
        case _:
            return name.replace("_", " ")


def stands_alone(situation: Situation, policy: Policy) -> str | None:
    """Return why a post goes its own way although it belongs to an incident; None when the incident has it."""
    if situation.post.is_private:
        return "it is a private message"
    if reading.is_urgent(situation, policy):
        return "it is urgent"
    if reason := reading.security(situation, policy):
        return reason
    if situation.open_case is not None:
        return guards.case_open(situation, policy)
    return guards.sensitive(situation, policy)


def gathers(watched: Watched, its_topics: Sequence[str], embedding: bytes) -> bool:
    """Tell whether a post belongs to an incident: by its topics, and by its meaning where both have one."""
    if watched.topic not in its_topics:
        return False
    if watched.centre is None or len(embedding) != 2 * EMBEDDING_DIM:
        return True
    return bool(_rows([embedding]) @ _unit(watched.centre.vector) >= watched.centre.reach)


def centre(embeddings: Sequence[bytes], *, share: float) -> Centre | None:
    """Return the middle of a burst in meaning; None when too few posts have one.

    share: how many of the posts are there because of the burst. The others lie anywhere, so the posts furthest from the
    middle are left out, and it is taken again.
    """
    meant = [each for each in embeddings if len(each) == 2 * EMBEDDING_DIM]
    if len(meant) < LEAST_MEANT or 2 * len(meant) < len(embeddings):
        return None
    rows = _rows(meant)
    most = max(LEAST_MEANT // 2, round(len(rows) * min(1.0, max(0.5, share))))
    kept = rows
    for _ in range(3):
        middle = _normal(kept.mean(axis=0))
        near = rows @ middle
        kept = rows[np.argsort(-near, kind="stable")[:most]]
    middle = _normal(kept.mean(axis=0))
    # Each against the middle of the others: a post always lies near a middle that it has helped to make.
    others = kept.sum(axis=0) - kept
    others /= np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-6)
    near = (kept * others).sum(axis=1)
    return Centre(vector=middle.astype("<f2").tobytes(), reach=float(np.quantile(near, OUTSIDE)) - SLACK)


def room(pace: int, *, left: int, waiting: int) -> int:
    """Return how many more replies may be set off now.

    pace: replies a minute. left: those that left within the last minute. waiting: those on their way. All that leave
    in any one minute had left or waited when the last of them was set off, so there are never more than *pace*.
    """
    return max(0, min(pace - left - waiting, -(-pace // 10)))


def _rows(embeddings: Sequence[bytes]) -> npt.NDArray[np.float32]:
    found = np.frombuffer(b"".join(embeddings), dtype="<f2").reshape(-1, EMBEDDING_DIM).astype(np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-6), dtype=np.float32)


def _unit(vector: bytes) -> npt.NDArray[np.float32]:
    return np.asarray(_rows([vector])[0], dtype=np.float32)


def _normal(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), dtype=np.float32)
