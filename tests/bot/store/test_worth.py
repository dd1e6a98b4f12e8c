"""What knowledge is worth, counted from rows made by hand: one row more changes one figure, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import Session

from bot.store import drafts, events, people, verdicts, worth
from bot.store.engine import Store
from bot.store.refusals import Conflict, Missing
from bot.store.roles import Role
from bot.store.tables import ArticleVersionRow, Origin, PostRow, ReplyRow, ReplyState
from handoff.knowledge import worth as rules
from handoff.knowledge.article import ArticleState, Audience
from handoff.knowledge.worth import Counts, Use
from tests.bot.web.world import NOON, add_article, add_author, add_case, add_draft, add_post, add_source, add_triage

LATER = NOON + timedelta(days=3)
DAYS = timedelta(days=30)


class Shelf:
    """A store with an article, a person, and posts that were answered from the article."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.write_now(add_source)
        self.article = store.write_now(add_article)
        self.user = store.write_now(people.add, email="a@b.example", name="A", role=Role.AGENT, now=NOON).id
        self.number = 0

    def post(self, **more: Any) -> int:
        self.number += 1
        author = self.store.write_now(add_author, f"a{self.number}")
        return self.store.write_now(add_post, self.number, **{"author_id": author, **more})

    def reply(self, post: int | None = None, **more: Any) -> int:
        """Put in a reply made from the article; by default the bot's own, sent at noon."""
        post = self.post() if post is None else post
        values = {"origin": Origin.BOT, "state": ReplyState.SENT, "sent_at": NOON, "remote_id": f"r{self.number}"}
        more = {**values, "key": f"k{self.number}", "article_id": self.article, **more}
        return self.store.write_now(add_draft, post, more.pop("case_id", None), **more)

    def draft(self, **more: Any) -> int:
        return self.reply(**{"origin": Origin.DRAFT, "state": ReplyState.DRAFTED, "sent_at": None, **more})

    def use(self, **more: Any) -> Use:
        asked: dict[str, Any] = {"now": LATER, "within": DAYS, "likely": 0.35, **more}
        return next(each for each in self.store.read_now(worth.uses, **asked) if each.article_id == self.article)

    @property
    def counts(self) -> Counts:
        return self.use().within


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return Shelf(store)


def test_an_article_that_nobody_needed_has_no_figures(shelf: Shelf) -> None:
    assert shelf.use() == Use(
        article_id=shelf.article,
        name="late-parcel.en",
        title="A parcel is late",
        state=ArticleState.PUBLISHED,
        audience=Audience.PUBLIC,
        owner="Care",
        version=0,
        in_force_since=NOON,
    )


def test_settled_spans_agree() -> None:
    assert rules.SETTLED == verdicts.SETTLED


def test_a_reply_that_rested_for_two_days_resolved_the_matter(shelf: Shelf) -> None:
    shelf.reply()
    assert shelf.counts == Counts(shown=1, alone=1, resolved=1)
    assert shelf.use(now=NOON + timedelta(hours=47)).within == Counts(shown=1, alone=1, pending=1)


@pytest.mark.parametrize(
    ("later", "resolved"),
    [
        ({"minutes": 60}, False),
        ({"minutes": 60, "root_id": "elsewhere"}, True),
        ({"minutes": 60, "root_id": "elsewhere", "parent_id": "r1"}, False),
        ({"minutes": 48 * 60}, False),
        ({"minutes": 48 * 60 + 1}, True),
        ({"minutes": -1}, True),
        ({"minutes": 60, "stranger": True}, True),
        ({"minutes": 60, "intent": "praise", "sentiment": "positive"}, True),
        ({"minutes": 60, "intent": "praise", "sentiment": "negative"}, False),
        ({"minutes": 60, "intent": "delivery_item"}, False),
    ],
    ids=str,
)
def test_only_who_writes_again_in_that_conversation_was_not_helped(
    shelf: Shelf, later: dict[str, Any], resolved: bool
) -> None:
    later = dict(later)
    post = shelf.post(root_id="1")
    shelf.reply(post)
    author = shelf.store.read_now(lambda session: session.get_one(PostRow, post).author_id)
    labels = {name: later.pop(name) for name in ("intent", "sentiment") if name in later}
    if later.pop("stranger", False):
        author = shelf.store.write_now(add_author, "stranger")
    wrote = shelf.store.write_now(add_post, 99, **{"author_id": author, "root_id": "1", **later})
    if labels:
        shelf.store.write_now(add_triage, wrote, **labels)
    assert shelf.counts == Counts(shown=1, alone=1, resolved=int(resolved), unresolved=int(not resolved))
    early = shelf.use(now=NOON + timedelta(hours=47)).within
    assert early.resolved == 0, "nobody knows so soon that it rests"
    assert early.unresolved == int(not resolved), "that it does not is known at once"


