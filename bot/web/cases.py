"""The desk: the list of cases, the page of one with its whole story, and what people do there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
import regex
from aiohttp import web

from bot.store import desk, drafts, feed, wishes, worth
from bot.store.desk import CaseFile, CaseFilter
from bot.store.events import Event
from bot.store.refusals import Conflict, Invalid, RefusedError
from bot.store.tables import ReplyState
from bot.web import intake
from bot.web.auth import FORM
from bot.web.live import MOST_STREAMS, Message
from bot.web.pages import render
from bot.web.parts import PARTS, Parts, visitor
from bot.web.problems import Problem, status_of
from bot.web.story import story
from handoff.case import CaseState

PAGE = 50
NONCE = regex.compile(r"[A-Za-z0-9-]{16,64}")


async def page(request: web.Request) -> web.StreamResponse:
    """GET /cases"""
    parts, who = request.app[PARTS], visitor(request)
    state = intake.choice(request, "state", [*CaseState, "all"])
    asked = {name: value for name in ("queue", "channel") if (value := intake.choice(request, name)) is not None}
    mine = request.query.get("mine") == "1"
    filter_ = CaseFilter(
        state=None if state == "all" else state,
        unresolved=state is None,
        assignee_id=who.user.id if mine else None,
        **asked,
    )
    cursor = intake.choice(request, "cursor")
    found = await parts.store.read(desk.page, filter_, limit=PAGE, cursor=cursor)
    if state:
        asked["state"] = state
    if mine:
        asked["mine"] = "1"
    return render(
        request,
        "cases.html",
        cases=found.items,
        asked=asked,
        queues=await parts.store.read(desk.queues),
        channels=(await parts.store.read(feed.choices)).channels,
        states=list(CaseState),
        now=parts.clock(),
        later=None if found.next is None else "/cases?" + urlencode({**asked, "cursor": found.next}),
    )


async def case(request: web.Request) -> web.StreamResponse:
    """GET /cases/{id}"""
    return await _show(request, intake.row_id(request))


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /cases/{id}/events: says that somebody changed the case, so that two people do not work past each other."""
    parts, who, case_id = request.app[PARTS], visitor(request), intake.row_id(request)

    async def messages(happened: Sequence[Event]) -> Sequence[Message]:
        return [
            Message(id=event.id, event="case", data=orjson.dumps({"kind": event.kind}))
            for event in happened
            if event.case_id == case_id
        ]

    if parts.live.streams >= MOST_STREAMS:
        raise Problem(503, "too many open pages; close one", headers={"Retry-After": "30"})
    after = intake.number(request, "after", default=0, lowest=0, highest=2**62)
    return await parts.live.follow(request, token_hash=who.token_hash or "", after=after, messages=messages)


async def claim(request: web.Request) -> web.StreamResponse:
    """POST /cases/{id}/claim; ``text``, a reply begun before, stays in its box."""
    typed = request[FORM].get("text", "")
    return await _do(request, desk.claim, typed=typed, take_over=intake.flag(request[FORM], "take_over"))


async def release(request: web.Request) -> web.StreamResponse:
    """POST /cases/{id}/release"""
    return await _do(request, desk.release)


async def note(request: web.Request) -> web.StreamResponse:
    """POST /cases/{id}/notes"""
    return await _do(request, desk.note, noted=request[FORM].get("text", ""), text=request[FORM].get("text", ""))


async def resolve(request: web.Request) -> web.StreamResponse:
    """POST /cases/{id}/resolve"""
    return await _do(request, desk.resolve)


async def reopen(request: web.Request) -> web.StreamResponse:
    """POST /cases/{id}/reopen"""
    return await _do(request, desk.reopen)


async def reply(request: web.Request) -> web.StreamResponse:
    """POST /cases/{id}/replies: ``do`` is send or draft; ``target`` is post id:revision as the page showed it."""
    parts, fields, case_id = request.app[PARTS], request[FORM], intake.row_id(request)
    post_id, _, revision = fields.get("target", "").partition(":")
    nonce, text = fields.get("nonce", ""), fields.get("text", "")
    if not NONCE.fullmatch(nonce) or not (post_id.isascii() and post_id.isdigit() and len(post_id) < 19):
        raise Problem(400, "the form cannot be read")
    send = fields.get("do") == "send"
    try:
        if send:
            post = await parts.store.read(feed.one, int(post_id))
            await check_length(parts, post.source, text)
        written = await parts.store.write(
            drafts.write,
            case_id,
            post_id=int(post_id),
            text=text,
            nonce=nonce,
            send=send,
            revision=revision or None,
            user_id=visitor(request).user.id,
            now=parts.clock(),
        )
    except (Invalid, Conflict) as refused:
        # The words stay in the box: nobody should have to type them again.
        return await _show(request, case_id, typed=text, refused=refused)
    parts.live.nudge()
    raise web.HTTPSeeOther(f"/cases/{case_id}#reply-{written.id}")


