"""The roller coaster: a parabola through twenty measured speeds, once stuck and once not.

Both sheets hold the same measurements, the same model and the same loss. On `raw` the model sees the time
in seconds: training starts well and then crawls, far from the best curve. On `centred` a column of formulas
first moves and scales the time to lie between -1 and 1: a much larger learning rate becomes possible, and
the curve fits within the same 100 steps. The learner sees that not the model but the scale of its inputs
was the trouble.
"""

from __future__ import annotations

from math import fsum
from pathlib import Path

from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    Book,
    Formula,
    Page,
    fill_down,
    mark,
)

TITLE = "The roller coaster"
PLACE = ("Descend", 3)
DESCRIPTION = "A parabola for the speed of a roller coaster: why training gets stuck, and the cure"

# Made up: 0.75 * (t - 9.5)**2 + 1 plus normal noise with standard deviation 2, drawn once.
SPEEDS = (
    *(71.26, 58.09, 43.32, 31.16, 21.50, 16.25, 8.14, 2.81, 3.09, 1.45),
    *(2.28, 0.86, 5.70, 10.06, 13.18, 24.76, 33.33, 47.97, 55.59, 68.40),
)
ROWS = range(8, 8 + len(SPEEDS))  # the rows of the samples, below the header in row 7
LAST = ROWS[-1]

