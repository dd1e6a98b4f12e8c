"""A burst becomes one incident with one case; the chosen answer goes to each author once, paced, and stops at once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from sqlmodel import Session, col, select

from bot.stages.situation import late
from bot.store import campaigns, drafts, incident_steps, incidents, jobs, opening, people, replies, wishes
from bot.store.engine import Store
from bot.store.incidents import IncidentView
from bot.store.refusals import Conflict, Invalid
from bot.store.roles import Role
from bot.store.tables import IncidentRow, Outcome, PostTopicRow, ReplyState
from classifiers.triage import Triage
from connectors.errors import AmbiguousWrite
from handoff.brake import EVERYTHING
from handoff.case import CaseState
from handoff.incident import Part
from handoff.knowledge.article import parse
from tests.bot.bench_of_stages import PARCEL, Bench
from tests.bot.factories import make_post, make_triage
from tests.bot.stages.test_deaths import Death, MortalStore

OUTAGE = parse(
    "---\ntitle: Outage\nslug: outage\nowner: team\n---\nTracking is down; we are on it: https://brand.example/status",
    name="outage.md",
)
OVER = parse("---\ntitle: Over\nslug: over\nowner: team\n---\nTracking works again. Thank you!", name="over.md")
WIDE: dict[str, Any] = {"caps": {"same_text_per_hour": 1000, "article_per_hour": 1000, "source_per_hour": 1000}}
STORM = 30


class Scene(Bench):
    """A bench with a quiet past, and people."""

    number = 0

    def begin(self) -> None:
        self.person = self.store.write_now(people.add, email="l@b.example", name="L", role=Role.LEAD, now=self.now).id
        self.write_article(PARCEL, OUTAGE, OVER)
        self.hear(make_post(1, author="old", minutes=-3000))

    async def storm(self, count: int = STORM, *, prefix: str = "c", triage: Triage | None = None) -> None:
        """Let *count* people write within five minutes up to now, each decided."""
        for _ in range(count):
            self.number += 1
            minutes = (self.now - timedelta(minutes=5) - make_post().created_at).total_seconds() / 60
            at = minutes + 5 * self.number / 1000
            self.hear(make_post(100 + self.number, author=f"{prefix}{self.number}", minutes=at), triage=triage)
        await self.decide()

    def view(self, number: int = 1) -> IncidentView:
        return self.store.read_now(incidents.one, number)

    def choose(self, slug: str = "outage", part: Part = Part.ANSWER) -> None:
        self.store.write_now(incident_steps.choose, 1, part=part, article=slug, user_id=self.person, now=self.now)

    def start(self, part: Part = Part.ANSWER, pace: int | None = None) -> None:
        who: dict[str, Any] = {"who": "L", "user_id": self.person, "now": self.now}
        self.store.write_now(campaigns.start, 1, part=part, pace=pace, **who)

    def pause(self) -> None:
        self.store.write_now(campaigns.pause, 1, user_id=self.person, now=self.now)

    async def run(self, *, minutes: float) -> list[int]:
        """Let sending go on; return how many left in each minute."""
        left = []
        for _ in range(int(minutes)):
            before = len(self.speaker.ledger)
            for _ in range(10):
                await self.incidents.send()
                await self.deliver()
                self.wait(seconds=6)
            left.append(len(self.speaker.ledger) - before)
        return left

    def answered(self) -> Counter[str]:
        return Counter(reply.target.author.handle for reply in self.speaker.ledger)


async def make_scene(store: Store, **policy: Any) -> Scene:
    scene = Scene(store, mode="draft", policy={**WIDE, **policy})
    scene.begin()
    await scene.decide()
    return scene


async def with_incident(store: Store, **policy: Any) -> Scene:
    scene = await make_scene(store, **policy)
    await scene.storm()
    await scene.incidents.look()
    return scene


def unresolved(scene: Bench) -> list[str]:
    return [case.key for case in scene.cases() if case.state != CaseState.RESOLVED]


async def test_a_storm_is_one_incident_with_one_case_and_later_posts_join_it(store: Store) -> None:
    scene = await make_scene(store)
    await scene.incidents.look()
    await scene.storm(11)
    await scene.incidents.look()
    assert store.read_now(incidents.all_of) == [], "eleven people are no incident"
    await scene.storm(19)
    await scene.incidents.look()
    view = scene.view()
    assert (view.topic, view.state, view.posts, view.authors) == ("article:parcel", "open", 30, 30)
    assert unresolved(scene) == ["x:1", "incident/1"], "a case of days ago, and the one of the incident"
    assert {reply.state for reply in scene.replies()[1:]} == {ReplyState.CANCELLED}, "drafts give way to one answer"
    await scene.storm(20)
    assert scene.view().posts == 50
    assert unresolved(scene) == ["x:1", "incident/1"]
    assert Counter(scene.outcomes())[Outcome.GATHERED] == 50
    await scene.incidents.look()
    assert len(store.read_now(incidents.all_of)) == 1


async def test_what_presses_goes_its_own_way_although_it_belongs(store: Store) -> None:
    scene = await with_incident(store)
    await scene.storm(1, prefix="urgent", triage=make_triage(urgency="high"))
    assert scene.view().posts == STORM + 1
    assert len(unresolved(scene)) == 3
    scene.hear(make_post(900, author="hurt", text="your parcel exploded, my hand is burning", minutes=0))
    await scene.decide()
    assert scene.outcomes()[-1] == Outcome.ESCALATED


async def test_one_person_who_writes_often_is_no_incident(store: Store) -> None:
    scene = await make_scene(store)
    for number in range(40):
        scene.hear(make_post(200 + number, author="loud", minutes=-1))
    await scene.decide()
    await scene.incidents.look()
    assert store.read_now(incidents.all_of) == []


async def test_everybody_gets_the_answer_once_within_the_pace_and_the_follow_up_goes_to_exactly_those(
    store: Store,
) -> None:
    scene = await with_incident(store)
    scene.hear(make_post(700, author="c1", minutes=-1, text="still no parcel tracking"))
    await scene.decide()
    assert scene.view().authors == STORM, "one author, two posts"
    scene.choose()
    scene.start(pace=10)
    assert max(await scene.run(minutes=5)) <= 10
    assert scene.answered() == Counter({f"c{number}": 1 for number in range(1, STORM + 1)})
    assert {reply.text for reply in scene.speaker.ledger} == {OUTAGE.body}
    assert scene.view().answered == STORM

    # Who comes later is answered too, while it lasts; nobody is followed up with who was not answered.
    await scene.storm(1, prefix="late")
    await scene.run(minutes=1)
    assert scene.answered()["late31"] == 1
    scene.pause()
    await scene.storm(1, prefix="unheard")
    scene.choose("over", Part.FOLLOW_UP)
    scene.start(Part.FOLLOW_UP)
    await scene.run(minutes=4)
    said = Counter((reply.target.author.handle, reply.text) for reply in scene.speaker.ledger)
    assert set(said.values()) == {1}
    followed = {who for who, text in said if text == OVER.body}
    assert followed == {who for who, text in said if text == OUTAGE.body}
    assert "unheard32" not in followed
    scene.start(Part.FOLLOW_UP)
    assert sum(await scene.run(minutes=2)) == 0, "again is nothing new"
    scene.store.write_now(campaigns.close, 1, who="L", user_id=scene.person, now=scene.now)
    assert unresolved(scene) == ["x:1"]


async def test_caps_hold_and_what_waits_is_said_when_there_is_room(store: Store) -> None:
    scene = await with_incident(store, caps={"same_text_per_hour": 7})
    scene.choose()
    scene.start()
    assert sum(await scene.run(minutes=5)) == 7
    scene.wait(minutes=61)
    assert sum(await scene.run(minutes=3)) == 7


async def test_the_campaign_neither_pulls_nor_heeds_the_brake_of_a_burst_and_stops_after_what_was_approved(
    store: Store,
) -> None:
    scene = await with_incident(store, incidents={"sends_per_start": 25}, caps={**WIDE["caps"], "brake_replies": 5})
    scene.choose()
    scene.start(pace=60)
    assert sum(await scene.run(minutes=3)) == 25
    assert "25 were sent since it was started" in scene.view().halted
    scene.start(pace=60)
    assert sum(await scene.run(minutes=2)) == STORM - 25


async def test_the_kill_switch_holds_it_at_once_and_it_goes_on_after(store: Store) -> None:
    scene = await with_incident(store)
    scene.choose()
    scene.start(pace=10)
    await scene.run(minutes=1)
    said = len(scene.speaker.ledger)
    assert 0 < said < STORM
    await scene.brakes.pull(EVERYTHING, who="Ana", why="wrong", user_id=None)
    assert sum(await scene.run(minutes=3)) == 0
    await scene.brakes.release(EVERYTHING, who="Lea", why="mended", user_id=None)
    assert max(await scene.run(minutes=6)) <= 10
    assert set(scene.answered().values()) == {1}
    assert len(scene.speaker.ledger) == STORM


@pytest.mark.parametrize(
    "left", [(PARCEL, OVER), (PARCEL, parse("---\ntitle: Outage\n---\nOther words.", name="outage.md"))]
)
async def test_an_article_that_is_retired_or_changed_stops_it_at_once(store: Store, left: Any) -> None:
    scene = await with_incident(store)
    scene.choose()
    scene.start(pace=10)
    await scene.run(minutes=1)
    said = len(scene.speaker.ledger)
    await scene.incidents.send()
    scene.write_article(*left)
    assert await scene.deliver() >= 0
    assert len(scene.speaker.ledger) == said, "not even what was on its way"
    assert sum(await scene.run(minutes=2)) == 0
    assert "read it and start again" in scene.view().halted


async def test_a_pause_takes_back_what_waits_and_a_start_goes_on(store: Store) -> None:
    scene = await with_incident(store)
    scene.choose()
    scene.start(pace=10)
    await scene.incidents.send()
    scene.pause()
    assert await scene.deliver() >= 0
    assert scene.speaker.ledger == []
    scene.start(pace=30)
    await scene.run(minutes=3)
    assert set(scene.answered().values()) == {1}
    assert len(scene.speaker.ledger) == STORM


async def test_who_opted_out_is_left_alone_and_the_page_says_why(store: Store) -> None:
    scene = await with_incident(store)
    author = store.read_now(wishes.find, "x", "c3")
    store.write_now(wishes.opt, author.author_id, out=True, user_id=scene.person, now=scene.now)
    scene.choose()
    scene.start()
    await scene.run(minutes=4)
    assert scene.answered()["c3"] == 0
    assert len(scene.speaker.ledger) == STORM - 1
    (line,) = [each for each in store.read_now(incidents.linked, 1) if each.handle == "c3"]
    assert (line.answer, line.why) == ("cancelled", "its author asked not to be answered by a bot")


async def test_a_case_that_somebody_claimed_stays_theirs(store: Store) -> None:
    from bot.store import desk

    scene = await make_scene(store)
    await scene.storm(12)
    case = next(each for each in scene.cases() if each.key == "x:105")
    store.write_now(desk.claim, case.id or 0, user_id=scene.person, take_over=False, now=scene.now)
    await scene.storm(8)
    await scene.incidents.look()
    assert unresolved(scene) == ["x:1", "x:105", "incident/1"]
    scene.choose()
    scene.start()
    await scene.run(minutes=3)
    assert len(scene.speaker.ledger) == 19
    assert scene.answered()["c5"] == 0


async def test_a_post_that_was_linked_by_mistake_is_taken_out_and_decided_by_itself(store: Store) -> None:
    scene = await with_incident(store)
    line = store.read_now(incidents.linked, 1)[0]
    store.write_now(incident_steps.take_out, 1, line.post_id, who="L", user_id=scene.person, now=scene.now)
    await scene.decide()
    await scene.incidents.look()
    assert scene.view().posts == STORM - 1
    assert scene.outcomes()[line.post_id - 1] in (Outcome.DRAFTED, Outcome.ESCALATED)
    scene.choose()
    scene.start()
    await scene.run(minutes=4)
    assert scene.answered()[line.handle] == 0


async def test_nothing_is_sent_before_a_person_chose_and_started(store: Store) -> None:
    scene = await with_incident(store)
    assert sum(await scene.run(minutes=1)) == 0
    with pytest.raises(Conflict, match="choose the article first"):
        scene.start()
    with pytest.raises(Invalid, match="no article 'nothing' may be said now"):
        scene.choose("nothing")
    scene.choose()
    assert sum(await scene.run(minutes=1)) == 0
    with pytest.raises(Conflict, match="choose the article first"):
        scene.start(Part.FOLLOW_UP)
    with pytest.raises(Invalid, match="1 to 600"):
        scene.start(pace=0)


async def test_when_it_grows_quiet_closing_is_proposed_and_a_new_post_takes_that_back(store: Store) -> None:
    scene = await with_incident(store)
    scene.wait(minutes=31)
    await scene.incidents.look()
    assert scene.view().state == "quiet"
    await scene.storm(1)
    assert scene.view().state == "open"


async def test_switched_off_nothing_is_opened(store: Store) -> None:
    await with_incident(store, incidents={"enabled": False})
    assert store.read_now(incidents.all_of) == []


async def test_two_workers_that_see_the_same_burst_open_one_incident(store: Store) -> None:
    scene = await make_scene(store)
    await scene.storm()
    found = await scene.incidents._burst(scene.now)
    assert found is not None
    for _ in range(2):
        store.write_now(
            opening.open_one,
            found,
            settings=scene.incidents._policy.settings.incidents,
            judge=partial(late, scene.parts),
            now=scene.now,
        )
    assert len(store.read_now(lambda session: session.exec(select(IncidentRow)).all())) == 1


def topics(session: Session) -> list[str]:
    return list(session.exec(select(PostTopicRow.topic).order_by(col(PostTopicRow.topic))))


async def test_a_topic_without_an_article_counts_too(store: Store) -> None:
    scene = Scene(store, mode="draft", confidence=0.0, policy=WIDE)
    scene.begin()
    await scene.decide()
    await scene.storm()
    await scene.incidents.look()
    assert scene.view().topic == "intent:delivery_item"
    assert set(store.read_now(topics)) == {"intent:delivery_item"}


@pytest.mark.parametrize("commits", [1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27])
async def test_a_death_after_any_commit_says_nothing_twice(sqlite_store: Store, commits: int) -> None:
    mortal = MortalStore(sqlite_store)
    scene = Scene(cast(Store, mortal), mode="draft", policy=WIDE)
    scene.speaker.after = [AmbiguousWrite("?") if number % 3 == 0 else None for number in range(6)]
    scene.begin()
    await scene.decide()
    await scene.storm(14)
    await scene.incidents.look()
    scene.choose()
    scene.start()
    mortal.commits = commits
    with pytest.raises(Death):
        await scene.run(minutes=10)
    mortal.commits = None
    sqlite_store.write_now(jobs.release_all)
    sqlite_store.write_now(replies.settle_start, now=scene.now)
    await scene.run(minutes=12)
    assert scene.answered() == Counter({f"c{number}": 1 for number in range(1, 15)})
    assert not [each for each in scene.replies() if each.state == ReplyState.INTENDED]


async def test_a_person_may_still_write_in_the_case_of_the_incident(store: Store) -> None:
    scene = await with_incident(store)
    case = next(each for each in scene.cases() if each.key == "incident/1")
    text, nonce = "We are very sorry.", "0123456789abcdef"
    store.write_now(
        drafts.write,
        case.id or 0,
        post_id=case.post_id,
        text=text,
        nonce=nonce,
        send=True,
        revision=None,
        user_id=scene.person,
        now=scene.now,
    )
    scene.choose()
    scene.start()
    await scene.run(minutes=4)
    assert set(scene.answered().values()) == {1}, "who was answered by hand gets no second answer"
