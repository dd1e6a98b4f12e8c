"""Templates to answers. Autoescape is on for all; nothing is marked safe but articles that nh3 has cleaned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import nh3
from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from bot.store.roles import Role
from bot.web import shown
from bot.web.parts import PARTS, VISITOR
from classifiers.own import NONE
from classifiers.triage import HEADS

STATIC_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")
_TAGS = {"p", "h1", "h2", "h3", "h4", "ul", "ol", "li", "em", "strong", "code", "pre", "blockquote", "hr", "br", "a"}


def prose(markdown: str) -> Markup:
    """Return an article's Markdown as clean HTML; links are absolute http(s) or mailto."""
    clean = nh3.clean(
        _MARKDOWN.render(shown.text(markdown)),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704 (nh3 has cleaned it)


@cache
def static() -> Mapping[str, tuple[bytes, str]]:
    """Return our static files: name -> (content, digest), read once."""
    found = {}
    for entry in files("bot.web").joinpath("static").iterdir():
        if entry.name.rpartition(".")[2] in STATIC_TYPES:
            content = entry.read_bytes()
            found[entry.name] = (content, hashlib.sha256(content).hexdigest()[:12])
    return found


def static_url(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it for ever."""
    return f"/static/{name}?v={static()[name][1]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bot.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        shown_text=shown.text,
        shown_name=shown.name,
        link=shown.url,
        host=shown.host,
        when=shown.when,
        iso=shown.iso,
        percent=shown.percent,
        words=shown.words,
        prose=prose,
    )
    environment.globals.update(static_url=static_url, HEADS=HEADS, NONE=NONE)
    return environment


def text_of(template: str, **values: Any) -> str:
    """Return a filled template; the stream sends the very partials that pages include."""
    return _environment().get_template(template).render(values)


def render(
    request: web.Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> web.Response:
    """Return a page for whoever asks."""
    who = request.get(VISITOR)
    values.setdefault("csrf", "" if who is None else who.csrf)
    return web.Response(
        text=text_of(
            template,
            visitor=who,
            may_act=who is not None and who.user.role.covers(Role.AGENT),
            may_lead=who is not None and who.user.role.covers(Role.LEAD),
            stopped=[] if who is None else request.app[PARTS].brakes.standing(),
            path=request.path,
            here=request.path_qs,
            **values,
        ),
        status=status,
        headers=headers,
        content_type="text/html",
        charset="utf-8",
    )
