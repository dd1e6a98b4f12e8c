from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from handoff.desks.zammad import ZammadSettings
from handoff.errors import DeskRejected, DeskUnavailable
from handoff.protocol import Desk
from handoff.registry import load
from tests.handoff.contract import DeskContract
from tests.handoff.full_context import make_author, make_case, make_post, make_situation
from tests.networks.clock import HandClock
from tests.networks.desks import FakeZammad
from tests.networks.faults import Fault

EMPTY = Fault(status=200, body=b"[]", headers={"Content-Type": "application/json"})


class TestZammad(DeskContract[FakeZammad]):
    secrets = (FakeZammad.token,)

    def make_network(self, clock: HandClock) -> FakeZammad:
        return FakeZammad(clock=clock)

    def make_desk(self, network: FakeZammad, clock: HandClock, **settings: Any) -> Desk:
        kind = load("zammad")
        table = {"kind": "zammad", "base_url": network.base_url, "token": network.token}
        return kind.make(name="desk", settings=kind.settings.model_validate({**table, **settings}), clock=clock)

    def make_stranger(self, network: FakeZammad, clock: HandClock) -> Desk:
        return self.make_desk(network, clock, token="somebody-elses")

    async def test_the_ticket_has_priority_tags_group_and_an_internal_note(
        self, network: FakeZammad, clock: HandClock
    ) -> None:
        async with self.make_desk(network, clock, groups={"billing": "Billing"}) as desk:
            await desk.open(make_case(), make_situation())
        ticket, sent = network.tickets[0], orjson.loads(network.ledger[0].body)
        assert (ticket["group"], ticket["priority"]) == ("Billing", "3 high")
        assert ticket["tags"] == ["channel-x", "harken", "intent-billing_payment", "queue-billing"]
        article = sent["article"]
        assert (article["content_type"], article["type"], article["internal"]) == ("text/plain", "note", True)

    @pytest.mark.parametrize(("ours", "theirs"), [(1, "3 high"), (2, "3 high"), (3, "2 normal"), (4, "1 low")])
    async def test_priorities_are_mapped(self, desk: Desk, network: FakeZammad, ours: int, theirs: str) -> None:
        await desk.open(make_case(priority=ours), make_situation())
        assert network.tickets[0]["priority"] == theirs

    async def test_nobody_is_mailed_and_the_customer_has_no_address(self, desk: Desk, network: FakeZammad) -> None:
        author = make_author(display_name="victim@example.com", handle="victim@example.com")
        await desk.open(make_case(), make_situation(post=make_post(author=author)))
        assert network.mails == []
        assert "guess:" not in network.ledger[0].body.decode()
        assert "@" not in network.users[0]["firstname"] + network.users[0]["login"]

    async def test_one_person_is_one_customer_under_any_name(self, desk: Desk, network: FakeZammad) -> None:
        await desk.open(make_case(), make_situation())
        renamed = make_post(id="9", author=make_author(display_name="Other", handle="other"))
        await desk.open(make_case(key="x:9"), make_situation(post=renamed))
        assert len(network.users) == 1

    async def test_the_search_index_is_never_asked(self, desk: Desk, network: FakeZammad) -> None:
        await desk.open(make_case(), make_situation())
        await desk.open(make_case(), make_situation())
        searches = [seen for seen in network.requests if seen.path.endswith("/search")]
        assert len(searches) == 2
        assert all("query" not in seen.query for seen in searches)

    async def test_the_database_refuses_a_second_ticket_when_the_look_up_missed_it(
        self, desk: Desk, network: FakeZammad
    ) -> None:
        first = await desk.open(make_case(), make_situation())
        network.fail(EMPTY, method="GET")
        assert await desk.open(make_case(), make_situation()) == first
        assert len(network.writes_seen()) == 2
        assert len(network.ledger) == 1

    async def test_a_zammad_that_ignores_conditions_opens_one_ticket_too(self, desk: Desk, network: FakeZammad) -> None:
        network.knows_conditions = False
        refs = [await desk.open(make_case(key=f"x:{n}"), make_situation()) for n in (1, 2, 1, 2)]
        assert refs[:2] == refs[2:]
        assert len(network.ledger) == 2

    async def test_a_ticket_that_may_not_be_read_is_said_so(self, desk: Desk, network: FakeZammad) -> None:
        await desk.open(make_case(), make_situation())
        network.shows = False
        with pytest.raises(DeskUnavailable, match="let the token's agent read its group"):
            await desk.open(make_case(), make_situation())
        assert len(network.ledger) == 1

    @pytest.mark.parametrize(("is_admin", "expected"), [(True, DeskRejected), (False, DeskUnavailable)])
    async def test_an_unknown_group_is_named(
        self, network: FakeZammad, clock: HandClock, is_admin: bool, expected: type[Exception]
    ) -> None:
        network.is_admin = is_admin
        async with self.make_desk(network, clock, group="Nobody") as desk:
            with pytest.raises(expected, match="'Nobody'"):
                await desk.open(make_case(), make_situation())

    async def test_numbers_are_digits_far_above_zammads_own(self, desk: Desk, network: FakeZammad) -> None:
        for n in range(20):
            await desk.open(make_case(key=f"x:{n}"), make_situation())
        numbers = {ticket["number"] for ticket in network.tickets}
        assert len(numbers) == 20
        assert all(number.isdigit() and len(number) == 18 for number in numbers)

    async def test_an_empty_title_becomes_words(self, desk: Desk, network: FakeZammad) -> None:
        await desk.open(make_case(title=" \n"), make_situation(post=make_post(text="")))
        assert network.tickets[0]["title"] == "A post without words"
        assert "(no text)" in network.ledger[0].text


@pytest.mark.parametrize(
    "table",
    [
        {"base_url": "https://desk.example"},
        {"base_url": "desk.example", "token": "tok-1"},
        {"base_url": "https://desk.example", "token": "tok-1", "group": ""},
        {"base_url": "https://desk.example", "token": "tok-1", "priorities": {"0": "3 high"}},
        {"base_url": "https://desk.example", "token": "tok-1", "qeues": ["a"]},
    ],
)
def test_settings_refuse_what_cannot_work_and_show_no_secret(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        ZammadSettings.model_validate({"kind": "zammad", **table})
    assert "tok-" not in str(caught.value)
