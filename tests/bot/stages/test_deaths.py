"""The daemon dies after any one of its commits; the next life finds every post an end, and says nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from bot.store import jobs, replies
from bot.store.engine import Store
from bot.store.tables import Stage
from connectors.errors import AmbiguousWrite, RateLimited, Rejected
from connectors.protocol import SendClass
from tests.bot.bench_of_stages import Bench
from tests.bot.factories import make_post
from tests.bot.speaker import Speaker

MAX_COMMITS = 22


class Death(BaseException):
    """As if the process had ended."""


class MortalStore:
    """A store that dies after *commits* more of its commits; None: it lives."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, *args: Any, **kwargs: Any) -> Any:
        done = await self._store.write(*args, **kwargs)
        if self.commits is not None:
            self.commits -= 1
            if self.commits <= 0:
                raise Death
        return done


def refused() -> Speaker:
    return Speaker(before=[Rejected("no")])


def doubtful() -> Speaker:
    return Speaker(before=[AmbiguousWrite("?"), AmbiguousWrite("?")])


def public() -> Speaker:
    return Speaker(after=[AmbiguousWrite("?")])


def blind() -> Speaker:
    return Speaker(send_class=SendClass.BLIND, before=[AmbiguousWrite("?")])


def limited() -> Speaker:
    return Speaker(before=[RateLimited("slow", until=None)])


@pytest.mark.parametrize("commits", range(1, MAX_COMMITS))
@pytest.mark.parametrize(
    "speaker", [Speaker, refused, doubtful, public, blind, limited], ids=lambda each: each.__name__
)
async def test_a_death_after_any_commit_of_delivery(
    sqlite_store: Store, speaker: Callable[[], Speaker], commits: int
) -> None:
    mortal = MortalStore(sqlite_store)
    bench = Bench(cast(Store, mortal), speaker=speaker())
    bench.hear(make_post())
    await bench.decide()
    mortal.commits = commits
    try:
        await until_calm(bench)
    except Death:
        mortal.commits = None
        sqlite_store.write_now(jobs.release_all)
        sqlite_store.write_now(replies.settle_start, now=bench.now)
        await until_calm(bench)
    (reply,) = bench.replies()
    assert len(bench.speaker.ledger) <= 1
    assert reply.state in ("sent", "refused", "person")
    assert bench.outcomes() == ["answered" if reply.state == "sent" else "escalated"]
    assert len(bench.cases()) == (0 if reply.state == "sent" else 1)


async def until_calm(bench: Bench) -> None:
    """Deliver, and let time pass, until nothing is left to do."""
    for _ in range(60):
        await bench.deliver()
        bench.wait(seconds=20)
        if not [depth for depth in bench.store.read_now(jobs.depths) if depth.stage == Stage.DELIVER]:
            return
    pytest.fail("it never comes to rest")


async def test_a_reply_that_waited_too_long_is_a_matter_for_people(store: Store) -> None:
    """Nothing said and nobody told would be a lost customer."""
    bench = Bench(store)
    bench.hear(make_post())
    await bench.decide()
    bench.wait(hours=7)
    await bench.deliver()
    assert [reply.state for reply in bench.replies()] == ["cancelled"]
    assert bench.outcomes() == ["escalated"]
    assert len(bench.cases()) == 1
