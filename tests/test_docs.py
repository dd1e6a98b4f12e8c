"""The documents say what is so: links lead somewhere, keys, metrics and commands are named, the example works."""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlmodel import Session

from bot import metrics
from bot.cli import COMMANDS
from bot.settings import NESTED, PREFIX, Settings, load
from bot.store import posts, replies
from bot.store.engine import Store
from bot.store.tables import ReplyRow, ReplyState
from connectors.protocol import Page
from connectors.settings import SourceSettings
from handoff.policy import PolicySettings
from handoff.registry import DeskSettings
from tests.bot.factories import NOON, make_post

ROOT = Path(__file__).parent.parent
NOT_OURS = {".git", ".venv", "build", "dist", "node_modules", "var"}
CONFIG = ROOT / "config.toml"

LINK = re.compile(r"\[[^\]\[]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
CODE = re.compile(r"`[^`\n]*`")
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2", re.MULTILINE | re.DOTALL)
SWITCHED_OFF = re.compile(r"^#(?=\[|[a-z_0-9]+ = )", re.MULTILINE)
"""A key or table that stands commented out; prose has a blank after the #."""

HOMES = re.compile(r"(?<![\w:/.])/(?:home|Users|work|tmp|root|mnt|private)/\w")
REGISTRY_HOSTS = re.compile(r"files\.pythonhosted|test\.pypi\.org|[a-z0-9-]+\.(?:local|internal)\b")
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def documents() -> list[Path]:
    return sorted(
        path
        for path in ROOT.rglob("*.md")
        if not NOT_OURS & set(path.relative_to(ROOT).parts)
        and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=named)
def test_every_relative_link_leads_to_a_file_and_its_heading(path: Path) -> None:
    lost = []
    for target in LINK.findall(CODE.sub("", FENCE.sub("", path.read_text(encoding="utf-8")))):
        if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
            continue
        name, _, heading = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists() or (heading and heading not in anchors(there.read_text(encoding="utf-8"))):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("path", documents(), ids=named)
def test_no_document_knows_anybodys_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert HOMES.findall(text) == []
    assert REGISTRY_HOSTS.findall(text) == []


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key of *model* with the table it stands in."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield prefix.rstrip("."), name


def section(text: str, table: str) -> str:
    """Return what docs/configuration.md says about one table."""
    found = re.search(rf"^## \[{re.escape(table)}\].*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/configuration.md has no section ## [{table}]"
    return found.group()


@pytest.mark.parametrize(("table", "key"), sorted(keys(Settings)))
def test_every_settings_key_is_explained(table: str, key: str) -> None:
    text = read("docs/configuration.md")
    if not table and f"## [{key}" in text:
        return
    assert f"`{key}`" in (section(text, table) if table else text)


@pytest.mark.parametrize(
    ("model", "table"), [(PolicySettings, "handoff"), (SourceSettings, "sources.NAME"), (DeskSettings, "desks.NAME")]
)
def test_every_key_of_a_shared_table_is_explained(model: type[BaseModel], table: str) -> None:
    text = section(read("docs/configuration.md"), table)
    assert [key for key in model.model_fields if f"`{key}`" not in text] == []


def test_the_documents_know_every_metric_and_no_other() -> None:
    text = read("docs/operations.md")
    there = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.registry.collect()}
    assert set(re.findall(r"`(harken_[a-z_]+)`", text)) == there


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_mentioned(command: str) -> None:
    assert f"`harken {command}" in read("docs/operations.md")


def test_every_reply_state_is_explained() -> None:
    text = read("docs/reliability.md")
    assert [state for state in ReplyState if f"`{state}`" not in text] == []


def test_the_root_config_loads_and_says_what_holds_without_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("", encoding="utf-8")
    ours, plain = load(CONFIG), load(empty)
    assert ours.model_dump(exclude={"handoff"}) == plain.model_dump(exclude={"handoff"})
    assert PolicySettings.model_validate(ours.handoff) == PolicySettings()


def test_the_root_config_names_every_key() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([a-z_0-9]+) = ", text, re.MULTILINE))
    tables = set(re.findall(r"^#?\[([a-z]+)", text, re.MULTILINE))
    secrets = {name.lower() for name in re.findall(r"^# secret: HARKEN_LANGUAGE_MODEL__(\w+)", text, re.MULTILINE)}
    wanted = ({key for _, key in keys(Settings)} | set(PolicySettings.model_fields)) - secrets
    subtables = set(re.findall(r"^#?\[(?:handoff|knowledge)\.([a-z_]+)", text, re.MULTILINE))
    assert wanted - named - tables - subtables == set()


def switched_on() -> dict[str, Any]:
    return tomllib.loads(SWITCHED_OFF.sub("", CONFIG.read_text(encoding="utf-8")))


def secrets_named() -> dict[str, str]:
    return dict.fromkeys(re.findall(r"\b(HARKEN_(?:SOURCES|DESKS)__\w+)\b", CONFIG.read_text(encoding="utf-8")), SECRET)


@pytest.fixture
def switched_on_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The example with everything that is commented out switched on, and its secrets in the environment."""
    path = tmp_path / "config.toml"
    path.write_text(SWITCHED_OFF.sub("", CONFIG.read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.chdir(ROOT)
    for name, value in secrets_named().items():
        monkeypatch.setenv(name, value)
    return load(path)


@pytest.mark.parametrize("name", sorted(switched_on()["sources"]))
def test_every_source_of_the_example_can_be_switched_on(switched_on_settings: Settings, name: str) -> None:
    from bot.app import make_connectors

    table = switched_on_settings.sources[name]
    made = make_connectors(
        switched_on_settings.model_copy(update={"sources": {name: table}}), lambda: datetime(2026, 11, 2, tzinfo=UTC)
    )
    assert list(made) == [name]


@pytest.mark.parametrize("name", sorted(switched_on()["desks"]))
def test_every_desk_of_the_example_can_be_switched_on(switched_on_settings: Settings, name: str) -> None:
    from bot.app import make_desks

    table = switched_on_settings.desks[name]
    made = make_desks(
        switched_on_settings.model_copy(update={"desks": {name: table}}), lambda: datetime(2026, 11, 2, tzinfo=UTC)
    )
    assert list(made) == [name]


def test_the_policy_and_engine_of_the_example_can_be_switched_on(switched_on_settings: Settings) -> None:
    from bot.app import make_classifier, make_policy

    assert make_policy(switched_on_settings).mode("elsewhere", "product_question") == "auto"
    make_classifier(switched_on_settings)


def test_the_example_shows_every_built_in_plug_in() -> None:
    from connectors.registry import BUILT_IN as CHANNELS
    from handoff.registry import BUILT_IN as DESKS

    tables = switched_on()
    assert {each["kind"] for each in tables["sources"].values()} == set(CHANNELS)
    assert {each["kind"] for each in tables["desks"].values()} == set(DESKS)


def test_no_secret_stands_in_the_example() -> None:
    def leaves(table: Mapping[str, Any], path: str) -> Iterator[str]:
        for key, value in table.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{path}{key}.")
            else:
                yield f"{path}{key}"

    names = {name.removeprefix(PREFIX).lower().replace(NESTED, ".") for name in secrets_named()}
    assert names & set(leaves(switched_on(), "")) == set()


def test_after_a_restore_what_waited_to_be_said_is_looked_for_first(sqlite_store: Store) -> None:
    (statement,) = re.findall(r"```sql\n(.*?)```", read("docs/operations.md"), re.DOTALL)
    page = Page(posts=[make_post(number) for number in range(4)], cursor="c")
    taken = sqlite_store.write_now(posts.ingest, page, source="x", stream="mentions", now=NOON, cursor="c")
    lives = {"intended": FOREVER, "sent": FOREVER, "drafted": FOREVER, "stale": NOON}
    for post_id, (state, until) in zip(taken.new, lives.items(), strict=True):
        sqlite_store.write_now(_say, post_id, "intended" if state == "stale" else state, until)
    with sqlite_store.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    waiting = [sqlite_store.read_now(replies.errand, number) for number in range(1, 5)]
    assert [each and (each.state, each.attempts, each.last_sent_at) for each in waiting] == [
        (ReplyState.UNKNOWN, 1, NOON),
        None,
        None,
        (ReplyState.INTENDED, 0, None),
    ]


FOREVER = datetime(9000, 1, 1, tzinfo=UTC)


def _say(session: Session, post_id: int, state: str, expires_at: datetime) -> None:
    session.add(
        ReplyRow(
            key=str(post_id),
            post_id=post_id,
            source="x",
            channel="x",
            state=state,
            origin="bot",
            text="It is on its way.",
            target_revision="r",
            created_at=NOON,
            expires_at=expires_at,
        )
    )
