"""One endpoint that speaks the chat-completions protocol: bounded in size and time, and no redirect is followed.

Whatever goes wrong is one error that says how to count it. What comes back is ``ModelText``, which nothing that speaks
in public takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from bot import __version__
from bot.settings import LanguageModelSettings
from handoff.drafting.asking import Question
from handoff.drafting.text import ModelText

MAX_BODY = 256 * 1024
"""Bytes of an answer to a question that allows some hundred tokens."""

PAUSE = timedelta(minutes=1)
"""After trouble the endpoint is left alone for so long; posts go on without it."""

LONGEST_PAUSE = timedelta(hours=1)
MOST_TOKENS = 1_000_000
"""A count of tokens beyond this is a mistake."""


class LanguageModelError(Exception):
    """No answer that can be used. outcome: how it is counted. pause: leave the endpoint alone for so long."""

    def __init__(self, outcome: str, why: str, *, pause: timedelta = PAUSE) -> None:
        super().__init__(why)
        self.outcome = outcome
        self.pause = pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer. tokens: what it cost, as the endpoint says; None where it says nothing sensible."""

    text: ModelText
    tokens: int | None


class LanguageModel:
    """A session with the endpoint. ``start`` asks it nothing; ``close`` twice is harmless."""

    def __init__(self, settings: LanguageModelSettings) -> None:
        self.name = settings.model
        self._url = f"{str(settings.url).rstrip('/')}/chat/completions"
        self._timeout_s = settings.timeout_s
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"Harken/{__version__}",
        }
        if settings.key is not None:
            self._headers["Authorization"] = f"Bearer {settings.key.get_secret_value()}"
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, question: Question) -> Said:
        """Return what the model says. Raises LanguageModelError."""
        if self._session is None:
            raise RuntimeError("the language model is not started")
        body = orjson.dumps(
            {
                "model": self.name,
                "messages": list(question.messages),
                "max_tokens": question.max_tokens,
                "temperature": 0,
                "stream": False,
            }
        )
        try:
            async with self._session.post(
                self._url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                _check(response.status, response.headers)
                return _said(await _read(response))
        except TimeoutError as error:
            raise LanguageModelError("timeout", f"no whole answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LanguageModelError("unavailable", f"cannot be reached: {type(error).__name__}") from error


def _check(status: int, headers: Mapping[str, str]) -> None:
    if status == 200:
        return
    if status == 429:
        raise LanguageModelError("limited", "wants fewer requests (429)", pause=_retry_after(headers))
    if status in (401, 403, 407):
        raise LanguageModelError("refused", f"refuses the key ({status}); renew it", pause=LONGEST_PAUSE)
    if 300 <= status < 400:
        raise LanguageModelError("redirected", f"redirects ({status}); configure the address it redirects to")
    raise LanguageModelError("unavailable", f"failed ({status})")


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    value = headers.get("Retry-After", "").strip()
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        return PAUSE
    return min(max(PAUSE, timedelta(seconds=int(value))), LONGEST_PAUSE)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    read = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        read += chunk
        if len(read) > MAX_BODY:
            raise LanguageModelError("oversized", f"answered with more than {MAX_BODY} bytes")
    return bytes(read)


def _said(body: bytes) -> Said:
    try:
        answer: Any = orjson.loads(body)
        text = answer["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise LanguageModelError("nonsense", "answered something else than the chat-completions protocol") from error
    if not isinstance(text, str):
        raise LanguageModelError("nonsense", "answered without text")
    return Said(text=ModelText(text), tokens=_tokens(answer))


def _tokens(answer: Mapping[str, Any]) -> int | None:
    usage = answer.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and 0 < total <= MOST_TOKENS else None
