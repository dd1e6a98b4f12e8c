"""Composition: settings become parts. Only here are registries asked and settings handed out."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from bot import metrics
from bot.brakes.flags import FlagsError
from bot.brakes.keeper import Brakes
from bot.language_model import LanguageModel
from bot.poller import Poller
from bot.settings import ConfigError, Settings, sentences
from bot.stages.answers import Knowledge
from bot.stages.deliver import DeliverWork
from bot.stages.hand_off import HandOffWork
from bot.stages.incidents import Incidents
from bot.stages.open_ticket import OpenTicketWork
from bot.stages.own_labels import OwnSets
from bot.stages.parts import Parts
from bot.stages.retract import RetractWork
from bot.stages.rewind import Rewinder
from bot.stages.suggest import SuggestWork
from bot.stages.triage import TriageWork
from bot.stages.work import Work
from bot.store import articles, editions, migrate, people, posts
from bot.store.engine import Store, StoreError
from bot.store.refusals import Invalid
from bot.store.roles import Role
from bot.store.tables import Stage
from bot.stream.table import TableStream
from bot.teacher import Teacher
from bot.web.parts import Ready
from bot.web.site import Site
from bot.worker import Worker
from classifiers import own, why
from classifiers import registry as engines
from classifiers.errors import ClassifierError
from classifiers.registry import ClassifierEmbedder
from classifiers.triage import Text, Triage
from classifiers.why import Why
from connectors import registry as channels
from connectors.errors import AuthFailed, Rejected
from connectors.protocol import Connector, Receiver
from connectors.registry import Clock
from connectors.settings import SourceSettings
from handoff import registry as desk_kinds
from handoff.knowledge.answer import Voice
from handoff.knowledge.article import Article, ArticleError
from handoff.knowledge.folder import load_all, lonely, named
from handoff.knowledge.readiness import Guess, Standards
from handoff.knowledge.search import Hit, Query
from handoff.knowledge.slots import read_slots
from handoff.policy import Policy, PolicySettings
from handoff.protocol import Desk
from handoff.registry import DeskSettings

log = structlog.get_logger()

MOST_REASONS = 5
"""Of posts that a delivery brought and nobody could read, so many are told of in the log."""

FALLBACK_ENGINE = "keywords"

TRIAGE_TASKS = 2
"""While one batch is in the model the other is read or saved."""

TICKET_TASKS = 2

RETRACT_TASKS = 2

SUGGEST_TASKS = 2

REHEARSAL = "replay"

FIRST_PERSON = "admin@localhost"
"""Whom the first one-time link signs in, until there are accounts with real names."""


def now() -> datetime:
    """Return the time: the one clock that everything below is handed."""
    return datetime.now(UTC)


def open_store(settings: Settings, *, daemon: bool = False) -> Store:
    """Return the store of *settings*. Raises StoreError. Only the *daemon* checkpoints."""
    return Store(settings.store.url.get_secret_value(), checkpoints=daemon)


@contextmanager
def ready_store(settings: Settings) -> Iterator[Store]:
    """Give the store with today's schema, made where there is none yet. Raises StoreError, saying what to run."""
    store = open_store(settings)
    try:
        if migrate.current(store) is None:
            migrate.upgrade(store)
        elif not migrate.is_current(store):
            raise StoreError("the store has another schema than this version speaks; run: harken db upgrade")
        yield store
    finally:
        store.close()


def make_brakes(settings: Settings, store: Store, clock: Clock) -> Brakes:
    """Return the brakes of this machine over *store*."""
    return Brakes(store=store, folder=settings.brakes_folder(), clock=clock)


@asynccontextmanager
async def retracting(settings: Settings, store: Store, clock: Clock) -> AsyncIterator[RetractWork]:
    """Give what deletes replies, its connectors open, without model, articles or daemon. Raises ConfigError."""
    made = make_connectors(settings, clock)
    desks = make_desks(settings, clock)
    connectors = {name: connector for name, (connector, _) in made.items()}
    parts = Parts(
        store=store,
        stream=TableStream(store, clock=clock, holder="harken retract"),
        connectors=connectors,
        policy=make_policy(settings),
        desks_for=lambda queue: wanting(desks, queue),
        clock=clock,
    )
    async with AsyncExitStack() as stack:
        for connector in connectors.values():
            await stack.enter_async_context(connector)
        yield RetractWork(parts)


