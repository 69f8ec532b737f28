"""Workbooks for the tests of the command line, and a way to call it inside the test's own process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xlsxwriter

from sgdsheet.apps.cli import main
from sgdsheet.sheet.references import parse_range

SHEET = "Model"
X = [0.0, 1.0, 2.0, 3.0, 4.0]
Y = [1.1, 2.9, 5.2, 6.8, 9.1]
SLOPE, INTERCEPT = 0.5, 0.25
NAMES = {"sgd_loss": "Model!$E$4", "sgd_params": "Model!$E$1:$E$2"}

Cells = Mapping[str, Any]
"""By A1 reference: a value, a `=formula`, a pair of `=formula` and its saved value, `{=formula}` (an array
formula over the reference), `#=formula` (a dynamic array that spills over it), or None for nothing."""


@dataclass(frozen=True)
class Run:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout: `json.loads` refuses anything before or behind it."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def run(*arguments: object) -> Run:
    """Run `sgdsheet` with these arguments, without the seconds that a process of its own would take."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Run(status, out.getvalue(), err.getvalue())


def line_cells(x: list[float] = X, y: list[float] = Y, slope: float = SLOPE, intercept: float = INTERCEPT) -> Cells:
    """A straight line through points: data in A and B, parameters in E1 and E2, the loss in E4."""
    predicted = [slope * one + intercept for one in x]
    errors = [(one - two) ** 2 for one, two in zip(predicted, y, strict=True)]
    cells: dict[str, Any] = {"A1": "x", "B1": "y", "C1": "line", "D1": "error", "E1": slope, "E2": intercept}
    for row, (one, two, line, error) in enumerate(zip(x, y, predicted, errors, strict=True), 2):
        cells |= {f"A{row}": one, f"B{row}": two}
        cells[f"C{row}"] = (f"=$E$1*A{row}+$E$2", line)
        cells[f"D{row}"] = (f"=(C{row}-B{row})^2", error)
    cells["E4"] = (f"=AVERAGE(D2:D{len(x) + 1})", sum(errors) / len(errors))
    return cells


def write_book(
    path: Path,
    cells: Cells,
    names: Mapping[str, str],
    *,
    more: Mapping[str, Cells] | None = None,
    adjust: Callable[[Any, Any], object] = lambda book, sheet: None,
) -> Path:
    """Write a workbook: the sheet `Model` and `more` sheets; names belong to `Model` if they say nothing.

    `adjust` gets XlsxWriter's workbook and the first worksheet at the end.
    """
    with xlsxwriter.Workbook(str(path)) as book:
        for name, content in {SHEET: cells, **(more or {})}.items():
            fill(book.add_worksheet(name), content)
        for name, text in names.items():
            book.define_name(name if "!" in name else f"{SHEET}!{name}", f"={text}")
        adjust(book, book.worksheets()[0])
    return path


def fill(sheet: Any, cells: Cells) -> None:
    """Put cells into a worksheet of XlsxWriter."""
    for reference, content in cells.items():
        area = parse_range(reference, SHEET)
        corners = (area.top - 1, area.left - 1, area.bottom - 1, area.right - 1)
        if isinstance(content, str) and content.startswith("{="):
            sheet.write_array_formula(*corners, content)
        elif isinstance(content, str) and content.startswith("#="):
            sheet.write_dynamic_array_formula(*corners, content[1:])
        elif isinstance(content, tuple):
            sheet.write_formula(*corners[:2], content[0], None, content[1])
        elif content is not None:
            sheet.write(*corners[:2], content)


def line_book(
    folder: Path,
    changes: Cells | None = None,
    names: Mapping[str, str] | None = None,
    name: str = "line.xlsx",
    **more: Any,
) -> Path:
    """The straight line as a file, with some cells or names changed.

    Where that makes the saved values of its own formulas wrong, they have none; a pair says what is saved.
    """
    cells, changes = line_cells(), changes or {}
    if any(not isinstance(content, tuple) and (key in cells or key[0] in "AB") for key, content in changes.items()):
        cells = {key: content[0] if isinstance(content, tuple) else content for key, content in cells.items()}
    return write_book(folder / name, {**cells, **changes}, {**NAMES, **(names or {})}, **more)


def predictions(formula: str) -> dict[str, str]:
    """The column of predictions with another formula, in which `#` stands for the row."""
    return {f"C{row}": formula.replace("#", str(row)) for row in range(2, len(X) + 2)}
