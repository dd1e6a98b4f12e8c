"""The promise of handoff/protocol.py, as tests that every desk inherits.

The fake desk runs in a thread of its own, so that a desk that blocks the event loop fails a test instead of hanging it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, ClassVar, Generic

import pytest
import structlog

from handoff.errors import DeskAuthFailed, DeskError, DeskLimited, DeskRejected, DeskUnavailable
from handoff.protocol import Desk
from tests.handoff.full_context import (
    CONTACT_TEXT,
    HANDLE,
    HOSTILE,
    PARENT_TEXT,
    REPLY_TEXT,
    ROOT_TEXT,
    TEXT,
    WORDING,
    make_author,
    make_case,
    make_post,
    make_situation,
)
from tests.networks.clock import HandClock, system_clock
from tests.networks.faults import AnyNetwork, Fault, How, Trouble, serve_in_thread

ANY_DESK_TROUBLE = [
    (Trouble.HTML_503, DeskUnavailable),
    (Trouble.CUT, DeskUnavailable),
    (Trouble.RESET, DeskUnavailable),
    (Trouble.HANG, DeskUnavailable),
    (Trouble.RATE_LIMITED_WITHOUT_RESET, DeskLimited),
    (Trouble.UNAUTHORIZED, DeskAuthFailed),
    (Trouble.FORBIDDEN, DeskAuthFailed),
]
UNREADABLE = [Trouble.TRUNCATED, Trouble.OTHER_SHAPE, Trouble.WRONG_TYPE]
MAYBE_OPEN = [Trouble.ACCEPTED_THEN_TIMEOUT, Trouble.ACCEPTED_THEN_500, Trouble.ACCEPTED_THEN_RESET, Trouble.CUT]


class DeskContract(Generic[AnyNetwork]):
    """What opening a ticket promises.

    secrets: tokens that must never be logged. reads_answers: False when a 2xx alone is success, whatever its body.
    short_s: the time-out in tests that hang.
    """

    secrets: ClassVar[tuple[str, ...]] = ()
    reads_answers: ClassVar[bool] = True
    short_s: ClassVar[float] = 1.0

    # Hooks

    def make_network(self, clock: HandClock) -> AnyNetwork:
        raise NotImplementedError

    def make_desk(self, network: AnyNetwork, clock: HandClock, **settings: Any) -> Desk:
        """Return a desk on *network*; *settings* override its settings by name."""
        raise NotImplementedError

    def make_stranger(self, network: AnyNetwork, clock: HandClock) -> Desk:
        """Return a desk on *network* with credentials that are well-formed and wrong."""
        raise NotImplementedError

    # Fixtures

    @pytest.fixture
    def clock(self) -> HandClock:
        # Near the real time: signatures age by the receiver's clock.
        return HandClock(system_clock().replace(microsecond=0))

    @pytest.fixture
    def network(self, clock: HandClock) -> Iterator[AnyNetwork]:
        with serve_in_thread(self.make_network(clock)) as network:
            yield network

    @pytest.fixture
    async def desk(self, network: AnyNetwork, clock: HandClock) -> AsyncIterator[Desk]:
        async with self.make_desk(network, clock) as desk:
            yield desk

    @pytest.fixture
    async def hasty(self, network: AnyNetwork, clock: HandClock) -> AsyncIterator[Desk]:
        async with self.make_desk(network, clock, timeout_s=self.short_s) as desk:
            yield desk

    # Opening once

    async def test_a_case_becomes_one_ticket(self, desk: Desk, network: AnyNetwork) -> None:
        ref = await desk.open(make_case(), make_situation())
        assert [entry.id for entry in network.ledger] == [ref.id]
        assert ref.desk == desk.name
        assert ref.url is not None
        assert ref.url.startswith("http")

    async def test_the_same_case_again_is_the_same_ticket(self, desk: Desk, network: AnyNetwork) -> None:
        first = await desk.open(make_case(), make_situation())
        again = await desk.open(make_case(), make_situation())
        assert again == first
        assert len(network.ledger) == 1

    async def test_the_same_case_with_more_context_is_the_same_ticket(self, desk: Desk, network: AnyNetwork) -> None:
        first = await desk.open(make_case(), make_situation(history=(), thread=()))
        again = await desk.open(make_case(title="Other words", priority=1), make_situation())
        assert again == first
        assert len(network.ledger) == 1

    async def test_another_case_is_another_ticket(self, desk: Desk, network: AnyNetwork) -> None:
        first = await desk.open(make_case(), make_situation())
        other = await desk.open(make_case(key="x:1854"), make_situation(post=make_post(id="1854")))
        assert other.id != first.id
        assert len(network.ledger) == 2

    async def test_a_desk_made_anew_finds_the_ticket_of_the_one_that_died(
        self, network: AnyNetwork, clock: HandClock
    ) -> None:
        async with self.make_desk(network, clock) as dead:
            first = await dead.open(make_case(), make_situation())
        async with self.make_desk(network, clock) as desk:
            assert await desk.open(make_case(), make_situation()) == first
        assert len(network.ledger) == 1

    async def test_two_at_the_same_time_open_one_ticket(self, network: AnyNetwork, clock: HandClock) -> None:
        async with self.make_desk(network, clock) as one, self.make_desk(network, clock) as other:
            refs = await asyncio.gather(
                one.open(make_case(), make_situation()), other.open(make_case(), make_situation())
            )
        assert refs[0].id == refs[1].id
        assert len(network.ledger) == 1

    @pytest.mark.parametrize("trouble", MAYBE_OPEN)
    async def test_taken_and_then_lost_is_one_ticket(
        self, desk: Desk, hasty: Desk, network: AnyNetwork, trouble: Trouble
    ) -> None:
        network.fail_writes(trouble)
        first = hasty if trouble is Trouble.ACCEPTED_THEN_TIMEOUT else desk
        with pytest.raises(DeskUnavailable):
            await first.open(make_case(), make_situation())
        assert len(network.ledger) == 1
        network.heal()
        ref = await desk.open(make_case(), make_situation())
        assert [entry.id for entry in network.ledger] == [ref.id]

    async def test_one_attempt_is_one_write(self, desk: Desk, network: AnyNetwork) -> None:
        network.fail_writes(Trouble.RESET)
        with pytest.raises(DeskUnavailable):
            await desk.open(make_case(), make_situation())
        assert len(network.writes_seen()) == 1

    async def test_taken_and_answered_with_nonsense_is_one_ticket(self, desk: Desk, network: AnyNetwork) -> None:
        network.fail_writes(Trouble.ACCEPTED_THEN_NONSENSE)
        if self.reads_answers:
            with pytest.raises(DeskUnavailable):
                await desk.open(make_case(), make_situation())
        else:
            await desk.open(make_case(), make_situation())
        network.heal()
        await desk.open(make_case(), make_situation())
        assert len(network.ledger) == 1

    async def test_an_odd_key_is_opened_once_too(self, desk: Desk, network: AnyNetwork) -> None:
        case = make_case(key="webhook:a,b \u2028é\ud800/" + "k" * 400)
        assert await desk.open(case, make_situation()) == await desk.open(case, make_situation())
        assert len(network.ledger) == 1

    # Trouble

    @pytest.mark.parametrize(("trouble", "expected"), ANY_DESK_TROUBLE)
    async def test_trouble_is_one_of_our_errors(
        self, desk: Desk, hasty: Desk, network: AnyNetwork, trouble: Trouble, expected: type[DeskError]
    ) -> None:
        network.fail(network.trouble(trouble), times=None)
        asked = hasty if trouble is Trouble.HANG else desk
        with pytest.raises(expected) as caught:
            await asked.open(make_case(), make_situation())
        assert type(caught.value) is expected

    @pytest.mark.parametrize(("trouble", "expected"), ANY_DESK_TROUBLE)
    async def test_trouble_with_the_write_alone_is_one_of_our_errors(
        self, desk: Desk, hasty: Desk, network: AnyNetwork, trouble: Trouble, expected: type[DeskError]
    ) -> None:
        network.fail_writes(trouble, times=None)
        asked = hasty if trouble is Trouble.HANG else desk
        with pytest.raises(expected) as caught:
            await asked.open(make_case(), make_situation())
        assert type(caught.value) is expected
        network.heal()
        await desk.open(make_case(), make_situation())
        assert len(network.ledger) == 1

    @pytest.mark.parametrize("trouble", UNREADABLE)
    async def test_an_unreadable_answer_is_asked_again_later(
        self, desk: Desk, network: AnyNetwork, trouble: Trouble
    ) -> None:
        network.fail(network.trouble(trouble), times=None)
        if self.reads_answers:
            with pytest.raises(DeskUnavailable):
                await desk.open(make_case(), make_situation())
        else:
            await desk.open(make_case(), make_situation())

    async def test_a_limit_says_until_when(self, desk: Desk, network: AnyNetwork, clock: HandClock) -> None:
        until = clock() + timedelta(seconds=75)
        network.fail(network.trouble(Trouble.RATE_LIMITED_WITH_RESET, until=until))
        with pytest.raises(DeskLimited) as caught:
            await desk.open(make_case(), make_situation())
        assert caught.value.until == until

    @pytest.mark.parametrize("wait", ["-5", "soon", "NaN", "", "Mon, 99 Foo 2026"])
    async def test_a_limit_without_a_sensible_time_says_none(self, desk: Desk, network: AnyNetwork, wait: str) -> None:
        network.fail(Fault(status=429, body=b"{}", headers={"Retry-After": wait}))
        with pytest.raises(DeskLimited) as caught:
            await desk.open(make_case(), make_situation())
        assert caught.value.until is None

    @pytest.mark.parametrize(
        ("wait", "seconds"),
        [("0", 0), ("1.5", 1.5), ("9" * 40, 86_400), ("inf", 86_400), ("Sat, 01 Jan 2000 00:00:00 GMT", 0)],
    )
    async def test_a_limit_is_never_in_the_past_nor_for_ever(
        self, desk: Desk, network: AnyNetwork, clock: HandClock, wait: str, seconds: float
    ) -> None:
        network.fail(Fault(status=429, body=b"{}", headers={"Retry-After": wait}))
        with pytest.raises(DeskLimited) as caught:
            await desk.open(make_case(), make_situation())
        assert caught.value.until == clock() + timedelta(seconds=seconds)

    async def test_a_refusal_is_for_good(self, desk: Desk, network: AnyNetwork) -> None:
        network.fail_writes(Trouble.REJECTED)
        with pytest.raises(DeskRejected):
            await desk.open(make_case(), make_situation())
        assert network.ledger == []

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, desk: Desk, network: AnyNetwork, status: int) -> None:
        network.fail(Fault(status=status, headers={"Location": f"{network.base_url}/elsewhere"}), times=None)
        with pytest.raises(DeskUnavailable):
            await desk.open(make_case(), make_situation())
        assert all(seen.path != "/elsewhere" for seen in network.requests)

    @pytest.mark.parametrize("status", [408, 423, 500, 502, 504])
    async def test_a_passing_failure_is_asked_again_later(self, desk: Desk, network: AnyNetwork, status: int) -> None:
        network.fail(network.refusal(status))
        with pytest.raises(DeskUnavailable):
            await desk.open(make_case(), make_situation())
        await desk.open(make_case(), make_situation())
        assert len(network.ledger) == 1

    async def test_an_answer_without_end_is_given_up(self, desk: Desk, network: AnyNetwork) -> None:
        network.fail(Fault(status=200, body=b" " * (9 << 20), headers={"Content-Type": "application/json"}))
        with pytest.raises(DeskUnavailable, match="more than"):
            await desk.open(make_case(), make_situation())

    async def test_a_desk_that_is_down_is_unavailable(self, desk: Desk, network: AnyNetwork) -> None:
        await asyncio.to_thread(network.stop)
        with pytest.raises(DeskUnavailable):
            await desk.open(make_case(), make_situation())

    async def test_a_hanging_desk_is_left_within_a_second(self, desk: Desk, network: AnyNetwork) -> None:
        network.fail(Fault(how=How.HANG), times=None)
        opening = asyncio.create_task(desk.open(make_case(), make_situation()))
        await network.arrived()
        started = time.monotonic()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert time.monotonic() - started < 1.0

    # Life

    async def test_entering_asks_nothing(self, desk: Desk, network: AnyNetwork) -> None:
        assert desk.name == "desk"
        assert network.requests == []

    async def test_closing_twice_is_harmless(self, network: AnyNetwork, clock: HandClock) -> None:
        stack = AsyncExitStack()
        desk = await stack.enter_async_context(self.make_desk(network, clock))
        await stack.aclose()
        await desk.__aexit__(None, None, None)

    async def test_check_proves_the_credentials_and_opens_nothing(self, desk: Desk, network: AnyNetwork) -> None:
        await desk.check()
        assert network.ledger == []
        assert network.writes_seen() == []

    async def test_check_finds_wrong_credentials(self, network: AnyNetwork, clock: HandClock) -> None:
        async with self.make_stranger(network, clock) as stranger:
            with pytest.raises(DeskAuthFailed):
                await stranger.check()
            with pytest.raises(DeskAuthFailed):
                await stranger.open(make_case(), make_situation())
        assert network.ledger == []

    # What the agent reads

    async def test_the_first_note_has_the_full_context(self, desk: Desk, network: AnyNetwork) -> None:
        await desk.open(make_case(), make_situation())
        note = network.ledger[0].text
        for part in (
            TEXT,
            f"@{HANDLE}",
            "https://x.com/mira_quill/status/1853",
            "the author asks for the third time",
            "no article answers it surely enough",
            "2026-11-02 14:00 UTC",
            "billing_payment (81%)",
            "negative (93%)",
            PARENT_TEXT,
            CONTACT_TEXT,
            REPLY_TEXT,
            WORDING,
            "double-charge",
            "the author did not mention us",
            "https://harken.example/cases/17",
        ):
            assert part in note
        assert note.index(ROOT_TEXT) < note.index(PARENT_TEXT)

    async def test_hostile_text_stays_text(self, desk: Desk, network: AnyNetwork) -> None:
        author = make_author(display_name=HOSTILE, handle="<b>evil</b>{{x}}")
        post = make_post(text=HOSTILE, title=HOSTILE, author=author, place=HOSTILE)
        case = make_case(title=HOSTILE, reasons=(HOSTILE,))
        ref = await desk.open(case, make_situation(post=post, thread=(post,)))
        assert ref == await desk.open(case, make_situation(post=post, thread=(post,)))
        note = network.ledger[0].text
        quoted = [line for line in note.splitlines() if "script>" in line or "pixel" in line or "ereh" in line]
        assert quoted
        assert all(line.startswith("    ") for line in quoted)
        assert not {"\x00", "\u202e", "\ud800", "\u2028"} & set(note)
        headings = [line for line in note.splitlines() if line and not line.startswith("    ")]
        assert headings.count("Why it came here:") == 1
        assert headings.count("Suggested answer:") == 1

    async def test_a_book_of_a_context_fits(self, desk: Desk, network: AnyNetwork) -> None:
        posts = [make_post(id=str(n), text=f"Nachtflüge 東京 {n} " + "ü{" * 4_000) for n in range(80)]
        posts[0] = make_post(id="0", text=ROOT_TEXT)
        await desk.open(make_case(), make_situation(post=posts[-1], thread=posts[:-1]))
        note = network.ledger[0].text
        assert ROOT_TEXT in note
        assert "left out" in note
        assert len(network.ledger[0].body) < 300_000

    # Logs

    async def test_logs_carry_no_secret_and_no_text(
        self, network: AnyNetwork, clock: HandClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with structlog.testing.capture_logs() as events:
            async with self.make_desk(network, clock) as desk:
                await desk.check()
                await desk.open(make_case(), make_situation())
                await desk.open(make_case(), make_situation())
                network.fail_writes(Trouble.REJECTED)
                with pytest.raises(DeskRejected) as caught:
                    await desk.open(make_case(key="x:9"), make_situation())
        said = caplog.text + repr(events) + repr(caught.value) + repr(caught.value.__cause__)
        # A desk that can look says that it found the ticket: proof that the capture works.
        assert [event["event"] for event in events] == (["ticket.found"] if self.reads_answers else [])
        for word in (*self.secrets, HANDLE, "zebra-7781", "contact-3304"):
            assert word not in said
