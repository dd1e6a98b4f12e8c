"""Reasons not to speak. Each guard looks at one thing and returns a sentence a social team understands, or None.

``SILENCES`` forbid a prepared answer altogether: a draft too, because a person should write, or nobody. ``CAUTIONS``
forbid only that the bot speaks alone. All of them together stand before every word the bot says by itself, when it is
decided and once more when it is about to leave (``leaving``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from connectors.post import PostKind
from connectors.protocol import SendClass
from handoff import limits, reading
from handoff.earned import told
from handoff.lookalike import imitates
from handoff.policy import Mode, Policy
from handoff.sensitive import IN_WORDS
from handoff.situation import Situation

Guard: TypeAlias = Callable[[Situation, Policy], str | None]

NO_ANSWER = "no article answers it"
UNLIKELY = "no article is likely to answer it"
"""Reasons by which the store finds later what knowledge is missing."""


def own_post(situation: Situation, policy: Policy) -> str | None:
    """We do not talk to ourselves."""
    return "our own account wrote it" if situation.post.is_own else None


def repost(situation: Situation, policy: Policy) -> str | None:
    """Who passes a post on asks nothing; the original is judged by itself."""
    return "it only passes on another post" if situation.post.kind is PostKind.REPOST else None


def bot_author(situation: Situation, policy: Policy) -> str | None:
    """Two bots that answer each other never stop."""
    return "its author is a bot" if situation.post.author.is_bot else None


def opted_out(situation: Situation, policy: Policy) -> str | None:
    """Who asked the bot to stop is left alone by it for good, drafts included; people may still help."""
    return "its author asked not to be answered by a bot" if situation.opted_out_at else None


def muted(situation: Situation, policy: Policy) -> str | None:
    """Somebody of ours decided that the bot leaves this author alone."""
    return "a person muted the bot for its author" if situation.muted else None


def look_alike(situation: Situation, policy: Policy) -> str | None:
    """Talking with an account that imitates us makes it look real."""
    if situation.post.is_own or not imitates(situation.post.author, (*policy.names, *situation.own_names)):
        return None
    return "its author's name imitates ours"


def not_addressed(situation: Situation, policy: Policy) -> str | None:
    """Who does not speak to us did not ask us; networks forbid automated replies there (X automation rules)."""
    return None if reading.speaks_to_us(situation) else "it does not speak to us; it was found by search"


def answered(situation: Situation, policy: Policy) -> str | None:
    """One reply to one post."""
    return "we have already replied to it" if situation.already_answered else None


def case_open(situation: Situation, policy: Policy) -> str | None:
    """A second voice beside the person who works on the matter confuses both."""
    return None if situation.open_case is None else "people already work on this conversation"


def in_incident(situation: Situation, policy: Policy) -> str | None:
    """In a burst of one topic people choose the one answer; the usual one may be wrong by now."""
    return None if situation.incident is None else f"it belongs to incident {situation.incident}, which people answer"


def network_refuses(situation: Situation, policy: Policy) -> str | None:
    """The network's own rules go before ours."""
    return None if situation.may_reply is None else f"the network allows no reply here: {situation.may_reply.reason}"


def window_closed(situation: Situation, policy: Policy) -> str | None:
    """Some networks take an answer for a time only."""
    window = situation.capabilities.reply_within
    if window is None or situation.now - situation.post.created_at <= window:
        return None
    return f"the network takes no reply to a post older than {window.total_seconds() / 3600:g} hours"


def listen_only(situation: Situation, policy: Policy) -> str | None:
    """Where we cannot speak, a prepared answer helps nobody."""
    return "we can only listen on this channel" if situation.capabilities.send_class is SendClass.LISTEN_ONLY else None


def untriaged(situation: Situation, policy: Policy) -> str | None:
    """What no model judged may be anything."""
    return "untriaged: no model could judge this post" if situation.triage is None else None


def people_only(situation: Situation, policy: Policy) -> str | None:
    """Some intents are for people."""
    intent = reading.intent(situation)
    if intent not in policy.settings.people_only:
        return None
    sure = 1.0 if situation.triage is None else situation.triage.intent.confidence
    if sure < policy.settings.auto_triage_confidence:
        return f"it may be {intent} ({sure:.2f}), which always goes to people"
    return f"{intent} always goes to people"


def sensitive(situation: Situation, policy: Policy) -> str | None:
    """Some subjects are for people, whatever the intent."""
    found = reading.topics(situation, policy)
    return IN_WORDS[found[0]] if found else None


def abusive(situation: Situation, policy: Policy) -> str | None:
    """A friendly ready-made answer to abuse reads as mockery."""
    toxic = situation.triage is not None and situation.triage.toxicity.label == "toxic"
    return "it is abusive; a person chooses whether and how to answer" if toxic else None


def spam(situation: Situation, policy: Policy) -> str | None:
    """An answer lends spam our name."""
    return "it may be spam" if reading.spam(situation) > 0 else None


def no_answer(situation: Situation, policy: Policy) -> str | None:
    """Nothing is said that was not approved."""
    return NO_ANSWER if reading.best(situation, policy) is None else None


def unlikely_answer(situation: Situation, policy: Policy) -> str | None:
    """A wrong draft costs more reading than writing."""
    answer = reading.best(situation, policy)
    if answer is None or answer.confidence >= policy.settings.draft_answer_confidence:
        return None
    return f"{UNLIKELY} (best {answer.confidence:.2f})"


