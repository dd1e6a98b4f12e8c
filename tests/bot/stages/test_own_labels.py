"""Labels of one's own on their way: learnt without a restart, given in triage, given again from stored embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.stages.own_labels import NO_EMBEDDINGS, OwnSets, label_again
from bot.stages.triage import TriageWork
from bot.store import jobs, own_labels, people, posts
from bot.store.engine import Store
from bot.store.own_labels import Found
from bot.store.refusals import Conflict
from bot.store.roles import Role
from bot.store.tables import Stage
from bot.stream.table import TableStream
from classifiers.errors import ModelFailed
from connectors.protocol import Page
from tests.bot.factories import NOON, make_post
from tests.bot.word_engine import PRODUCT, WordEngine, embedding

SAID = ["the internet router is slow again", "tv picture gone on channel four", "no signal on my phone sim"]


class Process:
    """One of several workers on the same store."""

    def __init__(self, store: Store, engine: WordEngine | None = None) -> None:
        self.store = store
        self.engine = engine or WordEngine()
        self.sets = OwnSets(store=store, clock=lambda: NOON)
        stream = TableStream(store, clock=lambda: NOON, holder="one")
        self.triage = TriageWork(store=store, stream=stream, classifier=self.engine, clock=lambda: NOON, own=self.sets)

    async def look(self) -> bool:
        return await self.sets.refresh(self.engine)

    async def hear(self, said: Sequence[str] = SAID, *, first: int = 1) -> list[list[Found]]:
        """Take posts in and judge them; return what each got, oldest first."""
        heard = [make_post(first + place, text=text, minutes=place) for place, text in enumerate(said)]
        page = Page(posts=heard, cursor="c")
        new = self.store.write_now(posts.ingest, page, source="x", stream="m", now=NOON, cursor="c").new
        taken = self.store.write_now(jobs.claim, Stage.TRIAGE, holder="one", now=NOON, limit=100)
        await self.triage.run(taken)
        found = self.store.read_now(own_labels.of_posts, new)
        return [found.get(post_id, []) for post_id in new]


@pytest.fixture
def lead(store: Store) -> int:
    return store.write_now(people.add, email="lead@example.org", name="Lea", role=Role.LEAD, now=NOON).id


async def test_every_judged_post_gets_a_label_of_each_set(store: Store, lead: int) -> None:
    process = Process(store)
    await process.sets.configure({"product": PRODUCT})
    assert await process.look()
    mood = {"calm": ["all is fine", "fine thanks"], "angry": ["this is rubbish", "utter rubbish"]}
    store.write_now(own_labels.replace, "mood", mood, user_id=lead, now=NOON)
    assert await process.look()
    got = await process.hear()
    assert [[each.set_name for each in found] for found in got] == [["mood", "product"]] * 3
    assert [found[1].label for found in got] == ["broadband", "tv", "mobile"]
    assert all(0.5 < found[1].confidence <= 1.0 for found in got)
    assert {found[1].model.partition("/")[0] for found in got} == {"words@1"}


async def test_without_a_set_triage_is_as_it_was(store: Store) -> None:
    process = Process(store)
    assert await process.hear() == [[], [], []]


async def test_a_change_reaches_every_process_without_a_restart(store: Store, lead: int) -> None:
    one, other = Process(store), Process(store)
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    assert await one.look()
    assert await other.look()
    assert not await one.look()
    assert other.engine.embedded == []  # the first had embedded them
    late = ["parcel is late", "late van"]
    store.write_now(own_labels.add, "product", label="parcel", texts=late, user_id=lead, now=NOON)
    assert await other.look()
    assert sorted(other.engine.embedded) == ["late van", "parcel is late"]
    ((got,),) = await other.hear(["my parcel is late"])
    assert got.label == "parcel"
    store.write_now(own_labels.drop, "product", user_id=lead, now=NOON)
    assert await one.look()
    assert await one.hear(["my parcel is late"], first=9) == [[]]


async def test_another_model_embeds_the_examples_anew_and_keeps_to_its_own_posts(store: Store) -> None:
    before = Process(store)
    await before.sets.configure({"product": PRODUCT})
    await before.look()
    await before.hear()
    after = Process(store, WordEngine("words@2"))
    assert await after.look()
    assert len(after.engine.embedded) == 9
    ((got,),) = await after.hear(["the internet router is slow"], first=9)
    assert got.model.startswith("words@2/")
    assert await label_again(store, "product", most=100) == 1


async def test_a_label_with_one_example_waits_and_the_page_says_so(store: Store, lead: int) -> None:
    process = Process(store)
    await process.sets.configure({"product": PRODUCT})
    store.write_now(own_labels.add, "product", label="parcel", texts=["late parcel"], user_id=lead, now=NOON)
    await process.look()
    found = store.read_now(own_labels.one, "product")
    assert list(found.warnings) == ["'parcel' is left out until it has 2 examples"]
    assert found.accuracy == 1.0
    assert {label.label: label.recognised for label in found.labels} == {
        "broadband": 3,
        "mobile": 3,
        "parcel": None,
        "tv": 3,
    }


async def test_a_set_that_cannot_be_learnt_harms_no_other(store: Store, lead: int) -> None:
    process = Process(store)
    await process.sets.configure({"product": PRODUCT})
    store.write_now(own_labels.add, "mood", label="calm", texts=["all is fine"], user_id=lead, now=NOON)
    await process.look()
    assert "a set needs 2 labels" in (store.read_now(own_labels.one, "mood").fault or "")
    assert [[each.set_name for each in found] for found in await process.hear()] == [["product"]] * 3
    with pytest.raises(Conflict, match="labels nothing"):
        await label_again(store, "mood", most=10)


async def test_an_engine_without_embeddings_says_so_and_forgets_none(store: Store) -> None:
    real, plain = Process(store), Process(store, WordEngine("plain", has_embeddings=False))
    await real.sets.configure({"product": PRODUCT})
    await real.look()
    await plain.look()
    assert store.read_now(own_labels.one, "product").fault == NO_EMBEDDINGS
    assert await plain.hear() == [[], [], []]
    back = Process(store)
    await back.look()
    assert back.engine.embedded == []
    assert store.read_now(own_labels.one, "product").fault is None


async def test_a_model_that_fails_leaves_what_was_learnt_in_service(store: Store, lead: int) -> None:
    class Broken(WordEngine):
        async def embed(self, texts: Sequence[str]) -> list[bytes]:
            raise ModelFailed("out of memory")

    process = Process(store)
    await process.sets.configure({"product": PRODUCT})
    await process.look()
    store.write_now(own_labels.add, "product", label="tv", texts=["dark screen"], user_id=lead, now=NOON)
    assert not await process.sets.refresh(Broken())
    assert [found[0].label for found in await process.hear()] == ["broadband", "tv", "mobile"]
    assert await process.look()


async def test_posts_judged_before_are_labelled_from_their_embeddings(store: Store) -> None:
    process = Process(store)
    await process.hear()
    await process.sets.configure({"product": PRODUCT})
    with pytest.raises(Conflict, match="being learnt"):
        await label_again(store, "product", most=10)
    await process.look()
    asked = len(process.engine.embedded)
    assert await label_again(store, "product", most=2) == 2
    assert await label_again(store, "product", most=10) == 3
    assert len(process.engine.embedded) == asked
    found = store.read_now(own_labels.of_posts, [1, 2, 3])
    assert [found[post_id][0].label for post_id in (1, 2, 3)] == ["broadband", "tv", "mobile"]


async def test_a_deleted_post_is_not_labelled_again(store: Store) -> None:
    process = Process(store)
    await process.hear()
    store.write_now(posts.mark_deleted, [1], now=NOON)
    await process.sets.configure({"product": PRODUCT})
    await process.look()
    assert await label_again(store, "product", most=10) == 2


def test_the_words_of_the_tests_are_near_when_shared() -> None:
    assert len(embedding("tv")) == 768
