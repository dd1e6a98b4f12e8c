"""Plays the stored past again by another policy or from other articles, beside the daemon; reads, and says nothing."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.stages.answers import Knowledge
from bot.stages.parts import DesksFor
from bot.stages.situation import situation_of
from bot.store import articles, past, verdicts
from bot.store.engine import Store
from bot.store.lately import Lately
from bot.store.past import Decided, Setting
from bot.store.situations import Known
from classifiers.errors import ModelFailed
from classifiers.triage import Text, Triage
from connectors.protocol import Connector
from connectors.registry import Clock
from handoff.differences import EXAMPLES, Comparison, Report
from handoff.earned import NOTHING, Record
from handoff.hindsight import Past
from handoff.knowledge.article import Article, ArticleState, Audience
from handoff.knowledge.search import Entry
from handoff.knowledge.slots import Slots
from handoff.policy import Policy
from handoff.rewind import Moment, Rewind

BATCH = 200
"""Decisions read and taken anew together: so often progress is told, and the other work of the process goes on."""

EMBED_BATCH = 64

SHELVES = 4
"""Sets of articles valid at the same time that are kept ready; they change when one begins or ends to be valid."""

MOST_DAYS = 3_660

NO_SOURCE = "of a source that is not in the config"

Progress = Callable[[int, int], None]
"""(done, of how many) decisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to try.

    policy: None for today's. articles: None for those that are published. without: slugs left out. rejudge: label every
    post anew with the model in service, in place of the stored labels.
    """

    days: float
    policy: Policy | None = None
    articles: Sequence[Article] | None = None
    without: frozenset[str] = frozenset()
    rejudge: bool = False
    examples: int = EXAMPLES

    @property
    def is_other(self) -> bool:
        """Tell whether anything but today's policy and articles is asked for."""
        return self.policy is not None or self.articles is not None or bool(self.without) or self.rejudge


