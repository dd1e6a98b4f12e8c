"""Sources and articles, to look at."""

from __future__ import annotations

from aiohttp import web

from bot.store import report
from bot.web import intake
from bot.web.pages import render
from bot.web.parts import PARTS

PAGE = 100


async def sources(request: web.Request) -> web.StreamResponse:
    """GET /sources"""
    parts = request.app[PARTS]
    return render(request, "sources.html", sources=await parts.store.read(report.sources), now=parts.clock())


async def articles(request: web.Request) -> web.StreamResponse:
    """GET /articles"""
    text, cursor = intake.choice(request, "text"), intake.choice(request, "cursor")
    found = await request.app[PARTS].store.read(report.articles, limit=PAGE, text=text, cursor=cursor)
    return render(request, "articles.html", articles=found.items, text=text or "", next=found.next)


async def article(request: web.Request) -> web.StreamResponse:
    """GET /articles/{id}"""
    found = await request.app[PARTS].store.read(report.article, intake.row_id(request))
    return render(request, "article.html", article=found)
