"""Incidents: what bursts, what belongs to it, and what people decide; for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.store import campaigns, incident_steps, incidents
from bot.store.campaigns import MAX_PACE
from bot.store.incidents import IncidentView, LinkedView, Timeline
from bot.store.refusals import Conflict, Invalid
from bot.web import intake
from bot.web.api import Nothing, json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, visitor
from handoff.incident import Part

PAGE = 100
WIDTH, HEIGHT = 600, 60
"""Of the timeline, in units of its own."""

PARTS_OF = {"answer": Part.ANSWER, "follow_up": Part.FOLLOW_UP}
FILTERS = {"state": ("open", "closed")}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChoiceBody(_Body):
    """part: answer or follow_up. article: the slug of what is published."""

    part: Annotated[str, StringConstraints(pattern="^(answer|follow_up)$")] = "answer"
    article: Annotated[str, StringConstraints(max_length=200)]


class StartBody(_Body):
    """part: answer or follow_up. pace: replies a minute; left out: as before."""

    part: Annotated[str, StringConstraints(pattern="^(answer|follow_up)$")] = "answer"
    pace: int | None = Field(None, ge=1, le=MAX_PACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of the timeline, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float


async def page(request: web.Request) -> web.StreamResponse:
    """GET /incidents"""
    found = await request.app[PARTS].store.read(incidents.all_of)
    return render(request, "incidents.html", incidents=found)


async def one(request: web.Request) -> web.StreamResponse:
    """GET /incidents/{id}; ``before`` pages through the posts."""
    return await _show(request)


async def choose(request: web.Request) -> web.StreamResponse:
    """POST /incidents/{id}/choose: ``part``, ``article``"""
    fields = request[FORM]
    return await _page_act(request, incident_steps.choose, part=_part(fields), article=fields.get("article", ""))


async def start(request: web.Request) -> web.StreamResponse:
    """POST /incidents/{id}/start: ``part``, ``pace``; without ``sure`` it asks once more."""
    fields = request[FORM]
    typed = fields.get("pace", "").strip()
    if typed and not (typed.isascii() and typed.isdigit() and len(typed) < 6):
        return await _show(request, refused=f"the pace is a whole number from 1 to {MAX_PACE}", status=422)
    if not intake.flag(fields, "sure"):
        return await _show(request, asking=_part(fields), pace=typed)
    pace = int(typed) if typed else None
    return await _page_act(request, campaigns.start, part=_part(fields), pace=pace, who=visitor(request).user.name)


async def pause(request: web.Request) -> web.StreamResponse:
    """POST /incidents/{id}/pause"""
    return await _page_act(request, campaigns.pause)


async def close(request: web.Request) -> web.StreamResponse:
    """POST /incidents/{id}/close"""
    return await _page_act(request, campaigns.close, who=visitor(request).user.name)


async def take_out(request: web.Request) -> web.StreamResponse:
    """POST /incidents/{id}/posts/{post}/take-out"""
    return await _page_act(
        request, incident_steps.take_out, post_id=intake.row_id(request, "post"), who=visitor(request).user.name
    )


async def api_all(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/incidents"""
    state = intake.choice(request, "state", FILTERS["state"])
    is_open = None if state is None else state == "open"
    return json({"items": await request.app[PARTS].store.read(incidents.all_of, is_open=is_open), "next": None})


async def api_one(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/incidents/{id}"""
    return json(await request.app[PARTS].store.read(incidents.one, intake.row_id(request)))


async def api_posts(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/incidents/{id}/posts"""
    store, number = request.app[PARTS].store, intake.row_id(request)
    limit = intake.number(request, "limit", default=50, lowest=1, highest=200)
    before = intake.number(request, "cursor", default=0, lowest=1, highest=2**62) or None
    await store.read(incidents.one, number)
    found = await store.read(incidents.linked, number, limit=limit + 1, before=before)
    items = found[:limit]
    return json({"items": items, "next": str(items[-1].post_id) if len(found) > limit else None})


async def api_timeline(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/incidents/{id}/timeline"""
    parts = request.app[PARTS]
    return json(await parts.store.read(incidents.timeline, intake.row_id(request), now=parts.clock()))


async def api_choose(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents/{id}/choose"""
    body = await intake.document(request, ChoiceBody)
    return json(await _act(request, incident_steps.choose, part=PARTS_OF[body.part], article=body.article))


async def api_start(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents/{id}/start"""
    body, who = await intake.document(request, StartBody), visitor(request).user.name
    return json(await _act(request, campaigns.start, part=PARTS_OF[body.part], pace=body.pace, who=who), status=202)


async def api_pause(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents/{id}/pause"""
    await intake.document(request, Nothing)
    return json(await _act(request, campaigns.pause))


async def api_close(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents/{id}/close"""
    await intake.document(request, Nothing)
    return json(await _act(request, campaigns.close, who=visitor(request).user.name))


async def api_take_out(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents/{id}/posts/{post}/take-out"""
    await intake.document(request, Nothing)
    who = visitor(request).user.name
    await _act(request, incident_steps.take_out, post_id=intake.row_id(request, "post"), who=who)
    return await api_one(request)


async def _act(request: web.Request, act: Any, **how: Any) -> Any:
    parts = request.app[PARTS]
    return await parts.store.write(
        act, intake.row_id(request), user_id=visitor(request).user.id, now=parts.clock(), **how
    )


async def _page_act(request: web.Request, act: Any, **how: Any) -> web.StreamResponse:
    try:
        await _act(request, act, **how)
    except (Conflict, Invalid) as refused:
        return await _show(request, refused=str(refused), status=409 if isinstance(refused, Conflict) else 422)
    raise web.HTTPSeeOther(f"/incidents/{intake.row_id(request)}")


def _part(fields: Mapping[str, str]) -> Part:
    return PARTS_OF.get(fields.get("part", "answer"), Part.ANSWER)


async def _show(
    request: web.Request,
    *,
    status: int = 200,
    refused: str | None = None,
    asking: Part | None = None,
    pace: str = "",
) -> web.Response:
    parts, number = request.app[PARTS], intake.row_id(request)
    incident = await parts.store.read(incidents.one, number)
    before = intake.number(request, "before", default=0, lowest=1, highest=2**62) or None
    found: list[LinkedView] = await parts.store.read(incidents.linked, number, limit=PAGE + 1, before=before)
    line = await parts.store.read(incidents.timeline, number, now=parts.clock())
    return render(
        request,
        "incident.html",
        status=status,
        incident=incident,
        posts=found[:PAGE],
        later=f"/incidents/{number}?before={found[PAGE - 1].post_id}" if len(found) > PAGE else None,
        line=line,
        bars=_bars(line, incident),
        size=(WIDTH, HEIGHT),
        choices=await parts.store.read(incident_steps.choices, now=parts.clock()),
        refused=refused,
        asking=None if asking is None else "follow_up" if asking is Part.FOLLOW_UP else "answer",
        pace=pace or str(incident.pace),
        most=parts.policy.settings.incidents.sends_per_start,
    )


def _bars(line: Timeline, incident: IncidentView) -> list[Bar]:
    """Return the timeline as bars; a minute with any post shows."""
    most, width = max([1, *line.counts]), WIDTH / max(1, len(line.counts))
    return [
        Bar(
            x=round(at * width, 2),
            y=round(HEIGHT - height, 2),
            width=round(max(1.0, width - 1), 2),
            height=round(height, 2),
        )
        for at, count in enumerate(line.counts)
        if (height := max(2.0, HEIGHT * count / most) if count else 0.0)
    ]
