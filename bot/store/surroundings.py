"""All that one decision hangs on, read at once: posts, what the bot said lately, and what people thought of answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from bot.store import lately, situations, verdicts
from bot.store.lately import PUBLIC, Lately
from bot.store.situations import SAID, Known
from bot.store.verdicts import Pair
from connectors.post import Post
from handoff.earned import NOTHING, Record
from handoff.policy import Mode, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """known: by post id. records: of the pairs that must earn to be answered alone."""

    known: Mapping[int, Known]
    records: Mapping[Pair, Record]
    lately: Lately

    def record(self, known: Known) -> Record:
        """Return what people thought of answers like the one to *known*."""
        return NOTHING if known.triage is None else self.records.get(_pair(known, known.triage.intent.label), NOTHING)


def look(session: Session, wanted: Mapping[int, int], *, now: datetime, policy: Policy) -> Surroundings:
    """Return everything for deciding about posts. wanted: post id -> edits. A reply counts once it is decided."""
    known = situations.known(session, wanted, now=now)
    return Surroundings(
        known=known,
        records=_records(session, known.values(), now, policy),
        lately=lately.load(session, now=now, states=SAID, posts=_posts(known)),
    )


def look_again(
    session: Session, wanted: Mapping[int, int], *, now: datetime, policy: Policy, but_for: int
) -> Surroundings:
    """Return everything for letting the reply *but_for* go: it counts nowhere itself, others once they left.

    Without the story of the post: this is asked while other replies wait.
    """
    known = situations.known(session, wanted, now=now, said=PUBLIC, but_for=but_for, with_story=False)
    return Surroundings(
        known=known,
        records=_records(session, known.values(), now, policy),
        lately=lately.load(session, now=now, states=PUBLIC, posts=_posts(known), but_for=but_for),
    )


def _records(session: Session, known: Iterable[Known], now: datetime, policy: Policy) -> Mapping[Pair, Record]:
    pairs = {_pair(each, each.triage.intent.label) for each in known if each.triage is not None}
    asked = [
        (intent, source)
        for intent, source in pairs
        if policy.mode(source, intent) is Mode.AUTO and policy.must_earn(source, intent)
    ]
    return verdicts.records(session, asked, now=now, within=policy.judged_within)


def _posts(known: Mapping[int, Known]) -> list[Post]:
    return [each.kept.post for each in known.values()]


def _pair(known: Known, intent: str) -> Pair:
    return intent, known.kept.source
