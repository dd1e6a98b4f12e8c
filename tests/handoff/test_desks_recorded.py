"""Plays what real desks answered through our code. Their recordings stay outside the repository."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from aiohttp import web

from handoff.desks.zammad import ZammadDesk, ZammadSettings
from handoff.desks.zendesk import ZendeskDesk, ZendeskSettings
from handoff.errors import DeskRejected, DeskUnavailable
from tests.handoff.full_context import make_case, make_situation
from tests.networks.clock import system_clock
from tests.networks.faults import JSON, Network

FOLDER = Path(os.environ.get("HARKEN_SHARED", "")) / "data" / "recorded"

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif("HARKEN_SHARED" not in os.environ, reason="HARKEN_SHARED names no folder with recordings"),
]

# Not ours to repeat: the length is another once decoded, and the connection is our own.
DROPPED = {"content-length", "transfer-encoding", "connection", "content-encoding", "set-cookie", "date", "server"}


@dataclass(frozen=True, slots=True)
class Recording:
    """One answer as it came. body: decoded bytes as sent on the wire, gzip where it was gzip."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def zendesk(name: str) -> Iterator[Recording]:
    """Return the interactions of one betamax file."""
    for each in orjson.loads((FOLDER / "zendesk" / name).read_bytes())["http_interactions"]:
        told, body = each["response"], each["response"]["body"]
        raw = base64.b64decode(body["base64_string"]) if "base64_string" in body else body["string"].encode()
        headers = {key: values[0] for key, values in told["headers"].items()}
        path = "/" + each["request"]["uri"].split("/", 3)[3].split("?")[0]
        yield Recording(each["request"]["method"], path, told["status"]["code"], headers, raw)


def zammad(name: str) -> Iterator[Recording]:
    """Return the interactions of one vcr file."""
    for each in yaml.safe_load((FOLDER / "zammad" / name).read_bytes())["interactions"]:
        told, body = each["response"], each["response"]["body"]["string"]
        headers = {key: values[0] for key, values in told["headers"].items()}
        raw = body if isinstance(body, bytes) else body.encode()
        path = "/" + each["request"]["uri"].split("/", 3)[3].split("?")[0]
        yield Recording(each["request"]["method"], path, told["status"]["code"], headers, raw)


def one(recordings: Iterator[Recording], method: str, path: str) -> Recording:
    return next(each for each in recordings if each.method == method and each.path.startswith(path))


