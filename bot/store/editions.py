"""Articles on their way: draft, in review, published, retired; who may take which step, and who took it.

Two people stand for what the public reads: whoever wrote any of it since the last publishing cannot publish it, nor can
its owner (docs/adr/0012-two-people-for-an-article.md). Versions are never changed; restoring one makes a new draft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from bot.store import articles, events, people, report, versions
from bot.store.people import User
from bot.store.refusals import Conflict, Invalid, Missing
from bot.store.report import ArticleView
from bot.store.roles import Role
from bot.store.tables import ArticleRow, UserRow
from bot.store.upsert import table_of
from bot.store.versions import Step, StepView, Version, VersionState, VersionView
from handoff.knowledge.article import DEFAULT_LOCALE, Article, ArticleError, ArticleState, parse
from handoff.knowledge.folder import same_person
from handoff.knowledge.readiness import Standards, faults
from handoff.knowledge.writing import content, diff

REMIND_BEFORE = timedelta(days=14)
"""So long before its review-by date an article is called due: two weeks are enough to find somebody."""

MAX_NOTE = 2_000
"""Characters of what somebody says to a step."""

FROM: Mapping[Step, tuple[ArticleState, ...]] = {
    Step.SUBMITTED: (ArticleState.DRAFT,),
    Step.RETURNED: (ArticleState.IN_REVIEW,),
    Step.PUBLISHED: (ArticleState.IN_REVIEW,),
}
"""The states that a version may be moved from. A new version may be made, and an article retired, at any time."""

ROLES: Mapping[Step, Role] = {
    **dict.fromkeys((Step.CREATED, Step.EDITED, Step.RESTORED, Step.SUBMITTED, Step.RETURNED), Role.AGENT),
    **dict.fromkeys((Step.PUBLISHED, Step.RETIRED), Role.LEAD),
}

_article = table_of(ArticleRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionView:
    """An article with its versions and its record, newest first.

    open_text: what is being worked on, as a file, "" when nothing is. permitted: step -> "" when the one who asks may
    take it now, else why not.
    """

    article: ArticleView
    open_text: str
    versions: Sequence[VersionView]
    record: Sequence[StepView]
    permitted: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffView:
    """What changed from one version to another, as lines of a unified diff; none when they are the same."""

    before: int
    after: int
    lines: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A published article whose review-by date is near or over."""

    article_id: int
    name: str
    title: str
    owner: str
    review_by: date


def one(
    session: Session, article_id: int, *, user: User | None = None, main_locale: str = DEFAULT_LOCALE
) -> EditionView:
    """Return an article, and what *user* may do with it. Raises Missing."""
    row = _found(session, article_id)
    newest = _open(session, row)
    return EditionView(
        article=report.article(session, article_id, main_locale=main_locale),
        open_text=newest.text if newest else "",
        versions=versions.all_of(session, article_id) or [_only_version(row)],
        record=versions.steps(session, article_id),
        permitted={} if user is None else {step: _objection(step, row, newest, user) for step in ROLES},
    )


def by_name(session: Session, name: str) -> int:
    """Return the id of the article *name*: slug.locale, or a slug that is there once. Raises Missing, Invalid."""
    slug, _, locale = name.partition(".")
    query = sa.select(_article.c.id, _article.c.locale).where(_article.c.slug == slug)
    if locale:
        query = query.where(_article.c.locale == locale)
    rows = session.connection().execute(query.order_by(_article.c.locale)).all()
    if not rows:
        raise Missing(f"there is no article {name}; `harken knowledge list` shows what there is")
    if len(rows) > 1:
        raise Invalid(
            f"{name} is there in several languages; say which: {', '.join(f'{slug}.{row[1]}' for row in rows)}"
        )
    return int(rows[0][0])


def working_copy(session: Session, article_id: int) -> tuple[int, Article]:
    """Return the newest version to be edited, and its number. Raises Missing."""
    row = _found(session, article_id)
    version = versions.get(session, article_id, row.newest) if row.newest else None
    if version is None:
        return 0, articles.value(row)
    return row.newest, _article_of(version)


