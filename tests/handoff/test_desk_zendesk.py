from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from handoff.desks.zendesk import ZendeskDesk, ZendeskSettings
from handoff.errors import DeskAuthFailed, DeskRejected, DeskUnavailable
from handoff.protocol import Desk
from handoff.registry import load
from tests.handoff.contract import DeskContract
from tests.handoff.full_context import HANDLE, HOSTILE, make_author, make_case, make_post, make_situation
from tests.networks.clock import HandClock
from tests.networks.desks import FakeZendesk
from tests.networks.faults import Fault, How


def settings_for(network: FakeZendesk, **changes: Any) -> ZendeskSettings:
    kind = load("zendesk")
    table = {"kind": "zendesk", "base_url": network.base_url, "email": network.email, "api_token": network.token}
    settings = kind.settings.model_validate({**table, **changes})
    assert isinstance(settings, ZendeskSettings)
    return settings


class TestZendesk(DeskContract[FakeZendesk]):
    secrets = (FakeZendesk.token,)

    def make_network(self, clock: HandClock) -> FakeZendesk:
        return FakeZendesk(clock=clock)

    def make_desk(self, network: FakeZendesk, clock: HandClock, **settings: Any) -> Desk:
        return load("zendesk").make(name="desk", settings=settings_for(network, **settings), clock=clock)

    def make_stranger(self, network: FakeZendesk, clock: HandClock) -> Desk:
        return self.make_desk(network, clock, api_token="somebody-elses")

    async def test_the_ticket_has_priority_tags_group_and_a_private_note(
        self, network: FakeZendesk, clock: HandClock
    ) -> None:
        async with self.make_desk(network, clock, groups={"billing": 360}, tags=["harken", "VIP desk"]) as desk:
            await desk.open(make_case(), make_situation())
        ticket = network.tickets[0]
        assert ticket["priority"] == "high"
        assert ticket["group_id"] == 360
        assert ticket["tags"] == ["channel_x", "harken", "intent_billing_payment", "queue_billing", "vip_desk"]
        assert ticket["comment"]["public"] is False
        assert ticket["subject"] == "Charged twice, asks for the third time"

    @pytest.mark.parametrize(("ours", "theirs"), [(1, "urgent"), (2, "high"), (3, "normal"), (4, "low"), (9, "normal")])
    async def test_priorities_are_mapped(self, desk: Desk, network: FakeZendesk, ours: int, theirs: str) -> None:
        await desk.open(make_case(priority=ours), make_situation())
        assert network.tickets[0]["priority"] == theirs

    async def test_the_config_may_map_priorities(self, network: FakeZendesk, clock: HandClock) -> None:
        async with self.make_desk(network, clock, priorities={"2": "urgent"}) as desk:
            await desk.open(make_case(), make_situation())
        assert network.tickets[0]["priority"] == "urgent"

    async def test_nobody_is_mailed_and_the_requester_has_no_address(self, desk: Desk, network: FakeZendesk) -> None:
        author = make_author(display_name="victim@example.com", handle="victim@example.com")
        await desk.open(make_case(), make_situation(post=make_post(author=author)))
        assert network.mails == []
        assert network.users[0]["email"] is None
        assert "@" not in network.users[0]["name"]

    async def test_one_person_is_one_requester_under_any_name(self, desk: Desk, network: FakeZendesk) -> None:
        await desk.open(make_case(), make_situation())
        network.users[0]["name"] = "Mira Quill, customer 88"
        renamed = make_post(id="9", author=make_author(display_name="Other", handle="other"))
        await desk.open(make_case(key="x:9"), make_situation(post=renamed))
        assert [user["name"] for user in network.users] == ["Mira Quill, customer 88"]
        assert network.tickets[0]["requester_id"] == network.tickets[1]["requester_id"]

    async def test_the_same_name_elsewhere_is_another_requester(self, desk: Desk, network: FakeZendesk) -> None:
        await desk.open(make_case(), make_situation())
        twin = make_post(channel="mastodon", author=make_author(channel="mastodon"))
        await desk.open(make_case(key="mastodon:1853"), make_situation(post=twin))
        assert len(network.users) == 2

    async def test_a_forgotten_idempotency_key_is_no_second_ticket(self, desk: Desk, network: FakeZendesk) -> None:
        network.keeps_keys = False
        first = await desk.open(make_case(), make_situation())
        assert await desk.open(make_case(), make_situation()) == first
        assert len(network.ledger) == 1

    async def test_a_list_that_lags_is_no_second_ticket(self, desk: Desk, network: FakeZendesk) -> None:
        await desk.open(make_case(), make_situation())
        network.fail(
            Fault(status=200, body=b'{"tickets":[]}', headers={"Content-Type": "application/json"}),
            method="GET",
            path="/api/v2/tickets",
            times=None,
        )
        again = await desk.open(make_case(), make_situation())
        assert again.id == network.ledger[0].id
        with pytest.raises(DeskUnavailable, match="earlier attempt"):
            await desk.open(make_case(), make_situation(history=()))
        assert len(network.ledger) == 1

    async def test_a_list_that_ignores_the_filter_is_not_believed(self, desk: Desk, network: FakeZendesk) -> None:
        await desk.open(make_case(), make_situation())
        network.filters = False
        with pytest.raises(DeskUnavailable):
            await desk.open(make_case(key="x:1854"), make_situation())
        assert len(network.ledger) == 1

    async def test_keys_are_short_and_say_nothing(self, desk: Desk, network: FakeZendesk) -> None:
        await desk.open(make_case(), make_situation())
        key = network.writes_seen()[0].headers["Idempotency-Key"]
        assert key == network.ledger[0].key
        assert len(key) < 100
        assert "1853" not in key

    async def test_placeholders_are_not_filled_in(self, desk: Desk, network: FakeZendesk) -> None:
        post = make_post(text=HOSTILE + "{{{{%", author=make_author(display_name="{{current_user.email}}"))
        await desk.open(make_case(title="{{dc.secret}}"), make_situation(post=post))
        ticket = network.tickets[0]
        for text in (ticket["comment"]["body"], ticket["subject"], network.users[0]["name"]):
            assert "{{" not in text
            assert "{%" not in text
        assert "{ {ticket.requester.email}}" in ticket["comment"]["body"]

    async def test_a_book_of_braces_fits_into_one_comment(self, desk: Desk, network: FakeZendesk) -> None:
        posts = [make_post(id=str(n), text="{" * 9_000) for n in range(60)]
        await desk.open(make_case(), make_situation(post=posts[-1], thread=posts))
        assert len(network.ledger[0].text.encode()) <= 60_000

    async def test_a_page_of_html_is_not_zendesks_word(self, desk: Desk, network: FakeZendesk) -> None:
        network.fail(Fault(status=404, body=b"<h1>No help desk here</h1>"))
        with pytest.raises(DeskUnavailable, match="check its address"):
            await desk.open(make_case(), make_situation())

    async def test_a_time_out_says_how_long_was_waited(self, hasty: Desk, network: FakeZendesk) -> None:
        network.fail(Fault(how=How.HANG))
        with pytest.raises(DeskUnavailable, match=r"did not answer within 1 s"):
            await hasty.open(make_case(), make_situation())

    async def test_a_refusal_names_fields_but_quotes_nothing(self, desk: Desk, network: FakeZendesk) -> None:
        refusal = {"error": "RecordInvalid", "description": HANDLE, "details": {"group_id": [{"description": HANDLE}]}}
        network.fail(Fault(status=422, body=orjson.dumps(refusal)), method="POST", path="/api/v2/tickets")
        with pytest.raises(DeskRejected, match="RecordInvalid, group_id") as caught:
            await desk.open(make_case(), make_situation())
        assert HANDLE not in str(caught.value)

    async def test_check_is_not_fooled_by_an_end_user(self, desk: Desk, network: FakeZendesk) -> None:
        network.role = "end-user"
        with pytest.raises(DeskAuthFailed):
            await desk.check()

    async def test_check_is_not_fooled_by_an_anonymous_answer(self, desk: Desk, network: FakeZendesk) -> None:
        network.fail(Fault(status=200, body=b'{"user":{"id":null,"role":"end-user"}}'))
        with pytest.raises(DeskAuthFailed):
            await desk.check()

    async def test_an_oauth_token_is_a_bearer(self, network: FakeZendesk, clock: HandClock) -> None:
        desk = self.make_desk(network, clock, email=None, api_token=None, oauth_token="oat-1")
        async with desk:
            with pytest.raises(DeskAuthFailed):
                await desk.open(make_case(), make_situation())
        assert network.requests[0].headers["Authorization"] == "Bearer oat-1"


