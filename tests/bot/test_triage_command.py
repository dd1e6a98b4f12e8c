from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from classifiers.triage import HEADS, Text

LABELS = [*HEADS, "language"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "harken.toml"
    path.write_text('[classifier]\nengine = "keywords"\n')
    return path


def run(config: Path, *arguments: str, rows: bytes = b"") -> Result:
    return CliRunner().invoke(harken, ["--config", str(config), *arguments], input=rows)


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_rows_come_back_labelled_in_their_order(config: Path) -> None:
    rows = [{"id": f"r{n}", "text": "refund please" if n % 2 else "thank you"} for n in range(50)]
    done = run(config, "triage", "--batch", "7", rows=lines(*rows))
    assert done.exit_code == 0, done.output
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [row["id"] for row in rows]
    assert all(list(answer) == ["id", *LABELS] for answer in answers)
    assert all(set(answer[name]) == {"label", "confidence"} for answer in answers for name in LABELS)
    assert answers[1]["intent"]["label"] == "refund_return"
    assert done.stderr == ""


def test_files_in_and_out(config: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"\xef\xbb\xbf" + lines({"id": "a", "text": "x"}) + b"\n  \n" + lines({"id": "b", "text": ""}))
    target.write_text("old")
    done = run(config, "triage", "--input", str(source), "--output", str(target))
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_half_a_character_in_a_text_is_no_error(config: Path) -> None:
    done = run(config, "triage", rows=b'{"id": "a", "text": "half \\ud83d"}\n')
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON in UTF-8"),
        (b'{"id": "a", "text": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "must be an object"),
        (b'{"text": "x"}', 'no "id"'),
        (b'{"id": "a"}', 'no "text"'),
        (b'{"id": 5, "text": "x"}', '"id" must be a string'),
        (b'{"id": "a", "text": null}', '"text" must be a string'),
        (b'{"id": "\\ud83d", "text": "x"}', "lone surrogate"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_half_written(config: Path, tmp_path: Path, row: bytes, says: str) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(lines({"id": "a", "text": "x"}) + row + b"\n")
    target.write_text("old")
    done = run(config, "triage", "--input", str(source), "--output", str(target), "--batch", "1")
    assert done.exit_code == 2
    assert "line 2 " in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert target.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl", "harken.toml"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "oracle"], "no engine is called 'oracle'; there are: keywords, transformer"),
        (["--input", "/nowhere/in.jsonl"], "/nowhere/in.jsonl"),
        (["--output", "/nowhere/out.jsonl"], "the folder /nowhere is not there"),
        (["--batch", "0"], "--batch"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(config: Path, arguments: list[str], says: str) -> None:
    done = run(config, "triage", *arguments, rows=lines({"id": "a", "text": "x"}))
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.output


def test_a_missing_model_says_what_to_do(config: Path, tmp_path: Path) -> None:
    config.write_text(f'[classifier]\nengine = "transformer"\nmodel = "{tmp_path}"\n')
    done = run(config, "triage", rows=lines({"id": "a", "text": "x"}))
    assert done.exit_code == 2
    assert "leave out the key 'model'" in done.stderr


def test_memory_stays_bounded(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million rows are never held: while they are read, answers are written."""
    from bot.commands import triage

    texts = triage._batches(io.BytesIO(lines(*({"id": str(n), "text": "x"} for n in range(1_000)))), 10)
    first, size = next(texts)
    assert [text.id for text in first] == [str(n) for n in range(10)]
    assert size == sum(len(lines({"id": str(n), "text": "x"})) for n in range(10))
    monkeypatch.setattr(triage, "MAX_LINE", 10)
    done = run(config, "triage", rows=lines({"id": "a", "text": "too long"}))
    assert done.exit_code == 2
    assert "line 1 is longer" in done.stderr


def test_a_text_that_breaks_is_named_and_the_others_are_tried(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from classifiers.engines import keywords
    from classifiers.errors import ModelFailed

    judge = keywords.Keywords._triage

    def broken(self: keywords.Keywords, rules: keywords.Rules, text: Text, language: object) -> object:
        if text.id == "bad":
            raise ModelFailed("it broke")
        return judge(self, rules, text, language)  # type: ignore[arg-type]

    monkeypatch.setattr(keywords.Keywords, "_triage", broken)
    done = run(config, "triage", rows=lines({"id": "good", "text": "x"}, {"id": "bad", "text": "y"}))
    assert done.exit_code == 2
    assert "'bad'" in done.stderr


def test_evaluate_prints_the_table_and_writes_the_report(config: Path, tmp_path: Path) -> None:
    rows = lines({"text": "refund please", "intent": "refund_return"}, {"text": "thank you", "intent": "praise"})
    done = run(config, "evaluate", "--output", str(tmp_path / "measured"), rows=rows)
    assert done.exit_code == 0, done.output
    assert "intent          2     1.000" in done.stdout
    report = json.loads((tmp_path / "measured" / "report.json").read_text())
    assert report["reports"][0]["accuracy"] == 1.0
    assert report["model"].startswith("keywords-")


def test_evaluate_takes_one_head_from_the_field_label(config: Path) -> None:
    done = run(config, "evaluate", "--head", "sentiment", rows=lines({"text": "love it", "label": "positive"}))
    assert done.exit_code == 0, done.output
    assert "sentiment       1     1.000" in done.stdout


@pytest.mark.parametrize(
    ("rows", "says"), [(b"", "no row"), (b"{", "line 1: not JSON"), (b'{"text": "x"}', "no right label")]
)
def test_evaluate_names_a_bad_row(config: Path, rows: bytes, says: str) -> None:
    done = run(config, "evaluate", rows=rows)
    assert done.exit_code == 2
    assert says in done.stderr


def test_help_imports_no_model() -> None:
    import subprocess

    code = (
        "import sys; from click.testing import CliRunner; from bot.cli import harken;"
        "CliRunner().invoke(harken, ['triage', '--help']);"
        "print(sorted({'torch', 'transformers', 'sklearn', 'lingua'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
