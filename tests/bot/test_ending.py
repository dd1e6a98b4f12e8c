"""SIGTERM ends the daemon within ten seconds, also while it still loads its model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISE_S = 10.0


def test_sigterm_while_the_model_is_loading_ends_in_time(tmp_path: Path) -> None:
    config = tmp_path / "harken.toml"
    config.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/h.db"\n[web]\nport = 0\n')
    command = [sys.executable, "-m", "bot", "run", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as daemon:
        if daemon.stdout is None or "ready" not in daemon.stdout.readline():
            daemon.kill()
            raise AssertionError("the daemon did not get ready")
        began = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=60) == 0
        assert time.monotonic() - began < PROMISE_S
