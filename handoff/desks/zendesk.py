"""Zendesk Support: a ticket with our context as its first, private comment.

Never twice: ``external_id`` carries a hash of the case's key. Each attempt first lists the tickets with it (the list
reads the database, not the search index, which lags by minutes) and creates one only when there is none. The create
carries the same hash as ``Idempotency-Key``: Zendesk gives an equal request its first answer again, and refuses
another text under a used key, which tells us that an earlier attempt was taken. Such keys are kept for hours, external
ids for good (developer.zendesk.com/api-reference/ticketing/introduction, "Idempotency").

Nobody is mailed: the requester is a user without any address, found by a hash of the network's own account id, and
the comment is private. Strangers' words cannot become e-mail to strangers (docs/desks.md).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import structlog
from pydantic import Field, SecretStr, model_validator

from connectors.post import Author
from handoff.case import Case
from handoff.desks.rest import Address, Answer, Rest, ticket_id
from handoff.errors import DeskAuthFailed, DeskRejected
from handoff.note import MAX_BYTES, customer_name, one_line, render
from handoff.protocol import TicketRef
from handoff.registry import Clock, DeskKind, DeskSettings
from handoff.situation import Situation

TICKETS = "/api/v2/tickets.json"
USERS = "/api/v2/users"
MAX_SUBJECT = 150  # longer subjects are cut in Zendesk's own lists

Priority = Literal["urgent", "high", "normal", "low"]
_PRIORITIES: Mapping[int, Priority] = {1: "urgent", 2: "high", 3: "normal", 4: "low"}

log = structlog.get_logger()


class ZendeskSettings(DeskSettings):
    """One account. Either ``email`` with ``api_token``, or ``oauth_token``."""

    base_url: Address = Field(description="https://SUBDOMAIN.zendesk.com")
    email: str | None = Field(None, description="the agent the API token acts as")
    api_token: SecretStr | None = None
    oauth_token: SecretStr | None = Field(None, description="needs the scopes read and write")
    groups: dict[str, int] = Field({}, description="queue -> id of the group that gets it")
    priorities: dict[Annotated[int, Field(ge=1, le=4)], Priority] = Field({}, description="our priority -> Zendesk's")
    tags: tuple[str, ...] = Field(("harken",), description="on every ticket, beside channel, queue and intent")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.api_token is None) == (self.oauth_token is None):
            raise ValueError("give either email and api_token, or oauth_token")
        if self.api_token is not None and not self.email:
            raise ValueError("api_token needs email: the agent it acts as")
        return self


class ZendeskDesk:
    """Opens tickets in one Zendesk account."""

    def __init__(self, *, name: str, settings: ZendeskSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._rest = Rest(
            name=name,
            root=str(settings.base_url).rstrip("/"),
            headers={"Authorization": _authorization(settings)},
            timeout_s=settings.timeout_s,
            clock=clock,
        )

    async def __aenter__(self) -> Self:
        await self._rest.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rest.close()

    async def check(self) -> None:
        """Prove that the credentials are an agent's. An anonymous visitor gets 200 here too, with no id."""
        user = _member(await self._rest.get(f"{USERS}/me.json"), "user")
        if user is None:
            raise self._rest.nonsense("a user")
        if ticket_id(user.get("id")) is None or user.get("role") not in ("agent", "admin"):
            raise DeskAuthFailed(f"{self.name} does not take the credentials for an agent's; check email and token")

    async def open(self, case: Case, context: Situation) -> TicketRef:
        key = _hash("harken-", case.key)
        if (found := await self._find(key)) is not None:
            log.info("ticket.found", desk=self.name, ticket=found.id)
            return found
        requester = await self._requester(context.post.author)
        ticket = self._ticket(case, context, key=key, requester=requester)
        answer = await self._rest.post(TICKETS, {"ticket": ticket}, headers={"Idempotency-Key": key})
        if _key_was_used(answer):
            return await self._taken_before(key)
        if not answer.is_success:
            raise self._refused(answer)
        made = _member(self._rest.content(answer), "ticket")
        if made is None or (made_id := ticket_id(made.get("id"))) is None:
            raise self._rest.nonsense("the new ticket's id")
        return self._ref(made_id)

    async def _find(self, key: str) -> TicketRef | None:
        listed = await self._rest.get(TICKETS, params={"external_id": key})
        tickets = listed.get("tickets") if isinstance(listed, dict) else None
        if not isinstance(tickets, list):
            raise self._rest.nonsense("a list of tickets")
        ours = [ticket_id(ticket.get("id")) for ticket in tickets if _is(ticket, key)]
        ids = [found for found in ours if found is not None]
        if tickets and not ids:
            # The filter was not applied, so "none of these" does not mean "none".
            raise self._rest.nonsense("the tickets it was asked for")
        return self._ref(min(ids, key=int)) if ids else None

    async def _requester(self, author: Author) -> int:
        # Looked up before it is made: create_or_update allows 5 calls a minute for one person and would overwrite
        # the name an agent has corrected.
        key = _hash("harken-user-", f"{author.channel}\0{author.id}")
        listed = await self._rest.get(f"{USERS}/search.json", params={"external_id": key})
        users = listed.get("users") if isinstance(listed, dict) else None
        if not isinstance(users, list):
            raise self._rest.nonsense("a list of users")
        for user in users:
            if _is(user, key) and (known := ticket_id(user.get("id"))) is not None:
                return int(known)
        person = {"name": _plain(customer_name(author)), "external_id": key, "skip_verify_email": True}
        answer = await self._rest.post(f"{USERS}/create_or_update.json", {"user": person})
        if not answer.is_success:
            raise self._refused(answer)
        made = _member(self._rest.content(answer), "user")
        if made is None or (new := ticket_id(made.get("id"))) is None:
            raise self._rest.nonsense("the requester's id")
        return int(new)

    def _ticket(self, case: Case, context: Situation, *, key: str, requester: int) -> dict[str, Any]:
        settings = self._settings
        tags = [*settings.tags, f"channel_{context.post.channel}", f"queue_{case.queue}"]
        if context.triage is not None:
            tags.append(f"intent_{context.triage.intent.label}")
        ticket: dict[str, Any] = {
            "external_id": key,
            "subject": _plain(one_line(case.title, max_chars=MAX_SUBJECT)) or "A post without words",
            "comment": {"body": _comment(case, context), "public": False},
            "requester_id": requester,
            "priority": settings.priorities.get(case.priority) or _PRIORITIES.get(case.priority, "normal"),
            "tags": sorted({tag for tag in map(_tag, tags) if tag}),
        }
        if case.queue in settings.groups:
            ticket["group_id"] = settings.groups[case.queue]
        return ticket

    async def _taken_before(self, key: str) -> TicketRef:
        if (found := await self._find(key)) is None:
            raise self._rest.nonsense("the ticket of an earlier attempt, which it says it has")
        log.info("ticket.found", desk=self.name, ticket=found.id)
        return found

    def _refused(self, answer: Answer) -> Exception:
        error = self._rest.failure(answer)
        if isinstance(error, DeskRejected):
            return DeskRejected(f"{error}: {_reason(answer)}; check groups, required fields and the agent's rights")
        return error

    def _ref(self, ticket: str) -> TicketRef:
        return TicketRef(desk=self.name, id=ticket, url=f"{self._rest.root}/agent/tickets/{ticket}")


