"""Argon2id in few threads: hashing is dear on purpose, and must starve neither the event loop nor the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

SHORTEST = 12
LONGEST = 1024
"""Longer input is refused unhashed; people's passphrases are far shorter (ASVS asks for 64 at least)."""

# Above each of the floors in the OWASP password storage cheat sheet (46 MiB with t=1, 19 MiB with t=2; p=1).
_HASHER = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1, type=Type.ID)

THREADS = 2
WAITING = 16


class Busy(RuntimeError):
    """Too many passwords wait to be checked; try again in a moment."""


class Passwords:
    """Hashes and checks passwords. At most WAITING wait; each thread needs 46 MiB."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash to keep. Raises Busy."""
        return await self._do(partial(hash_now, password))

    async def check(self, password: str, hashed: str | None) -> bool:
        """Say whether the password is right; None (nobody, or no password set) takes as long as a wrong one."""
        if self._nobody is None:
            self._nobody = await self._do(partial(hash_now, "nobody's password"))
        right = await self._do(partial(_verify, hashed or self._nobody, password[: LONGEST + 1]))
        return right and hashed is not None and len(password) <= LONGEST

    def stale(self, hashed: str) -> bool:
        """Say whether the hash was made with weaker parameters than today's."""
        return _HASHER.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let the threads go; twice is harmless."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _do(self, job: Callable[[], T]) -> T:
        if self._waiting >= WAITING:
            raise Busy("too many sign-ins at once; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        finally:
            self._waiting -= 1


def hash_now(password: str) -> str:
    """Return the Argon2id hash of *password* on this thread."""
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
