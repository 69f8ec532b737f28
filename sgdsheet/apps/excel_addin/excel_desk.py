"""An Excel that `sgdsheet addin verify` works in: its own workbooks, and buttons pressed by the add-in's procedures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]
import xlwings as xw

from sgdsheet.errors import HostError
from sgdsheet.hosts.excel import ExcelHost, connect
from sgdsheet.hosts.excel.busy import Patience, restrain_xlwings
from sgdsheet.hosts.excel.installed_addin import run
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value

SHEET = "Model"
START = (0.5, 0.25)
PARAMETERS = (Cell(SHEET, 1, 5), Cell(SHEET, 2, 5))
LOSS = Cell(SHEET, 4, 5)
RATE = Cell(SHEET, 2, 8)
POINTS = ((0.0, 1.1), (1.0, 2.9), (2.0, 5.2), (3.0, 6.8), (4.0, 9.1))
_SLOW = 1e-5
"""A learning rate at which training goes on for long."""
_TO_START = 60.0
_TO_ANSWER = 30.0


class Different(Exception):
    """Something was not as the checklist says; the text says what was seen."""


def write_model(path: Path) -> Path:
    """A line through five points, as a model with its settings."""
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(SHEET)
        sheet.write_column("E1", START)
        squares = []
        for row, (x, y) in enumerate(POINTS, 2):
            fitted = START[0] * x + START[1]
            squares.append((fitted - y) ** 2)
            sheet.write_row(f"A{row}", (x, y))
            sheet.write_formula(f"C{row}", f"=$E$1*A{row}+$E$2", value=fitted)
            sheet.write_formula(f"D{row}", f"=(C{row}-B{row})^2", value=squares[-1])
        sheet.write_formula("E4", "=AVERAGE(D2:D6)", value=sum(squares) / len(squares))
        sheet.write_column("G1", ("optimizer", "learning rate", "steps"))
        sheet.write_column("H1", ("sgd", _SLOW, 10_000_000))
        for name, area in (("loss", "$E$4"), ("params", "$E$1:$E$2"), ("settings", "$G$1:$H$3")):
            book.define_name(f"sgd_{name}", f"={SHEET}!{area}")
    return path


class Desk:
    """An Excel, and the workbook that is worked on."""

    def __init__(self, app: xw.App, folder: Path) -> None:
        self.app, self.folder = app, folder
        self._call = Patience()
        self._books: list[xw.Book] = []
        self.host: ExcelHost
        self.open(write_model(folder / "sgdsheet verify.xlsx"))

    def open(self, path: Path) -> None:
        """Open a workbook: it is the one that is worked on from now on."""
        known = [book for book in self.app.books if book.name == path.name]
        book = known[0] if known else self._call(self.app.books.open, str(path))
        self._books.append(book)
        self.host = connect(str(path), str(self.app.pid))
        self.host.patience = _TO_ANSWER

    @property
    def book(self) -> xw.Book:
        return self._books[-1]

    def press(self, action: str) -> float:
        """Press a button in the workbook; the seconds until Excel is back."""
        self._call(self.book.activate)
        start = time.monotonic()
        self.procedure("SgdPress", action)
        return time.monotonic() - start

    def procedure(self, name: str, *arguments: Any) -> Any:
        """What a procedure of the add-in returns."""
        return self._call(run, self.app, name, *arguments)

    def value(self, cell: Cell) -> Value | None:
        return self.host.read_values([Range.of_cell(cell)]).get(cell)

    def parameters(self) -> tuple[Value | None, ...]:
        return tuple(self.value(cell) for cell in PARAMETERS)

    def formula(self, cell: str, text: str) -> Value | None:
        """What a formula gives, entered into a cell of the model's sheet."""
        area = self.book.sheets[SHEET].range(cell)
        self._call(setattr, area, "formula2" if "SOFTMAX" in text else "formula", text)
        return self.value(Cell(SHEET, area.row, area.column))

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 0) -> float:
        """Wait until something holds; the seconds that it took. Raises Different: `what` was not seen within `seconds`.

        Without a limit it waits as long as Excel may take to answer. A look that fails is taken again: a sheet may go,
        or get its name, while it is looked at. At the end the error of the last look is raised.
        """
        start, seconds = time.monotonic(), seconds or _TO_ANSWER
        while True:
            try:
                if holds():
                    return time.monotonic() - start
                failed: Exception = Different(f"not within {seconds:g} seconds: {what}")
            except Different:
                raise
            except Exception as error:  # Excel's own, which differ by system
                failed = error
            if time.monotonic() > start + seconds:
                raise failed
            time.sleep(0.1)

    def status_bar(self) -> str:
        return str(self._call(getattr, self.app, "status_bar") or "")

    def sheets(self) -> list[str]:
        return [sheet.name for sheet in self.book.sheets]

    def close(self) -> None:
        """Close the workbooks that were opened; what else is open in Excel stays."""
        for book in reversed(self._books):
            try:
                self._call(book.close)
            except HostError:
                continue


def find_excel(folder: Path) -> Desk:
    """The Excel that is running, or one that is started as a person does. HostError if there is none.

    One that a program starts through COM would not load add-ins.
    """
    if xw.engines.active is None:
        raise HostError("there is no Excel on this system", remedy="Run this where Excel for Windows or macOS is")
    restrain_xlwings()
    first = write_model(folder / "sgdsheet verify.xlsx")
    if not list(xw.apps.keys()):
        _start(first)
    end = time.monotonic() + _TO_START
    while not (found := list(xw.apps.keys())):
        if time.monotonic() > end:
            raise HostError("Excel does not start", remedy="Start it with a new workbook, then try again")
        time.sleep(0.5)
    return Desk(xw.apps[found[0]], folder)


def _start(workbook: Path) -> None:
    try:
        if sys.platform == "win32":
            os.startfile("excel.exe", arguments=f'"{workbook}"')
        else:
            subprocess.run(["open", "-a", "Microsoft Excel", str(workbook)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HostError("Excel cannot be started", remedy="Install Excel for the desktop") from error
