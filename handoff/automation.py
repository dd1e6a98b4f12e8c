"""What the bot may say alone, as people look it up: every guard by name, and every intent on every source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from classifiers.triage import INTENTS
from handoff import guards, leaving, switches
from handoff.earned import NOTHING, Record, missing, told
from handoff.policy import Mode, Policy

ANY = "forbids a prepared answer, drafts too"
ALONE = "forbids that the bot speaks alone; a draft is shown"
LEAVING = "stops a reply that is about to leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardView:
    """One guard. because: in a sentence. fixed: why it cannot be switched off, None when it can."""

    name: str
    effect: str
    because: str
    is_on: bool
    fixed: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """How one intent stands on one source. bound: upper end of the 95 % interval of the share of wrong answers.

    pending: automatic replies too young to know. missing: answers without a fault that are still needed. is_alone: the
    bot answers alone where no guard objects. told: all of it in a sentence.
    """

    intent: str
    source: str
    mode: Mode
    must_earn: bool
    observed: int
    wrong: int
    pending: int
    bound: float
    limit: float
    missing: int
    is_alone: bool
    told: str


def roster(policy: Policy) -> list[GuardView]:
    """Return all guards in the order in which they are asked."""
    parts: Sequence[tuple[str, Sequence[guards.Guard]]] = (
        (ANY, guards.SILENCES),
        (ALONE, guards.CAUTIONS),
        (LEAVING, (guards.deleted, guards.edited, leaving.withdrawn)),
    )
    return [_guard(guard, effect, policy) for effect, found in parts for guard in found]


def overview(policy: Policy, records: Mapping[tuple[str, str], Record], sources: Iterable[str]) -> list[PairView]:
    """Return every intent on every source that has a record, or a mode of ``auto``; by source, then intent."""
    wanted = {(intent, source) for source in sources for intent in INTENTS if policy.mode(source, intent) is Mode.AUTO}
    pairs = sorted({*wanted, *records}, key=lambda pair: (pair[1], pair[0]))
    return [_pair(intent, source, records.get((intent, source), NOTHING), policy) for intent, source in pairs]


def _guard(guard: guards.Guard, effect: str, policy: Policy) -> GuardView:
    name = guard.__name__
    because = " ".join((guard.__doc__ or "").split())
    return GuardView(
        name=name, effect=effect, because=because, is_on=policy.is_on(name), fixed=switches.FIXED.get(name)
    )


def _pair(intent: str, source: str, record: Record, policy: Policy) -> PairView:
    settings, mode = policy.settings, policy.mode(source, intent)
    must_earn = policy.must_earn(source, intent)
    needed = missing(record, limit=settings.error_limit, least=settings.error_observations)
    is_alone = mode is Mode.AUTO and not (must_earn and needed)
    return PairView(
        intent=intent,
        source=source,
        mode=mode,
        must_earn=must_earn,
        observed=record.observed,
        wrong=record.wrong,
        pending=record.pending,
        bound=record.bound,
        limit=settings.error_limit,
        missing=needed,
        is_alone=is_alone,
        told=_told(told(record, intent, source, limit=settings.error_limit), mode, needed, must_earn=must_earn),
    )


def _told(record: str, mode: Mode, needed: int, *, must_earn: bool) -> str:
    match mode:
        case Mode.OFF:
            return f"{record}; switched off"
        case Mode.DRAFT:
            lacks = f"{needed} more without a fault would earn it" if needed else "it has earned to be answered alone"
            return f"{record}; a person approves it: {lacks}, where the mode were auto"
        case Mode.AUTO if not must_earn:
            return f"{record}; answered alone without having to earn it, at the brand's own risk"
        case Mode.AUTO if needed:
            return f"{record}; drafted until {needed} more without a fault earn it"
        case Mode.AUTO:
            return f"{record}; answered alone"
