"""Which questions no article answered, from rows made by hand; drafts made of them; and both fast on a large store."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from bot.store import drafts, editions, gaps, people, worth
from bot.store.engine import Store
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.roles import Role
from bot.store.tables import AuthorRow, CaseRow, Origin, Outcome, PostRow, ReplyRow, ReplyState, TriageRow
from bot.store.upsert import table_of
from bot.store.verdicts import DISCARDED
from handoff.guards import NO_ANSWER, UNLIKELY
from handoff.knowledge.gaps import find
from handoff.sensitive import IN_WORDS, Topic
from tests.bot.web.world import NOON, add_article, add_author, add_case, add_draft, add_post, add_source, add_triage

SINCE = NOON - timedelta(days=1)
ASKED: dict[str, Any] = {"outcome": Outcome.ESCALATED, "reasons": [f"{UNLIKELY} (best 0.12)"]}


class Inbox:
    """A store, a customer and a person."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.write_now(add_source)
        self.author = store.write_now(add_author)
        self.article = store.write_now(add_article)
        self.user = store.write_now(people.add, email="a@b.example", name="A", role=Role.AGENT, now=NOON).id
        self.number = 0

    def ask(self, text: str = "does it work with fibre?", labels: dict[str, str] | None = None, **more: Any) -> int:
        self.number += 1
        values = {"author_id": self.author, "text": text, **ASKED, **more}
        post = self.store.write_now(add_post, self.number, **values)
        if labels is None or labels:
            named: dict[str, Any] = {"intent": "product_question", **(labels or {})}
            self.store.write_now(add_triage, post, **named)
        return post

    def answer(self, post: int, **more: Any) -> None:
        self.number += 1
        values = {"key": f"k{self.number}", "article_id": self.article, **more}
        self.store.write_now(add_draft, post, values.pop("case_id", None), **values)

    def asked(self, **more: Any) -> list[int]:
        found, _ = self.store.read_now(gaps.questions, **{"since": SINCE, **more})
        return [each.post_id for each in found]

    def propose(self, *posts: int) -> int:
        return self.store.write_now(gaps.propose, posts, user_id=self.user, now=NOON, main_locale="en")


@pytest.fixture
def inbox(store: Store) -> Inbox:
    return Inbox(store)


@pytest.mark.parametrize(
    ("post", "is_gap"),
    [
        ({}, True),
        ({"reasons": ["it is urgent", NO_ANSWER]}, True),
        ({"outcome": Outcome.ANSWERED}, True),
        ({"reasons": ["it is urgent"]}, False),
        ({"reasons": None}, False),
        ({"reasons": ["it is a private matter, and no article asks to write to us privately"]}, False),
        ({"reasons": [NO_ANSWER, IN_WORDS[Topic.DANGER]]}, False),
        ({"outcome": Outcome.IGNORED}, False),
        ({"outcome": Outcome.DELETED, "deleted_at": NOON}, False),
        ({"is_own": True}, False),
        ({"minutes": -24 * 60}, False),
        ({"text": "@us https://x.example/1"}, False),
        ({"labels": {"intent": "human_agent"}}, False),
        ({"labels": {}}, False),
    ],
    ids=str,
)
def test_a_gap_is_what_went_to_people_for_want_of_an_article(inbox: Inbox, post: dict[str, Any], is_gap: bool) -> None:
    number = inbox.ask(**post)
    assert inbox.asked(leave_out=("human_agent",)) == ([number] if is_gap else [])


@pytest.mark.parametrize(
    ("reply", "is_gap"),
    [
        ({"origin": Origin.AGENT, "article_id": None, "state": ReplyState.SENT}, True),
        ({"origin": Origin.DRAFT, "state": ReplyState.CANCELLED, "reason": DISCARDED}, True),
        ({"origin": Origin.DRAFT, "state": ReplyState.DRAFTED}, False),
        ({"origin": Origin.DRAFT, "state": ReplyState.SENT}, False),
        ({"origin": Origin.BOT, "state": ReplyState.INTENDED}, False),
        ({"origin": Origin.BOT, "state": ReplyState.CANCELLED, "reason": "stopped"}, True),
    ],
    ids=str,
)
def test_what_an_article_answered_is_no_gap(inbox: Inbox, reply: dict[str, Any], is_gap: bool) -> None:
    number = inbox.ask()
    inbox.answer(number, **reply)
    assert inbox.asked() == ([number] if is_gap else [])


def test_a_question_whose_draft_was_discarded_is_a_gap_whatever_its_reasons(inbox: Inbox) -> None:
    number = inbox.ask(outcome=Outcome.DRAFTED, reasons=["late-parcel answers it (0.50)"])
    inbox.answer(number, state=ReplyState.CANCELLED, reason=DISCARDED)
    (found,), _ = inbox.store.read_now(gaps.questions, since=SINCE)
    assert (found.post_id, found.was_rejected) == (number, True)


