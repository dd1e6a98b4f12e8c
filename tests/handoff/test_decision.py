"""Judgement as a table: situation, policy, expected decision, because."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.triage import INTENTS, SENTIMENTS, TOXICITIES, URGENCIES, Label, Triage
from connectors.post import PostKind, Refusal
from connectors.protocol import Capabilities, SendClass
from handoff import guards
from handoff.decision import AutoReply, Draft, Escalate, Ignore, decide
from handoff.earned import Record
from handoff.likeness import likeness
from handoff.policy import Mode, Policy
from handoff.speech import PublicText
from handoff.traffic import Traffic
from tests.handoff.factories import ABLE, ANSWER, NOW, make_policy, make_situation

AUTO = {"mode": "auto"}
DRAFT = {"mode": "draft"}
OFF = {"mode": "off"}

NIGHT = {"start": "11:00", "end": "13:00", "zone": "UTC"}
DAWN = {"start": "22:00", "end": "07:00", "zone": "Asia/Tokyo"}
"""In Tokyo it is nine in the evening when it is noon in UTC."""

DOOR = replace(
    ANSWER,
    slug="write-to-us",
    wording=PublicText("Please write to us: https://lark.example/dm"),
    confidence=1.0,
    is_private_door=True,
)

TABLE: list[tuple[str, dict[str, Any], dict[str, Any], type, str]] = [
    # name, situation, policy, decision, because
    ("nothing objects", {}, AUTO, AutoReply, "opening-hours answers it (0.97)"),
    ("drafts by default", {}, {}, Draft, "a person approves product_question on x-main"),
    ("our own post", {"post_is_own": True}, AUTO, Ignore, "our own account wrote it"),
    ("a repost", {"post_kind": PostKind.REPOST}, AUTO, Ignore, "it only passes on another post"),
    ("answered before", {"already_answered": True}, AUTO, Ignore, "we have already replied to it"),
    (
        "answered, then edited",
        {"already_answered": True, "post_edited_at": NOW},
        AUTO,
        Escalate,
        "we have already replied to it",
    ),
    ("untriaged", {"triage": None}, AUTO, Escalate, "untriaged: no model could judge this post"),
    ("untriaged and off", {"triage": None}, OFF, Escalate, "untriaged: no model could judge this post"),
    (
        "untriaged, found by search",
        {"triage": None, "post_addressed": False},
        AUTO,
        Escalate,
        "untriaged: no model could judge this post",
    ),
    ("spam by its head", {"triage_spam": "spam"}, AUTO, Ignore, "it is spam"),
    ("spam by intent", {"triage_intent": "spam"}, AUTO, Ignore, "it is spam"),
    ("perhaps spam", {"triage_spam": ("spam", 0.4)}, AUTO, Escalate, "it may be spam"),
    ("chatter", {"triage_intent": "not_actionable"}, AUTO, Ignore, "nothing to act on: not_actionable"),
    (
        "perhaps chatter",
        {"triage_intent": ("not_actionable", 0.4)},
        AUTO,
        Draft,
        "the intent is not sure enough (0.40; 0.70 is needed)",
    ),
    ("thanks", {"triage_intent": "praise", "triage_sentiment": "positive"}, AUTO, Ignore, "nothing to act on: praise"),
    (
        "thanks for nothing",
        {"triage_intent": "praise", "triage_sentiment": "negative"},
        DRAFT,
        Draft,
        "opening-hours answers it (0.97)",
    ),
    (
        "thanks, where thanks are answered",
        {"triage_intent": "praise"},
        {"mode": "auto", "ignore": ["spam", "not_actionable"]},
        AutoReply,
        "praise on x-main is answered automatically",
    ),
    (
        "chatter that may be a cry for help",
        {"triage_intent": "not_actionable", "post_text": "I want to die"},
        AUTO,
        Escalate,
        "somebody may be in danger",
    ),
    (
        "the same, only found",
        {"triage_intent": "not_actionable", "post_text": "I want to die", "post_addressed": False},
        AUTO,
        Escalate,
        "somebody may be in danger",
    ),
    (
        "the same, switched off",
        {"triage_intent": "not_actionable", "post_text": "I want to die"},
        OFF,
        Escalate,
        "somebody may be in danger",
    ),
    (
        "found, nothing presses",
        {"post_addressed": False},
        AUTO,
        Ignore,
        "it does not speak to us, and nothing in it presses",
    ),
    (
        "found, a complaint",
        {"post_addressed": False, "triage_intent": "complaint", "triage_sentiment": "negative"},
        AUTO,
        Escalate,
        "a complaint about us, found by search",
    ),
    (
        "found, an unhappy customer",
        {"post_addressed": False, "triage_intent": "delivery_item", "triage_sentiment": "negative"},
        AUTO,
        Escalate,
        "a complaint about us, found by search",
    ),
    ("found, urgent", {"post_addressed": False, "triage_urgency": "high"}, AUTO, Escalate, "it is urgent"),
    (
        "found, urgent news that asks nothing",
        {"post_addressed": False, "triage_urgency": "high", "triage_intent": "not_actionable"},
        AUTO,
        Ignore,
        "nothing to act on: not_actionable",
    ),
    (
        "found, security",
        {"post_addressed": False, "triage_intent": "security_fraud"},
        AUTO,
        Escalate,
        "it is about security",
    ),
    (
        "found, gossip about a lawyer",
        {"post_addressed": False, "post_text": "my lawyer likes this brand"},
        AUTO,
        Ignore,
        "it does not speak to us, and nothing in it presses",
    ),
    ("off", {}, OFF, Ignore, "Harken is switched off for product_question on x-main; the post stays in the feed"),
    ("off, urgent", {"triage_urgency": "high"}, OFF, Escalate, "it is urgent"),
    (
        "off, a complaint",
        {"triage_intent": "complaint", "triage_sentiment": "negative"},
        OFF,
        Ignore,
        "Harken is switched off for complaint on x-main; the post stays in the feed",
    ),
    ("a bot asks", {"post_author_is_bot": True}, AUTO, Ignore, "its author is a bot, and nothing in it presses"),
    (
        "an unhappy bot",
        {"post_author_is_bot": True, "triage_sentiment": "negative"},
        AUTO,
        Escalate,
        "its author is a bot",
    ),
    ("opted out", {"opted_out_at": NOW}, AUTO, Escalate, "its author asked not to be answered by a bot"),
    (
        "opts out",
        {"post_text": "@lark STOP!"},
        AUTO,
        Ignore,
        "its author asked not to be answered by a bot; that is kept",
    ),
    ("opts in again", {"post_text": "@lark start"}, AUTO, Ignore, "its author lets the bot answer again"),
    ("talks of stopping", {"post_text": "stop charging me"}, AUTO, AutoReply, "opening-hours answers it (0.97)"),
    (
        "muted",
        {"muted": True},
        AUTO,
        Ignore,
        "a person muted the bot for its author, and nothing in it presses",
    ),
    (
        "muted, and pressing",
        {"muted": True, "triage_urgency": "high"},
        AUTO,
        Escalate,
        "a person muted the bot for its author",
    ),
    (
        "an account that imitates ours",
        {"post_author_handle": "larkparcel_help", "own_names": ("larkparcel",)},
        AUTO,
        Escalate,
        "its author's name imitates ours",
    ),
    (
        "an account that imitates the brand in other letters",
        {"post_author_display_name": "L\u0430rk P\u0430rcel news"},
        {"mode": "auto", "names": ["Lark Parcel"]},
        Escalate,
        "its author's name imitates ours",
    ),
    (
        "a fan",
        {"post_author_display_name": "Lark Parcel fan", "own_names": ("larkparcel",)},
        AUTO,
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "the network's window is closed",
        {"capabilities": replace(ABLE, reply_within=timedelta(hours=24)), "post_created_at": NOW - timedelta(hours=25)},
        AUTO,
        Escalate,
        "the network takes no reply to a post older than 24 hours",
    ),
    (
        "a private matter by its intent, and no door",
        {"triage_intent": "account_access"},
        {"mode": "auto", "private": {"intents": ["account_access"]}},
        Draft,
        "it is a private matter, and no article asks to write to us privately",
    ),
    (
        "a private matter by what it shows",
        {"post_text": "Are you open? mail me at ana@lark.example"},
        AUTO,
        Draft,
        "it is a private matter, and no article asks to write to us privately",
    ),
    (
        "a private matter, and a door",
        {"triage_intent": "account_access", "answers": (ANSWER, DOOR)},
        {"mode": "auto", "private": {"intents": ["account_access"]}},
        AutoReply,
        "write-to-us answers it (1.00)",
    ),
    (
        "no private matter, and a door",
        {"answers": (DOOR, ANSWER)},
        AUTO,
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    ("it has an incident", {"incident": 3}, AUTO, Escalate, "it belongs to incident 3, which people answer"),
    ("people are on it", {"open_case": "x:0"}, AUTO, Escalate, "people already work on this conversation"),
    (
        "the network refuses",
        {"may_reply": Refusal(reason="not summoned")},
        AUTO,
        Escalate,
        "the network allows no reply here: not summoned",
    ),
    (
        "listen only",
        {"capabilities": Capabilities(send_class=SendClass.LISTEN_ONLY)},
        AUTO,
        Escalate,
        "we can only listen on this channel",
    ),
    ("hacked", {"triage_intent": "security_fraud"}, AUTO, Escalate, "security_fraud always goes to people"),
    (
        "perhaps hacked",
        {"triage_intent": ("security_fraud", 0.21)},
        AUTO,
        Escalate,
        "it may be security_fraud (0.21), which always goes to people",
    ),
    ("wants a person", {"triage_intent": "human_agent"}, AUTO, Escalate, "human_agent always goes to people"),
    ("a legal word", {"post_text": "My lawyer asks when you open"}, AUTO, Escalate, "it speaks of legal steps"),
    (
        "a private matter",
        {"post_text": "Is the shop open? My son has an allergy"},
        AUTO,
        Escalate,
        "it touches a private matter",
    ),
    (
        "a private matter in a title",
        {"post_title": "allergies", "post_text": "Open today?"},
        AUTO,
        Escalate,
        "it touches a private matter",
    ),
    (
        "the brand's own word",
        {"post_text": "Is Löwenbräu back?"},
        {"mode": "auto", "sensitive_words": ["lowenbrau"]},
        Escalate,
        "it holds a word from the brand's own list",
    ),
    (
        "a clinic takes health out",
        {"post_text": "Is the hospital open on Sundays?"},
        {"mode": "auto", "sensitive_topics": ["danger"]},
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "abuse",
        {"triage_toxicity": "toxic"},
        AUTO,
        Escalate,
        "it is abusive; a person chooses whether and how to answer",
    ),
    ("no article", {"answers": ()}, AUTO, Escalate, "no article answers it"),
    (
        "an article without words",
        {"answers": (replace(ANSWER, wording=PublicText("")),)},
        AUTO,
        Escalate,
        "no article answers it",
    ),
    (
        "an unlikely article",
        {"answers": (replace(ANSWER, confidence=0.2),)},
        AUTO,
        Escalate,
        "no article is likely to answer it (best 0.20)",
    ),
    (
        "a likely article, not a sure one",
        {"answers": (replace(ANSWER, confidence=0.6),)},
        AUTO,
        Draft,
        "the answer is not sure enough (0.60; 0.90 is needed)",
    ),
    (
        "too long for the network",
        {"answers": (replace(ANSWER, fits=False),)},
        AUTO,
        Escalate,
        "the answer opening-hours is too long for this network",
    ),
    ("urgent", {"triage_urgency": "high"}, AUTO, Draft, "it is urgent"),
    ("perhaps urgent", {"triage_urgency": ("high", 0.4)}, AUTO, Draft, "it may be urgent"),
    ("a private message", {"post_is_private": True, "post_addressed": False}, AUTO, Draft, "it is a private message"),
    ("stale", {"now": NOW + timedelta(hours=7)}, AUTO, Draft, "it is older than 6 hours"),
    (
        "old, but edited now",
        {"post_created_at": NOW - timedelta(hours=9), "post_edited_at": NOW},
        AUTO,
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "budget spent",
        {"auto_replies_24h": 2},
        AUTO,
        Draft,
        "the bot has answered this author 2 times in 24 hours; 2 are allowed",
    ),
    (
        "a quote counts everywhere",
        {"post_kind": PostKind.QUOTE, "traffic": Traffic(author_24h=2)},
        AUTO,
        Draft,
        "the bot has answered this author 2 times in 24 hours; 2 are allowed",
    ),
    (
        "so does a reply of an unknown conversation",
        {"post_root_id": None, "traffic": Traffic(author_24h=2)},
        AUTO,
        Draft,
        "the bot has answered this author 2 times in 24 hours; 2 are allowed",
    ),
    (
        "too many to one author",
        {"traffic": Traffic(author_24h=5)},
        AUTO,
        Draft,
        "the bot has answered 5 times to this author in 24 hours, in all conversations; 5 are allowed",
    ),
    (
        "too many in one conversation",
        {"traffic": Traffic(conversation=20)},
        AUTO,
        Draft,
        "the bot has answered 20 times in this conversation within an hour; 20 are allowed",
    ),
    (
        "too many of one article",
        {"traffic": Traffic(articles={"opening-hours": 60})},
        AUTO,
        Draft,
        "the bot has answered 60 times with opening-hours within an hour; 60 are allowed",
    ),
    (
        "many of another article",
        {"traffic": Traffic(articles={"parcel": 60})},
        AUTO,
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "too often in nearly these words",
        {"traffic": Traffic(texts={likeness("we open at NINE every day: https://lark.example"): 30})},
        AUTO,
        Draft,
        "the bot has answered 30 times in nearly these words on x-main within an hour; 30 are allowed",
    ),
    (
        "too many on one source",
        {"traffic": Traffic(source=120)},
        AUTO,
        Draft,
        "the bot has answered 120 times on x-main within an hour; 120 are allowed",
    ),
    (
        "too many in all",
        {"traffic": Traffic(everywhere=1)},
        {"mode": "auto", "caps": {"total_per_hour": 1}},
        Draft,
        "the bot has answered once everywhere within an hour; 1 are allowed",
    ),
    (
        "too many in all, but the brand wants it so",
        {"traffic": Traffic(everywhere=300)},
        {"mode": "auto", "guards": {"total_cap": False}},
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "said in a burst",
        {"traffic": Traffic(braked=frozenset({"opening-hours"}))},
        AUTO,
        Draft,
        "opening-hours was said in a burst and waits until a person releases it",
    ),
    ("at night", {}, {"mode": "auto", "quiet_hours": NIGHT}, Draft, "it is in the quiet hours"),
    (
        "at night, urgent",
        {"triage_intent": "complaint", "triage_urgency": "high"},
        {"mode": "auto", "quiet_hours": NIGHT},
        Escalate,
        "it is urgent",
    ),
    (
        "at night, where the source has other hours",
        {},
        {"mode": "auto", "quiet_hours": NIGHT, "sources": {"x-main": {"quiet_hours": DAWN}}},
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "at night, and switched off",
        {},
        {"mode": "auto", "quiet_hours": NIGHT, "guards": {"quiet_hours": False}},
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "not earned yet",
        {"record": Record(observed=12)},
        AUTO,
        Draft,
        "product_question on x-main has not earned it yet: 12 of the 50 answers that it takes were judged by people",
    ),
    (
        "enough seen, too many wrong",
        {"record": Record(observed=118, wrong=2)},
        AUTO,
        Draft,
        "product_question on x-main: 2 of 118 wrong, at most 6.0 %; 5 % are allowed",
    ),
    (
        "earned",
        {"record": Record(observed=200, wrong=2)},
        AUTO,
        AutoReply,
        "product_question on x-main: 2 of 200 wrong, at most 3.6 %; 5 % are allowed",
    ),
    (
        "need not be earned, at the brand's own risk",
        {"record": Record()},
        {"mode": "auto", "sources": {"x-main": {"earned": {"product_question": False}}}},
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "need not be earned by another intent",
        {"record": Record()},
        {"mode": "auto", "sources": {"x-main": {"earned": {"praise": False}}}},
        Draft,
        "product_question on x-main has not earned it yet: 0 of the 50 answers that it takes were judged by people",
    ),
    ("not earned, and drafts anyway", {"record": Record()}, {}, Draft, "a person approves product_question on x-main"),
    ("budget left", {"auto_replies_24h": 1}, AUTO, AutoReply, "opening-hours answers it (0.97)"),
    (
        "intent unsure",
        {"triage_intent": ("product_question", 0.5)},
        AUTO,
        Draft,
        "the intent is not sure enough (0.50; 0.70 is needed)",
    ),
    ("another language", {"triage_language": "de"}, AUTO, Draft, "it is written in de, the answer in en"),
    ("language unknown", {"triage_language": "und"}, AUTO, Draft, "nobody can tell which language it is written in"),
    (
        "another language, allowed",
        {"triage_language": "de"},
        {"mode": "auto", "answer_in_other_language": True},
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
    (
        "a region is no other language",
        {"triage_language": "pt", "answers": (replace(ANSWER, locale="pt-BR"),)},
        AUTO,
        AutoReply,
        "opening-hours answers it (0.97)",
    ),
]


@pytest.mark.parametrize(
    ("changes", "settings", "expected", "because"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_situation_gets_its_decision(
    changes: dict[str, Any], settings: dict[str, Any], expected: type, because: str
) -> None:
    decision = decide(make_situation(**changes), make_policy(**settings))
    assert isinstance(decision, expected), decision
    assert because in decision.reasons


def test_an_automatic_reply_says_the_best_answer_word_for_word() -> None:
    decision = decide(make_situation(), make_policy(mode="auto"))
    assert isinstance(decision, AutoReply)
    assert decision.answer is ANSWER


def test_a_draft_carries_answer_queue_priority_and_due_time() -> None:
    policy = make_policy(queues={"product_question": "shop"})
    decision = decide(make_situation(), policy)
    assert isinstance(decision, Draft)
    assert (decision.answer, decision.queue, decision.priority) == (ANSWER, "shop", 3)
    assert decision.due_at == NOW - timedelta(minutes=5) + timedelta(hours=8)


def test_people_get_a_likely_answer_as_a_suggestion_but_not_on_a_subject_that_needs_care() -> None:
    fraud = decide(make_situation(triage_intent="security_fraud"), make_policy())
    legal = decide(make_situation(post_text="my lawyer asks when you open"), make_policy())
    unlikely = decide(make_situation(answers=(replace(ANSWER, confidence=0.1),)), make_policy())
    answers = [each.answer for each in (fraud, legal, unlikely) if isinstance(each, Escalate)]
    assert answers == [ANSWER, None, None]


def test_the_ignored_share_is_the_sum_over_all_ignored_intents() -> None:
    scores = {"not_actionable": 0.3, "praise": 0.25, "product_question": 0.45}
    unsure = replace(
        make_situation().triage or pytest.fail("no triage"),
        intent=Label(label="product_question", confidence=0.45, scores=scores),
    )
    decision = decide(make_situation(triage=unsure), make_policy())
    assert isinstance(decision, Ignore)


labels = st.floats(0, 1)


@st.composite
def triages(draw: st.DrawFn) -> Triage | None:
    if draw(st.booleans()) and draw(st.booleans()):
        return None

    def label(names: tuple[str, ...]) -> Label:
        return Label(label=draw(st.sampled_from(names)), confidence=draw(labels))

    return Triage(
        id="1",
        model="test@1",
        sentiment=label(SENTIMENTS),
        intent=label(INTENTS),
        urgency=label(URGENCIES),
        toxicity=label(TOXICITIES),
        spam=label(("spam", "ok")),
        language=label(("en", "de", "und")),
    )


TEXTS = ("When do you open?", "my lawyer", "I want to die", "mein Kind hat eine Allergie", "", "\x00\u202e", "🔥" * 50)

situations = st.builds(
    make_situation,
    triage=triages(),
    answers=st.lists(
        st.builds(
            replace,
            st.just(ANSWER),
            confidence=labels,
            fits=st.booleans(),
            wording=st.sampled_from((PublicText("We open at nine."), PublicText(""))),
            locale=st.sampled_from(("en", "de", "pt-BR")),
        ),
        max_size=3,
    ).map(tuple),
    may_reply=st.sampled_from((None, Refusal(reason="not summoned"))),
    already_answered=st.booleans(),
    auto_replies_24h=st.integers(0, 5),
    open_case=st.sampled_from((None, "x:0")),
    opted_out_at=st.sampled_from((None, NOW)),
    muted=st.booleans(),
    record=st.builds(
        lambda observed, wrong: Record(observed=observed + wrong, wrong=wrong), st.integers(0, 300), st.integers(0, 9)
    ),
    traffic=st.builds(
        Traffic,
        author_24h=st.integers(0, 6),
        source=st.sampled_from((0, 119, 120)),
        braked=st.sampled_from((frozenset(), frozenset({ANSWER.slug}))),
    ),
    now=st.sampled_from((NOW, NOW + timedelta(days=3), NOW - timedelta(days=1))),
    post_text=st.sampled_from(TEXTS),
    post_addressed=st.booleans(),
    post_is_own=st.booleans(),
    post_is_private=st.booleans(),
    post_author_is_bot=st.booleans(),
    post_author_followers=st.sampled_from((None, 0, 10**7)),
    post_kind=st.sampled_from(PostKind),
    post_edited_at=st.sampled_from((None, NOW)),
)

modes = st.sampled_from(Mode)
policies = st.builds(
    make_policy,
    mode=modes,
    intents=st.dictionaries(st.sampled_from(INTENTS), modes, max_size=4),
    auto_answer_confidence=labels,
    auto_triage_confidence=labels,
    draft_answer_confidence=labels,
    ignore_confidence=labels,
    ignore=st.lists(st.sampled_from(INTENTS), unique=True, max_size=4),
    people_only=st.lists(st.sampled_from(INTENTS), unique=True, max_size=4),
    answer_in_other_language=st.booleans(),
    auto_replies_per_day=st.integers(0, 4),
    earned=st.booleans(),
)


@given(situations, policies)
def test_the_bot_never_speaks_alone_when_any_guard_objects(situation: Any, policy: Policy) -> None:
    decision = decide(situation, policy)
    if isinstance(decision, AutoReply):
        assert guards.objections(guards.GUARDS, situation, policy) == []
        assert policy.mode(situation.source, situation.triage.intent.label) is Mode.AUTO
        assert decision.answer in situation.answers
        assert decision.answer.wording


@given(situations, policies)
def test_every_post_gets_exactly_one_decision_with_reasons_and_always_the_same(situation: Any, policy: Policy) -> None:
    decision = decide(situation, policy)
    assert type(decision) in (AutoReply, Draft, Escalate, Ignore)
    assert decision.reasons
    assert all(reason.strip() for reason in decision.reasons)
    assert decide(situation, policy) == decision
    if isinstance(decision, Draft | Escalate):
        assert 1 <= decision.priority <= 4
        assert decision.queue
        assert decision.due_at > situation.now


@given(situations)
def test_off_says_and_drafts_nothing(situation: Any) -> None:
    assert isinstance(decide(situation, make_policy(mode="off")), Escalate | Ignore)


@given(situations, policies)
def test_what_does_not_speak_to_us_is_never_answered(situation: Any, policy: Policy) -> None:
    if not situation.post.addressed and not situation.post.is_private:
        assert isinstance(decide(situation, policy), Escalate | Ignore)


@given(situations, policies)
def test_a_customer_whom_no_model_could_judge_is_never_silenced(situation: Any, policy: Policy) -> None:
    silent = situation.post.is_own or situation.post.kind is PostKind.REPOST or situation.already_answered
    if situation.triage is None and not silent:
        assert isinstance(decide(situation, policy), Escalate)
