"""Logs: one JSON object a line (or one readable line on a terminal), UTC, events and keys, never text or tokens."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

LEVELS = ("debug", "info", "warning", "error")

# These print headers, URLs with tokens or whole bodies when they are allowed to speak freely.
TALKATIVE = (
    "tweepy",
    "prawcore",
    "praw",
    "urllib3",
    "httpx",
    "httpcore",
    "oauthlib",
    "requests_oauthlib",
    "aiohttp",
    "asyncio",
)


def set_up(*, level: str, as_json: bool) -> None:
    """Send our events and every library's warnings to stderr."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _one_line,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The pretty one prints local variables, and with them tokens and texts.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if as_json else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    # It warns whenever a look takes longer than its interval, and calls a tick cancelled at the end an error; what a
    # tick itself meets is logged by bot.schedule.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.server").addFilter(_unreadable_request)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _unreadable_request(record: logging.LogRecord) -> bool:
    """Keep a request that is no HTTP out of the log: its bytes may be a token, and anybody may send many."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | RequestPayloadError)


def _one_line(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape control characters, so that nobody's handle can write a second log line."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event
