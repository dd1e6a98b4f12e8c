"""The log: events and keys; what a stranger sends instead of HTTP is not in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot import logs
from bot.web.site import Site
from tests.bot.web.conftest import clock, day, options, site

__all__ = ["clock", "day", "options", "site"]


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    server = logging.getLogger("aiohttp.server")
    logs.set_up(level="debug", as_json=True)
    yield capfd
    server.filters.clear()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer harken_hidden\x00\r\n\r\n",
        b"GET /sign-in/link/hidden\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"hidden\r\n\r\n",
        b"POST /hooks/x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nhidden",
    ],
)
async def test_what_is_no_http_leaves_nothing_in_the_log(
    request_: bytes, site: Site, told: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(request_)
    answer = await reader.read(64)
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer
    printed = told.readouterr().err
    assert "hidden" not in printed
    assert "Traceback" not in printed
