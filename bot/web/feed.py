"""The feed: posts newest first, live, filtered; a wrong label is corrected where it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from bot.store import feed, incidents
from bot.store.events import Event
from bot.store.feed import FeedFilter
from bot.store.roles import Role
from bot.store.tables import Outcome
from bot.web import intake, shown
from bot.web.auth import FORM
from bot.web.live import MOST_STREAMS, Message
from bot.web.pages import render, text_of
from bot.web.parts import PARTS, Parts, visitor
from bot.web.problems import Problem
from classifiers.triage import INTENTS, SENTIMENTS, URGENCIES

PAGE = 40

FILTERS: Mapping[str, Sequence[str]] = {
    "channel": (),
    "source": (),
    "intent": INTENTS,
    "sentiment": SENTIMENTS,
    "urgency": URGENCIES,
    "outcome": tuple(Outcome),
    "language": (),
    "text": (),
    "label": (),
}
"""Query parameter -> allowed values, () for any text. The page, the stream and the API share them.

label: SET:LABEL of the brand's own sets; it may stand there several times, all must hold.
"""

MOST_LABELS = 8


def wanted(request: web.Request) -> FeedFilter:
    """Return what the query asks to see. Raises Problem 400."""
    plain = {
        name: intake.choice(request, name, allowed or None) for name, allowed in FILTERS.items() if name != "label"
    }
    return FeedFilter(**plain, own=_own(request))


def _own(request: web.Request) -> tuple[tuple[str, str], ...]:
    pairs = [value.partition(":") for value in intake.choices(request, "label")]
    if len(pairs) > MOST_LABELS or not all(name and label for name, _, label in pairs):
        raise Problem(400, f"label must be SET:LABEL, {MOST_LABELS} times at most")
    return tuple((name, label) for name, _, label in pairs)


async def page(request: web.Request) -> web.StreamResponse:
    """GET /"""
    parts, filter_ = request.app[PARTS], wanted(request)
    cursor = intake.choice(request, "cursor")
    last, posts = await parts.store.read(feed.opening, filter_, limit=PAGE, cursor=cursor)
    choices = await parts.store.read(feed.choices)
    asked = _asked(filter_)
    return render(
        request,
        "feed.html",
        posts=posts.items,
        asked=asked,
        choices=choices,
        filters=FILTERS,
        own=dict(filter_.own),
        incidents=await parts.store.read(incidents.all_of, is_open=True, limit=5),
        older=None if posts.next is None else "/?" + urlencode({**asked, "cursor": posts.next}, doseq=True),
        newest="/?" + urlencode(asked, doseq=True) if cursor else None,
        stream=None if cursor else "/feed/events?" + urlencode({**asked, "after": last}, doseq=True),
    )


def _asked(filter_: FeedFilter) -> dict[str, Any]:
    """Return the query that asks for *filter_*, for urlencode with doseq."""
    asked = {name: value for name in FILTERS if name != "label" and (value := getattr(filter_, name)) is not None}
    return {**asked, **({"label": [":".join(pair) for pair in filter_.own]} if filter_.own else {})}


async def stream(request: web.Request) -> web.StreamResponse:
    """GET /feed/events: every post that changed after ``after`` (or the Last-Event-ID header), as its row."""
    parts, who, filter_ = request.app[PARTS], visitor(request), wanted(request)
    role = who.user.role
    rows = request.app[ROWS]

    async def messages(happened: Sequence[Event]) -> Sequence[Message]:
        last_of: dict[int, int] = {}
        for event in happened:
            if event.post_id is not None:
                last_of[event.post_id] = event.id
        if not last_of:
            return ()
        html = await rows.of(frozenset(last_of), filter_, role=role)
        return [
            Message(
                id=event_id,
                event="post" if post_id in html else "gone",
                data=html.get(post_id) or orjson.dumps({"id": post_id}),
            )
            for post_id, event_id in sorted(last_of.items(), key=lambda each: each[1])
        ]

    if parts.live.streams >= MOST_STREAMS:
        raise Problem(503, "too many open feeds; close one", headers={"Retry-After": "30"})
    return await parts.live.follow(request, token_hash=who.token_hash or "", after=_resume(request), messages=messages)


async def correct(request: web.Request) -> web.StreamResponse:
    """POST /posts/{id}/corrections: ``label`` is head:label."""
    parts, fields = request.app[PARTS], request[FORM]
    head, _, label = fields.get("label", "").partition(":")
    post = await parts.store.write(
        feed.correct,
        intake.row_id(request),
        head=head,
        label=label,
        user_id=visitor(request).user.id,
        now=parts.clock(),
    )
    parts.live.nudge()
    if request.headers.get("X-Fragment"):
        return render(request, "_post.html", post=post)
    raise web.HTTPSeeOther(f"{shown.local(fields.get('next'))}#post-{post.id}")


class Rows:
    """Rows of posts as HTML for streams; streams that ask for the same rows in the same moment share the work."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._asked: dict[Any, asyncio.Task[Mapping[int, bytes]]] = {}

    async def of(self, ids: frozenset[int], filter_: FeedFilter, *, role: Role) -> Mapping[int, bytes]:
        """Return the rows of those posts that *filter_* shows, each as one JSON object {id, order, html}."""
        may_act, may_lead = role.covers(Role.AGENT), role.covers(Role.LEAD)
        key = (ids, filter_, may_act, may_lead)
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self._make(ids, filter_, may_act, may_lead))
            self._asked[key] = task
            # Only streams in step share: what is asked later must see what was committed since.
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(task)

    async def _make(
        self, ids: frozenset[int], filter_: FeedFilter, may_act: bool, may_lead: bool
    ) -> Mapping[int, bytes]:
        found = await self._parts.store.read(feed.some, sorted(ids), filter_)
        return {
            post.id: orjson.dumps(
                {
                    "id": post.id,
                    "at": int(post.created_at.timestamp() * 1000),
                    "html": text_of("_post.html", post=post, may_act=may_act, may_lead=may_lead),
                }
            )
            for post in found.values()
        }


ROWS = web.AppKey("rows", Rows)


def _resume(request: web.Request) -> int:
    header = request.headers.get("Last-Event-ID", "")
    if header.isascii() and header.isdigit() and len(header) < 19:
        return int(header)
    return intake.number(request, "after", default=0, lowest=0, highest=2**62)
