"""``harken rewind``: the last days by another policy or from other articles, against what really happened."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from bot.commands.knowledge import warm
from bot.commands.options import past_store, with_settings
from bot.commands.taught import wear_in_service
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.stages.rewind import Asked
    from bot.store.engine import Store
    from classifiers.registry import ClassifierEmbedder
    from classifiers.triage import Text, Triage
    from handoff.differences import Group, Report
    from handoff.knowledge.article import Article

SHOWN_GROUPS = 30
SHOWN_ROWS = 15
TELL_EVERY = 1_000
"""Decisions between two lines of progress where stderr is no terminal."""

NAMES: Mapping[str, str] = {
    "alone": "said alone",
    "draft": "drafted for a person",
    "people": "handed over",
    "nothing": "nothing to do",
}


@click.command()
@click.option("--days", default=30.0, show_default=True, help="How far back; 0.5 is twelve hours.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML with a [handoff] table, as in config.toml; default: the one in the configuration.",
)
@click.option(
    "--articles",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help='Markdown folder to answer from, as "harken knowledge export" writes; default: the published articles.',
)
@click.option("--without", multiple=True, metavar="SLUG", help="Leave this article out; may be given several times.")
@click.option("--rejudge", is_flag=True, help="Label every post anew with the configured model; slow.")
@click.option("--examples", default=2, show_default=True, type=click.IntRange(0, 50), help="Posts shown of each group.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, with the ids of all posts.")
@with_settings
def rewind(
    settings: Settings,
    days: float,
    policy: Path | None,
    folder: Path | None,
    without: tuple[str, ...],
    rejudge: bool,
    examples: int,
    as_json: bool,
) -> None:
    """Show what would have been said, drafted and handed over, differences first. Nothing is sent or changed."""
    from bot import logs
    from bot.app import read_policy
    from bot.stages.rewind import MOST_DAYS, Asked

    logs.set_up(level="error", as_json=False)
    if not 0 < days <= MOST_DAYS:
        raise click.UsageError(f"--days must be above 0, {MOST_DAYS} at most")
    try:
        text = None if policy is None else policy.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--policy {policy} is not UTF-8 text: byte {error.start}") from error
    asked = Asked(
        days=days,
        policy=None if text is None else read_policy(settings, text, name=f"--policy {policy}"),
        articles=None if folder is None else _load(folder),
        without=frozenset(without),
        rejudge=rejudge,
        examples=examples,
    )
    with past_store(settings, without="there is no past") as store, _telling() as progress:
        report = asyncio.run(_rewind(settings, store, asked, progress))
    if as_json:
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    for line in told(report, is_other=asked.is_other):
        click.echo(line)


async def _rewind(settings: Settings, store: Store, asked: Asked, progress: Callable[[int, int], None]) -> Report:
    from bot.app import make_rewinder, now
    from classifiers.errors import Unteachable

    async with AsyncExitStack() as stack:
        engine: ClassifierEmbedder | None = None

        async def ready() -> ClassifierEmbedder:
            nonlocal engine
            if engine is None:  # most rewinds need no model: posts and articles are stored with their vectors
                engine = await stack.enter_async_context(warm(settings))
                if asked.rejudge:  # by what the daemon judges with; an engine of rules wears nothing
                    with suppress(Unteachable):
                        await wear_in_service(store, engine)
            return engine

        async def embed(texts: Sequence[str]) -> Sequence[bytes]:
            return await (await ready()).embed(texts)

        async def judge(texts: Sequence[Text]) -> Sequence[Triage]:
            return await (await ready()).classify(texts)

        rewinder = make_rewinder(settings, store, now, embed=embed, judge=judge, policy_name="--policy")
        return await rewinder.run(asked, progress=progress)


def _load(folder: Path) -> list[Article]:
    from handoff.knowledge.article import ArticleError
    from handoff.knowledge.folder import load_all

    try:
        return load_all(folder)
    except ArticleError as error:
        raise click.UsageError("--articles " + "\n".join(error.problems)) from error


@contextmanager
def _telling() -> Iterator[Callable[[int, int], None]]:
    """Tell on stderr how far it is: in place on a terminal, else a line now and then."""
    is_terminal = sys.stderr.isatty()
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if is_terminal:
            click.echo(f"\r{done} of {total} decisions", err=True, nl=False)
        elif done - told >= TELL_EVERY:
            told = done
            click.echo(f"{done} of {total} decisions", err=True)

    yield progress
    if is_terminal:
        click.echo("\r" + " " * 40 + "\r", err=True, nl=False)


def told(report: Report, *, is_other: bool) -> list[str]:
    """Return the lines that tell a person the report, differences first."""
    span = f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"
    out = ", ".join(f"{count} {why}" for why, count in sorted(report.gone.items()))
    left = f" Left out: {out}." if out else ""
    if not report.decided:
        return [f"Nothing that can be rewound was decided from {span}.{left}"]
    lines = [f"{report.different} of {report.decided} posts would have gone another way, {span}.{left}"]
    asked = [each for each in report.groups if each.is_asked]
    anyway = [each for each in report.groups if not each.is_asked]
    if is_other:
        lines += _groups("Because of what you try", asked) or ["", "What you try makes no difference."]
        lines += _groups("Today's policy and articles would do so as well", anyway)
    else:
        lines += _groups("Otherwise than what happened", [*asked, *anyway])
    lines += ["", f"{'All in all':<32}{'really':>8}{'rewound':>9}"]
    for way, name in NAMES.items():
        lines.append(f"  {name:<30}{report.happened.ways[way]:>8}{report.rewound.ways[way]:>9}")
    lines += _table("said alone", report.happened.articles, report.rewound.articles)
    lines += _table("to queue", report.happened.queues, report.rewound.queues)
    lines += _table("ticket at", report.happened.desks, report.rewound.desks)
    lines += ["", "What really came of them: " + _counted(report.ended), "", "Nothing was sent, nothing was changed."]
    return lines


def _groups(title: str, groups: Sequence[Group]) -> list[str]:
    if not groups:
        return []
    lines = ["", f"{title}:"]
    for each in groups[:SHOWN_GROUPS]:
        lines += ["", f"  {_plain(each.said)}", f"      really: {_counted(each.ended)}"]
        for one in each.examples:
            lines.append(f"      {one.at:%m-%d %H:%M} {one.source} {_plain(one.key)}: {_plain(one.text)[:90]}")
            lines.append(f"          now: {_plain('; '.join(one.reasons))}")
    if len(groups) > SHOWN_GROUPS:
        lines += ["", f"  and {len(groups) - SHOWN_GROUPS} smaller groups; --json has them all"]
    return lines


def _table(what: str, before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    names = sorted({*before, *now}, key=lambda name: (-abs(now.get(name, 0) - before.get(name, 0)), name))
    lines = []
    for name in names[:SHOWN_ROWS]:
        lines.append(f"  {_plain(f'{what} {name}')[:29]:<30}{before.get(name, 0):>8}{now.get(name, 0):>9}")
    if len(names) > SHOWN_ROWS:
        lines.append(f"  and {len(names) - SHOWN_ROWS} more, which differ less")
    return lines


def _counted(table: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {_plain(what)}" for what, count in sorted(table.items(), key=lambda each: -each[1]))


def _plain(text: str) -> str:
    """Return *text* on one line, without what a terminal obeys."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
