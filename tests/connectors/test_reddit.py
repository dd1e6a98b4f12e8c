"""Reddit through the real praw, against a fake Reddit on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.channels.reddit import RedditConnector, RedditSettings, connect
from connectors.protocol import Connector
from tests.connectors.contract import ConnectorContract
from tests.networks.clock import HandClock
from tests.networks.reddit import BRAND, CLIENT_ID, CLIENT_SECRET, PASSWORD, Reddit, Thing

CUSTOMER = "parcel_hunter_12"


def settings(network: Reddit, **more: Any) -> RedditSettings:
    given: dict[str, Any] = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "username": BRAND,
        "password": PASSWORD,
        "user_agent": "linux:org.example.harken:v1 (by /u/kornblume)",
        "reddit_url": network.base_url or "http://127.0.0.1:9",
        "oauth_url": network.base_url or "http://127.0.0.1:9",
        **more,
    }
    return RedditSettings(**given)


def connector_on(network: Reddit, clock: HandClock, **more: Any) -> RedditConnector:
    return connect(name="reddit", settings=settings(network, **more), clock=clock)


class TestRedditContract(ConnectorContract[Reddit]):
    secrets = (CLIENT_SECRET, PASSWORD, "access-token-", CUSTOMER, BRAND)

    def make_network(self, clock: HandClock) -> Reddit:
        return Reddit(clock=clock)

    def make_connector(self, network: Reddit, clock: HandClock, **settings: Any) -> Connector:
        return connector_on(network, clock, **settings)

    def thread(self, network: Reddit, at: datetime) -> Thing:
        return network.submit(author="someone_else", title="Parcels", at=at)

    def seed(self, network: Reddit, *, at: datetime, text: str) -> str:
        parent = self.thread(network, at)
        return network.comment(author=CUSTOMER, parent=parent, text=f"u/{BRAND} {text}", at=at).name

    def seed_thread(self, network: Reddit, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain = [network.submit(author=CUSTOMER, title="Help", text=texts[0], at=at)]
        for text in texts[1:]:
            chain.append(network.comment(author=CUSTOMER, parent=chain[-1], text=f"u/{BRAND} {text}", at=at))
        return [thing.name for thing in chain]

    def seed_own(self, network: Reddit, *, at: datetime, text: str) -> str:
        return network.comment(author=BRAND, parent=self.thread(network, at), text=text, at=at).name

    def seed_bad(self, network: Reddit, *, at: datetime) -> None:
        network.raw_inbox.append((at, {"kind": "t1", "data": {"name": "t1_bad0", "body": 17, "created_utc": "soon"}}))

    def edit(self, network: Reddit, post_id: str, text: str) -> None:
        network.edit(post_id, text)

    def delete(self, network: Reddit, post_id: str) -> None:
        network.delete(post_id)
