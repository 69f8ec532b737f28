"""A layer of thirty units over the 784 pixels of each row: its columns, its sheet of weights, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sgdsheet.apps.examples._digits import (
    PANEL,
    PIXEL_HEIGHT,
    PIXEL_WIDTH,
    SIGNS,
    SOFT,
    Row,
    area,
    as_picture,
    column_number,
    dot,
    fixed,
    glow,
    ink,
    letters,
    signed,
    squares,
    tidy,
)
from sgdsheet.apps.examples._pictures import PIXELS, SIDE
from sgdsheet.apps.examples.style import DATA, PARAMETER, PREDICTION, Book, Formula, Page, mark

HIDDEN = 30

Samples = Sequence[tuple[int, list[int]]]
_PRINTED = 100  # pixels; nobody reads the weights of all 784 on paper
_ACROSS = 6  # pictures beside each other
_READING = (
    "Each small square is one of 28×28 pixels, and its colour is a number.\n"
    "In a digit, dark is ink (255) and white is paper (0).\n"
    "In a unit, orange (+) is a positive weight: ink there makes the unit larger. Blue (−) is a negative weight: ink "
    "there makes it smaller. White hardly matters.\n"
    "Before training the weights are random; afterwards you see strokes, curves and edges."
)


class Preview(NamedTuple):
    """Where the preview's pixels stand, and what they are."""

    sheet: str
    pixels: str
    samples: Samples


class Weights(NamedTuple):
    """Where the weights of both layers stand."""

    sheet: str
    hidden: str
    hidden_bias: str
    output: str
    output_bias: str

    def all(self) -> list[str]:
        """The parameters, for `sgd_params`."""
        return [fixed(cells, self.sheet) for cells in self[1:]]

    def of(self, cells: str, number: int = 0) -> str:
        """A column of an area, by its number from 0, which moves on where the formula is filled to the right."""
        first, _, last = cells.partition(":")
        top, bottom = (corner.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for corner in (first, last or first))
        column = letters(column_number(first) + number)
        return f"{self.sheet}!{column}${top}" + (f":{column}${bottom}" if top != bottom else "")


def hidden_sums(samples: Samples, weights: Row) -> list[list[float]]:
    """The units' values for each picture, where all biases are 0; `weights` has the 30 of each pixel in turn."""
    columns = [weights[unit::HIDDEN] for unit in range(HIDDEN)]
    return [[max(0.0, dot(image, column) / 255) for column in columns] for _, image in samples]


def pixel_columns(page: Page, first: int, rows: range, samples: Samples) -> str:
    """Label and pixels of each row from column `first` on, which is what `sgd_data` is; returns the pixels' area."""
    page.column(f"{letters(first)}{rows[0] - 1}", "label", DATA, [label for label, _ in samples], align="center")
    squares(page, first + 1, PIXELS)
    head = page.book.format(font_size=6, font_color="#FFFFFF", bg_color=DATA.dark, rotation=90, align="center")
    cell = page.book.format(num_format=";;;", bottom=1, bottom_color="#E5E7EB")
    for number in range(PIXELS):
        page.put(rows[0] - 1, first + 1 + number, f"pixel {number + 1}", head)
    for row, (_, image) in zip(rows, samples, strict=True):
        for column, value in enumerate(image, first + 1):
            page.put(row, column, value, cell)
    cells = area(rows[0], first + 1, len(rows), PIXELS)
    ink(page, cells)
    page.names(sgd_data=area(rows[0], first, len(rows), PIXELS + 1))
    page.names(sgd_input_label=area(rows[0], first, len(rows), 1), sgd_input_image=cells)
    return cells


def unit_columns(page: Page, left: int, rows: range, pixels: str, weights: Weights, units: list[list[float]]) -> None:
    """One column per unit: the sum of pixel × weight and the bias, cut off at zero."""
    page.sheet.set_column(left - 1, left + HIDDEN - 2, 6.5, page.book.format())
    first, last = (corner.rstrip("0123456789") for corner in pixels.split(":"))
    for unit in range(HIDDEN):
        column = letters(left + unit)
        sums = f"MMULT(${first}{{0}}:${last}{{0}},{weights.of(weights.hidden, unit)})/255"
        text = f"=MAX(0,{sums}+{weights.of(weights.hidden_bias, unit)})"
        cells = [Formula(text.format(row), tidy(values[unit])) for row, values in zip(rows, units, strict=True)]
        page.column(f"{column}{rows[0] - 1}", f"unit\n{unit + 1}", PREDICTION, cells, "0.00", font_size=9, indent=0)
    glow(page, area(rows[0], left, len(rows), HIDDEN), SOFT)


