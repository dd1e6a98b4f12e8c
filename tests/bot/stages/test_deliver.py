"""A reply is said at most once; an unknown outcome is looked up; what cannot be known goes to a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.store import drafts, jobs, people, posts, replies
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import Outcome, ReplyState, Stage
from connectors.errors import AmbiguousWrite, AuthFailed, RateLimited, Rejected, Unavailable
from connectors.post import Refusal
from connectors.protocol import Page, SendClass
from handoff.policy import PolicySettings
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import NOON, make_post
from tests.bot.speaker import Speaker


async def test_a_sure_answer_is_said_once_and_the_post_is_answered(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    assert bench.outcomes() == [Outcome.OPEN], "answered only once the network has it"
    await bench.deliver()
    assert await bench.deliver() == 0
    assert [reply.state for reply in bench.replies()] == [ReplyState.SENT]
    assert len(bench.speaker.ledger) == 1
    assert bench.outcomes() == [Outcome.ANSWERED]


async def test_a_source_says_its_own_signature(store: Store) -> None:
    bench = Bench(store, policy={"signature": "^bot", "sources": {"x": {"signature": "^Lark's bot"}}})
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    assert [reply.text.rpartition(" ^")[2] for reply in bench.speaker.ledger] == ["Lark's bot"]


@pytest.mark.parametrize("taken", [True, False])
async def test_an_ambiguous_send_is_looked_up_before_anything_is_said_again(store: Store, *, taken: bool) -> None:
    error = AmbiguousWrite("no answer")
    bench = Bench(store, Speaker(after=[error]) if taken else Speaker(before=[error]))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.UNKNOWN]
    for _ in range(12):
        bench.wait(seconds=20)
        await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.SENT]
    assert len(bench.speaker.ledger) == 1


async def test_nothing_is_said_again_while_reads_may_lag(store: Store) -> None:
    bench = Bench(store, Speaker(after=[AmbiguousWrite("cut")], finds=False))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    for _ in range(5):
        bench.wait(seconds=20)
        await bench.deliver()
    assert len(bench.speaker.ledger) == 1, "less than settle_after has passed"
    bench.speaker.finds = True
    bench.wait(seconds=20)
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.SENT]
    assert len(bench.speaker.ledger) == 1


async def test_a_second_unknown_goes_to_a_person_with_a_case(store: Store) -> None:
    cut = AmbiguousWrite("cut")
    bench = Bench(store, Speaker(before=[cut, cut]))
    bench.hear(make_post(1))
    await bench.decide()
    for _ in range(40):
        await bench.deliver()
        bench.wait(seconds=20)
    (reply,) = bench.replies()
    assert (reply.state, reply.attempts) == (ReplyState.PERSON, 2)
    (case,) = bench.cases()
    assert case.context["post"]["text"] == "where is my parcel 1?"
    assert reply.case_id == case.id
    assert bench.outcomes() == [Outcome.ESCALATED]


async def test_a_blind_network_is_never_tried_twice(store: Store) -> None:
    bench = Bench(store, Speaker(send_class=SendClass.BLIND, after=[AmbiguousWrite("cut")]))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.PERSON]
    assert len(bench.speaker.ledger) == 1


async def test_a_keyed_network_is_simply_told_again(store: Store) -> None:
    bench = Bench(store, Speaker(send_class=SendClass.KEYED, after=[AmbiguousWrite("cut")], finds=False))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    bench.wait(seconds=30)
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.SENT]
    assert len(bench.speaker.ledger) == 1


async def test_a_key_that_the_network_has_forgotten_is_not_trusted(store: Store) -> None:
    speaker = Speaker(
        send_class=SendClass.KEYED_FOR_A_TIME,
        keyed_for=timedelta(minutes=30),
        after=[AmbiguousWrite("cut")],
        finds=False,
    )
    bench = Bench(store, speaker)
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    bench.wait(minutes=31)
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.PERSON]
    assert len(speaker.ledger) == 1


async def test_while_the_network_knows_our_key_a_reply_is_tried_more_than_twice(store: Store) -> None:
    speaker = Speaker(
        send_class=SendClass.KEYED_FOR_A_TIME,
        keyed_for=timedelta(minutes=30),
        settle_after=timedelta(minutes=2),
        after=[AmbiguousWrite("cut"), AmbiguousWrite("cut"), AmbiguousWrite("cut")],
        finds=False,
    )
    bench = Bench(store, speaker)
    bench.hear(make_post(1))
    await bench.decide()
    for _ in range(16):
        await bench.deliver()
        bench.wait(minutes=1)
    assert [(reply.state, reply.attempts) for reply in bench.replies()] == [(ReplyState.SENT, 4)]
    assert len(speaker.ledger) == 1


@pytest.mark.parametrize(
    "error",
    [RateLimited("slow", until=None), Unavailable("refused"), AuthFailed("token")],
    ids=lambda e: type(e).__name__,
)
async def test_what_was_surely_not_taken_is_tried_again_later(store: Store, error: Exception) -> None:
    bench = Bench(store, Speaker(before=[error]))  # type: ignore[list-item]
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.INTENDED]
    assert await bench.deliver() == 0, "not before its time"
    bench.wait(minutes=6)
    await bench.deliver()
    assert [(reply.state, reply.attempts) for reply in bench.replies()] == [(ReplyState.SENT, 1)]


async def test_a_rate_limit_is_waited_for_to_the_second(store: Store) -> None:
    bench = Bench(store, Speaker())
    bench.speaker.before = [RateLimited("slow", until=bench.now + timedelta(minutes=10))]
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    bench.wait(minutes=9, seconds=59)
    assert await bench.deliver() == 0
    bench.wait(seconds=1)
    assert await bench.deliver() == 1


async def test_a_refused_reply_goes_to_people(store: Store) -> None:
    bench = Bench(store, Speaker(before=[Rejected("not permitted")]), desks=("zendesk",))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.REFUSED]
    assert [case.reasons for case in bench.cases()] == [["our reply was refused: not permitted"]]


async def test_the_networks_own_rule_is_asked_again_at_the_last_moment(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    bench.speaker.refusal = Refusal(reason="the author did not mention us")
    await bench.deliver()
    assert bench.speaker.ledger == []
    assert [reply.state for reply in bench.replies()] == [ReplyState.REFUSED]


async def test_an_edit_between_decision_and_sending_stops_the_reply(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    bench.hear(replace(make_post(1), text="never mind, it came"))
    await bench.deliver()
    assert bench.speaker.ledger == []
    assert [reply.state for reply in bench.replies()] == [ReplyState.CANCELLED]
    await bench.decide()
    await bench.deliver()
    assert [reply.target.text for reply in bench.speaker.ledger] == ["never mind, it came"]


async def test_a_deletion_between_decision_and_sending_stops_the_reply(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    gone = Page(posts=(), cursor="d", deleted=["1"])
    store.write_now(posts.ingest, gone, source="x", stream="mentions", now=bench.now, cursor="d")
    await bench.deliver()
    assert bench.speaker.ledger == []
    assert [reply.state for reply in bench.replies()] == [ReplyState.CANCELLED]


async def test_a_reply_that_waited_too_long_is_stale(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    bench.wait(hours=7)
    await bench.deliver()
    assert bench.speaker.ledger == []
    assert [reply.reason for reply in bench.replies()] == ["it waited too long and is stale"]


async def test_what_was_being_sent_when_the_daemon_died_is_looked_up(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    begin(store, bench, as_read(store, bench))
    assert store.write_now(replies.settle_start, now=bench.now) == 1
    assert [reply.state for reply in bench.replies()] == [ReplyState.UNKNOWN]
    for _ in range(12):
        bench.wait(seconds=20)
        await bench.deliver()
    assert [reply.state for reply in bench.replies()] == [ReplyState.SENT]
    assert len(bench.speaker.ledger) == 1


@pytest.mark.parametrize("gone", [True, False])
async def test_a_post_seen_long_ago_is_looked_at_again_before_the_reply(store: Store, *, gone: bool) -> None:
    bench = Bench(store, mode="draft")
    post = make_post(1)
    bench.hear(post)
    await bench.decide()
    bench.wait(hours=3)
    bench.speaker.standing = {"1": None if gone else post}
    person = store.write_now(people.add, email="a@b.example", name="A", role=Role.AGENT, now=bench.now)
    reply_id = bench.replies()[0].id or 0
    store.write_now(drafts.approve, reply_id, text=None, revision=None, user_id=person.id, now=bench.now)
    await bench.deliver()
    assert len(bench.speaker.ledger) == (0 if gone else 1)
    assert [reply.state for reply in bench.replies()] == [ReplyState.CANCELLED if gone else ReplyState.SENT]


async def test_a_second_try_that_must_wait_stays_in_doubt(store: Store) -> None:
    """The first try may be public: an edit or the clock must not file it as never said."""
    bench = Bench(store, speaker=Speaker(before=[AmbiguousWrite("?"), RateLimited("slow", until=None)]))
    bench.hear(make_post(1))
    await bench.decide()
    while len(bench.speaker.before) > 0:
        await bench.deliver()
        bench.wait(seconds=20)
    assert [(reply.state, reply.attempts) for reply in bench.replies()] == [("unknown", 1)]
    bench.hear(make_post(1, text="never mind, found it"))
    bench.wait(minutes=2)
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == ["person"]


async def test_a_limit_until_the_year_9999_does_not_bury_a_reply(store: Store) -> None:
    bench = Bench(store, speaker=Speaker(before=[RateLimited("slow", until=NOON.replace(year=9999))]))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    bench.wait(hours=25)
    await bench.deliver()
    assert bench.outcomes() == ["escalated"], "it has become stale, so people have it"


def as_read(store: Store, bench: Bench) -> replies.Errand:
    """The only reply, as a worker reads it now."""
    errand = store.read_now(replies.errand, bench.replies()[0].id or 0)
    if errand is None:
        raise LookupError("nothing is left to do for it")
    return errand


def begin(store: Store, bench: Bench, known: replies.Errand, *, job_id: int = 0) -> object:
    return store.write_now(
        replies.begin,
        known,
        now=bench.now,
        job_id=job_id,
        judge=lambda standing: None,
        aftermath=lambda session, reason: None,
        policy=PolicySettings().policy(),
    )


async def test_a_worker_that_was_overtaken_leaves_the_reply_to_the_other(store: Store) -> None:
    """Its claim lapsed while it waited for a network: it neither says the reply nor ends the other's errand."""
    bench = Bench(store, Speaker(after=[AmbiguousWrite("cut")]))
    bench.hear(make_post(1))
    await bench.decide()
    early = as_read(store, bench)
    (job,) = store.write_now(jobs.claim, Stage.DELIVER, holder="other", now=bench.now, limit=9)
    assert isinstance(begin(store, bench, early), replies.Errand)
    assert begin(store, bench, early, job_id=job.id) is None, "the other is saying it"
    store.write_now(replies.unknown, early.id, "cut", now=bench.now, look_at=bench.now, job_id=job.id)
    assert begin(store, bench, early, job_id=job.id) is None, "what the other left in doubt is looked for first"
    assert store.read_now(jobs.next_due, Stage.DELIVER, now=bench.now) == bench.now, "and its errand is still there"
