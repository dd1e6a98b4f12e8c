"""The command line as a shell starts it: what is wrong is one sentence and exit code 2, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.settings import ConfigError, load


def run(folder: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    (folder / "config.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/harken.db"\n[web]\nhost = "256.1.1.1"\n')
    command = [sys.executable, "-m", "bot", "--config", str(folder / "config.toml"), *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("key", "add", b"\xff"), "an argument is not UTF-8 text"),
        (("user", "add", b"\xff@example.org"), "an argument is not UTF-8 text"),
        (("db", "backup", "--to", "/proc/nowhere"), "/proc/nowhere: No such file or directory"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(arguments: tuple[str | bytes, ...], says: str, tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stderr.decode()) == (2, f"harken: {says}\n")


def test_a_secret_file_that_is_no_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xfa\xfb")
    monkeypatch.setenv("HARKEN_SOURCES__X__BEARER_TOKEN_FILE", str(secret))
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[web]\nhost = 'not a host'", "web.host = 'not a host': must be an address of this machine"),
        ("[web]\npublic_url = 'javascript:alert(1)'", "must be what people type, such as https://"),
        ("[web]\npublic_url = 'https://care.example.com/?a=1'", "must be what people type"),
        ("[language_model]\nurl = 'https://m.example/v1'", "url and model belong together"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_our_words(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "config.toml")
    assert says in str(refused.value)
    assert "Value error" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "localhost", "harken-1.internal.example.com"])
def test_an_address_or_a_name_is_a_host(host: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"[web]\nhost = '{host}'\npublic_url = 'https://care.example.com/desk'\n")
    assert load(tmp_path / "config.toml").web.host == host


def test_a_mark_at_the_beginning_of_the_file_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("brand = 'Lark'", encoding="utf-8-sig")
    assert load(tmp_path / "config.toml").brand == "Lark"


@pytest.mark.parametrize("line", ["session_hours = inf", "idle_hours = 1e308", "session_hours = nan"])
def test_a_session_without_an_end_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"[web]\n{line}\n")
    with pytest.raises(ConfigError, match=r"web\.(session|idle)_hours"):
        load(tmp_path / "config.toml")
