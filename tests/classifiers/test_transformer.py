from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import torch
from safetensors.torch import load_file, save_file

from classifiers import registry
from classifiers.engines import encoder
from classifiers.engines.encoder import batches
from classifiers.engines.heads import SHIPPED
from classifiers.engines.transformer import Transformer, make
from classifiers.errors import ModelFailed, ModelMissing, ModelRefused
from classifiers.registry import ClassifierEmbedder
from classifiers.triage import Text
from tests.classifiers.contract import ClassifierContract


class TestContract(ClassifierContract):
    @pytest_asyncio.fixture
    async def engine(self, model: Transformer) -> AsyncIterator[ClassifierEmbedder]:
        yield model


@pytest.mark.parametrize(
    ("text", "head", "label"),
    [
        ("@company app keeps crashing since the update, can't play anything", "intent", "technical_issue"),
        ("@company thank you to the crew on my flight, they were wonderful!", "intent", "praise"),
        ("@company my bag did not arrive at the carousel, where is it?", "intent", "delivery_item"),
        ("@company two hours on the tarmac, flight delayed again", "intent", "service_disruption"),
        ("@company thank you to the crew on my flight, they were wonderful!", "sentiment", "positive"),
        ("@company worst service ever, nobody helped us at all", "sentiment", "negative"),
        ("@company stuck at the gate, flight cancelled, missing my connection, help now", "urgency", "high"),
        ("@company love the new album page, nice work", "urgency", "low"),
        ("@user you are a fucking idiot and everybody hates you", "toxicity", "toxic"),
        ("@company could you please tell me when the shop opens?", "toxicity", "ok"),
        ("WINNER! You have won a 1000 pound prize. Text CLAIM to 80082 now", "spam", "spam"),
        ("@company could you please tell me when the shop opens?", "spam", "ok"),
    ],
)
async def test_a_plain_case_is_judged_right(model: Transformer, text: str, head: str, label: str) -> None:
    (answer,) = await model.classify([Text(id="a", text=text)])
    assert getattr(answer, head).label == label


async def test_texts_that_say_nothing_are_harmless(model: Transformer) -> None:
    for answer in await model.classify([Text(id=str(n), text=text) for n, text in enumerate(["", "@a", "\x00"])]):
        assert (answer.intent.label, answer.toxicity.label, answer.spam.label) == ("not_actionable", "ok", "ok")


async def test_it_is_less_sure_of_a_language_that_its_encoder_reads_badly(model: Transformer) -> None:
    text = "Delta flight update thanks"
    claimed = await model.classify([Text(id="a", text=text, language=code) for code in ("en", "de")])
    assert [answer.language.label for answer in claimed] == ["en", "de"]
    assert claimed[1].intent.confidence < claimed[0].intent.confidence


async def test_close_meanings_have_close_vectors(model: Transformer) -> None:
    packed = await model.embed(["I forgot my password", "cannot log in to my account", "what a lovely sunset"])
    one, near, far = (np.frombuffer(vector, "<f2").astype(np.float32) for vector in packed)
    assert one @ near > one @ far + 0.2


def test_batches_hold_like_lengths_within_the_budget() -> None:
    lengths = [3, 128, 5, 90, 3, 4, 127, 60]
    made = list(batches(lengths, 256))
    assert sorted(index for group in made for index in group) == list(range(len(lengths)))
    assert all(len(group) * max(lengths[index] for index in group) <= 256 for group in made)
    assert list(batches([500], 100)) == [[0]]


def heads_in(folder: Path) -> Path:
    for name in ("manifest.json", "heads.safetensors"):
        shutil.copy(SHIPPED / name, folder / name)
    return folder


async def refused(**options: str) -> str:
    engine = Transformer(**options)  # type: ignore[arg-type]
    with pytest.raises((ModelRefused, ModelMissing)) as caught:
        await engine.warm()
    await engine.aclose()
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_altered_bytes_are_refused(tmp_path: Path) -> None:
    path = heads_in(tmp_path) / "heads.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    said = await refused(model=str(tmp_path))
    assert said.startswith("ModelRefused")
    assert "was altered" in said


async def test_missing_heads_say_what_to_do(tmp_path: Path) -> None:
    said = await refused(model=str(tmp_path))
    assert said.startswith("ModelMissing")
    assert "leave out the key 'model'" in said
    heads_in(tmp_path)
    (tmp_path / "heads.safetensors").unlink()
    assert (await refused(model=str(tmp_path))).startswith("ModelMissing")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"layers": [1]},
        {"file": "../heads.safetensors"},
        {"file": "heads.pkl"},
        {"heads": {}},
        {"heads": None},
        {"encoder": "none"},
    ],
)
async def test_a_wrong_manifest_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = heads_in(tmp_path) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert (await refused(model=str(tmp_path))).startswith("ModelRefused")


@pytest.mark.parametrize("content", ["", "[]", "null", '"text"', "{", "[" * 100_000])
async def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (heads_in(tmp_path) / "manifest.json").write_text(content)
    assert (await refused(model=str(tmp_path))).startswith("ModelRefused")


@pytest.mark.parametrize("harm", ["shape", "nan", "lacking", "pickle"])
async def test_wrong_tensors_are_refused_though_their_sum_is_right(tmp_path: Path, harm: str) -> None:
    path = heads_in(tmp_path) / "heads.safetensors"
    tensors = load_file(path)
    match harm:
        case "shape":
            tensors["intent.W"] = torch.zeros(384, 17)
        case "nan":
            tensors["spam.b"] = torch.tensor([float("nan"), 0.0])
        case "lacking":
            del tensors["urgency.V"]
    save_file(tensors, path)
    if harm == "pickle":
        path.unlink()
        torch.save(tensors, path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["sha256"] = encoder.digest(path)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert (await refused(model=str(tmp_path))).startswith("ModelRefused")


async def test_another_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    assert "that the heads were trained on" in await refused(encoder=str(tmp_path))


async def test_a_missing_or_pickled_encoder_says_what_to_do(tmp_path: Path) -> None:
    assert (await refused(encoder=str(tmp_path))).startswith("ModelMissing")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    said = await refused(encoder=str(tmp_path))
    assert said.startswith("ModelRefused")
    assert "pickled" in said


async def test_a_batch_that_breaks_is_said_and_the_next_one_works(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(encoder.Encoder, "_forward", broken)
        with pytest.raises(ModelFailed) as caught:
            await model.classify([Text(id="a", text="secret words")])
        assert "secret" not in str(caught.value)
    assert len(await model.classify([Text(id="a", text="hello")])) == 1


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"batch_tokens": "many"}, {"max_tokens": 4_000}, {"languages": ["en", "xx"]}]
)
def test_an_option_out_of_range_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make(options)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        registry.load("transformer").make({"colour": "blue"})


def test_no_model_hub_is_asked() -> None:
    """With every socket closed the engine still loads and judges."""
    code = (
        "import asyncio, socket\n"
        "def closed(*a, **k): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = closed; socket.getaddrinfo = closed\n"
        "from classifiers.engines.transformer import Transformer\n"
        "asyncio.run(Transformer().warm()); print('warm')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("warm\n", 0), done.stderr
