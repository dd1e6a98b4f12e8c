"""The rig itself: what a fault script does is what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from tests.networks.clock import HandClock
from tests.networks.faults import Fault, Network, Trouble, answer, serve_in_thread

PAGE = {"items": list(range(50))}
LANDS = [
    trouble for trouble in Trouble if trouble.value.startswith("accepted") or trouble.value in ("truncated", "cut")
]
CUT_SHORT = [Trouble.CUT, Trouble.RESET, Trouble.ACCEPTED_THEN_RESET]
SILENT = [Trouble.HANG, Trouble.ACCEPTED_THEN_TIMEOUT]


class Board(Network):
    """A network of one page and one kind of write."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/page", self._page)
        router.add_post("/say", self._say)

    async def _page(self, request: web.Request) -> web.Response:
        return answer(PAGE)

    async def _say(self, request: web.Request) -> web.Response:
        said = await request.text()
        self.accept(request.path, new_id="1", text=said)
        return answer({"id": "1", "text": said})


@pytest.fixture
def board() -> Iterator[Board]:
    with serve_in_thread(Board(clock=HandClock())) as board:
        yield board


async def ask(board: Board, method: str, path: str, *, timeout_s: float = 0.3) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
        session.request(method, board.base_url + path, data=b"hello" if method == "POST" else None) as response,
    ):
        return response.status, await response.read()


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_a_write_lands_only_where_the_trouble_says_so(board: Board, trouble: Trouble) -> None:
    board.fail_writes(trouble, until=board.clock() + timedelta(minutes=1))
    expected: type[Exception] | None = TimeoutError if trouble in SILENT else None
    expected = aiohttp.ClientError if trouble in CUT_SHORT else expected
    if expected is not None:
        with pytest.raises(expected):
            await ask(board, "POST", "/say")
    else:
        await ask(board, "POST", "/say")
    board.release()
    assert [entry.text for entry in board.ledger] == (["hello"] if trouble in LANDS else [])
    assert len(board.writes_seen()) == 1
    assert (await ask(board, "POST", "/say", timeout_s=10))[0] == 200, "one fault met two writes"


async def test_reads_stay_troubled_until_healed(board: Board) -> None:
    board.fail_reads(Trouble.HTML_503)
    assert [(await ask(board, "GET", "/page"))[0] for _ in range(3)] == [503] * 3
    assert (await ask(board, "POST", "/say"))[0] == 200
    board.heal()
    assert (await ask(board, "GET", "/page"))[0] == 200


async def test_faults_come_in_the_order_they_were_queued(board: Board) -> None:
    board.fail(Fault(status=500), path="/page")
    board.fail(Fault(status=502), method="GET", path="/page", times=2)
    board.fail(Fault(status=418), path="/elsewhere")
    assert [(await ask(board, "GET", "/page"))[0] for _ in range(4)] == [500, 502, 502, 200]


async def test_half_an_answer_is_half(board: Board) -> None:
    whole = (await ask(board, "GET", "/page"))[1]
    board.fail_reads(Trouble.TRUNCATED, times=1)
    half = (await ask(board, "GET", "/page"))[1]
    assert whole.startswith(half)
    assert len(half) == len(whole) // 2


async def test_weather_is_asked_when_no_fault_is_queued(board: Board) -> None:
    board.weather = lambda seen: Fault(status=509) if seen.method == "GET" else None
    board.fail(Fault(status=500), times=1)
    assert [(await ask(board, "GET", "/page"))[0] for _ in range(2)] == [500, 509]
    assert (await ask(board, "POST", "/say"))[0] == 200


async def test_it_runs_in_the_loop_of_its_test_too() -> None:
    async with Board() as board:
        assert (await ask(board, "GET", "/page", timeout_s=10))[0] == 200
        board.fail_writes(Trouble.HANG)
        # A write: aiohttp itself asks a second time when a read's connection ends.
        hanging = asyncio.create_task(ask(board, "POST", "/say", timeout_s=10))
        await board.arrived(2)
        board.release()
        with pytest.raises(aiohttp.ClientError):
            await hanging
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(board, "GET", "/page")
