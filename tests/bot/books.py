"""What stands in a database at the end, read with sqlite3 alone, compared with what networks and desks would swear."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.networks.faults import Entry

ENDS = ("ignored", "answered", "drafted", "escalated")
OVERTAKEN = "its posts were deleted before the ticket was opened"
SETTLED = ("sent", "refused", "cancelled", "person", "drafted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Rows as dictionaries. left: errands neither done nor parked."""

    integrity: str
    posts: dict[str, dict[str, Any]]
    replies: list[dict[str, Any]]
    cases: list[dict[str, Any]]
    held: list[tuple[int, int]]
    tickets: list[dict[str, Any]]
    decisions: Counter[tuple[int, int]]
    left: list[dict[str, Any]]
    parked: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the SQLite file *path* holds."""
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row

            def rows(query: str) -> list[dict[str, Any]]:
                return [dict(row) for row in connection.execute(query)]

            jobs = rows("SELECT * FROM job WHERE done_at IS NULL")
            return cls(
                integrity=connection.execute("PRAGMA integrity_check").fetchone()[0],
                posts={row["external_id"]: row for row in rows("SELECT * FROM post WHERE is_own = 0")},
                replies=rows("SELECT reply.*, post.external_id FROM reply JOIN post ON post.id = reply.post_id"),
                cases=rows('SELECT * FROM "case"'),
                held=[(row["case_id"], row["post_id"]) for row in rows("SELECT case_id, post_id FROM case_post")],
                tickets=rows("SELECT * FROM ticket"),
                decisions=Counter(
                    (row["post_id"], row["edits"])
                    for row in rows(
                        "SELECT post_id, (SELECT COUNT(*) FROM event AS e WHERE e.post_id = event.post_id AND "
                        "e.kind = 'post.edited' AND e.id < event.id) AS edits FROM event WHERE kind = 'post.decided'"
                    )
                ),
                left=[row for row in jobs if row["parked_at"] is None],
                parked=[row for row in jobs if row["parked_at"] is not None],
            )

    def outcomes(self) -> Counter[str]:
        """How many posts ended in which way."""
        return Counter(row["outcome"] for row in self.posts.values())

    def states(self) -> Counter[str]:
        """How many replies ended in which way."""
        return Counter(row["state"] for row in self.replies)

    def faults(
        self, *, planned: Iterable[str], said: Sequence[Entry], opened: Sequence[Entry] | None = None
    ) -> list[str]:
        """Return a sentence for each thing that is not as promised.

        planned: ids of the posts people wrote. said: the network's ledger. opened: the desk's; None without a desk.
        """
        faults = [] if self.integrity == "ok" else [f"integrity_check: {self.integrity}"]
        faults += [f"lost: {each}" for each in planned if each not in self.posts]
        faults += [f"left: {row['stage']} {row['key']} ({row['reason']})" for row in self.left]
        faults += self._posts()
        faults += self._replies(said)
        if opened is not None:
            faults += self._tickets(opened)
        return faults

    def _posts(self) -> list[str]:
        faults = []
        in_case = {post for _, post in self.held}
        sent = Counter(row["post_id"] for row in self.replies if row["state"] == "sent")
        for name, row in self.posts.items():
            outcome = row["outcome"]
            if outcome == "deleted":
                continue
            if outcome not in ENDS:
                faults.append(f"no end: {name} is {outcome}")
            if outcome == "answered" and sent[row["id"]] != 1:
                faults.append(f"answered with {sent[row['id']]} replies: {name}")
            if outcome == "escalated" and row["id"] not in in_case:
                faults.append(f"escalated without a case: {name}")
        faults += [f"decided {n} times: post {post}, edit {e}" for (post, e), n in self.decisions.items() if n > 1]
        return faults

    def _replies(self, said: Sequence[Entry]) -> list[str]:
        faults = [
            f"reply {row['id']} is left {row['state']}: {row['reason']}"
            for row in self.replies
            if row["state"] not in SETTLED
        ]
        times = Counter(entry.parent for entry in said)
        faults += [f"said {count} times: to {parent}" for parent, count in times.items() if count > 1]
        ours = {(row["external_id"], row["remote_id"]): row for row in self.replies if row["state"] == "sent"}
        doubtful = {row["external_id"]: row for row in self.replies if row["state"] == "person"}
        public = {(entry.parent, entry.id): entry for entry in said}
        faults += [f"thought to be public, is not: {where}" for where in ours if where not in public]
        for where, entry in public.items():
            row = ours.get((str(where[0]), where[1])) or doubtful.get(str(where[0]))
            if row is None:
                faults.append(f"said, and not in our books: {where}")
            elif not entry.text.endswith(row["text"]):
                faults.append(f"said in other words: {where}")
        return faults

    def _was_overtaken(self, ticket: Mapping[str, Any]) -> bool:
        """Tell whether customers deleted all that a case held before its ticket was opened, and the books say so."""
        outcomes = {row["id"]: row["outcome"] for row in self.posts.values()}
        held = [post for case, post in self.held if case == ticket["case_id"]]
        is_gone = all(outcomes.get(post) == "deleted" for post in held)
        return bool(ticket["state"] == "failed" and ticket["reason"] == OVERTAKEN and held and is_gone)

    def _tickets(self, opened: Sequence[Entry]) -> list[str]:
        times = Counter(entry.key for entry in opened)
        faults = [f"{count} tickets: {key}" for key, count in times.items() if count > 1]
        tickets = [row for row in self.tickets if not self._was_overtaken(row)]
        faults += [f"ticket {row['id']} is {row['state']}" for row in tickets if row["state"] != "open"]
        mine = {row["remote_id"] for row in tickets}
        theirs = {entry.id for entry in opened}
        faults += [f"a ticket that is not in our books: {each}" for each in sorted(theirs - mine)]
        faults += [f"a ticket that no desk has: {each}" for each in sorted(mine - theirs, key=str)]
        whose = Counter(
            (row["author_id"], row["root_id"])
            for row in self.cases
            if row["state"] != "resolved" and row["root_id"] is not None
        )
        faults += [f"{count} open cases for one matter: {key}" for key, count in whose.items() if count > 1]
        return faults