@pytest.mark.parametrize(
    "table",
    [
        {"base_url": "https://a.zendesk.com"},
        {"base_url": "https://a.zendesk.com", "api_token": "tok-1"},
        {"base_url": "https://a.zendesk.com", "api_token": "tok-1", "email": "a@b.c", "oauth_token": "tok-2"},
        {"base_url": "https://me:tok-1@a.zendesk.com", "oauth_token": "tok-2"},
        {"base_url": "ftp://a.zendesk.com", "oauth_token": "tok-2"},
        {"base_url": "https://a.zendesk.com", "oauth_token": "tok-2", "priorities": {"5": "low"}},
        {"base_url": "https://a.zendesk.com", "oauth_token": "tok-2", "priorities": {"1": "now"}},
        {"base_url": "https://a.zendesk.com", "oauth_token": "tok-2", "grups": {}},
    ],
)
def test_settings_refuse_what_cannot_work_and_show_no_secret(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        ZendeskSettings.model_validate({"kind": "zendesk", **table})
    assert "tok-" not in str(caught.value)


def test_a_desk_shows_no_secret() -> None:
    settings = ZendeskSettings.model_validate(
        {"kind": "zendesk", "base_url": "https://a.zendesk.com/", "oauth_token": "tok-2"}
    )
    desk = ZendeskDesk(name="desk", settings=settings, clock=HandClock())
    assert "tok-2" not in repr(settings) + repr(desk)
