"""The picture of a run: its axes, the best step, and the fit beside it."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import pytest

import sgdsheet
from sgdsheet.analysis.trajectory import record_training
from sgdsheet.plots.fit import fit_of
from sgdsheet.plots.loss_curves import save_plot
from sgdsheet.train.logbook import Record
from tests.chart_books import charted
from tests.cli_books import run

WORKBOOKS = Path(__file__).parent.parent / "workbooks"


def record(step: int, loss: float) -> Record:
    return Record(step, None, loss, None, None, 0.01, None, step * 0.25)


def drawn(path: Path) -> set[str]:
    """The words of a picture: matplotlib writes each as a comment before its shapes."""
    return {line.strip() for line in re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))}


def test_plot_marks_the_best_step_and_chooses_its_axes(tmp_path: Path) -> None:
    linear, curved, early = (tmp_path / f"{name}.svg" for name in ("linear", "curved", "early"))
    save_plot([record(step, 10.0 - step) for step in range(9)], linear, best=7)
    assert {"best: step 7", "loss", "step"} <= drawn(linear)
    save_plot([record(step, 10.0**-step) for step in range(9)], curved, best=8)
    assert {"best: step 8", "loss (logarithmic)", "step"} <= drawn(curved)
    save_plot([record(step, 1.0 + 0.5**step) for step in range(400)], early)
    assert {"loss", "step (logarithmic)"} <= drawn(early)
    assert not [words for words in drawn(early) if words.startswith("best")]


def test_plot_has_the_fit_beside_it(tmp_path: Path) -> None:
    """`train --plot` takes the first chart of the sheet that training moves, with the trained numbers."""
    book, target = charted(tmp_path / "book.xlsx"), tmp_path / "course.svg"
    assert run("train", book, "--optimizer", "sgd", "--lr", 0.05, "--steps", 300, "--plot", target).status == 0
    assert {"A line &amp; its points", "fit"} & drawn(target)
    bare = tmp_path / "bare.svg"
    run("train", charted(tmp_path / "bare.xlsx", charts=False), "--steps", 5, "--plot", bare)
    assert "fit" not in drawn(bare)
    assert any(words.startswith("best: step") for words in drawn(bare))


def test_the_fit_is_that_of_the_trained_parameters(tmp_path: Path) -> None:
    model = sgdsheet.compile(sgdsheet.load(charted(tmp_path / "book.xlsx")))
    sgdsheet.Session(model, optimizer="sgd", lr=0.05, steps=800).run()
    drawing = fit_of(model)
    assert drawing is not None
    assert drawing.curves[1].y == pytest.approx(drawing.curves[0].y, abs=0.01)


def test_the_loss_of_all_rows_is_no_training_loss(tmp_path: Path) -> None:
    """Where the sheet has validation rows, its loss cell is over these, too: the curve must not jump in the end."""
    model = sgdsheet.compile(sgdsheet.load(WORKBOOKS / "overfitting.xlsx"), "degree_15")
    trajectory = record_training(sgdsheet.Session(model))
    *course, last = trajectory.records
    assert math.isnan(last.loss)
    assert last.valid_loss == pytest.approx(trajectory.session.valid_last)
    assert all(later.loss <= earlier.loss * 1.5 for earlier, later in pairwise(course))
    assert trajectory.session.loss > 5 * course[-1].loss
