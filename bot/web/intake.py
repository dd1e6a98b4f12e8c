"""Reads what a request brings, bounded and checked; what does not fit ends as a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.settings import said
from bot.web.problems import Problem

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY = 64 * 1024
MAX_FORM = 256 * 1024
"""A long article in a script of three bytes a letter, each written with three signs, takes more than MAX_BODY."""
MAX_DELIVERY = 1024 * 1024
MAX_FIELDS = 50
MAX_QUERY = 300


async def body(request: web.Request, *, limit: int = MAX_BODY) -> bytes:
    """Return the body. Raises Problem 413 as soon as it is longer than *limit* bytes."""
    if request.content_length is not None and request.content_length > limit:
        raise Problem(413, f"the body may have {limit} bytes at most")
    taken = bytearray()
    try:
        async for part in request.content.iter_chunked(16_384):
            taken += part
            if len(taken) > limit:
                raise Problem(413, f"the body may have {limit} bytes at most")
    except web.RequestPayloadError as error:
        raise Problem(400, "the body is not in the encoding that its headers name") from error
    return bytes(taken)


async def form(request: web.Request) -> Mapping[str, str]:
    """Return a posted form's fields; of a repeated one the last."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "forms come as application/x-www-form-urlencoded")
    raw = await body(request, limit=MAX_FORM)
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise Problem(400, "the form cannot be read") from error
    return dict(pairs)


async def document(request: web.Request, model: type[Model], *, limit: int = MAX_BODY) -> Model:
    """Return a posted JSON document as *model*. Raises Problem 400, 413, 415 or 422, naming each bad field."""
    raw = await body(request, limit=limit)
    if raw and request.content_type != "application/json":
        raise Problem(415, "send application/json")
    try:
        return model.model_validate(orjson.loads(raw or b"{}"))
    except orjson.JSONDecodeError as error:
        raise Problem(400, "the body is no JSON document") from error
    except ValidationError as error:
        errors = [{"field": ".".join(map(str, each["loc"])), "message": said(each["msg"])} for each in error.errors()]
        raise Problem(422, "some fields cannot be taken", errors=errors) from error


def choice(request: web.Request, name: str, allowed: Sequence[str] | None = None) -> str | None:
    """Return a query parameter, None when absent or empty. Raises Problem 400, naming what is allowed."""
    value = request.query.get(name, "").strip()
    if not value:
        return None
    _readable(name, value)
    if allowed is not None and value not in allowed:
        raise Problem(400, f"{name} must be one of: {', '.join(allowed)}")
    return value


def choices(request: web.Request, name: str) -> list[str]:
    """Return every value of a repeated query parameter, empty ones left out. Raises Problem 400."""
    values = [value.strip() for value in request.query.getall(name, []) if value.strip()]
    for value in values:
        _readable(name, value)
    return list(dict.fromkeys(values))


def _readable(name: str, value: str) -> None:
    if len(value) > MAX_QUERY or "\x00" in value or not value.isprintable():
        raise Problem(400, f"{name} cannot be read")


def number(request: web.Request, name: str, *, default: int, lowest: int, highest: int) -> int:
    """Return a whole number from the query. Raises Problem 400."""
    value = request.query.get(name, "")
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 19 and lowest <= int(value) <= highest):
        raise Problem(400, f"{name} must be a whole number from {lowest} to {highest}")
    return int(value)


def row_id(request: web.Request, name: str = "id") -> int:
    """Return the id in the path; the route lets only short digits through."""
    return int(request.match_info[name])


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """Say whether a box is ticked."""
    return fields.get(name) == "1"
