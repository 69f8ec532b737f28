"""Digits of 8×8 pixels, drawn for this workbook: one weighted sum per digit, and the weights seen as pictures.

The rows and the weights above them are on `rows`. `digits` shows one picture with its probabilities, and the ten
digits' weights as coloured cells: after training one sees which ink speaks for a digit and which against it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from sgdsheet.apps.examples._charts import bars, limits
from sgdsheet.apps.examples._digits import SOFT, area, fixed, glow, letters, several, signed
from sgdsheet.apps.examples._pictures import SIDE as LARGE
from sgdsheet.apps.examples._pictures import draw
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
    fill_down,
    mark,
)

TITLE = "Digits of 64 pixels"
PLACE = ("Pictures and words", 3)
DESCRIPTION = "Digits of 8×8 pixels: one weighted sum per digit, and its 64 weights as a picture"

SIDE, INK = 8, 9  # pixels each way; a pixel is from 0 (paper) to 9 (ink)
PIXELS = SIDE * SIDE
EACH, TESTED = 15, 5  # pictures of each digit, and how many of them are for validation
DIGITS = range(10)
LABEL, FIRST = 6, 8  # columns of `rows`: the label, and the first pixel
BIAS = FIRST + PIXELS  # the column behind the pixels: in the rows of the weights the bias
SUMS, POWERS, CHANCES = BIAS + 2, BIAS + 12, BIAS + 22
ROWS = range(18, 18 + 10 * EACH)
WEIGHTS = range(6, 16)  # rows of the ten digits' weights, above the pictures
VIEW, PICTURES = 6, 16  # columns of `digits`: the picture that is shown, and the first picture of weights
PANEL = {"A:D": 13, "E": 2}

NOTE = (
    "For each digit the 64 pixels of a picture are multiplied by the digit's 64 weights and added up, with a bias. "
    "Softmax makes probabilities of the ten sums, and the loss is −LN of that of the label.\n"
    "All weights start at 0: ten white pictures. Train, and they become pictures: + (orange) where ink speaks for the "
    "digit, − (blue) where ink speaks against it. The 0 has a − in its middle, the 1 a + there.\n"
    "Change C6 to look at another picture."
)
ROWS_NOTE = (
    "On top the weights of each digit, one per pixel; below them the pictures, one per row. 50 are for validation."
)
LESSON = Lesson(
    about=(
        "A hundred and fifty digits of 8×8 pixels were drawn for this workbook; a hundred are for training.",
        (
            "Each digit has 64 weights, one per pixel, and the sum of pixel × weight says how much a picture looks "
            "like it."
        ),
        "The weights start at 0, and training turns them into pictures that one can read.",
    ),
    press="Train “digits”: 100 steps with all rows at once. Then change C6, the row of the picture that is shown.",
    watch="The ten pictures of weights, the bars of the probabilities, and the accuracy of the validation rows.",
    wrong=(
        "One sum per digit sees no shapes, only which pixels are dark. Move a digit by a pixel and it may be misread; "
        "hidden units (“neuron_zoo”, “mnist”) and kernels (“convolution”) help."
    ),
    questions=(
        (
            "Here all weights start at 0. Why must those of a network with hidden units not?",
            "Here each digit has its own label, so the gradients differ at once. Hidden units that start equal get "
            "equal gradients: they stay copies of each other for ever. Random start values make them differ.",
        ),
        (
            "Some pixels in a corner keep a weight of 0. Why?",
            "No picture has ink there: pixel × weight is 0 whatever the weight is, and so is its gradient. The loss "
            "cannot say anything about that weight.",
        ),
        (
            "Why are some pictures kept for validation?",
            "With 650 parameters and 100 pictures the model could learn each of them by heart. Only pictures that it "
            "was not trained on show whether it has learned what a 3 looks like.",
        ),
    ),
    trainings=(Training("digits", {0: "2.3026", 1: "1.9084"}, best="0.0577", valid="0.0746", metric="0.98"),),
)


@cache
def small(digit: int, seed: int) -> list[int]:
    """A drawn digit on 8×8 pixels: the mean ink of its middle 20×20 pixels, from 0 to 9."""
    pixels = draw(digit, seed)
    edge, step = (LARGE - 20) // 2, 20 / SIDE
    found = []
    for down in range(SIDE):
        for across in range(SIDE):
            total = sum(
                _shared(down * step, step, row) * _shared(across * step, step, column)
                * pixels[(row + edge) * LARGE + column + edge]
                for row in range(int(down * step), min(20, int(down * step + step) + 1))
                for column in range(int(across * step), min(20, int(across * step + step) + 1))
            )  # fmt: skip
            found.append(round(INK * min(1.0, 1.25 * total / (255 * step * step))))
    return found


def _shared(start: float, size: float, pixel: int) -> float:
    """How much of the pixel lies between `start` and `start + size`."""
    return max(0.0, min(start + size, pixel + 1.0) - max(start, float(pixel)))


def samples() -> list[tuple[int, list[int], bool]]:
    """Label, pixels and whether it is for validation, in a mixed order that is always the same."""
    made = [(digit, small(digit, 500 + number), number >= EACH - TESTED) for digit in DIGITS for number in range(EACH)]
    Random(8).shuffle(made)
    return made


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _digits(book)
        _rows(book)


def _columns(first: int, count: int, row: int | str) -> str:
    """`F8:O8` for the columns from `first` on; the row may be `{0}`."""
    return f"{letters(first)}{row}:{letters(first + count - 1)}{row}"


def _rows(book: Book) -> None:
    sentence = ROWS_NOTE
    header = ROWS[0] - 1
    widths = {"A:D": 13, "E": 2, "F:G": 9, f"{letters(FIRST)}:{letters(BIAS - 1)}": 3.6, letters(BIAS): 7,
              letters(BIAS + 1): 2, f"{letters(SUMS)}:{letters(CHANCES + 9)}": 7.5,
              f"{letters(CHANCES + 10)}:{letters(CHANCES + 12)}": 11}  # fmt: skip
    page = Page(book, "rows", title="The pictures as rows", sentence=sentence, widths=widths)
    page.sheet.set_row(6, 20)
    page.label(f"{letters(FIRST)}5", mark(1, "64 weights of each digit"), bold=True)
    page.header(f"{letters(BIAS)}5", mark(1, "bias"), PARAMETER)
    for digit, row in zip(DIGITS, WEIGHTS, strict=True):
        page.label(f"G{row}", f"digit {digit}", align="right", indent=1)
        for column in range(FIRST, BIAS):
            page.cell(f"{letters(column)}{row}", 0.0, PARAMETER, "0.0", align="center", font_size=8)
        page.cell(f"{letters(BIAS)}{row}", 0.0, PARAMETER, "0.00", align="center", bold=True)
    signed(page, area(WEIGHTS[0], FIRST, 10, PIXELS), numbers=True)
    made = samples()
    page.column(
        f"{letters(LABEL)}{header}", "label", DATA, [label for label, _, _ in made], "0", align="center", bold=True
    )
    tested = [1.0 if valid else 0.0 for _, _, valid in made]
    page.column(f"{letters(LABEL + 1)}{header}", "valid?\n(1 = yes)", DATA, tested, "0", align="center")
    page.sheet.set_row(header - 1, 34)
    for pixel in range(PIXELS):
        title = f"{pixel // SIDE + 1},{pixel % SIDE + 1}"
        page.column(f"{letters(FIRST + pixel)}{header}", title, DATA, [image[pixel] for _, image, _ in made], "0",
                    align="center", font_size=9)  # fmt: skip
    glow(page, area(ROWS[0], FIRST, len(ROWS), PIXELS), "#8FA3B5")
    for digit, row in zip(DIGITS, WEIGHTS, strict=True):
        weights = _columns(FIRST, PIXELS, row)
        pixels = f"${letters(FIRST)}{{0}}:${letters(BIAS - 1)}{{0}}"
        text = f"=SUMPRODUCT({pixels},{fixed(weights)})/{INK}+${letters(BIAS)}${row}"
        total, power, chance = (letters(column + digit) for column in (SUMS, POWERS, CHANCES))
        page.column(f"{total}{header}", mark(2, f"sum\n{digit}"), PREDICTION, fill_down(text, ROWS), "0.00")
        page.column(f"{power}{header}", f"e^sum\n{digit}", PREDICTION, fill_down(f"=EXP({total}{{0}})", ROWS), "0.00")
        share = f"={power}{{0}}/SUM({fixed(_columns(POWERS, 10, 1)).replace('$1', '{0}')})"
        page.column(f"{chance}{header}", f"p({digit})", PREDICTION, fill_down(share, ROWS), "0.000")
    chances = _columns(CHANCES, 10, "{0}")
    guess, loss, hit = (letters(CHANCES + 10 + number) for number in range(3))
    best = f"({chances}=MAX({chances}))"
    text = f"=9-SUMPRODUCT(MAX({best}*{{{{9,8,7,6,5,4,3,2,1,0}}}}))"  # the first of those that are largest
    page.column(f"{guess}{header}", "predicted", PREDICTION, fill_down(text, ROWS), "0", align="center", bold=True)
    text = f"=-LN(INDEX({chances},{letters(LABEL)}{{0}}+1))"
    page.column(f"{loss}{header}", mark(3, "loss\n−LN(p)"), LOSS, fill_down(text, ROWS), "0.000")
    text = f"=IF(INDEX({chances},{letters(LABEL)}{{0}}+1)=MAX({chances}),1/SUMPRODUCT({best}*1),0)"  # a share if tied
    page.column(f"{hit}{header}", "correct\n(1 = yes)", PREDICTION, fill_down(text, ROWS), "0.0", align="center")
    glow(page, area(ROWS[0], CHANCES, len(ROWS), 10), SOFT)
    page.label("A6", "The panel with loss and settings is on “digits”.")
    page.sheet.print_area(f"A1:{hit}{header + 50}")
    page.sheet.fit_to_pages(2, 1)
    page.freeze(header)
    page.sheet.freeze_panes(header, FIRST - 1)


def _digits(book: Book) -> None:
    sentence = "Train this sheet: ten sums look at 64 pixels, and their weights become pictures."
    widths = {**PANEL, f"{letters(VIEW)}:{letters(PICTURES + 5 * (SIDE + 1))}": 2.6}
    page = Page(book, "digits", title="Digits of 64 pixels", sentence=sentence, widths=widths)
    page.sheet.set_row(6, 20)
    loss, hit = letters(CHANCES + 11), letters(CHANCES + 12)
    where = f"{ROWS[0]}:{{0}}{ROWS[-1]}"
    mean, share = (Formula(f"=AVERAGE(rows!{column}{where.format(column)})") for column in (loss, hit))
    page.scores(mean, share)
    page.header("C5", "show picture", SETTING)
    page.cell("C6", 1, SETTING, "0", bold=True, align="center")
    page.header("D5", "its label", DATA)
    label = letters(LABEL)
    labels = f"rows!${label}${ROWS[0]}:${label}${ROWS[-1]}"
    page.cell("D6", Formula(f"=INDEX({labels},C6)"), DATA, "0", bold=True, align="center")
    page.settings("A8", [("optimizer", "sgd", ""), ("learning rate", 1.0, ""), ("steps", 100, "")])
    page.label(f"{letters(PICTURES)}7", mark(1, "the weights of the ten digits, which start at 0 on “rows”"), bold=True)
    _view(page)
    for digit in DIGITS:
        _weights_of(page, digit)
    table = range(16, 26)
    page.column("A15", "digit", DATA, list(DIGITS), "0", align="center", bold=True)
    chances = fixed(area(ROWS[0], CHANCES, len(ROWS), 10), "rows")
    page.column("B15", mark(2, "p"), PREDICTION, fill_down(f"=INDEX({chances},$C$6,A{{0}}+1)", table), "0.0%")
    hits = f"rows!${hit}${ROWS[0]}:${hit}${ROWS[-1]}"
    tested = f"rows!${letters(LABEL + 1)}${ROWS[0]}:${letters(LABEL + 1)}${ROWS[-1]}"
    for letter, title, valid in (("C", "of 10 right", 0), ("D", "of 5 right", 1)):
        text = f"=SUMIFS({hits},{labels},A{{0}},{tested},{valid})"
        page.column(f"{letter}15", title, PREDICTION, fill_down(text, table), "0", align="center")
    page.label("C14", "for training", align="center")
    page.label("D14", "for validation", align="center")
    page.label("B14", "shown picture", align="center")
    chart = page.chart({"type": "column"}, f"{letters(VIEW)}31", title="Probabilities of the picture that is shown",
                       x="digit", y="p", number="0%", size=(700, 270))  # fmt: skip
    bars(chart, page, "p", "A16:A25", "B16:B25", PREDICTION.dark)
    limits(chart, "y", 0, 1, 0.25)
    chart.set_legend({"none": True})
    page.notes("A27:D48", "What to see", NOTE)
    data = area(ROWS[0], LABEL, len(ROWS), CHANCES + 13 - LABEL)
    several(page, sgd_params=[fixed(area(WEIGHTS[0], FIRST, 10, PIXELS + 1), "rows")],
            sgd_data=[fixed(data, "rows")],
            sgd_valid=[fixed(area(ROWS[0], LABEL + 1, len(ROWS), 1), "rows")])  # fmt: skip
    page.one_page(f"A1:{letters(PICTURES + 5 * (SIDE + 1) - 2)}48")
    page.freeze(6)


def _view(page: Page) -> None:
    """The chosen picture, with its pixels as numbers."""
    pixels = fixed(area(ROWS[0], FIRST, len(ROWS), PIXELS), "rows")
    look = page.book.format(num_format="0", font_size=9, align="center", border=1, border_color="#E5E7EB")
    page.label(f"{letters(VIEW)}8", "the picture that is shown", bold=True)
    for down in range(SIDE):
        for across in range(SIDE):
            text = f"=INDEX({pixels},$C$6,{SIDE * down + across + 1})"
            page.put(9 + down, VIEW + across, Formula(text), look)
    glow(page, area(9, VIEW, SIDE, SIDE), "#8FA3B5")


def _weights_of(page: Page, digit: int) -> None:
    """A digit's 64 weights as a picture: + and − in orange and blue."""
    top, left = 8 + 11 * (digit // 5), PICTURES + (SIDE + 1) * (digit % 5)
    look = page.book.format(num_format='"+";"−";""', font_size=9, align="center", border=1, border_color="#E5E7EB")
    page.label(f"{letters(left)}{top}", f"weights of the {digit}", bold=True)
    for down in range(SIDE):
        for across in range(SIDE):
            source = f"{letters(FIRST + SIDE * down + across)}{WEIGHTS[digit]}"
            page.put(top + 1 + down, left + across, Formula(f"=rows!{source}"), look)
    signed(page, area(top + 1, left, SIDE, SIDE), numbers=True)