STUCK = (
    "Within ten steps the loss falls from 25,000 to about 640, and there it seems to stay, although 2.8 is "
    "possible. Nothing is wrong with the model. Its inputs differ too much in size: t² goes up to 361, t to "
    "19, and the constant is always 1. So the loss is a valley that is about 218,000 times steeper across "
    "than along (this is its condition number).\n\n"
    "The learning rate must suit the steep walls: above 0.000035 training explodes. Then each step along "
    "the flat floor is tiny. To bring the parameters two thirds of the way along it takes 387,000 steps.\n\n"
    "The cure is on the sheet “centred”."
)
CURED = (
    "The same points and the same formula, but in place of t the model sees u = (t-9.5)/9.5, which lies "
    "between -1 and 1. Now u², u and the constant are of similar size: the valley is only 12 times steeper "
    "across than along, instead of 218,000 times.\n\n"
    "So the learning rate can be 0.5 (training explodes only above 0.87), and 100 steps bring the loss to "
    "2.84, the best that any parabola can do here.\n\n"
    "Centre and scale your inputs before you train: it costs one column of formulas."
)
LESSON = Lesson(
    about=(
        "A roller coaster was measured once a second, and a parabola a·t² + b·t + c shall describe its speed.",
        "Gradient descent on the raw times gets stuck far from the best curve.",
        "With times that were moved and scaled to lie between -1 and 1, the same model fits within a hundred steps.",
    ),
    press="Go to “raw” and press Train; then do the same on “centred”.",
    watch="The green curve in the chart, and the loss in the red cell: on “raw” both stop moving after ten steps.",
    wrong=(
        "On “raw” the inputs differ too much in size: t² goes up to 361, t to 19, and the constant is always 1. The "
        "learning rate must suit the largest, and then the smallest hardly moves."
    ),
    questions=(
        (
            "Why time − 9.5, and not just time?",
            "9.5 is the mean of the times 0 to 19. With it taken off, half of the inputs are negative and half are "
            "positive, so a change of b no longer looks like a change of c: each parameter gets a job of its own. "
            "Dividing by 9.5 then makes u², u and 1 similar in size, so that one learning rate suits all three.",
        ),
        (
            "The data were made with 0.75·(t − 9.5)² + 1. Why are the learned a, b and c not 0.75, −14.25 and 68.69?",
            "For two reasons. The speeds have noise, so the best parabola for these twenty points is another one than "
            "the parabola that made them. And on “raw” training has not arrived at the best one: a hundred steps are "
            "far too few. On “centred” a, b, c also mean something else, because they multiply u and not t: a is then "
            "0.75·9.5² ≈ 67.7.",
        ),
    ),
    trainings=(
        Training("raw", {0: "25028.15", 1: "5256.63", 2: "1515.25", 10: "642.00", 50: "641.86"}, best="641.68"),
        Training("centred", {0: "1210.97", 10: "58.52", 50: "2.865"}, best="2.84398", cells={"G6": "70.40"}),
    ),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _raw(book)
        _centred(book)


def _raw(book: Book) -> None:
    sentence = "Train this sheet: a, b and c change step by step, and the curve moves closer to the measured speeds."
    widths = {"A:D": 16, "E": 3, "F:H": 19, "I": 8, "J": 3, "K": 3, "L:N": 15}
    page = Page(book, "raw", title="The roller coaster", sentence=sentence, widths=widths)
    start, times = (-0.75, -0.75, 1.35), [float(second) for second in range(len(SPEEDS))]
    predictions = _model(page, "A", times, "C", "F", start, ("m/s³", "m/s²", "m/s"))
    page.column("A7", "time t\n(s)", DATA, times, "0", align="center")
    page.column("B7", "speed\n(m/s)", DATA, SPEEDS, "0.00")
    _loss(page, "B", "C", "D", predictions)
    _step(page, "FGH", "A", "C", "B", "M4")
    _chart(page, "F12", "B", "C")
    page.settings("L2", _settings(1e-5, "explodes above 0.000035"))
    page.notes("L8:N27", "Why is it stuck?", STUCK)
    page.names(sgd_params="F6:H6", sgd_data=f"A8:D{LAST}")


def _centred(book: Book) -> None:
    sentence = "Train this sheet and compare with “raw”: only the input of the model is different, and now it fits."
    widths = {"A:E": 16, "F": 3, "G:I": 19, "J": 8, "K": 3, "L": 3, "M:O": 15}
    page = Page(book, "centred", title="The roller coaster, centred", sentence=sentence, widths=widths)
    times = [float(second) for second in range(len(SPEEDS))]
    centred = [(time - 9.5) / 9.5 for time in times]
    predictions = _model(page, "B", centred, "D", "G", (0.0, 0.0, 0.0), ("m/s", "m/s", "m/s"))
    page.column("A7", "time t\n(s)", DATA, times, "0", align="center")
    cells = fill_down("=(A{0}-9.5)/9.5", ROWS, centred)
    page.column("B7", "centred time\nu = (t-9.5)/9.5", DATA, cells, "0.000", align="center")
    page.column("C7", "speed\n(m/s)", DATA, SPEEDS, "0.00")
    _loss(page, "C", "D", "E", predictions)
    _step(page, "GHI", "B", "D", "C", "N4")
    _chart(page, "G12", "C", "D")
    page.settings("M2", _settings(0.5, "explodes above 0.87"))
    page.notes("M8:O27", "Why does it work now?", CURED)
    page.names(sgd_params="G6:I6", sgd_data=f"A8:E{LAST}")


def _settings(rate: float, hint: str) -> list[tuple[str, float | str, str]]:
    rows = [("learning rate", rate, hint), ("momentum", 0, "try 0.9"), ("steps", 100, "")]
    return [("optimizer", "sgd", ""), *rows]


def _model(
    page: Page,
    x: str,
    inputs: list[float],
    column: str,
    panel: str,
    start: tuple[float, float, float],
    units: tuple[str, str, str],
) -> list[float]:
    """Write the parameters and the column of predictions; return the predictions."""
    columns = [chr(ord(panel) + offset) for offset in range(3)]
    for letter, name, unit, value in zip(columns, "abc", units, start, strict=True):
        page.header(f"{letter}5", mark(1, f"{name}  ({unit})"), PARAMETER)
        page.cell(f"{letter}6", value, PARAMETER, "0.0000", bold=True, align="center")
    a, b, c = start
    predictions = [a * (value * value) + b * value + c for value in inputs]
    first, second, third = columns
    cells = fill_down(f"=${first}$6*{x}{{0}}^2+${second}$6*{x}{{0}}+${third}$6", ROWS, predictions)
    name = "t" if x == "A" else "u"
    page.column(f"{column}7", f"{mark(2, 'prediction')}\na·{name}²+b·{name}+c (m/s)", PREDICTION, cells, "0.00")
    return predictions


def _loss(page: Page, speed: str, prediction: str, error: str, predictions: list[float]) -> None:
    """Write the column of squared errors and, above it, their mean: the loss."""
    gaps = [predicted - measured for predicted, measured in zip(predictions, SPEEDS, strict=True)]
    errors = [gap * gap for gap in gaps]
    cells = fill_down(f"=({prediction}{{0}}-{speed}{{0}})^2", ROWS, errors)
    page.column(f"{error}7", "squared error\n(m²/s²)", LOSS, cells, "#,##0.00")
    page.header(f"{error}5", mark(3, "loss (m²/s²)"), LOSS)
    mean = Formula(f"=AVERAGE({error}8:{error}{LAST})", fsum(errors) / len(errors))
    page.cell(f"{error}6", mean, LOSS, "#,##0.00", bold=True)
    page.label(f"{prediction}6", "mean of the errors below", align="right", indent=1)
    page.names(sgd_loss=f"{error}6")
    page.sheet.set_default_row(18)
    page.freeze(7)


def _step(page: Page, columns: str, x: str, prediction: str, speed: str, rate: str) -> None:
    """Below each parameter its gradient, by the formula, and where one step leads."""
    errors = f"({prediction}8:{prediction}{LAST}-{speed}8:{speed}{LAST})"
    inputs, name = f"{x}8:{x}{LAST}", "t" if x == "A" else "u"
    factors = ((f"*{inputs}^2", f"·{name}²"), (f"*{inputs}", f"·{name}"), ("", ""))
    for letter, parameter, (factor, said) in zip(columns, "abc", factors, strict=True):
        page.header(f"{letter}7", f"{mark(4, f'gradient of {parameter}')}\n2·mean(error{said})", LOSS, font_size=10)
        gradient = Formula(f"=2*SUMPRODUCT({errors}{factor})/{len(ROWS)}")
        page.cell(f"{letter}8", gradient, LOSS, "#,##0.00", bold=True, align="center")
        page.header(f"{letter}9", mark(5, f"next {parameter}"), PREDICTION)
        step = Formula(f"={letter}6-{rate}*{letter}8")
        page.cell(f"{letter}10", step, PREDICTION, "0.0000", bold=True, align="center")
    said = f"{mark(5, 'next = old − learning rate × gradient;')}  {mark(6, 'copy it over the parameter')}"
    page.label(f"{columns[0]}11", said)


def _chart(page: Page, address: str, speed: str, prediction: str) -> None:
    chart = page.chart(
        {"type": "scatter", "subtype": "smooth"},
        address,
        title="Speed of the roller coaster",
        x="time t (s)",
        y="speed (m/s)",
        number="0",
        size=(480, 384),
    )
    seconds = page.area(f"A8:A{LAST}")
    dots = {"type": "circle", "size": 7, "fill": {"color": DATA.dark}, "border": {"color": "#FFFFFF"}}
    chart.add_series(
        {
            "name": "measured",
            "categories": seconds,
            "values": page.area(f"{speed}8:{speed}{LAST}"),
            "line": {"none": True},
            "marker": dots,
        }
    )
    chart.add_series(
        {
            "name": "predicted",
            "categories": seconds,
            "values": page.area(f"{prediction}8:{prediction}{LAST}"),
            "line": {"color": PREDICTION.dark, "width": 2.5},
            "marker": {"type": "none"},
        }
    )
