"""harken incidents: what bursts, and what people decide about it, with a sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli import harken
from bot.store.engine import Store
from tests.bot.web.test_incidents import add_incident
from tests.bot.web.world import add_article


@pytest.fixture
def config(tmp_path: Path, sqlite_store: Store) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "{sqlite_store.url.render_as_string(hide_password=False)}"\n', encoding="utf-8")
    return path


def say(config: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(harken, ["--config", str(config), "incidents", *words], standalone_mode=True)
    assert done.exit_code == code, done.output
    return done.output


def test_one_is_opened_by_hand_and_another_goes_on_in_it(config: Path, sqlite_store: Store) -> None:
    sqlite_store.write_now(add_incident)
    assert "intent:service_disruption                service disruption" in say(config, "topics")
    assert "there is no topic 'outage'" in say(config, "open", "outage", "--why", "NOC called", code=2)
    assert "--why" in say(config, "open", "intent:service_disruption", code=2)
    assert "there is no post 99" in say(
        config, "open", "intent:service_disruption", "--why", "x", "--post", "99", code=2
    )
    opened = say(config, "open", "intent:service_disruption", "--why", "NOC called", "--name", "Fibre cut")
    assert "Fibre cut: 0 people in 0 posts" in opened
    assert "gathers service disruption already" in say(
        config, "open", "intent:service_disruption", "--why", "x", code=2
    )
    shown = say(config, "show", "2")
    assert ": NOC called; no case yet" in shown
    assert "cannot be merged into itself" in say(config, "merge", "2", "2", "--yes", code=2)
    assert "no such incident: 7" in say(config, "merge", "1", "7", "--yes", code=2)
    assert "15 posts" in say(config, "merge", "1", "2", code=1), "it asks once more"
    assert "Fibre cut: 15 people in 15 posts" in say(config, "merge", "1", "2", "--yes")
    assert "gathers service disruption, delivery item; merged into it: 1" in say(config, "show", "2")
    assert "merged into incident 2 by" in say(config, "show", "1")
    assert "it was merged into incident 2" in say(config, "close", "1", code=2)


def test_the_way_of_an_incident(config: Path, sqlite_store: Store) -> None:
    assert say(config) == "No incident so far.\n"
    sqlite_store.write_now(add_incident)
    sqlite_store.write_now(add_article)
    assert "delivery item: 15 people in 15 posts" in say(config)
    assert "choose the article first" in say(config, "start", "1", "--yes", code=2)
    assert "no article 'nothing' may be said now" in say(config, "choose", "1", "nothing", code=2)
    say(config, "choose", "1", "late-parcel")
    assert "sending" in say(config, "start", "1", "--pace", "5", "--yes")
    assert "the pace is 1 to 600" in say(config, "start", "1", "--pace", "0", "--yes", code=2)
    assert "open" in say(config, "pause", "1")
    shown = say(config, "show", "1")
    assert "15 people within 15 minutes, 1.2 were to be expected" in shown
    assert shown.count("not answered") == 16
    post = next(line.split()[1] for line in shown.splitlines() if line.startswith("  post"))
    say(config, "take-out", "1", post)
    assert "taken out" in say(config, "show", "1")
    assert "closed" in say(config, "close", "1")
    assert "closed" in say(config, "close", "1", code=2)
    assert "no such incident" in say(config, "show", "7", code=2)


def test_a_number_that_no_row_has_is_a_mistake_of_the_caller(config: Path) -> None:
    for words in (["show"], ["close"], ["merge", "1"], ["take-out", "1"]):
        said = say(config, *words, "9" * 25, code=2)
        assert "is not in the range" in said
