"""One TaskGroup of roles. SIGTERM: stop polls and claims, finish the sends in flight, close the pages, exit 0."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from bot import __version__, metrics
from bot.app import App
from bot.schedule import Schedule
from bot.stages.incidents import LOOK_S as LOOK_FOR_BURSTS_S
from bot.stages.incidents import SEND_S
from bot.stages.own_labels import LOOK_S
from bot.store import brakes, jobs, migrate, replies, sources
from bot.store.engine import StoreError, warn_of_old_sqlite
from bot.store.tables import Stage

log = structlog.get_logger()

TICK_S = 5.0

KNOWLEDGE_S = 2.0
"""So often an open eye is kept on what was published or retired."""

REMIND_S = 3_600.0
"""How often queues are measured."""

LAG_S = 0.25
"""How often the loop's lag is measured."""

RECHECK_S = 600.0
"""How often a batch of kept posts is looked up again."""

TEACHING_S = 3.0
"""How often every process asks which head revision is in service, and whether somebody asked for a refit."""

MIN_FREE = 0.05
"""Below this share of free disk the daemon is not ready."""


Leave: TypeAlias = Callable[[], None]

OnReady: TypeAlias = Callable[[int | None], object]
"""Called once with the port of the pages, None without them."""


class Role(StrEnum):
    """What a process does."""

    POLL = "poll"
    WORK = "work"
    WEB = "web"


class AlreadyRunningError(StoreError):
    """Another daemon uses this database."""


