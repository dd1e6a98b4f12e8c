"""One exchange with Reddit: sent once, bounded in time and size, refusals in our words.

praw's own way repeats writes after a 5xx or a time-out, sleeps through rate limits and ignores the time-out it is given
(prawcore 4.0.0: sessions.py, rate_limit.py), so praw is handed this one.
"""

from __future__ import annotations

import io
import json
import math
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.errors import AmbiguousWrite, AuthFailed, RateLimited, Rejected, Unavailable
from connectors.protocol import Gate, open_gate
from connectors.registry import Clock

TOKEN_PATH = "/api/v1/access_token"  # noqa: S105
MAX_BYTES = 32 << 20  # 100 submissions of 40,000 characters, twice (markdown and HTML), with room
LONGEST_WAIT = timedelta(days=1)  # a reset further away than this is nonsense
ALLOWANCE = ("x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset")


class TokenError(Exception):
    """The access token is not taken, or no longer."""


class NotFound(Unavailable):
    """Nothing is at that address."""


class Answer(requests.Response):
    """An answer read to its end; holds no connection."""

    def json(self, **kwargs: Any) -> Any:
        """Return the body as data. Raises ValueError, whatever is wrong with it."""
        try:
            return json.loads(self.content, parse_int=_bounded_int)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class Wire(HTTPAdapter):
    """Opens connections and remembers them, so that a hanging exchange can be cut from another thread.

    gate: asked once, before the next first byte leaves.
    """

    def __init__(self) -> None:
        self.opened: WeakSet[HTTPConnection] = WeakSet()
        self.gate: Gate = open_gate
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        opened, ask = self.opened, self._ask

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self)

            def send(self, data: Any) -> None:
                if self.sock is None:
                    self.connect()
                ask()
                super().send(data)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened.add(self)

            def send(self, data: Any) -> None:
                if self.sock is None:
                    self.connect()
                ask()
                super().send(data)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = Tls

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def _ask(self) -> None:
        gate, self.gate = self.gate, open_gate
        gate()

    def cut(self) -> None:
        """End every open connection; whoever reads from one gets an error at once."""
        for connection in list(self.opened):
            if connection.sock is not None:
                with suppress(OSError):
                    # Not the TLS object's own shutdown, which changes it under its reader's feet.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


