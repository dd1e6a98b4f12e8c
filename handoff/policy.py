"""What the brand allows: the ``[handoff]`` table, checked, and the questions ``decide`` asks it. docs/decisions.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from classifiers.triage import INTENTS
from handoff import switches
from handoff.sensitive import Lexicon, Topic

UNTRIAGED = "untriaged"
"""Stands for the intent of a post that no model could judge, wherever an intent names something."""


class Mode(StrEnum):
    """How far the bot goes, from silent to speaking alone."""

    OFF = "off"  # nothing said, nothing drafted; what is urgent still reaches people
    DRAFT = "draft"  # an answer is prepared, a person sends it
    AUTO = "auto"  # the bot speaks alone where nothing speaks against it


_CAUTION = {Mode.OFF: 0, Mode.DRAFT: 1, Mode.AUTO: 2}

Share = Annotated[float, Field(ge=0, le=1)]
Hours = Annotated[float, Field(gt=0, le=8784)]
"""A year at most: beyond some such bound a moment so far away is in no calendar."""


LONGEST_SIGNATURE = 60


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class QuietHours(_Table):
    """``[handoff.quiet_hours]``: from when to when the bot says nothing alone, every day, in one time zone."""

    start: time = Field(description="the first quiet minute, such as 22:00")
    end: time = Field(description="the first minute that is not quiet any more, such as 07:00")
    zone: str = Field("UTC", description="IANA name, such as Europe/Berlin")

    @field_validator("start", "end")
    @classmethod
    def _no_zone(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise ValueError("write the time alone, such as 22:00; the zone has a key of its own")
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"{value!r} is no time zone here; write an IANA name such as Europe/Berlin (pip install tzdata where "
                "the system has none)"
            ) from error
        return value

    def hold(self, now: datetime) -> bool:
        """Tell whether it is quiet at *now*; equal start and end mean the whole day."""
        here = now.astimezone(ZoneInfo(self.zone)).time()
        if self.start < self.end:
            return self.start <= here < self.end
        return here >= self.start or here < self.end


class SourcePolicy(_Table):
    """``[handoff.sources.NAME]``: what is different on one source."""

    mode: Mode | None = None
    intents: dict[str, Mode] = Field(default_factory=dict)
    earned: bool | dict[str, bool] | None = None
    quiet_hours: QuietHours | None = None
    signature: str | None = Field(None, max_length=LONGEST_SIGNATURE)

    @field_validator("intents")
    @classmethod
    def _known_intents(cls, value: dict[str, Mode]) -> dict[str, Mode]:
        _check(value)
        return value

    @field_validator("earned")
    @classmethod
    def _known_earners(cls, value: bool | dict[str, bool] | None) -> bool | dict[str, bool] | None:
        if isinstance(value, dict):
            _check(value)
        return value


class CapSettings(_Table):
    """``[handoff.caps]``: how much the bot says by itself; what goes beyond waits for a person.

    Ours to choose: far above what one brand's ordinary hour needs, far below what reads as a machine gone wild.
    """

    author_per_day: int = Field(5, ge=0, description="to one author in 24 hours, in all conversations")
    conversation_per_hour: int = Field(20, ge=0, description="in one conversation, to anybody")
    article_per_hour: int = Field(60, ge=0, description="of one article, everywhere")
    same_text_per_hour: int = Field(30, ge=0, description="of the same or a nearly equal text on one source")
    source_per_hour: int = Field(120, ge=0, description="on one source")
    total_per_hour: int = Field(300, ge=0, description="everywhere")
    brake_replies: int = Field(
        20, ge=1, description="of one article within brake_minutes: after these it waits until a person releases it"
    )
    brake_minutes: float = Field(10.0, gt=0, le=60, description="how soon so many are a burst")


class IncidentSettings(_Table):
    """``[handoff.incidents]``: when a burst of one topic is an incident, and how it is answered (docs/incidents.md)."""

    enabled: bool = Field(True, description="open measured incidents; false: people alone open them")
    min_posts: int = Field(12, ge=3, le=10_000, description="by as many authors at least, however quiet it usually is")
    window_minutes: float = Field(15.0, ge=3, le=120, description="looked at; also a third of it, and three times it")
    factor: float = Field(3.0, ge=1.5, le=100, description="so many times what its history lets expect, at least")
    pace: int = Field(
        20, ge=1, le=600, description="replies a minute, where a person who starts them says nothing else"
    )
    sends_per_start: int = Field(200, ge=1, le=100_000, description="then they pause until a person goes on")
    quiet_minutes: float = Field(30.0, ge=5, le=1_440, description="without a new post: to close it is proposed")


class PrivateSettings(_Table):
    """``[handoff.private]``: matters that are not for the public."""

    article: str = Field("", description="slug of the article that asks to write privately, with a link per channel")
    intents: tuple[str, ...] = Field((), description="intents that are private by nature, such as account_access")

    @field_validator("intents")
    @classmethod
    def _known_intents(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _check(value)
        return value


class DueHours(_Table):
    """``[handoff.due_hours]``: hours until the first answer, by priority.

    Ours to choose, not the networks': people who write in public look for an answer the same day, and within the hour
    when something burns. Each step is about four times the one before, so that a queue sorted by due time is also
    sorted by priority for posts of the same hour.
    """

    p1: Hours = 0.5
    p2: Hours = 2.0
    p3: Hours = 8.0
    p4: Hours = 24.0


class PolicySettings(_Table):
    """The ``[handoff]`` table of config.toml. Unknown keys are refused by name."""

    mode: Mode = Field(
        Mode.DRAFT,
        description="everywhere not named below; draft: a brand reads what its bot would say before it says it",
    )
    intents: dict[str, Mode] = Field(default_factory=dict, description="mode of an intent on every source")
    sources: dict[str, SourcePolicy] = Field(default_factory=dict, description="modes of a source")

    auto_triage_confidence: Share = Field(
        0.7, description="speak alone only when the intent is this sure; real posts are misread one time in three"
    )
    auto_answer_confidence: Share = Field(
        0.9,
        description="speak alone only when the answer is this sure: right 95 to 99 times in 100 (docs/knowledge.md)",
    )
    draft_answer_confidence: Share = Field(
        0.35, description="show a draft from here on: right 60 to 90 times in 100, worth a person's glance"
    )
    ignore_confidence: Share = Field(
        0.5, description="leave alone what more likely than not has nothing to act on; below, people look"
    )
    urgent_confidence: Share = Field(
        0.5, description="call a post urgent when that is likelier than not, so that priority 1 stays rare"
    )

    stale_after_hours: Hours = Field(
        6.0,
        description="speak alone only to younger posts; less than a first visit reads back, so old posts go to people",
    )
    auto_replies_per_day: int = Field(
        2, ge=0, description="to one author in one conversation in 24 hours; a bot that answers a bot stops here"
    )
    earned: bool = Field(
        True,
        description="speak alone only where people's verdicts on earlier answers earned it; false is your own risk",
    )
    error_limit: Share = Field(
        0.05, gt=0, description="share of wrong answers a brand bears: the upper end of a 95 % interval must be below"
    )
    error_observations: int = Field(
        50, ge=1, description="judged answers needed at least; 73 without a fault are needed at 5 % anyway"
    )
    error_days: float = Field(90.0, gt=0, le=3660, description="how far back verdicts count, so that it can be lost")
    guards: dict[str, bool] = Field(default_factory=dict, description="guards switched off; see harken guards")
    quiet_hours: QuietHours | None = Field(
        None, description="the bot says nothing alone then; a source may have its own"
    )
    caps: CapSettings = Field(CapSettings(), description="how much the bot says by itself")
    incidents: IncidentSettings = Field(IncidentSettings(), description="bursts of one topic, answered as one")
    private: PrivateSettings = Field(PrivateSettings(), description="matters that are not for the public")
    names: tuple[str, ...] = Field(
        (), description="further names of the brand; accounts that imitate one are not answered by the bot"
    )
    answer_in_other_language: bool = Field(
        False, description="speak alone in another language than the customer's; drafts may always"
    )

    ignore: tuple[str, ...] = Field(
        ("spam", "not_actionable", "praise"),
        description="intents nobody acts on; take praise out to have thanks drafted or answered",
    )
    people_only: tuple[str, ...] = Field(
        ("security_fraud", "human_agent", "complaint"),
        description="always go to people: a wrong word on fraud costs money, who asks for a person gets one, anger is "
        "fed by a ready-made answer; account_access is not among them: its answers are public how-to pages",
    )
    sensitive_topics: tuple[Literal["danger", "safety", "health", "minors", "legal", "press", "security"], ...] = Field(
        ("danger", "safety", "health", "minors", "legal", "press", "security"),
        description="subjects recognised by words that always go to people; a clinic may take health out",
    )
    sensitive_words: tuple[str, ...] = Field(
        (), description="the brand's own words that always go to people; a star stands for any ending"
    )

    queue: str = Field("support", min_length=1, description="whose queue; one is right for a small team")
    queues: dict[str, str] = Field(
        default_factory=dict, description="queue of an intent, of a sensitive topic (goes first) or of untriaged"
    )
    due_hours: DueHours = DueHours()
    large_audience: int = Field(
        10_000, ge=1, description="followers from which on a post goes one priority up: its answer has many readers"
    )
    repeat_contacts: int = Field(
        3, ge=1, description="posts of a customer within 7 days from which on it goes one up: we did not help before"
    )

    signature: str = Field(
        "",
        max_length=LONGEST_SIGNATURE,
        description="said after every prepared answer, such as ^bot, where the law wants disclosure; a source may have "
        "its own",
    )
    languages: tuple[str, ...] = Field(
        ("en",), min_length=1, description="languages in which an answer may be sure enough to be said alone"
    )

    @field_validator("languages")
    @classmethod
    def _are_codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for code in value:
            if not (2 <= len(code) <= 3 and code.isascii() and code.isalpha() and code.islower()):
                raise ValueError(f"{code!r} is no language code; write en, es, fr")
        return value

    @field_validator("intents")
    @classmethod
    def _known_modes(cls, value: dict[str, Mode]) -> dict[str, Mode]:
        _check(value)
        return value

    @field_validator("ignore", "people_only")
    @classmethod
    def _known_intents(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _check(value)
        return value

    @field_validator("guards")
    @classmethod
    def _may_be_switched(cls, value: dict[str, bool]) -> dict[str, bool]:
        if faults := [fault for name in value if (fault := switches.fault(name))]:
            raise ValueError("; ".join(faults))
        return value

    @field_validator("queues")
    @classmethod
    def _known_queues(cls, value: dict[str, str]) -> dict[str, str]:
        allowed = (*INTENTS, UNTRIAGED, *(topic.value for topic in Topic))
        for name, queue in value.items():
            if name not in allowed:
                raise ValueError(f"{name!r} is no intent and no topic; there are: {', '.join(allowed)}")
            if not queue:
                raise ValueError(f"the queue of {name!r} has no name")
        return value

    @field_validator("sensitive_words")
    @classmethod
    def _some_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not word.replace("*", "").strip():
                raise ValueError(f"{word!r} would match everything; write a word")
        return value

    def policy(self, *, brand: str = "") -> Policy:
        """Return the policy that these settings describe. brand: its name, beside those of ``names``."""
        topics = [Topic(name) for name in self.sensitive_topics]
        names = tuple(name for name in (brand, *self.names) if name)
        return Policy(self, Lexicon(own=self.sensitive_words, topics=topics), names)


def _check(names: Iterable[str]) -> None:
    for name in names:
        if name not in INTENTS:
            raise ValueError(f"{name!r} is no intent; there are: {', '.join(INTENTS)}")


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings that can be asked."""

    settings: PolicySettings
    lexicon: Lexicon
    names: tuple[str, ...] = ()

    def mode(self, source: str, intent: str) -> Mode:
        """Return how far the bot goes for *intent* on *source*.

        A mode for both is taken; else the more cautious of the source's and the intent's; else the general one.
        """
        here = self.settings.sources.get(source, SourcePolicy())
        if intent in here.intents:
            return here.intents[intent]
        named = [mode for mode in (here.mode, self.settings.intents.get(intent)) if mode is not None]
        return min(named, key=_CAUTION.__getitem__, default=self.settings.mode)

    def signature(self, source: str) -> str:
        """Return what is said after every prepared answer on *source*."""
        own = self.settings.sources.get(source, SourcePolicy()).signature
        return self.settings.signature if own is None else own

    def must_earn(self, source: str, intent: str) -> bool:
        """Tell whether speaking alone about *intent* on *source* has to be earned by people's verdicts."""
        here = self.settings.sources.get(source, SourcePolicy()).earned
        if isinstance(here, dict):
            here = here.get(intent)
        return self.settings.earned if here is None else here

    def is_on(self, guard: str) -> bool:
        """Tell whether *guard* is heeded."""
        return self.settings.guards.get(guard, True)

    def is_quiet(self, source: str, now: datetime) -> bool:
        """Tell whether *source* has quiet hours at *now*: its own, or everybody's."""
        hours = self.settings.sources.get(source, SourcePolicy()).quiet_hours or self.settings.quiet_hours
        return hours is not None and hours.hold(now)

    def topics(self, text: str) -> tuple[Topic, ...]:
        """Return the sensitive topics whose words stand in *text*, the gravest first."""
        return self.lexicon.topics(text)

    @property
    def brake_within(self) -> timedelta:
        """How soon ``caps.brake_replies`` automatic replies of one article are a burst."""
        return timedelta(minutes=self.settings.caps.brake_minutes)

    @property
    def judged_within(self) -> timedelta:
        """How far back people's verdicts on answers count."""
        return timedelta(days=self.settings.error_days)

    @property
    def stale_after(self) -> timedelta:
        return timedelta(hours=self.settings.stale_after_hours)

    def target(self, priority: int) -> timedelta:
        """Return how soon the first answer to a post of *priority* (1 to 4) is due."""
        due = self.settings.due_hours
        return timedelta(hours=(due.p1, due.p2, due.p3, due.p4)[priority - 1])
