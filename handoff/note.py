"""The first note of a ticket: all we know of a case, as text that nobody outside can bend.

Whatever a stranger wrote stands on lines that begin with four spaces. As plain text that reads like a quotation; where
a desk renders Markdown (Zendesk does, in ``comment.body``) it is a code block, so no image loads, no link hides where
it leads, no HTML is read, and no line of a post can pass for one of ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from classifiers.triage import Triage
from connectors.post import Author, Post, PostKind, storable
from handoff.case import Case
from handoff.situation import Candidate, Contact, ContactKind, Situation

MAX_BYTES = 60_000
"""Zendesk takes about 65,000 bytes a comment (its community post 4719863289498); the other desks take more."""

INDENT = "    "
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# What RFC 3986 allows in a link, less what Markdown, HTML or a template language could read as its own.
_PLAIN_LINK = re.compile(r"https?://[A-Za-z0-9\-._~:/?#@!$&+,;=%]{1,2000}", re.ASCII)
_SPEAKERS = {ContactKind.CUSTOMER: "the customer wrote", ContactKind.REPLY: "we replied", ContactKind.NOTE: "our note"}


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of each part is shown. post, other: characters of a text; items: posts and contacts listed."""

    post: int
    other: int
    items: int


_ROOMS = (
    _Room(10_000, 2_000, 50),
    _Room(5_000, 1_000, 30),
    _Room(2_500, 500, 16),
    _Room(1_200, 250, 8),
    _Room(500, 120, 4),
    _Room(250, 60, 2),
)


def render(case: Case, context: Situation, *, max_bytes: int = MAX_BYTES) -> str:
    """Return the note, at most *max_bytes* of UTF-8: the longer the context, the shorter each part of it."""
    note = ""
    for room in _ROOMS:
        note = "\n\n".join(_sections(case, context, room)) + "\n"
        if len(note.encode()) <= max_bytes:
            return note
    end = "\n(cut)\n"
    return note.encode()[: max(0, max_bytes - len(end))].decode("utf-8", "ignore") + end


def one_line(text: str, *, max_chars: int) -> str:
    """Return *text* on one line, without control characters, cut to *max_chars*."""
    line = " ".join(_clean(storable(text)).split())
    return line if len(line) <= max_chars else line[: max_chars - 1].rstrip() + "…"


def customer_name(author: Author, *, max_chars: int = 100) -> str:
    """Return what a desk may call *author*: the name or handle shown there, less what could be a link or an address."""
    for name in (author.display_name, author.handle, author.id):
        words = re.sub(r"[<>@:/\\{}\[\]()|`]+", " ", one_line(name, max_chars=4 * max_chars))
        if words.strip():
            return one_line(words, max_chars=max_chars)
    return "Customer"


def _sections(case: Case, context: Situation, room: _Room) -> Iterator[str]:
    post = context.post
    yield "This case:\n\n" + _lines(_case(case))
    if case.url is not None:
        yield _link("Case page", case.url)
    yield "Why it came here:\n\n" + _lines(f"- {one_line(reason, max_chars=300)}" for reason in case.reasons[:20])
    yield "The customer's post:\n\n" + _said(post, room.post)
    if post.url is not None:
        yield _link("Link to the post", post.url)
    yield "Triage:\n\n" + _lines(_triage(context.triage))
    if standing := list(_standing(context)):
        yield "Before you answer:\n\n" + _lines(standing)
    if context.thread:
        yield f"The conversation above it, root first ({len(context.thread)}):\n\n" + _thread(context.thread, room)
    if context.history:
        yield f"Earlier contacts on this channel, oldest first ({len(context.history)}):\n\n" + _history(context, room)
    yield _answers(context.answers, room)


def _case(case: Case) -> Iterator[str]:
    yield f"first answer due: {_time(case.due_at)}"
    yield f"priority: {case.priority} of 4 (1 is now)"
    yield f"queue: {one_line(case.queue, max_chars=100) or 'none'}"
    yield f"key: {one_line(case.key, max_chars=300)}"


def _said(post: Post, max_chars: int) -> str:
    author = post.author
    who = f"{one_line(author.display_name, max_chars=100)} (@{one_line(author.handle, max_chars=100)}, id {author.id}"
    if author.followers is not None:
        who += f", {author.followers} followers"
    facts = [post.channel, _time(post.created_at), who + ")"]
    if post.is_own:
        facts.append("our own account")
    if author.is_bot:
        facts.append("says it is a bot")
    if post.is_private:
        facts.append("private message")
    elif post.kind is not PostKind.POST:
        facts.append(post.kind.value)
    if post.place:
        facts.append(f"in {post.place}")
    if post.edited_at is not None:
        facts.append(f"edited {_time(post.edited_at)}")
    parts = [one_line(", ".join(facts), max_chars=500)]
    if post.title:
        parts.append(one_line(post.title, max_chars=300))
    return _lines(parts) + "\n\n" + _quote(post.text, max_chars)


