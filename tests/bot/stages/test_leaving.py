"""Whatever happens between hearing and saying, in whatever order: no wrong text leaves, and nobody is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.store import drafts, people, posts, wishes
from bot.store.engine import Store
from bot.store.refusals import RefusedError
from bot.store.roles import Role
from bot.store.tables import Origin, ReplyState
from connectors.protocol import Page
from handoff.knowledge.article import parse
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import make_post, make_triage
from tests.databases import fresh_postgres, fresh_sqlite

ONE = parse("---\ntitle: Parcel\n---\nIt is on its way: https://brand.example/parcels", name="parcel.md")
OTHER = parse("---\ntitle: Parcel\n---\nIt waits for you: https://brand.example/parcels", name="parcel.md")


@dataclass
class World:
    """A bench with one post, and what an onlooker would swear is true now."""

    bench: Bench
    in_force: bool = True
    article: Any = ONE
    mode: str = "auto"
    text: str = "where is my parcel?"
    is_deleted: bool = False
    opted_out: bool = False
    muted: bool = False
    is_stale: bool = False
    edits: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.person = self.bench.store.write_now(
            people.add, email="a@b.example", name="A", role=Role.AGENT, now=self.bench.now
        ).id
        self.bench.write_article(ONE)
        self.post = make_post(1, text=self.text)
        self.bench.hear(self.post)

    async def decide(self) -> None:
        await self.bench.decide()

    async def deliver(self) -> None:
        said = len(self.bench.speaker.ledger)
        await self.bench.deliver()
        for reply in self.bench.speaker.ledger[said:]:
            self._check(reply.text, reply.target.text)

    def _check(self, text: str, answered: str) -> None:
        (row,) = [each for each in self.bench.replies() if each.state == ReplyState.SENT]
        self.faults += [
            why
            for why, is_wrong in {
                "the article was withdrawn": not self.in_force,
                "the article says something else now": text != self.article.body,
                "the post is gone": self.is_deleted,
                "another text was answered": answered != self.text,
                "its author opted out": self.opted_out,
                "the bot spoke alone without leave": row.origin == Origin.BOT and self.mode != "auto",
                "the bot spoke alone to somebody muted": row.origin == Origin.BOT and self.muted,
            }.items()
            if is_wrong
        ]

    async def approve(self) -> None:
        for row in self.bench.replies():
            if row.state == ReplyState.DRAFTED:
                self._by_person(drafts.approve, row.id or 0, text=None, revision=None)

    def _by_person(self, act: Callable[..., object], *what: Any, **how: Any) -> None:
        with suppress(RefusedError):  # it is told to the person, on the page
            self.bench.store.write_now(act, *what, **how, user_id=self.person, now=self.bench.now)

    async def withdraw(self) -> None:
        self.in_force = False
        self.bench.write_article()

    async def change(self) -> None:
        self.in_force, self.article = True, OTHER
        self.bench.write_article(OTHER)

    async def change_back(self) -> None:
        self.in_force, self.article = True, ONE
        self.bench.write_article(ONE)

    async def edit(self) -> None:
        if self.is_deleted:
            return
        self.edits += 1
        self.text = f"where is my parcel no. {self.edits}?"
        self.bench.hear(replace(self.post, text=self.text))

    async def delete(self) -> None:
        self.is_deleted = True
        page = Page(posts=(), cursor="d", deleted=["1"])
        self.bench.store.write_now(posts.ingest, page, source="x", stream="mentions", now=self.bench.now, cursor="d")

    async def only_drafts(self) -> None:
        self._adopt("draft")

    async def off(self) -> None:
        self._adopt("off")

    async def alone(self) -> None:
        self._adopt("auto")

    def _adopt(self, mode: str) -> None:
        self.mode = mode
        self.bench.adopt(mode=mode, earned=False)

    async def stop(self) -> None:
        self._say("@us stop", 100)
        self.opted_out = True

    async def start(self) -> None:
        self._say("@us start", 200)
        self.opted_out = False

    def _say(self, text: str, number: int) -> None:
        self.bench.wait(seconds=1)
        minutes = (self.bench.now - self.post.created_at).total_seconds() / 60
        number += len(self.bench.outcomes())
        # Of a conversation of its own, so that the case of one is none of the other's.
        self.bench.hear(make_post(number, text=text, minutes=minutes), triage=make_triage(intent="not_actionable"))

    async def mute(self) -> None:
        self._mute(on=True)

    async def unmute(self) -> None:
        self._mute(on=False)

    def _mute(self, *, on: bool) -> None:
        self.muted = on
        author = self.bench.store.read_now(wishes.find, "x", "ana")
        self.bench.store.write_now(wishes.mute, author.author_id, on=on, user_id=self.person, now=self.bench.now)

    async def wait(self) -> None:
        self.bench.wait(minutes=20)

    async def to_rest(self) -> None:
        """Let everything that is due happen."""
        for _ in range(4):
            await self.decide()
            await self.deliver()
            self.bench.wait(seconds=30)

    def end(self) -> str:
        return self.bench.outcomes()[0]


WAYS = ("decide", "deliver", "approve")
EVENTS = (
    *("withdraw", "change", "change_back", "edit", "delete", "only_drafts", "off", "alone"),
    *("stop", "start", "mute", "unmute", "wait"),
)


async def live(store: Store, mode: str, steps: list[str]) -> World:
    world = World(Bench(store, mode=mode), mode=mode)
    for step in steps:
        await getattr(world, step)()
    await world.to_rest()
    return world


def check(world: World, steps: list[str]) -> None:
    """Nothing wrong was said, no two things were said, and the post has an end that somebody can see."""
    assert world.faults == [], steps
    assert len(world.bench.speaker.ledger) <= 1 + world.edits, steps
    answered = [reply.target.text for reply in world.bench.speaker.ledger]
    assert len(answered) == len(set(answered)), steps
    assert world.end() in (("deleted",) if world.is_deleted else ("answered", "drafted", "escalated", "ignored")), steps
    if world.end() == "escalated":
        assert world.bench.cases(), steps
    assert [row.state for row in world.bench.replies() if row.state in (ReplyState.INTENDED, ReplyState.SENDING)] == []


PLACES = {
    "before the decision": lambda event: [event, "decide", "approve", "deliver"],
    "after the decision": lambda event: ["decide", event, "approve", "deliver"],
    "after the approval": lambda event: ["decide", "approve", event, "deliver"],
    "after the sending": lambda event: ["decide", "approve", "deliver", event],
}


@pytest.mark.parametrize("mode", ["auto", "draft"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("event", EVENTS)
async def test_each_event_at_each_moment(sqlite_store: Store, event: str, place: str, mode: str) -> None:
    steps = PLACES[place](event)
    check(await live(sqlite_store, mode, steps), steps)


CANCELLED = {
    "withdraw": "the article that it came from was withdrawn",
    "change": "parcel was changed since these words were chosen",
    "only_drafts": "parcel answers it (0.95); a person approves delivery_item on x",
    "off": "Harken is switched off for delivery_item on x; the post stays in the feed",
    "stop": "its author asked not to be answered by a bot",
    "mute": "a person muted the bot for its author",
}


@pytest.mark.parametrize("event", CANCELLED)
async def test_a_waiting_reply_that_may_not_be_said_goes_to_people_with_the_reason(store: Store, event: str) -> None:
    world = await live(store, "auto", ["decide", event, "deliver"])
    assert world.bench.speaker.ledger == []
    (reply,) = world.bench.replies()
    assert (reply.state, reply.reason) == (ReplyState.CANCELLED, CANCELLED[event])
    assert [case.reasons for case in world.bench.cases()] == [[f"our reply was not said: {CANCELLED[event]}"]]
    assert world.end() == "escalated"


@pytest.mark.parametrize(("event", "said"), [("edit", 1), ("delete", 0)])
async def test_what_was_edited_is_decided_anew_and_what_was_deleted_is_not(store: Store, event: str, said: int) -> None:
    world = await live(store, "auto", ["decide", event, "deliver"])
    assert len(world.bench.speaker.ledger) == said
    assert world.faults == []
    assert world.bench.cases() == []


async def test_a_draft_to_somebody_who_opted_out_cannot_be_approved(store: Store) -> None:
    world = await live(store, "draft", ["decide", "stop", "approve", "deliver"])
    assert [reply.state for reply in world.bench.replies()] == [ReplyState.DRAFTED]
    assert world.bench.speaker.ledger == []


async def test_a_person_may_still_write_to_somebody_who_opted_out(store: Store) -> None:
    world = await live(store, "draft", ["decide", "stop"])
    (case,) = world.bench.cases()
    text, nonce = "We are sorry. Here is what we can do.", "0123456789abcdef"
    world._by_person(drafts.write, case.id or 0, post_id=case.post_id, text=text, nonce=nonce, send=True, revision=None)
    await world.bench.deliver()
    assert [reply.text for reply in world.bench.speaker.ledger] == [text]


async def test_words_that_a_person_changed_need_no_article(store: Store) -> None:
    world = await live(store, "draft", ["decide"])
    (draft,) = world.bench.replies()
    world._by_person(drafts.approve, draft.id or 0, text="Your parcel is at the shop.", revision=None)
    world.bench.write_article()
    await world.bench.deliver()
    assert [reply.text for reply in world.bench.speaker.ledger] == ["Your parcel is at the shop."]


async def test_a_corrected_intent_stops_a_reply_that_was_chosen_for_another(store: Store) -> None:
    from bot.store import feed

    world = await live(store, "auto", ["decide"])
    assert len(world.bench.speaker.ledger) == 1, "nothing speaks against it"
    world.bench.hear(make_post(2, text="where is my other parcel?", author="bo"))
    await world.bench.decide()
    world.bench.store.write_now(
        feed.correct, 2, head="intent", label="complaint", user_id=world.person, now=world.bench.now
    )
    await world.bench.deliver()
    assert len(world.bench.speaker.ledger) == 1
    assert world.bench.cases()[0].reasons == ["our reply was not said: complaint always goes to people"]


orders = st.lists(st.sampled_from((*EVENTS, *WAYS, *WAYS)), min_size=2, max_size=10)
modes = st.sampled_from(("auto", "draft"))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(mode=modes, steps=orders)
def test_in_every_order_on_sqlite(tmp_path: Path, sqlite_template: Path, mode: str, steps: list[str]) -> None:
    with fresh_sqlite(tmp_path, sqlite_template) as store:
        check(asyncio.run(live(store, mode, steps)), steps)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(mode=modes, steps=orders)
def test_in_every_order_on_postgresql(postgres: sa.URL, mode: str, steps: list[str]) -> None:
    with fresh_postgres(postgres) as store:
        check(asyncio.run(live(store, mode, steps)), steps)
