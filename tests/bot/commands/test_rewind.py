"""``harken rewind`` as a person types it: the table, the document, and a clear word where something is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.settings import ConfigError
from bot.store.engine import Store, StoreError
from classifiers import registry
from connectors.channels.replay.recording import read as read_recording
from tests.bot.corrections import add_corrected, people
from tests.bot.yesterday import MONEY, PARCEL, WHERE, Yesterday, dump
from tests.classifiers.school import JARGON
from tests.networks.clock import system_clock

Run = Callable[..., Result]

HANDOFF = """
[handoff]
earned = false
auto_answer_confidence = 0.5
draft_answer_confidence = 0.2
"""
AUTO = HANDOFF + '[handoff.intents]\ndelivery_item = "auto"\nrefund_return = "auto"\n'
STRICTER = HANDOFF + '[handoff.intents]\nrefund_return = "auto"\n'
ARTICLE = (
    "---\ntitle: Where is my parcel?\nowner: care\nreviewer: editor\n---\nFollow it at https://lark.example/where\n"
)


@pytest.fixture
def run(tmp_path: Path, sqlite_store: Store) -> Run:
    recording = tmp_path / "day.jsonl"
    recording.write_text("", encoding="utf-8")
    config = tmp_path / "config.toml"
    source = (
        f'[sources.x]\nkind = "replay"\nchannel = "x"\npath = "{recording}"\nledger = "{tmp_path}/ledger"\n'
        'account = { id = "1", handle = "us" }\n'
    )
    config.write_text(
        f'[store]\nurl = "sqlite:///{sqlite_store.url.database}"\n[classifier]\nengine = "keywords"\n{AUTO}{source}',
        encoding="utf-8",
    )
    assert read_recording(recording) is not None

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(harken, ["--config", str(config), "rewind", *arguments])

    return invoke


@pytest.fixture
def day(sqlite_store: Store) -> Yesterday:
    day = Yesterday(sqlite_store)
    day.clock.now = system_clock() - timedelta(hours=3)

    async def live() -> None:
        await day.hear(1, author="ana")
        await day.hear(2, WHERE + "\x1b[31m", author="bo")
        await day.hear(3, MONEY, intent="refund_return", author="cy")

    asyncio.run(live())
    return day


def write(folder: Path, text: str) -> str:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_without_anything_tried_it_says_that_all_goes_as_it_went(run: Run, day: Yesterday) -> None:
    done = run("--days", "1")
    assert done.exit_code == 0, done.output
    assert "0 of 3 posts would have gone another way" in done.output
    assert "Nothing was sent, nothing was changed." in done.output


def test_differences_come_first_and_nothing_is_written(
    run: Run, day: Yesterday, tmp_path: Path, sqlite_store: Store
) -> None:
    before = dump(sqlite_store)
    done = run("--days", "1", "--policy", write(tmp_path, STRICTER))
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("2 of 3 posts would have gone another way")
    assert lines[4] == "  said alone before, draft now: 2 - because delivery_item is no longer automatic"
    assert lines[5] == "      really: 2 said"
    assert "  said alone                           3        1" in lines
    assert "\x1b" not in done.output, "what a stranger wrote does not reach the terminal"
    assert dump(sqlite_store) == before
    assert not (tmp_path / "ledger").exists()


def test_a_program_gets_one_document_with_all_ids(run: Run, day: Yesterday, tmp_path: Path) -> None:
    done = run("--days", "1", "--policy", write(tmp_path, STRICTER), "--json", "--examples", "1")
    document = json.loads(done.stdout)
    (group,) = document["groups"]
    assert (group["posts"], group["count"], len(group["examples"])) == ([day.ids[1], day.ids[2]], 2, 1)
    assert document["rewound"]["ways"] == {"alone": 1, "draft": 2, "people": 0, "nothing": 0}


def test_a_folder_that_lacks_an_article_hands_its_posts_over(run: Run, day: Yesterday, tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / f"{PARCEL.slug}.md").write_text(ARTICLE, encoding="utf-8")
    done = run("--days", "1", "--articles", str(folder))
    assert "said alone before, handed over now: 1 - because no article is likely to answer it" in done.output
    done = run("--days", "1", "--without", "refund")
    assert "said alone before, handed over now: 1 - because no article is likely to answer it" in done.output


def mislabelled(store: Store) -> Yesterday:
    """Live a day in which a parcel was taken for a complaint."""
    day = Yesterday(store)
    day.clock.now = system_clock() - timedelta(hours=3)
    asyncio.run(day.hear(1, "where is my parcel? it has not arrived", intent="complaint"))
    return day


@pytest.mark.parametrize("engine", ["keywords", "transformer"])
def test_labels_are_made_anew_by_the_configured_model(
    run: Run, engine: str, tmp_path: Path, sqlite_store: Store
) -> None:
    day = mislabelled(sqlite_store)
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace('"keywords"', f'"{engine}"'))
    before = dump(sqlite_store)
    done = run("--days", "1", "--rejudge", "--json")
    assert done.exit_code == 0, done.output
    (group,) = json.loads(done.stdout)["groups"]
    assert (group["before"], group["posts"]) == ("handed over before", [day.ids[1]])
    assert group["because"] == "this holds no more: complaint always goes to people"
    assert group["is_asked"] is True
    told = run("--days", "1", "--rejudge").output.splitlines()
    assert told[0].startswith("1 of 1 posts would have gone another way")
    assert told[2] == "Because of what you try:"
    assert dump(sqlite_store) == before
    assert "0 of 1 posts would have gone another way" in run("--days", "1").output, "the stored labels stay"


def test_labels_are_made_anew_with_what_corrections_taught(
    run: Run, tmp_path: Path, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "pupil", "tests.bot.pupil")
    config = tmp_path / "config.toml"
    queues = '[handoff.queues]\ntechnical_issue = "tech"\n[handoff.intents]'
    config.write_text(config.read_text().replace('"keywords"', '"pupil"').replace("[handoff.intents]", queues))
    day = Yesterday(sqlite_store)
    day.clock.now = system_clock() - timedelta(hours=3)
    asyncio.run(day.hear(1, f"{JARGON} of ours", intent="complaint"))
    shipped = run("--days", "1", "--rejudge")
    assert "0 of 1 posts would have gone another way" in shipped.output, "the shipped heads know no better"
    sqlite_store.write_now(add_corrected, people(sqlite_store, "ana", "bo"), count=30, first=100)
    assert "in service" in CliRunner().invoke(harken, ["--config", str(config), "teach"]).output
    before = dump(sqlite_store)
    taught = run("--days", "1", "--rejudge", "--json")
    assert taught.exit_code == 0, taught.output
    groups = json.loads(taught.stdout)["groups"]
    assert [(each["now"], each["posts"]) for each in groups] == [("to queue tech now", [day.ids[1]])]
    assert groups[0]["because"] == "this holds no more: complaint always goes to people"
    assert dump(sqlite_store) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[handoff]\nmod = 'draft'", "handoff.mod: no such key"),
        ("[handoff]\nmode = 'loud'", "handoff.mode = 'loud'"),
        ("[handoff.intents]\nparcels = 'auto'", "'parcels' is no intent"),
        ("[handoff.caps]\ntotal_per_hour = -1", "handoff.caps.total_per_hour = -1"),
        ("[handoff.sources.y]\nmode = 'off'", "handoff.sources.y: no source has this name; there are: x"),
        ("[handof]\nmode = 'draft'", "handof: no such table"),
        ("mode = 'draft'", "has no table [handoff]"),
        ("", "has no table [handoff]"),
        ("[handoff", "is not TOML"),
    ],
)
def test_a_bad_policy_is_refused_by_the_name_of_its_key(run: Run, tmp_path: Path, text: str, said: str) -> None:
    done = run("--policy", write(tmp_path, text))
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
    assert "policy.toml: " in str(done.exception) or "policy.toml is" in str(done.exception)


def test_what_cannot_be_rewound_is_said(run: Run, tmp_path: Path) -> None:
    done = run("--days", "1")
    assert "Nothing that can be rewound was decided" in done.output
    for days in ("0", "-1", "nan", "99999"):
        assert "--days must be above 0" in run("--days", days).output
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "holds no article" in run("--articles", str(folder)).output
    (tmp_path / "latin.toml").write_bytes(b"[handoff]\n# \xe9")
    assert "is not UTF-8 text: byte 12" in run("--policy", str(tmp_path / "latin.toml")).output


def test_without_a_store_none_is_made(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/none.db"\n', encoding="utf-8")
    done = CliRunner().invoke(harken, ["--config", str(config), "rewind"])
    assert isinstance(done.exception, StoreError)
    assert "there is no past" in str(done.exception)
    assert not (tmp_path / "none.db").exists()
