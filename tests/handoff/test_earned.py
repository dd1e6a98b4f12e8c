"""What people's verdicts earn: Wilson's bound against figures worked out elsewhere, and how much is still missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.automation import overview
from handoff.earned import Record, missing, upper_bound
from handoff.policy import Mode
from tests.handoff.factories import make_policy


@pytest.mark.parametrize(
    ("wrong", "observed", "bound"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3: 81/263, 15/148, 0/20, 1/29.
        (81, 263, 0.3662),
        (15, 148, 0.1605),
        (0, 20, 0.1611),
        (1, 29, 0.1718),
        (0, 0, 1.0),
        (5, 5, 1.0),
    ],
)
def test_the_bound_is_wilsons(wrong: int, observed: int, bound: float) -> None:
    assert upper_bound(wrong, observed) == pytest.approx(bound, abs=5e-5)


@given(st.integers(0, 60), st.integers(0, 400), st.floats(0.005, 0.5), st.integers(1, 200))
def test_what_is_missing_is_just_enough(wrong: int, right: int, limit: float, least: int) -> None:
    record = Record(observed=wrong + right, wrong=wrong)
    more = missing(record, limit=limit, least=least)
    observed = record.observed + more
    assert observed >= least
    assert upper_bound(wrong, observed) < limit
    if more and observed > least:
        assert upper_bound(wrong, observed - 1) >= limit


def test_an_intent_earns_its_way_and_loses_it_again() -> None:
    assert missing(Record(), limit=0.05, least=50) == 73
    assert missing(Record(observed=73), limit=0.05, least=50) == 0
    assert missing(Record(observed=75, wrong=2), limit=0.05, least=50) > 0


def test_the_overview_says_what_is_missing_in_words() -> None:
    policy = make_policy(
        intents={"praise": "auto"}, sources={"y": {"earned": False}, "z": {"mode": "off"}}, mode="draft"
    )
    records = {("praise", "x"): Record(observed=118, wrong=2, pending=1), ("complaint", "x"): Record(observed=90)}
    rows = {(row.intent, row.source): row for row in overview(policy, records, ["x", "y", "z"])}
    assert {pair: (row.mode, row.is_alone) for pair, row in rows.items()} == {
        ("praise", "x"): (Mode.AUTO, False),
        ("complaint", "x"): (Mode.DRAFT, False),
        ("praise", "y"): (Mode.AUTO, True),
    }
    assert rows["praise", "x"].told == (
        "praise on x: 2 of 118 wrong, at most 6.0 %; 5 % are allowed; drafted until 24 more without a fault earn it"
    )
    assert "it has earned to be answered alone" in rows["complaint", "x"].told
    assert rows["praise", "y"].told.endswith("at the brand's own risk")
