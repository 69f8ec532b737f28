"""Small workbooks from plain data, and slow ways to check what the compiler makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

import sgdsheet
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import DefinedName, Formula, Sheet, Table, Workbook

HOME = "Sheet1"

Cells = Mapping[str, Any]
"""What a sheet holds, by A1 reference: a value, `=formula` (filled over the range), `{=formula}` (an array
formula over the range), or nested lists of values and formulas (each written for its own cell)."""


def book(cells: Cells, *, names: Mapping[str, str] | None = None, tables: Sequence[Table] = ()) -> Workbook:
    """A workbook without saved values for its formulas."""
    made = Workbook("test.xlsx", {HOME: Sheet(HOME)}, active=HOME)
    for reference, content in cells.items():
        area = parse_range(reference, HOME)
        sheet = made.sheets.setdefault(area.sheet, Sheet(area.sheet))
        if isinstance(content, list):
            for i, row in enumerate(content):
                for j, item in enumerate(row if isinstance(row, list) else [row]):
                    _put(
                        sheet,
                        Range(area.sheet, area.top + i, area.left + j, area.top + i, area.left + j),
                        item,
                    )
        else:
            _put(sheet, area, content)
    made.names = [DefinedName(name, text) for name, text in (names or {}).items()]
    made.tables = {table.name: table for table in tables}
    return made


def _put(sheet: Sheet, area: Range, content: Any) -> None:
    if isinstance(content, str) and content.startswith("{="):
        corners = (area.top, area.left, area.bottom, area.right)
        sheet.formulas[area.top, area.left] = Formula(content[2:-1], area.top, area.left, corners)
        return
    formula = Formula(content[1:], area.top, area.left) if isinstance(content, str) and content[:1] == "=" else None
    for cell in area.cells():
        if formula is not None:
            sheet.formulas[cell.row, cell.column] = formula
        elif content is not None:
            number = isinstance(content, (int, float)) and not isinstance(content, bool)
            sheet.values[cell.row, cell.column] = float(content) if number else content


def compiled(cells: Cells, params: str, loss: str = "Z1", **options: Any) -> SheetModel:
    return sgdsheet.compile(book(cells, **options), HOME, loss=loss, params=params)


def lowered(workbook: Workbook, params: Sequence[str], *targets: str) -> Program:
    """The program for some cells, without the checks that a loss has to pass."""
    areas = [parse_range(text, HOME) for text in params]
    plan = planner_of(workbook, areas).plan([parse_range(text, HOME) for text in targets])
    return build_program(workbook, areas, plan, dtype=torch.float64)


def values(cells: Cells, *targets: str, params: Sequence[str] = (), **options: Any) -> list[Any]:
    """What the cells come to (None for a cell that the program leaves alone)."""
    workbook = book(cells, **options)
    found = evaluate(lowered(workbook, params, *targets)).values
    areas = [parse_range(text, HOME) for text in targets]
    return [
        found.get(cell, workbook.sheets[cell.sheet].values.get((cell.row, cell.column)))
        for area in areas
        for cell in area.cells()
    ]


def value(formula: str, cells: Cells | None = None, *, params: Sequence[str] = (), **options: Any) -> Any:
    """What a formula in Z1 comes to."""
    return values({**(cells or {}), "Z1": formula}, "Z1", params=params, **options)[0]


def differences(
    run: Callable[[], torch.Tensor],
    tensors: Sequence[torch.Tensor],
    step: float = 1e-5,
    ends: tuple[int, int] = (1, -1),
) -> list[torch.Tensor]:
    """Central differences of `run()` with respect to each number of the tensors.

    `ends` are the points that are compared, in steps: (1, 0) gives the slope to the right, (0, -1) to the
    left.
    """
    found = []
    with torch.no_grad():
        for tensor in tensors:
            slopes, flat = torch.zeros_like(tensor).reshape(-1), tensor.view(-1)
            for index in range(flat.numel()):
                before = float(flat[index])
                width = step * max(1.0, abs(before))
                flat[index] = before + ends[0] * width
                high = float(run().detach())
                flat[index] = before + ends[1] * width
                low = float(run().detach())
                flat[index] = before
                slopes[index] = (high - low) / ((ends[0] - ends[1]) * width)
            found.append(slopes.reshape(tensor.shape))
    return found


def check_gradients(model: SheetModel, tolerance: float = 1e-6) -> dict[Cell, float]:
    """Compare the exact gradient with central differences."""
    exact = model.gradients()
    pairs = list(model.ranges())
    for (area, _), slopes in zip(pairs, differences(model, [tensor for _, tensor in pairs]), strict=True):
        for cell, slope in zip(area.cells(), slopes.flatten().tolist(), strict=True):
            assert abs(exact[cell] - slope) <= tolerance * max(1.0, abs(slope)), (cell, exact[cell], slope)
    return exact


def check(
    cells: Cells,
    params: str,
    expected: float | None,
    loss: str = "Z1",
    tolerance: float = 1e-10,
    **options: Any,
) -> SheetModel:
    """Compile, compare the loss with the expected value and the gradient with central differences."""
    model = compiled(cells, params, loss, **options)
    found = float(model().detach())
    if expected is not None:
        assert abs(found - expected) <= tolerance * max(1.0, abs(expected)), (found, expected)
    check_gradients(model)
    return model


def slope(formula: str, at: float) -> float:
    """The derivative of a formula of A1."""
    return compiled({"A1": at, "Z1": formula}, "A1").gradients()[Cell(HOME, 1, 1)]
