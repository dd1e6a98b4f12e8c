"""Texts whose right label is known, read from JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from classifiers.triage import HEADS

JUDGED = (*HEADS, "language")

FIELDS: Mapping[str, tuple[str, ...]] = {head: (head,) for head in HEADS} | {
    "toxicity": ("toxicity", "abusive"),
    "language": ("language", "lang"),
}
"""Where the right label of a head stands in a row; "label" too when only one head is asked for."""

KINDS = ("kind", "style", "source")
"""Where the kind of text stands in a row: the first of these that holds a string."""

Row = TypeVar("Row")


class BadRow(ValueError):
    """A row of a labelled file cannot be used; the message names its line."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text with the right label of at least one head.

    gold: head -> label. language: what the row says it is written in. kind: what sort of text the row says it is.
    """

    id: str
    text: str
    gold: Mapping[str, str]
    language: str | None = None
    kind: str | None = None


def read_labelled(lines: Iterable[bytes], head: str | None = None) -> Iterator[Labelled]:
    """Yield the rows of a JSON Lines file: id, text and a label for a head. head: only this one. Raises BadRow."""
    for number, row in objects(lines):
        if not isinstance(row.get("text"), str):
            raise BadRow(f'line {number}: each row must be an object with "text", a string')
        gold = {name: label for name in ([head] if head else JUDGED) if (label := _gold(row, name, head, number))}
        if not gold:
            wanted = " or ".join(repr(name) for name in ([head, "label"] if head else JUDGED))
            raise BadRow(f"line {number}: no right label; it must stand in the field {wanted}")
        yield labelled(row, gold, number)


def objects(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each line that is not blank. Raises BadRow."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadRow(f"line {number}: not JSON") from error
        if not isinstance(row, dict):
            raise BadRow(f'line {number}: each row must be an object with "text", a string')
        yield number, row


def labelled(row: Mapping[str, Any], gold: Mapping[str, str], number: int) -> Labelled:
    """Return *row*, which stands in line *number*, with the right labels *gold*."""
    return Labelled(
        str(row.get("id", number)), row["text"], gold, _string(row, FIELDS["language"]), _string(row, KINDS)
    )


def evenly(rows: Sequence[Row], many: int | None) -> list[Row]:
    """Return *many* of *rows*, spread evenly, because files are often sorted; all of them for None."""
    if many is None or many >= len(rows):
        return [*rows]
    return [rows[place * len(rows) // many] for place in range(many)]


def _gold(row: Mapping[str, Any], name: str, head: str | None, number: int) -> str | None:
    fields = (*FIELDS[name], "label") if head else FIELDS[name]
    value = next((row[field] for field in fields if row.get(field) is not None), None)
    if name == "toxicity" and value in (0, 1):
        value = "toxic" if value else "ok"
    if value is None:
        return None
    allowed = HEADS.get(name)
    if not isinstance(value, str) or (allowed is not None and value not in allowed):
        shown = ", ".join(allowed or ("an ISO 639-1 code",))
        raise BadRow(f"line {number}: {name} is {str(value)[:40]!r}; allowed: {shown}")
    return value


def _string(row: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    return next((value for field in fields if isinstance(value := row.get(field), str) and value), None)
