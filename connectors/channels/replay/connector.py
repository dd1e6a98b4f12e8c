"""A recorded day played as if it were a network: for the demo and for back-testing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from connectors.channels.replay.ledger import Entry, Ledger
from connectors.channels.replay.recording import BEFORE_ALL, Change, Happening, Place, Recording, read
from connectors.channels.replay.settings import LENGTHS, MARKDOWN, ReplaySettings
from connectors.channels.replay.timeline import Timeline, read_cursor, read_moment, write_cursor
from connectors.errors import Rejected, Unavailable
from connectors.post import Author, Post, PostKind, Refusal, Reply, Sent
from connectors.protocol import BadItem, Capabilities, Cursor, Gate, Page, SendClass, open_gate
from connectors.registry import Channel, Clock

STREAM = "feed"
ORIGIN = "replay_origin"
PAGE = 100
DEEPEST = 100


class Replay:
    """Plays one recording to whoever listens; listens only, since it has no ledger to take replies in."""

    def __init__(self, *, name: str, settings: ReplaySettings, clock: Clock) -> None:
        self.name = name
        self.channel = settings.channel
        self.capabilities = Capabilities(
            send_class=SendClass.LISTEN_ONLY if settings.ledger is None else SendClass.KEYED,
            length=LENGTHS.get(settings.channel),
            thread=True,
            edits=True,
            deletions=True,
            requires_summon=settings.channel == "x",
            markdown=settings.channel in MARKDOWN,
            settle_after=timedelta(0),
        )
        self._settings = settings
        self._clock = clock
        self._account = settings.account.author(settings.channel)
        self._timeline: Timeline | None = None
        self._recording: Recording | None = None
        self._version = (-1, -1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def streams(self) -> Sequence[str]:
        """Return the one stream, ``feed``."""
        return (STREAM,)

    async def identity(self) -> Author:
        """Return the account of the settings."""
        return self._account

    async def fetch(self, stream: str, cursor: Cursor | None) -> Page:
        """Return what is due by now behind *cursor*.

        The cursor carries the moment the day began, so a restart goes on in the same day. lookback_s and overlap_s
        change nothing here: the recording is bounded, and nothing in it surfaces late.
        """
        recording = await self._load()
        now = self._clock()
        timeline, place = self._resume(cursor, recording, now)
        self._timeline = timeline
        due = recording.due(place, timeline.reached(recording, now))
        played = due[:PAGE]
        rows = [row for _, row in played]
        happened = [row for row in rows if isinstance(row, Happening)]
        return Page(
            posts=[self._post(one, timeline) for one in happened if one.change is not Change.DELETE],
            deleted=[one.record.id for one in happened if one.change is Change.DELETE],
            bad=[row for row in rows if isinstance(row, BadItem)],
            cursor=write_cursor(timeline, played[-1][0] if played else place),
            more=len(due) > PAGE,
        )

    async def thread(self, post: Post) -> Sequence[Post]:
        """Return the posts above *post* as of now, and what we have said under them before it."""
        recording = await self._load()
        timeline = self._timeline_of(post, recording)
        reached = timeline.reached(recording, self._clock())
        said = {entry.id: entry for entry in await self._said()}
        above: dict[str, Post] = {}
        step = post.parent_id
        seen = {post.id}
        while step is not None and step not in seen and len(seen) < DEEPEST:
            seen.add(step)
            if step in said:
                above[step] = self._own(said[step])
                step = said[step].parent_id
                continue
            last = recording.last(step, reached)
            if last is None:
                break
            if last.change is not Change.DELETE:
                above[step] = self._post(last, timeline)
            step = last.record.parent_id
        posts = [*above.values()][::-1]
        for entry in said.values():
            if entry.parent_id in above and entry.id not in above and entry.accepted_at < post.created_at:
                posts.append(self._own(entry))
        posts.sort(key=lambda one: one.created_at)
        return posts

    async def still_there(self, ids: Sequence[str]) -> Mapping[str, Post | None]:
        """Return the posts as of now. Raises Unavailable until a look or a post has told when the day began."""
        recording = await self._load()
        timeline = self._timeline_of(None, recording)
        reached = timeline.reached(recording, self._clock())
        said = {entry.id: entry for entry in await self._said()}
        return {
            one: self._own(said[one]) if one in said else self._standing(recording.last(one, reached), timeline)
            for one in ids
        }

    def _standing(self, last: Happening | None, timeline: Timeline) -> Post | None:
        return None if last is None or last.change is Change.DELETE else self._post(last, timeline)

    def _own_id(self, one: Happening) -> str:
        """Return the id by which to know our posts: a recording may know our account by its handle alone."""
        author = one.record.author
        return author.id if author is not None and author.handle == self._account.handle else self._account.id

    def _post(self, one: Happening, timeline: Timeline) -> Post:
        return one.record.post(
            self.channel,
            created_at=timeline.when(one.first_at),
            edited_at=timeline.when(one.place[0]) if one.change is Change.EDIT else None,
            own_id=self._own_id(one),
            facts={ORIGIN: timeline.origin.isoformat()},
        )

    def _own(self, entry: Entry) -> Post:
        return Post(
            channel=self.channel,
            id=entry.id,
            author=self._account,
            text=entry.text,
            created_at=entry.accepted_at,
            kind=PostKind.REPLY,
            parent_id=entry.parent_id,
            root_id=entry.root_id,
            is_own=True,
        )

    async def _said(self) -> Sequence[Entry]:
        """Return what the network has taken from us: nothing here."""
        return ()

    async def _load(self) -> Recording:
        try:
            return await asyncio.to_thread(self._load_if_changed)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the recording {self._settings.path} cannot be read: {error}") from error

    def _load_if_changed(self) -> Recording:
        found = self._settings.path.stat()
        version = (found.st_mtime_ns, found.st_size)
        if self._recording is None or version != self._version:
            self._recording, self._version = read(self._settings.path), version
        return self._recording

    def _resume(self, cursor: Cursor | None, recording: Recording, now: datetime) -> tuple[Timeline, Place]:
        speed = self._settings.speed
        if cursor:
            try:
                origin, place = read_cursor(cursor)
            except ValueError as error:
                raise Unavailable("the cursor is no replay's; give the source a new name to begin anew") from error
            return Timeline(origin, speed), place
        if self._timeline is not None:
            return self._timeline, BEFORE_ALL
        match self._settings.start:
            case "now":
                return Timeline(now, speed), BEFORE_ALL
            case "ended":
                return Timeline(now - timedelta(seconds=recording.length_s / speed), speed), BEFORE_ALL
            case "recorded":
                return self._as_recorded(recording), BEFORE_ALL

    def _as_recorded(self, recording: Recording) -> Timeline:
        if recording.started_at is None:
            raise Unavailable('start = "recorded" needs a row {"type": "start", "at": "<time>"} in the file')
        return Timeline(recording.started_at, self._settings.speed)

    def _timeline_of(self, post: Post | None, recording: Recording) -> Timeline:
        """Return the timeline, which another process may have begun: every post we hand out says when."""
        if self._timeline is not None:
            return self._timeline
        if self._settings.start == "recorded":
            return self._as_recorded(recording)
        if post is None or ORIGIN not in post.facts:
            raise Unavailable("the replay has not begun here yet; it has after its first look")
        try:
            self._timeline = Timeline(read_moment(post.facts[ORIGIN]), self._settings.speed)
        except ValueError as error:
            raise Unavailable("the post does not say when its replay began") from error
        return self._timeline


class ReplayNetwork(Replay):
    """A replay that takes replies too, each key once, in its own ledger."""

    def __init__(self, *, name: str, settings: ReplaySettings, clock: Clock, ledger: Ledger) -> None:
        super().__init__(name=name, settings=settings, clock=clock)
        self._ledger = ledger

    async def send(self, reply: Reply, *, gate: Gate = open_gate) -> Sent:
        """Take *reply* into the ledger; the same again is answered with the same Sent and leaves no second row."""
        entry = Entry(
            key=reply.key,
            id=f"reply-{hashlib.sha256(reply.key.encode()).hexdigest()[:20]}",
            channel=self.channel,
            parent_id=reply.target.id,
            root_id=reply.target.root_id or reply.target.id,
            text=reply.text,
            accepted_at=self._clock(),
        )
        if await self.find(reply) is None:
            await self._accepts(reply)
        taken = await asyncio.to_thread(self._take, entry, gate)
        return Sent(id=taken.id)

    def _take(self, entry: Entry, gate: Gate) -> Entry:
        gate()
        return self._ledger.take(entry)

    async def find(self, reply: Reply) -> Sent | None:
        """Look into the ledger for the reply's key."""
        return next((Sent(id=entry.id) for entry in await self._said() if entry.key == reply.key), None)

    def may_reply(self, post: Post) -> Refusal | None:
        """Return the played network's refusal: X lets a bot answer only who speaks to it."""
        if post.is_own:
            return Refusal(reason="this is our own post")
        if post.kind is PostKind.REPOST:
            return Refusal(reason="a repost cannot be answered")
        if self.capabilities.requires_summon and not post.addressed:
            return Refusal(reason="X allows replies only to posts that mention or quote the account")
        return None

    def overrun(self, post: Post, text: str) -> int:
        """Return by how many units *text* is too long for the played network."""
        return self.capabilities.length.overrun(text) if self.capabilities.length else 0

    async def _accepts(self, reply: Reply) -> None:
        recording = await self._load()
        timeline = self._timeline_of(reply.target, recording)
        if refusal := self.may_reply(reply.target):
            raise Rejected(refusal.reason)
        if over := self.overrun(reply.target, reply.text):
            raise Rejected(f"the reply is {over} too long")
        if not reply.text.strip():
            raise Rejected("the reply is empty")
        if (
            self._standing(recording.last(reply.target.id, timeline.reached(recording, self._clock())), timeline)
            is None
        ):
            raise Rejected("the post is gone")

    async def _said(self) -> Sequence[Entry]:
        return await asyncio.to_thread(self._ledger.entries)


def connect(*, name: str, settings: ReplaySettings, clock: Clock) -> Replay:
    """Make the channel. Raises ValueError when there is no recording to play."""
    if not settings.path.is_file():
        raise ValueError(f"sources.{name}.path: there is no file {settings.path}; name a JSON Lines file to play")
    if settings.ledger is None:
        return Replay(name=name, settings=settings, clock=clock)
    return ReplayNetwork(name=name, settings=settings, clock=clock, ledger=Ledger(settings.ledger))


CHANNEL = Channel(kind="replay", settings=ReplaySettings, connect=connect)
