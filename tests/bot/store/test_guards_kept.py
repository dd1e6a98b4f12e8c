"""What guards count and keep: wishes for good, verdicts from what people did, brakes, and limits under many workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bot.store import drafts, feed, lately, people, posts, replies, teaching, verdicts, wishes
from bot.store.engine import Store
from bot.store.refusals import Conflict, Missing
from bot.store.replies import Errand, Stop
from bot.store.roles import Role
from bot.store.tables import CorrectionRow, EventRow, Origin, ReplyRow, ReplyState
from connectors.post import Post
from connectors.protocol import Page
from handoff.earned import Record
from handoff.hindsight import Past
from handoff.leaving import Objection
from handoff.policy import PolicySettings
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import NOON, make_post, make_triage

PAIR = ("delivery_item", "x")


def ingest(store: Store, *heard: Post) -> None:
    page = Page(posts=heard, cursor="c")
    store.write_now(posts.ingest, page, source="x", stream="mentions", now=NOON, cursor="c")


def opted_out(store: Store, handle: str = "ana") -> datetime | None:
    return store.read_now(wishes.find, "x", handle).opted_out_at


def person(store: Store, email: str = "a@b.example", role: Role = Role.AGENT) -> int:
    return store.write_now(people.add, email=email, name="A", role=role, now=NOON).id


# Wishes


def test_stop_is_kept_and_start_takes_it_back(store: Store) -> None:
    ingest(store, make_post(1, text="@us STOP"))
    assert opted_out(store) == NOON
    ingest(store, make_post(2, minutes=5, text="where is my parcel?"))
    assert opted_out(store) == NOON, "a question is no consent"
    ingest(store, make_post(3, minutes=6, text="@us start"))
    assert opted_out(store) is None
    kinds = store.read_now(
        lambda session: [row.kind for row in session.exec(select(EventRow).order_by(col(EventRow.id)))]
    )
    assert [kind for kind in kinds if kind.startswith("author.")] == ["author.opted_out", "author.opted_in"]


@pytest.mark.parametrize(
    "post",
    [
        make_post(1, text="stop", addressed=False),
        make_post(1, text="stop", is_own=True),
        make_post(1, text="stop losing my parcels"),
    ],
    ids=["not to us", "by us", "of something else"],
)
def test_what_is_no_wish_changes_nothing(store: Store, post: Post) -> None:
    ingest(store, post)
    assert opted_out(store) is None


def test_the_newest_word_counts_however_late_it_surfaces(store: Store) -> None:
    ingest(store, make_post(2, minutes=10, text="start"))
    ingest(store, make_post(1, minutes=5, text="stop"))
    assert opted_out(store) is None
    ingest(store, make_post(3, minutes=12, text="stop"), make_post(4, minutes=11, text="start"))
    assert opted_out(store) is not None


def test_an_edit_into_stop_counts_and_an_edit_out_of_it_does_not(store: Store) -> None:
    ingest(store, make_post(1, text="hello"))
    ingest(store, replace(make_post(1), text="stop", edited_at=NOON + timedelta(minutes=1)))
    assert opted_out(store) is not None
    ingest(store, replace(make_post(1), text="hello again", edited_at=NOON + timedelta(minutes=2)))
    assert opted_out(store) is not None


def test_reading_an_old_stop_again_undoes_no_start(store: Store) -> None:
    ingest(store, make_post(1, text="stop"), make_post(2, minutes=1, text="start"))
    ingest(store, make_post(1, text="stop"))
    assert opted_out(store) is None


def test_a_person_may_keep_a_wish_given_elsewhere_and_mute(store: Store) -> None:
    ingest(store, make_post(1, text="hello"))
    author = store.read_now(wishes.find, "x", "@ANA").author_id
    who = person(store)
    assert store.write_now(wishes.opt, author, out=True, user_id=who, now=NOON).opted_out_by == "A"
    assert store.write_now(wishes.mute, author, on=True, user_id=None, now=NOON).muted_at == NOON
    assert [each.handle for each in store.read_now(wishes.page, limit=9).items] == ["ana"]
    store.write_now(wishes.opt, author, out=False, user_id=who, now=NOON)
    assert store.write_now(wishes.mute, author, on=False, user_id=who, now=NOON).muted_at is None
    assert store.read_now(wishes.page, limit=9).items == []
    with pytest.raises(Missing, match="nobody called 'bo'"):
        store.read_now(wishes.find, "x", "bo")


def test_a_long_list_of_authors_comes_in_parts(store: Store) -> None:
    ingest(store, *(make_post(number, author=f"a{number}", text="stop") for number in range(7)))
    seen: list[str] = []
    cursor = None
    while True:
        part = store.read_now(wishes.page, limit=3, cursor=cursor)
        seen += [each.handle for each in part.items]
        cursor = part.next
        if cursor is None:
            break
    assert seen == [f"a{number}" for number in range(7)]


# Verdicts


def record(store: Store, now: datetime) -> Record:
    found = store.read_now(verdicts.records, [PAIR], now=now, within=timedelta(days=90))
    assert store.read_now(verdicts.everything, now=now, within=timedelta(days=90)) == (
        {PAIR: found[PAIR]} if found[PAIR] != Record() else {}
    )
    return found[PAIR]


async def drafted(store: Store, count: int) -> tuple[Bench, list[int]]:
    bench = Bench(store, mode="draft")
    bench.hear(*(make_post(number, author=f"a{number}", minutes=number) for number in range(1, count + 1)))
    await bench.decide()
    return bench, [row.id or 0 for row in bench.replies()]


async def test_verdicts_are_what_people_did(store: Store) -> None:
    bench, ids = await drafted(store, 6)
    who = person(store)
    assert record(store, bench.now) == Record()

    def approve(reply: int, text: str | None = None) -> None:
        store.write_now(drafts.approve, reply, text=text, revision=None, user_id=who, now=bench.now)

    approve(ids[0])
    assert record(store, bench.now) == Record(observed=1)
    approve(ids[1], text="In other words.")
    assert record(store, bench.now) == Record(observed=2, wrong=1)
    store.write_now(drafts.edit, ids[2], text="In yet others.", user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=2, wrong=1), "not said yet"
    approve(ids[2])
    store.write_now(drafts.discard, ids[3], user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=4, wrong=3)
    store.write_now(feed.correct, 5, head="sentiment", label="positive", user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=4, wrong=3), "another head's label chose no answer"
    store.write_now(feed.correct, 5, head="intent", label="complaint", user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=5, wrong=4)
    assert record(store, bench.now + timedelta(days=91)) == Record(), "verdicts grow old"


async def test_a_correction_that_a_lead_rejected_is_no_verdict(store: Store) -> None:
    bench, ids = await drafted(store, 1)
    who, lead = person(store), person(store, "l@b.example", Role.LEAD)
    store.write_now(drafts.approve, ids[0], text=None, revision=None, user_id=who, now=bench.now)
    store.write_now(feed.correct, 1, head="intent", label="complaint", user_id=who, now=bench.now)
    assert record(store, bench.now).wrong == 1
    (correction,) = store.read_now(lambda session: list(session.exec(select(CorrectionRow.id))))
    store.write_now(teaching.review, correction or 0, approve=False, user_id=lead, now=bench.now)
    assert record(store, bench.now) == Record(observed=1)


async def test_an_edit_of_the_post_that_withdraws_a_draft_is_no_verdict(store: Store) -> None:
    bench, _ = await drafted(store, 1)
    bench.hear(replace(make_post(1, author="a1", minutes=1), text="never mind"))
    assert record(store, bench.now) == Record()


def own_words(store: Store, number: int, who: int, now: datetime, *, text: str, send: bool = True) -> int:
    """Answer post *number* in its case, as a person who sends words of their own."""
    case_id = store.read_now(feed.one, number).case_id or 0
    asked: dict[str, Any] = {"text": text, "nonce": f"{number}.{text}.{send}", "send": send, "revision": None}
    return store.write_now(drafts.write, case_id, post_id=number, user_id=who, now=now, **asked).id


async def test_a_draft_that_a_person_passed_over_was_wrong(store: Store) -> None:
    bench, ids = await drafted(store, 2)
    who = person(store)
    own_words(store, 1, who, bench.now, text="Ours burnt down.", send=False)
    assert record(store, bench.now) == Record(), "words that nobody sent pass nothing over"
    own_words(store, 1, who, bench.now, text="Ours burnt down.")
    assert record(store, bench.now) == Record(observed=1, wrong=1)
    own_words(store, 1, who, bench.now, text="And the other one too.")
    assert record(store, bench.now) == Record(observed=1, wrong=1), "one draft is one verdict"
    store.write_now(drafts.discard, ids[0], user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=1, wrong=1), "passed over, then discarded, is wrong once"
    assert record(store, bench.now + timedelta(days=91)) == Record()


async def test_a_draft_whose_very_words_a_person_wrote_was_right(store: Store) -> None:
    bench, ids = await drafted(store, 2)
    who = person(store)
    (first, second) = [row.text for row in bench.replies()]
    own_words(store, 1, who, bench.now, text=f"{first}\r\n")
    assert record(store, bench.now) == Record(observed=1)
    store.write_now(drafts.discard, ids[0], user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=1), "a case is resolved only without drafts; its words were said"
    store.write_now(drafts.edit, ids[1], text="In other words.", user_id=who, now=bench.now)
    own_words(store, 2, who, bench.now, text=second)
    assert record(store, bench.now) == Record(observed=2), "what was prepared counts, not what a person tried"


async def test_an_edited_draft_counts_once_whatever_else_is_said(store: Store) -> None:
    bench, ids = await drafted(store, 2)
    who = person(store)
    store.write_now(drafts.edit, ids[0], text="In other words.", user_id=who, now=bench.now)
    own_words(store, 1, who, bench.now, text="In other words.")
    assert record(store, bench.now) == Record(observed=1, wrong=1), "they are not the words that were prepared"
    store.write_now(drafts.approve, ids[0], text=None, revision=None, user_id=who, now=bench.now)
    assert record(store, bench.now) == Record(observed=1, wrong=1)
    own_words(store, 2, who, bench.now, text="A word before.")
    store.write_now(drafts.approve, ids[1], text=None, revision=None, user_id=who, now=bench.now)
    own_words(store, 2, who, bench.now, text="A word after.")
    assert record(store, bench.now) == Record(observed=2, wrong=1), "whoever approves a draft has not passed it over"


async def test_words_sent_before_there_was_a_draft_or_after_it_lapsed_are_no_verdict(store: Store) -> None:
    bench, ids = await drafted(store, 1)
    who = person(store)
    bench.adopt(mode="draft", earned=False, guards={"case_open": False})
    bench.wait(minutes=1)
    bench.hear(replace(make_post(1, author="a1", minutes=1), text="I mean my letter"))
    bench.wait(minutes=1)
    own_words(store, 1, who, bench.now, text="Which letter?")
    assert record(store, bench.now) == Record(), "the draft was gone before"
    bench.wait(minutes=1)
    bench.hear(make_post(2, author="a1", root_id="1", parent_id="1", minutes=4))
    await bench.decide()
    late = bench.replies()[-1]
    assert (late.origin, late.state, late.case_id) == (Origin.DRAFT, ReplyState.DRAFTED, bench.replies()[0].case_id)
    assert record(store, bench.now) == Record(), "the next draft was not there yet"
    bench.wait(minutes=1)
    own_words(store, 2, who, bench.now, text="That one burnt down.")
    assert record(store, bench.now) == Record(observed=1, wrong=1), "it is there now"
    assert ids[0] != late.id


async def test_a_verdict_stays_when_the_draft_lapses_later(store: Store) -> None:
    bench, _ = await drafted(store, 1)
    who = person(store)
    own_words(store, 1, who, bench.now, text="Ours burnt down.")
    bench.wait(minutes=1)
    store.write_now(posts.mark_deleted, [1], now=bench.now)
    assert bench.replies()[0].state == ReplyState.CANCELLED
    assert record(store, bench.now) == Record(observed=1, wrong=1)


async def test_a_draft_that_nobody_answered_beside_is_no_verdict(store: Store) -> None:
    """Left to lie until its post is gone, in a case closed without a word, or beside somebody else's case."""
    bench, _ = await drafted(store, 3)
    who = person(store)
    store.write_now(posts.mark_deleted, [1], now=bench.now)
    own_words(store, 2, who, bench.now, text="Ours burnt down.")
    assert record(store, bench.now) == Record(observed=1, wrong=1), "only the draft of the case that was answered"


