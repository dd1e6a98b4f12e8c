"""A blocking library on a thread of its own: one job at a time, bounded, and cut short when its caller leaves.

``Wire`` is the requests.Session such a library talks through. It keeps each answer for us and caps what it may weigh,
follows no redirect, knows whether a request left the house, and lets another thread cut the line.
"""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from connectors.answer import MAX_BYTES, Answer
from connectors.errors import Held
from connectors.protocol import Gate, open_gate

_CHUNK = 65_536

T = TypeVar("T")


class TooBig(requests.RequestException):
    """The answer is heavier than MAX_BYTES."""


class Wire(requests.Session):
    """A session for the one thread of a ``Lane``.

    answer: the last whole answer, None while there is none. has_left: whether a byte of the last request left.
    gate: asked once, before the next first byte; what it raised is in ``held``, since libraries wrap what they catch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.answer: Answer | None = None
        self.has_left = False
        self.gate: Gate = open_gate
        self.held: Held | None = None
        self._lines: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._guard = threading.Lock()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self))

    def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        self.forget()
        response = super().request(method, url, *args, **{**options, "stream": True, "allow_redirects": False})
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > MAX_BYTES:
                response.close()
                raise TooBig(f"an answer of more than {MAX_BYTES} bytes")
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.answer = Answer(status=response.status_code, headers=headers, body=bytes(body))
        # The library sees a status and an empty object. From odd headers (limits, links, deprecation) it would raise or
        # warn, and turning a page into its own types takes it 0.3 s of the interpreter, for values nobody here reads.
        response.headers = CaseInsensitiveDict({"Content-Type": "application/json"})
        response.raw = io.BytesIO(b"{}")
        return response

    def forget(self) -> None:
        """Start anew: no answer, nothing sent."""
        self.answer, self.has_left = None, False

    def ask(self) -> None:
        """Ask the gate, if something is about to be the first byte. Raises Held."""
        if self.has_left:
            return
        gate, self.gate = self.gate, open_gate
        try:
            gate()
        except Held as held:
            self.held = held
            raise

    def cut(self) -> None:
        """End every open connection, from any thread: a read that waits on one returns at once."""
        with self._guard:
            lines = list(self._lines)
        for line in lines:
            with suppress(OSError):  # it is closed already, which is what we want
                line.shutdown(socket.SHUT_RDWR)

    def watch(self, line: socket.socket) -> None:
        with self._guard:
            self._lines.add(line)


class _Adapter(HTTPAdapter):
    """An adapter whose connections tell their ``Wire`` when they open and when something leaves."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": self._watched(HTTPConnectionPool),
            "https": self._watched(HTTPSConnectionPool),
        }

    def _watched(self, pool: type[Any]) -> type[Any]:
        wire, connection = self._wire, pool.ConnectionCls

        class Watched(connection):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                wire.watch(self.sock)

            def send(self, data: Any) -> None:
                if self.sock is None:
                    self.connect()
                wire.ask()
                wire.has_left = True
                super().send(data)

        return type(pool.__name__, (pool,), {"ConnectionCls": Watched})


class Lane:
    """One thread for one library instance. wire: what is cut when a job takes too long or nobody waits any more."""

    def __init__(self, *, name: str, wire: Wire, timeout_s: float) -> None:
        self._wire = wire
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, job: Callable[[], T]) -> T:
        """Run *job* in the thread, after those before it. Raises TimeoutError when it does not end in time."""
        async with self._turn:
            future = self._thread.submit(job)
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await asyncio.wrap_future(future)
            finally:
                if not future.done():
                    future.cancel()
                    self._wire.cut()

    def close(self) -> None:
        """End the thread, and what it is doing. Closing twice is harmless."""
        self._wire.cut()
        with suppress(RuntimeError):  # closed before
            self._thread.submit(self._wire.close)
        self._thread.shutdown(wait=False)
