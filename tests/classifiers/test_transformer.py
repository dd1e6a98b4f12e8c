from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import torch
from safetensors.numpy import load_file, save_file

from classifiers import registry
from classifiers.engines import arithmetic as arithmetic_module
from classifiers.engines import encoder
from classifiers.engines.arithmetic import Arithmetic, OnProcessor, ways
from classifiers.engines.cuda import OnCuda
from classifiers.engines.encoder import batches, padded, width
from classifiers.engines.model import PACKED, SHIPPED, load
from classifiers.engines.transformer import Transformer, make
from classifiers.engines.weights import digest
from classifiers.errors import ModelFailed, ModelMissing, ModelRefused
from classifiers.registry import ClassifierEmbedder
from classifiers.triage import HEADS, Text
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


async def test_it_is_less_sure_in_a_language_that_was_not_measured(model: Transformer) -> None:
    text = "Delta flight update thanks"
    claimed = await model.classify([Text(id="a", text=text, language=code) for code in ("en", "nl")])
    assert [answer.language.label for answer in claimed] == ["en", "nl"]
    assert claimed[1].intent.confidence < claimed[0].intent.confidence


async def test_close_meanings_have_close_vectors(model: Transformer) -> None:
    packed = await model.embed(["I forgot my password", "cannot log in to my account", "what a lovely sunset"])
    one, near, far = (np.frombuffer(vector, "<f2").astype(np.float32) for vector in packed)
    assert one @ near > one @ far + 0.2


def test_batches_hold_texts_of_one_width_within_the_budget() -> None:
    lengths = [3, 128, 5, 90, 3, 4, 127, 60, 9, 17]
    made = list(batches(lengths, 256))
    assert sorted(index for group in made for index in group) == list(range(len(lengths)))
    assert all(len({width(lengths[index]) for index in group}) == 1 for group in made)
    assert all(len(group) * width(lengths[group[0]]) <= 256 for group in made)
    assert list(batches([500], 100)) == [[0]]


@pytest.mark.parametrize(
    ("length", "wide"), [(1, 8), (8, 8), (9, 16), (32, 32), (33, 48), (64, 64), (65, 96), (128, 128)]
)
def test_a_text_takes_the_same_width_wherever_it_stands(length: int, wide: int) -> None:
    assert width(length) == wide
    ids, mask = padded([[5] * length])
    assert ids.shape == (1, wide)
    assert mask.sum() == length


def copy_in(folder: Path) -> Path:
    """Put the shipped model into *folder*: what a test changes as a copy, the large files as links."""
    for path in SHIPPED.iterdir():
        if path.name in ("manifest.json", "heads.safetensors"):
            shutil.copy(path, folder / path.name)
        elif path.suffix == ".safetensors":
            (folder / path.name).symlink_to(path)
    return folder


