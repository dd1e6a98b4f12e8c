"""A fake network: a real server on loopback with a ledger that only it writes, a request log and a fault script.

A channel's fake subclasses ``Network``, adds its routes, and says which requests are reads and which are writes. It
runs in the test's own event loop (``async with network``) or in a thread (``with serve_in_thread(network)``), where
synchronous vendor libraries and whole daemon processes reach it while the test's loop is busy with something else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import orjson
from aiohttp import web

from tests.networks.clock import system_clock

HTML = b"<!doctype html><html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>"
JSON = {"Content-Type": "application/json; charset=utf-8"}


class How(StrEnum):
    """What the client gets to see."""

    ANSWER = "answer"  # the fault's own status, headers and body
    HALF_JSON = "half_json"  # the real answer's first half, as if it were whole
    CUT = "cut"  # the real answer's first half under the full Content-Length, then the connection ends
    RESET = "reset"  # the connection ends without an answer
    HANG = "hang"  # nothing, until ``release`` or ``close``


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. accepts: the request is carried out first, so a write lands in the ledger."""

    how: How = How.ANSWER
    status: int = 500
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    accepts: bool = False


class Trouble(StrEnum):
    """Faults by meaning; ``Network.trouble`` makes each one in its network's own shape."""

    RATE_LIMITED_WITH_RESET = "rate_limited_with_reset"
    RATE_LIMITED_WITHOUT_RESET = "rate_limited_without_reset"
    HTML_503 = "html_503"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"  # the credentials may not do this at all
    TRUNCATED = "truncated"  # half of the JSON
    CUT = "cut"  # half of the body, then the connection ends
    OTHER_SHAPE = "other_shape"  # valid JSON of another shape
    WRONG_TYPE = "wrong_type"  # status 200, a page of HTML
    RESET = "reset"
    HANG = "hang"
    REJECTED = "rejected"  # no, for good
    ACCEPTED_THEN_TIMEOUT = "accepted_then_timeout"
    ACCEPTED_THEN_500 = "accepted_then_500"
    ACCEPTED_THEN_RESET = "accepted_then_reset"
    ACCEPTED_THEN_NONSENSE = "accepted_then_nonsense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One accepted write: what the network would swear to. id: what it calls the new post."""

    at: datetime
    path: str
    id: str
    text: str
    parent: str | None = None
    key: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived, before any fault."""

    at: datetime
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Rule:
    fault: Fault
    applies: Callable[[str, str], bool]
    left: int | None


def answer(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return *data* as a JSON answer."""
    return web.Response(body=orjson.dumps(data), status=status, headers={**JSON, **(headers or {})})


