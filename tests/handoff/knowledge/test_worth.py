"""Which articles to revise or to retire: nothing that could be chance, everything with its figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handoff.knowledge.article import ArticleState, Audience
from handoff.knowledge.worth import Act, Advice, Counts, Share, Use, advise, changed

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAYS = timedelta(days=90)
LONG_AGO = NOW - timedelta(days=400)
SHOWN = Counts(shown=5)

USE = Use(
    article_id=1,
    name="late-parcel.en",
    title="A parcel is late",
    state=ArticleState.PUBLISHED,
    audience=Audience.PUBLIC,
    owner="Care",
    version=3,
    in_force_since=LONG_AGO,
    within=SHOWN,
    in_force=SHOWN,
)


def told(use: Use) -> Advice:
    return advise(use, now=NOW, within=DAYS)


@pytest.mark.parametrize(
    ("counts", "reasons"),
    [
        (Counts(approved=20), []),
        (Counts(edited=3), ["people changed 3 of 3 drafts: 43.9 % at least"]),
        (Counts(edited=1), []),
        (Counts(approved=1, edited=2), []),
        (
            Counts(approved=6, edited=14, changed=(0.4, 0.6)),
            ["people changed 14 of 20 drafts, by 50 % of the words: 48.1 % at least"],
        ),
        (Counts(approved=16, edited=7), []),
        (Counts(approved=10, rejected=4), []),
        (Counts(approved=10, rejected=10), ["people discarded 10 of 20 drafts: 29.9 % at least"]),
        (Counts(resolved=2, unresolved=3), []),
        (Counts(resolved=5, unresolved=15), ["5 of 20 answers resolved the matter: 46.9 % at most"]),
        (Counts(resolved=0, unresolved=6), ["0 of 6 answers resolved the matter: 39 % at most"]),
        (Counts(resolved=14, unresolved=6), []),
        (Counts(useful=1, useless=2), []),
        (Counts(useless=4), ["4 of 4 ratings say not useful: 51 % at least"]),
        (Counts(pending=50, shown=900), []),
    ],
    ids=str,
)
def test_a_share_counts_when_it_is_surely_beyond_the_bar(counts: Counts, reasons: list[str]) -> None:
    found = told(replace(USE, in_force=replace(counts, shown=60)))
    assert list(found.reasons) == reasons
    assert found.act is (Act.REVISE if reasons else Act.NONE)


def test_what_an_earlier_version_got_is_not_held_against_the_one_in_force() -> None:
    bad = Counts(shown=40, edited=30, rejected=5)
    assert told(replace(USE, within=bad)).act is Act.NONE
    assert told(replace(USE, within=bad, in_force=bad)).act is Act.REVISE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"within": Counts()}, "it was not shown once in 90 days"),
        ({"within": Counts(), "in_force_since": NOW - timedelta(days=89)}, None),
        ({"within": Counts(), "in_force_since": None}, None),
        ({"within": Counts(), "valid_from": NOW - timedelta(days=10)}, None),
        ({"within": Counts(), "audience": Audience.INTERNAL}, None),
        ({"within": Counts(), "state": ArticleState.DRAFT}, None),
        ({"within": Counts(), "state": ArticleState.RETIRED}, None),
        ({"valid_until": NOW}, "it is no longer valid since 2026-03-02"),
        ({"valid_until": NOW + timedelta(seconds=1)}, None),
        ({"valid_until": NOW, "state": ArticleState.RETIRED}, None),
    ],
    ids=str,
)
def test_what_nobody_needs_or_no_longer_holds_is_to_retire(change: dict[str, object], reason: str | None) -> None:
    found = told(replace(USE, **change))  # type: ignore[arg-type]
    assert list(found.reasons) == ([] if reason is None else [reason])
    assert found.act is (Act.NONE if reason is None else Act.RETIRE)


@pytest.mark.parametrize(("day", "is_due"), [(date(2026, 3, 1), True), (date(2026, 3, 2), False)])
def test_what_was_to_be_looked_at_again_is_to_revise(day: date, is_due: bool) -> None:
    found = told(replace(USE, review_by=day))
    assert list(found.reasons) == (["it was to be looked at again until 2026-03-01"] if is_due else [])


def test_all_reasons_are_told_at_once() -> None:
    counts = Counts(shown=60, edited=20, rejected=20, resolved=1, unresolved=19, useless=9)
    assert len(told(replace(USE, in_force=counts, review_by=date(2026, 1, 1))).reasons) == 5


def test_a_share_of_nothing_may_be_anything() -> None:
    nothing, all_of_three = Share(part=0, of=0), Share(part=3, of=3)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    assert all_of_three.low == pytest.approx(0.4385, abs=1e-4)
    assert all_of_three.high == 1.0


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [("a b c d", "a b c d", 0.0), ("a b c d", "x y", 1.0), ("a b c d", "a b c e", 0.25), ("a\nb", "a b", 0.0)],
)
def test_how_much_was_changed_is_told_in_words(before: str, after: str, share: float) -> None:
    assert changed(before, after) == pytest.approx(share)
