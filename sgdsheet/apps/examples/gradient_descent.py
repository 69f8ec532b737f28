"""Gradient descent on (x² − 9)², one parameter, every step a row: tangent, learning rates, gradients not zeroed.

`tangent` is the loss curve with its tangent at x beside the finite difference. `steps` descends in cells. `rates` sets
three learning rates side by side, and `not_zeroed` forgets to set the gradient to zero between the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

from sgdsheet.apps.examples._charts import AMBER, BLUE, GREEN, RED, SCATTER, limits, line, points
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    Book,
    Formula,
    Page,
    Setting,
    fill_down,
    mark,
)

TITLE = "Gradient descent, step by step"
PLACE = ("Descend", 2)
DESCRIPTION = "Gradient descent on one parameter, every step a row: tangent, learning rates, gradients not zeroed"

CURVE = [round(-4.4 + 0.1 * number, 1) for number in range(89)]  # x from -4.4 to 4.4
FIRST = 8
STEPS = 30
STRONG: dict[str, Any] = {"bold": True, "align": "center"}
LONG, POWERS = "#,##0.00", "0.00E+00"
LOSSES = "[>=1000000]0.00E+00;[<0.005]0.0E+00;#,##0.00"

TANGENT = (
    "The gradient is the slope of the curve at x: how much the loss rises if x rises by a little. Calculus gives it as "
    "a formula: 4·x·(x² − 9).\n"
    "One can also measure it: go h to the right and h to the left, and divide the difference of the losses by 2h. The "
    "table shows that both agree better and better while h gets smaller, until the computer's 16 digits are used up: "
    "then the difference of two nearly equal numbers is mostly rounding, and the measured slope gets worse again.\n"
    "sgdsheet calculates gradients by formula, for all parameters at once; measuring would take two predictions of "
    "all rows for each parameter."
)
STEPPING = (
    "Each row is one step. The gradient at x is negative at first: the curve falls to the right, so x grows. Near 3 "
    "the curve is flat, the gradient is small, and the steps become small by themselves.\n"
    "Change the start value or the learning rate and watch the path. Training this sheet does the same thirty steps "
    "to the start value, and leaves you at the end of the path."
)
RATES = (
    "Too low: after thirty steps x has not arrived. Right: a dozen steps are enough. Too high: the first step jumps "
    "across the valley and up the other wall, where the gradient is larger, so the next jump is larger still: the loss "
    "goes from 25 to 729 to 11,891,738.\n"
    "Near x = 3 the curvature of the loss is 72, and only rates below 2/72 = 0.028 settle there. Training this "
    "sheet starts at 2 with the rate that is too high; sgdsheet says so and gives 2 back."
)
KEPT = (
    "PyTorch adds each new gradient to the one that is there, unless it is set to zero first. If that is forgotten, "
    "every step also repeats all steps before it: x runs through the valley, is pulled back, runs through again, and "
    "never settles.\n"
    "Compare the two columns of losses: with zeroing 64, 52.67, 37.20, 20.35 and down to 0.02; without it 64, 52.67, "
    "24.08, 0.57 and up again to 64.82. The first two are equal, which is why the mistake is easy to miss.\n"
    "The setting “zero gradients” makes training forget it, too."
)


def _down(sheet: str, column: str, numbers: str) -> dict[str, str]:
    """What must stand in a column, from the first step on."""
    return {f"{sheet}!{column}{row}": number for row, number in enumerate(numbers.split(), FIRST)}


LESSON = Lesson(
    about=(
        "One parameter x, and a loss (x² − 9)² that is smallest at 3 and at −3: all of gradient descent can be seen.",
        "Every step is a row of cells: the parameter, its loss, its gradient, and the parameter after the step.",
        "The sheets show what a gradient is, what a learning rate does, and what happens if gradients are not zeroed.",
    ),
    press="Go to “tangent” and change x; then to “steps”, and press Train. Do the same on “rates” and “not_zeroed”.",
    watch="The point on the curve and the column of losses. On “rates”, compare the three paths.",
    wrong=(
        "With a learning rate that is too high, each step lands further away than it began. With one that is too low "
        "nothing seems to happen. And with gradients that are added up instead of zeroed, the steps never settle."
    ),
    questions=(
        (
            "The loss is 0 at 3 and at −3. Which of them does descent find?",
            "The one whose valley it starts in: it only ever looks at the slope below its feet. From 1 it goes to 3, "
            "from −1 to −3. At exactly 0 the gradient is 0, and it stays there for ever, on top of the hill.",
        ),
        (
            "Why move against the gradient, and why multiply it by such a small number?",
            "The gradient points to where the loss rises, so the opposite direction is where it falls. But it holds "
            "only for small moves: the tangent leaves the curve soon. The learning rate keeps the move in the range "
            "where the tangent can be believed.",
        ),
    ),
    trainings=(
        Training("tangent", {0: "25", 1: "10.50", 2: "2.72"}, best="< 0.0001", cells={"G6": "3.00"}),
        Training(
            "steps",
            {0: "64.00", 1: "52.67", 2: "37.20", 3: "20.35", 4: "7.53", 5: "1.68", 6: "0.23", 7: "0.02"},
            best="< 0.0001",
            cells={"A6": "3.00"},
        ),
        Training("rates", {0: "25", 1: "729", 2: "1.19e7"}, best="25", stopped="diverged"),
        Training(
            "not_zeroed",
            {0: "64.00", 1: "52.67", 2: "24.08", 3: "0.57", 4: "64.82", 5: "30.03", 6: "3.97", 7: "37.33",
             8: "58.30", 9: "64.21"},
            best="> 0.001",
        ),
    ),
    shows={
        **_down("steps", "G", "64.00 52.67 37.20 20.35 7.53 1.68 0.23 0.02"),
        **_down("not_zeroed", "G", "64.00 52.67 24.08 0.57 64.82 30.03 3.97 37.33 58.30 64.21"),
        **_down("rates", "N", "2 6 -58.8 81048.5"),
        **_down("rates", "O", "25 729 1.19e7"),
        "steps!F38": "3.0000",
    },
)  # fmt: skip


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _tangent(book)
        _steps(book)
        _rates(book)
        _not_zeroed(book)


def _loss(x: str) -> str:
    return f"({x}^2-9)^2"


def _gradient(x: str) -> str:
    return f"4*{x}*({x}^2-9)"


def _page(book: Book, name: str, title: str, sentence: str, widths: Mapping[str, float]) -> Page:
    page = Page(book, name, title=title, sentence=sentence, widths=widths)
    page.sheet.set_default_row(18)
    page.freeze(7)
    return page


def _curve(page: Page, left: int) -> tuple[str, str]:
    """Two columns from row 7 on: x and the loss there; returns their areas."""
    x, y = xl_col_to_name(left), xl_col_to_name(left + 1)
    rows = range(FIRST, FIRST + len(CURVE))
    page.label(f"{x}6", "for the chart: the curve")
    page.column(f"{x}7", "x", DATA, CURVE, "0.0", align="center")
    page.column(f"{y}7", "loss\n(x² − 9)²", DATA, fill_down(f"={_loss(x + '{0}')}", rows), "0.00")
    return f"{x}{rows[0]}:{x}{rows[-1]}", f"{y}{rows[0]}:{y}{rows[-1]}"


# --- the tangent --------------------------------------------------------------------------------------------


def _tangent(book: Book) -> None:
    sentence = (
        "Change x, or train this sheet: the tangent turns, and its slope is the gradient, the same by formula and by h."
    )
    widths = {"A": 12, "B:D": 16, "E": 3, "F": 3, "G:I": 15, "J": 3, "K": 15, "L": 11, "M": 24, "N": 3, "O:P": 10}
    page = _page(book, "tangent", "What a gradient is", sentence, widths)
    page.header("G5", mark(1, "parameter x"), PARAMETER)
    page.cell("G6", 2.0, PARAMETER, "0.0000", **STRONG)
    page.header("H5", mark(3, "loss (x² − 9)²"), LOSS)
    page.cell("H6", Formula(f"={_loss('G6')}"), LOSS, "0.0000", **STRONG)
    page.header("I5", mark(4, "gradient"), LOSS)
    page.cell("I6", Formula(f"={_gradient('G6')}"), LOSS, "0.0000", **STRONG)
    page.settings("K2", [("optimizer", "sgd", ""), ("learning rate", 0.01, "try 0.03"), ("steps", 30, "")])
    page.names(sgd_params="G6", sgd_loss="H6")
    heights = [1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12]
    rows = range(FIRST, FIRST + len(heights))
    page.label("A6", "the gradient, measured: once for each h", bold=True)
    page.column("A7", "h", DATA, heights, "General", align="center")
    page.column("B7", "loss at x + h", LOSS, fill_down(f"={_loss('($G$6+A{0})')}", rows), "0.0000000000")
    page.column("C7", "loss at x − h", LOSS, fill_down(f"={_loss('($G$6-A{0})')}", rows), "0.0000000000")
    page.column(
        "D7", f"{mark(4, 'difference')}\ndivided by 2h", LOSS, fill_down("=(B{0}-C{0})/(2*A{0})", rows), "0.0000000"
    )
    below = rows[-1] + 2
    page.label(
        f"A{below}", "for the chart: two points of the tangent, and two of the measured slope with h = 1", bold=True
    )
    page.column(f"A{below + 1}", "x", DATA, [Formula("=G6-0.8"), Formula("=G6+0.8")], "0.00", align="center")
    page.column(
        f"B{below + 1}",
        "tangent",
        PREDICTION,
        fill_down("=$H$6+$I$6*(A{0}-$G$6)", range(below + 2, below + 4)),
        "0.00",
    )
    page.column(f"C{below + 1}", "x ∓ 1", DATA, [Formula("=G6-A8"), Formula("=G6+A8")], "0.00", align="center")
    page.column(f"D{below + 1}", "measured", PREDICTION, [Formula("=C8"), Formula("=B8")], "0.00")
    page.label(
        f"A{below + 5}",
        f"{mark(2)} the prediction is x² and should be 9;  {mark(5)} one step: x − learning rate × gradient",
    )
    page.label(f"A{below + 6}", f"{mark(5)} next x")
    page.cell(f"B{below + 6}", Formula("=G6-L4*I6"), PREDICTION, "0.0000", **STRONG)
    page.label(f"C{below + 6}", mark(2, "x²"), align="right")
    page.cell(f"D{below + 6}", Formula("=G6^2"), PREDICTION, "0.0000", **STRONG)
    x, y = _curve(page, 14)
    chart = page.chart(
        SCATTER, "G8", title="The loss, and its tangent at x", x="x", y="loss", number="0", size=(640, 432)
    )
    line(chart, page, "loss (x² − 9)²", x, y, BLUE)
    tangent = f"A{below + 2}:A{below + 3}"
    line(chart, page, "tangent: the gradient", tangent, f"B{below + 2}:B{below + 3}", RED, width=2.5)
    line(
        chart,
        page,
        "measured with h = 1",
        f"C{below + 2}:C{below + 3}",
        f"D{below + 2}:D{below + 3}",
        AMBER,
        dash="dash",
    )
    points(chart, page, "x", "G6", "H6", RED, marker="diamond", size=10)
    limits(chart, "x", -5, 5, 1)
    limits(chart, "y", -20, 120, 20)
    page.notes("G27:M38", "Two ways to the same number", TANGENT)
    page.one_page("A1:M39")


# --- steps --------------------------------------------------------------------------------------------------


def _descent(page: Page, left: int, *, start: str, rate: str, count: int, kept: bool = False) -> None:
    """Columns x, loss, gradient and (where gradients are kept) their sum, one row for each step, from row 8 on."""
    x, loss, slope, total = (xl_col_to_name(left + number) for number in range(4))
    rows = range(FIRST, FIRST + count + 1)
    moved = [Formula(f"={x}{row}-{rate}*{total if kept else slope}{row}") for row in rows[:-1]]
    page.column(f"{x}7", f"{mark(5, 'x')}\nafter the step", PREDICTION, [Formula(f"={start}"), *moved], "#,##0.0000")
    page.column(f"{loss}7", f"{mark(3, 'loss')}\n(x² − 9)²", LOSS, fill_down(f"={_loss(x + '{0}')}", rows), LOSSES)
    slopes = fill_down(f"={_gradient(x + '{0}')}", rows)
    page.column(f"{slope}7", f"{mark(4, 'gradient')}\n4x(x² − 9)", LOSS, slopes, POWERS if count < STEPS else LONG)
    if kept:
        sums = [Formula(f"={slope}{FIRST}"), *(Formula(f"={total}{row - 1}+{slope}{row}") for row in rows[1:])]
        page.column(f"{total}7", "sum of all\ngradients", LOSS, sums, LONG)


def _start(page: Page, value: float, columns: tuple[str, str, str], settings: list[Setting], at: str) -> None:
    """The parameter, its loss and its prediction, and the settings."""
    x, loss, squared = columns
    page.header(f"{x}5", mark(1, "start x"), PARAMETER)
    page.cell(f"{x}6", value, PARAMETER, "0.0000", **STRONG)
    page.header(f"{loss}5", mark(3, "its loss"), LOSS)
    page.cell(f"{loss}6", Formula(f"={_loss(x + '6')}"), LOSS, "0.0000", **STRONG)
    page.header(f"{squared}5", mark(2, "its x², which should be 9"), PREDICTION)
    page.cell(f"{squared}6", Formula(f"={x}6^2"), PREDICTION, "0.0000", **STRONG)
    page.settings(at, [("optimizer", "sgd", ""), *settings])
    page.names(sgd_params=f"{x}6", sgd_loss=f"{loss}6")


def _count(page: Page, column: str) -> None:
    page.column(
        f"{column}7", f"{mark(6)}\nstep", DATA, [float(number) for number in range(STEPS + 1)], "0", align="center"
    )


def _steps(book: Book) -> None:
    sentence = "Every step is a row. Train this sheet: the same thirty steps move the start value itself."
    widths = {"A:B": 17, "C": 32, "D": 3, "E": 8, "F:H": 15, "I": 3, "J:K": 10}
    page = _page(book, "steps", "Thirty steps", sentence, widths)
    settings: list[Setting] = [("learning rate", 0.01, "explodes above 0.028"), ("steps", STEPS, "")]
    _start(page, 1.0, ("A", "B", "C"), settings, "A9")
    _count(page, "E")
    _descent(page, 5, start="$A$6", rate="$B$11", count=STEPS)
    page.label("F40", mark(7, f"stop: after {STEPS} steps, or when the gradient is nearly 0"))
    x, y = _curve(page, 9)
    chart = page.chart(SCATTER, "A14", title="The path on the loss curve", x="x", y="loss", number="0", size=(500, 384))
    line(chart, page, "loss (x² − 9)²", x, y, BLUE)
    steps = [f"{column}{FIRST}:{column}{FIRST + STEPS}" for column in "FG"]
    line(chart, page, "steps", steps[0], steps[1], RED, width=1.25, marker="diamond")
    limits(chart, "x", -5, 5, 1)
    limits(chart, "y", 0, 120, 20)
    page.notes("A31:C42", "Why do the steps get shorter?", STEPPING)
    page.one_page("A1:H43")


def _rates(book: Book) -> None:
    sentence = "Three learning rates from the same start. Train this sheet: its rate is the one that is too high."
    widths = {"A:B": 17, "C": 32, "D": 3, "E": 8, "F:H": 13, "I": 2, "J:L": 13, "M": 2, "N:P": 16}
    page = _page(book, "rates", "Too low, right, too high", sentence, widths)
    _start(page, 2.0, ("A", "B", "C"), [("learning rate", 0.1, "too high"), ("steps", STEPS, "")], "A9")
    _count(page, "E")
    for left, rate, name, count in ((5, 0.0005, "too low", STEPS), (9, 0.01, "right", STEPS), (13, 0.1, "too high", 3)):
        column = xl_col_to_name(left)
        page.header(f"{column}5", mark(5, "rate"), DATA)
        page.cell(f"{column}6", rate, DATA, "0.0000", **STRONG)
        page.label(f"{xl_col_to_name(left + 1)}6", name, bold=True, font_size=12)
        _descent(page, left, start="$A$6", rate=f"${column}$6", count=count)
    page.label("N13", "and so on: there is no way back", italic=True)
    chart = page.chart(SCATTER, "A14", title="The loss, step by step", x="step", y="loss", number="0", size=(500, 384))
    for name, column, colour, shape, count in (("too low", "G", AMBER, "triangle", STEPS),
                                               ("right", "K", GREEN, "circle", STEPS),
                                               ("too high", "O", RED, "diamond", 3)):  # fmt: skip
        areas = (f"E{FIRST}:E{FIRST + count}", f"{column}{FIRST}:{column}{FIRST + count}")
        line(chart, page, name, areas[0], areas[1], colour, width=1.25, marker=shape, size=6)
    limits(chart, "x", 0, STEPS, 5)
    limits(chart, "y", 0, 60, 10)
    page.notes("A31:C44", "How large may a step be?", RATES)
    page.one_page("A1:P45")


def _not_zeroed(book: Book) -> None:
    sentence = "The gradients are never set to zero. Train this sheet: the loss falls and rises, and never settles."
    widths = {"A:B": 17, "C": 32, "D": 3, "E": 8, "F:I": 13, "J": 3, "K:M": 13}
    page = _page(book, "not_zeroed", "Gradients that are not zeroed", sentence, widths)
    settings: list[Setting] = [("learning rate", 0.01, ""), ("zero gradients", "no", "try yes"), ("steps", STEPS, "")]
    _start(page, 1.0, ("A", "B", "C"), settings, "A9")
    _count(page, "E")
    page.label("F6", "gradients are added up", bold=True, font_size=12)
    _descent(page, 5, start="$A$6", rate="$B$11", count=STEPS, kept=True)
    page.label("K6", "gradients are zeroed", bold=True, font_size=12)
    _descent(page, 10, start="$A$6", rate="$B$11", count=STEPS)
    chart = page.chart(SCATTER, "A15", title="The loss, step by step", x="step", y="loss", number="0", size=(500, 384))
    steps = f"E{FIRST}:E{FIRST + STEPS}"
    line(chart, page, "added up", steps, f"G{FIRST}:G{FIRST + STEPS}", RED, width=1.25, marker="diamond", size=6)
    zeroed = f"L{FIRST}:L{FIRST + STEPS}"
    line(chart, page, "zeroed", steps, zeroed, GREEN, width=1.25, marker="circle", size=6, dash="dash")
    limits(chart, "x", 0, STEPS, 5)
    limits(chart, "y", 0, 80, 20)
    page.notes("A32:C44", "The most common mistake", KEPT)
    page.one_page("A1:M45")
