"""``harken knowledge worth``, ``gaps`` and ``draft``: what became of each article, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import orjson

from bot.commands.options import ROW_ID, command_store, with_settings
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.store.engine import Store
    from bot.web.worth import WorthView
    from handoff.knowledge.gaps import Gap, Missing

MOST_DAYS = 365

DAYS = click.IntRange(1, MOST_DAYS)


@click.command()
@click.option("--days", type=DAYS, default=90, show_default=True, help="How many days to look back.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as the API gives it.")
@with_settings
def worth(settings: Settings, days: int, as_json: bool) -> None:
    """Show what became of each article: shown, sent, edited, resolved, rated; which to revise or retire, and why."""
    from bot.app import make_policy
    from bot.store import worth as store_worth
    from bot.web.worth import ordered, view

    within, likely = timedelta(days=days), make_policy(settings).settings.draft_answer_confidence
    with command_store(settings) as store:
        now = datetime.now(UTC)
        uses = store.read_now(store_worth.uses, now=now, within=within, likely=likely)
    found = ordered([view(each, now=now, within=within) for each in uses])
    if as_json:
        _print_json({"items": found, "next": None})
        return
    for line in _table(found, days):
        click.echo(line)


@click.command()
@click.option("--days", type=DAYS, default=30, show_default=True, help="How many days to look back.")
@click.option("--least", type=click.IntRange(1, 1000), default=2, show_default=True, help="Asked so often at least.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as the API gives it.")
@with_settings
def gaps(settings: Settings, days: int, least: int, as_json: bool) -> None:
    """Show the questions that no article answered, grouped by what they ask, the most asked first."""
    with command_store(settings) as store:
        now = datetime.now(UTC)
        found = _missing(settings, store, now, days=days, least=least)
    if as_json:
        _print_json(found)
        return
    for gap in found.gaps:
        for line in _told(gap):
            click.echo(line)
    cut = "; there were more, the oldest are left out" if found.is_cut else ""
    click.echo(
        f"{found.asked} questions without an article in {days} days{cut}; "
        f"{len(found.gaps)} asked {least} times or more, {found.alone} questions more seldom"
    )


@click.command()
@click.argument("gap", type=ROW_ID)
@click.option("--by", required=True, help="E-mail address of the person who will be known as its writer.")
@click.option("--days", type=DAYS, default=30, show_default=True, help="As for `harken knowledge gaps`.")
@with_settings
def draft(settings: Settings, gap: int, by: str, days: int) -> None:
    """Make the draft of an article for GAP, a number that `harken knowledge gaps` shows: questions, and no wording."""
    from bot.store import editions, people
    from bot.store import gaps as store_gaps

    with command_store(settings) as store:
        now = datetime.now(UTC)
        who = store.read_now(people.by_email, by)
        if who is None or who.disabled_at is not None:
            raise click.UsageError(f"--by {by}: nobody who may sign in has this address; `harken user list` shows who")
        found = _missing(settings, store, now, days=days, least=1).gaps
        wanted = next((each for each in found if each.id == gap), None)
        if wanted is None:
            raise click.UsageError(f"there is no gap {gap} in {days} days; `harken knowledge gaps` shows what there is")
        if not wanted.examples:
            raise click.UsageError(f"gap {gap} was asked in private messages only, which are never quoted")
        article_id = store.write_now(
            store_gaps.propose,
            [each.post_id for each in wanted.examples],
            user_id=who.id,
            now=now,
            main_locale=settings.knowledge.main_locale,
        )
        article = store.read_now(editions.one, article_id).article
    name, count = f"{article.slug}.{article.locale}", len(article.questions)
    click.echo(f"{name} is a draft now, with {count} question{'' if count == 1 else 's'} and no wording.")


def _missing(settings: Settings, store: Store, now: datetime, *, days: int, least: int) -> Missing:
    from bot.app import make_policy
    from bot.store import articles
    from bot.store import gaps as store_gaps
    from handoff.knowledge import gaps as rules
    from handoff.knowledge.search import Index, nearest

    policy, since = make_policy(settings).settings, now - timedelta(days=days)
    leave_out = (*policy.ignore, *policy.people_only)
    questions, is_cut = store.read_now(store_gaps.questions, since=since, leave_out=leave_out)
    found = rules.missing(questions, since=since, least=least, is_cut=is_cut)
    index = Index(store.read_now(articles.entries, now=now, brand=settings.brand), sure_languages=policy.languages)
    hits = nearest(index, [rules.query(each) for each in rules.centres(found.gaps, questions)])
    answering = rules.answering(found.gaps, hits, likely=policy.draft_answer_confidence)
    return rules.noted(found, answering=answering, writing=store.read_now(store_gaps.being_written))


def _table(found: Sequence[WorthView], days: int) -> Iterator[str]:
    yield (
        f"{'article':<32} {'shown':>6} {'sent':>6} {'alone':>6} {'as is':>6} {'edited':>7} {'away':>5} "
        f"{'resolved':>12} {'useful':>8}"
    )
    for each in found:
        resolved, rated = each.resolved + each.unresolved, each.useful + each.useless
        edited = f"{each.edited}" if each.changed is None else f"{each.edited} {each.changed:.0%}"
        yield (
            f"{each.name:<32} {each.shown:>6} {each.sent_alone + each.sent_by_person:>6} {each.sent_alone:>6} "
            f"{each.approved:>6} {edited:>7} {each.rejected:>5} "
            f"{f'{each.resolved} of {resolved}' if resolved else '-':>12} "
            f"{f'{each.useful} of {rated}' if rated else '-':>8}"
        )
        for reason in each.reasons:
            yield f"  {each.act:<7} {reason}"
    acts: list[str] = [each.act for each in found]
    yield f"{len(found)} articles in {days} days, {acts.count('revise')} to revise, {acts.count('retire')} to retire"


def _told(gap: Gap) -> Iterator[str]:
    yield f"{gap.asked:>5}x  {gap.name}  [{gap.id}]"
    parts = [_counted(each) for each in (gap.intents, gap.channels, gap.languages)]
    parts.append(f"{gap.people} {'person' if gap.people == 1 else 'people'}")
    parts.append(f"{gap.first:%Y-%m-%d} to {gap.last:%Y-%m-%d}")
    if gap.rejected:
        parts.append(f"{gap.rejected} had a draft that a person discarded")
    yield f"        {'; '.join(parts)}"
    for each in gap.examples[1:]:
        yield f"        - {each.text}"
    if gap.answering is not None:
        yield f"        by now {gap.answering.slug} may answer it ({gap.answering.confidence:.2f})"
    if gap.draft is not None:
        yield f"        {gap.draft} is being written"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counts.items())


def _print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode())
