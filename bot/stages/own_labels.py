"""The brand's own labels in memory: learnt again within a few seconds of any change, asked for a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot.store import own_labels
from bot.store.engine import Store
from bot.store.own_labels import Embedded, Found, Labels, Learnt, Material
from classifiers import own
from classifiers.errors import ModelFailed
from classifiers.own import OwnLabels
from classifiers.registry import ClassifierEmbedder
from classifiers.triage import Triage
from connectors.registry import Clock

log = structlog.get_logger()

LOOK_S = 2.0
"""How often a process looks whether a set was changed."""

EMBED_BATCH = 64
"""Examples embedded in one call, so that posts need not wait long for their turn."""

SAVE_BATCH = 2_000
"""Posts labelled anew in one transaction, so that others may write in between."""

MOST_AGAIN = 100_000
"""Posts labelled anew at once."""

NO_EMBEDDINGS = "the engine in service makes no embeddings; set classifier.engine to transformer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    revision: str
    model: str
    learnt: OwnLabels

    def label(self, name: str, post_ids: Sequence[int], embeddings: Sequence[bytes]) -> list[Found]:
        places, sure = self.learnt.best(own.unpacked(embeddings))
        return [
            Found(
                post_id=post_id,
                set_name=name,
                label=self.learnt.labels[place],
                confidence=float(confidence),
                model=f"{self.model}/{self.revision}",
            )
            for post_id, place, confidence in zip(post_ids, places, sure, strict=True)
        ]


class OwnSets:
    """All sets, ready to be asked; ``refresh`` puts what was changed in service."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._heads: Mapping[str, _Head] = {}
        self._seen: tuple[str, str] | None = None
        self._is_failing = False

    def __len__(self) -> int:
        return len(self._heads)

    async def configure(self, sets: Mapping[str, Labels]) -> None:
        """Bring the store in step with the sets of the configuration."""
        await self._store.write(own_labels.configure, sets, now=self._clock())

    async def refresh(self, engine: ClassifierEmbedder) -> bool:
        """Learn what changed since the last look, or all of it with another model; return whether anything did.

        Where the model fails, what was learnt before stays in service, and the next look tries again.
        """
        seen = (await self._store.read(own_labels.state), engine.foundation)
        if seen == self._seen:
            return False
        try:
            await self._learn_all(engine)
        except ModelFailed as error:
            if not self._is_failing:
                log.warning("own_labels.failed", why=str(error))
            self._is_failing = True
            return False
        self._seen, self._is_failing = seen, False
        return True

    async def _learn_all(self, engine: ClassifierEmbedder) -> None:
        has_embeddings = await self._embed(engine)
        materials = await self._store.read(own_labels.material, model=engine.foundation)
        heads: dict[str, _Head] = {}
        news: list[Learnt] = []
        for material in materials:
            head = self._heads.get(material.name)
            if head is None or (head.revision, head.model) != (material.revision, engine.foundation):
                head, learnt = await asyncio.to_thread(_learn, material, engine.foundation, has_embeddings)
                news.append(learnt)
            if head is not None:
                heads[material.name] = head
        if news:
            await self._store.write(own_labels.save_learnt, news)
        self._heads = heads
        if news:
            log.info("own_labels.learnt", sets=len(heads), anew=len(news), faulty=sum(1 for each in news if each.fault))

    async def __call__(self, triages: Mapping[int, Triage | None]) -> list[Found]:
        """Return what posts get of every set, by the embeddings of their triages: post id -> triage."""
        heads = self._heads
        if not heads:
            return []
        return await asyncio.to_thread(_label_all, heads, triages)

    async def _embed(self, engine: ClassifierEmbedder) -> bool:
        """Embed the examples that *engine* has not; say whether it can."""
        wanting = await self._store.read(own_labels.wanting, model=engine.foundation)
        for start in range(0, len(wanting), EMBED_BATCH):
            part = wanting[start : start + EMBED_BATCH]
            made = await engine.embed([text for _, text in part])
            if not all(made):
                return False
            pairs = [(example_id, embedding) for (example_id, _), embedding in zip(part, made, strict=True)]
            await self._store.write(own_labels.save_embeddings, pairs, model=engine.foundation)
        return True


async def label_again(store: Store, name: str, *, most: int) -> int:
    """Label the newest *most* judged posts with the set *name*, from stored embeddings; return how many there were.

    Needs no model. Posts that another model judged are left as they are. Raises Missing, Conflict.
    """
    model = await store.read(own_labels.learnt_by, name)
    materials = await store.read(own_labels.material, model=model)
    posts = await store.read(own_labels.newest, model=model, limit=min(most, MOST_AGAIN))
    head, _ = await asyncio.to_thread(_learn, next(each for each in materials if each.name == name), model, True)
    if head is None:
        return 0
    done = 0
    for start in range(0, len(posts), SAVE_BATCH):
        part = posts[start : start + SAVE_BATCH]
        found = await asyncio.to_thread(_label_part, head, name, part)
        done += await store.write(own_labels.save_again, found, {each.post_id: each.judged_at for each in part})
    return done


def _learn(material: Material, model: str, has_embeddings: bool) -> tuple[_Head | None, Learnt]:
    said = {"name": material.name, "revision": material.revision, "model": model}
    if not has_embeddings:
        return None, Learnt(**said, report=None, fault=NO_EMBEDDINGS)
    try:
        learnt = own.learn(material.examples)
    except ValueError as error:
        return None, Learnt(**said, report=None, fault=str(error))
    head = _Head(revision=material.revision, model=model, learnt=learnt)
    return head, Learnt(**said, report=learnt.report, fault=None)


def _label_part(head: _Head, name: str, posts: Iterable[Embedded]) -> list[Found]:
    there = [each for each in posts if len(each.embedding) == own.EMBEDDING_BYTES]
    return head.label(name, [each.post_id for each in there], [each.embedding for each in there]) if there else []


def _label_all(heads: Mapping[str, _Head], triages: Mapping[int, Triage | None]) -> list[Found]:
    found: list[Found] = []
    for name, head in heads.items():
        fit = {
            post_id: triage.embedding
            for post_id, triage in triages.items()
            if triage is not None and triage.model == head.model and len(triage.embedding) == own.EMBEDDING_BYTES
        }
        if fit:
            found += head.label(name, list(fit), list(fit.values()))
    return found
