"""harken answer --input with the shipped model, and folders that were not written for Harken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken

SPANISH = "El reembolso llega en cinco d\u00edas h\u00e1biles."
ARTICLES = {
    "refund.en.md": "---\ntitle: When do I get my refund?\n---\nRefunds reach your bank within five working days.",
    "refund.es.md": f"---\ntitle: \u00bfCu\u00e1ndo recibo mi reembolso?\n---\n{SPANISH}",
    "hours.md": "---\ntitle: When do you open on Sundays?\n---\nOn Sundays we open at nine.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "articles"
    place.mkdir()
    for name, text in ARTICLES.items():
        (place / name).write_text(text, encoding="utf-8")
    return place


def call(folder: Path, rows: list[Any], *more: str) -> tuple[Result, list[dict[str, Any]]]:
    source, target = folder.parent / "q.jsonl", folder.parent / "a.jsonl"
    source.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    config = folder.parent / "config.toml"
    config.write_text("")
    words = ["--config", str(config), "answer", "--knowledge", str(folder), "--channel", "webhook"]
    result = CliRunner().invoke(harken, [*words, "--input", str(source), "--output", str(target), *more])
    lines = target.read_text(encoding="utf-8").splitlines() if target.exists() else []
    return result, [json.loads(line) for line in lines]


def test_each_question_gets_its_article_its_text_and_the_ranking_of_all(folder: Path) -> None:
    result, answers = call(
        folder,
        [
            {"id": "a", "text": "how long does a refund take to arrive?", "language": "en"},
            {"id": 7, "text": "\u00bfcu\u00e1ndo me devuelven el dinero del reembolso?", "language": "es"},
            {"id": "c", "text": "when do you open on Sundays?"},
            {"id": "d", "text": "who won the football cup last night?", "language": "en"},
        ],
    )
    assert result.exit_code == 0, result.output
    assert [each["id"] for each in answers] == ["a", 7, "c", "d"]
    assert [each["article"] for each in answers[:3]] == ["refund", "refund", "hours"]
    assert answers[0]["text"] == "Refunds reach your bank within five working days."
    assert answers[1]["text"] == SPANISH
    assert all(sorted(each["ranking"]) == ["hours", "refund"] for each in answers)
    assert all(each["ranking"][0] == each["article"] for each in answers)
    assert (answers[2]["sent"], answers[3]["sent"]) == (True, False)
    assert answers[3]["confidence"] < 0.35


def test_a_folder_that_was_not_written_for_us_is_read_with_a_note(folder: Path) -> None:
    (folder / "gift-cards.fr.md").write_text("# Les cartes cadeaux\n\nElles sont valables un an.\n", encoding="utf-8")
    (folder / "other.md").write_text("---\nid: a/b\ntitle: Lost cards\nweight: 3\n---\nCall us.", encoding="utf-8")
    result, answers = call(folder, [{"id": 1, "text": "my card is lost", "language": "en"}])
    assert result.exit_code == 0, result.output
    assert "gift-cards.fr.md: has no front matter" in result.output
    assert "read as gift-cards (fr)" in result.output
    assert sorted(answers[0]["ranking"]) == ["a/b", "hours", "refund"]
    assert answers[0]["article"] == "a/b"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": 1}, 'line 1 has no "text"'),
        ({"id": 1, "text": "a", "language": 3}, 'line 1 "language" must be a string such as en'),
        ("{", "line 1 is not JSON"),
    ],
)
def test_a_bad_row_is_named_and_leaves_no_output(folder: Path, row: Any, said: str) -> None:
    result, answers = call(folder, [row])
    assert result.exit_code == 2
    assert said in result.output
    assert answers == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either one QUESTION or --input FILE"),
        (["--output", "a.jsonl", "hello?"], "--output goes with --input FILE"),
        ([" "], "the question is empty"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "config.toml").write_text("")
    result = CliRunner().invoke(harken, ["--config", str(tmp_path / "config.toml"), "answer", "--channel", "x", *words])
    assert result.exit_code == 2
    assert said in result.output


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "README.md").write_text("no article")
    result, _ = call(tmp_path / "none", [{"id": 1, "text": "hello"}])
    assert result.exit_code == 2
    assert "holds no article" in result.output
