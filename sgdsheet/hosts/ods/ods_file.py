"""An .ods file: read as data, and saved by patching its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sgdsheet.errors import FileError
from sgdsheet.hosts.book_file import Names, OwnSheets, Widths
from sgdsheet.hosts.cell_edit import Change, Changes, Constant, FormulaEdit, has_edits, value_of, without_result
from sgdsheet.hosts.ods import content as odf
from sgdsheet.hosts.ods.ods_charts import read_ods_charts
from sgdsheet.hosts.ods.ods_looks import read_ods_appearance
from sgdsheet.hosts.ods.ods_patch import patch_content
from sgdsheet.hosts.ods.ods_reader import read_content
from sgdsheet.hosts.ods.ods_widths import with_widths
from sgdsheet.hosts.ods.open_formula import formula_in_file
from sgdsheet.hosts.ods.own_table import own_table
from sgdsheet.hosts.xlsx.edited_formulas import planned, with_sheets
from sgdsheet.hosts.xlsx.own_sheet import MARK
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.xml import Node, Part, read_tree
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Position, Workbook

_CONTENT, _SETTINGS, _META, _MANIFEST = "content.xml", "settings.xml", "meta.xml", "META-INF/manifest.xml"
_STYLES = "styles.xml"


GENERATOR = b"generator"
"""The element that names the program which saved a document."""


class OdsFile:
    """The package of an OpenDocument spreadsheet."""

    ending = ".ods"

    def __init__(self, package: Package) -> None:
        self._package = package
        self._book: Workbook | None = None
        if _MANIFEST in package and b"encryption-data" in package.part(_MANIFEST).data:
            raise FileError(
                f"“{package.name}” is protected by a password",
                remedy="Open it in LibreOffice and save it without a password",
            )

    @property
    def data(self) -> bytes:
        return self._package.data

    def read(self) -> Workbook:
        book, frames = read_content(self._content())
        book.charts = read_ods_charts(frames, self._part, list(book.sheets))
        book.active = self._active(book)
        book.from_office = self._is_from_office()
        self._book = book
        return book

    def appearance(self) -> Appearance:
        try:
            return read_ods_appearance(self._content(), self._part(_STYLES), self._settings())
        except FileError:
            return Appearance()

    def sheets(self) -> dict[str, bool]:
        return dict.fromkeys((self._book or self.read()).sheets, True)

    def saved(self, changes: Changes, names: Names, own: OwnSheets, widths: Widths) -> bytes:
        part = self._content()
        if any(map(has_edits, changes.values())):
            book = with_sheets(self._book or self.read(), own)
            plans = {name: planned(book, name, values).changes for name, values in changes.items()}
            changes = {name: _in_notation(book, name, values) for name, values in plans.items()}
        changes = {name: _possible(name, values) for name, values in changes.items()}
        patched = patch_content(part, changes, names)
        if widths:
            patched = with_widths(replace(part, data=patched), widths)
        for title, content in own.items():
            book = self._book or self.read()
            ours = {item.sheet for item in book.names if item.name.casefold() == MARK and item.sheet}
            known = re.compile(f"{re.escape(title)}( [0-9]+)?", re.IGNORECASE)
            old = next((name for name in book.sheets if name in ours and known.fullmatch(name)), None)
            sheet = own_table(content, old or _free_name(book, title))
            patched = patch_content(replace(part, data=patched), {}, {}, sheet, old)
        return self._with_content(patched)

    def _content(self) -> Part:
        return self._package.part(_CONTENT)

    def _part(self, name: str) -> Part | None:
        """Another part of the document, if it is there."""
        return self._package.part(name) if name in self._package else None

    def _settings(self) -> Node | None:
        part = self._part(_SETTINGS)
        return read_tree(part) if part is not None else None

    def _with_content(self, content: bytes) -> bytes:
        return self._package.rewritten({_CONTENT: content})

    def _is_from_office(self) -> bool:
        return self._package.names_office(_META, GENERATOR)

    def _active(self, book: Workbook) -> str | None:
        """The sheet that was on top when the file was saved."""
        settings = self._settings()
        waiting = [settings] if settings is not None else []
        while waiting:
            node = waiting.pop()
            if node.attributes.get("name") == "ActiveTable" and node.text in book.sheets:
                return node.text
            waiting += node.children
        return None


def _possible(name: str, changes: Mapping[Position, Change]) -> Mapping[Position, Change]:
    """The changes of a sheet without results that such a file cannot hold. Raises FileError for what was typed."""
    found: dict[Position, Change] = {}
    for place, item in changes.items():
        if isinstance(item, Constant) and odf.is_impossible(item.value):
            raise FileError(
                "the text has a control character in it, which no .ods file can hold",
                cell=Cell(name, *place),
                remedy="Type it without, or save the workbook as .xlsx in LibreOffice",
            )
        found[place] = without_result(item) if odf.is_impossible(value_of(item)) else item
    return found


def _in_notation(book: Workbook, name: str, changes: Mapping[Position, Change]) -> Mapping[Position, Change]:
    """The changes of a sheet with formulas as such a file has them. Raises FileError for one that it cannot hold."""
    found: dict[Position, Change] = {}
    for place, item in changes.items():
        if isinstance(item, FormulaEdit):
            text = formula_in_file(item.text, Cell(name, *place))
            found[place] = FormulaEdit(text, item.value)
        elif isinstance(item, Constant) and book.date1904:
            found[place] = Constant(item.value)
        else:
            found[place] = item
    return found


def _free_name(book: Workbook, title: str) -> str:
    name, count = title, 1
    while book.sheet(name) is not None:
        count += 1
        name = f"{title} {count}"
    return name
