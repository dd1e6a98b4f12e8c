"""What the store knows reaches those who decide whole, and those who read as far as they read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import timedelta

import pytest

from bot.stages.parts import Parts
from bot.stages.situation import GONE, capabilities_of, late, situation_of, story_of
from bot.store.engine import Store
from bot.store.lately import Lately
from bot.store.posts import Kept
from bot.store.situations import Known
from bot.store.wishes import Left
from bot.stream.table import TableStream
from connectors.post import Refusal
from connectors.protocol import Connector
from handoff.earned import Record
from handoff.policy import PolicySettings
from handoff.situation import Candidate, Contact, ContactKind, Situation
from handoff.speech import PrivateText, PublicText
from tests.bot.factories import NOON, make_post, make_triage
from tests.bot.speaker import Speaker

ONLY_WHEN_IT_LEAVES = {"is_deleted", "words", "written_for"}

NOW = NOON + timedelta(minutes=5)

POST = make_post(4, root_id="1", parent_id="1")

KNOWN = Known(
    kept=Kept(id=9, post=POST, source="x", author_id=7, edits=0, outcome="open", deleted=False, checked_at=NOON),
    triage=make_triage(9, intent="refund_return"),
    thread=(make_post(1, author="ben"),),
    history=(Contact(kind=ContactKind.CUSTOMER, at=NOON, text=PrivateText("earlier")),),
    already_answered=True,
    auto_replies_24h=2,
    to_author_24h=3,
    open_case="x:3",
    left=Left(opted_out_at=NOON, muted=True),
    own_names=("lark",),
    incident=6,
)

ANSWER = Candidate(
    article_id=1, slug="parcel", locale="en", title="Parcel", wording=PublicText("It is on its way."), confidence=0.9
)


def network() -> dict[str, Connector]:
    return {"x": Speaker(refusal=Refusal(reason="the author did not mention us"))}


def decided_about(connectors: Mapping[str, Connector], *, answers: Sequence[Candidate] = (ANSWER,)) -> Situation:
    lately = Lately()
    lately.add(source="x", channel="x", root_id="1", slug="parcel", text="It is on its way.")
    return situation_of(KNOWN, connectors, now=NOW, answers=answers, record=Record(observed=40, wrong=1), lately=lately)


def test_a_decision_hangs_on_all_that_is_known() -> None:
    connectors = network()
    found = decided_about(connectors)
    assert (found.post, found.source, found.now) == (POST, "x", NOW)
    assert found.capabilities == connectors["x"].capabilities
    assert (found.triage, found.thread, found.history) == (KNOWN.triage, KNOWN.thread, KNOWN.history)
    assert found.answers == (ANSWER,)
    assert found.may_reply == Refusal(reason="the author did not mention us")
    assert (found.already_answered, found.auto_replies_24h, found.open_case) == (True, 2, "x:3")
    assert (found.opted_out_at, found.muted) == (NOON, True)
    assert (found.own_names, found.incident) == (("lark",), 6)
    assert found.record == Record(observed=40, wrong=1)
    assert (found.traffic.author_24h, found.traffic.conversation, found.traffic.source) == (3, 1, 1)
    assert found.traffic.articles == {"parcel": 1}


def test_nothing_that_a_situation_can_hold_is_forgotten() -> None:
    """A field that is added to Situation is filled in here, or is one of those that only a leaving reply has."""
    found = decided_about(network())
    left = {
        each.name
        for each in fields(Situation)
        if each.default is not MISSING and getattr(found, each.name) == each.default
    }
    assert left == ONLY_WHEN_IT_LEAVES


def test_who_reads_gets_the_post_with_its_story_and_nothing_that_guards_ask() -> None:
    connectors = network()
    assert story_of(KNOWN, connectors, now=NOW, answers=(ANSWER,)) == Situation(
        post=POST,
        source="x",
        capabilities=connectors["x"].capabilities,
        now=NOW,
        triage=KNOWN.triage,
        thread=KNOWN.thread,
        history=KNOWN.history,
        answers=(ANSWER,),
    )


def test_a_source_that_is_gone_only_listens_and_has_no_rule_of_its_own() -> None:
    found = decided_about({})
    assert (found.capabilities, found.may_reply) == (GONE, None)
    assert capabilities_of({}, "x") == GONE
    assert found.open_case == "x:3", "what the store knows is known all the same"


@pytest.mark.parametrize("there", [True, False])
def test_a_post_that_goes_to_people_late_goes_with_its_story_to_its_queue_and_desks(
    store: Store, *, there: bool
) -> None:
    policy = PolicySettings.model_validate({"queues": {"refund_return": "returns"}}).policy()
    parts = Parts(
        store=store,
        stream=TableStream(store, clock=lambda: NOW, holder="test"),
        connectors=network() if there else {},
        policy=policy,
        desks_for=lambda queue: [f"desk of {queue}"],
        clock=lambda: NOW,
    )
    found = late(parts, "our reply was refused: no", KNOWN)
    assert (found.queue, found.desks) == ("returns", ["desk of returns"])
    assert found.due_at > NOW
    assert found.context["reasons"] == ["our reply was refused: no"]
    assert [each["key"] for each in found.context["thread"]] == ["x:1"]
    assert [each["text"] for each in found.context["history"]] == ["earlier"]
    assert found.context["triage"]["intent"]["label"] == "refund_return"
