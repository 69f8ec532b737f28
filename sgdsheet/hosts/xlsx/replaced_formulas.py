"""Formulas that give way to numbers: the formulas that shared their text, and the chain that lists all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sgdsheet.hosts.xlsx.edit import Document
from sgdsheet.hosts.xlsx.patch import Replaced
from sgdsheet.hosts.xlsx.xml import Part
from sgdsheet.sheet.formula import moved
from sgdsheet.sheet.references import address
from sgdsheet.sheet.workbook import Position, Sheet


def replaced_in(sheet: Sheet, cells: Collection[Position]) -> Replaced:
    """The formulas of a sheet that go, and what the others of the same text become."""
    gone = frozenset(cells)
    lost = {
        id(formula)
        for place in gone
        if (formula := sheet.formulas.get(place)) is not None and (formula.row, formula.column) == place
    }
    sharing = {
        place: moved(formula.text, formula.row, formula.column, *place)
        for place, formula in sheet.formulas.items()
        if id(formula) in lost and place not in gone
    }
    return Replaced(gone, sharing)


def chain_without(part: Part, cells: Mapping[str, Collection[Position]]) -> bytes:
    """The calculation chain without some cells, given by the id of their sheet.

    An entry without a sheet is on that of the entry before it: where that one goes, the next one says it.
    """
    chain = Document(part)
    gone = {(sheet, address(*place)) for sheet, places in cells.items() for place in places}
    sheet = before = ""
    for entry in chain.root.children:
        sheet = entry.attributes.get("i", sheet)
        if (sheet, entry.attributes.get("r", "")) in gone:
            chain.remove(entry)
            continue
        if "i" not in entry.attributes and sheet != before:
            chain.insert(entry.start + 1 + len(entry.name), b' i="%s"' % sheet.encode())
        before = sheet
    return chain.result()
