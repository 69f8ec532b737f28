"""Edited workbooks in other programs: openpyxl and LibreOffice read what was saved, and `check` finds it right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from openpyxl.utils.escape import unescape

from sgdsheet.errors import FileError
from sgdsheet.hosts.cell_edit import CellEdit, Cleared, Constant, FormulaEdit
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests.cli_books import run
from tests.edit_books import drawn, loaded
from tests.fuzz.edits import CONSTANTS, FORMULAS
from tests.office import LibreOffice
from tests.xlsx_parts import openpyxl_book

BUILDERS = [drawn, loaded]
KNOWN_TO_LIBREOFFICE = [text for text in FORMULAS if not text.startswith(("XLOOKUP", "LET", "{"))]


def edited(path: Path, chance: Random, formulas: list[str], constants: tuple[Value, ...]) -> FileHost:
    """A book with many edits that are not refused; formulas have no results yet."""
    host, book = FileHost(path), load(path)
    for name, sheet in book.sheets.items():
        last_row, last_column = sheet.extent
        for _ in range(25):
            cell = Cell(name, chance.randint(2, last_row + 3), chance.randint(1, last_column + 3))
            edit: CellEdit = chance.choice(
                (Cleared(), Constant(chance.choice(constants)), FormulaEdit(chance.choice(formulas)))
            )
            alone = FileHost(path)
            alone.edit({cell: edit})
            try:
                alone.saved_bytes()
            except FileError:
                continue
            host.edit({cell: edit})
    return host


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_openpyxl_reads_the_same(tmp_path: Path, build: Callable[[Path, Random], Path], seed: int) -> None:
    chance = Random(seed)
    host = edited(build(tmp_path / "book.xlsx", chance), chance, list(FORMULAS), CONSTANTS)
    host.save(tmp_path / "out.xlsx")
    ours = load(tmp_path / "out.xlsx")
    formulas, values = (openpyxl_book(tmp_path / "out.xlsx", values=only) for only in (False, True))
    before = openpyxl_book(tmp_path / "book.xlsx")
    for name, sheet in ours.sheets.items():
        for row in formulas[name].iter_rows():
            for cell in row:
                if cell.hyperlink:  # openpyxl puts the address into an empty cell
                    continue
                place = cell.row, cell.column
                formula, text = sheet.formulas.get(place), cell.value
                if formula is None:
                    assert _same(text, sheet.values.get(place)), (name, place, text)
                elif formula.array is None:
                    assert text == f"={formula_text(formula, *place)}", (name, place)
                assert _same(values[name].cell(*place).value, sheet.values.get(place)), (name, place)
        assert _around(formulas[name]) == _around(before[name])


def _around(page: Any) -> dict[str, object]:
    """What stands around the cells of a sheet, as openpyxl tells it."""
    rules = page.conditional_formatting
    return {
        "comments": {cell.coordinate: cell.comment.text for row in page.iter_rows() for cell in row if cell.comment},
        "links": {cell.coordinate: cell.hyperlink.target for row in page.iter_rows() for cell in row if cell.hyperlink},
        "rules": [(str(item.sqref), [rule.type for rule in item.rules]) for item in rules],
        "validations": [(str(item.sqref), item.formula1) for item in page.data_validations.dataValidation],
        "merged": sorted(map(str, page.merged_cells.ranges)),
        "tables": dict(page.tables.items()),
        "charts": len(page._charts),
        "panes": page.freeze_panes,
        "widths": {letter: column.width for letter, column in page.column_dimensions.items()},
    }


def _same(theirs: object, ours: Value | None) -> bool:
    """Whether a value is ours as openpyxl has it: dates as dates, and the escapes of control characters as they are."""
    if isinstance(theirs, datetime | time | timedelta):
        return isinstance(ours, float)
    if isinstance(ours, ExcelError):
        return theirs == str(ours)
    return theirs == ours or (theirs is None and ours == "") or (isinstance(theirs, str) and unescape(theirs) == ours)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("seed", [3, 4])
def test_libreoffice_calculates_the_same_and_check_is_clean(
    tmp_path: Path, converter: LibreOffice, build: Callable[[Path, Random], Path], seed: int
) -> None:
    """Formulas mean the same to LibreOffice and to us, cell by cell, and no constant is lost."""
    chance = Random(seed)
    constants: tuple[Value, ...] = (0.5, 3.0, True, "text", " spaced", "a <b> & “c”", "=1+1", "_x000D_")
    host = edited(build(tmp_path / "book.xlsx", chance), chance, KNOWN_TO_LIBREOFFICE, constants)
    host.save(tmp_path / "edited.xlsx")
    ours = load(tmp_path / "edited.xlsx")
    again = FileHost(tmp_path / "edited.xlsx")
    again.mark_uncalculated(_formulas(ours))
    again.save()
    theirs = load(converter.convert(tmp_path / "edited.xlsx", tmp_path / "office.xlsx"))
    assert list(theirs.sheets) == list(ours.sheets)
    calculated_here = _cells(ours)
    for name, sheet in ours.sheets.items():
        calculated = theirs.sheets[name]
        for place, value in sheet.values.items():
            if Cell(name, *place) not in calculated_here:
                assert calculated.values.get(place) == value or value == "", (name, place)
    results = {
        cell: theirs.sheets[cell.sheet].values[cell[1:]]
        for cell in _cells(ours)
        if cell[1:] in theirs.sheets[cell.sheet].values
    }
    again = FileHost(tmp_path / "edited.xlsx")
    again.write(results)
    again.save(tmp_path / "calculated.xlsx")
    done = run("check", tmp_path / "calculated.xlsx", "--all", "--json")
    assert done.json["mismatches"] == [], done.json["mismatches"]
    assert done.json["compared"] >= 10


def _formulas(book: Workbook) -> list[Cell]:
    return [Cell(name, *place) for name, sheet in book.sheets.items() for place in sheet.formulas]


def _cells(book: Workbook) -> set[Cell]:
    """The cells with formulas, and those that array formulas fill."""
    found = set(_formulas(book))
    for name, sheet in book.sheets.items():
        for formula in sheet.formulas.values():
            if formula.array is not None:
                top, left, bottom, right = formula.array
                found |= {Cell(name, row, col) for row in range(top, bottom + 1) for col in range(left, right + 1)}
    return found
