"""What people corrected, for a lead to review; and what the heads were taught by it, with the way back."""

from __future__ import annotations

from aiohttp import web

from bot.store import teaching
from bot.web import intake
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, visitor
from bot.web.problems import Problem

REVIEWS = {"approve": True, "reject": False}
BACK = "/teaching"


async def page(request: web.Request) -> web.StreamResponse:
    """GET /teaching"""
    parts = request.app[PARTS]
    found = await parts.store.read(teaching.overview)
    return render(request, "teaching.html", teaching=found, me=visitor(request).user.id)


async def review(request: web.Request) -> web.StreamResponse:
    """POST /teaching/corrections/{id}: ``do`` is approve or reject."""
    parts, do = request.app[PARTS], request[FORM].get("do", "")
    if do not in REVIEWS:
        raise Problem(400, f"do must be one of: {', '.join(REVIEWS)}")
    await parts.store.write(
        teaching.review,
        intake.row_id(request),
        approve=REVIEWS[do],
        user_id=visitor(request).user.id,
        now=parts.clock(),
    )
    raise web.HTTPSeeOther(BACK)


async def accept(request: web.Request) -> web.StreamResponse:
    """POST /teaching/revisions/{id}/accept"""
    parts = request.app[PARTS]
    user_id, now = visitor(request).user.id, parts.clock()
    await parts.store.write(teaching.accept, intake.row_id(request), user_id=user_id, now=now)
    raise web.HTTPSeeOther(BACK)


async def undo(request: web.Request) -> web.StreamResponse:
    """POST /teaching/undo"""
    parts = request.app[PARTS]
    await parts.store.write(teaching.undo, user_id=visitor(request).user.id, now=parts.clock())
    raise web.HTTPSeeOther(BACK)


async def refit(request: web.Request) -> web.StreamResponse:
    """POST /teaching/refit"""
    parts = request.app[PARTS]
    await parts.store.write(teaching.ask, user_id=visitor(request).user.id, now=parts.clock())
    raise web.HTTPSeeOther(BACK)
