"""What an X source may set; docs/channels/x.md explains each key."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from connectors.settings import SourceSettings

# docs.x.com/x-api/posts/search/integrate/build-a-query: 512 characters on self-serve access
Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
OAUTH1 = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


class XSettings(SourceSettings):
    """One X account. Reads with the bearer token where there is one, writes as the user."""

    bearer_token: SecretStr | None = Field(None, description="the app's own token, reads only")
    consumer_key: SecretStr | None = Field(None, description="OAuth 1.0a: API key")
    consumer_secret: SecretStr | None = Field(None, description="OAuth 1.0a: API key secret")
    access_token: SecretStr | None = Field(None, description="OAuth 1.0a: the account's token")
    access_token_secret: SecretStr | None = Field(None, description="OAuth 1.0a: the account's token secret")
    oauth2_user_token: SecretStr | None = Field(None, description="OAuth 2.0 user token, instead of the four above")
    handle: str | None = Field(None, pattern=r"^\w{1,15}$", description="our handle; needed with a bearer token alone")
    mentions: bool = True
    queries: tuple[Query, ...] = Field((), description="recent searches, each a stream of its own")
    base_url: str = Field("https://api.x.com", pattern=r"^https?://[^/\s]+/?$", description="where X's API is")
    enterprise: bool = Field(False, description="an Enterprise contract: replies need no mention or quote")
    max_weighted_chars: int = Field(280, ge=280, le=25_000, description="longest reply; more only with X Premium")

    @field_validator("queries")
    @classmethod
    def _no_query_twice(cls, queries: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(queries)) != len(queries):
            raise ValueError("the same query is listed twice")
        return queries

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        missing = [key for key in OAUTH1 if getattr(self, key) is None]
        if 0 < len(missing) < len(OAUTH1):
            raise ValueError(f"OAuth 1.0a needs all four keys; missing: {', '.join(missing)}")
        if not missing and self.oauth2_user_token:
            raise ValueError("set either the four OAuth 1.0a keys or oauth2_user_token, not both")
        if missing and not self.oauth2_user_token and not (self.bearer_token and self.handle):
            raise ValueError(
                "no way to sign in: set consumer_key, consumer_secret, access_token and access_token_secret; or "
                "oauth2_user_token; or, to listen only, bearer_token and handle"
            )
        if not self.mentions and not self.queries:
            raise ValueError("nothing to listen to: set mentions = true or list queries")
        return self

    @property
    def has_oauth1(self) -> bool:
        return self.consumer_key is not None

    @property
    def may_write(self) -> bool:
        return self.has_oauth1 or self.oauth2_user_token is not None
