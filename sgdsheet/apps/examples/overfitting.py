"""Polynomials of degree 1, 2 and 15 through sixteen noisy points, judged by eight others that training never sees."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from sgdsheet.apps.examples._charts import AMBER, BLUE, GREEN, SCATTER, limits, line, points
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

TITLE = "Underfitting and overfitting"
PLACE = ("Networks", 4)
DESCRIPTION = "Polynomials of degree 1, 2 and 15 through noisy points, with validation rows: under- and overfitting"

SEED = 3
COUNT, HELD = 24, 8  # rows, and how many of them are for validation
ROWS = range(8, 8 + COUNT)
LAST, TRAINED = ROWS[-1], 8 + COUNT - HELD - 1
FINE = [round(-1 + 2 * number / 79, 3) for number in range(80)]  # without 0, of which 0^0 is an error
STRONG: dict[str, Any] = {"bold": True, "align": "center"}


class Case(NamedTuple):
    """One sheet: its degree, and what there is to say."""

    sheet: str
    degree: int
    title: str
    sentence: str
    heading: str
    note: str
    steps: int


CASES = (
    Case(
        "degree_1",
        1,
        "Too simple: a straight line",
        "Train this sheet: the line cannot bend, so training rows and validation rows are both badly predicted.",
        "Underfitting",
        "A line has two parameters. The points follow a parabola, and no line comes near it: the loss stays high on "
        "the rows it was trained on, and on the others. More steps or more data do not help; a better model does.",
        200,
    ),
    Case(
        "degree_2",
        2,
        "Just right: a parabola",
        "Train this sheet: three parameters follow the points, and the validation rows are predicted as well.",
        "What is left is noise",
        "The points were made with a parabola and noise whose variance is 0.16. Both losses come near that, and below "
        "it no model can honestly get: the noise of a new row cannot be known.",
        200,
    ),
    Case(
        "degree_15",
        15,
        "Too flexible: degree 15",
        "Train this sheet: the loss of the training rows falls and falls, while that of the validation rows rises.",
        "Overfitting",
        "Sixteen parameters for sixteen training rows: the curve can run through every one of them, noise included. "
        "Between them it swings, so the rows it has never seen are predicted worse and worse.\n"
        "The validation rows tell when it turns: they were best early. With the setting “early stopping” training ends "
        "there. More data, a smaller model or weight decay help, too.",
        500,
    ),
)

LESSON = Lesson(
    about=(
        "Sixteen noisy points are for training, and eight others are kept back to judge what was learned.",
        "A line is too simple for them, a parabola is right, and a polynomial of degree 15 learns the noise by heart.",
        "Only the rows that training never saw can tell the difference.",
    ),
    press="Go to “degree_1” and press Train; then do the same on “degree_2” and “degree_15”.",
    watch="The red cells: the loss of the training rows and that of the validation rows. On “degree_15” they part.",
    wrong=(
        "The more parameters, the lower the loss of the training rows: by that number alone degree 15 wins. It has "
        "learned the noise of sixteen points, and fails on the other eight."
    ),
    questions=(
        (
            "Why is the lowest training loss not the best model?",
            "Because nobody wants predictions for rows whose answers are known. What counts is the loss on rows that "
            "were not used for training, and a model can lower one while it raises the other.",
        ),
        (
            "You try fifty models, and keep the one with the lowest validation loss. Is that loss an honest number?",
            "Not quite. The choice itself has used the validation rows: among fifty models, one is lucky on them. "
            "That is why a third part, the test rows, is looked at only once, at the very end.",
        ),
    ),
    trainings=(
        Training("degree_1", {0: "2.1186"}, valid="1.200", cells={"C6": "0.891", "D6": "1.200"}),
        Training("degree_2", {0: "2.1186"}, valid="0.120", cells={"C6": "0.088", "D6": "0.120"}),
        Training("degree_15", {0: "2.1186"}, valid="> 1", cells={"C6": "< 0.05", "D6": "> 1"}),
        Training("degree_15", {0: "2.1186"}, valid="0.080", typed={"K5": 20.0}, stopped="early"),
    ),
)


def data_points() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Points of 3x² + x with normal noise, for training and for validation, each from left to right."""
    draw = Random(SEED)
    across = [round(-1 + 2 * number / (COUNT - 1), 3) for number in range(COUNT)]
    both = [(x, round(3 * x * x + x + draw.gauss(0, 0.4), 2)) for x in across]
    held = both[1::3]
    return [point for point in both if point not in held], held


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        for case in CASES:
            _sheet(book, case)


