"""Articles: what is known, what is being written, who may take which step; for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.store import editions, report, worth
from bot.store.editions import REMIND_BEFORE, EditionView
from bot.store.refusals import Conflict, Invalid
from bot.store.report import ArticleFilter
from bot.web import intake
from bot.web.api import json, page_size
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, visitor
from bot.web.problems import Problem, status_of
from classifiers.errors import ClassifierError
from handoff.knowledge import readiness
from handoff.knowledge.article import MAX_CHARS, Article, ArticleError, ArticleState, Audience, make
from handoff.knowledge.readiness import Finding, Guess, Ready
from handoff.knowledge.slots import TYPES

PAGE = 100

MAX_ARTICLE = 256 * 1024
"""Bytes of an article that a program sends: MAX_CHARS, each written as an escape of six signs, with room."""

FILTERS: Mapping[str, Sequence[str]] = {
    "text": (),
    "locale": (),
    "state": tuple(ArticleState),
    "brand": (),
    "audience": tuple(Audience),
    "due": ("1",),
}

MOST_WORDINGS = 20
"""Channels on the page to edit; a form has fifty fields."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=MAX_CHARS)


class ArticleBody(_Body):
    """An article as its file has it (docs/knowledge.md): channels maps a channel, or default, to the exact words."""

    title: str
    slug: str
    locale: str
    body: str = ""
    owner: str = ""
    audience: Audience = Audience.PUBLIC
    brand: str = ""
    tags: list[str] = []
    topics: list[str] = []
    questions: list[str] = []
    channels: dict[str, str] = {}
    valid_from: str = Field("", description="2026-12-24, or a time with a zone")
    valid_until: str = Field("", description="no longer included")
    review_by: str = Field("", description="2026-12-24")


class EditBody(ArticleBody):
    """base: the version it was written on top of. follows_main: it says what the main locale's article says now."""

    base: int = Field(ge=0)
    follows_main: bool = False


class VersionBody(_Body):
    """version: the one you looked at; another one is refused."""

    version: int = Field(ge=1)


class ReturnBody(VersionBody):
    """note: why."""

    note: str = Field("", max_length=editions.MAX_NOTE)


