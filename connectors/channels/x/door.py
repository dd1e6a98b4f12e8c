"""The session tweepy talks through: one bounded request, and X's refusals in our words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
from yarl import URL

from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.protocol import Gate, open_gate

MAX_BYTES = 8 << 20  # 100 posts with everything are well under 1 MiB; docs/reliability.md, bombs
CONNECT_S = 10.0
# docs.x.com/x-api/fundamentals/rate-limits: 15-minute windows, and daily ones for POST /2/tweets
LIMITS = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")
# docs.x.com/x-api/fundamentals/response-codes-and-errors: problem types that a person must settle with X
NOT_OURS = ("client-forbidden", "oauth1-permissions", "unsupported-authentication", "credits", "usage-capped")
ACCOUNT_TROUBLE = ("suspended", "locked", "app permissions")


_GATE: ContextVar[Gate] = ContextVar("gate", default=open_gate)


@contextmanager
def gated(gate: Gate) -> Iterator[None]:
    """Let the requests inside ask *gate* before their first byte; tweepy hands nothing through."""
    before = _GATE.set(gate)
    try:
        yield
    finally:
        _GATE.reset(before)


class NotThere(Rejected):
    """X has no such post, or no longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole 2xx answer; looks to tweepy as much like aiohttp's response as it asks for."""

    status: int
    reason: str
    headers: Mapping[str, str]
    data: dict[str, Any]

    async def read(self) -> bytes:
        return b""


class Door:
    """A session that sends tweepy's requests to *base_url* (tweepy has X's old host written in)."""

    def __init__(self, *, base_url: str, timeout_s: float) -> None:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s))
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_ask)  # the name deceives: aiohttp calls it before it writes them
        # No cookies: nothing the network sets may tie our requests together or outlive them.
        self._session = aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace]
        )
        self._base = URL(base_url)

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str | URL,
        *,
        params: Mapping[str, Any] | None,
        json: Any,
        headers: Mapping[str, str],
    ) -> AsyncIterator[Answer]:
        """Ask once. Raises our errors only, which pass through tweepy as they are."""
        old = URL(url)
        target = old.with_scheme(self._base.scheme).with_host(self._base.host or "").with_port(self._base.port)
        is_write = method != "GET"
        unknown: type[ConnectorError] = AmbiguousWrite if is_write else Unavailable
        try:
            async with self._session.request(
                method,
                target,
                params=params,
                json=json,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=_GATE.get(),
            ) as response:
                body = await _read(response.content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(f"X cannot be reached: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, _TooLarge) as error:
            raise unknown(f"X gave no whole answer: {type(error).__name__}") from error
        data = parse(body)
        if not 200 <= response.status < 300:
            raise refusal(response.status, response.headers, data, is_write=is_write)
        if data is None:
            raise unknown(f"X answered {response.status} with something else than a JSON object")
        yield Answer(response.status, response.reason or "", response.headers, data)


class _TooLarge(Exception):
    pass


async def _ask(session: aiohttp.ClientSession, context: SimpleNamespace, sent: object) -> None:
    context.trace_request_ctx()


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BYTES:
            raise _TooLarge
    return bytes(body)


def parse(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in *body*, or None when there is none."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        # One lone surrogate or broken byte in one post must not hide its page-mates: read again, forgivingly.
        try:
            data = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict) else None


def refusal(
    status: int, headers: Mapping[str, str], problem: dict[str, Any] | None, *, is_write: bool
) -> ConnectorError:
    """Return what an answer that is not 2xx means. problem: None when the body was no JSON: X itself did not speak."""
    match status:
        case 429:
            return RateLimited("X wants a pause (HTTP 429)", until=reset(headers))
        case 401:
            return AuthFailed("X refuses the credentials (HTTP 401): renew them")
        case 402:
            return AuthFailed("X wants payment (HTTP 402): top up the project's credits")
        case 403 if problem is not None:
            return _forbidden(problem, is_write=is_write)
        case _ if not is_write:
            return Unavailable(f"X answered HTTP {status}")
        case 404 if problem is not None:
            return NotThere("X has no such post (HTTP 404)")
        case _ if 400 <= status < 500 and status != 408 and problem is not None:
            return Rejected(f"X refuses the reply (HTTP {status})")
        case _:
            return AmbiguousWrite(f"X answered HTTP {status}; the reply may be public")


def _forbidden(problem: dict[str, Any], *, is_write: bool) -> ConnectorError:
    kind = str(problem.get("type", "")).rpartition("/")[2]
    said = f"{problem.get('title')} {problem.get('detail')} {problem.get('errors')}".lower()
    if not is_write or kind in NOT_OURS or any(word in said for word in ACCOUNT_TROUBLE):
        return AuthFailed("X forbids this to the app or account (HTTP 403): check its access level and permissions")
    if "duplicate" in said:
        return AmbiguousWrite("X has this text already (HTTP 403 duplicate); it may be ours")
    if "deleted or not visible" in said:
        return Rejected("X refuses the reply (HTTP 403): the post is gone or hidden")
    if "too long" in said:
        return Rejected("X refuses the reply (HTTP 403): it is too long")
    return Rejected("X does not permit this reply (HTTP 403): the author must mention or quote the account")


def reset(headers: Mapping[str, str]) -> datetime | None:
    """Return when the spent limit opens again (aware UTC), None when X did not say."""
    spent = [name for name in LIMITS if headers.get(f"{name}-remaining", "").strip() == "0"]
    times = [_time(headers.get(f"{name}-reset")) for name in spent or LIMITS[:1]]
    return max((at for at in times if at is not None), default=None)


def _time(epoch_s: str | None) -> datetime | None:
    if epoch_s is None or not epoch_s.strip().isdecimal():
        return None
    try:
        return datetime.fromtimestamp(int(epoch_s), UTC)
    except (ValueError, OverflowError, OSError):
        return None
