"""Sheets with a row per person: a weighted sum, two ReLU units, or a layer of many by MMULT; and a chart of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

from sgdsheet.apps.examples._by_hand import Sums, by_hand
from sgdsheet.apps.examples._charts import bars
from sgdsheet.apps.examples._digits import column_number, dot, tidy
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

_WIDE = 30  # columns; a wider sheet is printed on two pages
STRONG: dict[str, Any] = {"bold": True, "align": "center"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the data; `number` is its format, `above` a formula over its cells (`{0}`) that stands on top."""

    name: str
    cells: Sequence[Content]
    number: str = "General"
    above: str = ""


@dataclass(frozen=True, slots=True)
class People:
    """The rows of a sheet.

    `features` are names and formulas; in a formula `{Age}` is the cell of a data column in the same row, and
    `{Age!}` the cell above it. The first data column is the truth, 1 or 0. `groups` are pairs of values of the columns
    `by`.
    """

    columns: Sequence[Column]
    features: Sequence[tuple[str, str]]
    numbers: Sequence[Sequence[float]]
    """What the features come to, row by row."""
    by: tuple[str, str]
    groups: Sequence[tuple[Content, Content]]
    held: Sequence[float] = ()
    """1 for rows that are for validation; empty: none is."""

    @property
    def count(self) -> int:
        return len(self.columns[0].cells)


class Words(NamedTuple):
    """What a sheet says."""

    sheet: str
    title: str
    sentence: str
    heading: str
    note: str


class _Layout:
    """Where everything stands: data from column A, features, then what is computed."""

    def __init__(self, people: People, header: int) -> None:
        self.people, self.header = people, header
        self.rows = range(header + 1, header + 1 + people.count)
        self.data = [xl_col_to_name(number) for number in range(len(people.columns))]
        first = len(self.data)
        self.features = [xl_col_to_name(first + number) for number in range(len(people.features))]
        self.next = first + len(self.features)

    def below(self, column: str) -> str:
        """The cells of a column, fixed."""
        return f"${column}${self.rows[0]}:${column}${self.rows[-1]}"

    def feature(self, text: str) -> str:
        """A feature's formula with cells in place of names, and `{0}` for the row."""
        for column, item in zip(self.data, self.people.columns, strict=True):
            text = text.replace(f"{{{item.name}!}}", f"${column}$6").replace(f"{{{item.name}}}", f"{column}{{0}}")
        return f"={text}"


def weighted(
    book: Book, words: Words, people: People, start: Sequence[Sequence[float]], settings: Sequence[Setting]
) -> None:
    """One weighted sum of the features, or the sum of several that are cut off at zero."""
    units = len(start)
    layout = _Layout(people, 6 + units)
    page = _page(book, words, layout, units, 12)
    first, last = layout.features[0], layout.features[-1]
    for column, (name, _) in zip(layout.features, people.features, strict=True):
        page.header(f"{column}5", name.replace("\n", " "), PARAMETER, font_size=10)
    for number, weights in enumerate(start):
        page.label(
            f"{layout.data[-1]}{6 + number}", mark(1, f"unit {number + 1}" if units > 1 else "weights"), align="right"
        )
        for column, value in zip(layout.features, weights, strict=True):
            page.cell(f"{column}{6 + number}", value, PARAMETER, "0.000", **STRONG)
    sums = [
        f"SUMPRODUCT({first}{{0}}:{last}{{0}},${first}${6 + number}:${last}${6 + number})" for number in range(units)
    ]
    computed = [xl_col_to_name(layout.next + number) for number in range(units)]
    prediction = xl_col_to_name(layout.next + (units if units > 1 else 0))
    if units > 1:
        for number, column in enumerate(computed):
            cells = fill_down(f"=MAX(0,{sums[number]})", layout.rows)
            page.column(f"{column}{layout.header}", f"unit {number + 1}\nMAX(0, sum)", PREDICTION, cells, "0.000")
        page.fade_zeros(f"{computed[0]}{layout.rows[0]}:{computed[-1]}{layout.rows[-1]}")
    text = "=" + ("+".join(f"{column}{{0}}" for column in computed) if units > 1 else sums[0])
    weights = range(6, 6 + units)
    names = [name for name, _ in people.features]
    cut_off = computed if units > 1 else ()
    steps = Sums(layout.rows, names, layout.features, weights, prediction, layout.data[0], "", cut_off)
    _finish(page, words, layout, prediction, text, settings, steps)
    page.names(sgd_params=f"{first}6:{last}{5 + units}")