class RetireBody(_Body):
    """note: why."""

    note: str = Field("", max_length=editions.MAX_NOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was kept, and what is to put right before it can be published (is_fault), or had better be."""

    edition: EditionView
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessView:
    """How ready the newest version is for each channel; findings: all there is to put right."""

    article_id: int
    version: int
    channels: Sequence[Ready]
    findings: Sequence[Finding]


async def page(request: web.Request) -> web.StreamResponse:
    """GET /articles"""
    parts, asked = request.app[PARTS], _asked(request)
    cursor = intake.choice(request, "cursor")
    found = await parts.store.read(
        report.articles, _filter(request, asked), limit=PAGE, cursor=cursor, **_main(request)
    )
    return render(
        request,
        "articles.html",
        articles=found.items,
        asked={name: value or "" for name, value in asked.items()},
        next=found.next,
        due=await parts.store.read(editions.due, today=parts.clock().date()),
        today=parts.clock().date(),
        states=tuple(ArticleState),
        locales=await parts.store.read(report.locales),
        brands=await parts.store.read(report.brands),
    )


async def one(request: web.Request) -> web.StreamResponse:
    """GET /articles/{id}; ``before`` and ``after`` are numbers of versions to compare."""
    return await _show(request)


async def new_page(request: web.Request) -> web.StreamResponse:
    """GET /articles/new; ``of`` is the id of an article to translate."""
    of = intake.number(request, "of", default=0, lowest=0, highest=2**62)
    typed: dict[str, str] = {"locale": "" if of else request.app[PARTS].standards.main_locale}
    if of:
        _, article = await request.app[PARTS].store.read(editions.working_copy, of)
        typed |= {"slug": article.slug, "brand": article.brand, "audience": article.audience, "owner": article.owner}
        typed |= {"tags": ", ".join(article.tags), "topics": ", ".join(article.topics)}
    return _form(request, typed)


async def create(request: web.Request) -> web.StreamResponse:
    """POST /articles"""
    fields = request[FORM]
    try:
        made = await _create(request, _read_form(fields))
    except (Invalid, Conflict) as refused:
        return _form(request, fields, refused=str(refused))
    raise web.HTTPSeeOther(f"/articles/{made}")


async def edit_page(request: web.Request) -> web.StreamResponse:
    """GET /articles/{id}/edit"""
    article_id = intake.row_id(request)
    base, article = await request.app[PARTS].store.read(editions.working_copy, article_id)
    return _form(request, {**_typed(article), "base": str(base)}, article_id=article_id)


async def edit(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/edit"""
    fields, article_id = request[FORM], intake.row_id(request)
    try:
        article = _read_form(fields)
        await _save(request, article, base=_number(fields, "base"), follows_main=intake.flag(fields, "follows_main"))
    except (Invalid, Conflict) as refused:
        # The words stay in the boxes: nobody should have to type them again.
        return _form(request, fields, article_id=article_id, refused=str(refused))
    raise web.HTTPSeeOther(f"/articles/{article_id}")


async def submit(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/submit"""
    return await _step(request, editions.submit, version=_number(request[FORM], "version"))


async def send_back(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/return"""
    fields = request[FORM]
    return await _step(request, editions.send_back, version=_number(fields, "version"), note=fields.get("note", ""))


async def publish(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/publish"""
    standards = request.app[PARTS].standards
    return await _step(request, editions.publish, version=_number(request[FORM], "version"), standards=standards)


async def retire(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/retire"""
    return await _step(request, editions.retire, note=request[FORM].get("note", ""))


async def restore(request: web.Request) -> web.StreamResponse:
    """POST /articles/{id}/restore"""
    return await _step(request, editions.restore, number=_number(request[FORM], "version"))


async def api_all(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/articles"""
    wanted, cursor = _filter(request, _asked(request)), intake.choice(request, "cursor")
    limit = page_size(request)
    store = request.app[PARTS].store
    found = await store.read(report.articles, wanted, limit=limit, cursor=cursor, **_main(request))
    return json({"items": found.items, "next": found.next})


async def api_one(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/articles/{id}"""
    return json(await request.app[PARTS].store.read(report.article, intake.row_id(request), **_main(request)))


async def api_edition(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/articles/{id}/edition"""
    return json(await _edition(request, intake.row_id(request)))


async def api_readiness(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/articles/{id}/readiness"""
    article_id = intake.row_id(request)
    version, article = await request.app[PARTS].store.read(editions.working_copy, article_id)
    channels, findings = await _ready(request, article)
    return json(ReadinessView(article_id=article_id, version=version, channels=channels, findings=findings))


async def api_diff(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/articles/{id}/diff"""
    return json(await _diff(request))


async def api_create(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles"""
    body = await intake.document(request, ArticleBody, limit=MAX_ARTICLE)
    return await _saved(request, await _create(request, _read_body(body)), status=201)


async def api_edit(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/edit"""
    body = await intake.document(request, EditBody, limit=MAX_ARTICLE)
    await _save(request, _read_body(body), base=body.base, follows_main=body.follows_main)
    return await _saved(request, intake.row_id(request))


async def api_submit(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/submit"""
    body = await intake.document(request, VersionBody)
    return await _api_step(request, editions.submit, version=body.version)


async def api_return(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/return"""
    body = await intake.document(request, ReturnBody)
    return await _api_step(request, editions.send_back, version=body.version, note=body.note)


async def api_publish(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/publish"""
    body, standards = await intake.document(request, VersionBody), request.app[PARTS].standards
    return await _api_step(request, editions.publish, version=body.version, standards=standards)


async def api_retire(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/retire"""
    body = await intake.document(request, RetireBody)
    return await _api_step(request, editions.retire, note=body.note)


async def api_restore(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/articles/{id}/restore"""
    body = await intake.document(request, VersionBody)
    await _do(request, editions.restore, number=body.version)
    return await _saved(request, intake.row_id(request))


async def api_due(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/articles/due: all at once, there are few."""
    parts = request.app[PARTS]
    return json({"items": await parts.store.read(editions.due, today=parts.clock().date()), "next": None})


async def _create(request: web.Request, article: Article) -> int:
    made: int = await request.app[PARTS].store.write(editions.create, article, **_who(request), **_main(request))
    return made


async def _save(request: web.Request, article: Article, *, base: int, follows_main: bool) -> None:
    await request.app[PARTS].store.write(
        editions.save,
        intake.row_id(request),
        article,
        base=base,
        follows_main=follows_main,
        **_who(request),
        **_main(request),
    )


async def _do(request: web.Request, act: Any, **more: Any) -> None:
    await request.app[PARTS].store.write(act, intake.row_id(request), **_who(request), **more)


async def _step(request: web.Request, act: Any, **more: Any) -> web.StreamResponse:
    try:
        await _do(request, act, **more)
    except (Invalid, Conflict) as refused:
        status = status_of(refused)
        return await _show(request, refused=str(refused), status=status)
    raise web.HTTPSeeOther(f"/articles/{intake.row_id(request)}")


async def _api_step(request: web.Request, act: Any, **more: Any) -> web.StreamResponse:
    await _do(request, act, **more)
    return json(await _edition(request, intake.row_id(request)))


async def _saved(request: web.Request, article_id: int, *, status: int = 200) -> web.StreamResponse:
    _, article = await request.app[PARTS].store.read(editions.working_copy, article_id)
    _, findings = await _ready(request, article)
    return json(Saved(edition=await _edition(request, article_id), findings=findings), status=status)


async def _edition(request: web.Request, article_id: int) -> EditionView:
    found: EditionView = await request.app[PARTS].store.read(
        editions.one, article_id, user=visitor(request).user, **_main(request)
    )
    return found


async def _diff(request: web.Request) -> editions.DiffView:
    numbers = {name: intake.number(request, name, default=0, lowest=0, highest=10**9) for name in ("before", "after")}
    found: editions.DiffView = await request.app[PARTS].store.read(editions.compare, intake.row_id(request), **numbers)
    return found


async def _ready(request: web.Request, article: Article) -> tuple[Sequence[Ready], Sequence[Finding]]:
    parts = request.app[PARTS]
    texts = readiness.texts(article, parts.standards)
    guesses: dict[str, Guess] = {}
    with suppress(ClassifierError):  # the model is not there yet: the language is not judged, all else is
        guesses = dict(zip(texts, await parts.tongues(texts), strict=True)) if texts else {}
    standards = parts.standards
    return readiness.check(article, standards, guesses), readiness.findings(article, standards, guesses)


async def _show(request: web.Request, *, refused: str = "", status: int = 200) -> web.Response:
    parts, article_id = request.app[PARTS], intake.row_id(request)
    edition = await _edition(request, article_id)
    _, working = await parts.store.read(editions.working_copy, article_id)
    channels, findings = await _ready(request, working)
    return render(
        request,
        "article.html",
        status=status,
        edition=edition,
        article=edition.article,
        variants=await parts.store.read(report.variants, edition.article.slug, **_main(request)),
        diff=await _diff(request) if request.method == "GET" else await parts.store.read(editions.compare, article_id),
        channels=channels,
        findings=[each for each in findings if not each.channel],
        refused=refused,
        rated=await parts.store.read(worth.rating, article_id, user_id=visitor(request).user.id),
        soon=parts.clock().date() + REMIND_BEFORE,
        now=parts.clock(),
    )


def _form(
    request: web.Request, typed: Mapping[str, str], *, article_id: int | None = None, refused: str = ""
) -> web.Response:
    standards = request.app[PARTS].standards
    written = {name.removeprefix("wording."): said for name, said in typed.items() if name.startswith("wording.")}
    channels = ["default", *sorted(({*standards.voices, *readiness.USUAL_VOICES, *written}) - {"default"})]
    return render(
        request,
        "article_edit.html",
        status=422 if refused else 200,
        typed=typed,
        wordings={name: written.get(name, "") for name in channels[:MOST_WORDINGS]},
        article_id=article_id,
        refused=refused,
        slots=sorted(standards.slots.by_name.values(), key=lambda slot: slot.name),
        slot_types=TYPES,
        topics=sorted(standards.topics),
        main_locale=standards.main_locale,
        audiences=tuple(Audience),
    )


def _typed(article: Article) -> dict[str, str]:
    """Return what the boxes of the form hold for *article*."""
    moments = {"valid_from": article.valid_from, "valid_until": article.valid_until}
    return {
        **{name: getattr(article, name) for name in ("title", "slug", "locale", "body", "owner", "brand", "audience")},
        "tags": ", ".join(article.tags),
        "topics": ", ".join(article.topics),
        "questions": "\n".join(" ".join(each.split()) for each in article.questions),
        "review_by": "" if article.review_by is None else article.review_by.isoformat(),
        **{name: "" if at is None else at.isoformat().replace("+00:00", "Z") for name, at in moments.items()},
        **{f"wording.{name}": said for name, said in article.wordings.items()},
    }


def _read_form(fields: Mapping[str, str]) -> Article:
    # Browsers send line ends as two signs.
    given = {name: value.replace("\r\n", "\n").strip() for name, value in fields.items()}
    wordings = {name.removeprefix("wording."): said for name, said in given.items() if name.startswith("wording.")}
    if given.get("channel_new"):
        wordings[given["channel_new"]] = given.get("wording_new", "")
    listed = {name: _split(given.get(name, ""), ",") for name in ("tags", "topics")}
    plain = ("title", "slug", "locale", "owner", "brand", "audience", "review_by", "valid_from", "valid_until")
    return _make(
        {
            **{name: given.get(name, "") for name in plain},
            **listed,
            "questions": _split(given.get("questions", ""), "\n"),
            "channels": {name: said for name, said in wordings.items() if said},
        },
        given.get("body", ""),
    )


def _read_body(body: ArticleBody) -> Article:
    meta = body.model_dump(exclude={"body", "base", "follows_main"})
    return _make({name: str(value) if name == "audience" else value for name, value in meta.items()}, body.body)


def _make(meta: Mapping[str, Any], body: str) -> Article:
    try:
        return make({name: value for name, value in meta.items() if value}, body, name="article.md")
    except ArticleError as error:
        raise Invalid("; ".join(each.removeprefix("article.md: ") for each in error.problems)) from error


def _split(text: str, separator: str) -> list[str]:
    return list(dict.fromkeys(each.strip() for each in text.split(separator) if each.strip()))


def _number(fields: Mapping[str, str], name: str) -> int:
    value = fields.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Problem(400, "the form cannot be read")
    return int(value)


def _asked(request: web.Request) -> dict[str, str | None]:
    return {name: intake.choice(request, name, allowed or None) for name, allowed in FILTERS.items()}


def _filter(request: web.Request, asked: Mapping[str, str | None]) -> ArticleFilter:
    today = request.app[PARTS].clock().date()
    return ArticleFilter(
        text=asked["text"],
        locale=asked["locale"],
        state=asked["state"],
        brand=asked["brand"],
        audience=asked["audience"],
        due_by=today + REMIND_BEFORE if asked["due"] else None,
    )


def _main(request: web.Request) -> dict[str, Any]:
    return {"main_locale": request.app[PARTS].standards.main_locale}


def _who(request: web.Request) -> dict[str, Any]:
    return {"user_id": visitor(request).user.id, "now": request.app[PARTS].clock()}
