"""Sources, to look at."""

from __future__ import annotations

from aiohttp import web

from bot.store import report
from bot.web.pages import render
from bot.web.parts import PARTS


async def sources(request: web.Request) -> web.StreamResponse:
    """GET /sources"""
    parts = request.app[PARTS]
    return render(request, "sources.html", sources=await parts.store.read(report.sources), now=parts.clock())