class Door:
    """Used by one thread; only ``cut`` may be called from another. write_left: a write was begun since ``reset``.

    gate: asked before the first byte of a write leaves.
    """

    def __init__(self, *, timeout_s: float, clock: Clock) -> None:
        self.timeout_s = timeout_s
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy and no .netrc from the environment
        self.token_is_new = False
        self.write_left = False
        self.gate: Gate = open_gate
        self._clock = clock
        self._until: datetime | None = None
        self._stopped = threading.Event()
        self._wire = Wire()
        self.session.mount("http://", self._wire)
        self.session.mount("https://", self._wire)

    def reset(self) -> None:
        """Begin a new errand."""
        self.token_is_new = self.write_left = False
        self._stopped.clear()

    def cut(self) -> None:
        """End the exchange under way and begin no other until ``reset``."""
        self._stopped.set()
        self._wire.cut()

    def exchange(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Send one request, once, and return its 2xx answer. Raises ours for everything else, TokenError for a 401."""
        if self._stopped.is_set():
            raise Unavailable("the call was cancelled")
        if self._until is not None and self._clock() < self._until:
            raise RateLimited("Reddit's allowance for this client is used up", until=self._until)
        is_token = url.endswith(TOKEN_PATH)
        is_write = method != "GET" and not is_token
        if is_write:
            self.session.close()  # a kept connection that dies now would leave the write's fate unknown
            self.write_left = True
        self._wire.gate = self.gate if is_write else open_gate
        kwargs |= {"timeout": self.timeout_s, "allow_redirects": False, "stream": True}
        ends_at = time.monotonic() + self.timeout_s
        try:
            with self.session.request(method, url, **kwargs) as raw:
                answer = _read(raw, ends_at=ends_at)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if is_write and not _never_left(error):
                raise AmbiguousWrite("Reddit did not answer; the reply may be public") from error
            raise Unavailable(f"Reddit does not answer ({type(error).__name__})") from error
        if is_token:
            self._judge_token(answer)
        elif is_write:
            self._judge_write(answer)
        else:
            self._judge_read(answer)
        self._note_allowance(answer.headers)
        for header in ALLOWANCE:
            answer.headers.pop(header, None)  # prawcore would sleep on them, in the thread
        return answer

    def _judge_token(self, answer: Answer) -> None:
        self._judge(answer)
        if answer.status_code in (400, 401, 403):
            raise AuthFailed(f"Reddit refuses the app ({answer.status_code}); check client_id and client_secret")
        if answer.status_code >= 300:
            raise Unavailable(f"Reddit's sign-in answers {answer.status_code}")
        try:
            token = answer.json()
        except ValueError as error:
            raise Unavailable("Reddit's sign-in answers nonsense") from error
        match token:
            case {"error": str(code)}:
                raise AuthFailed(f"Reddit refuses the sign-in ({code[:40]}); check the account's credentials")
            case {"access_token": str(), "expires_in": int(), "scope": str()}:
                self.token_is_new = True
            case _:
                raise Unavailable("Reddit's sign-in answers nonsense")

    def _judge_write(self, answer: Answer) -> None:
        status = answer.status_code
        if status >= 500 or status == 408 or 300 <= status < 400:
            raise AmbiguousWrite(f"Reddit answers {status}; the reply may be public")
        self._judge(answer)
        if status == 401:
            raise TokenError
        if status >= 400:
            raise Rejected(f"Reddit refuses the reply ({status})")

    def _judge_read(self, answer: Answer) -> None:
        self._judge(answer)
        match answer.status_code:
            case status if status < 300:
                return
            case status if status < 400:
                raise Unavailable(f"Reddit redirects ({status}); check the subreddit's name")
            case 401:
                raise TokenError
            case 403 | 404 if reason := _reason(answer):
                # One subreddit's affair; the credentials are good.
                raise NotFound(f"Reddit does not show this: {reason}; check the subreddit or leave it out")
            case 403:
                raise AuthFailed("Reddit forbids this (403); check the account and the app")
            case 404:
                raise NotFound("Reddit has nothing there (404); check the name")
            case status:
                raise Unavailable(f"Reddit refuses the request ({status})")

    def _judge(self, answer: Answer) -> None:
        status, headers = answer.status_code, answer.headers
        if status == 429:
            raise RateLimited("Reddit wants us to wait (429)", until=until(headers, now=self._clock()))
        if status >= 500 or status == 408:
            raise Unavailable(f"Reddit answers {status}")
        if status == 403 and "insufficient_scope" in headers.get("www-authenticate", ""):
            raise AuthFailed("the app lacks a scope: it needs those that docs/channels/reddit.md names")

    def _note_allowance(self, headers: Mapping[str, str]) -> None:
        left, reset = number(headers.get("x-ratelimit-remaining")), number(headers.get("x-ratelimit-reset"))
        if left is not None and reset is not None:
            self._until = self._clock() + wait(reset) if left <= 0 else None


def _read(raw: requests.Response, *, ends_at: float) -> Answer:
    body = bytearray()
    # read1 returns with whatever has come, so that a body that drips is seen in time.
    while chunk := raw.raw.read1(1 << 16, decode_content=True):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ValueError("the answer is too long")
        if time.monotonic() > ends_at:
            raise TimeoutError("the answer takes too long")
    answer = Answer()
    answer.status_code, answer.url, answer.headers = raw.status_code, raw.url, raw.headers
    answer.raw = io.BytesIO(body)
    return answer


def _reason(answer: Answer) -> str | None:
    """Return why a subreddit cannot be seen: private, banned, quarantined ..."""
    try:
        match answer.json():
            case {"reason": str(reason)} if re.fullmatch(r"[a-z_]{1,40}", reason):
                return reason.replace("_", " ")
    except ValueError:
        pass  # a page of HTML gives no reason
    return None


def _never_left(error: Exception) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def _bounded_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 else math.inf  # Python refuses 5,000 digits, and the page with them


def number(value: object) -> float | None:
    """Return *value* as a finite number, None when it is none."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def wait(seconds: float) -> timedelta:
    """Return *seconds* as a time one may wait."""
    return timedelta(seconds=max(0.0, min(seconds, LONGEST_WAIT.total_seconds())))


def until(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """Return when a 429 ends, as ``Retry-After`` (seconds or a date) or Reddit's own headers say."""
    after = headers.get("retry-after", "")
    for seconds in (number(after), number(headers.get("x-ratelimit-reset"))):
        if seconds is not None:
            return now + wait(seconds)
    try:
        return min(parsedate_to_datetime(after).astimezone(UTC), now + LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None
