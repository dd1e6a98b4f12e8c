"""An incident that people open before it is measured, and two that they make one: nobody is answered twice."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.stages.situation import late
from bot.store import campaigns, cases, desk, foreseen, gathering, incident_steps, incidents, merging, opening, posts
from bot.store.engine import Store
from bot.store.incidents import IncidentView
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.tables import (
    EventRow,
    IncidentReplyRow,
    IncidentRow,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
)
from handoff.incident import Part
from tests.bot.factories import make_post, make_triage
from tests.bot.stages.test_incidents import OUTAGE, OVER, WIDE, Scene, unresolved

PARCELS = "intent:delivery_item"
NETWORK = "intent:service_disruption"
DOWN = make_triage(intent="service_disruption")


class Hands(Scene):
    """A scene in which people open incidents and make one of two."""

    def open(self, topic: str = PARCELS, **how: Any) -> IncidentView:
        settings = {"why": "the carrier called", "who": "L", "user_id": self.person, "now": self.now, **how}
        return self.store.write_now(foreseen.open_one, topic, policy=self.incidents._policy, **settings)

    def merge(self, number: int, into: int) -> IncidentView:
        return self.store.write_now(merging.merge, number, into=into, who="L", user_id=self.person, now=self.now)

    def say(self, number: int, slug: str = "outage", part: Part = Part.ANSWER, *, pace: int = 600) -> None:
        by: dict[str, Any] = {"user_id": self.person, "now": self.now}
        self.store.write_now(incident_steps.choose, number, part=part, article=slug, **by)
        self.store.write_now(campaigns.start, number, part=part, pace=pace, who="L", **by)

    def stop(self, number: int) -> None:
        self.store.write_now(campaigns.pause, number, user_id=self.person, now=self.now)

    def close(self, number: int) -> None:
        self.store.write_now(campaigns.close, number, who="L", user_id=self.person, now=self.now)

    async def write(self, *authors: str, about: str = PARCELS) -> None:
        """Let each of *authors* write once, now."""
        triage = DOWN if about == NETWORK else None
        for author in authors:
            await self.storm(1, prefix=author, triage=triage)

    async def answer(self, number: int) -> None:
        """Say the answer to everybody who is in the incident, and pause."""
        self.say(number)
        await self.run(minutes=2)
        self.stop(number)

    async def look(self) -> None:
        await self.incidents.look()

    def said(self) -> Counter[tuple[str, str]]:
        """Count what each author got; a handle has the number of its post behind it."""
        return Counter((reply.target.author.handle, reply.text) for reply in self.speaker.ledger)

    def heard(self, text: str) -> set[str]:
        return {handle.rstrip("0123456789") for handle, said in self.said() if said == text}


async def make_hands(store: Store, **policy: Any) -> Hands:
    scene = Hands(store, mode="draft", policy={**WIDE, "incidents": {"enabled": False}, **policy})
    scene.begin()
    await scene.decide()
    return scene


def rows(session: Session) -> list[IncidentRow]:
    return list(session.exec(select(IncidentRow).order_by(col(IncidentRow.id))))


def kinds(session: Session) -> list[tuple[str, Any]]:
    query = select(EventRow.kind, EventRow.facts).where(col(EventRow.kind).startswith("incident."))
    return list(session.exec(query.order_by(col(EventRow.id))))


async def test_opened_before_anybody_wrote_it_gathers_from_then_on_and_its_case_comes_with_the_first_post(
    store: Store,
) -> None:
    scene = await make_hands(store)
    await scene.write("before")
    view = scene.open(name="Carrier strike")
    assert (view.told, view.topics, view.opened_who, view.why) == (
        "Carrier strike",
        ["delivery item"],
        "L",
        "the carrier called",
    )
    await scene.look()
    assert (scene.view().state, scene.view().posts, scene.view().case_id) == ("open", 0, None)
    assert sum(await scene.run(minutes=1)) == 0, "nothing is said before a person chose and started"
    await scene.write("ana", "bo")
    assert scene.outcomes()[-2:] == [Outcome.GATHERED, Outcome.GATHERED]
    await scene.look()
    await scene.look()
    assert unresolved(scene) == ["x:1", "x:101", "incident/1"], "what came before has a case of its own"
    case = next(each for each in scene.cases() if each.key == "incident/1")
    assert (case.title, case.priority, case.reasons) == (
        "Incident 1: Carrier strike",
        1,
        ["L opened it: the carrier called"],
    )
    assert scene.view().case_id == case.id
    await scene.answer(1)
    assert scene.heard(OUTAGE.body) == {"ana", "bo"}
    scene.close(1)
    assert unresolved(scene) == ["x:1", "x:101"]
    assert store.read_now(gathering.watched) == []
    (kind, facts), *_ = store.read_now(kinds)
    assert (kind, facts["by_hand"], facts["user_id"]) == ("incident.opened", True, scene.person)


async def test_the_posts_it_begins_with_may_be_of_any_topic_and_give_their_cases_and_drafts_up(store: Store) -> None:
    scene = await make_hands(store)
    await scene.write("ana")
    await scene.write("bo", about=NETWORK)
    ana, bo = [each.post_id for each in scene.cases()][-2:]
    view = scene.open(posts=[bo, ana, bo])
    assert (view.posts, view.authors) == (2, 2)
    await scene.look()
    assert unresolved(scene) == ["x:1", "incident/1"]
    assert {reply.state for reply in scene.replies()[1:]} == {ReplyState.CANCELLED}
    assert scene.outcomes()[-2:] == [Outcome.GATHERED, Outcome.GATHERED]
    await scene.write("cy", about=NETWORK)
    assert scene.view().posts == 2, "its topic is another"
    await scene.answer(1)
    assert scene.heard(OUTAGE.body) == {"ana", "bo"}


async def test_a_burst_of_its_topic_opens_no_second_one(store: Store) -> None:
    scene = await make_hands(store, incidents={"enabled": True})
    scene.open("article:parcel")
    await scene.storm()
    await scene.look()
    assert [row.topic for row in store.read_now(rows)] == ["article:parcel"]
    assert scene.view().posts == 30


async def test_closing_is_proposed_only_after_a_quiet_while_also_where_nobody_wrote(store: Store) -> None:
    scene = await make_hands(store)
    scene.open()
    scene.wait(minutes=29)
    await scene.look()
    assert scene.view().state == "open"
    scene.wait(minutes=2)
    await scene.look()
    assert scene.view().state == "quiet"


@pytest.mark.parametrize(
    ("how", "refused", "says"),
    [
        ({"topic": "nothing"}, Invalid, "there is no topic 'nothing'"),
        ({"topic": "intent:outage"}, Invalid, "a topic is intent: and an intent"),
        ({"topic": "article:gone"}, Invalid, "an article in force"),
        ({"topic": "label:product:tv"}, Invalid, "there is no topic"),
        ({"topic": "intent:spam"}, Invalid, "posts of the intent spam are ignored"),
        ({"why": "  "}, Invalid, "1 to 500 characters why"),
        ({"why": "x" * 501}, Invalid, "1 to 500 characters why"),
        ({"name": "x" * 101}, Invalid, "100 characters at most"),
        ({"posts": [99]}, Invalid, "there is no post 99"),
        ({"posts": list(range(1, 202))}, Invalid, "200 posts at most"),
        ({"posts": [2]}, Invalid, "post 2 is our own"),
        ({"posts": [3]}, Invalid, "post 3 was deleted"),
        ({"posts": [4]}, Conflict, "post 4 is not decided yet"),
        ({"posts": [5]}, Conflict, "incident 1 has post 5 already"),
        ({"posts": [6]}, Conflict, "post 6 was taken out of incident 1"),
        ({"topic": NETWORK}, Conflict, "incident 1 gathers service disruption already"),
    ],
)
async def test_what_cannot_be_opened(store: Store, how: dict[str, Any], refused: type[Exception], says: str) -> None:
    scene = await make_hands(store)
    scene.hear(make_post(2, author="us", is_own=True, minutes=-9))
    gone = scene.hear(make_post(3, author="gone", minutes=-8))
    await scene.decide()
    store.write_now(posts.mark_deleted, gone, now=scene.now)
    scene.hear(make_post(4, author="waits", minutes=-7))
    scene.hear(make_post(5, author="bo", minutes=-6), make_post(6, author="cy", minutes=-5))

    def all_but_one(session: Session) -> None:
        session.connection().execute(sa.update(PostRow).where(col(PostRow.id) > 4).values(outcome=Outcome.ESCALATED))

    store.write_now(all_but_one)
    scene.open(NETWORK, posts=[5, 6])
    store.write_now(incident_steps.take_out, 1, 6, who="L", user_id=scene.person, now=scene.now)
    with pytest.raises(refused, match=says):
        scene.open(**{"topic": PARCELS, **how})
    assert len(store.read_now(rows)) == 1, "nothing was changed"


async def test_two_who_open_the_same_at_once_open_one(store: Store) -> None:
    scene = await make_hands(store)

    def attempt(_: int) -> str:
        try:
            return f"opened {scene.open().id}"
        except Conflict as refused:
            return str(refused)

    with ThreadPoolExecutor(4) as people:
        found = list(people.map(attempt, range(4)))
    assert len(store.read_now(rows)) == 1
    assert len([each for each in found if each.startswith("opened")]) == 1
    assert len([each for each in found if "go on there" in each]) == 3


async def test_merged_posts_and_answered_authors_move_and_nobody_is_answered_twice(store: Store) -> None:
    scene = await make_hands(store)
    first, second = scene.open(), scene.open(NETWORK)
    await scene.write("ana", "bo")
    await scene.write("cy", "di", about=NETWORK)
    await scene.look()
    await scene.answer(2)
    await scene.write("el", about=NETWORK)
    view = scene.merge(second.id, first.id)
    assert (view.id, view.posts, view.authors, view.answered) == (1, 5, 5, 2)
    assert (view.topics, view.merged, view.first_at) == (["delivery item", "service disruption"], [2], first.first_at)
    gone = scene.view(2)
    assert (gone.state, gone.merged_into, gone.posts, gone.closed_who) == ("closed", 1, 0, "L")
    assert unresolved(scene) == ["x:1", "incident/1"]

    await scene.write("fay", about=NETWORK)
    assert scene.view(1).posts == 6, "its topic gathers there from then on"
    await scene.answer(1)
    said = scene.said()
    assert set(said.values()) == {1}
    assert scene.heard(OUTAGE.body) == {"ana", "bo", "cy", "di", "el", "fay"}

    await scene.write("late")
    scene.say(1, "over", Part.FOLLOW_UP)
    await scene.run(minutes=3)
    assert scene.heard(OVER.body) == {"ana", "bo", "cy", "di", "el", "fay"}, "who was answered in either, and only they"
    assert set(scene.said().values()) == {1}
    scene.stop(1)
    scene.close(1)
    assert scene.open(NETWORK).id == 3, "with the end of the other its topic is free again"


async def test_who_wrote_in_both_gets_one_answer_and_one_follow_up(store: Store) -> None:
    """ana was answered in both, bo in the one that goes, cy in the one that stays, di in neither."""
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK)
    authors = ("ana", "bo", "cy", "di")
    for number, author in enumerate(authors):
        at = -number / 60
        scene.hear(make_post(200 + number, author=author, minutes=at))
        scene.hear(make_post(300 + number, author=author, minutes=at), triage=DOWN)
    await scene.decide()
    numbers = {row.external_id: row.id for row in store.read_now(lambda s: list(s.exec(select(PostRow))))}

    def slot(session: Session, incident: int, post: str, author: str, reply: bool, why: str = "") -> None:
        row = session.exec(select(PostRow).where(PostRow.id == numbers[post])).one()
        said = None
        if reply:
            made = ReplyRow(
                key=f"{incident}:{author}",
                post_id=row.id or 0,
                source="x",
                channel="x",
                state=ReplyState.SENT,
                origin="incident",
                text=OUTAGE.body,
                target_revision=row.revision,
                created_at=scene.now,
                sent_at=scene.now,
                expires_at=scene.now,
            )
            session.add(made)
            session.flush()
            said = made.id
        session.add(
            IncidentReplyRow(
                incident_id=incident,
                part=Part.ANSWER,
                author_id=row.author_id,
                post_id=row.id or 0,
                reply_id=said,
                reason=why,
                at=scene.now,
            )
        )

    def answer(session: Session) -> None:
        slot(session, 1, "200", "ana", True)
        slot(session, 2, "300", "ana", True)
        slot(session, 1, "201", "bo", False, "muted")
        slot(session, 2, "301", "bo", True)
        slot(session, 1, "202", "cy", True)
        slot(session, 2, "302", "cy", False, "muted")

    store.write_now(answer)
    view = scene.merge(2, 1)
    assert (view.posts, view.authors, view.answered, view.unsaid) == (8, 4, 3, 0)
    assert (scene.view(2).answered, scene.view(2).unsaid) == (1, 2), "what says less stays behind for the record"
    await scene.answer(1)
    assert scene.answered() == Counter(di=1)
    scene.say(1, "over", Part.FOLLOW_UP)
    await scene.run(minutes=2)
    assert Counter(reply.target.author.handle for reply in scene.speaker.ledger if reply.text == OVER.body) == Counter(
        authors
    )
    below = {reply.target.author.handle: reply.target.id for reply in scene.speaker.ledger}
    assert (below["bo"], below["cy"]) == ("301", "202"), "a follow-up stands below what was answered"


async def test_who_was_followed_up_before_is_not_followed_up_again(store: Store) -> None:
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK)
    await scene.write("ana")
    await scene.write("bo", about=NETWORK)
    await scene.look()
    for number in (1, 2):
        await scene.answer(number)
    scene.say(2, "over", Part.FOLLOW_UP)
    await scene.run(minutes=1)
    scene.stop(2)
    scene.merge(2, 1)
    scene.say(1, "over", Part.FOLLOW_UP)
    await scene.run(minutes=2)
    assert scene.heard(OVER.body) == {"ana", "bo"}
    assert set(scene.said().values()) == {1}


async def test_the_case_that_ends_points_at_the_other_and_both_keep_who_did_it(store: Store) -> None:
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK)
    await scene.write("ana")
    await scene.write("bo", about=NETWORK)
    await scene.look()
    stays, goes = scene.view(1).case_id or 0, scene.view(2).case_id or 0
    scene.merge(2, 1)
    notes = {number: store.read_now(desk.file, number).notes for number in (stays, goes)}
    assert notes[goes][-1].text == f"L merged incident 2 into incident 1; case {stays} carries it."
    assert notes[stays][-1].text == "L merged incident 2 into this one."
    merged = [facts for kind, facts in store.read_now(kinds) if kind == "incident.merged"]
    assert [(each["incident"], each["merged"], each["into"], each["user_id"]) for each in merged] == [
        (2, 2, 1, scene.person),
        (1, 2, 1, scene.person),
    ]
    ends = store.read_now(lambda s: list(s.exec(select(PostRow.reasons).where(PostRow.outcome == Outcome.GATHERED))))
    assert ends == [["it belongs to incident 1, which people answer"]] * 2


async def test_one_that_was_merged_into_goes_on_in_a_third_with_all_topics(store: Store) -> None:
    scene = await make_hands(store)
    for topic in (PARCELS, NETWORK, "intent:billing_payment"):
        scene.open(topic)
    scene.merge(1, 2)
    scene.merge(2, 3)
    assert scene.view(3).topics == ["billing payment", "delivery item", "service disruption"]
    assert (scene.view(1).merged_into, scene.view(2).merged_into) == (3, 3)
    await scene.write("ana")
    await scene.write("bo", about=NETWORK)
    assert scene.view(3).posts == 2
    with pytest.raises(Conflict, match="incident 3 gathers delivery item already"):
        scene.open()
    scene.close(3)
    await scene.write("cy")
    assert scene.outcomes()[-1] == Outcome.DRAFTED


async def test_what_was_decided_while_it_was_merged_joins_the_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK)
    save = cases.save

    def merged_before(session: Session, decided: Any, **how: Any) -> None:
        merging.merge(session, 2, into=1, who="L", user_id=scene.person, now=scene.now)
        save(session, decided, **how)

    monkeypatch.setattr(cases, "save", merged_before)
    await scene.write("ana", about=NETWORK)
    monkeypatch.undo()
    assert (scene.view(1).posts, scene.view(2).posts, scene.outcomes()[-1]) == (1, 0, Outcome.GATHERED)
    await scene.look()
    assert unresolved(scene) == ["x:1", "incident/1"]


async def test_what_was_decided_while_it_was_closed_goes_its_own_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await make_hands(store)
    scene.open()
    save = cases.save

    def closed_before(session: Session, decided: Any, **how: Any) -> None:
        campaigns.close(session, 1, who="L", user_id=scene.person, now=scene.now)
        save(session, decided, **how)

    monkeypatch.setattr(cases, "save", closed_before)
    await scene.write("ana")
    assert (scene.view().posts, scene.outcomes()[-1]) == (0, Outcome.DRAFTED)


async def test_a_post_taken_out_stays_out_after_a_merge(store: Store) -> None:
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK)
    await scene.write("ana", "bo", about=NETWORK)
    post = store.read_now(incidents.linked, 2)[0].post_id
    store.write_now(incident_steps.take_out, 2, post, who="L", user_id=scene.person, now=scene.now)
    await scene.decide()
    assert scene.merge(2, 1).posts == 1
    await scene.look()
    assert scene.view(1).posts == 1
    assert [each.is_taken_out for each in store.read_now(incidents.linked, 2)] == [True]


async def test_what_cannot_be_merged(store: Store) -> None:
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK), scene.open("intent:billing_payment")
    await scene.write("ana")
    await scene.write("bo", about=NETWORK)
    with pytest.raises(Invalid, match="cannot be merged into itself"):
        scene.merge(1, 1)
    for pair in ((1, 9), (9, 1)):
        with pytest.raises(Missing, match="no such incident: 9"):
            scene.merge(*pair)
    scene.say(1)
    for pair in ((1, 2), (2, 1)):
        with pytest.raises(Conflict, match="incident 1 is sending just now; pause it first"):
            scene.merge(*pair)
    await scene.incidents.send()

    def leave(session: Session) -> None:
        session.connection().execute(
            sa.update(ReplyRow).where(col(ReplyRow.origin) == "incident").values(state=ReplyState.SENDING)
        )

    store.write_now(leave)
    scene.stop(1)
    for pair in ((1, 2), (2, 1)):
        with pytest.raises(Conflict, match="1 of the replies of incident 1 is still leaving; try again in a minute"):
            scene.merge(*pair)
    scene.close(3)
    for pair in ((2, 3), (3, 2)):
        with pytest.raises(Conflict, match="incident 3 is closed"):
            scene.merge(*pair)
    assert {row.merged_into for row in store.read_now(rows)} == {None}


async def test_a_merged_one_is_closed_for_every_step_and_says_where_it_goes_on(store: Store) -> None:
    scene = await make_hands(store)
    scene.open(), scene.open(NETWORK)
    scene.merge(2, 1)
    for step in (
        lambda: scene.say(2),
        lambda: scene.stop(2),
        lambda: scene.close(2),
        lambda: scene.merge(2, 1),
        lambda: scene.merge(1, 2),
    ):
        with pytest.raises(Conflict, match="incident 2 is closed: it was merged into incident 1"):
            step()


async def test_two_workers_that_look_at_once_open_one_case(store: Store) -> None:
    scene = await make_hands(store)
    scene.open()
    await scene.write("ana")

    def look(_: int) -> list[int]:
        return store.write_now(opening.open_cases, judge=partial(late, scene.parts), now=scene.now)

    with ThreadPoolExecutor(4) as workers:
        assert sorted(workers.map(look, range(4))) == [[], [], [], [1]]
    assert unresolved(scene) == ["x:1", "incident/1"]
