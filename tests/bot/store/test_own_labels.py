"""Sets of labels in the store: config and people together, nothing kept of what an author deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from bot.store import feed, own_labels, people, posts, triages
from bot.store.engine import Store
from bot.store.feed import FeedFilter
from bot.store.own_labels import Found, LabelSet, Learnt
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.roles import Role
from classifiers import own
from connectors.protocol import Page
from tests.bot.factories import NOON, make_post, make_triage
from tests.bot.word_engine import PRODUCT


@pytest.fixture
def lead(store: Store) -> int:
    return store.write_now(people.add, email="lead@example.org", name="Lea", role=Role.LEAD, now=NOON).id


def hear(store: Store, count: int) -> list[int]:
    page = Page(posts=[make_post(number, minutes=number) for number in range(1, count + 1)], cursor="c")
    ids = list(store.write_now(posts.ingest, page, source="x", stream="m", now=NOON, cursor="c").new)
    judged = {posts.errand(post_id, 0): make_triage(post_id) for post_id in ids}
    store.write_now(triages.save, judged, job_ids=[], now=NOON)
    return ids


def texts(found: LabelSet) -> dict[str, list[str]]:
    return {label.label: [example.text for example in label.examples] for label in found.labels}


def mark(post_id: int, label: str, confidence: float = 0.9, *, name: str = "product") -> Found:
    return Found(post_id=post_id, set_name=name, label=label, confidence=confidence, model="m/r")


def test_a_set_is_made_replaced_and_deleted(store: Store, lead: int) -> None:
    made = store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    assert {label: sorted(found) for label, found in texts(made).items()} == {
        label: sorted(found) for label, found in PRODUCT.items()
    }
    assert {each.added_by for label in made.labels for each in label.examples} == {"Lea"}
    before = store.read_now(own_labels.state)
    less = {label: found[:2] for label, found in PRODUCT.items()}
    kept = store.write_now(own_labels.replace, "product", less, user_id=lead, now=NOON)
    ids = {example.id for label in made.labels for example in label.examples}
    assert {example.id for label in kept.labels for example in label.examples} < ids
    assert store.read_now(own_labels.state) != before
    (post,) = hear(store, 1)
    store.write_now(own_labels.save, [mark(post, "tv")])
    store.write_now(own_labels.drop, "product", user_id=lead, now=NOON)
    assert store.read_now(own_labels.everything) == []
    assert store.read_now(own_labels.of_posts, [post]) == {}
    with pytest.raises(Missing):
        store.read_now(own_labels.one, "product")


def test_the_same_examples_in_another_order_are_the_same_revision(store: Store, lead: int) -> None:
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    before = store.read_now(own_labels.state)
    turned = {label: found[::-1] for label, found in reversed(PRODUCT.items())}
    store.write_now(own_labels.replace, "product", turned, user_id=lead, now=NOON)
    assert store.read_now(own_labels.state) == before


def test_a_bad_set_is_refused_whole(store: Store, lead: int) -> None:
    with pytest.raises(Invalid, match=r"product.tv: has 1 examples"):
        store.write_now(own_labels.replace, "product", {**PRODUCT, "tv": ["one"]}, user_id=lead, now=NOON)
    assert store.read_now(own_labels.everything) == []


def test_an_example_comes_and_goes(store: Store, lead: int) -> None:
    add: dict[str, Any] = {"user_id": lead, "now": NOON}
    store.write_now(own_labels.replace, "product", PRODUCT, **add)
    store.write_now(own_labels.add, "product", label="tv", texts=["the telly is dark"], **add)
    again = store.write_now(own_labels.add, "product", label="tv", texts=["The telly  is dark"], **add)
    (new,) = [each for label in again.labels for each in label.examples if "telly" in each.text]
    with pytest.raises(Invalid, match="stands under 'tv' already"):
        store.write_now(own_labels.add, "product", label="mobile", texts=["the telly is dark"], **add)
    with pytest.raises(Missing):
        store.write_now(own_labels.remove, "other", new.id, **add)
    left = store.write_now(own_labels.remove, "product", new.id, **add)
    assert left is not None
    assert "the telly is dark" not in texts(left)["tv"]


def test_a_set_without_examples_is_gone(store: Store, lead: int) -> None:
    made = store.write_now(own_labels.add, "mood", label="calm", texts=["all fine"], user_id=lead, now=NOON)
    only = made.labels[0].examples[0].id
    assert store.write_now(own_labels.remove, "mood", only, user_id=lead, now=NOON) is None
    assert store.read_now(own_labels.everything) == []


def test_the_configuration_and_people_make_up_one_set(store: Store, lead: int) -> None:
    store.write_now(own_labels.configure, {"product": PRODUCT}, now=NOON)
    store.write_now(own_labels.add, "product", label="tv", texts=["remote broken"], user_id=lead, now=NOON)
    changed = {
        **PRODUCT,
        "tv": [*PRODUCT["tv"][1:], "no sound at all"],
        "landline": ["no dial tone", "phone line dead"],
    }
    store.write_now(own_labels.configure, {"product": changed}, now=NOON)
    found = texts(store.read_now(own_labels.one, "product"))
    assert sorted(found["tv"]) == sorted([*changed["tv"], "remote broken"])
    assert sorted(found["landline"]) == sorted(changed["landline"])
    store.write_now(own_labels.configure, {}, now=NOON)
    assert texts(store.read_now(own_labels.one, "product")) == {"tv": ["remote broken"]}


def test_the_same_configuration_again_keeps_embeddings_and_revision(store: Store) -> None:
    store.write_now(own_labels.configure, {"product": PRODUCT}, now=NOON)
    wanting = store.read_now(own_labels.wanting, model="m")
    store.write_now(own_labels.save_embeddings, [(each, b"e") for each, _ in wanting], model="m")
    before = store.read_now(own_labels.state)
    store.write_now(own_labels.configure, {"product": PRODUCT}, now=NOON + timedelta(days=1))
    assert store.read_now(own_labels.wanting, model="m") == []
    assert store.read_now(own_labels.state) == before
    assert len(store.read_now(own_labels.wanting, model="another")) == 9


def test_where_a_text_stands_under_two_labels_the_configuration_is_right(store: Store, lead: int) -> None:
    store.write_now(
        own_labels.add, "product", label="mobile", texts=["tv channel picture frozen"], user_id=lead, now=NOON
    )
    store.write_now(own_labels.configure, {"product": PRODUCT}, now=NOON)
    found = texts(store.read_now(own_labels.one, "product"))
    assert "tv channel picture frozen" in found["tv"]
    assert "tv channel picture frozen" not in found["mobile"]


def test_what_the_configuration_says_is_not_changed_elsewhere(store: Store, lead: int) -> None:
    store.write_now(own_labels.configure, {"product": PRODUCT}, now=NOON)
    example = store.read_now(own_labels.one, "product").labels[0].examples[0]
    with pytest.raises(Conflict, match="stands in the configuration"):
        store.write_now(own_labels.remove, "product", example.id, user_id=lead, now=NOON)
    with pytest.raises(Conflict, match="stands in the configuration"):
        store.write_now(own_labels.drop, "product", user_id=lead, now=NOON)
    with pytest.raises(Invalid, match="too; keep it under one"):
        store.write_now(own_labels.replace, "product", {"tv": [PRODUCT["mobile"][0], "x"]}, user_id=lead, now=NOON)


def test_an_example_goes_with_the_post_it_was_taken_from(store: Store, lead: int) -> None:
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    ids = hear(store, 2)
    act: dict[str, Any] = {"user_id": lead, "now": NOON}
    made = store.write_now(own_labels.add_post, "product", label="tv", post_id=ids[0], **act)
    assert "where is my parcel 1?" in texts(made)["tv"]
    before = store.read_now(own_labels.state)
    store.write_now(posts.mark_deleted, [ids[0]], now=NOON)
    assert "where is my parcel 1?" not in texts(store.read_now(own_labels.one, "product"))["tv"]
    assert store.read_now(own_labels.state) != before
    with pytest.raises(Conflict, match="deleted this post"):
        store.write_now(own_labels.add_post, "product", label="tv", post_id=ids[0], **act)
    with pytest.raises(Missing):
        store.write_now(own_labels.add_post, "product", label="tv", post_id=9999, **act)


def test_the_feed_shows_and_finds_own_labels(store: Store, lead: int) -> None:
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    store.write_now(own_labels.add, "region", label="north", texts=["x"], user_id=lead, now=NOON)
    one, two, three = hear(store, 3)
    rows = [mark(one, "tv"), mark(two, "tv", 0.2), mark(three, "mobile"), mark(one, "north", name="region")]
    store.write_now(own_labels.save, rows)

    def found(*wanted: tuple[str, str]) -> list[int]:
        return [each.id for each in store.read_now(feed.page, FeedFilter(own=wanted), limit=10).items]

    assert found(("product", "tv")) == [one]
    assert found(("product", own.NONE)) == [two]
    assert found(("product", "tv"), ("region", "north")) == [one]
    assert found(("product", "mobile"), ("region", "north")) == []
    (tv, region), (none,) = (store.read_now(feed.one, each).own for each in (one, two))
    assert (tv.set, tv.label, tv.confidence, region.label) == ("product", "tv", 0.9, "north")
    assert (none.label, none.likeliest, none.confidence) == (own.NONE, "tv", 0.2)
    assert store.read_now(feed.choices).own == {"product": ["broadband", "mobile", "tv"], "region": ["north"]}


def test_a_common_own_label_is_found_from_the_newest_back(
    store: Store, lead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "COMMON", 1)
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    ids = hear(store, 4)
    store.write_now(own_labels.save, [mark(each, "tv") for each in ids[:3]])
    items = store.read_now(feed.page, FeedFilter(own=(("product", "tv"),)), limit=2).items
    assert [each.id for each in items] == [ids[2], ids[1]]


def test_labels_of_a_set_that_is_gone_are_dropped(store: Store) -> None:
    (post,) = hear(store, 1)
    store.write_now(own_labels.save, [mark(post, "tv")])
    assert store.read_now(own_labels.of_posts, [post]) == {}


def test_a_post_judged_anew_meanwhile_keeps_its_newer_label(store: Store, lead: int) -> None:
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    one, two = hear(store, 2)
    store.write_now(own_labels.save, [mark(two, "mobile")])

    def judged_again(session: Session) -> None:
        triages.save(session, {posts.errand(two, 0): make_triage(two)}, job_ids=[], now=NOON + timedelta(hours=1))

    store.write_now(judged_again)
    stale = {one: NOON, two: NOON}
    assert store.write_now(own_labels.save_again, [mark(one, "tv"), mark(two, "tv")], stale) == 1
    assert store.read_now(own_labels.of_posts, [one, two])[two][0].label == "mobile"


def test_how_well_a_set_was_learnt_holds_until_it_changes(store: Store, lead: int) -> None:
    store.write_now(own_labels.replace, "product", PRODUCT, user_id=lead, now=NOON)
    assert store.read_now(own_labels.one, "product").accuracy is None
    (_, made_of) = store.read_now(own_labels.state).split(":")
    report = own.Report(
        accuracy=0.5, labels=[own.LabelReport(label="tv", examples=3, right=2)], warnings=["look at 'tv'"]
    )
    learnt = Learnt(name="product", revision=made_of, model="m", report=report, fault=None)
    store.write_now(own_labels.save_learnt, [learnt])
    found = store.read_now(own_labels.one, "product")
    assert (found.is_learnt, found.accuracy, list(found.warnings), found.model) == (True, 0.5, ["look at 'tv'"], "m")
    assert {label.label: label.recognised for label in found.labels}["tv"] == 2
    store.write_now(own_labels.add, "product", label="tv", texts=["dark screen"], user_id=lead, now=NOON)
    changed = store.read_now(own_labels.one, "product")
    assert not changed.is_learnt
    assert {label.recognised for label in changed.labels} == {None}
