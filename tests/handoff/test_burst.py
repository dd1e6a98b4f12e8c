"""A burst is seen within minutes, and a morning, a busy day or chance is none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handoff.burst import Burst, Record, chosen, hour_of, judge, windows
from handoff.policy import IncidentSettings
from tests.handoff.days import DAY, HISTORY, SETTINGS, START, Days, by_day, flat

NOW = START + timedelta(days=HISTORY, hours=14)


def record(*authors: int, usual: int = 0, recent: int = 0, days: int = HISTORY) -> Record:
    """authors: within 5, 15 and 45 minutes. usual: in each hour of the history."""
    this = hour_of(NOW)
    return Record(
        topic="intent:delivery_item",
        windows=dict(zip(windows(SETTINGS), authors, strict=True)),
        hours={this - back: usual for back in range(1, 24 * days)},
        recent=recent,
        since=NOW - timedelta(days=days),
    )


TABLE = (
    ("nothing ever, then twelve people", record(12, 12, 12), True),
    ("eleven are too few", record(11, 11, 11), False),
    ("as usual", record(5, 15, 45, usual=60, recent=180), False),
    ("three times as usual, in 45 minutes", record(15, 45, 135, usual=60, recent=180), True),
    ("just below three times", record(14, 44, 134, usual=60, recent=180), False),
    ("an explosion of the last five minutes", record(60, 62, 80, usual=60, recent=180), True),
    ("usual in the weeks before, though the hours before were silent", record(5, 15, 45, usual=60, recent=0), False),
    ("a day that has been busy for hours", record(15, 45, 135, usual=20, recent=480), False),
    ("six hours of history make one less sure", record(12, 12, 12, usual=2, recent=6, days=1), True),
)


@pytest.mark.parametrize(("because", "seen", "is_burst"), TABLE, ids=[row[0] for row in TABLE])
def test_the_table(because: str, seen: Record, is_burst: bool) -> None:
    assert (judge(seen, now=NOW, settings=SETTINGS) is not None) is is_burst


def test_without_an_hour_of_history_nothing_is_judged() -> None:
    fresh = Record(
        topic="intent:praise", windows=dict.fromkeys(windows(SETTINGS), 500), since=NOW - timedelta(minutes=80)
    )
    assert judge(fresh, now=NOW, settings=SETTINGS) is None


def test_an_alarm_says_what_was_seen_and_what_was_to_be_expected() -> None:
    found = judge(record(15, 45, 135, usual=60, recent=180), now=NOW, settings=SETTINGS)
    assert found == Burst(topic="intent:delivery_item", minutes=45.0, observed=135, expected=45.0)


@pytest.mark.parametrize("shape", [flat, by_day])
@pytest.mark.parametrize("rate", [2, 20, 200])
def test_quiet_days_and_nights_raise_no_alarm(rate: int, shape: object) -> None:
    """Part of what docs/incidents.md measured: 1,680 topic days without one."""
    assert Days.make(rate, 40, seed=rate, shape=by_day if shape is by_day else flat).alarms() == []


@pytest.mark.parametrize(
    ("rate", "times", "most"),
    [(2, 100, 8), (6, 20, 12), (20, 5, 60), (20, 100, 2), (60, 20, 3), (200, 5, 6), (600, 5, 6)],
)
def test_a_burst_is_seen_within_minutes(rate: float, times: float, most: int) -> None:
    at = HISTORY * DAY + 14 * 60
    found = [
        Days.make(rate, 1, seed=seed, shape=flat).with_burst(at, times, rate=rate, seed=seed).delay(at)
        for seed in range(5)
    ]
    assert all(delay is not None and delay <= most for delay in found), found


def bursts(**observed: int) -> list[Burst]:
    return [
        Burst(topic=name.replace("_", ":", 1), minutes=15.0, observed=count, expected=2.0)
        for name, count in observed.items()
    ]


@pytest.mark.parametrize(
    ("found", "topic"),
    [
        (bursts(intent_a=100, article_b=95), "article:b"),  # five are left, which is no burst
        (bursts(intent_a=100, article_b=60), "intent:a"),
        (bursts(intent_a=60, article_b=100), "article:b"),  # it crosses intents
        (bursts(intent_a=100, label_c=95, article_b=95), "article:b"),
        ([], None),
    ],
)
def test_the_topic_that_explains_most_is_chosen_or_a_narrower_one_that_leaves_nothing(
    found: list[Burst], topic: str | None
) -> None:
    picked = chosen(found, IncidentSettings())
    assert (picked.topic if picked else None) == topic
