"""The [handoff] table: modes by source and intent, and what a typo says."""

from __future__ import annotations

from datetime import UTC, datetime
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
        ({"sources": {"x": {"signature": "^" * 61}}}, "at most 60 characters"),
        ({"ignore": ["chatter"]}, "'chatter' is no intent"),
        ({"auto_answer_confidence": 90}, "less than or equal to 1"),
        ({"stale_after_hours": 0}, "greater than 0"),
        ({"auto_replies_per_day": -1}, "greater than or equal to 0"),
        ({"queues": {"refunds": "billing"}}, "'refunds' is no intent and no topic"),
        ({"queues": {"complaint": ""}}, "has no name"),
        ({"sensitive_topics": ["politics"]}, "'danger'"),
        ({"sensitive_words": ["*"]}, "would match everything"),
        ({"due_hours": {"p5": 1}}, "p5"),
        ({"guards": {"opted_out": False}}, "opted_out cannot be switched off: networks and the law give people"),
        ({"guards": {"sensitive": False}}, "take subjects out of handoff.sensitive_topics instead"),
        ({"guards": {"quite_hours": False}}, "'quite_hours' is no guard; those that can be switched are: case_open"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "zone": "Europe/Atlantis"}}, "is no time zone here"),
        ({"quiet_hours": {"start": "22:00+01:00", "end": "07:00"}}, "write the time alone, such as 22:00"),
        ({"quiet_hours": {"start": "22:00"}}, "end"),
        ({"sources": {"x": {"earned": {"refunds": False}}}}, "'refunds' is no intent"),
        ({"private": {"intents": ["refunds"]}}, "'refunds' is no intent"),
        ({"caps": {"per_year": 3}}, "per_year"),
        ({"caps": {"total_per_hour": -1}}, "greater than or equal to 0"),
        ({"error_limit": 0}, "greater than 0"),
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


EARNERS: list[tuple[dict[str, Any], bool, str]] = [
    ({}, True, "everything starts with drafts"),
    ({"earned": False}, False, "nothing, at the brand's own risk"),
    ({"sources": {"x": {"earned": False}}}, False, "nothing on this source"),
    ({"sources": {"y": {"earned": False}}}, True, "another source"),
    ({"sources": {"x": {"earned": {"praise": False}}}}, False, "this intent on this source"),
    ({"sources": {"x": {"earned": {"complaint": False}}}}, True, "another intent"),
    ({"earned": False, "sources": {"x": {"earned": {"praise": True}}}}, True, "the most specific wins"),
]


@pytest.mark.parametrize(("settings", "must", "because"), EARNERS, ids=[row[2] for row in EARNERS])
def test_what_must_earn_to_be_answered_alone(settings: dict[str, Any], must: bool, because: str) -> None:
    assert make_policy(**settings).must_earn("x", "praise") is must, because


def test_a_source_may_sign_in_its_own_way_or_not_at_all() -> None:
    policy = make_policy(
        signature="^bot", sources={"reddit": {"signature": "I am a bot."}, "mastodon": {"signature": ""}}
    )
    assert [policy.signature(source) for source in ("x", "reddit", "mastodon")] == ["^bot", "I am a bot.", ""]


QUIET: list[tuple[str, str, str, str, bool]] = [
    ("22:00", "07:00", "UTC", "2026-03-02T21:59", False),
    ("22:00", "07:00", "UTC", "2026-03-02T22:00", True),
    ("22:00", "07:00", "UTC", "2026-03-02T06:59", True),
    ("22:00", "07:00", "UTC", "2026-03-02T07:00", False),
    ("12:00", "13:30", "UTC", "2026-03-02T13:29", True),
    ("12:00", "13:30", "UTC", "2026-03-02T13:30", False),
    ("00:00", "00:00", "UTC", "2026-03-02T15:00", True),
    # The clocks in Berlin go from UTC+1 to UTC+2 on 29 March 2026.
    ("22:00", "07:00", "Europe/Berlin", "2026-03-28T05:30", True),
    ("22:00", "07:00", "Europe/Berlin", "2026-03-29T05:30", False),
    ("22:00", "07:00", "Asia/Tokyo", "2026-03-02T13:00", True),
]


@pytest.mark.parametrize(("start", "end", "zone", "at", "is_quiet"), QUIET)
def test_quiet_hours_are_those_of_the_place(start: str, end: str, zone: str, at: str, is_quiet: bool) -> None:
    policy = make_policy(quiet_hours={"start": start, "end": end, "zone": zone})
    assert policy.is_quiet("x", datetime.fromisoformat(at).replace(tzinfo=UTC)) is is_quiet
