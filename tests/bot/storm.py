"""One daemon process of a storm: ``python -m tests.bot.storm SETTINGS.json poll,work`` runs until SIGTERM."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from bot.app import App
from bot.daemon import Daemon, Role
from bot.settings import Settings
from classifiers import registry


def main(path: Path, roles: str) -> None:
    """Run the daemon of the settings in *path*, and say ``ready`` once it is."""
    registry.BUILT_IN["rules"] = "tests.bot.rules"
    settings = Settings(**json.loads(path.read_text(encoding="utf-8")))
    daemon = Daemon(App(settings), [Role(each) for each in roles.split(",")])

    def ready(port: int | None) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    asyncio.run(daemon.run(on_ready=ready))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
