"""What a workbook saved of other workbooks: the cells that its formulas refer to as `[1]Sheet1!A1`."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.xlsx.package import Package, relationships_part
from sgdsheet.hosts.xlsx.xml import Node, Part, read_tree, unescape
from sgdsheet.sheet.references import parse_range
from sgdsheet.sheet.workbook import DefinedName, ExcelError, Link, Sheet, Value

UNKNOWN = "another workbook"
_MOST_DIGITS = 6


def read_link(package: Package, name: str) -> Link:
    """The part of one link: the other workbook's name, and what was saved of its sheets and names.

    Of a part that is damaged nothing is known: that is no reason to refuse the workbook.
    """
    part = package.part(name)
    try:
        return _read(package, part)
    except (FileError, FormulaError):
        return Link(UNKNOWN)


def _read(package: Package, part: Part) -> Link:
    found = Link(_file_name(package, part))
    for book in read_tree(part).all("externalBook"):
        sheets = [node.attributes.get("val", "") for node in book.all("sheetNames", "sheetName")]
        for node in book.all("sheetDataSet", "sheetData"):
            number = _index(node.attributes.get("sheetId", ""))
            if number is not None and number < len(sheets):
                found.sheets[sheets[number]] = _sheet(part, sheets[number], node)
        for node in book.all("definedNames", "definedName"):
            number = _index(node.attributes.get("sheetId", ""))
            scope = sheets[number] if number is not None and number < len(sheets) else None
            text = node.attributes.get("refersTo", "").removeprefix("=")
            found.names.append(DefinedName(node.attributes.get("name", ""), text, scope))
    return found


def _file_name(package: Package, part: Part) -> str:
    """The other workbook's file name, without its folder."""
    relationships = relationships_part(part.name)
    if relationships not in package:
        return UNKNOWN
    targets = [node.attributes.get("Target", "") for node in read_tree(package.part(relationships)).all("Relationship")]
    text = unquote(targets[0]) if targets else ""
    return posixpath.basename(text.replace("\\", "/")) or UNKNOWN


def _sheet(part: Part, name: str, data: Node) -> Sheet:
    found = Sheet(name)
    for node in data.all("row", "cell"):
        value = _value(part, node)
        if value is not None:
            cell = parse_range(node.attributes.get("r", ""), name)
            found.values[cell.top, cell.left] = value
    return found


def _value(part: Part, cell: Node) -> Value | None:
    text = next((node.text for node in cell.all("v")), "")
    kind = cell.attributes.get("t", "")
    if kind == "str":
        return unescape(text)
    if not text:
        return None
    if kind == "b":
        return text == "1"
    if kind == "e":
        known = {error.value: error for error in ExcelError}
        return known.get(text, ExcelError.UNKNOWN)
    try:
        return float(text)
    except ValueError:
        raise part.error(f"has a bad number: {text[:40]!r}") from None


def _index(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else None
