"""``python -m bot`` as people start it: what goes wrong is one clear sentence and an exit code, never a traceback."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
READY_S = 60.0
GONE_S = 10.0
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config that hears nobody: no source, keywords for a model, pages on a free port."""
    return write(tmp_path, "")


def write(folder: Path, more: str, *, store: str | None = None, port: int = 0) -> Path:
    """Write ``config.toml`` into *folder*; *more* is further TOML."""
    path = folder / "config.toml"
    path.write_text(
        f'[store]\nurl = "{store or f"sqlite:///{folder}/harken.db"}"\n[web]\nport = {port}\n'
        f'[classifier]\nengine = "keywords"\n{more}\n',
        encoding="utf-8",
    )
    return path


def environment() -> dict[str, str]:
    """The environment without anything that configures us."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HARKEN_")}


def harken(*arguments: str | Path, before: Callable[[], None] | None = None, **names: str) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "bot", *map(str, arguments)],
        cwd=ROOT,
        env=environment() | names,
        capture_output=True,
        text=True,
        timeout=READY_S,
        preexec_fn=before,
    )
    return done.returncode, done.stdout, done.stderr


def sentence(outcome: tuple[int, str, str], *, code: int = 2) -> str:
    """Return what was said on stderr, after checking that it is what a person can use."""
    got, _, said = outcome
    log_and_hint = ("{", "No source is configured yet")
    told = [line for line in said.splitlines() if not line.startswith(log_and_hint)]
    assert "Traceback" not in said
    assert "unforeseen" not in said
    assert got == code, said
    assert len(told) >= 1
    return "\n".join(told)


@contextmanager
def running(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the daemon inside the block, from ready on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "run", "--config", str(path)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline() if process.stdout is not None else ""
        if not first.startswith("Harken is ready at http://127.0.0.1:"):
            process.kill()
            pytest.fail(f"{first!r}\n{process.communicate()[1]}")
        yield process
    finally:
        process.kill()
        process.communicate()


def is_gone(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return exit code and the rest of stderr of a daemon that was told to stop."""
    began = time.monotonic()
    _, said = process.communicate(timeout=GONE_S)
    assert time.monotonic() - began < GONE_S
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_signal_ends_it_with_success(config: Path, number: signal.Signals) -> None:
    with running(config) as process:
        process.send_signal(number)
        code, said = is_gone(process)
    assert code == 0, said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_second_daemon_on_the_same_file_is_refused(config: Path) -> None:
    with running(config) as process:
        began = time.monotonic()
        said = sentence(harken("run", "--config", config))
        assert time.monotonic() - began < 15
        assert "another harken runs on" in said
        assert len(said.splitlines()) == 1
        process.send_signal(signal.SIGTERM)
        assert is_gone(process)[0] == 0


@pytest.mark.slow
def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = sentence(harken("run", "--config", write(tmp_path, "", port=port)))
    assert f"web.port = {port}" in said
    assert "in use" in said
    assert "HARKEN_WEB__PORT" in said


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[sources.x]\nkind = 'x'\nbearer_tokn = 'a'", "sources.x.bearer_tokn: no such key"),
        ("[sources.shop]\nkind = 'telegraph'", "sources.shop.kind = 'telegraph'"),
        ("[desks.d]\nkind = 'letterbox'", "desks.d.kind = 'letterbox'"),
        ("[desks.d]\nkind = 'webhook'\nurl = 'nowhere'\nsecret = 'whsec_short'", "desks.d.url"),
        ("[handoff]\nmode = 'loud'", "handoff.mode = 'loud'"),
        ("[handoff.intents]\nrumour = 'auto'", "rumour"),
        ("[knowledge]\nfolder = 'no/such/folder'", "knowledge.folder"),
        ("[wrok]\nbatch = 1", "wrok: no such key"),
        ("[work]\nbatch = 0", "work.batch = 0"),
        ("[handoff.due_hours]\np1 = inf", "handoff.due_hours.p1 = inf"),
        ("[handoff.due_hours]\np1 = 1e9", "handoff.due_hours.p1"),
        ("[handoff]\nlanguages = ['english']", "'english' is no language code"),
        ("[work\nbatch = 1", "is not TOML"),
    ],
)
def test_a_mistake_in_the_config_is_named_by_key(tmp_path: Path, more: str, expected: str) -> None:
    said = sentence(harken("run", "--config", write(tmp_path, more)))
    assert expected in said
    assert len(said.splitlines()) <= 3


