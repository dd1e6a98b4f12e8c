"""An endpoint that speaks the chat-completions protocol on loopback, and everything that can be wrong with one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

KEY = "sk-of-the-brand"


class Mood(StrEnum):
    """How the endpoint answers."""

    WELL = "well"
    DRIP = "drip"
    HANG = "hang"
    RESET = "reset"
    LIMITED = "429"
    BROKEN = "500"
    REFUSED = "401"
    GIANT = "giant"
    ENDLESS = "endless"
    REDIRECT = "redirect"
    NO_JSON = "no_json"
    HALF_JSON = "half_json"
    OTHER_SHAPE = "other_shape"
    NO_TEXT = "no_text"
    HTML = "html"
    GZIP = "gzip"


Answer = Callable[[str, dict[str, Any]], str]
"""(system prompt, data that came with it) -> what the model says."""


def obliging(system: str, data: dict[str, Any]) -> str:
    """Choose the first article, or repeat the article's first sentence."""
    if "articles" in data:
        return str(data["articles"][0]["slug"])
    return str(data["article"]["text"]).split("\n")[0]


@dataclass
class Chat:
    """A model. asked: all bodies, as they came. stolen: requests to where it redirects."""

    answer: Answer = obliging
    mood: Mood = Mood.WELL
    usage: Any = field(default_factory=lambda: {"total_tokens": 100})
    asked: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    stolen: int = 0
    base_url: str = ""

    @property
    def text(self) -> str:
        """Everything that ever left for it."""
        return "\n".join(each.decode() for each in self.raw)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Chat]:
        """Serve on loopback."""
        app = web.Application(client_max_size=1 << 22)
        app.router.add_post("/v1/chat/completions", self._serve)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.stolen += 1
        return web.json_response(self._body("stolen"))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.raw.append(await request.read())
        body = json.loads(self.raw[-1])
        self.asked.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        match self.mood:
            case Mood.WELL:
                system, user = (each["content"] for each in body["messages"])
                return web.json_response(self._body(self.answer(system, json.loads(user))))
            case Mood.DRIP | Mood.ENDLESS:
                return await self._drip(request)
            case Mood.HANG:
                await asyncio.sleep(60)
                return web.Response()
            case Mood.RESET:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            case Mood.LIMITED:
                return web.Response(status=429, headers={"Retry-After": "120"})
            case Mood.BROKEN | Mood.REFUSED:
                return web.json_response(self._body("trust me"), status=int(self.mood))
            case Mood.GIANT:
                return web.json_response(self._body("x" * 3_000_000))
            case Mood.REDIRECT:
                return web.Response(status=307, headers={"Location": "/elsewhere"})
            case Mood.NO_JSON:
                return web.Response(text="I would rather talk")
            case Mood.HALF_JSON:
                return web.Response(text='{"choices": [{"message": {"cont', content_type="application/json")
            case Mood.OTHER_SHAPE:
                return web.json_response({"choices": {"message": "hello"}})
            case Mood.NO_TEXT:
                return web.json_response({"choices": [{"message": {"content": {"text": "hello"}}}]})
            case Mood.HTML:
                return web.Response(text="<html>Welcome to our proxy</html>", content_type="text/html")
            case Mood.GZIP:
                answer = web.json_response(self._body("x" * 50_000_000))
                answer.enable_compression(web.ContentCoding.gzip)
                return answer

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        """One byte in a while, for ever; or as many as go through."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" " if self.mood is Mood.DRIP else b" " * 65_536)
            await asyncio.sleep(0.02 if self.mood is Mood.DRIP else 0)
        return response

    def _body(self, text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message}], "usage": self.usage}