def create(
    session: Session, article: Article, *, user_id: int, now: datetime, main_locale: str = DEFAULT_LOCALE
) -> int:
    """Make a draft of a new article; return its id. Raises Conflict when slug and locale are taken, Invalid."""
    article = _checked(replace(article, state=ArticleState.DRAFT, reviewer=""))
    user = _user(session, user_id, Step.CREATED)
    there = sa.select(_article.c.id).where(_article.c.slug == article.slug, _article.c.locale == article.locale)
    if session.connection().execute(there).first() is not None:
        raise Conflict(f"{article.name} is there already; edit it, or choose another slug or locale")
    article = _following(session, article, main_locale, follows=not article.translation_of)
    article_id = articles.insert(session, article, now=now)
    articles.set_columns(session, article_id, newest=1, open_state=ArticleState.DRAFT)
    versions.add_all(
        session,
        [
            versions.row(
                article_id,
                1,
                state=VersionState.DRAFT,
                text=content(article),
                revision=article.revision,
                editors=[versions.key(user_id=user_id)],
                author=user.name,
                now=now,
            )
        ],
    )
    _record(session, article_id, 1, Step.CREATED, user, now=now)
    return article_id


def save(
    session: Session,
    article_id: int,
    article: Article,
    *,
    base: int,
    user_id: int,
    now: datetime,
    follows_main: bool = False,
    main_locale: str = DEFAULT_LOCALE,
) -> int:
    """Keep *article* as a new draft on top of version *base*; return its number. What is in force stays so.

    follows_main: this translation says what the main locale's article says now. Raises Missing, Conflict when somebody
    saved meanwhile or nothing changed, Invalid.
    """
    row = _found(session, article_id, lock=True)
    user = _user(session, user_id, Step.EDITED)
    if row.newest != base:
        raise Conflict(f"version {row.newest} was saved in the meantime; look at it, then write yours on top of it")
    if (article.slug, article.locale) != (row.slug, row.locale):
        raise Invalid(
            f"this is {row.slug}.{row.locale}; slug and locale stay as they are, make a new article for others"
        )
    articles.first_version(session, row)
    base = base or 1
    before = versions.get(session, article_id, base)
    article = _checked(replace(article, state=ArticleState.DRAFT, reviewer=""))
    if before is not None and not article.translation_of:
        article = replace(article, translation_of=_article_of(before).translation_of)
    article = _following(session, article, main_locale, follows=follows_main)
    if before is not None and before.text == content(article):
        raise Conflict("nothing was changed")
    editors = _editors(before) if row.open_state else frozenset()
    _add(session, row, article, base + 1, user, editors=editors, now=now)
    _record(session, article_id, base + 1, Step.EDITED, user, now=now)
    return base + 1


def restore(session: Session, article_id: int, *, number: int, user_id: int, now: datetime) -> int:
    """Make version *number* a new draft; return its number. Raises Missing, Conflict when it is the newest already."""
    row = _found(session, article_id, lock=True)
    user = _user(session, user_id, Step.RESTORED)
    articles.first_version(session, row)
    old = versions.get(session, article_id, number)
    if old is None:
        raise Missing(f"there is no version {number}")
    newest = max(1, int(row.newest))
    if number == newest and row.state != ArticleState.RETIRED:
        raise Conflict(f"version {number} is the newest already")
    # What two people once stood for needs one more to say it again; what nobody published keeps those who wrote it.
    editors = frozenset() if old.published_at else _editors(old)
    article = replace(_article_of(old), state=ArticleState.DRAFT)
    _add(session, row, article, newest + 1, user, editors=editors, now=now, restored_from=number)
    _record(session, article_id, newest + 1, Step.RESTORED, user, now=now, note=f"version {number}")
    return newest + 1


def submit(session: Session, article_id: int, *, version: int, user_id: int, now: datetime) -> None:
    """Hand a draft to be reviewed. Raises Missing, Conflict."""
    row, _ = _movable(session, article_id, Step.SUBMITTED, version=version, user_id=user_id)
    _move(session, row, VersionState.IN_REVIEW, now=now)
    _record(session, article_id, version, Step.SUBMITTED, _user(session, user_id, Step.SUBMITTED), now=now)


def send_back(session: Session, article_id: int, *, version: int, user_id: int, now: datetime, note: str = "") -> None:
    """Give what is in review back to those who write it, saying why. Raises Missing, Conflict, Invalid."""
    row, _ = _movable(session, article_id, Step.RETURNED, version=version, user_id=user_id)
    _move(session, row, VersionState.DRAFT, now=now)
    user = _user(session, user_id, Step.RETURNED)
    _record(session, article_id, version, Step.RETURNED, user, now=now, note=_noted(note))