async def test_an_answer_to_another_post_of_the_case_passes_its_drafts_over(store: Store) -> None:
    bench, ids = await drafted(store, 1)
    who = person(store)
    bench.hear(make_post(2, author="a1", root_id="1", parent_id="1", minutes=5))
    bench.wait(minutes=6)
    await bench.decide()
    assert [row.id for row in bench.replies()] == ids, "people work on the conversation already"
    case_id = store.read_now(feed.one, 1).case_id
    assert store.read_now(feed.one, 2).case_id == case_id
    own_words(store, 2, who, bench.now, text="It burnt down.")
    assert record(store, bench.now) == Record(observed=1, wrong=1)


async def test_verdicts_of_passed_over_drafts_were_known_from_then_on(store: Store) -> None:
    """What a rewind counts as of any moment is what ``records`` counted at that moment."""
    bench, ids = await drafted(store, 5)
    who = person(store)
    text = bench.replies()[1].text
    then: list[tuple[datetime, Record]] = []

    def note() -> None:
        then.append((bench.now, record(store, bench.now)))
        bench.wait(minutes=1)

    note()
    own_words(store, 1, who, bench.now, text="Ours burnt down.")
    note()
    own_words(store, 2, who, bench.now, text=text)
    note()
    store.write_now(drafts.discard, ids[1], user_id=who, now=bench.now)
    note()
    store.write_now(drafts.approve, ids[2], text="In other words.", revision=None, user_id=who, now=bench.now)
    own_words(store, 3, who, bench.now, text="And more.")
    note()
    store.write_now(drafts.discard, ids[3], user_id=who, now=bench.now)
    note()
    store.write_now(feed.correct, 5, head="intent", label="complaint", user_id=who, now=bench.now)
    note()
    own_words(store, 5, who, bench.now, text="We are sorry.")
    note()
    assert [(each.observed, each.wrong) for _, each in then] == [
        (0, 0),
        (1, 1),
        (2, 1),
        (2, 1),
        (3, 2),
        (4, 3),
        (5, 4),
        (5, 4),
    ]
    judged = store.read_now(verdicts.judgements, since=NOON - timedelta(days=90))[PAIR]
    past = Past(judged, within=timedelta(days=90), most=verdicts.MOST)
    assert [past.record(at) for at, _ in then] == [each for _, each in then]


