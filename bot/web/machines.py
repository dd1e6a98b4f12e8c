"""What machines ask: is it alive, is it ready, how does it fare; and the posts they push to us. And static files."""

from __future__ import annotations

import orjson
import structlog
from aiohttp import web

from bot.web import intake
from bot.web.pages import STATIC_TYPES, static
from bot.web.parts import PARTS
from bot.web.problems import Problem

log = structlog.get_logger()

DELIVERY = {
    400: "the delivery cannot be read",
    401: "the signature, its time or the secret is not right",
    404: "no source of that name takes deliveries",
    409: "a delivery of this id with another body was taken before",
    413: "the delivery is too large",
}


async def livez(request: web.Request) -> web.StreamResponse:
    """GET /livez: the loop turns."""
    return web.Response(body=b'{"status":"ok"}', content_type="application/json")


async def readyz(request: web.Request) -> web.StreamResponse:
    """GET /readyz: 200 or 503, with a terse row for each component."""
    ready, components = await request.app[PARTS].ready()
    body = orjson.dumps({"status": "ok" if ready else "not ready", "components": components}, default=str)
    return web.Response(body=body, status=200 if ready else 503, content_type="application/json")


async def metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics: Prometheus text format."""
    return web.Response(
        body=request.app[PARTS].metrics(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def hook(request: web.Request) -> web.StreamResponse:
    """POST /hooks/{source}: 202 only after what was pushed is committed."""
    body = await intake.body(request, limit=intake.MAX_DELIVERY)
    status = await request.app[PARTS].receive(request.match_info["source"], dict(request.headers), body)
    if status in DELIVERY:
        raise Problem(status, DELIVERY[status])
    if not 200 <= status < 300:
        raise Problem(status, "the delivery was not taken")
    return web.Response(status=status)


async def asset(request: web.Request) -> web.StreamResponse:
    """GET /static/{name}"""
    name = request.match_info["name"]
    if name not in static():
        raise Problem(404, "there is nothing here")
    content, digest = static()[name]
    headers = {"ETag": f'"{digest}"', "Cache-Control": "public, max-age=31536000, immutable"}
    if request.query.get("v") != digest:
        headers["Cache-Control"] = "public, max-age=60"
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=content, headers=headers, content_type=STATIC_TYPES[name.rpartition(".")[2]], charset="utf-8"
    )
