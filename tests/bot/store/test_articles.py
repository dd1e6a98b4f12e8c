"""Articles in both databases: in step with the folder, searchable, and deaf to every query language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.store import articles
from bot.store.engine import Store
from handoff.knowledge.article import Article

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

REFUND = Article(
    slug="refund",
    locale="en",
    title="When do I get my refund?",
    body="Refunds reach your bank within five working days.",
    tags=("refund_return",),
    questions=("where is my money",),
    owner="billing",
    wordings={"default": "Refunds take five working days.", "x": "Five working days."},
)
HOURS = Article(slug="hours", locale="en", title="Opening hours", body="We open at nine. A refund desk is upstairs.")
GERMAN = Article(slug="refund", locale="de", title="Rückerstattung", body="Fünf Werktage für die Überweisung.")
CHINESE = Article(slug="refund", locale="zh", title="退款需要多久", body="退款将在五个工作日内到账。")
HINDI = Article(slug="refund", locale="hi", title="रिफंड कब मिलेगा", body="पाँच कार्य दिवस।")
ALL = (REFUND, HOURS, GERMAN, CHINESE, HINDI)

pytestmark = pytest.mark.timeout(120)


class Embedder:
    """Gives each text a vector of its own; remembers what it was asked."""

    foundation = "lengths@1"

    def __init__(self, *, blind: bool = False) -> None:
        self.blind = blind
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.asked.extend(texts)
        made = [np.full(384, len(text), "<f2").tobytes() for text in texts]
        return [b""] * len(texts) if self.blind else made


@pytest.fixture
def shelf(store: Store) -> Store:
    with store.engine.begin() as connection:
        articles.create_search(connection)
    return store


def found(store: Store, text: str, **options: Any) -> list[str]:
    hits = store.read_now(articles.search, text, **options)
    return [f"{hit.stored.article.slug}.{hit.stored.article.locale}" for hit in hits]


def test_the_search_table_may_be_made_twice(shelf: Store) -> None:
    with shelf.engine.begin() as connection:
        articles.create_search(connection)
    shelf.write_now(articles.put_all, ALL, now=NOW)
    assert found(shelf, "opening") == ["hours.en"]


def test_what_goes_in_comes_out(shelf: Store) -> None:
    changes = shelf.write_now(articles.put_all, ALL, now=NOW)
    assert changes.new == ["hours.en", "refund.de", "refund.en", "refund.hi", "refund.zh"]
    assert (changes.changed, changes.retired, changes.unchanged) == ([], [], 0)
    kept = {
        each.article.locale: each.article for each in shelf.read_now(articles.entries) if each.article.slug == "refund"
    }
    assert kept["en"] == REFUND
    assert replace(kept["zh"], translation_of="") == CHINESE
    assert kept["zh"].translation_of == REFUND.revision


def test_an_unchanged_article_is_not_touched_and_a_changed_one_loses_its_vectors(shelf: Store) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    wanting = shelf.read_now(articles.wanting_vectors, model="m1")
    made = [(each, [b"\x01\x02" * 384] * len(each.passages)) for each in wanting]
    assert shelf.write_now(articles.save_vectors, made, model="m1") == len(ALL)

    edited = replace(REFUND, body="Refunds reach your account within three working days.")
    changes = shelf.write_now(articles.put_all, (edited, *ALL[1:]), now=LATER)

    assert (changes.new, changes.changed, changes.retired, changes.unchanged) == ([], ["refund.en"], [], 4)
    stored = {(each.article.slug, each.article.locale): each for each in shelf.read_now(articles.listing)}
    assert stored["refund", "en"].updated_at == LATER
    assert stored["hours", "en"].updated_at == NOW
    assert [each.passages for each in shelf.read_now(articles.wanting_vectors, model="m1")] == [edited.passages]
    assert found(shelf, "three") == ["refund.en"]
    assert found(shelf, "bank") == []


def test_a_missing_article_retires_and_comes_back(shelf: Store) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    changes = shelf.write_now(articles.put_all, ALL[1:], now=LATER)
    assert changes.retired == ["refund.en"]
    assert found(shelf, "money") == []
    gone = shelf.read_now(articles.listing, retired=True)
    assert [(each.article.slug, each.retired_at) for each in gone] == [("refund", LATER)]
    assert shelf.read_now(articles.get, gone[0].id) == gone[0]
    assert all(each.article != REFUND for each in shelf.read_now(articles.entries))

    back = shelf.write_now(articles.put_all, ALL, now=LATER)
    assert back.new == ["refund.en"]
    assert found(shelf, "money") == ["refund.en"]


def test_comparing_changes_nothing(shelf: Store) -> None:
    shelf.write_now(articles.put_all, ALL[:2], now=NOW)
    before = shelf.read_now(articles.state)
    changes = shelf.read_now(articles.compare, [REFUND, GERMAN])
    assert (changes.new, changes.retired, changes.unchanged) == (["refund.de"], ["hours.en"], 1)
    assert shelf.read_now(articles.state) == before


async def test_vectors_are_made_once_for_each_model(shelf: Store) -> None:
    shelf.write_now(articles.put_all, [REFUND, HOURS], now=NOW)
    before = shelf.read_now(articles.state)
    embedder = Embedder()
    assert await articles.refresh_vectors(shelf, embedder, model="m1") == 2
    assert embedder.asked == [*HOURS.passages, *REFUND.passages]
    assert await articles.refresh_vectors(shelf, embedder, model="m1") == 0
    first = shelf.read_now(articles.entries)[0]
    assert len(first.vectors) == 2 * 384 * len(HOURS.passages)
    assert shelf.read_now(articles.state) != before
    assert await articles.refresh_vectors(shelf, embedder, model="m2") == 2


async def test_an_engine_without_vectors_is_asked_once(shelf: Store) -> None:
    shelf.write_now(articles.put_all, [REFUND], now=NOW)
    blind = Embedder(blind=True)
    assert await articles.refresh_vectors(shelf, blind, model="keywords") == 1
    assert await articles.refresh_vectors(shelf, blind, model="keywords") == 0
    assert shelf.read_now(articles.entries)[0].vectors == b""


def test_a_vector_of_an_older_text_is_not_kept(shelf: Store) -> None:
    shelf.write_now(articles.put_all, [REFUND], now=NOW)
    (wanting,) = shelf.read_now(articles.wanting_vectors, model="m1")
    shelf.write_now(articles.put_all, [replace(REFUND, body="Other words.")], now=LATER)
    assert shelf.write_now(articles.save_vectors, [(wanting, [b"\x00" * 768])], model="m1") == 0
    assert shelf.read_now(articles.entries)[0].vectors == b""


def test_a_title_counts_more_than_a_body(shelf: Store) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    assert found(shelf, "refund")[:2] == ["refund.en", "hours.en"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUCKERSTATTUNG", "refund.de"),
        ("überweisung", "refund.de"),
        ("我的退款", "refund.zh"),
        ("रिफंड", "refund.hi"),
        ("openi", "hours.en"),
    ],
)
def test_words_are_found_in_every_script_and_while_typing(shelf: Store, text: str, expected: str) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    assert expected in found(shelf, text)


def test_a_locale_narrows_the_search(shelf: Store) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    assert found(shelf, "refund rückerstattung", locale="de") == ["refund.de"]


HARMLESS = (
    '"',
    "'",
    '" OR 1=1 --',
    "'; DROP TABLE article; --",
    "title:refund",
    "refund NOT money",
    "NEAR(refund money)",
    "refund AND",
    "^refund",
    "refund*",
    "* OR *",
    "{title body}: refund",
    "refund + money",
    "(refund",
    "!refund",
    "refund <-> money",
    "refund & !money | ",
    "refund:*A",
    "\\' refund",
    "\x00refund\ud800",
    "refund " * 5_000,
    "%_",
    "🙂",
    "",
)


@pytest.mark.parametrize("text", HARMLESS)
def test_operators_of_a_query_language_are_only_words(shelf: Store, text: str) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    hits = found(shelf, text)
    assert set(hits) <= {"refund.en", "hours.en"}
    assert ("refund.en" in hits) == ("refund" in text)
    assert len(shelf.read_now(articles.listing)) == len(ALL)


def test_known_injections_find_nothing_and_break_nothing(shelf: Store, shared: Path) -> None:
    shelf.write_now(articles.put_all, ALL, now=NOW)
    lines = [
        line
        for path in sorted((shared / "data" / "hostile" / "sql").rglob("*"))
        if path.is_file()
        for line in path.read_text("utf-8", "replace").splitlines()
        if line.strip()
    ]
    assert len(lines) > 100
    for line in lines[:2_000]:
        shelf.read_now(articles.search, line)
    assert len(shelf.read_now(articles.listing)) == len(ALL)
    assert found(shelf, "opening") == ["hours.en"]


def test_an_article_of_one_endless_word_or_many_repeats_is_kept(shelf: Store) -> None:
    long = Article(slug="long", locale="en", title="Long", body="x" * 9_000 + " " + "again " * 1_500)
    shelf.write_now(articles.put_all, [long], now=NOW)
    assert found(shelf, "again") == ["long.en"]
