"""Every guard alone is enough to keep the bot silent, and the table of decisions knows each."""

from __future__ import annotations

import pytest

from handoff import guards, switches
from handoff.automation import roster
from handoff.decision import AutoReply, decide
from handoff.guards import Guard
from tests.handoff.factories import make_policy, make_situation
from tests.handoff.test_decision import TABLE


def test_the_best_situation_meets_no_objection() -> None:
    assert guards.objections(guards.GUARDS, make_situation(), make_policy(mode="auto")) == []


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.__name__)
def test_each_guard_objects_in_the_table_and_is_heeded(guard: Guard) -> None:
    cases = [(make_situation(**row[1]), make_policy(**row[2])) for row in TABLE]
    heeded = [(situation, policy) for situation, policy in cases if policy.is_on(guard.__name__)]
    objecting = [(situation, policy) for situation, policy in heeded if guard(situation, policy) is not None]
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


def test_every_guard_can_be_switched_or_says_why_not_and_nothing_else_is_named() -> None:
    named = {guard.name for guard in roster(make_policy())}
    assert named == {*switches.SWITCHABLE, *switches.FIXED}
    assert set(switches.SWITCHABLE).isdisjoint(switches.FIXED)


def test_every_guard_explains_itself_in_a_line() -> None:
    assert [guard.name for guard in roster(make_policy()) if not 20 < len(guard.because) < 160] == []


def test_the_roster_shows_what_is_switched_off() -> None:
    policy = make_policy(guards={"quiet_hours": False, "stale": True})
    assert [guard.name for guard in roster(policy) if not guard.is_on] == ["quiet_hours"]


@pytest.mark.parametrize("name", switches.SWITCHABLE)
def test_a_guard_that_is_switched_off_objects_no_more(name: str) -> None:
    (guard,) = [each for each in guards.GUARDS if each.__name__ == name]
    cases = [(make_situation(**row[1]), row[2]) for row in TABLE]
    objecting = [(each, settings) for each, settings in cases if guard(each, make_policy(**settings)) is not None]
    assert objecting
    for situation, settings in objecting:
        off = make_policy(**{**settings, "guards": {name: False}})
        assert guards.objections((guard,), situation, off) == []
