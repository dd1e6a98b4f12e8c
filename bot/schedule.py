"""APScheduler ticks; it holds no state and decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.store.engine import StoreUnavailable

log = structlog.get_logger()

MISFIRE_GRACE_S = 3600
"""A tick that comes late still comes: a busy loop must not cost a look."""


class Schedule:
    """Calls coroutines at fixed intervals, each never twice at a time."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_GRACE_S}
        )

    def every(
        self,
        seconds: float,
        call: Callable[[], Awaitable[None]],
        *,
        name: str,
        at_once: bool,
        jitter_s: float = 0,
    ) -> None:
        """Call *call* each *seconds*, first *at_once* or after one interval."""
        # By the scheduler's own clock: counted from an hour ago, it would first work off an hour of missed ticks.
        options = {"next_run_time": datetime.now(UTC)} if at_once else {}
        self._scheduler.add_job(
            _logged(call, name), "interval", seconds=seconds, name=name, id=name, jitter=jitter_s or None, **options
        )

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Tick no more; twice is harmless."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


def _logged(call: Callable[[], Awaitable[None]], name: str) -> Callable[[], Awaitable[None]]:
    is_waiting = False

    async def tick() -> None:
        nonlocal is_waiting
        try:
            await call()
            is_waiting = False
        except asyncio.CancelledError:
            # Only ``stop`` cancels a tick; the scheduler would call that an error.
            log.debug("tick.cancelled", tick=name)
        except StoreUnavailable as error:
            if not is_waiting:  # said once, then silence until it goes on
                log.error("tick.waits", tick=name, why=str(error))
            is_waiting = True
        except Exception as error:
            log.exception("tick.failed", tick=name, why=type(error).__name__)

    return tick