def _triage(triage: Triage | None) -> Iterator[str]:
    if triage is None:
        yield "No model has judged this post."
        return
    for head in ("sentiment", "intent", "urgency", "toxicity", "spam", "language"):
        label = getattr(triage, head)
        yield f"{head}: {one_line(label.label, max_chars=60)} ({label.confidence:.0%})"
    yield f"judged by {one_line(triage.model, max_chars=120)}"


def _standing(context: Situation) -> Iterator[str]:
    if context.may_reply is not None:
        yield f"The network does not let us reply: {one_line(context.may_reply.reason, max_chars=300)}"
    if context.already_answered:
        yield "We have answered this very post already."
    if context.auto_replies_24h:
        yield f"Replies the bot made by itself to this author here in the last 24 hours: {context.auto_replies_24h}"
    if context.open_case is not None:
        yield f"Unresolved case of this customer in this conversation: {one_line(context.open_case, max_chars=300)}"


def _thread(thread: Sequence[Post], room: _Room) -> str:
    # The root says what it is about and the nearest posts say what is being answered: the middle goes first.
    shown, gap = list(thread), 0
    if len(shown) > room.items:
        gap = len(shown) - room.items
        shown = [shown[0], *shown[len(shown) - room.items + 1 :]]
    blocks = [_said(post, room.other) for post in shown]
    if gap:
        blocks.insert(1, _lines([f"({gap} posts left out)"]))
    return "\n\n".join(blocks)


def _history(context: Situation, room: _Room) -> str:
    shown = list(context.history)[-room.items :]
    blocks = [_contact(contact, room.other) for contact in shown]
    if len(shown) < len(context.history):
        blocks.insert(0, _lines([f"({len(context.history) - len(shown)} older contacts left out)"]))
    return "\n\n".join(blocks)


def _contact(contact: Contact, max_chars: int) -> str:
    facts = [_time(contact.at), _SPEAKERS[contact.kind]]
    facts += [fact for fact in (contact.intent, contact.sentiment, contact.outcome, contact.url) if fact]
    return _lines([one_line(", ".join(facts), max_chars=500)]) + "\n\n" + _quote(contact.text.for_people(), max_chars)


def _answers(answers: Sequence[Candidate], room: _Room) -> str:
    if not answers:
        return "Suggested answer: none; no approved article answers this."
    best, *others = answers
    facts = [f"from the article {_article(best)}"]
    if not best.fits:
        facts.append("longer than the network allows")
    text = "Suggested answer:\n\n" + _lines(facts) + "\n\n" + _quote(best.wording, room.post)
    if others:
        text += "\n\nOther articles:\n\n" + _lines(_article(other) for other in others[: room.items])
    return text


def _article(answer: Candidate) -> str:
    title = one_line(answer.title, max_chars=200)
    slug, locale = one_line(answer.slug, max_chars=120), one_line(answer.locale, max_chars=20)
    return f"{title} ({slug}, {locale}, number {answer.article_id}, answers with {answer.confidence:.0%})"


def _quote(text: str, max_chars: int) -> str:
    text = storable(text).strip()
    left = len(text) - max_chars
    if left > 0:
        text = text[:max_chars].rstrip()
    lines = [_clean(line).rstrip() for line in text.splitlines()]
    # Runs of blank lines are a cheap way to push our own words off the screen.
    kept = [line for at, line in enumerate(lines) if line or (at and lines[at - 1])]
    if left > 0:
        kept.append(f"… ({left} more characters)")
    return _lines(kept or ["(no text)"])


def _lines(lines: Iterator[str] | Sequence[str]) -> str:
    return "\n".join((INDENT + line).rstrip() for line in lines)


def _link(label: str, url: str) -> str:
    if _PLAIN_LINK.fullmatch(url):
        return f"{label}: {url}"
    return f"{label}:\n\n{INDENT}{one_line(url, max_chars=500)}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _clean(text: str) -> str:
    # Right-to-left overrides reorder a whole page; other control characters hide text. Tabs become spaces.
    text = text.translate(_BIDI)
    if text.isprintable():
        return text
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
