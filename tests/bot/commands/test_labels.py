"""harken labels: what is wrong is said before it matters, and figures come without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.settings import ConfigError, Settings
from bot.stages.own_labels import NO_EMBEDDINGS
from tests.bot.word_engine import PRODUCT, WordEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> WordEngine:
    made = WordEngine()

    def make(settings: Settings, kind: str | None) -> WordEngine:
        return made

    monkeypatch.setattr("bot.commands.engine.make", make)
    return made


def write(folder: Path, labels: dict[str, list[str]] | None) -> Path:
    path = folder / "config.toml"
    lines = [f"{label} = {json.dumps(texts)}" for label, texts in (labels or {}).items()]
    table = "" if labels is None else "\n".join(["[labels.product]", *lines])
    path.write_text(f'[store]\nurl = "sqlite:///{folder}/h.db"\n{table}', encoding="utf-8")
    return path


def call(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(harken, ["--config", str(config), "labels", *arguments])


def test_check_prints_accuracy_and_warnings(tmp_path: Path, engine: WordEngine) -> None:
    same = ["internet router slow", "slow internet", "router slow", "the internet"]
    result = call(write(tmp_path, {**PRODUCT, "broadband": same[:2], "wifi": same[2:]}), "check")
    assert result.exit_code == 0, result.output
    assert "of 10 examples recognised when left out" in result.output
    assert "  tv                             3 of 3" in result.output
    assert "warning: 'broadband' and 'wifi' are hard to tell apart" in result.output


def test_check_refuses_a_bad_set_and_names_every_fault(tmp_path: Path, engine: WordEngine) -> None:
    result = call(write(tmp_path, {"tv": ["one", "One "], "mobile": ["x", "y", ""]}), "check")
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).splitlines() == [
        "labels.product.tv: has 1 examples; give it 2 or more that differ",
        "labels.product.mobile: an example is empty; write what a customer would",
    ]
    assert engine.embedded == []


def test_check_without_embeddings_says_what_to_set(tmp_path: Path, engine: WordEngine) -> None:
    engine.has_embeddings = False
    result = call(write(tmp_path, PRODUCT), "check")
    assert isinstance(result.exception, ConfigError)
    assert NO_EMBEDDINGS in str(result.exception)


def test_check_without_labels_says_so(tmp_path: Path, engine: WordEngine) -> None:
    assert "no set of labels" in call(write(tmp_path, None), "check").output


def test_show_and_again_work_on_the_store(tmp_path: Path) -> None:
    config = write(tmp_path, PRODUCT)
    assert "There is no set of labels yet" in call(config, "show").output
    result = call(config, "again", "product")
    assert result.exit_code == 2
    assert "product: there is no such set of labels" in result.output


def test_evaluate_measures_drawn_examples_on_other_texts(tmp_path: Path, engine: WordEngine) -> None:
    def rows(name: str, found: dict[str, list[str]]) -> str:
        path = tmp_path / name
        path.write_text(
            "".join(json.dumps({"text": text, "label": label}) + "\n" for label in found for text in found[label])
        )
        return str(path)

    train = rows("train.jsonl", PRODUCT)
    test = rows("test.jsonl", {"tv": ["tv picture on the channel"], "mobile": ["phone signal sim"], "other": ["x"]})
    config = write(tmp_path, None)
    result = call(config, "evaluate", "--input", train, "--test", test, "--examples", "3", "--rounds", "2")
    assert result.exit_code == 0, result.output
    assert "3 labels, 3 examples each at most, 2 texts to judge" in result.output
    assert [line.split()[:2] for line in result.output.splitlines()[2:]] == [
        ["0", "1.000"],
        ["1", "1.000"],
        ["mean", "1.000"],
    ]
    assert len(engine.embedded) == len(set(engine.embedded))
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": "b"}\n{"text": 1}\n')
    bad = call(config, "evaluate", "--input", str(tmp_path / "bad.jsonl"), "--test", test)
    assert bad.exit_code == 2
    assert "bad.jsonl: line 2: each row must be an object" in bad.output