def publish(
    session: Session, article_id: int, *, version: int, user_id: int, standards: Standards, now: datetime
) -> None:
    """Put the version that was reviewed in force. Raises Missing; Conflict for who wrote it; Invalid for its faults."""
    row, reviewed = _movable(session, article_id, Step.PUBLISHED, version=version, user_id=user_id)
    user = _user(session, user_id, Step.PUBLISHED)
    article = replace(_article_of(reviewed), state=ArticleState.PUBLISHED, reviewer=user.name)
    if found := faults(article, standards):
        raise Invalid("it cannot be published: " + "; ".join(found))
    versions.supersede(session, [article_id], VersionState.PUBLISHED, VersionState.RETIRED)
    articles.put(session, row, article, now=now)
    articles.set_columns(session, article_id, version=version, open_state=None)
    versions.move(session, article_id, version, VersionState.PUBLISHED, now=now)
    _record(session, article_id, version, Step.PUBLISHED, user, now=now)


def retire(session: Session, article_id: int, *, user_id: int, now: datetime, note: str = "") -> None:
    """Take an article out of force; one person may, for it silences. Raises Missing, Conflict when it is retired."""
    row = _found(session, article_id, lock=True)
    user = _user(session, user_id, Step.RETIRED)
    if why := _objection(Step.RETIRED, row, _open(session, row), user):
        raise Conflict(why)
    articles.first_version(session, row)
    articles.retire(session, article_id, now=now)
    _record(session, article_id, row.version or max(1, row.newest), Step.RETIRED, user, now=now, note=_noted(note))


def compare(session: Session, article_id: int, *, before: int = 0, after: int = 0) -> DiffView:
    """Return what changed from version *before* (0: what is in force) to *after* (0: the newest). Raises Missing."""
    row = _found(session, article_id)
    after = after or max(1, row.newest)
    before = before or (row.version if row.version and row.version != after else max(1, after - 1))
    texts = [_text(session, row, number) for number in (before, after)]
    lines = diff(texts[0], texts[1], names=(f"version {before}", f"version {after}"))
    return DiffView(before=before, after=after, lines=lines)


def everything(session: Session) -> list[Article]:
    """Return every article for a folder: what is in force or retired, and what is being worked on."""
    found: list[Article] = []
    query = sa.select(_article).order_by(_article.c.slug, _article.c.locale)
    for row in session.connection().execute(query).all():
        if not ArticleState(row.state).is_open:
            found.append(articles.value(row))
        if (version := _open(session, row)) is not None:
            found.append(replace(_article_of(version), state=ArticleState(row.open_state)))
    return found


def due(session: Session, *, today: date, within: timedelta = REMIND_BEFORE) -> list[Due]:
    """Return the published articles to be looked at again, the most urgent first."""
    query = (
        sa.select(_article)
        .where(_article.c.state == ArticleState.PUBLISHED, _article.c.review_by <= today + within)
        .order_by(_article.c.review_by, _article.c.slug, _article.c.locale)
    )
    return [
        Due(
            article_id=row.id,
            name=f"{row.slug}.{row.locale}",
            title=row.title,
            owner=row.owner,
            review_by=row.review_by,
        )
        for row in session.connection().execute(query)
    ]


def remind(session: Session, *, now: datetime) -> list[Due]:
    """Tell of each article that has become due, once for each review-by date; return those told now."""
    told = []
    for each in due(session, today=now.date()):
        moved = session.connection().execute(
            sa.update(_article)
            .where(
                _article.c.id == each.article_id,
                sa.or_(_article.c.reminded_for.is_(None), _article.c.reminded_for != each.review_by),
            )
            .values(reminded_for=each.review_by)
        )
        if moved.rowcount:
            told.append(each)
            facts = {"article_id": each.article_id, "review_by": each.review_by.isoformat()}
            events.add(session, "article.due", now=now, facts=facts)
    return told


def _found(session: Session, article_id: int, *, lock: bool = False) -> Any:
    row = articles.row_of(session, article_id, lock=lock)
    if row is None:
        raise Missing("there is no such article")
    return row


def _user(session: Session, user_id: int, step: Step) -> User:
    row = session.get(UserRow, user_id)
    if row is None or row.disabled_at is not None:
        raise Missing("there is no such person")
    user = people.user(row)
    if not user.role.covers(ROLES[step]):
        raise Conflict(f"this takes the role {ROLES[step]}; {user.name} has {user.role}")
    return user


def _open(session: Session, row: Any) -> Version | None:
    return versions.get(session, row.id, row.newest) if row.open_state else None