def too_long(situation: Situation, policy: Policy) -> str | None:
    """The network would refuse it, or cut it."""
    answer = reading.best(situation, policy)
    return None if answer is None or answer.fits else f"the answer {answer.slug} is too long for this network"


def private_matter(situation: Situation, policy: Policy) -> str | None:
    """What is not for the public is not answered there, except by asking to write to us privately."""
    answer = reading.best(situation, policy)
    if not reading.is_private_matter(situation, policy) or (answer is not None and answer.is_private_door):
        return None
    return "it is a private matter, and no article asks to write to us privately"


def urgent(situation: Situation, policy: Policy) -> str | None:
    """Who needs help now needs a person; also where the model is not sure."""
    if reading.is_urgent(situation, policy):
        return "it is urgent"
    high = situation.triage is not None and situation.triage.urgency.label == "high"
    return "it may be urgent" if high else None


def private(situation: Situation, policy: Policy) -> str | None:
    """Public wording is not written for private conversations."""
    return "it is a private message" if situation.post.is_private else None


def stale(situation: Situation, policy: Policy) -> str | None:
    """A late automatic answer tells the world that nobody was there; by now a person may have helped."""
    age = situation.now - (situation.post.edited_at or situation.post.created_at)
    return f"it is older than {policy.settings.stale_after_hours:g} hours" if age > policy.stale_after else None


def quiet_hours(situation: Situation, policy: Policy) -> str | None:
    """At night a bot that chatters looks like one, and nobody is there who could correct it."""
    return "it is in the quiet hours" if policy.is_quiet(situation.source, situation.now) else None


def unearned(situation: Situation, policy: Policy) -> str | None:
    """An intent starts with drafts on each source; people's verdicts on them earn it to be answered alone."""
    settings, intent, source = policy.settings, reading.intent(situation), situation.source
    if policy.mode(source, intent) is not Mode.AUTO or not policy.must_earn(source, intent):
        return None
    record = situation.record
    if record.observed < settings.error_observations:
        seen = f"{record.observed} of the {settings.error_observations} answers that it takes were judged by people"
        return f"{intent} on {source} has not earned it yet: {seen}"
    if record.bound < settings.error_limit:
        return None
    return told(record, intent, source, limit=settings.error_limit)


def unsure_intent(situation: Situation, policy: Policy) -> str | None:
    """Which mode applies hangs on the intent."""
    if situation.triage is None:
        return None
    sure, wanted = situation.triage.intent.confidence, policy.settings.auto_triage_confidence
    return None if sure >= wanted else f"the intent is not sure enough ({sure:.2f}; {wanted:.2f} is needed)"


def unsure_answer(situation: Situation, policy: Policy) -> str | None:
    """A wrong public answer costs more than a late one."""
    answer, wanted = reading.best(situation, policy), policy.settings.auto_answer_confidence
    if answer is None or answer.confidence >= wanted:
        return None
    return f"the answer is not sure enough ({answer.confidence:.2f}; {wanted:.2f} is needed)"


def other_language(situation: Situation, policy: Policy) -> str | None:
    """Nobody expects to be answered in public in a language they did not use."""
    answer = reading.best(situation, policy)
    if answer is None or situation.triage is None or policy.settings.answer_in_other_language:
        return None
    asked, given = situation.triage.language.label, answer.locale.partition("-")[0]
    if asked == "und":
        return "nobody can tell which language it is written in"
    return None if asked == given else f"it is written in {asked}, the answer in {given}"


def deleted(situation: Situation, policy: Policy) -> str | None:
    """Asked when a reply is about to leave: there is nothing left to answer."""
    return "the post was deleted" if situation.is_deleted else None


def edited(situation: Situation, policy: Policy) -> str | None:
    """Asked when a reply is about to leave: the words were chosen for what stood there before."""
    if situation.written_for in (None, situation.post.revision):
        return None
    return "the post was edited"


SILENCES: Sequence[Guard] = (
    own_post,
    repost,
    bot_author,
    not_addressed,
    opted_out,
    muted,
    answered,
    case_open,
    in_incident,
    network_refuses,
    window_closed,
    listen_only,
    untriaged,
    people_only,
    sensitive,
    abusive,
    spam,
    look_alike,
    no_answer,
    unlikely_answer,
    too_long,
)
CAUTIONS: Sequence[Guard] = (
    urgent,
    private,
    private_matter,
    stale,
    quiet_hours,
    unsure_intent,
    unsure_answer,
    other_language,
    unearned,
    limits.budget_spent,
    limits.author_cap,
    limits.conversation_cap,
    limits.braked,
    limits.same_text,
    limits.article_cap,
    limits.source_cap,
    limits.total_cap,
)
GUARDS: Sequence[Guard] = (*SILENCES, *CAUTIONS)

GONE: Sequence[Guard] = (deleted, edited, answered)
"""Why a reply that waits comes to nothing, and nobody needs to see to it: gone, decided anew already, or answered."""


def objections(guards: Sequence[Guard], situation: Situation, policy: Policy) -> list[str]:
    """Return what *guards* have against speaking, in their order; those switched off are not asked."""
    return [reason for _, reason in named(guards, situation, policy)]


def named(guards: Sequence[Guard], situation: Situation, policy: Policy) -> list[tuple[str, str]]:
    """Return name and reason of each of *guards* that objects."""
    asked = (guard for guard in guards if policy.is_on(guard.__name__))
    return [(guard.__name__, reason) for guard in asked if (reason := guard(situation, policy)) is not None]