async def test_what_the_bot_said_alone_is_not_passed_over(store: Store) -> None:
    """Its reply belongs to a case where people had to settle whether it was said; they may write more there."""
    bench = Bench(store)
    bench.hear(make_post(1))
    await bench.decide()
    await bench.deliver()
    bench.adopt(mode="draft", earned=False)
    bench.hear(make_post(2, minutes=5, root_id="1", parent_id="1"), triage=make_triage(sentiment="positive"))
    await bench.decide()

    def join(session: Session) -> None:
        said, drafted = session.exec(select(ReplyRow).order_by(col(ReplyRow.id))).all()
        assert (said.origin, said.state, drafted.origin) == (Origin.BOT, ReplyState.SENT, Origin.DRAFT)
        said.case_id = drafted.case_id
        session.add(said)

    store.write_now(join)
    bench.wait(hours=1)
    own_words(store, 2, person(store), bench.now, text="Anything else?")
    assert record(store, bench.now) == Record(observed=1, wrong=1, pending=1)
    bench.wait(hours=48)
    assert record(store, bench.now) == Record(observed=2, wrong=1)


async def test_an_automatic_reply_is_right_once_nobody_complained_for_two_days(store: Store) -> None:
    bench = Bench(store)
    bench.hear(make_post(1), make_post(2, author="bo"), make_post(3, author="cy"))
    await bench.decide()
    await bench.deliver()
    assert record(store, bench.now) == Record(pending=3)
    bench.wait(hours=1)
    later: dict[str, Any] = {"parent_id": "r1", "minutes": 60}
    bench.hear(make_post(11, root_id="1", **later), triage=make_triage(intent="complaint", sentiment="neutral"))
    bench.hear(make_post(12, author="bo", root_id="2", **later), triage=make_triage(sentiment="positive"))
    bench.hear(make_post(13, author="cy", root_id="13", minutes=60), triage=make_triage(intent="complaint"))
    assert record(store, bench.now) == Record(observed=1, wrong=1, pending=2), "thanks and other matters say nothing"
    bench.wait(hours=48)
    assert record(store, bench.now) == Record(observed=3, wrong=1)


