from __future__ import annotations

import asyncio

import pytest
from sqlmodel import Session

from bot.store.engine import Store
from bot.store.roles import Role
from bot.web.why import WordView, segments
from classifiers import why
from classifiers.protocol import Classifier
from classifiers.triage import Triage
from tests.bot.web.conftest import Visit
from tests.bot.web.world import NOON, SCRIPT, Day, add_author, add_post, add_triage


def test_a_text_is_cut_at_its_words() -> None:
    words = [WordView(text="late", start=6, end=10, drop=0.5), WordView(text="so", start=3, end=5, drop=0.1)]
    assert segments("is so late!", words) == [("is ", 0), ("so", 2), (" ", 0), ("late", 1), ("!", 0)]
    assert segments("nothing", []) == [("nothing", 0)]
    assert segments("", []) == []


async def test_the_words_that_made_a_label_are_marked(visit: Visit, day: Day, sqlite_store: Store) -> None:
    def add(session: Session) -> int:
        post = add_post(session, 77, author_id=add_author(session, "bo"), text=f"{SCRIPT} I want a refund, horrible!")
        add_triage(session, post)
        return post

    post = await sqlite_store.write(add)
    viewer = await visit(Role.VIEWER)
    page = await (await viewer.get(f"/posts/{post}/why")).text()
    assert SCRIPT not in page
    assert '<mark class="rank-1">refund</mark>' in page
    answer = await (await viewer.get(f"/api/v1/posts/{post}/why")).json()
    reasons = {reason["head"]: reason for reason in answer["heads"]}
    assert reasons["intent"]["label"] == "refund_return"
    word = reasons["intent"]["words"][0]
    assert answer["text"][word["start"] : word["end"]] == word["text"] == "refund"
    feed = await (await viewer.get("/")).text()
    assert f'href="/posts/{post}/why"' in feed


async def test_a_deleted_post_is_not_explained(visit: Visit, sqlite_store: Store) -> None:
    def add(session: Session) -> int:
        return add_post(session, 78, author_id=add_author(session, "cy"), text="refund", deleted_at=NOON)

    post = await sqlite_store.write(add)
    viewer = await visit(Role.VIEWER)
    for path in (f"/posts/{post}/why", f"/api/v1/posts/{post}/why", "/api/v1/posts/999999/why"):
        assert (await viewer.get(path)).status == 404


async def test_the_same_post_asked_by_many_is_explained_once(
    visit: Visit, day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    explain = why.explain

    async def counted(engine: Classifier, text: str) -> tuple[Triage, list[why.Why]]:
        nonlocal asked
        asked += 1
        return await explain(engine, text)

    monkeypatch.setattr(why, "explain", counted)
    viewer = await visit(Role.VIEWER)
    answers = await asyncio.gather(*(viewer.get(f"/api/v1/posts/{day.hostile}/why") for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    assert asked == 1
