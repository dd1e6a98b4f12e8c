"""--taught: what corrections taught judges a file, a question and a measurement; without it nothing is otherwise."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bot.cli import harken
from bot.store import migrate, teaching
from bot.store.engine import Store, StoreError
from bot.store.tables import RevisionState
from bot.store.teaching import Made
from classifiers import registry
from classifiers.delta import Delta
from classifiers.engines.transformer import Transformer
from classifiers.teaching import Change
from classifiers.triage import INTENTS
from tests.bot.corrections import add_corrected, people
from tests.bot.yesterday import dump
from tests.classifiers.school import JARGON, NOON

Run = Callable[..., Result]

SAYS = f"{JARGON} of ours"
"""What the shipped heads take for a complaint, and taught ones for a technical issue."""


def configured(folder: Path, url: str, engine: str = "pupil") -> Run:
    """Return what runs a command of a brand whose store is at *url*."""
    config = folder / "config.toml"
    config.write_text(f'[store]\nurl = "{url}"\n[classifier]\nengine = "{engine}"\n', encoding="utf-8")

    def run(*words: object, rows: bytes = b"") -> Result:
        return CliRunner().invoke(harken, ["--config", str(config), *map(str, words)], input=rows)

    return run


@pytest.fixture(autouse=True)
def pupil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "pupil", "tests.bot.pupil")


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Run:
    return configured(tmp_path, store.url.render_as_string(hide_password=False))


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """Where a store could be made, and is not."""
    return tmp_path / "var" / "none.db"


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "fix.md").write_text("---\ntitle: How is it mended?\n---\nSwitch it off and on.", encoding="utf-8")
    return folder


def teach(run: Run, store: Store) -> None:
    store.write_now(add_corrected, people(store, "ana", "bo"), count=30)
    assert "Revision 1 is in service" in run("teach").output


def keep(store: Store, *, model: str, change: bytes) -> None:
    active = RevisionState.ACTIVE
    made = Made(model=model, state=active, reason="", change=change, figures={}, last_correction=0)
    store.write_now(teaching.keep, made, origin=teaching.COMMAND, number=None, now=NOON)


def row(**more: str | int) -> bytes:
    return json.dumps({"id": "a", "text": SAYS, **more}).encode() + b"\n"


def intent(done: Result) -> str:
    assert done.exit_code == 0, done.output
    label: str = json.loads(done.stdout)["intent"]["label"]
    return label


def test_a_file_is_labelled_by_what_was_taught_and_the_store_is_as_before(run: Run, store: Store) -> None:
    plain = run("triage", rows=row())
    teach(run, store)
    before = dump(store)
    taught = run("triage", "--taught", rows=row())
    assert (intent(plain), intent(taught)) == ("complaint", "technical_issue")
    assert taught.stderr == "judged by pupil@1+t1\n"
    again = run("triage", rows=row())
    assert (again.stdout_bytes, again.stderr) == (plain.stdout_bytes, ""), "without the option all is as it was"
    assert dump(store) == before


def test_an_undone_revision_judges_no_more(run: Run, store: Store) -> None:
    teach(run, store)
    run("teach", "undo")
    done = run("triage", "--taught", rows=row())
    assert done.exit_code == 2
    assert "--taught: nothing that was taught is in service; leave --taught out, or run: harken teach" in done.output
    assert done.stdout == ""


def test_a_question_is_understood_by_what_was_taught(run: Run, store: Store, articles: Path) -> None:
    words = ["answer", "--channel", "x", "--knowledge", articles, SAYS]
    teach(run, store)
    plain, taught = run(*words), run(*words, "--taught")
    assert "understood  complaint" in plain.output
    assert "understood  technical_issue" in taught.output
    assert "Judged by pupil@1+t1." in taught.output.splitlines()
    assert "Judged by" not in plain.output


def test_a_file_of_questions_says_which_heads_judged(run: Run, store: Store, articles: Path, tmp_path: Path) -> None:
    teach(run, store)
    (tmp_path / "q.jsonl").write_bytes(row())
    words = ["answer", "--channel", "x", "--knowledge", articles, "--input", tmp_path / "q.jsonl"]
    plain, taught = run(*words), run(*words, "--taught")
    assert taught.exit_code == 0, taught.output
    assert json.loads(taught.stdout)["id"] == "a"
    assert (plain.stderr, taught.stderr) == ("", "Judged by pupil@1+t1.\n")


def test_a_measurement_is_of_the_heads_that_were_taught(run: Run, store: Store, tmp_path: Path) -> None:
    teach(run, store)
    (tmp_path / "rows.jsonl").write_bytes(row(intent="technical_issue"))
    words = ["evaluate", "--input", tmp_path / "rows.jsonl", "--head", "intent"]
    plain, taught = run(*words), run(*words, "--taught")
    assert "model pupil@1+t1" in taught.output
    assert "model pupil@1\n" in plain.output
    figures = [next(line for line in done.output.splitlines() if "intent" in line) for done in (plain, taught)]
    assert "0.000" in figures[0]
    assert "1.000" in figures[1]


def test_the_figures_of_a_page_name_the_option_where_it_was_given(run: Run, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "triage_posts"
    folder.mkdir(parents=True)
    labels: dict[str, str | int] = {
        "intent": "technical_issue",
        "sentiment": "neutral",
        "urgency": "normal",
        "abusive": 0,
        "source": "x",
    }
    (folder / "validation.jsonl.gz").write_bytes(gzip.compress(row(**labels)))
    teach(run, store)
    words = ["evaluate", "--data", tmp_path / "data"]
    plain, taught = run(*words), run(*words, "--taught")
    assert (plain.exit_code, taught.exit_code) == (0, 0), plain.output + taught.output
    told = [next(line for line in done.output.splitlines() if "Command:" in line) for done in (plain, taught)]
    assert ["--taught" in line for line in told] == [False, True]
    assert "True" not in told[1]
    assert "False" not in told[0]
    assert "* Model: pupil@1+t1" in taught.output


def test_what_was_taught_to_another_model_does_not_judge(run: Run, store: Store) -> None:
    keep(store, model="harken-triage-old", change=b"?")
    done = run("triage", "--taught", rows=row())
    assert done.exit_code == 2
    assert (
        "--taught: revision 1 was taught to harken-triage-old, and pupil@1 is at work here; "
        "leave --taught out, or run: harken teach"
    ) in done.output
    store.write_now(add_corrected, people(store, "ana", "bo"), count=30)
    run("teach")
    assert run("triage", "--taught", rows=row()).stderr == "judged by pupil@1+t2\n"


def test_what_cannot_be_read_is_said_with_the_way_out(run: Run, store: Store) -> None:
    keep(store, model="pupil@1", change=b"?")
    done = run("triage", "--taught", rows=row())
    assert done.exit_code == 2
    assert "what was taught cannot be read; undo it: harken teach undo" in done.output
    assert intent(run("triage", rows=row())) == "complaint"


@pytest.mark.parametrize("words", [["triage"], ["evaluate", "--head", "intent"], ["answer", "--channel", "x", SAYS]])
def test_without_a_store_none_is_made(words: list[str], tmp_path: Path, nowhere: Path, articles: Path) -> None:
    run = configured(tmp_path, f"sqlite:///{nowhere}")
    more = ["--knowledge", str(articles)] if words[0] == "answer" else []
    done = run(*words, *more, "--taught", rows=row(intent="complaint"))
    assert isinstance(done.exception, StoreError)
    assert str(done.exception) == "there is no store yet, so nothing was taught; run: harken run"
    assert not nowhere.parent.exists()


def test_an_empty_file_stays_one(tmp_path: Path, nowhere: Path) -> None:
    nowhere.parent.mkdir()
    nowhere.touch()
    done = configured(tmp_path, f"sqlite:///{nowhere}?timeout=5")("triage", "--taught", rows=row())
    assert "there is no store yet" in str(done.exception)
    assert [(path.name, path.stat().st_size) for path in nowhere.parent.iterdir()] == [("none.db", 0)]


def test_a_store_of_another_schema_is_not_upgraded(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = migrate.current(store)
    monkeypatch.setattr(migrate, "head", lambda: "9999")
    done = run("triage", "--taught", rows=row())
    assert "the store has another schema than this version speaks; run: harken db upgrade" in str(done.exception)
    monkeypatch.undo()
    assert migrate.current(store) == before


def test_an_engine_of_rules_is_refused_before_anything_is_opened(tmp_path: Path, nowhere: Path) -> None:
    run = configured(tmp_path, f"sqlite:///{nowhere}", engine="keywords")
    done = run("triage", "--taught", rows=row())
    assert done.exit_code == 2
    assert "--taught: the engine keywords" in done.output
    assert "cannot be taught: it judges by rules" in done.output
    assert not nowhere.parent.exists()
    assert "cannot be taught" in run("triage", "--engine", "keywords", "--taught", rows=row()).output


def test_what_finds_articles_is_not_taught(run: Run) -> None:
    done = run("evaluate", "--taught", "knowledge")
    assert done.exit_code == 2
    assert "--taught goes with labels" in done.output


async def _change(engine: Transformer, *, width: int | None = None) -> tuple[str, bytes]:
    """Return the model's name, and a packed change by which every intent is praise."""
    await engine.warm()
    try:
        wide = (await engine.features(["thank you"])).shape[1] if width is None else width
        b = np.zeros(len(INTENTS), np.float32)
        b[INTENTS.index("praise")] = 100.0
        change = Change({"intent": Delta(np.zeros((wide, len(INTENTS)), np.float32), b)})
        return engine.foundation, engine.pack(change)
    finally:
        await engine.aclose()


