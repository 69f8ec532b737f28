"""Threes and sevens: 784 weights and a bias, and then a hidden layer of thirty units in front.

On `linear` each pixel has a weight above it, and the weights are shown as a picture: after training one sees
a blurred three in orange and a seven in blue. On `net` thirty such sums, cut off at zero, feed one more.
"""

from __future__ import annotations

from math import exp, fsum
from pathlib import Path

from sgdsheet.apps.examples._charts import GREEN, bars, limits
from sgdsheet.apps.examples._digits import (
    GAP,
    PANEL,
    SIGNS,
    UNSHOWN,
    Row,
    Setting,
    area,
    as_picture,
    dot,
    fixed,
    ink,
    letters,
    normal,
    panel,
    several,
    signed,
    squares,
    tidy,
)
from sgdsheet.apps.examples._hidden import (
    HIDDEN,
    Preview,
    Samples,
    hidden_sums,
    pictures_sheet,
    pixel_columns,
    unit_columns,
    weights_sheet,
)
from sgdsheet.apps.examples._pictures import PIXELS, SIDE, shuffled
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

TITLE = "Three or seven?"
PLACE = ("Pictures and words", 1)
DESCRIPTION = "Handwritten threes and sevens: 784 weights seen as a picture, and a network of thirty units"

ROWS = range(8, 28)  # of the preview, below the header in row 7
LAST = ROWS[-1]
WIDTHS = {**PANEL, "F:J": 10.5, "K": GAP}
LINEAR_NOTE = (
    "Each pixel has a weight. The prediction is the sum of pixel × weight, plus a bias, squeezed between 0 "
    "and 1: above 0.5 the sheet says “three”.\n"
    "The weights start at random. Train, and look at their picture: orange (+) where ink speaks for a three, "
    "blue (−) where it speaks for a seven.\n"
    "The rows are a preview, drawn for this sheet; training uses every three and seven of the source."
)
NET_NOTE = (
    "Thirty units look at all pixels. Each is a sum of pixel × weight plus a bias, cut off at zero (a ReLU); one "
    "more sum adds them up.\n"
    "The weights are on “net_weights”, and on “net_pictures” you see what each unit looks for.\n"
    "The rows are a preview, drawn for this sheet; training uses every three and seven of the source."
)
LESSON = Lesson(
    about=(
        "Is it a three or a seven? The sheet looks at 784 pixels and answers with a number between 0 and 1.",
        "On “linear” every pixel has one weight, and the 784 weights can be seen as a picture.",
        "On “net” thirty units look at the pixels, and one more sum decides.",
    ),
    press="Go to “linear” and press Train; then “net”. The first time, digits (11 MB) are fetched from the internet.",
    watch="The accuracy, and the picture of the weights: ink on a + speaks for a three, ink on a − for a seven.",
    wrong=(
        "Accuracy cannot be the loss: a small step of the weights changes no answer, so its gradient is 0 nearly "
        "everywhere, and nothing would be learned. The loss is how far each prediction is from 0 or 1."
    ),
    questions=(
        (
            "Why does the sheet guess before training, at about one half right?",
            "The weights are random, so the sum is as often above 0 as below, whatever is drawn. Only the comparison "
            "with the labels, through the gradient, tells a weight which way to go.",
        ),
        (
            "What does the bias do?",
            "It is added once to the sum of a row, and moves the border between the two answers. Without it a picture "
            "without any ink would always be answered with exactly one half.",
        ),
    ),
    trainings=(
        Training("linear", metric="> 0.96", needs="MNIST"),
        Training("net", metric="> 0.97", needs="MNIST"),
    ),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    samples = shuffled((3, 7), len(ROWS), seed=37)
    with Book(path, TITLE, LESSON) as book:
        _linear(book, samples)
        _net(book, samples)


def _linear(book: Book, samples: Samples) -> None:
    sentence = "Train this sheet: each pixel has a weight, and the weights become the picture of a three minus a seven."
    page = Page(book, "linear", title="Three or seven?", sentence=sentence, widths=WIDTHS)
    weights = normal(PIXELS, 0.05, seed=3)
    pictures = len("ABCDEFGHIJK") + 1
    first = pictures + 2 * (SIDE + 1)
    squares(page, pictures, 2 * (SIDE + 1), 2.14)  # rows are 20 pixels high
    pixels = pixel_columns(page, first, ROWS, samples)
    held = area(6, first + 1, 1, PIXELS)
    page.label(f"{letters(first)}6", mark(1, "weights"), align="right")
    for number, value in enumerate(weights):
        page.put(6, first + 1 + number, value, book.format(num_format=";;;"))
    page.header("J5", mark(1, "bias"), PARAMETER)
    page.cell("J6", 0.0, PARAMETER, "0.0000", bold=True, align="center")
    row = ":".join(corner.rstrip("0123456789") + "{0}" for corner in pixels.split(":"))
    sums = [dot(image, weights) / 255 for _, image in samples]
    _scores(page, samples, letters(first), f"SUMPRODUCT({row},{fixed(held)})/255+$J$6", sums)
    _panel(page, sums, samples, settings=_settings(1.0, 10), note=LINEAR_NOTE)
    several(page, sgd_params=[fixed(held, "linear"), "linear!$J$6"])
    shown = ":".join(corner.rstrip("0123456789") + str(ROWS[0]) for corner in pixels.split(":"))
    _seen(page, pictures, "the 784 weights", fixed(held), weights, SIGNS)
    _seen(page, pictures + SIDE + 1, "the digit of the first row", fixed(shown), samples[0][1])
    for cells in (held, area(8, pictures, SIDE, SIDE)):
        signed(page, cells)
    ink(page, area(8, pictures + SIDE + 1, SIDE, SIDE))
    page.freeze(7)
    page.sheet.print_area(f"A1:{letters(first - 2)}41")


def _seen(page: Page, left: int, title: str, numbers: str, values: Row, number: str = UNSHOWN) -> None:
    page.label(f"{letters(left)}7", title, bold=True)
    as_picture(page, 8, left, numbers, values, number)


def _net(book: Book, samples: Samples) -> None:
    sentence = "Train this sheet: thirty units look at the pixels, and one more sum decides."
    page = Page(book, "net", title="Three or seven, with a hidden layer", sentence=sentence, widths=WIDTHS)
    hidden, output = normal(PIXELS * HIDDEN, 0.05, seed=4), normal(HIDDEN, 0.2, seed=5)
    where = weights_sheet(book, "net_weights", hidden, output, ("three",), used_by="net")
    left = len("ABCDEFGHIJK") + 1
    first = left + HIDDEN + 1
    pixels = pixel_columns(page, first, ROWS, samples)
    units = hidden_sums(samples, hidden)
    unit_columns(page, left, ROWS, pixels, where, units)
    row = f"{letters(left)}{{0}}:{letters(left + HIDDEN - 1)}{{0}}"
    text = f"MMULT({row},{fixed(where.output, where.sheet)})+{fixed(where.output_bias, where.sheet)}"
    sums = [dot(values, output) for values in units]
    _scores(page, samples, letters(first), text, sums)
    _panel(page, sums, samples, settings=_settings(0.1, 40), note=NET_NOTE)
    several(page, sgd_params=where.all())
    page.freeze(7)
    page.sheet.print_area(f"A1:{letters(first - 2)}41")
    pictures_sheet(book, "net_pictures", where, hidden, Preview("net", pixels, samples))


def _settings(rate: float, epochs: int) -> list[Setting]:
    return [
        ("optimizer", "sgd", ""),
        ("learning rate", rate, ""),
        ("batch size", 256, "rows per step"),
        ("epochs", epochs, "times through all"),
        ("seed", 1, ""),
    ]


def _scores(page: Page, samples: Samples, label: str, text: str, sums: Row) -> None:
    """The columns F to J: label, whether it is a three, prediction, error, and whether it is right."""
    threes, predictions, errors, hits = _judged(sums, samples)
    shown = fill_down(f"={label}{{0}}", ROWS, [digit for digit, _ in samples])
    page.column("F7", "label", DATA, shown, "0", align="center", bold=True)
    page.column("G7", "is it a\nthree?", DATA, fill_down("=IF(F{0}=3,1,0)", ROWS, threes), "0", align="center")
    page.column(
        "H7", mark(2, "prediction"), PREDICTION, fill_down(f"=1/(1+EXP(-({text})))", ROWS, predictions), "0.000"
    )
    page.column("I7", "error", LOSS, fill_down("=ABS(G{0}-H{0})", ROWS, errors), "0.000")
    right = fill_down("=IF((H{0}>0.5)=(G{0}=1),1,0)", ROWS, hits)
    page.column("J7", "correct\n(1 = yes)", PREDICTION, right, "0", align="center")
    page.fade_zeros(f"J{ROWS[0]}:J{LAST}")
    page.names(sgd_output=f"H{ROWS[0]}:H{LAST}")


def _judged(sums: Row, samples: Samples) -> tuple[list[float], ...]:
    threes = [float(digit == 3) for digit, _ in samples]
    predictions = [tidy(1 / (1 + exp(-value))) for value in sums]
    errors = [tidy(abs(three - value)) for three, value in zip(threes, predictions, strict=True)]
    hits = [float((value > 0.5) == (three == 1)) for three, value in zip(threes, predictions, strict=True)]
    return threes, predictions, errors, hits


def _panel(page: Page, sums: Row, samples: Samples, *, settings: list[Setting], note: str) -> None:
    _, _, errors, hits = _judged(sums, samples)
    loss = Formula(f"=AVERAGE(I{ROWS[0]}:I{LAST})", tidy(fsum(errors) / len(errors)))
    accuracy = Formula(f"=AVERAGE(J{ROWS[0]}:J{LAST})", tidy(fsum(hits) / len(hits)))
    panel(page, loss, accuracy, settings, ("What to see", note), source="mnist where label is 3 or 7", last=28)
    chart = page.chart({"type": "column"}, "A30", title="The twenty rows of the preview", x="label", y="a three?",
                       number="0.0", size=(760, 220))  # fmt: skip
    labels = f"F{ROWS[0]}:F{LAST}"
    bars(chart, page, "is it a three?", labels, f"G{ROWS[0]}:G{LAST}", "#8DB8DC")
    bars(chart, page, "prediction", labels, f"H{ROWS[0]}:H{LAST}", GREEN)
    limits(chart, "y", 0, 1, 0.5)
