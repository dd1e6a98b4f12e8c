"""Mastodon.py against a Mastodon server on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from connectors.channels.mastodon import CHANNEL, MastodonConnector
from connectors.protocol import Connector
from connectors.post import Post
from tests.connectors.contract import ConnectorContract
from tests.networks.clock import HandClock
from tests.networks.mastodon import CUSTOMER, OUR_ACCT, TOKEN, MastodonNetwork


class Rig:
    """How the tests below make a server and a connector."""

    def make_network(self, clock: HandClock) -> MastodonNetwork:
        return MastodonNetwork(clock=clock)

    def make_connector(self, network: MastodonNetwork, clock: HandClock, **settings: Any) -> MastodonConnector:
        values = {"kind": "mastodon", "base_url": network.base_url, "access_token": TOKEN, **settings}
        connector = CHANNEL.connect(name="test", settings=CHANNEL.settings(**values), clock=clock)
        assert isinstance(connector, MastodonConnector)
        return connector


class TestMastodonContract(Rig, ConnectorContract[MastodonNetwork]):
    secrets = (TOKEN, OUR_ACCT, "wren")

    def seed(self, network: MastodonNetwork, *, at: datetime, text: str) -> str:
        return network.post(f"@{OUR_ACCT} {text}", at=at)

    def seed_thread(self, network: MastodonNetwork, *, at: datetime, texts: Sequence[str]) -> list[str]:
        chain: list[str] = []
        for words in texts:
            chain.append(network.post(f"@{OUR_ACCT} {words}", at=at, parent=chain[-1] if chain else None))
        return chain

    def seed_own(self, network: MastodonNetwork, *, at: datetime, text: str) -> str:
        return network.post(text, at=at, by=OUR_ACCT)

    def seed_bad(self, network: MastodonNetwork, *, at: datetime) -> None:
        network.post(f"@{OUR_ACCT}", at=at, raw={"account": 17, "content": ["zebra-7781"]}, notifies=True)

    def edit(self, network: MastodonNetwork, post_id: str, text: str) -> None:
        network.edit(post_id, f"@{OUR_ACCT} {text}")

    def delete(self, network: MastodonNetwork, post_id: str) -> None:
        network.delete(post_id)

    def longest(self, connector: Connector, post: Post) -> int:
        return 500 - len("@wren ")
