"""A recorded day played as if it were a network."""

from connectors.channels.replay.connector import CHANNEL, Replay, ReplayNetwork
from connectors.channels.replay.settings import LENGTHS, ReplaySettings

__all__ = ["CHANNEL", "LENGTHS", "Replay", "ReplayNetwork", "ReplaySettings"]
