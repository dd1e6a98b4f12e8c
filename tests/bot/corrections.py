"""Posts that people corrected, in a store: what teaching begins with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.store import feed
from bot.store.engine import Store
from bot.store.people import User
from bot.store.roles import Role
from tests.bot.web.world import NOON, add_author, add_post, add_triage, add_user
from tests.classifiers.school import JARGON, letters


def people(store: Store, *names: str) -> list[User]:
    """Return new agents."""
    return [add_user(store, Role.AGENT, email=f"{name}@example.org") for name in names]


def add_corrected(
    session: Session,
    persons: Sequence[User],
    *,
    count: int,
    first: int = 1,
    meaning: str = JARGON,
    old: str = "complaint",
    new: str = "technical_issue",
    at: datetime = NOON,
) -> list[int]:
    """Add *count* posts that the model called *old*, corrected to *new* by *persons* in turn; return their ids."""
    author = add_author(session, f"author-{first}")
    made = []
    for number in range(first, first + count):
        post = add_post(session, number, author_id=author, text=f"{meaning} {letters(number)} {old}")
        add_triage(session, post, intent=old)
        who = persons[number % len(persons)]
        feed.correct(session, post, head="intent", label=new, user_id=who.id, now=at + timedelta(seconds=number))
        made.append(post)
    return made