def wanting(desks: Mapping[str, tuple[Desk, DeskSettings]], queue: str) -> list[str]:
    """Return the outside desks that want the cases of *queue*."""
    return [name for name, (_, options) in desks.items() if not options.queues or queue in options.queues]


def make_classifier(settings: Settings) -> ClassifierEmbedder:
    """Return the engine of the config, not yet warm. Raises ConfigError."""
    options = dict(settings.classifier)
    kind = options.pop("engine", "transformer")
    try:
        return engines.load(str(kind)).make(options)
    except engines.UnknownEngine as error:
        raise ConfigError(f"classifier.engine = {kind!r}: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"classifier: {error}") from error


def make_policy(settings: Settings) -> Policy:
    """Return the policy of the config. Raises ConfigError."""
    options: PolicySettings = checked(PolicySettings, settings.handoff, ("handoff",))
    return options.policy(brand=settings.brand)


def read_policy(settings: Settings, text: str, *, name: str) -> Policy:
    """Return the policy of the ``[handoff]`` table in a TOML text, whole: what it leaves out has its default.

    name: of the text, for messages. Raises ConfigError with every key that is wrong. Other tables of a config.toml are
    passed over.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not TOML: {error}") from error
    faults = [
        f"{name}: {key}: no such table; look for a typo, or take it out"
        for key in tables
        if key not in Settings.model_fields
    ]
    table = tables.get("handoff")
    if not isinstance(table, dict):
        raise ConfigError("\n".join([*faults, f"{name}: has no table [handoff]; write one as in config.toml"]))
    try:
        options: PolicySettings = checked(PolicySettings, table, ("handoff",))
    except ConfigError as error:
        raise ConfigError("\n".join([*faults, *(f"{name}: {line}" for line in str(error).splitlines())])) from error
    for source in options.sources:
        if source not in settings.sources:
            there = ", ".join(settings.sources) or "none"
            faults.append(f"{name}: handoff.sources.{source}: no source has this name; there are: {there}")
    if faults:
        raise ConfigError("\n".join(faults))
    return options.policy(brand=settings.brand)


def make_rewinder(
    settings: Settings,
    store: Store,
    clock: Clock,
    *,
    embed: Callable[[Sequence[str]], Awaitable[Sequence[bytes]]],
    judge: Callable[[Sequence[Text]], Awaitable[Sequence[Triage]]],
    policy_name: str,
) -> Rewinder:
    """Return what plays the stored past again; its connectors and desks are never opened. Raises ConfigError.

    policy_name: how a policy that somebody gives is called in messages.
    """
    desks = make_desks(settings, clock)
    return Rewinder(
        store=store,
        clock=clock,
        policy=make_policy(settings),
        brand=settings.brand,
        slots=make_standards(settings).slots,
        connectors={name: connector for name, (connector, _) in make_connectors(settings, clock).items()},
        desks_for=lambda queue: wanting(desks, queue),
        embed=embed,
        judge=judge,
        read_policy=lambda text: read_policy(settings, text, name=policy_name),
        table=settings.handoff,
    )


def make_connectors(settings: Settings, clock: Clock) -> dict[str, tuple[Connector, SourceSettings]]:
    """Return every enabled source by name. Raises ConfigError, naming all faults at once."""

    def plan(name: str, kind: str, table: Mapping[str, Any]) -> tuple[SourceSettings, Callable[[], Connector]]:
        channel = channels.load(kind)
        options: SourceSettings = checked(channel.settings, table, ("sources", name))
        return options, lambda: channel.connect(name=name, settings=options, clock=clock)

    return _all_enabled("sources", settings.sources, plan)


def make_desks(settings: Settings, clock: Clock) -> dict[str, tuple[Desk, DeskSettings]]:
    """Return every enabled outside desk by name. Raises ConfigError, naming all faults at once."""

    def plan(name: str, kind: str, table: Mapping[str, Any]) -> tuple[DeskSettings, Callable[[], Desk]]:
        desk = desk_kinds.load(kind)
        options: DeskSettings = checked(desk.settings, table, ("desks", name))
        return options, lambda: desk.make(name=name, settings=options, clock=clock)

    return _all_enabled("desks", settings.desks, plan)


Part = TypeVar("Part")
Options = TypeVar("Options", SourceSettings, DeskSettings)


def _all_enabled(
    where: str,
    tables: Mapping[str, Mapping[str, Any]],
    plan: Callable[[str, str, Mapping[str, Any]], tuple[Options, Callable[[], Part]]],
) -> dict[str, tuple[Part, Options]]:
    made: dict[str, tuple[Part, Options]] = {}
    faults: list[str] = []
    for name, table in tables.items():
        kind = str(table.get("kind", name))
        try:
            options, make = plan(name, kind, {"kind": kind, **table})
            if options.enabled:
                made[name] = make(), options
        except (channels.UnknownChannel, desk_kinds.UnknownDesk) as error:
            faults.append(f"{where}.{name}.kind = {kind!r}: {error}")
        except ConfigError as error:
            faults.append(str(error))
        except ValueError as error:
            faults.append(f"{where}.{name}: {error}")
    if faults:
        raise ConfigError("\n".join(faults))
    return made


def checked(model: type[Any], table: Mapping[str, Any], where: Sequence[str]) -> Any:
    """Return *table* as *model*. Raises ConfigError: key, value, what is allowed."""
    try:
        value: BaseModel = model.model_validate(dict(table))
    except ValidationError as error:
        raise ConfigError("\n".join(sentences(error, where))) from error
    return value


def read_articles(settings: Settings) -> list[Article] | None:
    """Return the articles of the configured folder, None without one. Raises ConfigError with every fault.

    A published one that two people do not stand for is a fault.
    """
    folder = settings.knowledge.folder
    if folder is None:
        return None
    try:
        found = named(load_all(folder), by=settings.knowledge.by, reviewed_by=settings.knowledge.reviewed_by)
    except ArticleError as error:
        raise ConfigError("\n".join(f"knowledge.folder: {problem}" for problem in error.problems)) from error
    if alone := lonely(found):
        raise ConfigError("\n".join(f"knowledge.folder: {problem}" for problem in alone))
    return found


def make_standards(settings: Settings, connectors: Iterable[Connector] = ()) -> Standards:
    """Return what wordings are held against. Raises ConfigError for a slot without a good value.

    connectors: how the channels they speak on count; other built-in networks are counted as they usually are.
    """
    slots = read_slots(settings.knowledge.slots)
    if slots.faults:
        raise ConfigError("\n".join(f"knowledge.slots: {fault}" for fault in slots.faults.values()))
    policy = make_policy(settings)
    spoken = [each for each in connectors if not each.capabilities.pushed]
    # Of several sources on one channel the one with the longest signature is the one to hold a wording against.
    spoken.sort(key=lambda each: len(policy.signature(each.name)))
    return Standards(
        voices={
            each.channel: Voice.of(each.channel, each.capabilities, signature=policy.signature(each.name))
            for each in spoken
        },
        slots=slots,
        signature=policy.settings.signature,
        topics=frozenset(settings.knowledge.topics),
        main_locale=settings.knowledge.main_locale,
    )


def check_labels(settings: Settings) -> None:
    """Raises ConfigError with a sentence for each thing wrong with the sets of labels of the config."""
    faults = [f"labels.{fault}" for name, labels in settings.labels.items() for fault in own.faults(name, labels)]
    if len(settings.labels) > own.MOST_SETS:
        faults.append(f"labels: has {len(settings.labels)} sets; {own.MOST_SETS} are allowed")
    if faults:
        raise ConfigError("\n".join(faults))


class App:
    """All parts of one process, made from *settings*; nothing is opened before ``open``."""

    def __init__(self, settings: Settings, *, clock: Clock = now) -> None:
        self.settings = settings
        self.clock = clock
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        self.policy = make_policy(settings)
        check_labels(settings)
        for name in self.policy.settings.sources:
            if name not in settings.sources:
                there = ", ".join(settings.sources) or "none"
                raise ConfigError(f"handoff.sources.{name}: no source has this name; there are: {there}")
        self._sources = make_connectors(settings, clock)
        self._desks = make_desks(settings, clock)
        self._classifier = make_classifier(settings)
        self.classifier_state = "not loaded"
        self.is_loading = False
        self.store = open_store(settings, daemon=True)
        self.stream = TableStream(self.store, clock=clock, holder=self.holder)
        self.brakes = make_brakes(settings, self.store, clock)
        self.standards = make_standards(settings, self.connectors.values())
        self.knowledge = Knowledge(self.policy, slots=self.standards.slots)
        self._known = ""
        self.teacher = Teacher(
            store=self.store,
            engine=lambda: self._classifier,
            settings=settings.teaching,
            clock=clock,
            holder=self.holder,
        )
        self._articles = read_articles(settings)
        self.language_model = LanguageModel(settings.language_model) if settings.language_model.is_on else None
        self.own_labels = OwnSets(store=self.store, clock=clock)
        self.incidents: Incidents | None = None

    @property
    def connectors(self) -> dict[str, Connector]:
        """Sources by name."""
        return {name: connector for name, (connector, _) in self._sources.items()}

    @property
    def desks(self) -> dict[str, Desk]:
        """Outside desks by name."""
        return {name: desk for name, (desk, _) in self._desks.items()}

    @property
    def is_rehearsal(self) -> bool:
        """Say whether every source plays a recording: nothing real is heard or said."""
        return bool(self._sources) and all(options.kind == REHEARSAL for _, options in self._sources.values())

    @property
    def classifier(self) -> ClassifierEmbedder:
        """The engine in service: the configured one, or the fallback when that could not be loaded."""
        return self._classifier

    def source_kinds(self) -> dict[str, tuple[str, str]]:
        """Return kind and channel of each source."""
        return {name: (options.kind, connector.channel) for name, (connector, options) in self._sources.items()}

    def desks_for(self, queue: str) -> list[str]:
        """Return the outside desks that want the cases of *queue*."""
        return wanting(self._desks, queue)

    def disk_folder(self) -> Path:
        """Return the folder whose free space matters."""
        return Path(self.store.url.database or ".").parent if self.store.is_sqlite else Path(".")

    async def open(self, stack: AsyncExitStack) -> None:
        """Open brakes, connectors and desks; *stack* closes them and the store."""
        stack.callback(self.store.close)
        try:
            self.brakes.open()
        except FlagsError as error:
            raise ConfigError(str(error)) from error
        stack.push_async_callback(self._close_classifier)
        for connector, _ in self._sources.values():
            await stack.enter_async_context(connector)
        for desk, _ in self._desks.values():
            await stack.enter_async_context(desk)
        if self.language_model is not None:
            await self.language_model.start()
            stack.push_async_callback(self.language_model.close)

    async def warm(self) -> None:
        """Load the model, or the fallback; then knowledge and own labels with their vectors, and what was taught."""
        self.is_loading = True
        try:
            await self._classifier.warm()
        except ClassifierError as error:
            log.error("classifier.fallback", engine=FALLBACK_ENGINE, why=str(error))
            metrics.classify_fallback.labels(reason="not_loaded").inc()
            await self._classifier.aclose()
            self._classifier = engines.load(FALLBACK_ENGINE).make({})
            await self._classifier.warm()
            self.classifier_state = f"degraded: {FALLBACK_ENGINE} instead of the model"
        else:
            self.classifier_state = "ok"
        self.is_loading = False
        await self.take_folder()
        await self.load_knowledge()
        await self.teacher.keep_up()
        await self.own_labels.configure(self.settings.labels)
        await self.look_at_labels()

    @property
    def folder_articles(self) -> Sequence[Article]:
        """The articles of the configured folder; none without one."""
        return self._articles or ()

    async def take_folder(self) -> None:
        """Bring the store in step with the folder of articles; twice is once.

        Raises ConfigError for what cannot be published, and then nothing has changed.
        """
        if self._articles is None:
            return
        try:
            await self.store.write(articles.take_folder, self._articles, standards=self.standards, now=self.clock())
        except Invalid as error:
            raise ConfigError("\n".join(f"knowledge.folder: {line}" for line in str(error).splitlines())) from error

    async def load_knowledge(self) -> None:
        """Bring the index in step with what the store holds that may be said now."""
        await articles.refresh_vectors(self.store, self._classifier, model=self._classifier.foundation)
        now, brand = self.clock(), self.settings.brand
        self._known = await self.store.read(articles.state, now=now, brand=brand)
        self.knowledge.load(await self.store.read(articles.entries, now=now, brand=brand))
        log.info("knowledge.loaded", articles=len(self.knowledge))

    async def look_at_knowledge(self) -> None:
        """Answer from what is published and valid by now: publishing, retiring and dates count within seconds."""
        found = await self.store.read(articles.state, now=self.clock(), brand=self.settings.brand)
        if found != self._known:
            await self.load_knowledge()

    async def remind(self) -> None:
        """Tell of articles that somebody should look at again."""
        for each in await self.store.write(editions.remind, now=self.clock()):
            log.warning("article.due", article=each.name, review_by=each.review_by.isoformat())

    async def tongues(self, texts: Sequence[str]) -> list[Guess]:
        """Return the language of each text, as the engine in service tells it. Raises ClassifierError."""
        judged = await self._classifier.classify([Text(id=str(at), text=text) for at, text in enumerate(texts)])
        return [Guess(language=each.language.label, confidence=each.language.confidence) for each in judged]

    async def nearest(self, queries: Sequence[Query]) -> Sequence[Hit | None]:
        """Return for each of *queries* the likeliest article that may be said now, None where there is none."""
        return await asyncio.to_thread(self.knowledge.nearest, queries)

    async def look_at_labels(self) -> None:
        """Put sets of labels that were changed anywhere in service."""
        await self.own_labels.refresh(self._classifier)

    async def _close_classifier(self) -> None:
        if not self.is_loading:  # a model that is being loaded cannot be told to stop
            await self._classifier.aclose()

    def pollers(self) -> list[Poller]:
        """Return a poller for each source that is polled."""
        return [
            Poller(
                store=self.store,
                stream=self.stream,
                connector=connector,
                settings=options,
                holder=self.holder,
                clock=self.clock,
            )
            for connector, options in self._sources.values()
        ]

    def workers(self) -> list[Worker]:
        """Return the workers of all stages; call it after ``warm``."""
        triage = TriageWork(
            store=self.store,
            stream=self.stream,
            classifier=self._classifier,
            clock=self.clock,
            own=self.own_labels,
        )
        parts = Parts(
            store=self.store,
            stream=self.stream,
            connectors=self.connectors,
            policy=self.policy,
            desks_for=self.desks_for,
            clock=self.clock,
        )
        hand_off = HandOffWork(parts, answers=self.knowledge, has_helper=self.language_model is not None)
        deliver = DeliverWork(parts, brakes=self.brakes, slots=self.standards.slots)
        retract = RetractWork(parts)
        self.incidents = Incidents(parts, slots=self.standards.slots)
        open_ticket = OpenTicketWork(
            store=self.store,
            desks=self.desks,
            connectors=self.connectors,
            public_url=self.settings.web.public_url,
            clock=self.clock,
        )
        many = self.settings.work.batch
        plan: list[tuple[Work, int, int]] = [
            (triage, many, TRIAGE_TASKS),
            (hand_off, many, 1),
            (deliver, 1, self.settings.work.replies_at_once),
            (open_ticket, 1, TICKET_TASKS),
            (retract, 1, RETRACT_TASKS),
            *((work, 1, SUGGEST_TASKS) for work in self._suggest()),
        ]
        return [
            Worker(store=self.store, stream=self.stream, work=work, batch=batch, clock=self.clock)
            for work, batch, tasks in plan
            for _ in range(tasks)
        ]

    def _suggest(self) -> list[Work]:
        """Return the stage of the language model, if the brand wants one."""
        if self.language_model is None:
            return []
        return [
            SuggestWork(
                store=self.store,
                model=self.language_model,
                settings=self.settings.language_model,
                connectors=self.connectors,
                brand=self.settings.brand,
                answers=self.knowledge,
                clock=self.clock,
            )
        ]

    async def serve(self, stack: AsyncExitStack, ready: Ready) -> int:
        """Serve the pages until *stack* closes; return the port. Raises ConfigError when it cannot be had."""
        site = Site(
            store=self.store,
            clock=self.clock,
            policy=self.policy,
            settings=self.settings.web,
            ready=ready,
            metrics=metrics.exposition,
            receive=self.receive,
            measure=self.measure,
            explain=self.explain,
            standards=self.standards,
            tongues=self.tongues,
            brakes=self.brakes,
            rewinder=make_rewinder(
                self.settings,
                self.store,
                self.clock,
                embed=lambda texts: self._classifier.embed(texts),
                judge=lambda texts: self._classifier.classify(texts),
                policy_name="policy",
            ),
            nearest=self.nearest,
        )
        try:
            await site.start()
        except socket.gaierror as error:
            host = self.settings.web.host
            raise ConfigError(f"web.host = {host!r}: nobody knows it; write an address such as 127.0.0.1") from error
        except OSError as error:
            port, why = self.settings.web.port, os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"web.port = {port}: {why}; set another one with HARKEN_WEB__PORT") from error
        stack.push_async_callback(site.close)
        return site.port

    def sign_in_link(self, *, always: bool) -> str | None:
        """Return the token of a one-time link for the first administrator: made on the first start, or *always*."""
        return self.store.write_now(_first_link, now=self.clock(), always=always)

    async def explain(self, text: str) -> tuple[Triage, Sequence[Why]]:
        """Return the labels of *text* and the words that made them. Raises ClassifierError."""
        return await why.explain(self._classifier, text)

    def measure(self, source: str, text: str) -> tuple[int, int] | None:
        """Return how long *text* is and may be on the network of *source*, None where there is no rule."""
        found = self._sources.get(source)
        rule = found[0].capabilities.length if found else None
        return None if rule is None else (rule.measure(text) + rule.reserve, rule.limit)

    async def receive(self, source: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take one pushed delivery; return the HTTP status. 202 only after it is committed and synced."""
        found = self._sources.get(source)
        connector: Any = found[0] if found else None
        if not isinstance(connector, Receiver):
            return 404
        try:
            delivered = connector.receive(headers, body, self.clock())
        except AuthFailed:
            metrics.webhooks.labels(direction="in", outcome="unauthorised").inc()
            return 401
        except Rejected as error:
            log.warning("delivery.unreadable", source=source, why=str(error))
            metrics.webhooks.labels(direction="in", outcome="unreadable").inc()
            return 400
        digest = hashlib.sha256(body).hexdigest()
        done = await self.store.write(
            posts.take_in_delivery, delivered, source=source, body_hash=digest, now=self.clock()
        )
        if done and delivered.page.bad:
            reasons = [each.reason for each in delivered.page.bad[:MOST_REASONS]]
            metrics.items_quarantined.labels(stage="delivery", reason="unreadable").inc(len(delivered.page.bad))
            log.warning("items.quarantined", source=source, items=len(delivered.page.bad), why=reasons)
        outcome = {True: "taken", False: "repeated", None: "conflict"}[done]
        metrics.webhooks.labels(direction="in", outcome=outcome).inc()
        if done is None:
            return 409
        self.stream.wake(Stage.TRIAGE)
        return 202


def _first_link(session: Any, *, now: datetime, always: bool) -> str | None:
    admins = [each for each in people.everyone(session) if each.role == Role.ADMIN and each.disabled_at is None]
    if admins and not always:
        return None
    if not admins:
        people.add(session, email=FIRST_PERSON, name="Administrator", role=Role.ADMIN, now=now)
    return people.add_link(session, email=admins[0].email if admins else FIRST_PERSON, now=now)