def test_the_shipped_model_wears_what_it_was_taught_and_says_why(sqlite_store: Store, tmp_path: Path) -> None:
    run = configured(tmp_path, f"sqlite:///{sqlite_store.url.database}", engine="transformer")
    model, change = asyncio.run(_change(Transformer()))
    keep(sqlite_store, model=model, change=change)
    rows = json.dumps({"id": "a", "text": "where is my refund?"}).encode()
    plain, taught = run("triage", rows=rows), run("triage", "--taught", "--why", rows=rows)
    assert (intent(plain), intent(taught)) == ("refund_return", "praise")
    assert taught.stderr == f"judged by {model}+t1\n"
    answers = [json.loads(each.stdout) for each in (plain, taught)]
    assert answers[0]["urgency"]["label"] == answers[1]["urgency"]["label"], "what was not taught judges as before"


def test_a_change_that_does_not_fit_the_shipped_model_is_refused(sqlite_store: Store, tmp_path: Path) -> None:
    run = configured(tmp_path, f"sqlite:///{sqlite_store.url.database}", engine="transformer")
    model, change = asyncio.run(_change(Transformer(), width=3))
    keep(sqlite_store, model=model, change=change)
    done = run("triage", "--taught", rows=row())
    assert done.exit_code == 2
    assert "does not fit the heads of this model; undo it: harken teach undo" in done.output
    assert done.stdout == ""
