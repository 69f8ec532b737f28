"""What LibreOffice, IronCalc and we ourselves make of a workbook that was never calculated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lxml import etree

from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.comparison import Comparison
from sgdsheet.compiler.model import evaluate
from sgdsheet.compiler.program import build_program
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Reference, walk
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests.fuzz import sheetfile

Values = dict[Cell, Value]

OFFICE_SECONDS, OFFICE_SECONDS_PER_SHEET, IRONCALC_SECONDS = 40, 1, 120
ERRORS = {str(error): error for error in ExcelError}
WITHOUT_KIND = ExcelError.UNKNOWN
"""An error of LibreOffice's own (Err:502), for which Excel has several."""
NO_OPINION = {"#ERROR!", "#N/IMPL!", "#CIRC!"}


class Refused(Exception):
    """A cell that we say we cannot calculate."""


def ours(workbook: Workbook, sheet: str, parameters: Sequence[Range] = ()) -> tuple[Values, dict[Cell, SgdSheetError]]:
    """Our values of one sheet's formulas, and why there is none.

    With parameters, numbers are those of the program that is trained, also where `evaluate` knows better.
    """
    plan = planner_of(workbook, parameters).plan(list(_formula_areas(workbook, sheet)))
    program = build_program(workbook, parameters, plan, dtype=torch.float64, strict=False)
    found = evaluate(program)
    for _, error in found.failures:
        if isinstance(error.__cause__, Exception) and not isinstance(error.__cause__, SgdSheetError):
            raise error.__cause__  # a fault of ours, which a person would only read as a refusal
    values = dict(found.values)
    if parameters:
        comparison = Comparison(workbook)
        comparison.run(program)
        values |= {item.cell: item.computed for item in comparison.astray}
    return values, {cell: error for block, error in found.failures for cell in block.range.cells()}


def _formula_areas(workbook: Workbook, sheet: str) -> Iterator[Range]:
    for (row, column), formula in workbook.sheets[sheet].formulas.items():
        top, left, bottom, right = formula.array or (row, column, row, column)
        yield Range(sheet, top, left, bottom, right)


def libreoffice(office: str, book: Workbook, folder: Path) -> Values:
    """LibreOffice's values, read from its flat XML: that tells its errors apart, which its .xlsx does not.

    A workbook over which it hangs is taken in halves; of a single sheet it then has no opinion.
    """
    path, names = folder / "office.xlsx", list(book.sheets)
    sheetfile.write(book, path)
    command = [office, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", "fods"]
    process = subprocess.Popen(
        [*command, "--outdir", str(folder), str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(OFFICE_SECONDS + OFFICE_SECONDS_PER_SHEET * len(names))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # soffice starts another one that does the work
        process.wait()
        if len(names) == 1:
            return {}
        found: Values = {}
        for part in (names[: len(names) // 2], names[len(names) // 2 :]):
            found |= libreoffice(office, Workbook(book.name, {name: book.sheets[name] for name in part}), folder)
        return found
    return dict(flat_cells(path.with_suffix(".fods"), names))


def flat_cells(path: Path, sheets: Sequence[str]) -> Iterator[tuple[Cell, Value]]:
    """The cells of a workbook in flat XML, as LibreOffice has calculated them."""
    spaces = {name: f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("table", "office", "text")} | {
        "calcext": "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
    }
    table, office, text, calc = spaces["table"], spaces["office"], spaces["text"], spaces["calcext"]
    for page in etree.parse(str(path), etree.XMLParser(huge_tree=True)).iter(f"{table}table"):
        name = str(page.get(f"{table}name"))
        if name not in sheets:
            continue
        row = 0
        for line in page.iter(f"{table}table-row"):
            row += 1
            column = 0
            for item in line:
                if item.tag not in (f"{table}table-cell", f"{table}covered-table-cell"):
                    continue
                repeated = int(item.get(f"{table}number-columns-repeated", "1"))
                column += repeated
                shown = "\n".join("".join(part.itertext()) for part in item.iter(f"{text}p"))
                value: Value | None = None
                if item.get(f"{calc}value-type") == "error":
                    value = ERRORS.get(shown, WITHOUT_KIND)
                elif item.get(f"{office}value") is not None:
                    value = float(str(item.get(f"{office}value")))
                elif item.get(f"{office}boolean-value") is not None:
                    value = item.get(f"{office}boolean-value") == "true"
                elif item.get(f"{office}value-type") == "string" or item.get(f"{table}formula") is not None:
                    value = shown
                if value is not None:
                    for place in range(column - repeated + 1, column + 1):
                        yield Cell(name, row, place), value
            row += int(line.get(f"{table}number-rows-repeated", "1")) - 1


def ironcalc(path: Path, sheets: Sequence[str]) -> Values:
    """IronCalc's values; none where it does not answer in time, as over huge lookups, or breaks."""
    script = Path(__file__).with_name("ironcalc_side.py")
    try:
        done = subprocess.run(
            [sys.executable, str(script), str(path)], capture_output=True, timeout=IRONCALC_SECONDS, check=True
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return {}
    lines = done.stdout.decode("utf-8").splitlines()
    cells: list[tuple[int, int, int, Any]] = json.loads(lines[-1])  # before it, the engine's own warnings
    found: Values = {}
    for sheet, row, column, value in cells:
        if isinstance(value, dict):
            if value["error"] in NO_OPINION:
                continue
            value = ERRORS.get(value["error"], WITHOUT_KIND)
        found[Cell(sheets[sheet], row, column)] = value
    return found


def areas(text: str, cell: Cell) -> Iterator[Range]:
    """The ranges that a formula reads, in the order of its text."""
    for part in walk(parse(text, cell.row, cell.column)):
        if isinstance(part, Reference):
            ends = [
                axis.value + (base if axis.relative else 0)
                for axis, base in zip(
                    (part.top, part.left, part.bottom, part.right), (cell.row, cell.column) * 2, strict=True
                )
            ]
            yield Range(
                cell.sheet, min(ends[0], ends[2]), min(ends[1], ends[3]), max(ends[0], ends[2]), max(ends[1], ends[3])
            )