async def test_an_intent_starts_in_draft_earns_its_way_and_loses_it_again(store: Store) -> None:
    bench = Bench(store, policy={"earned": True, "error_limit": 0.3, "error_observations": 10})
    who = person(store)
    number = 0

    async def ask() -> ReplyRow:
        nonlocal number
        number += 1
        bench.hear(make_post(number, author=f"a{number}", minutes=number))
        await bench.decide()
        return bench.replies()[-1]

    for _ in range(10):
        row = await ask()
        assert row.origin == Origin.DRAFT
        store.write_now(drafts.approve, row.id or 0, text=None, revision=None, user_id=who, now=bench.now)
    row = await ask()
    assert (row.origin, row.state) == (Origin.BOT, ReplyState.INTENDED), "0 of 10: at most 27.8 %"
    for post_id in (1, 2):
        store.write_now(feed.correct, post_id, head="intent", label="complaint", user_id=who, now=bench.now)
    await bench.deliver()
    waiting = bench.replies()[-1]
    assert (waiting.state, waiting.reason) == (
        ReplyState.CANCELLED,
        "delivery_item on x: 2 of 10 wrong, at most 51.0 %; 30 % are allowed",
    ), "what was on its way is stopped as well"
    assert (await ask()).origin == Origin.DRAFT


