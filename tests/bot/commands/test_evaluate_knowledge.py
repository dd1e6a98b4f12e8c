"""harken evaluate knowledge: the figures of the shipped model, and the arithmetic behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bot.cli import harken
from handoff.knowledge.measure import Doubted


def mixed() -> Doubted:
    """Two known questions, one answered rightly, and four that nothing answers, one of them answered."""
    return Doubted(
        name="small",
        sure=np.array([0.95, 0.6, 0.92, 0.1, 0.2, 0.3]),
        right=np.array([True, False, False, False, False, False]),
        known=np.array([True, True, False, False, False, False]),
    )


def test_at_a_bar_both_kinds_of_question_weigh_the_same() -> None:
    right, false, covered = mixed().at(0.9)
    assert right == pytest.approx(0.5 / (0.5 + 0.25))
    assert false == pytest.approx(0.25)
    assert covered == pytest.approx(0.5)
    nothing, *_ = mixed().at(0.99)
    assert np.isnan(nothing)


def test_the_curve_begins_with_the_surest_and_ends_with_everything() -> None:
    covered, wrong = mixed().curve()
    assert (covered[0], wrong[0]) == (0.5, 0.0)
    assert covered[-1] == 0.5
    assert wrong[-1] == pytest.approx(0.75)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_shipped_model_finds_and_doubts_as_the_document_says(shared: Path, tmp_path: Path) -> None:
    document = tmp_path / "figures.md"
    document.write_text("# Here\n<!-- figures -->\n<!-- /figures -->\n")
    (tmp_path / "config.toml").write_text("")
    words = ["--config", str(tmp_path / "config.toml"), "evaluate", "knowledge", "--data", str(shared / "data")]
    result = CliRunner().invoke(harken, [*words, "--document", str(document), "--output", str(tmp_path / "drawn")])
    assert result.exit_code == 0, result.output
    rows = [line for line in document.read_text().splitlines() if line.startswith(("| stackfaq", "| login"))]
    shown = (Path(__file__).parents[3] / "docs" / "answers.md").read_text().splitlines()
    assert [row.split("|")[1:3] for row in rows] == [
        row.split("|")[1:3] for row in shown if row.startswith(("| stackfaq", "| login"))
    ]
    at_the_bar = next(row for row in rows if row.startswith("| stackfaq") and "| 0.9 |" in row).split("|")
    said_right, said_falsely, answered = map(float, at_the_bar[4:7])
    assert said_right >= 0.97
    assert said_falsely < 0.02
    assert answered >= 0.4
    assert (tmp_path / "drawn" / "risk-coverage.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_folder_it_asks_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARKEN_SHARED", raising=False)
    (tmp_path / "config.toml").write_text("")
    result = CliRunner().invoke(harken, ["--config", str(tmp_path / "config.toml"), "evaluate", "knowledge"])
    assert result.exit_code == 2
    assert "name the folder of the sets with --data" in result.output
