"""Posts are taken in once, kept in step with the network, and their text goes when the network removes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import Session, SQLModel, col, select

from bot.store import events, jobs, migrate, posts
from bot.store.engine import Store, StoreError
from bot.store.migrate import is_ours
from bot.store.tables import JobRow, Outcome, PostRow, QuarantineRow, ReplyRow, ReplyState, Stage
from connectors.post import Post
from connectors.protocol import BadItem, Page
from tests.bot.factories import NOON, make_author, make_post


def take(store: Store, *what: Post, cursor: str = "c1", **rest: Any) -> posts.Ingested:
    page = Page(posts=what, cursor=cursor, **rest)
    return store.write_now(posts.ingest, page, source="x", stream="mentions", now=NOON, cursor=cursor)


def rows(session: Session) -> list[PostRow]:
    return list(session.exec(select(PostRow).order_by(col(PostRow.id))))


def test_a_page_brings_posts_errands_events_and_cursor_together(store: Store) -> None:
    done = take(store, make_post(1), make_post(2, author="ben"))
    assert len(done.new) == 2
    assert store.read_now(posts.cursor, "x", "mentions") == "c1"
    claimed = store.write_now(jobs.claim, Stage.TRIAGE, holder="w", now=NOON, limit=10)
    assert [job.key for job in claimed] == [posts.errand(post_id, 0) for post_id in done.new]
    assert [event.kind for event in store.read_now(events.after, 0)] == ["post.ingested"] * 2


def test_the_same_post_again_changes_nothing(store: Store) -> None:
    take(store, make_post(1), make_post(1))
    again = take(store, make_post(1), cursor="c2")
    assert (len(again.new), again.edited) == (0, 0)
    assert len(store.read_now(rows)) == 1
    assert store.read_now(posts.cursor, "x", "mentions") == "c2"


def test_an_edit_updates_the_post_and_sends_it_through_again(store: Store) -> None:
    (post_id,) = take(store, make_post(1)).new
    for text in ("now with another text", "where is my parcel 1?"):  # an edit back to the first text counts too
        assert take(store, replace(make_post(1), text=text)).edited == 1
    here = store.read_now(posts.kept, [post_id])[post_id]
    assert (here.edits, here.post.text, here.outcome) == (2, "where is my parcel 1?", Outcome.OPEN)
    keys = store.read_now(lambda session: list(session.exec(select(JobRow.key).order_by(col(JobRow.id)))))
    assert keys == [posts.errand(post_id, edits) for edits in range(3)]


def test_a_deletion_takes_the_text_and_stops_what_has_not_been_said(store: Store) -> None:
    (post_id,) = take(store, make_post(1)).new

    def waiting(session: Session) -> None:
        session.add(
            ReplyRow(
                key="k",
                post_id=post_id,
                source="x",
                channel="x",
                state=ReplyState.INTENDED,
                origin="bot",
                text="hello",
                target_revision=make_post(1).revision,
                created_at=NOON,
                expires_at=NOON + timedelta(hours=1),
            )
        )

    store.write_now(waiting)
    assert take(store, deleted=["1"]).deleted == 1
    assert take(store, deleted=["1"]).deleted == 0
    here = store.read_now(posts.kept, [post_id])[post_id]
    assert (here.deleted, here.post.text, here.outcome) == (True, "", Outcome.DELETED)
    state = store.read_now(lambda session: session.exec(select(ReplyRow.state)).one())
    assert state == ReplyState.CANCELLED
    assert take(store, make_post(1)).edited == 0, "a deleted post does not come back to life by an old answer"


def test_our_own_posts_are_kept_and_never_triaged(store: Store) -> None:
    (post_id,) = take(store, make_post(1, is_own=True)).new
    assert store.read_now(posts.kept, [post_id])[post_id].outcome == Outcome.OWN
    assert store.read_now(jobs.next_due, Stage.TRIAGE, now=NOON) is None


def test_an_item_nobody_could_read_is_kept_once(store: Store) -> None:
    for _ in range(2):
        take(store, bad=[BadItem(raw="{", reason="not JSON")])
    kept = store.read_now(lambda session: session.exec(select(QuarantineRow)).all())
    assert [(each.raw, each.reason) for each in kept] == [("{", "not JSON")]


def test_a_renamed_author_stays_one_author(store: Store) -> None:
    (first,) = take(store, make_post(1)).new
    (second,) = take(store, make_post(2, author=make_author("ana", handle="ana_new"))).new
    here = store.read_now(posts.kept, [first, second])
    assert here[first].author_id == here[second].author_id
    assert here[first].post.author.handle == "ana_new"


def test_a_recheck_follows_edits_and_deletions(store: Store) -> None:
    first, second, third = take(store, make_post(1), make_post(2), make_post(3)).new
    later = NOON + timedelta(hours=21)
    due = store.read_now(posts.due_for_recheck, "x", before=later - timedelta(hours=20), limit=10)
    assert sorted(due) == ["1", "2", "3"]
    found = {"1": None, "2": replace(make_post(2), text="other"), "3": make_post(3)}
    done = store.write_now(posts.apply_recheck, "x", ["1", "2", "3"], found, now=later)
    assert (done.deleted, done.edited) == (1, 1)
    here = store.read_now(posts.kept, [first, second, third])
    assert [here[each].deleted for each in (first, second, third)] == [True, False, False]
    assert store.read_now(posts.due_for_recheck, "x", before=later - timedelta(hours=20), limit=10) == []


def test_hostile_text_survives_the_way_into_the_store_and_back(store: Store) -> None:
    text = "surrogate \ud800 bidi \u202e emoji \U0001f468\u200d\U0001f469 quote ' \" ; -- \\ nul \x00"
    (post_id,) = take(store, make_post(1, text=text)).new
    kept = store.read_now(posts.kept, [post_id])[post_id].post.text
    assert kept == text.replace("\x00", "").replace("\ud800", "\ufffd")


def test_the_migrated_schema_is_the_declared_one(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_newer_schema_is_refused_with_one_clear_line(store: Store) -> None:
    newer = sa.text("UPDATE alembic_version SET version_num = '9999'")
    store.write_now(lambda session: session.connection().execute(newer))
    with pytest.raises(StoreError, match="newer than this Harken"):
        migrate.upgrade(store)