class Player(Network):
    """Answers with recordings: (method, path) -> the answers in turn, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(clock=system_clock)
        self.script: dict[tuple[str, str], list[Recording | web.Response]] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_route("*", "/{path:.*}", self._play)

    async def _play(self, request: web.Request) -> web.Response:
        turns = self.script[request.method, request.path]
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, web.Response):
            return web.Response(status=turn.status, body=turn.body, headers=JSON)
        headers = {key: value for key, value in turn.headers.items() if key.lower() not in DROPPED}
        if turn.body[:2] == b"\x1f\x8b":
            headers["Content-Encoding"] = "gzip"
        return web.Response(status=turn.status, body=turn.body, headers=headers)


def said(data: Any, status: int = 200) -> web.Response:
    """Return an answer of our own, for what nobody recorded."""
    return web.Response(status=status, body=orjson.dumps(data))


@pytest.fixture
async def player() -> AsyncIterator[Player]:
    async with Player() as player:
        yield player


TICKETS = "/api/v2/tickets.json"
NO_USERS = ("GET", "/api/v2/users/search.json")
NEW_USER = ("POST", "/api/v2/users/create_or_update.json")


@pytest.fixture
async def zendesk_desk(player: Player) -> AsyncIterator[ZendeskDesk]:
    table = {"kind": "zendesk", "base_url": player.base_url, "oauth_token": "oat"}
    player.script[NO_USERS] = [said({"users": [], "count": 0})]
    player.script[NEW_USER] = [said({"user": {"id": 6_130_907_993_114}}, 201)]
    player.script["GET", TICKETS] = [said({"tickets": [], "count": 0, "next_page": None})]
    settings = ZendeskSettings.model_validate(table)
    async with ZendeskDesk(name="desk", settings=settings, clock=system_clock) as desk:
        yield desk


async def test_zendesks_created_ticket_is_read(player: Player, zendesk_desk: ZendeskDesk) -> None:
    name = "TestTicketCreateUpdateDelete.test_single_object_creation-create-single.json"
    player.script["POST", TICKETS] = [one(zendesk(name), "POST", TICKETS)]
    ref = await zendesk_desk.open(make_case(), make_situation())
    assert ref.id == "4014"
    assert ref.url == f"{player.base_url}/agent/tickets/4014"


async def test_zendesks_list_is_read_and_strange_tickets_are_not_ours(
    player: Player, zendesk_desk: ZendeskDesk
) -> None:
    pages = [each for each in zendesk("TestTicketsPagination.test_pagination.json") if each.path == TICKETS]
    assert len(pages) == 13
    for page in pages:
        player.script["GET", TICKETS] = [page]
        with pytest.raises(DeskUnavailable, match="the tickets it was asked for"):
            await zendesk_desk.open(make_case(), make_situation())
    assert player.writes_seen() == []


async def test_zendesks_list_with_our_ticket_is_the_ticket(player: Player, zendesk_desk: ZendeskDesk) -> None:
    name = "TestTicketCreateUpdateDelete.test_single_object_creation-create-single.json"
    player.script["POST", TICKETS] = [one(zendesk(name), "POST", TICKETS)]
    await zendesk_desk.open(make_case(), make_situation())
    sent = [seen for seen in player.requests if seen.path == TICKETS and seen.method == "POST"]
    key = orjson.loads(sent[0].body)["ticket"]["external_id"]
    # The recorded ticket as the list would show it, once it carries the external id that we sent.
    made = orjson.loads(one(zendesk(name), "POST", TICKETS).body)["ticket"]
    player.script["GET", TICKETS] = [said({"tickets": [{**made, "external_id": key}], "next_page": None})]
    again = await zendesk_desk.open(make_case(), make_situation())
    assert again.id == "4014"
    assert len([seen for seen in player.requests if seen.method == "POST" and seen.path == TICKETS]) == 1


@pytest.mark.parametrize(
    ("name", "method", "reason"),
    [
        (
            "TestTicketCreateUpdateDelete.test_raises_toomanyvaluesexception_create-create-multiple.json",
            "POST",
            "TooManyValues",
        ),
        (
            "TestTicketCreateUpdateDelete.test_single_update_raises_recordnotfoundexception-recordnotfound-update.json",
            "PUT",
            "RecordNotFound",
        ),
    ],
)
async def test_zendesks_refusals_are_for_good_and_named(
    player: Player, zendesk_desk: ZendeskDesk, name: str, method: str, reason: str
) -> None:
    player.script["POST", TICKETS] = [one(zendesk(name), method, "/api/v2/tickets")]
    with pytest.raises(DeskRejected, match=reason):
        await zendesk_desk.open(make_case(), make_situation())


ZAMMAD_TICKETS = "/api/v1/tickets"
ZAMMAD_SEARCH = "/api/v1/tickets/search"


@pytest.fixture
async def zammad_desk(player: Player) -> AsyncIterator[ZammadDesk]:
    player.script["GET", ZAMMAD_SEARCH] = [said([])]
    settings = ZammadSettings.model_validate({"kind": "zammad", "base_url": player.base_url, "token": "t"})
    async with ZammadDesk(name="desk", settings=settings, clock=system_clock) as desk:
        yield desk


async def test_zammads_created_ticket_is_read(player: Player, zammad_desk: ZammadDesk) -> None:
    player.script["POST", ZAMMAD_TICKETS] = [one(zammad("TestAPI.test_tickets.yaml"), "POST", ZAMMAD_TICKETS)]
    ref = await zammad_desk.open(make_case(), make_situation())
    assert ref.id == "5"
    assert ref.url == f"{player.base_url}/#ticket/zoom/5"


async def test_zammads_search_is_read_and_strange_tickets_are_not_ours(player: Player, zammad_desk: ZammadDesk) -> None:
    recordings = list(zammad("TestAPI.test_tickets.yaml"))
    found = one(iter(recordings), "GET", ZAMMAD_SEARCH)
    player.script["GET", ZAMMAD_SEARCH] = [found]
    player.script["POST", ZAMMAD_TICKETS] = [one(iter(recordings), "POST", ZAMMAD_TICKETS)]
    assert (await zammad_desk.open(make_case(), make_situation())).id == "5"


async def test_zammads_search_with_our_ticket_is_the_ticket(player: Player, zammad_desk: ZammadDesk) -> None:
    made = one(zammad("TestAPI.test_tickets.yaml"), "POST", ZAMMAD_TICKETS)
    player.script["POST", ZAMMAD_TICKETS] = [made]
    await zammad_desk.open(make_case(), make_situation())
    number = orjson.loads(player.writes_seen()[0].body)["number"]
    # The recorded ticket as the search would show it, once it carries the number that we sent.
    player.script["GET", ZAMMAD_SEARCH] = [said([{**orjson.loads(made.body), "number": number}])]
    assert (await zammad_desk.open(make_case(), make_situation())).id == "5"
    assert len(player.writes_seen()) == 1
