"""A head from elsewhere: small models in Hugging Face's format, made here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from classifiers.engines.transformer import Transformer, make
from classifiers.errors import ModelMissing, ModelRefused
from classifiers.triage import Text

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentiment model with labels in another order and by other names: LABEL_0 good, LABEL_1 bad, LABEL_2 so-so."""
    folder = tmp_path_factory.mktemp("elsewhere")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config.num_labels = 3
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([5.0, 0.0, -5.0]))
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(dict(zip(WORDS, range(len(WORDS)), strict=True)), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    return folder


LABELS = {"LABEL_0": "positive", "LABEL_1": "negative", "LABEL_2": "neutral"}


async def test_it_answers_for_its_head_and_the_others_stay_ours(made: Path, model: Transformer) -> None:
    given = [Text(id=str(n), text="good " * (1 + n) + "where is my parcel?") for n in range(5)]
    # The same arithmetic for both: each finds the fastest by trying, and on a busy machine they may find another.
    engine = Transformer(heads={"sentiment": {"model": str(made), "labels": LABELS}}, arithmetic=model.arithmetic)
    answers = await engine.classify(given)
    await engine.aclose()
    ours = await model.classify(given)
    assert {answer.sentiment.label for answer in answers} == {"positive"}
    assert all(sum(answer.sentiment.scores.values()) == pytest.approx(1.0, abs=1e-5) for answer in answers)
    assert [answer.intent for answer in answers] == [answer.intent for answer in ours]
    assert answers[0].model == f"{ours[0].model}+{made.name}"


async def refused(folder: Path, **facts: object) -> str:
    engine = Transformer(heads={"sentiment": {"model": str(folder), "labels": LABELS, **facts}})
    with pytest.raises((ModelRefused, ModelMissing)) as caught:
        await engine.warm()
    await engine.aclose()
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_labels_that_are_not_ours_must_be_named(made: Path) -> None:
    said = await refused(made, labels={"LABEL_0": "positive"})
    assert said.startswith("ModelRefused")
    assert "[classifier.heads.sentiment.labels]" in said


async def test_pickled_weights_are_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    torch.save(load_file(path), tmp_path / "m" / "pytorch_model.bin")
    path.unlink()
    assert "pickled" in await refused(tmp_path / "m")


async def test_a_model_that_brings_its_own_code_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    config = json.loads(path.read_text())
    ran = tmp_path / "ran"
    (tmp_path / "m" / "own.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    own = {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}
    path.write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    assert (await refused(tmp_path / "m")).startswith("ModelRefused")
    assert not ran.exists()


async def test_a_model_that_is_nowhere_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    engine = make({"heads": {"sentiment": "nobody/nothing"}})
    with pytest.raises(ModelMissing, match="the hub cannot be reached"):
        await engine.warm()
    await engine.aclose()
    (tmp_path / "m").mkdir()
    assert "holds no safetensors" in await refused(tmp_path / "m")
