from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.commands.figures import END, START, NoMarkers, replaced
from bot.commands.machine import machine

POST = {"urgency": "high", "sentiment": "negative", "abusive": 0, "source": "twacs"}
SETS: dict[str, list[dict[str, Any]]] = {
    "triage_posts": [
        {"text": "refund please", "intent": "refund_return", **POST},
        {"text": "thank you so much", "intent": "praise", **POST, "urgency": "low", "sentiment": "positive"},
    ],
    "umsab_sentiment": [{"text": "danke", "label": "positive", "lang": "de"}],
    "sms_spam": [{"text": "see you later", "label": "ham"}],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "harken.toml"
    path.write_text('[classifier]\nengine = "keywords"\n')
    return path


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as HARKEN_SHARED names it, with three small sets."""
    for name, rows in SETS.items():
        folder = tmp_path / "shared" / "data" / name
        folder.mkdir(parents=True)
        lines = b"".join(json.dumps({"id": str(n), **row}).encode() + b"\n" for n, row in enumerate(rows))
        (folder / "validation.jsonl.gz").write_bytes(gzip.compress(lines))
    monkeypatch.setenv("HARKEN_SHARED", str(tmp_path / "shared"))
    return tmp_path / "shared"


def run(config: Path, *arguments: object, rows: bytes = b"") -> Result:
    return CliRunner().invoke(harken, ["--config", str(config), "evaluate", *map(str, arguments)], input=rows)


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


URGENT = lines(
    {"text": "stranded at the airport right now", "urgency": "high", "lang": "en", "kind": "post"},
    {"text": "danke", "urgency": "low", "lang": "de", "kind": "chat"},
    {"text": "how do i change my plan", "urgency": "normal", "lang": "en", "kind": "chat"},
)


def test_it_prints_the_risk_the_labels_the_urgent_the_languages_and_the_kinds(config: Path) -> None:
    done = run(config, "--head", "urgency", rows=URGENT)
    assert done.exit_code == 0, done.output
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["wrong", "among", "the", "surest", "100%", "90%", "75%", "50%"] in words
    assert ["recall", "of", "high", "at", "precision", ">=", "0.5:", "1.000"] in words
    assert [line[:2] for line in words if line[:1] in (["en"], ["de"], ["chat"], ["post"])] == [
        ["en", "2"],
        ["de", "1"],
        ["chat", "2"],
        ["post", "1"],
    ]
    assert [line[-1] for line in words if line[:1] in (["high"], ["normal"], ["low"])] == ["1", "1", "1"]


def test_rows_without_a_kind_get_no_table_of_kinds(config: Path) -> None:
    done = run(config, rows=lines({"text": "thank you", "intent": "praise"}))
    assert "intent: language" in done.stdout
    assert "kind" not in done.stdout


def test_the_folder_holds_the_report_and_two_pictures_of_each_head(config: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_bytes(URGENT)
    first, second = tmp_path / "first", tmp_path / "deep" / "second"
    for folder in (first, second):
        done = run(config, "--input", source, "--output", folder)
        assert done.exit_code == 0, done.output
    names = {f"{kind}-{head}.png" for kind in ("confusion", "reliability") for head in ("urgency", "language")}
    assert {path.name for path in first.iterdir()} == names | {"report.json"}
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    urgency = json.loads((first / "report.json").read_text())["reports"][0]
    assert (urgency["head"], urgency["rows"], urgency["recall_of_high"]) == ("urgency", 3, 1.0)
    assert {name: part["rows"] for name, part in urgency["by_kind"].items()} == {"chat": 2, "post": 1}
    assert sum(each["rows"] for each in urgency["bins"]) == 3
    assert len(urgency["confusion"]) == len(urgency["names"])


def test_without_rows_the_sets_of_the_shared_folder_are_measured(config: Path, shared: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "--config", str(config), "evaluate"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HARKEN_SHARED": str(shared)},
    )
    assert "| triage_posts | intent | 2 | 1.000 |" in done.stdout
    assert "| umsab_sentiment | sentiment | 1 |" in done.stdout


def test_piped_rows_are_measured_even_where_a_shared_folder_is_known(config: Path, shared: Path) -> None:
    done = run(config, rows=lines({"text": "thank you", "intent": "praise"}))
    assert done.exit_code == 0, done.output
    assert "triage_posts" not in done.stdout
    assert "intent          1     1.000" in done.stdout


def test_a_document_gets_figures_floors_aims_and_how_they_were_measured(
    config: Path, shared: Path, tmp_path: Path
) -> None:
    document = tmp_path / "docs" / "triage.md"
    document.parent.mkdir()
    document.write_text(f"# Ours\n\nbefore\n\n{START}\nold\n{END}\n\nafter, by hand\n")
    done = run(config, "--data", shared / "data", "--document", document, "--output", tmp_path / "docs" / "pictures")
    assert done.exit_code == 0, done.output
    text = document.read_text()
    assert text.startswith(f"# Ours\n\nbefore\n\n{START}\n* Measured: {datetime.now(UTC).date()}\n* Model: keywords-")
    assert text.endswith(f"{END}\n\nafter, by hand\n")
    assert "\nold\n" not in text
    assert "| intent accuracy | triage_posts | 1.000 | 0.730 | 0.900 | aim |" in text
    assert "| calibration error of intent | triage_posts |" in text
    assert "| ≤ 0.050 | ≤ 0.020 |" in text
    assert "| toxicity macro F1 | tweeteval_offensive | not measured | 0.770 | 0.822 |  |" in text
    assert f"* Machine: {machine()}" in text
    assert '--data "$HARKEN_SHARED/data"' in text
    assert str(shared) not in text
    assert "Not in the folder and so not measured: triage_gold, airline_tweets," in text


def test_the_pictures_that_a_document_shows_are_there(config: Path, shared: Path, tmp_path: Path) -> None:
    document = tmp_path / "new.md"
    done = run(config, "--data", shared / "data", "--document", document, "--output", tmp_path / "pictures")
    assert done.exit_code == 0, done.output
    shown = [line.partition("](")[2].rstrip(")") for line in document.read_text().splitlines() if line.startswith("![")]
    assert sorted(shown) == sorted(
        f"pictures/{kind}-{head}.png"
        for kind in ("confusion", "reliability")
        for head in ("intent", "sentiment", "urgency", "spam")
    )
    assert all((tmp_path / path).stat().st_size < 60_000 for path in shown)
    report = json.loads((tmp_path / "pictures" / "report.json").read_text())
    assert list(report["sets"]) == list(SETS)
    assert report["goals"][0]["validation"] == "1.000"


def test_a_second_run_replaces_only_the_figures(config: Path, shared: Path, tmp_path: Path) -> None:
    document = tmp_path / "new.md"
    run(config, "--data", shared / "data", "--document", document)
    once = document.read_text()
    document.write_text(once + "\nby hand\n")
    run(config, "--data", shared / "data", "--document", document)
    assert document.read_text() == once + "\nby hand\n"


def test_one_head_and_a_few_rows_of_each_set_make_a_trial(config: Path, shared: Path) -> None:
    done = run(config, "--data", shared / "data", "--limit", "1", "--head", "intent")
    assert done.exit_code == 0, done.output
    assert "| triage_posts | intent | 1 |" in done.stdout
    assert "sentiment" not in done.stdout.partition("### Sets")[2].partition("* triage_posts")[0]
    assert "A trial: at most 1 rows" in done.stdout
    assert "--head intent" in done.stdout


def test_marks_are_replaced_between_and_nowhere_else() -> None:
    assert replaced(f"a\n{START}\nold\n{END}\nb", "new\n") == f"a\n{START}\nnew\n{END}\nb"


@pytest.mark.parametrize(
    "text", ["", START, END, f"{END}{START}", f"{START}{START}{END}", f"{START}{END}{END}", f"{END}{START}{END}"]
)
def test_a_document_with_unclear_marks_is_left_alone(text: str) -> None:
    with pytest.raises(NoMarkers):
        replaced(text, "new")


def test_a_document_without_marks_is_refused_before_anything_is_judged(
    config: Path, shared: Path, tmp_path: Path
) -> None:
    document = tmp_path / "triage.md"
    document.write_text("all by hand")
    config.write_text(f'[classifier]\nengine = "transformer"\nmodel = "{tmp_path}/nowhere"\n')
    done = run(config, "--data", shared / "data", "--document", document)
    assert done.exit_code == 2
    assert f"--document {document}: it needs one line {START}" in done.stderr
    assert document.read_text() == "all by hand"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--input", "{source}", "--data", "{empty}"], "name one of them"),
        (["--data", "{empty}"], "looked for validation.jsonl.gz in the folders triage_posts, "),
        (["--data", "{empty}", "--head", "language"], "no validation set for language"),
        (["--document", "{empty}/a.md"], "--document goes with the validation sets"),
        (["--data", "{empty}", "--document", "{empty}/nowhere/a.md"], "nowhere is not there"),
        (["--input", "{source}", "--output", "{source}/deep"], "cannot be written"),
        (["--input", "{blank}"], "there is no row to measure on"),
        (
            ["--input", "{source}", "--head", "urgency"],
            "no right label; it must stand in the field 'urgency' or 'label'",
        ),
        (["--input", "{source}", "--limit", "0"], "--limit"),
        (["--input", "{source}", "--engine", "oracle"], "no engine is called 'oracle'"),
    ],
)
def test_what_cannot_be_done_is_one_clear_sentence(
    config: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    places = {name: tmp_path / name for name in ("source", "empty", "blank")}
    places["source"].write_bytes(lines({"text": "thank you", "intent": "praise"}))
    places["blank"].write_bytes(b"\n  \n")
    places["empty"].mkdir()
    done = run(config, *(word.format(**places) for word in arguments))
    assert done.exit_code == 2, done.output
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b'{"id":"a","text":"x","label":"eggs"}', mtime=0), "line 1: spam is 'eggs'"),
        (gzip.compress(b"{", mtime=0), "line 1: not JSON"),
        (b"no gzip at all", "cannot be read"),
    ],
)
def test_a_broken_set_is_named(config: Path, shared: Path, content: bytes, says: str) -> None:
    (shared / "data" / "sms_spam" / "validation.jsonl.gz").write_bytes(content)
    done = run(config, "--data", shared / "data")
    assert done.exit_code == 2
    assert "sms_spam/validation.jsonl.gz" in done.stderr
    assert says in done.stderr


def test_the_machine_is_a_class_and_no_name(tmp_path: Path) -> None:
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("model name\t: Fast Processor\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    words = machine(cpu).split(", ")
    assert words[0] == "Fast Processor"
    assert words[1].split()[1] in ("core", "cores")
    assert words[2:] == ["AVX2", "AVX-512", "AVX-512 VNNI"]
    assert " core" in machine(tmp_path / "nowhere")


def test_help_draws_and_measures_nothing() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from bot.cli import harken;"
        "CliRunner().invoke(harken, ['evaluate', '--help']);"
        "print(sorted({'matplotlib', 'PIL', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