def _authorization(settings: ZendeskSettings) -> str:
    if settings.oauth_token is not None:
        return f"Bearer {settings.oauth_token.get_secret_value()}"
    token = settings.api_token.get_secret_value() if settings.api_token is not None else ""
    return "Basic " + base64.b64encode(f"{settings.email}/token:{token}".encode()).decode()


def _hash(prefix: str, key: str) -> str:
    # A hash, because the list takes several external ids parted by commas and Idempotency-Key 255 characters at most.
    return prefix + hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()


def _key_was_used(answer: Answer) -> bool:
    content = answer.json() if answer.status in (400, 409, 422) else None
    return isinstance(content, dict) and "idempoten" in str(content.get("error", "")).lower()


def _reason(answer: Answer) -> str:
    # Only code words and field names: a description may quote the post.
    content = answer.json()
    if not isinstance(content, dict):
        return "no reason"
    details = content.get("details")
    words = [content.get("error"), *(details if isinstance(details, dict) else ())]
    return (
        ", ".join(word for word in words[:6] if isinstance(word, str) and re.fullmatch(r"\w{1,40}", word)) or "no code"
    )


def _member(content: object, name: str) -> dict[str, Any] | None:
    member = content.get(name) if isinstance(content, dict) else None
    return member if isinstance(member, dict) else None


def _is(item: object, key: str) -> bool:
    # Zendesk compares external ids without regard to case.
    return isinstance(item, dict) and str(item.get("external_id")).lower() == key


def _comment(case: Case, context: Situation) -> str:
    body = _plain(render(case, context))
    if len(body.encode()) > MAX_BYTES:
        # A text of nothing but braces: _plain at most doubles it.
        body = _plain(render(case, context, max_bytes=MAX_BYTES // 2))
    return body


def _plain(text: str) -> str:
    # Zendesk fills in {{placeholders}} and {%tags%} in what agents write, and the API writes as an agent.
    return re.sub(r"\{(?=[{%])", "{ ", text)


def _tag(text: str) -> str:
    return re.sub(r"[^a-z0-9_/-]+", "_", text.lower()).strip("_")[:80]


DESK = DeskKind("zendesk", ZendeskSettings, ZendeskDesk)
