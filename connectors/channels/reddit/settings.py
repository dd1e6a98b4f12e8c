"""What a Reddit source may set; docs/channels/reddit.md explains each key."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from connectors.settings import SourceSettings

SITE = "https://www.reddit.com"
# Reddit's search takes 512 characters: https://www.reddit.com/dev/api#GET_search
Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
Place = Annotated[str, StringConstraints(strip_whitespace=True)]


class RedditSettings(SourceSettings):
    """One Reddit account. It signs in with username and password, or with a refresh token."""

    kind: str = "reddit"
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(description="empty for an installed app")
    username: str | None = None
    password: SecretStr | None = None
    refresh_token: SecretStr | None = None
    user_agent: str = Field(min_length=7, description="<platform>:<app id>:<version> (by /u/<name>)")
    subreddits: tuple[Place, ...] = Field((), description="listen to all comments and posts there")
    queries: tuple[Query, ...] = Field((), description="searches; Reddit finds posts, never comments")
    mentions: bool = Field(True, description="what reaches our inbox: mentions, replies to comments and to posts")
    reply_subreddits: tuple[Place, ...] | None = Field(None, description="reply in these alone; unset: anywhere")
    reddit_url: str = Field(SITE, pattern=r"^https?://[^/\s]+/?$", description="where Reddit signs us in")
    oauth_url: str = Field("https://oauth.reddit.com", pattern=r"^https?://[^/\s]+/?$", description="where its API is")

    @field_validator("subreddits", "reply_subreddits")
    @classmethod
    def _plain_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is None:
            return None
        plain = tuple(name.removeprefix("/").removeprefix("r/") for name in names)
        for name in plain:
            if not re.fullmatch(r"\w{2,24}", name, re.ASCII):
                raise ValueError(f"{name!r} is no subreddit's name; write NAME for r/NAME")
        return plain

    @field_validator("subreddits", "queries")
    @classmethod
    def _nothing_twice(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if len({each.casefold() for each in given}) != len(given):
            raise ValueError("one of them is listed twice")
        return given

    @model_validator(mode="after")
    def _has_account(self) -> Self:
        if self.refresh_token is None and (self.username is None or self.password is None):
            raise ValueError("no way to sign in: set username and password, or refresh_token")
        return self
