"""A signed webhook: any system that can take a POST becomes a desk (Standard Webhooks, standardwebhooks.com).

Never twice: ``webhook-id`` is a hash of the case's key, the same in every attempt, so a receiver that keeps the ids it
has seen opens one ticket. A 2xx is success and nothing else is. The answer may be JSON with ``id`` and ``url`` of the
ticket; without them the ticket is known by its webhook-id. docs/desks.md shows the payload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import orjson
from pydantic import Field, SecretStr, field_validator
from standardwebhooks import Webhook

from classifiers.triage import HEADS, Triage
from connectors.post import Post, storable
from handoff.case import Case
from handoff.desks.rest import Address, Answer, Rest
from handoff.errors import DeskAuthFailed, DeskError, DeskRejected
from handoff.note import render
from handoff.protocol import TicketRef
from handoff.registry import Clock, DeskKind, DeskSettings
from handoff.situation import Candidate, Contact, Situation

PREFERRED_BYTES = 20_000
"""Standard Webhooks asks senders to stay below 20 kB; the texts are cut until the payload does."""


class WebhookSettings(DeskSettings):
    """One receiver. ``previous_secret``: signs too, while the receiver changes over."""

    url: Address = Field(description="takes the POST")
    secret: SecretStr = Field(description="whsec_ and 24 to 64 random bytes in base64")
    previous_secret: SecretStr | None = None

    @field_validator("secret", "previous_secret")
    @classmethod
    def _is_strong(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None:
            return None
        try:
            # The library decodes anything, also a passphrase, into some key; we take only what the standard says.
            length = len(base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True))
        except (binascii.Error, ValueError):
            raise ValueError("must be whsec_ followed by base64") from None
        if not 24 <= length <= 64:
            raise ValueError(f"must hold 24 to 64 bytes, holds {length}")
        return secret


class WebhookDesk:
    """Posts cases to one receiver."""

    def __init__(self, *, name: str, settings: WebhookSettings, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._signers = [
            Webhook(secret.get_secret_value())
            for secret in (settings.secret, settings.previous_secret)
            if secret is not None
        ]
        self._rest = Rest(name=name, root=str(settings.url), headers={}, timeout_s=settings.timeout_s, clock=clock)

    async def __aenter__(self) -> Self:
        await self._rest.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rest.close()

    async def check(self) -> None:
        """Send a signed HEAD, which can change nothing. A receiver that knows no HEAD proves only that it is there."""
        answer = await self._rest.ask("HEAD", "", headers=self._signed("check", ""))
        if answer.status not in (404, 405, 501) and not answer.is_success:
            raise self._failure(answer)

    async def open(self, case: Case, context: Situation) -> TicketRef:
        name = "case_" + hashlib.sha256(case.key.encode("utf-8", "backslashreplace")).hexdigest()[:40]
        body = payload(case, context)
        answer = await self._rest.ask("POST", "", body=body, headers=self._signed(name, body.decode()))
        if not answer.is_success:
            raise self._failure(answer)
        return _ref(self.name, name, answer.json())

    def _signed(self, name: str, body: str) -> dict[str, str]:
        now = self._clock()
        return {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(name, now, body) for signer in self._signers),
        }

    def _failure(self, answer: Answer) -> DeskError:
        if answer.status == 410:
            return DeskRejected(f"{self.name} is gone (410): switch this desk off or give it another url")
        error = self._rest.failure(answer)
        if isinstance(error, DeskAuthFailed):
            return DeskAuthFailed(f"{self.name} refuses the signature ({answer.status}); compare the secrets")
        if 400 <= answer.status < 500 and answer.status not in (408, 409, 421, 423, 425, 429):
            return DeskRejected(f"{self.name} refuses the case ({answer.status})")
        return error


@dataclass(frozen=True, slots=True)
class _Room:
    """How much is sent. text: characters of one text; items: posts and contacts; note: bytes."""

    text: int
    items: int
    note: int


_ROOMS = (_Room(4_000, 50, 12_000), _Room(2_000, 20, 8_000), _Room(800, 10, 4_000), _Room(250, 5, 2_000))


def payload(case: Case, context: Situation) -> bytes:
    """Return the body: JSON, below PREFERRED_BYTES, its texts as short as that takes."""
    body = b""
    for room in _ROOMS:
        body = orjson.dumps(_event(case, context, room))
        if len(body) < PREFERRED_BYTES:
            break
    return body


def _event(case: Case, context: Situation, room: _Room) -> dict[str, Any]:
    thread, history = list(context.thread), list(context.history)
    if len(thread) > room.items:
        thread = [thread[0], *thread[len(thread) - room.items + 1 :]]
    return {
        "type": "case.opened",
        "timestamp": _time(case.opened_at),
        "data": {
            "case": {
                "key": _cut(case.key, 500),
                "title": _cut(case.title, 300),
                "queue": _cut(case.queue, 100),
                "priority": case.priority,
                "due_at": _time(case.due_at),
                "reasons": [_cut(reason, 300) for reason in case.reasons[:20]],
                "url": case.url,
            },
            "post": _post(context.post, room),
            "triage": _triage(context.triage),
            "thread": [_post(post, room) for post in thread],
            "thread_length": len(context.thread),
            "history": [_contact(contact, room) for contact in history[-room.items :]],
            "history_length": len(context.history),
            "answers": _answers(context.answers, room),
            "note": render(case, context, max_bytes=room.note),
        },
    }


def _post(post: Post, room: _Room) -> dict[str, Any]:
    author = post.author
    return {
        "channel": post.channel,
        "id": _cut(post.id, 500),
        "url": None if post.url is None else _cut(post.url, 1_000),
        "created_at": _time(post.created_at),
        "is_own": post.is_own,
        "is_private": post.is_private,
        "title": _cut(post.title, room.text),
        "text": _cut(post.text, room.text),
        "author": {
            "id": _cut(author.id, 500),
            "handle": _cut(author.handle, 200),
            "display_name": _cut(author.display_name, 200),
        },
    }


def _triage(triage: Triage | None) -> dict[str, Any] | None:
    if triage is None:
        return None
    labels = {head: getattr(triage, head) for head in (*HEADS, "language")}
    shown = {head: {"label": label.label, "confidence": round(label.confidence, 4)} for head, label in labels.items()}
    return {**shown, "model": triage.model}


def _contact(contact: Contact, room: _Room) -> dict[str, Any]:
    return {
        "kind": contact.kind.value,
        "at": _time(contact.at),
        "text": _cut(contact.text.for_people(), room.text),
        "url": None if contact.url is None else _cut(contact.url, 1_000),
        "intent": contact.intent,
        "sentiment": contact.sentiment,
        "outcome": contact.outcome,
    }


def _answers(answers: Sequence[Candidate], room: _Room) -> list[dict[str, Any]]:
    return [
        {
            "article": answer.slug,
            "locale": answer.locale,
            "title": _cut(answer.title, 300),
            "wording": _cut(answer.wording, room.text),
            "confidence": round(answer.confidence, 4),
            "fits": answer.fits,
        }
        for answer in answers[:3]
    ]


def _cut(text: str, max_chars: int) -> str:
    text = storable(text)
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _ref(desk: str, name: str, content: object) -> TicketRef:
    named = content if isinstance(content, dict) else {}
    theirs, url = named.get("id"), named.get("url")
    if isinstance(theirs, int) and not isinstance(theirs, bool):
        theirs = str(theirs)
    if not (isinstance(theirs, str) and 0 < len(theirs) <= 200 and theirs.isprintable()):
        theirs = name
    if not (isinstance(url, str) and len(url) <= 2_000 and re.fullmatch(r"https?://[!-~]+", url)):
        url = None
    return TicketRef(desk=desk, id=theirs, url=url)


DESK = DeskKind("webhook", WebhookSettings, WebhookDesk)
