"""An article written to a file and read again is the same article, whatever stands in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handoff.knowledge.article import Article, ArticleError, ArticleState, Audience, parse
from handoff.knowledge.folder import load_all, load_folder, lonely, named
from handoff.knowledge.writing import content, diff, path_of, write

NASTY = (
    "---",
    "a: b",
    "# x",
    "- x",
    "no",
    "2026-01-01",
    "null",
    "'",
    '"',
    "{hours:store}",
    "|",
    ">",
    "  x",
    "x\n---\ny",
)
LETTERS = st.characters(
    codec="utf-8",
    categories=("L", "M", "N", "P", "S", "Zs"),
    include_characters="\n\t\u2028\U0001f600",
    exclude_characters="\u200b\u200e\u200f\u2060\ufeff",
)
TEXT = st.one_of(st.sampled_from(NASTY), st.text(LETTERS, min_size=1, max_size=60)).map(str.strip).filter(bool)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?", fullmatch=True)
MOMENTS = st.datetimes(
    min_value=datetime.fromisoformat("2000-01-01"),
    max_value=datetime.fromisoformat("2100-01-01"),
    timezones=st.just(UTC),
)


@st.composite
def articles(draw: st.DrawFn) -> Article:
    """Any article that a file may hold."""
    begins = draw(st.none() | MOMENTS)
    lasts = draw(st.none() | st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=900)))
    options: dict[str, Any] = {
        "valid_from": begins,
        "valid_until": None if lasts is None else (begins or datetime(2026, 1, 1, tzinfo=UTC)) + lasts,
        "wordings": draw(st.dictionaries(st.sampled_from(["default", "x", "sms", "voice", "e-mail"]), TEXT)),
    }
    return Article(
        slug=draw(NAMES),
        locale=draw(st.sampled_from(["en", "de", "no", "pt-BR", "zh-Hant-TW"])),
        title=draw(TEXT),
        body=draw(TEXT if not options["wordings"] else TEXT | st.just("")),
        tags=tuple(draw(st.lists(TEXT, max_size=3, unique=True))),
        topics=tuple(draw(st.lists(TEXT, max_size=3, unique=True))),
        questions=tuple(draw(st.lists(TEXT, max_size=4, unique=True))),
        owner=draw(TEXT | st.just("")),
        reviewer=draw(TEXT | st.just("")),
        brand=draw(TEXT | st.just("")),
        state=draw(st.sampled_from(ArticleState)),
        audience=draw(st.sampled_from(Audience)),
        review_by=draw(st.none() | st.dates(date(2000, 1, 1), date(2100, 1, 1))),
        translation_of=draw(st.sampled_from(["", "0123456789abcdef", "1234567890123456"])),
        **options,
    )


@settings(max_examples=200)
@given(articles())
def test_what_is_written_is_read_back(article: Article) -> None:
    read = parse(write(article), name="other.md")
    assert read == article
    assert (read.revision, read.imprint) == (article.revision, article.imprint)
    assert write(read) == write(article)


@settings(max_examples=40)
@given(
    st.lists(articles(), min_size=1, max_size=6, unique_by=lambda each: (each.slug, each.locale, each.state.is_open))
)
def test_a_folder_holds_what_was_put_there(many: list[Article]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        for each in many:
            path = Path(name, path_of(each))
            path.parent.mkdir(exist_ok=True)
            path.write_text(write(each), encoding="utf-8")
        expected = sorted(many, key=lambda each: (each.slug, each.locale, each.state.is_open))
        assert load_all(Path(name)) == expected
        assert load_folder(Path(name)) == [each for each in expected if each.state is ArticleState.PUBLISHED]


PLAIN = Article(slug="refund", locale="en", title="Refund", body="Five days.", owner="billing", reviewer="Mara")


@pytest.mark.parametrize(
    "change",
    [
        {"audience": Audience.INTERNAL},
        {"brand": "Lark"},
        {"topics": ("billing",)},
        {"valid_from": datetime(2026, 1, 1, tzinfo=UTC)},
        {"valid_until": datetime(2026, 1, 1, tzinfo=UTC)},
        {"review_by": date(2026, 1, 1)},
    ],
)
def test_the_revision_follows_every_field_that_is_content(change: dict[str, Any]) -> None:
    assert replace(PLAIN, **change).revision != PLAIN.revision


@pytest.mark.parametrize(
    "change", [{"state": ArticleState.DRAFT}, {"reviewer": "Noor"}, {"translation_of": "0123456789abcdef"}]
)
def test_who_and_state_change_the_imprint_alone(change: dict[str, Any]) -> None:
    other = replace(PLAIN, **change)
    assert other.revision == PLAIN.revision
    assert other.imprint != PLAIN.imprint


def test_an_article_of_before_keeps_its_revision() -> None:
    # Computed before there were states and dates: vectors of such articles stay good.
    old = Article(
        slug="a", locale="en", title="A", body="b", tags=("t",), owner="o", questions=("q",), wordings={"x": "w"}
    )
    assert old.revision == "311b57f4b1485826"


def test_a_draft_stands_beside_what_is_in_force() -> None:
    draft = replace(PLAIN, state=ArticleState.DRAFT)
    assert (str(path_of(PLAIN)), str(path_of(draft))) == ("refund.md", "drafts/refund.md")
    assert str(path_of(replace(PLAIN, locale="de"))) == "refund.de.md"


def test_a_diff_shows_the_line_that_changed_and_not_who_did_it() -> None:
    lines = diff(content(PLAIN), content(replace(PLAIN, body="Three days.", reviewer="Noor")), names=("1", "2"))
    assert [line for line in lines if line[0] in "+-"] == ["--- 1", "+++ 2", "-Five days.", "+Three days."]
    assert diff("a", "a", names=("1", "2")) == []


FAULTS = [
    ("state: live", "a.md: state is 'live'; allowed are draft, in_review, published, retired"),
    ("audience: [x]", "a.md: audience is ['x']; allowed are public, internal"),
    ("review_by: soon", "a.md: review_by is 'soon'; allowed is a date such as 2026-12-24"),
    ("valid_from: 2026-12-24 09:00:00", "a.md: valid_from is 2026-12-24T09:00:00 without a time zone; write"),
    ("valid_from: '2026-12-24T09:00'", "a.md: valid_from is 2026-12-24T09:00:00 without a time zone; write"),
    ("valid_until: 5", "a.md: valid_until is 5; allowed is 2026-12-24T09:00:00+01:00, or 2026-12-24"),
    ("valid_from: 2026-02-01\nvalid_until: 2026-01-01", "a.md: valid_until lies before valid_from"),
    ("translation_of: latest", "a.md: translation_of is 'latest'; allowed is a revision"),
    ("topics: billing", "a.md: topics must be a list"),
]


@pytest.mark.parametrize(("line", "said"), FAULTS, ids=[line for line, _ in FAULTS])
def test_a_fault_in_a_new_key_is_said_in_a_sentence(line: str, said: str) -> None:
    with pytest.raises(ArticleError) as refused:
        parse(f"---\ntitle: T\n{line}\n---\nbody", name="a.md")
    assert [each for each in refused.value.problems if each.startswith(said)], refused.value.problems


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-12-24", datetime(2026, 12, 24, tzinfo=UTC)),
        ("'2026-12-24'", datetime(2026, 12, 24, tzinfo=UTC)),
        ("2026-12-24T09:00:00+01:00", datetime(2026, 12, 24, 8, tzinfo=UTC)),
        ("'2026-12-24T09:00:00Z'", datetime(2026, 12, 24, 9, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_people_write_it(written: str, expected: datetime) -> None:
    article = parse(f"---\ntitle: T\nvalid_from: {written}\nreview_by: 2026-12-24\n---\nbody", name="a.md")
    assert (article.valid_from, article.review_by) == (expected, date(2026, 12, 24))


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "brand", "may"),
    [
        ({}, "", True),
        ({"state": ArticleState.DRAFT}, "", False),
        ({"state": ArticleState.IN_REVIEW}, "", False),
        ({"state": ArticleState.RETIRED}, "", False),
        ({"audience": Audience.INTERNAL}, "", False),
        ({"valid_from": NOON}, "", True),
        ({"valid_from": NOON + timedelta(seconds=1)}, "", False),
        ({"valid_until": NOON}, "", False),
        ({"valid_until": NOON + timedelta(seconds=1)}, "", True),
        ({"brand": "Lark"}, "Lark", True),
        ({"brand": "Lark"}, "Wren", False),
        ({}, "Wren", True),
    ],
)
def test_only_what_is_published_public_valid_and_of_the_brand_may_be_said(
    change: dict[str, Any], brand: str, may: bool
) -> None:
    assert replace(PLAIN, **change).may_be_said(NOON, brand=brand) is may


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"owner": ""}, "refund.en: names no owner; publishing takes two people"),
        ({"reviewer": ""}, "refund.en: names no reviewer; publishing takes two people"),
        ({"reviewer": " BILLING "}, "refund.en: 'billing' is owner and reviewer; publishing takes two people"),
        ({"reviewer": "", "state": ArticleState.DRAFT}, None),
    ],
)
def test_a_published_file_names_two_people(change: dict[str, Any], said: str | None) -> None:
    found = lonely([replace(PLAIN, **change)])
    assert [each.startswith(str(said)) for each in found] == ([] if said is None else [True])


def test_names_given_beside_the_files_fill_what_they_leave_open() -> None:
    bare = replace(PLAIN, owner="", reviewer="")
    assert named([bare, PLAIN], by="Ana", reviewed_by="Bo") == [replace(bare, owner="Ana", reviewer="Bo"), PLAIN]
    assert lonely(named([bare], by="Ana", reviewed_by="ana")) != []
