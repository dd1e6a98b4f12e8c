"""The clockwork that only ticks."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from bot.schedule import Schedule


async def test_the_first_tick_comes_at_once_where_wanted() -> None:
    schedule, came = Schedule(), asyncio.Event()

    async def call() -> None:
        came.set()

    async def never() -> None:
        pytest.fail("it is not due for an hour")

    schedule.every(3600, call, name="at once", at_once=True)
    schedule.every(3600, never, name="in an hour", at_once=False)
    schedule.start()
    try:
        async with asyncio.timeout(5):
            await came.wait()
    finally:
        schedule.stop()
        schedule.stop()


async def test_a_tick_that_fails_is_logged_and_comes_again() -> None:
    schedule, calls, again = Schedule(), 0, asyncio.Event()

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            again.set()
        raise ValueError("no")

    schedule.every(0.01, call, name="fails", at_once=True)
    with structlog.testing.capture_logs() as logs:
        schedule.start()
        try:
            async with asyncio.timeout(5):
                await again.wait()
        finally:
            schedule.stop()
    assert {(line["event"], line["tick"], line["why"]) for line in logs} == {("tick.failed", "fails", "ValueError")}
