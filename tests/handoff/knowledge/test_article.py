"""Articles from Markdown files: what is understood, and one sentence for each fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from handoff.knowledge.article import (
    MAX_CHARS,
    PART_CHARS,
    UNSPACED_PART_CHARS,
    Article,
    ArticleError,
    parse,
    parts,
)
from handoff.knowledge.folder import load_folder

FULL = """---
title: When do I get my refund?
slug: refund
locale: pt-BR
tags: [refund_return, money]
owner: billing
questions:
  - Where is my money?
  - How long does a refund take?
channels:
  default: Refunds take five days.
  x: Five days.
---

Refunds take **five** working days.

More.
"""


def test_all_of_it_is_understood() -> None:
    article = parse(FULL, name="anything.md")
    assert article == Article(
        slug="refund",
        locale="pt-BR",
        title="When do I get my refund?",
        body="Refunds take **five** working days.\n\nMore.",
        tags=("refund_return", "money"),
        owner="billing",
        questions=("Where is my money?", "How long does a refund take?"),
        wordings={"default": "Refunds take five days.", "x": "Five days."},
    )
    assert article.language == "pt"
    asked = (article.title, *article.questions)
    whole = "When do I get my refund? Refunds take **five** working days.\n\nMore."
    body = "Refunds take **five** working days. More."
    assert article.passages == (*asked, *(f"@us {each}" for each in asked), whole, body)


def test_a_long_body_is_embedded_in_parts_that_hold_every_word() -> None:
    body = "\n\n".join(f"Paragraph {n} says {'one thing and another, ' * 9}" for n in range(9)) + "\n\n" + "x" * 900
    found = parts(body)
    assert max(map(len, found)) <= PART_CHARS
    assert "".join("".join(found).split()) == "".join(body.split())
    chinese = "\u5982\u4f55\u8bbe\u7f6e\u5907\u4efd\u4ee3\u7801" * 100
    assert max(map(len, parts(chinese))) <= UNSPACED_PART_CHARS
    assert "".join(parts(chinese)) == chinese
    assert parts("") == []
    assert Article(slug="a", locale="en", title="-", body="-").passages == ()


@pytest.mark.parametrize(
    ("name", "slug", "locale"),
    [
        ("opening-hours.md", "opening-hours", "en"),
        ("opening-hours.de.md", "opening-hours", "de"),
        ("a.zh-Hant-TW.md", "a", "zh-Hant-TW"),
    ],
)
def test_the_file_name_says_what_the_front_matter_does_not(name: str, slug: str, locale: str) -> None:
    article = parse("---\ntitle: Hours\n---\nNine to five.", name=name)
    assert (article.slug, article.locale) == (slug, locale)


def test_the_revision_changes_when_anything_does() -> None:
    article = parse(FULL, name="a.md")
    others = [
        replace(article, title="x"),
        replace(article, body="x"),
        replace(article, tags=()),
        replace(article, owner="x"),
        replace(article, questions=()),
        replace(article, wordings={}),
        replace(article, locale="en"),
    ]
    assert len({article.revision, *(other.revision for other in others)}) == len(others) + 1
    assert parse(FULL, name="b.md").revision == article.revision


FAULTS = [
    ("---\nslug: a\n---\nbody", "a.md: title is missing; write one line of text"),
    ("just text", "a.md: has no front matter; begin with ---, title: ..., ---"),
    ("", "a.md: has no front matter; begin with ---, title: ..., ---"),
    ("---\ntitle: [a\n---\nbody", "a.md: the front matter is not YAML"),
    ("---\n- a\n- b\n---\nbody", "a.md: has no front matter"),
    ("---\ntitle: T\nlocale: no\n---\nbody", "a.md: locale is read as bool, not as text; put it in quotes"),
    ("---\ntitle: 2026-01-01\n---\nbody", "a.md: title is read as date, not as text; put it in quotes"),
    (
        "---\ntitle: T\nlocale: english\n---\nbody",
        "a.md: locale is 'english'; allowed is a language such as en, de or pt-BR",
    ),
    ("---\ntitle: T\nslug: Opening Hours\n---\nbody", "a.md: slug is 'Opening Hours'; allowed is small letters"),
    ("---\ntitle: T\ntags: refund\n---\nbody", "a.md: tags must be a list, such as [one, two]"),
    ("---\ntitle: T\nquestions: ['']\n---\nbody", "a.md: questions is empty; write text or leave the key out"),
    ("---\ntitle: T\nchanels: {x: a}\n---\nbody", "a.md: chanels is not known; allowed are title, slug, locale"),
    ("---\ntitle: T\nchannels: [x]\n---\nbody", "a.md: channels must map a channel, or default, to the text"),
    ("---\ntitle: T\nchannels: {X Y: a}\n---\nbody", "a.md: channels names 'X Y'; allowed is a channel such as x"),
    ("---\ntitle: T\nchannels: {x: 5}\n---\nbody", "a.md: channels.x is read as int, not as text; put it in quotes"),
    ("---\ntitle: T\n---\n", "a.md: has neither a body nor channels; there is nothing to say"),
    ('---\ntitle: "pay\\u202Eme"\n---\nbody', "a.md: title holds the invisible character U+202E; take it out"),
    ("---\ntitle: T\n---\nhidden\u200bwords", "a.md: body holds the invisible character U+200B; take it out"),
    ("---\ntitle: T\n---\n" + "x" * MAX_CHARS, "a.md: is 20017 characters long; 20000 are allowed, split it"),
    ("---\ntitle: !!python/object:os.system a\n---\nbody", "a.md: the front matter is not YAML"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS, ids=[said[6:40] for _, said in FAULTS])
def test_a_fault_is_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ArticleError) as refused:
        parse(text, name="a.md")
    assert [problem for problem in refused.value.problems if problem.startswith(said)], refused.value.problems
    assert all("\n" not in problem for problem in refused.value.problems)


def test_all_faults_of_a_file_are_said_together() -> None:
    with pytest.raises(ArticleError) as refused:
        parse("---\nlocale: no\ntags: a\nwrong: 1\n---\n", name="a.md")
    assert len(refused.value.problems) == 5


def test_emoji_that_are_joined_are_no_hidden_words() -> None:
    assert parse("---\ntitle: Families 👨‍👩‍👧\n---\nمی‌خواهم", name="a.md").title == "Families 👨‍👩‍👧"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_folder_is_read_with_what_lies_below(tmp_path: Path) -> None:
    write(
        tmp_path,
        b="---\ntitle: B\n---\nb",
        shop__a="---\ntitle: A\n---\na",
        README="# no article",
        _draft="no",
        shop___x="no",
    )
    assert [each.slug for each in load_folder(tmp_path)] == ["a", "b"]


def test_every_fault_of_every_file_is_told_and_nothing_is_loaded(tmp_path: Path) -> None:
    write(tmp_path, a="---\nslug: a\n---\na", b="nothing", c="---\ntitle: C\n---\nfine")
    (tmp_path / "d.md").write_bytes(b"---\ntitle: \xff\n---\n")
    with pytest.raises(ArticleError) as refused:
        load_folder(tmp_path)
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["a.md", "b.md", "d.md"]


def test_a_slug_is_taken_once_in_each_locale(tmp_path: Path) -> None:
    text = "---\ntitle: T\nslug: hours\n---\nt"
    write(tmp_path, a=text, b=text, c=text.replace("hours\n", "hours\nlocale: de\n"))
    with pytest.raises(ArticleError) as refused:
        load_folder(tmp_path)
    assert refused.value.problems == [
        "b.md: slug 'hours' in en is taken by a.md; give one of them another slug or locale"
    ]


def test_an_empty_folder_retires_nothing_by_mistake(tmp_path: Path) -> None:
    with pytest.raises(ArticleError, match="holds no article"):
        load_folder(tmp_path)
    with pytest.raises(ArticleError, match="is not a folder"):
        load_folder(tmp_path / "missing")
