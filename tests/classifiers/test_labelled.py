from __future__ import annotations

import pytest

from classifiers.labelled import BadRow, evenly, read_labelled


def test_rows_are_read_with_our_names_and_the_data_sets_names() -> None:
    lines = [b'{"id":"a","text":"x","intent":"praise","abusive":1}\n', b"\n", b'{"text":"y","sentiment":"neutral"}']
    first, second = read_labelled(lines)
    assert dict(first.gold) == {"intent": "praise", "toxicity": "toxic"}
    assert dict(second.gold) == {"sentiment": "neutral"}
    (only,) = read_labelled([b'{"text":"y","label":"spam"}'], "intent")
    assert dict(only.gold) == {"intent": "spam"}


@pytest.mark.parametrize(
    ("fields", "language", "kind"),
    [
        ('"language":"de","kind":"sms","style":"chat"', "de", "sms"),
        ('"lang":"de","style":"chat","source":"forum"', "de", "chat"),
        ('"source":"forum"', None, "forum"),
        ('"kind":7,"source":{"name":"forum"}', None, None),
    ],
)
def test_a_row_may_say_its_language_and_its_kind_of_text(fields: str, language: str | None, kind: str | None) -> None:
    (only,) = read_labelled([f'{{"text":"x","spam":"ok",{fields}}}'.encode()])
    assert (only.language, only.kind) == (language, kind)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"id":"a"}', '"text"'),
        (b'{"text":"x"}', "no right label"),
        (b'{"text":"x","intent":"nonsense"}', "allowed: account_access"),
        (b'{"text":"x","urgency":3}', "allowed: high"),
    ],
)
def test_a_bad_row_is_named_by_its_line(line: bytes, says: str) -> None:
    with pytest.raises(BadRow, match="line 2: ") as caught:
        list(read_labelled([b'{"text":"x","intent":"praise"}', line]))
    assert says in str(caught.value)


def test_a_part_of_the_rows_is_spread_over_all_of_them() -> None:
    assert evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert evenly(range(3), 5) == [0, 1, 2]
    assert evenly(range(3), None) == [0, 1, 2]