def _sheet(book: Book, case: Case) -> None:
    widths = {"A:B": 11, "C": 12, "D": 16, "E": 13, "F": 3, "G": 8, "H": 14, "I": 3, "J": 15, "K": 11, "L": 60, "M": 3}
    page = Page(book, case.sheet, title=case.title, sentence=case.sentence, widths=widths)
    page.sheet.set_default_row(18)
    trained, held = data_points()
    data = trained + held
    marks = [0.0] * len(trained) + [1.0] * len(held)
    page.column("A7", "x", DATA, [x for x, _ in data], "0.000", align="center")
    page.column("B7", "y", DATA, [y for _, y in data], "0.00", align="center")
    page.column("C7", "validation\n(1 = yes)", DATA, marks, "0", align="center")
    page.fade_zeros(f"C8:C{LAST}")
    powers = range(8, 8 + case.degree + 1)
    page.column("G7", "power\nof x", DATA, [float(power) for power in range(case.degree + 1)], "0", align="center")
    page.column("H7", mark(1, "factor"), PARAMETER, [0.0] * len(powers), "0.0000", bold=True, align="center")
    factors, exponents = f"$H$8:$H${powers[-1]}", f"$G$8:$G${powers[-1]}"
    page.column(
        "D7", mark(2, "prediction"), PREDICTION, fill_down(f"=SUMPRODUCT({factors},A{{0}}^{exponents})", ROWS), "0.000"
    )
    page.column("E7", "squared\nerror", LOSS, fill_down("=(D{0}-B{0})^2", ROWS), "0.000")
    _losses(page)
    settings: list[Setting] = [("optimizer", "lbfgs", "or adam"), ("steps", case.steps, "")]
    if case.degree > 2:
        settings.append(("early stopping", "no", "try 20"))
    page.settings("J2", settings)
    page.names(sgd_loss="E6", sgd_params=f"H8:H{powers[-1]}", sgd_data=f"A8:E{LAST}", sgd_valid=f"C8:C{LAST}")
    below = range(8, 8 + len(FINE))
    page.label("N6", "for the chart: the curve")
    page.column("N7", "x", DATA, FINE, "0.000", align="center")
    page.column("O7", "prediction", PREDICTION, fill_down(f"=SUMPRODUCT({factors},N{{0}}^{exponents})", below), "0.000")
    chart = page.chart(SCATTER, "J8", title="The points and the polynomial", x="x", y="y", number="0", size=(560, 400))
    points(chart, page, "training rows", f"A8:A{TRAINED}", f"B8:B{TRAINED}", BLUE)
    points(
        chart,
        page,
        "validation rows",
        f"A{TRAINED + 1}:A{LAST}",
        f"B{TRAINED + 1}:B{LAST}",
        AMBER,
        marker="diamond",
        size=10,
    )
    line(chart, page, "prediction", f"N8:N{below[-1]}", f"O8:O{below[-1]}", GREEN)
    limits(chart, "x", -1, 1, 0.5)
    limits(chart, "y", -2, 6, 1)
    page.notes("J26:L34", case.heading, case.note)
    page.freeze(7)
    page.one_page("A1:L35")


def _losses(page: Page) -> None:
    """The loss of all rows, and those of the two parts."""
    page.header("C5", "training rows", LOSS)
    page.cell("C6", Formula(f"=AVERAGEIF(C8:C{LAST},0,E8:E{LAST})"), LOSS, "0.0000", **STRONG)
    page.header("D5", "validation rows", LOSS)
    page.cell("D6", Formula(f"=AVERAGEIF(C8:C{LAST},1,E8:E{LAST})"), LOSS, "0.0000", **STRONG)
    page.header("E5", mark(3, "loss, all"), LOSS)
    page.cell("E6", Formula(f"=AVERAGE(E8:E{LAST})"), LOSS, "0.0000", **STRONG)
