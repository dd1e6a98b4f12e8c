"""Figures as pictures: which label is taken for which, and whether a confidence means what it says.

Drawn in memory without a screen; the same report gives the same bytes. The colours are told apart by colour-blind
eyes: matplotlib's one-hued Blues, and the palette of Okabe and Ito (2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from classifiers.evaluate import BINS, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers: TypeAlias = npt.NDArray[np.float64]

SKY, VERMILLION, GREY, EDGE = "#56b4e9", "#d55e00", "#777777", "#333333"
GREEN, PURPLE = "#009e73", "#cc79a7"
DPI = 100
CELL, LETTER, SMALLEST = 0.42, 0.085, 2.6
"""Inches for a cell, for a letter of a label, and for the cells together where they are few."""
WIDTH = 0.9 / BINS
DARK = 0.55
"""Share of a row from which its number is written in white."""
COLOURS = 256
"""In a picture's palette: what is smoothed needs no more, and a file is less than half the size."""


def confusion(report: Report, title: str) -> bytes:
    """Return a PNG: a row for each right label, a column for each answer, counts in the cells, a row's shares as shade.

    The cells where both are the same have a dark edge.
    """
    counts = np.array(report.confusion)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    many, longest = len(report.names), max(map(len, report.names))
    side = max(CELL * many, SMALLEST)
    figure = _figure(side + LETTER * longest + 2.0, side + 0.75 * LETTER * longest + 1.0)
    axes = figure.add_subplot()
    shade = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    _name(axes, report.names, totals[:, 0].tolist())
    axes.set_title(title, fontsize=11)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > DARK else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(shade, ax=axes, shrink=0.8, pad=0.02).set_label("share of the row")
    return _png(figure)


def _name(axes: Axes, names: Sequence[str], totals: Sequence[int]) -> None:
    from matplotlib.patches import Rectangle

    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [f"{name} ({total})" for name, total in zip(names, totals, strict=True)])
    axes.set(xlabel="answer", ylabel="right label (rows)")
    edges = np.arange(-0.5, len(names)).tolist()
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="#dddddd", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    for place in range(len(names)):
        axes.add_patch(Rectangle((place - 0.5, place - 0.5), 1, 1, fill=False, edgecolor=EDGE, linewidth=1.2, zorder=3))


def reliability(report: Report, title: str) -> bytes:
    """Return a PNG: above, how many are right at each confidence beside the line they should meet; below, how many."""
    figure = _figure(6.4, 6.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middles = [(each.low + each.high) / 2 for each in report.bins]
    right = [each.accuracy for each in report.bins]
    sure = [each.confidence for each in report.bins]
    upper.bar(middles, right, WIDTH, color=SKY, label="share right")
    upper.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1.2, label="share right = confidence")
    upper.plot(
        sure,
        right,
        color=VERMILLION,
        marker="o",
        markersize=7,
        linestyle="none",
        clip_on=False,
        label="at the mean confidence",
    )
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    upper.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=9)
    figure.suptitle(f"{title}; calibration error {report.ece:.3f}", fontsize=11)
    lower.bar(middles, [each.rows for each in report.bins], WIDTH, color=GREY)
    for middle, each in zip(middles, report.bins, strict=True):
        lower.annotate(str(each.rows), (middle, each.rows), (0, 2), textcoords="offset points", ha="center", fontsize=9)
    lower.set(ylim=(0, 1.25 * max(each.rows for each in report.bins)), xlabel="confidence", ylabel="rows")
    lower.set_xticks(np.linspace(0, 1, BINS + 1))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def risk_coverage(curves: Mapping[str, tuple[Numbers, Numbers]], title: str) -> bytes:
    """Return a PNG: for each name, the share of errors over the share that is answered, as the bar is lowered."""
    figure = _figure(8.6, 4.6)
    axes = figure.add_subplot()
    for (name, (covered, wrong)), colour, line in zip(
        curves.items(), cycle((VERMILLION, SKY, GREEN, EDGE, PURPLE)), cycle(("-", "--", "-.")), strict=False
    ):
        axes.plot(covered, wrong, color=colour, linestyle=line, label=name)
    axes.set(xlim=(0, 1), ylim=(0, 0.5), xlabel="share of answerable questions answered", ylabel="share of errors")
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure in matplotlib's own defaults, whatever a matplotlibrc here says. width, height: inches."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({**matplotlib.rcParamsDefault, "backend": "agg"})
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    from PIL import Image

    drawn = BytesIO()
    figure.savefig(drawn, format="rgba")
    width, height = (round(size) for size in figure.canvas.get_width_height())
    picture = Image.frombytes("RGBA", (width, height), drawn.getvalue()).convert("RGB")
    small = BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()
