"""Decisions of the past taken anew, in their order, by another policy or from other articles. Nothing is said.

What one decision changes for the next is played as the policy at hand would have had it: what the bot had said lately,
which conversations people worked on, which articles a burst had stopped. What only the world knew is taken as it was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush

from handoff.decision import AutoReply, Decision, Draft, Escalate, Ignore, decide
from handoff.earned import NOTHING, Record
from handoff.likeness import likeness
from handoff.policy import Mode, Policy
from handoff.situation import Candidate, Situation
from handoff.traffic import Traffic

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)

Where = tuple[int, str | None]
"""A conversation with one author: author id and root id."""


class Way(StrEnum):
    """What became of a post."""

    ALONE = "alone"  # the bot said it by itself
    DRAFT = "draft"  # an answer was put before a person
    PEOPLE = "people"  # people got it, without a prepared answer to send
    NOTHING = "nothing"  # nobody needed to do anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What really came of one decision. end: in words. article: slug of the prepared words. left_at: when they left.

    came_to_nothing: why words that the bot wanted to say alone were not said. late_at: when people got the post because
    of that. is_opener: it opened its case; queue and desks are the case's.
    """

    way: Way
    end: str
    reasons: Sequence[str] = ()
    article: str = ""
    text: str = ""
    was_edited: bool = False
    left_at: datetime | None = None
    came_to_nothing: str = ""
    late_at: datetime | None = None
    queue: str = ""
    desks: Sequence[str] = ()
    case_id: int | None = None
    is_opener: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A real case of a conversation. closed, reopened: when people resolved it and took it up again, oldest first."""

    key: str
    queue: str
    opened_at: datetime
    closed: Sequence[datetime] = ()
    reopened: Sequence[datetime] = ()

    def is_open(self, now: datetime) -> bool:
        """Tell whether people had it at *now*."""
        ends = [at for at in self.closed if at <= now]
        if self.opened_at > now or not ends:
            return self.opened_at <= now
        return any(ends[-1] < at <= now for at in self.reopened)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One decision of the past. situation: all that was known, without answers and without what the bot did around it.

    gone: why the post cannot be judged any more (deleted, edited since, its source gone); then what happened is taken
    as it was. spans: the real cases of its conversation.
    """

    number: int
    post_id: int
    author_id: int
    situation: Situation
    happened: Happened
    gone: str = ""
    spans: Sequence[Span] = ()

    @property
    def where(self) -> Where:
        """The conversation."""
        return self.author_id, self.situation.post.root_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """What would have come of it. situation: that was decided about. queue, desks: of the case it would be in."""

    way: Way
    decision: Decision
    situation: Situation
    queue: str = ""
    desks: Sequence[str] = ()
    is_opener: bool = False
    came_to_nothing: str = ""

    @property
    def answer(self) -> Candidate | None:
        """The approved words, of a reply or a draft."""
        return self.decision.answer if isinstance(self.decision, AutoReply | Draft) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Something the bot said alone before the rewind begins."""

    at: datetime
    author_id: int
    channel: str
    root_id: str | None
    source: str
    slug: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How long people took in that time, for what only the rewind knows; None: nobody ever did."""

    case: timedelta | None = None
    brake: timedelta | None = None


@dataclass(slots=True)
class _Case:
    """A case that the rewind opened."""

    key: str
    queue: str
    opened_at: datetime
    until: datetime | None


