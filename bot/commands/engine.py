"""The classifier for commands that need nothing else of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifiers.protocol import Classifier
    from classifiers.registry import ClassifierEmbedder
    from classifiers.triage import Text, Triage


def make(settings: Settings, kind: str | None) -> ClassifierEmbedder:
    """Return the engine *kind*, or the configured one, not yet warm. The config's options go to its own kind only."""
    from classifiers import registry

    options = dict(settings.classifier)
    configured = str(options.pop("engine", "transformer"))
    chosen = kind or configured
    try:
        return registry.load(chosen).make(options if chosen == configured else {})
    except (registry.UnknownEngine, TypeError, ValueError) as error:
        raise click.UsageError(f"classifier: {error}") from error


async def classify(engine: Classifier, texts: Sequence[Text]) -> list[Triage]:
    """Judge *texts*; where a batch breaks, one by one. Raises UsageError naming the id of a text that breaks alone."""
    from classifiers.errors import ClassifierError, ModelFailed

    try:
        return await engine.classify(texts)
    except ModelFailed as error:
        if len(texts) == 1:
            raise click.UsageError(f"the text with the id {texts[0].id!r} cannot be judged: {error}") from error
    except ClassifierError as error:
        raise click.UsageError(str(error)) from error
    return [triage for text in texts for triage in await classify(engine, [text])]
