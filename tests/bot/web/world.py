"""A small brand's day in rows, and people who look at it through real HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from sqlmodel import Session

from bot.store import events, keys, people, sessions
from bot.store.engine import Store
from bot.store.people import User
from bot.store.roles import Role
from bot.store.tables import (
    ArticleRow,
    AuthorRow,
    CaseNoteRow,
    CasePostRow,
    CaseRow,
    Origin,
    Outcome,
    PostRow,
    ReplyRow,
    ReplyState,
    SourceRow,
    TriageRow,
)
from bot.web.site import Site

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"
HOSTILE_NAME = 'Eve\u202e"><img src=x onerror=alert(1)>'


@dataclass
class Clock:
    """A clock that moves when told to."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


@dataclass(frozen=True)
class Options:
    """The ``[web]`` table for tests."""

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str | None = None
    secure_cookies: bool = False
    session_hours: float = 12.0
    idle_hours: float = 2.0
    behind_proxy: bool = False


def revision_of(title: str, text: str) -> str:
    """Return some revision that changes with the words."""
    return f"r{abs(hash((title, text)))}"


def add_source(session: Session, /, name: str = "x-main", **more: Any) -> None:
    session.add(
        SourceRow(**{"name": name, "kind": "x", "channel": "x", "status": "ok", "last_success_at": NOON, **more})
    )


def add_author(session: Session, /, handle: str = "ana", **more: Any) -> int:
    row = AuthorRow(
        **{"channel": "x", "external_id": f"u-{handle}", "handle": handle, "display_name": handle.title(), **more}
    )
    session.add(row)
    session.flush()
    return row.id or 0


def add_post(
    session: Session,
    /,
    number: int,
    *,
    author_id: int,
    text: str = "where is my parcel?",
    minutes: float = 0,
    tell: bool = True,
    **more: Any,
) -> int:
    at = NOON + timedelta(minutes=minutes)
    row = PostRow(
        **{
            "channel": "x",
            "external_id": str(number),
            "source": "x-main",
            "stream": "mentions",
            "author_id": author_id,
            "kind": "post",
            "title": "",
            "text": text,
            "revision": revision_of("", text),
            "url": f"https://x.example/{number}",
            "root_id": str(number),
            "addressed": True,
            "facts": {},
            "created_at": at,
            "ingested_at": at,
            "checked_at": at,
            **more,
        }
    )
    session.add(row)
    session.flush()
    if tell:
        events.add(session, "post.ingested", now=at, post_id=row.id)
    return row.id or 0


def add_triage(session: Session, /, post_id: int, *, confidence: float = 0.87, **labels: str) -> None:
    heads: dict[str, Any] = {
        "sentiment": "negative",
        "intent": "delivery_item",
        "urgency": "normal",
        "toxicity": "ok",
        "spam": "ok",
        "language": "en",
        **labels,
    }
    sure: dict[str, Any] = {f"{head}_confidence": confidence for head in heads}
    session.add(TriageRow(post_id=post_id, revision="r", model="test@1", judged_at=NOON, **heads, **sure))
    session.flush()


def add_case(session: Session, /, post_id: int, **more: Any) -> int:
    post = session.get_one(PostRow, post_id)
    row = CaseRow(
        **{
            "key": f"{post.channel}:{post.external_id}",
            "post_id": post_id,
            "author_id": post.author_id,
            "channel": post.channel,
            "source": post.source,
            "root_id": post.root_id,
            "title": post.text[:80],
            "queue": "care",
            "priority": 2,
            "reasons": ["the customer asks for a person"],
            "context": context(post),
            "opened_at": post.created_at,
            "due_at": post.created_at + timedelta(hours=1),
            **more,
        }
    )
    session.add(row)
    session.flush()
    session.add(CasePostRow(case_id=row.id or 0, post_id=post_id))
    post.outcome = Outcome.ESCALATED
    events.add(session, "case.opened", now=post.created_at, post_id=post_id, case_id=row.id)
    return row.id or 0


def context(post: PostRow) -> dict[str, Any]:
    return {
        "post": {"text": post.text},
        "triage": None,
        "thread": [
            {
                "author": "Fjord Post",
                "handle": "fjordpost",
                "text": "We ship every day before four.",
                "at": "2026-03-02T11:00:00+00:00",
                "url": "https://x.example/t1",
                "is_own": True,
            }
        ],
        "history": [
            {
                "kind": "customer",
                "at": "2026-02-01T10:00:00+00:00",
                "text": "My last parcel was late too.",
                "intent": "delivery_item",
                "sentiment": "negative",
                "outcome": "answered",
                "url": None,
            }
        ],
        "answers": [
            {
                "slug": "late-parcel",
                "title": "A parcel is late",
                "locale": "en",
                "confidence": 0.81,
                "wording": "Sorry for the wait! Send us the number by DM.",
            }
        ],
        "reasons": [],
    }