def sign(folder: Path, **files: Path) -> None:
    """Write the digests of *files* (part -> path) into the manifest, as whoever alters both would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for part, file in files.items():
        manifest["files"][part] = {"file": file.name, "sha256": digest(file)}
    path.write_text(json.dumps(manifest))


async def refused(**options: object) -> str:
    engine = Transformer(**options)  # type: ignore[arg-type]
    with pytest.raises((ModelRefused, ModelMissing)) as caught:
        await engine.warm()
    await engine.aclose()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("name", ["heads.safetensors", "words.safetensors", "tokenizer.safetensors"])
async def test_altered_bytes_are_refused(tmp_path: Path, name: str) -> None:
    path = copy_in(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    said = await refused(model=str(tmp_path))
    assert said.startswith("ModelRefused")
    assert f"{name} was altered" in said


async def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    said = await refused(model=str(tmp_path))
    assert said.startswith("ModelMissing")
    assert "leave out the key 'model'" in said
    copy_in(tmp_path)
    (tmp_path / "layers.safetensors").unlink()
    assert (await refused(model=str(tmp_path))).startswith("ModelMissing")


async def test_a_folder_of_pickled_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    said = await refused(model=str(tmp_path))
    assert said.startswith("ModelRefused")
    assert "pickled" in said


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"shape": {"hidden": 384}},
        {"files": {}},
        {"files": {"tokenizer": {"file": "../tokenizer.safetensors", "sha256": ""}}},
        {"heads": {}},
        {"heads": None},
        {"max_tokens": "many"},
    ],
)
async def test_a_wrong_manifest_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = copy_in(tmp_path) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert (await refused(model=str(tmp_path))).startswith("ModelRefused")


@pytest.mark.parametrize("name", ["../heads.safetensors", "heads.pkl", "/etc/heads.safetensors"])
async def test_a_file_elsewhere_or_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    path = copy_in(tmp_path) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["heads"]["file"] = name
    path.write_text(json.dumps(manifest))
    assert "not a safetensors file beside the manifest" in await refused(model=str(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "null", '"text"', "{", "[" * 100_000])
async def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (copy_in(tmp_path) / "manifest.json").write_text(content)
    assert (await refused(model=str(tmp_path))).startswith("ModelRefused")


@pytest.mark.parametrize("harm", ["shape", "nan", "lacking", "pickle"])
async def test_wrong_tensors_are_refused_though_their_sum_is_right(tmp_path: Path, harm: str) -> None:
    path = copy_in(tmp_path) / "heads.safetensors"
    tensors = load_file(path)
    match harm:
        case "shape":
            tensors["intent.W"] = np.zeros((384, 17), np.float16)
        case "nan":
            tensors["spam.b"] = np.array([float("nan"), 0.0], np.float16)
        case "lacking":
            del tensors["urgency.V"]
    save_file(tensors, path)
    if harm == "pickle":
        path.unlink()
        path.write_bytes(pickle.dumps(tensors))
    sign(tmp_path, heads=path)
    assert (await refused(model=str(tmp_path))).startswith("ModelRefused")


async def test_an_encoder_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = copy_in(tmp_path) / "layers.safetensors"
    tensors = load_file(path)
    name = "encoder.layer.3.output.dense.q"
    tensors[name] = tensors[name][:, :-1]
    path.unlink()
    save_file(tensors, path)
    sign(tmp_path, layers=path)
    assert name in await refused(model=str(tmp_path))


@pytest.mark.parametrize("content", [b"no archive", gzip.compress(b"{}", mtime=0)], ids=["plain", "empty"])
async def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = copy_in(tmp_path) / "tokenizer.safetensors"
    path.unlink()
    save_file({PACKED: np.frombuffer(content, np.uint8)}, path)
    sign(tmp_path, tokenizer=path)
    assert "is not a tokenizer file" in await refused(model=str(tmp_path))


@pytest.mark.parametrize("arithmetic", ["float32", "int8"])
async def test_a_result_does_not_depend_on_its_neighbours(arithmetic: str) -> None:
    """Probabilities among long and short neighbours are those computed alone; the contract asks for within 0.01."""
    if arithmetic not in ways():
        pytest.skip(f"this processor has no fast {arithmetic}")
    given = [Text(id=str(n), text=f"order {n} is late " * (1 + 7 * n % 31)) for n in range(60)]
    engine = Transformer(arithmetic=arithmetic)
    together = await engine.classify(given)
    engine.forget()
    alone = [(await engine.classify([text]))[0] for text in given[::6]]
    await engine.aclose()
    for among, single in zip(together[::6], alone, strict=True):
        for head in HEADS:
            theirs, own = getattr(among, head).scores, getattr(single, head).scores
            assert all(abs(theirs[label] - own[label]) < 1e-5 for label in own)


async def test_every_arithmetic_says_nearly_the_same() -> None:
    """The same tensors through OpenVINO in each way, and through torch, which a card would run."""
    read = load(SHIPPED)
    tokens = [read.tokenizer.encode(text).ids for text in ("where is my parcel?", "la app no abre desde ayer, ayuda")]
    ids, mask = padded(tokens)
    exact = OnProcessor(read.encoder, read.manifest.shape, "float32", threads=1).run(ids, mask)
    others: list[Arithmetic] = [OnProcessor(read.encoder, read.manifest.shape, way, threads=1) for way in ways()]
    others.append(OnCuda(read.encoder, read.manifest.shape, device="cpu", kind=torch.float32))
    for other in others:
        given = other.run(ids, mask)
        cosine = (given * exact).sum(1) / np.linalg.norm(given, axis=1) / np.linalg.norm(exact, axis=1)
        assert cosine.min() > 0.995, other.name


async def test_a_way_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic_module, "ways", lambda: ("float32",))
    assert "set arithmetic = 'auto'" in await refused(arithmetic="bfloat16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
async def test_a_card_that_is_not_there_is_refused() -> None:
    assert "no CUDA card" in await refused(device="cuda")


async def test_a_text_that_was_judged_before_is_not_computed_again(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [Text(id="a", text="my own words, said twice"), Text(id="b", text="my own words, said twice")]
    first = await model.classify(given)
    with monkeypatch.context() as patched:
        patched.setattr(encoder.Encoder, "_run", None)
        again = await model.classify(given)
    assert [answer.intent for answer in again] == [answer.intent for answer in first]
    assert first[0].intent == first[1].intent


async def test_a_lone_post_overtakes_a_thousand(model: Transformer) -> None:
    model.forget()
    many = [Text(id=str(n), text=f"parcel number {n} did not arrive " * 6) for n in range(600)]
    bulk = asyncio.create_task(model.classify(many))
    await asyncio.sleep(0.3)
    started = time.perf_counter()
    await model.classify([Text(id="a", text="I am stuck at the gate, help")])
    took = time.perf_counter() - started
    assert not bulk.done()
    await bulk
    assert took < 2


async def test_a_batch_that_breaks_is_said_and_the_next_one_works(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(encoder.Encoder, "_run", broken)
        with pytest.raises(ModelFailed) as caught:
            await model.classify([Text(id="a", text="secret words, never seen")])
        assert "secret" not in str(caught.value)
    assert len(await model.classify([Text(id="a", text="hello")])) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 0},
        {"batch_tokens": "many"},
        {"max_tokens": 4_000},
        {"languages": ["en", "xx"]},
        {"arithmetic": "int4"},
        {"device": "tpu"},
        {"heads": {"mood": "x/y"}},
        {"heads": {"sentiment": {"revision": "main"}}},
        {"heads": {"sentiment": {"model": "x/y", "colour": "blue"}}},
        {"heads": {"sentiment": {"model": "x/y", "labels": {"LABEL_0": "sad"}}}},
    ],
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


async def test_a_lone_post_is_answered_within_a_tenth_of_a_second(model: Transformer) -> None:
    """p95 at light load; every text is a new one, so that nothing comes from the cache."""
    times = []
    for number in range(40):
        started = time.perf_counter()
        await model.classify([Text(id="a", text=f"@company order {number} never came, and nobody answers my mails")])
        times.append(time.perf_counter() - started)
        await asyncio.sleep(0.02)
    assert sorted(times)[37] < 0.1


async def test_the_event_loop_runs_on_at_full_speed(model: Transformer) -> None:
    """p99 of the delay of a timer stays under 50 ms while the model has all it can do."""
    many = [
        Text(id=str(n), text=f"@company order {n} never came " + "and nobody answers " * (n % 9)) for n in range(500)
    ]
    judging = asyncio.create_task(model.classify(many))
    late = []
    while not judging.done():
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        late.append(time.perf_counter() - before - 0.005)
    assert len(await judging) == 500
    assert sorted(late)[int(0.99 * len(late))] < 0.05
