"""The past by another policy: a lead asks, it is played beside everything else, and the differences come first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.settings import ConfigError
from bot.stages.rewind import MOST_DAYS, Asked, Rewinder
from bot.store.engine import StoreError
from bot.store.refusals import Conflict, Invalid, Missing
from bot.web import intake
from bot.web.api import json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import Parts, visitor
from bot.web.problems import status_of
from handoff.differences import Report
from handoff.rewind import Way

log = structlog.get_logger()

AT_ONCE = 1
"""It takes a processor for as long as it runs, and the daemon needs the other."""

KEPT = 10
"""Finished ones that are remembered; a restart forgets them all."""

DAYS = 30
MAX_POLICY = 64 * 1024
MAX_WITHOUT = 50
SHOWN_GROUPS = 100
REFRESH_S = 2

Slug = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class RewindBody(BaseModel):
    """days: how far back. policy: TOML with a [handoff] table, as in config.toml; left out: today's. without: slugs of
    articles to leave out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: float = Field(DAYS, gt=0, le=MOST_DAYS)
    policy: Annotated[str, StringConstraints(max_length=MAX_POLICY)] = ""
    without: tuple[Slug, ...] = Field((), max_length=MAX_WITHOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindView:
    """One rewind. state: running, done or failed. done, total: decisions so far. failed: why. report: at the end."""

    id: int
    asked_by: str
    asked_at: datetime
    days: float
    has_policy: bool
    without: tuple[str, ...]
    state: str = "running"
    done: int = 0
    total: int = 0
    failed: str = ""
    report: Report | None = None


class Rewinds:
    """The rewinds of this process, in memory; they stop with it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._views: dict[int, RewindView] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._last = 0

    @property
    def rewinder(self) -> Rewinder:
        """What plays the past. Raises Missing where this process has none."""
        if self._parts.rewinder is None:
            raise Missing("nothing can be rewound here")
        return self._parts.rewinder

    def begin(self, body: RewindBody, *, who: str) -> RewindView:
        """Start one. Raises Conflict while another one runs, Invalid for a policy that cannot be read."""
        rewinder = self.rewinder
        try:
            policy = rewinder.read_policy(body.policy) if body.policy.strip() else None
        except ConfigError as error:
            raise Invalid(str(error)) from error
        if len(self._tasks) >= AT_ONCE:
            raise Conflict("another rewind is running; wait until it is done")
        self._last += 1
        view = RewindView(
            id=self._last,
            asked_by=who,
            asked_at=self._parts.clock(),
            days=body.days,
            has_policy=policy is not None,
            without=tuple(dict.fromkeys(body.without)),
        )
        self._views[view.id] = view
        for old in sorted(self._views)[:-KEPT]:
            del self._views[old]
        asked = Asked(days=body.days, policy=policy, without=frozenset(view.without))
        task = asyncio.create_task(self._run(rewinder, view.id, asked))
        self._tasks[view.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(view.id, None))
        return view

    def get(self, number: int) -> RewindView:
        """Return one. Raises Missing."""
        if number not in self._views:
            raise Missing("there is no such rewind here; only the last ones are kept, until the daemon restarts")
        return self._views[number]

    def all(self) -> list[RewindView]:
        """Return those that are remembered, the newest first, without their reports."""
        return [replace(each, report=None) for _, each in sorted(self._views.items(), reverse=True)]

    async def close(self) -> None:
        """Stop what runs."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, rewinder: Rewinder, number: int, asked: Asked) -> None:
        def progress(done: int, total: int) -> None:
            self._views[number] = replace(self._views[number], done=done, total=total)

        try:
            report = await rewinder.run(asked, progress=progress)
        except StoreError as error:
            self._views[number] = replace(self._views[number], state="failed", failed=str(error))
        except Exception:
            log.exception("rewind.failed")
            why = "something went wrong here; it is in the log"
            self._views[number] = replace(self._views[number], state="failed", failed=why)
        else:
            self._views[number] = replace(self._views[number], state="done", report=report)


REWINDS = web.AppKey("rewinds", Rewinds)


async def page(request: web.Request) -> web.StreamResponse:
    """GET /rewind"""
    return _show(request)


async def begin(request: web.Request) -> web.StreamResponse:
    """POST /rewind: ``days``, ``policy`` (TOML), ``without`` (slugs, one a line)"""
    fields = request[FORM]
    try:
        view = request.app[REWINDS].begin(_body(fields), who=visitor(request).user.name)
    except (Invalid, Conflict) as refused:
        status = status_of(refused)
        return _show(request, refused=str(refused), typed=fields, status=status)
    raise web.HTTPSeeOther(f"/rewind/{view.id}")


async def one(request: web.Request) -> web.StreamResponse:
    """GET /rewind/{id}; while it runs, the page comes again by itself."""
    view = request.app[REWINDS].get(intake.row_id(request))
    again = {"Refresh": str(REFRESH_S)} if view.state == "running" else {}
    report = view.report
    return render(
        request,
        "rewound.html",
        headers=again,
        rewind=view,
        report=report,
        ways=[*Way],
        asked=[] if report is None else [each for each in report.groups if each.is_asked][:SHOWN_GROUPS],
        anyway=[] if report is None else [each for each in report.groups if not each.is_asked][:SHOWN_GROUPS],
    )


async def api_all(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/rewinds"""
    return json({"items": request.app[REWINDS].all(), "next": None})


async def api_begin(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/rewinds"""
    body = await intake.document(request, RewindBody, limit=2 * MAX_POLICY)
    return json(request.app[REWINDS].begin(body, who=visitor(request).user.name), status=202)


async def api_one(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/rewinds/{id}"""
    return json(request.app[REWINDS].get(intake.row_id(request)))


def _body(fields: Mapping[str, str]) -> RewindBody:
    days = fields.get("days", "").strip() or str(DAYS)
    try:
        number = float(days)
    except ValueError:
        number = 0.0
    if not 0 < number <= MOST_DAYS:
        raise Invalid(f"days must be a number above 0, {MOST_DAYS} at most")
    policy = fields.get("policy", "")
    if len(policy) > MAX_POLICY:
        raise Invalid(f"the policy is too long: {MAX_POLICY} characters at most")
    without = [slug.strip() for slug in fields.get("without", "").replace(",", "\n").splitlines() if slug.strip()]
    if len(without) > MAX_WITHOUT or any(len(slug) > 200 for slug in without):
        raise Invalid(f"leave out {MAX_WITHOUT} articles at most, by their slugs")
    return RewindBody(days=number, policy=policy, without=tuple(without))


def _show(
    request: web.Request,
    *,
    status: int = 200,
    refused: str | None = None,
    typed: Mapping[str, str] | None = None,
) -> web.Response:
    rewinds = request.app[REWINDS]
    found = rewinds.all()
    return render(
        request,
        "rewind.html",
        status=status,
        refused=refused,
        typed={"days": str(DAYS), "without": "", "policy": today(rewinds.rewinder.table), **(typed or {})},
        rewinds=found,
        is_busy=any(each.state == "running" for each in found),
        most_days=MOST_DAYS,
    )


def today(table: Mapping[str, Any]) -> str:
    """Return the ``[handoff]`` table of the configuration as TOML, to be changed and tried."""
    return "\n".join(_toml(table, "handoff")) + "\n"


def _toml(table: Mapping[str, Any], name: str) -> list[str]:
    lines = [f"[{name}]"]
    inner = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in inner:
        lines += ["", *_toml(value, f"{name}.{_key(key)}")]
    return lines


def _key(key: str) -> str:
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else _value(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() | tuple():
            return f"[{', '.join(_value(each) for each in value)}]"
        case _:
            # A JSON string is a basic string of TOML, but for DEL, which nobody writes.
            return orjson.dumps(str(value)).decode()
