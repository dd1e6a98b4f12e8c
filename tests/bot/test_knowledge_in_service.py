"""A running daemon answers from what two people published, within one look; folders and dates included."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from bot.settings import ConfigError, Settings
from bot.store import editions, events, migrate, people
from bot.store.roles import Role
from handoff.knowledge.article import Article

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
REFUND = Article(slug="refund", locale="en", title="Refund", owner="billing", wordings={"default": "See {status}"})
SLOTS: dict[str, Any] = {"status": {"type": "url", "value": "https://example.com/"}}


class Clock:
    """A clock that moves when told to."""

    now = NOON

    def __call__(self) -> datetime:
        return self.now


def make_app(home: Path, clock: Clock, **knowledge: Any) -> App:
    """Return an app without sources, on rules."""
    settings = Settings(
        store={"url": f"sqlite:///{home}/h.db"},
        classifier={"engine": "keywords"},
        knowledge={"slots": SLOTS, **knowledge},
    )
    app = App(settings, clock=clock)
    migrate.upgrade(app.store)
    return app


def publish(app: App, article: Article) -> int:
    """Bring *article* to the public by two people; return its id."""
    now = app.clock()
    ids = [
        app.store.write_now(
            people.add, email=f"{name}{article.slug}@example.org", name=name, role=Role.LEAD, now=now
        ).id
        for name in ("ana", "bo")
    ]
    made = app.store.write_now(editions.create, article, user_id=ids[0], now=now)
    app.store.write_now(editions.submit, made, version=1, user_id=ids[0], now=now)
    app.store.write_now(editions.publish, made, version=1, user_id=ids[1], standards=app.standards, now=now)
    return made


async def test_what_is_published_retired_or_out_of_date_counts_at_the_next_look(tmp_path: Path) -> None:
    clock = Clock()
    app = make_app(tmp_path, clock)
    async with AsyncExitStack() as stack:
        await app.open(stack)
        await app.warm()
        assert len(app.knowledge) == 0
        first = publish(app, REFUND)
        publish(app, replace(REFUND, slug="sale", valid_until=NOON + timedelta(hours=1)))
        await app.look_at_knowledge()
        assert len(app.knowledge) == 2
        clock.now = NOON + timedelta(hours=1)
        await app.look_at_knowledge()
        assert len(app.knowledge) == 1
        lead = app.store.read_now(people.everyone)[0].id
        app.store.write_now(editions.retire, first, user_id=lead, now=clock.now)
        await app.look_at_knowledge()
        assert len(app.knowledge) == 0


async def test_a_daemon_tells_once_of_an_article_that_is_due(tmp_path: Path) -> None:
    app = make_app(tmp_path, Clock())
    async with AsyncExitStack() as stack:
        await app.open(stack)
        publish(app, replace(REFUND, review_by=date(2026, 3, 3)))
        await app.remind()
        await app.remind()
        assert [each.kind for each in app.store.read_now(events.after, 0, kinds=["article.due"])] == ["article.due"]


FILE = "---\ntitle: Refund\nowner: billing\n{more}---\n{body}\n"


def write_file(folder: Path, *, more: str, body: str) -> Path:
    home = folder / "kb"
    home.mkdir()
    (home / "refund.md").write_text(FILE.format(more=more, body=body), encoding="utf-8")
    return home


def test_a_daemon_does_not_start_with_a_folder_of_one_person(tmp_path: Path) -> None:
    home = write_file(tmp_path, more="", body="Five days.")
    with pytest.raises(
        ConfigError, match=r"knowledge.folder: refund.en: names no reviewer; publishing takes two people"
    ):
        make_app(tmp_path, Clock(), folder=home)
    with pytest.raises(ConfigError, match="is owner and reviewer"):
        make_app(tmp_path, Clock(), folder=home, reviewed_by="Billing")


async def test_a_daemon_does_not_publish_a_wording_with_an_unknown_slot(tmp_path: Path) -> None:
    home = write_file(tmp_path, more="reviewer: Bo\n", body="See {stat}")
    app = make_app(tmp_path, Clock(), folder=home)
    async with AsyncExitStack() as stack:
        await app.open(stack)
        with pytest.raises(ConfigError, match=r"knowledge.folder: refund.en: .*\{stat\} is no known slot"):
            await app.take_folder()


def test_a_slot_without_a_good_value_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"knowledge.slots: \{status\}: value is 'nowhere'"):
        make_app(tmp_path, Clock(), slots={"status": {"type": "url", "value": "nowhere"}})
