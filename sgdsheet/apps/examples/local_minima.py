"""One parameter, a loss with many valleys, and four ways through them: greedy, mini-batch noise, annealing, restarts.

All sheets hold the same rows and the same loss. Each has the curve of the loss in its chart, and on it the path, of
which every step is a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from sgdsheet.apps.examples._charts import AMBER, BLUE, RED, SCATTER, limits, line, points
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import (
    DATA,
    LOSS,
    PARAMETER,
    PREDICTION,
    Book,
    Content,
    Formula,
    Page,
    Setting,
    fill_down,
    mark,
)

TITLE = "Many valleys"
PLACE = ("Descend", 4)
DESCRIPTION = "A loss with many valleys: greedy descent, the noise of mini-batches, annealing, restarts, step by step"

COUNT, SEED = 24, 9
ROWS = range(8, 8 + COUNT)
LAST = ROWS[-1]
ALL = f"$A$8:$A${LAST}"  # what was measured
START = 6.4
GREEDY, NOISY, COOLING, EACH = 30, 96, 80, 25  # steps
STARTS = (-7.0, -5.0, -3.0, -1.0, 1.5, 3.5, 5.5, 7.5)
STRONG: dict[str, Any] = {"bold": True, "align": "center"}

GREEDY_NOTE = (
    "Descent feels only the slope at its feet. From 6.4 it slides down into the nearest valley and stays there, "
    "however long it is trained: the gradient there is 0, and the much deeper valley near 0 is beyond three hills.\n"
    "Move the start by 2 and it ends in another valley. A smaller learning rate does not help. A much larger one "
    "(try 2) jumps about."
)
NOISE_NOTE = (
    "Each step looks at two rows only. Their loss is another curve, with other valleys, so the gradient is wrong by a "
    "different amount each time, and the steps are thrown out of shallow valleys. What all rows have in common, the "
    "slope towards 0, remains.\n"
    "The learning rate falls to 0 along half a cosine, so at the end the path settles. Luck is part of it: with other "
    "rows, or in another order, the path may settle elsewhere."
)
ANNEALING_NOTE = (
    "Simulated annealing uses no gradient. It proposes a random move. If the loss falls, it goes there; if it rises, "
    "it goes there all the same with probability EXP(−(new − old) / temperature). While it is hot it climbs hills; as "
    "it cools it becomes greedy.\n"
    "It needs eighty steps for one parameter. For thousands of parameters nearly every random move is a bad one, "
    "which is why networks are trained by gradients and noise."
)
RESTARTS_NOTE = (
    "The simplest cure: descend from many starts, and keep the best. Eight starts end in seven valleys here, and one "
    "of them is the deepest. Training this sheet does so with the setting “restarts”: sixteen random starts, trained "
    "at once.\n"
    "It works while the valleys are few. A network has more of them than one can ever try, but many are nearly as "
    "good as the best."
)

LESSON = Lesson(
    about=(
        "One parameter w shall fit twenty-four measurements, and its loss has not one valley but many.",
        "Greedy descent ends in the valley it starts in, and that may be a bad one.",
        "Three other sheets get out of it: by the noise of small batches, by simulated annealing, and by restarts.",
    ),
    press="Go to “greedy” and press Train, then to “noise” and “restarts”. “annealing” needs no training.",
    watch="The path on the curve in each chart, and which valley it ends in: the deepest is near 0.",
    wrong=(
        "Descent stops where the gradient is 0, and cannot know that there is a deeper valley beyond the hill. More "
        "steps or a smaller learning rate change nothing. Noise can throw it out, but also out of a good valley: so "
        "the learning rate has to fall towards the end."
    ),
    questions=(
        (
            "Can descent end in the wrong valley, and what does noise do about it?",
            "Yes: on “greedy” it does. A small batch has a loss of its own, whose valleys lie elsewhere, so its "
            "gradient is not 0 where that of all rows is. Such steps leave shallow and narrow valleys sooner than deep "
            "and wide ones, which is why training in small batches often ends in a better place than in one batch.",
        ),
        (
            "At temperature 1, how likely is a move that raises the loss by 0.7? And at 0.1?",
            "EXP(−0.7) is about one half; EXP(−7) is about one in a thousand. Hot it hardly minds; cold it is greedy.",
        ),
    ),
    trainings=(
        Training("greedy", {0: "2.825", 10: "2.602"}, best="2.6015", cells={"A6": "6.00"}),
        Training("noise", {0: "2.763", 1: "1.022", 2: "2.939"}, best="0.686", cells={"A6": "−0.0763"}),
        Training("restarts", best="0.68532", cells={"A6": "−0.059"}),
    ),
    shows={
        **{"greedy!F38": "6.0015", "noise!F104": "−0.0763", "annealing!F88": "−0.01", "annealing!G88": "0.689"},
        **{"restarts!M5": "0.68532", "restarts!F33": "−6.12", "restarts!I33": "−0.06", "restarts!M33": "6.02"},
    },
)


def measured() -> list[float]:
    draw = Random(SEED)
    return [round(draw.gauss(0.0, 0.5), 2) for _ in ROWS]


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _greedy(book)
        _noise(book)
        _annealing(book)
        _restarts(book)


def _loss(w: str, rows: str = ALL) -> str:
    return f"SUMPRODUCT(({w}-{rows})^2/20+1-COS(3*({w}-{rows})))/{COUNT}"


def _slope(w: str, row: str) -> str:
    """The gradient of one row."""
    return f"({w}-{row})/10+3*SIN(3*({w}-{row}))"


def _page(book: Book, name: str, title: str, sentence: str, widths: Mapping[str, float], curve: str) -> Page:
    """The rows, the parameter and the loss in columns A to C, and the curve in two columns on the right."""
    page = Page(book, name, title=title, sentence=sentence, widths={"A:C": 15, "D": 3, **widths})
    page.sheet.set_default_row(18)
    page.header("A5", mark(1, "start w"), PARAMETER)
    page.cell("A6", START, PARAMETER, "0.0000", **STRONG)
    page.header("B5", mark(4, "its gradient"), LOSS)
    page.cell("B6", Formula(f"=SUMPRODUCT({_slope('A6', ALL)})/{COUNT}"), LOSS, "0.0000", **STRONG)
    page.header("C5", mark(3, "its loss"), LOSS)
    page.cell("C6", Formula(f"=AVERAGE(C8:C{LAST})"), LOSS, "0.0000", **STRONG)
    page.column("A7", "measured c", DATA, measured(), "0.00", align="center")
    page.column("B7", f"{mark(2, 'distance')}\nd = w − c", PREDICTION, fill_down("=$A$6-A{0}", ROWS), "0.000")
    cells = fill_down("=B{0}^2/20+1-COS(3*B{0})", ROWS)
    page.column("C7", "loss of the row\nd²/20+1−cos 3d", LOSS, cells, "0.000")
    left, right = curve[0], curve[1]
    across = [round(-8 + 0.1 * number, 1) for number in range(161)]
    below = range(8, 8 + len(across))
    page.label(f"{left}6", "for the chart: the curve")
    page.column(f"{left}7", "w", DATA, across, "0.0", align="center")
    page.column(f"{right}7", "loss", DATA, fill_down(f"={_loss(left + '{0}')}", below), "0.000")
    page.freeze(7)
    return page


def _model(page: Page, at: str, settings: list[Setting]) -> None:
    page.settings(at, settings)
    page.names(sgd_params="A6", sgd_loss="C6", sgd_data=f"A8:C{LAST}")


def _counted(page: Page, column: str, steps: int) -> range:
    page.column(
        f"{column}7", f"{mark(6)}\nstep", DATA, [float(number) for number in range(steps + 1)], "0", align="center"
    )
    return range(8, 8 + steps + 1)


def _chart(page: Page, at: str, curve: str, path: tuple[str, str] | None) -> Any:
    chart = page.chart(
        SCATTER, at, title="The loss and the path", x="w", y="loss of all rows", number="0", size=(600, 400)
    )
    line(chart, page, "loss", f"{curve[0]}8:{curve[0]}168", f"{curve[1]}8:{curve[1]}168", BLUE)
    if path is not None:
        line(chart, page, "path", path[0], path[1], RED, width=0.75, marker="diamond", size=5)
    limits(chart, "x", -8, 8, 2)
    limits(chart, "y", 0, 5, 1)
    return chart


def _greedy(book: Book) -> None:
    sentence = "Train this sheet: w slides down into the nearest valley, and stays there."
    widths = {"E": 8, "F:H": 13, "I": 3, "J": 15, "K": 11, "L": 60, "M": 3, "N:O": 10}
    page = _page(book, "greedy", "Greedy descent", sentence, widths, "NO")
    _model(page, "J2", [("optimizer", "sgd", ""), ("learning rate", 0.1, ""), ("steps", GREEDY, "")])
    rows = _counted(page, "E", GREEDY)
    moved = [Formula("=A6"), *(Formula(f"=F{row}-$K$4*H{row}") for row in rows[:-1])]
    page.column("F7", f"{mark(5, 'w')}\nafter the step", PREDICTION, moved, "0.0000")
    page.column("G7", f"{mark(3, 'loss')}\nof all rows", LOSS, fill_down(f"={_loss('F{0}')}", rows), "0.0000")
    cells = fill_down(f"=SUMPRODUCT({_slope('F{0}', ALL)})/{COUNT}", rows)
    page.column("H7", f"{mark(4, 'gradient')}\nof all rows", LOSS, cells, "0.0000")
    page.label(f"F{rows[-1] + 2}", mark(7, "stop: the gradient is 0, in the wrong valley"))
    _chart(page, "J8", "NO", (f"F8:F{rows[-1]}", f"G8:G{rows[-1]}"))
    page.notes("J26:L35", "Why does it stay there?", GREEDY_NOTE)
    page.one_page("A1:L41")


def _noise(book: Book) -> None:
    sentence = "Train this sheet: each step looks at two rows only, and is thrown from valley to valley."
    widths = {"E": 8, "F:J": 12, "K": 3, "L": 15, "M": 11, "N": 60, "O": 3, "P:Q": 10}
    page = _page(book, "noise", "The noise of mini-batches", sentence, widths, "PQ")
    settings: list[Setting] = [
        ("optimizer", "sgd", ""),
        ("learning rate", 0.8, "at the start"),
        ("schedule", "cosine", "falls to 0"),
        ("batch size", 2, "rows for each step"),
        ("epochs", NOISY * 2 // COUNT, ""),
        ("shuffle", "no", "in the order of the rows"),
    ]
    _model(page, "L2", settings)
    rows = _counted(page, "E", NOISY)
    moved = [Formula("=A6"), *(Formula(f"=F{row}-J{row}*I{row}") for row in rows[:-1])]
    page.column("F7", f"{mark(5, 'w')}\nafter the step", PREDICTION, moved, "0.0000")
    page.column("G7", f"{mark(3, 'loss')}\nof all rows", LOSS, fill_down(f"={_loss('F{0}')}", rows), "0.0000")
    first = fill_down(f"=MOD(2*E{{0}},{COUNT})+1", rows)
    page.column("H7", "rows: this\nand the next", DATA, first, "0", align="center")
    one, two = f"INDEX({ALL},H{{0}})", f"INDEX({ALL},H{{0}}+1)"
    cells = fill_down(f"=({_slope('F{0}', one)}+{_slope('F{0}', two)})/2", rows)
    page.column("I7", f"{mark(4, 'gradient')}\nof two rows", LOSS, cells, "0.0000")
    rates = fill_down(f"=$M$4*(1+COS(PI()*E{{0}}/{NOISY}))/2", rows)
    page.column("J7", "learning\nrate", DATA, rates, "0.0000")
    page.label(f"F{rows[-1] + 2}", mark(7, "stop: after eight epochs of twelve steps"))
    _chart(page, "L10", "PQ", (f"F8:F{rows[-1]}", f"G8:G{rows[-1]}"))
    page.notes("L28:N38", "How can noise help?", NOISE_NOTE)
    page.one_page("A1:N41")


def _annealing(book: Book) -> None:
    sentence = (
        "Nothing to train: each row proposes a move, and takes it or not. Change the start w, or the temperature."
    )
    widths = {"E": 8, "F:M": 11, "N": 3, "O": 15, "P": 11, "Q": 60, "R": 3, "S:T": 10}
    page = _page(book, "annealing", "Simulated annealing", sentence, widths, "ST")
    page.header("F5", "hot", DATA)
    page.cell("F6", 1.5, DATA, "0.00", **STRONG)
    page.header("G5", "cools by", DATA)
    page.cell("G6", 0.95, DATA, "0.00", **STRONG)
    page.label("H6", "temperature at first, and its factor for each step", indent=1)
    rows = _counted(page, "E", COOLING)
    draw = Random(SEED + 1)
    moves = [round(draw.gauss(0.0, 1.5), 2) for _ in rows]
    chances = [round(draw.random(), 2) for _ in rows]
    moved = [Formula("=A6"), *(Formula(f"=IF(M{row}=1,I{row},F{row})") for row in rows[:-1])]
    page.column("F7", mark(5, "w"), PREDICTION, moved, "0.000")
    page.column("G7", f"{mark(3, 'loss')}\nold", LOSS, fill_down(f"={_loss('F{0}')}", rows), "0.000")
    page.column("H7", "random\nmove", DATA, moves, "0.00", align="center")
    page.column("I7", "proposed\nw", PREDICTION, fill_down("=F{0}+H{0}", rows), "0.000")
    page.column("J7", "loss\nnew", LOSS, fill_down(f"={_loss('I{0}')}", rows), "0.000")
    page.column(
        "K7",
        "chance to\naccept",
        PREDICTION,
        fill_down("=IF(J{0}<G{0},1,EXP(-(J{0}-G{0})/($F$6*$G$6^E{0})))", rows),
        "0.000",
    )
    page.column("L7", "random\n0 to 1", DATA, chances, "0.00", align="center")
    page.column("M7", "accepted\n(1 = yes)", PREDICTION, fill_down("=IF(L{0}<K{0},1,0)", rows), "0", align="center")
    page.fade_zeros(f"M8:M{rows[-1]}")
    page.label(f"F{rows[-1] + 2}", mark(7, "stop: cold"))
    _chart(page, "O8", "ST", (f"F8:F{rows[-1]}", f"G8:G{rows[-1]}"))
    page.notes("O26:Q36", "Uphill, now and then", ANNEALING_NOTE)
    page.one_page("A1:Q41")


def _restarts(book: Book) -> None:
    sentence = "Train this sheet: sixteen random starts descend at once, and the best is kept. In cells: eight starts."
    widths = {"E": 8, "F:M": 9, "N": 3, "O": 15, "P": 11, "Q": 60, "R": 3, "S:T": 10}
    page = _page(book, "restarts", "Restarts", sentence, widths, "ST")
    settings: list[Setting] = [("optimizer", "sgd", ""), ("learning rate", 0.1, ""), ("steps", EACH * 2, "")]
    _model(page, "O2", [*settings, ("restarts", 16, "random starts"), ("seed", 1, "")])
    rows = _counted(page, "E", EACH)
    end = rows[-1]
    page.label("E6", mark(3, "loss"), align="right")
    for number, (column, value) in enumerate(zip("FGHIJKLM", STARTS, strict=True), 1):
        cells: list[Content] = [value]
        cells += [
            Formula(f"={column}{row}-$P$4*SUMPRODUCT({_slope(f'{column}{row}', ALL)})/{COUNT}") for row in rows[:-1]
        ]
        page.column(f"{column}7", f"{mark(5, 'w')}\nstart {number}", PREDICTION, cells, "0.000")
        page.cell(f"{column}6", Formula(f"={_loss(f'{column}{end}')}"), LOSS, "0.000", **STRONG)
        page.cell(f"{column}{end + 2}", Formula(f"={_loss(f'{column}8')}"), LOSS, "0.000", **STRONG)
    page.label(f"E{end + 2}", "at first", align="right")
    page.header("F5", "at the end", LOSS)
    page.label("G5", "of each column:", indent=1)
    page.header("L5", mark(7, "best"), LOSS)
    page.cell("M5", Formula("=MIN(F6:M6)"), LOSS, "0.000", **STRONG)
    chart = _chart(page, "O9", "ST", None)
    points(chart, page, "starts", "F8:M8", f"F{end + 2}:M{end + 2}", AMBER, marker="triangle", size=9)
    points(chart, page, "where they end", f"F{end}:M{end}", "F6:M6", RED, marker="diamond", size=9)
    page.notes("O27:Q36", "Try again, and keep the best", RESTARTS_NOTE)
    page.one_page("A1:Q41")
