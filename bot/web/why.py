"""Why a post has its labels: the words that made them, computed when somebody asks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from bot.store import feed
from bot.store.feed import PostView
from bot.web import api, intake
from bot.web.pages import render
from bot.web.parts import PARTS, Parts
from bot.web.problems import Problem
from classifiers.errors import ClassifierError
from classifiers.triage import Triage
from classifiers.why import Why

REMEMBERED = 256
"""Explanations kept: the page and whoever it is shown to ask for the same one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordView:
    """text[start:end] of the explained text; drop: by how much the label's probability falls without it, 0 to 1."""

    text: str
    start: int
    end: int
    drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """A label as the model gives it, whatever people corrected, and the words that made it, weightiest first."""

    head: str
    label: str
    confidence: float
    words: Sequence[WordView]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """Why a post has its labels. text: what was judged, the title on a line of its own before the words."""

    id: int
    text: str
    language: str
    model: str
    heads: Sequence[ReasonView]


class Reasons:
    """Explains one post at a time: each costs up to ten passes of the model, which triage needs too."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[tuple[int, str], WhyView] = OrderedDict()

    async def of(self, post: PostView) -> WhyView:
        """Return why. Raises Problem 404 for a deleted post, 503 when the model fails."""
        if post.deleted_at is not None:
            raise Problem(404, "the author deleted this post, so its words are gone")
        key = (post.id, post.revision)
        async with self._turn:
            if key not in self._kept:
                self._kept[key] = await self._explain(post)
                if len(self._kept) > REMEMBERED:
                    self._kept.popitem(last=False)
            return self._kept[key]

    async def _explain(self, post: PostView) -> WhyView:
        text = f"{post.title}\n{post.text}" if post.title else post.text
        try:
            judged, reasons = await self._parts.explain(text)
        except ClassifierError as error:
            raise Problem(503, f"the model cannot say: {error}", headers={"Retry-After": "30"}) from error
        return _view(post.id, text, judged, reasons)


REASONS = web.AppKey("reasons", Reasons)


async def page(request: web.Request) -> web.StreamResponse:
    """GET /posts/{id}/why"""
    post, found = await _asked(request)
    marked = [(reason, segments(found.text, reason.words)) for reason in found.heads]
    return render(request, "why.html", post=post, why=found, marked=marked)


async def answer(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/posts/{id}/why"""
    _, found = await _asked(request)
    return api.json(found)


async def _asked(request: web.Request) -> tuple[PostView, WhyView]:
    post = await request.app[PARTS].store.read(feed.one, intake.row_id(request))
    return post, await request.app[REASONS].of(post)


def _view(post_id: int, text: str, judged: Triage, reasons: Sequence[Why]) -> WhyView:
    heads = [
        ReasonView(
            head=why.head,
            label=why.label.label,
            confidence=round(why.label.confidence, 4),
            words=[WordView(text=each.text, start=each.start, end=each.end, drop=each.drop) for each in why.words],
        )
        for why in reasons
    ]
    return WhyView(id=post_id, text=text, language=judged.language.label, model=judged.model, heads=heads)


def segments(text: str, words: Sequence[WordView]) -> list[tuple[str, int]]:
    """Return *text* cut at *words*: (part, rank), 1 for the weightiest word, 0 for what is no named word."""
    cut, at = [], 0
    ranks = {word.start: rank for rank, word in enumerate(words, start=1)}
    for word in sorted(words, key=lambda each: each.start):
        cut += [(text[at : word.start], 0), (text[word.start : word.end], ranks[word.start])]
        at = word.end
    return [part for part in [*cut, (text[at:], 0)] if part[0]]
