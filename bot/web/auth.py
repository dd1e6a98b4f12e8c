"""Who asks, and may they: session cookie or API key, role, and proof that our own page sent the form."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from bot.store import keys, sessions
from bot.store.engine import StoreUnavailable
from bot.web import intake
from bot.web.parts import PARTS, VISITOR, Parts, Visitor
from bot.web.problems import Problem, is_api
from bot.web.route import Access, access_of

log = structlog.get_logger()

SAFE = ("GET", "HEAD", "OPTIONS")
FORM: web.RequestKey[Mapping[str, str]] = web.RequestKey("form", Mapping)


def cookie_name(parts: Parts) -> str:
    """Return the session cookie's name; browsers bind a __Host- cookie to https, this host and path /."""
    return "__Host-harken" if parts.settings.secure_cookies else "harken"


@web.middleware
async def authorise(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request through to its handler, or refuse it. Default deny."""
    if request.match_info.http_exception is not None:
        return await handler(request)
    access = access_of(request.app, request.match_info.route)
    if access is None:
        raise Problem(403, "nobody may do this")
    if access is Access.SIGNED:
        return await handler(request)
    if access is Access.OPEN:
        if request.method not in SAFE:
            _same_origin(request)
        return await handler(request)
    who = await (_by_key(request) if is_api(request) else _by_cookie(request))
    if who is None:
        return _unknown(request)
    request[VISITOR] = who
    role = access.role
    if role is None or not who.user.role.covers(role):
        raise Problem(403, f"this takes the role {access.value}; yours is {who.user.role}")
    if request.method not in SAFE and who.token_hash is not None:
        await _from_our_page(request, who)
    return await handler(request)


async def by_cookie(request: web.Request) -> Visitor | None:
    """Return whose browser this is, None when nobody is signed in."""
    return await _by_cookie(request)


def address(request: web.Request) -> str:
    """Return the asker's network address; of IPv6 the /64 that one customer usually has."""
    claimed = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    peer = claimed if request.app[PARTS].settings.behind_proxy and claimed else request.remote or ""
    try:
        parsed = ipaddress.ip_address(peer)
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


async def _by_key(request: web.Request) -> Visitor | None:
    parts = request.app[PARTS]
    header = request.headers.get("Authorization")
    if header is None:
        # A browser sends its cookie by itself: good enough to read with, never to change anything.
        return await _by_cookie(request) if request.method in SAFE else None
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    key = key.strip()
    now = parts.clock()
    held = await parts.store.read(keys.holder, key, now=now)
    if held is None:
        return None
    user, used_at = held
    if used_at is None or now - used_at > keys.TOUCH_AFTER:
        with _as_far_as_there_is_room():
            await parts.store.write(keys.touch, key, now=now)
    return Visitor(user=user)


async def _by_cookie(request: web.Request) -> Visitor | None:
    parts = request.app[PARTS]
    token = request.cookies.get(cookie_name(parts))
    if not token:
        return None
    now = parts.clock()
    found = await parts.store.read(sessions.find, token, now=now, idle=parts.idle)
    if found is None:
        return None
    if now - found.seen_at > sessions.TOUCH_AFTER:
        with _as_far_as_there_is_room():
            await parts.store.write(sessions.touch, found.token_hash, now=now)
    return Visitor(user=found.user, csrf=found.csrf, token_hash=found.token_hash)


@contextmanager
def _as_far_as_there_is_room() -> Iterator[None]:
    """Let somebody in whose visit cannot be written down: on a full disk, too, one must read and stop."""
    try:
        yield
    except StoreUnavailable as error:
        log.warning("auth.untouched", why=str(error))


def _unknown(request: web.Request) -> web.StreamResponse:
    if is_api(request):
        detail = "send an API key: Authorization: Bearer harken_<id>_<secret>"
        raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="harken"'})
    where = quote(request.path_qs, safe="/") if request.method in SAFE else "/"
    raise web.HTTPSeeOther("/sign-in" if where == "/" else f"/sign-in?next={where}")


def _same_origin(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site == "same-origin":
            return
    else:
        # Browsers tell Sec-Fetch-Site only over https and on loopback; all tell Origin with a POST.
        origin = request.headers.get("Origin", "")
        public = request.app[PARTS].settings.public_url
        if public:
            if origin == str(URL(public).origin()):
                return
        elif origin.partition("://")[2] == request.host and origin:
            return
    raise Problem(403, "this did not come from one of our pages; go back, reload and try again")


async def _from_our_page(request: web.Request, who: Visitor) -> None:
    _same_origin(request)
    fields = await intake.form(request)
    if not hmac.compare_digest(fields.get("csrf", "").encode(), who.csrf.encode()):
        raise Problem(403, "this form is out of date; go back, reload and try again")
    request[FORM] = fields
