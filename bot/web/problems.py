"""Errors as answers: problem+json (RFC 9457) for the API, a plain page for people. Neither tells how we are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bot.store.engine import StoreUnavailable
from bot.store.refusals import Conflict, Invalid, Missing, RefusedError
from bot.web.pages import render
from bot.web.passwords import Busy

log = structlog.get_logger()

STATUS: Mapping[type[RefusedError], int] = {Missing: 404, Conflict: 409, Invalid: 422}


def status_of(refused: RefusedError) -> int:
    """Return the status that a refusal has."""
    return STATUS.get(type(refused), 422)


class Problem(Exception):
    """Ends a request with *status*; *detail* is for the person or program that asked."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def is_api(request: web.BaseRequest) -> bool:
    """Say whether a program asks; it gets problem+json."""
    return request.path.startswith(("/api/", "/hooks/")) or request.path in ("/api", "/livez", "/readyz", "/metrics")


def answer(request: web.Request, problem: Problem) -> web.Response:
    """Return the problem in the asker's form."""
    title = HTTPStatus(problem.status).phrase
    if not is_api(request):
        return render(
            request, "error.html", status=problem.status, headers=problem.headers, title=title, detail=problem.detail
        )
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.path,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return web.Response(
        body=orjson.dumps(body),
        status=problem.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer; only the unknown leaves a traceback in the log."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return answer(request, Problem(error.status, _plain(error.status), headers=headers))
    except Problem as problem:
        return answer(request, problem)
    except RefusedError as refused:
        return answer(request, Problem(status_of(refused), str(refused)))
    except Busy as busy:
        return answer(request, Problem(503, str(busy), headers={"Retry-After": "2"}))
    except StoreUnavailable as error:
        log.error("web.store_unavailable", route=_route(request), why=str(error))
        detail = "the database cannot be used at present, and nothing was changed; try again in a moment"
        return answer(request, Problem(503, detail, headers={"Retry-After": "5"}))
    except ConnectionResetError:
        raise
    except Exception:
        log.exception("web.failed", method=request.method, route=_route(request))
        return answer(request, Problem(500, "something went wrong here; it is in the log"))


def _plain(status: int) -> str:
    match status:
        case 404:
            return "there is nothing here"
        case 405:
            return "this address does not take that method"
        case 413:
            return "that is too much at once"
        case _:
            return HTTPStatus(status).description or HTTPStatus(status).phrase


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical
