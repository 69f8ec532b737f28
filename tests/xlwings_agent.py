"""The LibreOffice side of the xlwings engine in `xlwings_libreoffice.py`; runs under LibreOffice's own Python.

The package's agent answers most requests; this one adds what only xlwings asks for.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uno  # type: ignore[import-not-found]
from com.sun.star.awt import Rectangle  # type: ignore[import-not-found]
from com.sun.star.lang import Locale  # type: ignore[import-not-found]
from com.sun.star.table import CellAddress  # type: ignore[import-not-found]

from sgdsheet.hosts.libreoffice.agent.cells import FORMULAS, Refused, array_areas, corners, formula_texts, rectangle
from sgdsheet.hosts.libreoffice.agent.requests import Agent, connect

EVERYTHING = 1023  # com.sun.star.sheet.CellFlags
LOGICAL = 1024  # com.sun.star.util.NumberFormat
EXCEL = 1  # com.sun.star.sheet.AddressConvention.XL_A1
BOLD = 150.0


class HarnessAgent(Agent):
    """Sheets, cells, names and charts, one request for each thing that Excel's objects can do."""

    def do_paths(self) -> list[str]:
        return [self._keep(document) for document in self._documents()]

    def do_title(self, book: str) -> str:
        return str(self._book(book).Title)

    def do_settings(self, book: str) -> dict[str, bool]:
        document = self._book(book)
        return {"date1904": document.NullDate.Year == 1904, "as_displayed": document.CalcAsShown}

    def do_sheets(self, book: str) -> list[str]:
        return list(self._book(book).Sheets.ElementNames)

    def do_active(self, book: str) -> str:
        return str(self._book(book).CurrentController.ActiveSheet.Name)

    def do_activate(self, book: str, sheet: str) -> None:
        self._book(book).CurrentController.setActiveSheet(self._sheet(book, sheet))

    def do_add_sheet(self, book: str, name: str, position: int) -> None:
        document = self._book(book)
        document.Sheets.insertNewByName(name, position)
        document.CurrentController.setActiveSheet(document.Sheets.getByName(name))  # as Excel does

    def do_rename(self, book: str, sheet: str, name: str) -> None:
        if self._book(book).Sheets.hasByName(name):
            raise Refused("taken", sheet=name)
        page = self._sheet(book, sheet)
        page.Name = name
        if page.Name != name:  # LibreOffice ignores what cannot be a name
            raise Refused("name", sheet=name)

    def do_sheet_now(self, book: str, name: str) -> str | None:
        """Unlike the package's agent: a sheet that was never used is used now."""
        return super().do_sheet_now(book, name) or str(self._sheet(book, name).Name)

    def do_delete_sheet(self, book: str, sheet: str) -> None:
        self._book(book).Sheets.removeByName(sheet)

    def do_clear(self, book: str, sheet: str) -> None:
        self._sheet(book, sheet).clearContents(EVERYTHING)

    # --- cells ---------------------------------------------------------------------------------------------

    def do_used(self, book: str, sheet: str) -> list[int]:
        cursor = self._sheet(book, sheet).createCursor()
        cursor.gotoEndOfUsedArea(False)
        cursor.gotoStartOfUsedArea(True)
        return corners(cursor.RangeAddress)

    def do_block(self, book: str, sheet: str, area: list[int], formulas: bool) -> dict[str, Any]:
        return self.do_read_areas(book, [[sheet, *area]], formulas)[0]

    def do_arrays(self, book: str, sheet: str, area: list[int]) -> list[list[int]]:
        """The areas of the array formulas of which a part lies in an area."""
        page = self._sheet(book, sheet)
        cells = rectangle(page, area)
        areas = [corners(address) for address in cells.queryContentCells(FORMULAS).RangeAddresses]
        return array_areas(page, areas, formula_texts(cells, areas))

    def do_put(self, book: str, sheet: str, top: int, left: int, rows: list[list[Any]]) -> None:
        """Put values into cells, whatever stands there. A boolean is a number of a format of its own."""
        document, page = self._book(book), self._sheet(book, sheet)
        cells = rectangle(page, [top, left, top + len(rows) - 1, left + len(rows[0]) - 1])
        logical = document.NumberFormats.getStandardFormat(LOGICAL, Locale())
        formats = cells.UniqueCellFormatRanges
        for same in [formats.getByIndex(number) for number in range(formats.Count)]:
            if document.NumberFormats.getByKey(same.NumberFormat).Type & LOGICAL:
                same.NumberFormat = 0
        cells.setDataArray(tuple(tuple(map(_plain, row)) for row in rows))
        for row, line in enumerate(rows):
            for column, value in enumerate(line):
                if isinstance(value, bool):
                    page.getCellByPosition(left - 1 + column, top - 1 + row).NumberFormat = logical

    def do_formula(self, book: str, sheet: str, area: list[int], text: str, array: bool) -> None:
        """Enter a formula as Excel writes it."""
        document, page = self._book(book), self._sheet(book, sheet)
        parser = document.createInstance("com.sun.star.sheet.FormulaParser")
        parser.CompileEnglish, parser.FormulaConvention = True, EXCEL
        cells = rectangle(page, area)
        place = page.getCellByPosition(area[1] - 1, area[0] - 1).CellAddress
        tokens = parser.parseFormula(text.lstrip("="), place)
        if array:
            cells.setArrayTokens(tokens)
        else:
            page.getCellByPosition(area[1] - 1, area[0] - 1).setTokens(tokens)

    def do_merged(self, book: str, sheet: str, area: list[int]) -> list[list[int]]:
        """The merged areas of which a part lies in an area."""
        page = self._sheet(book, sheet)
        around = page.createCursorByRange(rectangle(page, area))
        around.collapseToMergedArea()
        if corners(around.RangeAddress) != area and area[:2] == area[2:]:
            return [corners(around.RangeAddress)]
        formats = around.UniqueCellFormatRanges
        groups = [formats.getByIndex(number).RangeAddresses for number in range(formats.Count)]
        found = []
        for addresses in groups:
            top, left, _, _ = corners(addresses[0])
            if rectangle(page, [top, left, top, left]).IsMerged:
                for top, left, bottom, right in map(corners, addresses):
                    cells = [(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)]
                    found += [self._merged_at(page, *cell) for cell in cells]
        return found

    @staticmethod
    def _merged_at(page: Any, row: int, column: int) -> list[int]:
        cursor = page.createCursorByRange(rectangle(page, [row, column, row, column]))
        cursor.collapseToMergedArea()
        return corners(cursor.RangeAddress)

    def do_merge(self, book: str, sheet: str, area: list[int], on: bool) -> None:
        rectangle(self._sheet(book, sheet), area).merge(on)

    def do_hidden_rows(self, book: str, sheet: str, area: list[int]) -> bool | None:
        rows = self._sheet(book, sheet).Rows
        found = {rows.getByIndex(number - 1).IsVisible for number in range(area[0], area[2] + 1)}
        return None if len(found) > 1 else not found.pop()

    def do_filters(self, book: str, sheet: str) -> list[Any]:
        """The lists with filter buttons: the name, the area, and whether a filter is set."""
        document, page = self._book(book), self._sheet(book, sheet)
        found = []
        for ranges in (document.DatabaseRanges, document.getPropertyValue("UnnamedDatabaseRanges")):
            if hasattr(ranges, "ElementNames"):
                items = [(name, ranges.getByName(name)) for name in ranges.ElementNames]
            else:
                number = page.RangeAddress.Sheet
                items = [("", ranges.getByTable(number))] if ranges.hasByTable(number) else []
            for name, item in items:
                if item.AutoFilter and item.DataArea.Sheet == page.RangeAddress.Sheet:
                    hides = bool(item.getFilterDescriptor().FilterFields2)
                    found.append([name, [sheet, *corners(item.DataArea)], hides])
        return found

    def do_protected(self, book: str, sheet: str) -> bool:
        return bool(self._sheet(book, sheet).isProtected())

    def do_protect(self, book: str, sheet: str, on: bool) -> None:
        page = self._sheet(book, sheet)
        if on:
            page.protect("")
        else:
            page.unprotect("")

    def do_place(self, book: str, sheet: str, cell: list[int]) -> list[float]:
        """The upper left corner of a cell in points."""
        place = self._sheet(book, sheet).getCellByPosition(cell[1] - 1, cell[0] - 1).Position
        return [place.X * 72 / 2540, place.Y * 72 / 2540]

    def do_bold(self, book: str, sheet: str, area: list[int], on: bool) -> None:
        rectangle(self._sheet(book, sheet), area).CharWeight = BOLD if on else 100.0

    def do_is_bold(self, book: str, sheet: str, area: list[int]) -> bool:
        return bool(rectangle(self._sheet(book, sheet), area).CharWeight == BOLD)

    def do_number_format(self, book: str, sheet: str, area: list[int], shown: str) -> None:
        numbers, english = self._book(book).NumberFormats, Locale("en", "US", "")
        key = numbers.queryKey(shown, english, False)
        rectangle(self._sheet(book, sheet), area).NumberFormat = numbers.addNew(shown, english) if key < 0 else key

    def do_number_format_of(self, book: str, sheet: str, area: list[int]) -> str:
        key = rectangle(self._sheet(book, sheet), area).NumberFormat
        return str(self._book(book).NumberFormats.getByKey(key).FormatString)

    def do_autofit(self, book: str, sheet: str, area: list[int]) -> None:
        rectangle(self._sheet(book, sheet), area).Columns.OptimalWidth = True

    # --- names and tables ----------------------------------------------------------------------------------

    def do_names(self, book: str) -> list[list[Any]]:
        """Name, scope, content."""
        document = self._book(book)
        scopes = [(None, document.NamedRanges)]
        scopes += [(name, self._sheet(book, name).NamedRanges) for name in document.Sheets.ElementNames]
        return [[name, scope, names.getByName(name).Content] for scope, names in scopes for name in names.ElementNames]

    def _names(self, book: str, scope: str | None) -> Any:
        return self._book(book).NamedRanges if scope is None else self._sheet(book, scope).NamedRanges

    def do_set_name(self, book: str, name: str, scope: str | None, content: str) -> None:
        names = self._names(book, scope)
        if names.hasByName(name):
            names.getByName(name).Content = content
        else:
            names.addNewByName(name, content, CellAddress(), 0)

    def do_delete_name(self, book: str, name: str, scope: str | None) -> None:
        self._names(book, scope).removeByName(name)

    def do_tables(self, book: str) -> list[list[Any]]:
        document = self._book(book)
        sheets = document.Sheets.ElementNames
        found = [(name, document.DatabaseRanges.getByName(name)) for name in document.DatabaseRanges.ElementNames]
        return [
            [name, sheets[item.DataArea.Sheet], corners(item.DataArea), bool(item.ContainsHeader), bool(item.TotalsRow)]
            for name, item in found
        ]

    # --- charts --------------------------------------------------------------------------------------------

    def do_charts(self, book: str, sheet: str) -> list[str]:
        return list(self._sheet(book, sheet).Charts.ElementNames)

    def do_add_chart(self, book: str, sheet: str, name: str, place: list[float]) -> None:
        page = self._sheet(book, sheet)
        charts, nothing = page.Charts, (rectangle(page, [1, 1, 1, 1]).RangeAddress,)
        charts.addNewByName(name, Rectangle(*(int(number * 2540 / 72) for number in place)), nothing, True, True)
        drawn = charts.getByName(name).EmbeddedObject
        drawn.setDiagram(drawn.createInstance("com.sun.star.chart.XYDiagram"))
        drawn.Diagram.Lines, drawn.Diagram.SymbolType = True, -3

    def do_delete_chart(self, book: str, sheet: str, name: str) -> None:
        self._sheet(book, sheet).Charts.removeByName(name)

    def do_chart_areas(self, book: str, name: str, chart: str = "", areas: Any = None) -> list[list[int]]:
        """What a chart shows, after it was set if areas are given: first the x, then the lines."""
        page = self._sheet(book, name)
        found = page.Charts.getByName(chart or page.Charts.ElementNames[0])
        if areas is not None:
            found.setRanges(tuple(rectangle(page, area).RangeAddress for area in areas))
        return [corners(address) for address in found.getRanges()]

    def do_chart_title(self, book: str, sheet: str, chart: str, text: str | None) -> str | None:
        drawn = self._sheet(book, sheet).Charts.getByName(chart).EmbeddedObject
        if text is not None:
            drawn.HasMainTitle, drawn.Title.String = True, text
        return str(drawn.Title.String) if drawn.HasMainTitle else None

    def do_chart_legend(self, book: str, sheet: str, chart: str, on: bool) -> None:
        self._sheet(book, sheet).Charts.getByName(chart).EmbeddedObject.HasLegend = on

    # --- the program ---------------------------------------------------------------------------------------

    def do_automatic(self, book: str, on: bool | None = None) -> bool:
        document = self._book(book)
        if on is not None:
            document.enableAutomaticCalculation(on)
        return bool(document.isAutomaticCalculationEnabled())

    def do_calculate(self, book: str) -> None:
        self._book(book).calculate()

    def do_calculate_all(self, book: str) -> None:
        self._book(book).calculateAll()

    def do_drawing(self, book: str, on: bool) -> None:
        """Whether the window shows changes at once."""
        document = self._book(book)
        if on and document.hasControllersLocked():
            document.unlockControllers()
        elif not on:
            document.lockControllers()

    def do_bring_forward(self, book: str) -> None:
        self._book(book).CurrentController.Frame.activate()

    def do_macro(self, file: str, name: str, arguments: list[Any]) -> Any:
        document = next((item for item in self._documents() if item.URL.endswith(f"/{file}")), None)
        if document is None:
            raise RuntimeError(f"Cannot run the macro {name}")
        address = f"vnd.sun.star.script:sgdsheet.{name}?language=Basic&location=document"
        rows = [tuple(map(tuple, item)) if isinstance(item, list) else item for item in arguments]
        return document.getScriptProvider().getScript(address).invoke(tuple(rows), (), ())[0]

    def do_save(self, book: str, path: str) -> None:
        document = self._book(book)
        if path:
            document.storeToURL(uno.systemPathToFileUrl(path), ())
        else:
            document.store()


def _plain(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, str) else float(value)


def main(pipe: str) -> None:
    """Answer requests on standard input, one a line, until it ends."""
    agent = HarnessAgent(connect(pipe, 30.0))
    print(json.dumps({"ok": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(agent.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