class Rewinder:
    """Rewinds over *store*.

    connectors: what sources can do and refuse; they are asked nothing. embed, judge: the model, asked only for articles
    that are not stored and for ``rejudge``. read_policy: TOML to policy; raises ConfigError. table: today's, as it is
    configured.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        policy: Policy,
        brand: str,
        slots: Slots,
        connectors: Mapping[str, Connector],
        desks_for: DesksFor,
        embed: Callable[[Sequence[str]], Awaitable[Sequence[bytes]]],
        judge: Callable[[Sequence[Text]], Awaitable[Sequence[Triage]]],
        read_policy: Callable[[str], Policy],
        table: Mapping[str, Any],
    ) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._brand = brand
        self._slots = slots
        self._connectors = connectors
        self._desks_for = desks_for
        self._embed = embed
        self._judge = judge
        self.read_policy = read_policy
        self.table = table

    async def run(self, asked: Asked, *, progress: Progress | None = None) -> Report:
        """Return what would have come of the decisions of the last days, against what did.

        The store is only read. The loop is not held: the work is done in threads, a batch at a time.
        """
        until = self._clock()
        since = until - timedelta(days=asked.days)
        policy = asked.policy or self._policy
        within = max(policy.judged_within, self._policy.judged_within)
        begin = await self._store.read(past.setting, since=since, until=until, judged_within=within)
        stored = await self._store.read(articles.entries, brand=self._brand)
        entries = await self._entries(asked, stored)
        now = await asyncio.to_thread(self._side, policy, entries, begin)
        today = await asyncio.to_thread(self._side, self._policy, stored, begin) if asked.is_other else None
        comparison = Comparison(since=since, until=until, examples=asked.examples)
        done, after = 0, 0
        while found := await self._store.read(past.decisions, begin, after=after, limit=BATCH):
            after = found[-1].number
            fresh = await self._rejudged(found) if asked.rejudge else {}
            await asyncio.to_thread(self._take, found, fresh, now, today, comparison)
            done += len(found)
            if progress is not None:
                progress(done, max(done, begin.count))
        comparison.report.finish()
        return comparison.report

    def _take(
        self,
        found: Sequence[Decided],
        fresh: Mapping[int, Triage | None],
        now: _Side,
        today: _Side | None,
        comparison: Comparison,
    ) -> None:
        ordered = sorted(found, key=lambda each: (each.at, each.number))
        was = [self._moment(each) for each in ordered]
        moments = [
            replace(each, situation=replace(each.situation, triage=fresh.get(each.number, each.situation.triage)))
            for each in was
        ]
        answers = now.answers(ordered, moments)
        answers_today = None if today is None else today.answers(ordered, was)
        for at, moment in enumerate(moments):
            if moment.gone:
                now.rewind.take(moment)
                if today is not None:
                    today.rewind.take(moment)
                comparison.leave_out(moment)
                continue
            rewound = now.rewind.decide(moment, answers[at])
            as_today = None
            if today is not None and answers_today is not None:
                as_today = today.rewind.decide(was[at], answers_today[at])
            comparison.add(moment, rewound, now.rewind.policy, today=as_today, before=self._policy)

    def _moment(self, each: Decided) -> Moment:
        gone = each.gone or ("" if each.kept.source in self._connectors else NO_SOURCE)
        known = Known(
            kept=each.kept,
            triage=each.triage,
            history=each.history,
            already_answered=each.already_answered,
            left=each.left,
            own_names=each.own_names,
        )
        # What people thought and what the bot said until then the rewind itself knows.
        situation = situation_of(known, self._connectors, now=each.at, answers=(), record=NOTHING, lately=Lately())
        return Moment(
            number=each.number,
            post_id=each.kept.id,
            author_id=each.kept.author_id,
            situation=situation,
            happened=each.happened,
            gone=gone,
            spans=each.spans,
        )

    def _side(self, policy: Policy, entries: Sequence[Entry], begin: Setting) -> _Side:
        pasts = {
            pair: Past(judged, within=policy.judged_within, most=verdicts.MOST) for pair, judged in begin.judged.items()
        }

        def record(intent: str, source: str, now: datetime) -> Record:
            found = pasts.get((intent, source))
            return NOTHING if found is None else found.record(now)

        rewind = Rewind(
            policy,
            since=begin.since,
            desks_for=self._desks_for,
            record=record,
            before=begin.before,
            braked=begin.braked,
            releases=begin.releases,
            usual=begin.usual,
        )
        return _Side(rewind, Shelf(policy, entries, self._slots))

    async def _entries(self, asked: Asked, stored: Sequence[Entry]) -> Sequence[Entry]:
        """Return the articles to answer from; what is stored word by word has its vectors already.

        Posts that are judged anew have vectors of the model that judges, so articles get theirs from it as well.
        """
        if asked.articles is None and not asked.rejudge:
            return [each for each in stored if each.article.slug not in asked.without]
        wanted = [
            each
            for each in ([each.article for each in stored] if asked.articles is None else asked.articles)
            if each.state is ArticleState.PUBLISHED
            and each.audience is Audience.PUBLIC
            and each.brand in ("", self._brand)
            and each.slug not in asked.without
        ]
        ids = {(each.article.slug, each.article.locale): each.id for each in stored}
        known = {} if asked.rejudge else {each.article.passages: each.vectors for each in stored}
        fresh = [passage for each in wanted if each.passages not in known for passage in each.passages]
        made: list[bytes] = []
        for start in range(0, len(fresh), EMBED_BATCH):
            made.extend(await self._embed(fresh[start : start + EMBED_BATCH]))
        vectors = iter(made)
        entries = []
        for number, each in enumerate(wanted):
            if (whole := known.get(each.passages)) is None:
                own = [next(vectors) for _ in each.passages]
                whole = b"".join(own) if all(own) else b""
            entries.append(Entry(id=ids.get((each.slug, each.locale), -1 - number), article=each, vectors=whole))
        return entries

    async def _rejudged(self, found: Sequence[Decided]) -> dict[int, Triage | None]:
        """Return the labels that the model in service gives, by number; None where it breaks on the post alone."""
        whole = [each for each in found if not each.gone]
        texts = []
        for each in whole:
            post = each.kept.post
            text = f"{post.title}\n{post.text}" if post.title else post.text
            texts.append(Text(id=str(each.kept.id), text=text, language=post.language))
        judged = await self._judged(texts) if texts else []
        return {each.number: triage for each, triage in zip(whole, judged, strict=True)}

    async def _judged(self, texts: Sequence[Text]) -> list[Triage | None]:
        """Judge *texts* as the stage does: where the model breaks on a batch, one by one."""
        try:
            return [*await self._judge(texts)]
        except ModelFailed:
            if len(texts) == 1:
                return [None]
        return [triage for text in texts for triage in await self._judged([text])]


class Shelf:
    """Articles by when they are valid: what may answer at a moment."""

    def __init__(self, policy: Policy, entries: Sequence[Entry], slots: Slots) -> None:
        self._policy = policy
        self._entries = entries
        self._slots = slots
        ends = {at for each in entries for at in (each.article.valid_from, each.article.valid_until) if at is not None}
        self._ends = sorted(ends)
        self._ready: OrderedDict[int, Knowledge] = OrderedDict()

    def period(self, now: datetime) -> int:
        """Return a number that is the same for moments with the same valid articles."""
        return bisect_right(self._ends, now)

    def knowledge(self, now: datetime) -> Knowledge:
        """Return what was valid at *now*, ready to be asked."""
        period = self.period(now)
        if period not in self._ready:
            made = Knowledge(self._policy, slots=self._slots)
            made.load([each for each in self._entries if each.article.is_valid(now)])
            self._ready[period] = made
            if len(self._ready) > SHELVES:
                self._ready.popitem(last=False)
        return self._ready[period]


class _Side:
    """One policy with one set of articles, on its way through the past."""

    def __init__(self, rewind: Rewind, shelf: Shelf) -> None:
        self.rewind = rewind
        self._shelf = shelf

    def answers(self, found: Sequence[Decided], moments: Sequence[Moment]) -> list[Sequence[Any]]:
        """Return the candidates for each of *moments*, in their order; none for those that are gone."""
        answers: list[Sequence[Any]] = [()] * len(moments)
        periods: dict[int, list[int]] = {}
        for at, moment in enumerate(moments):
            if not moment.gone:
                periods.setdefault(self._shelf.period(moment.situation.now), []).append(at)
        for places in periods.values():
            knowledge = self._shelf.knowledge(moments[places[0]].situation.now)
            known = [Known(kept=found[at].kept, triage=moments[at].situation.triage) for at in places]
            able = [moments[at].situation.capabilities for at in places]
            for at, candidates in zip(places, knowledge(known, able), strict=True):
                answers[at] = candidates
        return answers
