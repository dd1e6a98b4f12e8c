"""Incidents: what bursts, what belongs to it, and what people decide; for people and programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.store import campaigns, foreseen, incident_steps, incidents, merging
from bot.store.campaigns import MAX_PACE
from bot.store.incidents import IncidentView, LinkedView, Timeline
from bot.store.refusals import Conflict, Invalid
from bot.web import intake
from bot.web.api import Nothing, json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, visitor
from bot.web.problems import status_of
from handoff.incident import Part

PAGE = 100
WIDTH, HEIGHT = 600, 60
"""Of the timeline, in units of its own."""

NAMED = re.compile(r"#?(?:https?://[^\s/]+)?(?:/posts/)?([0-9]{1,18})(?:/why)?", re.ASCII)
"""A post, as people name it."""

PARTS_OF = {"answer": Part.ANSWER, "follow_up": Part.FOLLOW_UP}
FILTERS = {"state": ("open", "closed")}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OpenBody(_Body):
    """topic: intent:, article: or label:, such as intent:service_disruption. why: kept in the record. name: what to
    call it; default: the topic. posts: ids of those that belong already."""

    topic: Annotated[str, StringConstraints(max_length=300)]
    why: Annotated[str, StringConstraints(min_length=1, max_length=foreseen.MAX_WHY)]
    name: Annotated[str, StringConstraints(max_length=foreseen.MAX_NAME)] = ""
    posts: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(default_factory=list, max_length=foreseen.MAX_POSTS)


class MergeBody(_Body):
    """into: the open incident that goes on."""

    into: int = Field(ge=1, lt=2**63)


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


async def new_page(request: web.Request) -> web.StreamResponse:
    """GET /incidents/new: ``topic``"""
    return await _show_new(request, {"topic": intake.choice(request, "topic") or ""})


async def create(request: web.Request) -> web.StreamResponse:
    """POST /incidents: ``topic``, ``why``, ``name``, ``posts``, and ``post-N`` for each one ticked"""
    fields, parts = request[FORM], request.app[PARTS]
    try:
        view: IncidentView = await parts.store.write(
            foreseen.open_one,
            fields.get("topic", ""),
            why=fields.get("why", ""),
            name=fields.get("name", ""),
            posts=_wanted(fields),
            policy=parts.policy,
            **_by(request),
        )
    except (Conflict, Invalid) as refused:
        return await _show_new(request, fields, refused=str(refused), status=status_of(refused))
    raise web.HTTPSeeOther(f"/incidents/{view.id}")


async def merge(request: web.Request) -> web.StreamResponse:
    """POST /incidents/{id}/merge: ``into``; without ``sure`` it asks once more."""
    fields = request[FORM]
    typed = fields.get("into", "")
    into = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else 0
    if not into:
        return await _show(request, refused="choose the incident that goes on", status=422)
    if not intake.flag(fields, "sure"):
        return await _show(request, joining=into)
    return await _page_act(request, merging.merge, into=into, who=visitor(request).user.name, then=into)


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


async def api_open(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents"""
    body, parts = await intake.document(request, OpenBody), request.app[PARTS]
    view = await parts.store.write(foreseen.open_one, policy=parts.policy, **body.model_dump(), **_by(request))
    return json(view, status=201)


async def api_merge(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/incidents/{id}/merge"""
    body, who = await intake.document(request, MergeBody), visitor(request).user.name
    return json(await _act(request, merging.merge, into=body.into, who=who))


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


def _by(request: web.Request) -> dict[str, Any]:
    person = visitor(request).user
    return {"who": person.name, "user_id": person.id, "now": request.app[PARTS].clock()}


async def _page_act(request: web.Request, act: Any, *, then: int | None = None, **how: Any) -> web.StreamResponse:
    """Do it, and show the incident again, or the one *then*."""
    try:
        await _act(request, act, **how)
    except (Conflict, Invalid) as refused:
        return await _show(request, refused=str(refused), status=status_of(refused))
    raise web.HTTPSeeOther(f"/incidents/{then or intake.row_id(request)}")


def _wanted(fields: Mapping[str, str]) -> list[int]:
    """Return the posts ticked, and those named by number or by the address of their page. Raises Invalid."""
    typed = [name.removeprefix("post-") for name in fields if name.startswith("post-")]
    for word in fields.get("posts", "").replace(",", " ").split():
        found = NAMED.fullmatch(word)
        if found is None:
            raise Invalid(f"{word[:80]!r} is no number of a post; take it from the address of its page, /posts/12/why")
        typed.append(found[1])
    return [int(each) for each in typed if each.isascii() and each.isdigit() and len(each) < 19]


async def _show_new(
    request: web.Request, fields: Mapping[str, str], *, refused: str | None = None, status: int = 200
) -> web.Response:
    parts, topic = request.app[PARTS], fields.get("topic", "")
    known = await parts.store.read(foreseen.topics, policy=parts.policy, now=parts.clock())
    found = await parts.store.read(foreseen.offered, topic, now=parts.clock()) if topic in dict(known) else []
    return render(
        request,
        "incident_new.html",
        status=status,
        topics=known,
        topic=topic if topic in dict(known) else "",
        told=dict(known).get(topic, ""),
        offered=found,
        typed=fields,
        limits=(foreseen.MAX_NAME, foreseen.MAX_WHY),
        refused=refused,
    )


def _part(fields: Mapping[str, str]) -> Part:
    return PARTS_OF.get(fields.get("part", "answer"), Part.ANSWER)


async def _show(
    request: web.Request,
    *,
    status: int = 200,
    refused: str | None = None,
    asking: Part | None = None,
    joining: int | None = None,
    pace: str = "",
) -> web.Response:
    parts, number = request.app[PARTS], intake.row_id(request)
    incident = await parts.store.read(incidents.one, number)
    others = [each for each in await parts.store.read(incidents.all_of, is_open=True) if each.id != number]
    other = next((each for each in others if each.id == joining), None)
    if joining is not None and other is None:
        refused, status = f"incident {joining} is not open; choose another", 409
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
        others=others,
        joining=other,
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
