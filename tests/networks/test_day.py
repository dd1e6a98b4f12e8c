"""A scripted day is what its seed says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.networks import mastodon_day, x_day
from tests.networks.clock import NOON


@pytest.mark.parametrize("plan_day", [x_day.plan_day, mastodon_day.plan_day], ids=["x", "mastodon"])
def test_the_same_seed_is_the_same_day(plan_day: Any) -> None:
    one, two, other = (plan_day(start=NOON, length=timedelta(hours=8), seed=seed) for seed in (3, 3, 4))
    assert one == two != other
    late = [mention for mention in one.mentions if mention.surfaces > mention.written]
    assert 60 < len(late) < 140
    assert max(mention.surfaces - mention.written for mention in late) <= timedelta(minutes=10)
    assert sum(mention.is_twice for mention in one.mentions) > 60
