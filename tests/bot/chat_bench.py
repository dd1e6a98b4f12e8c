"""The stages on a real store with real knowledge, and a language model on loopback beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.language_model import LanguageModel
from bot.settings import LanguageModelSettings
from bot.stages.answers import Knowledge
from bot.stages.deliver import DeliverWork
from bot.stages.hand_off import HandOffWork
from bot.stages.suggest import SuggestWork
from bot.store import articles as stored
from bot.store import jobs
from bot.store.tables import Stage
from handoff.knowledge.article import Article, parse
from handoff.knowledge.slots import Slots, read_slots
from handoff.policy import PolicySettings
from tests.bot.bench_of_stages import Bench
from tests.networks.chat import KEY, Chat

SLOTS = read_slots(
    {
        "orders": {"type": "url", "value": "https://lark.example/orders"},
        "hours:shop": {"type": "hours", "value": "Mo-Fr 09:00-18:00"},
        "hotline": {"type": "phone", "value": "+44 20 7946 0000"},
    }
)


def write(slug: str, title: str, questions: Sequence[str], said: str, body: str = "") -> Article:
    """Return a published article."""
    listed = "\n".join(f"  - {each!r}" for each in questions)
    head = f"title: {title!r}\nslug: {slug}\nowner: team\nquestions:\n{listed}\nchannels:\n  default: {said!r}"
    return parse(f"---\n{head}\n---\n{body or said}\n", name=f"{slug}.md")


SHELF = (
    write(
        "parcel",
        "Where is my parcel?",
        ["where is my parcel?", "my order has not arrived", "when does it come"],
        "Each parcel can be followed here: {orders}. If it has not moved for two days, write to us there.",
    ),
    write(
        "returns",
        "How do I return something?",
        ["how do I send it back?", "can I return a parcel?", "I want my money back"],
        "You can return a parcel within 30 days: {orders}",
    ),
    write(
        "hours",
        "When is the shop open?",
        ["when are you open?", "opening hours of the shop"],
        "The shop is open {hours:shop}. Call {hotline}.",
    ),
)


@dataclass
class ChatBench(Bench):
    """A bench whose knowledge is ``SHELF``, found by words as in service; ``suggest`` asks *chat*."""

    chat: Chat = field(default_factory=Chat)
    slots: Slots = SLOTS
    shelf: Sequence[Article] = SHELF
    options: dict[str, Any] = field(default_factory=dict)

    def adopt(self, **settings: Any) -> None:
        """Let this be the policy from now on."""
        policy = PolicySettings.model_validate(settings).policy(brand="Lark")
        self.knowledge = Knowledge(policy, slots=self.slots)
        if self.articles is None:
            self.write_article(*self.shelf)
        self.load()
        self.parts = self.parts_for(policy)
        self.hand_off = HandOffWork(self.parts, answers=self.knowledge, has_helper=True)
        self.deliver_work = DeliverWork(self.parts, brakes=self.brakes, slots=self.slots)
        options = {"url": self.chat.base_url, "model": "lark-1", "key": KEY, "timeout_s": 2, **self.options}
        self.model_settings = LanguageModelSettings.model_validate(options)
        self.model = LanguageModel(self.model_settings)
        self.suggesting = SuggestWork(
            store=self.store,
            model=self.model,
            settings=self.model_settings,
            connectors=self.parts.connectors,
            brand="Lark",
            answers=self.knowledge,
            clock=self.parts.clock,
        )

    def load(self) -> None:
        """Answer from what the store holds by now."""
        self.knowledge.load(self.store.read_now(stored.entries, now=self.now))

    def article_id(self, slug: str) -> int:
        """Return the store's id of an article."""
        return next(each.id for each in self.store.read_now(stored.entries) if each.article.slug == slug)

    async def suggest(self, *, limit: int = 100) -> int:
        """Run suggestions on what is due; return how many errands there were."""
        taken = self.store.write_now(jobs.claim, Stage.SUGGEST, holder="bench", now=self.now, limit=limit)
        await self.model.start()
        try:
            await self.suggesting.run(taken)
        finally:
            await self.model.close()
        return len(taken)
