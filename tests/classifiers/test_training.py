from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from classifiers.engines.transformer import Transformer
from classifiers.training.__main__ import main
from classifiers.triage import HEADS, INTENTS, Text

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
        case _:
            own = {"label": mood}
    return {"id": f"{name}-{number}", "text": text, **own}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    names = "triage_posts triage_intent airline_tweets tweeteval_sentiment umsab_sentiment goemotions"
    for name in f"{names} tweeteval_offensive hate_offensive sms_spam youtube_spam".split():
        (folder / name).mkdir()
        for split, many in (("train", 34), ("validation", 17)):
            with gzip.open(folder / name / f"{split}.jsonl.gz", "wt") as out:
                out.writelines(json.dumps(rows(name, n)) + "\n" for n in range(many))
    return folder


@pytest.mark.parametrize("licences", ["all", "open"])
async def test_the_module_makes_heads_that_the_engine_loads(data: Path, tmp_path: Path, licences: str) -> None:
    arguments = ["--data", str(data), "--licences", licences, "--cache", str(tmp_path / "cache")]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert set(manifest["heads"]) == set(HEADS)
    classes = {name for counts in manifest["training"]["rows"].values() for name in counts}
    assert (classes == {"open"}) is (licences == "open")
    card = (tmp_path / "one" / "README.md").read_text()
    assert "| intent |" in card
    assert "nan" not in card
    engine = Transformer(model=str(tmp_path / "one"))
    (answer,) = await engine.classify([Text(id="a", text="good thanks")])
    await engine.aclose()
    assert answer.intent.label in INTENTS


def test_the_same_seed_makes_the_same_heads(data: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        cache = str(tmp_path / "cache" / name)
        assert main(["--data", str(data), "--out", str(tmp_path / name), "--licences", "open", "--cache", cache]) == 0
        made.append(json.loads((tmp_path / name / "manifest.json").read_text())["sha256"])
    assert made[0] == made[1]


def test_missing_data_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "--data names the folder" in capsys.readouterr().out
    assert main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "a set is missing" in capsys.readouterr().out
