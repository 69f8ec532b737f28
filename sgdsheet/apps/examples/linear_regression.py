"""A line through a hundred points, and four what-ifs: a learning rate too high, no bias, an outlier, a large scale.

All sheets hold the same points (but for what the what-if changes), the same model and the same loss. Gradient and step
stand in cells, so that a person can take a step by hand.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from sgdsheet.apps.examples._charts import BLUE, GREEN, SCATTER, limits, line, points
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    SETTING,
    Book,
    Formula,
    Page,
    Setting,
    fill_down,
    mark,
)

TITLE = "A line through a hundred points"
PLACE = ("Descend", 1)
DESCRIPTION = "A line through a hundred points, and what if: rate too high, no bias, an outlier, a large scale"

ROWS = range(8, 108)
LAST = ROWS[-1]
OUTLIER = 19  # the row of the point that is typed wrongly


class Case(NamedTuple):
    """One sheet: what is different on it, and what there is to say."""

    sheet: str
    title: str
    sentence: str
    heading: str
    note: str
    rate: float = 0.1
    hint: str = "explodes above 1"
    steps: int = 100
    bias: bool = True
    outlier: float | None = None
    scale: float = 1.0


CASES = (
    Case(
        "fit",
        "A line through a hundred points",
        "Train this sheet: the slope and the intercept change step by step, and the line moves into the points.",
        "What to see",
        "The loss falls fast at first: the intercept arrives within ten steps. The slope takes longer, because the "
        "points lie between -1 and 1: their squares are small, and so is the slope's share of the gradient.\n"
        "You can take a step by hand: copy the two green cells “next”, and paste their values over the parameters. "
        "Training does the same, a hundred times.",
    ),
    Case(
        "too_high",
        "What if the learning rate is too high?",
        "Train this sheet: each step goes too far, past the best line, and lands further away than it began.",
        "Why does it explode?",
        "The gradient points the right way, but says nothing about how far to go. With a rate of 1.05 the intercept "
        "jumps from one side of the best value to the other, and each jump is 1.1 times as long as the one before.\n"
        "At a rate of 1 it would jump for ever, and below it settles. The limit is 2 divided by the curvature of the "
        "loss, which is 2 for the intercept. sgdsheet keeps the best parameters it saw: those after the first step.",
        rate=1.05,
        hint="1 is the limit",
        steps=40,
    ),
    Case(
        "no_bias",
        "What if there is no bias?",
        "Train this sheet: the line may turn, but it has to go through zero, and so it cannot reach the points.",
        "What is a bias for?",
        "Without an intercept the prediction at x = 0 is 0, whatever the slope. The points there are near 2.5, so the "
        "loss cannot fall below about 6.3, which is nearly 2.5²: training works, the model is too small.\n"
        "A bias lets a model be right about the mean before it looks at any input. Write 2.5 into the grey cell and "
        "see the loss.",
        bias=False,
    ),
    Case(
        "outlier",
        "What if one point is wrong?",
        "Train this sheet: one y was typed without its decimal point, and the whole line follows it.",
        "Why does one point matter so much?",
        "The loss squares the errors. An error of 260 counts as much as ten thousand errors of 2.6, so the line "
        "moves up by 2.6, to please one point and to displease ninety-nine. (The point itself, in row 19, is far above "
        "the chart.)\n"
        "Look at the largest squared error before you trust a fit. The mean of ABS(error) in place of its square "
        "would hardly notice the point.",
        outlier=264.0,
    ),
    Case(
        "scale",
        "What if x is measured in thousandths?",
        "Train this sheet: the same points with x a thousand times as large, and the intercept hardly moves.",
        "Why is it stuck?",
        "The slope's gradient is now a thousand times as large, and the curvature a million times: above a rate of "
        "0.000003 training explodes. With 0.000001 the intercept needs 500,000 steps for two thirds of its way.\n"
        "The cure is not a cleverer rate but a better column: divide x by 1000. Compare with “fit”.",
        rate=1e-6,
        hint="explodes above 0.000003",
        scale=1000.0,
    ),
)

LESSON = Lesson(
    about=(
        "A hundred points were made with y = 3x + 2 and noise between 0 and 1, and a line shall find them again.",
        "The sheet “fit” shows how gradient descent does it, with the gradient and the next step in cells.",
        "Four more sheets ask: what if the rate is too high, the bias missing, one point wrong, or x a thousand times "
        "as large?",
    ),
    press="Go to “fit” and press Train; then do the same on the four others. Undo brings the start values back.",
    watch="The line in the chart, the loss in the red cell, and the two gradients, which go to 0 at the lowest loss.",
    wrong=(
        "On “too_high” each step overshoots, and the loss grows. On “scale” no rate suits both parameters. On "
        "“no_bias” and “outlier” training works, but what it finds is not what you want: a model too small, and a loss "
        "that listens to one wrong point."
    ),
    questions=(
        (
            "The points were made with an intercept of 2. Why does training find 2.5?",
            "The noise lies between 0 and 1, so its mean is one half, and the best line runs through the middle of the "
            "points and not along their lower edge: 2 + ½. The slope is not exactly 3 either: a hundred noisy points "
            "know it only to about 0.05.",
        ),
        (
            "Can descent end in a wrong valley here?",
            "No. The mean of the squared errors of a line is a bowl with one lowest point, so every start leads there, "
            "if the rate is small enough. That is different for networks: see the example local_minima.",
        ),
        (
            "What is one step, and what is an epoch?",
            "A step is one change of the parameters. An epoch is one pass over all rows. Here each step uses all "
            "hundred rows, so that a step is an epoch; with batches of 20 rows an epoch would have five steps.",
        ),
    ),
    trainings=(
        Training(
            "fit",
            {0: "7.95", 10: "1.467", 20: "0.489", 30: "0.203", 40: "0.115", 50: "0.089", 60: "0.081", 90: "0.077"},
            best="0.0773",
            cells={"G6": "3.06", "H6": "2.50", "G8": "< 0.001", "H8": "< 0.001"},
        ),
        Training("too_high", {0: "7.95", 1: "5.01", 2: "5.43", 10: "28.7", 30: "1980"}, best="5.01"),
        Training("no_bias", {0: "12.451", 10: "8.073", 50: "6.233"}, best="6.2185", cells={"G6": "3.59"}),
        Training("outlier", {0: "699.77", 10: "677.82", 50: "676.60"}, best="676.587", cells={"H6": "5.13"}),
        Training(
            "scale", {0: "7.948", 1: "3.243", 10: "2.28223", 90: "2.28154"}, best="2.28145", cells={"H6": "1.0003"}
        ),
    ),
)


def data_points() -> list[tuple[float, float]]:
    """y = 3x + 2 and noise between 0 and 1, to two decimals; x lies between -1 and 1."""
    draw = Random(26140)
    across = [round(draw.uniform(-1, 1), 2) for _ in ROWS]
    return [(x, round(3 * x + 2 + draw.random(), 2)) for x in across]


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        for case in CASES:
            _sheet(book, case)


def _sheet(book: Book, case: Case) -> None:
    widths = {"A:B": 10, "C:E": 14, "F": 3, "G:H": 17, "I": 3, "J": 15, "K": 11, "L": 28}
    page = Page(book, case.sheet, title=case.title, sentence=case.sentence, widths=widths)
    page.sheet.set_default_row(18)
    data = data_points()
    ys = [y for _, y in data]
    if case.outlier is not None:
        ys[OUTLIER - 8] = case.outlier
    page.column("A7", "x", DATA, [case.scale * x for x, _ in data], "0.00" if case.scale == 1 else "0", align="center")
    page.column("B7", "y", DATA, ys, "0.00", align="center")
    if case.outlier is not None:
        page.cell(
            f"B{OUTLIER}", case.outlier, DATA, "0.00", align="center", bold=True, border=1, border_color=LOSS.dark
        )
    page.column("C7", f"{mark(2, 'prediction')}\na·x + b", PREDICTION, fill_down("=$G$6*A{0}+$H$6", ROWS), "0.000")
    page.column("D7", "error\nprediction − y", LOSS, fill_down("=C{0}-B{0}", ROWS), "0.000")
    page.column("E7", "squared\nerror", LOSS, fill_down("=D{0}^2", ROWS), "0.000")
    page.header("E5", mark(3, "loss"), LOSS)
    page.cell("E6", Formula(f"=AVERAGE(E8:E{LAST})"), LOSS, "0.0000", bold=True, align="center")
    page.label("D6", "mean of column E", align="right", indent=1)
    _parameters(page, case)
    _picture(page, case)
    page.notes("G32:L41", case.heading, case.note)
    settings: list[Setting] = [("learning rate", case.rate, case.hint), ("steps", case.steps, "")]
    page.settings("J2", [("optimizer", "sgd", ""), *settings])
    page.names(sgd_loss="E6", sgd_params="G6:H6" if case.bias else "G6", sgd_data=f"A8:E{LAST}")
    page.freeze(7)
    page.one_page("A1:L42")


def _parameters(page: Page, case: Case) -> None:
    """Parameters, gradients and the next parameters, from top to bottom."""
    strong: dict[str, Any] = {"bold": True, "align": "center"}
    digits = "0.0000" if case.scale == 1 else "0.000000"
    page.header("G5", mark(1, "slope a"), PARAMETER)
    page.cell("G6", -1.0 / case.scale, PARAMETER, digits, **strong)
    page.header("H5", mark(1, "intercept b") if case.bias else "b, fixed", PARAMETER if case.bias else SETTING)
    page.cell("H6", 1.0 if case.bias else 0.0, PARAMETER if case.bias else SETTING, "0.0000", **strong)
    page.header("G7", f"{mark(4, 'gradient of a')}\n2·mean(error·x)", LOSS)
    page.cell("G8", Formula(f"=2*SUMPRODUCT(D8:D{LAST},A8:A{LAST})/{len(ROWS)}"), LOSS, "0.0000", **strong)
    page.header("G9", mark(5, "next a"), PREDICTION)
    page.cell("G10", Formula("=G6-K4*G8"), PREDICTION, digits, **strong)
    if case.bias:
        page.header("H7", f"{mark(4, 'gradient of b')}\n2·mean(error)", LOSS)
        page.header("H9", mark(5, "next b"), PREDICTION)
        page.cell("H8", Formula(f"=2*AVERAGE(D8:D{LAST})"), LOSS, "0.0000", **strong)
        page.cell("H10", Formula("=H6-K4*H8"), PREDICTION, "0.0000", **strong)
    page.label("J9", mark(5, "next = old − learning rate × gradient"))
    page.label("J10", f"{mark(6, 'copy “next” over the parameters;')}   {mark(7, 'stop when it no longer changes')}")


def _picture(page: Page, case: Case) -> None:
    chart = page.chart(SCATTER, "G12", title="The points and the line", x="x", y="y", number="0", size=(640, 440))
    points(chart, page, "points", f"A8:A{LAST}", f"B8:B{LAST}", BLUE, size=5)
    line(chart, page, "prediction", f"A8:A{LAST}", f"C8:C{LAST}", GREEN, width=3)
    limits(chart, "x", -case.scale, case.scale, case.scale / 2)
    if case.outlier is not None:
        limits(chart, "y", -2, 8, 1)
