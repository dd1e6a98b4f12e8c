"""Assembles the demo's day from the hand-written texts beside it: ``python deploy/demo/build.py``.

Ids, times, follower counts and links are made here, the same on every run; every sentence stands in texts/*.txt.

A line is ``who language intent [words] | text``. Words: ``=slug`` the article that answers it, ``#a`` a label, ``<a`` a
reply to a label, ``"a`` a quote of it, ``cold`` not spoken to us, ``dm`` in private, ``twice`` the network brings it a
second time, ``at=place`` another subreddit. A text may begin with ``[title]``. Further lines: ``== from to`` spreads
what follows over that span, ``EDIT a | text``, ``DEL a``, ``RP who a`` (repost).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NETWORKS = ("x", "reddit", "mastodon", "bluesky")
BRAND = "nimbrook"
OWN = {
    "x": {"id": "700000000000000001", "handle": "nimbrook", "display_name": "Nimbrook"},
    "reddit": {"id": "t2_nimbrook", "handle": "nimbrook_help", "display_name": "Nimbrook"},
    "mastodon": {"id": "109900000000000001", "handle": "nimbrook@social.example.org", "display_name": "Nimbrook"},
    "bluesky": {"id": "did:plc:nimbrook", "handle": "nimbrook.example.com", "display_name": "Nimbrook"},
}
AGAIN_AFTER_S = 40
Row = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of a text file at its moment, in seconds."""

    at: float
    words: list[str]
    text: str