@pytest.mark.parametrize(
    ("table", "expected"),
    [("engine = 'oracle'", "classifier.engine = 'oracle'"), ("engine = 'keywords'\nrulez = 1", "classifier")],
)
def test_a_mistake_about_the_model_is_named(tmp_path: Path, table: str, expected: str) -> None:
    path = write(tmp_path, "")
    path.write_text(path.read_text(encoding="utf-8").replace('engine = "keywords"', table), encoding="utf-8")
    assert expected in sentence(harken("run", "--config", path))


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    assert "nowhere.toml cannot be read" in sentence(harken("run", "--config", tmp_path / "nowhere.toml"))


def test_an_unknown_role(config: Path) -> None:
    said = sentence(harken("run", "--config", config, "--roles", "poll,dance"))
    assert "poll" in said
    assert "work" in said


def test_an_environment_variable_with_a_typo(config: Path) -> None:
    assert "HARKEN_STOER__URL" in sentence(harken("run", "--config", config, HARKEN_STOER__URL="sqlite:///x.db"))


@pytest.mark.parametrize("url", ["mysql://localhost/harken", "sqlite://", "not a url"])
def test_a_store_that_cannot_be_is_named(tmp_path: Path, url: str) -> None:
    assert "store.url" in sentence(harken("run", "--config", write(tmp_path, "", store=url)))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "harken.db").write_bytes(b"this is a letter, not a database. " * 200)
    said = sentence(harken("run", "--config", write(tmp_path, "")))
    assert "not a database" in said
    assert "back-up" in said


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "harken.db")) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('9999')"
        )
    assert "newer than this Harken" in sentence(harken("run", "--config", write(tmp_path, "")))


def like_anybody() -> None:
    """Take from root the right to write what is read-only; others never had it."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder with a database, neither of which may be written."""
    folder = tmp_path / "state"
    folder.mkdir()
    file = folder / "harken.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (a)")
    file.chmod(0o444)
    folder.chmod(0o555)
    yield file
    folder.chmod(0o755)


def test_a_database_that_may_not_be_written(tmp_path: Path, read_only: Path) -> None:
    path = write(tmp_path, "", store=f"sqlite:///{read_only}")
    said = sentence(harken("run", "--config", path, before=like_anybody))
    assert str(read_only.parent) in said
    assert "ermission" in said or "written" in said


def test_a_folder_that_may_not_be_made(tmp_path: Path, read_only: Path) -> None:
    path = write(tmp_path, "", store=f"sqlite:///{read_only.parent}/deeper/harken.db")
    said = sentence(harken("run", "--config", path, before=like_anybody))
    assert str(read_only.parent) in said


def full() -> None:
    """Let no file grow beyond 40 kB: as near to a full disk as a test may come."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_960, 40_960))


def test_a_disk_that_is_full_at_the_start(config: Path) -> None:
    """Not a mistake of whoever started it: exit code 1, so that a supervisor tries again."""
    said = sentence(harken("run", "--config", config, before=full), code=1)
    assert "the database cannot be used: " in said


def test_check_speaks_of_every_fault_at_once(tmp_path: Path) -> None:
    more = "[sources.one]\nkind = 'telegraph'\n[sources.two]\nkind = 'x'\nbearer_tokn = 'a'\n"
    said = sentence(harken("check", "--offline", "--config", write(tmp_path, more)))
    assert "telegraph" in said
    assert "bearer_tokn" in said


def test_check_asks_for_the_article_that_private_matters_need(tmp_path: Path) -> None:
    said = harken("check", "--offline", "--config", write(tmp_path, "[handoff.private]\narticle = 'nope'\n"))
    assert said[0] == 2
    assert "handoff.private.article = 'nope': no published article is called so" in "".join(said[1:])


def test_no_secret_is_ever_said(tmp_path: Path) -> None:
    more = "[sources.x]\nkind = 'x'\nbearer_token = 'canary-4711'\nhandle = 'too long a handle, far too long'\n"
    _, out, said = harken("check", "--offline", "--config", write(tmp_path, more))
    assert "canary-4711" not in out + said
    assert "sources.x.handle" in said


def rows(said: str) -> list[dict[str, Any]]:
    """The log lines among *said*."""
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_the_log_is_one_json_object_a_line(config: Path) -> None:
    with running(config) as process:
        process.send_signal(signal.SIGTERM)
        _, said = is_gone(process)
    assert [row["event"] for row in rows(said)][-1] == "daemon.stopped"
    assert all(line.startswith("{") or "No source" in line for line in said.splitlines()), said
