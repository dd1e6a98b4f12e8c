"""Sees bursts, opens incidents, sets their replies off at a pace. Called by the schedule; keeps nothing but counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot import metrics
from bot.stages.parts import Parts
from bot.stages.situation import late
from bot.store import bursts, campaigns, incidents, opening
from bot.store.tables import Stage
from handoff import burst
from handoff.burst import Burst, Record, hour_of
from handoff.knowledge.answer import Voice, word
from handoff.knowledge.article import Article
from handoff.knowledge.slots import NO_SLOTS, Slots

log = structlog.get_logger()

LOOK_S = 15.0
"""How often topics are counted."""

SEND_S = 3.0
"""How often the next replies are set off."""


class Incidents:
    """Looks for bursts, and sends what people started."""

    def __init__(self, parts: Parts, *, slots: Slots = NO_SLOTS) -> None:
        self._store = parts.store
        self._stream = parts.stream
        self._connectors = parts.connectors
        self._policy = parts.policy
        self._clock = parts.clock
        self._judge = partial(late, parts)
        self._slots = slots
        # Past hours do not change, and reading four weeks of a busy topic takes a while: topic -> (hour, its hours).
        self._hours: dict[str, tuple[int, Mapping[int, int]]] = {}

    async def look(self) -> None:
        """Link what belongs to open incidents, see that each has its case, and open at most one new."""
        settings, now = self._policy.settings.incidents, self._clock()
        if await self._store.read(incidents.count_open):
            await self._store.write(opening.sweep, now=now)
            if await self._store.write(opening.open_cases, judge=self._judge, now=now):
                self._stream.wake(Stage.OPEN_TICKET)
            for number in await self._store.write(opening.grow_quiet, settings, now=now):
                log.info("incident.quiet", incident=number)
        if settings.enabled and (found := await self._burst(now)) is not None:
            opened: int | None = await self._store.write(
                opening.open_one, found, settings=settings, judge=self._judge, now=now
            )
            if opened is not None:
                metrics.incidents_opened.inc()
                log.warning("incident.opened", incident=opened, topic=found.topic, observed=found.observed)
                self._stream.wake(Stage.OPEN_TICKET)
        metrics.incidents.set(await self._store.read(incidents.count_open))

    async def send(self) -> None:
        """Set off what pace and caps have room for."""
        for number in await self._store.read(campaigns.under_way):
            done = await self._store.write(
                campaigns.set_off, number, say=self._say, policy=self._policy, now=self._clock()
            )
            if done.set_off:
                self._stream.wake(Stage.DELIVER)
            if done.halted:
                log.warning("incident.halted", incident=number, why=done.halted)

    async def _burst(self, now: datetime) -> Burst | None:
        settings = self._policy.settings.incidents
        worth = await self._store.read(bursts.counted, settings, now=now)
        since = await self._store.read(bursts.since) if worth else None
        if since is None or now - since < timedelta(minutes=burst.LEAST):
            return None
        found = []
        for topic, windows, recent in worth:
            hours = await self._history(topic, now)
            record = Record(topic=topic, windows=windows, hours=hours, recent=recent, since=since)
            if (judged := burst.judge(record, now=now, settings=settings)) is not None:
                found.append(judged)
        return burst.chosen(found, settings)

    async def _history(self, topic: str, now: datetime) -> Mapping[int, int]:
        this = hour_of(now)
        if (kept := self._hours.get(topic)) is None or kept[0] != this:
            kept = this, await self._store.read(bursts.hours, topic, now=now)
            self._hours[topic] = kept
        return kept[1]

    def _say(self, article: Article, source: str) -> str | None:
        connector = self._connectors.get(source)
        if connector is None:
            return None
        voice = Voice.of(connector.channel, connector.capabilities, signature=self._policy.signature(source))
        return word(article, voice, slots=self._slots).text
