"""What knowledge is worth, and where it is missing: two pages, the API beside them, and people's ratings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.store import gaps as asked
from bot.store import worth
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.worth import RatingView
from bot.web import intake
from bot.web.api import json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, Parts, visitor
from bot.web.problems import Problem
from handoff.knowledge import gaps
from handoff.knowledge.gaps import Answering
from handoff.knowledge.gaps import Missing as MissingView
from handoff.knowledge.worth import Act, Share, Use, advise

KEPT = timedelta(minutes=1)
"""Groups are kept so long: ten people who look at once cost one grouping."""

MOST_DAYS = 365

WORTH_FILTERS: Mapping[str, Sequence[str]] = {"days": (), "act": tuple(Act)}
GAP_FILTERS: Mapping[str, Sequence[str]] = {"days": (), "least": ()}


class RatingBody(BaseModel):
    """useful: what you think of the article. case_id: where it was put before you; without it: in general."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    useful: bool
    case_id: int | None = Field(None, ge=1, lt=2**63)


class ReplyRatingBody(BaseModel):
    """useful: what you think of the article that the reply was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    useful: bool


class ProposalBody(BaseModel):
    """posts: ids of posts that ask the same, the one that names the draft first, as in a gap's examples."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    posts: list[int] = Field(min_length=1, max_length=asked.MOST_POSTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareView:
    """part of of; low, high: the 95 % interval of the true share."""

    part: int
    of: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorthView:
    """An article and what became of it. Counts are of the days asked for; shares, act and reasons of what is in force.

    shown: posts for which it was put before a person or used. changed: by how much edited drafts were, 0 to 1. pending:
    answers too young to know. act: what is advised; reasons: why, in sentences.
    """

    article_id: int
    name: str
    title: str
    state: str
    owner: str
    version: int
    in_force_since: datetime | None
    shown: int
    sent_alone: int
    sent_by_person: int
    approved: int
    edited: int
    changed: float | None
    rejected: int
    resolved: int
    unresolved: int
    pending: int
    useful: int
    useless: int
    edited_share: ShareView
    rejected_share: ShareView
    resolved_share: ShareView
    useless_share: ShareView
    act: Act
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """The draft that was made."""

    article_id: int


class MissingKnowledge:
    """Groups what no article answered, one asking at a time, and keeps it for a minute."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()
        self._kept: dict[tuple[int, int], tuple[datetime, MissingView, Mapping[int, Answering]]] = {}

    async def of(self, *, days: int, least: int) -> MissingView:
        """Return what is missing of the last *days*; which drafts are being written is always as of now."""
        parts, now = self._parts, self._parts.clock()
        async with self._turn:
            at, found, answering = self._kept.get((days, least), (None, None, None))
            if at is None or found is None or answering is None or now - at > KEPT:
                found, answering = await self._look(now, days=days, least=least)
                self._kept = {key: kept for key, kept in self._kept.items() if now - kept[0] <= KEPT} | {
                    (days, least): (now, found, answering)
                }
        writing = await parts.store.read(asked.being_written)
        return gaps.noted(found, answering=answering, writing=writing)

    async def _look(self, now: datetime, *, days: int, least: int) -> tuple[MissingView, Mapping[int, Answering]]:
        policy, since = self._parts.policy.settings, now - timedelta(days=days)
        leave_out = (*policy.ignore, *policy.people_only)
        questions, is_cut = await self._parts.store.read(asked.questions, since=since, leave_out=leave_out)
        found = await asyncio.to_thread(gaps.missing, questions, since=since, least=least, is_cut=is_cut)
        centres = gaps.centres(found.gaps, questions)
        hits = await self._parts.nearest([gaps.query(each) for each in centres])
        return found, gaps.answering(found.gaps, hits, likely=policy.draft_answer_confidence)


MISSING = web.AppKey("missing", MissingKnowledge)


async def page(request: web.Request) -> web.StreamResponse:
    """GET /articles/worth"""
    parts, days = request.app[PARTS], _days(request, default=90)
    act = intake.choice(request, "act", WORTH_FILTERS["act"])
    found = await _worth(parts, days)
    return render(
        request,
        "worth.html",
        days=days,
        act=act or "",
        advised={each: sum(view.act is each for view in found) for each in (Act.REVISE, Act.RETIRE)},
        found=[each for each in ordered(found) if act is None or each.act == act],
    )


async def gaps_page(request: web.Request) -> web.StreamResponse:
    """GET /articles/gaps"""
    return await _show_gaps(request)


async def propose(request: web.Request) -> web.StreamResponse:
    """POST /articles/gaps: ``posts`` are ids of posts, parted by commas."""
    ids = [each.strip() for each in request[FORM].get("posts", "").split(",")]
    if not all(each.isascii() and each.isdigit() and len(each) < 19 for each in ids):
        raise Problem(400, "the form cannot be read")
    try:
        made = await _propose(request, [int(each) for each in ids])
    except (Invalid, Conflict, Missing) as refused:
        return await _show_gaps(request, refused=str(refused), status=409 if isinstance(refused, Conflict) else 422)
    raise web.HTTPSeeOther(f"/articles/{made}")


async def rate(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/rate: ``useful`` is yes or no; ``case`` is where it was put before a person, if anywhere."""
    fields, article_id = request[FORM], intake.row_id(request)
    useful, case = fields.get("useful"), fields.get("case", "")
    if useful not in ("yes", "no") or not (case == "" or (case.isascii() and case.isdigit() and len(case) < 19)):
        raise Problem(400, "the form cannot be read")
    case_id = int(case) if case else None
    await _rate(request, article_id, is_useful=useful == "yes", case_id=case_id)
    raise web.HTTPSeeOther(f"/articles/{article_id}#worth" if case_id is None else f"/cases/{case_id}#answers")


