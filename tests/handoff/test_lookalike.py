"""Names made to look like ours are seen through; customers, fans and critics are not taken for them."""

from __future__ import annotations

import pytest

from connectors.post import Author
from handoff.lookalike import imitates

FALSE_FRIENDS = [
    ("nimbrook_help", ""),
    ("Nimbrook-Support", ""),
    ("x", "NIMBROOK"),
    ("x", "Nimbrook Support 🇬🇧"),
    ("x", "Nimbrook Kundenservice"),
    ("x", "Nimbr\u043e\u043ek"),
    ("x", "\u039d\u0456mbrook news"),
    ("x", "N1mbr00k offers"),
    ("x", "Nim\u200bbrook prizes"),
    ("x", "N\u0131mbrook"),
    ("x", "Ｎｉｍｂｒｏｏｋ"),
    ("x", "Nímbröök refunds"),
    ("nirnbrook", ""),
    ("nimbrook.bsky.social", ""),
    ("nimbrook@evil.example", ""),
]
CUSTOMERS = [
    ("ana", "Ana Brook"),
    ("nimbrookfan", "I love Nimbrook"),
    ("x", "Nimbrook customer since 2009"),
    ("nimbrookisbad", ""),
    ("brook", "Nim"),
    ("x", "北京 ברוך"),
    ("x", ""),
    ("", ""),
]


@pytest.mark.parametrize(("handle", "name"), FALSE_FRIENDS)
def test_an_imitation_is_seen_through(handle: str, name: str) -> None:
    assert imitates(Author(channel="x", id="1", handle=handle, display_name=name), ("Nimbrook",))


@pytest.mark.parametrize(("handle", "name"), CUSTOMERS)
def test_a_customer_is_none(handle: str, name: str) -> None:
    assert not imitates(Author(channel="x", id="1", handle=handle, display_name=name), ("Nimbrook",))


def test_a_name_too_short_to_tell_is_left_alone() -> None:
    assert not imitates(Author(channel="x", id="1", handle="abc"), ("Abc", ""))
