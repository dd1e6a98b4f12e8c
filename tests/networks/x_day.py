"""A scripted day on X."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

from connectors.length import LengthRule, Unit
from tests.networks import day
from tests.networks.faults import Trouble
from tests.networks.x import BRAND, Person, XNetwork

SAYINGS = (
    "where is my parcel {n}? It was due yesterday",
    "the app logs me out each time I open parcel {n}",
    "your driver left {n} in the rain, not happy",
    "how do I change the address of order {n}?",
    "thank you, {n} came a day early & in one piece",
    "I was charged twice for {n}, please send one back",
    "is the shop in the old town open on Sunday? Ticket {n}",
    "{n} says delivered, but nobody rang <at all>",
    "Paket {n} hängt seit Montag in Łódź fest 📦",
    "注文{n}はいつ届きますか",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is said, and by whom."""

    text: str
    author: Person


def saying(dice: random.Random, number: int, count: int) -> Saying:
    """Return one customer's words to the brand."""
    who = dice.randrange(count // 3 + 1)
    return Saying(
        text=f"@{BRAND.handle} {dice.choice(SAYINGS).format(n=f'LP-{number:05}')}",
        author=Person(id=str(700_000 + who), handle=f"customer_{who}", name=f"Customer {who}"),
    )


plan_day = partial(day.plan_day, saying)


class Day(day.Day[XNetwork, Saying]):
    """The day on X."""

    READ_TROUBLE = (
        Trouble.RATE_LIMITED_WITH_RESET,
        Trouble.HTML_503,
        Trouble.RATE_LIMITED_WITHOUT_RESET,
        Trouble.TRUNCATED,
        Trouble.RESET,
        Trouble.CUT,
        Trouble.WRONG_TYPE,
    )
    WRITE_TROUBLE = (
        Trouble.ACCEPTED_THEN_500,
        Trouble.RATE_LIMITED_WITH_RESET,
        Trouble.ACCEPTED_THEN_RESET,
        Trouble.HTML_503,
        Trouble.ACCEPTED_THEN_TIMEOUT,
        Trouble.RATE_LIMITED_WITHOUT_RESET,
        Trouble.RESET,
        Trouble.ACCEPTED_THEN_NONSENSE,
    )

    def say(self, mention: day.Mention[Saying]) -> str:
        new = self.network.say(
            mention.saying.text, at=mention.written, author=mention.saying.author, surfaces_at=mention.surfaces
        )
        if mention.is_twice:
            self.network.twice.add(int(new))
        return new

    def rule(self) -> LengthRule:
        return LengthRule(unit=Unit.WEIGHTED, limit=280)
