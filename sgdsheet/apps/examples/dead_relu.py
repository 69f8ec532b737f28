"""One unit c·MAX(0, a·x + b) + d: alive, dead, how it dies, and leaky. Gradients and the next step stand in cells.

All sheets hold the same twenty-five points. On `dead` the sum a·x + b is negative in every row, so that the gradients
of a, b and c are exactly 0. `dies` shows, step by step, how a learning rate that is too high brings a unit there.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from sgdsheet.apps.examples._charts import BLUE, GREEN, RED, SCATTER, limits, line, points
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

TITLE = "Dead units"
PLACE = ("Networks", 3)
DESCRIPTION = "A ReLU unit alive, dead, dying and leaky: gradients that are exactly 0, in cells"

COUNT = 25
ROWS = range(8, 8 + COUNT)
LAST = ROWS[-1]
DYING = 12  # steps that the sheet `dies` shows
STRONG: dict[str, Any] = {"bold": True, "align": "center"}
LETTERS = "abcd"
PANEL = "JKLM"  # the columns of a, b, c and d


class Case(NamedTuple):
    """One sheet: what is different on it, and what there is to say."""

    sheet: str
    title: str
    sentence: str
    heading: str
    note: str
    start: tuple[float, float, float, float]
    rate: float = 0.05
    hint: str = ""
    steps: int = 500
    leak: float = 0.0


CASES = (
    Case(
        "alive",
        "A unit that learns",
        "Train this sheet: the corner of the green line moves to the corner in the points.",
        "What the corner does",
        "A ReLU unit passes on the sum a·x + b where it is positive, and gives 0 elsewhere. In rows where it is 0 "
        "(“on” = 0), a change of a, b or c changes nothing: such a row adds nothing to their gradients.\n"
        "That is no harm as long as some rows are on. Here 16 of 25 are on at the start, and 10 at the end.",
        start=(1.0, 1.0, 1.0, 1.0),
    ),
    Case(
        "dead",
        "A dead unit",
        "Train this sheet: only d moves. The gradients of a, b and c are exactly 0, in every step and for ever.",
        "Why it never wakes up",
        "With b = −4 the sum a·x + b is negative in every row: the unit is 0 for all of them. No row is on, so the "
        "gradients of a, b and c are exactly 0 (not small: 0), and no learning rate and no number of steps changes "
        "them. d becomes the mean of y, and the loss stays at the variance of y, 5.165.\n"
        "Write −2 in place of −4: a few rows are on, and it learns.",
        start=(1.0, -4.0, 1.0, 1.0),
        hint="no rate helps",
    ),
    Case(
        "dies",
        "How a unit dies",
        "Each row of the table is a step with a rate that is too high: after the second, no row is on any more.",
        "Two steps to the end",
        "The start is that of “alive”, where all goes well with a rate of 0.05. With 0.5 the first step goes past the "
        "best place, and the second, from where it is steep, throws a and b so far that the sum is negative in all "
        "rows. From then on the gradients of a, b and c are 0.\n"
        "Large steps at the beginning, start values that are too large, and inputs that are not scaled are how units "
        "die. Training this sheet goes the same way; sgdsheet gives back the best it saw, which is the start.",
        start=(1.0, 1.0, 1.0, 1.0),
        rate=0.5,
        hint="too high; 0.05 is right",
        steps=20,
    ),
    Case(
        "leaky",
        "A leaky unit",
        "Train this sheet: it starts as dead as “dead”, but a little leaks through, and it comes back.",
        "A tenth is enough",
        "Where the sum is negative, a leaky unit passes on a tenth of it, not 0. Its gradients are never exactly 0, so "
        "a bad start costs time, but not the unit: the loss falls below 0.2.\n"
        "Other cures: smaller steps, smaller start values, scaled inputs, a small positive bias at the start.",
        start=(1.0, -4.0, 1.0, 1.0),
        steps=1000,
        leak=0.1,
    ),
)

LESSON = Lesson(
    about=(
        "One ReLU unit, c·MAX(0, a·x + b) + d, shall follow points with a corner.",
        "Where a·x + b is negative in every row, the gradients of a, b and c are exactly 0, and the unit is dead.",
        "The sheets show a unit that learns, a dead one, how one dies, and a leaky one that comes back.",
    ),
    press="Go to “alive” and press Train; then do the same on “dead” and on “leaky”. Read the table on “dies”.",
    watch="The column “on” and the four gradients: on “dead” three of them are 0, and stay 0 while you train.",
    wrong=(
        "A large step throws b so low that no row is on. After that nothing can bring the unit back, because its "
        "gradient is 0: not a small slope, but none."
    ),
    questions=(
        (
            "Is a unit dead that gives 0 for twenty of twenty-five rows?",
            "No. The five rows that are on have gradients, and move it. Only a unit that is 0 for all rows is dead. In "
            "a network it can happen that rows which are off today are on again after another layer has moved.",
        ),
        (
            "On “dead”, what is the least loss that training can reach, and why?",
            "The variance of y, 5.165: with the unit at 0 the prediction is d for every row, and the best single "
            "number for all rows is their mean.",
        ),
    ),
    trainings=(
        Training("alive", {0: "1.545", 10: "0.782", 100: "0.088"}, best="0.0411"),
        Training(
            "dead",
            {0: "6.04", 100: "5.1653"},
            best="5.1653",
            cells={"J6": "1.000000", "K6": "-4.000000", "L6": "1.000000", "M6": "1.935"},
        ),
        Training("dies", {0: "1.545", 1: "1.687", 2: "10.43", 3: "5.165", 10: "5.165"}),
        Training("leaky", best="< 0.2"),
    ),
    shows={
        **{"dead!J8": "0.000000", "dead!K8": "0.000000", "dead!L8": "0.000000", "alive!E6": "16", "dead!E6": "0"},
        **{"dies!S16": "10.43", "dies!T14": "16", "dies!T15": "14", "dies!T16": "0", "dies!T26": "0"},
    },
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        for case in CASES:
            _sheet(book, case)


def data_points() -> list[tuple[float, float]]:
    """A flat piece and a slope of 3, with normal noise, to two decimals."""
    draw = Random(6)
    across = [round(-3 + 0.25 * number, 2) for number in range(COUNT)]
    return [(x, round(2 * max(0.0, 1.5 * x - 1) + 0.5 + draw.gauss(0, 0.2), 2)) for x in across]


def _sheet(book: Book, case: Case) -> None:
    widths = {"A:B": 11, "C:D": 12, "E": 9, "F:H": 12, "I": 3, "J:M": 17}
    widths |= {"N": 15, "O": 15, "P:T": 12} if case.sheet == "dies" else {"N": 3, "O": 15, "P": 11, "Q": 30}
    page = Page(book, case.sheet, title=case.title, sentence=case.sentence, widths=widths)
    page.sheet.set_default_row(18)
    data = data_points()
    page.column("A7", "x", DATA, [x for x, _ in data], "0.00", align="center")
    page.column("B7", "y", DATA, [y for _, y in data], "0.00", align="center")
    page.column("C7", "sum\na·x + b", PREDICTION, fill_down("=$J$6*A{0}+$K$6", ROWS), "0.000")
    unit = "MAX(0,C{0})" if not case.leak else f"IF(C{{0}}>0,C{{0}},{case.leak}*C{{0}})"
    page.column(
        "D7", "unit\nMAX(0, sum)" if not case.leak else "unit\nleaky", PREDICTION, fill_down(f"={unit}", ROWS), "0.000"
    )
    page.column(
        "E7", "on\n(1 = yes)", PREDICTION, fill_down(f"=IF(C{{0}}>0,1,{case.leak:g})", ROWS), "General", align="center"
    )
    page.fade_zeros(f"D8:E{LAST}")
    page.column(
        "F7", f"{mark(2, 'prediction')}\nc·unit + d", PREDICTION, fill_down("=$L$6*D{0}+$M$6", ROWS), "0.000", bold=True
    )
    page.column("G7", "error", LOSS, fill_down("=F{0}-B{0}", ROWS), "0.000")
    page.column("H7", "squared\nerror", LOSS, fill_down("=G{0}^2", ROWS), "0.000")
    page.header("E5", "rows on", PREDICTION)
    page.cell("E6", Formula(f'=COUNTIF(C8:C{LAST},">0")'), PREDICTION, "0", **STRONG)
    page.header("H5", mark(3, "loss"), LOSS)
    page.cell("H6", Formula(f"=AVERAGE(H8:H{LAST})"), LOSS, "0.0000", **STRONG)
    _parameters(page, case)
    settings: list[Setting] = [("learning rate", case.rate, case.hint), ("steps", case.steps, "")]
    page.settings("O2", [("optimizer", "sgd", ""), *settings])
    page.names(sgd_loss="H6", sgd_params="J6:M6", sgd_data=f"A8:H{LAST}")
    page.freeze(7)
    if case.sheet == "dies":
        _dying(page)
        page.notes("O29:T42", case.heading, case.note)
    else:
        _picture(page)
        page.notes("J29:Q36", case.heading, case.note)
    page.one_page("A1:T46" if case.sheet == "dies" else "A1:Q37")


def _parameters(page: Page, case: Case) -> None:
    """Parameters, gradients and the next parameters, from top to bottom."""
    gradients = (
        f"=2*SUMPRODUCT(G8:G{LAST},E8:E{LAST},A8:A{LAST})*L6/{COUNT}",
        f"=2*SUMPRODUCT(G8:G{LAST},E8:E{LAST})*L6/{COUNT}",
        f"=2*SUMPRODUCT(G8:G{LAST},D8:D{LAST})/{COUNT}",
        f"=2*AVERAGE(G8:G{LAST})",
    )
    said = ("2c·mean(error·on·x)", "2c·mean(error·on)", "2·mean(error·unit)", "2·mean(error)")
    for column, letter, value, text, words in zip(PANEL, LETTERS, case.start, gradients, said, strict=True):
        page.header(f"{column}5", mark(1, letter), PARAMETER)
        page.cell(f"{column}6", value, PARAMETER, "0.0000", **STRONG)
        page.header(f"{column}7", f"{mark(4, f'gradient of {letter}')}\n{words}", LOSS, font_size=9)
        page.cell(f"{column}8", Formula(text), LOSS, "0.0000", **STRONG)
        page.header(f"{column}9", mark(5, f"next {letter}"), PREDICTION)
        page.cell(f"{column}10", Formula(f"={column}6-$P$4*{column}8"), PREDICTION, "0.0000", **STRONG)
    page.label("O9", mark(5, "next = old − learning rate × gradient"))
    page.label("O10", f"{mark(6, 'copy “next” over the parameters;')}   {mark(7, 'stop when all gradients are 0')}")


def _picture(page: Page) -> None:
    chart = page.chart(SCATTER, "J12", title="The points and the unit", x="x", y="y", number="0", size=(640, 390))
    points(chart, page, "points", f"A8:A{LAST}", f"B8:B{LAST}", BLUE, size=6)
    line(chart, page, "prediction", f"A8:A{LAST}", f"F8:F{LAST}", GREEN, width=3)
    limits(chart, "x", -3, 3, 1)
    limits(chart, "y", -2, 9, 1)


def _dying(page: Page) -> None:
    """A table of steps: parameters, loss, how many rows are on, and gradients, each row from the one above."""
    first = 14
    rows = range(first, first + DYING + 1)
    xs, ys = f"$A$8:$A${LAST}", f"$B$8:$B${LAST}"
    titles = [mark(6, "step"), *(f"{mark(5)} {letter}" for letter in LETTERS)]
    titles += [f"{mark(4)} gradient {letter}" for letter in LETTERS] + [mark(3, "loss"), "rows on"]
    columns = ["J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T"]
    for column, title in zip(columns, titles, strict=True):
        page.header(
            f"{column}{first - 1}", title, LOSS if "gradient" in title or "loss" in title else PREDICTION, font_size=10
        )
    for row in rows:
        total = f"(K{row}*{xs}+L{row})"
        error = f"(M{row}*({total}>0)*{total}+N{row}-{ys})"
        page.cell(f"J{row}", float(row - first), DATA, "0", align="center")
        for number, column in enumerate("KLMN"):
            before = f"={PANEL[number]}6" if row == first else f"={column}{row - 1}-$P$4*{'OPQR'[number]}{row - 1}"
            page.cell(f"{column}{row}", Formula(before), PREDICTION, "0.0000")
        slopes = (
            f"=2*M{row}*SUMPRODUCT({error}*({total}>0)*{xs})/{COUNT}",
            f"=2*M{row}*SUMPRODUCT({error}*({total}>0))/{COUNT}",
            f"=2*SUMPRODUCT({error}*({total}>0)*{total})/{COUNT}",
            f"=2*SUMPRODUCT({error}*1)/{COUNT}",
        )
        for column, text in zip("OPQR", slopes, strict=True):
            page.cell(f"{column}{row}", Formula(text), LOSS, "0.0000")
        page.cell(f"S{row}", Formula(f"=SUMPRODUCT({error}^2)/{COUNT}"), LOSS, "0.000", bold=True)
        page.cell(f"T{row}", Formula(f"=SUMPRODUCT(({total}>0)*1)"), PREDICTION, "0", align="center", bold=True)
    page.fade_zeros(f"O{first}:R{rows[-1]}")
    chart = page.chart(
        SCATTER, "J29", title="The loss, and how many rows are on", x="step", y="", number="0", size=(600, 380)
    )
    steps = f"J{first}:J{rows[-1]}"
    line(chart, page, "loss", steps, f"S{first}:S{rows[-1]}", RED, marker="diamond")
    line(chart, page, "rows on", steps, f"T{first}:T{rows[-1]}", GREEN, dash="dash", marker="circle")
    limits(chart, "x", 0, DYING, 2)
