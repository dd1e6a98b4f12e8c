"""What a situation says, read once for guards, priority and routing: small questions with plain answers."""

from __future__ import annotations

from datetime import datetime, timedelta

from handoff.personal import shows_personal_data
from handoff.policy import UNTRIAGED, Policy
from handoff.sensitive import PRESSING, Topic
from handoff.situation import Candidate, ContactKind, Situation

REPEATED = timedelta(days=7)
"""Posts of one customer within this are one story."""


def intent(situation: Situation) -> str:
    """Return the likeliest intent, or ``untriaged``."""
    return UNTRIAGED if situation.triage is None else situation.triage.intent.label


def text(situation: Situation) -> str:
    """Return title and text, as they are looked through for words."""
    post = situation.post
    return f"{post.title}\n{post.text}" if post.title else post.text


def topics(situation: Situation, policy: Policy) -> tuple[Topic, ...]:
    """Return the sensitive topics of the post, the gravest first."""
    return policy.topics(text(situation))


def speaks_to_us(situation: Situation) -> bool:
    """Tell whether the author speaks to our account: a mention, a reply, a quote, a private message."""
    return situation.post.addressed or situation.post.is_private


def best(situation: Situation, policy: Policy) -> Candidate | None:
    """Return the likeliest answer that has words to say; to a private matter, the one that asks to write privately."""
    worded = [answer for answer in situation.answers if answer.wording]
    if is_private_matter(situation, policy) and (door := next((each for each in worded if each.is_private_door), None)):
        return door
    return next((answer for answer in worded if not answer.is_private_door), None)


def is_private_matter(situation: Situation, policy: Policy) -> bool:
    """Tell whether a public post is about something that is not for the public: by its intent, or by what it shows."""
    if situation.post.is_private or not policy.is_on("private_matter"):
        return False
    return intent(situation) in policy.settings.private.intents or shows_personal_data(text(situation))


def nothing_to_do(situation: Situation, policy: Policy) -> float:
    """Return the probability that the post is of an intent nobody acts on, or spam."""
    if situation.triage is None:
        return 0.0
    label, ignored = situation.triage.intent, policy.settings.ignore
    if label.scores:
        idle = sum(label.scores.get(name, 0.0) for name in ignored)
    else:
        idle = label.confidence if label.label in ignored else 0.0
    # Praise in angry words is irony, or a mistake of the model: people look.
    if label.label == "praise" and situation.triage.sentiment.label == "negative":
        idle = 0.0
    return max(idle, spam(situation))


def spam(situation: Situation) -> float:
    """Return the probability that the post is spam."""
    if situation.triage is None:
        return 0.0
    by_head = situation.triage.spam.confidence if situation.triage.spam.label == "spam" else 0.0
    by_intent = situation.triage.intent.confidence if situation.triage.intent.label == "spam" else 0.0
    return max(by_head, by_intent)


def is_urgent(situation: Situation, policy: Policy) -> bool:
    """Tell whether the post is urgent: so labelled and sure enough, or somebody may be in danger."""
    if PRESSING & set(topics(situation, policy)):
        return True
    triage = situation.triage
    return (
        triage is not None
        and triage.urgency.label == "high"
        and triage.urgency.confidence >= policy.settings.urgent_confidence
    )


def security(situation: Situation, policy: Policy) -> str | None:
    """Return, in words and as surely as the model is, that the post is about security; None when it is not."""
    if situation.triage is None or situation.triage.intent.label != "security_fraud":
        return None
    sure = situation.triage.intent.confidence >= policy.settings.auto_triage_confidence
    return "it is about security" if sure else "it may be about security"


def is_complaint(situation: Situation) -> bool:
    """Tell whether the customer is unhappy about something we could act on."""
    if situation.triage is None:
        return False
    return situation.triage.intent.label == "complaint" or situation.triage.sentiment.label == "negative"


def recent_posts(situation: Situation) -> int:
    """Return how many posts this customer wrote within REPEATED, without this one."""
    since: datetime = situation.now - REPEATED
    return sum(1 for contact in situation.history if contact.kind is ContactKind.CUSTOMER and contact.at >= since)
