"""The clockwork that only ticks."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
import structlog

from bot.schedule import Schedule
from bot.store.engine import StoreUnavailable


async def test_the_first_tick_comes_at_once_where_wanted() -> None:
    schedule, came = Schedule(), asyncio.Event()

    async def call() -> None:
        came.set()

    async def never() -> None:
        pytest.fail("it is not due for an hour")

    schedule.every(3600, call, name="at once", at_once=True)
    schedule.every(3600, never, name="in an hour", at_once=False)
    await logs_until(came, schedule)
    schedule.stop()


async def logs_until(done: asyncio.Event, schedule: Schedule) -> list[MutableMapping[str, Any]]:
    """Let *schedule* tick until *done*; return what was logged."""
    with structlog.testing.capture_logs() as logs:
        schedule.start()
        try:
            async with asyncio.timeout(5):
                await done.wait()
        finally:
            schedule.stop()
    return logs


async def test_a_tick_that_fails_is_logged_and_comes_again() -> None:
    schedule, calls, again = Schedule(), 0, asyncio.Event()

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            again.set()
        raise ValueError("no")

    schedule.every(0.01, call, name="fails", at_once=True)
    logs = await logs_until(again, schedule)
    assert {(line["event"], line["tick"], line["why"]) for line in logs} == {("tick.failed", "fails", "ValueError")}


async def test_a_store_that_is_away_is_told_of_once_and_not_with_a_traceback() -> None:
    schedule, calls, enough = Schedule(), 0, asyncio.Event()

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            enough.set()
        raise StoreUnavailable("the database cannot be used: database or disk is full")

    schedule.every(0.01, call, name="full", at_once=True)
    logs = await logs_until(enough, schedule)
    (said,) = [each for each in logs if each.get("tick") == "full" and each["log_level"] == "error"]
    assert "disk is full" in said["why"]
    assert "exc_info" not in said