def layered(book: Book, words: Words, people: People, hidden: int, settings: Sequence[Setting], seed: int) -> None:
    """A layer of ReLU units by MMULT, and one more weighted sum, squeezed between 0 and 1."""
    count = len(people.features)
    layout = _Layout(people, 8 + count)
    page = _page(book, words, layout, hidden, 6.5, narrow=True)
    draw = Random(seed)
    first, last = layout.features[0], layout.features[-1]
    units = [xl_col_to_name(layout.next + number) for number in range(hidden)]
    page.label(f"{last}5", mark(1, "weights"), align="right", bold=True)
    for number, (name, _) in enumerate(people.features):
        page.label(f"{last}{6 + number}", name.replace("\n", " "), align="right")
    page.label(f"{last}{6 + count}", "output", align="right", bold=True)
    for number, column in enumerate(units, 1):
        page.header(f"{column}5", f"unit {number}", PARAMETER, font_size=9)
        weights = [round(draw.gauss(0, 0.5), 3) for _ in range(count)]
        for row, weight in enumerate(weights, 6):
            page.cell(f"{column}{row}", weight, PARAMETER, "0.00", align="center", font_size=9)
        page.cell(f"{column}{6 + count}", round(draw.gauss(0, 0.5), 3), PARAMETER, "0.00", **STRONG, font_size=9)
        text = f"=MAX(0,MMULT(${first}{{0}}:${last}{{0}},{column}$6:{column}${5 + count}))"
        values = [max(0.0, tidy(dot(row_of, weights))) for row_of in people.numbers]
        cells = fill_down(text, layout.rows, values)
        page.column(
            f"{column}{layout.header}",
            f"unit\n{number}",
            PREDICTION,
            cells,
            "0.00",
            font_size=9,
            indent=0,
            align="right",
        )
    page.fade_zeros(f"{units[0]}{layout.rows[0]}:{units[-1]}{layout.rows[-1]}")
    prediction = xl_col_to_name(layout.next + hidden)
    page.header(f"{prediction}{5 + count}", mark(1, "bias"), PARAMETER)
    page.cell(f"{prediction}{6 + count}", 0.0, PARAMETER, "0.00", **STRONG)
    out = f"${units[0]}${6 + count}:${units[-1]}${6 + count}"
    total = f"SUMPRODUCT({units[0]}{{0}}:{units[-1]}{{0}},{out})+${prediction}${6 + count}"
    _finish(page, words, layout, prediction, f"=1/(1+EXP(-({total})))", settings)
    areas = [f"{words.sheet}!{out}", f"{words.sheet}!${prediction}${6 + count}"]
    hidden_area = f"{words.sheet}!${units[0]}$6:${units[-1]}${5 + count}"
    page.book.workbook.define_name(f"{words.sheet}!sgd_params", "=" + ",".join([hidden_area, *areas]))


def _page(book: Book, words: Words, layout: _Layout, computed: int, width: float, *, narrow: bool = False) -> Page:
    """Title, data and features."""
    people = layout.people
    after = layout.next
    widths: dict[str, float] = {
        f"{layout.data[0]}:{layout.data[-1]}": 10.5,
        f"{layout.features[0]}:{layout.features[-1]}": 9 if narrow else 11,
    }
    widths[f"{xl_col_to_name(after)}:{xl_col_to_name(after + computed - 1)}"] = width
    page = Page(book, words.sheet, title=words.title, sentence=words.sentence, widths=widths)
    page.sheet.set_row(layout.header - 1, 34)
    for row in range(6, layout.header - 1):
        page.sheet.set_row(row, 20)
    for column, item in zip(layout.data, people.columns, strict=True):
        page.column(f"{column}{layout.header}", item.name, DATA, item.cells, item.number, align="center")
        if item.above:
            page.label(f"{column}5", item.above.partition("(")[0].lower() + " of all", align="center")
            page.cell(f"{column}6", Formula(f"={item.above.format(layout.below(column))}"), DATA, item.number, **STRONG)
    for column, (name, text) in zip(layout.features, people.features, strict=True):
        cells = fill_down(layout.feature(text), layout.rows)
        page.column(f"{column}{layout.header}", name, DATA, cells, "0.###", align="center")
    page.fade_zeros(f"{layout.features[0]}{layout.rows[0]}:{layout.features[-1]}{layout.rows[-1]}")
    page.freeze(layout.header)
    return page


