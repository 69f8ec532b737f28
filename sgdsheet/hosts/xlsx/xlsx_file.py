"""An .xlsx or .xlsm file: read as data, and saved by patching its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from sgdsheet.analysis.reporting.page import Page
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.book_file import Names, OwnSheets, TrainingLog, Widths
from sgdsheet.hosts.cell_edit import Changes, asks_for_calculation, has_edits
from sgdsheet.hosts.xlsx.column_widths import with_widths
from sgdsheet.hosts.xlsx.edited_formulas import Plan, chain_without, ground, planned, with_sheets
from sgdsheet.hosts.xlsx.live_sheet import draw_live
from sgdsheet.hosts.xlsx.log_sheet import draw
from sgdsheet.hosts.xlsx.name_list import with_names
from sgdsheet.hosts.xlsx.own_sheet import Draw, add_sheet
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.part_lists import without_part
from sgdsheet.hosts.xlsx.patch import patch_sheet
from sgdsheet.hosts.xlsx.recalculation import ask_for_calculation
from sgdsheet.hosts.xlsx.report_sheet import draw_report
from sgdsheet.hosts.xlsx.sheet_looks import read_appearance
from sgdsheet.hosts.xlsx.styles import DateFormats
from sgdsheet.hosts.xlsx.xlsx_reader import Outline, read_outline, read_workbook
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.workbook import Workbook


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

    def saved(self, changes: Changes, names: Names, own: OwnSheets, widths: Widths) -> bytes:
        package, outline = self._package, self._outline
        plans = self._planned(changes, own)
        package = _with_cells(package, outline, plans)
        for entry in outline.sheets:
            if entry.part is not None and widths.get(entry.name):
                package = package.with_changes({entry.part: with_widths(package.part(entry.part), widths[entry.name])})
        package = _with_chain(package, outline, plans)
        if names:
            package = package.with_changes({outline.part.name: with_names(outline, names)})
        package = _with_own(package, own)
        if any(map(asks_for_calculation, changes.values())):
            part = package.part(outline.part.name)
            package = package.with_changes({part.name: ask_for_calculation(part)})
        return package.rewritten({}) if package.is_changed else package.data

    def _planned(self, changes: Changes, own: Iterable[str]) -> dict[str, Plan]:
        """What is to be done to each sheet; the workbook is read only if cells get more than values."""
        if not any(map(has_edits, changes.values())):
            return {name: Plan(values) for name, values in changes.items()}
        book = with_sheets(self._ground, own)
        return {name: planned(book, name, values) for name, values in changes.items()}

    @cached_property
    def _ground(self) -> Workbook:
        """The workbook as the edits find it; the one that `read` gave belongs to whoever asked for it."""
        return ground(self.read())

    @cached_property
    def _outline(self) -> Outline:
        return read_outline(self._package)


def _with_cells(package: Package, outline: Outline, plans: Mapping[str, Plan]) -> Package:
    """The package with its worksheets patched, and with the cell formats that typed dates need."""
    styles = outline.related("styles")
    part = package.part(styles) if styles is not None and styles in package else None
    formats = DateFormats(part) if part is not None and any(plan.has_dates for plan in plans.values()) else None
    patched: dict[str, bytes | None] = {}
    for entry in outline.sheets:
        if entry.part is not None and entry.name in plans:
            plan, like = plans[entry.name], formats.like if formats is not None else lambda style, code: style
            patched[entry.part] = patch_sheet(package.part(entry.part), plan.changes, plan.sharing, like, entry.name)
    if part is not None and formats is not None and (new := formats.result()) != part.data:
        patched[part.name] = new
    return package.with_changes(patched)


def _with_chain(package: Package, outline: Outline, plans: Mapping[str, Plan]) -> Package:
    """The package with a calculation chain that lists its formulas, or without, so that Excel makes a new one."""
    chain = outline.related("calcChain")
    if chain is None or chain not in package:
        return package
    left: bytes | None = package.part(chain).data
    if any(plan.appeared for plan in plans.values()):
        left = None
    elif any(plan.vanished for plan in plans.values()):
        gone = {entry.id: plans[entry.name].vanished for entry in outline.sheets if entry.name in plans}
        left = chain_without(package.part(chain), gone)
    else:
        return package
    return package.with_changes({chain: left} if left is not None else without_part(package, outline, chain))


def _with_own(package: Package, own: OwnSheets) -> Package:
    """The package with the sheets of ours, each added to what the one before left."""
    for title, content in own.items():
        package = package.with_changes(add_sheet(package, read_outline(package), title, _drawing(content)))
    return package


def _drawing(content: TrainingLog | Page | ReportSheet) -> Draw:
    if isinstance(content, Page):
        return lambda name, font: draw_report(content, name, font)
    if isinstance(content, ReportSheet):
        return lambda name, font: draw_live(content, name, font)
    return lambda name, font: draw(content.records, content.title, name, font, content.notes)
