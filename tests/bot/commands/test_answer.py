"""harken answer: the same road as a post, told in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.commands.answer import Explanation, explain, told
from handoff.knowledge.answer import Answers
from handoff.knowledge.article import Article
from handoff.knowledge.search import Entry, Index
from handoff.policy import Policy
from tests.bot.commands.engine import PlainEngine
from tests.handoff.factories import ABLE, NOW, PROVEN, make_policy

HOURS = Article(
    slug="hours",
    locale="en",
    title="When do you open on Sundays?",
    wordings={"default": "We open at nine.", "reddit": "We open at **nine**.\n\nEvery day."},
)


async def ask(policy: Policy, question: str = "When do you open on Sundays?", **options: Any) -> Explanation:
    records = {("product_question", "x-main"): PROVEN}
    values: dict[str, Any] = {"channel": "x", "source": "x-main", "capabilities": ABLE, "records": records, **options}
    answers = Answers(Index([Entry(id=1, article=HOURS)]))
    return await explain(question, engine=PlainEngine(), answers=answers, policy=policy, now=NOW, **values)


async def test_a_draft_shows_article_confidence_and_the_exact_text() -> None:
    lines = told(await ask(make_policy(signature="^bot")))
    assert lines[0] == "understood  product_question (0.95), language en, urgency normal, sentiment neutral"
    assert lines[1].startswith("article     hours (en), confidence 0.8")
    assert lines[2:4] == [
        "decision    draft in queue support, said when a person approves:",
        "    We open at nine. ^bot",
    ]


async def test_an_automatic_reply_is_shown_as_such() -> None:
    lines = told(await ask(make_policy(mode="auto", auto_answer_confidence=0.5)))
    assert "decision    said at once, by the bot alone:" in lines
    assert "    We open at nine." in lines


async def test_what_is_not_earned_yet_is_a_draft_and_says_so() -> None:
    lines = told(await ask(make_policy(mode="auto", auto_answer_confidence=0.5), records={}))
    assert lines[-1].startswith("because     product_question on x-main has not earned it yet: 0 of the 50 answers")


async def test_every_line_of_a_channels_wording_is_shown() -> None:
    able = replace(ABLE, markdown=True)
    lines = told(await ask(make_policy(), channel="reddit", capabilities=able))
    assert lines[3:6] == ["    We open at **nine**.", "    ", "    Every day."]


@pytest.mark.parametrize(
    ("settings", "question", "decision", "because"),
    [
        (
            {},
            "Who won the cup?",
            "decision    nothing is said; a case for people in queue support",
            "no article is likely",
        ),
        ({"mode": "off"}, "When do you open?", "decision    nothing is said, nothing to do", "switched off"),
        (
            {"people_only": ["product_question"]},
            "When do you open on Sundays?",
            "decision    nothing is said; a case for people in queue support",
            "always goes to people",
        ),
    ],
)
async def test_why_not_is_said(settings: dict[str, Any], question: str, decision: str, because: str) -> None:
    lines = told(await ask(make_policy(**settings), question))
    assert decision in lines
    assert any(line.startswith("because") and because in line for line in lines)
