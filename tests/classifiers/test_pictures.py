from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from classifiers.evaluate import Report, measure
from classifiers.pictures import confusion, reliability, risk_coverage
from classifiers.triage import INTENTS, Label

MAX_BYTES = 60_000


def report_of(labels: Sequence[str], head: str, per_cell: int = 3) -> Report:
    pairs = [(gold, given) for gold in labels for given in labels for _ in range(per_cell)]
    answers = [Label(label=given, confidence=(place % 100) / 100) for place, (_, given) in enumerate(pairs)]
    return measure(head, [gold for gold, _ in pairs], answers)


@pytest.mark.parametrize("draw", [confusion, reliability])
@pytest.mark.parametrize(("labels", "head"), [(INTENTS, "intent"), (("spam", "ok"), "spam"), (("ok",), "spam")])
def test_a_picture_is_a_small_png_and_comes_out_the_same_again(
    draw: Callable[[Report, str], bytes], labels: Sequence[str], head: str
) -> None:
    report = report_of(labels, head)
    drawn = draw(report, "a title")
    assert drawn.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", drawn[16:24])
    assert 300 <= width <= 1600
    assert 300 <= height <= 1600
    assert 3_000 < len(drawn) < MAX_BYTES
    assert draw(report, "a title") == drawn


def test_two_reports_look_different() -> None:
    ours, other = report_of(("spam", "ok"), "spam"), report_of(("spam", "ok"), "spam", per_cell=4)
    assert confusion(ours, "t") != confusion(other, "t")
    assert reliability(ours, "t") != reliability(other, "t")


def test_curves_of_errors_differ_with_their_figures() -> None:
    covered, wrong = np.linspace(0, 1, 20), np.linspace(0, 0.4, 20)
    one = risk_coverage({"ours": (covered, wrong)}, "t")
    assert one.startswith(b"\x89PNG")
    assert one == risk_coverage({"ours": (covered, wrong)}, "t")
    assert one != risk_coverage({"ours": (covered, wrong / 2)}, "t")


def test_drawing_needs_no_screen_and_heeds_no_settings_of_this_machine(tmp_path: Path) -> None:
    code = (
        "import sys, hashlib; from classifiers.evaluate import Report, measure; from classifiers.triage import Label;"
        "from classifiers.pictures import confusion;"
        "drawn = confusion(measure('spam', ['ok', 'spam'], [Label(label='ok', confidence=0.5)] * 2), 't');"
        "print(hashlib.sha256(drawn).hexdigest(), sorted({'tkinter', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    rc = tmp_path / "matplotlibrc"
    rc.write_text("font.size: 30\nbackend: TkAgg\n")
    plain, changed = (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **extra}
        ).stdout
        for extra in ({}, {"MATPLOTLIBRC": str(rc), "MPLBACKEND": "TkAgg"})
    )
    assert plain.strip().endswith("[]")
    assert plain == changed
