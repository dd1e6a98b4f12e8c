"""A scripted day: mentions in bursts, late and twice, and weather on both roads. What each network says is its own.

Everything is planned from a seed and put into the fake network beforehand; it surfaces as the network's clock moves,
hand clock or real one. ``verdict`` compares the plan, the ledger and what the listener kept.
"""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar

from connectors.length import LengthRule
from tests.networks.faults import Fault, Network, Seen, Trouble

LATEST = timedelta(minutes=10)  # how late a post surfaces at worst; within the default overlap of 15 minutes

Saying = TypeVar("Saying")
N = TypeVar("N", bound=Network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention(Generic[Saying]):
    """One planned mention. written: when its author sent it; surfaces: when the network shows it."""

    saying: Saying
    written: datetime
    surfaces: datetime
    is_twice: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Generic[Saying]):
    """A day: what is said, and how often the weather turns. until: when the last mention has surfaced."""

    mentions: tuple[Mention[Saying], ...]
    until: datetime
    read_every: int
    write_every: int
    pause: timedelta


def plan_day(
    saying: Callable[[random.Random, int, int], Saying],
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
) -> Plan[Saying]:
    """Return *count* mentions over *length*, three of four of them in *bursts*.

    saying: dice, number and count -> what is said, by whom. late, twice: shares of the mentions. read_every,
    write_every: each n-th request meets trouble. pause: how far away the reset of a rate limit is.
    """
    dice = random.Random(seed)
    peaks = [dice.uniform(0.02, 0.97) for _ in range(bursts)]
    mentions = []
    for number in range(count):
        place = dice.random() if number % 4 == 0 else dice.choice(peaks) + dice.random() * 0.01
        surfaces = start + length * min(place, 0.999)
        delay = LATEST * dice.uniform(0.2, 0.99) if dice.random() < late else timedelta(0)
        said, is_twice = saying(dice, number, count), dice.random() < twice
        mentions.append(Mention(saying=said, written=surfaces - delay, surfaces=surfaces, is_twice=is_twice))
    mentions.sort(key=lambda mention: mention.written)
    return Plan(
        mentions=tuple(mentions), until=start + length, read_every=read_every, write_every=write_every, pause=pause
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What went wrong in a day; all empty is a good one. too_loud: said to more people than the mention was."""

    lost: list[str]
    unanswered: list[str]
    said_twice: list[str]
    said_to_nobody: list[str]
    too_long: list[str]
    too_loud: list[str]

    @property
    def is_clean(self) -> bool:
        return not any(getattr(self, each.name) for each in fields(self))


class Day(ABC, Generic[N, Saying]):
    """A plan at work in *network*. ids: of the planned mentions. met: the troubles there were."""

    READ_TROUBLE: ClassVar[tuple[Trouble, ...]]
    WRITE_TROUBLE: ClassVar[tuple[Trouble, ...]]

    def __init__(self, network: N, plan: Plan[Saying]) -> None:
        self.network = network
        self.plan = plan
        self.met: Counter[Trouble] = Counter()
        self._reads = self._writes = 0
        self._lock = threading.Lock()
        self.ids = [self.say(mention) for mention in plan.mentions]
        self.network.weather = self._weather

    @abstractmethod
    def say(self, mention: Mention[Saying]) -> str:
        """Put *mention* into the network; return its id there."""

    @abstractmethod
    def rule(self) -> LengthRule:
        """Return how long a reply may be."""

    def too_loud(self) -> list[str]:
        """Return our replies that more people see than saw what they answer."""
        return []

    def clear_up(self) -> None:
        """Let every further request go well."""
        self.network.weather = None

    def verdict(self, heard: Collection[str], answerable: Iterable[str] | None = None) -> Verdict:
        """Compare. heard: ids the listener kept. answerable: ids that should have a reply, all when None."""
        said = Counter(entry.parent for entry in self.network.ledger)
        rule, planned = self.rule(), set(self.ids)
        return Verdict(
            lost=sorted(planned - set(heard)),
            unanswered=sorted((planned if answerable is None else set(answerable)) - set(said)),
            said_twice=sorted(str(parent) for parent, times in said.items() if times > 1),
            said_to_nobody=sorted(str(parent) for parent in said if parent not in planned),
            too_long=sorted(entry.id for entry in self.network.ledger if rule.overrun(entry.text)),
            too_loud=sorted(self.too_loud()),
        )

    def _weather(self, seen: Seen) -> Fault | None:
        with self._lock:
            if self.network.is_write(seen.method, seen.path):
                self._writes += 1
                trouble = _turn(self._writes, self.plan.write_every, self.WRITE_TROUBLE)
            else:
                self._reads += 1
                trouble = _turn(self._reads, self.plan.read_every, self.READ_TROUBLE)
            if trouble is None:
                return None
            self.met[trouble] += 1
        return self.network.trouble(trouble, until=self.network.clock() + self.plan.pause)


def _turn(number: int, every: int, troubles: tuple[Trouble, ...]) -> Trouble | None:
    if number % every:
        return None
    return troubles[(number // every - 1) % len(troubles)]
