"""``harken train``: make a triage model from labelled texts."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder of the labelled sets: triage_posts, tweeteval_sentiment, ...",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the model; an unfinished run leaves there what it reached, and the same command goes on.",
)
@click.option(
    "--licences",
    type=click.Choice(["all", "open"]),
    default="all",
    show_default=True,
    help="Rows that may teach: all, or only those under a free licence.",
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=13, show_default=True)
@click.option(
    "--share",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=1.0,
    show_default=True,
    help="Part of the passes over the sets, for a trial.",
)
def train(data: Path, out: Path, licences: str, seed: int, share: float) -> None:
    """Fine-tune an encoder with all heads, calibrate it, measure it, and write it with its card.

    The same data and seed give the same model. On two processors it takes about three hours.
    """
    from classifiers.errors import ClassifierError

    try:
        from classifiers.training import run
    except ImportError as error:
        raise click.UsageError(f"{error.name} is not installed; pip install 'harken[train]'") from error

    wish = run.Wish(data=data, out=out, licences=licences, seed=seed, share=share, threads=os.cpu_count() or 1)
    try:
        run.train(wish, click.echo)
    except ClassifierError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"a set is missing or broken, or the model cannot be written: {error}") from error
    except (ValueError, KeyError) as error:
        raise click.UsageError(
            f"--data {data}: a set is broken or an unfinished run was another one: {error}"
        ) from error
    except KeyboardInterrupt:
        click.echo(f"stopped; the same command goes on from what {out / run.REACHED} holds")
        raise SystemExit(130) from None
