"""Byte offsets of links, mentions and tags."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.facets import FACET, mark, unfold

WREN = {"wren.bsky.example": "did:plc:wren"}


def shown(words: str, **kinds: Any) -> list[tuple[str, dict[str, str]]]:
    raw = words.encode()
    return [
        (raw[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode(), f["features"][0])
        for f in mark(words, dids=WREN)
    ]


def test_offsets_count_bytes_not_letters() -> None:
    words = "Grüße 👩‍👩‍👧‍👦 @wren.bsky.example, see https://shop.example/a_(b)?q=ü. #Paketverspätung!"
    assert shown(words) == [
        ("@wren.bsky.example", {"$type": f"{FACET}#mention", "did": "did:plc:wren"}),
        ("https://shop.example/a_(b)?q=ü", {"$type": f"{FACET}#link", "uri": "https://shop.example/a_(b)?q=ü"}),
        ("#Paketverspätung", {"$type": f"{FACET}#tag", "tag": "Paketverspätung"}),
    ]


def test_a_stranger_is_not_called() -> None:
    assert mark("@someone.else.example mail@wren.bsky.example", dids=WREN) == []


def test_numbers_and_anchors_are_no_tags() -> None:
    assert mark("order #1234, https://shop.example/#faq", dids={}) == mark(
        "order .1234, https://shop.example/#faq", dids={}
    )


@given(st.text(max_size=200))
def test_facets_never_overlap_and_cut_no_letter(words: str) -> None:
    raw, end = words.encode("utf-8", "replace"), 0
    words = raw.decode()
    for facet in mark(words, dids=WREN):
        start, stop = facet["index"]["byteStart"], facet["index"]["byteEnd"]
        assert end <= start < stop <= len(raw)
        raw[start:stop].decode()
        end = stop


def link(start: int, stop: int, uri: str) -> dict[str, Any]:
    return {"index": {"byteStart": start, "byteEnd": stop}, "features": [{"$type": f"{FACET}#link", "uri": uri}]}


def test_a_shortened_link_is_shown_whole() -> None:
    words = "Ü shop.example/pa... twice"
    start = words.encode().index(b"shop")
    assert unfold(words, [link(start, start + 18, "https://shop.example/parcels?n=1")]) == (
        "Ü https://shop.example/parcels?n=1 twice"
    )


def test_a_link_in_words_and_odd_facets_change_nothing() -> None:
    for facets in (
        None,
        17,
        [None],
        [link(0, 4, "https://e.example")],
        [link(9, 2, "https://e.example")],
        [link(0, 99, "")],
    ):
        assert unfold("here it is…", facets) == "here it is…"


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(-3, 60), st.integers(-3, 60)), max_size=4))
def test_any_offsets_become_some_text(words: str, spans: list[tuple[int, int]]) -> None:
    assert isinstance(unfold(words, [link(start, stop, "https://e.example") for start, stop in spans]), str)
