"""Signing in with a password or a one-time link, and out again."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from datetime import timedelta

import structlog
from aiohttp import web

from bot.store import failures, people, sessions
from bot.store.people import User
from bot.web import auth, intake, shown
from bot.web.pages import render
from bot.web.parts import PARTS, VISITOR, Parts
from bot.web.problems import Problem

log = structlog.get_logger()

FREE_TRIES = 5
FREE_TRIES_OF_ADDRESS = 20
"""More than of one account: an office often shares an address."""
DEVICE_DAYS = 180


async def page(request: web.Request) -> web.StreamResponse:
    """GET /sign-in"""
    where = shown.local(request.query.get("next"))
    if await auth.by_cookie(request) is not None:
        raise web.HTTPSeeOther(where)
    return render(request, "sign_in.html", next=where, email="", problem=None)


async def sign_in(request: web.Request) -> web.StreamResponse:
    """POST /sign-in"""
    parts, fields = request.app[PARTS], await intake.form(request)
    email, password = fields.get("email", "").strip().lower()[:320], fields.get("password", "")
    found = await parts.store.read(people.secret_of, email)
    hashed = None if found is None else found[1]
    account, shared = _subjects(request, email, hashed)
    until = await parts.store.write(failures.attempt, account | shared, now=parts.clock())
    if until is not None:
        wait = max(1, math.ceil((until - parts.clock()).total_seconds()))
        log.info("auth.slowed", wait_s=wait)
        raise Problem(
            429, f"too many tries; wait {wait} seconds, or ask for a sign-in link", headers={"Retry-After": str(wait)}
        )
    if not await parts.passwords.check(password, hashed) or found is None or hashed is None:
        log.info("auth.refused")
        return render(
            request,
            "sign_in.html",
            status=403,
            next=shown.local(fields.get("next")),
            email=email,
            problem="This address and this password do not go together.",
        )
    await parts.store.write(failures.forgive, account)
    await parts.store.write(failures.take_back, shared)
    user = found[0]
    if parts.passwords.stale(hashed):
        hashed = await parts.passwords.hash(password)
        await parts.store.write(people.set_password, user.id, password_hash=hashed)
    response = await _welcome(request, user, where=shown.local(fields.get("next")))
    nonce = secrets.token_urlsafe(16)
    _set(parts, response, _device_cookie(parts), f"{nonce}.{_device_mac(email, hashed, nonce)}", days=DEVICE_DAYS)
    return response


async def link_page(request: web.Request) -> web.StreamResponse:
    """GET /sign-in/link/{token}: only shows a button, so that a chat's link preview does not use the link up."""
    parts = request.app[PARTS]
    opens = await parts.store.read(people.link_opens, request.match_info["token"], now=parts.clock())
    return render(request, "link.html", status=200 if opens else 404, opens=opens)


async def use_link(request: web.Request) -> web.StreamResponse:
    """POST /sign-in/link/{token}"""
    parts = request.app[PARTS]
    user = await parts.store.write(people.use_link, request.match_info["token"], now=parts.clock())
    if user is None:
        log.info("auth.link_refused")
        return render(request, "link.html", status=404, opens=False)
    return await _welcome(request, user, where="/")


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /sign-out"""
    parts, who = request.app[PARTS], request[VISITOR]
    await parts.store.write(sessions.end, who.token_hash or "")
    parts.live.nudge()
    log.info("auth.signed_out", user=who.user.id)
    response = _see("/sign-in")
    response.del_cookie(
        auth.cookie_name(parts), path="/", secure=parts.settings.secure_cookies, httponly=True, samesite="Lax"
    )
    return response


async def _welcome(request: web.Request, user: User, *, where: str) -> web.Response:
    parts = request.app[PARTS]
    token = await parts.store.write(
        sessions.begin,
        user_id=user.id,
        now=parts.clock(),
        lifetime=timedelta(hours=parts.settings.session_hours),
        replacing=request.cookies.get(auth.cookie_name(parts)),
    )
    log.info("auth.signed_in", user=user.id)
    response = _see(where)
    _set(parts, response, auth.cookie_name(parts), token, days=parts.settings.session_hours / 24)
    return response


def _subjects(request: web.Request, email: str, hashed: str | None) -> tuple[dict[str, int], dict[str, int]]:
    """Return whose tries are counted: (forgiven by the right password, never forgiven by it).

    A browser that signed in before counts alone: strangers who guess at an account cannot keep its owner out (OWASP,
    "Slow Down Online Guessing Attacks with Device Cookies").
    """
    nonce, _, mac = request.cookies.get(_device_cookie(request.app[PARTS]), "").partition(".")
    if hashed is not None and hmac.compare_digest(mac.encode(), _device_mac(email, hashed, nonce).encode()):
        return {f"device:{nonce}": FREE_TRIES}, {}
    return {f"account:{email}": FREE_TRIES}, {f"address:{auth.address(request)}": FREE_TRIES_OF_ADDRESS}


def _device_mac(email: str, hashed: str, nonce: str) -> str:
    # Keyed by the password's hash: it never leaves the store, and a new password forgets all browsers.
    key = hashlib.sha256(hashed.encode()).digest()
    return hmac.new(key, f"{email}\0{nonce}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _device_cookie(parts: Parts) -> str:
    return "__Host-harken-device" if parts.settings.secure_cookies else "harken-device"


def _set(parts: Parts, response: web.Response, name: str, value: str, *, days: float) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(days * 86_400),
        path="/",
        secure=parts.settings.secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def _see(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})
