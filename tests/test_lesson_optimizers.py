"""The optimizers written out in cells are those of torch.optim: the same parameters after each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import openpyxl
import pytest
import torch

import sgdsheet
from sgdsheet.apps.examples import optimizers
from sgdsheet.apps.examples.optimizers import EPOCHS, STEPS, TIMES
from sgdsheet.sheet.references import Cell, column_number
from tests.office import LibreOffice
from tests.xlsx_parts import without_values

BOOK = Path(__file__).parent.parent / "workbooks" / "optimizers.xlsx"
TOLERANCE = 1e-12  # relative
MADE: Mapping[str, Callable[[list[torch.Tensor]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-4),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=1e-5, momentum=0.9),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.3),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1.0),
}
COLUMNS = {"sgd": "RS", "momentum": "RS", "rmsprop": "TU", "adam": "XY"}  # new a and new b


def by_torch(name: str) -> list[tuple[float, float]]:
    """Both parameters after each step of torch's own optimizer."""
    a, b = (torch.tensor(1.0, dtype=torch.float64, requires_grad=True) for _ in "ab")
    optimizer = MADE[name]([a, b])
    path = []
    for x in TIMES * EPOCHS:
        optimizer.zero_grad()
        ((a + b * x - (30 + 2 * x)) ** 2).backward()
        optimizer.step()
        path.append((a.item(), b.item()))
    return path


def test_every_sheet_is_compared() -> None:
    assert [item.sheet for item in optimizers.OPTIMIZERS] == list(MADE)


@pytest.fixture(scope="module")
def ours() -> Mapping[Cell, object]:
    """Every cell, as our program calculates it."""
    return sgdsheet.compile(sgdsheet.load(BOOK), "data").dependent_cells(everything=True).values


@pytest.fixture(scope="module")
def office(converter: LibreOffice, tmp_path_factory: pytest.TempPathFactory) -> openpyxl.Workbook:
    """The workbook as LibreOffice calculates it, from a copy without saved values."""
    folder = tmp_path_factory.mktemp("office")
    without_values(BOOK, folder / BOOK.name)
    return openpyxl.load_workbook(converter.convert(folder / BOOK.name, folder / "out" / BOOK.name), data_only=True)


@pytest.mark.parametrize("name", MADE)
def test_cells_are_torch(name: str, ours: Mapping[Cell, object], office: openpyxl.Workbook) -> None:
    for row, expected in zip(STEPS, by_torch(name), strict=True):
        for letter, value in zip(COLUMNS[name], expected, strict=True):
            allowed = TOLERANCE * abs(value)
            assert ours[Cell(name, row, column_number(letter))] == pytest.approx(value, abs=allowed), (row, letter)
            # LibreOffice saves 15 digits.
            assert office[name][f"{letter}{row}"].value == pytest.approx(value, abs=allowed + 5e-15 * abs(value))
