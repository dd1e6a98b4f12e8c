"""One desk's HTTP: bounded, without redirects or proxies from the environment, and with our errors only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeAlias

import aiohttp
import orjson
from pydantic import AfterValidator, HttpUrl

from handoff.errors import DeskAuthFailed, DeskError, DeskLimited, DeskRejected, DeskUnavailable
from handoff.registry import Clock

MAX_BODY = 8 * 1024 * 1024
"""No desk's answer to us comes near this; a bigger one is broken or hostile."""

LONGEST_WAIT = timedelta(days=1)
"""A Retry-After beyond this is taken for a mistake, so that it cannot stop a desk for ever."""

_LATER = frozenset({408, 409, 421, 423, 425})
_RESETS = ("ratelimit-reset", "rate-limit-reset", "x-rate-limit-reset")


def _without_credentials(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("credentials have keys of their own; take them out of the address")
    return url


Address: TypeAlias = Annotated[HttpUrl, AfterValidator(_without_credentials)]
"""Where a desk is: http or https, without a user or password in it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a desk answered. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body as JSON, None when it is something else."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Rest:
    """A session with one desk. ``start`` asks the desk nothing; ``close`` twice is harmless."""

    def __init__(self, *, name: str, root: str, headers: Mapping[str, str], timeout_s: float, clock: Clock) -> None:
        self.name = name
        self.root = root
        self._headers = {"Accept": "application/json", "User-Agent": "Harken", **headers}
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return whatever the desk answers. Raises DeskUnavailable when nothing readable came back."""
        if self._session is None:
            raise RuntimeError(f"the desk {self.name} is not entered")
        sent = {"Content-Type": "application/json", **(headers or {})} if body is not None else headers
        try:
            async with self._session.request(
                method, self.root + path, params=params, data=body, headers=sent, allow_redirects=False
            ) as response:
                read = bytearray()
                async for chunk in response.content.iter_chunked(65_536):
                    read += chunk
                    if len(read) > MAX_BODY:
                        raise DeskUnavailable(f"{self.name} answered with more than {MAX_BODY} bytes")
                lower = {key.lower(): value for key, value in response.headers.items()}
                return Answer(response.status, lower, bytes(read))
        except TimeoutError as error:
            raise DeskUnavailable(f"{self.name} did not answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise DeskUnavailable(f"{self.name} cannot be reached: {type(error).__name__}") from error

    async def get(self, path: str, *, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of a successful GET. Raises as ``failure`` says; DeskUnavailable when it is no JSON."""
        return self.content(await self.ask("GET", path, params=params))

    async def post(self, path: str, data: Any, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to *data* sent as JSON, whatever its status."""
        return await self.ask("POST", path, body=orjson.dumps(data), headers=headers)

    def content(self, answer: Answer) -> Any:
        """Return the JSON of a success. Raises ``failure`` for the rest; DeskUnavailable when it is no JSON."""
        if not answer.is_success:
            raise self.failure(answer)
        content = answer.json()
        if content is None:
            raise DeskUnavailable(f"{self.name} answered {answer.status} without readable JSON; check its address")
        return content

    def nonsense(self, what: str) -> DeskUnavailable:
        """Return the error for JSON of another shape than documented."""
        return DeskUnavailable(f"{self.name} answered without {what}; check that its address is the desk's own")

    def failure(self, answer: Answer) -> DeskError:
        """Return the error that *answer*, no success, stands for.

        A refusal counts as the desk's own word only when it is JSON: a page of HTML comes from a proxy or a wrong
        address, and tells nothing about the ticket.
        """
        status, now = answer.status, self._clock()
        if status == 429:
            return DeskLimited(f"{self.name} wants fewer requests", until=wait_until(answer.headers, now=now))
        if status == 503 and "retry-after" in answer.headers:
            return DeskLimited(f"{self.name} is busy", until=wait_until(answer.headers, now=now))
        if status in (401, 403, 407):
            return DeskAuthFailed(f"{self.name} refuses the credentials ({status}); renew them or widen their rights")
        if 300 <= status < 400:
            return DeskUnavailable(f"{self.name} redirects ({status}); configure the address it redirects to")
        if not 400 <= status < 500 or status in _LATER:
            return DeskUnavailable(f"{self.name} failed ({status})")
        if answer.json() is None:
            return DeskUnavailable(f"{self.name} answered {status} without JSON; check its address")
        return DeskRejected(f"{self.name} refuses the ticket ({status})")


def wait_until(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """Return when *headers* (names in lower case) allow the next request, None when they do not say.

    Retry-After is seconds or a date (RFC 9110, section 10.2.3); the reset headers are seconds from now.
    """
    for name in ("retry-after", *_RESETS):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            wait = float(value)
        except ValueError:
            return _from_date(value, now=now)
        if math.isnan(wait) or wait < 0:
            return None
        return now + min(LONGEST_WAIT, timedelta(seconds=min(wait, LONGEST_WAIT.total_seconds())))
    return None


def _from_date(value: str, *, now: datetime) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(date.astimezone(UTC), now), now + LONGEST_WAIT)


def ticket_id(value: object) -> str | None:
    """Return *value* as a ticket's id when it is one: a positive whole number, also as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 30:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return None
