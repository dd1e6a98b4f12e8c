"""A post as plain JSON: the shape that replay files and pushed deliveries share (docs/channels/replay.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from connectors.post import Author, Post, PostKind, storable

MAX_RAW_CHARS = 2_000


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # year 1 or 9999 beside a zone offset
        raise ValueError("the time lies outside the calendar") from error


def _web_link(url: str) -> str:
    if not url.lower().startswith(("https://", "http://")):
        raise ValueError("a link starts with https:// or http://")
    return url


Words = Annotated[str, AfterValidator(storable)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x20\x7f]+$")]
Link = Annotated[str, StringConstraints(max_length=4_096), AfterValidator(storable), AfterValidator(_web_link)]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class AuthorRecord(BaseModel):
    """``{"id", "handle"}`` and, if known, ``display_name``, ``url``, ``followers``, ``is_bot``."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Id
    handle: Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(storable)]
    display_name: Words = ""
    url: Link | None = None
    followers: int | None = Field(None, ge=0)
    is_bot: bool = False

    def author(self, channel: str) -> Author:
        """Return the author this record describes on *channel*."""
        return Author(channel=channel, **self.model_dump())


class PostRecord(BaseModel):
    """One post: ``id``, ``author`` and ``text`` are needed for a whole one, the rest may be left out.

    An edit or a deletion needs only the id and what changed, so nothing but ``id`` is required here; ``post`` asks for
    the rest. root_id: a first post's own id when left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Id
    author: AuthorRecord | None = None
    text: Annotated[str, StringConstraints(max_length=100_000), AfterValidator(storable)] | None = None
    title: Words = ""
    kind: PostKind = PostKind.POST
    parent_id: Id | None = None
    root_id: Id | None = None
    url: Link | None = None
    language: Language | None = None
    addressed: bool = False
    place: Words = ""
    facts: dict[Words, Words] = Field(default_factory=dict)
    private: bool = False

    def changed_by(self, other: PostRecord) -> PostRecord:
        """Return this record with the fields that *other* sets laid over it."""
        return self.model_copy(update={name: getattr(other, name) for name in other.model_fields_set})

    def post(
        self,
        channel: str,
        *,
        created_at: datetime,
        own_id: str,
        edited_at: datetime | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Post:
        """Return the post this record describes; *facts* join its own. Raises ValueError when it is not a whole one."""
        if self.author is None or self.text is None:
            raise ValueError(f"post.{'author' if self.author is None else 'text'} is missing")
        return Post(
            channel=channel,
            id=self.id,
            author=self.author.author(channel),
            text=self.text,
            created_at=created_at,
            kind=self.kind,
            title=self.title,
            url=self.url,
            language=self.language,
            parent_id=self.parent_id,
            root_id=self.root_id or (self.id if self.parent_id is None else None),
            edited_at=edited_at,
            addressed=self.addressed,
            is_own=self.author.id == own_id,
            is_private=self.private,
            place=self.place,
            facts={**self.facts, **(facts or {})},
        )


def why(error: ValidationError) -> str:
    """Return what is wrong, in one line that names the field and never shows its value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else str(first["msg"])
