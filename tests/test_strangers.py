"""Workbooks that nobody here made: what we say we support has the value that Excel saved, to the kind of an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sgdsheet.analysis.checking import check_workbook
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.model import evaluate
from sgdsheet.compiler.program import build_program
from sgdsheet.hosts.file import load
from sgdsheet.sheet.references import Cell, Range, rectangles
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests.cli_books import run
from tests.shared_data import DATA, shared_data

FOLDERS = [DATA / name for name in ("formulas", "strangers")]
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.xls[xm]"))]
TOLERANCE = 1e-9
LEAST = 0.995


@dataclass(frozen=True)
class Exempt:
    """A reason for which a file that LibreOffice saved holds something else than Excel's value."""

    reason: str
    files: frozenset[str]
    holds: Callable[[Value | None, Value], bool]


EXCEPTIONS = (
    Exempt(
        "LibreOffice writes TRUE and FALSE as the numbers 1 and 0 (AND(A1:A2), ISNA(A1))",
        frozenset({"logical.xlsx", "INFORMATION.xlsx"}),
        lambda saved, value: type(saved) is float and isinstance(value, bool) and saved == float(value),
    ),
    Exempt(
        "LibreOffice writes its Err:502 as #VALUE!; SQRT(-16) is #NUM! in Excel",
        frozenset({"SQRT.xlsx"}),
        lambda saved, value: saved is ExcelError.VALUE and value is ExcelError.NUM,
    ),
)
"""All exceptions. No other file may need one."""


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
    """Every formula over the saved values; over ours; and with all numbers as parameters, as training sees it."""
    compared, wrong = 0, {}
    for path in FILES:
        workbook = load(path)
        parameters = constants(workbook) if way == "recorded" else []
        for cell, value in calculated(workbook, parameters, alone=way != "all at once"):
            saved = workbook.sheets[cell.sheet].values.get((cell.row, cell.column))
            compared += 1
            if not same(saved, value):
                wrong[path.name, str(cell)] = (saved, value)
    unexplained = {
        where: (saved, value)
        for where, (saved, value) in wrong.items()
        if not any(where[0] in item.files and item.holds(saved, value) for item in EXCEPTIONS)
    }
    assert not unexplained
    assert compared > (3000 if way == "all at once" else 7000)
    assert len(wrong) <= (1 - LEAST) * compared


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
