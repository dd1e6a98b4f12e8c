"""The OpenAPI 3.1 document, made from the table of routes and the very types that the answers are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter

from bot.web.route import Doc, Route

DOCUMENT = web.AppKey("openapi", bytes)
_WHOLE = ("SourceView", "LabelSet", "Due", "SaidView", "RewindView")
"""Lists that come in one part: there are few."""
_REF = "#/components/schemas/{model}"


class ProblemDocument(BaseModel):
    """An error (RFC 9457). errors: each bad field of a body."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] | None = None


async def page(request: web.Request) -> web.StreamResponse:
    """GET /api/openapi.json"""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


def plain(path: str) -> str:
    """Return a route's path as OpenAPI writes it: {id:[0-9]+} becomes {id}."""
    return re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", path)


def document(routes: Iterable[Route], *, version: str) -> bytes:
    """Return the document of those *routes* that have a doc."""
    described = [(route, route.doc) for route in routes if route.doc is not None]
    inputs: list[tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        ("problem", "serialization", TypeAdapter(ProblemDocument))
    ]
    for route, doc in described:
        inputs.append((f"answer {route.method} {route.path}", "serialization", TypeAdapter(doc.answer)))
        if doc.body is not None:
            inputs.append((f"body {route.method} {route.path}", "validation", TypeAdapter(doc.body)))
    schemas, shared = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    of = {key: schema for (key, _), schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for route, doc in described:
        paths.setdefault(plain(route.path), {})[route.method.lower()] = _operation(route, doc, of)
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Harken", "version": version, "description": _ABOUT},
            "servers": [{"url": "/"}],
            "security": [{"key": []}],
            "paths": paths,
            "components": {
                "schemas": shared.get("$defs", {}),
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "harken_<id>_<secret>"}},
            },
        }
    )


_ABOUT = (
    "Posts, cases and replies of one Harken. Every list is cut by an opaque cursor: pass `next` back as `cursor`. "
    "Errors are application/problem+json. GET also takes the session cookie of a signed-in browser."
)


def _operation(route: Route, doc: Doc, of: dict[Any, Any]) -> dict[str, Any]:
    answer = of[f"answer {route.method} {route.path}"]
    if doc.paged:
        answer = {
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {"type": "array", "items": answer},
                "next": {"type": ["string", "null"], "description": "cursor of the next part; null at the end"},
            },
        }
    problem = {"content": {"application/problem+json": {"schema": of["problem"]}}}
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z]+', '_', plain(route.path)).strip('_')}",
        "summary": doc.summary,
        "description": f"Takes the role {route.access.value} or above.",
        "parameters": _parameters(route, doc),
        "responses": {
            str(doc.status): {"description": doc.summary, "content": {"application/json": {"schema": answer}}},
            "default": {"description": "Refused; the detail says why", **problem},
        },
    }
    if doc.body is not None:
        body = of[f"body {route.method} {route.path}"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _parameters(route: Route, doc: Doc) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, pattern in re.findall(r"\{(\w+)(:[^/]*)?\}", route.path):
        schema = {"type": "integer", "minimum": 0} if pattern else {"type": "string"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    for name, allowed in doc.query.items():
        wanted: dict[str, Any] = {"type": "string", **({"enum": list(allowed)} if allowed else {})}
        found.append({"name": name, "in": "query", "schema": wanted})
    if doc.paged and doc.answer.__name__ not in _WHOLE:
        found.append({"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200}})
        found.append({"name": "cursor", "in": "query", "schema": {"type": "string"}})
    return found