def _finish(
    page: Page,
    words: Words,
    layout: _Layout,
    prediction: str,
    text: str,
    settings: Sequence[Setting],
    steps: Sums | None = None,
) -> None:
    """Predictions, errors, hits, validation marks, and the panel on the right."""
    people, header, rows = layout.people, layout.header, layout.rows
    truth = layout.data[0]
    at = column_number(prediction)  # of the next column, from 0
    error, hit, held = (xl_col_to_name(at + number) for number in range(3))
    page.sheet.set_column(f"{prediction}:{hit}", 12, page.book.format())
    page.column(f"{prediction}{header}", mark(2, "prediction"), PREDICTION, fill_down(text, rows), "0.000", bold=True)
    squares = fill_down(f"=({prediction}{{0}}-{truth}{{0}})^2", rows)
    page.column(f"{error}{header}", "squared\nerror", LOSS, squares, "0.000")
    right = fill_down(f"=IF(({prediction}{{0}}>0.5)=({truth}{{0}}=1),1,0)", rows)
    page.column(f"{hit}{header}", "correct\n(1 = yes)", PREDICTION, right, "0", align="center")
    page.fade_zeros(f"{hit}{rows[0]}:{hit}{rows[-1]}")
    page.header(f"{error}5", mark(3, "loss"), LOSS)
    page.cell(f"{error}6", Formula(f"=AVERAGE({layout.below(error)})"), LOSS, "0.0000", **STRONG)
    page.header(f"{hit}5", "accuracy", PREDICTION)
    page.cell(f"{hit}6", Formula(f"=AVERAGE({layout.below(hit)})"), PREDICTION, "0.0%", **STRONG)
    last = hit
    if people.held:
        last = held
        page.sheet.set_column(f"{held}:{held}", 12, page.book.format())
        page.column(f"{held}{header}", "validation\n(1 = yes)", DATA, people.held, "0", align="center")
        page.fade_zeros(f"{held}{rows[0]}:{held}{rows[-1]}")
        for row, name, wanted in ((7, "training rows", 0), (8, "validation rows", 1)):
            page.label(f"{prediction}{row}", name, align="right")
            for column, number in ((error, "0.0000"), (hit, "0.0%")):
                text = f"=AVERAGEIF({layout.below(held)},{wanted},{layout.below(column)})"
                role = LOSS if column == error else PREDICTION
                page.cell(f"{column}{row}", Formula(text), role, number, align="center")
        page.names(sgd_valid=f"{held}{rows[0]}:{held}{rows[-1]}")
    page.names(sgd_loss=f"{error}6", sgd_metric=f"{hit}6", sgd_data=f"A{rows[0]}:{last}{rows[-1]}")
    _panel(page, words, layout, prediction, column_number(last) + 1, settings, steps)


def _panel(
    page: Page,
    words: Words,
    layout: _Layout,
    prediction: str,
    left: int,
    settings: Sequence[Setting],
    steps: Sums | None,
) -> None:
    """Settings, chart, groups, gradient and step, and notes; the loss depends on none of them."""
    columns = [xl_col_to_name(left + number) for number in range(5)]
    page.sheet.set_column(f"{xl_col_to_name(left - 1)}:{xl_col_to_name(left - 1)}", 3, page.book.format())
    page.sheet.set_column(f"{columns[0]}:{columns[-1]}", 15, page.book.format())
    page.settings(f"{columns[0]}2", list(settings))
    people = layout.people
    top = layout.rows[0] + 17
    names = [item.name for item in people.columns]
    by = [layout.below(layout.data[names.index(name)]) for name in people.by]
    rows = range(top + 1, top + 1 + len(people.groups))
    same = f"{by[0]},{columns[0]}{{0}},{by[1]},{columns[1]}{{0}})"
    truth = layout.below(layout.data[0])
    cells: list[tuple[str, list[Content]]] = [
        (people.by[0], [group for group, _ in people.groups]),
        (people.by[1], [group for _, group in people.groups]),
        ("people", [*fill_down(f"=COUNTIFS({same}", rows)]),
        ("actual", [*fill_down(f"=AVERAGEIFS({truth},{same}", rows)]),
        ("predicted", [*fill_down(f"=AVERAGEIFS({layout.below(prediction)},{same}", rows)]),
    ]
    for column, (name, contents) in zip(columns, cells, strict=True):
        number = "0.0%" if name in ("actual", "predicted") else "General"
        page.column(
            f"{column}{top}", name, PREDICTION if name == "predicted" else DATA, contents, number, align="center"
        )
    chart = page.chart({"type": "column"}, f"{columns[0]}{layout.rows[0]}", title="Survivors in groups",
                       x=" and ".join(people.by), y="share that survived", number="0%", size=(550, 320))  # fmt: skip
    groups = f"{columns[0]}{rows[0]}:{columns[1]}{rows[-1]}"
    for name, column, colour in (("actual", columns[3], "#8DB8DC"), ("predicted", columns[4], PREDICTION.dark)):
        bars(chart, page, name, groups, f"{column}{rows[0]}:{column}{rows[-1]}", colour)
    below = rows[-1] + 2
    if steps is not None:
        known = [name for name, _, _ in settings]
        rate = f"${columns[1]}${3 + known.index('learning rate')}"
        below = by_hand(page, below, columns, steps._replace(rate=rate)) + 2
    end = below + 11
    page.notes(f"{columns[0]}{below}:{columns[-1]}{end}", words.heading, words.note)
    page.one_page(f"A1:{columns[-1]}{end + 1}")
    if left > _WIDE:
        page.sheet.fit_to_pages(2, 1)