class Lately:
    """What the bot said in the last hour and day, by the clock of the rewind."""

    def __init__(self) -> None:
        self._order = 0
        self._hours: list[tuple[datetime, int, Spoken]] = []
        self._days: list[tuple[datetime, int, Spoken]] = []
        self._everywhere = 0
        self._sources: Counter[str] = Counter()
        self._conversations: Counter[tuple[str, str | None]] = Counter()
        self._articles: Counter[str] = Counter()
        self._texts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._authors: Counter[int] = Counter()
        self._here: Counter[Where] = Counter()

    def add(self, said: Spoken) -> None:
        """Count one automatic reply, from now until an hour and a day after it left."""
        self._order += 1
        heappush(self._hours, (said.at + HOUR, self._order, said))
        heappush(self._days, (said.at + DAY, self._order, said))
        self._hour(said, 1)
        self._day(said, 1)

    def forget(self, now: datetime) -> None:
        """Let go what is too old to count at *now*."""
        while self._hours and self._hours[0][0] <= now:
            self._hour(heappop(self._hours)[2], -1)
        while self._days and self._days[0][0] <= now:
            self._day(heappop(self._days)[2], -1)

    def traffic(self, situation: Situation, author_id: int, braked: frozenset[str]) -> Traffic:
        """Return what matters for a reply to one post."""
        post = situation.post
        return Traffic(
            author_24h=self._authors[author_id],
            conversation=self._conversations[post.channel, post.root_id],
            source=self._sources[situation.source],
            everywhere=self._everywhere,
            articles=dict(self._articles),
            texts=dict(self._texts[situation.source]),
            braked=braked,
        )

    def to(self, where: Where) -> int:
        """Return how often the bot answered this author in this conversation within a day."""
        return self._here[where]

    def _hour(self, said: Spoken, times: int) -> None:
        self._everywhere += times
        self._sources[said.source] += times
        self._conversations[said.channel, said.root_id] += times
        _count(self._articles, said.slug, times)
        _count(self._texts[said.source], likeness(said.text), times)

    def _day(self, said: Spoken, times: int) -> None:
        self._authors[said.author_id] += times
        self._here[said.author_id, said.root_id] += times


class Brakes:
    """Articles that a burst stops, by the clock of the rewind. releases: slug -> when people really released it."""

    def __init__(self, policy: Policy, releases: Mapping[str, Sequence[datetime]], usual: timedelta | None) -> None:
        self._most = policy.settings.caps.brake_replies
        self._within = policy.brake_within
        self._releases = releases
        self._usual = usual
        self._said: defaultdict[str, list[datetime]] = defaultdict(list)
        self._until: dict[str, datetime | None] = {}
        self._since: dict[str, datetime] = {}

    def hold(self, now: datetime) -> frozenset[str]:
        """Return the slugs that wait for a person at *now*."""
        for slug in [slug for slug, until in self._until.items() if until is not None and until <= now]:
            self._since[slug] = self._until.pop(slug) or now
        return frozenset(self._until)

    def add(self, slug: str, now: datetime) -> None:
        """Count one automatic reply; after a release only what was said since counts."""
        since = max(now - self._within, self._since.get(slug, now - self._within))
        self._said[slug] = [at for at in self._said[slug] if at > since] + [now]
        if slug not in self._until and len(self._said[slug]) >= self._most:
            self.pull(slug, now)

    def pull(self, slug: str, now: datetime) -> None:
        """Stop an article until people released it: when they really did next, else after the usual time."""
        real = next((at for at in self._releases.get(slug, ()) if at > now), None)
        self._until[slug] = real or (None if self._usual is None else now + self._usual)


