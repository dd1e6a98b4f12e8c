"""Situations for tests: one that everything speaks for, and changes to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from classifiers.triage import Label, Triage
from connectors.length import LengthRule, Unit
from connectors.post import Author, Post
from connectors.protocol import Capabilities, SendClass
from handoff.earned import Record
from handoff.policy import Policy, PolicySettings
from handoff.situation import Candidate, Situation
from handoff.speech import PublicText

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

ANSWER = Candidate(
    article_id=7,
    slug="opening-hours",
    locale="en",
    title="Opening hours",
    wording=PublicText("We open at nine, every day."),
    confidence=0.97,
)
PROVEN = Record(observed=200, wrong=2)
"""People's verdicts that earn to be answered alone at the default limit of 5 %."""

ABLE = Capabilities(send_class=SendClass.READ_BACK, length=LengthRule(unit=Unit.CHARACTERS, limit=280))


def make_policy(**settings: Any) -> Policy:
    """Return the default policy with *settings* changed."""
    return PolicySettings.model_validate(settings).policy()


def make_triage(**labels: Any) -> Triage:
    """Return a triage of an ordinary question; a label is a name, or a name and its confidence."""
    values: dict[str, Any] = {
        "sentiment": "neutral",
        "intent": "product_question",
        "urgency": "normal",
        "toxicity": "ok",
        "spam": "ok",
        "language": "en",
        **labels,
    }
    heads: dict[str, Any] = {}
    for head, value in values.items():
        name, confidence = value if isinstance(value, tuple) else (value, 0.95)
        heads[head] = Label(label=name, confidence=confidence)
    return Triage(id="1", model="test@1", **heads)


def make_post(**changes: Any) -> Post:
    """Return a post that speaks to us; *changes* to it, or to its author as author_..."""
    author = {name.removeprefix("author_"): changes.pop(name) for name in list(changes) if name.startswith("author_")}
    values: dict[str, Any] = {
        "channel": "x",
        "id": "1",
        "author": Author(**{"channel": "x", "id": "u1", "handle": "ana", **author}),
        "text": "When do you open on Sundays?",
        "created_at": NOW - timedelta(minutes=5),
        "root_id": "1",
        "addressed": True,
    }
    return Post(**values | changes)


def make_situation(**changes: Any) -> Situation:
    """Return the situation that everything speaks for answering; post_... and triage_... change its parts."""
    post = {name.removeprefix("post_"): changes.pop(name) for name in list(changes) if name.startswith("post_")}
    labels = {name.removeprefix("triage_"): changes.pop(name) for name in list(changes) if name.startswith("triage_")}
    situation = Situation(
        post=make_post(**post),
        source="x-main",
        capabilities=ABLE,
        now=NOW,
        triage=make_triage(**labels),
        answers=(ANSWER,),
        record=PROVEN,
    )
    return replace(situation, **changes)
