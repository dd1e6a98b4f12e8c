"""harken teach: a table of before and after, why nothing changes, a trial, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.store import migrate, teaching
from bot.store.engine import Store
from classifiers import registry
from tests.bot.corrections import add_corrected, people


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(registry.BUILT_IN, "pupil", "tests.bot.pupil")
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/harken.db"\n[classifier]\nengine = "pupil"\n')
    return path


@pytest.fixture
def desk(config: Path, tmp_path: Path) -> Iterator[Store]:
    """The store of *config*."""
    store = Store(f"sqlite:///{tmp_path}/harken.db")
    migrate.upgrade(store)
    yield store
    store.close()


def call(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(harken, ["--config", str(config), "teach", *arguments])


def test_what_is_better_is_taken_into_service_and_undone(config: Path, desk: Store) -> None:
    desk.write_now(add_corrected, people(desk, "ana", "bo"), count=30)
    taught = call(config)
    assert taught.exit_code == 0, taught.output
    assert "held-back corrections" in taught.output
    assert "intent" in taught.output
    assert "better" in taught.output
    assert "Revision 1 is in service" in taught.output
    listed = call(config, "list")
    assert "in service" in listed.output
    assert "pupil@1" in listed.output
    undone = call(config, "undo")
    assert undone.output == "Revision 1 is undone; the shipped heads judge again.\n"
    again = call(config, "undo")
    assert again.exit_code == 2
    assert "the shipped heads judge" in again.output


def test_a_trial_keeps_nothing(config: Path, desk: Store) -> None:
    desk.write_now(add_corrected, people(desk, "ana", "bo"), count=30)
    tried = call(config, "--dry-run")
    assert "A trial, nothing was kept. It is better" in tried.output
    assert desk.read_now(teaching.revisions) == []


def test_why_nothing_changes_is_said(config: Path, desk: Store) -> None:
    desk.write_now(add_corrected, people(desk, "ana"), count=30)
    refused = call(config)
    assert refused.exit_code == 0
    assert "Nothing changes: 30 left out: no second person and no lead agrees yet" in refused.output
    assert "refused" in call(config, "list").output


def test_a_store_without_corrections_says_so(config: Path) -> None:
    assert "Nothing changes: there are no corrections" in call(config).output
    assert "0 corrections no lead has seen" in call(config, "list").output


def test_an_engine_of_rules_cannot_be_taught(config: Path) -> None:
    config.write_text(config.read_text().replace("pupil", "keywords"))
    refused = call(config)
    assert refused.exit_code == 2
    assert "it judges by rules, not by heads" in refused.output
