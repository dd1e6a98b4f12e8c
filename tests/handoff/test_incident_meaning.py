"""Who belongs to an incident, by the meaning that the shipped model gives to written posts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from classifiers.engines.transformer import Transformer
from classifiers.triage import Text, Triage
from handoff.incident import Watched, centre, gathers
from tests.handoff.stories import CUT, OTHER_OUTAGES, OTHER_PARCELS, STRIKE

SPLITS = 100
BURSTS = ((8, 1.0), (12, 1.0), (18, 1.0), (12, 0.8), (18, 0.8), (12, 0.6))
"""Posts about it that make the middle, and their share of all that came in the burst."""


@pytest.fixture(scope="module")
def judged() -> dict[str, Triage]:
    """Every written post as the model judges it."""

    async def judge() -> list[Triage]:
        engine = Transformer()
        await engine.warm()
        try:
            return await engine.classify([Text(id=text, text=text) for text in texts])
        finally:
            await engine.aclose()

    texts = [*CUT, *OTHER_OUTAGES, *STRIKE, *OTHER_PARCELS]
    return dict(zip(texts, asyncio.run(judge()), strict=True))


def shares(about: Sequence[bytes], else_: Sequence[bytes], *, made: int, share: float) -> tuple[float, float]:
    """Return which part of later posts about it belongs, and which part of the others, over many seeded bursts."""
    found = []
    for seed in range(SPLITS):
        chance = np.random.default_rng(seed)
        mine, theirs = ([one[int(at)] for at in chance.permutation(len(one))] for one in (about, else_))
        usual = round(made * (1 - share) / share)
        middle = centre([*mine[:made], *theirs[:usual]], share=share)
        watched = Watched(id=1, topic="t", centre=middle)
        found.append(
            [np.mean([gathers(watched, ["t"], each) for each in one]) for one in (mine[made:], theirs[usual:])]
        )
    belong, others = np.mean(found, axis=0)
    return float(belong), float(others)


@pytest.mark.parametrize(("made", "share"), BURSTS)
def test_most_posts_about_a_strike_belong_in_any_language_and_hardly_any_other(
    judged: dict[str, Triage], made: int, share: float
) -> None:
    belong, others = shares(
        [judged[text].embedding for text in STRIKE],
        [judged[text].embedding for text in OTHER_PARCELS],
        made=made,
        share=share,
    )
    assert belong >= 0.8
    assert others <= 0.1


@pytest.mark.parametrize(("made", "share"), BURSTS)
def test_most_posts_about_an_outage_belong_and_most_about_other_outages_of_that_day_do_not(
    judged: dict[str, Triage], made: int, share: float
) -> None:
    same = [text for text in OTHER_OUTAGES if judged[text].intent.label == "service_disruption"]
    assert len(same) >= 20, "these are of the same intent, so meaning alone tells them apart"
    belong, others = shares(
        [judged[text].embedding for text in CUT], [judged[text].embedding for text in same], made=made, share=share
    )
    assert belong >= 0.74
    assert others <= 0.38


def test_a_larger_burst_lets_no_more_of_the_others_in(judged: dict[str, Triage]) -> None:
    about, else_ = ([judged[text].embedding for text in one] for one in (STRIKE, OTHER_PARCELS))
    small, large = (shares(about, else_, made=made, share=1.0)[1] for made in (8, 20))
    assert large <= small + 0.02