# Brakes and limits


async def test_a_burst_pulls_the_brake_and_only_a_person_releases_it(store: Store) -> None:
    bench = Bench(store, policy={"caps": {"brake_replies": 3, "brake_minutes": 10}})

    async def ask(first: int, last: int) -> list[str]:
        bench.hear(*(make_post(number, author=f"a{number}", minutes=number) for number in range(first, last)))
        await bench.decide()
        await bench.deliver()
        return [row.state for row in bench.replies()[-(last - first) :]]

    assert await ask(1, 6) == ["sent", "sent", "sent", "cancelled", "cancelled"]
    (brake,) = store.read_now(lately.brakes)
    assert (brake.slug, brake.said, brake.released_at) == ("parcel", 3, None)
    assert bench.cases()[0].reasons == [
        "our reply was not said: parcel was said in a burst and waits until a person releases it"
    ]
    bench.wait(hours=5)
    assert await ask(6, 7) == ["drafted"], "time alone releases nothing"
    store.write_now(lately.release, "parcel", user_id=person(store), now=bench.now)
    bench.wait(seconds=1)
    assert await ask(7, 9) == ["sent", "sent"], "what was said before counts no more"
    with pytest.raises(Conflict, match="does not wait for anybody"):
        store.write_now(lately.release, "parcel", user_id=None, now=bench.now)
    assert await ask(9, 11) == ["sent", "cancelled"]


async def test_slow_replies_pull_no_brake(store: Store) -> None:
    bench = Bench(store, policy={"caps": {"brake_replies": 3, "brake_minutes": 10}})
    for number in range(1, 7):
        bench.hear(make_post(number, author=f"a{number}"))
        await bench.decide()
        await bench.deliver()
        bench.wait(minutes=6)
    assert [row.state for row in bench.replies()] == ["sent"] * 6


async def test_a_cap_holds_within_a_batch_and_when_replies_leave(store: Store) -> None:
    bench = Bench(store, policy={"caps": {"total_per_hour": 4}})
    bench.hear(*(make_post(number, author=f"a{number}", minutes=number) for number in range(1, 8)))
    await bench.decide()
    assert [row.state for row in bench.replies()] == ["intended"] * 4 + ["drafted"] * 3
    await bench.deliver()
    assert len(bench.speaker.ledger) == 4
    bench.wait(minutes=61)
    bench.hear(make_post(9, author="a9", minutes=61))
    await bench.decide()
    await bench.deliver()
    assert len(bench.speaker.ledger) == 5, "an hour later there is room again"


def _waiting(session: Session, number: int, author: int, root: str) -> int:
    """Write a reply of the bot's that waits, as hand-offs on several workers at once may have left them."""
    row = ReplyRow(
        key=f"x:{number}:bot:0",
        post_id=number,
        source="x",
        channel="x",
        state=ReplyState.INTENDED,
        origin=Origin.BOT,
        text="It is on its way.",
        intent="delivery_item",
        target_revision="r",
        created_at=NOON,
        expires_at=NOON + timedelta(hours=6),
    )
    session.add(row)
    session.flush()
    return row.id or 0


@pytest.mark.parametrize("round_", range(3))
def test_many_workers_at_once_keep_the_budget(store: Store, round_: int) -> None:
    """Sixteen replies to one author in one conversation begin at the same moment; two may leave."""
    ingest(store, *(make_post(number, root_id="1", minutes=number) for number in range(1, 17)))
    ids = [store.write_now(_waiting, number, 1, "1") for number in range(1, 17)]
    errands = [store.read_now(replies.errand, reply) for reply in ids]
    policy = PolicySettings().policy()

    def judge(standing: replies.Standing) -> Objection | None:
        said = standing.known.auto_replies_24h
        return Objection(guard="budget_spent", reason=f"{said} said") if said >= 2 else None

    def begin(errand: Errand | None) -> Any:
        assert errand is not None
        return store.write_now(
            replies.begin,
            errand,
            now=NOON,
            job_id=0,
            judge=judge,
            aftermath=lambda session, reason: None,
            policy=policy,
        )

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(begin, errands))
    assert sum(isinstance(each, Errand) for each in done) == 2
    assert sum(isinstance(each, Stop) for each in done) == 14
