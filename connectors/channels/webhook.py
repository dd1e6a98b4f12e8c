"""Posts that another system pushes to us, signed as Standard Webhooks describes (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationError
from standardwebhooks import Webhook as Signer

from connectors.errors import AuthFailed, Rejected
from connectors.post import Author, Post
from connectors.protocol import BadItem, Capabilities, Cursor, Delivered, Page, SendClass
from connectors.record import MAX_RAW_CHARS, AuthorRecord, Moment, PostRecord, why
from connectors.registry import Channel, Clock
from connectors.settings import SourceSettings

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)  # Standard Webhooks, "Signature scheme": 24 to 64 bytes
MAX_SECRETS = 8
MAX_HEADER_CHARS = 4_096
MAX_ID_CHARS = 256
AHEAD = timedelta(hours=1)  # a sender's clock that is further ahead is not believed: its posts would stay on top


def _keys(secrets: SecretStr) -> SecretStr:
    # The library decodes base64 leniently: a secret with a typing error would become another key without a word.
    each = secrets.get_secret_value().split()
    if not 1 <= len(each) <= MAX_SECRETS:
        raise ValueError(f"write 1 to {MAX_SECRETS} secrets, divided by spaces")
    for secret in each:
        text = secret.removeprefix(PREFIX)
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) not in KEY_BYTES:
            raise ValueError(f"a secret is {PREFIX} and 24 to 64 random bytes in base64")
    return secrets


class WebhookSettings(SourceSettings):
    """``[sources.NAME]`` with ``kind = "webhook"``."""

    channel: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = Field(
        "webhook", description="what the posts' network is called in Harken"
    )
    account: AuthorRecord = Field(description="our own account there: its posts are ours, not a customer's")
    secrets: Annotated[SecretStr, AfterValidator(_keys)] = Field(
        description="whsec_...; two, divided by a space, while one replaces the other"
    )
    tolerance_s: float = Field(300.0, gt=0, le=3_600, description="how far a delivery's time may be from ours, seconds")
    max_bytes: int = Field(1_048_576, ge=1_024, le=1_048_576, description="the largest body taken")
    max_posts: int = Field(1_000, ge=1, description="posts and deletions one delivery may hold")


class PushedPost(PostRecord):
    """A post record that carries its own times."""

    created_at: Moment
    edited_at: Moment | None = None


class Webhook:
    """Receives signed posts; listens only, polls nothing, cannot be asked about a post again."""

    def __init__(self, *, name: str, settings: WebhookSettings) -> None:
        self.name = name
        self.channel = settings.channel
        self.capabilities = Capabilities(send_class=SendClass.LISTEN_ONLY, pushed=True)
        self._settings = settings
        self._signers = [Signer(secret) for secret in settings.secrets.get_secret_value().split()]
        self._tolerance = timedelta(seconds=settings.tolerance_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def streams(self) -> Sequence[str]:
        """Return nothing: the posts come by themselves."""
        return ()

    async def identity(self) -> Author:
        """Return the account of the settings."""
        return self._settings.account.author(self.channel)

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        """Return an empty page: there is nobody to ask."""
        return Page(posts=(), cursor=cursor or "")

    async def thread(self, post: Post) -> Sequence[Post]:
        """Return nothing: there is nobody to ask."""
        return ()

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        """Return nothing, which says nothing: deletions are pushed, nobody can be asked."""
        return {}

    def receive(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivered:
        """Verify and read one delivery; see docs/channels/webhook.md for its shape.

        Raises AuthFailed when headers, age or signature are wrong, Rejected when the body is too large or unreadable.
        """
        if len(body) > self._settings.max_bytes:
            raise Rejected(f"the body is larger than {self._settings.max_bytes} bytes; send fewer posts at a time")
        delivery = self._verified_id(headers, body, now)
        return Delivered(id=delivery, page=self._page(body, now))

    def _verified_id(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """Return the delivery's id once its signature holds for one of our secrets.

        The library's own ``verify`` asks the wall clock, knows one secret and lets ValueError and UnicodeDecodeError
        out on odd headers and bodies; so it signs, and we compare.
        """
        given = {name.lower(): value for name, value in headers.items()}
        delivery, stamp, signatures = (given.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
        if not (delivery and stamp and signatures):
            raise AuthFailed("webhook-id, webhook-timestamp and webhook-signature are all needed")
        if len(delivery) > MAX_ID_CHARS or len(signatures) > MAX_HEADER_CHARS or not delivery.isprintable():
            raise AuthFailed("webhook-id or webhook-signature is too long or not printable")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
            raise AuthFailed("webhook-timestamp is not a whole number of seconds since 1970")
        sent_at = datetime.fromtimestamp(int(stamp), tz=UTC)
        if abs(now - sent_at) > self._tolerance:
            raise AuthFailed("webhook-timestamp is too far from our clock; check both clocks, or sign anew on each try")
        try:
            text = body.decode()
            candidates = [signature.encode("ascii") for signature in signatures.split(" ")]
            expected = [signer.sign(delivery, sent_at, text).encode() for signer in self._signers]
        except UnicodeError as error:
            raise AuthFailed("the delivery is not UTF-8, so no signature can hold for it") from error
        # Every pair is compared, so the time taken tells nothing of which secret is in use.
        held = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in candidates]
        if not any(held):
            raise AuthFailed("no signature holds; is the secret one of this source's secrets?")
        return delivery

    def _page(self, body: bytes, now: datetime) -> Page:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Rejected(f"the body is not JSON: {error.msg} at character {error.pos}") from error
        if not isinstance(document, dict) or not ({"posts", "deleted"} & document.keys()):
            raise Rejected('the body must be an object with "posts" or "deleted"')
        pushed, deleted = document.get("posts", []), document.get("deleted", [])
        if not isinstance(pushed, list) or not isinstance(deleted, list):
            raise Rejected('"posts" and "deleted" must be lists')
        if len(pushed) + len(deleted) > self._settings.max_posts:
            raise Rejected(f"one delivery holds at most {self._settings.max_posts} posts and deletions")
        posts, bad = self._read(pushed, now)
        gone: list[str] = []
        for number, item in enumerate(deleted):
            try:
                gone.append(PostRecord(id=item).id)
            except ValidationError as error:
                bad.append(_bad(item, f"deleted[{number}]: {why(error)}"))
        posts.sort(key=lambda post: post.edited_at or post.created_at)
        return Page(posts=posts, cursor="", deleted=gone, bad=bad)

    def _read(self, items: Iterable[Any], now: datetime) -> tuple[list[Post], list[BadItem]]:
        posts: list[Post] = []
        bad: list[BadItem] = []
        for number, item in enumerate(items):
            try:
                record = PushedPost.model_validate(item)
                posts.append(
                    record.post(
                        self.channel,
                        created_at=now if record.created_at > now + AHEAD else record.created_at,
                        edited_at=record.edited_at,
                        own_id=self._settings.account.id,
                    )
                )
            except ValidationError as error:
                bad.append(_bad(item, f"posts[{number}]: {why(error)}"))
            except ValueError as error:
                bad.append(_bad(item, f"posts[{number}]: {error}"))
        return posts, bad


def _bad(item: Any, reason: str) -> BadItem:
    return BadItem(raw=orjson.dumps(item).decode()[:MAX_RAW_CHARS], reason=reason)


def connect(*, name: str, settings: WebhookSettings, clock: Clock) -> Webhook:
    """Make the channel; *clock* is not needed, since every delivery comes with its own now."""
    return Webhook(name=name, settings=settings)


CHANNEL = Channel(kind="webhook", settings=WebhookSettings, connect=connect)
