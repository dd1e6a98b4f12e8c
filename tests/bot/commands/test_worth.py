"""harken knowledge worth, gaps and draft: figures and reasons in words, JSON for programs, clear refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from sqlmodel import Session

from bot.cli import harken
from bot.store import editions, people
from bot.store.engine import Store
from bot.store.roles import Role
from bot.store.tables import ArticleRow, Origin, Outcome, PostRow, ReplyState
from handoff.guards import NO_ANSWER
from tests.bot.web.world import add_article, add_author, add_draft, add_post, add_source, add_triage

NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(days=1)


def fill(session: Session) -> None:
    add_source(session)
    article = add_article(session, "bad", updated_at=NOW - timedelta(days=400))
    add_article(session, "old", updated_at=NOW - timedelta(days=400), title="Old")
    for number, text in enumerate(
        ("does it work with fibre", "does it work with my fibre", "where is the shop", "hello there @a secret words")
    ):
        author = add_author(session, f"a{number}")
        more: dict[str, Any] = {"outcome": Outcome.ESCALATED, "reasons": [NO_ANSWER], "created_at": YESTERDAY}
        post = add_post(session, number, author_id=author, text=text, is_private=number == 3, **more)
        add_triage(session, post, intent="product_question")
    for number in range(10, 30):
        post = add_post(session, number, author_id=1, created_at=YESTERDAY, tell=False)
        values: dict[str, Any] = {"article_id": article, "key": str(number), "origin": Origin.DRAFT}
        more = {"state": ReplyState.SENT, "approved_by": 1, "sent_at": YESTERDAY, "created_at": YESTERDAY}
        add_draft(session, post, None, **values, **more, is_edited=number < 25)


@pytest.fixture
def config(tmp_path: Path, sqlite_store: Store) -> Path:
    sqlite_store.write_now(people.add, email="ana@b.example", name="Ana", role=Role.AGENT, now=NOW)
    sqlite_store.write_now(fill)
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "{sqlite_store.url.render_as_string(hide_password=False)}"\n', encoding="utf-8")
    return path


def say(config: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(harken, ["--config", str(config), "knowledge", *words], standalone_mode=True)
    assert done.exit_code == code, done.output
    return done.output


def test_worth_tells_what_became_of_each_article_and_why_to_act(config: Path) -> None:
    told = say(config, "worth")
    lines = told.splitlines()
    assert lines[0].split()[:4] == ["article", "shown", "sent", "alone"]
    assert lines[1].split()[:7] == ["bad.en", "20", "20", "0", "5", "15", "0"]
    assert lines[2].split() == ["revise", *"people changed 15 of 20 drafts: 53.1 % at least".split()]
    assert "  retire  it was not shown once in 90 days" in lines
    assert lines[-1] == "2 articles in 90 days, 1 to revise, 1 to retire"
    document = orjson.loads(say(config, "worth", "--json", "--days", "30"))
    assert [(each["name"], each["act"]) for each in document["items"]] == [("bad.en", "revise"), ("old.en", "retire")]


def test_gaps_tells_what_no_article_answered(config: Path) -> None:
    told = say(config, "gaps")
    assert "    2x  does it work with fibre  [1]" in told
    assert "product_question 2; x 2; en 2; 2 people" in told
    assert "        - does it work with my fibre" in told
    assert "secret words" not in say(config, "gaps", "--least", "1")
    assert told.splitlines()[-1] == (
        "4 questions without an article in 30 days; 1 asked 2 times or more, 2 questions more seldom"
    )
    document = orjson.loads(say(config, "gaps", "--json"))
    assert (document["asked"], document["alone"], document["gaps"][0]["asked"]) == (4, 2, 2)


def test_a_gap_becomes_a_draft_by_its_number(config: Path, sqlite_store: Store) -> None:
    told = say(config, "draft", "1", "--by", "ana@b.example")
    assert told == "does-it-work-with-fibre.en is a draft now, with 2 questions and no wording.\n"
    number = sqlite_store.read_now(editions.by_name, "does-it-work-with-fibre")
    row = sqlite_store.read_now(lambda session: session.get_one(ArticleRow, number).model_dump())
    assert (row["state"], row["wordings"], row["version"]) == ("draft", {}, 0)
    assert "does-it-work-with-fibre.en is being written" in say(config, "gaps")
    assert "is being written already" in say(config, "draft", "1", "--by", "ana@b.example", code=2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("draft", "999", "--by", "ana@b.example"), "there is no gap 999 in 30 days"),
        (("draft", "4", "--by", "ana@b.example"), "asked in private messages only"),
        (("draft", "1", "--by", "nobody@b.example"), "nobody who may sign in has this address"),
        (("draft", "1"), "Missing option '--by'"),
        (("gaps", "--days", "0"), "is not in the range"),
        (("gaps", "--least", "0"), "is not in the range"),
        (("worth", "--days", "400"), "is not in the range"),
        (("draft", "x", "--by", "a"), "is not a valid integer"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_clear_sentence(config: Path, words: tuple[str, ...], told: str) -> None:
    assert told in say(config, *words, code=2)


def test_an_empty_store_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/h.db"\n', encoding="utf-8")
    assert say(path, "worth").splitlines()[-1] == "0 articles in 90 days, 0 to revise, 0 to retire"
    assert say(path, "gaps").startswith("0 questions without an article in 30 days")


def test_a_viewer_writes_no_draft(config: Path, sqlite_store: Store) -> None:
    sqlite_store.write_now(people.add, email="vi@b.example", name="Vi", role=Role.VIEWER, now=NOW)
    assert "takes the role agent" in say(config, "draft", "1", "--by", "vi@b.example", code=2)


def test_what_was_deleted_since_is_no_gap(config: Path, sqlite_store: Store) -> None:
    def delete(session: Session) -> None:
        session.get_one(PostRow, 1).deleted_at = NOW

    sqlite_store.write_now(delete)
    told = say(config, "gaps", "--least", "1")
    assert "does it work with my fibre" in told
    assert "[1]" not in told
