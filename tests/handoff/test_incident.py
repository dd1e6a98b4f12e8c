"""Which topics a post has, whether it belongs, whether it goes its own way, and at what pace replies are set off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.triage import EMBEDDING_DIM
from connectors.post import PostKind
from handoff.incident import Watched, centre, gathers, room, stands_alone, told, topics
from handoff.leaving import Voice, Words, objection
from handoff.traffic import Traffic
from tests.handoff.factories import ANSWER, make_policy, make_situation


def test_a_post_counts_under_its_intent_its_likely_article_and_its_own_labels() -> None:
    found = topics(make_situation(), make_policy(), [("product", "tv")])
    assert found == ["intent:product_question", "article:opening-hours", "label:product:tv"]
    assert topics(make_situation(answers=()), make_policy()) == ["intent:product_question"]


@pytest.mark.parametrize(
    "changes",
    [
        {"post_is_own": True},
        {"post_kind": PostKind.REPOST},
        {"post_author_is_bot": True},
        {"triage": None},
        {"triage_intent": "praise"},
        {"triage_spam": "spam"},
    ],
)
def test_what_makes_no_incident(changes: dict[str, object]) -> None:
    assert topics(make_situation(**changes), make_policy()) == []


@pytest.mark.parametrize(
    ("changes", "is_alone"),
    [
        ({}, False),
        ({"triage_intent": "complaint"}, False),
        ({"triage_urgency": ("high", 0.9)}, True),
        ({"triage_urgency": ("high", 0.4)}, False),
        ({"post_text": "my lawyer will call you"}, True),
        ({"post_is_private": True}, True),
        ({"open_case": "x:1"}, True),
        ({"triage_intent": "security_fraud"}, True),
    ],
)
def test_what_presses_goes_its_own_way(changes: dict[str, object], is_alone: bool) -> None:
    assert (stands_alone(make_situation(**changes), make_policy()) is not None) is is_alone


def rows(count: int, *, around: int, spread: float, seed: int = 0) -> list[bytes]:
    chance = np.random.default_rng(seed)
    found = np.zeros((count, EMBEDDING_DIM))
    found[:, around] = 1.0
    found += chance.normal(0, spread / EMBEDDING_DIM**0.5, found.shape)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return [bytes(row.astype("<f2").tobytes()) for row in found]


def test_who_means_something_else_does_not_belong() -> None:
    burst, usual = rows(40, around=1, spread=0.5), rows(10, around=2, spread=0.5, seed=1)
    middle = centre([*usual, *burst], share=0.8)
    assert middle is not None
    watched = Watched(id=1, topic="intent:a", centre=middle)
    later, other = rows(50, around=1, spread=0.5, seed=2), rows(50, around=2, spread=0.5, seed=3)
    assert sum(gathers(watched, ["intent:a"], each) for each in later) >= 48
    assert not any(gathers(watched, ["intent:a"], each) for each in other)
    assert not gathers(watched, ["intent:b"], later[0])
    assert gathers(watched, ["intent:a"], b""), "where no model says, the topic alone counts"


def test_few_or_meaningless_posts_have_no_middle() -> None:
    assert centre(rows(7, around=1, spread=0.5), share=1.0) is None
    assert centre([b""] * 50, share=1.0) is None
    assert gathers(Watched(id=1, topic="intent:a", centre=None), ["intent:a"], rows(1, around=3, spread=1.0)[0])


@given(pace=st.integers(1, 600), steps=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 700)), max_size=60))
def test_never_more_than_the_pace_leave_in_any_minute(pace: int, steps: list[tuple[int, int]]) -> None:
    """Each step: so many seconds pass, then so many of those on their way leave."""
    now, waiting, left = 0, 0, list[int]()
    for seconds, leave in steps:
        now += seconds
        gone = min(leave, waiting)
        waiting, left = waiting - gone, [*left, *[now] * gone]
        waiting += room(pace, left=sum(at > now - 60 for at in left), waiting=waiting)
    assert all(sum(start <= at < start + 60 for at in left) <= pace for start in set(left))


def test_topics_in_words() -> None:
    assert told("intent:delivery_item") == "delivery item"
    assert told("article:where-is-it") == "the article where-is-it"
    assert told("label:product:flat_tv") == "product: flat tv"


SAID = {"words": ANSWER.wording, "incident": 3}
OBJECTIONS: tuple[tuple[str, dict[str, Any], str | None, bool], ...] = (
    ("everything speaks for it", {}, None, False),
    ("the article goes past what only concerns speaking alone", {"triage_intent": "complaint"}, None, False),
    ("it opted out", {"opted_out_at": make_situation().now}, "opted_out", False),
    ("a person muted it", {"muted": True}, "muted", False),
    ("it was answered", {"already_answered": True}, "answered", False),
    ("its article was withdrawn", {"answers": ()}, "withdrawn", False),
    ("people work on it", {"open_case": "x:0"}, "case_open", False),
    (
        "a burst of the article is what an incident is",
        {"traffic": Traffic(braked=frozenset({"opening-hours"}))},
        None,
        False,
    ),
    ("a cap makes it wait", {"traffic": Traffic(source=120)}, "source_cap", True),
    ("an author's budget ends it", {"auto_replies_24h": 2}, "budget_spent", False),
    ("it is sensitive", {"post_text": "my lawyer will call you"}, "sensitive", False),
    ("it is in another language", {"triage_language": "de"}, "other_language", False),
    ("it was edited", {"written_for": "other"}, "edited", False),
    ("it was deleted", {"is_deleted": True}, "deleted", False),
)


@pytest.mark.parametrize(("because", "changes", "guard", "waits"), OBJECTIONS, ids=[row[0] for row in OBJECTIONS])
def test_what_is_asked_before_an_incidents_answer_leaves(
    because: str, changes: dict[str, object], guard: str | None, waits: bool
) -> None:
    found = objection(make_situation(**{**SAID, **changes}), make_policy(), Words(voice=Voice.INCIDENT))
    assert (found.guard if found else None) == guard
    if found is not None:
        assert (found.waits, found.needs_people) == (waits, False)


def test_a_follow_up_goes_to_who_was_answered() -> None:
    situation = make_situation(**SAID, already_answered=True, auto_replies_24h=2)
    assert objection(situation, make_policy(), Words(voice=Voice.FOLLOW_UP)) is None


def test_where_the_mode_is_off_nothing_is_said_and_quiet_hours_make_it_wait() -> None:
    off = objection(make_situation(**SAID), make_policy(mode="off"), Words(voice=Voice.INCIDENT))
    assert off is not None
    assert off.guard == "switched_off"
    quiet = make_policy(quiet_hours={"start": "00:00", "end": "00:00"})
    later = objection(make_situation(**SAID), quiet, Words(voice=Voice.INCIDENT))
    assert later is not None
    assert (later.guard, later.waits) == ("quiet_hours", True)


def test_the_bot_alone_leaves_an_incident_to_people() -> None:
    found = objection(make_situation(**SAID), make_policy(mode="auto"), Words(voice=Voice.BOT))
    assert found is not None
    assert (found.guard, found.needs_people) == ("in_incident", False)