def weights_sheet(book: Book, name: str, hidden: Row, output: Row, classes: Sequence[str], used_by: str) -> Weights:
    """A sheet with the weights of both layers and their biases, which start at 0."""
    sentence = f"The parameters of the sheet “{used_by}”. Their start values are random; training replaces them."
    right = HIDDEN + 4
    widths = {"A": 12, "B:AE": 9.5, "AF": 3, "AG": 12, f"{letters(right)}:{letters(right + 9)}": 9.5}
    page = Page(book, name, title="The weights", sentence=sentence, widths=widths)
    bold = {"bold": True, "align": "center"}
    count = len(classes)
    for left, titles in ((2, [f"unit {unit + 1}" for unit in range(HIDDEN)]), (right, classes)):
        for number, title in enumerate(titles):
            page.header(f"{letters(left + number)}5", title, PARAMETER)
            page.cell(f"{letters(left + number)}6", 0.0, PARAMETER, "0.0000", **bold)
    page.label("A6", mark(1, "bias"), align="right", indent=1)
    page.label("AG6", "bias", align="right", indent=1)
    page.sheet.set_row(6, 20)
    number = book.format(num_format="0.0000", align="center", font_size=9)
    small = book.format(font_color="#6B7280", font_size=9, align="right", indent=1)
    for place, value in enumerate(hidden):
        page.put(7 + place // HIDDEN, 2 + place % HIDDEN, value, number)
    for pixel in range(PIXELS):
        page.put(7 + pixel, 1, f"pixel {pixel + 1}", small)
    for place, value in enumerate(output):
        page.put(7 + place // count, right + place % count, value, number)
    for unit in range(HIDDEN):
        page.put(7 + unit, right - 1, f"unit {unit + 1}", small)
    found = Weights(name, area(7, 2, PIXELS, HIDDEN), area(6, 2, 1, HIDDEN), area(7, right, HIDDEN, count),
                    area(6, right, 1, count) if count > 1 else f"{letters(right)}6")  # fmt: skip
    signed(page, found.hidden)
    signed(page, found.output)
    page.sheet.freeze_panes(6, 1)
    page.one_page(f"A1:{letters(right + max(count, 5) - 1)}{6 + _PRINTED}")
    return found


def pictures_sheet(book: Book, name: str, weights: Weights, hidden: Row, preview: Preview) -> None:
    """The first digits of the preview, and what each unit looks for: its 784 weights as a picture."""
    sentence = "The first digits of the preview, and below them what each of the thirty units looks for."
    page = Page(book, name, title="Thirty units, thirty pictures", sentence=sentence, widths=PANEL)
    page.sheet.set_column(5, 4 + _ACROSS * (SIDE + 1), PIXEL_WIDTH, book.format())
    last = 5 + (SIDE + 2) * (HIDDEN // _ACROSS + 1)
    for row in range(4, last):
        page.sheet.set_row(row, PIXEL_HEIGHT)
    page.notes(f"A6:D{5 + SIDE}", "How to read the pictures", _READING)
    top = int(preview.pixels.split(":")[0].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    for number, (label, image) in enumerate(preview.samples[:_ACROSS]):
        left = 6 + (SIDE + 1) * number
        cells = ":".join(f"{corner.rstrip('0123456789')}{top + number}" for corner in preview.pixels.split(":"))
        page.label(f"{letters(left)}5", f"row {number + 1}: {label}", bold=True)
        as_picture(page, 6, left, fixed(cells, preview.sheet), image)
        ink(page, area(6, left, SIDE, SIDE))
    for unit in range(HIDDEN):
        below, left = 5 + (SIDE + 2) * (1 + unit // _ACROSS), 6 + (SIDE + 1) * (unit % _ACROSS)
        page.label(f"{letters(left)}{below}", f"unit {unit + 1}", bold=True)
        column = weights.of(weights.hidden, unit).partition("!")[2].replace("$", "")
        as_picture(page, below + 1, left, fixed(column, weights.sheet), hidden[unit::HIDDEN], SIGNS)
        signed(page, area(below + 1, left, SIDE, SIDE))
    page.one_page(f"A1:{letters(5 + _ACROSS * (SIDE + 1))}{last}")
    page.sheet.freeze_panes(4, 5)
