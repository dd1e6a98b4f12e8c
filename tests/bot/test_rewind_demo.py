"""The demo's day, played once and rewound by a stricter policy: what it prints is what hand-made cases say."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlmodel import Session, col, select

from bot.cli import harken
from bot.store.engine import Store
from bot.store.tables import Origin, PostRow, ReplyRow, ReplyState
from tests.bot.rehearsal import ROOT, demo_tables, play
from tests.bot.yesterday import dump

DOWNLOADS = "@nimbrook flying on friday, can I download stuff in the app to watch on the plane?"
OWN_ROUTER = "Question for @nimbrook: must I use your router or can I keep my own?"
APP = "@nimbrook app dies the second I open it since last night's update. Android, if that helps"
"""Of deploy/demo/texts: the first two ask about the product, the last one about trouble with it."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo")
    asyncio.run(play(home))
    (home / "config.toml").write_text(as_toml(demo_tables(home)), encoding="utf-8")
    return home


def as_toml(tables: dict[str, Any]) -> str:
    """Return *tables* as TOML, each table in one line."""

    def value(each: object) -> str:
        if isinstance(each, dict):
            return "{ " + ", ".join(f"{key} = {value(inner)}" for key, inner in each.items()) + " }"
        return json.dumps(each)

    return "\n".join(f"{key} = {value(each)}" for key, each in tables.items()) + "\n"


def rewind(home: Path, *arguments: str) -> Any:
    done = CliRunner().invoke(
        harken, ["--config", str(home / "config.toml"), "rewind", "--days", "1", "--json", *arguments]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def said_alone(session: Session) -> dict[str, dict[int, str]]:
    """Return intent -> post id -> text of what the bot answered alone."""
    query = select(ReplyRow, PostRow).join(PostRow, col(PostRow.id) == col(ReplyRow.post_id))
    found: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for reply, post in session.exec(query.where(ReplyRow.origin == Origin.BOT, ReplyRow.state == ReplyState.SENT)):
        found[reply.intent or ""][post.id or 0] = post.text
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stricter_policy_makes_the_difference_that_hand_made_cases_say(home: Path) -> None:
    store = Store(f"sqlite:///{home}/harken.db")
    try:
        before, alone = dump(store), store.read_now(said_alone)
        same = rewind(home)
        assert (same["groups"], same["different"]) == ([], 0), "by the policy of the day all goes as it went"
        assert same["decided"] > 300

        handoff = tomllib.loads((ROOT / "deploy/demo/config.toml").read_text(encoding="utf-8"))["handoff"]
        del handoff["intents"]["product_question"]
        stricter = home / "stricter.toml"
        stricter.write_text(as_toml({"handoff": handoff}), encoding="utf-8")
        report = rewind(home, "--policy", str(stricter), "--examples", "50")

        (group,) = [each for each in report["groups"] if each["before"] == "said alone before"]
        count = len(alone["product_question"])
        assert group["said"] == (
            f"said alone before, draft now: {count} - because product_question is no longer automatic"
        )
        assert sorted(group["posts"]) == sorted(alone["product_question"])
        assert group["ended"] == {"said": count}
        examples = {each["text"]: each for each in group["examples"]}
        assert (examples[DOWNLOADS]["before_article"], examples[DOWNLOADS]["article"]) == ("downloads", "downloads")
        assert examples[OWN_ROUTER]["to"] == "queue support"
        assert "a person approves product_question on x" in examples[OWN_ROUTER]["reasons"]
        # What another intent answers alone is still said.
        assert APP in alone["technical_issue"].values()
        assert not set(alone["technical_issue"]) & {post for each in report["groups"] for post in each["posts"]}
        kept = report["happened"]["ways"]["alone"] - count
        assert report["rewound"]["ways"]["alone"] == kept

        assert dump(store) == before
    finally:
        store.close()