def _movable(session: Session, article_id: int, step: Step, *, version: int, user_id: int) -> tuple[Any, Version]:
    row = _found(session, article_id, lock=True)
    newest = _open(session, row)
    if newest is not None and newest.number != version:
        raise Conflict(f"version {newest.number} is there meanwhile; look at it first")
    if why := _objection(step, row, newest, _user(session, user_id, step)):
        raise Conflict(why)
    if newest is None:
        raise Conflict("no version is being worked on")
    return row, newest


def _objection(step: Step, row: Any, newest: Version | None, user: User) -> str:
    """Return why *user* may not take *step* now, "" when they may."""
    if not user.role.covers(ROLES[step]):
        return f"this takes the role {ROLES[step]}; yours is {user.role}"
    if step is Step.RETIRED:
        return "it is retired already" if row.state == ArticleState.RETIRED else ""
    if step not in FROM:
        return ""
    if newest is None:
        return "no version is being worked on; edit it first"
    if newest.state.value not in FROM[step]:
        return f"version {newest.number} is {_plain(newest.state)}, not {_plain(FROM[step][0])}"
    return _one_person(newest, user) if step is Step.PUBLISHED else ""


def _one_person(version: Version, user: User) -> str:
    owner = _article_of(version).owner
    if not owner:
        return "it names no owner; publishing takes two people, so write who keeps it true"
    if {versions.key(user_id=user.id), versions.key(name=user.name)} & version.editors:
        return f"you edited version {version.number} yourself; publishing takes two people, somebody else must do it"
    if same_person(owner, user.name) or same_person(owner, user.email):
        return "you are its owner; publishing takes two people, somebody else must do it"
    return ""


def _plain(state: str) -> str:
    return state.replace("_", " ").replace("draft", "a draft")


def _add(
    session: Session,
    row: Any,
    article: Article,
    number: int,
    user: User,
    *,
    editors: frozenset[str],
    now: datetime,
    restored_from: int | None = None,
) -> None:
    versions.supersede(session, [row.id], VersionState.DRAFT, VersionState.IN_REVIEW)
    versions.add_all(
        session,
        [
            versions.row(
                row.id,
                number,
                state=VersionState.DRAFT,
                text=content(article),
                revision=article.revision,
                editors={*editors, versions.key(user_id=user.id)},
                author=user.name,
                now=now,
                restored_from=restored_from,
            )
        ],
    )
    if ArticleState(row.state).is_open:
        articles.put(session, row, article, now=now)
    articles.set_columns(session, row.id, newest=number, open_state=ArticleState.DRAFT)


def _move(session: Session, row: Any, state: VersionState, *, now: datetime) -> None:
    versions.move(session, row.id, row.newest, state, now=now)
    values: dict[str, Any] = {"open_state": state}
    if ArticleState(row.state).is_open:
        values["state"] = state
    articles.set_columns(session, row.id, **values)


def _record(
    session: Session, article_id: int, number: int, step: Step, user: User, *, now: datetime, note: str = ""
) -> None:
    line = versions.step_row(article_id, number, step, name=user.name, user_id=user.id, note=note, now=now)
    versions.record(session, [line])


def _following(session: Session, article: Article, main_locale: str, *, follows: bool) -> Article:
    if article.locale == main_locale or not follows:
        return article
    return replace(article, translation_of=articles.main_revision(session, article.slug, main_locale))


def _editors(version: Version | None) -> frozenset[str]:
    return version.editors if version else frozenset()


def _checked(article: Article) -> Article:
    """Return *article* as its file says it: whatever a file may not hold, no page and no program may write either."""
    try:
        return replace(parse(content(article), name=f"{article.name}.md"), state=article.state)
    except ArticleError as error:
        raise Invalid("; ".join(each.partition(": ")[2] for each in error.problems)) from error


def _article_of(version: Version) -> Article:
    return parse(version.text, name="version")


def _text(session: Session, row: Any, number: int) -> str:
    version = versions.get(session, row.id, number)
    if version is not None:
        return version.text
    if row.newest == 0 and number == 1:
        return content(articles.value(row))
    raise Missing(f"there is no version {number}")


def _only_version(row: Any) -> VersionView:
    return VersionView(
        number=1,
        state=row.state,
        author=row.owner or versions.FOLDER,
        revision=row.revision,
        restored_from=None,
        made_at=row.updated_at,
        published_at=None,
    )


def _noted(note: str) -> str:
    if len(note) > MAX_NOTE or people.has_controls(note.replace("\n", "")):
        raise Invalid(f"a note has {MAX_NOTE} plain characters at most")
    return note.strip()
