"""``harken stop``, ``resume``, ``status`` and ``retract``, as a person types them; also with the database gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.brakes import flags
from bot.cli import harken
from bot.store import brakes, posts, retractions, sources
from bot.store.engine import Store
from bot.store.tables import Origin, ReplyRow, ReplyState
from connectors.post import Post
from connectors.protocol import Page
from handoff.brake import EVERYTHING, Scope, Target
from tests.bot.brand import make_tables, source_on
from tests.bot.factories import make_author
from tests.networks.clock import system_clock
from tests.networks.faults import Trouble, serve_in_thread
from tests.networks.x import BRAND, XNetwork
from tests.room import no_room

Run = Callable[..., Result]


@pytest.fixture
def network() -> Iterator[XNetwork]:
    with serve_in_thread(XNetwork()) as network:
        yield network


@pytest.fixture
def run(tmp_path: Path, sqlite_store: Store, network: XNetwork) -> Run:
    """Run a command on the store, with a source x on *network* and one that only plays a recording."""
    table = make_tables(tmp_path, sources={"x": source_on(network, timeout_s=20.0)})["sources"]["x"]
    keys = "\n".join(
        f"{key} = {value if isinstance(value, (int, float)) else repr(value)}" for key, value in table.items()
    )
    config = tmp_path / "config.toml"
    config.write_text(
        f'[store]\nurl = "sqlite:///{sqlite_store.url.database}"\n[sources.x]\n{keys}\n', encoding="utf-8"
    )
    sqlite_store.write_now(sources.configure, {"x": ("x", "x")})

    def invoke(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(harken, ["--config", str(config), *arguments], input=typed)

    return invoke


@pytest.fixture
def folder(sqlite_store: Store) -> Path:
    return Path(str(sqlite_store.url.database)).parent / "brakes"


def say(store: Store, network: XNetwork, number: int, *, minutes_ago: float = 5) -> str:
    """Let the bot have said something on the network; return its id there."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    asked = network.say(f"@{BRAND.handle} where is it {number}?", at=at)
    said = network.say("It is on its way.\x1b[31m", at=at, author=BRAND, reply_to=asked)
    post = Post(channel="x", id=asked, author=make_author(f"c{number}"), text="where is it?", created_at=at)
    done = store.write_now(
        posts.ingest, Page(posts=[post], cursor="c"), source="x", stream="mentions", now=at, cursor="c"
    )
    row = ReplyRow(
        key=f"k{number}",
        post_id=done.new[0],
        source="x",
        channel="x",
        state=ReplyState.SENT,
        origin=Origin.BOT,
        text="It is on its way.\x1b[31m",
        target_revision=post.revision,
        created_at=at,
        expires_at=at + timedelta(hours=6),
        sent_at=at,
        remote_id=said,
        remote_url=f"https://x.com/larkparcel/status/{said}",
    )
    store.write_now(lambda session: session.add(row))
    return said


def test_stop_status_resume(run: Run, folder: Path, sqlite_store: Store) -> None:
    assert "Nothing is stopped." in run("status").output
    done = run("stop", "--why", "wrong prices")
    assert done.exit_code == 0, done.output
    assert "Stopped on this machine: everything" in done.output
    assert "Stopped everywhere" in done.output
    assert flags.stands(folder, EVERYTHING)
    shown = run("status").output
    assert "stopped: everything, by " in shown
    assert "command line" in shown
    assert "wrong prices" in shown
    done = run("resume", "--why", "mended", "--yes")
    assert done.exit_code == 0, done.output
    assert not flags.stands(folder, EVERYTHING)
    (row,) = sqlite_store.read_now(brakes.overview).history
    assert row.set_who.endswith("command line")
    assert (row.released_who, row.released_why) == (row.set_who, "mended")


def test_resume_asks_once_more_and_takes_a_reason(run: Run, folder: Path) -> None:
    run("stop")
    assert run("resume").exit_code == 2
    assert run("resume", "--why", "mended", typed="n\n").exit_code == 1
    assert flags.stands(folder, EVERYTHING)
    assert run("resume", "--why", "mended", typed="y\n").exit_code == 0
    assert not flags.stands(folder, EVERYTHING)
    done = run("resume", "--why", "mended", "--yes")
    assert done.exit_code == 2
    assert "no brake stands on everything" in done.output


def test_stop_works_with_the_database_gone_and_resume_does_not(
    run: Run, folder: Path, sqlite_store: Store, tmp_path: Path
) -> None:
    path = Path(str(sqlite_store.url.database))
    sqlite_store.close()
    for each in path.parent.glob(f"{path.name}*"):
        each.rename(tmp_path / f"away-{each.name}")
    path.mkdir()
    done = run("stop", "--why", "wrong prices")
    assert done.exit_code == 0
    assert "Stopped on this machine: everything" in done.output
    assert "run harken stop there too" in done.output
    assert flags.stands(folder, EVERYTHING)
    assert "stopped: everything" in run("status").output
    assert run("resume", "--why", "mended", "--yes").exit_code != 0
    assert flags.stands(folder, EVERYTHING)


