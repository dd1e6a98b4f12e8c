"""Words in disguise: what a sender hides from filters is judged as if it stood there plainly."""

from __future__ import annotations

import random
import re

import pytest
from tokenizers import Tokenizer

from classifiers.engines.model import SHIPPED, load
from classifiers.engines.transformer import Transformer
from classifiers.normalise import undisguise
from classifiers.training import sets
from classifiers.triage import Text

_WORD = re.compile(r"[^\W\d_]{4,}")
_ALIKE = str.maketrans("aceopxyACEHKMOPTX", "асеорхуАСЕНКМОРТХ")
_LEET = str.maketrans("aeiost", "4310$7")
_WIDE = {ord("!") + n: 0xFF01 + n for n in range(94)}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load(SHIPPED).tokenizer


def plain(text: str, tokenizer: Tokenizer) -> str:
    return undisguise(text, lambda word: len(tokenizer.encode(word, add_special_tokens=False).ids))


@pytest.mark.parametrize(
    ("disguised", "meant"),
    [
        ("r3fund my m0ney", "refund my money"),
        ("you are an 1diot", "you are an idiot"),
        ("what a5$hole", "what asshole"),
        ("sh!t p@ssw0rd", "shit password"),
        ("s.c.a.m artists, F R A U D!", "scam artists, FRAUD!"),
        ("рауоо is down", "payoo is down"),
        ("c\u200ba\u2060ncel", "cancel"),
        ("\uff52\uff45\uff46\uff55\uff4e\uff44", "refund"),
    ],
)
def test_a_disguise_is_seen_through(disguised: str, meant: str, tokenizer: Tokenizer) -> None:
    assert plain(disguised, tokenizer) == meant


@pytest.mark.parametrize(
    "text",
    [
        "4G on flight BA2490, an A320, 10am on the 3rd, gate b4",
        "$50 for $AAPL, 24h, 5 star, 7days",
        "write to me@mail.com or @h4ndle, https://x.co/a1b2 #l33t",
        "PS5, mp3s, COVID19, i18n, R.I.P., U.S.A.",
        "Привет, как дела",
        "the app crashed!Then it froze",
        "",
    ],
)
def test_numbers_codes_and_addresses_stay_as_they_are(text: str, tokenizer: Tokenizer) -> None:
    assert plain(text, tokenizer) == text


def disguised(text: str, way: int, chance: random.Random) -> str:
    """Return *text* with its three longest words in disguise."""
    words = sorted(set(_WORD.findall(text)), key=lambda word: (-len(word), word))[:3]
    for word in words:
        match way:
            case 0:
                hidden = word.translate(_ALIKE)
            case 1:
                hidden = chance.choice("\u200b\u200d\u2060\u00ad").join(word)
            case 2:
                hidden = word[0] + word[1:-1].translate(_LEET) + word[-1]
            case 3:
                hidden = ".".join(word)
            case _:
                hidden = word.translate(_WIDE)
        text = text.replace(word, hidden)
    return text


@pytest.mark.slow
async def test_nine_of_ten_disguised_posts_are_judged_as_the_plain_ones(model: Transformer) -> None:
    """500 pairs: posts that taught nothing, in seven languages in Latin letters, words hidden in one of five ways."""
    chance = random.Random(17)
    posts = [row["text"] for row in sets.written("validation") if row["lang"] != "ar" and _WORD.search(row["text"])]
    pairs = []
    for way in range(5):
        pairs += [(text, disguised(text, way, chance)) for text in chance.sample(posts, 100)]
    assert len(pairs) == 500
    assert all(text != hidden for text, hidden in pairs)
    judged = await model.classify([Text(id=str(n), text=text) for n, text in enumerate(sum(pairs, ()))])
    same = dict.fromkeys(("intent", "toxicity"), 0)
    for one, other in zip(judged[::2], judged[1::2], strict=True):
        for head in same:
            same[head] += getattr(one, head).label == getattr(other, head).label
    assert min(same.values()) >= 450, same
