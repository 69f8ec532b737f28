"""What of an open workbook is not in its file yet, and how it gets there; and what a kept copy has that it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.cell_edit import CellEdit, Cleared, Constant, FormulaEdit
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.web.edit_history import Content
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Formula, Sheet, Workbook


@dataclass(slots=True)
class Unsaved:
    """The changes of a workbook that its file has not been told of.

    `edited` are areas of cells that hold something else than they did, `original` is what cells held in the file,
    `calculated` areas of results, `names` what was named, `reports` the sheets of ours that were made anew.
    """

    edited: set[Range] = field(default_factory=set)
    original: dict[Cell, Content] = field(default_factory=dict)
    calculated: set[Range] = field(default_factory=set)
    names: dict[tuple[str, str], tuple[str, tuple[Range, ...]]] = field(default_factory=dict)
    reports: set[str] = field(default_factory=set)
    widths: dict[str, dict[int, int]] = field(default_factory=dict)
    """Widths of columns in pixels by sheet."""
    dirty: bool = False
    """Whether anything has changed since the workbook was opened, or saved last."""

    def tell(
        self, file: FileHost, workbook: Workbook, formats: Mapping[Cell, str], reports: Mapping[str, ReportSheet]
    ) -> None:
        """Tell the file of all changes: it has them when it is saved. The workbook holds all results by now.

        A formula that could not be calculated, and so has no value in the workbook, has none in the file.
        """
        sheets = {name: sheet for name, sheet in workbook.sheets.items() if name not in reports}
        edited = [cell for area in self.edited if area.sheet in sheets for cell in area.cells()]
        same = [cell for cell in edited if cell in self.original and self._is_original(sheets[cell.sheet], cell)]
        file.leave(same)
        file.edit({cell: _edit(sheets[cell.sheet], cell, formats.get(cell)) for cell in {*edited} - {*same}})
        found = (area for area in self.calculated if area.sheet in sheets)
        places = [(sheets[area.sheet], at) for area in found for at in area.positions()]
        results = [(sheet, at) for sheet, at in places if at in sheet.formulas]
        file.write({Cell(sheet.name, *at): sheet.values[at] for sheet, at in results if at in sheet.values})
        file.mark_uncalculated([Cell(sheet.name, *at) for sheet, at in results if at not in sheet.values])
        for name, areas in self.names.values():
            file.define_name(name, areas)
        for name in self.reports & reports.keys():
            file.put_sheet(reports[name])
        for name, widths in self.widths.items():
            file.set_widths(name, widths)
        self.edited, self.calculated, self.names, self.reports, self.widths = set(), set(), {}, set(), {}

    @property
    def untold(self) -> bool:
        """Whether there are changes that the file has not been told of."""
        return bool(self.edited or self.calculated or self.names or self.reports or self.widths)

    def held(self, contents: Mapping[Cell, Content]) -> None:
        """Note what cells held before they were edited, if nothing is known of that yet."""
        for cell, content in contents.items():
            self.original.setdefault(cell, content)

    def _is_original(self, sheet: Sheet, cell: Cell) -> bool:
        """Whether a cell holds what it holds in the file, after all."""
        original = self.original[cell]
        now = sheet.formulas.get(cell[1:], sheet.values.get(cell[1:]))
        return type(now) is type(original) and now == original


def _edit(sheet: Sheet, cell: Cell, number_format: str | None) -> CellEdit:
    formula, value = sheet.formulas.get(cell[1:]), sheet.values.get(cell[1:])
    if formula is not None:
        return FormulaEdit(formula_text(formula, cell.row, cell.column), value)
    return Cleared() if value is None else Constant(value, number_format)


def differences(now: Workbook, kept: Workbook) -> dict[Cell, Content]:
    """What cells hold in a kept workbook, where that is something else than they hold now.

    Array formulas are no difference: they cannot be typed.
    """
    found: dict[Cell, Content] = {}
    for name, sheet in kept.sheets.items():
        own = now.sheets.get(name)
        if own is None:
            continue
        for place in {*own.values, *own.formulas, *sheet.values, *sheet.formulas}:
            before, after = _content(own, place), _content(sheet, place)
            if type(before) is not type(after) or before != after:
                found[Cell(name, *place)] = after
    return {cell: content for cell, content in found.items() if not _in_arrays(cell, (now, kept))}


def _content(sheet: Sheet, place: tuple[int, int]) -> Content:
    formula = sheet.formulas.get(place)
    if formula is not None:
        return Formula(formula_text(formula, *place), *place, formula.array, formula.dynamic)
    value = sheet.values.get(place)
    return None if value == "" else value


def _in_arrays(cell: Cell, workbooks: Iterable[Workbook]) -> bool:
    return any(
        (formula := workbook.sheets[cell.sheet].formulas.get(cell[1:])) is not None and formula.array is not None
        for workbook in workbooks
    )
