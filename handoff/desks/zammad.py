"""Zammad: a ticket with our context as its first, internal article.

Never twice: Zammad has no idempotency key, its search index lags, and tags and article ids are not unique. Its
database does keep one rule we can use: ``tickets.number`` is unique (db/migrate/20120101000010_create_ticket.rb), and
the API takes a number from us (app/models/ticket.rb: ``check_generate`` makes one only when there is none). So the
number is made from the case's key. Whatever became of other attempts, before or at the same time, a second ticket with
it is refused by the database, with 422. Ticket and article are written in one transaction (Zammad 5.2 and later), so a
ticket that is there has its note.

Read-back is ``tickets/search`` with a ``condition`` and without a ``query``: that is answered by the database and
not by the search index (app/models/concerns/can_search.rb).

Nobody is mailed: the customer is a user without any address, known by a login made from the network's own account id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Any, Self

import structlog
from pydantic import Field, SecretStr

from connectors.post import Author
from handoff.case import Case
from handoff.desks.rest import Address, Answer, Rest, ticket_id
from handoff.errors import DeskRejected, DeskUnavailable
from handoff.note import customer_name, one_line, render
from handoff.protocol import TicketRef
from handoff.registry import Clock, DeskKind, DeskSettings
from handoff.situation import Situation

TICKETS = "/api/v1/tickets"
MAX_TITLE = 240  # tickets.title holds 250

# The priorities a new Zammad has (db/seeds/ticket_priorities.rb).
_PRIORITIES: Mapping[int, str] = {1: "3 high", 2: "3 high", 3: "2 normal", 4: "1 low"}

log = structlog.get_logger()


class ZammadSettings(DeskSettings):
    """One Zammad. The token's agent needs ``ticket.agent`` and the rights create and read in each group named here."""

    base_url: Address = Field(description="where Zammad's front page is")
    token: SecretStr = Field(description="a personal access token with the permission ticket.agent")
    group: str = Field("Users", min_length=1, description="the group that gets every other queue")
    groups: dict[str, str] = Field({}, description="queue -> the group that gets it")
    priorities: dict[Annotated[int, Field(ge=1, le=4)], str] = Field(
        {}, description="our priority -> a priority's name in Zammad"
    )
    tags: tuple[str, ...] = Field(("harken",), description="on every ticket, beside channel, queue and intent")


class ZammadDesk:
    """Opens tickets in one Zammad."""

    def __init__(self, *, name: str, settings: ZammadSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._rest = Rest(
            name=name,
            root=str(settings.base_url).rstrip("/"),
            headers={"Authorization": f"Token token={settings.token.get_secret_value()}"},
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
        """Prove that the token is good and that tickets can be looked up by number."""
        user = await self._rest.get("/api/v1/users/me")
        if not isinstance(user, dict) or ticket_id(user.get("id")) is None:
            raise self._rest.nonsense("a user")
        await self._find(_number("check"))

    async def open(self, case: Case, context: Situation) -> TicketRef:
        number = _number(case.key)
        if (found := await self._find(number)) is not None:
            log.info("ticket.found", desk=self.name, ticket=found.id)
            return found
        answer = await self._rest.post(TICKETS, self._ticket(case, context, number=number))
        if answer.status == 422:
            return await self._after_refusal(answer, number, case)
        made = self._rest.content(answer)
        if not isinstance(made, dict) or (made_id := ticket_id(made.get("id"))) is None:
            raise self._rest.nonsense("the new ticket's id")
        return self._ref(made_id)

    async def _find(self, number: str) -> TicketRef | None:
        condition = "condition[ticket.number]"
        listed = await self._rest.get(
            f"{TICKETS}/search",
            params={f"{condition}[operator]": "is", f"{condition}[value]": number, "expand": "true", "limit": "10"},
        )
        if not isinstance(listed, list):
            raise self._rest.nonsense("a list of tickets")
        for ticket in listed:
            if not isinstance(ticket, dict) or ticket.get("number") != number:
                continue
            if (found := ticket_id(ticket.get("id"))) is not None:
                return self._ref(found)
        # Other tickets than asked for: this Zammad ignored the condition. Creating is safe all the same.
        return None

    async def _after_refusal(self, answer: Answer, number: str, case: Case) -> TicketRef:
        if (found := await self._find(number)) is not None:
            log.info("ticket.found", desk=self.name, ticket=found.id)
            return found
        content = answer.json()
        told = str(content.get("error", "")) if isinstance(content, dict) else ""
        if "already exists" in told.lower():
            raise DeskUnavailable(
                f"{self.name} has ticket number {number} but does not show it; let the token's agent read its group"
            )
        group, priority = self._group(case), self._priority(case)
        hint = f"are group {group!r} and priority {priority!r} there, and may the token's agent create in that group?"
        if not isinstance(content, dict) or told.startswith("Error ID"):
            # Zammad hides the cause from agents: a lock that timed out looks the same as a wrong name.
            raise DeskUnavailable(f"{self.name} could not save the ticket (422); if it stays so: {hint}")
        raise DeskRejected(f"{self.name} refuses the ticket (422): {hint}")

    def _ticket(self, case: Case, context: Situation, *, number: str) -> dict[str, Any]:
        tags = [*self._settings.tags, f"channel-{context.post.channel}", f"queue-{case.queue}"]
        if context.triage is not None:
            tags.append(f"intent-{context.triage.intent.label}")
        title = one_line(case.title, max_chars=MAX_TITLE) or "A post without words"
        return {
            "number": number,
            "title": title,
            "group": self._group(case),
            "priority": self._priority(case),
            "customer": _customer(context.post.author),
            "tags": ",".join(sorted({one_line(tag.replace(",", " "), max_chars=80) for tag in tags})),
            "article": {
                "subject": title,
                "body": render(case, context),
                "content_type": "text/plain",
                "type": "note",
                "sender": "Agent",
                "internal": True,
            },
        }

    def _group(self, case: Case) -> str:
        return self._settings.groups.get(case.queue, self._settings.group)

    def _priority(self, case: Case) -> str:
        return self._settings.priorities.get(case.priority) or _PRIORITIES.get(case.priority, "2 normal")

    def _ref(self, ticket: str) -> TicketRef:
        return TicketRef(desk=self.name, id=ticket, url=f"{self._rest.root}/#ticket/zoom/{ticket}")


def _number(key: str) -> str:
    # 18 digits: Zammad's own numbers stay far below, and 10 million tickets collide with a chance of 1 in 2,000.
    digest = hashlib.sha256(key.encode("utf-8", "backslashreplace")).digest()
    return f"8{int.from_bytes(digest) % 10**17:017d}"


def _customer(author: Author) -> dict[str, str]:
    # A login and no e-mail: "guess:ADDRESS" would make up an address, and Zammad's triggers mail addresses.
    digest = hashlib.sha256(f"{author.channel}\0{author.id}".encode("utf-8", "backslashreplace")).hexdigest()
    return {
        "login": f"harken-{digest[:40]}",
        "firstname": customer_name(author, max_chars=90),
        "lastname": f"({one_line(author.channel, max_chars=60)})",
    }


DESK = DeskKind("zammad", ZammadSettings, ZammadDesk)