@pytest.mark.parametrize(
    ("words", "is_gap"), [("Ours burnt down.", True), ("Sorry for the wait! Send us the number by DM.", False)]
)
def test_a_question_whose_draft_was_passed_over_is_a_gap_unless_its_very_words_were_said(
    inbox: Inbox, words: str, is_gap: bool
) -> None:
    number = inbox.ask(outcome=Outcome.DRAFTED, reasons=["late-parcel answers it (0.50)"])
    case = inbox.store.write_now(add_case, number)
    inbox.answer(number, case_id=case)
    assert inbox.asked() == []
    asked: dict[str, Any] = {"nonce": "n", "send": True, "revision": None, "user_id": inbox.user, "now": NOON}
    inbox.store.write_now(drafts.write, case, post_id=number, text=words, **asked)
    found, _ = inbox.store.read_now(gaps.questions, since=SINCE)
    assert [(each.post_id, each.was_rejected) for each in found] == ([(number, True)] if is_gap else [])


def test_the_newest_are_looked_at_and_more_is_told(inbox: Inbox) -> None:
    posts = [inbox.ask(f"question {number} of many", minutes=number) for number in range(5)]
    found, is_cut = inbox.store.read_now(gaps.questions, since=SINCE, limit=3)
    assert ([each.post_id for each in found], is_cut) == (posts[:1:-1], True)
    assert inbox.store.read_now(gaps.questions, since=SINCE, limit=5)[1] is False


def test_a_question_is_read_whole(inbox: Inbox) -> None:
    inbox.ask("with fibre?", title="Router", is_private=True, labels={"language": "de"}, channel="reddit")
    (found,), _ = inbox.store.read_now(gaps.questions, since=SINCE)
    assert (found.text, found.language, found.channel) == ("Router\nwith fibre?", "de", "reddit")
    assert (found.intent, found.is_private, found.at, found.model) == ("product_question", True, NOON, "test@1")


def test_a_gap_becomes_a_draft_that_takes_the_way_of_every_draft(inbox: Inbox) -> None:
    posts = [inbox.ask(), inbox.ask("@us does it work with my fibre line, mail ana@example.org")]
    inbox.ask(is_private=True)
    made = inbox.propose(*posts)
    edition = inbox.store.read_now(editions.one, made)
    article = edition.article
    assert (article.state, article.version, article.title) == ("draft", 0, "does it work with fibre?")
    assert list(article.questions) == [
        "does it work with fibre?",
        "does it work with my fibre line, mail [e-mail]",
    ]
    assert (article.wordings, article.owner, article.reviewer) == ({}, "", "")
    assert [each.step for each in edition.record] == ["created"]
    assert [each.article.name for each in inbox.store.read_now(worth_articles)] == ["late-parcel.en"], "never said"
    assert inbox.store.read_now(gaps.being_written) == dict.fromkeys(article.questions, "does-it-work-with-fibre.en")
    with pytest.raises(Conflict, match="is being written already"):
        inbox.propose(*posts)


def worth_articles(session: Session) -> Any:
    from bot.store import articles

    return articles.entries(session)


def test_whoever_made_the_draft_cannot_publish_it(inbox: Inbox) -> None:
    lead = inbox.store.write_now(people.add, email="l@b.example", name="L", role=Role.LEAD, now=NOON)
    inbox.user = lead.id
    made = inbox.propose(inbox.ask())
    _, article = inbox.store.read_now(editions.working_copy, made)
    from dataclasses import replace

    worded = replace(article, wordings={"default": "Yes."}, owner="team")
    inbox.store.write_now(editions.save, made, worded, base=1, user_id=lead.id, now=NOON)
    inbox.store.write_now(editions.submit, made, version=2, user_id=lead.id, now=NOON)
    found = inbox.store.read_now(editions.one, made, user=lead)
    assert "takes two people" in found.permitted["published"]


@pytest.mark.parametrize(
    ("posts", "error", "told"),
    [
        ((), Invalid, "1 to 50 posts"),
        (tuple(range(1, 60)), Invalid, "1 to 50 posts"),
        ((999,), Missing, "no post with words and labels has the id 999"),
        ((1,), Invalid, "asked in private"),
        ((2,), Missing, "may have been deleted"),
    ],
    ids=str,
)
def test_what_cannot_become_a_draft_is_told(
    inbox: Inbox, posts: tuple[int, ...], error: type[Exception], told: str
) -> None:
    inbox.ask(is_private=True)
    inbox.ask(deleted_at=NOON)
    with pytest.raises(error, match=told):
        inbox.propose(*posts)


