"""Every guard alone is enough to keep the bot silent, and the table of decisions knows each."""

from __future__ import annotations

import pytest

from handoff import guards
from handoff.decision import AutoReply, decide
from handoff.guards import Guard
from tests.handoff.factories import make_policy, make_situation
from tests.handoff.test_decision import TABLE


def test_the_best_situation_meets_no_objection() -> None:
    assert guards.objections(guards.GUARDS, make_situation(), make_policy(mode="auto")) == []


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.__name__)
def test_each_guard_objects_in_the_table_and_is_heeded(guard: Guard) -> None:
    cases = [(make_situation(**row[1]), make_policy(**row[2])) for row in TABLE]
    objecting = [(situation, policy) for situation, policy in cases if guard(situation, policy) is not None]
    assert objecting
    for situation, policy in objecting:
        assert not isinstance(decide(situation, policy), AutoReply)


def test_no_reason_carries_text_handle_or_name() -> None:
    situation = make_situation(
        post_text="SECRETTEXT lawyer allergic",
        post_author_handle="SECRETHANDLE",
        post_author_display_name="SECRETNAME",
        triage_toxicity="toxic",
        triage_urgency="high",
    )
    said = " ".join(
        [*guards.objections(guards.GUARDS, situation, make_policy()), *decide(situation, make_policy()).reasons]
    )
    assert "SECRET" not in said


def test_health_and_minors_are_not_told_apart() -> None:
    health = decide(make_situation(post_text="I am diabetic"), make_policy())
    minors = decide(make_situation(post_text="for my son"), make_policy())
    assert health.reasons == minors.reasons
