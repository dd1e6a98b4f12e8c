"""Yesterday played again: the same by the same policy, hand-made differences by another, and not a row changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from bot.stages.rewind import Asked
from bot.store import desk, drafts, feed, people, posts, wishes
from bot.store.engine import Store, StoreUnavailable
from bot.store.roles import Role
from bot.store.tables import EventRow, PostRow, ReplyRow
from bot.store.upsert import table_of
from classifiers.errors import ModelFailed
from classifiers.triage import Text, Triage
from handoff.rewind import Way
from tests.bot.factories import NOON, make_triage
from tests.bot.yesterday import MONEY, PARCEL, REFUND, WHERE, Yesterday, dump, policy_of, told

HELP = "this is the worst service I ever had"


def a_lead(store: Store) -> int:
    return store.write_now(people.add, email="lea@example.org", name="Lea", role=Role.LEAD, now=NOON).id


async def a_full_day(store: Store, **policy: Any) -> Yesterday:
    """Live a day in which much hangs on what came before, and much was changed afterwards."""
    day = Yesterday(store, desks=["hook"], **policy)
    lead = a_lead(store)
    for number in (1, 2, 3):  # the third one is beyond the budget of the conversation
        await day.hear(number, root_id="thread", author="ana")
    await day.hear(4, HELP, intent="complaint", author="bo", root_id="bos")
    await day.hear(5, author="bo", root_id="bos")  # people already work on it
    case = store.read_now(_case_of, day.ids[4])
    day.clock.advance(minutes=30)
    store.write_now(desk.resolve, case, user_id=lead, now=day.clock())
    await day.hear(6, author="bo", root_id="bos")  # and now they do not any more
    await day.hear(7, "thanks for nothing", intent="praise", author="cy")
    await day.hear(8, "how do I change my name?", intent="account_management", author="di")
    await day.hear(9, MONEY, intent="refund_return", author="ed")
    long_ago = day.clock() - timedelta(hours=9)
    await day.hear(10, MONEY, intent="refund_return", author="ed", root_id="10", created_at=long_ago)
    await day.hear(11, "@us stop", author="fy")
    await day.hear(12, author="fy")  # who asked to be left alone
    for number in range(20, 26):  # a burst, which the brake or a cap may end
        await day.hear(number, author=f"gus{number}")
    day.clock.advance(hours=1)
    await day.hear(30, author="hal")
    # What was learnt later was not known then.
    author = store.read_now(_author_of, day.ids[9])
    store.write_now(wishes.mute, author, on=True, user_id=lead, now=day.clock())
    back = store.read_now(_author_of, day.ids[12])
    store.write_now(wishes.opt, back, out=False, user_id=lead, now=day.clock())
    store.write_now(feed.correct, day.ids[1], head="intent", label="complaint", user_id=lead, now=day.clock())
    draft = store.read_now(_draft_of, day.ids[8])
    if draft is not None:
        store.write_now(drafts.edit, draft, text="Other words.", user_id=lead, now=day.clock())
    return day


def _case_of(session: Session, post_id: int) -> int:
    view = feed.one(session, post_id)
    return view.case_id or 0


def _author_of(session: Session, post_id: int) -> int:
    return session.get_one(PostRow, post_id).author_id


def _draft_of(session: Session, post_id: int) -> int | None:
    reply = table_of(ReplyRow)
    found = sa.select(reply.c.id).where(reply.c.post_id == post_id, reply.c.state == "drafted")
    return session.connection().execute(found).scalar_one_or_none()


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"caps": {"brake_replies": 4, "brake_minutes": 30}},
        {"caps": {"total_per_hour": 5}},
        {"caps": {"author_per_day": 1}, "auto_replies_per_day": 1},
        {"guards": {"case_open": False}},
        {"mode": "auto", "queues": {"complaint": "care"}},
    ],
    ids=str,
)
async def test_by_the_policy_of_the_day_all_goes_as_it_went(store: Store, policy: dict[str, Any]) -> None:
    day = await a_full_day(store, **policy)
    report = await day.rewind()
    assert told(report) == {}
    assert (report.decided, report.same, report.different) == (19, 19, 0)
    assert report.happened == report.rewound
    assert report.happened.ways[Way.ALONE] >= 4


async def test_a_stricter_policy_makes_the_differences_that_a_person_would_name(store: Store) -> None:
    day = Yesterday(store, desks=["hook"])
    ids = [await day.hear(number, author=f"a{number}") for number in (1, 2)]
    money = await day.hear(3, MONEY, intent="refund_return", author="bo")
    help_ = await day.hear(4, HELP, intent="complaint", author="cy")
    report = await day.rewind(policy=policy_of(intents={"refund_return": "auto"}, queues={"complaint": "care"}))
    assert told(report) == {
        "said alone before, draft now: delivery_item is no longer automatic": ids,
        "handed over before to queue support and desk hook, to queue care and desk hook now: "
        "complaint goes to queue care rather than support": [help_],
    }
    assert report.groups[0].said == "said alone before, draft now: 2 - because delivery_item is no longer automatic"
    assert all(each.is_asked for each in report.groups)
    assert (report.happened.ways, report.rewound.ways) == (
        {"alone": 3, "draft": 0, "people": 1, "nothing": 0},
        {"alone": 1, "draft": 2, "people": 1, "nothing": 0},
    )
    assert (report.rewound.articles, report.rewound.queues) == ({"refund": 1}, {"support": 2, "care": 1})
    example = report.groups[0].examples[0]
    assert (example.post_id, example.ended, example.article) == (ids[0], "said", "parcel")
    assert "a person approves delivery_item on x" in example.reasons
    assert money not in report.groups[0].posts


async def test_a_looser_policy_is_told_as_such(store: Store) -> None:
    day = Yesterday(store, intents={}, people_only=[])
    where = await day.hear(1)
    report = await day.rewind(policy=policy_of())
    assert told(report) == {"draft before, said alone now: delivery_item is automatic now": [where]}
    assert report.groups[0].ended == {"waits for a person": 1}


async def test_without_an_article_its_answers_go_to_people(store: Store) -> None:
    day = Yesterday(store)
    where = await day.hear(1)
    money = await day.hear(2, MONEY, intent="refund_return", author="bo")
    for report in (await day.rewind(articles=[REFUND]), await day.rewind(without=frozenset({"parcel"}))):
        (group,) = report.groups
        assert (group.before, group.posts) == ("said alone before", [where])
        assert (group.now, group.because) == ("handed over now", "no article is likely to answer it")
        assert group.is_asked
        assert money not in group.posts
        assert report.rewound.articles == {"refund": 1}


async def test_other_words_of_an_article_are_a_difference(store: Store) -> None:
    day = Yesterday(store)
    where = await day.hear(1)
    other = replace(PARCEL, wordings={"default": "Look at https://lark.example/map"})
    report = await day.rewind(articles=[other, REFUND])
    assert told(report) == {"said alone before, the same article in other words now: parcel has other words": [where]}


async def test_what_today_does_anyway_is_not_blamed_on_what_is_tried(store: Store) -> None:
    day = Yesterday(store)
    where = await day.hear(1)
    money = await day.hear(2, MONEY, intent="refund_return", author="bo")
    day.put([REFUND])  # the article on parcels was retired since
    report = await day.rewind(policy=policy_of(intents={}))
    found = {tuple(each.posts): each.is_asked for each in report.groups}
    assert found == {(money,): True, (where,): False}


async def test_limits_count_what_the_rewind_would_have_said(store: Store) -> None:
    day = Yesterday(store)
    ids = [await day.hear(number, author=f"a{number}") for number in range(1, 5)]
    report = await day.rewind(policy=policy_of(caps={"total_per_hour": 2}))
    because = "the bot has spoken often enough within an hour"
    assert told(report) == {f"said alone before, draft now: {because}": ids[2:]}


async def test_a_burst_pulls_the_brake_of_the_rewind(store: Store) -> None:
    day = Yesterday(store)
    ids = [await day.hear(number, author=f"a{number}") for number in range(1, 6)]
    report = await day.rewind(policy=policy_of(caps={"brake_replies": 3, "brake_minutes": 60}))
    (line,) = told(report).items()
    assert line == (
        "said alone before, draft now: parcel was said in a burst and waits until a person releases it",
        ids[3:],
    )


async def test_what_is_drafted_in_the_rewind_keeps_later_answers_back(store: Store) -> None:
    day = Yesterday(store)
    first = await day.hear(1, author="ana", root_id="t")
    second = await day.hear(2, MONEY, intent="refund_return", author="ana", root_id="t")
    report = await day.rewind(policy=policy_of(intents={"refund_return": "auto"}))
    assert told(report) == {
        "said alone before, draft now: delivery_item is no longer automatic": [first],
        "said alone before, handed over now: people already work on this conversation": [second],
    }


async def test_what_counts_from_the_day_before_counts(store: Store) -> None:
    day = Yesterday(store)
    for number in (1, 2):
        await day.hear(number, root_id="t")
    day.clock.advance(hours=2)
    await day.hear(3, root_id="t")
    report = await day.rewind(days=1 / 24)
    assert (report.decided, report.different) == (1, 0)
    assert report.happened.ways[Way.DRAFT] == 1


async def test_deleted_and_edited_posts_are_left_out_and_counted(store: Store) -> None:
    day = Yesterday(store)
    gone = await day.hear(1)
    await day.hear(2, author="bo")
    await day.hear(2, "where is my parcel now?", author="bo", edited_at=day.clock())
    store.write_now(posts.mark_deleted, [gone], now=day.clock())
    report = await day.rewind()
    assert report.gone == {"deleted since": 1, "edited since": 1}
    assert (report.decided, report.different) == (1, 0)


async def test_posts_that_an_incident_gathered_are_left_out(store: Store) -> None:
    day = Yesterday(store)
    post = await day.hear(1)

    def gather(session: Session) -> None:
        query = select(EventRow).where(EventRow.post_id == post, EventRow.kind == "post.decided")
        event = session.exec(query).one()
        event.facts = {**(event.facts or {}), "decision": "gathered"}

    store.write_now(gather)
    report = await day.rewind()
    assert (report.gone, report.decided) == ({"gathered in an incident": 1}, 0)


async def test_a_source_that_is_gone_is_left_out(store: Store) -> None:
    day = Yesterday(store)
    await day.hear(1)
    report = await day.rewinder(connectors={}).run(Asked(days=1))
    assert report.gone == {"of a source that is not in the config": 1}


async def test_an_article_answers_only_while_it_was_valid(store: Store) -> None:
    day = Yesterday(store)
    day.put([replace(PARCEL, valid_until=NOON + timedelta(days=400)), REFUND])
    early = await day.hear(1)
    until = day.clock() + timedelta(minutes=10)
    day.clock.advance(minutes=20)
    late = await day.hear(2, author="bo")
    report = await day.rewind(articles=[replace(PARCEL, valid_until=until), REFUND])
    (group,) = report.groups
    assert group.posts == [late]
    assert early not in group.posts


async def test_earned_automation_knows_only_the_verdicts_of_its_time(store: Store) -> None:
    """Two drafts are approved; only what came after the second one was earned."""
    earned: dict[str, Any] = {"earned": True, "error_observations": 2, "error_limit": 0.7}
    day = Yesterday(store, **earned)
    lead = a_lead(store)
    for number in (1, 2, 3):
        row = await day.hear(number, author=f"a{number}")
        draft = store.read_now(_draft_of, row)
        assert (draft is None) is (number == 3)
        if draft is not None:
            store.write_now(drafts.approve, draft, text=None, revision=None, user_id=lead, now=day.clock())
    report = await day.rewind()
    assert (report.different, report.happened.ways[Way.DRAFT], report.happened.ways[Way.ALONE]) == (0, 2, 1)
    assert report.ended == {"approved as it was": 2, "said": 1}
    report = await day.rewind(policy=policy_of(**{**earned, "error_observations": 3}))
    assert told(report) == {"said alone before, draft now: it is not earned to be answered alone": [day.ids[3]]}


def judging(intents: Mapping[str, str | None], asked: list[Text]) -> Callable[[Sequence[Text]], Any]:
    """Return a model that takes each text for what *intents* says, and breaks on batches with one that it maps to None.

    asked: gets every text that was judged.
    """

    async def judge(texts: Sequence[Text]) -> list[Triage]:
        if any(intents[text.text] is None for text in texts):
            raise ModelFailed("it broke")
        asked.extend(texts)
        return [
            make_triage(int(text.id), intent=intents[text.text] or "", sentiment="neutral", model="new@2")
            for text in texts
        ]

    return judge


@pytest.mark.parametrize(
    ("kept", "anew", "difference"),
    [
        (
            "complaint",
            "delivery_item",
            "handed over before, said alone now: this holds no more: complaint always goes to",
        ),
        ("delivery_item", "complaint", "said alone before, handed over now: complaint always goes to people"),
        (
            "delivery_item",
            "account_management",
            "said alone before, draft now: it is judged account_management rather than delivery_item",
        ),
        (
            "account_management",
            "delivery_item",
            "draft before, said alone now: it is judged delivery_item rather than account_management",
        ),
        ("praise", "delivery_item", "nothing to do before, said alone now: this holds no more: nothing to act on"),
        (
            "complaint",
            "human_agent",
            "handed over before to queue care, to queue support now: human_agent goes to queue",
        ),
    ],
)
async def test_a_post_that_was_taken_for_something_else_is_judged_anew(
    store: Store, kept: str, anew: str, difference: str
) -> None:
    day = Yesterday(store, queues={"complaint": "care"})
    wrong = await day.hear(1, intent=kept)
    right = await day.hear(2, MONEY, intent="refund_return", author="bo")
    before, asked = dump(store), list[Text]()
    rewinder = day.rewinder(judge=judging({WHERE: anew, MONEY: "refund_return"}, asked))
    report = await rewinder.run(Asked(days=1, rejudge=True))
    ((line, posts_),) = told(report).items()
    assert line.startswith(difference)
    assert posts_ == [wrong]
    assert (report.decided, report.same, report.groups[0].is_asked) == (2, 1, True)
    assert sorted(int(text.id) for text in asked) == [wrong, right]
    assert dump(store) == before, "the stored labels stay"


async def test_without_rejudge_the_stored_labels_count_and_no_model_is_asked(store: Store) -> None:
    day = Yesterday(store)
    await day.hear(1, intent="complaint")
    asked: list[Text] = []
    report = await day.rewinder(judge=judging({WHERE: "delivery_item"}, asked)).run(Asked(days=1))
    assert (report.decided, report.different, asked) == (1, 0, [])
    other = Asked(days=1, policy=policy_of(queues={"complaint": "care"}))
    report = await day.rewinder(judge=judging({WHERE: "delivery_item"}, asked)).run(other)
    assert (report.different, asked) == (1, []), "nor where something else is tried"


async def test_posts_are_judged_anew_as_the_stage_judges_them(store: Store) -> None:
    """Title and text, with the language that the network named; not those that are gone."""
    day = Yesterday(store)
    whole = await day.hear(1, title="My order", language="en")
    gone = await day.hear(2, author="bo")
    store.write_now(posts.mark_deleted, [gone], now=day.clock())
    asked: list[Text] = []
    rewinder = day.rewinder(judge=judging({f"My order\n{WHERE}": "delivery_item"}, asked))
    report = await rewinder.run(Asked(days=1, rejudge=True))
    assert asked == [Text(id=str(whole), text=f"My order\n{WHERE}", language="en")]
    assert report.gone == {"deleted since": 1}


async def test_where_all_are_gone_the_model_is_not_asked(store: Store) -> None:
    day = Yesterday(store)
    store.write_now(posts.mark_deleted, [await day.hear(1)], now=day.clock())

    async def judge(texts: Sequence[Text]) -> Sequence[Triage]:
        raise AssertionError(f"asked for {len(texts)} texts")

    report = await day.rewinder(judge=judge).run(Asked(days=1, rejudge=True))
    assert (report.decided, report.gone) == (0, {"deleted since": 1})


async def test_a_post_on_which_the_model_breaks_is_untriaged_and_the_others_are_judged(store: Store) -> None:
    day = Yesterday(store)
    broken = await day.hear(1)
    await day.hear(2, MONEY, intent="refund_return", author="bo")
    asked: list[Text] = []
    rewinder = day.rewinder(judge=judging({WHERE: None, MONEY: "refund_return"}, asked))
    report = await rewinder.run(Asked(days=1, rejudge=True))
    ((line, found),) = told(report).items()
    assert found == [broken]
    assert line.startswith("said alone before, handed over now")
    assert [text.text for text in asked] == [MONEY]


async def test_articles_are_embedded_by_the_model_that_judges_anew(store: Store) -> None:
    """A post's new vector says nothing beside an article's from another model."""
    day = Yesterday(store)
    await day.hear(1)
    embedded: list[str] = []

    async def embed(texts: Sequence[str]) -> Sequence[bytes]:
        embedded.extend(texts)
        return [b""] * len(texts)

    asked: list[Text] = []
    rewinder = day.rewinder(judge=judging({WHERE: "delivery_item"}, asked), embed=embed)
    assert (await rewinder.run(Asked(days=1, rejudge=True))).different == 0
    assert sorted(embedded) == sorted([*PARCEL.passages, *REFUND.passages])
    embedded.clear()
    await rewinder.run(Asked(days=1, without=frozenset({"refund"})))
    assert embedded == [], "stored labels go with stored vectors"
    report = await rewinder.run(Asked(days=1, rejudge=True, without=frozenset({"parcel"})))
    assert told(report) == {"said alone before, handed over now: no article is likely to answer it": [day.ids[1]]}


async def test_nothing_to_rewind_is_an_empty_report(store: Store) -> None:
    report = await Yesterday(store).rewind(policy=policy_of(intents={}))
    assert (report.decided, report.groups, report.gone) == (0, [], {})


async def test_not_a_row_is_written_and_nothing_is_sent(store: Store) -> None:
    day = await a_full_day(store)
    before = dump(store)
    report = await day.rewind(policy=policy_of(intents={}, queues={"complaint": "care"}), articles=[REFUND])
    assert report.different
    assert dump(store) == before
    assert day.speaker.ledger == []


def test_whoever_reads_cannot_write(store: Store) -> None:
    """The rewind reads through ``read`` alone, and the database itself refuses a change there."""

    def change(session: Session) -> None:
        session.connection().execute(sa.delete(table_of(PostRow)))

    with pytest.raises((StoreUnavailable, sa.exc.InternalError)):
        store.read_now(change)
    store.write_now(change)
