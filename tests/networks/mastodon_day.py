"""A scripted day on Mastodon."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

from connectors.length import LengthRule, Unit
from tests.networks import day
from tests.networks.faults import Trouble
from tests.networks.mastodon import OUR_ACCT, MastodonNetwork

HOSTS = ("letters.example", "harbour.example", "garden.example")
SHYNESS = ("public", "unlisted", "private", "direct")
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
class Saying:
    """What is said, by whom, and to whom."""

    words: str
    author: str
    visibility: str


def saying(dice: random.Random, number: int, count: int) -> Saying:
    """Return one reader's words to the brand."""
    line = dice.choice(LINES).format(n=f"LB-{number:05}")
    return Saying(
        words=f"@{OUR_ACCT} {line}",
        author=f"reader_{dice.randrange(count // 3 + 1)}@{dice.choice(HOSTS)}",
        visibility=dice.choices(SHYNESS, (70, 20, 7, 3))[0],
    )


plan_day = partial(day.plan_day, saying)


class Day(day.Day[MastodonNetwork, Saying]):
    """The day on Mastodon."""

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

    def say(self, mention: day.Mention[Saying]) -> str:
        said = mention.saying
        new = self.network.post(
            said.words, at=mention.written, by=said.author, visibility=said.visibility, surfaces_at=mention.surfaces
        )
        if mention.is_twice:
            self.network.twice.add(new)
        return new

    def rule(self) -> LengthRule:
        return LengthRule(unit=Unit.CHARACTERS, limit=self.network.max_characters, url_cost=23)

    def too_loud(self) -> list[str]:
        planned = dict(zip(self.ids, self.plan.mentions, strict=True))
        loud = []
        for entry in self.network.ledger:
            if entry.parent in planned:
                allowed = max("unlisted", planned[entry.parent].saying.visibility, key=SHYNESS.index)
                if self.network.statuses[entry.id].visibility != allowed:
                    loud.append(entry.id)
        return loud
