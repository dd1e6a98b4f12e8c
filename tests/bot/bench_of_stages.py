"""The stages on a real store with a clock that tests turn: what happens to a post between the model and the network."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from bot.brakes.keeper import Brakes
from bot.stages.deliver import DeliverWork
from bot.stages.hand_off import HandOffWork
from bot.stages.incidents import Incidents
from bot.stages.parts import Parts
from bot.stages.retract import RetractWork
from bot.store import jobs, posts, triages
from bot.store.engine import Store
from bot.store.situations import Known
from bot.store.tables import CaseRow, PostRow, ReplyRow, Stage
from bot.stream.table import TableStream
from classifiers.triage import Triage
from connectors.post import Post
from connectors.protocol import Capabilities, Page
from handoff.knowledge.answer import Voice, word
from handoff.knowledge.article import Article, parse
from handoff.knowledge.search import Entry
from handoff.policy import Policy, PolicySettings
from handoff.situation import Candidate
from tests.bot.factories import NOON, make_triage
from tests.bot.speaker import Speaker

PARCEL = parse(
    "---\ntitle: Parcel\nowner: team\n---\nYour parcel is on its way: https://brand.example/parcels", name="parcel.md"
)


@dataclass
class Bench:
    """Posts go in by ``hear``, the stages run by ``decide`` and ``deliver``, time passes by ``wait``."""

    store: Store
    speaker: Speaker = field(default_factory=Speaker)
    mode: str = "auto"
    confidence: float = 0.95
    now: datetime = NOON
    desks: tuple[str, ...] = ()
    policy: dict[str, Any] = field(default_factory=dict)
    articles: Sequence[Article] | None = None

    def __post_init__(self) -> None:
        self.stream = TableStream(self.store, clock=lambda: self.now, holder="bench")
        folder = Path(tempfile.mkdtemp(prefix="harken-brakes-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.brakes = Brakes(store=self.store, folder=folder, clock=lambda: self.now)
        self.adopt(mode=self.mode, **{"earned": False, **self.policy})

    def adopt(self, **settings: Any) -> None:
        """Let this be the policy from now on, as after a restart with another config."""
        policy = PolicySettings.model_validate(settings).policy()
        self.parts = self.parts_for(policy)
        self.hand_off = HandOffWork(self.parts, answers=self._answers)
        self.deliver_work = DeliverWork(self.parts, brakes=self.brakes)
        self.incidents = Incidents(self.parts)
        self.retract_work = RetractWork(self.parts)

    def parts_for(self, policy: Policy) -> Parts:
        """Return what the stages are made of, under *policy*."""
        return Parts(
            store=self.store,
            stream=self.stream,
            connectors={"x": self.speaker},
            policy=policy,
            desks_for=lambda queue: self.desks,
            clock=lambda: self.now,
        )

    def wait(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    def wait_for(self, stage: Stage) -> None:
        """Let time pass until an errand of *stage* is due."""
        due = self.store.read_now(jobs.next_due, stage, now=self.now)
        assert due is not None
        self.now = max(self.now, due)

    def hear(self, *heard: Post, triage: Triage | None = None, judged: bool = True) -> list[int]:
        """Take posts in and judge them."""
        page = Page(posts=heard, cursor="c")
        done = self.store.write_now(posts.ingest, page, source="x", stream="mentions", now=self.now, cursor="c")
        taken = self.store.write_now(jobs.claim, Stage.TRIAGE, holder="bench", now=self.now, limit=100)
        result = {job.key: (triage or make_triage(posts.read_errand(job.key)[0])) if judged else None for job in taken}
        self.store.write_now(triages.save, result, job_ids=[job.id for job in taken], now=self.now)
        return list(done.new)

    async def decide(self) -> None:
        """Run hand-off on what is due."""
        taken = self.store.write_now(jobs.claim, Stage.HAND_OFF, holder="bench", now=self.now, limit=100)
        await self.hand_off.run(taken)

    async def deliver(self) -> int:
        """Run delivery on what is due; return how many errands there were."""
        taken = self.store.write_now(jobs.claim, Stage.DELIVER, holder="bench", now=self.now, limit=100)
        await self.deliver_work.run(taken)
        return len(taken)

    async def retract(self) -> int:
        """Run what deletes on what is due; return how many errands there were."""
        taken = self.store.write_now(jobs.claim, Stage.RETRACT, holder="bench", now=self.now, limit=100)
        await self.retract_work.run(taken)
        return len(taken)

    def replies(self) -> list[ReplyRow]:
        """All replies, oldest first."""
        return self.store.read_now(lambda session: list(session.exec(select(ReplyRow).order_by(col(ReplyRow.id)))))

    def cases(self) -> list[CaseRow]:
        """All cases, oldest first."""
        return self.store.read_now(lambda session: list(session.exec(select(CaseRow).order_by(col(CaseRow.id)))))

    def outcomes(self) -> list[str]:
        """Where each post's way ended, oldest first."""

        def ends(session: Session) -> list[str]:
            return list(session.exec(select(PostRow.outcome).order_by(col(PostRow.id))))

        return self.store.read_now(ends)

    def write_article(self, *articles: Article) -> None:
        """Let these be the brand's articles from now on."""
        from bot.store import articles as stored

        self.articles = articles
        self.store.write_now(stored.put_all, articles, now=self.now)

    def _answers(self, known: Sequence[Known], capabilities: Sequence[Capabilities]) -> list[list[Candidate]]:
        """Answer everything with the first article, as the knowledge in memory would that has just been loaded."""
        from bot.store import articles as stored

        if self.articles is None:
            self.write_article(PARCEL)
        found = [
            each for each in self.store.read_now(stored.entries) if self.articles and each.article == self.articles[0]
        ]
        return [
            [self._candidate(entry, each, able) for entry in found]
            for each, able in zip(known, capabilities, strict=True)
        ]

    def _candidate(self, entry: Entry, known: Known, able: Capabilities) -> Candidate:
        signature = self.parts.policy.signature(known.kept.source)
        voice = Voice.of(known.kept.post.channel, able, signature=signature)
        wording = word(entry.article, voice)
        return Candidate(
            article_id=entry.id,
            slug=entry.article.slug,
            locale=entry.article.locale,
            title=entry.article.title,
            wording=wording.text,
            confidence=self.confidence,
            fits=wording.fits,
        )
