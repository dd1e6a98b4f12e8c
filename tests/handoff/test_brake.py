"""Which brakes hold which words, as a table."""

from __future__ import annotations

import pytest

from handoff.brake import EVERYTHING, MAX_NAME, Scope, Target, Topic, targets

ARTICLE = Target(scope=Scope.ARTICLE, name="late-parcel")
INTENT = Target(scope=Scope.INTENT, name="delivery_item")
SOURCE = Target(scope=Scope.SOURCE, name="x")


@pytest.mark.parametrize(
    ("article", "intent", "is_prepared", "holding", "because"),
    [
        ("late-parcel", "delivery_item", True, {EVERYTHING, SOURCE, ARTICLE, INTENT}, "a prepared answer"),
        (None, "delivery_item", False, {EVERYTHING, SOURCE}, "a person's own words go on under a brake on the intent"),
        (None, None, True, {EVERYTHING, SOURCE}, "an untriaged post has no intent"),
        ("late-parcel", None, False, {EVERYTHING, SOURCE, ARTICLE}, "the article's words are its words, whoever sends"),
    ],
)
def test_what_holds_a_reply(
    article: str | None, intent: str | None, is_prepared: bool, holding: set[Target], because: str
) -> None:
    topic = Topic(source="x", article=article, intent=intent, is_prepared=is_prepared)
    assert set(targets(topic)) == holding, because


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (Scope.EVERYTHING, "x"),
        (Scope.ARTICLE, ""),
        (Scope.SOURCE, "a\nb"),
        (Scope.INTENT, "x" * (MAX_NAME + 1)),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match="a brake on"):
        Target(scope=scope, name=name)


def test_a_target_reads_like_words() -> None:
    assert str(EVERYTHING) == "everything"
    assert str(ARTICLE) == "article late-parcel"
