"""A kernel that slides over a picture: convolution, ReLU and pooling in cells, and a kernel that is learned.

On `kernel` one of six kernels is chosen and looks at a picture of 12×12 pixels. On `learn` nobody says what the kernel
is: nine numbers are trained until its map is the one that is wanted. The gradient of the kernel is a convolution, too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sgdsheet.apps.examples._charts import bars
from sgdsheet.apps.examples._digits import area, fixed, glow, letters, several, signed
from sgdsheet.apps.examples._pictures import SIDE as LARGE
from sgdsheet.apps.examples._pictures import draw
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.examples.style import LOSS, PARAMETER, SETTING, Book, Content, Formula, Page, Role, mark

TITLE = "Convolution"
PLACE = ("Pictures and words", 4)
DESCRIPTION = "A kernel slides over a picture: convolution, ReLU and pooling in cells, and a kernel that is learned"

SIDE, KERNEL, MAP = 12, 3, 10
POOLED = MAP // 2
KERNELS = {
    "upper edges": (-1, -1, -1, 0, 0, 0, 1, 1, 1),
    "lower edges": (1, 1, 1, 0, 0, 0, -1, -1, -1),
    "left edges": (-1, 0, 1, -1, 0, 1, -1, 0, 1),
    "right edges": (1, 0, -1, 1, 0, -1, 1, 0, -1),
    "outlines": (-1, -1, -1, -1, 8, -1, -1, -1, -1),
    "blur": (0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1),
}
SECRET = KERNELS["left edges"]
PANEL = {"A:D": 13, "E": 2}
TOP, LEFT = 8, 6  # the first row of all pictures, and the column of the first one
NEXT = LEFT + SIDE + 2  # the column of what stands beside the picture

KERNEL_NOTE = (
    "The kernel is laid over 3×3 pixels: each pixel × the number of the kernel on it, all added up, gives one cell "
    "of the map. Then it moves on by one pixel. Everywhere it is the same nine numbers.\n"
    "“Left edges” gives much where ink begins on the left: nothing on the left of the window, ink on its right. ReLU "
    "keeps only that. Pooling keeps the largest of each 2×2 cells: that there was such an edge, not exactly where.\n"
    "Put 1 to 6 into C6, draw in the picture (0 is paper, 9 is ink), or type a kernel of your own into the list."
)
LEARN_NOTE = (
    "The map on the right is what is wanted. It was made with a kernel that is not in this sheet. The kernel starts "
    "at 0.\nNine weights and a bias are used in all hundred places, so each of them has a hundred errors to learn "
    "from. Its gradient is the sum of error × the pixel under it: the map of errors laid over the picture. That is a "
    "convolution.\nA dense layer from 144 pixels to 100 cells would have 14,400 weights, and would have to learn the "
    "same edge in a hundred places."
)
LESSON = Lesson(
    about=(
        "A convolution is a small weighted sum that is done in each place of a picture with the same few weights.",
        "A kernel of nine numbers can find edges, outlines, or blur a picture, and ReLU and pooling go on from there.",
        "Nobody has to invent the kernels: on “learn” gradient descent finds one from a picture and the wanted map.",
    ),
    press="On “kernel” put 1 to 6 into C6. Then train “learn”.",
    watch="Where the map is orange, and on “learn” the kernel and the error map, which becomes white.",
    wrong=(
        "A kernel sees 3×3 pixels and no more: alone it cannot tell a digit. Networks put kernels upon the maps of "
        "kernels, with pooling between them, as in “mnist_cnn”."
    ),
    questions=(
        (
            "Which kernel made the wanted map on “learn”?",
            "The one for left edges: −1, 0, 1 in each row. After training the nine cells are very close to it, and the "
            "bias is near 0.",
        ),
        (
            "Why is the map smaller than the picture?",
            "A window of 3×3 must lie inside: in 12 columns it has 10 places. Often a border of zeros (padding) is put "
            "around the picture, so that the map keeps its size.",
        ),
        (
            "What is gained over a weight for each pixel and each cell of the map?",
            "Few parameters, 10 in place of 14,500, and an edge that was learned in one place is known in all places.",
        ),
    ),
    trainings=(
        Training(
            "learn",
            {0: "0.8146", 1: "0.6822", 10: "0.2464"},
            best="< 0.0001",
            cells={"T8": "-1.00", "U8": "0.00", "V8": "1.00"},
        ),
    ),
)


@cache
def picture(digit: int, seed: int) -> list[list[int]]:
    """A drawn digit on 12×12 pixels from 0 to 9: the mean of 2×2 pixels in the middle of the large one."""
    pixels, edge = draw(digit, seed), (LARGE - 2 * SIDE) // 2
    return [
        [
            round(9 / 255 / 4 * sum(pixels[(edge + 2 * row + down) * LARGE + edge + 2 * column + across]
                                    for down in (0, 1) for across in (0, 1)))
            for column in range(SIDE)
        ]
        for row in range(SIDE)
    ]  # fmt: skip


def wanted(pixels: list[list[float]]) -> list[list[float]]:
    """The map that the secret kernel makes of a picture."""
    inside = [(down, across) for down in range(KERNEL) for across in range(KERNEL)]
    return [
        [
            round(
                sum(SECRET[KERNEL * down + across] * pixels[row + down][column + across] for down, across in inside), 2
            )
            for column in range(MAP)
        ]
        for row in range(MAP)
    ]


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _kernel(book)
        _learn(book)


def _grid(page: Page, top: int, left: int, rows: list[list[Content]], number: str, role: Role | None = None) -> str:
    """Square cells with numbers, in a frame; returns their area."""
    if role is PARAMETER:
        look = page.book.format(num_format=number, font_size=9, align="center", border=1, border_color=role.dark,
                                bg_color=role.light, bold=True)  # fmt: skip
    else:
        look = page.book.format(num_format=number, font_size=8, align="center", border=1, border_color="#E5E7EB")
    for down, contents in enumerate(rows):
        for across, content in enumerate(contents):
            page.put(top + down, left + across, content, look)
    return area(top, left, len(rows), len(rows[0]))


def _title(page: Page, left: int, text: str, row: int = TOP - 1) -> None:
    page.label(f"{letters(left)}{row}", text, bold=True)


def _window(row: int, column: int) -> str:
    return area(TOP + row, LEFT + column, KERNEL, KERNEL)


def _page(book: Book, name: str, title: str, sentence: str, columns: int) -> Page:
    widths = {**PANEL, f"{letters(LEFT)}:{letters(LEFT + columns)}": 3.7}
    page = Page(book, name, title=title, sentence=sentence, widths=widths)
    page.sheet.set_row(6, 20)
    for row in range(TOP - 1, TOP + SIDE + 15):
        page.sheet.set_row(row, 20)
    return page


def _kernel(book: Book) -> None:
    sentence = "Choose a kernel in C6 and see what it finds. Nothing is trained here."
    page = _page(book, "kernel", "A kernel slides over a picture", sentence, 56)
    page.header("C5", "kernel no.", SETTING)
    page.cell("C6", 3, SETTING, "0", bold=True, align="center")
    page.header("D5", "its name", SETTING)
    page.cell("D6", Formula("=INDEX(B10:B15,C6)"), SETTING, align="center")
    page.label("A8", "six kernels; their numbers stand below the picture", bold=True)
    page.column("A9", "no.", SETTING, list(range(1, 7)), "0", align="center")
    page.column("B9", "kernel", SETTING, list(KERNELS), align="center")
    _title(page, LEFT, "picture: 0 is paper, 9 is ink")
    cells = _grid(page, TOP, LEFT, [list(row) for row in picture(5, 12)], "0")
    glow(page, cells, "#8FA3B5")
    _title(page, NEXT, mark(1, "kernel"))
    kernel_list = area(TOP + SIDE + 2, LEFT, 6, 9)
    _title(page, LEFT, "the six kernels, nine numbers each", TOP + SIDE + 1)
    _grid(page, TOP + SIDE + 2, LEFT, [list(numbers) for numbers in KERNELS.values()], "General")
    for number, name in enumerate(KERNELS):
        page.label(f"{letters(LEFT + 9)}{TOP + SIDE + 2 + number}", f"{number + 1} {name}", indent=1)
    chosen = [[Formula(f"=INDEX({fixed(kernel_list)},$C$6,{3 * down + across + 1})") for across in range(3)]
              for down in range(3)]  # fmt: skip
    kernel = _grid(page, TOP, NEXT, [list(row) for row in chosen], "General", PARAMETER)
    left = NEXT + KERNEL + 1
    _title(page, left, mark(2, "map: the kernel in each place"))
    sums = [
        [Formula(f"=SUMPRODUCT({_window(row, column)},{fixed(kernel)})") for column in range(MAP)] for row in range(MAP)
    ]
    signed(page, _grid(page, TOP, left, [list(row) for row in sums], "0"), numbers=True)
    relu = left + MAP + 1
    _title(page, relu, "ReLU: nothing below 0")
    cut = [
        [Formula(f"=MAX(0,{area(TOP + row, left + column, 1, 1).split(':')[0]})") for column in range(MAP)]
        for row in range(MAP)
    ]
    glow(page, _grid(page, TOP, relu, [list(row) for row in cut], "0"), "#F3B06B")
    pool = relu + MAP + 1
    _title(page, pool, "pooling: largest of 2×2")
    largest = [
        [Formula(f"=MAX({area(TOP + 2 * row, relu + 2 * column, 2, 2)})") for column in range(POOLED)]
        for row in range(POOLED)
    ]
    glow(page, _grid(page, TOP, pool, [list(row) for row in largest], "0"), "#F3B06B")
    page.notes("A18:D34", "How it works", KERNEL_NOTE)
    page.one_page(f"A1:{letters(pool + POOLED)}34")
    page.freeze(6)


def _learn(book: Book) -> None:
    sentence = "Train this sheet: nine weights and a bias become a kernel that makes the wanted map."
    page = _page(book, "learn", "A kernel is learned", sentence, 44)
    pixels = picture(3, 7)
    left, right = NEXT + KERNEL + 1, NEXT + KERNEL + 2 + MAP
    below = TOP + SIDE + 2
    _title(page, LEFT, "picture: ink from 0 to 1")
    ink = _grid(page, TOP, LEFT, [[round(value / 9, 2) for value in row] for row in pixels], "0.0")
    glow(page, ink, "#8FA3B5")
    _title(page, NEXT, mark(1, "kernel"))
    kernel = _grid(page, TOP, NEXT, [[0.0] * KERNEL for _ in range(KERNEL)], "0.00", PARAMETER)
    bias = area(TOP + KERNEL + 2, NEXT, 1, 1).split(":")[0]
    _title(page, NEXT, "and bias", TOP + KERNEL + 1)
    _grid(page, TOP + KERNEL + 2, NEXT, [[0.0]], "0.00", PARAMETER)
    _title(page, left, mark(2, "map of this kernel"))
    made = [
        [Formula(f"=SUMPRODUCT({_window(row, column)},{fixed(kernel)})+{fixed(bias)}") for column in range(MAP)]
        for row in range(MAP)
    ]
    signed(page, _grid(page, TOP, left, [list(row) for row in made], "0.0"), numbers=True)
    _title(page, right, "map that is wanted")
    target = wanted([[round(value / 9, 2) for value in row] for row in pixels])
    goal = _grid(page, TOP, right, [list(row) for row in target], "0.0")
    signed(page, goal, numbers=True)
    _title(page, left, mark(3, "errors: map − wanted"), below - 1)
    errors = [
        [Formula(f"={letters(left + column)}{TOP + row}-{letters(right + column)}{TOP + row}") for column in range(MAP)]
        for row in range(MAP)
    ]
    wrong = _grid(page, below, left, [list(row) for row in errors], "0.0")
    signed(page, wrong, numbers=True)
    _title(page, NEXT, mark(4, "gradient"), below - 1)
    by_weight = [
        [
            Formula(f"=2*SUMPRODUCT({fixed(wrong)},{area(TOP + down, LEFT + across, MAP, MAP)})/{MAP * MAP}")
            for across in range(3)
        ]
        for down in range(3)
    ]
    signed(page, _grid(page, below, NEXT, [list(row) for row in by_weight], "0.00"), numbers=True)
    _title(page, NEXT, mark(5, "after a step"), below + KERNEL + 1)
    moved = [
        [
            Formula(f"={letters(NEXT + across)}{TOP + down}-$B$10*{letters(NEXT + across)}{below + down}")
            for across in range(3)
        ]
        for down in range(3)
    ]
    signed(page, _grid(page, below + KERNEL + 2, NEXT, [list(row) for row in moved], "0.00"), numbers=True)
    page.header("A5", mark(3, "loss"), LOSS)
    page.cell("A6", Formula(f"=SUMSQ({wrong})/{MAP * MAP}"), LOSS, "0.0000", bold=True, align="center")
    page.settings(
        "A8", [("optimizer", "sgd", ""), ("learning rate", 0.3, ""), ("momentum", 0.9, ""), ("steps", 200, "")]
    )
    page.column(
        "A15", "weight", PARAMETER, [f"{row},{column}" for row in (1, 2, 3) for column in (1, 2, 3)], align="center"
    )
    cells = [Formula(f"={letters(NEXT + number % 3)}{TOP + number // 3}") for number in range(9)]
    page.column("B15", "value", PARAMETER, cells, "0.000", align="center")
    chart = page.chart({"type": "column"}, f"{letters(LEFT)}{below - 1}", title="The nine weights",
                       x="row, column of the kernel", y="weight", number="0.0", size=(380, 236))  # fmt: skip
    bars(chart, page, "weight", "A16:A24", "B16:B24", PARAMETER.dark)
    chart.set_legend({"none": True})
    page.notes("A26:D42", "What to see", LEARN_NOTE)
    several(page, sgd_params=[fixed(kernel, "learn"), fixed(bias, "learn")])
    page.names(sgd_loss="A6")
    page.one_page(f"A1:{letters(right + MAP)}42")
    page.freeze(6)
