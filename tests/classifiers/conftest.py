"""The real engines, loaded once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from classifiers.engines.keywords import Keywords
from classifiers.engines.transformer import Transformer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def model() -> AsyncIterator[Transformer]:
    """The transformer engine with the shipped heads."""
    engine = Transformer()
    await engine.warm()
    yield engine
    await engine.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rules() -> AsyncIterator[Keywords]:
    """The keywords engine with our own rules."""
    engine = Keywords()
    await engine.warm()
    yield engine
    await engine.aclose()
