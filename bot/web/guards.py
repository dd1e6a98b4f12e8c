"""What the bot may say alone: the page, and the API beside it. Brakes are released and authors muted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from bot.store import lately, report, verdicts, wishes
from bot.web import intake
from bot.web.api import Nothing, json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, Parts, visitor
from handoff import automation
from handoff.automation import PairView

PAGE = 100

BACK = "/guards"

DO: Mapping[str, tuple[Any, Mapping[str, bool]]] = {
    "mute": (wishes.mute, {"on": True}),
    "unmute": (wishes.mute, {"on": False}),
    "opt-out": (wishes.opt, {"out": True}),
    "opt-in": (wishes.opt, {"out": False}),
}
"""What a person may do about an author, by the last word of the path."""


async def overview(parts: Parts) -> Sequence[PairView]:
    """Return how each intent stands on each source."""
    policy = parts.policy
    records = await parts.store.read(verdicts.everything, now=parts.clock(), within=policy.judged_within)
    sources = [each.name for each in await parts.store.read(report.sources)]
    return automation.overview(policy, records, sources)


async def page(request: web.Request) -> web.StreamResponse:
    """GET /guards"""
    parts, cursor = request.app[PARTS], intake.choice(request, "cursor")
    authors = await parts.store.read(wishes.page, limit=PAGE, cursor=cursor)
    return render(
        request,
        "guards.html",
        pairs=await overview(parts),
        brakes=await parts.store.read(lately.brakes),
        authors=authors.items,
        later=None if authors.next is None else f"{BACK}?cursor={authors.next}#authors",
        guards=automation.roster(parts.policy),
    )


async def release(request: web.Request) -> web.StreamResponse:
    """POST /guards/brakes/{article}/release"""
    await _release(request)
    raise web.HTTPSeeOther(f"{BACK}#brakes")


async def author(request: web.Request) -> web.StreamResponse:
    """POST /authors/{id}/mute, unmute, opt-out or opt-in; ``back`` is a case to return to."""
    await _about(request)
    back = request[FORM].get("back", "")
    is_case = back.isascii() and back.isdigit() and len(back) < 19
    raise web.HTTPSeeOther(f"/cases/{back}" if is_case else f"{BACK}#authors")


async def api_pairs(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/earned"""
    parts = request.app[PARTS]
    return json({"items": await overview(parts), "next": None})


async def api_guards(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/guards"""
    return json({"items": automation.roster(request.app[PARTS].policy), "next": None})


async def api_brakes(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/guards/brakes"""
    return json({"items": await request.app[PARTS].store.read(lately.brakes), "next": None})


async def api_release(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/guards/brakes/{article}/release"""
    await intake.document(request, Nothing)
    return json(await _release(request))


async def api_authors(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/authors: those whom the bot leaves alone"""
    limit = intake.number(request, "limit", default=50, lowest=1, highest=200)
    cursor = intake.choice(request, "cursor")
    return json(await request.app[PARTS].store.read(wishes.page, limit=limit, cursor=cursor))


async def api_author(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/authors/{id}"""
    return json(await request.app[PARTS].store.read(wishes.one, intake.row_id(request)))


async def api_about(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/authors/{id}/{do}"""
    await intake.document(request, Nothing)
    return json(await _about(request))


async def _release(request: web.Request) -> lately.Brake:
    parts, slug = request.app[PARTS], request.match_info["article"]
    return await parts.store.write(lately.release, slug, user_id=visitor(request).user.id, now=parts.clock())


async def _about(request: web.Request) -> wishes.WishView:
    parts, (act, how) = request.app[PARTS], DO[request.path.rpartition("/")[2]]
    who = visitor(request).user.id
    view: wishes.WishView = await parts.store.write(act, intake.row_id(request), user_id=who, now=parts.clock(), **how)
    return view