@pytest.mark.parametrize(("hours", "resolved"), [(-1, True), (1, False), (60, False)])
def test_a_case_that_was_reopened_after_the_answer_was_not_resolved(shelf: Shelf, hours: float, resolved: bool) -> None:
    post = shelf.post()
    case = shelf.store.write_now(add_case, post, context={})
    shelf.reply(post, origin=Origin.DRAFT, case_id=case, approved_by=shelf.user)
    at = NOON + timedelta(hours=hours)
    shelf.store.write_now(events.add, "case.reopened", now=at, case_id=case, post_id=post)
    assert shelf.counts == Counts(
        shown=1, by_person=1, approved=1, resolved=int(resolved), unresolved=int(not resolved)
    )


def test_what_people_did_to_drafts_is_counted_with_how_much_they_changed(shelf: Shelf) -> None:
    ids = [shelf.draft(text="Please send us the number by DM.") for _ in range(5)]

    def approve(reply: int, text: str | None) -> None:
        shelf.store.write_now(drafts.approve, reply, text=text, revision=None, user_id=shelf.user, now=NOON)

    assert shelf.counts == Counts(shown=5), "what waits is shown and not judged"
    approve(ids[0], None)
    assert shelf.counts == Counts(shown=5, approved=1)
    approve(ids[1], "Please send us the invoice by DM.")
    assert (shelf.counts.approved, shelf.counts.edited) == (1, 1)
    assert shelf.counts.change == pytest.approx(1 / 7)
    shelf.store.write_now(drafts.edit, ids[2], text="Hm.", user_id=shelf.user, now=NOON)
    assert shelf.counts.edited == 1, "not approved yet"
    approve(ids[2], "Call us.")
    assert shelf.counts.change == pytest.approx((1 / 7 + 1.0) / 2), (
        "against what was prepared, not what was typed first"
    )
    shelf.store.write_now(drafts.discard, ids[3], user_id=shelf.user, now=NOON)
    assert (shelf.counts.approved, shelf.counts.edited, shelf.counts.rejected) == (1, 2, 1)
    assert shelf.counts.judged == 4


@pytest.mark.parametrize(
    ("words", "approved", "rejected"),
    [("Ours burnt down.", 0, 1), ("Please send us the number by DM.", 1, 0)],
)
def test_a_draft_that_a_person_passed_over_was_rejected_unless_they_wrote_its_very_words(
    shelf: Shelf, words: str, approved: int, rejected: int
) -> None:
    post = shelf.post()
    case = shelf.store.write_now(add_case, post)
    draft = shelf.draft(post=post, case_id=case, text="Please send us the number by DM.")
    asked: dict[str, Any] = {"nonce": "n", "send": True, "revision": None, "user_id": shelf.user, "now": NOON}
    shelf.store.write_now(drafts.write, case, post_id=post, text=words, **asked)
    assert shelf.counts == Counts(shown=1, approved=approved, rejected=rejected)
    shelf.store.write_now(drafts.discard, draft, user_id=shelf.user, now=NOON)
    assert shelf.counts == Counts(shown=1, approved=approved, rejected=rejected), "once, whatever becomes of it"


def test_a_draft_that_an_edit_or_a_guard_withdrew_is_no_verdict(shelf: Shelf) -> None:
    shelf.draft(state=ReplyState.CANCELLED, reason="the post was edited")
    shelf.reply(state=ReplyState.CANCELLED, reason="stopped", sent_at=None)
    assert shelf.counts == Counts(shown=2)


def test_words_of_a_persons_own_are_no_use_of_an_article(shelf: Shelf) -> None:
    shelf.reply(origin=Origin.AGENT, article_id=None)
    assert shelf.counts == Counts()


@pytest.mark.parametrize(
    ("answers", "shown"),
    [
        ([{"article_id": 1, "confidence": 0.35}], 1),
        ([{"article_id": 1, "confidence": 0.34}], 0),
        ([{"article_id": 2, "confidence": 0.9}, {"article_id": 1, "confidence": 0.8}], 0),
        ([], 0),
        ([{"slug": "of-before"}], 0),
    ],
    ids=["likely", "unlikely", "second best", "none", "kept without an id"],
)
def test_the_best_article_beside_a_case_was_shown(shelf: Shelf, answers: list[dict[str, Any]], shown: int) -> None:
    assert shelf.article == 1
    shelf.store.write_now(add_case, shelf.post(), context={"answers": answers})
    shelf.store.write_now(add_case, shelf.post(), context={})
    assert shelf.counts == Counts(shown=shown)


def test_a_post_with_case_and_draft_was_shown_to_once(shelf: Shelf) -> None:
    post = shelf.post()
    case = shelf.store.write_now(add_case, post, context={"answers": [{"article_id": 1, "confidence": 0.8}]})
    shelf.reply(post, origin=Origin.DRAFT, state=ReplyState.DRAFTED, case_id=case, sent_at=None)
    assert shelf.counts == Counts(shown=1)


