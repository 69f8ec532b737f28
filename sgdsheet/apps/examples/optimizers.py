"""Four optimizers, written out in cells: SGD, momentum, RMSProp and Adam.

Twenty points of y = 30 + 2x, one per step, five times through. On each optimizer's sheet a row is a step, and
everything that it computes has a column: what the optimizer remembers, and what it makes of it. `compare` puts the
four side by side, and `data` is the same model to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

from sgdsheet.apps.examples._charts import limits, line, points
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    SETTING,
    Book,
    Content,
    Formula,
    Page,
    Role,
    fill_down,
    mark,
)

TITLE = "Four optimizers"
PLACE = ("How to train", 1)
DESCRIPTION = "SGD, momentum, RMSProp and Adam written out in cells, one step per row, side by side"

# Drawn once: whole numbers from 5 to 99.
TIMES = (6, 65, 19, 55, 23, 92, 10, 22, 19, 73, 34, 96, 22, 23, 99, 9, 89, 12, 22, 34)
COUNT, EPOCHS, PRINTED = len(TIMES), 5, 3  # the last is how many epochs are printed
START = 8  # the row of step 0: below it, one row per step
STEPS = range(START + 1, START + 1 + COUNT * EPOCHS)
POINTS = range(8, 8 + COUNT)  # of the sheet “data”
X, Y = f"data!$A${POINTS[0]}:$A${POINTS[-1]}", f"data!$B${POINTS[0]}:$B${POINTS[-1]}"


class Column(NamedTuple):
    """A column of an optimizer: header, formula (`{0}` is the row, `{1}` the row above) and the value of step 0."""

    title: str
    text: str
    start: float | None = None
    role: Role = SETTING


class Optimizer(NamedTuple):
    """An optimizer's sheet: its settings (name and value, which stand in row 6 from P on) and its columns from P on."""

    sheet: str
    title: str
    sentence: str
    settings: Sequence[tuple[str, float]]
    columns: Sequence[Column]
    note: str


def _new(a: str, b: str) -> list[Column]:
    """The last two columns: both parameters after the step."""
    return [Column("new a", a, 1.0, PARAMETER), Column("new b", b, 1.0, PARAMETER)]


