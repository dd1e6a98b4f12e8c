"""atproto against a Bluesky service on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from connectors.channels.bluesky import CHANNEL, BlueskyConnector
from tests.connectors.contract import ConnectorContract
from tests.networks.bluesky import CUSTOMER, HANDLE, PASSWORD, US, BlueskyNetwork
from tests.networks.clock import HandClock


class Rig:
    """How the tests below make a server and a connector."""

    def make_network(self, clock: HandClock) -> BlueskyNetwork:
        return BlueskyNetwork(clock=clock)

    def make_connector(self, network: BlueskyNetwork, clock: HandClock, **settings: Any) -> BlueskyConnector:
        values = {
            "kind": "bluesky",
            "base_url": network.base_url,
            "handle": HANDLE,
            "app_password": PASSWORD,
            **settings,
        }
        connector = CHANNEL.connect(name="test", settings=CHANNEL.settings(**values), clock=clock)
        assert isinstance(connector, BlueskyConnector)
        return connector


class TestBlueskyContract(Rig, ConnectorContract[BlueskyNetwork]):
    secrets = (PASSWORD, HANDLE, "wren.bsky")

    def seed(self, network: BlueskyNetwork, *, at: datetime, text: str) -> str:
        return network.post(text, at=at, reason="mention")

    def seed_thread(self, network: BlueskyNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain: list[str] = []
        for words in texts:
            chain.append(network.post(words, at=at, parent=chain[-1] if chain else None, reason="reply"))
        return chain

    def seed_own(self, network: BlueskyNetwork, *, at: datetime, text: str) -> str:
        return network.post(text, at=at, by=US)

    def seed_bad(self, network: BlueskyNetwork, *, at: datetime) -> None:
        network.post("", at=at, reason="mention", raw={"text": ["zebra-7781"]})

    def delete(self, network: BlueskyNetwork, post_id: str) -> None:
        network.delete(post_id)
