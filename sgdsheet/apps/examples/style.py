"""The look that all example workbooks share: four colours, one page layout, one set of charts.

Rows 1 to 4 of a page are its title, one sentence on what to do, and two legends: of the roles and of the seven
steps. Every cell has one of four roles; its header names it, and its colour shows it. Parameters also have a frame,
and the steps are marked by their numbers (`mark`). The values of all formulas are saved too, so a viewer that cannot
calculate still shows true numbers: those that the builder gives, and of the others what they come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile

import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.chart import Chart  # type: ignore[import-untyped]
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_cell_to_rowcol, xl_col_to_name  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from sgdsheet.apps.examples._calculated import Place, calculated
from sgdsheet.apps.examples._start import MARKS as MARKS
from sgdsheet.apps.examples._start import NAME as START
from sgdsheet.apps.examples._start import STEPS as STEPS
from sgdsheet.apps.examples._start import Leaf, write_start
from sgdsheet.apps.examples._start import mark as mark
from sgdsheet.apps.examples.lesson import Lesson

CREATED = datetime(2026, 1, 1)  # fixed, so that the same builder writes the same bytes
FONT = "Calibri"
INK, MUTED, HAIRLINE = "#1F2937", "#6B7280", "#D1D5DB"


class Role(NamedTuple):
    """What a cell is for: its name in the legend, and the colours of its headers and of its cells."""

    name: str
    dark: str
    light: str


DATA = Role("data", "#27567F", "#EAF2F9")
PARAMETER = Role("① parameters", "#8F5F00", "#FFF1C2")
PREDICTION = Role("② predictions", "#1F6B48", "#E5F4EB")
LOSS = Role("③ loss", "#A02A38", "#FBE7E8")
SETTING = Role("settings", "#4B5563", "#F3F4F6")
ROLES = (DATA, PARAMETER, PREDICTION, LOSS)

_STEPS_OF_SETTINGS = {
    **dict.fromkeys(("seed", "start", "restarts"), "①"),
    **dict.fromkeys(("batch size", "zero gradients"), "④"),
    **dict.fromkeys(("optimizer", "learning rate", "momentum", "weight decay", "schedule"), "⑤"),
    **dict.fromkeys(("shuffle",), "⑥"),
    **dict.fromkeys(("steps", "epochs"), "⑥⑦"),
    **dict.fromkeys(("validation", "early stopping"), "⑦"),
}


class Formula(NamedTuple):
    """A formula and its value; without one it is calculated when the book is finished."""

    text: str
    value: float | str | None = None


Content = Formula | float | str
Setting = tuple[str, Content, str]
"""Name, value, and a hint beside it."""


def fill_down(text: str, rows: Iterable[int], values: Iterable[float] | None = None) -> list[Formula]:
    """Write a formula into every row, with its values if given; `{0}` in the text stands for the row."""
    if values is None:
        return [Formula(text.format(row)) for row in rows]
    return [Formula(text.format(row), value) for row, value in zip(rows, values, strict=True)]


class Book:
    """A workbook being written; closes itself at the end of a `with` block."""

    def __init__(self, path: Path, title: str, lesson: Lesson | None = None) -> None:
        self._path, self._title, self._lesson, self._file = path, title, lesson, BytesIO()
        self.workbook = xlsxwriter.Workbook(self._file, {"in_memory": True})
        self.workbook.set_properties({"title": title, "author": "sgdsheet", "created": CREATED})
        self._formats: dict[tuple[tuple[str, object], ...], Format] = {}
        self._contents: dict[Place, float | str] = {}
        self._waiting: dict[Place, tuple[Worksheet, Format]] = {}
        self.leaves: list[Leaf] = []
        self._start = self.workbook.add_worksheet(START) if lesson else None

    def __enter__(self) -> Book:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._calculate()
            if self._start is not None and self._lesson is not None:
                write_start(self._start, self, self._title, self._lesson, self.leaves)
            self.workbook.close()
            self._pack()

    def format(self, **properties: object) -> Format:
        """One shared format per set of properties."""
        properties = {"font_name": FONT, "font_size": 11, "font_color": INK, "valign": "vcenter"} | properties
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self.workbook.add_format(properties)
        return self._formats[key]

    def write(self, sheet: Worksheet, row: int, column: int, content: Content, cell_format: Format) -> None:
        """One cell, by its row and column from 0."""
        place = (sheet.get_name(), row + 1, column + 1)
        if content != "":  # which is an empty cell
            self._contents[place] = _to_calculate(content)
        if isinstance(content, str):
            sheet.write_string(row, column, content, cell_format)
        elif not isinstance(content, Formula):
            sheet.write_number(row, column, content, cell_format)
        elif content.value is None:
            self._waiting[place] = (sheet, cell_format)
        else:
            sheet.write_formula(row, column, content.text, cell_format, _plain(content.value))

    def _calculate(self) -> None:
        """Write the formulas that came without a value."""
        if self._waiting:
            for place, value in calculated(self._contents, self._waiting).items():
                (_, row, column), (sheet, cell_format) = place, self._waiting[place]
                sheet.write_formula(row - 1, column - 1, self._contents[place], cell_format, _plain(value))

    def _pack(self) -> None:
        """Write the finished file, packed as tightly as zip can."""
        with ZipFile(self._file) as loose, ZipFile(self._path, "w", ZIP_DEFLATED, compresslevel=9) as tight:
            for member in loose.infolist():
                member.create_system = 3  # the same bytes on every platform
                tight.writestr(member, loose.read(member), ZIP_DEFLATED, 9)


class Page:
    """One sheet of a book: title, sentence and legend on top, and helpers that put cells below."""

    def __init__(self, book: Book, name: str, *, title: str, sentence: str, widths: Mapping[str, float]) -> None:
        self.book, self.name = book, name
        self.sheet = book.workbook.add_worksheet(name)
        book.leaves.append(Leaf(name, title, sentence))
        self.sheet.hide_gridlines(2)
        for columns, width in widths.items():
            self.sheet.set_column(columns if ":" in columns else f"{columns}:{columns}", width, book.format())
        for row, height in enumerate((32, 20, 20, 20, 20, 20, 34)):
            self.sheet.set_row(row, height)
        self.sheet.write_string("A1", title, book.format(bold=True, font_size=20))
        self.sheet.write_string("A2", sentence, book.format(font_color=MUTED, font_size=12))
        for column, role in zip(_wide_columns(widths), ROLES, strict=False):
            look = {"bold": True, "align": "center", "font_size": 10, "bottom": 5, "bottom_color": role.dark}
            swatch = book.format(**look, font_color=role.dark, bg_color=role.light)
            self.sheet.write_string(2, column, role.name, swatch)
        self._steps()
        self.sheet.set_landscape()
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        self.sheet.set_footer("&L&9&A&R&9page &P of &N")

    def _steps(self) -> None:
        """The second legend, in row 4: the numbers that mark the seven steps."""
        bold, plain = self.book.format(bold=True, font_size=10), self.book.format(font_color=MUTED, font_size=10)
        parts = [
            part
            for number, (name, _) in zip(MARKS, STEPS, strict=True)
            for part in (bold, number, plain, f" {name}   ")
        ]
        self.sheet.write_rich_string("A4", *parts, self.book.format())

    def cell(self, address: str, content: Content, role: Role, number: str = "General", **look: object) -> None:
        """One cell in the colours of its role; it stays empty for an empty text."""
        row, column = xl_cell_to_rowcol(address)
        if content == "":
            self.sheet.write_blank(row, column, None, self._cell_format(role, number, **look))
        else:
            self._write(row, column, content, self._cell_format(role, number, **look))

    def put(self, row: int, column: int, content: Content, cell_format: Format) -> None:
        """One cell, by its row and column from 1, in a look of its own."""
        self._write(row - 1, column - 1, content, cell_format)

    def header(self, address: str, text: str, role: Role, **look: object) -> None:
        """A header: white on the dark colour of its role."""
        properties = {"bold": True, "font_color": "#FFFFFF", "bg_color": role.dark, "align": "center"}
        row, column = xl_cell_to_rowcol(address)
        self._write(row, column, text, self.book.format(**(properties | {"text_wrap": True} | look)))

    def column(
        self,
        top: str,
        title: str,
        role: Role,
        cells: Iterable[Content],
        number: str = "General",
        **look: object,
    ) -> None:
        """A header at `top` and the cells below it."""
        self.header(top, title, role)
        start, column = xl_cell_to_rowcol(top)
        cell_format = self._cell_format(role, number, **look)
        for row, content in enumerate(cells, start + 1):
            self._write(row, column, content, cell_format)

    def label(self, address: str, text: str, **look: object) -> None:
        """Small grey words."""
        self.sheet.write_string(address, text, self.book.format(**({"font_color": MUTED, "font_size": 10} | look)))

    def notes(self, area: str, heading: str, text: str) -> None:
        """A heading and a paragraph that fill an area of merged cells."""
        bold, plain = self.book.format(bold=True, font_size=12), self.book.format(font_color="#374151")
        box = self.book.format(text_wrap=True, valign="top", font_color="#374151")
        self.sheet.merge_range(area, "", box)
        self.sheet.write_rich_string(area.split(":")[0], bold, heading, plain, f"\n{text}", box)

    def settings(self, top: str, settings: Sequence[Setting]) -> None:
        """Setting, value and a hint beside it; the two columns become `sgd_settings`."""
        row, column = xl_cell_to_rowcol(top)
        left, right = xl_col_to_name(column), xl_col_to_name(column + 1)
        self.header(f"{left}{row + 1}", "setting", SETTING, align="left", indent=1)
        self.header(f"{right}{row + 1}", "value", SETTING)
        self.label(f"{xl_col_to_name(column + 2)}{row + 1}", mark(4, "gradient: by sgdsheet"), indent=1)
        for number, (name, value, hint) in enumerate(settings, row + 2):
            self.cell(f"{left}{number}", name, SETTING, align="left", indent=1)
            shown = "0.0E+00" if isinstance(value, float) and 0 < value < 0.001 else "General"
            self.cell(f"{right}{number}", value, SETTING, shown, bold=True, align="center")
            marked = f"{_STEPS_OF_SETTINGS[name]} {hint}".rstrip()
            self.label(f"{xl_col_to_name(column + 2)}{number}", marked, indent=1)
        self.names(sgd_settings=f"{left}{row + 2}:{right}{row + 1 + len(settings)}")

    def scores(self, loss: Formula, metric: Formula, watched: str = "accuracy") -> None:
        """The loss in A6, and in B6 a share to watch, which is the metric."""
        self.header("A5", mark(3, "loss"), LOSS)
        self.cell("A6", loss, LOSS, "0.0000", bold=True, align="center")
        self.header("B5", watched, PREDICTION)
        self.cell("B6", metric, PREDICTION, "0.0%", bold=True, align="center")
        self.names(sgd_loss="A6", sgd_metric="B6")

    def names(self, **areas: str) -> None:
        """Names that belong to this sheet, such as `sgd_loss="D6"`."""
        for name, area in areas.items():
            self.book.workbook.define_name(f"{self.name}!{name}", self.area(area))

    def fade_zeros(self, area: str) -> None:
        """Zeros in pale grey, so that the pattern of the others stands out."""
        grey = self.book.workbook.add_format({"font_color": "#9DB0C3"})
        self.sheet.conditional_format(area, {"type": "cell", "criteria": "==", "value": 0, "format": grey})

    def freeze(self, rows: int) -> None:
        """Keep the top rows in view, on the screen and on every printed page."""
        self.sheet.freeze_panes(rows, 0)
        self.sheet.repeat_rows(0, rows - 1)

    def one_page(self, area: str) -> None:
        """Print only an area, on one page."""
        self.sheet.print_area(area)
        self.sheet.fit_to_pages(1, 1)

    def area(self, area: str) -> str:
        """`B2:C9` as an absolute reference that names this sheet."""
        corners = [xl_cell_to_rowcol(corner) for corner in area.split(":")]
        absolute = ":".join(f"${xl_col_to_name(column)}${row + 1}" for row, column in corners)
        return f"={self.name}!{absolute}"

    def chart(
        self,
        kind: Mapping[str, str],
        address: str,
        *,
        title: str,
        x: str,
        y: str,
        number: str,
        size: tuple[int, int],
    ) -> Chart:
        """An empty chart in the look of the book; add the series to what is returned."""
        chart = self.book.workbook.add_chart(dict(kind))
        font = {"name": FONT, "size": 10, "color": INK}
        line = {"color": "#9CA3AF", "width": 0.75}
        faint = {"visible": True, "line": {"color": "#E5E7EB", "width": 0.75}}
        chart.set_title({"name": title, "overlay": False, "name_font": font | {"size": 13, "bold": True}})
        axis = {"num_font": font | {"color": "#4B5563"}, "name_font": font | {"bold": False}, "line": line}
        chart.set_x_axis(axis | {"name": x, "label_position": "low", "major_gridlines": {"visible": False}})
        across = {"name": y, "label_position": "low", "num_format": number, "major_gridlines": faint}
        chart.set_y_axis(axis | across)
        chart.set_legend({"position": "top", "font": font})
        chart.set_chartarea({"border": {"color": HAIRLINE}, "fill": {"color": "#FFFFFF"}})
        chart.set_size({"width": size[0], "height": size[1]})
        self.sheet.insert_chart(address, chart, {"object_position": 2})
        return chart

    def _cell_format(self, role: Role, number: str, **look: object) -> Format:
        properties = {"bg_color": role.light, "num_format": number, "bottom": 1, "bottom_color": "#FFFFFF"}
        if role is PARAMETER:
            properties |= {"border": 1, "border_color": role.dark}
            del properties["bottom"], properties["bottom_color"]
        if "align" not in look:
            look |= {"align": "right", "indent": 1}
        return self.book.format(**(properties | look))

    def _write(self, row: int, column: int, content: Content, cell_format: Format) -> None:
        self.book.write(self.sheet, row, column, content, cell_format)


def _wide_columns(widths: Mapping[str, float]) -> list[int]:
    """The columns, from 0, that a word fits into."""
    found = {}
    for columns, width in widths.items():
        first, _, last = columns.partition(":")
        for column in range(xl_cell_to_rowcol(f"{first}1")[1], xl_cell_to_rowcol(f"{last or first}1")[1] + 1):
            found[column] = width
    return [column for column in range(max(found, default=0) + 5) if found.get(column, 8.43) >= 8]


def _to_calculate(content: Content) -> float | str:
    """What the calculation sees of a cell: a formula's value, if the builder gave it, else the formula."""
    if not isinstance(content, Formula):
        return content
    return content.text if content.value is None else content.value


def _plain(value: float | str) -> float | str:
    """A whole number is saved without a decimal point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
