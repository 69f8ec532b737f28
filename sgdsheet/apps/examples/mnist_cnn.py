"""One digit and a convolutional network, every number of it a coloured cell.

The sheet reads from top to bottom: the digit, eight kernels and their maps, the largest of each 2×2 cells, sixteen
more kernels over all eight maps, and ten sums that softmax turns into probabilities. The maps of a layer stand at
equal distances, so that the compiler sees one formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgdsheet.apps.examples._convolution import Picture, convolved, kernels_of, maximum_of_squares
from sgdsheet.apps.examples._digits import (
    PANEL,
    PIXEL_HEIGHT,
    SIGNS,
    SOFT,
    Row,
    Setting,
    area,
    band,
    cross_entropy,
    dot,
    fixed,
    glow,
    ink,
    letters,
    normal,
    picture,
    several,
    signed,
    softmax,
    squares,
    tidy,
)
from sgdsheet.apps.examples._pictures import SIDE, draw
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import DATA, LOSS, MUTED, PARAMETER, PREDICTION, Book, Formula, Page, mark

TITLE = "A convolutional network"
PLACE = ("Pictures and words", 5)
DESCRIPTION = "A convolutional network looks at one digit: kernels, maps and pooling as coloured cells"

LABEL = 5  # of the digit that the sheet shows
KERNEL, FIRST, SECOND = 5, 8, 16  # the side of a kernel, and how many there are in each layer
MAP = SIDE - KERNEL + 1
POOLED = MAP // 2
MAP_2 = POOLED - KERNEL + 1
POOLED_2 = MAP_2 // 2

# Where each part begins; its header is in the row above.
IMAGE, KERNELS, BIAS = (6, 6), (8, 37), (15, 37)
MAPS, MAPS_STEP = (36, 6), MAP + 1
POOL, POOL_STEP = (62, 12), MAP + 1  # below the middle of its map
KERNELS_2, BIAS_2 = (76, 6), (158, 6)
MAPS_2, MAPS_2_STEP = (76, 49), MAP_2 + 1
POOL_2 = (87, 49)
DENSE = (93, 49)
SUMS = 10  # the row of digit 0 in the panel
WIDTH = FIRST * MAPS_STEP - 1

NOTE = (
    "A kernel is a pattern of 5×5 weights. It slides over the digit; each cell of its map is the sum of the pixels "
    "below it × the weights, plus a bias, cut off at zero (a ReLU). Where the pattern fits, the map is green.\n"
    "Max-pooling keeps the largest of each 2×2 cells: what was found matters more than exactly where.\n"
    "Sixteen more kernels look at all eight maps at once. Ten weighted sums of what is left say which digit it is.\n"
    "The loss is −LN of the probability of the label. Change the label, or paint other pixels (0 to 255): "
    "everything is recomputed.\n"
    "Training goes through all 60,000 digits of the source, one batch at a time."
)
SETTINGS: list[Setting] = [
    ("optimizer", "adam", ""),
    ("learning rate", 0.004, ""),
    ("schedule", "cosine", "falls to 0"),
    ("batch size", 128, "digits per step"),
    ("epochs", 4, "10 give 99 %"),
    ("seed", 1, ""),
]
LESSON = Lesson(
    about=(
        "A convolutional network looks at one digit: every number of it is a cell.",
        "Small patterns slide over the picture, and what they find decides which digit it is.",
        "Training takes the digits of a large collection, a batch at a time, through these same cells.",
    ),
    press="Go to “cnn” and press Train. The first time, the digits (11 MB) are fetched from the internet.",
    watch="The kernels: noise at first, then strokes and edges. Change the label or paint pixels (0 to 255) yourself.",
    wrong=(
        "From start values that are too large, many cells of the maps are 0 for every picture: the kernel behind them "
        "then has a gradient of 0 and never learns again."
    ),
    questions=(
        (
            "Why slide one small pattern over the picture, and not give every pixel its own weight?",
            "A stroke is a stroke wherever it stands. One kernel of 25 weights learns it from all places at once, and "
            "finds it where it never was before; with a weight per pixel it would have to be learned at each place.",
        ),
    ),
    trainings=(Training("cnn", metric="> 0.98", needs="MNIST"),),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        sentence = "Train this sheet: its 24 kernels learn to see strokes, and what they see decides."
        page = Page(book, "cnn", title="A convolutional network", sentence=sentence, widths=PANEL)
        squares(page, IMAGE[1], WIDTH)
        for row in range(4, BIAS_2[0] + 1):
            page.sheet.set_row(row, PIXEL_HEIGHT)
        image = draw(LABEL, seed=2)
        pooled = _first_layer(page, [image[SIDE * row : SIDE * row + SIDE] for row in range(SIDE)])
        seen = _second_layer(page, pooled)
        _outcome(page, seen)
        parameters = (area(*KERNELS, KERNEL, KERNEL * FIRST), area(*BIAS, 1, FIRST),
                      area(*KERNELS_2, KERNEL * SECOND, KERNEL * FIRST), area(*BIAS_2, 1, SECOND),
                      area(*DENSE, 10 * POOLED_2, SECOND * POOLED_2), area(SUMS, 4, 10, 1))  # fmt: skip
        several(page, sgd_params=[fixed(cells, "cnn") for cells in parameters])
        page.sheet.freeze_panes(4, IMAGE[1] - 1)
        page.sheet.set_zoom(75)
        page.sheet.fit_to_pages(1, 1)


def _first_layer(page: Page, image: Picture) -> list[Picture]:
    """The digit, eight kernels, their maps, and the maps after pooling; returns the last."""
    band(page, IMAGE[0] - 1, IMAGE[1], SIDE, "1  The digit: 28×28 pixels", DATA)
    ink(page, picture(page, *IMAGE, image))
    page.names(sgd_input_image=area(*IMAGE, SIDE, SIDE))
    weights = normal(FIRST * KERNEL * KERNEL, 0.2, seed=1)
    kernels = kernels_of(weights, FIRST, KERNEL)
    top, left = KERNELS
    band(page, IMAGE[0] - 1, left, KERNEL * FIRST, "2  Eight kernels of 5×5 weights", PARAMETER)
    for number, kernel in enumerate(kernels):
        page.label(f"{letters(left + KERNEL * number)}{top - 1}", f"{number + 1}", indent=0)
        picture(page, top, left + KERNEL * number, kernel, edge=MUTED, number=SIGNS)
    signed(page, area(top, left, KERNEL, KERNEL * FIRST))
    _biases(page, BIAS, FIRST)
    band(page, MAPS[0] - 1, MAPS[1], WIDTH, "3  Eight maps of 24×24: where each kernel fits", PREDICTION)
    band(page, POOL[0] - 1, MAPS[1], WIDTH, "4  The largest of each 2×2 cells: eight maps of 12×12", PREDICTION)
    small = []
    for number, kernel in enumerate(kernels):
        weight = fixed(area(top, left + KERNEL * number, KERNEL, KERNEL))
        bias = fixed(area(BIAS[0], BIAS[1] + number, 1, 1))
        values = convolved([[[pixel / 255 for pixel in row] for row in image]], [kernel])
        texts = [
            [
                f"=MAX(0,SUMPRODUCT({area(IMAGE[0] + row, IMAGE[1] + column, KERNEL, KERNEL)},{weight})/255+{bias})"
                for column in range(MAP)
            ]
            for row in range(MAP)
        ]
        corner = (MAPS[0], MAPS[1] + MAPS_STEP * number)
        glow(page, _formulas(page, corner, texts, values))
        small.append(_pool(page, corner, (POOL[0], POOL[1] + POOL_STEP * number), values))
    return small


def _second_layer(page: Page, maps: Sequence[Picture]) -> Picture:
    """Sixteen kernels over all eight maps, their maps, and those after pooling, side by side; returns the last."""
    weights = normal(SECOND * FIRST * KERNEL * KERNEL, 0.1, seed=2)
    kernels = [kernels_of(weights[number * FIRST * KERNEL * KERNEL :], FIRST, KERNEL) for number in range(SECOND)]
    top, left = KERNELS_2
    band(page, top - 1, left, KERNEL * FIRST, "5  Sixteen kernels of 5×5 weights × 8 maps", PARAMETER)
    for number, channels in enumerate(kernels):
        for channel, kernel in enumerate(channels):
            picture(page, top + KERNEL * number, left + KERNEL * channel, kernel, edge=MUTED, number=SIGNS)
    signed(page, area(top, left, KERNEL * SECOND, KERNEL * FIRST))
    _biases(page, BIAS_2, SECOND)
    across = SECOND * MAPS_2_STEP - 1
    band(page, MAPS_2[0] - 1, MAPS_2[1], across, "6  Sixteen maps of 8×8: a kernel looks at all eight maps", PREDICTION)
    band(page, POOL_2[0] - 1, POOL_2[1], across, "7  The largest of each 2×2 cells: sixteen maps of 4×4", PREDICTION)
    small = []
    for number, channels in enumerate(kernels):
        values = convolved(maps, channels)
        texts = [[_over_all_maps(number, row, column) for column in range(MAP_2)] for row in range(MAP_2)]
        corner = (MAPS_2[0], MAPS_2[1] + MAPS_2_STEP * number)
        glow(page, _formulas(page, corner, texts, values))
        small.append(_pool(page, corner, (POOL_2[0], POOL_2[1] + POOLED_2 * number), values))
    return [[value for part in small for value in part[row]] for row in range(POOLED_2)]


def _over_all_maps(number: int, row: int, column: int) -> str:
    """The formula of one cell of a map of the second layer."""
    terms = []
    for channel in range(FIRST):
        window = area(POOL[0] + row, POOL[1] + POOL_STEP * channel + column, KERNEL, KERNEL)
        kernel = area(KERNELS_2[0] + KERNEL * number, KERNELS_2[1] + KERNEL * channel, KERNEL, KERNEL)
        terms.append(f"SUMPRODUCT({window},{fixed(kernel)})")
    bias = fixed(area(BIAS_2[0], BIAS_2[1] + number, 1, 1))
    return f"=MAX(0,{'+'.join(terms)}+{bias})"


def _biases(page: Page, corner: tuple[int, int], count: int) -> None:
    row, left = corner
    page.label(f"{letters(left)}{row - 1}", mark(1, "and a bias for each"))
    signed(page, picture(page, row, left, [[0.0] * count], number=SIGNS))


def _formulas(page: Page, corner: tuple[int, int], texts: Sequence[Sequence[str]], values: Picture) -> str:
    rows = zip(texts, values, strict=True)
    return picture(
        page, *corner, [[Formula(text, tidy(value)) for text, value in zip(*row, strict=True)] for row in rows]
    )


def _pool(page: Page, source: tuple[int, int], corner: tuple[int, int], values: Picture) -> Picture:
    """The largest of each 2×2 cells of a map."""
    small = maximum_of_squares(values)
    side = len(small)
    texts = [
        [f"=MAX({area(source[0] + 2 * row, source[1] + 2 * column, 2, 2)})" for column in range(side)]
        for row in range(side)
    ]
    glow(page, _formulas(page, corner, texts, small))
    return small


def _outcome(page: Page, seen: Picture) -> None:
    """Weights of the ten sums; sums, probabilities and loss in the panel on the left."""
    top, left = DENSE
    wide = SECOND * POOLED_2
    weights = normal(10 * POOLED_2 * wide, 0.06, seed=3)
    band(
        page,
        top - 1,
        left,
        SECOND * MAPS_2_STEP - 1,
        "8  Ten times 4×64 weights, one row of pictures per digit",
        PARAMETER,
    )
    for digit in range(10):
        part = weights[digit * POOLED_2 * wide :]
        rows = [part[wide * row : wide * row + wide] for row in range(POOLED_2)]
        picture(page, top + POOLED_2 * digit, left, rows, edge=MUTED, number=SIGNS)
        page.label(f"{letters(left + wide + 1)}{top + POOLED_2 * digit + 1}", f"{digit}", bold=True)
    signed(page, area(top, left, 10 * POOLED_2, wide))
    flat = [value for row in seen for value in row]
    size = len(flat)
    sums = [tidy(dot(flat, weights[size * digit : size * digit + size])) for digit in range(10)]
    _table(page, sums)
    _verdict(page, sums)
    page.settings(f"A{SUMS + 14}", SETTINGS)
    page.notes(f"A{SUMS + 23}:D{SUMS + 53}", "How it works", NOTE)
    _chart(page)


def _table(page: Page, sums: Row) -> None:
    """Digit, sum, probability and bias."""
    wide = SECOND * POOLED_2
    last = SUMS + 9
    roles = (DATA, PREDICTION, PREDICTION, PARAMETER)
    for column, title, role in zip("ABCD", ("digit", "sum", "probability", "bias"), roles, strict=True):
        page.header(f"{column}{SUMS - 1}", title, role)
    for digit, (value, chance) in enumerate(zip(sums, softmax(sums), strict=True)):
        row = SUMS + digit
        weights = fixed(area(DENSE[0] + POOLED_2 * digit, DENSE[1], POOLED_2, wide))
        text = f"=SUMPRODUCT({fixed(area(*POOL_2, POOLED_2, wide))},{weights})+D{row}"
        page.cell(f"A{row}", digit, DATA, "0", bold=True, align="center")
        page.cell(f"B{row}", Formula(text, value), PREDICTION, "0.00", align="center")
        part = Formula(f"=EXP(B{row})/SUMPRODUCT(EXP(B${SUMS}:B${last}))", tidy(chance))
        page.cell(f"C{row}", part, PREDICTION, "0.0%", align="center")
        page.cell(f"D{row}", 0.0, PARAMETER, "0.000", align="center")
    glow(page, f"C{SUMS}:C{last}", SOFT)


def _verdict(page: Page, sums: Row) -> None:
    """Loss, label, predicted digit, and whether that is right; and the source."""
    cells = f"B{SUMS}:B{SUMS + 9}"
    guess = sums.index(max(sums))
    roles = (LOSS, DATA, PREDICTION, PREDICTION)
    for column, title, role in zip(
        "ABCD", (mark(3, "loss"), "label", mark(2, "predicted"), "correct"), roles, strict=True
    ):
        page.header(f"{column}5", title, role)
    strong: dict[str, Any] = {"bold": True, "align": "center"}
    loss = Formula(f"=LN(SUMPRODUCT(EXP({cells})))-INDEX({cells},B6+1)", tidy(cross_entropy(sums, LABEL)))
    page.cell("A6", loss, LOSS, "0.0000", **strong)
    page.cell("B6", LABEL, DATA, "0", **strong)
    page.cell(
        "C6", Formula(f"=SUMPRODUCT(({cells}=MAX({cells}))*A{SUMS}:A{SUMS + 9})", guess), PREDICTION, "0", **strong
    )
    page.cell("D6", Formula("=IF(B6=C6,1,0)", float(guess == LABEL)), PREDICTION, "0", **strong)
    page.header(f"A{SUMS + 11}", "source", DATA)
    page.cell(f"B{SUMS + 11}", "mnist", DATA, **strong)
    page.label(f"C{SUMS + 11}", "or the name of a file", italic=True, indent=1)
    page.names(sgd_loss="A6", sgd_input_label="B6", sgd_metric="D6", sgd_source=f"B{SUMS + 11}", sgd_output="C6")


def _chart(page: Page) -> None:
    chart = page.chart(
        {"type": "column"},
        f"{letters(KERNELS[1])}{BIAS[0] + 2}",
        title="Which digit is it?",
        x="digit",
        y="probability",
        number="0%",
        size=(720, 312),
    )
    chart.add_series(
        {
            "name": "probability",
            "categories": page.area(f"A{SUMS}:A{SUMS + 9}"),
            "values": page.area(f"C{SUMS}:C{SUMS + 9}"),
            "fill": {"color": PREDICTION.dark},
            "gap": 40,
        }
    )
    faint = {"visible": True, "line": {"color": "#E5E7EB", "width": 0.75}}
    line = {"color": "#9CA3AF", "width": 0.75}
    chart.set_y_axis(
        {"min": 0, "max": 1, "major_unit": 0.25, "num_format": "0%", "major_gridlines": faint, "line": line}
    )
    chart.set_legend({"none": True})