def digest(*parts: object) -> bytes:
    """Return 32 bytes that look random and never change."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).digest()


def number(below: int, *parts: object) -> int:
    """Return a whole number from 0 to *below* - 1 that never changes."""
    return int.from_bytes(digest(*parts)[:8]) % below


def seconds(clock: str) -> int:
    """Return the seconds of ``h:mm:ss``."""
    hours, minutes, rest = map(int, clock.split(":"))
    return hours * 3600 + minutes * 60 + rest


def lines(network: str, content: str) -> Iterator[Line]:
    """Yield the lines of *content*, each at its moment within its section."""
    for section in re.split(r"^== ", content, flags=re.MULTILINE)[1:]:
        head, *body = [line for line in section.splitlines() if line.strip()]
        start, end = map(seconds, head.split())
        step = (end - start) / len(body)
        for index, line in enumerate(body):
            words, _, text = line.partition(" | ")
            jitter = 0.1 + number(70, network, line) / 100
            yield Line(round(start + (index + jitter) * step, 1), words.split(), text.replace("\\n", "\n"))


def author(network: str, who: str) -> Row:
    """Return the author called *who*; the brand is our own account."""
    if who == BRAND:
        return OWN[network]
    name, _, server = who.partition("@")
    tag = number(10**9, network, who)
    shown = re.sub(r"[_\-.]+", " ", name).strip().title()
    match network:
        case "x":
            made = {"id": str(710_000_000_000_000_000 + tag), "handle": name}
        case "reddit":
            made = {"id": f"t2_{base36(tag)}", "handle": name}
            shown = name
        case "mastodon":
            made = {"id": str(109_900_001_000_000_000 + tag), "handle": f"{name}@{server}"}
        case _:
            made = {"id": f"did:plc:{letters(digest(who))[:24]}", "handle": f"{name}.social.example.org"}
    return {**made, "display_name": shown, "followers": 3 + number(900, who) ** 2 // 90}


def base36(value: int) -> str:
    """Return *value* in the digits Reddit counts with."""
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"


def letters(raw: bytes) -> str:
    """Return *raw* in the small letters and digits of base32."""
    return base64.b32encode(raw).decode().lower().rstrip("=")


def place_in_network(network: str, line: Line, who: Row, top: bool) -> Row:
    """Return id, url and facts in the shape the network gives them."""
    tag = digest(network, line.at, line.text, who["id"])
    low = int.from_bytes(tag[:2])
    match network:
        case "x":
            post_id = str((506_600_000_000 + int(line.at * 1000) << 22) + low)  # milliseconds, then a sequence
            return {"id": post_id, "url": f"https://x.example.com/{who['handle']}/status/{post_id}"}
        case "reddit":
            post_id = ("t3_" if top else "t1_") + base36(1_700_000_000_000 + int(line.at * 10) * 100_000 + low)
            return {"id": post_id, "url": f"https://reddit.example.com/comments/{post_id[3:]}"}
        case "mastodon":
            post_id = str((1_762_068_000_000 + int(line.at * 1000) << 16) + low)
            return {
                "id": post_id,
                "url": f"https://social.example.org/@{who['handle']}/{post_id}",
                "facts": {"visibility": "direct" if "dm" in line.words else "public", "acct": who["handle"]},
            }
        case _:
            key = "3m" + letters(int(line.at * 10).to_bytes(5) + tag[:2])[:11]
            return {
                "id": f"at://{who['id']}/app.bsky.feed.post/{key}",
                "url": f"https://bsky.example.org/profile/{who['handle']}/post/{key}",
                "facts": {"cid": "bafyrei" + letters(tag)[:52]},
            }


class Day:
    """One network's day: rows to play and, for each customer's post, what it truly is."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.rows: list[Row] = []
        self.truth: list[Row] = []
        self._labelled: dict[str, Row] = {}

    def add(self, line: Line) -> None:
        """Add what *line* says happens."""
        match line.words[0]:
            case "EDIT":
                title, text = self._spoken(line.text)
                changed = {"id": self._labelled[line.words[1]]["id"], "text": text} | (
                    {"title": title} if title else {}
                )
                self.rows.append({"at": line.at, "type": "edit", "post": changed})
            case "DEL":
                gone = {"id": self._labelled[line.words[1]]["id"]}
                self.rows.append({"at": line.at, "type": "delete", "post": gone})
            case "RP":
                self._repost(line)
            case _:
                self._post(line)

    def _spoken(self, text: str) -> tuple[str, str]:
        """Return title and text, our own handle as the network writes it."""
        titled = re.match(r"\[([^\]]+)\] ", text) if self.network in ("reddit", "mastodon") else None
        title, text = (titled[1], text[titled.end() :]) if titled else ("", text)
        if self.network == "bluesky":
            text = re.sub(r"@nimbrook(?!\.)", "@nimbrook.example.com", text)
        return title, text

    def _repost(self, line: Line) -> None:
        who, source = author(self.network, line.words[1]), self._labelled[line.words[2]]
        shown = f"RT @{source['author']['handle']}: {source['text']}" if self.network == "x" else source["text"]
        post = place_in_network(self.network, line, who, top=False)
        post |= {"author": who, "text": shown, "parent_id": source["id"], "root_id": source["root_id"]}
        self.rows.append({"at": line.at, "type": "repost", "post": post})

    def _post(self, line: Line) -> None:
        name, language, intent, *marks = line.words
        who = author(self.network, name)
        title, text = self._spoken(line.text)
        by = {mark[0]: mark[1:] for mark in marks if mark[0] in '#<"='}
        above = self._labelled[by.get("<") or by['"']] if by.keys() & {"<", '"'} else None
        post = place_in_network(self.network, line, who, top=above is None) | {"author": who, "text": text}
        if title:
            post["title"] = title
        if above is not None:
            post |= {"kind": "reply" if "<" in by else "quote", "parent_id": above["id"]}
        post["root_id"] = above["root_id"] if above is not None and "<" in by else post["id"]
        place = next((mark[3:] for mark in marks if mark.startswith("at=")), BRAND)
        if self.network == "reddit":
            post["place"] = above["place"] if above is not None else place
        if "dm" in marks:
            post |= {"private": True, "kind": "message"}
        post["language"] = language
        to_us = above is not None and above["author"]["id"] == OWN[self.network]["id"]
        in_our_forum = self.network == "reddit" and above is None and place == BRAND
        post["addressed"] = (f"@{BRAND}" in text.lower() or to_us or in_our_forum) and "cold" not in marks
        if name == BRAND:
            post["addressed"] = False
        self.rows.append({"at": line.at, "type": "post", "post": post})
        if "twice" in marks:
            self.rows.append({"at": round(line.at + AGAIN_AFTER_S, 1), "type": "post", "post": post})
        if "#" in by:
            self._labelled[by["#"]] = post
        if name != BRAND:
            key = f"{self.network}:{post['id']}"
            said = {"id": key, "text": f"{title}\n{text}".strip(), "language": language, "intent": intent}
            self.truth.append({**said, "article": by.get("=")})


def build() -> dict[str, str]:
    """Return file name -> content for the four days and for what their posts truly are."""
    files: dict[str, str] = {}
    truth: list[Row] = []
    for network in NETWORKS:
        day = Day(network)
        for line in lines(network, (HERE / "texts" / f"{network}.txt").read_text(encoding="utf-8")):
            day.add(line)
        files[f"day-{network}.jsonl"] = dump(sorted(day.rows, key=lambda row: row["at"]))
        truth += day.truth
    return {**files, "truth.jsonl": dump(truth)}


def dump(rows: list[Row]) -> str:
    """Return *rows* as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    for name, content in build().items():
        (HERE / name).write_text(content, encoding="utf-8")