async def edit(request: web.Request) -> web.StreamResponse:
    """POST /replies/{id}: ``do`` is approve, save or discard; ``revision`` is the post's as the page showed it."""
    parts, fields, reply_id = request.app[PARTS], request[FORM], intake.row_id(request)
    who, now, text = visitor(request).user.id, parts.clock(), fields.get("text", "")
    before = await parts.store.read(drafts.one, reply_id)
    try:
        match fields.get("do"):
            case "approve":
                await check_length(parts, before.source, text)
                await parts.store.write(
                    drafts.approve,
                    reply_id,
                    text=text,
                    revision=fields.get("revision") or None,
                    user_id=who,
                    now=now,
                )
            case "save":
                await parts.store.write(drafts.edit, reply_id, text=text, user_id=who, now=now)
            case "discard":
                await parts.store.write(drafts.discard, reply_id, user_id=who, now=now)
            case _:
                raise Problem(400, "the form cannot be read")
    except (Invalid, Conflict) as refused:
        if before.case_id is None:
            raise
        return await _show(request, before.case_id, edited={reply_id: text}, refused=refused)
    return _back(parts, before.case_id, reply_id)


async def settle(request: web.Request) -> web.StreamResponse:
    """POST /replies/{id}/settle: ``was_said`` is yes or no."""
    parts, fields, reply_id = request.app[PARTS], request[FORM], intake.row_id(request)
    if fields.get("was_said") not in ("yes", "no"):
        raise Problem(400, "the form cannot be read")
    settled = await parts.store.write(
        drafts.settle,
        reply_id,
        was_said=fields["was_said"] == "yes",
        user_id=visitor(request).user.id,
        now=parts.clock(),
    )
    return _back(parts, settled.case_id, reply_id)


async def length(request: web.Request) -> web.StreamResponse:
    """POST /length: how long ``text`` is in the measure of ``source``, for the counter beside the box."""
    fields = request[FORM]
    measured = await measure(request.app[PARTS], fields.get("source", ""), fields.get("text", ""))
    used, limit = measured or (None, None)
    return web.Response(body=orjson.dumps({"used": used, "limit": limit}), content_type="application/json")


async def measure(parts: Parts, source: str, text: str) -> tuple[int, int] | None:
    """Return (units used, limit) on the network of *source*; off the loop, for some measures take long."""
    return await asyncio.to_thread(parts.measure, source, text.replace("\r\n", "\n").strip()[: drafts.MAX_CHARS + 1])


async def check_length(parts: Parts, source: str, text: str) -> None:
    """Refuse what the network would refuse. Raises Invalid, saying by how much it is too long."""
    measured = await measure(parts, source, text)
    if measured is not None and measured[0] > measured[1]:
        used, limit = measured
        raise Invalid(f"too long for the network by {used - limit}: {used} of {limit}")


async def _do(request: web.Request, act: Any, *, typed: str = "", noted: str = "", **more: Any) -> web.StreamResponse:
    """Do one act on the case, and show the case; refused, it says why there. typed, noted: words to be kept."""
    parts, case_id = request.app[PARTS], intake.row_id(request)
    try:
        await parts.store.write(act, case_id, user_id=visitor(request).user.id, now=parts.clock(), **more)
    except (Invalid, Conflict) as refused:
        return await _show(request, case_id, typed=typed, noted=noted, refused=refused)
    parts.live.nudge()
    if typed:
        return await _show(request, case_id, typed=typed)
    raise web.HTTPSeeOther(f"/cases/{case_id}")


def _back(parts: Parts, case_id: int | None, reply_id: int) -> web.StreamResponse:
    parts.live.nudge()
    raise web.HTTPSeeOther("/" if case_id is None else f"/cases/{case_id}#reply-{reply_id}")


def _chosen(file: CaseFile) -> str | None:
    """Return the article that a language model named last, for the posts that this case is about."""
    return next((each.article for each in reversed(file.suggestions) if each.is_chosen), None)


async def _show(
    request: web.Request,
    case_id: int,
    *,
    typed: str = "",
    edited: Mapping[int, str] | None = None,
    noted: str = "",
    refused: RefusedError | None = None,
) -> web.Response:
    """Show the case. typed, edited, noted: what somebody wrote that was *refused*; it stays on the page."""
    parts = request.app[PARTS]
    last, file = await parts.store.read(desk.opening, case_id)
    is_open = file.case.state != CaseState.RESOLVED
    answerable = [post for post in reversed(file.posts) if post.deleted_at is None and not post.is_own]
    boxes = {each.id for each in file.replies if each.state == ReplyState.DRAFTED and is_open}
    homeless = [text for reply_id, text in (edited or {}).items() if reply_id not in boxes]
    if typed and not (is_open and answerable):
        homeless.append(typed)
    texts = {each.id: (edited or {}).get(each.id, each.text) for each in file.replies}
    lengths = {each.id: await measure(parts, each.source, texts[each.id]) for each in file.replies}
    return render(
        request,
        "case.html",
        status=200 if refused is None else status_of(refused),
        file=file,
        case=file.case,
        left=await parts.store.read(wishes.one, file.case.author.id),
        story=story(file.context, chosen=_chosen(file)),
        ratings=await parts.store.read(worth.ratings, case_id, user_id=visitor(request).user.id),
        mine=file.case.assignee_id == visitor(request).user.id,
        now=parts.clock(),
        nonce=secrets.token_hex(16),
        typed=typed,
        texts=texts,
        lengths=lengths,
        typed_length=await measure(parts, file.case.source, typed),
        refused=refused,
        noted=noted,
        homeless=homeless,
        answerable=answerable,
        revisions={post.id: post.revision for post in file.posts},
        stream=f"/cases/{case_id}/events?after={last}",
    )
