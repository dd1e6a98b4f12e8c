"""The knowledge in memory, asked for a batch of posts at a time."""

from __future__ import annotations

from collections.abc import Sequence

from bot.store.situations import Known
from connectors.protocol import Capabilities
from handoff.knowledge.answer import Answers, Voice
from handoff.knowledge.search import Entry, Index, Query
from handoff.knowledge.slots import NO_SLOTS, Slots
from handoff.policy import Policy
from handoff.situation import Candidate

CANDIDATES = 3
"""Articles shown with a case."""


class Knowledge:
    """Articles ready to be asked; ``load`` puts a new set in service at once."""

    def __init__(self, policy: Policy, *, slots: Slots = NO_SLOTS) -> None:
        self._policy = policy
        self._slots = slots
        self._answers = self._made([])

    def load(self, entries: Sequence[Entry]) -> None:
        """Serve *entries* from now on."""
        self._answers = self._made(entries)

    def __len__(self) -> int:
        return len(self._answers.index)

    def __call__(self, known: Sequence[Known], capabilities: Sequence[Capabilities]) -> Sequence[Sequence[Candidate]]:
        """Return candidates for each of *known*, best first, worded for its channel."""
        if not len(self):
            return [()] * len(known)
        voices = [
            Voice(channel=each.kept.post.channel, length=able.length, markdown=able.markdown)
            for each, able in zip(known, capabilities, strict=True)
        ]
        return self._answers.candidates([_query(each) for each in known], voices, limit=CANDIDATES)

    def _made(self, entries: Sequence[Entry]) -> Answers:
        settings = self._policy.settings
        index = Index(entries, sure_languages=settings.languages)
        return Answers(index, signature=settings.signature, slots=self._slots)


def _query(known: Known) -> Query:
    post, triage = known.kept.post, known.triage
    text = f"{post.title}\n{post.text}" if post.title else post.text
    if triage is None:
        return Query(text=text)
    return Query(text=text, language=triage.language.label, embedding=triage.embedding, intent=triage.intent.label)
