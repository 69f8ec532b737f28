"""Epoch, batch and step, seen in cells, and why rows are shuffled.

Thirty-two small pictures, threes first and then sevens, and a model of two parameters. On `sorted` and `shuffled`
each row is one picture that is looked at, three times through all of them; the parameters change where a batch
ends. `data` is the same model to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from sgdsheet.apps.examples._charts import limits, line, points
from sgdsheet.apps.examples._pictures import SIDE, draw
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

TITLE = "Mini-batches"
PLACE = ("How to train", 2)
DESCRIPTION = "Epoch, batch and step, row by row, with the rows shuffled and not"

EACH = 16  # pictures of a digit
COUNT, EPOCHS, BATCH, RATE, TAKEN = 2 * EACH, 3, 4, 2, 40
START = 8  # the row before anything was looked at
SEEN = range(START + 1, START + 1 + COUNT * EPOCHS)
LAST = SEEN[-1]
POINTS = range(8, 8 + COUNT)  # of the sheet “data”
PANEL = {"A:D": 13, "E": 2}

PATH = {
    "sorted": (
        "Threes come first in every epoch, then sevens. While threes are seen, w and b grow until everything is "
        "called a three: the loss is tiny. Then come sevens: the loss jumps up, and soon everything is called a "
        "seven. After the first and the second epoch half of the pictures are right, as if nothing had been learned.\n"
        "Put 32 as the batch size: one step per epoch, of all rows together. Then the order does not matter.\n"
        "Or put 1: a step after each row, and w and b swing more wildly."
    ),
    "shuffled": (
        "The same pictures, the same start and the same learning rate as on “sorted”. Only the order differs, and it "
        "is a new one in each epoch. Most batches hold threes and sevens, so what both need is learned at once.\n"
        "After the first epoch all pictures are right.\n"
        "A line stands where a batch ends and a step is made. A large batch makes few steps, each in a good "
        "direction; a small one makes many, each with some noise."
    ),
}
DATA_NOTE = (
    "A three has half of its ink in the lower half of the picture, a seven has less. u is that share with 40 % taken "
    "off, divided by 5.\n"
    "“shuffle” says no: sgdsheet makes the same steps as the cells of “sorted”. Put yes and train again.\n"
    "Put 46 in place of 40 (D11): then u is negative for sevens, one class no longer undoes w for the other, and even "
    "sorted rows are learned. Centred inputs make much easier: all are right after three epochs."
)
LESSON = Lesson(
    about=(
        "A step changes the parameters once; it looks at one batch of rows, and an epoch is one pass through all rows.",
        "With 32 pictures and batches of 4, an epoch has 8 steps, and each of them can be seen in the sheets.",
        "If the rows are sorted by class, each class undoes what the other one taught; shuffled, both are learned.",
    ),
    press=(
        "Compare “sorted” with “shuffled”, and change the batch size in A6. Then train “data” with shuffle on no and "
        "yes."
    ),
    watch="The chart of the accuracy over all pictures: it swings on “sorted” and stays up on “shuffled”.",
    wrong=(
        "Rows that are sorted by class: after the first and the second epoch all pictures are called sevens, and the "
        "accuracy is 0.5. With MNIST's threes and sevens it is 0.51 after the first epoch; shuffled, it is 0.965."
    ),
    questions=(
        (
            "What are an epoch, a batch and a step?",
            "A batch is the rows whose gradients are averaged for one step. A step moves the parameters against that "
            "mean. An epoch is one pass through all rows. 32 rows in batches of 4 are 8 steps per epoch, 24 steps in "
            "3 epochs.",
        ),
        (
            "Why not take all rows for each step?",
            "One can: put 32. But a step then costs a look at all rows, and in three epochs there are three steps. A "
            "batch gives nearly the same direction for a fraction of the work. Its noise does no harm, and can even "
            "help the parameters out of a bad valley.",
        ),
        (
            "The last batch of an epoch may be smaller, say with batches of 5. What then?",
            "It is averaged over the rows that it has: 32 rows are six batches of 5 and one of 2. Put 5 into A6 and "
            "look at the column “rows”.",
        ),
    ),
    trainings=(
        Training("data", {0: "0.6931", 5: "0.5741"}, best="0.3032", metric="0.9375",
                 cells={"C6": "2.4510", "sorted!V104": "2.4510", "D6": "-4.2232", "sorted!W104": "-4.2232"}),
        Training("data", typed={"B14": "yes"}, best="< 0.25", metric="> 0.95"),
        Training("data", typed={"D11": 46.0}, best="0.0720", metric="1"),
    ),
    shows={"sorted!D9": "0.5", "sorted!D10": "0.5", "shuffled!D9": "1"},
)  # fmt: skip


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        orders = [list(range(1, COUNT + 1)) for _ in range(EPOCHS)]
        _path(book, "sorted", "Sorted rows", orders)
        _path(book, "shuffled", "Shuffled rows", [_shuffled(epoch) for epoch in range(EPOCHS)])
        _data(book)


def _shuffled(epoch: int) -> list[int]:
    order = list(range(1, COUNT + 1))
    Random(100 + epoch).shuffle(order)
    return order


def _ink_below(digit: int, seed: int) -> float:
    """The share of a drawn digit's ink in the lower half of its picture, in per cent."""
    pixels = draw(digit, seed)
    return round(100 * sum(pixels[SIDE * SIDE // 2 :]) / sum(pixels), 1)


def _path(book: Book, name: str, title: str, orders: list[list[int]]) -> None:
    """Every look at a picture is a row; a step is made where a batch ends."""
    sentence = "Each row is one look at a picture. Change the batch size in A6: a step is made where a batch ends."
    widths = {
        **PANEL,
        "F": 6.5,
        "G:H": 7,
        "I": 8,
        "J:K": 7,
        "L:M": 9,
        "N:Q": 9,
        "R:S": 10,
        "T:U": 8,
        "V:W": 9.5,
        "X": 10,
    }
    page = Page(book, name, title=title, sentence=sentence, widths=widths)
    for letter, text, value in (("A", "batch size", BATCH), ("B", "learning rate", RATE)):
        page.header(f"{letter}5", text, SETTING)
        page.cell(f"{letter}6", value, SETTING, "General", bold=True, align="center")
    _looks(page, orders)
    _steps(page)
    page.label(f"G{START}", f"{mark(1)} initialise: w = 0, b = 0", indent=1)
    page.label(f"F{LAST + 1}", f"{mark(7)} stop after {EPOCHS} epochs", indent=1)
    ends = book.workbook.add_format({"bottom": 2, "bottom_color": SETTING.dark})
    page.sheet.conditional_format(
        f"F{SEEN[0]}:X{LAST}", {"type": "formula", "criteria": f"=$U{SEEN[0]}=1", "format": ends}
    )
    rows = range(9, 9 + EPOCHS)
    page.column("A8", "epoch", DATA, [epoch + 1 for epoch in range(EPOCHS)], "0", align="center")
    inside = f"$G${SEEN[0]}:$G${LAST}"
    for letter, text, role, formula, number in (
        ("B", "steps", SETTING, f"=SUMIFS($U${SEEN[0]}:$U${LAST},{inside},A{{0}})", "0"),
        ("C", mark(3, "mean loss"), LOSS, f"=AVERAGEIFS($O${SEEN[0]}:$O${LAST},{inside},A{{0}})", "0.000"),
        ("D", "accuracy\nat its end", PREDICTION, f"=INDEX($X${SEEN[0]}:$X${LAST},{COUNT}*A{{0}})", "0.0%"),
    ):
        page.column(f"{letter}8", text, role, fill_down(formula, rows), number)
    page.sheet.set_row(7, 34)
    page.sheet.set_row(6, 36)
    for top, letter, text, colour, number in (
        (13, "X", "accuracy", PREDICTION.dark, "0%"),
        (29, "O", "loss", LOSS.dark, "0.0"),
    ):
        shown = "Accuracy over all pictures" if letter == "X" else "Loss of the picture that is looked at"
        chart = page.chart({"type": "scatter", "subtype": "straight"}, f"A{top}", title=shown, x="pictures looked at",
                           y=text, number=number, size=(384, 290))  # fmt: skip
        line(chart, page, text, f"F{SEEN[0]}:F{LAST}", f"{letter}{SEEN[0]}:{letter}{LAST}", colour, width=1.75)
        chart.set_legend({"none": True})
        limits(chart, "x", 0, COUNT * EPOCHS, COUNT)
        if letter == "X":
            limits(chart, "y", 0, 1, 0.25)
    page.notes("A45:D66", "What to see", PATH[name])
    page.one_page(f"A1:X{SEEN[2 * COUNT - 1]}")  # two epochs of three
    page.freeze(7)


def _looks(page: Page, orders: list[list[int]]) -> None:
    """What is looked at: the columns F to K."""
    page.column("F7", mark(6, "look"), DATA, [0, *(Formula(f"=F{row - 1}+1") for row in SEEN)], "0", align="center")
    pictures = [number for order in orders for number in order]
    first, last = POINTS[0], POINTS[-1]
    place = f"MOD(F{{0}}-1,{COUNT})"
    columns: list[tuple[str, str, Role, Sequence[Content], str]] = [
        ("G", "epoch", DATA, fill_down(f"=INT((F{{0}}-1)/{COUNT})+1", SEEN), "0"),
        ("H", "step", DATA, fill_down(f"=(G{{0}}-1)*ROUNDUP({COUNT}/$A$6,0)+INT({place}/$A$6)+1", SEEN), "0"),
        ("I", "picture", DATA, pictures, "0"),
        ("J", "u", DATA, fill_down(f"=INDEX(data!$I${first}:$I${last},I{{0}})", SEEN), "0.00"),
        ("K", "y: is it\na three?", DATA, fill_down(f"=INDEX(data!$J${first}:$J${last},I{{0}})", SEEN), "0"),
    ]
    for letter, title, role, cells, number in columns:
        page.header(f"{letter}7", title, role)
        for row, content in zip(SEEN, cells, strict=True):
            page.cell(f"{letter}{row}", content, role, number, align="center")


def _steps(page: Page) -> None:
    """What becomes of it: the columns L to X."""
    place = f"MOD(F{{0}}-1,{COUNT})"
    new = f"MOD({place},$A$6)=0"
    first, last = POINTS[0], POINTS[-1]
    u, y = f"data!$I${first}:$I${last}", f"data!$J${first}:$J${last}"
    score = f"(V{{0}}*{u}+W{{0}}>0)"
    for letter, title, role, text, number in (
        ("L", "w", PARAMETER, "=V{1}", "0.000"),
        ("M", "b", PARAMETER, "=W{1}", "0.000"),
        ("N", mark(2, "p(three)"), PREDICTION, "=1/(1+EXP(-(L{0}*J{0}+M{0})))", "0.000"),
        ("O", mark(3, "loss"), LOSS, "=-LN(IF(K{0}=1,N{0},1-N{0}))", "0.000"),
        ("P", mark(4, "by w\n(p − y)·u"), LOSS, "=(N{0}-K{0})*J{0}", "0.000"),
        ("Q", mark(4, "by b\np − y"), LOSS, "=N{0}-K{0}", "0.000"),
        ("R", "sum by w\nin batch", LOSS, f"=IF({new},0,R{{1}})+P{{0}}", "0.000"),
        ("S", "sum by b\nin batch", LOSS, f"=IF({new},0,S{{1}})+Q{{0}}", "0.000"),
        ("T", "rows in\nbatch", SETTING, f"=IF({new},0,T{{1}})+1", "0"),
        ("U", "step?\n(1 = yes)", SETTING, f"=IF(OR(T{{0}}=$A$6,{place}={COUNT - 1}),1,0)", "0"),
        ("V", mark(5, "new w"), PARAMETER, "=IF(U{0}=1,L{0}-$B$6*R{0}/T{0},L{0})", "0.000"),
        ("W", mark(5, "new b"), PARAMETER, "=IF(U{0}=1,M{0}-$B$6*S{0}/T{0},M{0})", "0.000"),
        ("X", "accuracy\nof all 32", PREDICTION, f"=SUMPRODUCT({score}*{y}+(1-{score})*(1-{y}))/{COUNT}", "0.0%"),
    ):
        page.header(f"{letter}7", title, role)
        for row in SEEN:
            page.cell(f"{letter}{row}", Formula(text.format(row, row - 1)), role, number)
    for letter, role in (("R", LOSS), ("S", LOSS), ("T", SETTING), ("V", PARAMETER), ("W", PARAMETER)):
        page.cell(f"{letter}{START}", 0, role, "0" if letter == "T" else "0.000")
    page.fade_zeros(f"U{SEEN[0]}:U{LAST}")


def _data(book: Book) -> None:
    sentence = (
        "Train this sheet: thirty-two pictures in batches of four. Then put “yes” at shuffle and start again from 0."
    )
    page = Page(book, "data", title="Thirty-two threes and sevens", sentence=sentence, widths={**PANEL, "F:M": 11})
    last = POINTS[-1]
    digits = [3] * EACH + [7] * EACH
    page.column("F7", "picture", DATA, list(range(1, COUNT + 1)), "0", align="center")
    page.column("G7", "digit", DATA, digits, "0", align="center", bold=True)
    ink = [_ink_below(digit, number % EACH) for number, digit in enumerate(digits)]
    page.column("H7", "% of ink in\nlower half", DATA, ink, "0.0")
    for letter, title, role, text, number in (
        ("I", "u = (H −\nD11) / 5", DATA, "=(H{0}-$D$11)/5", "0.00"),
        ("J", "y: is it\na three?", DATA, "=IF(G{0}=3,1,0)", "0"),
        ("K", mark(2, "p(three)"), PREDICTION, "=1/(1+EXP(-($C$6*I{0}+$D$6)))", "0.000"),
        ("L", "loss\n−LN(p of y)", LOSS, "=-LN(IF(J{0}=1,K{0},1-K{0}))", "0.000"),
        ("M", "correct\n(1 = yes)", PREDICTION, "=IF((K{0}>0.5)=(J{0}=1),1,0)", "0"),
    ):
        page.column(f"{letter}7", title, role, fill_down(text, POINTS), number, align="center")
    page.fade_zeros(f"M8:M{last}")
    page.scores(Formula(f"=AVERAGE(L8:L{last})"), Formula(f"=AVERAGE(M8:M{last})"))
    for letter, name in (("C", "w"), ("D", "b")):
        page.header(f"{letter}5", mark(1, name), PARAMETER)
        page.cell(f"{letter}6", 0.0, PARAMETER, "0.0000", bold=True, align="center")
    page.header("D10", "taken off", SETTING)
    page.cell("D11", TAKEN, SETTING, "General", bold=True, align="center")
    page.settings("A8", [("optimizer", "sgd", ""), ("learning rate", RATE, ""), ("batch size", BATCH, ""),
                         ("epochs", EPOCHS, ""), ("seed", 1, ""), ("shuffle", "no", "or yes")])  # fmt: skip
    chart = page.chart({"type": "scatter"}, "A16", title="Three or seven?", x="ink in the lower half, %",
                       y="p(three)", number="0.00", size=(384, 290))  # fmt: skip
    points(chart, page, "y", f"H8:H{last}", f"J8:J{last}", DATA.dark)
    points(chart, page, "p(three)", f"H8:H{last}", f"K8:K{last}", PREDICTION.dark, marker="x")
    limits(chart, "x", 40, 52, 2)
    limits(chart, "y", 0, 1, 0.25)
    page.notes(f"A32:D{last + 6}", "What to see", DATA_NOTE)
    page.names(sgd_params="C6:D6", sgd_data=f"F8:M{last}")
    page.one_page(f"A1:M{last + 6}")
    page.freeze(7)
