"""What a replay may set, and how long a reply each played network takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from connectors.length import LengthRule, Unit
from connectors.record import AuthorRecord
from connectors.settings import SourceSettings

LENGTHS = {
    "x": LengthRule(unit=Unit.WEIGHTED, limit=280),  # docs.x.com/fundamentals/counting-characters
    "bluesky": LengthRule(unit=Unit.GRAPHEMES, limit=300, max_bytes=3_000),  # app.bsky.feed.post lexicon
    "mastodon": LengthRule(unit=Unit.CHARACTERS, limit=500, url_cost=23),  # docs.joinmastodon.org, default instance
    "reddit": LengthRule(unit=Unit.CHARACTERS, limit=10_000),  # reddit.com/dev/api#POST_api_comment
}
MARKDOWN = frozenset({"reddit"})
"""Networks that show Markdown as it is meant."""


class ReplaySettings(SourceSettings):
    """``[sources.NAME]`` with ``kind = "replay"``."""

    path: Path = Field(description="the recording, JSON Lines")
    channel: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = Field(
        description="the network it plays: x, reddit, mastodon, bluesky or a name of your own"
    )
    account: AuthorRecord = Field(description="our own account there: its posts are ours, not a customer's")
    speed: float = Field(1.0, ge=0.01, le=1_000_000, description="60: an hour passes in a minute")
    start: Literal["now", "ended", "recorded"] = Field(
        "now",
        description="now: the day begins when the source first runs; ended: it has just ended then, so all of it is "
        "due at once; recorded: at the time of the file's start row",
    )
    ledger: Path | None = Field(None, description="where the replies taken are written; none: listen only")
