"""What a rewind would have done otherwise than what happened: grouped, counted, and why in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from handoff import guards, reading
from handoff.decision import AutoReply, Ignore
from handoff.policy import Mode, Policy
from handoff.rewind import Happened, Moment, Rewound, Way
from handoff.situation import Situation

EXAMPLES = 5
"""Posts shown of each group; the ids of all are kept."""

BEFORE: Mapping[Way, str] = MappingProxyType(
    {
        Way.ALONE: "said alone before",
        Way.DRAFT: "draft before",
        Way.PEOPLE: "handed over before",
        Way.NOTHING: "nothing to do before",
    }
)
NOW: Mapping[Way, str] = MappingProxyType(
    {
        Way.ALONE: "said alone now",
        Way.DRAFT: "draft now",
        Way.PEOPLE: "handed over now",
        Way.NOTHING: "nothing to do now",
    }
)

_COUNTED: Mapping[str, str] = MappingProxyType(
    {
        "budget_spent": "the bot has answered the author often enough in this conversation",
        "author_cap": "the bot has answered the author often enough in 24 hours",
        "conversation_cap": "the bot has answered often enough in this conversation",
        "article_cap": "the bot has said this article often enough within an hour",
        "same_text": "the bot has said nearly these words often enough within an hour",
        "source_cap": "the bot has spoken often enough on this source within an hour",
        "total_cap": "the bot has spoken often enough within an hour",
        "unearned": "it is not earned to be answered alone",
        "no_answer": "no article answers it",
    }
)
"""What guards say whose sentences carry figures of one post: groups are counted by what is common to their posts."""

MAX_TEXT = 200
"""Characters of a post shown as an example."""

_FREEDOM: Mapping[Way, int] = MappingProxyType({Way.NOTHING: 0, Way.PEOPLE: 1, Way.DRAFT: 2, Way.ALONE: 3})
_SILENCES = frozenset(guard.__name__ for guard in guards.SILENCES)

_FIGURES = re.compile(r"\s*\([^()]*\d[^()]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One post that would have gone another way. reasons: of the decision now. ended: what really came of it."""

    post_id: int
    key: str
    url: str | None
    source: str
    text: str
    at: datetime
    case_id: int | None
    ended: str
    before_reasons: Sequence[str]
    reasons: Sequence[str]
    before_article: str
    article: str
    before_to: str
    to: str


@dataclass(slots=True, kw_only=True)
class Group:
    """Posts that would have gone another way for the same reason. is_asked: because of what was asked for; else today's
    policy and articles would already do so. posts: ids of all; examples: some. ended: what came of them, in words.

    said: the group in a line: "said alone before, draft now: 12 - because ...".
    """

    before: str
    now: str
    because: str
    is_asked: bool
    count: int = 0
    posts: list[int] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    said: str = ""


@dataclass(slots=True, kw_only=True)
class Side:
    """How posts went on one side. articles: slug -> said alone. queues: queue -> drafts and cases that came to it.
    desks: outside desk -> tickets."""

    ways: dict[str, int] = field(default_factory=lambda: {way.value: 0 for way in Way})
    articles: dict[str, int] = field(default_factory=dict)
    queues: dict[str, int] = field(default_factory=dict)
    desks: dict[str, int] = field(default_factory=dict)

    def add(self, way: Way, article: str, queue: str, desks: Sequence[str], *, is_opener: bool) -> None:
        """Count one post."""
        self.ways[way] += 1
        if way is Way.ALONE:
            self.articles[article] = self.articles.get(article, 0) + 1
        if way in (Way.DRAFT, Way.PEOPLE) and queue:
            self.queues[queue] = self.queues.get(queue, 0) + 1
        for desk in desks if is_opener else ():
            self.desks[desk] = self.desks.get(desk, 0) + 1


@dataclass(slots=True, kw_only=True)
class Report:
    """A whole rewind. decided: posts decided anew; same: of them those that would have gone the same way. gone: why
    others could not be -> how many. happened, rewound: both sides. ended: what really came of them, in words."""

    since: datetime
    until: datetime
    decided: int = 0
    same: int = 0
    different: int = 0
    gone: dict[str, int] = field(default_factory=dict)
    happened: Side = field(default_factory=Side)
    rewound: Side = field(default_factory=Side)
    ended: dict[str, int] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def finish(self) -> None:
        """Put what was asked for first, then the larger groups, and say each in a line."""
        for each in self.groups:
            each.said = f"{each.before}, {each.now}: {each.count} - because {each.because}"
        self.groups.sort(key=lambda each: (not each.is_asked, -each.count, each.before, each.now, each.because))


