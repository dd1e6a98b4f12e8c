"""The [handoff] table: modes by source and intent, and what a typo says."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from handoff.policy import UNTRIAGED, Mode, PolicySettings
from tests.handoff.factories import make_policy

MODES: list[tuple[dict[str, Any], str, str, Mode, str]] = [
    ({}, "x", "refund_return", Mode.DRAFT, "the default is draft"),
    ({"mode": "off"}, "x", "refund_return", Mode.OFF, "the general mode"),
    ({"intents": {"refund_return": "auto"}}, "x", "refund_return", Mode.AUTO, "the intent, everywhere"),
    ({"intents": {"refund_return": "auto"}}, "x", "complaint", Mode.DRAFT, "another intent"),
    ({"sources": {"x": {"mode": "off"}}}, "x", "complaint", Mode.OFF, "the source"),
    ({"sources": {"x": {"mode": "off"}}}, "y", "complaint", Mode.DRAFT, "another source"),
    (
        {"intents": {"complaint": "auto"}, "sources": {"x": {"mode": "off"}}},
        "x",
        "complaint",
        Mode.OFF,
        "of source and intent the more cautious",
    ),
    (
        {"intents": {"complaint": "off"}, "sources": {"x": {"mode": "auto"}}},
        "x",
        "complaint",
        Mode.OFF,
        "in either order",
    ),
    (
        {"intents": {"complaint": "off"}, "sources": {"x": {"mode": "off", "intents": {"complaint": "auto"}}}},
        "x",
        "complaint",
        Mode.AUTO,
        "both named together is the most specific",
    ),
    ({"mode": "auto"}, "x", UNTRIAGED, Mode.AUTO, "an unjudged post has the general mode"),
]


@pytest.mark.parametrize(("settings", "source", "intent", "mode", "because"), MODES, ids=[row[4] for row in MODES])
def test_the_most_specific_mode_is_taken(
    settings: dict[str, Any], source: str, intent: str, mode: Mode, because: str
) -> None:
    assert make_policy(**settings).mode(source, intent) is mode, because


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"moed": "auto"}, "moed"),
        ({"mode": "automatic"}, "'off', 'draft' or 'auto'"),
        ({"intents": {"refunds": "auto"}}, "'refunds' is no intent; there are: account_access"),
        ({"sources": {"x": {"intents": {"refunds": "auto"}}}}, "'refunds' is no intent"),
        ({"sources": {"x": {"modus": "auto"}}}, "modus"),
        ({"ignore": ["chatter"]}, "'chatter' is no intent"),
        ({"auto_answer_confidence": 90}, "less than or equal to 1"),
        ({"stale_after_hours": 0}, "greater than 0"),
        ({"auto_replies_per_day": -1}, "greater than or equal to 0"),
        ({"queues": {"refunds": "billing"}}, "'refunds' is no intent and no topic"),
        ({"queues": {"complaint": ""}}, "has no name"),
        ({"sensitive_topics": ["politics"]}, "'danger'"),
        ({"sensitive_words": ["*"]}, "would match everything"),
        ({"due_hours": {"p5": 1}}, "p5"),
    ],
)
def test_a_mistake_is_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PolicySettings.model_validate(settings)
    assert said in str(refused.value)


def test_every_default_says_why() -> None:
    for name, field in PolicySettings.model_fields.items():
        if name != "due_hours":
            assert field.description, name
