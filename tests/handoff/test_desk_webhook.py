from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import ValidationError

from handoff.desks.webhook import PREFERRED_BYTES, WebhookSettings, payload
from handoff.errors import DeskAuthFailed, DeskRejected, DeskUnavailable
from handoff.protocol import Desk
from handoff.registry import load
from tests.handoff.contract import DeskContract
from tests.handoff.full_context import HOSTILE, ROOT_TEXT, TEXT, make_case, make_post, make_situation
from tests.networks.clock import HandClock
from tests.networks.desks import FakeReceiver
from tests.networks.faults import Fault, answer

OTHER = "whsec_" + base64.b64encode(b"another thirty-two bytes, not it").decode()


class TestWebhook(DeskContract[FakeReceiver]):
    secrets = (FakeReceiver.secret, FakeReceiver.secret.removeprefix("whsec_"))
    reads_answers = False

    def make_network(self, clock: HandClock) -> FakeReceiver:
        return FakeReceiver(clock=clock)

    def make_desk(self, network: FakeReceiver, clock: HandClock, **settings: Any) -> Desk:
        kind = load("webhook")
        table = {"kind": "webhook", "url": f"{network.base_url}/cases", "secret": network.secret}
        return kind.make(name="desk", settings=kind.settings.model_validate({**table, **settings}), clock=clock)

    def make_stranger(self, network: FakeReceiver, clock: HandClock) -> Desk:
        return self.make_desk(network, clock, secret=OTHER)

    async def test_every_attempt_has_the_same_id_and_a_fresh_time(
        self, desk: Desk, network: FakeReceiver, clock: HandClock
    ) -> None:
        await desk.open(make_case(), make_situation())
        clock.advance(seconds=100)
        await desk.open(make_case(), make_situation())
        first, again = network.writes_seen()
        assert first.headers["webhook-id"] == again.headers["webhook-id"]
        assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 100

    async def test_two_secrets_sign_while_the_receiver_changes_over(
        self, network: FakeReceiver, clock: HandClock
    ) -> None:
        async with self.make_desk(network, clock, secret=OTHER, previous_secret=network.secret) as desk:
            await desk.open(make_case(), make_situation())
        assert len(network.writes_seen()[0].headers["webhook-signature"].split()) == 2
        assert len(network.ledger) == 1

    async def test_the_answer_names_the_ticket(self, desk: Desk) -> None:
        ref = await desk.open(make_case(), make_situation())
        assert (ref.id, ref.url) == ("T-1", "https://desk.example/tickets/T-1")

    @pytest.mark.parametrize(
        "says",
        [
            b"",
            b"ok",
            b"null",
            b"[1]",
            b'{"id": true, "url": "javascript:alert(1)"}',
            b'{"id": "", "url": "https://desk.example/\\u202e"}',
            b'{"id": {"a": 1}, "url": ["https://desk.example"]}',
        ],
    )
    async def test_an_answer_that_names_nothing_is_known_by_its_webhook_id(
        self, desk: Desk, network: FakeReceiver, says: bytes
    ) -> None:
        network.says = web.Response(status=202, body=says)
        ref = await desk.open(make_case(), make_situation())
        assert ref.id == network.ledger[0].key
        assert ref.url is None

    async def test_a_number_is_an_id_too(self, desk: Desk, network: FakeReceiver) -> None:
        network.says = answer({"id": 88})
        assert (await desk.open(make_case(), make_situation())).id == "88"

    @pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
    async def test_a_client_error_is_for_good_in_any_wording(
        self, desk: Desk, network: FakeReceiver, status: int
    ) -> None:
        network.fail(Fault(status=status, body=b"<html>no</html>"))
        with pytest.raises(DeskRejected):
            await desk.open(make_case(), make_situation())

    async def test_gone_is_for_good_and_says_what_to_do(self, desk: Desk, network: FakeReceiver) -> None:
        network.fail(Fault(status=410), times=None)
        with pytest.raises(DeskRejected, match="switch this desk off"):
            await desk.open(make_case(), make_situation())
        with pytest.raises(DeskRejected):
            await desk.check()

    async def test_check_takes_a_receiver_without_head_for_present(self, desk: Desk, network: FakeReceiver) -> None:
        network.knows_head = False
        await desk.check()
        network.fail(Fault(status=502))
        with pytest.raises(DeskUnavailable):
            await desk.check()

    async def test_the_url_is_used_to_the_letter(self, network: FakeReceiver, clock: HandClock) -> None:
        async with self.make_desk(network, clock, url=f"{network.base_url}/cases?team=a%2Fb") as desk:
            await desk.open(make_case(), make_situation())
        assert network.requests[0].query == {"team": "a/b"}

    async def test_a_changed_body_is_not_taken(self, desk: Desk, network: FakeReceiver) -> None:
        await desk.open(make_case(), make_situation())
        seen = network.writes_seen()[0]
        assert network.verify(seen.body, seen.headers)
        assert not network.verify(seen.body.replace(b"zebra", b"zebrb"), seen.headers)
        assert not network.verify(seen.body, {**seen.headers, "webhook-id": "case_other"})
        network.fail(Fault(status=403))
        with pytest.raises(DeskAuthFailed):
            await desk.open(make_case(), make_situation())


def test_the_payload_is_documented_json() -> None:
    event = orjson.loads(payload(make_case(), make_situation()))
    assert event["type"] == "case.opened"
    assert event["timestamp"] == "2026-11-02T12:00:00Z"
    data = event["data"]
    assert data["case"]["key"] == "x:1853"
    assert data["case"]["due_at"] == "2026-11-02T14:00:00Z"
    assert data["post"]["text"] == TEXT
    assert data["post"]["author"]["id"] == "4711"
    assert data["triage"]["intent"] == {"label": "billing_payment", "confidence": 0.812}
    assert [post["id"] for post in data["thread"]] == ["1840", "1850"]
    assert [contact["kind"] for contact in data["history"]] == ["customer", "reply"]
    assert data["answers"][0]["article"] == "double-charge"
    assert TEXT in data["note"]


def test_a_payload_stays_below_what_receivers_like() -> None:
    posts = [make_post(id=str(n), text="東京" * 20_000) for n in range(200)]
    posts[0] = make_post(id="0", text=ROOT_TEXT)
    situation = make_situation(post=posts[-1], thread=posts, history=list(make_situation().history) * 300)
    body = payload(make_case(title="ü" * 10_000, reasons=("r" * 900,) * 40), situation)
    assert len(body) < PREFERRED_BYTES
    event = orjson.loads(body)
    assert event["data"]["thread"][0]["text"] == ROOT_TEXT
    assert event["data"]["thread_length"] == 200


def test_hostile_text_is_still_json() -> None:
    post = make_post(text=HOSTILE)
    event = orjson.loads(payload(make_case(title=HOSTILE), make_situation(post=post, triage=None)))
    assert event["data"]["triage"] is None
    assert event["data"]["post"]["text"] == post.text


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_not base64!",
        "whsec_" + base64.b64encode(b"short").decode(),
        "whsec_" + base64.b64encode(b"l" * 65).decode(),
        "",
    ],
)
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({"kind": "webhook", "url": "https://desk.example/cases", "secret": secret})
    assert secret == "" or secret not in str(caught.value)