def add_draft(session: Session, /, post_id: int, case_id: int | None, **more: Any) -> int:
    post = session.get_one(PostRow, post_id)
    row = ReplyRow(
        **{
            "key": f"{post.channel}:{post.external_id}:draft:0:{more.get('state', '')}",
            "post_id": post_id,
            "case_id": case_id,
            "source": post.source,
            "channel": post.channel,
            "state": ReplyState.DRAFTED,
            "origin": Origin.DRAFT,
            "text": "Sorry for the wait! Send us the number by DM.",
            "confidence": 0.81,
            "target_revision": post.revision,
            "created_at": post.created_at,
            "expires_at": post.created_at + timedelta(days=3),
            **more,
        }
    )
    session.add(row)
    session.flush()
    return row.id or 0


def add_article(session: Session, /, slug: str = "late-parcel", **more: Any) -> int:
    row = ArticleRow(
        **{
            "slug": slug,
            "locale": "en",
            "title": "A parcel is late",
            "body": "# Late parcels\n\nAsk for the **number**. [Track](https://track.example/) it.",
            "tags": ["delivery"],
            "questions": ["Where is my parcel?"],
            "owner": "Care",
            "wordings": {"default": "Sorry for the wait! Send us the number by DM."},
            "revision": "a1",
            "updated_at": NOON,
            **more,
        }
    )
    session.add(row)
    session.flush()
    return row.id or 0


@dataclass(frozen=True)
class Day:
    """Ids of what ``add_day`` put in."""

    post: int
    hostile: int
    case: int
    draft: int
    article: int


def add_day(session: Session) -> Day:
    """Put in: a source, a customer with a case and a draft, a hostile stranger, an article."""
    add_source(session)
    ana, eve = add_author(session), add_author(session, "eve", display_name=HOSTILE_NAME)
    hostile = add_post(session, 1, author_id=eve, text=SCRIPT, url="javascript:alert(1)")
    add_triage(session, hostile, intent="spam", spam="spam")
    add_case(session, hostile, queue="abuse", title=SCRIPT)
    post = add_post(session, 2, author_id=ana, minutes=1)
    add_triage(session, post)
    case = add_case(session, post)
    draft = add_draft(session, post, case)
    session.add(CaseNoteRow(case_id=case, user_id=None, text=SCRIPT, at=NOON))
    return Day(post=post, hostile=hostile, case=case, draft=draft, article=add_article(session))


@dataclass
class Browser:
    """Somebody's browser, as far as HTTP shows it: cookies, and the headers that browsers send by themselves."""

    site: Site
    http: aiohttp.ClientSession
    csrf: str = ""
    user: User | None = None
    same_origin: Mapping[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.site.port}"

    async def get(self, path: str, **more: Any) -> aiohttp.ClientResponse:
        """GET without following redirects."""
        return await self._ask("GET", path, **more)

    async def post(self, path: str, **fields: str) -> aiohttp.ClientResponse:
        """Send a form of one of our pages."""
        return await self._ask("POST", path, data={"csrf": self.csrf, **fields}, headers=dict(self.same_origin))

    async def ask(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        """Send anything."""
        return await self._ask(method, path, **more)

    async def _ask(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        response = await self.http.request(method, self.base + path, allow_redirects=False, **more)
        await response.read()
        return response


def add_user(store: Store, role: Role, *, email: str | None = None, password_hash: str | None = None) -> User:
    """Return a new person."""
    address = f"{role}@example.org" if email is None else email
    return store.write_now(
        people.add, email=address, name=f"Some {role}", role=role, now=NOON, password_hash=password_hash
    )


def signed_in(store: Store, user: User, clock: Clock) -> tuple[str, str]:
    """Return (session token, CSRF token) of a person who has just signed in."""
    token = store.write_now(sessions.begin, user_id=user.id, now=clock(), lifetime=timedelta(hours=12))
    found = store.read_now(sessions.find, token, now=clock(), idle=timedelta(hours=2))
    return token, found.csrf if found else ""


def api_key(store: Store, role: Role, *, lives: timedelta | None = None) -> dict[str, str]:
    """Return the header of a new API key."""
    key = store.write_now(keys.add, name=f"{role} key", role=role, now=NOON, lives=lives)
    return {"Authorization": f"Bearer {key}"}
