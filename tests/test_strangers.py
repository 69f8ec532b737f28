"""Workbooks that nobody here made: what we say we support has the value that Excel saved, to the kind of an error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from sgdsheet.analysis.checking import check_workbook
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.model import evaluate
from sgdsheet.compiler.program import build_program
from sgdsheet.hosts.file import load
from sgdsheet.sheet.agreement import written_by_office
from sgdsheet.sheet.references import Cell, Range, rectangles
from sgdsheet.sheet.workbook import Value, Workbook
from tests.cli_books import run
from tests.shared_data import DATA, shared_data

FOLDERS = [DATA / name for name in ("formulas", "strangers")]
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.xls[xm]"))]
TOLERANCE = 1e-9
MOST_BY_OFFICE = 13


def same(one: Value | None, two: Value | None) -> bool:
    """Strictly: kinds of errors count, and TRUE is not 1."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return one == two


def constants(workbook: Workbook) -> list[Range]:
    """All cells with a number of their own."""
    found = []
    for name, sheet in workbook.sheets.items():
        filled = set(sheet.formulas)
        for formula in sheet.formulas.values():
            top, left, bottom, right = formula.array or (1, 1, 0, 0)
            filled |= {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}
        places = {place for place, value in sheet.values.items() if type(value) is float and place not in filled}
        found += [Range(name, top, left, top + h - 1, left + w - 1) for top, left, h, w in rectangles(places)]
    return found


def calculated(workbook: Workbook, parameters: Sequence[Range], *, alone: bool) -> Iterator[tuple[Cell, Value]]:
    """The cells that are counted as supported: block after block over the saved values, or all over our own."""
    plan = planner_of(workbook, parameters).plan_everything()
    plans = [Plan([block], plan.depends) for block in plan.blocks] if alone else [plan]
    for one in plans:
        program = build_program(workbook, parameters, one, dtype=torch.float64, strict=False)
        yield from evaluate(program).values.items()


@shared_data("formulas", "strangers")
@pytest.mark.parametrize("way", ["block by block", "all at once", "recorded"])
def test_strict_agreement(way: str) -> None:
    """Every formula over the saved values; over ours; and with all numbers as parameters, as training sees it.

    Some files of others were saved by LibreOffice, which writes 1 for TRUE and #VALUE! for the #NUM! of SQRT(-16).
    """
    compared, by_office, wrong = 0, 0, {}
    for path in FILES:
        workbook = load(path)
        parameters = constants(workbook) if way == "recorded" else []
        for cell, value in calculated(workbook, parameters, alone=way != "all at once"):
            saved = workbook.sheets[cell.sheet].values.get((cell.row, cell.column))
            compared += 1
            if not same(saved, value):
                if workbook.from_office and saved is not None and written_by_office(saved, value):
                    by_office += 1
                else:
                    wrong[path.name, str(cell)] = (saved, value)
    assert not wrong
    assert compared > (3000 if way == "all at once" else 7000)
    assert by_office <= MOST_BY_OFFICE


@shared_data("strangers")
def test_the_solver_network_is_trained(tmp_path: Path) -> None:
    """A stranger's neural network with Solver's variables, some of which hold formulas, beats what Solver left."""
    path, out = DATA / "strangers" / "neural_net_in_spreadsheet_macros.xlsm", tmp_path / "trained.xlsm"
    saved = load(path).sheets["Sheet1"].values[6, 4]
    found = run("train", path, "--overwrite-formulas", "--json", "-o", out).json
    assert found["loss_cell"] == "Sheet1!D6"
    assert found["loss_start"] == pytest.approx(saved)
    assert found["loss"] < 1e-6 < 0.1 * float(saved)
    written = load(out).sheets["Sheet1"].values[6, 4]
    assert written == pytest.approx(found["loss"], rel=1e-6, abs=1e-12)


@shared_data("formulas", "strangers")
def test_what_can_be_calculated() -> None:
    """Every file opens; nearly all cells are calculated, and what is not has its cause."""
    formulas, supported = 0, 0
    for path in FILES:
        report = check_workbook(load(path))
        formulas += report.formulas
        supported += report.supported
        assert all(item.error.cause for item in report.unsupported)
    assert supported >= 0.997 * formulas > 10_000
