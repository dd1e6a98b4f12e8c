"""A scripted day on Mastodon: a thousand mentions in bursts, late and twice, and weather on both roads.

Everything is planned from a seed and put into the fake network beforehand; it surfaces as the network's clock moves,
hand clock or real one. ``verdict`` compares the plan, the ledger and what the listener kept.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.length import LengthRule, Unit
from tests.networks.faults import Fault, Seen, Trouble
from tests.networks.mastodon import OUR_ACCT, MastodonNetwork

LATEST = timedelta(minutes=10)  # how late a post surfaces at worst; within the default overlap of 15 minutes
READ_TROUBLE = (
    Trouble.RATE_LIMITED_WITH_RESET,
    Trouble.HTML_503,
    Trouble.CUT,
    Trouble.RATE_LIMITED_WITHOUT_RESET,
    Trouble.TRUNCATED,
    Trouble.RESET,
    Trouble.WRONG_TYPE,
)
WRITE_TROUBLE = (
    Trouble.ACCEPTED_THEN_TIMEOUT,
    Trouble.RATE_LIMITED_WITHOUT_RESET,
    Trouble.ACCEPTED_THEN_500,
    Trouble.HTML_503,
    Trouble.ACCEPTED_THEN_NONSENSE,
    Trouble.RATE_LIMITED_WITH_RESET,
    Trouble.ACCEPTED_THEN_RESET,
    Trouble.RESET,
)
HOSTS = ("letters.example", "harbour.example", "garden.example")
LINES = (
    "box {n} never came, and the tracking page is blank",
    "can I swap {n} for the blue one? #lanternbooks",
    "{n} smells of smoke <and> the corner is bent",
    "where do I read about returns for {n}? https://lantern.example/{n}",
    "wonderful, {n} was wrapped like a present 🎁",
    "you billed {n} in the wrong currency & I want it fixed",
    "Bestellung {n}: seit zwei Wochen „wird gepackt“",
    "el paquete {n} llegó vacío, ¿qué hago?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One planned mention. written: when its author sent it; surfaces: when our server shows it."""

    words: str
    author: str
    visibility: str
    written: datetime
    surfaces: datetime
    is_twice: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A day: what is said, and how often the weather turns. until: when the last mention has surfaced."""

    mentions: tuple[Mention, ...]
    until: datetime
    read_every: int
    write_every: int
    pause: timedelta


def plan_day(
    *,
    start: datetime,
    length: timedelta,
    seed: int = 1,
    count: int = 1000,
    bursts: int = 12,
    late: float = 0.1,
    twice: float = 0.1,
    read_every: int = 5,
    write_every: int = 9,
    pause: timedelta = timedelta(seconds=2),
) -> Plan:
    """Return *count* mentions over *length*, three of four of them in *bursts*.

    late, twice: shares of the mentions. read_every, write_every: each n-th request meets trouble. pause: how far away
    the reset of a rate limit is.
    """
    dice = random.Random(seed)
    peaks = [dice.uniform(0.02, 0.97) for _ in range(bursts)]
    mentions = []
    for number in range(count):
        place = dice.random() if number % 4 == 0 else dice.choice(peaks) + dice.random() * 0.01
        surfaces = start + length * min(place, 0.999)
        delay = LATEST * dice.uniform(0.2, 0.99) if dice.random() < late else timedelta(0)
        line = dice.choice(LINES).format(n=f"LB-{number:05}")
        mentions.append(
            Mention(
                words=f"@{OUR_ACCT} {line}",
                author=f"reader_{dice.randrange(count // 3 + 1)}@{dice.choice(HOSTS)}",
                visibility=dice.choices(("public", "unlisted", "private", "direct"), (70, 20, 7, 3))[0],
                written=surfaces - delay,
                surfaces=surfaces,
                is_twice=dice.random() < twice,
            )
        )
    mentions.sort(key=lambda mention: mention.written)
    return Plan(
        mentions=tuple(mentions), until=start + length, read_every=read_every, write_every=write_every, pause=pause
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What went wrong in a day; all empty is a good one."""

    lost: list[str]
    unanswered: list[str]
    said_twice: list[str]
    said_to_nobody: list[str]
    too_long: list[str]
    too_loud: list[str]

    @property
    def is_clean(self) -> bool:
        return not any((self.lost, self.unanswered, self.said_twice, self.said_to_nobody, self.too_long, self.too_loud))


@dataclass
class Day:
    """A plan at work in *network*. ids: of the planned mentions."""

    network: MastodonNetwork
    plan: Plan
    ids: list[str] = field(default_factory=list)
    met: Counter[Trouble] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._reads = self._writes = 0
        self._lock = threading.Lock()
        for mention in self.plan.mentions:
            new = self.network.post(
                mention.words,
                at=mention.written,
                by=mention.author,
                visibility=mention.visibility,
                surfaces_at=mention.surfaces,
            )
            self.ids.append(new)
            if mention.is_twice:
                self.network.twice.add(new)
        self.network.weather = self._weather

    def clear_up(self) -> None:
        """Let every further request go well."""
        self.network.weather = None

    def verdict(self, heard: Collection[str], answerable: Iterable[str] | None = None) -> Verdict:
        """Compare. heard: ids the listener kept. answerable: ids that should have a reply, all when None."""
        said = Counter(entry.parent for entry in self.network.ledger)
        rule = LengthRule(unit=Unit.CHARACTERS, limit=self.network.max_characters, url_cost=23)
        planned = dict(zip(self.ids, self.plan.mentions, strict=True))
        return Verdict(
            lost=sorted(set(self.ids) - set(heard)),
            unanswered=sorted(set(self.ids if answerable is None else answerable) - set(said)),
            said_twice=sorted(str(parent) for parent, times in said.items() if times > 1),
            said_to_nobody=sorted(str(parent) for parent in said if parent not in planned),
            too_long=sorted(entry.id for entry in self.network.ledger if rule.overrun(entry.text)),
            too_loud=sorted(
                entry.id
                for entry in self.network.ledger
                if entry.parent in planned
                and self.network.statuses[entry.id].visibility
                != max(
                    "unlisted", planned[entry.parent].visibility, key=["public", "unlisted", "private", "direct"].index
                )
            ),
        )

    def _weather(self, seen: Seen) -> Fault | None:
        with self._lock:
            if self.network.is_write(seen.method, seen.path):
                self._writes += 1
                trouble = _turn(self._writes, self.plan.write_every, WRITE_TROUBLE)
            else:
                self._reads += 1
                trouble = _turn(self._reads, self.plan.read_every, READ_TROUBLE)
            if trouble is None:
                return None
            self.met[trouble] += 1
        return self.network.trouble(trouble, until=self.network.clock() + self.plan.pause)


def _turn(number: int, every: int, troubles: tuple[Trouble, ...]) -> Trouble | None:
    if number % every:
        return None
    return troubles[(number // every - 1) % len(troubles)]
