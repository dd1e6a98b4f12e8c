"""A folder with what was measured: report.json, and two pictures of each head."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

if TYPE_CHECKING:
    from classifiers.evaluate import Report

KINDS = ("confusion", "reliability")


def save(folder: Path, document: Mapping[str, Any], drawn: Mapping[str, tuple[Report, str]]) -> None:
    """Write all of it. drawn: head -> its report, and the file or set it was measured on. Raises UsageError."""
    from classifiers import pictures

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--output {folder} cannot be written: {error.strerror}") from error
    content = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    write(folder / "report.json", content, "--output")
    for head, (report, name) in drawn.items():
        title = f"{head}: {name}, {report.rows} rows"
        write(folder / f"confusion-{head}.png", pictures.confusion(report, title), "--output")
        write(folder / f"reliability-{head}.png", pictures.reliability(report, title), "--output")


def pictures(folder: Path, document: Path | None, heads: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Return head -> (kind, path) of its pictures, as *document* links them; without one, from the working folder."""
    start = Path.cwd() if document is None else document.absolute().parent
    place = Path(os.path.relpath(folder, start)).as_posix()
    return {head: [(kind, f"{place}/{kind}-{head}.png") for kind in KINDS] for head in heads}


def write(path: Path, content: bytes, option: str) -> None:
    """Put *content* in place whole. option: names *path* to whoever gave it. Raises UsageError."""
    try:
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise click.UsageError(f"{option} {path} cannot be written: {error.strerror}") from error
