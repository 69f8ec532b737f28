"""What a bias does, and why a network has many hidden units, on pictures small enough to be read.

`bias`: nine pixels, their weights, and one bias that is added once to each row's sum. `one_unit` and `eight_units`:
does a line lie or stand? One unit sees only one weighted sum, and none can tell; eight units can.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sgdsheet.apps.examples._charts import bars, limits
from sgdsheet.apps.examples._digits import PAPER, area, fixed, glow, letters, several, signed
from sgdsheet.apps.examples._lines import SIDE, SQUARE, lines, squares, start
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

TITLE = "What neurons can see"
PLACE = ("Networks", 2)
DESCRIPTION = "What a bias does, and why one hidden unit is not enough: pictures of 3×3 and 5×5 pixels"

SHOWN = 40  # pictures of squares
PANEL = {"A:D": 13, "E": 2}
PIXELS = SIDE * SIDE
PICTURES = 6  # the column of the first picture of weights: F

BIAS_NOTE = (
    "Is the picture light: are fewer than five pixels black? Each pixel is multiplied by its weight (the columns Q "
    "to Y). Their sum Z is one number per row, and the bias AA6 is added to it once: there is one bias cell, however "
    "many pixels a picture has.\n"
    "What if it were added to each pixel's product? Column AF: the sum then has 9 times the bias. That is the same "
    "model with a bias cell of another size. It can say nothing new, and its gradient would be 9 times as large.\n"
    "Put 0 into D6 and train again: without a bias the sum of a white picture is 0, whatever the weights are, and "
    "its p is 0.5 for ever. And where two light pictures have positive sums, the dark picture of both together has "
    "one, too."
)
UNIT_NOTES = {
    1: (
        "The unit sees a picture as one number: the sum of pixel × weight, cut off at zero. For the five lying lines "
        "this sum should be high and for the five standing ones low. But the lying lines together cover each pixel "
        "once, and so do the standing ones: their sums have the same total, so they cannot all be apart. Whatever "
        "the weights are, at least one of the ten lines is called wrong.\n"
        "In MNIST a network 784-1-1 has 787 parameters, and 784-30-1 has 23,581."
    ),
    8: (
        "Eight units: eight different sums of the same pixels, each cut off at zero. The last sum weighs them. One "
        "unit can wake up for the upper rows, another for a column, and together they tell all ten lines.\n"
        "Look at the weights of each unit as a picture: orange (+) where ink wakes it up, blue (−) where ink "
        "silences it.\n"
        "How many units? Enough that some of them start in a useful place."
    ),
}
LESSON = Lesson(
    about=(
        "A neuron multiplies pixels by weights, adds them up, adds one bias, and cuts the result off at zero.",
        "Nine pixels show what the bias is for, and pictures of lines show what one neuron cannot do.",
        "Eight neurons side by side can: that is why networks have hidden layers of 30 or 300.",
    ),
    press="Train “bias”, then put 0 into D6 and train again. Then train “one_unit” and “eight_units”.",
    watch="The accuracy, and on the last two sheets the ten bars: the first five should be high and the others low.",
    wrong=(
        "Without a bias a white picture always gets p = 0.5. With one unit at least one of ten lines is wrong, for "
        "every choice of weights: more training does not help, more units do."
    ),
    questions=(
        (
            "Why is the bias added once per row, and not to every pixel?",
            "Because it belongs to the neuron and not to a pixel: it says how large the sum must be before the neuron "
            "wakes up. In X@w + b each row of X gives one sum, and b is added to that. Added to each of 784 pixels it "
            "would just be a bias 784 times as large.",
        ),
        (
            "Why does one hidden unit see only one weighted sum?",
            "It has one weight per pixel and adds everything up: what comes out is a single number. Two pictures with "
            "the same number are the same picture to all that comes behind it. With thirty units a picture becomes "
            "thirty numbers.",
        ),
        (
            "Why thirty units, and not eight or three hundred?",
            "There is no law. Too few cannot tell the classes apart, and with few it also depends on luck at the start "
            "whether each of them finds something to do. More cost time and can learn noise. On MNIST's ten digits one "
            "unit got at most 0.37 of them right in three tries, thirty got 0.96.",
        ),
    ),
    trainings=(
        Training("bias", {0: "0.6931", 1: "0.5726", 10: "0.3246"}, best="0.0231", metric="1"),
        Training("bias", typed={"D6": 0.0}, best="0.2953", metric="0.725"),
        Training("one_unit", {0: "0.7182"}, best="0.4191", metric="0.8"),
        Training("eight_units", {0: "0.6390"}, best="< 0.001", metric="1"),
    ),
)


def build(path: Path) -> None:
    """Write the workbook to `path`."""
    with Book(path, TITLE, LESSON) as book:
        _bias(book)
        _units(book, "one_unit", "25-1-1: one hidden unit", 1)
        _units(book, "eight_units", "25-8-1: eight hidden units", 8)


def _narrow(page: Page, left: int, count: int, width: float) -> None:
    page.sheet.set_column(left - 1, left + count - 2, width, page.book.format())


def _bias(book: Book) -> None:
    sentence = "Train this sheet: is a picture of nine pixels light? The bias in AA6 is added once to each row's sum."
    size = SQUARE * SQUARE
    widths = {**PANEL, "F": 8, "G:O": 4.5, "P": 8.5, "Q:Y": 5.5, "Z:AF": 9.5}
    page = Page(book, "bias", title="What a bias does", sentence=sentence, widths=widths)
    pictures = squares(SHOWN)
    rows = range(8, 8 + SHOWN)
    last = rows[-1]
    pixels = [letters(7 + number) for number in range(size)]
    products = [letters(17 + number) for number in range(size)]
    page.label("F6", mark(1, "weights"), align="right")
    page.label("Q6", mark(2, "pixel × weight"), bold=True)
    page.column("F7", "picture", DATA, list(range(1, SHOWN + 1)), "0", align="center")
    for number, (pixel, product) in enumerate(zip(pixels, products, strict=True)):
        page.cell(f"{pixel}6", 0.0, PARAMETER, "0.00", bold=True, align="center", font_size=9)
        page.column(f"{pixel}7", f"{number + 1}", DATA, [picture[number] for picture in pictures], "0", align="center")
        cells = fill_down(f"={pixel}{{0}}*{pixel}$6", rows)
        page.column(f"{product}7", f"{number + 1}", PREDICTION, cells, "0.00", align="center")
    page.header("AA5", mark(1, "bias"), PARAMETER)
    page.cell("AA6", 0.0, PARAMETER, "0.000", bold=True, align="center")
    for letter, title, role, text, number_format in (
        ("P", "light?\n(1 = yes)", DATA, "=IF(SUM(G{0}:O{0})<5,1,0)", "0"),
        ("Z", "sum of\nQ to Y", PREDICTION, "=SUM(Q{0}:Y{0})", "0.00"),
        ("AA", "+ bias,\nonce", PREDICTION, "=Z{0}+$D$6*AA$6", "0.00"),
        ("AB", mark(2, "p(light)"), PREDICTION, "=1/(1+EXP(-AA{0}))", "0.000"),
        ("AC", "loss\n−LN(p)", LOSS, "=LN(1+EXP((1-2*P{0})*AA{0}))", "0.000"),
        ("AD", mark(4, "by the\nsum: p − P"), LOSS, "=AB{0}-P{0}", "0.000"),
        ("AE", "correct\n(1 = yes)", PREDICTION, "=IF((AB{0}>0.5)=(P{0}=1),1,0)", "0"),
        ("AF", "bias per\npixel?", PREDICTION, "=Z{0}+9*$D$6*AA$6", "0.00"),
    ):
        page.column(f"{letter}7", title, role, fill_down(text, rows), number_format)
    shade = {"type": "cell", "criteria": "==", "value": 1,
             "format": book.workbook.add_format({"bg_color": "#374151", "font_color": PAPER})}  # fmt: skip
    page.sheet.conditional_format(f"G8:O{last}", shade)
    page.fade_zeros(f"AE8:AE{last}")
    page.scores(Formula(f"=AVERAGE(AC8:AC{last})"), Formula(f"=AVERAGE(AE8:AE{last})"))
    page.header("D5", "use the bias?", SETTING)
    page.cell("D6", 1.0, SETTING, "0", bold=True, align="center")
    page.settings("A8", [("optimizer", "sgd", ""), ("learning rate", 1.0, ""), ("steps", 500, "")])
    page.label("A13", "by hand", bold=True)
    page.header("C13", "bias", PARAMETER)
    page.header("D13", "weight 1", PARAMETER)
    page.label("A14", mark(4, "gradient, mean of the rows"))
    page.cell("C14", Formula(f"=D6*AVERAGE(AD8:AD{last})"), LOSS, "0.0000")
    page.cell("D14", Formula(f"=SUMPRODUCT(AD8:AD{last},G8:G{last})/{SHOWN}"), LOSS, "0.0000")
    page.label("A15", mark(5, "after one step"))
    page.cell("C15", Formula("=AA6-$B$10*C14"), PARAMETER, "0.0000")
    page.cell("D15", Formula("=G6-$B$10*D14"), PARAMETER, "0.0000")
    chart = page.chart({"type": "column"}, "A17", title="p(light) of each picture", x="picture, from light to dark",
                       y="p(light)", number="0%", size=(384, 250))  # fmt: skip
    bars(chart, page, "p(light)", f"F8:F{last}", f"AB8:AB{last}", PREDICTION.dark)
    limits(chart, "y", 0, 1, 0.25)
    chart.set_legend({"none": True})
    page.notes(f"A31:D{last + 8}", "What to see", BIAS_NOTE)
    page.names(sgd_data=f"F8:AF{last}")
    several(page, sgd_params=[fixed("G6:O6", "bias"), fixed("AA6", "bias")])
    page.one_page(f"A1:AF{last + 8}")
    page.freeze(7)


class Layout(NamedTuple):
    """Which columns hold what on a sheet of lines; the rows are those of the pictures."""

    rows: range
    line: str
    pixels: list[str]
    bias: str
    units: list[str]
    score: str
    chance: str
    loss: str
    hit: str

    @property
    def header(self) -> int:
        return self.rows[0] - 1


def _layout(count: int) -> Layout:
    """Behind the panel two pictures of weights beside each other, then the line, its pixels, and what is computed."""
    line = PICTURES + min(2, count) * (SIDE + 1)
    units = line + PIXELS + 3
    rows = range(7 + count, 7 + count + len(lines()))
    pixels = [letters(line + 1 + number) for number in range(PIXELS)]
    behind = [letters(units + count + number) for number in range(4)]
    hidden = [letters(units + number) for number in range(count)]
    return Layout(rows, letters(line), pixels, letters(line + PIXELS + 1), hidden, *behind)


def _units(book: Book, name: str, title: str, count: int) -> None:
    """Forty pictures of lines and a network of `count` hidden units."""
    at = _layout(count)
    widths = {**PANEL, at.line: 9, f"{at.pixels[0]}:{at.pixels[-1]}": 3.3, at.bias: 8}
    widths |= {f"{at.units[0]}:{at.units[-1]}": 7, f"{at.score}:{at.hit}": 9}
    sentence = "Train this sheet: a picture has one bright line on 5×5 pixels. Does it lie or stand?"
    page = Page(book, name, title=title, sentence=sentence, widths=widths)
    _narrow(page, PICTURES, min(2, count) * (SIDE + 1), 3.3)
    page.sheet.set_column(f"{letters(PICTURES + SIDE)}:{letters(PICTURES + SIDE)}", 2)
    gap = letters(PICTURES + min(2, count) * (SIDE + 1) + PIXELS + 2)
    page.sheet.set_column(f"{gap}:{gap}", 2)
    if count > 1:
        page.sheet.set_row(6, 20)
    page.sheet.set_row(at.header - 1, 34)
    hidden, outer = start(count)
    _weights(page, at, hidden)
    _inputs(page, at)
    _network(page, at, outer)
    last = at.rows[-1]
    loss, hits = (Formula(f"=AVERAGE({column}{at.rows[0]}:{column}{last})") for column in (at.loss, at.hit))
    page.scores(loss, hits)
    page.settings("A8", [("optimizer", "adam", ""), ("learning rate", 0.03, ""), ("steps", 300, "")])
    areas = (f"{at.pixels[0]}6:{at.bias}{5 + count}", f"{at.units[0]}{at.header - 1}:{at.score}{at.header - 1}")
    several(page, sgd_params=[fixed(cells, name) for cells in areas])
    page.names(sgd_data=f"{at.line}{at.rows[0]}:{at.hit}{last}")
    _by_line(page, at.rows, at)
    _pictures(page, at, count)
    page.notes("A45:D62", "What to see", UNIT_NOTES[count])
    page.one_page(f"A1:{at.hit}62")
    page.freeze(at.header)


def _weights(page: Page, at: Layout, hidden: list[list[float]]) -> None:
    """A row of 25 weights and a bias for each unit."""
    page.label(f"{at.pixels[0]}5", mark(1, "weights of each unit, one per pixel"), bold=True)
    page.header(f"{at.bias}5", mark(1, "bias"), PARAMETER)
    for unit, weights in enumerate(hidden):
        page.label(f"{at.line}{6 + unit}", f"unit {unit + 1}", align="right", indent=1)
        for letter, value in zip(at.pixels, weights, strict=True):
            page.cell(f"{letter}{6 + unit}", round(value, 2), PARAMETER, "0.0", align="center", font_size=8)
        page.cell(f"{at.bias}{6 + unit}", 0.0, PARAMETER, "0.00", bold=True, align="center")
    signed(page, f"{at.pixels[0]}6:{at.pixels[-1]}{5 + len(hidden)}", numbers=True)


def _inputs(page: Page, at: Layout) -> None:
    """The pictures, a row of 25 pixels each."""
    samples = lines()
    page.column(f"{at.line}{at.header}", "line", DATA, [line for line, _, _ in samples], align="center")
    for number, letter in enumerate(at.pixels):
        values = [picture[number] for _, _, picture in samples]
        place = f"{number // SIDE + 1},{number % SIDE + 1}"
        page.column(f"{letter}{at.header}", place, DATA, values, "0.0", align="center", font_size=8)
    glow(page, f"{at.pixels[0]}{at.rows[0]}:{at.pixels[-1]}{at.rows[-1]}", "#7C93A8")
    lies = [lies for _, lies, _ in samples]
    page.column(f"{at.bias}{at.header}", "lies?\n(1 = yes)", DATA, lies, "0", align="center")


def _network(page: Page, at: Layout, outer: list[float]) -> None:
    """Hidden units, their weighted sum, p, loss and hit."""
    top, rows = at.header - 1, at.rows
    page.label(f"{at.units[0]}{top - 1}", mark(1, "weights in the last sum, its bias"), bold=True)
    for number, (letter, value) in enumerate(zip(at.units, outer, strict=True)):
        page.cell(f"{letter}{top}", round(value, 2), PARAMETER, "0.00", bold=True, align="center")
        weights = f"${at.pixels[0]}${6 + number}:${at.pixels[-1]}${6 + number}"
        pixels = f"${at.pixels[0]}{{0}}:${at.pixels[-1]}{{0}}"
        text = f"=MAX(0,SUMPRODUCT({pixels},{weights})+${at.bias}${6 + number})"
        page.column(f"{letter}{at.header}", mark(2, f"unit\n{number + 1}"), PREDICTION, fill_down(text, rows), "0.00")
    page.cell(f"{at.score}{top}", 0.0, PARAMETER, "0.00", bold=True)
    glow(page, f"{at.units[0]}{rows[0]}:{at.units[-1]}{rows[-1]}", "#8CCBA8")
    row = f"{at.units[0]}{{0}}:{at.units[-1]}{{0}}"
    for letter, title, role, text, number_format in (
        (at.score, "score", PREDICTION, f"=SUMPRODUCT({row},{fixed(row.format(top))})+{at.score}${top}", "0.00"),
        (at.chance, mark(2, "p(lies)"), PREDICTION, f"=1/(1+EXP(-{at.score}{{0}}))", "0.000"),
        (at.loss, "loss\n−LN(p)", LOSS, f"=LN(1+EXP((1-2*{at.bias}{{0}})*{at.score}{{0}}))", "0.000"),
        (at.hit, "correct\n(1 = yes)", PREDICTION, f"=IF(({at.chance}{{0}}>0.5)=({at.bias}{{0}}=1),1,0)", "0"),
    ):
        page.column(f"{letter}{at.header}", title, role, fill_down(text, rows), number_format)
    page.fade_zeros(f"{at.hit}{rows[0]}:{at.hit}{rows[-1]}")


def _by_line(page: Page, rows: range, at: Layout) -> None:
    """For each of the ten lines the mean p, as a table and as bars."""
    names = [f"{kind} {place + 1}" for kind in ("row", "col") for place in range(SIDE)]
    where = f"${at.line}${rows[0]}:${at.line}${rows[-1]}"
    top = max(14, at.header + 1)
    page.column(f"A{top}", "line", DATA, names, align="center")
    table = range(top + 1, top + 1 + len(names))
    for letter, title, role, column, number in (
        ("B", "lies?", DATA, at.bias, "0"),
        ("C", "mean p(lies)", PREDICTION, at.chance, "0.000"),
    ):
        text = f"=AVERAGEIFS({column}${rows[0]}:{column}${rows[-1]},{where},A{{0}})"
        page.column(f"{letter}{top}", title, role, fill_down(text, table), number, align="center")
    right = fill_down('=IF((C{0}>0.5)=(B{0}=1),"right","wrong")', table)
    page.column(f"D{top}", "right?", PREDICTION, right, align="center")
    chart = page.chart({"type": "column"}, f"A{table[-1] + 2}", title="p(lies) of each line", x="line", y="p(lies)",
                       number="0%", size=(384, 320))  # fmt: skip
    categories = f"A{table[0]}:A{table[-1]}"
    bars(chart, page, "should be", categories, f"B{table[0]}:B{table[-1]}", "#9DB9D3")
    bars(chart, page, "mean p(lies)", categories, f"C{table[0]}:C{table[-1]}", PREDICTION.dark)
    limits(chart, "y", 0, 1, 0.25)


def _pictures(page: Page, at: Layout, count: int) -> None:
    """The weights of each unit as a picture, two beside each other."""
    look = page.book.format(num_format="0.0", font_size=8, align="center", border=1, border_color="#D1D5DB")
    for unit in range(count):
        row, column = at.rows[0] + (SIDE + 2) * (unit // 2), PICTURES + (SIDE + 1) * (unit % 2)
        page.label(f"{letters(column)}{row}", f"weights of unit {unit + 1}", bold=True)
        for down in range(SIDE):
            for across in range(SIDE):
                cell = Formula(f"={at.pixels[SIDE * down + across]}{6 + unit}")
                page.put(row + 1 + down, column + across, cell, look)
        signed(page, area(row + 1, column, SIDE, SIDE), numbers=True)