OPTIMIZERS = (
    Optimizer(
        "sgd",
        "SGD: new = old − learning rate × gradient",
        "Each row is one step. Change the learning rate in P6 and see what becomes of a and b.",
        [("learning rate", 0.0001)],
        [
            Column("∂loss/∂a\nby ±h", "=((J{0}+$Q$6+K{0}*H{0}-I{0})^2-(J{0}-$Q$6+K{0}*H{0}-I{0})^2)/(2*$Q$6)"),
            Column("∂loss/∂b\nby ±h", "=((J{0}+(K{0}+$Q$6)*H{0}-I{0})^2-(J{0}+(K{0}-$Q$6)*H{0}-I{0})^2)/(2*$Q$6)"),
            *_new("=J{0}-$P$6*N{0}", "=K{0}-$P$6*O{0}"),
        ],
        "The gradient of a is 2·error, that of b is 2·error·x: up to 99 times as large. One learning rate must suit "
        "both. So b, the slope, is soon where it helps most, and a, which ought to become 30, has moved by a quarter "
        "after a hundred steps.\n"
        "The columns P and Q find the gradient in another way: the loss a little higher and a little lower (h in "
        "Q6), and the difference between them. They agree with N and O.\n"
        "Try 0.0002 in P6: b overshoots and swings. With 0.0005 all numbers explode.",
    ),
    Optimizer(
        "momentum",
        "Momentum: a step keeps nine tenths of the speed of the last one",
        "Each row is one step. The speed is a sum of all gradients so far, of which older ones count less.",
        [("learning rate", 0.00001), ("momentum", 0.9)],
        [
            Column("speed of a", "=$Q$6*P{1}+N{0}", 0.0),
            Column("speed of b", "=$Q$6*Q{1}+O{0}", 0.0),
            *_new("=J{0}-$P$6*P{0}", "=K{0}-$P$6*Q{0}"),
        ],
        "speed = momentum × old speed + gradient, and new = old − learning rate × speed.\n"
        "With 0.9 the speed adds up to ten times a steady gradient, so the learning rate is a tenth of that of SGD. "
        "Noise from one point to the next cancels out, and the path is smoother: compare the chart with that of "
        "“sgd”.\n"
        "But the speed of b is still much larger than that of a. Momentum alone does not help a to get to 30.",
    ),
    Optimizer(
        "rmsprop",
        "RMSProp: each parameter gets a learning rate of its own",
        "Each row is one step. The gradient is divided by its own recent size.",
        [("learning rate", 0.3), ("α (memory)", 0.99), ("ε", 1e-8)],
        [
            Column("mean square\nof ∂a", "=$Q$6*P{1}+(1-$Q$6)*N{0}^2", 0.0),
            Column("mean square\nof ∂b", "=$Q$6*Q{1}+(1-$Q$6)*O{0}^2", 0.0),
            Column("step of a", "=$P$6*N{0}/(SQRT(P{0})+$R$6)"),
            Column("step of b", "=$P$6*O{0}/(SQRT(Q{0})+$R$6)"),
            *_new("=J{0}-R{0}", "=K{0}-S{0}"),
        ],
        "A moving average remembers the square of each gradient: 99 hundredths of the old one and 1 hundredth of the "
        "new one. The gradient divided by its root has a size near 1, for a and for b. So the learning rate is 0.3, "
        "and it is about how far a parameter moves per step.\n"
        "The average starts at 0 and is too small at first: the first step is ten times too long. Adam "
        "repairs that.\n"
        "ε keeps the division from dividing by 0.",
    ),
    Optimizer(
        "adam",
        "Adam: momentum and RMSProp together, corrected for the start",
        "Each row is one step. Both averages start at 0; dividing by 1 − β^step makes up for that.",
        [("learning rate", 1.0), ("β₁ (speed)", 0.9), ("β₂ (size)", 0.999), ("ε", 1e-8)],
        [
            Column("mean m\nof ∂a", "=$Q$6*P{1}+(1-$Q$6)*N{0}", 0.0),
            Column("mean m\nof ∂b", "=$Q$6*Q{1}+(1-$Q$6)*O{0}", 0.0),
            Column("mean square\nv of ∂a", "=$R$6*R{1}+(1-$R$6)*N{0}^2", 0.0),
            Column("mean square\nv of ∂b", "=$R$6*S{1}+(1-$R$6)*O{0}^2", 0.0),
            Column("m of ∂a,\ncorrected", "=P{0}/(1-$Q$6^F{0})"),
            Column("m of ∂b,\ncorrected", "=Q{0}/(1-$Q$6^F{0})"),
            Column("v of ∂a,\ncorrected", "=R{0}/(1-$R$6^F{0})"),
            Column("v of ∂b,\ncorrected", "=S{0}/(1-$R$6^F{0})"),
            *_new("=J{0}-$P$6*T{0}/(SQRT(V{0})+$S$6)", "=K{0}-$P$6*U{0}/(SQRT(W{0})+$S$6)"),
        ],
        "m is the moving average of the gradient (momentum), v that of its square (RMSProp). new = old − learning "
        "rate × m / (√v + ε), with both corrected.\n"
        "In the first row m is only a tenth of the gradient, and v a thousandth of its square. Divided by 1 − 0.9 and "
        "by 1 − 0.999 they are the gradient and its square: the first step is the learning rate, whatever the size of "
        "the gradient.\n"
        "In a hundred steps a gets to 24.6. SGD gets it from 1 to 1.25.",
    ),
)
COMPARED = (
    "SGD and momentum bring b near 2.5 within a few steps. There the slope makes up for the missing 30, and the loss "
    "seems to have settled near 350. It has not: a creeps on, and would need thousands of epochs.\n"
    "RMSProp and Adam give a steps of a size of its own. The loss goes up now and then, and in five epochs it is far "
    "below the others.\n"
    "Change a learning rate on any sheet: the chart follows."
)
TRAINED = (
    "After five epochs a and b are those in the last row of “sgd”. Put “momentum” and 0.00001, “rmsprop” and 0.3, or "
    "“adam” and 1 in the settings, start from 1 and 1 again, and the numbers are those of the other sheets.\n"
    "With “shuffle” on yes the points come in another order: the path differs, and the end is similar."
)
LESSON = Lesson(
    about=(
        "Twenty points lie on the line y = 30 + 2x, and gradient descent looks for a (30) and b (2) from 1 and 1.",
        "Every step uses one point, and every step is a row in which all that the optimizer computes can be read.",
        "SGD, momentum, RMSProp and Adam see the same points in the same order and get to very different places.",
    ),
    press=(
        "Nothing at first: read a row of “sgd” from left to right, then change its learning rate in P6. Then train "
        "“data”, and sgdsheet makes the same hundred steps."
    ),
    watch="The columns “new a” and “new b”, the charts, and on “compare” the loss after each epoch.",
    wrong=(
        "One learning rate for all: the gradient of b is x times that of a, up to 99 times. What is right for b is far "
        "too little for a. With 0.0005 on “sgd” even b overshoots, and all numbers explode."
    ),
    questions=(
        (
            "What are a step, a batch and an epoch on these sheets?",
            "A step is one change of the parameters: one row. A batch is what a step looks at: here one point. An "
            "epoch is one pass through all points: twenty rows. Five epochs are a hundred steps.",
        ),
        (
            "Why is the learning rate 0.0001 for SGD and 1 for Adam?",
            "SGD multiplies it with a gradient that is in the thousands. Adam first divides the gradient by its own "
            "size, so that about 1 is left; its learning rate says how far a parameter moves per step.",
        ),
        (
            "The points have no noise. Why does the loss go up and down from row to row?",
            "Each row is the squared error of another point. The loss after an epoch, on “compare”, is the mean over "
            "all twenty, and that is what should fall.",
        ),
    ),
    trainings=(
        Training("data", best="355.43", cells={"F6": "1.2545", "G6": "2.5754", "sgd!R108": "1.2545"}),
        Training(
            "data", typed={"K3": "momentum", "K4": 0.00001}, best="350.56", cells={"F6": "1.2355", "G6": "2.3114"}
        ),
        Training("data", typed={"K3": "rmsprop", "K4": 0.3}, best="56.63", cells={"F6": "18.3011", "G6": "2.1317"}),
        Training("data", typed={"K3": "adam", "K4": 1.0}, best="12.19", cells={"F6": "24.5851", "G6": "2.1051"}),
    ),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        places = [_optimizer(book, optimizer) for optimizer in OPTIMIZERS]
        _compare(book, places)
        _data(book)


class Place(NamedTuple):
    """Where an optimizer's parameters after each step stand."""

    sheet: str
    a: str
    b: str


def _optimizer(book: Book, optimizer: Optimizer) -> Place:
    first = len("ABCDEFGHIJKLMNO")
    count = len(optimizer.columns)
    new_a, new_b = xl_col_to_name(first + count - 2), xl_col_to_name(first + count - 1)
    widths = {"A:D": 13, "E": 2, "F:G": 7.5, "H:I": 6, "J:K": 10, "L:O": 12.5, f"P:{new_b}": 14.5}
    page = Page(book, optimizer.sheet, title=optimizer.title, sentence=optimizer.sentence, widths=widths)
    page.sheet.set_row(6, 36)
    settings = [*optimizer.settings, *([("h", 0.01)] if optimizer.sheet == "sgd" else [])]
    for number, (name, value) in enumerate(settings):
        page.header(f"{xl_col_to_name(first + number)}5", name, SETTING)
        shown = "0.0E+00" if value <= 1e-5 else "General"
        page.cell(f"{xl_col_to_name(first + number)}6", value, SETTING, shown, bold=True, align="center")
    _sample_columns(page, new_a, new_b)
    for number, column in enumerate(optimizer.columns):
        letter = xl_col_to_name(first + number)
        cells = [Formula(column.text.format(row, row - 1)) for row in STEPS]
        step = 5 if number >= count - 2 or "step of" in column.title else 4
        page.header(f"{letter}7", mark(step, column.title), column.role)
        shown = "#,##0.0" if "square" in column.title or "v of" in column.title else "#,##0.0000"
        for row, content in zip(range(START, STEPS[-1] + 1), [column.start, *cells], strict=True):
            if content is not None:
                page.cell(f"{letter}{row}", content, column.role, shown, bold=column.role is PARAMETER)
    place = Place(optimizer.sheet, new_a, new_b)
    _side(page, place, optimizer.note)
    page.freeze(7)
    return place


def _sample_columns(page: Page, new_a: str, new_b: str) -> None:
    """The columns F to O, which all four have: step, point, parameters, prediction, loss and gradient."""
    page.column("F7", mark(6, "step"), DATA, [0, *(Formula(f"=F{row - 1}+1") for row in STEPS)], "0", align="center")
    for letter, title, role, text, number in (
        ("G", "epoch", DATA, f"=INT((F{{0}}-1)/{COUNT})+1", "0"),
        ("H", "x", DATA, f"=INDEX({X},MOD(F{{0}}-1,{COUNT})+1)", "0"),
        ("I", "y", DATA, f"=INDEX({Y},MOD(F{{0}}-1,{COUNT})+1)", "0"),
        ("J", "a", PARAMETER, f"={new_a}{{1}}", "0.0000"),
        ("K", "b", PARAMETER, f"={new_b}{{1}}", "0.0000"),
        ("L", mark(2, "prediction\na + b·x"), PREDICTION, "=J{0}+K{0}*H{0}", "0.000"),
        ("M", mark(3, "loss\n(L − I)²"), LOSS, "=(L{0}-I{0})^2", "#,##0.00"),
        ("N", mark(4, "∂loss/∂a\n2·(L − I)"), LOSS, "=2*(L{0}-I{0})", "#,##0.00"),
        ("O", mark(4, "∂loss/∂b\n2·(L − I)·x"), LOSS, "=2*(L{0}-I{0})*H{0}", "#,##0.00"),
    ):
        page.header(f"{letter}7", title, role)
        look = {"align": "center"} if letter in "GHI" else {}
        for row in STEPS:
            page.cell(f"{letter}{row}", Formula(text.format(row, row - 1)), role, number, **look)
    page.label(f"G{START}", f"{mark(1)} initialise: a = 1, b = 1 in the last two columns", indent=1)
    page.label(f"F{STEPS[-1] + 1}", f"{mark(7)} stop after {len(STEPS)} steps", indent=1)


def _side(page: Page, place: Place, note: str) -> None:
    """On the left what comes of it: a, b and the loss of all points after each epoch, two charts and a note."""
    rows = range(8, 9 + EPOCHS)
    page.label("A6", "after each epoch, for all twenty points", bold=True)
    page.column("A7", "epoch", DATA, list(range(EPOCHS + 1)), "0", align="center")
    for letter, title, column in (("B", "a", place.a), ("C", "b", place.b)):
        found = f"=INDEX({column}${START}:{column}${STEPS[-1]},A{{0}}*{COUNT}+1)"
        page.column(f"{letter}7", title, PARAMETER, fill_down(found, rows), "0.0000")
    page.column("D7", mark(3, "loss,\nmean"), LOSS, fill_down(_mean("B{0}", "C{0}"), rows), "#,##0.00")
    for number, (name, column, target) in enumerate((("a", place.a, 30), ("b", place.b, 2))):
        chart = page.chart(
            {"type": "scatter", "subtype": "straight"},
            f"A{15 + 12 * number}",
            title=f"{name} after each step (it should become {target})",
            x="step",
            y=name,
            number="General",
            size=(384, 228),
        )
        line(chart, page, name, f"F{START}:F{STEPS[-1]}", f"{column}{START}:{column}{STEPS[-1]}", PARAMETER.dark)
        limits(chart, "x", 0, len(STEPS), COUNT)
        chart.set_legend({"none": True})
    page.notes("A39:D62", "How to read it", note)
    page.one_page(f"A1:{place.b}{START + PRINTED * COUNT}")


def _mean(a: str, b: str) -> str:
    """The mean loss of all points for the parameters in two cells."""
    return f"=SUMPRODUCT(({a}+{b}*{X}-{Y})^2)/{COUNT}"


def _compare(book: Book, places: Sequence[Place]) -> None:
    sentence = "The same points in the same order, the same start: only the optimizer differs."
    widths = {"A:E": 14, "F": 3, "G:I": 13}
    page = Page(book, "compare", title="Four optimizers side by side", sentence=sentence, widths=widths)
    rows = range(8, 9 + EPOCHS)
    page.label("B6", "loss: the mean of all twenty points after each epoch", bold=True)
    page.column("A7", "epoch", DATA, list(range(EPOCHS + 1)), "0", align="center")
    for number, place in enumerate(places):
        a, b = (
            f"INDEX({place.sheet}!${column}${START}:${column}${STEPS[-1]},$A{{0}}*{COUNT}+1)" for column in place[1:]
        )
        page.column(
            f"{xl_col_to_name(1 + number)}7", mark(3, place.sheet), LOSS, fill_down(_mean(a, b), rows), "#,##0.00"
        )
    page.label("G6", f"after {len(STEPS)} steps", bold=True)
    page.column("G7", "optimizer", DATA, [place.sheet for place in places], align="center")
    for letter, title, column in (("H", "a\n(should be 30)", 1), ("I", "b\n(should be 2)", 2)):
        cells = [Formula(f"={place.sheet}!{place[column]}{STEPS[-1]}") for place in places]
        page.column(f"{letter}7", title, PARAMETER, cells, "0.0000")
    chart = page.chart(
        {"type": "scatter", "subtype": "straight_with_markers"},
        "A15",
        title="Loss of all points after each epoch",
        x="epoch",
        y="loss",
        number="#,##0",
        size=(819, 260),
    )
    looks = (("circle", "solid", "#27567F"), ("square", "dash", "#8F5F00"),
             ("triangle", "long_dash", "#1F6B48"), ("diamond", "solid", "#A02A38"))  # fmt: skip
    for number, (place, (marker, dash, colour)) in enumerate(zip(places, looks, strict=True)):
        letter = xl_col_to_name(1 + number)
        y = f"{letter}{rows[0] + 1}:{letter}{rows[-1]}"
        line(chart, page, place.sheet, f"A{rows[0] + 1}:A{rows[-1]}", y, colour, dash=dash, marker=marker)
    limits(chart, "x", 0, EPOCHS, 1)
    page.notes("A30:I38", "What to see", COMPARED)
    page.label("A39", "The steps stand on the sheets of the optimizers, row by row; “data” is what sgdsheet trains.")
    page.one_page("A1:I40")
    page.freeze(7)


def _data(book: Book) -> None:
    sentence = (
        "Train this sheet: with batches of one point, not shuffled, it makes the same steps as the cells of “sgd”."
    )
    widths = {"A:D": 13, "E": 3, "F:H": 19, "I": 3, "J:L": 16}
    page = Page(book, "data", title="Twenty points on a line", sentence=sentence, widths=widths)
    last = POINTS[-1]
    page.column("A7", "x", DATA, TIMES, "0", align="center")
    page.column("B7", "y = 30 + 2x", DATA, [30 + 2 * x for x in TIMES], "0", align="center")
    page.column("C7", mark(2, "prediction\na + b·x"), PREDICTION, fill_down("=$F$6+$G$6*A{0}", POINTS), "0.00")
    page.column("D7", "squared error", LOSS, fill_down("=(C{0}-B{0})^2", POINTS), "#,##0.00")
    page.header("D5", mark(3, "loss"), LOSS)
    page.cell("D6", Formula(f"=AVERAGE(D8:D{last})"), LOSS, "#,##0.00", bold=True, align="center")
    for letter, name in (("F", "a"), ("G", "b")):
        page.header(f"{letter}5", mark(1, name), PARAMETER)
        page.cell(f"{letter}6", 1.0, PARAMETER, "0.0000", bold=True, align="center")
    settings: list[tuple[str, Content, str]] = [
        ("optimizer", "sgd", "see below"),
        ("learning rate", 0.0001, "for sgd"),
        ("batch size", 1, "points per step"),
        ("shuffle", "no", "as in the cells"),
        ("epochs", EPOCHS, ""),
    ]
    page.settings("J2", settings)
    page.names(sgd_loss="D6", sgd_params="F6:G6", sgd_data=f"A8:D{last}")
    chart = page.chart({"type": "scatter"}, "F8", title="Points and line", x="x", y="y", number="0", size=(420, 400))
    points(chart, page, "y", f"A8:A{last}", f"B8:B{last}", DATA.dark)
    points(chart, page, "prediction", f"A8:A{last}", f"C8:C{last}", PREDICTION.dark, marker="x")
    page.notes(f"J10:L{last}", "What to see", TRAINED)
    page.freeze(7)
