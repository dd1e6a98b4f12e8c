"""Accounts made to look like ours: a customer misled by one must not see us talk with it as if it were real."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import regex

from classifiers.normalise import skeleton
from connectors.post import Author
from handoff.words import fold

LEAST_LETTERS = 4
"""A shorter name is like too many others."""

_SERVICE = tuple(
    skeleton(word)
    for word in (
        *("help", "helpdesk", "support", "care", "customercare", "customerservice", "service", "services", "team"),
        *("official", "the", "real", "hq", "app", "desk", "assist", "assistance", "answers", "bot", "cares"),
        *("hilfe", "kundenservice", "kundendienst", "offiziell", "ayuda", "atencion", "atencionalcliente", "oficial"),
        *("soporte", "aide", "serviceclient", "officiel", "assistenza", "ufficiale", "ajuda", "suporte", "atendimento"),
        *("klantenservice", "hulp", "pomoc", "destek", "yardim"),
    )
)  # fmt: skip
"""What stands beside a brand's name where somebody pretends to be its service."""

_GAPS = regex.compile(r"[\s._-]+")


def imitates(author: Author, names: Iterable[str]) -> bool:
    """Tell whether *author*, who is not us, goes by one of our *names*, alone, with "support" or disguised.

    "Nimbrook fan" is a customer; "Nimbrook Support", "N1mbr00k" and a Cyrillic "Nimbrооk" are not.
    """
    handle = author.handle.partition("@")[0]
    shown = (handle, handle.partition(".")[0], author.display_name)
    return any(_wears(each, name) for name in names for each in shown if each)


@lru_cache(maxsize=4096)
def _wears(shown: str, name: str) -> bool:
    ours, theirs = skeleton(name), skeleton(shown)
    if len(ours) < LEAST_LETTERS or ours not in theirs:
        return False
    if _service_alone(theirs, ours):
        return True
    # Somebody may have our name in theirs; whoever hides that it is there means to deceive. Accents may be left out.
    written = _GAPS.sub("", shown.casefold())
    return not any(_GAPS.sub("", plain) in written for plain in (name.casefold(), fold(name)))


def _service_alone(theirs: str, ours: str) -> bool:
    """Tell whether nothing but words of service is left when our name is taken out."""
    before, _, after = theirs.partition(ours)
    return all(_is_service(rest) for rest in (before, after))


def _is_service(rest: str) -> bool:
    while rest:
        word = max((each for each in _SERVICE if rest.startswith(each)), key=len, default=None)
        if word is None:
            return False
        rest = rest.removeprefix(word)
    return True
