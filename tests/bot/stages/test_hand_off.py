"""Decisions become replies, drafts and cases, once, with everything known about the customer."""

from __future__ import annotations

from dataclasses import replace

from bot.store import jobs, posts
from bot.store.engine import Store
from bot.store.tables import Outcome, ReplyState, Stage
from connectors.post import PostKind
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import make_post, make_triage


async def test_a_draft_waits_for_a_person_beside_its_case(store: Store) -> None:
    bench = Bench(store, mode="draft")
    bench.hear(make_post(1))
    await bench.decide()
    (reply,) = bench.replies()
    (case,) = bench.cases()
    assert (reply.state, reply.case_id) == (ReplyState.DRAFTED, case.id)
    assert await bench.deliver() == 0
    assert bench.outcomes() == [Outcome.DRAFTED]
    assert case.context["answers"][0]["slug"] == "parcel"


async def test_a_case_knows_the_thread_and_the_earlier_contacts(store: Store) -> None:
    bench = Bench(store, mode="draft")
    root = make_post(1, author="ben", minutes=-60, text="anyone else waiting?")
    ours = make_post(
        2, author="us", minutes=-50, is_own=True, parent_id="1", root_id="1", text="we are looking into it"
    )
    earlier = make_post(3, minutes=-600, text="first time I ask")
    bench.hear(root, ours, earlier)
    await bench.decide()
    bench.hear(make_post(4, parent_id="2", root_id="1", kind=PostKind.REPLY, text="second time I ask"))
    await bench.decide()
    case = bench.cases()[-1]
    assert [each["text"] for each in case.context["thread"]] == ["anyone else waiting?", "we are looking into it"]
    assert [each["text"] for each in case.context["history"]] == ["first time I ask"]


async def test_a_thread_that_the_store_does_not_hold_is_fetched(store: Store) -> None:
    bench = Bench(store, mode="draft")
    bench.speaker.threads["4"] = [make_post(9, author="ben", text="the root")]
    bench.hear(make_post(4, parent_id="9", root_id="9"))
    await bench.decide()
    assert [each["text"] for each in bench.cases()[0].context["thread"]] == ["the root"]


async def test_a_further_post_of_the_same_conversation_joins_the_open_case(store: Store) -> None:
    bench = Bench(store, mode="draft", confidence=0.0)
    bench.hear(make_post(1))
    await bench.decide()
    bench.hear(make_post(2, parent_id="1", root_id="1", minutes=1), triage=make_triage(urgency="high"))
    await bench.decide()
    (case,) = bench.cases()
    assert case.priority == 1, "a case may become more urgent"
    assert bench.outcomes() == [Outcome.ESCALATED, Outcome.ESCALATED]


async def test_an_unjudged_post_goes_to_people_as_untriaged(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1), judged=False)
    await bench.decide()
    assert bench.speaker.ledger == []
    assert "untriaged" in bench.cases()[0].reasons[0]


async def test_deciding_twice_is_deciding_once(store: Store) -> None:
    bench = Bench(store, mode="draft")
    bench.hear(make_post(1))
    taken = store.write_now(jobs.claim, Stage.HAND_OFF, holder="a", now=bench.now, limit=9)
    await bench.hand_off.run(taken)
    await bench.hand_off.run(taken)
    assert (len(bench.cases()), len(bench.replies())) == (1, 1)


async def test_an_edit_replaces_the_draft_and_keeps_the_case(store: Store) -> None:
    bench = Bench(store, mode="draft")
    bench.hear(make_post(1))
    await bench.decide()
    bench.hear(replace(make_post(1), text="where is my other parcel?"))
    await bench.decide()
    assert [reply.state for reply in bench.replies()] == [ReplyState.CANCELLED, ReplyState.DRAFTED]
    (case,) = bench.cases()
    assert case.context["post"]["text"] == "where is my other parcel?"


async def test_a_deletion_takes_the_text_out_of_the_case_too(store: Store) -> None:
    from connectors.protocol import Page

    bench = Bench(store, mode="draft")
    bench.hear(make_post(1, text="my secret number is 4711"))
    await bench.decide()
    gone = Page(posts=(), cursor="d", deleted=["1"])
    store.write_now(posts.ingest, gone, source="x", stream="mentions", now=bench.now, cursor="d")
    (case,) = bench.cases()
    assert "4711" not in f"{case.title}{case.context}"


async def test_an_outside_desk_is_wanted_for_an_escalation_only(store: Store) -> None:
    bench = Bench(store, confidence=0.0, desks=("zendesk",))
    bench.hear(make_post(1))
    await bench.decide()
    taken = store.write_now(jobs.claim, Stage.OPEN_TICKET, holder="a", now=bench.now, limit=9)
    assert [job.key for job in taken] == [f"{bench.cases()[0].id}.zendesk"]
