"""Beside the way: a language model suggests words to people who already have the case.

It is asked after the decision was committed, about posts that wait for a person, and what it says is kept where people
read it. Without it, or whenever it fails, everything else is as it was; a failed request is not repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from bot import metrics
from bot.language_model import LanguageModel, LanguageModelError
from bot.settings import LanguageModelSettings
from bot.stages.hand_off import Answers
from bot.stages.situation import capabilities_of
from bot.store import jobs as errands
from bot.store import suggestions
from bot.store.engine import Store
from bot.store.jobs import Job
from bot.store.suggestions import Limits, Made, Wanted
from bot.store.tables import Stage
from connectors.protocol import Connector
from connectors.registry import Clock
from handoff.drafting import asking
from handoff.drafting.asking import Offer, Question
from handoff.drafting.masking import masked
from handoff.drafting.support import judged
from handoff.drafting.text import ModelText

log = structlog.get_logger()

USUAL_CHARS = 500
"""How long a draft is to be where the network has no limit."""


class SuggestWork:
    """Asks *model* for words."""

    stage = Stage.SUGGEST
    patience = 1

    def __init__(
        self,
        *,
        store: Store,
        model: LanguageModel,
        settings: LanguageModelSettings,
        connectors: Mapping[str, Connector],
        brand: str,
        answers: Answers,
        clock: Clock,
    ) -> None:
        self._store = store
        self._model = model
        self._settings = settings
        self._connectors = connectors
        self._brand = brand
        self._answers = answers
        self._clock = clock
        self._limits = Limits(
            calls_per_hour=settings.calls_per_hour,
            calls_per_day=settings.calls_per_day,
            tokens_per_day=settings.tokens_per_day,
        )
        self._rests_until: datetime | None = None
        self._trouble = ""

    async def run(self, jobs: Sequence[Job]) -> None:
        """Suggest something for each post, or leave it as it is."""
        for job in jobs:
            await self._one(job)

    async def give_up(self, job: Job, reason: str) -> None:
        """Nothing is lost: the case was there before the model was asked."""
        await self._store.write(errands.finish, [job.id], now=self._clock())

    async def _one(self, job: Job) -> None:
        now = self._clock()
        wanted = await self._store.read(suggestions.wanted, job.key, now=now)
        offers = [] if wanted is None or self._rests(now) else await self._offers(wanted, now)
        made = await self._suggest(wanted, offers) if wanted is not None and offers else None
        await self._store.write(suggestions.save, job.key, made, job_id=job.id, now=self._clock())

    def _rests(self, now: datetime) -> bool:
        if self._rests_until is None or now >= self._rests_until:
            return False
        metrics.language_model.labels(outcome="resting").inc()
        return True

    async def _offers(self, wanted: Wanted, now: datetime) -> list[Offer]:
        known = wanted.known
        able = capabilities_of(self._connectors, known.kept.source)
        (found,) = await asyncio.to_thread(self._answers, [known], [able])
        worded = {each.article_id: each.wording for each in found if each.wording and not each.is_private_door}
        there = await self._store.read(suggestions.sources, list(worded), now=now, brand=self._brand)
        return [
            Offer(article_id=number, article=there[number].article, wording=wording)
            for number, wording in worded.items()
            if number in there
        ]

    async def _suggest(self, wanted: Wanted, offers: Sequence[Offer]) -> Made | None:
        """Return what the model makes of it, None when it makes nothing that counts."""
        post = wanted.known.kept.post
        text = masked(f"{post.title}\n{post.text}" if post.title else post.text, post.author)
        try:
            offer, is_chosen = await self._choose(text, offers)
            draft = None
            if offer is not None and self._settings.write:
                draft = await self._write(text, offer, wanted)
        except LanguageModelError as error:
            self._failed(error)
            return None
        self._worked()
        if offer is None or (draft is None and not is_chosen):
            return None
        words = "" if draft is None else draft.for_people()
        return Made(
            case_id=wanted.case_id,
            article_id=offer.article_id,
            is_chosen=is_chosen,
            text=draft,
            sentences=await asyncio.to_thread(judged, words, offer.texts) if words else (),
            model=self._model.name,
        )

    async def _choose(self, text: str, offers: Sequence[Offer]) -> tuple[Offer | None, bool]:
        """Return the article to write from, and whether the model named it. Nonsense leaves retrieval's order."""
        if len(offers) == 1 or not self._settings.choose:
            return offers[0], False
        said = await self._ask(asking.choosing(text, offers))
        if asking.says_none(said):
            return None, False
        named = asking.chosen(said, offers)
        if named is None:
            metrics.language_model.labels(outcome="no_candidate").inc()
            return offers[0], False
        return named, True

    async def _write(self, text: str, offer: Offer, wanted: Wanted) -> ModelText | None:
        rule = capabilities_of(self._connectors, wanted.known.kept.source).length
        most = USUAL_CHARS if rule is None else rule.limit - rule.reserve
        said = await self._ask(asking.writing(text, offer, language=offer.article.language, max_chars=most))
        return asking.drafted(said)

    async def _ask(self, question: Question) -> ModelText:
        """Ask within the budgets. Raises LanguageModelError."""
        reserved = question.tokens
        call = await self._store.write(suggestions.reserve, tokens=reserved, limits=self._limits, now=self._clock())
        if call is None:
            raise LanguageModelError("budget", "its budget is used up")
        said = await self._model.ask(question)
        cost = reserved if said.tokens is None else said.tokens
        await self._store.write(suggestions.settle, call, tokens=cost)
        metrics.language_model.labels(outcome="answered").inc()
        metrics.language_model_tokens.inc(cost)
        return said.text

    def _failed(self, error: LanguageModelError) -> None:
        self._rests_until = self._clock() + error.pause
        metrics.language_model.labels(outcome=error.outcome).inc()
        if error.outcome != self._trouble:
            log.warning("language_model.failing", outcome=error.outcome, why=str(error))
        self._trouble = error.outcome

    def _worked(self) -> None:
        if self._trouble:
            log.info("language_model.recovered")
        self._trouble, self._rests_until = "", None