def test_what_is_older_than_asked_for_is_left_out(shelf: Shelf) -> None:
    shelf.reply()
    shelf.store.write_now(add_case, shelf.post(), context={"answers": [{"article_id": 1, "confidence": 0.8}]})
    shelf.store.write_now(rate, shelf, True)
    assert shelf.use(now=NOON + DAYS - timedelta(minutes=1)).within.shown == 2
    assert shelf.use(now=NOON + DAYS + timedelta(minutes=1)).within == Counts()


def rate(session: Session, shelf: Shelf, is_useful: bool, case_id: int | None = None, user: int | None = None) -> None:
    worth.rate(session, shelf.article, is_useful=is_useful, case_id=case_id, user_id=user or shelf.user, now=NOON)


def test_each_person_has_one_word_on_an_article_and_one_beside_each_case(shelf: Shelf) -> None:
    case = shelf.store.write_now(add_case, shelf.post(), context={})
    bo = shelf.store.write_now(people.add, email="b@b.example", name="B", role=Role.AGENT, now=NOON).id
    for is_useful in (True, True, False):
        shelf.store.write_now(rate, shelf, is_useful)
    assert shelf.counts == Counts(useless=1), "the latest counts"
    shelf.store.write_now(rate, shelf, True, case)
    shelf.store.write_now(rate, shelf, True, case, bo)
    assert shelf.counts == Counts(useful=2, useless=1)
    assert shelf.store.read_now(worth.ratings, case, user_id=bo) == {shelf.article: True}
    assert shelf.store.read_now(worth.ratings, case + 1, user_id=bo) == {}
    assert shelf.store.read_now(worth.rating, shelf.article, user_id=shelf.user) is False
    assert shelf.store.read_now(worth.rating, shelf.article, user_id=bo) is None


def test_a_draft_is_rated_as_the_article_it_comes_from(shelf: Shelf) -> None:
    post = shelf.post()
    case = shelf.store.write_now(add_case, post, context={})
    draft = shelf.reply(post, case_id=case)
    own = shelf.reply(article_id=None, origin=Origin.AGENT)
    said = shelf.store.write_now(worth.rate_reply, draft, is_useful=False, user_id=shelf.user, now=NOON)
    assert (said.article_id, said.case_id, said.is_useful) == (shelf.article, case, False)
    with pytest.raises(Conflict, match="comes from no article"):
        shelf.store.write_now(worth.rate_reply, own, is_useful=True, user_id=shelf.user, now=NOON)
    with pytest.raises(Missing, match="no such reply"):
        shelf.store.write_now(worth.rate_reply, 999, is_useful=True, user_id=shelf.user, now=NOON)
    with pytest.raises(Missing, match="no such article"):
        shelf.store.write_now(worth.rate, 999, is_useful=True, case_id=None, user_id=shelf.user, now=NOON)
    with pytest.raises(Missing, match="no such case"):
        shelf.store.write_now(worth.rate, shelf.article, is_useful=True, case_id=99, user_id=shelf.user, now=NOON)


def test_a_new_version_starts_with_a_clean_slate(shelf: Shelf) -> None:
    shelf.reply()
    shelf.store.write_now(publish, shelf.article, NOON + timedelta(hours=1))
    shelf.reply(post=shelf.post(minutes=90), created_at=NOON + timedelta(minutes=90))
    use = shelf.use()
    assert (use.within.alone, use.in_force.alone) == (2, 1)
    assert (use.within.shown, use.in_force.shown) == (2, 1)
    assert use.in_force_since == NOON + timedelta(hours=1)


def publish(session: Session, article_id: int, at: Any) -> None:
    from bot.store.tables import ArticleRow

    session.get_one(ArticleRow, article_id).version = 2
    session.add(
        ArticleVersionRow(
            article_id=article_id,
            number=2,
            state="published",
            text="",
            revision="b",
            editors=[],
            author="A",
            made_at=at,
            published_at=at,
        )
    )


def test_dates_come_along(shelf: Shelf) -> None:
    until = NOON + timedelta(days=1)
    shelf.article = shelf.store.write_now(
        add_article, "sale", valid_until=until, review_by=date(2026, 3, 1), audience="internal", state="retired"
    )
    use = shelf.use()
    assert (use.valid_until, use.review_by, use.audience, use.state) == (until, date(2026, 3, 1), "internal", "retired")


def test_the_prepared_words_stay_when_a_person_changes_them(shelf: Shelf) -> None:
    draft = shelf.draft(text="One.")
    for text in ("Two.", "Three."):
        shelf.store.write_now(drafts.edit, draft, text=text, user_id=shelf.user, now=NOON)
    row = shelf.store.read_now(lambda session: session.get_one(ReplyRow, draft).model_dump())
    assert (row["prepared"], row["text"]) == ("One.", "Three.")
