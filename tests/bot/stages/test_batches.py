"""Posts decided together know of each other: one matter is one case, and a budget holds within a burst."""

from __future__ import annotations

from bot.store.engine import Store
from connectors.errors import Rejected
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import make_post, make_triage
from tests.bot.speaker import Speaker


async def test_a_conversation_that_comes_at_once_is_one_case_with_one_ticket(store: Store) -> None:
    bench = Bench(store, desks=("desk",))
    posts = [make_post(number, root_id="1", minutes=number) for number in range(1, 6)]
    bench.hear(*posts, triage=make_triage(intent="human_agent"))
    await bench.decide()
    assert [case.key for case in bench.cases()] == ["x:1"]
    assert bench.outcomes() == ["escalated"] * 5


async def test_other_people_and_other_conversations_are_other_cases(store: Store) -> None:
    bench = Bench(store)
    posts = [make_post(1, root_id="1"), make_post(2, root_id="1", author="bo"), make_post(3, root_id="3")]
    bench.hear(*posts, triage=make_triage(intent="human_agent"))
    await bench.decide()
    assert [case.key for case in bench.cases()] == ["x:1", "x:2", "x:3"]


async def test_a_burst_is_not_answered_beyond_the_budget(store: Store) -> None:
    """Two bots that answer each other never stop, and one that writes fast is no exception."""
    bench = Bench(store)
    bench.hear(*[make_post(number, root_id="1", minutes=number) for number in range(1, 11)])
    await bench.decide()
    assert [reply.state for reply in bench.replies()].count("intended") == 2


async def test_who_has_a_case_is_not_answered_by_the_bot_in_the_same_breath(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1, root_id="1", text="I want to speak to a lawyer about this"), make_post(2, root_id="1"))
    await bench.decide()
    assert [reply.state for reply in bench.replies() if reply.state == "intended"] == []
    assert [case.key for case in bench.cases()] == ["x:1"]


async def test_a_refused_reply_joins_the_case_of_its_conversation(store: Store) -> None:
    # Else the case alone would stop it.
    policy = {"guards": {"case_open": False}}
    bench = Bench(store, speaker=Speaker(before=[Rejected("no")]), desks=("desk",), policy=policy)
    bench.hear(make_post(1, root_id="1"))
    await bench.decide()
    bench.hear(make_post(2, root_id="1", minutes=1), triage=make_triage(intent="human_agent"))
    await bench.decide()
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == ["refused"]
    assert [case.key for case in bench.cases()] == ["x:2"]
    assert bench.outcomes() == ["escalated", "escalated"]
