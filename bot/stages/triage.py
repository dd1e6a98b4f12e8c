"""Stage 1: what does it mean? A dead model sends posts to people as untriaged; it never stops the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from bot import metrics
from bot.stages.own_labels import OwnSets
from bot.store import triages
from bot.store.engine import Store
from bot.store.jobs import Job
from bot.store.posts import read_errand
from bot.store.tables import Stage
from bot.stream.protocol import Stream
from classifiers.errors import ModelFailed
from classifiers.protocol import Classifier
from classifiers.triage import Text, Triage
from connectors.registry import Clock

log = structlog.get_logger()


class TriageWork:
    """Judges batches with *classifier*; a batch it fails on is tried post by post, the culprits stay unjudged.

    own: asked for the brand's own labels of each batch, by the embeddings that judging has made.
    """

    stage = Stage.TRIAGE
    patience = 5

    def __init__(
        self, *, store: Store, stream: Stream, classifier: Classifier, clock: Clock, own: OwnSets | None = None
    ) -> None:
        self._store = store
        self._stream = stream
        self._classifier = classifier
        self._clock = clock
        self._own = own

    async def run(self, jobs: Sequence[Job]) -> None:
        """Judge the posts of *jobs*."""
        texts = await self._store.read(triages.texts, [job.key for job in jobs])
        judged = await self._judge(texts)
        await self._save(judged, jobs)

    async def give_up(self, job: Job, reason: str) -> None:
        """Send the post on as untriaged."""
        metrics.classify_fallback.labels(reason="parked").inc()
        texts = await self._store.read(triages.texts, [job.key])
        await self._save(dict.fromkeys(texts), [job])

    async def _judge(self, texts: Mapping[str, Text]) -> dict[str, Triage | None]:
        if not texts:
            return {}
        try:
            return dict(zip(texts, await self._classifier.classify(list(texts.values())), strict=True))
        except ModelFailed as error:
            log.warning("model.failed", engine=self._classifier.name, posts=len(texts), why=str(error))
        judged: dict[str, Triage | None] = {}
        for key, text in texts.items():
            try:
                judged[key] = (await self._classifier.classify([text]))[0]
            except ModelFailed:
                metrics.classify_fallback.labels(reason="failed").inc()
                judged[key] = None
        return judged

    async def _save(self, judged: Mapping[str, Triage | None], jobs: Sequence[Job]) -> None:
        own = [] if self._own is None else await self._own({read_errand(key)[0]: judged[key] for key in judged})
        await self._store.write(triages.save, judged, job_ids=[job.id for job in jobs], now=self._clock(), own=own)
        metrics.posts_triaged.labels(engine=self._classifier.name).inc(
            sum(1 for triage in judged.values() if triage is not None)
        )
        self._stream.wake(Stage.HAND_OFF)
