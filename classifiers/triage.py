"""What a text means: frozen values that know nothing of posts or networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

SENTIMENTS = ("negative", "neutral", "positive")
INTENTS = (
    "account_access",
    "account_management",
    "billing_payment",
    "refund_return",
    "order_booking",
    "delivery_item",
    "cancellation",
    "technical_issue",
    "service_disruption",
    "security_fraud",
    "product_question",
    "complaint",
    "praise",
    "feedback_suggestion",
    "human_agent",
    "spam",
    "not_actionable",
)
URGENCIES = ("high", "normal", "low")
TOXICITIES = ("toxic", "ok")
SPAMS = ("spam", "ok")

HEADS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sentiment": SENTIMENTS, "intent": INTENTS, "urgency": URGENCIES, "toxicity": TOXICITIES, "spam": SPAMS}
)
"""Head name -> its labels, in the order the model's outputs have."""

EMBEDDING_DIM = 384


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a classifier sees of a post: *id* comes back with the answer; *language* is the network's claim, if any."""

    id: str
    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The likeliest label of one head. confidence: its probability, 0 to 1. scores: label -> probability, sums to 1."""

    label: str
    confidence: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """All labels of one text.

    language: ISO 639-1, "und" when nobody can tell. model: name and revision of what judged. embedding: float16
    little-endian, EMBEDDING_DIM values, L2-normalised; empty when the engine makes none.
    """

    id: str
    sentiment: Label
    intent: Label
    urgency: Label
    toxicity: Label
    spam: Label
    language: Label
    model: str
    embedding: bytes = b""
