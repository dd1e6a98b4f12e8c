"""The JSON API: the same questions and acts as the pages, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.store import desk, drafts, feed, report, teaching
from bot.store.desk import CaseFilter
from bot.store.drafts import ReplyFilter
from bot.store.paging import Slice
from bot.store.tables import ReplyState
from bot.web import cases, intake
from bot.web.feed import wanted
from bot.web.parts import PARTS, visitor
from handoff.case import CaseState

MOST = 200
USUAL = 50

CASE_FILTERS: Mapping[str, Sequence[str]] = {
    "state": tuple(CaseState),
    "queue": (),
    "channel": (),
    "mine": ("1",),
    "unresolved": ("1",),
}
REPLY_FILTERS: Mapping[str, Sequence[str]] = {"state": tuple(ReplyState), "channel": (), "source": ()}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=drafts.MAX_CHARS)


class Nothing(_Body):
    """An empty object."""


class CorrectionBody(_Body):
    """The right label of one head."""

    head: str = Field(description="sentiment, intent, urgency, toxicity or spam")
    label: str


class ClaimBody(_Body):
    """take_over: also when somebody else has the case."""

    take_over: bool = False


class NoteBody(_Body):
    """What to tell the others; never public."""

    text: str


class ReplyBody(_Body):
    """A reply of your own. The same nonce again is the same reply."""

    text: str
    nonce: str = Field(pattern="^[A-Za-z0-9-]{16,64}$", description="made by you, new for each reply")
    post_id: int | None = Field(None, ge=1, lt=2**63, description="default: the customer's latest post of the case")
    revision: str | None = Field(None, description="of the post as you saw it; an edited post is then refused")
    send: bool = Field(False, description="false keeps it as a draft")


class ApprovalBody(_Body):
    """text: other words than the draft's. revision: of the post as you saw it; default: as when it was drafted."""

    text: str | None = None
    revision: str | None = None


class TextBody(_Body):
    """The new words of a draft."""

    text: str


class SettleBody(_Body):
    """was_said: true: it is public. false: it is not, say it now."""

    was_said: bool


