"""Trained workbooks in another program: LibreOffice opens them and calculates what was written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter

import sgdsheet
from sgdsheet.hosts.file import load
from sgdsheet.problem.definition import sheets_with_problem
from sgdsheet.sheet.references import Cell, address, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests.cli_books import line_book, run
from tests.gallery import GALLERY
from tests.office import LibreOffice
from tests.shared_data import SOLVED, there
from tests.solver_models import PORTFOLIO, TRANSPORT, solver_names, write
from tests.xlsx_parts import without_values

EXAMPLES = sorted((Path(__file__).parent.parent / "workbooks").glob("*.xlsx"))
TOLERANCE = 1e-9


def train(folder: Path) -> dict[Path, list[dict[str, Any]]]:
    """Trained workbooks, each with what `train --json` said of its models."""
    sources = [build(folder / f"{name}.xlsx") for name, build in GALLERY.items()]
    sources += [Path(shutil.copy(path, folder)) for path in (*EXAMPLES, *there(SOLVED))]
    for name, item in (("portfolio", PORTFOLIO), ("transport", TRANSPORT)):
        names = solver_names(item["loss"], item["params"], 2, item["constraints"])
        sources.append(write(folder / f"{name}.xlsx", item["cells"], names))
    sources.append(line_book(folder, {"G1": "=E1*E2", "G2": "=G1+SUM(D2:D6)"}, name="grün & “blau”.xlsx"))
    found: dict[Path, list[dict[str, Any]]] = {}
    for path in sources:
        sheets = sheets_with_problem(load(path))
        bound = ("--source", digits(folder), "--preview") if path.stem.startswith("mnist") else ()
        for sheet in sheets if path.stem in ("titanic_solved", "quadratic") else sheets[-1:]:
            done = run("train", path, "--sheet", sheet, "--in-place", "--json", "--steps", "30", *bound)
            assert (done.status, done.err) == (0, ""), path.name
            found.setdefault(path, []).append(done.json)
    return found


def digits(folder: Path) -> Path:
    """Pictures without meaning, in the shape of MNIST's."""
    drawn = np.random.default_rng(0)
    images, labels = drawn.integers(0, 256, (200, 28, 28), dtype=np.uint8), np.arange(200, dtype=np.uint8) % 10
    np.savez(folder / "digits.npz", image=images, label=labels)
    return folder / "digits.npz"


def recalculate(office: LibreOffice, folder: Path, paths: list[Path]) -> dict[Path, Workbook]:
    """The workbooks as LibreOffice calculates them."""
    bare = folder / "bare"
    bare.mkdir()
    found = {}
    for index, path in enumerate(paths):
        copy = bare / f"book{index}.xlsx"
        without_values(path, copy)  # LibreOffice would keep those of a file from Excel
        found[path] = load(office.convert(copy, folder / "out" / copy.name))
    return found


def agree(one: Value | None, two: Value | None) -> bool:
    if isinstance(one, ExcelError) or isinstance(two, ExcelError):
        return isinstance(one, ExcelError) and isinstance(two, ExcelError)
    if isinstance(one, str) or isinstance(two, str):
        return (one or "") == (two or "")
    return abs(float(one or 0) - float(two or 0)) <= TOLERANCE * max(1.0, abs(float(one or 0)))


def test_libreoffice_calculates_what_was_written(converter: LibreOffice, tmp_path: Path) -> None:
    results = train(tmp_path)
    recalculated = recalculate(converter, tmp_path, list(results))
    compared, wrong = 0, []
    for path, models in results.items():
        written, other = load(path), recalculated[path]
        for found in models:
            loss = parse_range(found["loss_cell"], "").first
            if found["source"] is None:  # else it is the loss over a file
                shown = other.sheets[loss.sheet].values[loss[1:]]
                assert shown == pytest.approx(found["loss"], rel=TOLERANCE), path.name
        left = {
            cell for found in models for text in found["not_recalculated"] for cell in parse_range(text, "").cells()
        }
        for name, sheet in written.sheets.items():
            for position in sheet.formulas.keys() | sheet.values.keys():
                ours, theirs = sheet.values.get(position), other.sheets[name].values.get(position)
                if Cell(name, *position) not in left:
                    compared += 1
                    if not agree(ours, theirs):
                        wrong.append((path.name, name, address(*position), ours, theirs))
    assert not wrong, wrong[:20]
    assert compared > 5000


def test_what_reads_a_recursion_is_recalculated(tmp_path: Path) -> None:
    """Exponential smoothing: column B reads the row above, C and the loss read B. All is saved anew."""
    path, count = tmp_path / "smoothing.xlsx", 8
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet("S")
        page.write("B1", 0.2)
        for row in range(4, 4 + count):
            page.write(row - 1, 0, row % 3)
            smoothed = f"=A{row}" if row == 4 else f"=$B$1*A{row - 1}+(1-$B$1)*B{row - 1}"
            page.write_formula(f"B{row}", smoothed, None, 0.5)
            page.write_formula(f"C{row}", f"=A{row}-B{row}", None, 0.5)
        page.write_formula("D1", f"=SUMSQ(C5:C{3 + count})", None, 0.5)
        book.define_name("S!sgd_loss", "=S!$D$1")
        book.define_name("S!sgd_params", "=S!$B$1")
    for stale in (True, False):
        workbook = sgdsheet.load(path)
        workbook.stale = stale  # with saved values that are trusted, the readers must not become constants
        model = sgdsheet.compile(workbook)
        cells = model.dependent_cells().values
        assert cells[model.problem.loss] == pytest.approx(model().item(), abs=1e-12)
        assert {address(cell.row, cell.column) for cell in cells} >= {"D1", *(f"C{row}" for row in range(5, 4 + count))}
