"""``harken bench``: how fast is it here?"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.commands.options import with_settings
from bot.settings import Settings, StoreSettings

if TYPE_CHECKING:
    from bot.app import App
    from classifiers.triage import Text

PAGE = 100
SEED = 7
MADE_UP = 2_000
WORDS = """
the my order parcel account app card train flight refund late broken please help why when never again still waiting
password login charge invoice thanks great awful slow down error update cancel booking seat room delivery driver
today yesterday hour week month money back support team nobody answers phone email website screen crashed stuck
missing wrong size colour damaged box return exchange price discount code plan upgrade internet signal outage
""".split()


@click.group()
def bench() -> None:
    """Measure this machine."""


@bench.command()
@click.option("--posts", "count", default=20_000, show_default=True, help="Posts sent through.")
@click.option(
    "--input", "path", type=click.Path(path_type=Path), help="JSON Lines with a text each; default: made-up posts."
)
@with_settings
def pipeline(settings: Settings, count: int, path: Path | None) -> None:
    """Posts through ingest, triage and hand-off on SQLite, beside the classifier alone in the same run."""
    from bot import logs

    logs.set_up(level="error", as_json=False)
    texts = _texts(count, path)
    with tempfile.TemporaryDirectory(prefix="harken-bench-") as folder:
        here = settings.model_copy(
            update={"store": StoreSettings(url=f"sqlite:///{folder}/bench.db"), "sources": {}, "desks": {}}
        )
        for line in asyncio.run(_pipeline(here, texts)):
            click.echo(line)


@bench.command()
@click.option(
    "--input", "path", type=click.Path(path_type=Path), help="JSON Lines with a text each; default: made-up posts."
)
@click.option("--posts", "count", type=click.IntRange(10), help="Only so many of them.")
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True, help="Processors for each side.")
@with_settings
def triage(settings: Settings, path: Path | None, count: int | None, threads: int) -> None:
    """The model beside a plain pipeline with the same weights, one text at a time, and the limit of the processor."""
    from classifiers.errors import ClassifierError

    texts = list(dict.fromkeys(_texts(count or MADE_UP, path) if path is None else _lines(path)))[:count]
    try:
        from classifiers import speed

        made = asyncio.run(speed.measure(texts, model=settings.classifier.get("model"), threads=threads))
    except ClassifierError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{len(texts)} texts of {made.pieces:.1f} pieces, {made.operations:.2f} Gop each, {threads} threads")
    click.echo(f"(a) plain pipeline  {made.plain:8.1f} posts/s  (transformers, one text at a time, float32, one head)")
    click.echo(f"(b) engine          {made.engine:8.1f} posts/s  ({made.arithmetic}, all heads, language, embedding)")
    for name, limit in made.limits.items():
        share = made.engine / limit
        click.echo(
            f"(c) limit {name:<9} {limit:8.1f} posts/s  ({made.products[name]:.0f} Gop/s; (b) is {share:.0%} of it)"
        )
    click.echo(f"(b)/(a)             {made.ratio:.1f} times")


def _texts(count: int, path: Path | None) -> list[str]:
    if path is None:
        dice = random.Random(SEED)
        return [f"{' '.join(dice.choices(WORDS, k=dice.randint(4, 40)))} {number}" for number in range(count)]
    rows = _lines(path)
    return [rows[number % len(rows)] for number in range(count)]


def _lines(path: Path) -> list[str]:
    try:
        rows = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f'--input {path}: a line needs the form {{"text": ...}} ({error})') from error
    if not rows:
        raise click.UsageError(f"--input {path} holds no post")
    return [str(row) for row in rows]


async def _pipeline(settings: Settings, texts: Sequence[str]) -> list[str]:
    from bot.app import App
    from bot.store import migrate
    from classifiers.triage import Text

    app = App(settings)
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(migrate.upgrade, app.store)
        await app.open(stack)
        await app.warm()
        rows = [Text(id=str(number), text=text) for number, text in enumerate(texts)]
        sample = rows[: max(1, len(rows) // 4)]
        before = await _alone(app, sample)
        rss_start = _rss_mib()
        seconds, rss_half = await _through(app, texts)
        rss_end = _rss_mib()
        after = await _alone(app, sample)
    alone = len(sample) * 2 / (before + after)
    whole = len(texts) / seconds
    return [
        f"classifier alone  {alone:8.1f} posts/s  ({app.classifier.name}; {len(sample)} posts before and after)",
        f"whole pipeline    {whole:8.1f} posts/s  ({len(texts)} posts: ingest, triage, hand-off on SQLite)",
        f"ratio             {whole / alone:8.2f}",
        f"memory            {rss_start:.0f} MiB at the start, {rss_half:.0f} half-way, {rss_end:.0f} at the end",
    ]


async def _alone(app: App, texts: Sequence[Text]) -> float:
    started = time.perf_counter()
    many = app.settings.work.batch
    for start in range(0, len(texts), many):
        await app.classifier.classify(texts[start : start + many])
    return time.perf_counter() - started


async def _through(app: App, texts: Sequence[str]) -> tuple[float, float]:
    from bot.store import jobs

    started = time.perf_counter()
    workers = [asyncio.create_task(worker.run()) for worker in app.workers()]
    half = 0.0
    for start in range(0, len(texts), PAGE):
        await _feed(app, texts, start)
        if half == 0.0 and start >= len(texts) // 2:
            half = _rss_mib()
    while await app.store.read(jobs.waiting):
        await asyncio.sleep(0.25)
    seconds = time.perf_counter() - started
    app.stream.stop()
    await asyncio.gather(*workers)
    return seconds, half


async def _feed(app: App, texts: Sequence[str], start: int) -> None:
    """Take one page in, as a poller does; wait while the model is far behind, as a poller's interval would."""
    from bot.store import jobs, posts
    from bot.store.tables import Stage
    from connectors.post import Author, Post
    from connectors.protocol import Page

    now = app.clock()
    page: list[Any] = []
    for number, text in enumerate(texts[start : start + PAGE], start):
        author = Author(channel="bench", id=str(number % 5_000), handle=f"user{number % 5_000}")
        page.append(
            Post(
                channel="bench",
                id=str(number),
                author=author,
                text=text,
                created_at=now - timedelta(seconds=30),
                root_id=str(number),
                addressed=number % 3 != 0,
            )
        )
    value = Page(posts=page, cursor=str(start))
    await app.store.write(posts.ingest, value, source="bench", stream="feed", now=now, cursor=value.cursor)
    app.stream.wake(Stage.TRIAGE)
    while await app.store.read(jobs.waiting) > 20 * PAGE:
        await asyncio.sleep(0.25)


def _rss_mib() -> float:
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * resource.getpagesize() / 2**20
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
