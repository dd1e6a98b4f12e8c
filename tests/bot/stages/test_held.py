"""While a brake stands nothing leaves and nothing is lost; released, each reply goes its usual way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.store import brakes, drafts, people, sources
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import Outcome, ReplyState
from connectors.errors import AmbiguousWrite
from handoff.brake import EVERYTHING, Scope, Target
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import make_post
from tests.bot.speaker import Speaker

ARTICLE = Target(scope=Scope.ARTICLE, name="parcel")
INTENT = Target(scope=Scope.INTENT, name="delivery_item")
SOURCE = Target(scope=Scope.SOURCE, name="x")
ELSEWHERE = Target(scope=Scope.INTENT, name="praise")


async def pull(bench: Bench, target: Target = EVERYTHING) -> None:
    bench.store.write_now(sources.configure, {"x": ("x", "x")})
    await bench.brakes.pull(target, who="Ana", why="wrong prices", user_id=None)


async def release(bench: Bench, target: Target = EVERYTHING) -> None:
    await bench.brakes.release(target, who="Lea", why="mended", user_id=None)


def states(bench: Bench) -> list[str]:
    return [reply.state for reply in bench.replies()]


@pytest.mark.parametrize("target", [EVERYTHING, ARTICLE, INTENT, SOURCE], ids=str)
async def test_a_reply_waits_while_its_brake_stands_and_is_said_after(store: Store, target: Target) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench, target)
    for _ in range(12):
        await bench.deliver()
        bench.wait(minutes=10)
    assert bench.speaker.ledger == []
    assert states(bench) == [ReplyState.INTENDED]
    assert store.read_now(brakes.held) == 1
    await release(bench, target)
    assert await bench.deliver() == 1, "at once, not when it would look by itself"
    assert states(bench) == [ReplyState.SENT]
    assert store.read_now(brakes.held) == 0
    assert bench.replies()[0].attempts == 1, "waiting is no attempt"


async def test_a_brake_on_another_topic_holds_nothing(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench, ELSEWHERE)
    await bench.deliver()
    assert states(bench) == [ReplyState.SENT]


async def test_two_brakes_take_two_releases(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench)
    await pull(bench, INTENT)
    await bench.deliver()
    await release(bench)
    await bench.deliver()
    assert states(bench) == [ReplyState.INTENDED]
    await release(bench, INTENT)
    await bench.deliver()
    assert states(bench) == [ReplyState.SENT]


async def test_a_stop_between_the_last_check_and_the_first_byte_is_obeyed(store: Store) -> None:
    """The file alone, at the very last moment: SENDING is committed already."""
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    bench.speaker.at_the_gate = (bench.brakes.folder / "stop").touch
    await bench.deliver()
    assert bench.speaker.ledger == []
    assert [(reply.state, reply.attempts) for reply in bench.replies()] == [(ReplyState.INTENDED, 0)]
    bench.speaker.at_the_gate = lambda: None
    bench.wait(seconds=5)
    await bench.deliver()
    assert bench.speaker.ledger == []
    await release(bench)
    await bench.deliver()
    assert states(bench) == [ReplyState.SENT]


async def test_what_became_stale_while_it_waited_goes_to_people_without_a_release(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench)
    for _ in range(8):
        await bench.deliver()
        bench.wait(hours=1)
    assert bench.speaker.ledger == []
    assert [(reply.state, reply.reason) for reply in bench.replies()] == [
        (ReplyState.CANCELLED, "it waited too long and is stale")
    ]
    assert bench.outcomes() == [Outcome.ESCALATED]
    assert len(bench.cases()) == 1
    await release(bench)
    await bench.deliver()
    assert bench.speaker.ledger == []


async def test_what_was_edited_while_it_waited_is_decided_anew(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench)
    await bench.deliver()
    bench.hear(replace(make_post(1), text="never mind, it came"))
    await bench.decide()
    await bench.deliver()
    assert bench.speaker.ledger == []
    await release(bench)
    await bench.deliver()
    assert [reply.target.text for reply in bench.speaker.ledger] == ["never mind, it came"]


async def test_a_doubt_is_settled_by_looking_while_everything_is_stopped_and_nothing_is_said_again(
    store: Store,
) -> None:
    bench = Bench(store, Speaker(before=[AmbiguousWrite("cut")]))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    assert states(bench) == [ReplyState.UNKNOWN]
    await pull(bench)
    for _ in range(20):
        bench.wait(seconds=30)
        await bench.deliver()
    assert bench.speaker.ledger == []
    assert states(bench) == [ReplyState.UNKNOWN]
    await release(bench)
    await bench.deliver()
    assert states(bench) == [ReplyState.SENT]
    assert len(bench.speaker.ledger) == 1


async def test_a_doubt_about_what_was_said_is_settled_while_stopped(store: Store) -> None:
    bench = Bench(store, Speaker(after=[AmbiguousWrite("cut")]))
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    await pull(bench)
    bench.wait(seconds=30)
    await bench.deliver()
    assert states(bench) == [ReplyState.SENT]


@pytest.mark.parametrize(("target", "leaves"), [(EVERYTHING, False), (SOURCE, False), (INTENT, True)], ids=str)
async def test_a_persons_own_words_wait_too_but_not_for_an_intent(
    store: Store, target: Target, *, leaves: bool
) -> None:
    bench = Bench(store, mode="draft")
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench, target)
    agent = store.write_now(people.add, email="a@example.org", name="A", role=Role.AGENT, now=bench.now)
    (case,) = bench.cases()
    store.write_now(
        drafts.write,
        case.id or 0,
        post_id=case.post_id,
        text="We are looking for it.",
        nonce="0123456789abcdef",
        send=True,
        revision=None,
        user_id=agent.id,
        now=bench.now,
    )
    await bench.deliver()
    assert bool(bench.speaker.ledger) is leaves


async def test_an_approved_draft_waits_for_its_intent(store: Store) -> None:
    bench = Bench(store, mode="draft")
    bench.hear(make_post(1))
    await bench.decide()
    await pull(bench, INTENT)
    agent = store.write_now(people.add, email="a@example.org", name="A", role=Role.AGENT, now=bench.now)
    (draft,) = bench.replies()
    store.write_now(drafts.approve, draft.id or 0, text=None, revision=None, user_id=agent.id, now=bench.now)
    await bench.deliver()
    assert bench.speaker.ledger == []
    await release(bench, INTENT)
    await bench.deliver()
    assert len(bench.speaker.ledger) == 1


async def test_tickets_go_on_while_everything_is_stopped(store: Store) -> None:
    from bot.store import jobs
    from bot.store.tables import Stage
    from tests.bot.factories import make_triage

    bench = Bench(store, desks=("zendesk",))
    await pull(bench)
    bench.hear(make_post(1), triage=make_triage(intent="human_agent"))
    await bench.decide()
    assert store.read_now(jobs.next_due, Stage.OPEN_TICKET, now=bench.now) == bench.now
