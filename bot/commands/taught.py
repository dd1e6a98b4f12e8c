"""``--taught``: judge with what people's corrections taught, as the daemon does, in place of the shipped heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import past_store
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.store.engine import Store
    from classifiers.protocol import Classifier

OPTION = "--taught"


def with_taught(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the option ``--taught``."""
    told = "Judge with what corrections taught, as the daemon does; default: with the shipped heads."
    return click.option(OPTION, is_flag=True, help=told)(command)


async def wear_taught(settings: Settings, engine: Classifier) -> str:
    """Let *engine* judge with the revision in service; return how that judge is called. The store is only read.

    Raises StoreError without a store, UsageError when nothing is in service for this engine, each saying what to do.
    """
    from classifiers.errors import ClassifierError, Unteachable
    from classifiers.registry import teachable

    try:
        teachable(engine)
        with past_store(settings, without="nothing was taught") as store:
            await engine.warm()
            if not await wear_in_service(store, engine):
                raise click.UsageError(f"{OPTION}: {await _why_none(store, engine)}")
    except Unteachable as error:
        raise click.UsageError(f"{OPTION}: {error}") from error
    except ClassifierError as error:
        raise click.UsageError(str(error)) from error
    return engine.name


async def wear_in_service(store: Store, engine: Classifier) -> bool:
    """Let *engine*, which is warm, judge with what is in service in *store*; False, and no change, where nothing is.

    Raises Unteachable, ModelRefused.
    """
    from bot.store import teaching
    from classifiers.registry import teachable

    pupil = teachable(engine)
    found = await store.read(teaching.in_service, model=pupil.foundation)
    if found is None:
        return False
    await pupil.wear(pupil.unpack(found.change), number=found.number)
    return True


async def _why_none(store: Store, engine: Classifier) -> str:
    from bot.store import teaching
    from classifiers.registry import teachable

    other = await store.read(teaching.newest_active)
    if other is None:
        return f"nothing that was taught is in service; leave {OPTION} out, or run: harken teach"
    number, model = other
    return (
        f"revision {number} was taught to {model}, and {teachable(engine).foundation} is at work here; "
        f"leave {OPTION} out, or run: harken teach"
    )
