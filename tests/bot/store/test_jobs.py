"""Errands as rows, on both databases."""

from __future__ import annotations

from datetime import timedelta

from bot.store import jobs
from bot.store.engine import Store
from bot.store.jobs import Job
from bot.store.tables import Stage
from tests.bot.factories import NOON


def add(store: Store, *keys: str) -> None:
    rows = [jobs.row(Stage.TRIAGE, key, now=NOON + timedelta(seconds=place)) for place, key in enumerate(keys)]
    store.write_now(jobs.add_all, rows)


def claim(store: Store, *, limit: int = 10, minutes: float = 1) -> list[Job]:
    now = NOON + timedelta(minutes=minutes)
    return store.write_now(jobs.claim, Stage.TRIAGE, holder="me", now=now, limit=limit)


def keys(taken: list[Job]) -> list[tuple[str, int]]:
    return [(job.key, job.attempts) for job in taken]


def test_what_outlived_its_worker_goes_alone(store: Store) -> None:
    """Else each death would count against every errand that happened to be claimed with the deadly one."""
    add(store, "a", "b", "c", "d")
    assert keys(claim(store, limit=2)) == [("a", 1), ("b", 1)]
    store.write_now(jobs.release_all)
    (a,) = claim(store)
    assert (a.key, a.attempts) == ("a", 2)
    (b,) = claim(store)
    assert (b.key, b.attempts) == ("b", 2)
    store.write_now(jobs.finish, [a.id, b.id], now=NOON)
    assert keys(claim(store)) == [("c", 1), ("d", 1)]
    assert claim(store) == []


def test_an_errand_whose_workers_keep_dying_rests_longer_each_time(store: Store) -> None:
    add(store, "a")
    now, rests = NOON, []
    for _ in range(14):
        (job,) = store.write_now(jobs.claim, Stage.TRIAGE, holder="me", now=now, limit=1)
        store.write_now(jobs.release_all)
        due = store.read_now(jobs.next_due, Stage.TRIAGE, now=now)
        assert due is not None
        rests.append((due - now).total_seconds())
        now = due
    assert rests == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]
    assert job.attempts == 14


def test_nobody_waits_long_behind_a_deadly_errand(store: Store) -> None:
    add(store, "a", "b")
    claimed = []
    for second in range(4):
        claimed += claim(store, minutes=1 + second / 60, limit=1)
        store.write_now(jobs.release_all)
    assert "b" in {job.key for job in claimed}


def test_a_claim_lapses_with_its_holder(store: Store) -> None:
    add(store, "a")
    assert keys(claim(store)) == [("a", 1)]
    assert claim(store, minutes=1.5) == []
    assert keys(claim(store, minutes=2.5)) == [("a", 2)]


def test_waiting_does_not_count_as_an_attempt(store: Store) -> None:
    add(store, "a")
    for minute in range(1, 20):
        (job,) = claim(store, minutes=minute)
        assert job.attempts == 1
        store.write_now(jobs.wait, [job.id], due_at=NOON + timedelta(minutes=minute + 1), reason="not yet")