class Network:
    """A fake network; subclasses override ``add_routes`` and, where their shapes differ, the answers to trouble.

    page_limit: items in one answer at most; tests lower it to make a burst span pages. weather: asked about each
    request that no queued fault met, for faults that come by a plan of their own.
    """

    limit_status: ClassVar[int] = 429

    def __init__(self, *, clock: Callable[[], datetime] = system_clock, page_limit: int = 100) -> None:
        self.clock = clock
        self.page_limit = page_limit
        self.ledger: list[Entry] = []
        self.requests: list[Seen] = []
        self.base_url = ""
        self.weather: Callable[[Seen], Fault | None] | None = None
        self._rules: list[_Rule] = []
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._released: asyncio.Event | None = None
        self._runner: web.AppRunner | None = None

    # What a subclass says about itself

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the network's own paths."""

    def is_write(self, method: str, path: str) -> bool:
        """Return whether the request says something in public (a login does not)."""
        return method != "GET"

    def is_read(self, method: str, path: str) -> bool:
        """Return whether the request reads posts."""
        return method == "GET"

    def limit_headers(self, until: datetime) -> Mapping[str, str]:
        """Return the headers that tell a limited client when to come back."""
        return {"Retry-After": str(round((until - self.clock()).total_seconds()))}

    def error_body(self, status: int) -> bytes:
        """Return the body the network gives with *status*."""
        return orjson.dumps({"error": status})

    def trouble(self, trouble: Trouble, *, until: datetime | None = None) -> Fault:
        """Return the fault that *trouble* means here. until: for RATE_LIMITED_WITH_RESET only."""
        match trouble:
            case Trouble.RATE_LIMITED_WITH_RESET:
                if until is None:
                    raise ValueError("say until when")
                return self.refusal(self.limit_status, headers=self.limit_headers(until))
            case Trouble.RATE_LIMITED_WITHOUT_RESET:
                return self.refusal(self.limit_status)
            case Trouble.HTML_503:
                return Fault(status=503, body=HTML, headers={"Content-Type": "text/html"})
            case Trouble.UNAUTHORIZED:
                return self.refusal(401)
            case Trouble.FORBIDDEN:
                return self.refusal(403)
            case Trouble.TRUNCATED:
                return Fault(how=How.HALF_JSON, accepts=True)
            case Trouble.CUT:
                return Fault(how=How.CUT, accepts=True)
            case Trouble.OTHER_SHAPE:
                return Fault(status=200, body=b'[["other"], 17, null]', headers=JSON)
            case Trouble.WRONG_TYPE:
                return Fault(status=200, body=HTML, headers={"Content-Type": "text/html"})
            case Trouble.RESET:
                return Fault(how=How.RESET)
            case Trouble.HANG:
                return Fault(how=How.HANG)
            case Trouble.REJECTED:
                return self.refusal(422)
            case Trouble.ACCEPTED_THEN_TIMEOUT:
                return Fault(how=How.HANG, accepts=True)
            case Trouble.ACCEPTED_THEN_500:
                return Fault(status=502, body=HTML, headers={"Content-Type": "text/html"}, accepts=True)
            case Trouble.ACCEPTED_THEN_RESET:
                return Fault(how=How.RESET, accepts=True)
            case Trouble.ACCEPTED_THEN_NONSENSE:
                return Fault(status=200, body=b"{]", headers=JSON, accepts=True)

    def refusal(self, status: int, *, headers: Mapping[str, str] | None = None) -> Fault:
        """Return the network's own answer for *status*."""
        return Fault(status=status, body=self.error_body(status), headers={**JSON, **(headers or {})})

    # The fault script

    def fail(self, fault: Fault, *, method: str = "*", path: str = "/", times: int | None = 1) -> None:
        """Queue *fault* for the next *times* requests (None: until ``heal``) of *method* below *path*."""
        self._add(fault, lambda seen, where: method in ("*", seen) and where.startswith(path), times)

    def fail_reads(self, trouble: Trouble, *, times: int | None = None, until: datetime | None = None) -> None:
        """Queue *trouble* for reads; by default for all of them, since a vendor library may try a read again."""
        self._add(self.trouble(trouble, until=until), self.is_read, times)

    def fail_writes(self, trouble: Trouble, *, times: int | None = 1, until: datetime | None = None) -> None:
        """Queue *trouble* for writes; by default for one, so that a second try would show in the ledger."""
        self._add(self.trouble(trouble, until=until), self.is_write, times)

    def heal(self) -> None:
        """Forget all queued faults."""
        with self._changed:
            self._rules.clear()

    def release(self) -> None:
        """Let every request that hangs now end; later ones hang anew."""
        if self._loop is not None and self._released is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._let_go, self._released)

    @staticmethod
    def _let_go(released: asyncio.Event) -> None:
        released.set()
        released.clear()

    # What happened

    def accept(
        self, path: str, *, new_id: str, text: str, parent: str | None = None, key: str | None = None, body: bytes = b""
    ) -> Entry:
        """Write one line of the ledger. Only the server's own handlers call this."""
        entry = Entry(at=self.clock(), path=path, id=new_id, text=text, parent=parent, key=key, body=body)
        with self._changed:
            self.ledger.append(entry)
            self._changed.notify_all()
        return entry

    def writes_seen(self) -> list[Seen]:
        """Return the writes that arrived, whatever became of them."""
        return [seen for seen in self.requests if self.is_write(seen.method, seen.path)]

    def wait_for(self, fact: Callable[[Self], bool], *, timeout_s: float = 10.0) -> bool:
        """Block until *fact* holds; call it off the loop. Return whether it came true in time."""
        with self._changed:
            return self._changed.wait_for(lambda: fact(self), timeout_s)

    async def arrived(self, count: int = 1) -> None:
        """Return once *count* requests have arrived. Raises TimeoutError."""
        if not await asyncio.to_thread(self.wait_for, lambda network: len(network.requests) >= count):
            raise TimeoutError(f"{len(self.requests)} of {count} requests arrived")

    # The server

    async def start(self, *, port: int = 0) -> None:
        """Listen on 127.0.0.1 and set ``base_url``. port: 0 takes a free one."""
        self._loop = asyncio.get_running_loop()
        self._released = asyncio.Event()
        app = web.Application(middlewares=[self._serve], client_max_size=1 << 24)
        self.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        host, bound = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{bound}"

    async def close(self) -> None:
        """Stop listening; afterwards a connection is refused. Closing twice is harmless."""
        if self._released is not None:
            self._released.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def stop(self) -> None:
        """Stop listening, from any thread but the server's own."""
        if self._loop is not None and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.close(), self._loop).result(timeout=10)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _add(self, fault: Fault, applies: Callable[[str, str], bool], times: int | None) -> None:
        with self._changed:
            self._rules.append(_Rule(fault, applies, times))

    def _take(self, method: str, path: str) -> Fault | None:
        with self._changed:
            for rule in self._rules:
                if rule.applies(method, path):
                    if rule.left is not None:
                        rule.left -= 1
                        if rule.left <= 0:
                            self._rules.remove(rule)
                    return rule.fault
        return None

    @web.middleware
    async def _serve(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.read()
        seen = Seen(
            at=self.clock(),
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=dict(request.headers),
            body=body,
        )
        fault = self._take(request.method, request.path)
        with self._changed:
            self.requests.append(seen)
            self._changed.notify_all()
        if fault is None and self.weather is not None:
            fault = self.weather(seen)
        if fault is None:
            done: web.StreamResponse = await handler(request)
            return done
        real = await handler(request) if fault.accepts else None
        return await self._spoil(request, fault, real)

    async def _spoil(self, request: web.Request, fault: Fault, real: web.Response | None) -> web.StreamResponse:
        body = real.body if real is not None and isinstance(real.body, bytes) else b"{}"
        match fault.how:
            case How.ANSWER:
                return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
            case How.HALF_JSON:
                return web.Response(body=body[: max(1, len(body) // 2)], headers=JSON)
            case How.CUT:
                cut = web.StreamResponse(headers={**JSON, "Content-Length": str(len(body))})
                await cut.prepare(request)
                await cut.write(body[: len(body) // 2])
                _hang_up(request)
                return cut
            case How.RESET:
                _hang_up(request)
                return web.Response()
            case How.HANG:
                if self._released is not None:
                    await self._released.wait()
                _hang_up(request)
                return web.Response()


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@contextmanager
def serve_in_thread(network: AnyNetwork) -> Iterator[AnyNetwork]:
    """Run *network* on a loop of its own in a thread; ``base_url`` is set inside the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-network", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(network.start(), loop).result(timeout=10)
        yield network
    finally:
        asyncio.run_coroutine_threadsafe(network.close(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
