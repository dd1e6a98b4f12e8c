"""Personal data in public is recognised; parcels, prices and handles are not personal data."""

from __future__ import annotations

import pytest

from handoff.likeness import likeness
from handoff.personal import shows_personal_data


@pytest.mark.parametrize(
    "text",
    [
        "mail me at ana.b+shop@lark.example",
        "meine Adresse: jörg@müller.de",
        "call me on +49 170 1234567",
        "tel 0044 20 7946 0958 please",
        "my card is 4111 1111 1111 1111",
        "IBAN DE89 3704 0044 0532 0130 00",
    ],
)
def test_personal_data_is_recognised(text: str) -> None:
    assert shows_personal_data(text)


@pytest.mark.parametrize(
    "text",
    [
        "@ana@mastodon.example where is my parcel?",
        "order 123456789012",
        "tracking 4111 1111 1111 1112",
        "it costs +20 % since 2026",
        "call 555 0199",
        "DE12 is my seat",
        "0000 0000 0000 0000",
        "https://lark.example/track/00491701234567",
        "",
    ],
)
def test_other_numbers_are_let_through(text: str) -> None:
    assert not shows_personal_data(text)


def test_texts_that_say_the_same_have_one_likeness() -> None:
    same = ["We open at 9: https://a.example", "we OPEN at 10!! https://b.example", "@ana at we open"]
    assert len({likeness(text) for text in same}) == 1
    assert likeness("We close at 9") != likeness("We open at 9")
