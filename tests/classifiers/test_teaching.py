"""Corrections that teach: nobody alone moves a label, only what is better is taken, and the way back is exact."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from classifiers.delta import Delta
from classifiers.engines import model as models
from classifiers.engines.keywords import Keywords
from classifiers.engines.taught import pack, unpack
from classifiers.engines.transformer import Transformer
from classifiers.engines.weights import digest
from classifiers.errors import ModelRefused, Unteachable
from classifiers.lessons import ALONE, CONTESTED, DAILY, MOST_LESSONS, MOST_PER_DAY, OLD, REPEATED, weighed
from classifiers.registry import teachable
from classifiers.teaching import CHANCE, NO_VALIDATION, Change, Validation, propose, sign_test
from classifiers.triage import HEADS, INTENTS, Text
from tests.classifiers.school import JARGON, School, correct

ANA, BO, EVE = 1, 2, 3


@pytest.fixture
def school() -> School:
    return School()


def test_two_people_teach_a_label(school: School) -> None:
    assert school.right_of(None, JARGON, "technical_issue") < 0.1
    proposal = school.teach(correct(40, ANA, BO))
    assert proposal.change is not None
    (verdict,) = proposal.verdicts
    assert (verdict.head, verdict.lessons, verdict.better) == ("intent", 40, True)
    assert verdict.corrections_after.accuracy > verdict.corrections_before.accuracy + 0.5
    assert school.right_of(proposal.change, JARGON, "technical_issue") > 0.8
    for known in ("complaint", "technical_issue", "praise"):
        assert school.right_of(proposal.change, known, known) > 0.95


@pytest.mark.parametrize("count", [1, 40, 500])
def test_one_person_alone_moves_nothing(school: School, count: int) -> None:
    proposal = school.teach(correct(count, EVE, days=30))
    assert proposal.change is None
    assert proposal.verdicts == ()
    assert sum(proposal.left_out.values()) == count
    assert ALONE in proposal.why_not


def test_a_leads_approval_makes_one_persons_corrections_teach(school: School) -> None:
    proposal = school.teach(correct(40, EVE, approved=True))
    assert proposal.change is not None
    assert school.right_of(proposal.change, JARGON, "technical_issue") > 0.8


def test_an_approval_vouches_for_the_correction_it_names_and_no_other() -> None:
    approved, *others = correct(10, EVE)
    found = weighed([replace(approved, approved=True), *others])
    assert [each.id for each in found.lessons] == [approved.id]


def test_a_flood_of_one_person_is_refused_although_a_second_one_agrees_once(school: School) -> None:
    flood = correct(400, EVE, days=30) + correct(1, BO, first=900)
    found = weighed(flood)
    own = sum(found.weights[each.id] for each in found.lessons if each.person == EVE)
    assert own == pytest.approx(1.0)
    proposal = school.teach(flood)
    assert proposal.change is None
    assert "not clearly better" in proposal.why_not


def test_over_a_flood_the_others_are_still_heard(school: School) -> None:
    flood = correct(300, EVE, days=30, new="praise")
    proposal = school.teach(flood + correct(40, ANA, BO, first=1_000))
    assert proposal.change is not None
    assert school.right_of(proposal.change, JARGON, "technical_issue") > 0.8
    assert proposal.left_out[ALONE] == 300


def test_a_person_has_so_many_a_day() -> None:
    found = weighed(correct(2 * (MOST_PER_DAY + 7), ANA, BO))
    assert found.reasons() == {DAILY: 14}
    assert len(found.lessons) == 2 * MOST_PER_DAY
    assert weighed(correct(2 * (MOST_PER_DAY + 7), ANA, BO, approved=True)).reasons() == {}


def test_no_person_weighs_more_than_all_others() -> None:
    lessons = correct(30, ANA) + correct(4, BO, first=100) + correct(2, EVE, first=200)
    found = weighed(lessons)
    shares = {who: sum(found.weights[each.id] for each in lessons if each.person == who) for who in (ANA, BO, EVE)}
    assert shares == {ANA: pytest.approx(6.0), BO: 4.0, EVE: 2.0}


def test_one_text_counts_once_whoever_shares_it() -> None:
    first, *_ = correct(1, ANA)
    shared = [
        replace(first, id=2 + n, person=BO, text=f"@shop{n} {first.text.upper()} https://t.co/{n}") for n in range(5)
    ]
    found = weighed([first, *shared])
    assert [each.id for each in found.lessons] == [first.id]
    assert found.weights == {first.id: 1.0}
    assert found.reasons() == {REPEATED: 5}


def test_people_who_disagree_teach_nothing_until_a_lead_decides() -> None:
    ours, theirs = correct(2, ANA, BO), correct(2, ANA, BO, first=50, new="praise")
    theirs = [replace(each, text=other.text) for each, other in zip(theirs, ours, strict=True)]
    assert weighed([*ours, *theirs]).reasons() == {CONTESTED: 4}
    settled = weighed([*ours, replace(theirs[0], approved=True), theirs[1]])
    assert [each.new for each in settled.lessons] == ["praise"]


def test_the_newest_are_taught_when_there_are_too_many() -> None:
    found = weighed(correct(MOST_LESSONS + 30, ANA, BO, days=365))
    assert len(found.lessons) == MOST_LESSONS
    assert found.reasons() == {OLD: 30}


def test_corrections_that_are_worse_are_refused(school: School) -> None:
    """Two people who agree to call praise a complaint: held back, the corrections are learned, and the set objects."""
    proposal = school.teach(correct(100, ANA, EVE, old="praise", new="complaint", days=9), meaning="praise")
    assert proposal.change is None
    assert "the validation set loses" in proposal.why_not
    assert proposal.verdicts[0].corrections_after.accuracy > 0.5


def test_corrections_without_a_rule_are_refused(school: School) -> None:
    pairs = [(old, new) for old in INTENTS[:6] for new in INTENTS[6:12]]
    lessons = [
        each for n, (old, new) in enumerate(pairs) for each in correct(2, ANA, BO, old=old, new=new, first=1 + 2 * n)
    ]
    proposal = school.teach(lessons)
    assert proposal.change is None
    assert "not clearly better" in proposal.why_not


def test_without_a_validation_set_a_note_says_so(school: School) -> None:
    proposal = school.teach(correct(60, ANA, BO), watched=False)
    assert proposal.notes == (NO_VALIDATION,)
    assert proposal.change is not None
    assert proposal.verdicts[0].validation_after is None
    assert school.right_of(proposal.change, "praise", "praise") > 0.95


def test_with_nothing_to_hold_on_to_nothing_is_learned(school: School) -> None:
    found = weighed(correct(60, ANA, BO))
    features = school.features([JARGON] * 60)
    proposal = propose(found, features, judge=school.judge, validation=None, ordinary=features[:0], worn=None)
    assert proposal.change is None


def test_few_corrections_move_little(school: School) -> None:
    def size(count: int) -> float:
        proposal = school.teach(correct(count, ANA, BO))
        assert proposal.change is not None
        return float(np.linalg.norm(proposal.change.deltas["intent"].W))

    assert size(10) < size(40)


def test_what_was_seen_does_not_judge_again(school: School) -> None:
    lessons = correct(40, ANA, BO)
    first = school.teach(lessons)
    again = school.teach(lessons, worn=first.change)
    assert again.change is None
    assert "nothing new" in again.why_not


def test_the_same_corrections_teach_the_same() -> None:
    one, other = (School().teach(correct(60, ANA, BO)) for _ in range(2))
    assert one.verdicts == other.verdicts
    assert one.change is not None
    assert other.change is not None
    assert np.array_equal(one.change.deltas["intent"].W, other.change.deltas["intent"].W)


def test_no_corrections_teach_nothing(school: School) -> None:
    assert school.teach([]).why_not == "there are no corrections"


@pytest.mark.parametrize(
    ("gained", "lost", "better"),
    [(5, 0, True), (4, 0, False), (7, 1, True), (8, 2, False), (9, 2, True), (4.9, 0, False)],
)
def test_the_bar_is_what_the_constant_says(gained: float, lost: float, better: bool) -> None:
    assert (sign_test(gained, lost) <= CHANCE) is better


def test_two_thousand_corrections_take_seconds() -> None:
    """A feature has the real width here, and the validation set the size that may anchor."""
    random = np.random.default_rng(1)
    lessons = weighed(correct(2_000, *range(1, 41), days=10))
    heads = random.normal(size=(768, len(INTENTS))).astype(np.float32) / 28
    features, watched = (random.normal(size=(rows, 768)).astype(np.float32) for rows in (2_000, 4_000))

    def judge(rows: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        return {head: 3 * rows @ heads[:, : len(labels)] for head, labels in HEADS.items()}

    right = judge(watched)["intent"].argmax(1).astype(np.int8)
    validation = Validation(watched, {"intent": right})
    with threadpool_limits(1):  # threads that wait for one another count as work
        began = time.process_time()  # by the clock a busy machine would decide
        proposal = propose(lessons, features, judge=judge, validation=validation, ordinary=watched[:0], worn=None)
        spent = time.process_time() - began
    assert spent < 10
    assert proposal.verdicts[0].lessons == 2_000


def test_a_change_comes_back_as_it_was_packed(school: School) -> None:
    change = school.teach(correct(40, ANA, BO)).change
    assert change is not None
    back = unpack(pack(change))
    assert back.lessons == change.lessons
    assert np.array_equal(back.deltas["intent"].W, change.deltas["intent"].W)
    assert np.array_equal(back.deltas["intent"].b, change.deltas["intent"].b)


@pytest.mark.parametrize("packed", [b"", b"\x00" * 40, b"{}"])
def test_bytes_that_are_no_change_are_refused(packed: bytes) -> None:
    with pytest.raises(ModelRefused, match="harken teach undo"):
        unpack(packed)


POSTS = (
    ("my tv box blinks orange since last night", "technical_issue", "negative"),
    ("the app closes as soon as I open my bills", "technical_issue", "negative"),
    ("you charged me twice in march", "billing_payment", "negative"),
    ("where is the router you sent on monday?", "delivery_item", "neutral"),
    ("thanks, the person on the phone was lovely", "praise", "positive"),
    ("is there a plan without a contract?", "product_question", "neutral"),
    ("please cancel my second line", "cancellation", "neutral"),
    ("half the street has no internet again", "service_disruption", "negative"),
)


async def test_what_is_worn_judges_and_undone_is_exactly_as_before(model: Transformer) -> None:
    texts = [Text(id=str(n), text=text) for n, (text, _, _) in enumerate(POSTS)]
    before, plain = await model.classify(texts), model.name
    features = await model.features([text for text, _, _ in POSTS])
    assert features.shape == (len(POSTS), 768)
    up = np.zeros((768, len(INTENTS)), np.float32)
    change = Change({"intent": Delta(up, np.eye(len(INTENTS), dtype=np.float32)[INTENTS.index("praise")] * 50)}, (1,))
    await model.wear(model.unpack(model.pack(change)), number=3)
    try:
        taught = await model.classify(texts)
        assert model.name == f"{plain}+t3"
        assert model.foundation == plain
        assert {each.model for each in taught} == {f"{plain}+t3"}
        assert {each.intent.label for each in taught} == {"praise"}
        assert [each.sentiment for each in taught] == [each.sentiment for each in before]
        assert [each.embedding for each in taught] == [each.embedding for each in before]
    finally:
        await model.wear(None, number=0)
    assert await model.classify(texts) == before


async def test_the_logits_that_teach_are_those_that_judge(model: Transformer) -> None:
    features = await model.features([text for text, _, _ in POSTS])
    logits = model.logits(features)
    answers = await model.classify([Text(id="", text=text, language="en") for text, _, _ in POSTS])
    for head, labels in HEADS.items():
        assert [labels[best] for best in logits[head].argmax(1)] == [getattr(each, head).label for each in answers]


@pytest.mark.parametrize("shape", [(768, 3), (5, 17)])
async def test_a_change_of_another_model_is_refused_and_changes_nothing(
    model: Transformer, shape: tuple[int, int]
) -> None:
    name = model.name
    change = Change({"intent": Delta(np.zeros(shape, np.float32), np.zeros(shape[1], np.float32))})
    with pytest.raises(ModelRefused, match="does not fit"):
        await model.wear(change, number=4)
    assert model.name == name


def test_an_engine_without_heads_says_that_it_cannot_be_taught(model: Transformer) -> None:
    assert teachable(model) is model
    with pytest.raises(Unteachable, match="it judges by rules"):
        teachable(Keywords())


@pytest.fixture
async def watched(model: Transformer, tmp_path: Path) -> Callable[..., models.Manifest]:
    """Write a validation set of POSTS beside a copy of the shipped manifest; return a maker of its manifest."""
    features = (await model.features([text for text, _, _ in POSTS])).astype(np.float16)
    intent = np.array([HEADS["intent"].index(label) for _, label, _ in POSTS], np.int8)
    sentiment = np.array([HEADS["sentiment"].index(label) for _, _, label in POSTS], np.int8)

    def write(**changes: npt.NDArray[Any]) -> models.Manifest:
        tensors: dict[str, npt.NDArray[Any]] = {"features": features, "intent": intent, "sentiment": sentiment}
        tensors |= changes
        save_file(tensors, tmp_path / "validation.safetensors")
        raw = json.loads((models.SHIPPED / models.MANIFEST).read_bytes())
        sha256 = digest(tmp_path / "validation.safetensors")
        raw["files"]["validation"] = {"file": "validation.safetensors", "sha256": sha256}
        (tmp_path / models.MANIFEST).write_text(json.dumps(raw))
        return models.read_manifest(tmp_path)

    return write


async def test_a_shipped_validation_set_is_read(watched: Callable[..., models.Manifest], tmp_path: Path) -> None:
    found = models.read_validation(tmp_path, watched())
    assert found is not None
    assert found.features.shape == (len(POSTS), 768)
    assert found.features.dtype == np.float32
    assert [HEADS["intent"][index] for index in found.right["intent"]] == [label for _, label, _ in POSTS]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"features": np.zeros((8, 5), np.float16)}, "no features"),
        ({"intent": np.full(8, 17, np.int8)}, "labels of intent"),
        ({"urgency": np.full(3, 0, np.int8)}, "labels of urgency"),
        ({"mood": np.full(8, 0, np.int8)}, "labels of mood"),
    ],
)
async def test_a_validation_set_that_cannot_be_is_refused(
    watched: Callable[..., models.Manifest],
    tmp_path: Path,
    changes: dict[str, npt.NDArray[Any]],
    why: str,
) -> None:
    with pytest.raises(ModelRefused, match=why):
        models.read_validation(tmp_path, watched(**changes))


def test_a_model_without_a_validation_set_has_none() -> None:
    manifest = replace(models.read_manifest(models.SHIPPED), files={})
    assert models.read_validation(models.SHIPPED, manifest) is None
