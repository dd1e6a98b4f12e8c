"""The demo as a visitor meets it: one command, and a brand's day is heard, triaged, answered and handed over."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEMO = "deploy/demo/config.toml"
NETWORKS = ("x", "reddit", "mastodon", "bluesky")
SPEED = 600
"""Ten times the demo's own speed: its first two hours pass in twelve seconds."""


class Visitor:
    """Starts the demo's daemon in a folder of its own and asks its API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(
            ROOT / "deploy" / "demo", folder / "deploy" / "demo", ignore=shutil.ignore_patterns("__pycache__")
        )
        speeds = {f"HARKEN_SOURCES__{network.upper()}__SPEED": str(SPEED) for network in NETWORKS}
        self.environment = {**os.environ, **speeds, "PYTHONPATH": str(ROOT), "HARKEN_WEB__PORT": "0"}
        self.said: list[str] = []
        self.daemon = self._start("run", "--config", DEMO, "--sign-in-link")
        self.address = self._hear(r"ready at (\S+)")
        self.link = self._hear(r"Sign in once with (\S+)")
        self.key = ""

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bot", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def _hear(self, pattern: str) -> str:
        for line in self.daemon.stdout or ():
            self.said.append(line)
            if found := re.search(pattern, line):
                return found[1]
        raise AssertionError(f"the daemon never said {pattern!r}: {self.said}")

    def get_a_key(self) -> None:
        with self._start("key", "add", "visitor", "--role", "viewer", "--config", DEMO) as made:
            self.key = re.search(r"harken_[\w-]+", made.communicate()[0])[0]  # type: ignore[index]

    def all_of(self, noun: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = self._get(f"/api/v1/{noun}?limit=200{cursor}")
            items += answer["items"]
            if answer["next"] is None:
                return items
            cursor = f"&cursor={answer['next']}"

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self.address + path, headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def wait_for(self, fact: Callable[[], bool], *, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if fact():
                return True
            time.sleep(0.5)
        return False

    def stop(self) -> int:
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.communicate(timeout=60)
        return self.daemon.returncode

    def ledger(self) -> list[dict[str, Any]]:
        files = [self.folder / "var" / "demo" / f"ledger-{network}.jsonl" for network in NETWORKS]
        return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    visitor = Visitor(tmp_path_factory.mktemp("visit"))
    try:
        yield visitor
    finally:
        if visitor.daemon.poll() is None:
            visitor.daemon.kill()
            visitor.daemon.communicate()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_visitor_sees_a_brands_day(visitor: Visitor) -> None:
    visitor.get_a_key()
    assert visitor.wait_for(lambda: any(post["labels"] for post in visitor.all_of("posts")), timeout_s=120)

    def two_hours_have_passed() -> bool:
        states = Counter(reply["state"] for reply in visitor.all_of("replies"))
        contexts = [case["context"] for case in visitor.all_of("cases")]
        return (
            states["sent"] > 0
            and states["drafted"] > 0
            and any(context["thread"] and context["history"] for context in contexts)
        )

    assert visitor.wait_for(two_hours_have_passed, timeout_s=120)
    assert {post["channel"] for post in visitor.all_of("posts")} == set(NETWORKS)
    assert visitor.stop() == 0
    keys = Counter(entry["key"] for entry in visitor.ledger())
    assert keys, "the networks took replies"
    assert set(keys.values()) == {1}, "every reply exactly once"
