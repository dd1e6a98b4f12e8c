"""X through the real tweepy, against a fake X on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.channels.x import XConnector, XSettings
from connectors.protocol import Connector
from tests.connectors.contract import ConnectorContract
from tests.networks import x
from tests.networks.clock import HandClock
from tests.networks.x import BRAND, CUSTOMER, Person, XNetwork

KEYS = {
    "consumer_key": x.CONSUMER_KEY,
    "consumer_secret": x.CONSUMER_SECRET,
    "access_token": x.ACCESS_TOKEN,
    "access_token_secret": x.ACCESS_SECRET,
}
BOTH = {**KEYS, "bearer_token": x.BEARER}
OTTO = Person(id="5502", handle="otto_b", name="Otto B.")


def connect(network: XNetwork, clock: HandClock, **settings: Any) -> XConnector:
    merged = XSettings(**{"kind": "x", "base_url": network.base_url, **BOTH, **settings})
    return XConnector(name="brand-x", settings=merged, clock=clock)


class TestX(ConnectorContract[XNetwork]):
    burst = 250  # more than PAGES_PER_LOOK pages of page_limit, so that the walk needs marks
    secrets = (
        x.BEARER,
        x.CONSUMER_KEY,
        x.CONSUMER_SECRET,
        x.ACCESS_TOKEN,
        x.ACCESS_SECRET,
        BRAND.handle,
        CUSTOMER.handle,
    )

    def make_network(self, clock: HandClock) -> XNetwork:
        return XNetwork(clock=clock)

    def make_connector(self, network: XNetwork, clock: HandClock, **settings: Any) -> Connector:
        return connect(network, clock, **settings)

    def seed(self, network: XNetwork, *, at: datetime, text: str) -> str:
        return network.say(f"@{BRAND.handle} {text}", at=at)

    def seed_thread(self, network: XNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain: list[str] = []
        for number, text in enumerate(texts):
            parent = chain[-1] if chain else None
            author = (CUSTOMER, OTTO)[number % 2]
            chain.append(network.say(f"{text} @{BRAND.handle}", at=at, author=author, reply_to=parent))
        return chain

    def seed_own(self, network: XNetwork, *, at: datetime, text: str) -> str:
        return network.say(f"@{BRAND.handle} {text}", at=at, author=BRAND)

    def seed_bad(self, network: XNetwork, *, at: datetime) -> None:
        network.spoil({"text": 17, "author_id": None}, at=at)

    def edit(self, network: XNetwork, post_id: str, text: str) -> None:
        network.edit(post_id, f"@{BRAND.handle} {text}", at=network.clock())

    def delete(self, network: XNetwork, post_id: str) -> None:
        network.delete(post_id)
