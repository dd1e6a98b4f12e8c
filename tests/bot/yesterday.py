"""A brand's yesterday, decided by the real stage over a real store, to be rewound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from bot.stages.answers import Knowledge
from bot.stages.hand_off import HandOffWork
from bot.stages.parts import Parts
from bot.stages.rewind import Asked, Rewinder
from bot.store import articles, jobs, lately, posts, triages
from bot.store.engine import Store
from bot.store.tables import ArticleRow, Origin, PostRow, ReplyRow, ReplyState, Stage
from bot.stream.table import TableStream
from classifiers.triage import Text, Triage
from connectors.protocol import Page
from handoff.differences import Report
from handoff.knowledge.article import Article
from handoff.knowledge.slots import NO_SLOTS
from handoff.policy import Policy, PolicySettings
from tests.bot.factories import make_post, make_triage
from tests.bot.speaker import Speaker
from tests.networks.clock import HandClock

POLICY: Mapping[str, Any] = {
    "mode": "draft",
    "intents": {"delivery_item": "auto", "refund_return": "auto"},
    "earned": False,
    "auto_answer_confidence": 0.5,
    "draft_answer_confidence": 0.2,
    "caps": {"brake_replies": 1_000},
}
PARCEL = Article(
    slug="parcel",
    locale="en",
    title="Where is my parcel?",
    owner="care",
    reviewer="editor",
    questions=("where is my parcel?",),
    wordings={"default": "Follow your parcel at https://lark.example/where"},
)
REFUND = Article(
    slug="refund",
    locale="en",
    title="When do I get my money back?",
    owner="care",
    reviewer="editor",
    questions=("when do I get my money back?",),
    wordings={"default": "Money is back within five days."},
)
WHERE = "where is my parcel?"
MONEY = "when do I get my money back?"


def policy_of(**changes: Any) -> Policy:
    """Return the brand's policy with *changes*."""
    return PolicySettings.model_validate({**POLICY, **changes}).policy()


class Yesterday:
    """Posts heard one after another; each is judged, decided and, where the bot speaks alone, said."""

    def __init__(self, store: Store, *, desks: Sequence[str] = (), **policy: Any) -> None:
        self.store = store
        self.clock = HandClock()
        self.policy = policy_of(**policy)
        self.speaker = Speaker()
        self.desks = desks
        self.ids: dict[int, int] = {}
        self.knowledge = Knowledge(self.policy)
        self.put([PARCEL, REFUND])

    def put(self, found: Sequence[Article]) -> None:
        """Publish *found* and nothing else."""
        self.store.write_now(articles.put_all, found, now=self.clock())
        self.knowledge.load(self.store.read_now(articles.entries, now=self.clock()))

    def reload(self) -> None:
        """Answer from what is valid by now."""
        self.knowledge.load(self.store.read_now(articles.entries, now=self.clock()))

    async def hear(self, number: int, text: str = WHERE, *, intent: str = "delivery_item", **more: Any) -> int:
        """Take one post in and decide about it a minute later; return its id. more: of the post; triage: labels."""
        labels: dict[str, Any] = {"sentiment": "neutral", **more.pop("triage", {})}
        minutes = more.pop("after", 1.0)
        self.clock.advance(minutes=minutes)
        now = self.clock()
        post = make_post(number, text=text, **more)
        post = make_post(number, text=text, **{"created_at": now, **more})
        page = Page(posts=[post], cursor="c")
        self.store.write_now(posts.ingest, page, source="x", stream="mentions", now=now, cursor="c")
        row_id = self.store.read_now(_id_of, post.key)
        self.ids[number] = row_id
        edits = self.store.read_now(posts.kept, [row_id])[row_id].edits
        judged = {posts.errand(row_id, edits): make_triage(row_id, intent=intent, **labels)}
        self.store.write_now(triages.save, judged, job_ids=[], now=now)
        self.clock.advance(seconds=5)
        await self.decide()
        return row_id

    async def decide(self) -> None:
        """Decide about all that waits, and say what the bot says alone."""
        parts = Parts(
            store=self.store,
            stream=TableStream(self.store, clock=self.clock, holder="test"),
            connectors={"x": self.speaker},
            policy=self.policy,
            desks_for=lambda queue: self.desks,
            clock=self.clock,
        )
        work = HandOffWork(parts, answers=self.knowledge)
        waiting = self.store.write_now(jobs.claim, Stage.HAND_OFF, holder="test", now=self.clock(), limit=100)
        await work.run(waiting)
        self.clock.advance(seconds=1)
        self.store.write_now(_say, policy=self.policy, now=self.clock())

    def rewinder(self, **more: Any) -> Rewinder:
        """Return what plays yesterday again."""

        async def embed(texts: Sequence[str]) -> Sequence[bytes]:
            return [b""] * len(texts)

        async def judge(texts: Sequence[Text]) -> Sequence[Triage]:
            raise AssertionError("nothing asks the model")

        made: dict[str, Any] = {
            "store": self.store,
            "clock": self.clock,
            "policy": self.policy,
            "brand": "",
            "slots": NO_SLOTS,
            "connectors": {"x": self.speaker},
            "desks_for": lambda queue: self.desks,
            "embed": embed,
            "judge": judge,
            "read_policy": lambda text: self.policy,
            "table": POLICY,
        }
        return Rewinder(**made | more)

    async def rewind(self, *, days: float = 1, **asked: Any) -> Report:
        """Return the report of a rewind."""
        return await self.rewinder().run(Asked(days=days, **asked))


def told(report: Report) -> dict[str, list[int]]:
    """Return each group's line without its count, with its posts."""
    return {f"{each.before}, {each.now}: {each.because}": each.posts for each in report.groups}


def dump(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, and of SQLite's own counters of rows."""

    def read(session: Session) -> dict[str, list[tuple[Any, ...]]]:
        tables = sa.inspect(session.connection()).get_table_names()
        return {
            name: sorted(map(tuple, session.connection().exec_driver_sql(f'SELECT * FROM "{name}"')), key=repr)
            for name in tables
        }

    return store.read_now(read)


def _id_of(session: Session, key: str) -> int:
    channel, _, external_id = key.partition(":")
    query = select(PostRow.id).where(PostRow.channel == channel, PostRow.external_id == external_id)
    return session.exec(query).one() or 0


def _say(session: Session, *, policy: Policy, now: datetime) -> None:
    """Do what delivery does to rows: said, and the brake pulled after a burst."""
    slugs = set()
    for row in session.exec(select(ReplyRow).where(ReplyRow.state == ReplyState.INTENDED)).all():
        if row.origin == Origin.BOT:
            row.state, row.first_sent_at, row.sent_at = ReplyState.SENT, now, now
            session.add(row)
            slugs.add(session.get_one(ArticleRow, row.article_id).slug)
    session.flush()
    for slug in slugs:
        most = policy.settings.caps.brake_replies
        lately.brake_if_burst(session, slug, most=most, within=policy.brake_within, now=now)
