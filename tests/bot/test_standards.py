"""What wordings are held against before they are published: the sources as they are configured."""

from __future__ import annotations

from bot.app import make_connectors, make_standards
from bot.settings import Settings
from handoff.knowledge.article import Article
from handoff.knowledge.readiness import check
from tests.bot.brand import source_on
from tests.networks.clock import HandClock
from tests.networks.faults import serve_in_thread
from tests.networks.x import XNetwork


def test_of_two_accounts_on_a_network_the_longer_signature_counts() -> None:
    with serve_in_thread(XNetwork()) as network:
        tables = {
            "sources": {"lark": source_on(network), "finch": source_on(network)},
            "handoff": {"signature": "^bot", "sources": {"lark": {"signature": "^Lark's bot"}}},
        }
        settings = Settings.model_validate(tables)
        connectors = [connector for connector, _ in make_connectors(settings, HandClock()).values()]
    article = Article(
        slug="hours", locale="en", title="Hours", wordings={"x": "At nine.", "bluesky": "We open at nine."}
    )
    found = {each.channel: each for each in check(article, make_standards(settings, connectors))}
    assert found["x"].text == "At nine. ^Lark's bot"
    assert found["bluesky"].text == "We open at nine. ^bot", "where no source is configured"
