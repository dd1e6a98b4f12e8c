"""The floors hold, and a room nobody planned is noticed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[\w.\-]+")
PACKAGES = ("bot", "classifiers", "connectors", "handoff")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the house that a test may spoil."""
    for package in PACKAGES:
        left_out = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=left_out)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_every_file_has_a_name_that_any_tool_takes() -> None:
    """A slip of a shell leaves files behind whose names hold quotes and blanks."""
    top = [path for path in ROOT.iterdir() if path.name not in {".git", ".venv", "var", "build", "dist"}]
    inner = [path for package in (*PACKAGES, "tests", "docs", "deploy") for path in (ROOT / package).rglob("*")]
    odd = [path.name for path in (*top, *inner) if not NAME.fullmatch(path.name)]
    assert not odd


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as go; go()", "--no-cache"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, check=False, timeout=100)


def test_the_floors_hold(house: Path) -> None:
    done = lint(house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "text", "broken"),
    [
        ("bot/helpers.py", "", "every room has a floor"),
        ("connectors/utils.py", "", "every room has a floor"),
        ("bot/store/loud.py", "import bot.daemon\n", "an arrow points down"),
        ("connectors/curious.py", "import handoff.case\n", "bot stands on handoff"),
        ("bot/stages/sneaky.py", "import sqlalchemy\n", "SQL lives in bot.store"),
        ("handoff/vendor.py", "import tweepy\n", "vendor libraries live in connectors.channels"),
        ("bot/stages/eager.py", "import handoff.drafting.text\n", "known only where people read it"),
        ("bot/store/posts.py", "import bot.store.suggestions\n", "no way leads from a language model's words"),
        ("handoff/shortcut.py", "import connectors.channels.x\n", "nobody imports a channel"),
        (
            "handoff/wish.py",
            "import typing\nif typing.TYPE_CHECKING:\n    import bot.app\n",
            "bot stands on",
        ),
    ],
)
def test_a_stray_room_or_arrow_fails(house: Path, path: str, text: str, broken: str) -> None:
    (house / path).write_text(text)
    done = lint(house)
    assert done.returncode != 0
    flat = " ".join(done.stdout.split())
    assert any(f"{name} BROKEN" in flat for name in _names(house) if broken in name), flat


def _names(house: Path) -> list[str]:
    lines = (house / ".importlinter").read_text().splitlines()
    return [line.removeprefix("name = ") for line in lines if line.startswith("name = ")]
