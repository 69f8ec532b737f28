"""The content of an OpenDocument spreadsheet as a Workbook, in a single pass of expat.

Rows and cells that are alike stand in the file once, with a number: those that hold nothing are passed over, and what
a file may grow to is limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.ods import content as odf
from sgdsheet.hosts.ods.drawn_frames import FRAME, Frame, FrameBuilder
from sgdsheet.hosts.ods.open_formula import areas_in_excel, formula_in_excel
from sgdsheet.hosts.xlsx.xml import Part, new_parser, run_parser
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range, parse_range
from sgdsheet.sheet.workbook import DefinedName, ExcelError, Formula, Sheet, Table, Value, Workbook

MAX_CELLS = 20_000_000
"""Cells with contents that a file may hold; a few bytes of it could name more than any memory has."""
_CONSTANTS = {"TRUE", "FALSE", *(error.value for error in ExcelError)}
"""Formulas that are values: LibreOffice writes a typed TRUE as =TRUE()."""
_NULL_DATES = {"1899-12-30": False, "1904-01-01": True}
_SPACE = " "


def read_content(part: Part) -> tuple[Workbook, list[Frame]]:
    """Values, formulas, names and tables, and the frames that may hold charts. Raises FileError."""
    return _Reader(part).run()


@dataclass(slots=True)
class _Cell:
    """The cell that is being read. `depth` counts the elements inside of it, `paragraphs` are its own text."""

    attributes: dict[str, str]
    depth: int = 0
    pieces: list[str] | None = None
    paragraphs: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.paragraphs)


class _Contents(NamedTuple):
    """What stands in one cell of a row, or in `times` cells side by side. `array` is the size of an array formula."""

    column: int
    times: int
    value: Value | None
    formula: str
    array: tuple[int, int] | None


class _Reader:
    def __init__(self, part: Part) -> None:
        self._part = part
        self._book = Workbook(part.book)
        self._is_spreadsheet = False
        self._sheet: Sheet | None = None
        self._tables = 0  # how deep tables stand in each other: one may stand in a text frame
        self._row, self._column, self._rows = 1, 1, 1
        self._contents: list[_Contents] = []
        self._cell: _Cell | None = None
        self._cells = 0
        self._areas: list[tuple[str, str, bool]] = []
        self._frame: FrameBuilder | None = None  # that is being read
        self._frames: list[Frame] = []

    def run(self) -> tuple[Workbook, list[Frame]]:
        parser = new_parser(self._part)
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        run_parser(parser, self._part)
        if not self._is_spreadsheet:
            raise FileError(f"“{self._part.book}” is no spreadsheet", remedy="Give the name of an .ods file")
        for name, text, header in self._areas:
            self._add_table(name, text, header)
        return self._book, self._frames

    # --- elements ---

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._frame is not None:
            self._frame.start(tag, attributes)
        elif tag == FRAME and self._sheet is not None and self._tables <= 1:
            place = (min(self._row, MAX_ROW), min(self._column, MAX_COLUMN)) if self._cell is not None else None
            self._frame = FrameBuilder(self._sheet.name, place, attributes)
        elif self._cell is not None:
            self._inside(self._cell, tag, attributes)
        elif tag == odf.SHEET:
            self._tables += 1
            if self._tables == 1:
                self._open_sheet(attributes)
        elif self._tables > 1:
            return
        elif tag in (odf.CELL, odf.COVERED):
            self._cell = _Cell(attributes)
        elif tag == odf.ROW:
            self._rows, self._column = _repeated(attributes.get(odf.ROWS_REPEATED)), 1
            visibility = attributes.get(odf.VISIBILITY, "visible")
            if self._sheet is not None and visibility != "visible":
                self._hide(self._sheet, by_filter=visibility == "filter")
        elif tag == odf.NAMED_RANGE:
            self._add_name(attributes, areas_in_excel(attributes.get(odf.CELL_RANGE, "")))
        elif tag == odf.NAMED_EXPRESSION:
            self._add_name(attributes, formula_in_excel(attributes.get(odf.EXPRESSION, "")))
        elif tag == odf.DATABASE_RANGE:
            header = attributes.get(odf.HEADER, "true") == "true"
            self._areas.append((attributes.get(odf.NAME, ""), attributes.get(odf.TARGET_RANGE, ""), header))
        elif tag == odf.CALCULATION_SETTINGS:
            self._book.as_displayed = attributes.get(odf.AS_SHOWN) == "true"
        elif tag == odf.NULL_DATE:
            self._set_null_date(attributes.get(odf.NULL_DATE_VALUE, "1899-12-30"))
        elif tag == odf.SPREADSHEET:
            self._is_spreadsheet = True

    def _end(self, tag: str) -> None:
        cell = self._cell
        if self._frame is not None:
            if (frame := self._frame.end()) is not None:
                self._frames.append(frame)
                self._frame = None
        elif cell is not None and cell.depth:
            cell.depth -= 1
            if cell.depth == 0 and cell.pieces is not None:
                cell.paragraphs.append("".join(cell.pieces))
                cell.pieces = None
        elif cell is not None:
            self._end_cell(cell)
            self._cell = None
        elif tag == odf.SHEET:
            self._tables -= 1
            if self._tables == 0:
                self._sheet = None
        elif tag == odf.ROW and self._tables == 1:
            self._end_row()

    def _inside(self, cell: _Cell, tag: str, attributes: dict[str, str]) -> None:
        """Take the text of the cell itself, not that of a comment or a picture in it."""
        cell.depth += 1
        if cell.depth == 1:
            cell.pieces = [] if tag == odf.PARAGRAPH else None
        elif cell.pieces is not None:
            if tag == odf.SPACES:
                cell.pieces.append(_SPACE * min(_repeated(attributes.get(odf.COUNT)), 32_767))
            elif tag in (odf.TAB, odf.LINE_BREAK):
                cell.pieces.append("\t" if tag == odf.TAB else "\n")

    def _text(self, piece: str) -> None:
        if self._frame is not None:
            self._frame.text(piece)
        elif self._cell is not None and self._cell.pieces is not None:
            self._cell.pieces.append(piece)

    # --- sheets, rows and cells ---

    def _open_sheet(self, attributes: dict[str, str]) -> None:
        name = attributes.get(odf.NAME, "")
        if not name:
            raise self._part.error("has a sheet without a name")
        if self._book.sheet(name) is not None:
            raise self._part.error(f"has two sheets of the name {name!r}")
        self._sheet = Sheet(name, protected=attributes.get(odf.PROTECTED) == "true")
        self._book.sheets[name] = self._sheet
        self._row = 1

    def _hide(self, sheet: Sheet, *, by_filter: bool) -> None:
        if self._row + self._rows > MAX_ROW:  # the empty rows below all data
            return
        for rows in (sheet.hidden_rows, sheet.filtered_rows if by_filter else None):
            if rows is not None:
                rows.update(range(self._row, self._row + self._rows))

    def _end_cell(self, cell: _Cell) -> None:
        attributes = cell.attributes
        count = _repeated(attributes.get(odf.COLUMNS_REPEATED))
        value = self._value(cell)
        formula = attributes.get(odf.FORMULA, "")
        if value is not None or formula:
            array = None
            if odf.MATRIX_ROWS in attributes or odf.MATRIX_COLUMNS in attributes:
                array = _repeated(attributes.get(odf.MATRIX_ROWS)), _repeated(attributes.get(odf.MATRIX_COLUMNS))
            if self._column + count - 1 > MAX_COLUMN:
                raise self._part.error(f"has a cell outside the grid, in row {self._row}")
            self._contents.append(_Contents(self._column, count, value, formula, array))
        wide, high = _repeated(attributes.get(odf.COLUMNS_SPANNED)), _repeated(attributes.get(odf.ROWS_SPANNED))
        if (wide > 1 or high > 1) and self._sheet is not None:
            bottom, right = min(self._row + high - 1, MAX_ROW), min(self._column + wide - 1, MAX_COLUMN)
            self._sheet.merged.append(Range(self._sheet.name, self._row, self._column, bottom, right))
        self._column += count

    def _end_row(self) -> None:
        sheet = self._sheet
        if self._contents and sheet is not None:
            if self._row + self._rows - 1 > MAX_ROW:
                raise self._part.error(f"has a row outside the grid, after row {self._row}")
            self._cells += self._rows * sum(item.times for item in self._contents)
            if self._cells > MAX_CELLS:
                raise FileError(
                    f"“{self._part.book}” has more than {MAX_CELLS:,} cells", remedy="Don't use it unless you trust it"
                )
            for row in range(self._row, self._row + self._rows):
                for item in self._contents:
                    for column in range(item.column, item.column + item.times):
                        _put(sheet, row, column, item)
        self._contents = []
        self._row += self._rows

    def _value(self, cell: _Cell) -> Value | None:
        attributes = cell.attributes
        kind = attributes.get(odf.TYPE)
        try:
            if kind is None:
                return None
            if kind in odf.NUMBERS:
                return _finite(attributes[odf.VALUE])
            if attributes.get(odf.EXTENDED_TYPE) == "error":
                return odf.error_value(cell.text)
            if kind == "string":
                text = attributes.get(odf.STRING, cell.text)
                return text if text or odf.FORMULA in attributes else None
            if kind == "boolean":
                return {"true": True, "false": False}[attributes[odf.BOOLEAN]]
            if kind == "date":
                return odf.days(attributes[odf.DATE], self._book.date1904)
            if kind == "time":
                return odf.duration(attributes[odf.TIME])
        except (ValueError, LookupError, OverflowError):
            raise self._damaged("has a value that cannot be read") from None
        return None if kind == "void" else self._unknown(kind)

    def _unknown(self, kind: str) -> Value:
        raise self._damaged(f"is of an unknown type: {kind[:40]!r}")

    def _damaged(self, cause: str) -> FileError:
        place = Cell(self._sheet.name, min(self._row, MAX_ROW), min(self._column, MAX_COLUMN)) if self._sheet else None
        return self._part.error(f"is damaged: the cell {cause}", cell=place)

    # --- the workbook's names, tables and dates ---

    def _add_name(self, attributes: dict[str, str], text: str) -> None:
        scope = self._sheet.name if self._sheet is not None else None
        self._book.names.append(DefinedName(attributes.get(odf.NAME, ""), text, scope))

    def _add_table(self, name: str, text: str, header: bool) -> None:
        """A database range that has a name and lies on one sheet; the others are filters and imports."""
        try:
            area = parse_range(areas_in_excel(text), "")
        except FormulaError:
            return
        sheet = self._book.sheet(area.sheet)
        if sheet is None or not name or name.startswith("__Anonymous"):
            return
        heads = [sheet.values.get((area.top, column)) for column in range(area.left, area.right + 1)]
        columns = tuple(
            str(head) if header and head is not None else f"Column{number}" for number, head in enumerate(heads, 1)
        )
        self._book.tables[name] = Table(name, area._replace(sheet=sheet.name), columns, int(header))

    def _set_null_date(self, text: str) -> None:
        if text not in _NULL_DATES:
            raise FileError(
                f"“{self._part.book}” counts days from {text[:10]}, which Excel cannot",
                remedy="Set the date to 30/12/1899 in LibreOffice: Tools, Options, LibreOffice Calc, Calculate",
            )
        self._book.date1904 = _NULL_DATES[text]


def _put(sheet: Sheet, row: int, column: int, item: _Contents) -> None:
    if item.value is not None:
        sheet.values[row, column] = item.value
    if item.formula:
        text = formula_in_excel(item.formula)
        if item.array is not None:
            high, wide = item.array
            bottom, right = min(row + high - 1, MAX_ROW), min(column + wide - 1, MAX_COLUMN)
            sheet.formulas[row, column] = Formula(text, row, column, (row, column, bottom, right))
        elif text not in _CONSTANTS and text.strip():
            sheet.formulas[row, column] = Formula(text, row, column)


def _repeated(text: str | None) -> int:
    """How often something stands in the file. Raises ValueError for what is no number from 1 on."""
    if text is None:
        return 1
    number = int(text)
    if number < 1:
        raise ValueError(f"{text[:20]!r} is no number of cells")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0 or "_" in text:  # not finite, or Python's digit grouping
        raise ValueError(text)
    return number
