"""Labels of the brand's own: sets, their examples and how well they are told apart, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bot.stages.own_labels import MOST_AGAIN, label_again
from bot.store import feed, own_labels
from bot.store.refusals import Conflict, Invalid
from bot.web import intake
from bot.web.api import json
from bot.web.auth import FORM
from bot.web.pages import render
from bot.web.parts import PARTS, visitor
from bot.web.problems import Problem
from classifiers.own import LONGEST_NAME, LONGEST_TEXT, NONE_BELOW

MAX_SET = 1024 * 1024
"""Bytes of a whole set that a program sends."""

USUAL_AGAIN = 10_000
"""Posts that are labelled again unless somebody says how many."""

Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SetBody(_Body):
    """labels: label -> texts of its examples, two or more each."""

    labels: dict[Name, list[Text]]


class ExampleBody(_Body):
    """An example: its words, or the id of a post that has them."""

    label: Name
    text: Text | None = None
    post_id: int | None = Field(None, ge=1, lt=2**63, description="take the words of this post; they go when it does")


class AgainBody(_Body):
    """posts: how many of the newest."""

    posts: int = Field(USUAL_AGAIN, ge=1, le=MOST_AGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """set_remains: whether the set still has examples."""

    set: str
    set_remains: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """posts: how many have this set's label anew."""

    set: str
    posts: int


async def page(request: web.Request) -> web.StreamResponse:
    """GET /labels; ``post`` is the id of a post to make an example of."""
    return await _show(request, post_id=intake.number(request, "post", default=0, lowest=1, highest=2**62))


async def add(request: web.Request) -> web.StreamResponse:
    """POST /labels: ``set``, ``label``, and ``texts``, an example a line; or ``post``, the id of one."""
    parts, fields = request.app[PARTS], request[FORM]
    name, label, post = (fields.get(key, "").strip() for key in ("set", "label", "post"))
    if post and not (post.isascii() and post.isdigit() and len(post) < 19):
        raise Problem(400, "the form cannot be read")
    try:
        if post:
            await parts.store.write(own_labels.add_post, name, label=label, post_id=int(post), **_who(request))
        else:
            texts = [line.strip() for line in fields.get("texts", "").splitlines() if line.strip()]
            await parts.store.write(own_labels.add, name, label=label, texts=texts, **_who(request))
    except (Invalid, Conflict) as refused:
        # The words stay in the boxes: nobody should have to type them again.
        return await _show(request, post_id=int(post or 0), typed=fields, refused=str(refused), status=422)
    raise web.HTTPSeeOther(f"/labels#set-{name}")


async def remove(request: web.Request) -> web.StreamResponse:
    """POST /labels/{set}/examples/{id}/delete"""
    left = await _remove(request)
    raise web.HTTPSeeOther(f"/labels#set-{left.name}" if left else "/labels")


async def delete(request: web.Request) -> web.StreamResponse:
    """POST /labels/{set}/delete"""
    await _drop(request)
    raise web.HTTPSeeOther("/labels")


async def again(request: web.Request) -> web.StreamResponse:
    """POST /labels/{set}/again"""
    name = request.match_info["set"]
    done = await label_again(request.app[PARTS].store, name, most=USUAL_AGAIN)
    return await _show(request, done=f"{name}: the newest {done} posts were labelled again.")


async def api_all(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/labels: all at once, there are few."""
    return json({"items": await request.app[PARTS].store.read(own_labels.everything), "next": None})


async def api_one(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/labels/{set}"""
    return json(await request.app[PARTS].store.read(own_labels.one, request.match_info["set"]))


async def api_replace(request: web.Request) -> web.StreamResponse:
    """PUT /api/v1/labels/{set}"""
    body, parts = await intake.document(request, SetBody, limit=MAX_SET), request.app[PARTS]
    return json(await parts.store.write(own_labels.replace, request.match_info["set"], body.labels, **_who(request)))


async def api_delete(request: web.Request) -> web.StreamResponse:
    """DELETE /api/v1/labels/{set}"""
    await _drop(request)
    return json(Deleted(set=request.match_info["set"], set_remains=False))


async def api_add(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/labels/{set}/examples"""
    body, parts = await intake.document(request, ExampleBody), request.app[PARTS]
    name = request.match_info["set"]
    if (body.text is None) == (body.post_id is None):
        raise Problem(422, "an example has either text or post_id")
    if body.post_id is not None:
        made = await parts.store.write(
            own_labels.add_post, name, label=body.label, post_id=body.post_id, **_who(request)
        )
    else:
        made = await parts.store.write(own_labels.add, name, label=body.label, texts=[body.text or ""], **_who(request))
    return json(made, status=201)


async def api_remove(request: web.Request) -> web.StreamResponse:
    """DELETE /api/v1/labels/{set}/examples/{id}"""
    left = await _remove(request)
    return json(Deleted(set=request.match_info["set"], set_remains=left is not None))


async def api_again(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/labels/{set}/again"""
    body, name = await intake.document(request, AgainBody), request.match_info["set"]
    return json(Again(set=name, posts=await label_again(request.app[PARTS].store, name, most=body.posts)))


async def _remove(request: web.Request) -> own_labels.LabelSet | None:
    name = request.match_info["set"]
    return await request.app[PARTS].store.write(own_labels.remove, name, intake.row_id(request), **_who(request))


async def _drop(request: web.Request) -> None:
    await request.app[PARTS].store.write(own_labels.drop, request.match_info["set"], **_who(request))


def _who(request: web.Request) -> Any:
    return {"user_id": visitor(request).user.id, "now": request.app[PARTS].clock()}


async def _show(
    request: web.Request, *, post_id: int = 0, typed: Mapping[str, str] | None = None, status: int = 200, **said: str
) -> web.Response:
    store = request.app[PARTS].store
    return render(
        request,
        "labels.html",
        status=status,
        sets=await store.read(own_labels.everything),
        post=await store.read(feed.one, post_id) if post_id else None,
        typed=typed or {},
        none_below=NONE_BELOW,
        refused=said.get("refused"),
        done=said.get("done"),
    )
