"""Corrections into heads: reads what people corrected, refits, keeps what came of it, and wears what is in service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from bot import metrics
from bot.settings import TeachingSettings
from bot.store import sources, teaching
from bot.store.engine import Store
from bot.store.tables import RevisionState
from bot.store.teaching import Made, RevisionView
from classifiers.errors import ClassifierError, ModelRefused, Unteachable
from classifiers.protocol import Classifier, Teachable
from classifiers.registry import teachable
from connectors.registry import Clock

if TYPE_CHECKING:
    from classifiers.delta import Vectors
    from classifiers.teaching import Change, Proposal

log = structlog.get_logger()

LEASE = "teaching"
LEASE_LASTS = timedelta(minutes=2)
"""Longer than a refit takes whose texts must all be read anew; until then no other process begins one."""


class Teacher:
    """Teaches the engine that *engine* returns; one at work at a time, in all processes of a store."""

    def __init__(
        self,
        *,
        store: Store,
        engine: Callable[[], Classifier],
        settings: TeachingSettings,
        clock: Clock,
        holder: str,
    ) -> None:
        self._store = store
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._holder = holder
        self._alone = asyncio.Lock()
        self._worn = 0
        self._lessons = _Read()
        self._ordinary = _Read()

    async def keep_up(self) -> None:
        """Wear what is in service by now; the engine must be warm. An engine without heads wears nothing."""
        try:
            engine = teachable(self._engine())
        except Unteachable:
            return
        number = await self._store.read(teaching.number_in_service, model=engine.foundation)
        if number == self._worn:
            return
        found = await self._store.read(teaching.in_service, model=engine.foundation)
        self._worn = 0 if found is None else found.number
        try:
            await engine.wear(None if found is None else engine.unpack(found.change), number=self._worn)
        except ModelRefused as error:
            log.error("teaching.unreadable", revision=self._worn, why=str(error))
            await engine.wear(None, number=0)
            return
        _measure(self._worn, found.figures if found is not None else {})
        log.info("teaching.worn", revision=self._worn, model=engine.name)

    async def look(self) -> None:
        """Refit when enough corrections came since the last time."""
        try:
            engine = teachable(self._engine())
        except Unteachable:
            return
        came = await self._store.read(teaching.fresh, model=engine.foundation)
        if came >= self._settings.min_corrections and await self._takes_lease():
            await self.refit(origin=teaching.SCHEDULE)

    async def answer(self) -> None:
        """Refit when somebody asked for it on a page or through the API."""
        number = await self._store.read(teaching.asked)
        if number is not None and await self._takes_lease():
            await self.refit(origin=teaching.PERSON, number=number)

    async def refit(self, *, origin: str, number: int | None = None) -> RevisionView:
        """Refit, keep what came of it, and wear it when it is in service. number: of the row that asked."""
        async with self._alone:
            try:
                made = await self.propose()
            except ClassifierError as error:
                made = _failed(self._engine().name, str(error))
            except Exception as error:
                # Kept as refused, or whoever asked would wait for ever, and the clock would try again each tick.
                log.exception("teaching.failed", why=type(error).__name__)
                made = _failed(self._engine().name, "the refit failed; the log says why")
            kept = await self._store.write(teaching.keep, made, origin=origin, number=number, now=self._clock())
        log.info(f"teaching.{kept.state}", revision=kept.number, by=origin, seconds=kept.figures.get("seconds", 0))
        await self.keep_up()
        return kept

    async def propose(self) -> Made:
        """Return what a refit comes to, without keeping it. Raises Unteachable, ModelFailed, ModelRefused."""
        # Here and not on top: numpy and scipy are slow to import, and most commands never teach.
        from classifiers.lessons import weighed
        from classifiers.teaching import propose

        engine = teachable(self._engine())
        lessons, last = await self._store.read(teaching.lessons)
        found = await asyncio.to_thread(weighed, lessons)
        validation, worn = await engine.validation(), await self._in_service(engine)
        ordinary = {} if validation is not None else await self._store.read(teaching.ordinary)
        features = await self._lessons.features(engine, {each.id: each.text for each in found.lessons})
        anchors = await self._ordinary.features(engine, ordinary)
        began = time.perf_counter()
        proposal = await asyncio.to_thread(
            propose, found, features, judge=engine.logits, validation=validation, ordinary=anchors, worn=worn
        )
        better = RevisionState.PROPOSED if self._settings.mode == "review" else RevisionState.ACTIVE
        return Made(
            model=engine.foundation,
            state=RevisionState.REFUSED if proposal.change is None else better,
            reason=proposal.why_not if proposal.change is None else "",
            change=b"" if proposal.change is None else engine.pack(proposal.change),
            figures=_figures(proposal, time.perf_counter() - began),
            last_correction=last,
        )

    async def _in_service(self, engine: Teachable) -> Change | None:
        found = await self._store.read(teaching.in_service, model=engine.foundation)
        return None if found is None else engine.unpack(found.change)

    async def _takes_lease(self) -> bool:
        epoch = await self._store.write(
            sources.take_lease, LEASE, holder=self._holder, now=self._clock(), lasts=LEASE_LASTS
        )
        return epoch is not None


class _Read:
    """Remembers the features of texts by id for as long as they are asked for: the next refit reads only new ones."""

    def __init__(self) -> None:
        self._known: dict[int, Vectors] = {}

    async def features(self, engine: Teachable, texts: Mapping[int, str]) -> Vectors:
        """Return texts x width, in their order."""
        import numpy as np

        fresh = {each: text for each, text in texts.items() if each not in self._known}
        made = await engine.features(list(fresh.values()))
        known = self._known | dict(zip(fresh, made, strict=True))
        self._known = {each: known[each] for each in texts}
        return np.stack([*self._known.values()]) if texts else made


def _failed(model: str, reason: str) -> Made:
    nothing: dict[str, Any] = {"heads": [], "left_out": {}, "notes": [], "seconds": 0.0}
    refused = RevisionState.REFUSED
    return Made(model=model, state=refused, reason=reason, change=b"", figures=nothing, last_correction=0)


def _figures(proposal: Proposal, seconds: float) -> dict[str, Any]:
    return {
        "heads": [asdict(verdict) for verdict in proposal.verdicts],
        "left_out": dict(proposal.left_out),
        "notes": list(proposal.notes),
        "seconds": round(seconds, 2),
    }


def _measure(number: int, figures: Any) -> None:
    metrics.teaching_revision.set(number)
    metrics.teaching_accuracy.clear()
    for head in figures.get("heads", ()):
        for when in ("before", "after"):
            score = head[f"corrections_{when}"]["accuracy"]
            metrics.teaching_accuracy.labels(head=head["head"], heads=when).set(score)
