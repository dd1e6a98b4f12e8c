"""Posts and triages for tests, complete and plain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from classifiers.triage import Label, Triage
from connectors.post import Author, Post, PostKind

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def make_author(name: str = "ana", **changes: Any) -> Author:
    """Return an author of network x."""
    return Author(**{"channel": "x", "id": f"u-{name}", "handle": name, "display_name": name.title(), **changes})


def make_post(number: int = 1, *, author: str | Author = "ana", minutes: float = 0, **changes: Any) -> Post:
    """Return a post addressed to us; *minutes* after noon."""
    values: dict[str, Any] = {
        "channel": "x",
        "id": str(number),
        "author": make_author(author) if isinstance(author, str) else author,
        "text": f"where is my parcel {number}?",
        "created_at": NOON + timedelta(minutes=minutes),
        "kind": PostKind.POST,
        "root_id": str(number),
        "addressed": True,
        "url": f"https://x.example/{number}",
    }
    return Post(**values | changes)


def make_triage(
    post_id: int | str = "1", *, intent: str = "delivery_item", confidence: float = 0.9, **changes: str
) -> Triage:
    """Return a sure triage."""

    def label(head: str, default: str) -> Label:
        return Label(label=changes.get(head, default), confidence=confidence)

    return Triage(
        id=str(post_id),
        sentiment=label("sentiment", "negative"),
        intent=label("intent", intent),
        urgency=label("urgency", "normal"),
        toxicity=label("toxicity", "ok"),
        spam=label("spam", "ok"),
        language=label("language", "en"),
        model="test@1",
    )
