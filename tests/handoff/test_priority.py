"""Who goes first, whose queue, and by when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from handoff.priority import rank
from handoff.routing import queue_for
from handoff.situation import Contact, ContactKind
from handoff.sla import due_at
from handoff.speech import PrivateText
from tests.handoff.factories import NOW, make_policy, make_situation

BEFORE = [
    Contact(kind=ContactKind.CUSTOMER, at=NOW - timedelta(days=day), text=PrivateText("again")) for day in (6, 3, 1)
]
LONG_AGO = [
    Contact(kind=ContactKind.CUSTOMER, at=NOW - timedelta(days=day), text=PrivateText("once")) for day in (40, 30, 20)
]
OUR_WORDS = [Contact(kind=ContactKind.REPLY, at=NOW - timedelta(days=1), text=PrivateText("we said")) for _ in range(5)]

TABLE: list[tuple[str, dict[str, Any], int]] = [
    ("an ordinary question", {}, 3),
    ("urgent", {"triage_urgency": "high"}, 1),
    ("perhaps urgent", {"triage_urgency": ("high", 0.4)}, 2),
    ("urgent, found by search", {"triage_urgency": "high", "post_addressed": False}, 1),
    ("danger", {"post_text": "I want to die"}, 1),
    ("safety", {"post_text": "the charger caught fire"}, 1),
    ("security", {"triage_intent": "security_fraud"}, 2),
    ("legal", {"post_text": "my lawyer will call"}, 2),
    ("nobody knows", {"triage": None}, 2),
    ("nobody knows, found by search", {"triage": None, "post_addressed": False}, 3),
    ("nothing presses", {"triage_urgency": "low"}, 4),
    ("nothing presses, but unhappy", {"triage_urgency": "low", "triage_sentiment": "negative"}, 3),
    ("found by search", {"post_addressed": False}, 4),
    ("large audience", {"post_author_followers": 10_000}, 2),
    ("small audience", {"post_author_followers": 9_999}, 3),
    ("wrote again and again", {"history": BEFORE}, 2),
    ("wrote long ago", {"history": LONG_AGO}, 3),
    ("was answered often", {"history": OUR_WORDS}, 3),
    ("abuse does not go first", {"triage_toxicity": "toxic"}, 3),
    (
        "reach alone is never now",
        {"post_author_followers": 10**8, "history": BEFORE, "triage_intent": "security_fraud"},
        2,
    ),
]


@pytest.mark.parametrize(("changes", "level"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_priority(changes: dict[str, Any], level: int) -> None:
    ranked = rank(make_situation(**changes), make_policy())
    assert ranked.level == level
    assert ranked.reasons or level == 3


QUEUES = {"refund_return": "billing", "legal": "press-office", "untriaged": "eyes"}


@pytest.mark.parametrize(
    ("changes", "queue"),
    [
        ({}, "support"),
        ({"triage_intent": "refund_return"}, "billing"),
        ({"triage_intent": "refund_return", "post_text": "my lawyer says refund"}, "press-office"),
        ({"triage": None}, "eyes"),
    ],
)
def test_a_subject_goes_before_an_intent_and_an_intent_before_the_rest(changes: dict[str, Any], queue: str) -> None:
    assert queue_for(make_situation(**changes), make_policy(queues=QUEUES)) == queue


def test_the_customers_clock_runs_from_the_post() -> None:
    policy = make_policy()
    asked = NOW - timedelta(hours=1)
    due = [due_at(NOW, priority, policy, asked_at=asked) for priority in (1, 2, 3, 4)]
    assert due == [
        NOW + timedelta(minutes=15),
        asked + timedelta(hours=2),
        asked + timedelta(hours=8),
        asked + timedelta(hours=24),
    ]


def test_what_comes_late_is_not_overdue_at_once() -> None:
    assert due_at(NOW, 3, make_policy(), asked_at=NOW - timedelta(days=4)) == NOW + timedelta(minutes=15)


def test_a_clock_that_runs_ahead_gives_no_more_time() -> None:
    assert due_at(NOW, 2, make_policy(), asked_at=NOW + timedelta(days=1)) == NOW + timedelta(hours=2)


def test_a_short_target_shortens_the_grace() -> None:
    policy = make_policy(due_hours={"p1": 0.1})
    assert due_at(NOW, 1, policy) == NOW + timedelta(minutes=6)
