"""The knowledge in memory, asked for a batch of posts at a time."""

from __future__ import annotations

from collections.abc import Sequence

from bot.store.situations import Known
from connectors.protocol import Capabilities
from handoff.knowledge.answer import Answers, Voice, word
from handoff.knowledge.search import Entry, Hit, Index, Query, nearest
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
        self._doors: Sequence[Entry] = ()

    def load(self, entries: Sequence[Entry]) -> None:
        """Serve *entries* from now on."""
        door = self._policy.settings.private.article
        self._doors = [each for each in entries if door and each.article.slug == door]
        self._answers = self._made(entries)

    def __len__(self) -> int:
        return len(self._answers.index)

    def __call__(self, known: Sequence[Known], capabilities: Sequence[Capabilities]) -> Sequence[Sequence[Candidate]]:
        """Return candidates for each of *known*, best first, worded for its channel; a door to a private talk last."""
        if not len(self):
            return [()] * len(known)
        voices = [
            Voice.of(each.kept.post.channel, able, signature=self._policy.signature(each.kept.source))
            for each, able in zip(known, capabilities, strict=True)
        ]
        found = self._answers.candidates([_query(each) for each in known], voices, limit=CANDIDATES)
        if not self._doors:
            return found
        door = self._policy.settings.private.article
        return [
            [*(each for each in candidates if each.slug != door), self._door(one, voice)]
            for one, voice, candidates in zip(known, voices, found, strict=True)
        ]

    def nearest(self, queries: Sequence[Query]) -> list[Hit | None]:
        """Return for each of *queries* the likeliest article, None where there is none."""
        return nearest(self._answers.index, queries)

    def _door(self, known: Known, voice: Voice) -> Candidate:
        """Return the article that asks to write privately: in the post's language, else the first there is."""
        asked = None if known.triage is None else known.triage.language.label
        same = (each for each in self._doors if each.article.locale.partition("-")[0] == asked)
        entry = next(same, self._doors[0])
        wording = word(entry.article, voice, slots=self._slots)
        return Candidate(
            article_id=entry.id,
            slug=entry.article.slug,
            locale=entry.article.locale,
            title=entry.article.title,
            wording=wording.text,
            confidence=1.0,
            fits=wording.fits,
            is_private_door=True,
        )

    def _made(self, entries: Sequence[Entry]) -> Answers:
        return Answers(Index(entries, sure_languages=self._policy.settings.languages), slots=self._slots)


def _query(known: Known) -> Query:
    post, triage = known.kept.post, known.triage
    text = f"{post.title}\n{post.text}" if post.title else post.text
    if triage is None:
        return Query(text=text)
    return Query(text=text, language=triage.language.label, embedding=triage.embedding, intent=triage.intent.label)
