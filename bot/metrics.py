"""What can be measured from outside, under the names of docs/operations.md. No handle or post id is ever a label."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# A second series for each metric that only says when the process began.
disable_created_metrics()  # type: ignore[no-untyped-call]

registry = CollectorRegistry(auto_describe=True)

posts_ingested = Counter("harken_posts_ingested", "Posts taken in, first time seen", ["network"], registry=registry)
posts_triaged = Counter("harken_posts_triaged", "Posts judged by a model", ["engine"], registry=registry)
posts_freshness = Histogram(
    "harken_posts_freshness_seconds",
    "From written there to stored here",
    ["network"],
    buckets=(1, 5, 15, 30, 60, 120, 300, 900, 3600, 86400),
    registry=registry,
)
connector_last_success = Gauge(
    "harken_connector_last_success_timestamp_seconds", "Last answer that could be used", ["source"], registry=registry
)
connector_request = Histogram(
    "harken_connector_request_duration_seconds", "One page from a network", ["network", "outcome"], registry=registry
)
connector_blocked_until = Gauge(
    "harken_connector_rate_limit_reset_timestamp_seconds", "No request before this", ["source"], registry=registry
)
items_quarantined = Counter(
    "harken_items_quarantined", "Items nobody could read", ["stage", "reason"], registry=registry
)
queue_depth = Gauge("harken_queue_depth", "Errands that wait", ["stage", "state"], registry=registry)
queue_oldest_age = Gauge(
    "harken_queue_oldest_age_seconds", "Age of the oldest waiting errand", ["stage"], registry=registry
)
stage_duration = Histogram("harken_stage_duration_seconds", "One batch through a stage", ["stage"], registry=registry)
classify_fallback = Counter(
    "harken_classify_fallback", "Posts that the main model did not judge", ["reason"], registry=registry
)
teaching_revision = Gauge(
    "harken_teaching_revision", "Head revision that judges, 0 for the shipped heads", registry=registry
)
teaching_accuracy = Gauge(
    "harken_teaching_accuracy",
    "Of that revision, on corrections its fit did not see: heads before and after",
    ["head", "heads"],
    registry=registry,
)
decisions = Counter("harken_decisions", "Decisions by kind", ["network", "decision"], registry=registry)
replies = Counter("harken_replies", "Replies by how they ended", ["network", "outcome"], registry=registry)
replies_unknown = Gauge("harken_replies_unknown", "Replies nobody knows whether they were said", registry=registry)
readback = Counter("harken_readback", "Looks for a reply that may be public", ["network", "result"], registry=registry)
reply_blocked = Counter("harken_reply_blocked", "Replies stopped at the last moment", ["guard"], registry=registry)
brakes = Gauge("harken_brakes", "Brakes that stand, as this process sees them", ["scope"], registry=registry)
replies_held = Gauge("harken_replies_held", "Replies that wait until a brake is released", registry=registry)
retractions = Counter(
    "harken_retractions", "Replies deleted on request, by how that ended", ["network", "outcome"], registry=registry
)
incidents = Gauge("harken_incidents", "Incidents that are open", registry=registry)
incidents_opened = Counter("harken_incidents_opened", "Incidents that this process opened", registry=registry)
tickets = Counter("harken_tickets", "Tickets by how opening them ended", ["desk", "outcome"], registry=registry)
deletions = Counter(
    "harken_deletions", "Posts whose text was removed because the network removed it", ["network"], registry=registry
)
webhooks = Counter("harken_webhook", "Pushed deliveries", ["direction", "outcome"], registry=registry)
language_model = Counter(
    "harken_language_model", "Requests to the language model by how they ended", ["outcome"], registry=registry
)
language_model_tokens = Counter("harken_language_model_tokens", "Tokens that they cost", registry=registry)
event_loop_lag = Histogram(
    "harken_event_loop_lag_seconds",
    "How late the loop was",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=registry,
)
build_info = Gauge("harken_build_info", "What runs", ["version", "database"], registry=registry)


def exposition() -> bytes:
    """Return all metrics in the Prometheus text format."""
    return generate_latest(registry)