POSTS = 200_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_both_questions_are_quick_with_two_hundred_thousand_posts(sqlite_store: Store) -> None:
    sqlite_store.write_now(add_article)
    sqlite_store.write_now(fill)
    spent = {}
    now = NOON + timedelta(days=90)
    began = time.process_time()
    assert sqlite_store.read_now(worth.uses, now=now, within=timedelta(days=90), likely=0.35)
    spent["worth"], began = time.process_time() - began, time.process_time()
    found, is_cut = sqlite_store.read_now(gaps.questions, since=NOON + timedelta(days=60))
    spent["questions"] = time.process_time() - began
    assert (len(found), is_cut) == (gaps.MOST, True)
    assert spent["worth"] < 6, spent
    assert spent["questions"] < 3, spent


def fill(session: Session) -> None:
    """Put in ninety days: 200,000 posts, a third with people, a tenth answered, cases as large as real ones."""
    connection = session.connection()
    connection.execute(
        sa.insert(table_of(AuthorRow)),
        [
            {"id": n, "channel": "x", "external_id": f"u{n}", "handle": f"a{n}", "display_name": "", "is_bot": False}
            for n in range(1, 20_001)
        ],
    )
    context = {
        "post": {"text": "x" * 300},
        "thread": [{"text": "y" * 400}] * 3,
        "history": [{"text": "z" * 300}] * 5,
        "answers": [{"article_id": 1, "confidence": 0.6, "wording": "w" * 250}] * 3,
    }
    for start in range(1, POSTS + 1, 20_000):
        numbers = range(start, start + 20_000)
        connection.execute(sa.insert(table_of(PostRow)), [_post(n) for n in numbers])
        connection.execute(sa.insert(table_of(TriageRow)), [_triage(n) for n in numbers])
        connection.execute(sa.insert(table_of(CaseRow)), [_case(n, context) for n in numbers if n % 6 == 0])
        connection.execute(sa.insert(table_of(ReplyRow)), [_reply(n) for n in numbers if n % 10 == 1])


def _at(number: int) -> Any:
    return NOON + timedelta(days=90) * (number / POSTS)


def _post(n: int) -> dict[str, Any]:
    outcome = Outcome.ESCALATED if n % 3 == 0 else Outcome.IGNORED
    return {
        "id": n,
        "channel": "x",
        "external_id": str(n),
        "source": "x",
        "stream": "m",
        "kind": "post",
        "title": "",
        "author_id": n % 20_000 + 1,
        "text": f"question number {n} about parcels",
        "revision": "r",
        "edits": 0,
        "root_id": str(n),
        "place": "",
        "addressed": True,
        "is_own": False,
        "is_private": False,
        "facts": {},
        "created_at": _at(n),
        "ingested_at": _at(n),
        "checked_at": _at(n),
        "outcome": outcome,
        "reasons": [f"{UNLIKELY} (best 0.10)"] if n % 6 == 0 else ["it is urgent"],
    }


def _triage(n: int) -> dict[str, Any]:
    labels = {"sentiment": "neutral", "intent": "product_question", "urgency": "normal", "toxicity": "ok", "spam": "ok"}
    sure = {f"{head}_confidence": 0.9 for head in (*labels, "language")}
    more = {"post_id": n, "revision": "", "language": "en", "model": "m@1", "embedding": b"\0\x3c" * 384}
    return {**labels, **sure, **more, "judged_at": _at(n)}


def _case(n: int, context: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": f"x:{n}",
        "post_id": n,
        "author_id": n % 20_000 + 1,
        "channel": "x",
        "source": "x",
        "title": "",
        "root_id": str(n),
        "state": "open",
        "queue": "care",
        "priority": 2,
        "reasons": [],
        "context": context,
        "opened_at": _at(n),
        "due_at": _at(n),
    }


def _reply(n: int) -> dict[str, Any]:
    return {
        "key": f"k{n}",
        "post_id": n,
        "source": "x",
        "channel": "x",
        "state": ReplyState.SENT,
        "text": "Yes.",
        "origin": Origin.BOT,
        "article_id": 1,
        "confidence": 0.95,
        "is_edited": False,
        "target_revision": "r",
        "attempts": 1,
        "created_at": _at(n),
        "expires_at": _at(n),
        "sent_at": _at(n),
        "remote_id": f"r{n}",
    }


def test_what_was_read_can_be_grouped(inbox: Inbox) -> None:
    for text in ("does it work with fibre", "it does work with fibre", "where is the shop"):
        inbox.ask(text)
    found, _ = inbox.store.read_now(gaps.questions, since=SINCE)
    assert [gap.asked for gap in find(found, least=1)] == [2, 1]
