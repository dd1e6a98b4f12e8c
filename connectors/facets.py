"""Links, mentions and tags in a text that is marked by byte offsets (app.bsky.richtext.facet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import regex

from connectors.answer import look, number, text
from connectors.html import is_web

FACET = "app.bsky.richtext.facet"
MAX_FACETS = 100

_LINK = regex.compile(r"(?<![\w@/])https?://[^\s<>\"]+[^\s<>\"'.,;:!?)\]}…»”]", regex.IGNORECASE)
_MENTION = regex.compile(r"(?<![\w@./])@([a-z0-9][a-z0-9.-]*[a-z0-9])", regex.IGNORECASE)
_TAG = regex.compile(r"(?<![\w#&/])#((?=[^\s#]*\p{L})[\p{L}\p{M}\p{N}_]{1,64})")


def mark(words: str, *, dids: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the facets of *words*, in order. dids: handle in lower case -> DID; other handles stay plain text."""
    found: list[tuple[int, int, dict[str, str]]] = []
    for link in _LINK.finditer(words):
        if is_web(link.group()):
            found.append((*link.span(), {"$type": f"{FACET}#link", "uri": link.group()}))
    for mention in _MENTION.finditer(words):
        if did := dids.get(mention.group(1).lower()):
            found.append((*mention.span(), {"$type": f"{FACET}#mention", "did": did}))
    for tag in _TAG.finditer(words):
        found.append((*tag.span(), {"$type": f"{FACET}#tag", "tag": tag.group(1)}))
    facets, end = [], 0
    for start, stop, feature in sorted(found, key=lambda each: each[:2]):
        if start >= end:
            span = {"byteStart": len(words[:start].encode()), "byteEnd": len(words[:stop].encode())}
            facets.append({"index": span, "features": [feature]})
            end = stop
    return facets[:MAX_FACETS]


def unfold(words: str, facets: object) -> str:
    """Return *words* with every link that was shortened to fit ("example.com/a...") as its whole address."""
    raw = words.encode("utf-8", "surrogatepass")
    links: list[tuple[int, int, str]] = []
    for facet in facets[:MAX_FACETS] if isinstance(facets, list) else ():
        start, stop = number(facet, "index", "byteStart"), number(facet, "index", "byteEnd")
        address = _address(look(facet, "features"))
        if address and start is not None and stop is not None and 0 <= start < stop <= len(raw):
            links.append((start, stop, address))
    end = len(raw)
    for start, stop, address in sorted(links, reverse=True):
        # Offsets are the author's claim: they may overlap or split a letter.
        if stop <= end and raw[start:stop].decode("utf-8", "replace").rstrip().endswith(("...", "…")):
            raw, end = raw[:start] + address.encode() + raw[stop:], start
    return raw.decode("utf-8", "replace")


def _address(features: object) -> str:
    for feature in features if isinstance(features, Sequence) else ():
        if text(feature, "$type") == f"{FACET}#link" and is_web(text(feature, "uri")):
            return text(feature, "uri")
    return ""
