"""How much the bot says by itself: guards that count. What is over a limit waits for a person, it is never dropped."""

from __future__ import annotations

from connectors.post import PostKind
from handoff import reading
from handoff.likeness import likeness
from handoff.policy import Policy
from handoff.situation import Situation


def budget_spent(situation: Situation, policy: Policy) -> str | None:
    """Whoever writes again after two automatic answers was not helped by them, or is a bot."""
    # A quote opens a conversation of its own, and some networks name none: two bots would never share one.
    is_adrift = situation.post.kind is PostKind.QUOTE or situation.post.root_id is None
    said = max(situation.auto_replies_24h, situation.traffic.author_24h if is_adrift else 0)
    limit = policy.settings.auto_replies_per_day
    if said < limit:
        return None
    return f"the bot has answered this author {said} times in 24 hours; {limit} are allowed"


def author_cap(situation: Situation, policy: Policy) -> str | None:
    """Nobody needs many answers of a machine in one day, in however many conversations."""
    return _over(
        situation.traffic.author_24h,
        policy.settings.caps.author_per_day,
        "to this author in 24 hours, in all conversations",
    )


def conversation_cap(situation: Situation, policy: Policy) -> str | None:
    """A thread full of us is a thread about us."""
    return _over(situation.traffic.conversation, policy.settings.caps.conversation_per_hour, "in this conversation")


def article_cap(situation: Situation, policy: Policy) -> str | None:
    """Where everybody asks the same, a person should see why."""
    answer = reading.best(situation, policy)
    if answer is None:
        return None
    said = situation.traffic.articles.get(answer.slug, 0)
    return _over(said, policy.settings.caps.article_per_hour, f"with {answer.slug}")


def same_text(situation: Situation, policy: Policy) -> str | None:
    """Networks take an account that repeats itself for spam (X automation rules: no duplicative replies)."""
    answer = reading.best(situation, policy)
    if answer is None:
        return None
    said = situation.traffic.texts.get(likeness(answer.wording), 0)
    return _over(said, policy.settings.caps.same_text_per_hour, f"in nearly these words on {situation.source}")


def source_cap(situation: Situation, policy: Policy) -> str | None:
    """A network sees one account: its pace should be that of one."""
    return _over(situation.traffic.source, policy.settings.caps.source_per_hour, f"on {situation.source}")


def total_cap(situation: Situation, policy: Policy) -> str | None:
    """Whatever goes wrong, it goes wrong so many times at most before people see it."""
    return _over(situation.traffic.everywhere, policy.settings.caps.total_per_hour, "everywhere")


def braked(situation: Situation, policy: Policy) -> str | None:
    """After a burst of one answer a person says whether it is still right: one incident, one approved answer."""
    answer = reading.best(situation, policy)
    if answer is None or answer.slug not in situation.traffic.braked:
        return None
    return f"{answer.slug} was said in a burst and waits until a person releases it"


def _over(said: int, limit: int, where: str) -> str | None:
    if said < limit:
        return None
    times = "once" if said == 1 else f"{said} times"
    within = "" if "24 hours" in where else " within an hour"
    return f"the bot has answered {times} {where}{within}; {limit} are allowed"
