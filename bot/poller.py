"""Listens to one source: lease, fetch, take in, back off, health. Never more than one look at a stream at a time."""

from __future__ import annotations

import time
from datetime import timedelta

import structlog

from bot import metrics
from bot.store import posts, sources
from bot.store.engine import Store
from bot.store.posts import Ingested
from bot.store.tables import Stage
from bot.stream.protocol import Stream
from connectors.errors import AuthFailed, ConnectorError, RateLimited, Rejected, Unavailable
from connectors.protocol import Connector, Page
from connectors.registry import Clock
from connectors.settings import SourceSettings

log = structlog.get_logger()

MAX_PAGES = 50
"""Pages of one look; what is left waits for the next."""

MAX_LOOKUPS = 100
"""Batches of look-ups in a row; what is left waits for the next tick."""

MAX_PAUSE = timedelta(minutes=15)
"""A source in trouble is looked at again at least this often."""

REFUSALS = 2
"""Credentials refused this often in a row stop the source until a restart: asking on would lock the account."""

LEASE_LOOKS = 3
"""A lease outlasts this many polling intervals."""


class Poller:
    """Polls every stream of one source."""

    def __init__(
        self,
        *,
        store: Store,
        stream: Stream,
        connector: Connector,
        settings: SourceSettings,
        holder: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._stream = stream
        self._connector = connector
        self._settings = settings
        self._holder = holder
        self._clock = clock
        self._said: str | None = None

    @property
    def name(self) -> str:
        """The source's name."""
        return self._connector.name

    @property
    def settings(self) -> SourceSettings:
        """The source's settings."""
        return self._settings

    def streams(self) -> list[str]:
        """Return the streams to poll."""
        return list(self._connector.streams())

    async def poll(self, stream: str) -> None:
        """Read *stream* up to now; whatever goes wrong is recorded as this source's health and stops only it."""
        if not await self._may_ask(f"poll:{self.name}:{stream}"):
            return
        started = time.perf_counter()
        outcome = "ok"
        try:
            await self._read(stream)
        except RateLimited as error:
            outcome = "limited"
            await self._trouble("limited", error)
        except AuthFailed as error:
            outcome = "refused"
            await self._trouble("refused", error)
        except (Unavailable, Rejected) as error:
            outcome = "unavailable"
            await self._trouble("failing", error)
        else:
            await self._well()
        metrics.connector_request.labels(network=self._connector.channel, outcome=outcome).observe(
            time.perf_counter() - started
        )

    async def recheck(self, *, older_than: timedelta) -> None:
        """Look kept posts up again until none is due, and follow edits and deletions."""
        if not self._connector.capabilities.deletions:
            return
        for _ in range(MAX_LOOKUPS):
            if not await self._may_ask(f"recheck:{self.name}") or not await self._recheck_some(older_than):
                return

    async def _recheck_some(self, older_than: timedelta) -> bool:
        """Look one batch up; return whether there may be more."""
        before = self._clock() - older_than
        limit = self._connector.capabilities.lookup_batch
        ids = await self._store.read(posts.due_for_recheck, self.name, before=before, limit=limit)
        if not ids:
            return False
        try:
            found = await self._connector.still_there(ids)
        except ConnectorError as error:
            log.info("recheck.postponed", source=self.name, why=type(error).__name__)
            if isinstance(error, RateLimited):
                await self._trouble("limited", error)
            return False
        self._count(await self._store.write(posts.apply_recheck, self.name, ids, found, now=self._clock()))
        return len(ids) == limit

    async def _read(self, stream: str) -> None:
        cursor = await self._store.read(posts.cursor, self.name, stream)
        is_first = cursor is None
        for number in range(1, MAX_PAGES + 1):
            page = await self._connector.fetch(stream, cursor)
            await self._take_in(page, stream)
            if not page.more:
                return
            if page.cursor == cursor:
                log.warning("cursor.stuck", source=self.name)
                return
            if is_first and number >= self._settings.max_first_pages:
                log.info("backfill.bounded", source=self.name, pages=number)
                return
            cursor = page.cursor

    async def _take_in(self, page: Page, stream: str) -> None:
        now = self._clock()
        done = await self._store.write(posts.ingest, page, source=self.name, stream=stream, now=now, cursor=page.cursor)
        for post in page.posts:
            metrics.posts_freshness.labels(network=self._connector.channel).observe(
                max(0.0, (now - post.created_at).total_seconds())
            )
        self._count(done)

    def _count(self, done: Ingested) -> None:
        metrics.posts_ingested.labels(network=self._connector.channel).inc(len(done.new))
        if done.deleted:
            metrics.deletions.labels(network=self._connector.channel).inc(done.deleted)
        if done.bad:
            metrics.items_quarantined.labels(stage="fetch", reason="unreadable").inc(done.bad)
            log.warning("items.quarantined", source=self.name, items=done.bad)
        if done.new or done.edited or done.deleted:
            log.debug("page.ingested", source=self.name, new=len(done.new), edited=done.edited, deleted=done.deleted)
            self._stream.wake(Stage.TRIAGE)

    async def _may_ask(self, errand: str) -> bool:
        now = self._clock()
        health = await self._store.read(sources.one, self.name)
        if health is not None:
            if health.status == "refused" and health.failures >= REFUSALS:
                return False
            if health.blocked_until is not None and health.blocked_until > now:
                return False
        lasts = timedelta(seconds=max(60.0, LEASE_LOOKS * self._settings.poll_every_s))
        epoch = await self._store.write(sources.take_lease, errand, holder=self._holder, now=now, lasts=lasts)
        return epoch is not None

    async def _trouble(self, status: str, error: ConnectorError) -> None:
        now = self._clock()
        health = await self._store.read(sources.one, self.name)
        failures = 0 if health is None else health.failures
        pause = min(MAX_PAUSE, timedelta(seconds=self._settings.poll_every_s) * 2 ** min(failures, 10))
        blocked_until = error.wait_until(now, otherwise=pause) if isinstance(error, RateLimited) else now + pause
        await self._store.write(
            sources.failed, self.name, status=status, reason=str(error), blocked_until=blocked_until
        )
        metrics.connector_blocked_until.labels(source=self.name).set(blocked_until.timestamp())
        if self._said != status:  # one warning, then silence until it changes
            log.warning(f"source.{status}", source=self.name, why=str(error), until=blocked_until.isoformat())
            self._said = status

    async def _well(self) -> None:
        now = self._clock()
        was_bad = await self._store.write(sources.succeeded, self.name, now=now)
        metrics.connector_last_success.labels(source=self.name).set(now.timestamp())
        if was_bad and self._said is not None:
            log.info("source.recovered", source=self.name)
        self._said = None
