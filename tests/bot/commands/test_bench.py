from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli import harken


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bench_of_triage_shows_both_sides_and_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text("".join(json.dumps({"text": f"order {n} never came, please help me"}) + "\n" for n in range(60)))
    said = CliRunner().invoke(harken, ["bench", "triage", "--input", str(path), "--posts", "40"])
    assert said.exit_code == 0, said.output
    plain, engine = (float(re.search(rf"\({side}\) \D*([0-9.]+) posts/s", said.output)[1]) for side in "ab")  # type: ignore[index]
    limits = re.findall(r"\(c\) limit (\w+) +([0-9.]+) posts/s", said.output)
    assert [name for name, _ in limits] == ["float32", "bfloat16", "int8"]
    assert all(float(limit) > 0 for _, limit in limits)
    times = re.search(r"([0-9]+\.[0-9]) times", said.output)
    assert times is not None
    # Both are printed with one place, which is much of a slow side.
    assert float(times[1]) == pytest.approx(engine / plain, abs=0.06 + 0.06 * engine / plain**2 + 0.06 / plain)
    assert "40 texts" in said.output


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text('{"words": "none"}\n')
    said = CliRunner().invoke(harken, ["bench", "triage", "--input", str(path)])
    assert said.exit_code == 2
    assert "needs the form" in said.output
