"""Guessing is slowed down; nobody is shut out for good."""

from __future__ import annotations

from datetime import timedelta

from bot.store import failures
from bot.store.engine import Store
from tests.bot.factories import NOON

ACCOUNT = {"account:ana": 5}
ADDRESS = {"address:10.0.0.1": 20}


def tries(store: Store, subjects: dict[str, int], many: int) -> list[bool]:
    return [store.write_now(failures.attempt, subjects, now=NOON) is None for _ in range(many)]


def test_the_first_tries_are_free_and_then_one_waits(store: Store) -> None:
    assert tries(store, ACCOUNT, 7) == [True] * 5 + [False] * 2


def test_each_further_failure_doubles_the_wait_up_to_a_minute(store: Store) -> None:
    now, waits = NOON, []
    for _ in range(16):
        until = store.write_now(failures.attempt, ACCOUNT, now=now)
        if until is not None:
            waits.append((until - now).total_seconds())
            now = until
            assert store.write_now(failures.attempt, ACCOUNT, now=now) is None
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == 60


def test_a_try_while_waiting_does_not_prolong_the_wait(store: Store) -> None:
    tries(store, ACCOUNT, 5)
    first = store.write_now(failures.attempt, ACCOUNT, now=NOON)
    assert tries(store, ACCOUNT, 50) == [False] * 50
    assert store.write_now(failures.attempt, ACCOUNT, now=NOON) == first


def test_an_hour_without_failures_forgets(store: Store) -> None:
    tries(store, ACCOUNT, 5)
    later = NOON + timedelta(hours=1, seconds=1)
    assert store.write_now(failures.attempt, ACCOUNT, now=later) is None


def test_an_own_account_does_not_wipe_the_slate_of_an_address(store: Store) -> None:
    for number in range(20):
        guess = {f"account:{number}": 5} | ADDRESS
        assert store.write_now(failures.attempt, guess, now=NOON) is None
        if number % 4 == 3 and number < 19:
            assert store.write_now(failures.attempt, {"account:own": 5} | ADDRESS, now=NOON) is None
            store.write_now(failures.forgive, {"account:own": 5})
            store.write_now(failures.take_back, ADDRESS)
    assert store.write_now(failures.attempt, {"account:last": 5} | ADDRESS, now=NOON) is not None