async def api_worth(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/knowledge/worth: all at once, ordered like the page."""
    act = intake.choice(request, "act", WORTH_FILTERS["act"])
    found = await _worth(request.app[PARTS], _days(request, default=90))
    return json({"items": [each for each in ordered(found) if act is None or each.act == act], "next": None})


async def api_gaps(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/knowledge/gaps"""
    return json(await _missing(request))


async def api_propose(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/knowledge/gaps/drafts"""
    body = await intake.document(request, ProposalBody)
    return json(ProposalView(article_id=await _propose(request, body.posts)), status=201)


async def api_rate(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/rate"""
    body = await intake.document(request, RatingBody)
    return json(await _rate(request, intake.row_id(request), is_useful=body.useful, case_id=body.case_id))


async def api_rate_reply(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/replies/{id}/rate"""
    body, parts = await intake.document(request, ReplyRatingBody), request.app[PARTS]
    done: RatingView = await parts.store.write(
        worth.rate_reply,
        intake.row_id(request),
        is_useful=body.useful,
        user_id=visitor(request).user.id,
        now=parts.clock(),
    )
    return json(done)


def view(use: Use, *, now: datetime, within: timedelta) -> WorthView:
    """Return *use* as people and programs see it, with what is advised."""
    counts, advice = use.within, advise(use, now=now, within=within)
    return WorthView(
        article_id=use.article_id,
        name=use.name,
        title=use.title,
        state=use.state,
        owner=use.owner,
        version=use.version,
        in_force_since=use.in_force_since,
        shown=counts.shown,
        sent_alone=counts.alone,
        sent_by_person=counts.by_person,
        approved=counts.approved,
        edited=counts.edited,
        changed=None if counts.change is None else round(counts.change, 4),
        rejected=counts.rejected,
        resolved=counts.resolved,
        unresolved=counts.unresolved,
        pending=counts.pending,
        useful=counts.useful,
        useless=counts.useless,
        edited_share=_share(use.in_force.edited_share),
        rejected_share=_share(use.in_force.rejected_share),
        resolved_share=_share(use.in_force.resolved_share),
        useless_share=_share(use.in_force.useless_share),
        act=advice.act,
        reasons=tuple(advice.reasons),
    )


async def _worth(parts: Parts, days: int) -> list[WorthView]:
    now, within = parts.clock(), timedelta(days=days)
    likely = parts.policy.settings.draft_answer_confidence
    found = await parts.store.read(worth.uses, now=now, within=within, likely=likely)
    return [view(each, now=now, within=within) for each in found]


def ordered(found: Sequence[WorthView]) -> list[WorthView]:
    """Return what needs a hand first, then what is used most."""
    rank = {Act.REVISE: 0, Act.RETIRE: 1, Act.NONE: 2}
    return sorted(found, key=lambda each: (rank[each.act], -each.shown, each.name))


async def _missing(request: web.Request) -> MissingView:
    least = intake.number(request, "least", default=2, lowest=1, highest=1000)
    return await request.app[MISSING].of(days=_days(request, default=30), least=least)


async def _show_gaps(request: web.Request, *, refused: str = "", status: int = 200) -> web.Response:
    found = await _missing(request)
    return render(
        request,
        "gaps.html",
        status=status,
        missing=found,
        days=_days(request, default=30),
        least=intake.number(request, "least", default=2, lowest=1, highest=1000),
        refused=refused,
    )


async def _propose(request: web.Request, post_ids: Sequence[int]) -> int:
    parts = request.app[PARTS]
    made: int = await parts.store.write(
        asked.propose,
        post_ids,
        user_id=visitor(request).user.id,
        now=parts.clock(),
        main_locale=parts.standards.main_locale,
    )
    return made


async def _rate(request: web.Request, article_id: int, *, is_useful: bool, case_id: int | None) -> RatingView:
    parts = request.app[PARTS]
    done: RatingView = await parts.store.write(
        worth.rate,
        article_id,
        is_useful=is_useful,
        case_id=case_id,
        user_id=visitor(request).user.id,
        now=parts.clock(),
    )
    return done


def _days(request: web.Request, *, default: int) -> int:
    return intake.number(request, "days", default=default, lowest=1, highest=MOST_DAYS)


def _share(share: Share) -> ShareView:
    return ShareView(part=share.part, of=share.of, low=round(share.low, 4), high=round(share.high, 4))
