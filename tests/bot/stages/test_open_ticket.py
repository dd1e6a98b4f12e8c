"""Tickets at outside desks, through a desk in memory that fails as a script says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

import pytest
from sqlmodel import col, select

from bot.stages.open_ticket import OpenTicketWork
from bot.store import jobs, posts
from bot.store.engine import Store
from bot.store.jobs import Job
from bot.store.tables import CasePostRow, Stage, TicketRow
from handoff.case import Case
from handoff.errors import DeskAuthFailed, DeskError, DeskLimited, DeskRejected, DeskUnavailable
from handoff.protocol import Desk, TicketRef
from handoff.situation import Situation
from tests.bot.bench_of_stages import Bench
from tests.bot.books import OVERTAKEN
from tests.bot.factories import make_post, make_triage


@dataclass
class Counter:
    """A desk: keeps the keys of the cases it took. script: errors to raise first."""

    name: str = "desk"
    script: list[DeskError] = field(default_factory=list)
    ledger: list[str] = field(default_factory=list)
    shown: list[Situation] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def check(self) -> None:
        return None

    async def open(self, case: Case, context: Situation) -> TicketRef:
        if self.script:
            raise self.script.pop(0)
        self.ledger.append(case.key)
        self.shown.append(context)
        return TicketRef(desk=self.name, id=str(len(self.ledger)))


async def escalated(store: Store) -> Bench:
    """Return a bench with one post that people must see, and a ticket wanted for it."""
    bench = Bench(store, desks=("desk",))
    bench.hear(make_post(), triage=make_triage(intent="human_agent"))
    await bench.decide()
    return bench


def work(bench: Bench, desk: Desk) -> OpenTicketWork:
    desks: Mapping[str, Desk] = {desk.name: desk}
    return OpenTicketWork(store=bench.store, desks=desks, connectors={}, public_url=None, clock=lambda: bench.now)


def claim(bench: Bench) -> list[Job]:
    return bench.store.write_now(jobs.claim, Stage.OPEN_TICKET, holder="bench", now=bench.now, limit=1)


def held(store: Store) -> list[int]:
    """Return the ids of the posts of the first case."""
    query = select(CasePostRow.post_id).where(CasePostRow.case_id == 1).order_by(col(CasePostRow.post_id))
    return list(store.read_now(lambda session: session.exec(query).all()))


def ticket(store: Store) -> TicketRow:
    return store.read_now(lambda session: session.get_one(TicketRow, 1))


@pytest.mark.parametrize(
    "error", [DeskUnavailable("down"), DeskLimited("slow", until=None), DeskAuthFailed("who are you")], ids=repr
)
async def test_a_desk_that_is_down_for_hours_gets_its_ticket_when_it_is_back(store: Store, error: DeskError) -> None:
    """No number of refusals that say "later" may cost a customer the ticket."""
    bench = await escalated(store)
    desk = Counter(script=[error] * 60)
    errand = work(bench, desk)
    began = bench.now
    while not desk.ledger:
        for job in claim(bench):
            assert job.attempts == 1, "the worker would park it"
            await errand.run([job])
        if not desk.ledger:
            bench.wait_for(Stage.OPEN_TICKET)
        assert bench.now - began < timedelta(hours=12)
    assert ticket(store).state == "open"
    assert len(desk.ledger) == 1
    assert claim(bench) == []


async def test_a_desk_that_is_down_is_asked_less_and_less_often(store: Store) -> None:
    bench = await escalated(store)
    desk = Counter(script=[DeskUnavailable("down")] * 1000)
    asked, until = 0, bench.now + timedelta(hours=4)
    while bench.now < until:
        for job in claim(bench):
            asked += 1
            await work(bench, desk).run([job])
        bench.wait_for(Stage.OPEN_TICKET)
    assert 20 < asked < 60


async def test_a_desk_that_says_no_is_not_asked_again(store: Store) -> None:
    bench = await escalated(store)
    desk = Counter(script=[DeskRejected("no such group")])
    await work(bench, desk).run(claim(bench))
    bench.wait(hours=1)
    assert claim(bench) == []
    assert (ticket(store).state, ticket(store).reason) == ("failed", "no such group")


async def test_a_ticket_is_opened_for_what_stands_when_the_first_post_of_a_case_is_deleted(store: Store) -> None:
    bench = await escalated(store)
    bench.hear(make_post(id="2", root_id="1", text="and now it is worse"), triage=make_triage(intent="human_agent"))
    await bench.decide()
    first, second = held(store)
    store.write_now(posts.mark_deleted, [first], now=bench.now)
    desk = Counter()
    await work(bench, desk).run(claim(bench))
    assert (ticket(store).state, len(desk.ledger)) == ("open", 1)
    assert [each.post.text for each in desk.shown] == ["and now it is worse"]
    assert second != first


async def test_a_ticket_that_deletion_overtook_is_not_left_open_in_our_books(store: Store) -> None:
    bench = await escalated(store)
    store.write_now(posts.mark_deleted, held(store), now=bench.now)
    desk = Counter()
    await work(bench, desk).run(claim(bench))
    assert (ticket(store).state, ticket(store).reason) == ("failed", OVERTAKEN)
    assert desk.ledger == []
    bench.wait(hours=1)
    assert claim(bench) == []
