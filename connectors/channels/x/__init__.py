"""X (Twitter), through tweepy's AsyncClient."""

from connectors.channels.x.connector import CHANNEL, XConnector
from connectors.channels.x.settings import XSettings

__all__ = ["CHANNEL", "XConnector", "XSettings"]
