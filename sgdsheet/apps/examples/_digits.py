"""What the MNIST workbooks share: the panel on the left, pixels and weights as coloured cells, plain arithmetic.

Pictures are cells whose colour is their number; the number itself is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, fsum, log
from operator import mul
from random import Random

from xlsxwriter.utility import xl_cell_to_rowcol, xl_col_to_name  # type: ignore[import-untyped]

from sgdsheet.apps.examples._pictures import SIDE
from sgdsheet.apps.examples.style import DATA, HAIRLINE, PREDICTION, Content, Formula, Page, Role
from sgdsheet.apps.examples.style import Setting as Setting

PIXEL_WIDTH = 1.86  # of a column, so that its cells are square in a row of PIXEL_HEIGHT points
PIXEL_HEIGHT = 13.5
PAPER, INK = "#FFFFFF", "#10202F"
BELOW, ABOVE = "#2F6DB5", "#D9730D"  # blue for negative weights, orange for positive ones
PALE_BELOW, PALE_ABOVE = "#8DB8EA", "#F3B06B"
GAP = 2.0
UNSHOWN, SIGNS = ";;;", '[>=0.1]"+";[<=-0.1]"−";""'  # number formats of pictures: of ink, and of weights
BRIGHT, SOFT = PREDICTION.dark, "#8CCBA8"  # for cells without and with visible numbers

Row = Sequence[float]


def tidy(value: float) -> float:
    """A value to be saved: 12 digits, which come out the same on every machine."""
    return float(f"{value:.12g}")


def dot(left: Iterable[float], right: Iterable[float]) -> float:
    return fsum(map(mul, left, right))  # the same in every version of Python


def normal(count: int, scale: float, seed: int) -> list[float]:
    """Start values: normally distributed, to four decimals, the same every time."""
    draw = Random(seed)
    return [round(draw.gauss(0.0, scale), 4) for _ in range(count)]


def softmax(sums: Row) -> list[float]:
    powers = [exp(value) for value in sums]
    return [power / fsum(powers) for power in powers]


def cross_entropy(sums: Row, label: int) -> float:
    return log(fsum(exp(value) for value in sums)) - sums[label]


def letters(column: int) -> str:
    """The name of a column, counted from 1."""
    return str(xl_col_to_name(column - 1))


def column_number(column: str) -> int:
    """A column's number, from 1, by its name or that of a cell in it."""
    return int(xl_cell_to_rowcol(f"{column.rstrip('0123456789')}1")[1]) + 1


def area(top: int, left: int, rows: int, columns: int) -> str:
    """`B2:C9` by its first cell and its size."""
    return f"{letters(left)}{top}:{letters(left + columns - 1)}{top + rows - 1}"


def fixed(text: str, sheet: str = "") -> str:
    """`B2:C9` as an absolute reference, with a sheet if one is named."""
    corners = []
    for corner in text.split(":"):
        column = corner.rstrip("0123456789")
        corners.append(f"${column}${corner[len(column) :]}")
    return (f"{sheet}!" if sheet else "") + ":".join(corners)


# --- pictures ---------------------------------------------------------------------------------------------


def ink(page: Page, cells: str, *, most: float | None = 255) -> None:
    """White for nothing, dark for much."""
    top = {"max_type": "num", "max_value": most} if most else {}
    look = {"type": "2_color_scale", "min_color": PAPER, "max_color": INK, "min_type": "num", "min_value": 0}
    page.sheet.conditional_format(cells, look | top)


def glow(page: Page, cells: str, colour: str = BRIGHT) -> None:
    """White for nothing, a colour for the most."""
    look = {"type": "2_color_scale", "min_type": "num", "min_value": 0, "min_color": PAPER, "max_color": colour}
    page.sheet.conditional_format(cells, look)


def signed(page: Page, cells: str, *, numbers: bool = False) -> None:
    """Blue below nothing, orange above; paler where the cells show their numbers."""
    below, above = (PALE_BELOW, PALE_ABOVE) if numbers else (BELOW, ABOVE)
    look = {"type": "3_color_scale", "mid_type": "num", "mid_value": 0}
    page.sheet.conditional_format(cells, look | {"min_color": below, "mid_color": "#FFFFFF", "max_color": above})


def picture(page: Page, top: int, left: int, rows: Sequence[Sequence[Content]], *, edge: str = HAIRLINE,
            number: str = UNSHOWN) -> str:  # fmt: skip
    """Rows of cells whose numbers are not shown, or only their signs, in a frame; returns their area."""
    height, width = len(rows), len(rows[0])
    for down, contents in enumerate(rows):
        for across, content in enumerate(contents):
            edges = {
                **({"top": 1, "top_color": edge} if down == 0 else {}),
                **({"bottom": 1, "bottom_color": edge} if down == height - 1 else {}),
                **({"left": 1, "left_color": edge} if across == 0 else {}),
                **({"right": 1, "right_color": edge} if across == width - 1 else {}),
            }
            page.put(
                top + down,
                left + across,
                content,
                page.book.format(num_format=number, font_size=6, align="center", **edges),
            )
    return area(top, left, height, width)


def band(page: Page, row: int, left: int, width: int, text: str, role: Role) -> None:
    """A header across many columns."""
    look = page.book.format(bold=True, font_color="#FFFFFF", bg_color=role.dark, align="left", indent=1)
    page.sheet.merge_range(row - 1, left - 1, row - 1, left + width - 2, text, look)


def squares(page: Page, left: int, count: int, width: float = PIXEL_WIDTH) -> None:
    """Make columns as narrow as pixels."""
    page.sheet.set_column(left - 1, left + count - 2, width, page.book.format())


# --- the panel on the left --------------------------------------------------------------------------------

PANEL = {"A": 16.0, "B": 12.0, "C:D": 13.0, "E": GAP}


def panel(page: Page, loss: Formula, accuracy: Formula, settings: Sequence[Setting], notes: tuple[str, str], *,
          source: str, last: int) -> None:  # fmt: skip
    """Loss, accuracy, source, settings and notes in the columns A to D, down to row `last`."""
    page.scores(loss, accuracy)
    page.header("C5", "source", DATA)
    page.header("D5", "", DATA)
    page.sheet.merge_range("C6:D6", "")
    page.cell("C6", source, DATA, bold=True, align="center")
    page.settings("A8", settings)
    first = 10 + len(settings)
    page.notes(f"A{first}:D{last}", *notes)
    page.names(sgd_source="C6")


def as_picture(page: Page, top: int, left: int, numbers: str, values: Row, number: str = UNSHOWN) -> None:
    """784 numbers that stand in a row or a column elsewhere, as a picture of 28×28 formula cells."""
    corner = fixed(f"{letters(left - 1)}{top - 1}")
    text = f"=INDEX({numbers},{SIDE}*(ROW()-ROW({corner})-1)+COLUMN()-COLUMN({corner}))"
    rows = [[Formula(text, values[SIDE * down + across]) for across in range(SIDE)] for down in range(SIDE)]
    picture(page, top, left, rows, number=number)


def several(page: Page, **areas: Sequence[str]) -> None:
    """Names that belong to this sheet, such as `sgd_params`, of cells on any sheets."""
    for name, parts in areas.items():
        page.book.workbook.define_name(f"{page.name}!{name}", "=" + ",".join(parts))
