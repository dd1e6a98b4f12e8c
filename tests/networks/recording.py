"""A recording that tests write as the day goes on: the replay channel's network is a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from connectors.channels.replay.ledger import Ledger
from tests.networks.clock import HandClock
from tests.networks.faults import Entry, Seen

ACCOUNT = {"id": "1", "handle": "brand"}
CUSTOMER = {"id": "5501", "handle": "cora_c", "display_name": "Cora C."}


@dataclass
class RecordedNetwork:
    """Rows in ``day.jsonl``, replies in ``ledger.jsonl``; the day began thirty days before the clock's first moment."""

    folder: Path
    clock: HandClock
    requests: list[Seen] = field(default_factory=list)
    page_limit: int = 100

    def __post_init__(self) -> None:
        self.start = self.clock() - timedelta(days=30)
        self.path = self.folder / "day.jsonl"
        self.ledger_path = self.folder / "ledger.jsonl"
        self.write({"type": "start", "at": self.start.isoformat()})
        self._count = 0

    def write(self, *rows: dict[str, Any]) -> None:
        """Append *rows* to the recording."""
        with self.path.open("ab") as file:
            file.writelines(orjson.dumps(row) + b"\n" for row in rows)

    def write_raw(self, line: bytes) -> None:
        """Append *line* as it is."""
        with self.path.open("ab") as file:
            file.write(line + b"\n")

    def happen(self, change: str, at: datetime, /, **post: Any) -> str:
        """Let something happen to a post; return its id."""
        self._count += 1
        post = {"id": f"p{self._count}", **post}
        self.write({"at": (at - self.start).total_seconds(), "type": change, "post": post})
        return str(post["id"])

    def say(self, text: str, *, at: datetime, author: dict[str, str] = CUSTOMER, **post: Any) -> str:
        """Let *author* post *text*, addressed to us; return its id."""
        return self.happen("post", at, **{"author": author, "text": text, "addressed": True, **post})

    def talk(self, texts: Sequence[str], *, at: datetime) -> list[str]:
        """Let customers answer each other, half a minute apart; return ids, root first."""
        chain: list[str] = []
        for number, text in enumerate(texts):
            above: dict[str, Any] = {"parent_id": chain[-1], "root_id": chain[0], "kind": "reply"} if chain else {}
            chain.append(self.say(text, at=at + timedelta(seconds=30 * number), **above))
        return chain

    @property
    def ledger(self) -> list[Entry]:
        """What the replay network's own file holds, in the test rig's words."""
        return [
            Entry(at=one.accepted_at, path="", id=one.id, text=one.text, parent=one.parent_id, key=one.key)
            for one in Ledger(self.ledger_path).entries()
        ]

    def writes_seen(self) -> list[Entry]:
        """Every accepted reply; a file sees no other writes."""
        return self.ledger