class Comparison:
    """Takes moment after moment with what would have come of it, and keeps the report."""

    def __init__(self, *, since: datetime, until: datetime, examples: int = EXAMPLES) -> None:
        self.report = Report(since=since, until=until)
        self._groups: dict[tuple[str, str, str, bool], Group] = {}
        self._examples = examples

    def leave_out(self, moment: Moment) -> None:
        """Count a moment that cannot be decided anew."""
        self.report.gone[moment.gone] = self.report.gone.get(moment.gone, 0) + 1

    def add(self, moment: Moment, now: Rewound, policy: Policy, *, today: Rewound | None, before: Policy) -> None:
        """Count one moment. today: what today's policy (*before*) and articles make of it, None when nothing else was
        asked for."""
        report, happened = self.report, moment.happened
        report.decided += 1
        article = happened.article
        report.happened.add(happened.way, article, happened.queue, happened.desks, is_opener=happened.is_opener)
        slug = now.answer.slug if now.answer else ""
        report.rewound.add(now.way, slug, now.queue, now.desks, is_opener=now.is_opener)
        report.ended[happened.end] = report.ended.get(happened.end, 0) + 1
        change = difference(happened, now)
        if change is None:
            report.same += 1
            return
        report.different += 1
        is_asked = today is None or difference(happened, today) != change
        because = cause(today, before, now, policy) if today is not None and is_asked else since_then(moment, now)
        key = (*change, because, is_asked)
        if key not in self._groups:
            self._groups[key] = Group(before=change[0], now=change[1], because=because, is_asked=is_asked)
            report.groups.append(self._groups[key])
        group = self._groups[key]
        group.count += 1
        group.posts.append(moment.post_id)
        group.ended[happened.end] = group.ended.get(happened.end, 0) + 1
        if len(group.examples) < self._examples:
            group.examples.append(_example(moment, now))


def difference(happened: Happened, now: Rewound) -> tuple[str, str] | None:
    """Return how it went before and how it would go now, None when that is the same for the customer and for people.

    The same are: the way, the article, for what the bot says alone and for untouched drafts the very words, and, for
    the post that opens a case, queue and desks. Priority, due time, confidence and reasons are not compared.
    """
    if happened.way is not now.way:
        return BEFORE[happened.way], NOW[now.way]
    answer = now.answer
    if happened.way in (Way.ALONE, Way.DRAFT) and answer is not None:
        if happened.article and happened.article != answer.slug:
            return f"{BEFORE[happened.way]} with {happened.article}", f"with {answer.slug} now"
        if happened.text and not happened.was_edited and happened.text != answer.wording:
            return BEFORE[happened.way], "the same article in other words now"
    is_other = (happened.queue, sorted(happened.desks)) != (now.queue, sorted(now.desks))
    if happened.is_opener and now.is_opener and is_other:
        return f"{BEFORE[happened.way]} to {to(happened)}", f"to {to(now)} now"
    return None


def to(side: Happened | Rewound) -> str:
    """Return whom people's work went to: queue, and outside desks."""
    if not side.queue:
        return ""
    return " and ".join((f"queue {side.queue}", *(f"desk {desk}" for desk in side.desks)))


def cause(before: Rewound, policy: Policy, now: Rewound, asked: Policy) -> str:
    """Return, in words common to many posts, why *asked* decides otherwise than today's *policy*."""
    if isinstance(now.decision, Ignore) and not isinstance(before.decision, Ignore):
        return plain(now.decision.reasons[0])
    objected, objects = _objections(before.situation, policy), _objections(now.situation, asked)
    stricter = [name for name in objects if name not in objected]
    looser = [name for name in objected if name not in objects]
    is_stricter, is_looser = _FREEDOM[now.way] < _FREEDOM[before.way], _FREEDOM[now.way] > _FREEDOM[before.way]
    forbidden = next((name for name in stricter if name in _SILENCES), None)
    if is_stricter and forbidden:
        return _words(forbidden, objects)
    if before.way is not now.way and (mode := _mode(now.situation, policy, asked)):
        return mode
    if isinstance(before.decision, Ignore) and not isinstance(now.decision, Ignore):
        return f"this holds no more: {plain(before.decision.reasons[0])}"
    if stricter and not is_looser:
        return _words(stricter[0], objects)
    if looser and not is_stricter:
        return f"this holds no more: {_words(looser[0], objected)}"
    judged = _judged(before.situation, now.situation)
    if judged and before.way is not now.way:
        return judged
    return _answered(before, policy, now, asked) or judged or plain(now.decision.reasons[0])


