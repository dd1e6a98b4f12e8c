"""Reddit, through praw."""

from connectors.channels.reddit.connector import CHANNEL, RedditConnector, connect
from connectors.channels.reddit.settings import RedditSettings

__all__ = ["CHANNEL", "RedditConnector", "RedditSettings", "connect"]
