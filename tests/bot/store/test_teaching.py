"""What teaches, what a lead said of it, and which revision judges, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from bot.store import feed, migrate, teaching
from bot.store.engine import Store
from bot.store.people import User
from bot.store.refusals import Conflict, Missing
from bot.store.roles import Role
from bot.store.tables import CorrectionRow, EventRow, PostRow, Review, RevisionState
from bot.store.teaching import Made, RevisionView
from classifiers.lessons import ALONE
from tests.bot.corrections import add_corrected, people
from tests.bot.web.world import NOON, add_user

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def agents(store: Store) -> list[User]:
    return people(store, "ana", "bo")


@pytest.fixture
def lead(store: Store) -> User:
    return add_user(store, Role.LEAD)


def made(state: RevisionState = RevisionState.ACTIVE, **more: Any) -> Made:
    values: Mapping[str, Any] = {
        "model": "m@1",
        "state": state,
        "reason": "",
        "change": b"bytes",
        "figures": {"heads": [], "seconds": 0.1},
        "last_correction": 0,
        **more,
    }
    return Made(**values)


def keep(store: Store, *args: Any, number: int | None = None, **more: Any) -> RevisionView:
    return store.write_now(teaching.keep, made(*args, **more), origin=teaching.COMMAND, number=number, now=NOON)


def change(store: Store, post_id: int, **values: Any) -> None:
    def work(session: Session) -> None:
        row = session.get_one(PostRow, post_id)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)

    store.write_now(work)


def first_id(store: Store) -> int:
    with Session(store.engine) as session:
        return session.exec(select(CorrectionRow.id).order_by(col(CorrectionRow.id))).first() or 0


def test_the_last_word_counts_from_what_the_model_had_said(store: Store, agents: list[User]) -> None:
    (post,) = store.write_now(add_corrected, agents, count=1)
    (only,), highest = store.read_now(teaching.lessons)
    assert (only.old, only.new, only.person, only.approved) == ("complaint", "technical_issue", agents[1].id, False)
    assert only.text.startswith("jargon")
    store.write_now(feed.correct, post, head="intent", label="praise", user_id=agents[0].id, now=LATER)
    (only,), highest = store.read_now(teaching.lessons)
    assert (only.old, only.new, only.person, only.id) == ("complaint", "praise", agents[0].id, highest)
    store.write_now(feed.correct, post, head="intent", label="complaint", user_id=agents[0].id, now=LATER)
    assert store.read_now(teaching.lessons)[0] == []


@pytest.mark.parametrize(
    ("values", "left"),
    [({"deleted_at": LATER}, 0), ({"edited_at": LATER}, 0), ({"edited_at": NOON - timedelta(hours=1)}, 1)],
)
def test_what_was_said_of_a_text_that_is_gone_teaches_nothing(
    store: Store, agents: list[User], values: dict[str, Any], left: int
) -> None:
    (post,) = store.write_now(add_corrected, agents, count=1)
    change(store, post, **values)
    assert len(store.read_now(teaching.lessons)[0]) == left
    assert store.read_now(teaching.overview).waiting_count == left


def test_a_lead_says_what_teaches(store: Store, agents: list[User], lead: User) -> None:
    store.write_now(add_corrected, agents[:1], count=2)
    waiting = store.read_now(teaching.overview).waiting
    assert [(each.counts, each.why_not, each.by) for each in waiting] == [(False, ALONE, "Some agent")] * 2
    newest, oldest = waiting
    view = store.write_now(teaching.review, newest.id, approve=True, user_id=lead.id, now=LATER)
    assert (view.review, view.counts) == (Review.APPROVED, True)
    store.write_now(teaching.review, oldest.id, approve=False, user_id=lead.id, now=LATER)
    lessons, _ = store.read_now(teaching.lessons)
    assert [(each.id, each.approved) for each in lessons] == [(newest.id, True)]
    assert store.read_now(teaching.overview).waiting_count == 0
    with Session(store.engine) as session:
        row = session.get_one(CorrectionRow, newest.id)
        assert (row.reviewed_by, row.reviewed_at) == (lead.id, LATER)
        kinds = session.exec(select(EventRow.kind).where(col(EventRow.kind).startswith("correction."))).all()
        assert kinds == ["correction.approved", "correction.rejected"]


def test_nobody_approves_a_correction_of_ones_own(store: Store, lead: User) -> None:
    store.write_now(add_corrected, [lead], count=1)
    number = first_id(store)
    with pytest.raises(Conflict, match="somebody else"):
        store.write_now(teaching.review, number, approve=True, user_id=lead.id, now=LATER)
    assert store.write_now(teaching.review, number, approve=False, user_id=lead.id, now=LATER).review == "rejected"


def test_a_correction_that_is_not_there_is_missing(store: Store, lead: User) -> None:
    with pytest.raises(Missing):
        store.write_now(teaching.review, 99, approve=True, user_id=lead.id, now=LATER)


def test_an_undone_revision_gives_way_to_the_one_before(store: Store, lead: User) -> None:
    one, two = keep(store, change=b"one"), keep(store, change=b"two")
    found = store.read_now(teaching.in_service, model="m@1")
    assert found is not None
    assert (found.number, found.change) == (two.number, b"two")
    assert [each.in_service for each in store.read_now(teaching.revisions)] == [True, False]
    gone = store.write_now(teaching.undo, user_id=lead.id, now=LATER)
    assert (gone.number, gone.state, gone.decided_by) == (two.number, "undone", lead.name)
    assert store.read_now(teaching.number_in_service, model="m@1") == one.number
    store.write_now(teaching.undo, user_id=None, now=LATER)
    assert store.read_now(teaching.number_in_service, model="m@1") == 0
    with pytest.raises(Conflict, match="shipped heads judge"):
        store.write_now(teaching.undo, user_id=lead.id, now=LATER)


def test_a_revision_for_another_model_is_ignored(store: Store) -> None:
    keep(store, model="older@1")
    assert store.read_now(teaching.in_service, model="m@1") is None
    assert store.read_now(teaching.number_in_service, model="m@1") == 0


def test_a_proposal_waits_for_a_lead_and_a_newer_one_overtakes_it(store: Store, lead: User) -> None:
    old, new = keep(store, RevisionState.PROPOSED), keep(store, RevisionState.PROPOSED)
    assert store.read_now(teaching.in_service, model="m@1") is None
    with pytest.raises(Conflict, match="refused, not proposed"):
        store.write_now(teaching.accept, old.number, user_id=lead.id, now=LATER)
    assert store.write_now(teaching.accept, new.number, user_id=lead.id, now=LATER).in_service
    with pytest.raises(Missing):
        store.write_now(teaching.accept, 99, user_id=lead.id, now=LATER)


def test_what_was_asked_for_twice_is_done_once(store: Store, lead: User) -> None:
    asked = [store.write_now(teaching.ask, user_id=lead.id, now=NOON) for _ in range(2)]
    assert [each.number for each in asked] == [asked[0].number] * 2
    assert store.read_now(teaching.asked) == asked[0].number
    kept = keep(store, RevisionState.REFUSED, number=asked[0].number, reason="no")
    assert (kept.number, kept.by, kept.state) == (asked[0].number, lead.name, "refused")
    assert store.read_now(teaching.asked) is None


def test_new_are_those_that_came_or_were_approved_since(store: Store, agents: list[User], lead: User) -> None:
    store.write_now(add_corrected, agents, count=3)
    assert store.read_now(teaching.fresh, model="m@1") == 3
    _, highest = store.read_now(teaching.lessons)
    keep(store, RevisionState.REFUSED, last_correction=highest)
    assert store.read_now(teaching.fresh, model="m@1") == 0
    assert store.read_now(teaching.fresh, model="other@1") == 3
    store.write_now(add_corrected, agents, count=2, first=50)
    store.write_now(teaching.review, first_id(store), approve=True, user_id=lead.id, now=LATER)
    assert store.read_now(teaching.fresh, model="m@1") == 3


def test_ordinary_posts_are_those_nobody_corrected(store: Store, agents: list[User]) -> None:
    corrected = store.write_now(add_corrected, agents, count=2)
    same = store.write_now(add_corrected, agents, count=2, first=10, old="praise", new="praise")
    found = store.read_now(teaching.ordinary)
    assert list(found) == same
    assert set(found).isdisjoint(corrected)


def test_the_way_back_to_the_schema_before_keeps_the_corrections(store: Store, agents: list[User]) -> None:
    from alembic import command
    from alembic.config import Config

    store.write_now(add_corrected, agents, count=2)
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    for go, where in ((command.downgrade, "-1"), (command.upgrade, "head")):
        with store.schema() as connection:
            config.attributes["connection"] = connection
            go(config, where)
    with store.schema() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM correction")).scalar_one() == 2
    assert len(store.read_now(teaching.lessons)[0]) == 2