class Rewind:
    """Decides moment after moment, oldest first, by one policy, and remembers what it would have done."""

    def __init__(
        self,
        policy: Policy,
        *,
        since: datetime,
        desks_for: Callable[[str], Sequence[str]],
        record: Callable[[str, str, datetime], Record],
        before: Sequence[Spoken] = (),
        braked: Sequence[tuple[str, datetime]] = (),
        releases: Mapping[str, Sequence[datetime]] | None = None,
        usual: Usual | None = None,
    ) -> None:
        """record: (intent, source, moment) -> what was known then. before: said before *since*. braked: pulled then."""
        self.policy = policy
        self._since = since
        self._desks_for = desks_for
        self._record = record
        self._usual = usual or Usual()
        self._lately = Lately()
        self._brakes = Brakes(policy, releases or {}, self._usual.brake)
        self._cases: defaultdict[Where, list[_Case]] = defaultdict(list)
        for said in before:
            self._lately.add(said)
        for slug, at in braked:
            self._brakes.pull(slug, at)

    def decide(self, moment: Moment, answers: Sequence[Candidate]) -> Rewound:
        """Return what would have come of *moment*; the next one knows."""
        situation = self._situation(moment, answers)
        decision = decide(situation, self.policy)
        now = situation.now
        match decision:
            case AutoReply(answer=answer):
                return self._say(moment, situation, decision, answer)
            case Draft(queue=queue) | Escalate(queue=queue):
                found = self._open(moment, now)
                is_opener = found is None or found[0] == moment.situation.post.key
                whose = queue if found is None else found[1]
                self._join(moment, whose, now)
                return Rewound(
                    way=Way.DRAFT if isinstance(decision, Draft) else Way.PEOPLE,
                    decision=decision,
                    situation=situation,
                    queue=whose,
                    desks=tuple(self._desks_for(queue)) if isinstance(decision, Escalate) else (),
                    is_opener=is_opener,
                )
            case Ignore():
                return Rewound(way=Way.NOTHING, decision=decision, situation=situation)

    def take(self, moment: Moment) -> None:
        """Take what happened as it was: the post can be judged no more, but what came of it counts for others."""
        happened, now = moment.happened, moment.situation.now
        if happened.way is Way.ALONE:
            self._count(moment, happened.article, happened.text)
        elif happened.case_id is not None:
            self._join(moment, happened.queue, happened.late_at or now)

    def _situation(self, moment: Moment, answers: Sequence[Candidate]) -> Situation:
        known = moment.situation
        self._lately.forget(known.now)
        found = self._open(moment, known.now)
        return replace(
            known,
            answers=answers,
            auto_replies_24h=self._lately.to(moment.where),
            open_case=None if found is None or found[0] == known.post.key else found[0],
            record=self._asked(known),
            traffic=self._lately.traffic(known, moment.author_id, self._brakes.hold(known.now)),
        )

    def _asked(self, known: Situation) -> Record:
        if known.triage is None:
            return NOTHING
        intent, source = known.triage.intent.label, known.source
        if self.policy.mode(source, intent) is not Mode.AUTO or not self.policy.must_earn(source, intent):
            return NOTHING
        return self._record(intent, source, known.now)

    def _say(self, moment: Moment, situation: Situation, decision: AutoReply, answer: Candidate) -> Rewound:
        happened = moment.happened
        why = happened.came_to_nothing if answer.slug == happened.article else ""
        if not why:
            self._count(moment, answer.slug, answer.wording)
            return Rewound(way=Way.ALONE, decision=decision, situation=situation)
        # The bot wanted to say it then too, and something outside the decision stopped it: it would again.
        if happened.late_at is not None:
            self._join(moment, happened.queue, happened.late_at)
        return Rewound(
            way=happened.way,
            decision=decision,
            situation=situation,
            queue=happened.queue,
            desks=happened.desks,
            came_to_nothing=why,
        )

    def _count(self, moment: Moment, slug: str, text: str) -> None:
        known = moment.situation
        self._lately.add(
            Spoken(
                at=max(known.now, moment.happened.left_at or known.now),
                author_id=moment.author_id,
                channel=known.post.channel,
                root_id=known.post.root_id,
                source=known.source,
                slug=slug,
                text=text,
            )
        )
        self._brakes.add(slug, known.now)

    def _open(self, moment: Moment, now: datetime) -> tuple[str, str] | None:
        """Return key and queue of the case that people have in this conversation at *now*."""
        for case in self._cases.get(moment.where, ()):
            if case.opened_at <= now and (case.until is None or now < case.until):
                return case.key, case.queue
        for span in moment.spans:
            if span.opened_at < self._since and span.is_open(now):
                return span.key, span.queue
        return None

    def _join(self, moment: Moment, queue: str, at: datetime) -> None:
        if self._open(moment, at) is not None:
            return
        key = moment.situation.post.key
        self._cases[moment.where].append(_Case(key=key, queue=queue, opened_at=at, until=self._closes(moment, at)))

    def _closes(self, moment: Moment, at: datetime) -> datetime | None:
        """Return until when people have a case of this conversation that opens at *at*; None: to the end."""
        real = [span for span in moment.spans if span.opened_at <= at and (not span.closed or span.closed[-1] >= at)]
        if real:
            return min((close for span in real for close in span.closed if close >= at), default=None)
        return None if self._usual.case is None else at + self._usual.case


def _count(counter: Counter[str], key: str, times: int) -> None:
    counter[key] += times
    if not counter[key]:
        del counter[key]
