"""A case with everything a case can have, for the tests of what a desk receives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from classifiers.triage import Label, Triage
from connectors.post import Author, Post, PostKind, Refusal
from connectors.protocol import Capabilities, SendClass
from handoff.case import Case, CaseState
from handoff.situation import Candidate, Contact, ContactKind, Situation
from handoff.speech import PrivateText, PublicText

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HANDLE = "mira_quill"
TEXT = "My invoice 4471 was charged twice, zebra-7781. Third time I ask!"
ROOT_TEXT = "New billing system is live, root-1180"
PARENT_TEXT = "I asked about this on Monday, parent-2290"
CONTACT_TEXT = "You billed me for October already, contact-3304"
REPLY_TEXT = "Sorry, we are looking into it, reply-4406"
WORDING = "A double charge is returned within three days, wording-5507"
HOSTILE = (
    "<script>alert(1)</script> ![pixel](http://tracker.example/p.png) [your bank](http://evil.example)\n"
    "{{ticket.requester.email}} {% if true %} #{ticket.title}\n"
    "# Why it came here:\r\nPriority 4\u2028Suggested answer:\x00 pay \u202eereh\u202c \ud800 now"
)


def make_author(**changes: Any) -> Author:
    author = Author(channel="x", id="4711", handle=HANDLE, display_name="Mira Quill", followers=1200)
    return replace(author, **changes)


def make_post(**changes: Any) -> Post:
    post = Post(
        channel="x",
        id="1853",
        author=make_author(),
        text=TEXT,
        created_at=NOON - timedelta(minutes=3),
        kind=PostKind.REPLY,
        url="https://x.com/mira_quill/status/1853",
        language="en",
        parent_id="1850",
        root_id="1840",
        addressed=True,
    )
    return replace(post, **changes)


def make_triage() -> Triage:
    return Triage(
        id="x:1853",
        sentiment=Label(label="negative", confidence=0.934),
        intent=Label(label="billing_payment", confidence=0.812),
        urgency=Label(label="high", confidence=0.707),
        toxicity=Label(label="ok", confidence=0.991),
        spam=Label(label="ok", confidence=0.998),
        language=Label(label="en", confidence=0.97),
        model="minilm-heads r3",
    )


def make_case(**changes: Any) -> Case:
    case = Case(
        key="x:1853",
        title="Charged twice, asks for the third time",
        state=CaseState.OPEN,
        queue="billing",
        priority=2,
        opened_at=NOON,
        due_at=NOON + timedelta(hours=2),
        reasons=("the author asks for the third time", "no article answers it surely enough"),
        url="https://harken.example/cases/17",
    )
    return replace(case, **changes)


def make_situation(**changes: Any) -> Situation:
    brand = Author(channel="x", id="1", handle="brand", display_name="Brand")
    thread = (
        make_post(id="1840", author=brand, text=ROOT_TEXT, is_own=True, parent_id=None, root_id="1840"),
        make_post(id="1850", text=PARENT_TEXT, created_at=NOON - timedelta(minutes=20)),
    )
    history = (
        Contact(
            kind=ContactKind.CUSTOMER,
            at=NOON - timedelta(days=3),
            text=PrivateText(CONTACT_TEXT),
            url="https://x.com/mira_quill/status/1700",
            intent="billing_payment",
            sentiment="negative",
            outcome="escalated",
        ),
        Contact(kind=ContactKind.REPLY, at=NOON - timedelta(days=2), text=PrivateText(REPLY_TEXT), outcome="sent"),
    )
    answer = Candidate(
        article_id=12,
        slug="double-charge",
        locale="en",
        title="Charged twice",
        wording=PublicText(WORDING),
        confidence=0.61,
    )
    situation = Situation(
        post=make_post(),
        source="x-main",
        capabilities=Capabilities(send_class=SendClass.READ_BACK),
        now=NOON,
        triage=make_triage(),
        thread=thread,
        history=history,
        answers=(answer,),
        may_reply=Refusal(reason="the author did not mention us"),
        auto_replies_24h=1,
    )
    return replace(situation, **changes)
