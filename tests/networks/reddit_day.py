"""A scripted day on the fake Reddit: bursts, late and doubled letters, edits, deletions, and what goes wrong.

The same seed gives the same day. Nothing happens by itself: ``play`` lets happen what is due, so that a test with a
hand clock and one with a whole daemon on real time can both follow it.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from tests.networks.faults import Trouble
from tests.networks.reddit import BRAND, Reddit, Thing

LATE = timedelta(minutes=10)
BURSTS = 8
BURST_LASTS = timedelta(minutes=3)
READ_TROUBLES: tuple[Trouble, ...] = (
    Trouble.RATE_LIMITED_WITH_RESET,
    Trouble.HTML_503,
    Trouble.RATE_LIMITED_WITHOUT_RESET,
    Trouble.TRUNCATED,
    Trouble.RESET,
    Trouble.CUT,
)
WRITE_TROUBLES: tuple[Trouble, ...] = (
    Trouble.ACCEPTED_THEN_500,
    Trouble.RATE_LIMITED_WITH_RESET,
    Trouble.ACCEPTED_THEN_TIMEOUT,
    Trouble.HTML_503,
    Trouble.ACCEPTED_THEN_RESET,
    Trouble.RATE_LIMITED_WITHOUT_RESET,
    Trouble.ACCEPTED_THEN_NONSENSE,
)
WORDS = (
    "my parcel says delivered, but my door says otherwise",
    "the app logs me out each time I open the basket",
    "does the linen shirt run small?",
    "third week without the refund you promised",
    "thank you, the new one arrived whole",
    "¿dónde está mi paquete?",
    "mein Paket ist seit Montag „in Zustellung“ 📦",
    "je voudrais changer mon adresse de livraison",
)


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int
    happens: Callable[[], object] = field(compare=False)


class RedditDay:
    """Plays a day on *network*. posts: how many people address us. lasts: shorter days hold the same posts, denser."""

    def __init__(
        self,
        network: Reddit,
        *,
        begins: datetime,
        lasts: timedelta = timedelta(hours=12),
        posts: int = 1_000,
        troubles: int = 40,
        seed: int = 2_026,
    ) -> None:
        self.network = network
        self.begins = begins
        self.ends = begins + lasts
        self.addressed: list[Thing] = []
        self._chance = random.Random(seed)
        self._scale = lasts / timedelta(hours=12)
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._places = [network.submit(author="moderator_9", title="Parcels, weekly", at=begins)]
        self._places.append(network.submit(author=BRAND, title="We are listening", at=begins))
        self._write_posts(posts)
        self._write_troubles(troubles)

    @property
    def is_over(self) -> bool:
        """Return whether everything has happened."""
        return not self._due

    def play(self, until: datetime) -> int:
        """Let everything up to *until* happen; return how much it was."""
        done = 0
        while self._due and self._due[0].at <= until:
            heapq.heappop(self._due).happens()
            done += 1
        return done

    # What must hold afterwards

    def lost(self, heard: Sequence[str]) -> list[str]:
        """Return the posts nobody heard although they still stand."""
        known = set(heard)
        return [thing.name for thing in self.addressed if thing.name not in known and not thing.deleted]

    def answered_twice(self) -> list[str]:
        """Return the posts that Reddit has more than one answer of ours to."""
        parents = Counter(entry.parent for entry in self.network.ledger)
        return [parent for parent, answers in parents.items() if parent is not None and answers > 1]

    # The script

    def _write_posts(self, count: int) -> None:
        span = (self.ends - self.begins) * 0.9
        bursts = [self.begins + span * (burst + 0.5) / BURSTS for burst in range(BURSTS)]
        for number in range(count):
            if self._chance.random() < 0.7:
                start, within = bursts[number % BURSTS], BURST_LASTS * self._scale
            else:
                start, within = self.begins, span
            at = start + within * self._chance.random()
            self._add(at, partial(self._speak, at, number))

    def _speak(self, at: datetime, number: int) -> None:
        parent = self._chance.choice(self._places)
        if self._chance.random() < 0.1 and self.network.ledger:
            parent = self.network.things[self._chance.choice(self.network.ledger).id]
        is_late = self._chance.random() < 0.05
        named = parent.author != BRAND or self._chance.random() < 0.3
        thing = self.network.comment(
            author=f"customer_{self._chance.randrange(400)}",
            parent=parent,
            text=f"{f'u/{BRAND} ' if named else ''}{self._chance.choice(WORDS)} ({number})",
            at=at,
            visible_at=at + LATE * self._scale if is_late else at,
        )
        thing.is_doubled = self._chance.random() < 0.05
        self.addressed.append(thing)
        fate = self._chance.random()
        then = at + self._scale * timedelta(minutes=self._chance.uniform(2, 60))
        if fate < 0.03:
            self._add(then, partial(self.network.edit, thing.name, f"{thing.text}, found it"))
        elif fate < 0.05:
            self._add(then, partial(self.network.delete, thing.name))

    def _write_troubles(self, count: int) -> None:
        for number in range(count):
            at = self.begins + (self.ends - self.begins) * (0.02 + 0.88 * number / max(1, count))
            if number % 2:
                fail, troubles = self.network.fail_reads, READ_TROUBLES
            else:
                fail, troubles = self.network.fail_writes, WRITE_TROUBLES
            self._add(at, partial(self._spoil, fail, troubles[number // 2 % len(troubles)]))

    def _spoil(self, fail: Callable[..., None], trouble: Trouble) -> None:
        limited = trouble is Trouble.RATE_LIMITED_WITH_RESET
        until = self.network.clock() + timedelta(seconds=max(2.0, 120 * self._scale)) if limited else None
        fail(trouble, times=1 + self._chance.randrange(2), until=until)

    def _add(self, at: datetime, happens: Callable[[], object]) -> None:
        heapq.heappush(self._due, _Due(at, next(self._numbers), happens))