class Daemon:
    """Runs *roles* of *app* until told to stop."""

    def __init__(self, app: App, roles: Sequence[Role]) -> None:
        self._app = app
        self._roles = frozenset(roles)
        self._stopping = asyncio.Event()
        self._schedule = Schedule()
        self._started_at = time.monotonic()

    def stop(self) -> None:
        """Begin to drain; twice is harmless."""
        self._stopping.set()

    async def run(self, *, on_ready: OnReady | None = None, leave: Leave | None = None) -> None:
        """Serve until ``stop`` or a signal. Raises StoreError when the store cannot be used.

        leave: called at the very end when a thread still loads the model; it may end the process, all else is closed.
        """
        app = self._app
        with _only_daemon(app), _signals(self):
            await asyncio.to_thread(migrate.upgrade, app.store)
            if app.store.is_sqlite:
                warn_of_old_sqlite()
            metrics.build_info.labels(version=__version__, database=app.store.version).set(1)
            await self._settle()
            if Role.WORK in self._roles:
                await app.take_folder()  # before anybody is told that we are ready: a bad folder refuses the start
            async with AsyncExitStack() as stack:
                await app.open(stack)
                await self._serve(stack, on_ready)
        log.info("daemon.stopped")
        if app.is_loading and leave is not None:
            leave()

    async def _settle(self) -> None:
        """Take over from a daemon that died: on SQLite there was only one, so nothing is anybody else's."""
        app = self._app
        await app.store.write(sources.configure, app.source_kinds())
        if app.store.is_sqlite:
            await app.store.write(sources.drop_all_leases)
            freed = await app.store.write(jobs.release_all)
            unknown = await app.store.write(replies.settle_start, now=app.clock())
            if freed or unknown:
                log.info("daemon.took_over", errands=freed, unknown_replies=unknown)

    async def _serve(self, stack: AsyncExitStack, on_ready: OnReady | None) -> None:
        app = self._app
        async with asyncio.TaskGroup() as group:
            await app.brakes.look()
            tasks = [group.create_task(self._measure_lag()), group.create_task(app.brakes.watch())]
            port = await app.serve(stack, self._ready) if Role.WEB in self._roles else None
            if Role.POLL in self._roles:
                self._poll()
            self._schedule.every(TICK_S, self._measure_queues, name="queues", at_once=True)
            self._schedule.start()
            work = group.create_task(self._work()) if Role.WORK in self._roles else None
            log.info("daemon.ready", roles=sorted(self._roles), database=app.store.version)
            if on_ready is not None:
                await asyncio.to_thread(on_ready, port)
            await self._stopping.wait()
            log.info("daemon.draining")
            self._schedule.stop()
            app.stream.stop()
            if work is not None:
                await asyncio.wait([work], timeout=0 if app.is_loading else app.settings.work.drain_s)
                work.cancel()
            for task in tasks:
                task.cancel()
        await app.store.write(sources.drop_leases, holder=app.holder)

    async def _work(self) -> None:
        """Load the model while posts already come in, then work until the stream stops."""
        await self._app.warm()
        self._teach()
        self._schedule.every(LOOK_S, self._app.look_at_labels, name="own_labels", at_once=False)
        self._schedule.every(KNOWLEDGE_S, self._app.look_at_knowledge, name="knowledge", at_once=False)
        self._schedule.every(REMIND_S, self._app.remind, name="articles:due", at_once=True)
        workers = self._app.workers()
        if (incidents := self._app.incidents) is not None:
            self._schedule.every(LOOK_FOR_BURSTS_S, incidents.look, name="incidents:look", at_once=False)
            self._schedule.every(SEND_S, incidents.send, name="incidents:send", at_once=False)
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.run())

    def _teach(self) -> None:
        teacher, settings = self._app.teacher, self._app.settings.teaching
        self._schedule.every(TEACHING_S, teacher.keep_up, name="teaching:wear", at_once=False)
        self._schedule.every(TEACHING_S, teacher.answer, name="teaching:asked", at_once=False)
        if settings.enabled:
            seconds = 60 * settings.every_minutes
            self._schedule.every(seconds, teacher.look, name="teaching:look", at_once=False, jitter_s=seconds / 10)

    def _poll(self) -> None:
        app = self._app
        for poller in app.pollers():
            seconds = poller.settings.poll_every_s
            for stream in poller.streams():
                self._schedule.every(
                    seconds,
                    partial(poller.poll, stream),
                    name=f"poll:{poller.name}:{stream}",
                    at_once=True,
                    jitter_s=seconds / 10 if seconds >= 10 else 0,
                )
            older_than = timedelta(hours=app.settings.work.recheck_hours)
            self._schedule.every(
                RECHECK_S,
                partial(poller.recheck, older_than=older_than),
                name=f"recheck:{poller.name}",
                at_once=False,
                jitter_s=RECHECK_S / 10,
            )

    async def _measure_queues(self) -> None:
        app = self._app
        now = app.clock()
        depths = {depth.stage: depth for depth in await app.store.read(jobs.depths)}
        for stage in Stage:
            depth = depths.get(stage)
            metrics.queue_depth.labels(stage=stage, state="waiting").set(depth.waiting if depth else 0)
            metrics.queue_depth.labels(stage=stage, state="parked").set(depth.parked if depth else 0)
            oldest = depth.oldest_at if depth and depth.waiting else None
            metrics.queue_oldest_age.labels(stage=stage).set((now - oldest).total_seconds() if oldest else 0)
        metrics.replies_unknown.set(await app.store.read(replies.count_unknown))
        metrics.replies_held.set(await app.store.read(brakes.held))

    async def _measure_lag(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(LAG_S)
            metrics.event_loop_lag.observe(max(0.0, time.perf_counter() - before - LAG_S))

    async def _ready(self) -> tuple[bool, dict[str, object]]:
        """Say whether this process can do its work; the networks' trouble does not count, it is shown as degraded."""
        app = self._app
        rows: dict[str, object] = {}
        try:
            await asyncio.wait_for(app.store.write(sources.take_lease, **self._proof()), timeout=5)
            rows["store"] = "ok"
        except Exception as error:
            rows["store"] = f"failing: {type(error).__name__}"
        disk = os.statvfs(app.disk_folder())
        rows["disk"] = "ok" if disk.f_bavail / max(1, disk.f_blocks) > MIN_FREE else "almost full"
        rows["drain"] = "draining" if self._stopping.is_set() else "ok"
        bad = [key for key, value in rows.items() if value != "ok"]
        if rows["store"] == "ok":
            troubled = [each.name for each in await app.store.read(sources.health) if each.status in TROUBLED]
            rows["sources"] = f"degraded: {len(troubled)} in trouble" if troubled else "ok"
            rows["classifier"] = app.classifier_state
        return not bad, rows

    def _proof(self) -> dict[str, Any]:
        app = self._app
        return {"name": "ready", "holder": app.holder, "now": app.clock(), "lasts": timedelta(0)}


TROUBLED = ("failing", "limited", "refused")


@contextlib.contextmanager
def _only_daemon(app: App) -> Iterator[None]:
    """Hold the lock beside a SQLite file: two daemons on one file would both think they are alone."""
    if not app.store.is_sqlite:
        yield
        return
    path = Path(f"{app.store.url.database}.lock")
    try:
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "w")
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be written: {error.strerror}; choose another store.url") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunningError(
                f"another harken runs on {app.store.url.database}; stop it first, or give this one another store.url"
            ) from error
        yield


@contextlib.contextmanager
def _signals(daemon: Daemon) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
