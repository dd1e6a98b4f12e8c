"""Articles on their way, in both databases: allowed steps, two people, versions, record, folder and back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.store import articles, editions, events, migrate, people, report
from bot.store.engine import Store
from bot.store.people import User
from bot.store.refusals import Conflict, Invalid, Missing, RefusedError
from bot.store.report import ArticleFilter
from bot.store.roles import Role
from handoff.knowledge.article import Article, ArticleState, Audience
from handoff.knowledge.folder import load_all
from handoff.knowledge.readiness import Standards
from handoff.knowledge.slots import read_slots
from handoff.knowledge.writing import path_of, write

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
REFUND = Article(
    slug="refund",
    locale="en",
    title="When do I get my refund?",
    body="Five days.",
    owner="billing team",
    questions=("where is my money",),
    wordings={"default": "Five working days."},
)
STANDARDS = Standards(slots=read_slots({"status": {"type": "url", "value": "https://example.com/"}}))

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Office:
    """A store and the people at it."""

    store: Store
    ana: User
    bo: User
    lead: User
    other: User

    def do(self, act: Callable[..., Any], *values: Any, **more: Any) -> Any:
        return self.store.write_now(act, *values, **{"now": NOW, **more})

    def draft(self, article: Article = REFUND, user: User | None = None) -> int:
        made: int = self.do(editions.create, article, user_id=(user or self.ana).id)
        return made

    def published(self, article: Article = REFUND) -> int:
        article_id = self.draft(article)
        self.do(editions.submit, article_id, version=1, user_id=self.ana.id)
        self.publish(article_id, 1)
        return article_id

    def publish(self, article_id: int, version: int, user: User | None = None, **more: Any) -> None:
        who = (user or self.lead).id
        self.do(editions.publish, article_id, version=version, user_id=who, **{"standards": STANDARDS, **more})

    def view(self, article_id: int) -> editions.EditionView:
        return self.store.read_now(editions.one, article_id)

    def found(self, **more: Any) -> list[str]:
        return [each.article.name for each in self.store.read_now(articles.entries, **more)]


def add(store: Store, name: str, role: Role) -> User:
    return store.write_now(people.add, email=f"{name.lower()}@example.org", name=name, role=role, now=NOW)


@pytest.fixture
def office(store: Store) -> Office:
    return Office(
        store,
        add(store, "Ana", Role.LEAD),
        add(store, "Bo", Role.AGENT),
        add(store, "Lea", Role.LEAD),
        add(store, "Ole", Role.ADMIN),
    )


def test_from_editor_to_public_takes_two_people_and_the_record_shows_who(office: Office) -> None:
    article_id = office.draft()
    assert office.found() == []
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    assert office.found() == []
    with pytest.raises(Conflict, match="you edited version 1 yourself; publishing takes two people"):
        office.publish(article_id, 1, office.ana)
    assert office.found() == []
    office.publish(article_id, 1, now=LATER)
    assert office.found() == ["refund.en"]
    record = office.view(article_id).record
    assert [(each.step, each.version, each.by, each.user_id, each.at) for each in record] == [
        ("published", 1, "Lea", office.lead.id, LATER),
        ("submitted", 1, "Ana", office.ana.id, NOW),
        ("created", 1, "Ana", office.ana.id, NOW),
    ]
    told = office.store.read_now(events.after, 0, kinds=["article.created", "article.submitted", "article.published"])
    assert [(each.kind, (each.facts or {})["user_id"]) for each in told] == [
        ("article.created", office.ana.id),
        ("article.submitted", office.ana.id),
        ("article.published", office.lead.id),
    ]
    assert "Lea" not in str([each.facts for each in told]), "events hold ids, never names"
    view = office.view(article_id).article
    assert (view.state, view.version, view.reviewer, view.open_state) == ("published", 1, "Lea", None)


def test_whoever_wrote_a_word_since_the_last_publishing_cannot_publish(office: Office) -> None:
    article_id = office.published()
    edited = replace(REFUND, body="Three days.")
    office.do(editions.save, article_id, edited, base=1, user_id=office.lead.id)
    office.do(editions.save, article_id, replace(edited, title="Refunds?"), base=2, user_id=office.ana.id)
    office.do(editions.submit, article_id, version=3, user_id=office.bo.id)
    for user in (office.lead, office.ana):
        with pytest.raises(Conflict, match="you edited version 3 yourself"):
            office.publish(article_id, 3, user)
    office.publish(article_id, 3, office.other)
    # What two people stood for is done with: the next version is its own writer's alone.
    office.do(editions.save, article_id, replace(edited, title="Money back?"), base=3, user_id=office.bo.id)
    office.do(editions.submit, article_id, version=4, user_id=office.bo.id)
    office.publish(article_id, 4, office.ana)
    assert office.view(article_id).article.title == "Money back?"


@pytest.mark.parametrize("owner", ["lea", " LEA ", "lea@example.org", ""])
def test_an_owner_is_no_reviewer_and_an_article_has_one(owner: str, office: Office) -> None:
    article_id = office.draft(replace(REFUND, owner=owner))
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    with pytest.raises(Conflict, match="publishing takes two people"):
        office.publish(article_id, 1)
    assert office.found() == []


def test_an_agent_does_not_publish_and_nobody_does_who_is_gone(office: Office) -> None:
    article_id = office.draft()
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    with pytest.raises(Conflict, match="takes the role lead"):
        office.publish(article_id, 1, office.bo)
    office.do(people.disable, email="lea@example.org")
    with pytest.raises(Missing):
        office.publish(article_id, 1)


def test_a_step_is_taken_from_where_it_leads_from_alone(office: Office) -> None:
    article_id = office.draft()
    with pytest.raises(Conflict, match="version 1 is a draft, not in review"):
        office.publish(article_id, 1)
    with pytest.raises(Conflict, match="version 1 is a draft, not in review"):
        office.do(editions.send_back, article_id, version=1, user_id=office.bo.id)
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    with pytest.raises(Conflict, match="version 1 is in review, not a draft"):
        office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    office.do(editions.send_back, article_id, version=1, user_id=office.bo.id, note="too vague")
    assert office.view(article_id).record[0].note == "too vague"
    assert office.view(article_id).article.state == "draft"
    office.do(editions.retire, article_id, user_id=office.lead.id)
    with pytest.raises(Conflict, match="retired already"):
        office.do(editions.retire, article_id, user_id=office.lead.id)
    with pytest.raises(Conflict, match="no version is being worked on"):
        office.publish(article_id, 1)


def test_a_reviewer_publishes_what_they_saw(office: Office) -> None:
    article_id = office.draft()
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    office.do(editions.save, article_id, replace(REFUND, body="Never."), base=1, user_id=office.bo.id)
    office.do(editions.submit, article_id, version=2, user_id=office.bo.id)
    with pytest.raises(Conflict, match="version 2 is there meanwhile"):
        office.publish(article_id, 1)
    with pytest.raises(Conflict, match="version 2 was saved in the meantime"):
        office.do(editions.save, article_id, REFUND, base=1, user_id=office.ana.id)
    with pytest.raises(Conflict, match="nothing was changed"):
        office.do(editions.save, article_id, replace(REFUND, body="Never."), base=2, user_id=office.ana.id)


@pytest.mark.parametrize(
    ("wording", "said"),
    [
        ("See {stat}", "{stat} is no known slot"),
        ("See {status}, {Order}", "a brace is no slot"),
        ("Card 4111 1111 1111 1111", "holds a card number"),
    ],
)
def test_what_cannot_be_said_cannot_be_published(wording: str, said: str, office: Office) -> None:
    article_id = office.draft(replace(REFUND, wordings={"x": wording}))
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    with pytest.raises(Invalid) as refused:
        office.publish(article_id, 1)
    assert said in str(refused.value)
    assert office.found() == []


def test_a_slot_whose_value_fails_its_type_cannot_be_published(office: Office) -> None:
    article_id = office.draft(replace(REFUND, wordings={"x": "See {status}"}))
    office.do(editions.submit, article_id, version=1, user_id=office.ana.id)
    bad = Standards(slots=read_slots({"status": {"type": "url", "value": "nowhere"}}))
    with pytest.raises(Invalid, match="a url is https"):
        office.publish(article_id, 1, standards=bad)
    office.publish(article_id, 1)


def test_what_is_in_force_stays_so_while_the_next_version_is_written(office: Office) -> None:
    article_id = office.published()
    office.do(editions.save, article_id, replace(REFUND, body="Never."), base=1, user_id=office.bo.id)
    (entry,) = office.store.read_now(articles.entries)
    assert entry.article.body == "Five days."
    view = office.view(article_id)
    assert (view.article.state, view.article.open_state, view.article.newest) == ("published", "draft", 2)
    assert "Never." in view.open_text
    assert office.store.read_now(editions.working_copy, article_id)[1].body == "Never."
    found = office.store.read_now(editions.compare, article_id)
    assert (found.before, found.after) == (1, 2)
    assert [line for line in found.lines if line[0] in "+-"][2:] == ["-Five days.", "+Never."]


def test_a_restored_version_is_a_draft_that_somebody_else_publishes(office: Office) -> None:
    article_id = office.published()
    office.do(editions.save, article_id, replace(REFUND, body="Never."), base=1, user_id=office.ana.id)
    office.do(editions.submit, article_id, version=2, user_id=office.ana.id)
    office.publish(article_id, 2)
    made = office.do(editions.restore, article_id, number=1, user_id=office.lead.id)
    assert made == 3
    assert office.store.read_now(articles.entries)[0].article.body == "Never."
    office.do(editions.submit, article_id, version=3, user_id=office.lead.id)
    with pytest.raises(Conflict, match="you edited version 3"):
        office.publish(article_id, 3)
    office.publish(article_id, 3, office.ana)
    assert office.store.read_now(articles.entries)[0].article.body == "Five days."
    assert [(each.number, each.state, each.restored_from) for each in office.view(article_id).versions] == [
        (3, "published", 1),
        (2, "superseded", None),
        (1, "superseded", None),
    ]
    with pytest.raises(Missing, match="no version 9"):
        office.do(editions.restore, article_id, number=9, user_id=office.bo.id)


def test_restoring_what_was_never_published_does_not_launder_who_wrote_it(office: Office) -> None:
    article_id = office.draft()
    office.do(editions.save, article_id, replace(REFUND, body="Other."), base=1, user_id=office.bo.id)
    office.do(editions.restore, article_id, number=1, user_id=office.bo.id)
    office.do(editions.submit, article_id, version=3, user_id=office.bo.id)
    with pytest.raises(Conflict, match="you edited version 3"):
        office.publish(article_id, 3, office.ana)


def test_a_retired_article_is_silent_until_two_people_say_otherwise(office: Office) -> None:
    article_id = office.published()
    office.do(editions.retire, article_id, user_id=office.lead.id, note="wrong")
    assert office.found() == []
    assert office.store.read_now(articles.search, "refund") == []
    assert office.view(article_id).article.retired_at == NOW
    office.do(editions.restore, article_id, number=1, user_id=office.ana.id)
    assert office.found() == []
    office.do(editions.submit, article_id, version=2, user_id=office.ana.id)
    office.publish(article_id, 2)
    assert office.found() == ["refund.en"]
    assert office.view(article_id).article.retired_at is None


def test_only_published_public_valid_articles_of_the_brand_are_found(office: Office) -> None:
    made: dict[str, dict[str, Any]] = {
        "plain": {},
        "internal": {"audience": Audience.INTERNAL},
        "early": {"valid_from": LATER},
        "late": {"valid_until": LATER},
        "lark": {"brand": "Lark"},
    }
    for slug, more in made.items():
        office.published(replace(REFUND, slug=slug, **more))
    office.draft(replace(REFUND, slug="draft"))
    assert office.found() == ["plain.en", "early.en", "late.en", "lark.en"]
    assert office.found(now=NOW, brand="Wren") == ["plain.en", "late.en"]
    assert office.found(now=LATER, brand="Lark") == ["plain.en", "early.en", "lark.en"]
    states = {
        office.store.read_now(articles.state, now=at, brand=brand)
        for at, brand in itertools.product((NOW, LATER), ("Lark", "Wren"))
    }
    assert len(states) == 4
    for entry in office.store.read_now(articles.entries):
        found = entry.article.name in office.found(now=NOW, brand="Lark")
        assert entry.article.may_be_said(NOW, brand="Lark") is found


def test_a_translation_is_out_of_date_once_the_main_article_changed(office: Office) -> None:
    main = office.published()
    german = office.published(replace(REFUND, locale="de", title="Geld zurück?"))
    assert not office.view(german).article.is_outdated
    office.do(editions.save, main, replace(REFUND, body="Three days."), base=1, user_id=office.bo.id)
    assert not office.view(german).article.is_outdated, "a draft is nothing yet"
    office.do(editions.submit, main, version=2, user_id=office.bo.id)
    office.publish(main, 2, now=LATER)
    assert office.view(german).article.is_outdated
    assert not office.view(main).article.is_outdated
    # A corrected comma does not make it follow; saying so does.
    typo = replace(REFUND, locale="de", title="Geld zurück!")
    office.do(editions.save, german, typo, base=1, user_id=office.ana.id)
    office.do(editions.submit, german, version=2, user_id=office.ana.id)
    office.publish(german, 2, now=LATER)
    assert office.view(german).article.is_outdated
    followed = replace(typo, body="Drei Tage.")
    office.do(editions.save, german, followed, base=2, user_id=office.ana.id, follows_main=True)
    office.do(editions.submit, german, version=3, user_id=office.ana.id)
    office.publish(german, 3, now=LATER)
    assert not office.view(german).article.is_outdated


def test_who_is_due_is_told_once_for_each_date(office: Office) -> None:
    article_id = office.published(replace(REFUND, review_by=date(2026, 3, 10)))
    office.published(replace(REFUND, slug="other", review_by=date(2026, 9, 1)))
    office.draft(replace(REFUND, slug="draft", review_by=date(2026, 3, 1)))
    assert [each.name for each in office.store.read_now(editions.due, today=NOW.date())] == ["refund.en"]
    assert [each.name for each in office.do(editions.remind)] == ["refund.en"]
    assert office.do(editions.remind) == []
    (told,) = office.store.read_now(events.after, 0, kinds=["article.due"])
    assert told.facts == {"article_id": article_id, "review_by": "2026-03-10"}
    office.do(editions.save, article_id, replace(REFUND, review_by=date(2026, 3, 12)), base=1, user_id=office.bo.id)
    office.do(editions.submit, article_id, version=2, user_id=office.bo.id)
    office.publish(article_id, 2)
    assert len(office.do(editions.remind)) == 1


def test_a_list_is_filtered_by_state_of_either_version_brand_audience_and_date(office: Office) -> None:
    first = office.published(replace(REFUND, review_by=date(2026, 3, 10)))
    office.published(replace(REFUND, slug="lark", brand="Lark", audience=Audience.INTERNAL))
    office.do(editions.save, first, replace(REFUND, body="x"), base=1, user_id=office.bo.id)

    def names(**wanted: Any) -> list[str]:
        return [each.slug for each in office.store.read_now(report.articles, ArticleFilter(**wanted), limit=9).items]

    assert names() == ["refund", "lark"]
    assert names(state="draft") == ["refund"]
    assert names(state="published") == ["refund", "lark"]
    assert names(brand="Lark") == names(audience="internal") == ["lark"]
    assert names(due_by=date(2026, 3, 10)) == ["refund"]
    assert office.store.read_now(report.brands) == ["Lark"]


def test_a_page_may_write_no_more_than_a_file(office: Office) -> None:
    with pytest.raises(Invalid, match="title holds the invisible character"):
        office.draft(replace(REFUND, title="pay\u202eme"))
    with pytest.raises(Invalid, match="neither a body nor channels"):
        office.draft(replace(REFUND, body="", wordings={}))
    with pytest.raises(Invalid, match="are allowed, split it"):
        office.draft(replace(REFUND, body="x" * 20_000))
    office.draft()
    with pytest.raises(Conflict, match=r"refund.en is there already"):
        office.draft()


def test_a_folder_takes_two_people_too(office: Office) -> None:
    with pytest.raises(Invalid, match="names no reviewer"):
        office.do(articles.take_folder, [REFUND], standards=STANDARDS)
    alone = replace(REFUND, reviewer="Billing Team")
    with pytest.raises(Invalid, match="is owner and reviewer"):
        office.do(articles.take_folder, [alone], standards=STANDARDS)
    bad = replace(REFUND, reviewer="Lea", wordings={"x": "{nope}"})
    with pytest.raises(Invalid, match=r"refund.en: x: \{nope\} is no known slot"):
        office.do(articles.take_folder, [bad], standards=STANDARDS)
    assert office.found() == []
    office.do(articles.take_folder, [replace(REFUND, reviewer="Lea")], standards=STANDARDS)
    (record,) = [office.view(each.id).record for each in office.store.read_now(articles.entries)]
    assert [(each.step, each.by) for each in record] == [("published", "Lea"), ("imported", "billing team")]


def test_a_folder_does_not_undo_what_people_did_since(office: Office) -> None:
    file = replace(REFUND, reviewer="Lea")
    office.do(articles.put_all, [file])
    (article_id,) = [each.id for each in office.store.read_now(articles.entries)]
    office.do(editions.save, article_id, replace(file, body="Page."), base=1, user_id=office.ana.id)
    office.do(editions.submit, article_id, version=2, user_id=office.ana.id)
    office.publish(article_id, 2)
    assert office.do(articles.put_all, [file]).unchanged == 1
    assert office.store.read_now(articles.entries)[0].article.body == "Page."
    office.do(editions.retire, article_id, user_id=office.lead.id)
    assert office.do(articles.put_all, [file]).unchanged == 1
    assert office.found() == []
    newer = replace(file, body="File.")
    assert office.do(articles.put_all, [newer]).new == ["refund.en"]
    assert office.store.read_now(articles.entries)[0].article.body == "File."
    assert [each.number for each in office.view(article_id).versions] == [3, 2, 1]


def test_an_article_written_here_is_not_retired_by_a_folder_without_it(office: Office) -> None:
    office.published()
    office.do(articles.put_all, [replace(REFUND, slug="other", reviewer="Lea")])
    assert office.found() == ["refund.en", "other.en"]
    assert office.do(articles.put_all, [replace(REFUND, slug="third", reviewer="Lea")]).retired == ["other.en"]


def test_an_article_of_before_versions_gets_its_first_one(office: Office) -> None:
    office.do(articles.put_all, [replace(REFUND, reviewer="Lea")])
    with office.store.engine.begin() as connection:  # as the migration leaves it
        connection.execute(sa.text("DELETE FROM article_step"))
        connection.execute(sa.text("DELETE FROM article_version"))
        connection.execute(sa.text("UPDATE article SET version = 0, newest = 0"))
    (article_id,) = [each.id for each in office.store.read_now(articles.entries)]
    base, article = office.store.read_now(editions.working_copy, article_id)
    assert [each.number for each in office.view(article_id).versions] == [1]
    made = office.do(editions.save, article_id, replace(article, body="New."), base=base, user_id=office.bo.id)
    assert made == 2
    assert office.store.read_now(editions.compare, article_id).lines != []


def test_a_store_of_before_keeps_what_was_in_force_and_what_was_retired(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    with store.schema() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    insert = sa.text(
        "INSERT INTO article (slug, locale, title, body, tags, questions, owner, wordings, revision, vectors,"
        " vectors_model, retired_at, updated_at) VALUES (:slug, 'en', 'A', 'b', '[]', '[]', 'o', '{}', 'r', :none, '',"
        " :retired_at, 1)"
    )
    with store.engine.begin() as connection:
        for slug, retired_at in (("live", None), ("gone", 1)):
            connection.execute(insert, {"slug": slug, "retired_at": retired_at, "none": b""})
    migrate.upgrade(store)
    (entry,) = store.read_now(articles.entries, now=NOW, brand="any")
    assert (entry.article.name, entry.article.state) == ("live.en", ArticleState.PUBLISHED)
    assert [each.article.slug for each in store.read_now(articles.listing, retired=True)] == ["gone"]
    # All came from a folder: what is missing there now retires, as before.
    assert store.write_now(articles.put_all, [replace(REFUND, reviewer="Lea")], now=NOW).retired == ["live.en"]


def test_going_back_a_schema_says_nothing_that_was_never_published(office: Office) -> None:
    office.published()
    office.draft(replace(REFUND, slug="draft"))
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    with office.store.schema() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    with office.store.engine.begin() as connection:
        live = connection.execute(sa.text("SELECT slug FROM article WHERE retired_at IS NULL")).scalars().all()
    assert live == ["refund"]


ACTS = st.sampled_from(["edit", "submit", "return", "publish", "retire", "restore"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(ACTS, st.integers(0, 3)), max_size=14))
def test_whatever_people_try_one_alone_never_reaches_the_public(steps: list[tuple[str, int]], office: Office) -> None:
    users = (office.ana, office.bo, office.lead, office.other)
    article_id = office.draft(replace(REFUND, slug=f"s{next(NUMBERS)}"))
    writers: dict[int, set[int]] = {1: {office.ana.id}}
    for number, (act, who) in enumerate(steps):
        user, newest = users[who], office.view(article_id).article.newest
        before = office.view(article_id).article
        try:
            match act:
                case "edit":
                    changed = replace(REFUND, slug=before.slug, body=f"Body {number}.")
                    office.do(editions.save, article_id, changed, base=newest, user_id=user.id)
                    theirs = writers[newest] if before.open_state else set()
                    writers[newest + 1] = theirs | {user.id}
                case "submit":
                    office.do(editions.submit, article_id, version=newest, user_id=user.id)
                case "return":
                    office.do(editions.send_back, article_id, version=newest, user_id=user.id)
                case "publish":
                    office.publish(article_id, newest, user)
                    assert before.open_state == "in_review"
                    assert user.id not in writers[newest]
                    assert user.role.covers(Role.LEAD)
                case "retire":
                    office.do(editions.retire, article_id, user_id=user.id)
                case _:
                    office.do(editions.restore, article_id, number=1, user_id=user.id)
                    writers[newest + 1] = {user.id} if _was_public(office, article_id, 1) else writers[1] | {user.id}
        except RefusedError:
            after = office.view(article_id).article
            assert (after.state, after.newest, after.version) == (before.state, before.newest, before.version)
    view = office.view(article_id)
    public = [each for each in view.record if each.step == "published"]
    assert all(each.user_id not in writers[each.version] for each in public)
    assert (view.article.state == "published") <= bool(public)


NUMBERS = itertools.count()


def _was_public(office: Office, article_id: int, number: int) -> bool:
    return any(each.number == number and each.published_at for each in office.view(article_id).versions)


def test_an_export_imported_again_changes_nothing(office: Office, tmp_path: Any) -> None:
    first = office.published(replace(REFUND, valid_until=LATER, wordings={"x": "See {status}", "default": "a\n\nb"}))
    office.published(
        replace(REFUND, locale="de", title="Geld?", review_by=date(2026, 5, 1), topics=("billing/refunds",))
    )
    gone = office.published(replace(REFUND, slug="gone", brand="Lark", audience=Audience.INTERNAL))
    office.do(editions.retire, gone, user_id=office.lead.id)
    office.do(editions.save, first, replace(REFUND, body="Soon."), base=1, user_id=office.bo.id)
    waiting = office.draft(replace(REFUND, slug="waiting"))
    office.do(editions.submit, waiting, version=1, user_id=office.ana.id)
    before = office.store.read_now(editions.everything)
    for each in before:
        path = tmp_path / path_of(each)
        path.parent.mkdir(exist_ok=True)
        path.write_text(write(each), encoding="utf-8")
    loaded = load_all(tmp_path)
    assert sorted(each.imprint for each in loaded) == sorted(each.imprint for each in before)
    changes = office.do(articles.take_folder, loaded, standards=STANDARDS)
    assert (changes.new, changes.changed, changes.retired, changes.unchanged) == ([], [], [], len(before))
    assert office.store.read_now(editions.everything) == before


def test_an_export_makes_the_same_articles_in_an_empty_store(office: Office) -> None:
    first = office.published(replace(REFUND, valid_until=LATER))
    office.do(editions.save, first, replace(REFUND, body="Soon."), base=1, user_id=office.bo.id)
    gone = office.published(replace(REFUND, slug="gone"))
    office.do(editions.retire, gone, user_id=office.lead.id)
    before = office.store.read_now(editions.everything)
    with office.store.engine.begin() as connection:
        for table in ("article_step", "article_version"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
        connection.execute(sa.text("DELETE FROM article_search"))
        connection.execute(sa.text("DELETE FROM article"))
    office.do(articles.take_folder, before, standards=STANDARDS)
    assert office.store.read_now(editions.everything) == before
    assert office.found() == ["refund.en"]
