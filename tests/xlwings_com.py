"""What stands behind `.api` in the xlwings engine over LibreOffice: the few of Excel's own objects that we use.

They bear Excel's names and behave as Excel's documentation says, so that the code for Windows runs against a live
spreadsheet. That Excel really behaves so is not shown by that.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sgdsheet.hosts.libreoffice.calc_reader import values
from sgdsheet.hosts.libreoffice.programs import office_python
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Range, column_letters, parse_range
from sgdsheet.sheet.workbook import ExcelError

EDITING, REJECTED = -2146777998, -2147418111  # 0x800AC472, 0x80010001
EXCEPTION, UNAVAILABLE, REQUIRED = -2147352567, -2147023174, -2146827864
BAD_INDEX, APPLICATION_DEFINED = -2147352565, -2146827284
ERRORS = {
    ExcelError.NULL: -2146826288,
    ExcelError.DIV0: -2146826281,
    ExcelError.VALUE: -2146826273,
    ExcelError.REF: -2146826265,
    ExcelError.NAME: -2146826259,
    ExcelError.NUM: -2146826252,
    ExcelError.NA: -2146826246,
}
_BOOT = """
import os, sys, types
for name in ("sgdsheet", "sgdsheet.hosts", "sgdsheet.hosts.libreoffice"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [sys.argv[1] + name.replace(".", "/")[8:]]
sys.path.insert(0, sys.argv[2])
from tests.xlwings_agent import main
main(sys.argv[3])
sys.stdout.flush()
os._exit(0)
"""


class ComError(Exception):
    """Has the attributes of pywin32's com_error."""

    def __init__(self, hresult: int, text: str = "", scode: int | None = None) -> None:
        self.hresult = hresult
        self.strerror = "Exception occurred." if hresult == EXCEPTION else text
        self.excepinfo = (0, "Microsoft Excel", text, None, 0, scode) if scode is not None else None
        self.argerror = None
        super().__init__(hresult, self.strerror, self.excepinfo, None)


class Office:
    """Asks the LibreOffice side, and turns its refusals into COM errors."""

    def __init__(self, pipe: str) -> None:
        root = Path(__file__).parent.parent
        command = [office_python(), "-E", "-B", "-c", _BOOT, root / "sgdsheet", root, pipe]
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.busy = 0
        """So many of the next calls are rejected, as Excel does while a cell is edited."""
        self.busy_code = EDITING
        self.calls = 0
        self.lines: dict[tuple[str, str, str], list[Series]] = {}
        self.looks: dict[tuple[str, str, str], dict[str, Any]] = {}
        """What was asked of each chart: book, sheet and name."""
        if not json.loads(self._line() or '{"ok": false}')["ok"]:
            raise ComError(UNAVAILABLE, "no office")

    def ask(self, do: str, **request: Any) -> Any:
        with self._lock:
            self.calls += 1
            if self.busy > 0:
                self.busy -= 1
                raise ComError(self.busy_code, "the application is busy")
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
                self._process.stdin.flush()
                line = self._line()
            except OSError:
                line = ""
        reply = json.loads(line) if line else {"ok": False, "reason": "gone"}
        if reply["ok"]:
            return reply["result"]
        raise _error(reply)

    def close(self) -> None:
        """End the agent; the office stays."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait(timeout=10)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _error(reply: dict[str, Any]) -> ComError:
    reason, text = reply["reason"], reply.get("text", reply["reason"])
    if reason == "gone" or "DisposedException" in text or "bridge" in text:
        return ComError(UNAVAILABLE, "The RPC server is unavailable.")
    if reason in ("closed", "not open"):
        return ComError(EXCEPTION, "Object required", REQUIRED)
    if reason == "no sheet":
        return ComError(EXCEPTION, "Subscript out of range", BAD_INDEX)
    return ComError(EXCEPTION, text, APPLICATION_DEFINED)


class Cells:
    """A range: one area or several."""

    def __init__(self, office: Office, book: str, sheet: str, areas: list[Range], dynamic: set[str]) -> None:
        self.office, self.book, self.sheet, self.areas, self.dynamic = office, book, sheet, areas, dynamic

    @property
    def first(self) -> Range:
        return self.areas[0]

    @property
    def place(self) -> dict[str, Any]:
        return {"book": self.book, "sheet": self.sheet, "area": list(self.first[1:])}

    def block(self, *, formulas: bool) -> dict[str, Any]:
        found: dict[str, Any] = self.office.ask("block", **self.place, formulas=formulas)
        return found

    @property
    def Address(self) -> str:
        return ",".join(_absolute(area) for area in self.areas)

    @property
    def Worksheet(self) -> Any:
        return type("Worksheet", (), {"Name": self.sheet})

    @property
    def Areas(self) -> Counted:
        return Counted([Cells(self.office, self.book, self.sheet, [area], self.dynamic) for area in self.areas])

    @property
    def EntireRow(self) -> Any:
        found = self.office.ask("hidden_rows", **self.place)
        return type("Rows", (), {"Hidden": found})

    @property
    def Value2(self) -> Any:
        found = values(self.block(formulas=False))
        area = self.first
        rows = tuple(
            tuple(_com_value(found.get((row, column))) for column in range(area.left, area.right + 1))
            for row in range(area.top, area.bottom + 1)
        )
        return rows if area.size > 1 else rows[0][0]

    @property
    def HasArray(self) -> bool | None:
        return self._among(self._arrays())

    @property
    def SavedAsArray(self) -> bool | None:
        arrays = self._arrays()
        return self._among([(*array[:2], *array[:2]) if self._spills(array) else array for array in arrays])

    @property
    def HasSpill(self) -> bool | None:
        return self._among([array for array in self._arrays() if self._spills(array)])

    @property
    def SpillParent(self) -> Cells:
        array = next(array for array in self._arrays() if self._spills(array))
        corner = Range(self.sheet, array[0], array[1], array[0], array[1])
        return Cells(self.office, self.book, self.sheet, [corner], self.dynamic)

    @property
    def SpillingToRange(self) -> Cells:
        return self._array(spills=True)

    @property
    def CurrentArray(self) -> Cells:
        return self._array(spills=False)

    @property
    def FormatConditions(self) -> Any:
        return Scales(self)

    def _array(self, *, spills: bool) -> Cells:
        array = next(array for array in self._arrays() if self._spills(array) is spills)
        return Cells(self.office, self.book, self.sheet, [Range(self.sheet, *array)], self.dynamic)

    def _arrays(self) -> list[tuple[int, int, int, int]]:
        found = self.office.ask("arrays", **self.place)
        return [(top, left, bottom, right) for top, left, bottom, right in found]

    def _spills(self, array: tuple[int, ...]) -> bool:
        return f"{self.sheet}!{column_letters(array[1])}{array[0]}" in self.dynamic

    def _among(self, arrays: list[tuple[int, int, int, int]]) -> bool | None:
        """True if all cells belong to one of the arrays, None if some do."""
        covered = {
            (row, column)
            for top, left, bottom, right in arrays
            for row in range(max(top, self.first.top), min(bottom, self.first.bottom) + 1)
            for column in range(max(left, self.first.left), min(right, self.first.right) + 1)
        }
        return len(covered) == self.first.size or (None if covered else False)


class Counted:
    """A collection that is called with numbers from 1."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    @property
    def Count(self) -> int:
        return len(self._items)

    def __call__(self, number: int) -> Any:
        return self._items[number - 1]


class Scales:
    """Conditional formats. LibreOffice cannot make colour scales on request, so they are only remembered."""

    made: list[tuple[str, Counted]] = []  # noqa: RUF012

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def AddColorScale(self, colours: int) -> Any:
        plain: Any = type("Plain", (), {})
        criteria = []
        for _ in range(colours):
            criteria.append(plain())
            criteria[-1].FormatColor = plain()
        scale = plain()
        scale.ColorScaleCriteria = Counted(criteria)
        self.made.append((f"{self._cells.sheet}!{self._cells.Address}", scale.ColorScaleCriteria))
        return scale


class ChartObject:
    """A chart: its title, its legend, and its lines over a common x."""

    def __init__(self, office: Office, book: str, sheet: str, name: str) -> None:
        self._office, self._place, self._name = office, {"book": book, "sheet": sheet}, name
        self.lines: list[Series] = office.lines.setdefault((book, sheet, name), [])
        self._look = office.looks.setdefault((book, sheet, name), {})

    @property
    def HasTitle(self) -> bool:
        return bool(self._look.get("title"))

    @HasTitle.setter
    def HasTitle(self, on: bool) -> None:
        self._look["title"] = on

    @property
    def ChartTitle(self) -> Any:
        return _Title(self._office, self._place, self._name)

    @property
    def HasLegend(self) -> bool:
        return bool(self._look.get("legend"))

    @HasLegend.setter
    def HasLegend(self, on: bool) -> None:
        self._look["legend"] = on
        self._office.ask("chart_legend", **self._place, chart=self._name, on=on)

    def SeriesCollection(self) -> SeriesCollection:
        return SeriesCollection(self)

    def areas(self, new: list[list[int]] | None = None) -> list[list[int]]:
        where = {"book": self._place["book"], "name": self._place["sheet"], "chart": self._name}
        found: list[list[int]] = self._office.ask("chart_areas", **where, areas=new)
        return found


class _Title:
    def __init__(self, office: Office, place: dict[str, str], chart: str) -> None:
        self._office, self._place, self._chart = office, place, chart

    @property
    def Text(self) -> str | None:
        found: str | None = self._office.ask("chart_title", **self._place, chart=self._chart, text=None)
        return found

    @Text.setter
    def Text(self, text: str) -> None:
        self._office.ask("chart_title", **self._place, chart=self._chart, text=text)


class SeriesCollection:
    """The lines of a chart. LibreOffice wants all of them at once, with their headings on top."""

    def __init__(self, chart: ChartObject) -> None:
        self.chart = chart
        self.lines: list[Series] = chart.lines

    @property
    def Count(self) -> int:
        return len(self.lines)

    def NewSeries(self) -> Series:
        self.lines.append(Series(self.put))
        return self.lines[-1]

    def __call__(self, number: int) -> Series:
        return self.lines[number - 1]

    def put(self) -> None:
        known = [line.area for line in self.lines if line.area is not None]
        if known and self.lines[0].x is not None:
            self.chart.areas([self.lines[0].x, *known])


class Series:
    """A line of a chart."""

    def __init__(self, put: Callable[[], None]) -> None:
        self._put = put
        self.area: list[int] | None = None
        self.x: list[int] | None = None
        self.Name = ""

    def set_values(self, cells: Cells) -> None:
        self.area = self._with_heading(cells)
        self._put()

    def set_x(self, cells: Cells) -> None:
        self.x = self._with_heading(cells)
        self._put()

    Values = property(None, set_values)
    XValues = property(None, set_x)

    @staticmethod
    def _with_heading(cells: Cells) -> list[int]:
        area = cells.first
        return [area.top - 1, area.left, area.bottom, area.right]


def areas_of(text: str, sheet: str) -> list[Range]:
    return [parse_range(part, sheet) for part in text.split(",")]


def _absolute(area: Range) -> str:
    if area.bottom == MAX_ROW and area.top == 1:
        return f"${column_letters(area.left)}:${column_letters(area.right)}"
    if area.right == MAX_COLUMN and area.left == 1:
        return f"${area.top}:${area.bottom}"
    corners = [(area.left, area.top), (area.right, area.bottom)]
    cells = [f"${column_letters(column)}${row}" for column, row in corners]
    return cells[0] if area.size == 1 else ":".join(cells)


def _com_value(value: Any) -> Any:
    return ERRORS.get(value, APPLICATION_DEFINED) if isinstance(value, ExcelError) else value
