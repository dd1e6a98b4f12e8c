"""The thread in which praw lives.

praw blocks and is not thread-safe, so one thread for each connector does nothing else, one errand at a time. Inside it
praw signs in, renews the token and builds requests; the exchanges are the door's.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from importlib.resources import files
from typing import Any, TypeVar

import praw
import prawcore
from praw.config import Config

from connectors.channels.reddit.door import Answer, Door, TokenError
from connectors.channels.reddit.settings import RedditSettings
from connectors.errors import AmbiguousWrite, AuthFailed, ConnectorError, Unavailable
from connectors.protocol import Gate, open_gate
from connectors.registry import Clock

QUIET = ("praw", "prawcore", "urllib3.connectionpool")  # they write texts, names and addresses at DEBUG
T = TypeVar("T")


class Line:
    """One praw in one thread. ``do`` is for the event loop; ``get`` and ``post`` are for errands, in the thread."""

    def __init__(self, *, name: str, settings: RedditSettings, clock: Clock) -> None:
        for each in QUIET:
            logger = logging.getLogger(each)
            logger.setLevel(max(logger.level, logging.INFO))
        self._settings = settings
        self._door = Door(timeout_s=settings.timeout_s, clock=clock)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"reddit-{name}")
        self._reddit: praw.Reddit | None = None
        self._turn = threading.Lock()
        self._running: object = None
        self._closed = False

    async def do(self, errand: Callable[[Line], T]) -> T:
        """Return what *errand* returns; cancelled, it returns at once and leaves the thread free."""
        if self._closed:
            raise Unavailable("the connector is closed")
        ticket = object()

        def run() -> T:
            with self._turn:
                if self._closed:
                    raise Unavailable("the connector is closed")
                self._running = ticket
                self._door.reset()
            try:
                return errand(self)
            finally:
                with self._turn:
                    self._running = None

        try:
            return await asyncio.wrap_future(self._thread.submit(run))
        except asyncio.CancelledError:
            with self._turn:
                if self._running is ticket:
                    # The thread would hang on for up to the time-out, and the next call behind it.
                    self._door.cut()
            raise

    async def close(self) -> None:
        """End the errand under way and the thread."""
        with self._turn:
            self._closed = True
            self._door.cut()
        closed = asyncio.wrap_future(self._thread.submit(self._door.session.close))
        self._thread.shutdown(wait=False)
        await asyncio.wait({closed}, timeout=1.0)

    def get(self, path: str, **params: str | int) -> Any:
        """Return the answer to one read, as data."""
        return self._ask(method="GET", path=path, params=params)

    def post(self, path: str, *, gate: Gate = open_gate, **data: str) -> Any:
        """Return the answer to one write, as data. gate: asked before its first byte leaves."""
        self._door.gate = gate
        try:
            return self._ask(method="POST", path=path, data=data)
        finally:
            self._door.gate = open_gate

    def _ask(self, **request: Any) -> Any:
        # Reddit.request returns plain data: no lazy object that asks again, and one bad item spoils no page.
        try:
            try:
                return self._praw().request(**request)
            except TokenError:
                if self._door.token_is_new:
                    raise
                # praw would renew it as well, after a sleep of up to two seconds.
                self._reddit = None
                self._door.write_left = False
                return self._praw().request(**request)
        except ConnectorError:
            raise
        except TokenError as error:
            raise AuthFailed("Reddit refuses the token it has just given; check the app and the account") from error
        except Exception as error:  # whatever praw makes of an answer it does not expect
            if self._door.write_left:
                raise AmbiguousWrite("Reddit's answer to the reply cannot be read") from error
            raise Unavailable(f"Reddit's answer cannot be read ({type(error).__name__})") from error

    def _praw(self) -> praw.Reddit:
        if self._reddit is None:
            self._reddit = _sign_in(self._settings, self._door)
        return self._reddit


class _Requestor(prawcore.Requestor):
    """Hands praw's exchanges to the door."""

    def __init__(self, *, door: Door, **given: Any) -> None:
        super().__init__(session=door.session, timeout=door.timeout_s, **given)
        self._door = door

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Answer:
        return self._door.exchange(str(args[0]).upper(), str(args[1]), **kwargs)


def _sign_in(settings: RedditSettings, door: Door) -> praw.Reddit:
    """Return a praw that has asked nothing yet; every setting is given, so that no environment fills one in."""
    with Config.LOCK:
        # praw would also read a praw.ini from the working folder and the home: only its own counts here.
        defaults = ConfigParser(interpolation=None)
        defaults.read_string(files("praw").joinpath("praw.ini").read_text())
        Config.CONFIG = defaults
    return praw.Reddit(
        "DEFAULT",
        requestor_class=_Requestor,
        requestor_kwargs={"door": door},
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value() or None,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        refresh_token=settings.refresh_token.get_secret_value() if settings.refresh_token else None,
        redirect_uri=None,
        user_agent=settings.user_agent,
        reddit_url=settings.reddit_url.rstrip("/"),
        oauth_url=settings.oauth_url.rstrip("/"),
        check_for_updates=False,
        check_for_async=False,
    )
