"""Bots that answer whatever we say, on networks on loopback: at most two automatic replies each, then people."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from bot.app import App
from bot.daemon import Daemon, Role
from bot.store.tables import JobRow, PostRow
from classifiers import registry
from tests.bot.books import Books
from tests.bot.brand import make_settings, make_tables, source_on
from tests.networks.clock import FastClock
from tests.networks.faults import Network, serve_in_thread
from tests.networks.mastodon import OUR_ACCT, MastodonNetwork
from tests.networks.x import BRAND, Person, XNetwork

RATE = 60
ROUNDS = 12
"""What each bot would say if it were always answered."""

LONGEST_S = 150.0
LINE = "says delivered, but nobody rang at all"


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the config name the engine of ``rules``."""
    monkeypatch.setitem(registry.BUILT_IN, "rules", "tests.bot.rules")


@pytest.fixture
def clock() -> FastClock:
    return FastClock(rate=RATE)


async def quarrel(app: App, network: Network, answer: Callable[[str], None], written: Callable[[], set[str]]) -> None:
    """Run the daemon, let *answer* react to each reply of ours by its id, until all that was *written* has its end."""
    daemon = Daemon(app, [Role.POLL, Role.WORK])
    ready = asyncio.Event()
    running = asyncio.create_task(daemon.run(on_ready=lambda port: ready.set()))
    heard = 0
    try:
        async with asyncio.timeout(LONGEST_S):
            await ready.wait()
            while True:
                await asyncio.sleep(0.1)
                for entry in network.ledger[heard:]:
                    heard += 1
                    answer(str(entry.id))
                ids, errands = await app.store.read(_state)
                if written() <= ids and not errands and heard == len(network.ledger):
                    return
                assert not running.done()
    except TimeoutError:
        pass  # the books say what is missing
    finally:
        daemon.stop()
        await running


def _state(session: Session) -> tuple[set[str], int]:
    waiting = select(func.count()).select_from(JobRow).where(col(JobRow.done_at).is_(None))
    return set(session.exec(select(PostRow.external_id))), session.exec(waiting).one()


def settings(folder: Path, network: Network, **source: Any) -> Any:
    tables = make_tables(folder, sources={"net": source_on(network, **source)})
    policy = {**tables["handoff"], "auto_replies_per_day": 2}
    return make_settings(folder, sources=tables["sources"], handoff=policy)


def check(counts: Counter[Any], folder: Path, network: Network, *, is_eager: bool) -> None:
    """Each bot was answered, twice at most in one conversation, and all that it wrote has an end.

    is_eager: it says several things at once; the case that one of them opens may stop the second answer to another.
    """
    books = Books.read(folder / "harken.db")
    assert max(counts.values()) <= 2, counts
    assert is_eager or set(counts.values()) == {2}, (counts, [row["reasons"] for row in books.posts.values()])
    assert not books.faults(planned=(), said=network.ledger)
    waiting = books.outcomes()["drafted"] + books.outcomes()["escalated"]
    assert waiting, "whoever goes on is for people"


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("is_eager", [False, True], ids=["what we say to them", "whatever we say"])
@pytest.mark.parametrize("bots", [2, 3])
async def test_bots_in_one_thread_on_mastodon(tmp_path: Path, clock: FastClock, bots: int, *, is_eager: bool) -> None:
    """They answer us, and each other; Mastodon names no conversation with a reply."""
    network = MastodonNetwork(clock=clock)
    names = [f"chatter{number}@bots.example" for number in range(bots)]
    said: Counter[str] = Counter()
    written: set[str] = set()

    def say(name: str, parent: str | None) -> str:
        said[name] += 1
        new = network.post(f"@{OUR_ACCT} {LINE} {said[name]}", at=clock(), by=name, parent=parent)
        written.add(new)
        return new

    def answer(status_id: str) -> None:
        spoken_to = network.statuses[str(network.statuses[status_id].in_reply_to_id)].account.acct
        for name in names:
            if said[name] < ROUNDS and (is_eager or name == spoken_to):
                say(name, status_id)

    def conversation(status_id: str) -> str:
        while (above := network.statuses[status_id].in_reply_to_id) is not None:
            status_id = above
        return status_id

    with serve_in_thread(network):
        # The search finds our own posts too: they come back to us.
        app = App(settings(tmp_path, network, queries=["parcel"]), clock=clock)
        first = say(names[0], None)
        for name in names[1:]:
            first = say(name, first)
        await quarrel(app, network, answer, lambda: written)
    spoken = [(network.statuses[str(e.parent)].account.acct, conversation(str(e.parent))) for e in network.ledger]
    check(Counter(spoken), tmp_path, network, is_eager=is_eager)
    assert {name for name, _ in spoken} == set(names)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("is_eager", [False, True], ids=["what we say to them", "whatever we say"])
@pytest.mark.parametrize("bots", [2, 3])
async def test_bots_that_quote_us_on_x(tmp_path: Path, clock: FastClock, bots: int, *, is_eager: bool) -> None:
    """They quote us, and quotes of quotes: every quote is a conversation of its own there."""
    network = XNetwork(clock=clock)
    people = [Person(id=f"88{number}", handle=f"echo{number}", name=f"Echo {number}") for number in range(bots)]
    said: Counter[str] = Counter()
    written: set[str] = set()

    def say(who: Person, quoted: str | None) -> str:
        said[who.handle] += 1
        text = f"@{BRAND.handle} {LINE} {said[who.handle]}"
        new = network.say(text, at=clock(), author=who, quote=quoted)
        written.add(new)
        return new

    def answer(tweet_id: str) -> None:
        quoted = tweet_id
        spoken_to = network.tweets[network.tweets[int(tweet_id)].replied_to or 0].author
        for who in people:
            if said[who.handle] < ROUNDS and (is_eager or who == spoken_to):
                quoted = say(who, quoted)

    def matter(tweet_id: int) -> int:
        """Return where it all began: a reply belongs to its conversation, a quote to what it quotes."""
        tweet = network.tweets[network.tweets[tweet_id].conversation]
        return tweet.id if tweet.quoted is None else matter(tweet.quoted)

    with serve_in_thread(network):
        app = App(settings(tmp_path, network, queries=["parcel"]), clock=clock)
        for who in people:
            say(who, None)
        await quarrel(app, network, answer, lambda: written)
    spoken = [(network.tweets[int(str(e.parent))].author.handle, matter(int(str(e.parent)))) for e in network.ledger]
    check(Counter(spoken), tmp_path, network, is_eager=is_eager)
    assert {handle for handle, _ in spoken} == {who.handle for who in people}
    assert max(Counter(handle for handle, _ in spoken).values()) <= 2, "not even in all conversations together"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_our_own_posts_that_come_back_are_never_answered(tmp_path: Path, clock: FastClock) -> None:
    """Found by search, mentioning ourselves, quoting ourselves: we do not talk to ourselves."""
    network = XNetwork(clock=clock)
    with serve_in_thread(network):
        app = App(settings(tmp_path, network, queries=["parcel"]), clock=clock)
        first = network.say(f"@{BRAND.handle} {LINE}", at=clock(), author=BRAND)
        second = network.say(f"@{BRAND.handle} where is my parcel?", at=clock(), author=BRAND, quote=first)
        customer = network.say(f"@{BRAND.handle} {LINE}", at=clock())
        await quarrel(app, network, lambda tweet_id: None, lambda: {first, second, customer})
    assert [entry.parent for entry in network.ledger] == [customer]