def _judged(before: Situation, now: Situation) -> str:
    """Return what it is taken for now, "" when that is as before."""
    was, would = before.triage, now.triage
    if was is None or would is None or was.intent.label == would.intent.label:
        return ""
    return f"it is judged {would.intent.label} rather than {was.intent.label}"


def _answered(before: Rewound, policy: Policy, now: Rewound, asked: Policy) -> str:
    """Return what is otherwise about the answer or about who gets it, "" when nothing is."""
    was, would = reading.best(before.situation, policy), reading.best(now.situation, asked)
    if before.way is now.way and before.queue != now.queue:
        return f"{reading.intent(now.situation)} goes to queue {now.queue} rather than {before.queue}"
    if was is None or would is None:
        return ""
    if was.slug != would.slug:
        return f"{would.slug} answers it rather than {was.slug}"
    return f"{would.slug} has other words" if was.wording != would.wording else ""


def since_then(moment: Moment, now: Rewound) -> str:
    """Return why it would go another way today than then: what is said now that was not said then."""
    if now.came_to_nothing:
        return plain(now.came_to_nothing)
    then = {plain(reason) for reason in moment.happened.reasons}
    reasons = [plain(reason) for reason in now.decision.reasons]
    if isinstance(now.decision, AutoReply):
        reasons = reasons[1:] + reasons[:1]  # that an article answers it is the last thing that is news
    fresh = next((reason for reason in reasons if reason not in then), None)
    if fresh is not None:
        return fresh
    lost = next((plain(reason) for reason in moment.happened.reasons if plain(reason) not in reasons), None)
    return f"this holds no more: {lost}" if lost else "policy, articles or labels have changed since"


def plain(reason: str) -> str:
    """Return a reason without the figures of one post: "it may be spam", not "it may be spam (0.41)"."""
    return _FIGURES.sub("", reason)


def _mode(situation: Situation, policy: Policy, asked: Policy) -> str:
    """Return how far the bot goes now for this intent on this source, "" when that is as before."""
    if situation.triage is None:
        return ""
    pair = situation.triage.intent.label
    if any(_is_special(each, situation) for each in (policy, asked)):
        pair += f" on {situation.source}"
    was = policy.mode(situation.source, situation.triage.intent.label)
    would = asked.mode(situation.source, situation.triage.intent.label)
    match was, would:
        case (Mode.OFF, Mode.OFF) | (Mode.DRAFT, Mode.DRAFT) | (Mode.AUTO, Mode.AUTO):
            return ""
        case _, Mode.AUTO:
            return f"{pair} is automatic now"
        case _, Mode.OFF:
            return f"{pair} is switched off now"
        case Mode.AUTO, _:
            return f"{pair} is no longer automatic"
        case _:
            return f"{pair} is no longer switched off"


def _is_special(policy: Policy, situation: Situation) -> bool:
    """Tell whether the source has modes of its own."""
    here = policy.settings.sources.get(situation.source)
    return here is not None and (here.mode is not None or bool(here.intents))


def _objections(situation: Situation, policy: Policy) -> dict[str, str]:
    """Return guard -> what it has against speaking alone."""
    return dict(guards.named(guards.GUARDS, situation, policy))


def _words(name: str, objections: Mapping[str, str]) -> str:
    return _COUNTED.get(name) or plain(objections[name])


def _example(moment: Moment, now: Rewound) -> Example:
    post, happened = moment.situation.post, moment.happened
    text = " ".join(f"{post.title} {post.text}".split())
    return Example(
        post_id=moment.post_id,
        key=post.key,
        url=post.url,
        source=moment.situation.source,
        text=text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1].rstrip() + "…",
        at=moment.situation.now,
        case_id=happened.case_id,
        ended=happened.end,
        before_reasons=list(happened.reasons),
        reasons=[now.came_to_nothing] if now.came_to_nothing else list(now.decision.reasons),
        before_article=happened.article,
        article=now.answer.slug if now.answer else "",
        before_to=to(happened),
        to=to(now),
    )
