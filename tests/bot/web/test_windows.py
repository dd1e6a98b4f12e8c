"""The pages: what strangers wrote is text, lists are whole, acts happen once, nobody works past another."""

from __future__ import annotations

import asyncio
import html
import re
from typing import Any

import pytest
from sqlmodel import Session, select

from bot.store import desk, events
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import (
    CaseRow,
    CorrectionRow,
    EventRow,
    JobRow,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
    Stage,
    TriageRow,
)
from tests.bot.web.conftest import Visit
from tests.bot.web.world import (
    SCRIPT,
    Clock,
    Day,
    add_author,
    add_case,
    add_draft,
    add_post,
    add_source,
    add_triage,
    add_user,
)

NONCE = "0123456789abcdef"


def rows(store: Store, table: Any, **where: Any) -> list[Any]:
    with Session(store.engine) as session:
        return list(session.exec(select(table).filter_by(**where)))


def ids_in(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="post-(\d+)"', page)]


async def test_what_a_stranger_wrote_is_text_on_every_page(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    hostile_case = rows(sqlite_store, CaseRow, post_id=day.hostile)[0].id
    for path in ("/", "/cases", f"/cases/{day.case}", f"/cases/{hostile_case}"):
        page = await (await agent.get(path)).text()
        assert SCRIPT not in page
        assert "<img" not in page
        assert 'href="javascript:' not in page
        assert "\u202e" not in page
        assert html.escape(SCRIPT) in page


async def test_older_posts_follow_without_gap_or_repetition_while_new_ones_come(
    visit: Visit, sqlite_store: Store
) -> None:
    def fill(session: Session) -> list[int]:
        author = add_author(session)
        # Three share each minute: the order must hold within the same instant.
        return [add_post(session, number, author_id=author, minutes=number // 3) for number in range(1, 131)]

    made = sqlite_store.write_now(fill)
    author = sqlite_store.write_now(add_author, "busy")
    viewer = await visit(Role.VIEWER)
    path: str | None = "/"
    seen: list[int] = []
    number = 1000
    while path:
        page = await (await viewer.get(path)).text()
        seen += ids_in(page)
        number += 1
        sqlite_store.write_now(add_post, number, author_id=author, minutes=number)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = html.unescape(older[1]) if older else None
    assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("channel=x", {1, 2, 3, 4}),
        ("channel=reddit", {5}),
        ("intent=praise", {2}),
        ("sentiment=positive&urgency=normal", {2}),
        ("urgency=high", {3}),
        ("outcome=escalated", {1}),
        ("language=de", {4}),
        ("language=fr", {5}),
        ("text=100%25", {3}),
        ("text=a_b", {4}),
        ("text=PARCEL", {1}),
        ("text=ana", {1, 2, 3, 4}),
        ("source=second", {5}),
        ("text=%27+OR+1%3D1+--", set()),
    ],
)
async def test_filters_show_what_they_say(query: str, wanted: set[int], visit: Visit, sqlite_store: Store) -> None:
    def fill(session: Session) -> dict[int, int]:
        add_source(session)
        ana, bo = add_author(session), add_author(session, "bo", channel="reddit")
        made = {
            1: add_post(session, 1, author_id=ana, text="my parcel?", outcome=Outcome.ESCALATED),
            2: add_post(session, 2, author_id=ana, text="thank you"),
            3: add_post(session, 3, author_id=ana, text="100% broken"),
            4: add_post(session, 4, author_id=ana, text="a_b axb"),
            5: add_post(session, 5, author_id=bo, text="axb", channel="reddit", source="second", language="fr"),
        }
        add_triage(session, made[1])
        add_triage(session, made[2], intent="praise", sentiment="positive")
        add_triage(session, made[3], urgency="high")
        add_triage(session, made[4], language="de")
        return made

    made = sqlite_store.write_now(fill)
    page = await (await (await visit(Role.VIEWER)).get(f"/?{query}")).text()
    assert set(ids_in(page)) == {made[each] for each in wanted}


@pytest.mark.parametrize(
    "query", ["intent=nonsense", "urgency=HIGH", "cursor=zzz", "cursor=%00", "text=%00", "outcome=x"]
)
async def test_a_filter_that_means_nothing_is_refused(query: str, visit: Visit) -> None:
    assert (await (await visit(Role.VIEWER)).get(f"/?{query}")).status in (400, 422)


async def test_a_wrong_label_is_corrected_and_remembered(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    for _ in range(2):
        answer = await agent.post(f"/posts/{day.post}/corrections", label="intent:praise", next="/?urgency=normal")
        assert answer.headers["Location"] == f"/?urgency=normal#post-{day.post}"
    triage = rows(sqlite_store, TriageRow, post_id=day.post)[0]
    assert (triage.intent, triage.intent_confidence, triage.sentiment) == ("praise", 1.0, "negative")
    [correction] = rows(sqlite_store, CorrectionRow)
    assert (correction.head, correction.old, correction.new, correction.model) == (
        "intent",
        "delivery_item",
        "praise",
        "test@1",
    )
    assert agent.user is not None
    assert correction.user_id == agent.user.id
    [told] = rows(sqlite_store, EventRow, kind="triage.corrected")
    assert told.post_id == day.post


@pytest.mark.parametrize("label", ["intent:nonsense", "embedding:x", "language:de", "intent", "", "model:x:y"])
async def test_a_label_that_does_not_exist_is_refused(label: str, visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    assert (await agent.post(f"/posts/{day.post}/corrections", label=label)).status == 422
    assert rows(sqlite_store, CorrectionRow) == []


async def test_a_post_nobody_has_triaged_cannot_be_corrected_yet(visit: Visit, sqlite_store: Store) -> None:
    post = sqlite_store.write_now(lambda session: add_post(session, 1, author_id=add_author(session)))
    agent = await visit(Role.AGENT)
    assert (await agent.post(f"/posts/{post}/corrections", label="intent:praise")).status == 409


async def test_approving_twice_says_it_once(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    answers = await asyncio.gather(
        *(agent.post(f"/replies/{day.draft}", do="approve", text="Better words.") for _ in range(4))
    )
    assert {answer.status for answer in answers} == {303}
    [job] = rows(sqlite_store, JobRow)
    assert (job.stage, job.key, job.priority) == (Stage.DELIVER, str(day.draft), 1)
    reply = rows(sqlite_store, ReplyRow, id=day.draft)[0]
    assert (reply.state, reply.text) == (ReplyState.INTENDED, "Better words.")
    assert agent.user is not None
    assert reply.approved_by == agent.user.id
    assert len(rows(sqlite_store, EventRow, kind="reply.approved")) == 1


@pytest.mark.parametrize("state", [each for each in ReplyState if each is not ReplyState.DRAFTED])
async def test_only_a_draft_can_be_changed(state: ReplyState, visit: Visit, day: Day, sqlite_store: Store) -> None:
    reply = sqlite_store.write_now(add_draft, day.post, day.case, state=state)
    agent = await visit(Role.AGENT)
    for do in ("save", "discard", "approve"):
        assert (await agent.post(f"/replies/{reply}", do=do, text="Other words.")).status == 409
    found = rows(sqlite_store, ReplyRow, id=reply)[0]
    assert (found.state, found.text) == (state, "Sorry for the wait! Send us the number by DM.")
    assert rows(sqlite_store, JobRow) == []


async def test_a_draft_for_a_post_that_was_edited_meanwhile_is_not_approved_unseen(
    visit: Visit, day: Day, sqlite_store: Store
) -> None:
    agent = await visit(Role.AGENT)
    before = rows(sqlite_store, PostRow, id=day.post)[0].revision

    def change(session: Session) -> None:
        post = session.get_one(PostRow, day.post)
        post.text, post.revision = "it has come, never mind", "edited"

    sqlite_store.write_now(change)
    answer = await agent.post(f"/replies/{day.draft}", do="approve", text="Words.", revision=before)
    assert answer.status == 409
    assert rows(sqlite_store, JobRow) == []
    page = await (await agent.get(f"/cases/{day.case}")).text()
    assert "The post was edited after this draft was made" in page
    assert "As it was when the case opened" in page
    assert (await agent.post(f"/replies/{day.draft}", do="approve", text="Words.", revision="edited")).status == 303
    assert rows(sqlite_store, ReplyRow, id=day.draft)[0].target_revision == "edited"


async def test_nothing_is_said_under_a_deleted_post(visit: Visit, day: Day, sqlite_store: Store, clock: Clock) -> None:
    agent = await visit(Role.AGENT)

    def delete(session: Session) -> None:
        session.get_one(PostRow, day.post).deleted_at = clock()

    sqlite_store.write_now(delete)
    assert (await agent.post(f"/replies/{day.draft}", do="approve", text="Words.")).status == 409
    page = await (await agent.get("/")).text()
    assert "where is my parcel?" not in page


async def test_an_agents_own_reply_sent_twice_is_one_reply(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)
    fields = {"nonce": NONCE, "target": f"{day.post}:", "text": "  We look into it.\r\n", "do": "send"}
    answers = await asyncio.gather(*(agent.post(f"/cases/{day.case}/replies", **fields) for _ in range(3)))
    assert {answer.status for answer in answers} == {303}
    [reply] = rows(sqlite_store, ReplyRow, origin="agent")
    assert (reply.key, reply.text, reply.state) == (f"x:2:agent:{NONCE}", "We look into it.", ReplyState.INTENDED)
    assert [job.key for job in rows(sqlite_store, JobRow)] == [str(reply.id)]
    case = rows(sqlite_store, CaseRow, id=day.case)[0]
    assert agent.user is not None
    assert (case.state, case.assignee_id) == ("claimed", agent.user.id)


async def test_what_is_too_long_for_the_network_is_not_sent_and_not_lost(
    visit: Visit, day: Day, sqlite_store: Store
) -> None:
    agent = await visit(Role.AGENT)
    answer = await agent.post(
        f"/cases/{day.case}/replies", nonce=NONCE, target=f"{day.post}:", text="z" * 300, do="send"
    )
    assert answer.status == 422
    page = await answer.text()
    assert "too long for the network by 20: 300 of 280" in page
    assert "z" * 300 in page
    edited = await agent.post(f"/replies/{day.draft}", do="approve", text="y" * 281)
    assert edited.status == 422
    assert "y" * 281 in await edited.text()
    assert rows(sqlite_store, JobRow) == []


async def test_who_works_on_a_case_is_shown_and_not_worked_past(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    agent = await visit(Role.AGENT)
    lead = add_user(sqlite_store, Role.LEAD)
    sqlite_store.write_now(desk.claim, day.case, user_id=lead.id, take_over=False, now=clock())
    assert "Some lead" in await (await agent.get(f"/cases/{day.case}")).text()
    refused = [
        await agent.post(f"/cases/{day.case}/claim"),
        await agent.post(f"/cases/{day.case}/release"),
        await agent.post(f"/cases/{day.case}/resolve"),
        await agent.post(f"/replies/{day.draft}", do="approve", text="Words."),
        await agent.post(f"/cases/{day.case}/replies", nonce=NONCE, target=f"{day.post}:", text="Hi", do="send"),
    ]
    assert {answer.status for answer in refused} == {409}
    assert rows(sqlite_store, JobRow) == []
    assert (await agent.post(f"/cases/{day.case}/claim", take_over="1")).status == 303
    assert (await agent.post(f"/replies/{day.draft}", do="approve", text="Words.")).status == 303


async def test_words_that_somebody_else_made_impossible_stay_on_the_page(
    visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    agent = await visit(Role.AGENT)
    lead = add_user(sqlite_store, Role.LEAD)
    case = f"/cases/{day.case}"
    reply = {"nonce": NONCE, "target": f"{day.post}:", "text": "We look into <it>.", "do": "send"}
    sqlite_store.write_now(desk.claim, day.case, user_id=lead.id, take_over=False, now=clock())
    for path, fields, status in (
        (f"{case}/replies", reply, 409),
        (f"{case}/replies", {**reply, "text": "We look into <it>." + "z" * 300}, 422),
        (f"/replies/{day.draft}", {"do": "approve", "text": "We look into <it>."}, 409),
        (f"/replies/{day.draft}", {"do": "save", "text": "We look into <it>."}, 409),
    ):
        answer = await agent.post(path, **fields)
        page = await answer.text()
        assert answer.status == status
        assert "Not done: " in page
        assert "We look into &lt;it&gt;." in page
    assert rows(sqlite_store, JobRow) == []
    taken = await agent.post(f"{case}/claim", take_over="1", text="We look into <it>.")
    assert taken.status == 200
    assert "We look into &lt;it&gt;." in await taken.text()
    assert (await agent.post(f"{case}/replies", **reply)).status == 303
    assert (await agent.post(f"/replies/{day.draft}", do="discard")).status == 303
    gone = await agent.post(f"/replies/{day.draft}", do="approve", text="Words for a draft that is no more.")
    assert gone.status == 409
    assert "Words for a draft that is no more." in await gone.text()
    assert (await agent.post(f"{case}/resolve")).status == 303
    late = await agent.post(f"{case}/replies", **{**reply, "nonce": NONCE[::-1], "text": "Too late."})
    assert late.status == 409
    assert "Too late." in await late.text()
    note = await agent.post(f"{case}/notes", text="n" * 10_001)
    assert note.status == 422
    assert "n" * 10_001 in await note.text()


async def test_a_case_goes_its_way(visit: Visit, day: Day, sqlite_store: Store) -> None:
    agent = await visit(Role.AGENT)

    def state() -> str:
        return str(rows(sqlite_store, CaseRow, id=day.case)[0].state)

    for act, after in (("claim", "claimed"), ("release", "open"), ("claim", "claimed")):
        assert (await agent.post(f"/cases/{day.case}/{act}")).status == 303
        assert state() == after
    assert (await agent.post(f"/cases/{day.case}/notes", text="Called the depot.")).status == 303
    assert (await agent.post(f"/cases/{day.case}/notes", text="  ")).status == 422
    assert (await agent.post(f"/cases/{day.case}/resolve")).status == 409  # the draft still waits
    assert (await agent.post(f"/replies/{day.draft}", do="discard")).status == 303
    assert (await agent.post(f"/cases/{day.case}/resolve")).status == 303
    assert state() == "resolved"
    assert f"/cases/{day.case}" not in await (await agent.get("/cases")).text()
    assert f"/cases/{day.case}" in await (await agent.get("/cases?state=resolved")).text()
    assert (await agent.post(f"/cases/{day.case}/claim")).status == 409
    assert (await agent.post(f"/cases/{day.case}/reopen")).status == 303
    assert state() == "open"
    kinds = [each.kind for each in sqlite_store.read_now(events.of_case, day.case)]
    assert kinds == [
        "case.opened",
        "case.claimed",
        "case.released",
        "case.claimed",
        "case.noted",
        "reply.discarded",
        "case.resolved",
        "case.reopened",
    ]


@pytest.mark.parametrize(("said", "after", "jobs"), [("yes", ReplyState.SENT, 0), ("no", ReplyState.INTENDED, 1)])
async def test_a_person_settles_what_the_network_cannot_tell(
    said: str, after: ReplyState, jobs: int, visit: Visit, day: Day, sqlite_store: Store, clock: Clock
) -> None:
    def doubt(session: Session) -> int:
        reply = add_draft(session, day.post, day.case, state=ReplyState.PERSON, attempts=2)
        session.add(
            JobRow(stage=Stage.DELIVER, key=str(reply), due_at=clock(), created_at=clock(), done_at=clock(), attempts=2)
        )
        return reply

    reply = sqlite_store.write_now(doubt)
    agent = await visit(Role.AGENT)
    page = await (await agent.get(f"/cases/{day.case}")).text()
    assert "It was said" in page
    assert "It was not said, say it again" in page
    assert (await agent.post(f"/replies/{reply}/settle", was_said=said)).status == 303
    assert rows(sqlite_store, ReplyRow, id=reply)[0].state == after
    assert len([job for job in rows(sqlite_store, JobRow) if job.done_at is None]) == jobs
    assert (await agent.post(f"/replies/{reply}/settle", was_said=said)).status == 409
    if said == "yes":
        assert rows(sqlite_store, CaseRow, id=day.case)[0].state == "waiting"
        assert rows(sqlite_store, PostRow, id=day.post)[0].outcome == Outcome.ANSWERED


async def test_cases_are_listed_by_what_is_due_first(visit: Visit, sqlite_store: Store) -> None:
    def fill(session: Session) -> list[int]:
        author = add_author(session)
        posts = [add_post(session, number, author_id=author, minutes=-number) for number in range(60)]
        return [add_case(session, post, queue="care" if post % 2 else "tech") for post in posts]

    made = sqlite_store.write_now(fill)
    viewer = await visit(Role.VIEWER)
    first = await (await viewer.get("/cases")).text()
    more = re.search(r'rel="next" href="([^"]+)"', first)
    assert more is not None
    rest = await (await viewer.get(html.unescape(more[1]))).text()
    listed = [int(found) for found in re.findall(r'href="/cases/(\d+)"', first + rest)]
    assert listed == made[::-1]
    care = await (await viewer.get("/cases?queue=care")).text()
    assert len(re.findall(r'href="/cases/\d+"', care)) == 30


async def test_a_context_of_any_shape_is_shown_as_far_as_it_can_be_read(visit: Visit, sqlite_store: Store) -> None:
    odd: dict[str, Any] = {
        "post": [1],
        "thread": [None, 7, {"author": 3, "text": SCRIPT, "at": "yesterday", "url": "javascript:alert(1)"}],
        "history": {"a": 1},
        "answers": [{"confidence": "high", "title": "T"}, {"confidence": 2}],
    }
    case = sqlite_store.write_now(
        lambda session: add_case(session, add_post(session, 1, author_id=add_author(session)), context=odd)
    )
    page = await (await (await visit(Role.VIEWER)).get(f"/cases/{case}")).text()
    assert html.escape(SCRIPT) in page
    assert "javascript:" not in page


async def test_a_viewer_sees_no_buttons(visit: Visit, day: Day) -> None:
    viewer = await visit(Role.VIEWER)
    for path in ("/", f"/cases/{day.case}"):
        page = await (await viewer.get(path)).text()
        assert "formaction" not in page
        assert re.findall(r"<button[^>]*>([^<]*)", page.partition("<main")[2]) in ([], ["Filter", ""])
