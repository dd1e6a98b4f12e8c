"""harken knowledge import: all of a folder or nothing of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.commands.knowledge import import_folder, said
from bot.settings import ConfigError, Settings
from bot.store import articles, migrate
from bot.store.engine import Store, StoreError
from handoff.knowledge.article import ArticleError
from tests.bot.commands.engine import PlainEngine
from tests.handoff.factories import NOW

TWO: dict[str, Any] = {"by": "Ana", "reviewed_by": "Bo"}
BOTH = ("--by", "Ana", "--reviewed-by", "Bo")


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def shelf(sqlite_store: Store) -> Store:
    with sqlite_store.engine.begin() as connection:
        articles.create_search(connection)
    return sqlite_store


async def test_an_import_says_what_it_did_and_a_second_one_does_nothing(shelf: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "kb", hours="---\ntitle: Hours\n---\nNine.", refund="---\ntitle: Refund\n---\nFive days.")
    engine = PlainEngine()
    first = await import_folder(shelf, folder, engine, now=NOW, **TWO)
    assert said(first) == [
        "new      hours.en",
        "new      refund.en",
        "2 new, 0 changed, 0 retired, 0 unchanged; 2 embedded",
    ]
    second = await import_folder(shelf, folder, engine, now=NOW, **TWO)
    assert said(second) == ["0 new, 0 changed, 0 retired, 2 unchanged; 0 embedded"]

    write(folder, hours="---\ntitle: Hours\n---\nTen.")
    (folder / "refund.md").unlink()
    third = await import_folder(shelf, folder, engine, now=NOW, **TWO)
    assert said(third)[:2] == ["changed  hours.en", "retired  refund.en"]
    assert third.embedded == 1


async def test_one_bad_article_keeps_all_out(shelf: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "kb", good="---\ntitle: Good\n---\nFine.", bad="---\nslug: bad\n---\nNo title.")
    with pytest.raises(ArticleError):
        await import_folder(shelf, folder, PlainEngine(), now=NOW, **TWO)
    assert shelf.read_now(articles.listing) == []


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/h.db"\n', encoding="utf-8")

    def make(settings: Settings) -> PlainEngine:
        return PlainEngine()

    monkeypatch.setattr("bot.app.make_classifier", make)
    return path


def prepare(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/h.db")
    migrate.upgrade(store)
    with store.engine.begin() as connection:
        articles.create_search(connection)
    store.close()


def call(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(harken, ["--config", str(config), *arguments])


def test_the_command_imports_and_answers(config: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    folder = write(tmp_path / "kb", hours="---\ntitle: When do you open on Sundays?\n---\nWe open at **nine**.")
    imported = call(config, "knowledge", "import", str(folder), *BOTH)
    assert imported.exit_code == 0, imported.output
    assert "1 new" in imported.output

    asked = call(config, "answer", "--channel", "x", "When do you open on Sundays?")
    assert asked.exit_code == 0, asked.output
    assert "No source on x is configured" in asked.output
    assert "article     hours (en)" in asked.output
    assert "We open at nine." in asked.output


def test_the_command_says_every_fault_and_imports_nothing(config: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    folder = write(
        tmp_path / "kb", a="no front matter", b="---\ntitle: B\n---\nb", c="---\ntitle: C\nlocale: no\n---\nc"
    )
    result = call(config, "knowledge", "import", str(folder), *BOTH)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).splitlines() == [
        "a.md: has no front matter; begin with ---, title: ..., ---",
        "c.md: locale is read as bool, not as text; put it in quotes",
        "nothing was imported",
    ]


def test_a_store_without_schema_gets_one(config: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "kb", b="---\ntitle: B\n---\nb")
    result = call(config, "knowledge", "import", str(folder), *BOTH)
    assert result.exit_code == 0, result.output
    assert "1 new" in result.output


def test_a_store_with_another_schema_is_told_what_to_run(config: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    with closing(sqlite3.connect(next(tmp_path.rglob("*.db")))) as store:
        store.execute("UPDATE alembic_version SET version_num = '0000'")
        store.commit()
    folder = write(tmp_path / "kb", b="---\ntitle: B\n---\nb")
    result = call(config, "knowledge", "import", str(folder), *BOTH)
    assert isinstance(result.exception, StoreError)
    assert "harken db upgrade" in str(result.exception)


def test_an_empty_question_is_refused(config: Path) -> None:
    result = call(config, "answer", "--channel", "x", "  ")
    assert result.exit_code == 2
    assert "the question is empty" in result.output


def test_a_store_without_articles_says_how_to_get_some(config: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    result = call(config, "answer", "--channel", "x", "When do you open?")
    assert isinstance(result.exception, ConfigError)
    assert "harken knowledge import DIR" in str(result.exception)


def test_an_unknown_source_is_refused(config: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    result = call(config, "answer", "--channel", "x", "--source", "y", "When do you open?")
    assert result.exit_code == 2
    assert "--source y: no such source on x; there are: none" in result.output
