from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import accuracy_score
from tokenizers import Tokenizer

from bot.cli import harken
from classifiers.engines.transformer import Transformer
from classifiers.engines.weights import quantised, restored
from classifiers.training import calibrate, course, e5, pieces, publish, run, sets, tune
from classifiers.training.course import Step
from classifiers.triage import HEADS, INTENTS, URGENCIES, Text

MOODS = ("negative", "neutral", "positive")


def rows(name: str, number: int) -> dict[str, object]:
    """Return one row of the set *name*, in that set's own fields."""
    text, mood = f"{name} text {number} {'bad late' if number % 2 else 'good thanks'}", MOODS[number % 3]
    intent, licence = INTENTS[number % 17], ("open", "nc")[number % 2]
    match name:
        case "triage_posts":
            own: dict[str, object] = {
                "intent": intent,
                "urgency": ("high", "normal", "low")[number % 3],
                "sentiment": mood,
                "abusive": number % 2,
                "licence_class": "nc",
            }
        case "triage_intent":
            own = {"label": intent, "source": "posts_labelled" if number % 5 else "x", "licence_class": licence}
        case "umsab_sentiment":
            own = {"label": mood, "lang": ("en", "de", "hi")[number // 3 % 3]}
        case "goemotions":
            own = {"label": [("joy", "anger", "neutral")[number % 3]]}
        case "tweeteval_offensive":
            own = {"label": ("offensive", "not_offensive")[number % 2]}
        case "hate_offensive":
            own = {"label": ("hate", "offensive", "neither")[number % 3]}
        case "sms_spam" | "youtube_spam":
            own = {"label": ("spam", "ham")[number % 2]}
        case "clinc150" | "hwu64" | "bitext_support":
            own = {"label": f"kind {number % 9}"}
        case _:
            own = {"label": mood}
    return {"id": f"{name}-{number}", "text": text, **own}


NAMES = """triage_posts triage_intent airline_tweets tweeteval_sentiment umsab_sentiment goemotions tweeteval_offensive
hate_offensive sms_spam youtube_spam twacs twcs_spotify complaints clinc150 hwu64 bitext_support""".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in NAMES:
        (folder / name).mkdir()
        for split, many in (("train", 34), ("validation", 17)):
            write(folder / name / f"{split}.jsonl.gz", [rows(name, n) for n in range(many)])
    (folder / "stackfaq").mkdir()
    documents = [{"id": f"faq-{n}", "question": f"how {n}?", "answer": f"so {n}"} for n in range(4)]
    write(folder / "stackfaq" / "documents.jsonl.gz", documents)
    write(folder / "stackfaq" / "train_queries.jsonl.gz", [{"query": "how then?", "doc": "faq-1", "id": "q"}])
    return folder


def write(path: Path, many: Sequence[Mapping[str, object]]) -> None:
    with gzip.open(path, "wt") as out:
        out.writelines(json.dumps(row) + "\n" for row in many)


def steps_of(data: Path, out: Path, **wish: Any) -> dict[str, Any]:
    return run.train(run.Wish(data=data, out=out, share=0.09, **wish), lambda _: None)


@pytest.fixture
def few_posts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every language's written posts be its first forty: a run takes as long as it has texts."""
    folder = tmp_path / "posts"
    folder.mkdir()
    for path in sets.POSTS.glob("*.tsv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / path.name).write_text("".join(lines[:40]), encoding="utf-8")
    monkeypatch.setattr(sets, "POSTS", folder)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("few_posts")
async def test_a_run_that_was_cut_off_ends_in_the_same_model(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same data and seed give the same files; the engine loads them; the card says what went in."""
    monkeypatch.setattr(tune, "KEEP_EVERY", 2)
    whole = steps_of(data, tmp_path / "whole", licences="open")
    assert whole["training"]["steps"] > 4
    step = tune.Tuning._step

    def cut_off(self: tune.Tuning, given: Step) -> dict[str, float]:
        if self.done == 3:
            raise KeyboardInterrupt
        return step(self, given)

    with monkeypatch.context() as patched:
        patched.setattr(tune.Tuning, "_step", cut_off)
        with pytest.raises(KeyboardInterrupt):
            steps_of(data, tmp_path / "cut", licences="open")
    assert not (tmp_path / "cut" / "manifest.json").exists()
    with pytest.raises(ValueError, match="another seed"):
        steps_of(data, tmp_path / "cut", licences="open", seed=14)
    again = steps_of(data, tmp_path / "cut", licences="open")
    assert again["files"] == whole["files"]
    assert again["heads"] == whole["heads"]
    assert {name for counts in again["training"]["rows"].values() for name in counts} == {"open"}
    assert not (tmp_path / "cut" / run.REACHED).exists()
    card = (tmp_path / "cut" / "README.md").read_text()
    assert "| intent |" in card
    assert "harken train --data DATA" in card
    assert "| nan" not in card
    assert publish.size(tmp_path / "cut") < 100 * 2**20
    engine = Transformer(model=str(tmp_path / "cut"))
    (answer,) = await engine.classify([Text(id="a", text="good thanks")])
    await engine.aclose()
    assert answer.intent.label in INTENTS
    assert answer.model.startswith("harken-triage-open-")


@pytest.mark.parametrize("licences", ["all", "open"])
def test_every_set_teaches_and_licences_are_kept_apart(data: Path, licences: str) -> None:
    taught = list(sets.lessons(data, "train", licences=licences))
    assert {source.name for source in sets.sources(licences)} - set(sets.READ) == {lesson.source for lesson in taught}
    assert ({lesson.licence for lesson in taught} == {"open"}) is (licences == "open")
    assert all(set(lesson.labels) == set(lesson.weights) for lesson in taught)
    assert all(label in HEADS[head] for lesson in taught for head, label in lesson.labels.items())


@pytest.mark.parametrize(("source", "name"), sets.READ.items())
def test_posts_that_were_read_get_the_labels_that_stand_here(
    source: str, name: str, data: Path, tmp_path: Path
) -> None:
    post, intent, *_ = (sets.LABELS / name).read_text().splitlines()[0].split("\t")
    copied = tmp_path / "data"
    shutil.copytree(data, copied)
    write(copied / "airline_tweets" / "train.jsonl.gz", [{"id": post, "text": "a post", "label": "neutral"}])
    (lesson,) = [each for each in sets.lessons(copied, "train", licences="all") if each.source == source]
    assert (lesson.text, lesson.labels["intent"], lesson.licence) == ("a post", intent, "nc")


def test_a_label_that_was_read_again_replaces_the_one_of_the_set_in_training_alone(data: Path, tmp_path: Path) -> None:
    post, mood = (sets.LABELS / "umsab_hi.tsv").read_text().splitlines()[0].split("\t")
    other = next(each for each in MOODS if each != mood)
    copied = tmp_path / "data"
    shutil.copytree(data, copied)
    for split in ("train", "validation"):
        write(
            copied / "umsab_sentiment" / f"{split}.jsonl.gz", [{"id": post, "text": "a", "label": other, "lang": "hi"}]
        )
    taught = {
        split: [
            each.labels["sentiment"] for each in sets.lessons(copied, split, licences="all") if each.language == "hi"
        ]
        for split in ("train", "validation")
    }
    assert taught["train"][0] == mood
    assert taught["validation"][0] == other


def test_the_posts_of_our_own_are_whole_and_name_no_handle() -> None:
    seen: set[tuple[str, str]] = set()
    for path in sorted(sets.POSTS.glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            intent, urgency, sentiment, abusive, text = line.split("\t")
            assert (intent in INTENTS, urgency in URGENCIES, sentiment in MOODS, abusive in "01") == (True,) * 4, line
            assert set(re.findall(r"@\w+", text)) <= {"@user", "@company"}, line
            assert (path.stem, text) not in seen, line
            seen.add((path.stem, text))
    assert len(seen) > 3_000


def test_the_labels_are_whole() -> None:
    lines = [line.split("\t") for line in (sets.LABELS / "posts.tsv").read_text().splitlines()]
    assert len({post for post, *_ in lines}) == len(lines) > 10_000
    for _, intent, urgency, sentiment, abusive in lines:
        assert (intent in INTENTS, urgency in URGENCIES, sentiment in MOODS, abusive in "01") == (True,) * 4


def test_a_plan_holds_every_row_as_often_as_its_set_says() -> None:
    named = "a" * 100 + "b" * 10 + "c" * 80
    lessons = [sets.Lesson(name, "x", "open", {}, {}) for name in named]
    sources = [
        sets.Source("a", dict, (1.5, 0.0, 0.0)),  # type: ignore[arg-type]
        sets.Source("b", dict, (0.0, 3.0, 0.0)),  # type: ignore[arg-type]
        sets.Source("c", dict, (0.0, 0.0, 2.0)),  # type: ignore[arg-type]
    ]
    lengths = [1 + n % 30 for n in range(len(lessons))]
    steps = course.plan(lessons, lengths, sources, seed=5)
    drawn = [row for step in steps for row in step.rows]
    assert len([row for row in drawn if named[row] == "a"]) == 150
    assert set(drawn) == set(range(190))
    assert all(drawn.count(row) == 3 for row in range(100, 110))
    # One stage after the other, and the plan is the same every time.
    assert "".join(dict.fromkeys(named[row] for row in drawn)) == "abc"
    assert steps == course.plan(lessons, lengths, sources, seed=5) != course.plan(lessons, lengths, sources, seed=6)
    # The rate falls twice, and where it has fallen first the weights are kept.
    (end,) = [number for number, step in enumerate(steps) if step.ends_course]
    assert {named[row] for step in steps[end + 1 :] for row in step.rows} == {"c"}
    assert max(step.rate for step in steps[:end]) == 1.0
    assert max(step.rate for step in steps[end + 1 :]) == course.LAST_RATE
    assert steps[end].rate < 0.5 > steps[-1].rate


def test_a_smaller_vocabulary_reads_what_it_was_made_of_alike_and_everything_else_in_more_pieces() -> None:
    begin = e5.origin()
    texts = ["where is my parcel?", "¿dónde está mi paquete?", "mera parcel kahan hai"]
    pruned = pieces.prune(begin.tokenizer, texts, kept=20_000)
    whole, small = (Tokenizer.from_str(json.dumps(each)) for each in (begin.tokenizer, pruned.tokenizer))
    assert len(pruned.rows) == 20_000
    for text in texts:
        assert [pruned.rows[piece] for piece in small.encode(text).ids] == whole.encode(text).ids
    strange = "Antikonstitutionellement 你好 नमस्ते"
    assert len(small.encode(strange).ids) >= len(whole.encode(strange).ids)
    assert small.token_to_id("<unk>") not in small.encode("Antikonstitutionellement").ids


def test_whole_numbers_stand_for_nearly_the_same_weights() -> None:
    table = np.random.default_rng(3).normal(size=(50, 64)).astype(np.float32)
    table[7] = 0
    numbers, scales = quantised(table)
    assert numbers.dtype == np.int8
    assert np.abs(restored(numbers, scales) - table).max() <= scales.max() / 2 + 1e-6


def test_a_temperature_makes_confidences_true() -> None:
    chance = np.random.default_rng(5)
    scores = chance.normal(size=(4_000, 3)).astype(np.float32)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    gold = np.array([chance.choice(3, p=row / row.sum()) for row in shares.astype(np.float64)])
    assert calibrate.temperature(scores, gold) == pytest.approx(1.0, abs=0.08)
    assert calibrate.temperature(3 * scores, gold) == pytest.approx(3.0, abs=0.25)


def test_a_lean_gives_back_what_was_taken_from_a_label() -> None:
    chance = np.random.default_rng(5)
    gold = chance.integers(0, 3, 6_000)
    even = (chance.normal(0, 1, (6_000, 3)) + 1.5 * np.eye(3)[gold]).astype(np.float32)
    shy = even - np.array([0.6, 0, 0], np.float32)

    assert calibrate.lean([(even, gold, accuracy_score)], 0) == pytest.approx(0.0, abs=0.1)
    assert calibrate.lean([(shy, gold, accuracy_score)], 0) == pytest.approx(0.6, abs=0.1)
    assert calibrate.lean([(even, gold, accuracy_score), (shy, gold, accuracy_score)], 0) == pytest.approx(0.3, abs=0.1)
    assert shy[:, 0].mean() == pytest.approx(even[:, 0].mean() - 0.6, abs=1e-3)  # what is given stays as it is


def test_missing_or_broken_data_is_one_sentence(tmp_path: Path) -> None:
    invoke = CliRunner().invoke
    said = invoke(harken, ["train", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert (said.exit_code, "does not exist" in said.output) == (2, True)
    said = invoke(harken, ["train", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert (said.exit_code, "a set is missing" in said.output) == (2, True)
    assert not (tmp_path / "out" / "manifest.json").exists()