def test_stop_works_on_a_full_disk(run: Run, folder: Path, sqlite_store: Store) -> None:
    sqlite_store.close()
    with no_room():
        done = run("stop", "--why", "wrong prices")
    assert done.exit_code == 0, done.output
    assert "Stopped on this machine: everything" in done.output
    assert "run harken stop there too" in done.output
    assert "Stopped everywhere" not in done.output
    assert flags.stands(folder, EVERYTHING)


def test_a_stop_that_nothing_takes_is_no_stop(run: Run, folder: Path, sqlite_store: Store) -> None:
    sqlite_store.close()
    path = Path(str(sqlite_store.url.database))
    path.unlink()
    path.mkdir()
    folder.write_text("a file where the folder was")
    done = run("stop", "--why", "wrong prices")
    assert done.exit_code == 1
    assert "NOTHING WAS STOPPED" in done.output
    assert "topped on this machine" not in done.output


def test_a_stop_that_no_file_takes_is_in_the_store(run: Run, folder: Path, sqlite_store: Store) -> None:
    folder.write_text("a file where the folder was")
    done = run("stop", "--why", "wrong prices")
    assert done.exit_code == 0, done.output
    assert "the database was told" in done.output
    assert "Stopped on this machine" not in done.output
    (row,) = sqlite_store.read_now(brakes.overview).standing
    assert row.set_why == "wrong prices"


def test_a_misspelt_file_is_told_of(run: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "STOP").touch()
    said = run("status").output
    assert "STOP stops nothing; everything is stopped by a file 'stop'" in said
    assert "Nothing is stopped." in said


def test_releasing_one_brake_says_what_still_stands(run: Run) -> None:
    run("stop")
    run("stop", "--source", "x")
    said = run("resume", "--why", "mended", "--yes").output
    assert "Released: everything; still stopped: source x." in said
    said = run("resume", "--source", "x", "--why", "mended", "--yes").output
    assert "every process goes on within a second" in said


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--source", "twiter", "there is no source 'twiter'; there are: x"),
        ("--intent", "delivery", "there is no intent 'delivery'"),
        ("--article", "percel", "there is no article 'percel'; the page /articles shows them; nothing was stopped"),
    ],
)
def test_a_typing_error_stops_nothing_and_says_so(run: Run, folder: Path, option: str, name: str, said: str) -> None:
    done = run("stop", option, name)
    assert done.exit_code == 2
    assert said in done.output
    assert "topped on this machine" not in done.output
    assert not folder.exists() or flags.read(folder) == []


def test_one_topic_at_a_time(run: Run, folder: Path) -> None:
    assert run("stop", "--source", "x").exit_code == 0
    assert [each.target for each in flags.read(folder)] == [Target(scope=Scope.SOURCE, name="x")]
    done = run("stop", "--source", "x", "--intent", "praise")
    assert done.exit_code == 2
    assert "name one of" in done.output
    assert run("resume", "--source", "x", "--why", "mended", "--yes").exit_code == 0


def test_retract_lists_deletes_and_tells(run: Run, sqlite_store: Store, network: XNetwork) -> None:
    recent = [say(sqlite_store, network, number) for number in (1, 2)]
    older = say(sqlite_store, network, 3, minutes_ago=40)
    dry = run("retract", "--last", "15m", "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert dry.output.count("It is on its way.") == 2
    assert f"https://x.com/larkparcel/status/{recent[0]}" in dry.output
    assert "to @c1" in dry.output
    assert "\x1b" not in dry.output
    assert "Nothing was deleted." in dry.output
    assert all(int(each) in network.tweets for each in (*recent, older))
    done = run("retract", "--last", "15m", "--why", "wrong prices", typed="y\n")
    assert done.exit_code == 0, done.output
    assert "2 retracted" in done.output
    assert [int(each) in network.tweets for each in (*recent, older)] == [False, False, True]
    assert {each.asked_who.endswith("command line") for each in sqlite_store.read_now(retractions.latest)} == {True}


def test_retract_asks_for_a_reason_and_once_more(run: Run, sqlite_store: Store, network: XNetwork) -> None:
    said = say(sqlite_store, network, 1)
    assert "say why" in run("retract").output
    assert run("retract", "--why", "w", typed="n\n").exit_code == 1
    assert int(said) in network.tweets


def test_what_cannot_be_deleted_is_told_plainly(run: Run, sqlite_store: Store, network: XNetwork) -> None:
    say(sqlite_store, network, 1)
    network.fail_writes(Trouble.REJECTED, times=None)
    done = run("retract", "--why", "wrong prices", "--yes")
    assert "refused: " in done.output
    assert "delete it there by hand" in done.output
    assert "1 refused" in done.output


def test_what_still_waits_is_told_and_left_to_the_daemon(run: Run, sqlite_store: Store, network: XNetwork) -> None:
    say(sqlite_store, network, 1)
    network.fail_writes(Trouble.RATE_LIMITED_WITH_RESET, until=system_clock() + timedelta(minutes=9))
    done = run("retract", "--why", "wrong prices", "--yes", "--wait", "1")
    assert done.exit_code == 1
    assert "1 still wait" in done.output


@pytest.mark.parametrize("last", ["soon", "40d", "0m"])
def test_a_time_that_makes_no_sense_is_refused_with_an_example(run: Run, last: str) -> None:
    done = run("retract", "--last", last)
    assert done.exit_code == 2
    assert "15m" in done.output
