"""The windows' questions, on both databases: lists are whole, acts happen once, nobody works past another."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from bot.store import desk, drafts, failures, feed, keys, people, sessions
from bot.store.desk import CaseFilter
from bot.store.drafts import ReplyFilter
from bot.store.engine import Store
from bot.store.feed import FeedFilter
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.roles import Role
from bot.store.tables import CorrectionRow, JobRow, ReplyRow
from tests.bot.web.world import (
    NOON,
    Day,
    add_author,
    add_case,
    add_day,
    add_draft,
    add_post,
    add_user,
)


@pytest.fixture
def day(store: Store) -> Day:
    return store.write_now(add_day)


async def test_two_people_who_claim_at_once_get_one_case(store: Store, day: Day) -> None:
    users = [add_user(store, role) for role in (Role.AGENT, Role.LEAD)]
    claims = (store.write(desk.claim, day.case, user_id=user.id, take_over=False, now=NOON) for user in users)
    results = await asyncio.gather(*claims, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["CaseView", "Conflict"]


async def test_two_people_who_approve_at_once_say_it_once(store: Store, day: Day) -> None:
    user = add_user(store, Role.AGENT)
    told = {"text": None, "revision": None, "user_id": user.id, "now": NOON}
    results = await asyncio.gather(*(store.write(drafts.approve, day.draft, **told) for _ in range(4)))  # type: ignore[arg-type]
    assert {result.state for result in results} == {"intended"}
    with Session(store.engine) as session:
        assert [job.key for job in session.exec(select(JobRow))] == [str(day.draft)]


async def test_the_same_form_twice_is_one_reply(store: Store, day: Day) -> None:
    user = add_user(store, Role.AGENT)

    def write(session: Session) -> int:
        return drafts.write(
            session,
            day.case,
            post_id=day.post,
            text="We look into it.",
            nonce="0123456789abcdef",
            send=True,
            revision=None,
            user_id=user.id,
            now=NOON,
        ).id

    assert len(set(await asyncio.gather(*(store.write(write) for _ in range(3))))) == 1
    with Session(store.engine) as session:
        assert len(session.exec(select(ReplyRow).where(ReplyRow.origin == "agent")).all()) == 1


async def test_tries_at_the_same_moment_are_all_counted(store: Store) -> None:
    subjects = {"account:ana": 5, "address:10.0.0.1": 20}
    results = await asyncio.gather(*(store.write(failures.attempt, subjects, now=NOON) for _ in range(12)))
    assert sum(result is None for result in results) == 5


def test_pages_of_everything_are_whole(store: Store) -> None:
    def fill(session: Session) -> None:
        author = add_author(session)
        for number in range(25):
            post = add_post(session, number, author_id=author, minutes=number // 5)
            add_draft(session, post, add_case(session, post))

    store.write_now(fill)
    asked: list[tuple[Any, Any]] = [(feed.page, FeedFilter()), (desk.page, CaseFilter()), (drafts.page, ReplyFilter())]
    for ask, wanted in asked:
        seen: list[int] = []
        cursor = None
        while True:
            found = store.read_now(ask, wanted, limit=4, cursor=cursor)
            seen += [each.id for each in found.items]
            cursor = found.next
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize("text", ["100%", "a_b", "' OR 1=1 --", "\\", '"', "PARCEL", "%", "é"])
def test_a_search_finds_the_very_characters(text: str, store: Store) -> None:
    def fill(session: Session) -> int:
        author = add_author(session)
        add_post(session, 1, author_id=author, text="nothing of the kind here")
        return add_post(session, 2, author_id=author, text=f"about {text.lower()} it is")

    post = store.write_now(fill)
    found = store.read_now(feed.page, FeedFilter(text=text), limit=10)
    assert [each.id for each in found.items] == [post]


def test_a_correction_is_kept_once(store: Store, day: Day) -> None:
    user = add_user(store, Role.AGENT)
    for _ in range(2):
        view = store.write_now(feed.correct, day.post, head="urgency", label="high", user_id=user.id, now=NOON)
    assert view.label("urgency") == "high"
    with Session(store.engine) as session:
        assert len(session.exec(select(CorrectionRow)).all()) == 1


def test_a_reply_to_a_post_of_another_case_is_refused_when_it_does_not_exist(store: Store, day: Day) -> None:
    user = add_user(store, Role.AGENT)
    with pytest.raises(Missing):
        store.write_now(
            drafts.write,
            day.case,
            post_id=999,
            text="Hi",
            nonce="0123456789abcdef",
            send=False,
            revision=None,
            user_id=user.id,
            now=NOON,
        )


def test_people_and_their_addresses(store: Store) -> None:
    add_user(store, Role.AGENT, email="Ana@Example.org")
    with pytest.raises(Conflict):
        add_user(store, Role.AGENT, email="ana@example.org ")
    for bad in ("", "ana", "@example.org", "ana@", "a b@example.org", "x@key.invalid"):
        with pytest.raises(Invalid):
            add_user(store, Role.AGENT, email=bad)
    store.write_now(keys.add, name="shop", role=Role.VIEWER, now=NOON, lives=None)
    assert [each.email for each in store.read_now(people.everyone)] == ["ana@example.org"]
    with pytest.raises(Missing):
        store.write_now(people.add_link, email="nobody@example.org", now=NOON)


def test_the_person_of_a_key_cannot_sign_in(store: Store) -> None:
    key = store.write_now(keys.add, name="shop", role=Role.ADMIN, now=NOON, lives=None)
    held = store.read_now(keys.holder, key, now=NOON)
    assert held is not None
    email = held[0].email
    assert store.read_now(people.secret_of, email) is None
    with pytest.raises(Missing):
        store.write_now(people.add_link, email=email, now=NOON)


def test_a_disabled_person_has_no_session_and_no_link(store: Store) -> None:
    user = add_user(store, Role.AGENT)
    token = store.write_now(sessions.begin, user_id=user.id, now=NOON, lifetime=timedelta(hours=1))
    link = store.write_now(people.add_link, email=user.email, now=NOON)
    store.write_now(people.disable, email=user.email, now=NOON)
    assert store.read_now(sessions.find, token, now=NOON, idle=timedelta(hours=1)) is None
    assert store.write_now(people.use_link, link, now=NOON) is None
