"""Suggestions of a language model: kept for people, marked, counted, and without effect on anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bot.store import cases, desk, drafts, jobs, people, replies, suggestions, verdicts
from bot.store.engine import Store
from bot.store.refusals import Conflict
from bot.store.roles import Role
from bot.store.suggestions import Limits
from bot.store.tables import EventRow, JobRow, ModelCallRow, Origin, ReplyRow, ReplyState, Stage, SuggestionRow
from bot.web.story import story
from connectors.post import Post
from tests.bot.chat_bench import ChatBench
from tests.bot.factories import make_author, make_post, make_triage
from tests.networks.chat import Chat, Mood

GOOD = "You can return a parcel within 30 days: https://lark.example/orders"
BAD = "We pay you 500 euros today."
ASKED = "Hello, can I return a parcel? My order 4711-0815, Ana, ana@mail.example"


def helpful(system: str, data: dict[str, Any]) -> str:
    return "returns" if "articles" in data else f"{GOOD}. {BAD}"


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with Chat(answer=helpful).serving() as chat:
        yield chat


def bench_with(store: Store, chat: Chat, *, mode: str = "draft", **more: Any) -> ChatBench:
    policy = {"auto_answer_confidence": 0.05, "draft_answer_confidence": 0.01, "auto_triage_confidence": 0.1}
    return ChatBench(store, chat=chat, mode=mode, policy={**policy, **more.pop("policy", {})}, **more)


async def suggested(bench: ChatBench, post: Post | None = None) -> None:
    bench.hear(post or make_post(1, text=ASKED))
    await bench.decide()
    await bench.suggest()


def agent(store: Store) -> int:
    return store.write_now(
        people.add, email="a@example.org", name="Ada", role=Role.AGENT, now=make_post().created_at
    ).id


def model_drafts(bench: ChatBench) -> list[ReplyRow]:
    return [each for each in bench.replies() if each.origin == Origin.MODEL]


def rows(store: Store, table: Any) -> list[Any]:
    return store.read_now(lambda session: list(session.exec(select(table).order_by(col(table.id)))))


async def test_a_person_gets_a_draft_with_what_no_article_supports_marked(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)
    (case,) = bench.cases()
    file = store.read_now(desk.file, case.id or 0)
    prepared, written = file.replies
    assert (prepared.origin, prepared.sentences, prepared.model) == (Origin.DRAFT, (), None)
    assert (written.origin, written.state, written.model) == (Origin.MODEL, ReplyState.DRAFTED, "lark-1")
    assert written.text == f"{GOOD}. {BAD}"
    assert [each.is_supported for each in written.sentences] == [True, False]
    assert "500" in written.sentences[1].why
    (view,) = file.suggestions
    assert (view.article, view.is_chosen, view.reply_id) == ("returns", True, written.id)
    assert story(file.context, chosen=view.article).answers[0].slug == "returns"
    assert not bench.speaker.ledger


async def test_what_leaves_is_the_masked_post_and_articles_and_nothing_of_a_case(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    author = make_author("zoe", display_name="Zoë Canary", handle="zoecanary")
    await suggested(bench, make_post(1, text=f"{ASKED}, yours Zoë Canary", author=author))
    assert len(chat.asked) == 2
    for canary in ("4711", "0815", "ana@mail", "Canary", "zoecanary", "u-zoe", "x.example"):
        assert canary not in chat.text
    assert "can I return a parcel?" in chat.text


async def test_another_choice_reorders_what_people_see_and_nothing_else(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    chat.answer = lambda system, data: "hours" if "articles" in data else "none"
    await suggested(bench, make_post(1, text="can I return a parcel, and when are you open?"))
    (case,) = bench.cases()
    file = store.read_now(desk.file, case.id or 0)
    (draft,) = file.replies
    assert draft.origin == Origin.DRAFT, "the prepared draft stays as it was"
    assert draft.text.startswith("You can return")
    before, after = story(file.context).answers, story(file.context, chosen="hours").answers
    assert before[0].slug != "hours"
    assert after[0].slug == "hours"
    assert {each.slug for each in before} == {each.slug for each in after}
    assert file.context["answers"][0]["slug"] == before[0].slug, "the record is not rewritten"


@pytest.mark.parametrize(
    "said", ["secret-article", "returns; DROP TABLE article", "", "returns hours", "parcel\nhours"]
)
async def test_a_choice_that_was_not_offered_is_ignored(sqlite_store: Store, chat: Chat, said: str) -> None:
    bench = bench_with(sqlite_store, chat)
    chat.answer = lambda system, data: said if "articles" in data else GOOD
    await suggested(bench)
    (row,) = rows(sqlite_store, SuggestionRow)
    assert not row.is_chosen
    assert row.article_id == bench.article_id("returns"), "as retrieval has it"


@pytest.mark.parametrize("mood", [mood for mood in Mood if mood is not Mood.WELL])
async def test_in_any_trouble_all_is_as_without_it(sqlite_store: Store, chat: Chat, mood: Mood) -> None:
    chat.mood = mood
    bench = bench_with(sqlite_store, chat, options={"timeout_s": 0.3 if mood in (Mood.DRIP, Mood.HANG) else 15})
    await suggested(bench)
    (draft,) = bench.replies()
    assert draft.text == f"{GOOD.split('/orders')[0]}/orders"
    assert draft.origin == Origin.DRAFT
    assert rows(sqlite_store, SuggestionRow) == []
    assert all(each.done_at for each in rows(sqlite_store, JobRow) if each.stage == Stage.SUGGEST)
    bench.hear(make_post(2, text=ASKED, author="bea"))
    await bench.decide()
    await bench.suggest()
    assert len(chat.asked) == 1, "it is left alone for a while"
    bench.wait(hours=2)
    chat.mood = Mood.WELL
    await suggested(bench, make_post(3, text=ASKED, author="cia", minutes=120))
    assert len(rows(sqlite_store, SuggestionRow)) == 1, "and asked again when that is over"


async def test_the_bot_alone_does_the_same_with_and_without_it(sqlite_store: Store, chat: Chat) -> None:
    chat.answer = lambda system, data: "hours" if "articles" in data else BAD
    bench = bench_with(sqlite_store, chat, mode="auto")
    await suggested(bench, make_post(1, text="Hello, can I return a parcel?"))
    await bench.deliver()
    (said,) = bench.speaker.ledger
    assert said.text == "You can return a parcel within 30 days: https://lark.example/orders"
    assert chat.asked == [], "nobody asks it about what the bot says alone"


@pytest.mark.parametrize(
    "limits",
    [{"calls_per_hour": 3}, {"calls_per_day": 3}, {"tokens_per_day": 2_000}],
    ids=lambda each: next(iter(each)),
)
async def test_a_budget_that_is_used_up_ends_the_asking(sqlite_store: Store, chat: Chat, limits: Any) -> None:
    chat.usage = {"total_tokens": 600}
    bench = bench_with(sqlite_store, chat, options=limits)
    for number in range(1, 6):
        await suggested(bench, make_post(number, text=ASKED, author=f"c{number}"))
        bench.wait(minutes=5)
    assert 1 <= len(chat.asked) <= 3
    assert len([each for each in bench.replies() if each.origin == Origin.DRAFT]) == 5
    bench.wait(days=2)
    before = len(chat.asked)
    await suggested(bench, make_post(9, text=ASKED, author="c9", minutes=2_900))
    assert len(chat.asked) > before, "a new day, a new budget"


def test_budgets_count_over_all_processes_and_forget_after_two_days(store: Store) -> None:
    limits = Limits(calls_per_hour=2, calls_per_day=3, tokens_per_day=1_000)
    now = make_post().created_at

    def take(minutes: float, tokens: int = 100) -> int | None:
        at = make_post(minutes=minutes).created_at
        return store.write_now(suggestions.reserve, tokens=tokens, limits=limits, now=at)

    first, second = take(0), take(1)
    assert first
    assert second
    assert take(2) is None
    assert take(90)
    assert take(95) is None, "three a day"
    assert take(60 * 26)
    store.write_now(suggestions.settle, first, tokens=10)
    assert take(60 * 24 * 4, tokens=1_001) is None
    assert take(60 * 24 * 4, tokens=1_000)
    assert all(each.begun_at > now for each in rows(store, ModelCallRow))
    assert len(rows(store, ModelCallRow)) == 1


async def test_a_model_s_draft_leaves_only_when_a_person_approves_it(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)
    (draft,) = model_drafts(bench)
    assert await bench.deliver() == 0
    store.write_now(drafts.approve, draft.id or 0, text=GOOD, revision=None, user_id=agent(store), now=bench.now)
    await bench.deliver()
    (said,) = bench.speaker.ledger
    assert said.text == GOOD
    states = {each.origin: (each.state, each.reason) for each in bench.replies()}
    assert states[Origin.MODEL][0] == ReplyState.SENT
    assert states[Origin.DRAFT] == (ReplyState.CANCELLED, verdicts.DISCARDED), "turned down: that counts against it"


async def test_even_a_row_forced_into_the_outbox_is_not_said_without_a_person(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)

    def force(session: Session) -> None:
        row = session.exec(select(ReplyRow).where(ReplyRow.origin == Origin.MODEL)).one()
        row.state = ReplyState.INTENDED
        jobs.add(session, Stage.DELIVER, str(row.id), now=bench.now)

    store.write_now(force)
    assert await bench.deliver() == 1
    assert bench.speaker.ledger == []
    (draft,) = model_drafts(bench)
    assert (draft.state, draft.reason) == (ReplyState.CANCELLED, "a language model wrote it, and nobody approved it")


async def test_a_withdrawn_article_stops_a_draft_that_was_left_as_it_was(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)
    (draft,) = model_drafts(bench)
    store.write_now(drafts.approve, draft.id or 0, text=None, revision=None, user_id=agent(store), now=bench.now)
    store.write_now(_retire, bench.article_id("returns"))
    await bench.deliver()
    assert bench.speaker.ledger == []


def _retire(session: Session, article_id: int) -> None:
    from bot.store.tables import ArticleRow

    session.get_one(ArticleRow, article_id).state = "retired"


async def test_edited_words_are_judged_anew_and_the_record_of_verdicts_does_not_count_them(
    store: Store, chat: Chat
) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)
    (draft,) = model_drafts(bench)
    who = agent(store)
    changed = f"{GOOD}. It costs 12 euros."
    view = store.write_now(drafts.edit, draft.id or 0, text=changed, user_id=who, now=bench.now)
    assert [each.is_supported for each in view.sentences] == [True, False]
    assert "12" in view.sentences[1].why
    store.write_now(drafts.approve, draft.id or 0, text=GOOD, revision=None, user_id=who, now=bench.now)
    await bench.deliver()
    found = store.read_now(
        verdicts.records, [("delivery_item", "x")], now=bench.now, within=bench.now - make_post(minutes=-999).created_at
    )
    record = found["delivery_item", "x"]
    assert (record.observed, record.wrong) == (1, 1), "the prepared draft that was passed over, and no other"


async def test_who_opted_out_is_not_sent_what_a_model_wrote(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)
    (draft,) = model_drafts(bench)
    bench.hear(make_post(7, text="stop", minutes=1))
    with pytest.raises(Conflict, match="asked not to be answered by a bot"):
        store.write_now(drafts.approve, draft.id or 0, text=GOOD, revision=None, user_id=agent(store), now=bench.now)


@pytest.mark.parametrize(
    ("post", "triage"),
    [
        ({"is_private": True}, {}),
        ({"text": "I will see you in court, can I return a parcel?"}, {}),
        ({}, {"intent": "complaint"}),
        ({}, {"toxicity": "toxic"}),
        ({}, {"spam": "spam"}),
        ({"is_own": True}, {}),
        ({"addressed": False}, {}),
    ],
    ids=["private", "legal", "complaint", "abuse", "spam", "own", "not to us"],
)
async def test_it_is_not_asked_where_no_prepared_answer_may_be(
    sqlite_store: Store, chat: Chat, post: dict[str, Any], triage: dict[str, Any]
) -> None:
    bench = bench_with(sqlite_store, chat)
    bench.hear(make_post(1, **{"text": ASKED, **post}), triage=make_triage(1, **triage))
    await bench.decide()
    await bench.suggest()
    assert chat.asked == []


async def test_twice_is_once_and_what_an_edit_overtook_is_dropped(store: Store, chat: Chat) -> None:
    bench = bench_with(store, chat)
    await suggested(bench)
    (row,) = rows(store, SuggestionRow)
    (job,) = [each for each in rows(store, JobRow) if each.stage == Stage.SUGGEST]
    made = suggestions.Made(
        case_id=row.case_id, article_id=row.article_id, is_chosen=True, text=None, sentences=(), model="m"
    )
    for key in (job.key, f"{row.post_id}.7"):
        store.write_now(suggestions.save, key, made, job_id=job.id, now=bench.now)
    assert len(rows(store, SuggestionRow)) == 1
    assert [each.kind for each in rows(store, EventRow)].count("case.suggested") == 1


def test_no_function_that_writes_the_bot_s_own_replies_can_make_a_model_s() -> None:
    import inspect

    assert "Origin.MODEL" not in inspect.getsource(cases)
    assert "Origin.MODEL" not in inspect.getsource(replies)
