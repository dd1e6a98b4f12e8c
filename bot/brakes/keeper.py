"""Holds the brakes of one process: what its memory, the files of this machine and the store say, together.

Any of the three holds. The gate, which is asked right before the first byte leaves, looks at memory and files alone, so
it works with the database gone. ``watch`` brings the three in step: a brake of the store becomes a file here, a file
becomes a row there, and what a person released goes everywhere. Nothing here ever releases by itself. Files and rows
are seen on threads of their own: in a storm a look must not queue up behind the work that it is to stop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from bot import metrics
from bot.brakes import flags
from bot.brakes.flags import FlagsError
from bot.store import brakes
from bot.store.brakes import BrakeView, Reviewed
from bot.store.engine import Store, StoreUnavailable
from connectors.errors import Held
from connectors.protocol import Gate
from connectors.registry import Clock
from handoff.brake import EVERYTHING, Pulled, Scope, Target, Topic, targets

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

LOOK_S = 0.1
"""How often a process looks: a brake pulled on another machine is obeyed within a second, this many times over."""

FOLDER_GONE = Pulled(
    token="folder",  # noqa: S106 (an identity, no secret)
    target=EVERYTHING,
    at=brakes.LONG_AGO,
    who="Harken",
    why="the folder of the brakes cannot be seen; nobody can tell whether one stands",
)


class NotRecorded(StoreUnavailable):
    """A brake stands here, but the store could not be told; the message says where it stands, and what to do."""


class Brakes:
    """The brakes as one process sees them. folder: where its machine's files are, shared by all processes there."""

    def __init__(self, *, store: Store, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._store = store
        self._clock = clock
        self._files = ThreadPoolExecutor(1, thread_name_prefix="brakes-files")
        self._memory: dict[str, Pulled] = {}
        self._own: dict[str, Pulled] = {}
        self._has_looked = False
        self._said: str | None = None

    def open(self) -> None:
        """Make the folder. Raises FlagsError."""
        flags.prepare(self.folder)

    async def held_by(self, topic: Topic) -> Target | None:
        """Return the brake that holds words on *topic*, None when none does. Raises StoreUnavailable at first."""
        if not self._has_looked:
            # A process that has never heard from the store cannot say that nobody stopped it.
            self._take(await self._store.read_urgently(brakes.review, ()))
        return self._holds(targets(topic))

    def gate(self, topic: Topic) -> Gate:
        """Return what a connector asks right before the first byte of words on *topic* leaves."""
        wanted = targets(topic)

        def gate() -> None:
            if (target := self._holds(wanted)) is not None:
                raise Held(f"a brake stands on {target}")

        return gate

    def standing(self) -> list[Pulled]:
        """Return what stands as far as this process can see, one for each target; asks no database."""
        try:
            found = flags.read(self.folder)
        except FlagsError:
            found = [FOLDER_GONE]
        all_ = [*self._memory.values(), *self._own.values(), *found]
        return list({each.target: each for each in sorted(all_, key=lambda each: each.at, reverse=True)}.values())

    async def pull(self, target: Target, *, who: str, why: str, user_id: int | None) -> BrakeView:
        """Pull a brake: memory and file first, then the store.

        Raises Invalid when it would stop nothing, NotRecorded when it stands here and the store cannot be written.
        """
        words = brakes.reason(why)
        await self._store.read_urgently(brakes.check, target)
        now = self._clock()
        pulled = Pulled(token=flags.new_token(), target=target, at=now, who=who, why=words, user_id=user_id)
        self._own = {**self._own, pulled.token: pulled}
        where = "on this machine"
        try:
            await self._at_files(flags.raise_flag, self.folder, pulled)
        except FlagsError as error:
            self._trouble("files", str(error))
            where = "in this process alone"
        try:
            return await self._store.write_urgently(brakes.pull, pulled, now=now)
        except StoreUnavailable as error:
            self._trouble("store", str(error))
            raise NotRecorded(
                f"{target} is stopped {where}; others hear of it once the database can be written: until then stop "
                "each other machine there, by harken stop or a file"
            ) from error

    async def release(self, target: Target, *, who: str, why: str, user_id: int | None) -> Sequence[BrakeView]:
        """Release what stands on *target*, everywhere. Raises Invalid without a reason, Conflict when none stands."""
        await self.look()
        now = self._clock()
        done = await self._store.write_urgently(brakes.release, target, who=who, why=why, user_id=user_id, now=now)
        await self.look()
        return done

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Bring memory, files and store in step; with the store or the folder gone, as far as the other goes."""
        here = await self._at_files(self._read)
        # What was once seen holds on, also when its file goes: only a release in the store ends it.
        self._memory = {**self._memory, **{each.token: each for each in here}}
        mine = {**self._memory, **self._own}
        try:
            said = await self._store.read_urgently(brakes.review, mine)
            if said.unknown:
                await self._store.write_urgently(
                    brakes.adopt, [mine[token] for token in said.unknown], now=self._clock()
                )
                said = await self._store.read_urgently(brakes.review, mine)
        except StoreUnavailable as error:
            self._trouble("store", str(error))
        else:
            self._take(said)
            await self._at_files(self._write, said, here)
        standing = Counter(each.target.scope for each in await self._at_files(self.standing))
        for scope in Scope:
            metrics.brakes.labels(scope=scope).set(standing[scope])

    async def _at_files(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._files, partial(work, *args, **kwargs))

    def _holds(self, wanted: Sequence[Target]) -> Target | None:
        memory, own = self._memory, self._own
        if memory or own:
            pulled = {each.target for each in (*memory.values(), *own.values())}
            for target in wanted:
                if target in pulled:
                    return target
        return flags.first_standing(self.folder, wanted)

    def _take(self, said: Reviewed) -> None:
        """Remember what the store says; what it never heard of stays as it was."""
        kept = {token: each for token, each in self._memory.items() if token not in said.released}
        self._memory = {**kept, **{each.token: each for each in said.standing}}
        self._own = {token: each for token, each in self._own.items() if token not in said.released}
        self._has_looked = True

    def _read(self) -> list[Pulled]:
        try:
            return flags.read(self.folder)
        except FlagsError as error:
            self._trouble("files", str(error))
            return []

    def _write(self, said: Reviewed, here: Sequence[Pulled]) -> None:
        """Take released files away, and put a file for each target that stands without one."""
        try:
            for each in here:
                if each.token in said.released:
                    flags.lower_flag(self.folder, each.token)
            there = {each.target for each in here if each.token not in said.released}
            for each in said.standing:
                if each.target not in there:
                    flags.raise_flag(self.folder, each)
                    there.add(each.target)
        except FlagsError as error:
            self._trouble("files", str(error))
            return
        if self._said is not None:
            log.info("brakes.recovered")
            self._said = None

    def _trouble(self, what: str, why: str) -> None:
        if self._said != what:  # one warning, then silence until it changes
            log.error(f"brakes.{what}_unavailable", why=why)
            self._said = what
