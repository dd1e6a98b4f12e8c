"""Server-sent events without queues: a tick says that something happened, each stream reads on from where it stands.

Live delivery and resuming are one code path, so a reconnect misses nothing; a slow reader costs no memory, it is only
further behind. What streams in step ask of the store is asked once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from aiohttp import web

from bot.store import events, sessions
from bot.store.engine import Store
from bot.store.events import Event

log = structlog.get_logger()

BATCH = 500
LOOK_BACK = 100
"""On PostgreSQL a lower id may be committed later; streams read this many ids again and drop what they have seen."""
MOST_STREAMS = 500
HEARTBEAT_S = 15.0
WRITE_TIMEOUT_S = 10.0
"""A reader that takes nothing for so long is dropped; its browser comes back and reads on."""
RETRY_MS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One server-sent event. id: of the last event it covers. data: no line breaks."""

    id: int
    event: str
    data: bytes


class Live:
    """Watches for new events and for sessions that ended. Light until ``start``."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime], idle: timedelta, every_s: float = 0.5) -> None:
        self._store = store
        self._clock = clock
        self._idle = idle
        self._every_s = every_s
        self._look_back = 0 if store.is_sqlite else LOOK_BACK
        self._latest = -1
        self._tick = asyncio.Event()
        self._nudge = asyncio.Event()
        self._streams: Counter[str] = Counter()
        self._living: set[str] = set()
        self._asked: dict[int, asyncio.Task[list[Event]]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams.total()

    async def start(self) -> None:
        """Begin to watch."""
        self._watcher = asyncio.create_task(self._watch(), name="web.live")

    async def close(self) -> None:
        """Tell every stream to end; twice is harmless."""
        self.closing = True
        self._ring()
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None

    def nudge(self) -> None:
        """Look now: the caller knows that something was committed."""
        self._nudge.set()

    def tick(self) -> asyncio.Event:
        """Return what is set when something happens next; take it before reading, so that nothing falls between."""
        return self._tick

    async def after(self, last_id: int) -> list[Event]:
        """Return what happened after *last_id* (with the overlap that PostgreSQL needs), lowest first."""
        task = self._asked.get(last_id)
        if task is None:
            floor = max(0, last_id - self._look_back)
            task = asyncio.create_task(self._store.read(events.after, floor, limit=BATCH))
            if len(self._asked) >= MOST_STREAMS:
                self._asked.clear()
            self._asked[last_id] = task
        return await asyncio.shield(task)

    async def _watch(self) -> None:
        failing = False
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudge.wait(), self._every_s)
            self._nudge.clear()
            if not self._streams:
                continue
            try:
                hashes = set(self._streams)
                latest, living = await self._store.read(sessions.look, hashes, now=self._clock(), idle=self._idle)
            except Exception:  # whatever ails the store, open pages wait for it to heal
                if not failing:
                    log.warning("live.failing", exc_info=True)
                failing = True
                continue
            if failing:
                log.info("live.recovered")
                failing = False
            ended = hashes - living
            self._living -= ended
            if latest != self._latest or ended or self._look_back:
                self._latest = latest
                self._ring()

    def _ring(self) -> None:
        self._asked.clear()
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()

    async def follow(
        self,
        request: web.Request,
        *,
        token_hash: str,
        after: int,
        messages: Callable[[Sequence[Event]], Awaitable[Sequence[Message]]],
    ) -> web.StreamResponse:
        """Stream to *request* what *messages* makes of all events after *after*, until either side has enough."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        self._streams[token_hash] += 1
        self._living.add(token_hash)
        try:
            await _write(response, b"retry: %d\n\n" % RETRY_MS)
            await self._stream(response, token_hash=token_hash, last=after, messages=messages)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        except Exception:  # the head is out already: the browser comes back and reads on from its last id
            self._asked.clear()
            log.warning("live.stream_failed", exc_info=True)
        finally:
            self._streams[token_hash] -= 1
            if self._streams[token_hash] <= 0:
                del self._streams[token_hash]
                self._living.discard(token_hash)
        return response

    async def _stream(
        self,
        response: web.StreamResponse,
        *,
        token_hash: str,
        last: int,
        messages: Callable[[Sequence[Event]], Awaitable[Sequence[Message]]],
    ) -> None:
        seen: deque[int] = deque(maxlen=4 * LOOK_BACK)
        while not self.closing:
            tick = self.tick()
            if token_hash not in self._living:
                await _write(response, b"event: signed-out\ndata:\n\n")
                return
            happened = await self.after(last)
            fresh = [event for event in happened if event.id not in seen]
            if fresh:
                made = await messages(fresh)
                last = max(last, fresh[-1].id)
                seen.extend(event.id for event in fresh)
                if not made or made[-1].id < last:
                    made = [*made, Message(id=last, event="mark", data=b"")]
                for message in made:
                    await _write(response, _wire(message))
            if len(happened) == BATCH:
                continue
            try:
                await asyncio.wait_for(tick.wait(), HEARTBEAT_S)
            except TimeoutError:
                await _write(response, b":\n\n")
        await _write(response, b"retry: %d\nevent: bye\ndata:\n\n" % RETRY_MS)


def _wire(message: Message) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (message.id, message.event.encode(), message.data)


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(chunk)
