"""What a case keeps of its situation, as plain data: what people see, and what a ticket is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from classifiers.triage import HEADS, Triage
from connectors.post import Post
from handoff.situation import Situation


def context_of(situation: Situation, reasons: Sequence[str]) -> dict[str, Any]:
    """Return the full context as JSON data; times in ISO 8601."""
    return {
        "post": post_data(situation.post),
        "triage": None if situation.triage is None else triage_data(situation.triage),
        "thread": [post_data(each) for each in situation.thread],
        "history": [
            {
                "kind": each.kind,
                "at": each.at.isoformat(),
                "text": each.text.for_people(),
                "url": each.url,
                "intent": each.intent,
                "sentiment": each.sentiment,
                "outcome": each.outcome,
                "key": each.key,
            }
            for each in situation.history
        ],
        "answers": [
            {
                "article_id": each.article_id,
                "slug": each.slug,
                "title": each.title,
                "locale": each.locale,
                "confidence": round(each.confidence, 4),
                "wording": each.wording,
                "fits": each.fits,
            }
            for each in situation.answers
        ],
        "reasons": list(reasons),
    }


def post_data(post: Post) -> dict[str, Any]:
    """Return what people need of one post."""
    return {
        "key": post.key,
        "author": post.author.display_name,
        "handle": post.author.handle,
        "title": post.title,
        "text": post.text,
        "at": post.created_at.isoformat(),
        "url": post.url,
        "place": post.place,
        "is_own": post.is_own,
    }


def triage_data(triage: Triage) -> dict[str, Any]:
    """Return each head's label and confidence."""
    labels = {head: getattr(triage, head) for head in (*HEADS, "language")}
    return {
        **{head: {"label": each.label, "confidence": round(each.confidence, 4)} for head, each in labels.items()},
        "model": triage.model,
    }
