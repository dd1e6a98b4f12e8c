"""The worker retries what nobody foresaw, gives it up in the end, and lets no bad post hold up its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from bot.store import jobs
from bot.store.engine import Store, StoreUnavailable
from bot.store.jobs import CLAIM, Job
from bot.store.tables import JobRow, Stage
from bot.stream.table import TableStream
from bot.worker import MAX_ATTEMPTS, Worker
from tests.bot.factories import NOON


class Fragile:
    """A stage that breaks on errands with *bad* in their key."""

    stage = Stage.TRIAGE
    patience = 5

    def __init__(self, store: Store, bad: str = "bad") -> None:
        self.store = store
        self.bad = bad
        self.done: list[str] = []
        self.given_up: list[str] = []

    async def run(self, jobs_: Sequence[Job]) -> None:
        if any(self.bad in job.key for job in jobs_):
            raise RuntimeError("poison")
        self.done += [job.key for job in jobs_]
        await self.store.write(jobs.finish, [job.id for job in jobs_], now=NOON)

    async def give_up(self, job: Job, reason: str) -> None:
        self.given_up.append(job.key)


class Hands:
    """A worker whose clock a test turns."""

    def __init__(self, store: Store, work: Fragile) -> None:
        self.now: datetime = NOON
        self.store = store
        self.work = work

    async def pass_through(self) -> None:
        """Work off everything that is due now."""
        stream = TableStream(self.store, clock=lambda: self.now, holder="me")
        worker = Worker(store=self.store, stream=stream, work=self.work, batch=10, clock=lambda: self.now)
        task = asyncio.create_task(worker.run())
        while await self.store.read(self._due):
            await asyncio.sleep(0.01)
        stream.stop()
        await task

    def _due(self, session: Session) -> bool:
        due = jobs.next_due(session, Stage.TRIAGE, now=self.now)
        return due is not None and due <= self.now


def add(store: Store, *keys: str) -> None:
    def add_all(session: Session) -> None:
        for key in keys:
            jobs.add(session, Stage.TRIAGE, key, now=NOON)

    store.write_now(add_all)


def parked(store: Store) -> list[str]:
    query = select(JobRow.key).where(JobRow.parked_at != None)  # noqa: E711
    return store.read_now(lambda session: list(session.exec(query)))


async def test_one_bad_errand_does_not_hold_up_its_neighbours(store: Store) -> None:
    add(store, "a", "bad", "c")
    hands = Hands(store, Fragile(store))
    await hands.pass_through()
    hands.now += timedelta(seconds=2)
    await hands.pass_through()
    assert sorted(hands.work.done) == ["a", "c"]


async def test_what_fails_again_and_again_is_given_up_and_parked(store: Store) -> None:
    add(store, "bad")
    hands = Hands(store, Fragile(store))
    for _ in range(MAX_ATTEMPTS + 3):
        await hands.pass_through()
        hands.now += timedelta(minutes=10)
    assert hands.work.given_up == ["bad"]
    assert parked(store) == ["bad"]
    assert store.write_now(jobs.unpark, now=hands.now) == 1
    hands.work.bad = "nothing"
    await hands.pass_through()
    assert hands.work.done == ["bad"], "a parked errand is visible and repeatable"


async def test_an_errand_that_kills_its_worker_is_given_up_unread(store: Store) -> None:
    add(store, "killer")
    now = NOON
    for _ in range(MAX_ATTEMPTS):
        assert store.write_now(jobs.claim, Stage.TRIAGE, holder="dead", now=now, limit=9)
        now += CLAIM + timedelta(seconds=1)
    hands = Hands(store, Fragile(store))
    hands.now = now
    await hands.pass_through()
    assert (hands.work.done, hands.work.given_up) == ([], ["killer"])


def test_a_claim_keeps_others_away_until_it_lapses(store: Store) -> None:
    add(store, "a", "b")

    def claim(holder: str, now: datetime) -> list[str]:
        return [job.key for job in store.write_now(jobs.claim, Stage.TRIAGE, holder=holder, now=now, limit=9)]

    assert claim("one", NOON) == ["a", "b"]
    assert claim("two", NOON + CLAIM - timedelta(seconds=1)) == []
    # What outlived its worker goes alone.
    assert claim("two", NOON + CLAIM + timedelta(seconds=1)) == ["a"]
    assert claim("two", NOON + CLAIM + timedelta(seconds=2)) == ["b"]


def test_urgent_errands_go_first(store: Store) -> None:
    def add_all(session: Session) -> None:
        for key, priority in (("low", 4), ("high", 1), ("normal", 3)):
            jobs.add(session, Stage.HAND_OFF, key, now=NOON, priority=priority)

    store.write_now(add_all)
    claimed = store.write_now(jobs.claim, Stage.HAND_OFF, holder="one", now=NOON, limit=9)
    assert [job.key for job in claimed] == ["high", "normal", "low"]


def test_the_same_errand_twice_is_one(store: Store) -> None:
    add(store, "a", "a")
    add(store, "a")
    assert len(store.write_now(jobs.claim, Stage.TRIAGE, holder="one", now=NOON, limit=9)) == 1


class Sulking:
    """A stage whose store does not answer the first *times* it runs."""

    stage = Stage.TRIAGE
    patience = MAX_ATTEMPTS

    def __init__(self, store: Store, times: int) -> None:
        self.store = store
        self.times = times
        self.done: list[str] = []

    async def run(self, jobs_: Sequence[Job]) -> None:
        if self.times:
            self.times -= 1
            raise StoreUnavailable("the database cannot be used: locked")
        self.done += [job.key for job in jobs_]
        await self.store.write(jobs.finish, [job.id for job in jobs_], now=NOON)

    async def give_up(self, job: Job, reason: str) -> None:
        raise AssertionError("nothing is given up for the store's trouble")


async def test_trouble_of_the_store_is_waited_out_and_counts_against_no_errand(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.STORE_PAUSE_S", 0.0)
    add(store, "a", "b")
    hands = Hands(store, Sulking(store, times=MAX_ATTEMPTS + 3))  # type: ignore[arg-type]
    for _ in range(MAX_ATTEMPTS + 5):
        await hands.pass_through()
    assert sorted(hands.work.done) == ["a", "b"]


async def test_a_stream_outlives_a_store_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "a")
    claim, left = jobs.claim, [3]

    def sulking(*given: Any, **options: Any) -> list[Job]:
        if left[0]:
            left[0] -= 1
            raise StoreUnavailable("the database cannot be used: locked")
        return claim(*given, **options)

    monkeypatch.setattr("bot.stream.table.IDLE", timedelta(milliseconds=1))
    monkeypatch.setattr(jobs, "claim", sulking)
    hands = Hands(store, Fragile(store))
    await hands.pass_through()
    assert hands.work.done == ["a"]
