"""Handwritten digits from 0 to 9: a network with a hidden layer of thirty units, one picture in each row.

The sheet shows a preview of twenty digits with everything that is computed for them, up to the probabilities
and the loss. The weights are on a second sheet, and on a third they are pictures.
"""

from __future__ import annotations

from math import fsum
from pathlib import Path

from sgdsheet.apps.examples._charts import GREEN, bars, limits
from sgdsheet.apps.examples._digits import (
    GAP,
    PANEL,
    SOFT,
    Setting,
    area,
    cross_entropy,
    dot,
    glow,
    letters,
    normal,
    panel,
    several,
    softmax,
    tidy,
)
from sgdsheet.apps.examples._hidden import (
    HIDDEN,
    Preview,
    Samples,
    Weights,
    hidden_sums,
    pictures_sheet,
    pixel_columns,
    unit_columns,
    weights_sheet,
)
from sgdsheet.apps.examples._pictures import PIXELS, shuffled
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import DATA, LOSS, PREDICTION, Book, Formula, Page, fill_down, mark

TITLE = "Handwritten digits"
PLACE = ("Pictures and words", 2)
DESCRIPTION = "Handwritten digits from 0 to 9: thirty units, softmax and cross-entropy, weights seen as pictures"

ROWS = range(8, 28)  # of the preview, below the header in row 7
LAST = ROWS[-1]
DIGITS = range(10)
PROBABILITIES, SUMS, UNITS = 11, 22, 33  # the first column of each group, after A to D and F to I
DATA_FROM = UNITS + HIDDEN + 1
NOTE = (
    "Read a row from right to left. Thirty units look at its 784 pixels: each is a sum of pixel × weight plus a "
    "bias, cut off at zero (a ReLU). Ten more sums, one per digit, look at the units. Softmax makes them "
    "probabilities: e to the power of each sum, divided by the total.\n"
    "The loss of a row is −LN of the probability of its label (cross-entropy).\n"
    "The weights are on “weights”; “pictures” shows what each unit looks for.\n"
    "The rows are a preview, drawn for this sheet; training uses all 60,000 pictures of the source."
)
SETTINGS: list[Setting] = [
    ("optimizer", "sgd", ""),
    ("learning rate", 0.2, "at its peak"),
    ("momentum", 0.9, ""),
    ("weight decay", 0.0005, "keeps weights small"),
    ("schedule", "onecycle", "rises, then falls to 0"),
    ("batch size", 256, "rows per step"),
    ("epochs", 20, "times through all"),
    ("seed", 1, ""),
]
LESSON = Lesson(
    about=(
        "A network with thirty units learns to read handwritten digits from their 784 pixels.",
        "The sheet shows twenty digits and everything that is computed for them; training uses sixty thousand others.",
        "What each unit has learned to look for can be seen as a picture of its weights.",
    ),
    press="Go to “mnist” and press Train. The first time, the digits (11 MB) are fetched from the internet.",
    watch="The accuracy beside the loss, the green probabilities of each row, and the pictures on “pictures”.",
    wrong=(
        "With rows sorted by digit, each batch would show one digit only, and each step would forget the last one. "
        "The rows are therefore shuffled before every epoch."
    ),
    questions=(
        (
            "A 3 has the probabilities 0.2 for “3” and 0.8 for “8”. Why is its loss −LN(0.2) and not 1 − 0.2?",
            "1 − p treats a probability of 0.2 nearly like one of 0.02: both are wrong by about as much. −LN(p) grows "
            "without end when p goes to 0, so being sure of something wrong costs most, and its gradient is largest "
            "where there is most to learn. The probability of “8” need not stand in the loss: the ten probabilities "
            "have the sum 1, so pushing up that of “3” pushes all others down.",
        ),
        (
            "Why is the bias of a unit added once per row, and not once per pixel?",
            "A unit is one number per row: the sum of 784 products, and then its bias. Added to every pixel's product, "
            "the bias would only be counted 784 times in the same sum.",
        ),
    ),
    trainings=(Training("mnist", metric="> 0.96", needs="MNIST"),),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    samples = shuffled(DIGITS, len(ROWS), seed=10)
    hidden, output = normal(PIXELS * HIDDEN, 0.05, seed=1), normal(HIDDEN * 10, 0.18, seed=2)
    units = hidden_sums(samples, hidden)
    sums = [[dot(row, output[digit::10]) for digit in DIGITS] for row in units]
    with Book(path, TITLE, LESSON) as book:
        sentence = "Train this sheet: a network with thirty units learns to read digits from 784 pixels."
        groups = {"F:I": 9.5, "J": GAP, "K:T": 6, "U": GAP, "V:AE": 6.5, "AF": GAP}
        page = Page(book, "mnist", title="Handwritten digits", sentence=sentence, widths=PANEL | groups)
        where = weights_sheet(book, "weights", hidden, output, [f"digit {digit}" for digit in DIGITS], used_by="mnist")
        pixels = pixel_columns(page, DATA_FROM, ROWS, samples)
        unit_columns(page, UNITS, ROWS, pixels, where, units)
        _outputs(page, where, sums)
        losses, hits = _scores(page, samples, sums)
        loss = Formula(f"=AVERAGE(I{ROWS[0]}:I{LAST})", tidy(fsum(losses) / len(losses)))
        accuracy = Formula(f"=AVERAGE(H{ROWS[0]}:H{LAST})", tidy(fsum(hits) / len(hits)))
        panel(page, loss, accuracy, SETTINGS, ("What to see", NOTE), source="mnist", last=40)
        several(page, sgd_params=where.all())
        page.names(sgd_output=f"G{ROWS[0]}:G{LAST}")
        _picture(page)
        page.freeze(7)
        page.sheet.print_area(f"A1:{letters(UNITS - 1)}40")
        pictures_sheet(book, "pictures", where, hidden, Preview("mnist", pixels, samples))


def _picture(page: Page) -> None:
    title = "The probabilities of the first row"
    chart = page.chart({"type": "column"}, "F29", title=title, x="digit", y="probability", number="0%", size=(760, 240))
    first, last = letters(PROBABILITIES), letters(PROBABILITIES + 9)
    bars(chart, page, "p", f"{first}7:{last}7", f"{first}{ROWS[0]}:{last}{ROWS[0]}", GREEN)
    limits(chart, "y", 0, 1, 0.25)
    chart.set_legend({"none": True})


def _outputs(page: Page, weights: Weights, sums: list[list[float]]) -> None:
    """Ten sums of the units, and the ten probabilities that softmax makes of them."""
    units = f"${letters(UNITS)}{{0}}:${letters(UNITS + HIDDEN - 1)}{{0}}"
    all_sums = f"${letters(SUMS)}{{0}}:${letters(SUMS + 9)}{{0}}"
    chances = [softmax(row) for row in sums]
    for digit in DIGITS:
        column = letters(SUMS + digit)
        text = f"=MMULT({units},{weights.of(weights.output, digit)})+{weights.of(weights.output_bias, digit)}"
        values = [tidy(row[digit]) for row in sums]
        page.column(f"{column}7", f"sum\n{digit}", PREDICTION, fill_down(text, ROWS, values), "0.00", font_size=9)
        text = f"=EXP({column}{{0}})/SUMPRODUCT(EXP({all_sums}))"
        values = [tidy(row[digit]) for row in chances]
        top = f"{letters(PROBABILITIES + digit)}7"
        page.column(top, f"{digit}", PREDICTION, fill_down(text, ROWS, values), "0.00", align="center", font_size=9)
    page.label(f"{letters(PROBABILITIES)}6", mark(2, "probability of each digit"), bold=True)
    page.label(f"{letters(SUMS)}6", "sum for each digit", bold=True)
    page.label(f"{letters(UNITS)}6", "thirty units", bold=True)
    page.label(f"{letters(DATA_FROM)}6", "label and pixels (0 to 255)", bold=True)
    glow(page, area(ROWS[0], PROBABILITIES, len(ROWS), 10), SOFT)


def _scores(page: Page, samples: Samples, sums: list[list[float]]) -> tuple[list[float], list[float]]:
    """Label, predicted digit, whether they are the same, and the loss of each row; returns losses and hits."""
    labels = [label for label, _ in samples]
    guesses = [row.index(max(row)) for row in sums]
    hits = [float(label == guess) for label, guess in zip(labels, guesses, strict=True)]
    losses = [tidy(cross_entropy(row, label)) for row, label in zip(sums, labels, strict=True)]
    row = f"{letters(SUMS)}{{0}}:{letters(SUMS + 9)}{{0}}"
    label_cells = fill_down(f"={letters(DATA_FROM)}{{0}}", ROWS, labels)
    page.column("F7", "label", DATA, label_cells, "0", align="center", bold=True)
    guess = f"=SUMPRODUCT(({row}=MAX({row}))*{{{{0,1,2,3,4,5,6,7,8,9}}}})"
    page.column("G7", "predicted", PREDICTION, fill_down(guess, ROWS, guesses), "0", align="center", bold=True)
    page.column(
        "H7", "correct\n(1 = yes)", PREDICTION, fill_down("=IF(F{0}=G{0},1,0)", ROWS, hits), "0", align="center"
    )
    text = f"=LN(SUMPRODUCT(EXP({row})))-INDEX({row},F{{0}}+1)"
    page.column("I7", "loss\n−LN(p)", LOSS, fill_down(text, ROWS, losses), "0.000")
    page.fade_zeros(f"H{ROWS[0]}:H{LAST}")
    return losses, hits
