"""The brakes: stop everything or one topic, resume, and take back what was said; for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.brakes.keeper import NotRecorded
from bot.store import brakes, report, retractions
from bot.store.brakes import MAX_WHY, BrakeView
from bot.store.refusals import Conflict, Invalid
from bot.store.retractions import SaidView, Window
from bot.store.tables import Retracted
from bot.web import intake
from bot.web.api import json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, visitor
from bot.web.problems import Problem
from classifiers.triage import INTENTS
from handoff.brake import MAX_NAME, Scope, Target

USUAL = "15m"
Why = Annotated[str, StringConstraints(max_length=MAX_WHY)]
Name = Annotated[str, StringConstraints(max_length=MAX_NAME)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrakeBody(_Body):
    """name: the article's slug, the intent or the source; left out for everything. why: kept in the record."""

    scope: Scope = Scope.EVERYTHING
    name: Name = ""
    why: Why


class RetractBody(_Body):
    """last: 90s, 15m, 2h, 1d. dry_run: only show what there is."""

    last: Annotated[str, StringConstraints(max_length=12)] = USUAL
    source: Name | None = None
    article: Name | None = None
    why: Why = ""
    dry_run: bool = Field(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Every brake that stood on the target."""

    released: Sequence[BrakeView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """items: what was said, newest first, and what became of deleting it so far; look again for the rest."""

    items: Sequence[SaidView]


async def page(request: web.Request) -> web.StreamResponse:
    """GET /brakes; ``last``, ``source`` and ``article`` choose what was said lately."""
    return await _show(request)


async def stop(request: web.Request) -> web.StreamResponse:
    """POST /brakes/stop: ``scope``, ``name``, ``why``; without ``sure`` it asks once more."""
    fields = request[FORM]
    try:
        target = _target(fields)
        why = brakes.reason(fields.get("why", ""))
        if not intake.flag(fields, "sure"):
            await request.app[PARTS].store.read(brakes.check, target)
            return await _show(request, asking="stop", typed={**fields, "why": why})
        await _pull(request, target, why)
    except Invalid as refused:
        return await _show(request, refused=str(refused), typed=fields, status=422)
    raise web.HTTPSeeOther("/brakes")


async def release(request: web.Request) -> web.StreamResponse:
    """POST /brakes/release: ``scope``, ``name``, ``why``"""
    fields = request[FORM]
    try:
        await _release(request, _target(fields), fields.get("why", ""))
    except (Invalid, Conflict) as refused:
        return await _show(request, refused=str(refused), status=422)
    raise web.HTTPSeeOther("/brakes")


async def retract(request: web.Request) -> web.StreamResponse:
    """POST /brakes/retract: ``since`` and ``until`` as the page showed them, ``source``, ``article``, ``why``."""
    fields = request[FORM]
    window = Window(
        since=_moment(fields, "since"),
        until=_moment(fields, "until"),
        source=fields.get("source") or None,
        article=fields.get("article") or None,
    )
    try:
        why = brakes.reason(fields.get("why", ""))
        if not intake.flag(fields, "sure"):
            retractions.check(window)
            return await _show(request, asking="retract", typed={**fields, "why": why}, window=window)
        await _ask(request, window, why)
    except Invalid as refused:
        return await _show(request, refused=str(refused), typed=fields, window=window, status=422)
    raise web.HTTPSeeOther("/brakes#asked")


async def api_all(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/brakes"""
    return json(await request.app[PARTS].store.read(brakes.overview))


async def api_stop(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/brakes"""
    body = await intake.document(request, BrakeBody)
    return json(await _pull(request, _target_of(body.scope, body.name), body.why), status=201)


async def api_release(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/brakes/release"""
    body = await intake.document(request, BrakeBody)
    return json(Released(released=await _release(request, _target_of(body.scope, body.name), body.why)))


async def api_said(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/retractions"""
    window = _window(request)
    return json({"items": await request.app[PARTS].store.read(retractions.said, window), "next": None})


async def api_retract(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/retractions"""
    body, parts = await intake.document(request, RetractBody), request.app[PARTS]
    now = parts.clock()
    window = Window(since=now - retractions.back(body.last), until=now, source=body.source, article=body.article)
    if body.dry_run:
        retractions.check(window)
        return json(Asked(items=await parts.store.read(retractions.said, window)))
    return json(Asked(items=await _ask(request, window, body.why)), status=202)


async def _pull(request: web.Request, target: Target, why: str) -> BrakeView:
    user = visitor(request).user
    try:
        return await request.app[PARTS].brakes.pull(target, who=user.name, why=why, user_id=user.id)
    except NotRecorded as error:
        raise Problem(503, str(error), headers={"Retry-After": "5"}) from error


async def _release(request: web.Request, target: Target, why: str) -> Sequence[BrakeView]:
    user = visitor(request).user
    return await request.app[PARTS].brakes.release(target, who=user.name, why=why, user_id=user.id)


async def _ask(request: web.Request, window: Window, why: str) -> list[SaidView]:
    parts, user = request.app[PARTS], visitor(request).user
    return await parts.store.write(retractions.ask, window, who=user.name, why=why, user_id=user.id, now=parts.clock())


def _target(fields: Mapping[str, str]) -> Target:
    scope = fields.get("scope", "")
    if scope not in list(Scope):
        raise Problem(400, f"scope must be one of: {', '.join(Scope)}")
    return _target_of(Scope(scope), fields.get("name", "").strip())


def _target_of(scope: Scope, name: str) -> Target:
    try:
        return Target(scope=scope, name=name)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _moment(fields: Mapping[str, str], name: str) -> datetime:
    try:
        return datetime.fromisoformat(fields.get(name, "")).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem(400, "the form cannot be read") from error


def _window(request: web.Request) -> Window:
    now = request.app[PARTS].clock()
    window = Window(
        since=now - retractions.back(intake.choice(request, "last") or USUAL),
        until=now,
        source=intake.choice(request, "source"),
        article=intake.choice(request, "article"),
    )
    retractions.check(window)
    return window


async def _show(
    request: web.Request,
    *,
    status: int = 200,
    asking: str | None = None,
    refused: str | None = None,
    typed: Mapping[str, str] | None = None,
    window: Window | None = None,
) -> web.Response:
    parts = request.app[PARTS]
    store = parts.store
    if window is None:
        try:
            window = _window(request)
        except Invalid as error:
            refused, status = refused or str(error), 422
            now = parts.clock()
            window = Window(since=now - retractions.back(USUAL), until=now)
    values: dict[str, Any] = {
        "overview": await store.read(brakes.overview),
        "said": await store.read(retractions.said, window),
        "asked": await store.read(retractions.latest),
        "sources": await store.read(report.sources),
    }
    return render(
        request,
        "brakes.html",
        status=status,
        asking=asking,
        refused=refused,
        typed={"scope": "", "name": "", "why": "", **(typed or {})},
        window=window,
        last=intake.choice(request, "last") or USUAL,
        intents=INTENTS,
        wanted=Retracted.WANTED,
        scopes=[scope for scope in Scope if scope is not Scope.EVERYTHING],
        **values,
    )