async def posts(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/posts"""
    return await _page(request, feed.page, wanted(request))


async def post(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/posts/{id}"""
    return json(await request.app[PARTS].store.read(feed.one, intake.row_id(request)))


async def correct(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/posts/{id}/corrections"""
    body = await intake.document(request, CorrectionBody)
    return await _act(request, feed.correct, head=body.head, label=body.label)


async def all_cases(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/cases"""
    asked = _asked(request, CASE_FILTERS)
    filter_ = CaseFilter(
        state=asked["state"],
        queue=asked["queue"],
        channel=asked["channel"],
        unresolved=asked["unresolved"] is not None,
        assignee_id=visitor(request).user.id if asked["mine"] else None,
    )
    return await _page(request, desk.page, filter_)


async def case(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/cases/{id}"""
    return json(await request.app[PARTS].store.read(desk.file, intake.row_id(request)))


async def claim(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/cases/{id}/claim"""
    body = await intake.document(request, ClaimBody)
    return await _act(request, desk.claim, take_over=body.take_over)


async def release(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/cases/{id}/release"""
    await intake.document(request, Nothing)
    return await _act(request, desk.release)


async def resolve(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/cases/{id}/resolve"""
    await intake.document(request, Nothing)
    return await _act(request, desk.resolve)


async def reopen(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/cases/{id}/reopen"""
    await intake.document(request, Nothing)
    return await _act(request, desk.reopen)


async def note(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/cases/{id}/notes"""
    body = await intake.document(request, NoteBody)
    return await _act(request, desk.note, status=201, text=body.text)


async def reply(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/cases/{id}/replies"""
    body, parts = await intake.document(request, ReplyBody), request.app[PARTS]
    file = await parts.store.read(desk.file, intake.row_id(request))
    mine = [each for each in file.posts if not each.is_own and each.deleted_at is None]
    post_id = body.post_id or (mine[-1].id if mine else 0)
    target = await parts.store.read(feed.one, post_id)
    if body.send:
        await cases.check_length(parts, target.source, body.text)
    return await _act(
        request,
        drafts.write,
        status=201,
        post_id=post_id,
        text=body.text,
        nonce=body.nonce,
        send=body.send,
        revision=body.revision,
    )


async def replies(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/replies"""
    return await _page(request, drafts.page, _reply_filter(request))


async def one_reply(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/replies/{id}"""
    return json(await request.app[PARTS].store.read(drafts.one, intake.row_id(request)))


async def approve(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/replies/{id}/approve"""
    body, parts = await intake.document(request, ApprovalBody), request.app[PARTS]
    draft = await parts.store.read(drafts.one, intake.row_id(request))
    if draft.state == ReplyState.DRAFTED:
        await cases.check_length(parts, draft.source, draft.text if body.text is None else body.text)
    return await _act(request, drafts.approve, text=body.text, revision=body.revision)


async def edit(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/replies/{id}/edit"""
    body = await intake.document(request, TextBody)
    return await _act(request, drafts.edit, text=body.text)


async def discard(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/replies/{id}/discard"""
    await intake.document(request, Nothing)
    return await _act(request, drafts.discard)


async def settle(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/replies/{id}/settle"""
    body = await intake.document(request, SettleBody)
    return await _act(request, drafts.settle, was_said=body.was_said)


async def sources(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/sources: all at once, there are few."""
    return json({"items": await request.app[PARTS].store.read(report.sources), "next": None})


async def source(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/sources/{name}"""
    return json(await request.app[PARTS].store.read(report.source, request.match_info["name"]))


async def all_teaching(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/teaching"""
    return json(await request.app[PARTS].store.read(teaching.overview))


async def approve_correction(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/teaching/corrections/{id}/approve"""
    await intake.document(request, Nothing)
    return await _act(request, teaching.review, approve=True)


async def reject_correction(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/teaching/corrections/{id}/reject"""
    await intake.document(request, Nothing)
    return await _act(request, teaching.review, approve=False)


async def accept_revision(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/teaching/revisions/{id}/accept"""
    await intake.document(request, Nothing)
    return await _act(request, teaching.accept)


async def undo_teaching(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/teaching/undo"""
    await intake.document(request, Nothing)
    parts = request.app[PARTS]
    return json(await parts.store.write(teaching.undo, user_id=visitor(request).user.id, now=parts.clock()))


async def refit(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/teaching/refit: a process that holds the model does it within seconds."""
    await intake.document(request, Nothing)
    parts = request.app[PARTS]
    asked = await parts.store.write(teaching.ask, user_id=visitor(request).user.id, now=parts.clock())
    return json(asked, status=202)


def json(value: Any, *, status: int = 200) -> web.Response:
    """Return *value* (dataclasses, times, plain data) as JSON; times as RFC 3339 with Z."""
    return web.Response(
        body=orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS),
        status=status,
        content_type="application/json",
    )


async def _page(request: web.Request, ask: Any, filter_: Any) -> web.StreamResponse:
    limit, cursor = page_size(request), intake.choice(request, "cursor")
    found: Slice[Any] = await request.app[PARTS].store.read(ask, filter_, limit=limit, cursor=cursor)
    return json({"items": found.items, "next": found.next})


async def _act(request: web.Request, act: Any, *, status: int = 200, **more: Any) -> web.StreamResponse:
    parts = request.app[PARTS]
    done = await parts.store.write(
        act, intake.row_id(request), user_id=visitor(request).user.id, now=parts.clock(), **more
    )
    parts.live.nudge()
    return json(done, status=status)


def _asked(request: web.Request, filters: Mapping[str, Sequence[str]]) -> dict[str, str | None]:
    return {name: intake.choice(request, name, allowed or None) for name, allowed in filters.items()}


def _reply_filter(request: web.Request) -> ReplyFilter:
    asked = _asked(request, REPLY_FILTERS)
    return ReplyFilter(state=asked["state"], channel=asked["channel"], source=asked["source"])


def page_size(request: web.Request) -> int:
    """Return how many of a list are asked for."""
    return intake.number(request, "limit", default=USUAL, lowest=1, highest=MOST)
