"""What a person wants taken back is deleted where the network can, looked for in doubt, and told plainly where not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.store import brakes, events, retractions
from bot.store.engine import Store
from bot.store.refusals import Invalid
from bot.store.retractions import SaidView, Window
from bot.store.tables import Outcome, ReplyState, Retracted
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from handoff.brake import EVERYTHING
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import make_post
from tests.bot.speaker import Deleter, Speaker


async def say(bench: Bench, *numbers: int) -> None:
    bench.hear(*(make_post(number, author=f"c{number}") for number in numbers))
    await bench.decide()
    await bench.deliver()


def window(bench: Bench, minutes: float = 15, **more: Any) -> Window:
    return Window(since=bench.now - timedelta(minutes=minutes), until=bench.now, **more)


def ask(bench: Bench, **more: Any) -> list[SaidView]:
    return bench.store.write_now(
        retractions.ask, window(bench, **more), who="Lea", why="wrong prices", user_id=None, now=bench.now
    )


def outcomes(bench: Bench) -> list[Retracted | None]:
    return [each.outcome for each in bench.store.read_now(retractions.said, window(bench, 60 * 48))]


async def test_what_was_said_in_the_window_is_deleted_and_the_rest_stays(store: Store) -> None:
    bench = Bench(store, Deleter())
    await say(bench, 1)
    bench.wait(minutes=20)
    await say(bench, 2, 3)
    asked = ask(bench)
    assert [(each.to, each.source, each.article, each.state) for each in asked] == [
        ("c3", "x", "parcel", "sent"),
        ("c2", "x", "parcel", "sent"),
    ]
    assert await bench.retract() == 2
    assert isinstance(bench.speaker, Deleter)
    assert sorted(bench.speaker.gone) == ["r2", "r3"]
    assert outcomes(bench) == [Retracted.RETRACTED, Retracted.RETRACTED, None]


@pytest.mark.parametrize(
    ("more", "count"), [({"source": "y"}, 0), ({"article": "hours"}, 0), ({"article": "parcel"}, 1)]
)
async def test_one_source_or_article_is_chosen(store: Store, more: dict[str, Any], count: int) -> None:
    bench = Bench(store, Deleter())
    await say(bench, 1)
    assert len(ask(bench, **more)) == count
    assert await bench.retract() == count


async def test_a_customer_whose_answer_was_deleted_goes_to_people(store: Store) -> None:
    bench = Bench(store, Deleter(), desks=("zendesk",))
    await say(bench, 1)
    assert bench.outcomes() == [Outcome.ANSWERED]
    ask(bench)
    await bench.retract()
    assert bench.outcomes() == [Outcome.ESCALATED]
    (case,) = bench.cases()
    assert case.reasons == ["our reply was deleted again: wrong prices"]
    assert [reply.state for reply in bench.replies()] == [ReplyState.SENT], "so the bot does not answer anew"


async def test_asked_twice_it_is_deleted_once(store: Store) -> None:
    bench = Bench(store, Deleter())
    await say(bench, 1)
    ask(bench)
    ask(bench)
    await bench.retract()
    ask(bench)
    assert await bench.retract() == 0
    assert isinstance(bench.speaker, Deleter)
    assert bench.speaker.gone == ["r1"]


async def test_a_network_that_deletes_nothing_is_named_plainly(store: Store) -> None:
    bench = Bench(store, Speaker())
    await say(bench, 1)
    ask(bench)
    await bench.retract()
    (found,) = store.read_now(retractions.latest)
    assert found.outcome is Retracted.IMPOSSIBLE
    assert "by hand" in found.detail
    assert bench.outcomes() == [Outcome.ANSWERED], "the answer still stands there"


@pytest.mark.parametrize("error", [AmbiguousWrite("cut"), Rejected("no such post")], ids=lambda e: type(e).__name__)
async def test_a_doubt_is_settled_by_looking(store: Store, error: ConnectorError) -> None:
    bench = Bench(store, Deleter(refusing=[error], takes=True))
    await say(bench, 1)
    ask(bench)
    await bench.retract()
    assert outcomes(bench) == [Retracted.RETRACTED]


@pytest.mark.parametrize(
    "error",
    [AmbiguousWrite("cut"), Unavailable("down"), AuthFailed("token"), RateLimited("slow", until=None)],
    ids=lambda e: type(e).__name__,
)
async def test_what_did_not_work_is_tried_again(store: Store, error: ConnectorError) -> None:
    bench = Bench(store, Deleter(refusing=[error]))
    await say(bench, 1)
    ask(bench)
    await bench.retract()
    assert outcomes(bench) == [Retracted.WANTED]
    assert await bench.retract() == 0, "not before its time"
    bench.wait(minutes=6)
    await bench.retract()
    assert outcomes(bench) == [Retracted.RETRACTED]


async def test_a_no_for_good_is_told_and_may_be_asked_again(store: Store) -> None:
    bench = Bench(store, Deleter(refusing=[Rejected("not yours")]))
    await say(bench, 1)
    ask(bench)
    await bench.retract()
    (found,) = store.read_now(retractions.latest)
    assert (found.outcome, found.detail) == (Retracted.REFUSED, "not yours; delete it there by hand")
    ask(bench)
    await bench.retract()
    assert outcomes(bench) == [Retracted.RETRACTED]


async def test_what_may_be_public_is_looked_for_and_deleted_when_found(store: Store) -> None:
    bench = Bench(store, Deleter(after=[AmbiguousWrite("cut")]))
    await say(bench, 1)
    (asked,) = ask(bench)
    assert (asked.state, asked.url) == (ReplyState.UNKNOWN, None)
    await bench.retract()
    assert isinstance(bench.speaker, Deleter)
    assert bench.speaker.gone == ["found"]


async def test_what_was_never_said_is_told_as_not_found(store: Store) -> None:
    bench = Bench(store, Deleter(before=[AmbiguousWrite("cut")]))
    await say(bench, 1)
    ask(bench)
    await bench.retract()
    assert outcomes(bench) == [Retracted.NOT_FOUND]


async def test_taking_back_works_while_everything_is_stopped(store: Store) -> None:
    bench = Bench(store, Deleter())
    await say(bench, 1)
    await bench.brakes.pull(EVERYTHING, who="Ana", why="wrong prices", user_id=None)
    ask(bench)
    await bench.retract()
    assert outcomes(bench) == [Retracted.RETRACTED]


async def test_a_wish_nobody_can_fulfil_ends_after_a_day(store: Store) -> None:
    bench = Bench(store, Deleter(refusing=[Unavailable("down")] * 99))
    await say(bench, 1)
    ask(bench)
    for _ in range(30):
        await bench.retract()
        bench.wait(hours=1)
    (found,) = store.read_now(retractions.latest)
    assert (found.outcome, found.detail) == (Retracted.FAILED, "down; delete it there by hand")


async def test_the_record_names_who_and_what_came_of_it(store: Store) -> None:
    bench = Bench(store, Deleter())
    await say(bench, 1)
    ask(bench)
    await bench.retract()
    (found,) = store.read_now(retractions.latest)
    assert (found.asked_who, found.asked_at) == ("Lea", bench.now)
    kinds = [each.kind for each in store.read_now(events.after, 0)]
    assert kinds.index("reply.retract_asked") < kinds.index("reply.retracted")


@pytest.mark.parametrize("last", ["", "15", "m", "0m", "-1m", "1.5h", "fifteen", "15 m", "999999999d", "٣m"])
def test_a_time_that_is_none_is_refused_with_an_example(last: str) -> None:
    with pytest.raises(Invalid, match="write it like 90s, 15m, 2h or 1d"):
        retractions.back(last)


async def test_a_reason_is_asked_for(store: Store) -> None:
    bench = Bench(store, Deleter())
    await say(bench, 1)
    with pytest.raises(Invalid, match="say why"):
        store.write_now(retractions.ask, window(bench), who="Lea", why="", user_id=None, now=bench.now)
    assert store.read_now(brakes.held) == 0
    assert outcomes(bench) == [None]
