"""harken guards: every guard by name, what is earned, and whom the bot leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot.cli import harken
from bot.store import drafts, people, posts
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import ArticleBrakeRow
from connectors.protocol import Page
from handoff.automation import roster
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import NOON, make_post
from tests.handoff.factories import make_policy


@pytest.fixture
def config(tmp_path: Path, sqlite_store: Store) -> Path:
    page = Page(posts=[make_post(1)], cursor="c")
    sqlite_store.write_now(posts.ingest, page, source="x", stream="mentions", now=NOON, cursor="c")
    sqlite_store.write_now(lambda session: session.add(ArticleBrakeRow(slug="parcel", pulled_at=NOON, said=20)))
    path = tmp_path / "config.toml"
    url = sqlite_store.url.render_as_string(hide_password=False)
    path.write_text(
        f'[store]\nurl = "{url}"\n[handoff.intents]\npraise = "auto"\n[handoff.guards]\nstale = false\n'
        '[sources.day]\nkind = "replay"\nchannel = "x"\npath = "none.jsonl"\naccount = { id = "1", handle = "us" }\n',
        encoding="utf-8",
    )
    return path


def say(config: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(harken, ["--config", str(config), "guards", *words], standalone_mode=True)
    assert done.exit_code == code, done.output
    return done.output


def test_every_guard_is_listed_with_a_line(config: Path) -> None:
    told = say(config)
    for guard in roster(make_policy()):
        (line,) = [line for line in told.splitlines() if line.split()[:1] == [guard.name]]
        assert guard.because in line
    assert "stale             OFF" in told
    assert "opted_out         always" in told


def test_what_is_earned_says_what_is_missing(config: Path) -> None:
    assert say(config, "earned") == (
        "people  praise on day: nobody has judged an answer yet; 5 % may be wrong; "
        "drafted until 73 more without a fault earn it\n"
    )


async def test_a_draft_that_a_person_passed_over_counts(config: Path, sqlite_store: Store) -> None:
    bench = Bench(sqlite_store, mode="draft", now=datetime.now(UTC) - timedelta(hours=1))
    bench.hear(make_post(2, author="bo", created_at=bench.now))
    await bench.decide()
    assert "delivery_item" not in say(config, "earned")
    who = sqlite_store.write_now(people.add, email="a@b.example", name="A", role=Role.AGENT, now=bench.now).id
    draft = bench.replies()[-1]
    own: dict[str, Any] = {"text": "Ours burnt down.", "nonce": "n", "send": True, "revision": None}
    case_id, now = draft.case_id or 0, datetime.now(UTC)
    sqlite_store.write_now(drafts.write, case_id, post_id=draft.post_id, user_id=who, now=now, **own)
    assert "people  delivery_item on x: 1 of 1 wrong" in say(config, "earned")


def test_an_article_is_released_once(config: Path) -> None:
    assert "parcel" in say(config, "brakes")
    assert say(config, "release", "parcel") == "parcel may be said alone again.\n"
    assert "does not wait for anybody" in say(config, "release", "parcel", code=2)


def test_authors_are_muted_and_listed(config: Path) -> None:
    assert say(config, "authors") == "The bot leaves nobody alone.\n"
    say(config, "mute", "x", "@ana")
    say(config, "opt-out", "x", "ana")
    assert "@ana" in say(config, "authors")
    assert "opted out and muted" in say(config, "authors")
    say(config, "unmute", "x", "ana")
    say(config, "opt-in", "x", "ana")
    assert say(config, "authors") == "The bot leaves nobody alone.\n"
    assert "nobody called 'bo' wrote to us on x" in say(config, "mute", "x", "bo", code=2)
