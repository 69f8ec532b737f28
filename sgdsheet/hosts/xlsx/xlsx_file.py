"""An .xlsx or .xlsm file: read as data, and saved by patching its parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property

from sgdsheet.analysis.reporting.page import Page
from sgdsheet.hosts.book_file import Changes, OwnSheets, TrainingLog
from sgdsheet.hosts.xlsx.log_sheet import draw
from sgdsheet.hosts.xlsx.own_sheet import Draw, add_sheet
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.patch import Replaced, patch_sheet
from sgdsheet.hosts.xlsx.recalculation import ask_for_calculation
from sgdsheet.hosts.xlsx.replaced_formulas import chain_without, replaced_in
from sgdsheet.hosts.xlsx.report_sheet import draw_report
from sgdsheet.hosts.xlsx.sheet_looks import read_appearance
from sgdsheet.hosts.xlsx.xlsx_reader import Outline, read_outline, read_workbook
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.workbook import Position, Workbook


class XlsxFile:
    """The package of a workbook."""

    ending = ".xlsx"

    def __init__(self, package: Package) -> None:
        self._package = package

    @property
    def data(self) -> bytes:
        return self._package.data

    def read(self) -> Workbook:
        return read_workbook(self._package)

    def appearance(self) -> Appearance:
        return read_appearance(self._package, self._outline)

    def sheets(self) -> dict[str, bool]:
        return {entry.name: entry.part is not None for entry in self._outline.sheets}

    def saved(self, changes: Changes, replaced: Mapping[str, Collection[Position]], own: OwnSheets) -> bytes:
        package, outline = self._package, self._outline
        parts = {entry.name: entry.part for entry in outline.sheets}
        patched: dict[str, bytes | None] = {}
        going = self._going(replaced)
        for name, values in changes.items():
            if (part := parts[name]) is not None:
                patched[part] = patch_sheet(package.part(part), values, going.get(name))
        chain = outline.related("calcChain")
        if going and chain is not None and chain in package:
            ids = {entry.id: going[entry.name].cells for entry in outline.sheets if entry.name in going}
            patched[chain] = chain_without(package.part(chain), ids)
        patched.update(_with_own(package, outline, own))
        if any(None in values.values() for values in changes.values()):
            book = patched.get(outline.part.name)
            whole = outline.part if book is None else replace(outline.part, data=book)
            patched[outline.part.name] = ask_for_calculation(whole)
        return package.rewritten(patched) if patched else package.data

    def _going(self, cells: Mapping[str, Collection[Position]]) -> dict[str, Replaced]:
        """The formulas that give way, by the name of their sheet."""
        if not cells:
            return {}
        sheets = self.read().sheets
        return {name: replaced_in(sheets[name], places) for name, places in cells.items()}

    @cached_property
    def _outline(self) -> Outline:
        return read_outline(self._package)


def _with_own(package: Package, outline: Outline, own: OwnSheets) -> dict[str, bytes | None]:
    """What to change in the package for the sheets of ours, each added to what the one before left."""
    changes: dict[str, bytes | None] = {}
    for title, content in own.items():
        if changes:
            package = Package(package.name, package.rewritten(changes))
            outline = read_outline(package)
        changes.update(add_sheet(package, outline, title, _drawing(content)))
    return changes


def _drawing(content: TrainingLog | Page) -> Draw:
    if isinstance(content, Page):
        return lambda name, font: draw_report(content, name, font)
    return lambda name, font: draw(content.records, content.title, name, font, content.notes)
