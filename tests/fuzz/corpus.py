"""The workbooks at hand, and of each a few models to train: those that it names, and some that are picked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.compiler.calculated_references import block_table
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.file import load
from sgdsheet.problem.definition import sheets_with_problem
from sgdsheet.sheet.references import Cell, Range, address
from sgdsheet.sheet.workbook import Workbook
from tests.gallery import GALLERY
from tests.shared_data import DATA

FOLDERS = ("workbooks", "formulas", "strangers")
EXAMPLES = Path(__file__).parents[2] / "workbooks"


@dataclass(frozen=True, slots=True)
class Seed:
    """A workbook, and the options of the command line that say which model of it: several ways."""

    name: str
    data: bytes
    models: tuple[tuple[str, ...], ...]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix


def workbooks(folder: Path, *, largest: int | None = None) -> list[Path]:
    """This repository's workbooks, those of the tests (built into the folder), and the shared ones that are there."""
    found = [build(folder / f"{name}.xlsx") for name, build in GALLERY.items()]
    found += sorted(EXAMPLES.glob("*.xlsx"))
    for name in FOLDERS:
        found += sorted(path for path in (DATA / name).glob("*.xls[xm]"))
    return [path for path in found if largest is None or path.stat().st_size <= largest]


def seeds(folder: Path, *, largest: int | None = None) -> list[Seed]:
    """What mutations start from."""
    return [
        Seed(path.name, path.read_bytes(), tuple(_models(load(path), random.Random(path.name))))
        for path in workbooks(folder, largest=largest)
    ]


def _models(workbook: Workbook, chance: random.Random) -> Iterator[tuple[str, ...]]:
    named = sheets_with_problem(workbook)
    for sheet in named:
        yield ("--sheet", sheet)
    if not named:
        found = list(_picked(workbook))
        yield from chance.sample(found, min(4, len(found)))


def _picked(workbook: Workbook) -> Iterator[tuple[str, ...]]:
    """Cells with a number and the numbers that their formulas read."""
    table = block_table(workbook)
    for name, sheet in workbook.sheets.items():
        for row, column in list(sheet.formulas)[:200]:
            if type(sheet.values.get((row, column))) is not float:
                continue
            read = _constants(table, workbook, Cell(name, row, column))
            if read:
                yield ("--sheet", name, "--loss", address(row, column), "--params", ",".join(read[:4]))


def _constants(table: BlockTable, workbook: Workbook, cell: Cell) -> list[str]:
    found: list[str] = []
    sheet = workbook.sheets[cell.sheet]
    try:
        for block in table.overlapping(Range.of_cell(cell)):
            for area in block.reads():
                if area.sheet == cell.sheet and area.size < 100:
                    found += [
                        address(*other[1:])
                        for other in area.cells()
                        if type(sheet.values.get(other[1:])) is float and other[1:] not in sheet.formulas
                    ]
    except SgdSheetError:
        return []
    return list(dict.fromkeys(found))
