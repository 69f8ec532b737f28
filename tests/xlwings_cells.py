"""Worksheets and ranges of the xlwings engine in `xlwings_libreoffice.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xlwings import base_classes

from sgdsheet.hosts.libreoffice.calc_reader import formulas, values
from sgdsheet.hosts.libreoffice.notation import to_excel
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError
from tests.xlwings_com import EXCEPTION, Cells, ComError, areas_of
from tests.xlwings_parts import Charts, Names, Tables

FEW = 2_000
"""Cells of which it is quick to tell which are merged."""


class Sheets(base_classes.Sheets):
    def __init__(self, book: Any) -> None:
        self.book = book
        self._office = book.app.office

    @property
    def active(self) -> Sheet:
        return Sheet(self.book, self._office.ask("active", book=self.book.path))

    def _titles(self) -> list[str]:
        found: list[str] = self._office.ask("sheets", book=self.book.path)
        return found

    def __call__(self, key: str | int) -> Sheet:
        names = self._titles()
        if isinstance(key, int):
            return Sheet(self.book, names[key - 1])
        for name in names:
            if name.lower() == key.lower():
                return Sheet(self.book, name)
        raise ComError(EXCEPTION, "Subscript out of range", -2147352565)

    def __iter__(self) -> Iterator[Sheet]:
        for name in self._titles():
            yield Sheet(self.book, name)

    def __len__(self) -> int:
        return len(self._titles())

    def add(self, before: Sheet | None = None, after: Sheet | None = None, name: str | None = None) -> Sheet:
        names = self._titles()
        position = names.index(after.name) + 1 if after is not None else names.index(before.name) if before else 0
        new = name or next(f"Sheet{count}" for count in range(1, 1000) if f"Sheet{count}" not in names)
        self._office.ask("add_sheet", book=self.book.path, name=new, position=position)
        return Sheet(self.book, new)


class Sheet(base_classes.Sheet):
    """A worksheet. `api` is itself."""

    def __init__(self, book: Any, name: str) -> None:
        self._book, self._name = book, name
        self.merged: list[Range] | None = None

    def merged_in(self, area: Range) -> list[Range]:
        return [Range(self._name, *corners) for corners in self.ask("merged", area=list(area[1:]))]

    def ask(self, do: str, **request: Any) -> Any:
        return self._book.app.office.ask(do, book=self._book.path, sheet=self._name, **request)

    @property
    def api(self) -> Sheet:
        return self

    @property
    def ProtectContents(self) -> bool:
        return bool(self.ask("protected"))

    @property
    def AutoFilter(self) -> Any:
        """The sheet's own filter, which has no name of a person's."""
        return self.filter_of("")

    @property
    def FilterMode(self) -> bool:
        return bool(self.ask("filters"))

    def filter_of(self, table: str) -> Any:
        """The filter buttons of a table, whether they hide anything or not; None if it has none."""
        for name, area, hides in self.ask("filters"):
            if name == table:
                return type("AutoFilter", (), {"FilterMode": hides, "Range": self.cells_at([Range(*area)]).api})
        return None

    def Activate(self) -> None:
        self.ask("activate")

    @property
    def name(self) -> str:
        """As in Excel, an object stays the same sheet when a person renames it."""
        now = self._book.app.office.ask("sheet_now", book=self._book.path, name=self._name)
        if now != self._name:
            self._name = str(now)
        return self._name

    @name.setter
    def name(self, new: str) -> None:
        self.ask("rename", name=new)
        self._name = new

    @property
    def book(self) -> Any:
        return self._book

    @property
    def names(self) -> Names:
        return Names(self._book, self._name)

    @property
    def tables(self) -> Tables:
        return Tables(self)

    @property
    def charts(self) -> Charts:
        return Charts(self)

    @property
    def used_range(self) -> CellRange:
        return self.cells_at([Range(self._name, *self.ask("used"))])

    def range(self, one: Any, other: Any = None) -> CellRange:
        if isinstance(one, CellRange):
            one = (one.row, one.column)
        if isinstance(one, tuple):
            if len(one) == 4:
                top, left, height, width = one
                return self.cells_at([Range(self._name, top, left, top + height - 1, left + width - 1)])
            row, column = (other.row, other.column) if isinstance(other, CellRange) else other or one
            return self.cells_at([Range(self._name, *one, row, column)])
        return self.cells_at(areas_of(one if other is None else f"{one}:{other}", self._name))

    def cells_at(self, areas: list[Range]) -> CellRange:
        return CellRange(self, areas)

    def clear(self) -> None:
        self.ask("clear")

    def delete(self) -> None:
        self.ask("delete_sheet")

    def activate(self) -> None:
        self.ask("activate")


class CellRange(base_classes.Range):
    def __init__(self, sheet: Sheet, areas: list[Range]) -> None:
        self._sheet, self._areas, self._area = sheet, areas, areas[0]
        self.options: dict[str, Any] = {}

    @property
    def api(self) -> Cells:
        app = self._sheet.book.app
        return Cells(app.office, self._sheet.book.path, self._sheet.name, self._areas, app.engine.dynamic)

    @property
    def sheet(self) -> Sheet:
        return self._sheet

    def __len__(self) -> int:
        return self._area.size

    @property
    def row(self) -> int:
        return self._area.top

    @property
    def column(self) -> int:
        return self._area.left

    @property
    def shape(self) -> tuple[int, int]:
        return (self._area.height, self._area.width)

    @property
    def address(self) -> str:
        return self.api.Address

    @property
    def left(self) -> float:
        return float(self._sheet.ask("place", cell=list(self._area[1:3]))[0])

    @property
    def top(self) -> float:
        return float(self._sheet.ask("place", cell=list(self._area[1:3]))[1])

    @property
    def raw_value(self) -> Any:
        return self.api.Value2

    @raw_value.setter
    def raw_value(self, data: Any) -> None:
        area = self._area
        rows = data if isinstance(data, (list, tuple)) else [[data] * area.width] * area.height
        rows = rows if isinstance(rows[0], (list, tuple)) else [rows]
        plain = [[None if item == "" else _typed(item) for item in row] for row in rows]
        self._sheet.ask("put", top=area.top, left=area.left, rows=plain)
        for row, line in enumerate(rows, area.top):
            for column, item in enumerate(line, area.left):
                if isinstance(item, str) and item.startswith("="):
                    self._sheet.range((row, column)).formula = item

    @property
    def formula(self) -> Any:
        area, block = self._area, self.api.block(formulas=True)
        known = values(block)
        texts = {place: formula_text(formula, *place) for place, formula in formulas(block).items()}
        for array in block.get("arrays", ()):
            first = texts.get((array[0], array[1]))
            whole = Range(area.sheet, *array)
            text = first if first is not None else to_excel(block["formulas"][0][0][0])
            texts.update({(cell.row, cell.column): text for cell in whole.cells()})
        rows = tuple(
            tuple(
                _shown(texts.get((row, column)), known.get((row, column)))
                for column in range(area.left, area.right + 1)
            )
            for row in range(area.top, area.bottom + 1)
        )
        return rows if area.size > 1 else rows[0][0]

    @formula.setter
    def formula(self, text: Any) -> None:
        self._sheet.ask("formula", area=list(self._area[1:]), text=_single(text), array=False)

    @property
    def formula_array(self) -> Any:
        return self.formula

    @formula_array.setter
    def formula_array(self, text: Any) -> None:
        self._sheet.ask("formula", area=list(self._area[1:]), text=_single(text), array=True)

    @property
    def has_array(self) -> bool | None:
        return self.api.HasArray

    @property
    def merge_cells(self) -> bool | None:
        found = {cell for whole in self._merged() for cell in whole.cells()} & set(self._area.cells())
        return len(found) == self._area.size or (None if found else False)

    @property
    def merge_area(self) -> CellRange:
        corner = Range.of_cell(self._area.first)
        return self._sheet.cells_at([next((whole for whole in self._merged() if whole.contains(corner)), corner)])

    def _merged(self) -> list[Range]:
        """The merged areas here, or, once a large area was asked for, those of the sheet: as one object sees it."""
        sheet = self._sheet
        if sheet.merged is None and self._area.size > FEW:
            sheet.merged = sheet.merged_in(self._area)
        return sheet.merged_in(self._area) if sheet.merged is None else sheet.merged

    def merge(self, across: bool) -> None:
        self._sheet.ask("merge", area=list(self._area[1:]), on=True)

    def unmerge(self) -> None:
        self._sheet.ask("merge", area=list(self._area[1:]), on=False)

    def clear_contents(self) -> None:
        self.raw_value = ""

    @property
    def number_format(self) -> str:
        return str(self._sheet.ask("number_format_of", area=list(self._area[1:])))

    @number_format.setter
    def number_format(self, shown: str) -> None:
        self._sheet.ask("number_format", area=list(self._area[1:]), shown=shown)

    def autofit(self, axis: str | None = None) -> None:
        self._sheet.ask("autofit", area=list(self._area[1:]))

    @property
    def font(self) -> Font:
        return Font(self._sheet, self._area)

    def select(self) -> None:
        areas = [list(area) for area in self._areas]
        self._sheet.book.app.office.ask("select", book=self._sheet.book.path, areas=areas)


class Font(base_classes.Font):
    def __init__(self, sheet: Sheet, area: Range) -> None:
        self._sheet, self._area = sheet, list(area[1:])

    @property
    def bold(self) -> bool:
        return bool(self._sheet.ask("is_bold", area=self._area))

    @bold.setter
    def bold(self, on: bool) -> None:
        self._sheet.ask("bold", area=self._area, on=on)


def _typed(item: Any) -> Any:
    """What a typed text means: an apostrophe in front keeps it a text."""
    return item.removeprefix("'") if isinstance(item, str) else item


def _single(text: Any) -> str:
    while isinstance(text, (list, tuple)):
        text = text[0]
    return str(text)


def _shown(text: Any, value: Any) -> str:
    """The content of a cell as a text."""
    if text is not None:
        return f"={text}"
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, ExcelError):
        return value.value
    return str(value).upper() if isinstance(value, bool) else f"{value:.17g}"
