"""harken knowledge check, export, list, publish, retire, restore, diff: two people, clear tables, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.settings import ConfigError, Settings
from bot.store import articles, editions, migrate, people
from bot.store.engine import Store
from bot.store.roles import Role
from handoff.knowledge.article import Article
from tests.bot.commands.engine import PlainEngine
from tests.handoff.factories import NOW

REFUND = Article(slug="refund", locale="en", title="Refund", owner="billing", wordings={"default": "Five days."})
HEAD = "---\ntitle: When do I get my refund?\nowner: billing team\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    slot = '[knowledge.slots]\nstatus = { type = "url", value = "https://example.com/" }\n'
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/h.db"\n{slot}', encoding="utf-8")

    def make(settings: Settings) -> PlainEngine:
        return PlainEngine()

    monkeypatch.setattr("bot.app.make_classifier", make)
    return path


@pytest.fixture
def shelf(config: Path, tmp_path: Path) -> Store:
    """The store of *config*, with a lead and an admin, and an article in review that the admin wrote."""
    store = Store(f"sqlite:///{tmp_path}/h.db")
    migrate.upgrade(store)
    for name, role in (("lea", Role.LEAD), ("ole", Role.ADMIN), ("bo", Role.AGENT)):
        store.write_now(people.add, email=f"{name}@example.org", name=name.title(), role=role, now=NOW)
    article_id = store.write_now(editions.create, REFUND, user_id=2, now=NOW)
    store.write_now(editions.submit, article_id, version=1, user_id=2, now=NOW)
    store.close()
    return store


def call(config: Path, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(harken, ["--config", str(config), "knowledge", *arguments])
    if not isinstance(result.exception, ConfigError):
        assert result.exit_code == code, result.output
    return result


def said(tmp_path: Path) -> list[str]:
    store = Store(f"sqlite:///{tmp_path}/h.db")
    try:
        return [each.article.name for each in store.read_now(articles.entries)]
    finally:
        store.close()


def test_publishing_by_command_takes_a_second_person(config: Path, shelf: Store, tmp_path: Path) -> None:
    refused = call(config, "publish", "refund", "--by", "ole@example.org", code=2)
    assert "you edited version 1 yourself; publishing takes two people" in refused.output
    assert "takes the role lead" in call(config, "publish", "refund", "--by", "bo@example.org", code=2).output
    assert "nobody who may sign in" in call(config, "publish", "refund", "--by", "x@example.org", code=2).output
    assert "there is no article" in call(config, "publish", "nothing", "--by", "lea@example.org", code=2).output
    assert said(tmp_path) == []
    done = call(config, "publish", "refund.en", "--by", "lea@example.org")
    assert "refund.en version 1 is in force" in done.output
    assert said(tmp_path) == ["refund.en"]
    record = call(config, "diff", "refund").output
    assert "Lea published version 1" in record
    assert "Ole submitted version 1" in record


def test_retiring_and_restoring_by_command(config: Path, shelf: Store, tmp_path: Path) -> None:
    call(config, "publish", "refund", "--by", "lea@example.org")
    assert "refund is retired" in call(config, "retire", "refund", "--by", "lea@example.org", "--note", "wrong").output
    assert said(tmp_path) == []
    assert "draft 2" in call(config, "restore", "refund", "1", "--by", "bo@example.org").output
    assert said(tmp_path) == []
    assert "versions 1 and 2 are the same" in call(config, "diff", "refund", "1", "2").output
    assert "there is no version 9" in call(config, "restore", "refund", "9", "--by", "bo@example.org", code=2).output


@pytest.mark.parametrize(
    ("head", "options", "why"),
    [
        (HEAD, (), "refund.en: names no reviewer; publishing takes two people"),
        (HEAD + "reviewer: Billing Team\n", (), "refund.en: 'billing team' is owner and reviewer"),
        (HEAD, ("--reviewed-by", "billing  team"), "refund.en: 'billing team' is owner and reviewer"),
        ("---\ntitle: T\n", ("--reviewed-by", "Bo"), "refund.en: names no owner; publishing takes two people"),
        ("---\ntitle: T\n", ("--by", "bo", "--reviewed-by", "Bo"), "refund.en: 'bo' is owner and reviewer"),
        (HEAD + "reviewer: Bo\nchannels: {x: 'See {stat}'}\n", (), "refund.en: x: {stat} is no known slot"),
    ],
)
def test_an_import_by_one_person_is_refused(
    head: str, options: tuple[str, ...], why: str, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / "refund.md").write_text(f"{head}---\nFive days.", encoding="utf-8")
    result = call(config, "import", str(folder), *options)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(why)
    assert str(result.exception).endswith("nothing was imported")
    store = Store(f"sqlite:///{tmp_path}/h.db")
    assert store.read_now(articles.entries) == []
    store.close()


@pytest.mark.parametrize("options", [(), ("--reviewed-by", "Nobody")])
def test_an_import_that_two_people_stand_for_is_taken(options: tuple[str, ...], config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / "refund.md").write_text(f"{HEAD}reviewer: Bo\n---\nFive days.", encoding="utf-8")
    assert "1 new" in call(config, "import", str(folder), *options).output
    assert "billing team imported version 1" in call(config, "diff", "refund").output
    assert "Bo published version 1" in call(config, "diff", "refund").output


def test_the_config_may_name_who_stands_for_a_folder(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / "refund.md").write_text("---\ntitle: T\n---\nFive days.", encoding="utf-8")
    text = config.read_text(encoding="utf-8")
    config.write_text(
        text.replace("[knowledge.slots]", '[knowledge]\nby = "Ana"\nreviewed_by = "Bo"\n[knowledge.slots]')
    )
    assert "1 new" in call(config, "import", str(folder)).output


def test_a_check_tells_each_channel_and_ends_with_two_on_a_fault(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    good = f"{HEAD}reviewer: Bo\nchannels: {{x: 'Five days: {{status}}'}}\n---\nFive working days, after we have it."
    (folder / "refund.md").write_text(good, encoding="utf-8")
    fine = call(config, "check", str(folder))
    row = next(line for line in fine.output.splitlines() if line.startswith("refund.en"))
    assert row.split() == ["refund.en", "x", "34/280", "weighted", "1", "23", "-", "ready"]
    assert "1 articles, 0 faults, 0 warnings, 0 due" in fine.output

    due = good.replace("reviewer: Bo", "reviewer: Bo\nreview_by: 2020-01-01").replace(
        "after we", "a@example.org, after we"
    )
    (folder / "refund.md").write_text(due.replace("Five days:", "Mail a@example.org, see"), encoding="utf-8")
    warned = call(config, "check", str(folder))
    assert "due      refund.en: to be looked at again until 2020-01-01, owner billing team" in warned.output
    assert "warning  refund.en: holds an e-mail address" in warned.output
    assert call(config, "check", str(folder), "--strict", code=2).exit_code == 2

    (folder / "refund.md").write_text(
        good.replace("{status}", "{stat}").replace("Bo", "billing team"), encoding="utf-8"
    )
    bad = call(config, "check", str(folder), code=2)
    assert "fault    refund.en x: {stat} is no known slot; there are: status" in bad.output
    assert "fault    refund.en: 'billing team' is owner and reviewer" in bad.output
    assert not (tmp_path / "h.db").exists(), "a check of a folder touches no store"


def test_a_check_without_a_folder_looks_at_the_store(config: Path, shelf: Store) -> None:
    found = call(config, "check")
    assert "1 articles, 0 faults" in found.output


def test_a_slot_without_a_good_value_is_a_fault_of_the_config(config: Path, shelf: Store) -> None:
    text = config.read_text(encoding="utf-8").replace("https://example.com/", "example")
    config.write_text(text, encoding="utf-8")
    result = call(config, "check")
    assert isinstance(result.exception, ConfigError)
    assert "knowledge.slots: {status}: value is 'example'; a url is https://host/path" in str(result.exception)


def test_an_export_is_imported_without_a_change(config: Path, shelf: Store, tmp_path: Path) -> None:
    call(config, "publish", "refund", "--by", "lea@example.org")
    call(config, "retire", "refund", "--by", "lea@example.org")
    call(config, "restore", "refund", "1", "--by", "bo@example.org")
    out = tmp_path / "out"
    assert "2 files written" in call(config, "export", str(out)).output
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.md")) == ["drafts/refund.md", "refund.md"]
    assert "is not empty" in call(config, "export", str(out), code=2).output
    again = call(config, "import", str(out)).output
    assert "0 new, 0 changed, 0 retired, 2 unchanged" in again


def test_a_list_tells_where_articles_stand(config: Path, shelf: Store) -> None:
    line = call(config, "list").output.splitlines()[0]
    assert line.split() == ["refund.en", "in_review", "0", "billing"]
    assert "0 articles" in call(config, "list", "--state", "published").output
    assert "0 articles" in call(config, "list", "--due").output
